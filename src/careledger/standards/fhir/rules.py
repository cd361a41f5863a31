"""The shape of rules between elements, and the constructors of the common ones.

A rule sees one object whose structure is already checked and returns a plain sentence, naming FHIR's key of the
invariant, when the object breaks it. The rules themselves stand in ``type_rules`` and ``resource_rules``.
"""

from collections.abc import Callable
from typing import TypeAlias

from careledger.standards.fhir.instants import parse_range
from careledger.standards.fhir.json_types import Json, JsonObject

Rule: TypeAlias = Callable[[JsonObject], str | None]


def has_element(value: JsonObject, name: str) -> bool:
    """Return whether an element is there, whether it has a value or only extensions."""
    return name in value or f"_{name}" in value


def some_of(text: str, *names: str) -> Rule:
    """Return the rule that one of the elements must be there."""

    def rule(value: JsonObject) -> str | None:
        return None if any(has_element(value, name) for name in names) else text

    return rule


def one_of(text: str, *names: str) -> Rule:
    """Return the rule that exactly one of the elements must be there."""

    def rule(value: JsonObject) -> str | None:
        return None if sum(has_element(value, name) for name in names) == 1 else text

    return rule


def not_both(text: str, one: str, other: str) -> Rule:
    """Return the rule that two elements exclude each other."""

    def rule(value: JsonObject) -> str | None:
        return text if one in value and other in value else None

    return rule


def needs(text: str, name: str, *wanted: str) -> Rule:
    """Return the rule that an element needs one of others beside it."""

    def rule(value: JsonObject) -> str | None:
        return text if name in value and not any(has_element(value, other) for other in wanted) else None

    return rule


def distinct(text: str, list_name: str, *names: str) -> Rule:
    """Return the rule that the items of a list differ in the named members taken together."""

    def rule(value: JsonObject) -> str | None:
        items = value.get(list_name)
        keys = [tuple(item.get(name) for name in names) for item in items] if isinstance(items, list) else []
        return text if len(set(map(repr, keys))) != len(keys) else None

    return rule


def has_choice(value: JsonObject, name: str) -> bool:
    """Return whether a choice such as ``value[x]`` is made."""
    return any(key.startswith(name) and key[len(name) : len(name) + 1].isupper() for key in value)


def is_coded(value: Json, system: str, *codes: str) -> bool:
    """Return whether a CodeableConcept has one of the codes of a system."""
    codings = value.get("coding", []) if isinstance(value, dict) else []
    return any(coding.get("system") == system and coding.get("code") in codes for coding in codings)


def is_ordered(start: Json, end: Json) -> bool:
    """Return whether two dateTimes can be in order, given their precision."""
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    return parse_range(start)[0] <= parse_range(end)[1]
