"""Pages neither repeat nor lose entries while others write, and their links serve nobody else."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.page_links import (
    PageLinkExpired,
    PageLinkRefused,
    PageLinks,
    Position,
)
from careledger.domains.records.service.index.results import Page, SearchPage
from careledger.domains.records.service.index.scope import Scope, all_types
from careledger.domains.records.service.index.writer import RETENTION_MS, IndexedResource, Removal
from careledger.standards.fhir.search.query import Query
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from domains.records.index.test_index_differential import EVERYTHING, NOW_MS, indexed

COUNT = 40
SORTS = ("", "date", "-date", "_id", "-_lastUpdated", "status,-value-quantity", "-date,_id", "value-quantity")
ALL_PATIENTS = Scope(types=all_types(), patients=None, denied_labels=2, version=b"v1")


def observation(number: int, seed: int, version: int = 1, labels: int = 0) -> IndexedResource:
    dice = random.Random(seed)
    value: dict[str, object] = {
        "resourceType": "Observation",
        "id": f"o{number:03d}",
        "status": dice.choice(["final", "amended"]),
        "code": {"coding": [{"system": "s", "code": dice.choice("ab")}]},
    }
    if dice.random() < 0.8:
        value["effectiveDateTime"] = f"20{dice.randrange(10, 20)}-0{dice.randrange(1, 10)}"
    if dice.random() < 0.8:
        value["valueQuantity"] = {"value": Decimal(dice.randrange(5))}
    return IndexedResource(
        resource_type="Observation",
        resource_id=f"o{number:03d}",
        version=version,
        last_updated_ms=NOW_MS + seed,
        value=value,
        labels=labels,
    )


def parse(text: str) -> Query:
    return parse_search("Observation", parse_query_string(text), now_ms=NOW_MS)


def ids(page: SearchPage) -> list[str]:
    return [entry.resource_id for entry in page.matches]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("criteria", ["", "status=final", "code=a,b"])
def test_pages_are_those_of_the_first_moment_whatever_is_written_meanwhile(sort: str, criteria: str) -> None:
    dice = random.Random(sort + criteria)
    query = parse(f"{criteria}&_sort={sort}")
    with indexed([observation(number, number) for number in range(COUNT)]) as (index, _):
        whole = ids(index.search(query, EVERYTHING, Page(count=COUNT)))
        page = index.search(query, ALL_PATIENTS, Page(count=3, with_total=True))
        shown = ids(page)
        gone: set[str] = set()
        seed = COUNT
        while page.next_link is not None:
            for _ in range(3):
                seed += 1
                number = dice.randrange(COUNT + 10)
                name = f"o{number:03d}"
                action = dice.choice(["update", "update", "update", "delete", "hide"])
                if action == "delete":
                    index.remove_many([removal(name, seed)])
                    gone.add(name)
                else:
                    labels = 2 if action == "hide" else 0
                    index.put_many([observation(number, seed, 2, labels)])
                    gone.discard(name)
                    if labels:
                        gone.add(name)
            page = index.search(query, ALL_PATIENTS, Page(count=3, link=page.next_link))
            assert not set(ids(page)) & gone
            assert {entry.version for entry in page.matches} <= {1}
            shown += ids(page)
        assert len(set(shown)) == len(shown)
        assert shown == [name for name in whole if name in shown]
        lost = set(whole) - set(shown)
        assert lost <= {f"o{number:03d}" for number in range(COUNT)}
        assert all(index.lookup("Observation", name) is not None for name in lost)
        changed = {
            name for name in lost if (state := index.lookup("Observation", name)) and state.version == 1
        }
        assert not changed, "an entry that nobody touched was lost"


def removal(name: str, seed: int) -> Removal:
    return Removal(resource_type="Observation", resource_id=name, version=3, last_updated_ms=NOW_MS + seed)


@pytest.mark.parametrize("sort", SORTS)
def test_nothing_is_lost_when_entries_are_only_changed(sort: str) -> None:
    query = parse(f"status=final&_sort={sort}")
    with indexed([observation(number, number) for number in range(COUNT)]) as (index, _):
        whole = ids(index.search(query, EVERYTHING, Page(count=COUNT)))
        page = index.search(query, EVERYTHING, Page(count=4, with_total=True))
        shown = ids(page)
        seed = COUNT
        while page.next_link is not None:
            for number in range(0, COUNT + 5, 3):
                seed += 1
                index.put_many([observation(number, seed, 2)])
            page = index.search(query, EVERYTHING, Page(count=4, with_total=True, link=page.next_link))
            assert page.total == len(whole)
            shown += ids(page)
        assert shown == whole


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("count", [1, 3, 7])
def test_going_back_shows_the_same_pages(sort: str, count: int) -> None:
    query = parse(f"_sort={sort}")
    with indexed([observation(number, number) for number in range(20)]) as (index, _):
        forwards = [index.search(query, EVERYTHING, Page(count=count))]
        assert forwards[0].previous_link is None
        while (link := forwards[-1].next_link) is not None:
            forwards.append(index.search(query, EVERYTHING, Page(count=count, link=link)))
        backwards = [forwards[-1]]
        while (link := backwards[-1].previous_link) is not None:
            backwards.append(index.search(query, EVERYTHING, Page(count=count, link=link)))
        assert [name for page in forwards for name in ids(page)] == ids(
            index.search(query, EVERYTHING, Page(count=100))
        )
        assert [ids(page) for page in reversed(backwards)][-len(forwards) :] == [
            ids(page) for page in forwards
        ]
        assert backwards[-1].next_link == forwards[0].next_link


def test_chains_of_later_pages_are_those_of_the_first_moment() -> None:
    def patient(name: str, version: int) -> IndexedResource:
        value: dict[str, object] = {"resourceType": "Patient", "id": "p", "name": [{"family": name}]}
        return IndexedResource(
            resource_type="Patient", resource_id="p", version=version, last_updated_ms=NOW_MS, value=value
        )

    items = [observation(number, number) for number in range(6)]
    items = [replace(item, value={**item.value, "subject": {"reference": "Patient/p"}}) for item in items]
    query = parse("subject:Patient.family=smith")
    with indexed([patient("Smith", 1), *items]) as (index, _):
        first = index.search(query, EVERYTHING, Page(count=4, with_total=True))
        index.put_many([patient("Jones", 2)])
        second = index.search(query, EVERYTHING, Page(count=4, link=first.next_link, with_total=True))
        assert ids(first) + ids(second) == [f"o{number:03d}" for number in range(6)]
        assert index.search(query, EVERYTHING, Page()).matches == ()


def first_link(index: Index, query: Query, scope: Scope) -> str:
    link = index.search(query, scope, Page(count=2)).next_link
    assert link is not None
    return link


def test_a_link_serves_its_own_search_and_scope_only() -> None:
    query = parse("status=final")
    with indexed([observation(number, number) for number in range(COUNT)]) as (index, _):
        link = first_link(index, query, ALL_PATIENTS)
        assert len(index.search(query, ALL_PATIENTS, Page(count=2, link=link)).matches) == 2
        others = [
            (parse("status=amended"), ALL_PATIENTS),
            (parse("status=final&_sort=date"), ALL_PATIENTS),
            (replace(query, compartment_patient="p0"), ALL_PATIENTS),
            (query, EVERYTHING),
            (query, replace(ALL_PATIENTS, version=b"v2")),
            (query, replace(ALL_PATIENTS, patients=frozenset({"p0"}))),
        ]
        for other, scope in others:
            with pytest.raises(PageLinkRefused):
                index.search(other, scope, Page(count=2, link=link))


def test_a_damaged_link_is_refused() -> None:
    query = parse("status=final")
    with indexed([observation(number, number) for number in range(COUNT)]) as (index, _):
        link = first_link(index, query, EVERYTHING)
        broken = ["", "x", "=" * 44, "A" * 2_000, link[:-1], link + "A", "é" * 44, link.swapcase()]
        broken += [
            link[:at] + ("A" if link[at] != "A" else "B") + link[at + 1 :] for at in range(len(link) - 1)
        ]
        for wrong in broken:
            with pytest.raises(PageLinkRefused):
                index.search(query, EVERYTHING, Page(count=2, link=wrong))


def test_a_link_of_another_key_is_refused() -> None:
    sealed = PageLinks(bytes(32)).seal(Position(5, 3, is_backwards=True), b"search", b"scope")
    assert PageLinks(bytes(32)).open(sealed, b"search", b"scope") == Position(5, 3, is_backwards=True)
    for links, search, scope in (
        (PageLinks(bytes(31) + b"\x01"), b"search", b"scope"),
        (PageLinks(bytes(32)), b"searchs", b"cope"),
        (PageLinks(bytes(32)), b"scope", b"search"),
    ):
        with pytest.raises(PageLinkRefused):
            links.open(sealed, search, scope)
    with pytest.raises(ValueError, match="32 bytes"):
        PageLinks(bytes(16))


def test_a_link_shows_neither_values_nor_counts() -> None:
    query = parse("status=final&_sort=date")
    with indexed([observation(number, number) for number in range(COUNT)]) as (index, _):
        links = {
            first_link(index, query, replace(EVERYTHING, version=bytes([number]))) for number in range(8)
        }
        assert len(links) == 8
        assert {len(link) for link in links} == {44}


def test_a_link_expires_with_the_rows_it_needs() -> None:
    query = parse("_sort=date")
    with indexed([observation(number, number) for number in range(10)]) as (index, _):
        link = first_link(index, query, EVERYTHING)
        index.put_many([observation(3, 50, 2)])
        late = observation(9, 60, 2)
        index.put_many([replace(late, last_updated_ms=NOW_MS + RETENTION_MS - 100)])
        assert index.search(query, EVERYTHING, Page(count=2, link=link)).matches
        index.put_many([replace(late, version=3, last_updated_ms=NOW_MS + RETENTION_MS + 100)])
        with pytest.raises(PageLinkExpired):
            index.search(query, EVERYTHING, Page(count=2, link=link))
        assert first_link(index, query, EVERYTHING) != link


def test_a_count_of_zero_answers_the_total_alone() -> None:
    with indexed([observation(number, number) for number in range(10)]) as (index, _):
        page = index.search(parse(""), EVERYTHING, Page(count=0, with_total=True))
        assert (page.matches, page.total, page.next_link) == ((), 10, None)
