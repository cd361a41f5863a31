"""A search by looking at every resource: what the index must agree with.

Written from FHIR R4's search page alone and shares nothing with the index: its own paths, folding, ranges and
prefixes. Slow, and only for the parameters that the differential tests use.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

from domains.records.index.search_worlds import Resource

OWN_BASE = "https://own.example/fhir/"
MIN_MS, MAX_MS = -62_135_596_800_000, 253_402_300_799_999


# Values of parameters, as the tests generate and render them.


@dataclass(frozen=True)
class Condition:
    """A parameter with a modifier and its alternative values, each as the text parts of its notation."""

    code: str
    modifier: str
    values: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chained:
    code: str
    target: str
    inner: Any  # a Condition, Chained or Reversed; the types refer to each other


@dataclass(frozen=True)
class Reversed:
    source: str
    code: str
    inner: Any  # see Chained


AnyCondition: TypeAlias = Condition | Chained | Reversed


def fold(text: str) -> str:
    stripped = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return " ".join(stripped.casefold().split())


def soundex(text: str) -> str:
    digits = dict(zip("bpfvcgjkqsxzdtlmnr", "111122222222334556", strict=True))
    letters = [c for c in fold(text) if c in "abcdefghijklmnopqrstuvwxyz"]
    if not letters:
        return ""
    collapsed = [letters[0], *(c for c in letters[1:] if c not in "hw")]
    coded = [digits.get(c, "0") for c in collapsed]
    unique = [coded[0]] + [b for a, b in pairwise(coded) if a != b]
    return (letters[0].upper() + "".join(c for c in unique[1:] if c != "0") + "000")[:4]


def moment(text: str) -> tuple[int, int]:
    """First and last millisecond of a date, by the calendar of the standard library."""
    if "T" in text:
        value = datetime.fromisoformat(text)
        start = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        seconds = text.partition("T")[2]
        return start, start + (0 if "." in seconds else 999)
    parts = [int(part) for part in text.split("-")]
    first = datetime(
        parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1, tzinfo=UTC
    )
    if len(parts) == 1:
        after = first.replace(year=first.year + 1)
    elif len(parts) == 2:
        after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    else:
        after = first + timedelta(days=1)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (first - epoch) // timedelta(milliseconds=1), (after - epoch) // timedelta(milliseconds=1) - 1


# What the parameters read.


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def path(*names: str) -> Callable[[Resource], list[Any]]:
    def read(resource: Resource) -> list[Any]:
        found: list[Any] = [resource]
        for name in names:
            found = [item for value in found for item in listed(value.get(name))]
        return found

    return read


def joined(*readers: Callable[[Resource], list[Any]]) -> Callable[[Resource], list[Any]]:
    return lambda resource: [value for read in readers for value in read(resource)]


def bound_code(system: str) -> Callable[[Any], Resource]:
    return lambda code: {"system": system, "code": code}


def coded(read: Callable[[Resource], list[Any]], system: str) -> Callable[[Resource], list[Any]]:
    return lambda resource: [{"system": system, "code": value} for value in read(resource)]


def contacts(system: str) -> Callable[[Resource], list[Any]]:
    return lambda resource: [
        {"code": item["value"]} for item in listed(resource.get("telecom")) if system in {"", item["system"]}
    ]


def name_parts(resource: Resource) -> list[str]:
    return [
        part
        for name in listed(resource.get("name"))
        for key in ("family", "given")
        for part in listed(name.get(key))
    ]


def is_dead(resource: Resource) -> list[Any]:
    dead = resource.get("deceasedBoolean") is True or "deceasedDateTime" in resource
    return [{"code": "true" if dead else "false"}]


def target_of(reference: Resource) -> str:
    text: str = reference.get("reference", "")
    return text.partition("/_history/")[0]


def is_reference_to(resource_type: str) -> Callable[[Resource], bool]:
    def test(reference: Resource) -> bool:
        target = target_of(reference)
        if target:
            return target.split("/")[-2:-1] == [resource_type]
        return reference.get("type") == resource_type

    return test


def only(resource_type: str, read: Callable[[Resource], list[Any]]) -> Callable[[Resource], list[Any]]:
    return lambda resource: [value for value in read(resource) if is_reference_to(resource_type)(value)]


Reader: TypeAlias = Callable[[Resource], list[Any]]
COMMON: dict[str, tuple[str, Reader]] = {
    "_tag": ("token", path("meta", "tag")),
    "_profile": ("uri", path("meta", "profile")),
}
PARAMETERS: dict[str, dict[str, tuple[str, Reader]]] = {
    "Patient": {
        **COMMON,
        "identifier": ("token", path("identifier")),
        "active": (
            "token",
            lambda r: [{"code": "true" if r["active"] else "false"}] if "active" in r else [],
        ),
        "gender": ("token", coded(path("gender"), "http://hl7.org/fhir/administrative-gender")),
        "deceased": ("token", is_dead),
        "email": ("token", contacts("email")),
        "telecom": ("token", contacts("")),
        "name": ("string", name_parts),
        "family": ("string", path("name", "family")),
        "given": ("string", path("name", "given")),
        "phonetic": ("phonetic", name_parts),
        "address": ("string", joined(path("address", "line"), path("address", "city"))),
        "birthdate": ("date", path("birthDate")),
        "death-date": ("date", path("deceasedDateTime")),
        "organization": ("reference", path("managingOrganization")),
        "link": ("reference", path("link", "other")),
    },
    "Observation": {
        **COMMON,
        "status": ("token", coded(path("status"), "http://hl7.org/fhir/observation-status")),
        "category": ("token", path("category")),
        "code": ("token", path("code")),
        "combo-code": ("token", joined(path("code"), path("component", "code"))),
        "component-code": ("token", path("component", "code")),
        "value-concept": ("token", path("valueCodeableConcept")),
        "value-string": ("string", joined(path("valueString"), path("valueCodeableConcept", "text"))),
        "value-quantity": ("quantity", path("valueQuantity")),
        "combo-value-quantity": (
            "quantity",
            joined(path("valueQuantity"), path("component", "valueQuantity")),
        ),
        "value-date": ("date", path("valuePeriod")),
        "date": ("date", path("effectiveDateTime")),
        "subject": ("reference", path("subject")),
        "patient": ("reference", only("Patient", path("subject"))),
        "encounter": ("reference", path("encounter")),
        "focus": ("reference", path("focus")),
        "has-member": ("reference", path("hasMember")),
    },
    "Encounter": {
        **COMMON,
        "status": ("token", coded(path("status"), "http://hl7.org/fhir/encounter-status")),
        "subject": ("reference", path("subject")),
        "patient": ("reference", only("Patient", path("subject"))),
        "date": ("date", path("period")),
        "service-provider": ("reference", path("serviceProvider")),
    },
    "Organization": {
        **COMMON,
        "name": ("string", path("name")),
        "partof": ("reference", path("partOf")),
    },
    "RiskAssessment": {
        **COMMON,
        "probability": (
            "number",
            joined(path("prediction", "probabilityDecimal"), path("prediction", "probabilityRange")),
        ),
    },
    "ValueSet": {**COMMON, "url": ("uri", path("url"))},
    "Group": {**COMMON, "member": ("reference", path("member", "entity"))},
    "Device": {**COMMON, "patient": ("reference", path("patient"))},
    "Location": {**COMMON, "near": ("special", path("position"))},
}
COMPOSITES: dict[str, dict[str, tuple[Sequence[str], tuple[tuple[str, str], tuple[str, str]]]]] = {
    "Observation": {
        "code-value-quantity": (["."], (("code", "token"), ("valueQuantity", "quantity"))),
        "component-code-value-quantity": (["component"], (("code", "token"), ("valueQuantity", "quantity"))),
        "combo-code-value-quantity": ([".", "component"], (("code", "token"), ("valueQuantity", "quantity"))),
    }
}
"""Per composite: contexts, and the member and kind of each component."""


# Comparisons.


def tokens_of(value: Resource) -> list[tuple[str, str]]:
    if "coding" in value or "text" in value:
        return [(coding.get("system", ""), coding.get("code", "")) for coding in value.get("coding", [])]
    code: str = value.get("value") or value.get("code") or ""
    return [(value.get("system", ""), code)]


def labels_of(value: Resource) -> list[str]:
    found = [value.get("text", ""), value.get("display", ""), value.get("type", {}).get("text", "")]
    return [
        text for text in found + [coding.get("display", "") for coding in value.get("coding", [])] if text
    ]


def token_matches(value: Resource, parts: tuple[str, ...]) -> bool:
    if len(parts) == 1:
        return any(code == parts[0] for _, code in tokens_of(value))
    system, wanted = parts
    return any(found == system and (not wanted or code == wanted) for found, code in tokens_of(value))


def compare(prefix: str, low: Any, high: Any, first: Any, last: Any, is_open: bool) -> bool:
    """Compare a stored range with a wanted one by the words of R4 §3.1.1.4.5."""
    is_within = first <= low and (high < last if is_open else high <= last)
    overlaps = low <= last and high >= first
    answers: dict[str, bool] = {
        "eq": is_within,
        "ne": not is_within,
        "gt": high > last,
        "lt": low < first,
        "ge": high > last or first <= low,
        "le": low < first or high <= last,
        "sa": low > last,
        "eb": high < first,
        "ap": overlaps,
    }
    return answers[prefix]


def split_prefix(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)


def date_matches(value: Any, text: str, now_ms: int) -> bool:
    prefix, wanted = split_prefix(text)
    first, last = moment(wanted)
    if prefix == "ap":
        gap = max(abs(now_ms - first), abs(now_ms - last)) // 10
        first, last = first - gap, last + gap
    if isinstance(value, dict):
        low = moment(value["start"])[0] if "start" in value else MIN_MS
        high = moment(value["end"])[1] if "end" in value else MAX_MS
    else:
        low, high = moment(value)
    return compare(prefix, low, high, first, last, is_open=False)


def number_matches(value: Any, text: str) -> bool:
    prefix, wanted = split_prefix(text)
    number = Fraction(wanted)
    first = last = number
    is_open = prefix in {"eq", "ne"}
    if is_open:
        exponent = Decimal(wanted).as_tuple().exponent
        assert isinstance(exponent, int)
        half = Fraction(10) ** exponent / 2
        first, last = number - half, number + half
    if prefix == "ap":
        first, last = number - abs(number) / 10, number + abs(number) / 10
    low: Any
    high: Any
    if isinstance(value, dict):
        if "low" not in value and "high" not in value:
            return False
        low = Fraction(value["low"]["value"]) if "low" in value else -math.inf
        high = Fraction(value["high"]["value"]) if "high" in value else math.inf
    else:
        low = high = Fraction(value)
    return compare(prefix, low, high, first, last, is_open)


def quantity_matches(value: Resource, parts: tuple[str, ...]) -> bool:
    prefix, wanted = split_prefix(parts[0])
    bounds: Any = value["value"]
    comparator = value.get("comparator", "")
    if comparator:
        side = "high" if comparator[0] == "<" else "low"
        bounds = {side: {"value": bounds}}
    if not number_matches(bounds, prefix + wanted):
        return False
    if len(parts) == 1:
        return True
    _, system, code = parts
    is_system = not system or value.get("system", "") == system
    is_code = not code or value.get("code", "") == code or (not system and value.get("unit", "") == code)
    return is_system and is_code


def reference_matches(value: Resource, text: str, types: Iterable[str]) -> bool:
    target = target_of(value)
    text = text.removeprefix(OWN_BASE)
    if "/" not in text:
        return any(target == f"{name}/{text}" for name in types)
    return target == text.partition("/_history/")[0]


def uri_matches(value: str, text: str, modifier: str) -> bool:
    if modifier == "below":
        return value == text or value.startswith(text.rstrip("/") + "/")
    if modifier == "above":
        return value == text or text.startswith(value.rstrip("/") + "/")
    return value == text


def near_matches(value: Resource, parts: tuple[str, ...]) -> bool:
    latitude, longitude = math.radians(float(parts[0])), math.radians(float(parts[1]))
    here, there = math.radians(value["latitude"]), math.radians(value["longitude"])
    cosine = math.sin(latitude) * math.sin(here) + math.cos(latitude) * math.cos(here) * math.cos(
        there - longitude
    )
    return 6_371_000 * math.acos(max(-1.0, min(1.0, cosine))) <= float(parts[2]) * 1_000


def value_matches(
    kind: str, modifier: str, value: Any, parts: tuple[str, ...], types: Iterable[str], now_ms: int
) -> bool:
    text = parts[0]
    if modifier == "identifier":
        return "identifier" in value and token_matches(value["identifier"], parts)
    if modifier == "text":
        return any(fold(label).startswith(fold(text)) for label in labels_of(value))
    if modifier == "of-type":
        codings = value.get("type", {}).get("coding", [])
        return value.get("value") == parts[2] and (parts[0], parts[1]) in [
            (coding.get("system", ""), coding.get("code", "")) for coding in codings
        ]
    if kind == "token":
        return token_matches(value, parts)
    if kind == "string":
        if modifier == "exact":
            return bool(value == text)
        return fold(text) in fold(value) if modifier == "contains" else fold(value).startswith(fold(text))
    if kind == "phonetic":
        return soundex(value) == soundex(text) != ""
    if kind == "reference":
        return reference_matches(value, text, types)
    if kind == "date":
        return date_matches(value, text, now_ms)
    if kind == "number":
        return number_matches(value, text)
    if kind == "quantity":
        return quantity_matches(value, parts)
    if kind == "special":
        return near_matches(value, parts)
    return uri_matches(value, text, modifier)


TARGETS = {
    "organization": ("Organization",),
    "link": ("Patient", "RelatedPerson"),
    "patient": ("Patient",),
    "subject": ("Patient", "Group", "Device", "Location"),
    "encounter": ("Encounter",),
    "has-member": ("Observation",),
    "service-provider": ("Organization",),
    "partof": ("Organization",),
    "member": ("Patient", "Device", "Practitioner", "Group"),
    "focus": ("Patient", "Group", "Observation", "Encounter"),
}
"""Resource types that an id alone may mean; of `focus` only those that occur in the tests' worlds."""


