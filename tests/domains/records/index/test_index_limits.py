"""Searches are bounded, and what they bind never becomes part of a statement."""

from __future__ import annotations

import pytest

from careledger.domains.records.service.index import inclusion, searcher
from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.scope import Scope, all_types
from careledger.domains.records.service.index.statement import (
    ALWAYS,
    INLINE_MAX,
    NEVER,
    Sql,
    all_of,
    among,
    any_of,
    join,
    negate,
    sql,
)
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.standards.fhir.search.query import Issue, Limits, Query, SearchRejected
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from domains.records.index.test_index_differential import EVERYTHING, NOW_MS, indexed


def observation(number: int, **members: object) -> IndexedResource:
    value: dict[str, object] = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"code": f"c{number}"}]},
        "hasMember": [{"reference": f"Observation/o{number + 1}"}],
        **members,
    }
    return IndexedResource(
        resource_type="Observation",
        resource_id=f"o{number}",
        version=1,
        last_updated_ms=NOW_MS + number,
        value=value,
    )


def parse(resource_type: str, text: str) -> Query:
    limits = Limits(value_chars_max=10_000, request_chars_max=10**7, parameters_max=1_000)
    pairs = parse_query_string(text, limits=limits)
    return parse_search(resource_type, pairs, now_ms=NOW_MS, limits=limits)


def test_a_search_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    query = parse("Observation", "status=final")
    with indexed([observation(number) for number in range(50)]) as (index, connection):
        monkeypatch.setattr(searcher, "_STEPS_BETWEEN_CHECKS", 1)
        with pytest.raises(SearchRejected) as caught:
            index.search(query, EVERYTHING, Page(), budget_ms=-1)
        assert caught.value.issue is Issue.TOO_COSTLY
        # The connection, and the transaction it is in, go on.
        assert len(index.search(query, EVERYTHING, Page(count=50)).matches) == 50
        assert connection.in_transaction


def test_many_values_over_all_types_are_answered_or_refused() -> None:
    values = ",".join(f"c{number}" for number in range(200))
    with indexed([observation(number) for number in range(300)]) as (index, _):
        assert (
            len(index.search(parse("Observation", f"code={values}"), EVERYTHING, Page(count=500)).matches)
            == 200
        )
        assert (
            len(index.search(parse("Observation", f"code:not={values}"), EVERYTHING, Page(count=500)).matches)
            == 100
        )
        assert index.search(parse("", f"_tag={values}"), EVERYTHING, Page()).matches == ()
        assert (
            len(
                index.search(
                    parse("", f"_id={values.replace('c', 'o')}"), EVERYTHING, Page(count=500)
                ).matches
            )
            == 200
        )
        dates = ",".join(["2020"] * 200)
        many = parse("Observation", "&".join([f"date={dates}"] * 100))
        with pytest.raises(SearchRejected) as caught:
            index.search(many, EVERYTHING, Page())
        assert caught.value.issue is Issue.TOO_COSTLY


def test_a_search_over_all_types_comes_in_one_order() -> None:
    items = [observation(number) for number in range(6)]
    items[3] = IndexedResource(
        resource_type="Patient",
        resource_id="p",
        version=1,
        last_updated_ms=NOW_MS + 3,
        value={"resourceType": "Patient", "id": "p", "meta": {"tag": [{"code": "t"}]}},
    )
    query = parse("", "_lastUpdated=gt2000")
    with indexed(items) as (index, _):
        page = index.search(query, EVERYTHING, Page(count=4, with_total=True))
        assert page.total == 6
        later = index.search(query, EVERYTHING, Page(count=4, link=page.next_link))
        assert [entry.resource_id for entry in (*page.matches, *later.matches)] == [
            "o0",
            "o1",
            "o2",
            "p",
            "o4",
            "o5",
        ]
        assert [
            entry.resource_id for entry in index.search(parse("", "_tag=t"), EVERYTHING, Page()).matches
        ] == ["p"]
        only = Scope(
            types=tuple(entry for entry in all_types() if entry.resource_type == "Patient"), patients=None
        )
        assert [entry.resource_id for entry in index.search(query, only, Page()).matches] == ["p"]


def test_inclusions_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inclusion, "INCLUDES_MAX", 5)
    with indexed([observation(number) for number in range(20)]) as (index, _):
        for count, cut in ((3, False), (5, False), (6, True), (15, True)):
            query = parse("Observation", f"_id=o0&_include:iterate=Observation:has-member&_count={count}")
            members = [{"reference": f"Observation/o{number}"} for number in range(1, count + 1)]
            index.put_many(
                [observation(0, hasMember=members), *(observation(n, hasMember=[]) for n in range(1, 20))]
            )
            page = index.search(query, EVERYTHING, Page())
            assert (len(page.includes), page.is_cut) == (min(count, 5), cut)


def test_iteration_ends_in_a_circle() -> None:
    items = [observation(number) for number in range(4)]
    items.append(observation(4, hasMember=[{"reference": "Observation/o0"}]))
    with indexed(items) as (index, _):
        page = index.search(
            parse("Observation", "_id=o2&_include:iterate=Observation:has-member"), EVERYTHING, Page()
        )
        assert [entry.resource_id for entry in page.includes] == ["o3", "o4", "o0", "o1"]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE idx_fact; --", "%", "_", "\x00", "\U0010ffff", '"', "a' OR '1'='1"]
)
def test_values_are_only_ever_values(text: str) -> None:
    item = observation(
        0, code={"coding": [{"system": text, "code": text, "display": text}], "text": text}, valueString=text
    )
    with indexed([item, observation(1)]) as (index, _):
        for name in ("code", "code:text", "value-string", "value-string:exact", "value-string:contains"):
            query = parse_search("Observation", [(name, text.replace("\\", "\\\\"))], now_ms=NOW_MS)
            assert [entry.resource_id for entry in index.search(query, EVERYTHING, Page()).matches] == [
                "o0"
            ], name


def test_statements_are_filled_in_order() -> None:
    inner = sql("b = ?", 2)
    assert sql("a = ? AND {} AND c = ?", 1, inner, "x") == Sql("a = ? AND b = ? AND c = ?", (1, 2, "x"))
    assert join(", ", [inner, inner]) == Sql("b = ?, b = ?", (2, 2))
    for template, fillings in (("?", ()), ("a", (1,)), ("{}", (1,)), ("?", (inner,))):
        with pytest.raises(ValueError, match="hol|bound"):
            sql(template, *fillings)


def test_conditions_are_simplified() -> None:
    part = sql("a = ?", 1)
    assert any_of([]) == any_of([NEVER]) == all_of([part, NEVER]) == NEVER
    assert all_of([]) == all_of([ALWAYS]) == negate(NEVER) == ALWAYS
    assert any_of([part, NEVER]) == all_of([part, ALWAYS]) == part
    assert among("a", []) == NEVER
    assert among("a", [1]) == Sql("a = ?", (1,))
    assert among("a", [1, 2]) == Sql("a IN (?, ?)", (1, 2))
    assert len(among("a", list(range(INLINE_MAX + 1))).bindings) == 1
