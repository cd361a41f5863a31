"""Search requests are read exactly or refused with a place and a kind, and never with a value."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.instants import parse_range
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import (
    Chain,
    CompositeValue,
    Condition,
    DateValue,
    Has,
    Include,
    Issue,
    Limits,
    Match,
    Modifier,
    Query,
    ReferenceValue,
    SearchRejected,
    SortKey,
    Summary,
    TextValue,
    TokenValue,
    Total,
    TypedIdentifierValue,
)
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.standards.fhir.search.request_names import ALLOWED_MODIFIERS

CANARY = "canary4711"
NOW_MS = 1_600_000_000_000


def parse(resource_type: str, text: str, *, is_strict: bool = True, limits: Limits | None = None) -> Query:
    limits = limits or Limits()
    pairs = parse_query_string(text, limits=limits)
    return parse_search(
        resource_type, pairs, now_ms=NOW_MS, own_base="https://own/fhir/", is_strict=is_strict, limits=limits
    )


def one(resource_type: str, text: str) -> Condition:
    conditions = parse(resource_type, text).branches[0].conditions
    assert len(conditions) == 1
    return conditions[0]


def match(resource_type: str, text: str) -> Match:
    condition = one(resource_type, text)
    assert isinstance(condition, Match)
    return condition


@pytest.mark.parametrize(
    ("resource_type", "text", "values"),
    [
        ("Observation", "code=a", (TokenValue(None, "a"),)),
        ("Observation", "code=s|a", (TokenValue("s", "a"),)),
        ("Observation", "code=|a", (TokenValue("", "a"),)),
        ("Observation", "code=s|", (TokenValue("s", None),)),
        ("Observation", "code=a,s|b", (TokenValue(None, "a"), TokenValue("s", "b"))),
        ("Observation", r"code=a\,b", (TokenValue(None, "a,b"),)),
        ("Observation", r"code=s\|t|a\$b\\", (TokenValue("s|t", "a$b\\"),)),
        ("Observation", r"code=a\x", (TokenValue(None, "a\\x"),)),
        ("Observation", "code=a,,b,", (TokenValue(None, "a"), TokenValue(None, "b"))),
        ("Patient", "name=van%20der%20Berg", (TextValue("van der Berg"),)),
        ("Patient", "name=a+b%2Cc", (TextValue("a b"), TextValue("c"))),
        ("Patient", "identifier:of-type=t|MR|1", (TypedIdentifierValue("t", "MR", "1"),)),
        ("Observation", "code:text=Blood", (TextValue("Blood"),)),
        ("Observation", "date=ge2020-02", (DateValue("ge", *parse_range("2020-02")),)),
        ("Observation", "date=2020", (DateValue("eq", *parse_range("2020")),)),
        ("Observation", "subject=Patient/1", (ReferenceValue(("Patient",), "1", ""),)),
        ("Observation", "subject:Patient=1", (ReferenceValue(("Patient",), "1", ""),)),
        ("Observation", "patient=1", (ReferenceValue(("Patient",), "1", ""),)),
        ("Observation", "subject=1", (ReferenceValue(("Device", "Group", "Location", "Patient"), "1", ""),)),
        ("Observation", "subject=https://own/fhir/Patient/1", (ReferenceValue(("Patient",), "1", ""),)),
        (
            "Observation",
            "subject=https://x/Patient/1/_history/2",
            (ReferenceValue((), "", "https://x/Patient/1"),),
        ),
        ("Observation", "subject=Patient/1/_history/2", (ReferenceValue(("Patient",), "1", ""),)),
        ("Observation", "subject:identifier=s|1", (TokenValue("s", "1"),)),
        ("ValueSet", "url:below=http://x/", (TextValue("http://x/"),)),
        ("Patient", "_id=a,b", (TokenValue(None, "a"), TokenValue(None, "b"))),
    ],
)
def test_values(resource_type: str, text: str, values: tuple[object, ...]) -> None:
    assert match(resource_type, text).values == values


def test_composite_values() -> None:
    condition = match("Observation", r"code-value-quantity=s|a\$b$ge5|u|mg,c$4")
    assert [type(value) for value in condition.values] == [CompositeValue, CompositeValue]
    first = condition.values[0]
    assert isinstance(first, CompositeValue)
    assert first.parts[0] == TokenValue("s", "a$b")


def test_about_a_date_is_a_tenth_of_its_distance() -> None:
    value = match("Observation", "date=ap2020-09-13").values[0]
    assert isinstance(value, DateValue)
    first, last = parse_range("2020-09-13")
    distance = max(NOW_MS - first, abs(NOW_MS - last)) // 10
    assert (value.first_ms, value.last_ms) == (first - distance, last + distance)


def test_missing() -> None:
    assert match("Patient", "name:missing=true").is_missing is True
    assert match("Patient", "name:missing=false").is_missing is False
    assert match("Patient", "name:missing=false").modifier is Modifier.MISSING


def test_chains() -> None:
    chain = one("Observation", "subject:Patient.organization.name:exact=X")
    assert isinstance(chain, Chain)
    ((target, inner),) = chain.alternatives
    assert target == "Patient"
    assert isinstance(inner, Chain)
    assert inner.alternatives[0][0] == "Organization"
    last = inner.alternatives[0][1]
    assert isinstance(last, Match)
    assert (last.parameter.code, last.modifier) == ("name", Modifier.EXACT)


def test_a_chain_without_a_type_means_the_targets_that_have_the_parameter() -> None:
    chain = one("Observation", "subject.name=x")
    assert isinstance(chain, Chain)
    assert [target for target, _ in chain.alternatives] == ["Location", "Patient"]


def test_reverse_chains() -> None:
    has = one("Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/1")
    assert isinstance(has, Has)
    assert (has.source_type, has.parameter.code) == ("Observation", "patient")
    assert isinstance(has.condition, Has)
    chained = one("Patient", "_has:Observation:patient:encounter.status=finished")
    assert isinstance(chained, Has)
    assert isinstance(chained.condition, Chain)


def test_parameters_that_shape_the_answer() -> None:
    query = parse(
        "Observation",
        "_sort=-date,_id&_count=20&_total=accurate&_summary=count&_elements=code,subject&_include=Observation:subject:Patient"
        "&_include:iterate=Patient:organization&_revinclude=Provenance:target&_include=*&_include=Observation:*&_format=json",
    )
    assert query.sorts == (SortKey("date", is_descending=True), SortKey("_id", is_descending=False))
    assert (query.count, query.total, query.summary) == (20, Total.ACCURATE, Summary.COUNT)
    assert query.elements == ("code", "subject")
    assert query.includes == (
        Include("Observation", "subject", "Patient", is_reverse=False, is_iterated=False),
        Include("Patient", "organization", "", is_reverse=False, is_iterated=True),
        Include("Provenance", "target", "", is_reverse=True, is_iterated=False),
        Include("", "", "", is_reverse=False, is_iterated=False),
        Include("Observation", "", "", is_reverse=False, is_iterated=False),
    )
    assert parse("Patient", "").total is None


def test_a_large_count_is_lowered() -> None:
    assert parse("Patient", "_count=999999").count == Limits().count_max
    assert parse("Patient", "_count=0").count == 0


def test_searches_over_several_types() -> None:
    query = parse("", "_type=Patient,Observation&_lastUpdated=gt2020")
    assert [branch.resource_type for branch in query.branches] == ["Patient", "Observation"]
    assert len(parse("", "_id=1").branches) == len(resource_types())


def test_lenient_handling_passes_over_what_is_unknown() -> None:
    query = parse("Patient", "nothing=1&name=x&_sort=nothing&other.name=1", is_strict=False)
    assert len(query.branches[0].conditions) == 1
    assert query.sorts == ()
    assert query.ignored == ("parameter 1", "parameter 4", "parameter 3 (_sort)")


@pytest.mark.parametrize(
    ("resource_type", "text", "issue", "at"),
    [
        ("Patient", f"nothing={CANARY}", Issue.NOT_SUPPORTED, "parameter 1"),
        ("Patient", f"gender=male&{CANARY}=1", Issue.NOT_SUPPORTED, "parameter 2"),
        ("Patient", f"_text={CANARY}", Issue.NOT_SUPPORTED, "parameter 1"),
        ("Patient", f"_filter={CANARY}", Issue.NOT_SUPPORTED, "parameter 1"),
        ("Patient", f"name:{CANARY}=1", Issue.NOT_SUPPORTED, "parameter 1 (name)"),
        ("Observation", f"code:in={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (code)"),
        ("Observation", f"code:not-in={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (code)"),
        ("Observation", f"code:above={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (code)"),
        ("Observation", f"code:below={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (code)"),
        (
            "Observation",
            f"code-value-quantity:missing={CANARY}",
            Issue.NOT_SUPPORTED,
            "parameter 1 (code-value-quantity)",
        ),
        ("Patient", f"_id:missing={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (_id)"),
        ("Patient", f"name:missing={CANARY}", Issue.INVALID, "parameter 1 (name)"),
        ("Patient", f"birthdate={CANARY}", Issue.INVALID, "parameter 1 (birthdate)"),
        ("Patient", "birthdate=2020-02-30", Issue.INVALID, "parameter 1 (birthdate)"),
        ("Patient", "birthdate=xx2020", Issue.INVALID, "parameter 1 (birthdate)"),
        ("RiskAssessment", f"probability={CANARY}", Issue.INVALID, "parameter 1 (probability)"),
        ("RiskAssessment", "probability=1e99999", Issue.INVALID, "parameter 1 (probability)"),
        ("Observation", "value-quantity=5|mg", Issue.INVALID, "parameter 1 (value-quantity)"),
        ("Observation", f"code=a|b|{CANARY}", Issue.INVALID, "parameter 1 (code)"),
        ("Observation", "code=|", Issue.INVALID, "parameter 1 (code)"),
        ("Patient", f"identifier:of-type=a|{CANARY}", Issue.INVALID, "parameter 1 (identifier)"),
        ("Observation", f"code-value-quantity={CANARY}", Issue.INVALID, "parameter 1 (code-value-quantity)"),
        ("Observation", "code-value-quantity=a$1$2", Issue.INVALID, "parameter 1 (code-value-quantity)"),
        ("Observation", f"subject=a/{CANARY}", Issue.INVALID, "parameter 1 (subject)"),
        ("Observation", f"subject=Patient/{CANARY} x", Issue.INVALID, "parameter 1 (subject)"),
        ("Observation", f"subject:Organization={CANARY}", Issue.INVALID, "parameter 1 (subject)"),
        ("Observation", f"subject:Organization.name={CANARY}", Issue.INVALID, "parameter 1 (subject)"),
        ("Observation", f"subject.nothing={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (subject)"),
        ("Observation", f"code.name={CANARY}", Issue.INVALID, "parameter 1 (code)"),
        ("Provenance", f"target.name={CANARY}", Issue.TOO_COSTLY, "parameter 1 (target)"),
        ("Patient", f"_has:Observation={CANARY}", Issue.INVALID, "parameter 1"),
        ("Patient", f"_has:Nothing:patient:code={CANARY}", Issue.INVALID, "parameter 1"),
        ("Patient", f"_has:Observation:code:code={CANARY}", Issue.INVALID, "parameter 1"),
        ("Organization", f"_has:Observation:patient:code={CANARY}", Issue.INVALID, "parameter 1"),
        (
            "Patient",
            "_has:Observation:patient:subject:Patient.link.link.link.link.name=x",
            Issue.TOO_COSTLY,
            "parameter 1",
        ),
        ("Location", "near=1", Issue.INVALID, "parameter 1 (near)"),
        ("Location", "near=91|0", Issue.INVALID, "parameter 1 (near)"),
        ("Location", "near=1|1|1|furlong", Issue.INVALID, "parameter 1 (near)"),
        ("Patient", f"_count={CANARY}", Issue.INVALID, "parameter 1 (_count)"),
        ("Patient", "_count=-1", Issue.INVALID, "parameter 1 (_count)"),
        ("Patient", "_count=1&_count=2", Issue.INVALID, "parameter 2 (_count)"),
        ("Patient", f"_total={CANARY}", Issue.INVALID, "parameter 1 (_total)"),
        ("Patient", f"_summary={CANARY}", Issue.INVALID, "parameter 1 (_summary)"),
        ("Patient", f"_elements={CANARY},a b", Issue.INVALID, "parameter 1 (_elements)"),
        ("Patient", "_contained=true", Issue.NOT_SUPPORTED, "parameter 1 (_contained)"),
        ("Patient", f"_sort={CANARY}", Issue.NOT_SUPPORTED, "parameter 1 (_sort)"),
        ("Observation", "_sort=code-value-quantity", Issue.NOT_SUPPORTED, "parameter 1 (_sort)"),
        ("Patient", "_sort=a,b,c,d,e,f", Issue.TOO_COSTLY, "parameter 1 (_sort)"),
        ("Patient", f"_include={CANARY}", Issue.INVALID, "parameter 1 (_include)"),
        ("Patient", f"_include=Patient:{CANARY}", Issue.INVALID, "parameter 1 (_include)"),
        ("Patient", "_include=Patient:name", Issue.INVALID, "parameter 1 (_include)"),
        ("Patient", "_include=Patient:organization:Patient", Issue.INVALID, "parameter 1 (_include)"),
        ("Patient", "_include:x=Patient:organization", Issue.NOT_SUPPORTED, "parameter 1 (_include)"),
        ("Patient", "_revinclude=*:*", Issue.INVALID, "parameter 1 (_revinclude)"),
        ("Patient", "_type=Patient", Issue.INVALID, "parameter 1 (_type)"),
        ("", f"_type={CANARY}", Issue.INVALID, "parameter 1 (_type)"),
        ("", "_type=Patient,Observation&name=x", Issue.NOT_SUPPORTED, "parameter 2"),
        ("Patient", "&".join(["name=x"] * 65), Issue.TOO_COSTLY, ""),
        ("Patient", "name=" + ",".join("x" * 201), Issue.TOO_COSTLY, "parameter 1 (name)"),
        ("Patient", "name=" + "x" * 600, Issue.TOO_COSTLY, "parameter 1 (name)"),
        ("Patient", "name=" + "x" * 40_000, Issue.TOO_COSTLY, ""),
        (
            "Patient",
            "&".join(["_include=Patient:organization"] * 21),
            Issue.TOO_COSTLY,
            "parameter 21 (_include)",
        ),
        ("Patient", "name=%ff", Issue.INVALID, ""),
    ],
)
def test_refusals_name_the_place_and_no_value(resource_type: str, text: str, issue: Issue, at: str) -> None:
    with pytest.raises(SearchRejected) as caught:
        parse(resource_type, text)
    assert (caught.value.issue, caught.value.at) == (issue, at)
    assert CANARY not in str(caught.value)


def test_a_wide_chain_is_too_costly() -> None:
    with pytest.raises(SearchRejected) as caught:
        parse("AuditEvent", "agent.organization.endpoint.status=x", limits=Limits(alternatives_max=3))
    assert caught.value.issue is Issue.TOO_COSTLY


def test_an_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        parse("Nothing", "")


def test_every_parameter_of_every_type_takes_its_modifiers() -> None:
    samples = {
        Kind.NUMBER: "1",
        Kind.DATE: "2020",
        Kind.STRING: "x",
        Kind.PHONETIC: "x",
        Kind.TOKEN: "a",
        Kind.REFERENCE: "1",
        Kind.QUANTITY: "1",
        Kind.URI: "urn:x",
        Kind.SPECIAL: "1|1",
    }
    notations = {Modifier.MISSING: "true", Modifier.OF_TYPE: "a|b|c"}
    for name in resource_types():
        for parameter in parameters(name).values():
            if parameter.kind is Kind.COMPOSITE:
                value = "$".join(samples[component.kind] for component in parameter.components)
                assert match(name, f"{parameter.code}={value}").values
                continue
            modifiers = {Modifier.NONE} if parameter.is_built_in else ALLOWED_MODIFIERS[parameter.kind]
            for modifier in modifiers:
                value = notations.get(modifier, samples[parameter.kind])
                condition = match(
                    name, f"{parameter.code}{':' if modifier.value else ''}{modifier.value}={value}"
                )
                assert condition.modifier is modifier


names = st.one_of(
    st.sampled_from(["name", "code", "subject", "_has", "_sort", "_include", "date", "near", "_type"]),
    st.text(st.characters(codec="utf-8"), max_size=12),
)


@given(
    st.sampled_from(["Patient", "Observation", "Location", ""]),
    st.lists(
        st.tuples(st.lists(names, min_size=1, max_size=4).map(":".join), st.text(max_size=20)), max_size=4
    ),
    st.booleans(),
)
def test_any_request_is_understood_or_refused(
    resource_type: str, pairs: list[tuple[str, str]], is_strict: bool
) -> None:
    with suppress(SearchRejected):
        assert parse_search(resource_type, pairs, now_ms=NOW_MS, is_strict=is_strict).branches
