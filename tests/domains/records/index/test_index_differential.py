"""Searching the index agrees with looking at every resource, for every kind of parameter, modifier and prefix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.schema import COMPONENT, MIGRATIONS
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.request import parse_search
from careledger.storage.sqlite import Connection, Database
from domains.records.index.search_naive import OWN_BASE, AnyCondition, matches
from domains.records.index.search_queries import SEARCHED, any_conditions, spell
from domains.records.index.search_worlds import World, worlds

NOW_MS = 1_600_000_000_000
EXTRACTOR = Extractor(OWN_BASE)
EVERYTHING = Scope.everything()


def items_of(world: World, start_ms: int = NOW_MS) -> list[IndexedResource]:
    return [
        IndexedResource(
            resource_type=value["resourceType"],
            resource_id=value["id"],
            version=1,
            last_updated_ms=start_ms + number,
            value=value,
            labels=labels,
        )
        for number, (value, labels) in enumerate(zip(world.resources, world.labels, strict=True))
    ]


@contextmanager
def indexed(items: list[IndexedResource]) -> Iterator[tuple[Index, Connection]]:
    with TemporaryDirectory() as folder:
        database = Database(Path(folder) / "index.db", bytes(32), readers=1)
        database.migrate(COMPONENT, MIGRATIONS)
        with database.immediate() as connection:
            index = Index(connection, bytes(32), own_base=OWN_BASE, extractor=EXTRACTOR)
            index.put_many(items)
            yield index, connection
        database.close()


def found(
    index: Index, resource_type: str, conditions: list[AnyCondition], scope: Scope = EVERYTHING
) -> list[str]:
    query = parse_search(
        resource_type, [spell(condition) for condition in conditions], now_ms=NOW_MS, own_base=OWN_BASE
    )
    page = index.search(query, scope, Page(count=100, with_total=True))
    assert page.total == len(page.matches)
    assert page.next_link is None
    return [entry.resource_id for entry in page.matches]


@st.composite
def cases(draw: st.DrawFn) -> tuple[World, list[tuple[str, list[AnyCondition]]]]:
    world = draw(worlds())
    searches = []
    for _ in range(12):
        resource_type = draw(st.sampled_from(SEARCHED))
        searches.append(
            (resource_type, draw(st.lists(any_conditions(resource_type), min_size=1, max_size=2)))
        )
    return world, searches


# Worlds are large and a database is made for each: shrinking one takes minutes, and the message says enough.
SETTINGS = settings(
    max_examples=15, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
MANY = settings(SETTINGS, max_examples=200)

Case: TypeAlias = tuple[World, list[tuple[str, list[AnyCondition]]]]


def check(case: Case) -> None:
    world, searches = case
    with indexed(items_of(world)) as (index, _):
        for resource_type, conditions in searches:
            expected = [
                resource["id"]
                for resource in world.resources
                if resource["resourceType"] == resource_type
                and all(matches(resource, condition, world.resources, NOW_MS) for condition in conditions)
            ]
            assert found(index, resource_type, conditions) == expected, [spell(c) for c in conditions]


@SETTINGS
@given(cases())
def test_search_agrees_with_looking_at_every_resource(case: Case) -> None:
    check(case)


@pytest.mark.slow
@MANY
@given(cases())
def test_search_agrees_with_looking_at_every_resource_in_many_worlds(case: Case) -> None:
    check(case)
