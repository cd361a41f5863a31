"""What a policy may look at in a resource: its type, time, codes, authors and references.

Owns the reading of these from FHIR JSON, generously: what is found in any of the usual elements counts. Decides
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.policy import RecordFacts
from careledger.domains.records.service.consent.vocabulary import PSYCHOTHERAPY_NOTE
from careledger.standards.fhir.instants import InstantError, parse_range
from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.meta import list_labels

_TIMES: Final = (
    "effectiveDateTime",
    "effectiveInstant",
    "effectivePeriod",
    "performedDateTime",
    "performedPeriod",
    "onsetDateTime",
    "onsetPeriod",
    "occurrenceDateTime",
    "occurrencePeriod",
    "period",
    "billablePeriod",
    "authoredOn",
    "recordedDate",
    "date",
    "created",
    "issued",
    "dateAsserted",
    "started",
)
"""In the order of preference: when it happened before when it was written down."""
_CODED: Final = (
    "code",
    "type",
    "category",
    "class",
    "medicationCodeableConcept",
    "vaccineCode",
    "reasonCode",
)
_AUTHORS: Final = (
    "author",
    "performer",
    "recorder",
    "asserter",
    "requester",
    "informationSource",
    "participant",
    "prescriber",
)
_DEPTH_MAX: Final = 16


def read_facts(
    compartment: Compartment, resource_type: str, resource_id: str, value: JsonObject | None
) -> RecordFacts:
    """Facts of one record version; of a deletion only its name is known."""
    reference = f"{resource_type}/{resource_id}"
    if value is None:
        return RecordFacts(compartment=compartment, resource_type=resource_type, reference=reference)
    authors = frozenset(
        found for name in _AUTHORS if name in value for found in _references(value[name], _DEPTH_MAX)
    )
    return RecordFacts(
        compartment=compartment,
        resource_type=resource_type,
        reference=reference,
        time_ms=_time(value),
        codes=frozenset(code for name in _CODED if name in value for code in _codes(value[name], 4)),
        authors=authors or None,
        references=frozenset(_references(value, _DEPTH_MAX)),
    )


def is_psychotherapy_note(value: JsonObject) -> bool:
    """Whether a resource is a note of psychotherapy, which no grant and no emergency opens (45 CFR 164.508(a)(2))."""
    return PSYCHOTHERAPY_NOTE in list_labels(value)


def _time(value: JsonObject) -> tuple[int, int] | None:
    for name in _TIMES:
        found = value.get(name)
        if isinstance(found, str):
            return _range(found)
        if isinstance(found, dict):
            start, end = _range(found.get("start")), _range(found.get("end"))
            if start is None and end is None:
                continue
            if start is None or end is None:
                return None  # open at one end: nobody can say that it lies within
            return start[0], end[1]
    return None


def _range(text: Json) -> tuple[int, int] | None:
    if not isinstance(text, str):
        return None
    try:
        return parse_range(text)
    except InstantError:
        return None


def _codes(item: Json, depth: int) -> Iterator[str]:
    if isinstance(item, list):
        for each in item:
            yield from _codes(each, depth)
    elif isinstance(item, dict):
        system, code = item.get("system"), item.get("code")
        if isinstance(system, str) and isinstance(code, str):
            yield f"{system}|{code}"
        elif depth:
            for each in item.values():
                yield from _codes(each, depth - 1)


def _references(item: Json, depth: int) -> Iterator[str]:
    if isinstance(item, list):
        for each in item:
            yield from _references(each, depth)
    elif isinstance(item, dict) and depth:
        found = item.get("reference")
        if isinstance(found, str):
            yield found
        for each in item.values():
            if isinstance(each, (dict, list)):
                yield from _references(each, depth - 1)
