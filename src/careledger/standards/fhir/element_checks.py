"""Structure checks compiled from the tables: one closure per type, built when first needed.

Owns what follows from an element's definition alone: known members, JSON shape, cardinality, empty values, null in
arrays of primitives and their ``_name`` companions, choices, formats, codes of required bindings, reference targets.
Rules between elements come from ``invariants``; ``validate`` starts it all and settles what only a whole resource can
settle.

A closure returns None for a value without fault and is written for that case: one dictionary look-up and one call per
member, nothing built.
"""

from collections.abc import Mapping
from functools import cache
from typing import cast

from careledger.standards.fhir.bundle_rules import BUNDLE_RULES
from careledger.standards.fhir.findings import FINDINGS_MAX, Check, Finding, Findings, place, wrong
from careledger.standards.fhir.issues import printable_name
from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.primitive_checks import PRIMITIVE_CHECKS
from careledger.standards.fhir.reference_checks import LOCAL, check_contained, reference_check, settle_local
from careledger.standards.fhir.resource_rules import RESOURCE_RULES
from careledger.standards.fhir.structure import (
    Element,
    is_resource_type,
    resource_types,
    type_facts,
    value_set,
)
from careledger.standards.fhir.type_rules import TYPE_RULES

NULL = "null"
ALL_RULES = {**TYPE_RULES, **RESOURCE_RULES, **BUNDLE_RULES}


def list_check(check_item: Check) -> Check:
    """Return the check of an array whose items ``check_item`` checks."""

    def check(value: object) -> Findings | None:
        if type(value) is not list:
            return wrong("structure", "must be a JSON array")
        found: Findings | None = None
        for index, item in enumerate(value):
            problem = check_item(item)
            if problem is not None:
                found = (found or []) + place(problem, f"[{index}]")
                if len(found) > FINDINGS_MAX:
                    break
        if not value:
            return wrong("structure", "an array must not be empty")
        return found

    return check


def nullable(check_item: Check) -> Check:
    """Return the check of an item that may be null when its companion is not; the object decides."""

    def check(value: object) -> Findings | None:
        if value is None:
            return [Finding("structure", "null stands for nothing here", nature=NULL)]
        return check_item(value)

    return check


def code_check(codes: frozenset[str]) -> Check:
    """Return the check of a code with a required binding."""
    check_format = PRIMITIVE_CHECKS["code"]

    def check(value: object) -> Findings | None:
        if type(value) is str and value in codes:
            return None
        return check_format(value) or wrong("code-invalid", "the code is not in the required value set")

    return check


def coded_check(check_structure: Check, codes: Mapping[str, frozenset[str]], *, is_concept: bool) -> Check:
    """Return the check of a Coding or CodeableConcept with a required binding.

    One coding of the value set is enough, others may stand beside it. A concept in words only is left with a warning.
    """

    def is_coded(coding: object) -> bool:
        if not isinstance(coding, dict):
            return False
        return coding.get("code") in codes.get(cast("str", coding.get("system")), ())

    def check(value: object) -> Findings | None:
        found = check_structure(value)
        if found is not None:
            return found
        element = cast("JsonObject", value)
        codings = cast("list[Json]", element.get("coding", [])) if is_concept else [element]
        if any(map(is_coded, codings)):
            return None
        if is_concept and not codings:
            text = "no code of the required value set is given"
            return None if "extension" in element else [Finding("code-invalid", text, severity="warning")]
        return wrong("code-invalid", "no code is in the required value set")

    return check


@cache
def type_check(type_name: str, element: Element | None = None) -> Check:
    """Return the check of one value of a type, with the binding or targets that ``element`` adds."""
    codes = value_set(element.values) if element is not None and element.values else None
    if type_name == "code" and codes is not None:
        return code_check(frozenset().union(*codes.values()))
    if type_name in PRIMITIVE_CHECKS:
        return PRIMITIVE_CHECKS[type_name]
    if type_name == "Resource":
        return check_whole_resource
    if type_name == "Reference":
        targets = element.targets if element is not None else frozenset[str]()
        return reference_check(object_check("Reference"), targets, resource_types())
    if type_name in ("Coding", "CodeableConcept") and codes is not None:
        return coded_check(object_check(type_name), codes, is_concept=type_name == "CodeableConcept")
    return object_check(type_name)