def matches(resource: Resource, condition: AnyCondition, world: Sequence[Resource], now_ms: int) -> bool:
    """Say whether a resource fulfils a condition in a world."""
    if isinstance(condition, Chained):
        _, read = PARAMETERS[resource["resourceType"]][condition.code]
        wanted = {target_of(value) for value in read(resource)}
        return any(
            f"{other['resourceType']}/{other['id']}" in wanted
            and other["resourceType"] == condition.target
            and matches(other, condition.inner, world, now_ms)
            for other in world
        )
    if isinstance(condition, Reversed):
        own = f"{resource['resourceType']}/{resource['id']}"
        _, read = PARAMETERS[condition.source][condition.code]
        return any(
            other["resourceType"] == condition.source
            and own in {target_of(value) for value in read(other)}
            and matches(other, condition.inner, world, now_ms)
            for other in world
        )
    return plain_matches(resource, condition, now_ms)


def plain_matches(resource: Resource, condition: Condition, now_ms: int) -> bool:
    if condition.code == "_id":
        return (resource["id"] in {parts[0] for parts in condition.values}) != (condition.modifier == "not")
    composite = COMPOSITES.get(resource["resourceType"], {}).get(condition.code)
    if composite is not None:
        contexts, components = composite
        elements = [
            element
            for context in contexts
            for element in ([resource] if context == "." else listed(resource.get(context)))
        ]
        return any(
            element_matches(element, components, values, now_ms)
            for values in condition.values
            for element in elements
        )
    kind, read = PARAMETERS[resource["resourceType"]][condition.code]
    present = read(resource)
    if condition.modifier == "missing":
        return (not any(map(has_value(kind), present))) == (condition.values[0][0] == "true")
    types: Iterable[str] = TARGETS.get(condition.code, ())
    modifier = condition.modifier
    if modifier[:1].isupper():
        types, modifier = (modifier,), ""
    found = any(
        value_matches(kind, "" if modifier == "not" else modifier, value, parts, types, now_ms)
        for value in present
        for parts in condition.values
    )
    return not found if modifier == "not" else found


def element_matches(
    element: Resource,
    components: tuple[tuple[str, str], tuple[str, str]],
    values: tuple[str, ...],
    now_ms: int,
) -> bool:
    split = values.index("$")
    return all(
        any(value_matches(kind, "", value, parts, (), now_ms) for value in listed(element.get(name)))
        for (name, kind), parts in zip(components, (values[:split], values[split + 1 :]), strict=True)
    )


def has_value(kind: str) -> Callable[[Any], bool]:
    """Whether a value counts as one for `:missing`: a reference by display alone does not, an empty concept neither."""

    def test(value: Any) -> bool:
        if kind == "reference":
            return bool(target_of(value)) or "value" in value.get("identifier", {})
        if kind == "token":
            return bool(labels_of(value)) or any(system or code for system, code in tokens_of(value))
        if kind == "number" and isinstance(value, dict):
            return "low" in value or "high" in value
        return True

    return test
