"""Batches and transactions: requests read, rules between entries, links, and the bundles sent back."""

from collections.abc import Callable

import msgspec
import pytest

from careledger.standards.fhir.bundle import (
    BundleError,
    check_identities,
    link_resource,
    read_requests,
    resources_of,
)
from careledger.standards.fhir.bundle_answers import (
    Answer,
    Hit,
    Version,
    build_history,
    build_response,
    build_search_set,
)
from careledger.standards.fhir.bundle_requests import RequestUrlError, parse_request_url
from careledger.standards.fhir.json_reader import read_json
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.outcome import build_outcome
from careledger.standards.fhir.validate import validate_resource

Document = dict[str, object]
A = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
B = "urn:uuid:1c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"
C = "urn:uuid:2c3151bd-1cbf-4d64-b04d-cd9187a4c6e2"


def patient(**members: object) -> Document:
    return {"resourceType": "Patient", **members}


def entry(
    method: str, url: str, resource: Document | None = None, full_url: str = "", **request: object
) -> Document:
    made: Document = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


def bundle(*entries: Document, kind: str = "transaction") -> Document:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


@pytest.mark.parametrize(
    ("text", "type_name", "logical_id", "identity", "operation", "is_conditional"),
    [
        ("Patient", "Patient", "", "", "", False),
        ("Patient/1", "Patient", "1", "Patient/1", "", False),
        ("/Patient/1", "Patient", "1", "Patient/1", "", False),
        ("Patient/1/_history/2", "Patient", "1", "", "", False),
        ("Patient?name=x&a=b", "Patient", "", "", "", True),
        ("Patient/1/$everything", "Patient", "1", "", "$everything", False),
        ("$export", "", "", "", "$export", False),
        ("metadata", "", "", "", "", False),
        ("Alien/1", "", "", "", "", False),
        ("", "", "", "", "", False),
        ("?_type=Patient", "", "", "", "", False),
    ],
)
def test_request_urls(
    text: str, type_name: str, logical_id: str, identity: str, operation: str, is_conditional: bool
) -> None:
    url = parse_request_url(text)
    assert (url.type_name, url.logical_id, url.identity, url.operation, url.is_conditional) == (
        type_name,
        logical_id,
        identity,
        operation,
        is_conditional,
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/Patient",
        "Patient/../x",
        "Patient//1",
        "Patient/1#x",
        "Pat ient",
        "x" * 9000,
        "Patient/%31",
    ],
)
def test_urls_that_are_not_relative_to_the_server_are_refused(text: str) -> None:
    with pytest.raises(RequestUrlError):
        parse_request_url(text)


