"""The served form: stamps, labels and subsets."""

import pytest

from careledger.standards.fhir.meta import (
    SUBSETTED,
    SummaryMode,
    is_subset,
    list_labels,
    list_tags,
    select_elements,
    stamp,
    summarise,
    with_codings,
)
from careledger.standards.fhir.validate import validate_resource

Document = dict[str, object]
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def observation() -> Document:
    return {
        "resourceType": "Observation",
        "id": "given",
        "meta": {
            "versionId": "99",
            "_lastUpdated": {"id": "x"},
            "profile": ["http://example.org/p"],
            "security": [{"system": CONFIDENTIALITY, "code": "R"}],
        },
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        "status": "final",
        "_status": {"id": "s"},
        "code": {"text": "weight"},
        "valueString": "x",
        "note": [{"text": "y"}],
    }


def test_a_stamp_sets_identity_and_keeps_the_rest() -> None:
    stamped = stamp(observation(), logical_id="o1", version_id="3", last_updated_ms=1_709_164_800_000)
    assert list(stamped)[:3] == ["resourceType", "id", "meta"]
    assert stamped["id"] == "o1"
    assert stamped["meta"] == {
        "versionId": "3",
        "lastUpdated": "2024-02-29T00:00:00.000Z",
        "profile": ["http://example.org/p"],
        "security": [{"system": CONFIDENTIALITY, "code": "R"}],
    }
    rest = {name: item for name, item in observation().items() if name not in ("id", "meta")}
    assert {name: item for name, item in stamped.items() if name not in ("id", "meta")} == rest
    assert validate_resource(stamped) == []
    bare = stamp({"resourceType": "Patient"}, logical_id="p", version_id="1", last_updated_ms=0)
    assert bare["meta"] == {"versionId": "1", "lastUpdated": "1970-01-01T00:00:00.000Z"}


def test_labels_and_tags() -> None:
    resource = observation()
    assert list_labels(resource) == [(CONFIDENTIALITY, "R")]
    assert list_tags(resource) == []
    assert list_labels({"resourceType": "Patient", "meta": {"security": [{"code": "x"}, 5]}}) == [("", "x")]
    assert list_labels({"resourceType": "Patient", "meta": 5}) == []
    more = with_codings(resource, "security", [{"system": CONFIDENTIALITY, "code": "R"}, {"code": "new"}])
    assert list_labels(more) == [(CONFIDENTIALITY, "R"), ("", "new")]
    assert resource == observation()
    assert with_codings(resource, "security", [{"system": CONFIDENTIALITY, "code": "R"}]) is resource
    assert list_tags(with_codings({"resourceType": "Patient"}, "tag", [{"code": "t"}])) == [("", "t")]


@pytest.mark.parametrize(
    ("mode", "left_out"),
    [("true", {"text", "note"}), ("text", {"valueString", "note"}), ("data", {"text"})],
)
def test_summaries(mode: SummaryMode, left_out: set[str]) -> None:
    shown = summarise(observation(), mode)
    assert observation().keys() - shown.keys() == left_out
    assert is_subset(shown)
    assert validate_resource(shown) == []


def test_the_whole_is_no_subset() -> None:
    resource = observation()
    assert summarise(resource, "false") is resource
    assert not is_subset(resource)


def test_elements_are_selected_with_the_required_ones() -> None:
    shown = select_elements(observation(), ["value", "unknown"])
    assert list(shown) == ["resourceType", "id", "meta", "status", "_status", "code", "valueString"]
    assert list_tags(shown) == [(SUBSETTED["system"], SUBSETTED["code"])]