class _Layout:
    """What a type's closure needs to know, compiled from the type's facts."""

    __slots__ = ("choice_of", "members", "required", "required_choices", "rules", "shown")

    def __init__(self, type_name: str) -> None:
        facts = type_facts(type_name)
        self.members: dict[str, Check] = {}
        """Per JSON member its check."""
        self.shown: dict[str, str] = {}
        """Per JSON member the name of its element, where the two differ."""
        self.choice_of: dict[str, str] = {}
        """Per JSON member of a choice the name of the choice."""
        self.required = frozenset(e.name for e in facts.elements if e.is_required and not e.is_choice)
        self.required_choices = frozenset(e.name for e in facts.elements if e.is_required and e.is_choice)
        self.rules = ALL_RULES.get(type_name, ())
        if facts.is_resource:
            self.members["resourceType"] = PRIMITIVE_CHECKS["code"]
        for element in facts.elements:
            for name in element.types:
                self._add(element, name)

    def _add(self, element: Element, type_name: str) -> None:
        """Add the members in which JSON may hold an element of one of its types."""
        name = element.json_name(type_name)
        check = type_check(type_name, element) if element.name != "contained" else check_any_resource
        is_primitive = type_name in PRIMITIVE_CHECKS
        if element.is_list:
            check = list_check(nullable(check) if is_primitive else check)
        self.members[name] = check
        names = [name]
        if is_primitive:
            companion = object_check("Element")
            self.members[f"_{name}"] = list_check(nullable(companion)) if element.is_list else companion
            self.shown[f"_{name}"] = element.name
            names.append(f"_{name}")
        if element.is_choice:
            self.shown[name] = element.name
            self.choice_of.update(dict.fromkeys(names, element.name))


@cache
def object_check(type_name: str) -> Check:
    """Return the check of the members of one object of a type."""
    layout: _Layout | None = None
    may_hold_id_only = type_name == "Element" or type_facts(type_name).is_resource

    def check(value: object) -> Findings | None:
        nonlocal layout
        if type(value) is not dict:
            return wrong("structure", "must be a JSON object")
        if layout is None:
            layout = _Layout(type_name)
        members = layout.members
        found: Findings | None = None
        for key, item in value.items():
            member = members.get(key)
            problem = _unknown(key) if member is None else member(item)
            if problem is not None:
                found = (found or []) + _place_member(layout, value, key, problem)
                if len(found) > FINDINGS_MAX:
                    return found[:FINDINGS_MAX]
        if not layout.required <= value.keys():
            found = (found or []) + _missing(layout, value)
        choice_of = layout.choice_of
        if choice_of:
            chosen = [key for key in value if key in choice_of]
            if len(chosen) > 1 or layout.required_choices:
                found = (found or []) + _check_choices(layout, chosen)
        if len(value) <= 1 and (not value or ("id" in value and not may_hold_id_only)):
            found = (found or []) + wrong("structure", "an element must not be empty")
        if layout.rules and (not found or all(map(_is_minor, found))):
            for rule in layout.rules:
                text = rule(value)
                if text is not None:
                    found = (found or []) + wrong("invariant", text)
        return found or None

    return check


def _is_minor(finding: Finding) -> bool:
    """Return whether rules between elements may still rely on the structure."""
    return finding.severity == "warning" or finding.nature == LOCAL


def _unknown(key: str) -> Findings:
    """Return the finding about a member that the type does not have."""
    return wrong(
        "structure", "no such element" if printable_name(key) == key else "a name that no element has"
    )


def _place_member(layout: _Layout, value: JsonObject, key: str, problem: Findings) -> Findings:
    """Put the member's name in front of its findings, dropping nulls whose companion is there."""
    companion = value.get(key[1:] if key.startswith("_") else f"_{key}")
    kept: Findings = []
    for finding in problem:
        if finding.nature == NULL:
            index = int(finding.location[1:-1])
            partners = companion if isinstance(companion, list) else []
            if index < len(partners) and partners[index] is not None:
                continue
            finding.nature = ""
        kept.append(finding)
    return place(kept, f".{layout.shown.get(key) or printable_name(key)}")


def _missing(layout: _Layout, value: JsonObject) -> Findings:
    """Return the required elements that are absent; a primitive may consist of extensions alone."""
    absent = sorted(name for name in layout.required if name not in value and f"_{name}" not in value)
    return [Finding("required", "is required", f".{name}") for name in absent]


def _check_choices(layout: _Layout, chosen: list[str]) -> Findings:
    """Check that every choice is made at most once, and once where it is required."""
    made: dict[str, str] = {}
    found: Findings = []
    for key in chosen:
        choice = layout.choice_of[key]
        name = key.removeprefix("_")
        if made.setdefault(choice, name) != name:
            found.append(Finding("structure", "only one type may be chosen", f".{choice}"))
    absent = sorted(layout.required_choices - made.keys())
    return found + [Finding("required", "is required", f".{name}") for name in absent]


def check_any_resource(value: object) -> Findings | None:
    """Check a resource of whatever type it says it is; its local references stay open."""
    if not isinstance(value, dict):
        return wrong("structure", "must be a JSON object")
    name = value.get("resourceType")
    if not isinstance(name, str):
        return wrong("structure", "a resource must name its resourceType")
    if not is_resource_type(name):
        return wrong("structure", "names no resource type of FHIR R4", ".resourceType")
    return object_check(name)(value)


def check_whole_resource(value: object) -> Findings | None:
    """Check a resource that stands by itself or in a bundle, with what it contains and how it refers to that."""
    found = check_any_resource(value)
    if isinstance(value, dict):
        if found is not None:
            found = settle_local(value, found)
        if "contained" in value:
            found = (found or []) + check_contained(value)
    return found or None