def test_entries_are_read_and_ordered() -> None:
    requests = read_requests(
        bundle(
            entry("GET", "Patient/9", ifNoneMatch='W/"1"', ifModifiedSince="2024-01-01T00:00:00Z"),
            entry("PUT", "Patient/2", patient(id="2"), ifMatch='W/"7"'),
            entry("POST", "Patient", patient(), A, ifNoneExist="identifier=x"),
            entry("DELETE", "Patient?identifier=y"),
            entry("PATCH", "Patient/3", {"resourceType": "Parameters"}, ifMatch='"8"'),
            entry("POST", "Patient/1/$everything"),
            entry("POST", "Patient/_search"),
            entry("PUT", "Patient?identifier=z", patient()),
        )
    )
    assert [item.index for item in requests.ordered()] == [3, 2, 5, 6, 1, 4, 7, 0]
    assert [item.if_match for item in requests.entries[:5]] == ["", "7", "", "", "8"]
    assert requests.entries[2].if_none_exist == "identifier=x"
    assert requests.entries[0].if_none_match == 'W/"1"'
    assert requests.entries[0].if_modified_since == "2024-01-01T00:00:00Z"
    assert [item.is_create for item in requests.entries] == [
        False,
        False,
        True,
        False,
        False,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("made", "location", "code"),
    [
        ({"resource": patient()}, "request", "required"),
        ({"request": {"url": "Patient"}}, "request.method", "required"),
        (entry("POST", "Patient"), "resource", "required"),
        (entry("POST", "Observation", patient()), "request.url", "value"),
        (entry("POST", "Patient/1", patient()), "request.url", "value"),
        (entry("POST", "https://example.org/Patient", patient()), "request.url", "value"),
        (entry("PUT", "Patient/1", patient()), "resource.id", "invariant"),
        (entry("PUT", "Patient/1", patient(id="2")), "resource.id", "invariant"),
        (entry("PUT", "Patient/1"), "resource", "required"),
        (entry("PUT", "Patient", patient()), "request.url", "value"),
        (entry("PUT", "Observation?code=x", patient()), "request.url", "value"),
        (entry("DELETE", "Patient"), "request.url", "value"),
        (entry("DELETE", "Patient/1/_history/1"), "request.url", "value"),
        (entry("DELETE", "Patient/1", patient()), "resource", "invariant"),
        (entry("GET", "Patient/1", patient()), "resource", "invariant"),
        (entry("PATCH", "Patient/1", patient()), "resource", "required"),
        (entry("POST", "Patient", patient(), ifMatch='W/"1"'), "request.ifMatch", "invariant"),
        (entry("PUT", "Patient/1", patient(id="1"), ifMatch="1"), "request.ifMatch", "value"),
        (entry("PUT", "Patient/1", patient(id="1"), ifNoneExist="a=b"), "request.ifNoneExist", "invariant"),
        (
            entry("DELETE", "Patient/1", ifModifiedSince="2024-01-01T00:00:00Z"),
            "request.ifModifiedSince",
            "invariant",
        ),
        (entry("POST", "Patient", patient(), "Patient/1"), "fullUrl", "value"),
        (entry("POST", "Patient", patient(), "urn:uuid:1"), "fullUrl", "value"),
        (entry("POST", "Patient", patient(id="2"), "https://example.org/Patient/1"), "fullUrl", "invariant"),
        (entry("POST", "Patient", patient(), "https://example.org/Observation/1"), "fullUrl", "invariant"),
    ],
)
def test_a_faulty_entry_fails_a_transaction_and_marks_a_batch(
    made: Document, location: str, code: str
) -> None:
    with pytest.raises(BundleError) as caught:
        read_requests(bundle(entry("GET", "Patient"), made))
    assert [(issue.location, issue.code) for issue in caught.value.issues] == [
        (f"Bundle.entry[1].{location}", code)
    ]
    good, faulty = read_requests(bundle(entry("GET", "Patient"), made, kind="batch")).entries
    assert good.issues == ()
    assert faulty.issues == caught.value.issues


@pytest.mark.parametrize(
    "value",
    [
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Patient", "type": "batch"},
        {"resourceType": "Bundle", "type": "batch", "entry": {}},
        bundle(*[entry("GET", "Patient")] * 4),
    ],
)
def test_what_is_no_acceptable_bundle_is_refused(value: Document) -> None:
    with pytest.raises(BundleError):
        read_requests(value, entries_max=3)


def test_an_empty_bundle_is_fine() -> None:
    assert read_requests({"resourceType": "Bundle", "type": "transaction"}).entries == ()


def test_full_urls_and_identities_must_not_repeat() -> None:
    with pytest.raises(BundleError, match="fullUrl") as caught:
        read_requests(bundle(entry("POST", "Patient", patient(), A), entry("POST", "Patient", patient(), A)))
    assert caught.value.issues[0].code == "duplicate"
    with pytest.raises(BundleError, match="same resource"):
        read_requests(bundle(entry("PUT", "Patient/1", patient(id="1")), entry("DELETE", "Patient/1")))
    read_requests(bundle(entry("PUT", "Patient/1", patient(id="1")), entry("GET", "Patient/1")))
    with pytest.raises(BundleError):
        check_identities([(0, "Patient/1"), (1, ""), (2, ""), (3, "Patient/1")])


def test_a_uuid_that_no_entry_bears_is_refused_in_a_transaction() -> None:
    dangling: Document = {"resourceType": "Observation", "performer": [{"reference": A}, {"reference": B}]}
    with pytest.raises(BundleError) as caught:
        read_requests(
            bundle(entry("POST", "Patient", patient(), A), entry("POST", "Observation", dangling, C))
        )
    assert [issue.location for issue in caught.value.issues] == [
        "Bundle.entry[1].resource.performer[1].reference"
    ]


def test_conditional_references_are_listed_once() -> None:
    first: Document = {
        "resourceType": "Observation",
        "performer": [{"reference": "Practitioner?identifier=1"}],
    }
    second: Document = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient?identifier=2"},
        "performer": [{"reference": "Practitioner?identifier=1"}, {"reference": "https://example.org/x?y"}],
    }
    requests = read_requests(
        bundle(entry("POST", "Observation", first), entry("POST", "Observation", second))
    )
    assert requests.conditional_references() == ["Practitioner?identifier=1", "Patient?identifier=2"]


