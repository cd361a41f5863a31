"""Results come in the order asked for: least value ascending, greatest descending, those without one last."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

import pytest

from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from domains.records.index.search_naive import MAX_MS, MIN_MS, fold, listed, moment
from domains.records.index.search_worlds import DATES, NAMES, NUMBERS, Resource
from domains.records.index.test_index_differential import EVERYTHING, NOW_MS, indexed

# Any: sort keys are of any type that can be compared.
Ends = Callable[[Resource], list[tuple[Any, Any]]]
"""Least and greatest end of each value."""


def dates_of(resource: Resource) -> list[tuple[Any, Any]]:
    period = resource.get("effectivePeriod")
    if period is not None:
        start, end = period.get("start"), period.get("end")
        return [(moment(start)[0] if start else MIN_MS, moment(end)[1] if end else MAX_MS)]
    return [moment(text) for text in listed(resource.get("effectiveDateTime"))]


def quantities_of(resource: Resource) -> list[tuple[Any, Any]]:
    return [(value["value"], value["value"]) for value in listed(resource.get("valueQuantity"))]


def codes_of(resource: Resource) -> list[tuple[Any, Any]]:
    return [(coding["code"], coding["code"]) for coding in resource["code"]["coding"]]


def names_of(resource: Resource) -> list[tuple[Any, Any]]:
    return [(fold(text), fold(text)) for text in listed(resource.get("valueString"))]


def subjects_of(resource: Resource) -> list[tuple[Any, Any]]:
    ids = [value["reference"].removeprefix("Patient/") for value in listed(resource.get("subject"))]
    return [(text, text) for text in ids]


def profiles_of(resource: Resource) -> list[tuple[Any, Any]]:
    return [(text, text) for text in resource.get("meta", {}).get("profile", [])]


def ids_of(resource: Resource) -> list[tuple[Any, Any]]:
    return [(resource["id"], resource["id"])]


def updates_of(resource: Resource) -> list[tuple[Any, Any]]:
    return [(resource["updated"], resource["updated"])]


KEYS: dict[str, Ends] = {
    "date": dates_of,
    "value-quantity": quantities_of,
    "code": codes_of,
    "value-string": names_of,
    "subject": subjects_of,
    "_profile": profiles_of,
    "_id": ids_of,
    "_lastUpdated": updates_of,
}


def observation(dice: random.Random, number: int) -> Resource:
    value: Resource = {
        "resourceType": "Observation",
        "id": f"{dice.randrange(1000):03}-{number}",
        "status": "final",
        "code": {"coding": [{"code": dice.choice("abcde")} for _ in range(dice.randrange(3))]},
        "updated": NOW_MS + dice.randrange(5),
    }
    kind = dice.randrange(5)
    if kind == 0:
        value["valueQuantity"] = {"value": Decimal(dice.choice(NUMBERS))}
    elif kind == 1:
        value["valueString"] = dice.choice(NAMES)
    if dice.random() < 0.5:
        value["effectiveDateTime"] = dice.choice(DATES)
    elif dice.random() < 0.5:
        value["effectivePeriod"] = {dice.choice(["start", "end"]): dice.choice(DATES)}
    if dice.random() < 0.7:
        value["subject"] = {"reference": f"Patient/{dice.choice('xyz')}"}
    if dice.random() < 0.7:
        value["meta"] = {"profile": [f"urn:{dice.choice('pq')}" for _ in range(2)]}
    return value


def end_of(found: list[tuple[Any, Any]], is_descending: bool) -> Any:
    if not found:
        return None
    return max(high for _, high in found) if is_descending else min(low for low, _ in found)


def compare(first: Resource, second: Resource, keys: list[str]) -> int:
    for key in keys:
        code, is_descending = key.removeprefix("-"), key.startswith("-")
        one, other = (end_of(KEYS[code](resource), is_descending) for resource in (first, second))
        if one == other:
            continue
        if one is None or other is None:
            return 1 if one is None else -1
        is_before = one > other if is_descending else one < other
        return -1 if is_before else 1
    return 0


SORTS = [
    *([key] for key in KEYS),
    *([f"-{key}"] for key in KEYS),
    ["code", "-date"],
    ["-subject", "value-quantity", "_id"],
    ["-_profile", "subject", "-code", "date"],
]


@pytest.mark.parametrize("keys", SORTS, ids=",".join)
def test_order(keys: list[str]) -> None:
    dice = random.Random(1)
    values = [observation(dice, number) for number in range(50)]
    items = [
        IndexedResource(
            resource_type="Observation",
            resource_id=value["id"],
            version=1,
            last_updated_ms=value["updated"],
            value=value,
        )
        for value in values
    ]

    def order(first: Resource, second: Resource) -> int:
        return compare(first, second, keys)

    expected = sorted(values, key=cmp_to_key(order))
    query = parse_search("Observation", parse_query_string(f"_sort={','.join(keys)}"), now_ms=NOW_MS)
    with indexed(items) as (index, _):
        page = index.search(query, EVERYTHING, Page(count=7))
        found = [entry.resource_id for entry in page.matches]
        while page.next_link is not None:
            page = index.search(query, EVERYTHING, Page(count=7, link=page.next_link))
            found += [entry.resource_id for entry in page.matches]
    assert found == [value["id"] for value in expected]
