"""Synthea's bundles, 13,169 resources: read, checked, rewritten, and nothing else changed."""

import bz2
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from careledger.standards.fhir.bundle import link_resource, read_requests
from careledger.standards.fhir.instants import parse_range
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.validate import validate_resource

COUNTS = {
    "Observation": 6480,
    "Claim": 1111,
    "DiagnosticReport": 1063,
    "Encounter": 564,
    "DocumentReference": 564,
    "ExplanationOfBenefit": 564,
    "MedicationRequest": 547,
    "Patient": 15,
}
"""Per type as the folder's own description states them."""


@pytest.fixture(scope="module")
def documents(data_dir: Path) -> list[bytes]:
    paths = sorted((data_dir / "fhir/synthea").glob("*.json.bz2"))
    return [bz2.decompress(path.read_bytes()) for path in paths]


@pytest.fixture(scope="module")
def bundles(documents: list[bytes]) -> list[JsonObject]:
    return [read_resource(document) for document in documents]


def numbers_of(value: object) -> Iterator[str]:
    """Yield the text of every number; `json` hands them over as they stand in the document."""
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers_of(item)
    elif isinstance(value, Number):
        yield value


class Number(str):
    """The text of a number, told apart from strings."""

    __slots__ = ()


def with_number_texts(data: bytes) -> object:
    return json.loads(data, parse_float=Number, parse_int=Number)


def test_every_resource_is_there_and_valid(bundles: list[JsonObject]) -> None:
    assert len(bundles) == 17
    for bundle in bundles:
        assert validate_resource(bundle) == []
    resources = [entry.resource for bundle in bundles for entry in read_requests(bundle).entries]
    assert len(resources) == 13_169
    counts = Counter(resource["resourceType"] for resource in resources if resource is not None)
    assert {name: counts[name] for name in COUNTS} == COUNTS


def test_written_bytes_say_the_same_with_the_same_numbers(
    documents: list[bytes], bundles: list[JsonObject]
) -> None:
    numbers = 0
    for document, bundle in zip(documents, bundles, strict=True):
        expected = with_number_texts(document)
        assert with_number_texts(write_json(bundle)) == expected
        numbers += sum(1 for _ in numbers_of(expected))
    assert numbers > 10_000


def test_links_are_replaced_and_nothing_else_is(bundles: list[JsonObject]) -> None:
    changed = 0
    conditional: set[str] = set()
    for bundle in bundles:
        requests = read_requests(bundle)
        found = requests.conditional_references()
        conditional.update(found)
        kinds = {entry.index: str((entry.resource or {})["resourceType"]) for entry in requests.entries}
        links = requests.compute_links({index: f"{kind}/n{index}" for index, kind in kinds.items()})
        resolved = {text: f"{text.partition('?')[0]}/resolved" for text in found}
        for entry in requests.entries:
            assert entry.resource is not None
            replaced = {**links.of_entry(entry), **resolved}
            result = link_resource(entry.resource, replaced)
            changed += result is not entry.resource
            before, after = write_json(entry.resource), write_json(result)
            assert b'"reference":"urn:uuid:' not in after
            for text in set(entry.reference_texts) & replaced.keys():
                new = write_json(replaced[text])
                before = before.replace(b'"reference":' + write_json(text), b'"reference":' + new)
            assert before == after
    assert changed == 12_289
    assert len(conditional) == 99


def test_every_date_has_a_range(bundles: list[JsonObject]) -> None:
    texts = set()
    for bundle in bundles:
        waiting: list[object] = [bundle]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                waiting.extend(value.values())
                texts |= {
                    value[key]
                    for key in ("start", "end", "authoredOn", "issued", "birthDate")
                    if key in value
                }
            elif isinstance(value, list):
                waiting.extend(value)
    assert len(texts) > 1_000
    for text in texts:
        first, last = parse_range(text)
        assert first <= last


def test_decimals_are_exact(bundles: list[JsonObject]) -> None:
    quantities = []
    for bundle in bundles:
        for entry in read_requests(bundle).entries:
            value = (entry.resource or {}).get("valueQuantity")
            if isinstance(value, dict):
                quantities.append(value["value"])
    assert len(quantities) > 3_000
    assert not any(isinstance(value, float) for value in quantities)
    assert any(isinstance(value, Decimal) for value in quantities)