def test_links_between_entries_are_replaced() -> None:
    old = "https://old.example/fhir"
    inside: Document = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/7"},
        "focus": [{"reference": A}],
    }
    outside: Document = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/7"},
        "focus": [{"reference": A}],
    }
    requests = read_requests(
        bundle(
            entry("POST", "Patient", patient(), A),
            entry("POST", "Patient", patient(id="7"), f"{old}/Patient/7"),
            entry("POST", "Observation", inside, f"{old}/Observation/1"),
            entry("POST", "Observation", outside, B),
            entry("POST", "Observation", {"resourceType": "Observation"}, f"{old}/Observation/2"),
        )
    )
    links = requests.compute_links({0: "Patient/a", 1: "Patient/b", 2: "Observation/c", 3: "Observation/d"})
    changed = link_resource(inside, links.of_entry(requests.entries[2]), "c")
    assert changed == {
        "resourceType": "Observation",
        "id": "c",
        "subject": {"reference": "Patient/b"},
        "focus": [{"reference": "Patient/a"}],
    }
    assert list(changed)[:2] == ["resourceType", "id"]
    # The entry is known by a UUID: what it calls Patient/7 is a patient of this server.
    changed = link_resource(outside, links.of_entry(requests.entries[3]))
    assert changed["subject"] == {"reference": "Patient/7"}
    assert changed["focus"] == [{"reference": "Patient/a"}]
    assert inside["subject"] == {"reference": "Patient/7"}
    assert f"{old}/Observation/2" not in links.whole


def test_resources_of_a_bundle() -> None:
    assert resources_of(bundle(entry("GET", "Patient"), entry("POST", "Patient", patient()))) == [patient()]
    assert resources_of({"resourceType": "Bundle", "entry": 5}) == []


FULL = "https://here.example/fhir/Patient/1"


@pytest.mark.parametrize(
    "build",
    [
        lambda: build_response(
            "transaction",
            [
                Answer(status=201, location="Patient/1/_history/1", version_id="1", last_modified_ms=0),
                Answer(status=200, resource=patient(id="1"), full_url=FULL),
                Answer(status=404, outcome=build_outcome([])),
                Answer(status=299),
            ],
        ),
        lambda: build_search_set(
            [
                Hit(full_url=FULL, resource=patient(id="1"), score="0.95"),
                Hit(full_url="", resource=build_outcome([]), mode="outcome"),
            ],
            total=1,
            links=[
                ("self", "https://here.example/fhir/Patient"),
                ("next", "https://here.example/fhir/Patient?p=2"),
            ],
            bundle_id="b",
        ),
        lambda: build_search_set([], total=0),
        lambda: build_history(
            [
                Version(
                    full_url=FULL,
                    identity="Patient/1",
                    method="DELETE",
                    version_id="3",
                    last_modified_ms=3,
                    resource=None,
                ),
                Version(
                    full_url=FULL,
                    identity="Patient/1",
                    method="PUT",
                    version_id="2",
                    last_modified_ms=2,
                    resource=patient(id="1"),
                ),
                Version(
                    full_url=FULL,
                    identity="Patient/1",
                    method="POST",
                    version_id="1",
                    last_modified_ms=1,
                    resource=patient(id="1"),
                ),
            ],
            total=3,
        ),
    ],
    ids=["response", "search set", "empty search set", "history"],
)
def test_bundles_built_here_are_valid(build: Callable[[], Document]) -> None:
    assert validate_resource(read_json(write_json(build()))) == []


def test_a_response_says_what_happened() -> None:
    response = build_response(
        "batch",
        [
            Answer(
                status=201,
                location="Patient/1/_history/1",
                version_id="1",
                last_modified_ms=1_709_164_800_000,
            )
        ],
    )
    assert response == {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {
                "response": {
                    "status": "201 Created",
                    "location": "Patient/1/_history/1",
                    "etag": 'W/"1"',
                    "lastModified": "2024-02-29T00:00:00.000Z",
                }
            }
        ],
    }


def test_stored_bytes_are_served_as_they_are() -> None:
    stored = b'{"resourceType":"Patient",  "id":"1","x":1.50}'
    hit = Hit(full_url=FULL, resource=msgspec.Raw(stored), score="0.50")
    data = write_json(build_search_set([hit]))
    assert stored in data
    assert b'"score":0.50' in data
