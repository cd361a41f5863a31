"""Where in a resource's JSON an expression's path leads, and what FHIR type stands there.

Owns the reading of the packaged element table (`careledger/standards/fhir/tables/structure.json`) as far as
search needs it, and the resolution of a path over it: choices become the concrete keys (`value as Quantity`
becomes `valueQuantity`), casts disappear, and every end knows its type and the code systems of its binding.

It does not read resources (`careledger.standards.fhir.search.extract`) or check them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias, cast

from careledger.standards.fhir.search.expression import (
    Cast,
    Equals,
    ExpressionError,
    Field,
    IsTrue,
    Item,
    Path,
    ResolvesTo,
    Step,
)


@dataclass(frozen=True, slots=True)
class Key:
    """Step to the JSON member of that name."""

    name: str
    """Exact member name, such as `valueQuantity`."""


Operation: TypeAlias = Key | Item | Equals | ResolvesTo | IsTrue


@dataclass(frozen=True, slots=True)
class Place:
    """One place in a resource type's JSON."""

    operations: tuple[Operation, ...]
    """How to get there from the root."""
    type_name: str
    """FHIR type of what stands there; a backbone element is named by its path."""
    values: str = ""
    """Value set bound to a code, empty if none is or the list is open."""


@dataclass(frozen=True, slots=True)
class _Element:
    """One row of the element table."""

    name: str
    is_choice: bool
    types: tuple[str, ...]
    values: str


class _Structure:
    """The element table: types with their elements, value sets, and the patient compartment."""

    def __init__(self) -> None:
        table = files("careledger.standards.fhir.tables").joinpath("structure.json").read_bytes()
        # Any: the shape is that of our own generated file, described in tools/fhir_tables.py.
        content = cast("dict[str, dict[str, Any]]", json.loads(table))
        self._rows = content["types"]
        self._elements: dict[str, dict[str, _Element]] = {}
        self.values: dict[str, dict[str, list[str]]] = content["values"]
        self.compartment: dict[str, list[str]] = content["compartment"]
        self.resource_types = tuple(sorted(name for name, row in self._rows.items() if row[0] == "resource"))

    def elements(self, type_name: str) -> dict[str, _Element]:
        """Return the elements of a type and of the types it derives from, by name without `[x]`."""
        if type_name not in self._elements:
            found: dict[str, _Element] = {}
            name = type_name
            while name in self._rows:
                _, base, rows = self._rows[name]
                for row in rows:
                    facts = row[4] if len(row) > 4 else {}
                    plain = row[0].removesuffix("[x]")
                    found.setdefault(
                        plain, _Element(plain, row[0] != plain, tuple(row[3]), facts.get("values", ""))
                    )
                name = base
            self._elements[type_name] = found
        return self._elements[type_name]


@cache
def _structure() -> _Structure:
    return _Structure()


def resource_types() -> tuple[str, ...]:
    """Return the names of all resource types of R4, ascending."""
    return _structure().resource_types


def patient_compartment() -> dict[str, tuple[str, ...]]:
    """Return, per resource type, the search parameters that place it in a patient's compartment.

    Source: FHIR R4 CompartmentDefinition `patient`. Types missing here are in no patient's compartment,
    whatever they refer to.
    """
    return {name: tuple(codes) for name, codes in _structure().compartment.items()}


def code_systems(values: str) -> dict[str, str]:
    """Return the code system of every code in a bound value set; empty when the set is open or unknown.

    A code that several systems of the set share has no implicit system and is left out.
    """
    systems: dict[str, str] = {}
    shared: set[str] = set()
    for system, codes in _structure().values.get(values, {}).items():
        for code in codes:
            if code in systems:
                shared.add(code)
            systems[code] = system
    return {code: system for code, system in systems.items() if code not in shared}


def resolve(resource_type: str, path: Path, *, base: Place | None = None) -> tuple[Place, ...]:
    """Return the places that a path leads to in a resource type, in order of the element table.

    Args:
        resource_type: type of the resource whose JSON is meant.
        path: an alternative of an expression; a root other than this type, `Resource`, `DomainResource` or
            `%resource` leads nowhere.
        base: where a relative path starts; the resource itself when absent.

    Raises:
        ExpressionError: The path names an element that the type does not have.
    """
    places: tuple[Place, ...]
    if path.root == "" and base is not None:
        places = (base,)
    elif path.root in {resource_type, "Resource", "DomainResource", "%resource", ""}:
        places = (Place((), resource_type),)
    else:
        return ()
    for step in path.steps:
        found = tuple(place for start in places for place in _apply(start, step))
        if not found:
            raise ExpressionError(f"{resource_type}: no element for {step} after {places[0].type_name}")
        places = found
    return places


def _apply(place: Place, step: Step) -> tuple[Place, ...]:
    """Return the places one step further."""
    if isinstance(step, Cast):
        return (place,) if place.type_name.lower() == step.type_name.lower() else ()
    if isinstance(step, IsTrue):
        return (Place((*place.operations, step), "boolean"),)
    if isinstance(step, Field):
        return _descend(place, step.name)
    return (Place((*place.operations, step), place.type_name, place.values),)


def _descend(place: Place, name: str) -> tuple[Place, ...]:
    """Return the places of a child element; an extension's value may be named with its type."""
    elements = _structure().elements(place.type_name)
    element = elements.get(name)
    if element is None:
        for candidate in elements.values():
            if candidate.is_choice and name.startswith(candidate.name):
                return tuple(place for place in _choices(place, candidate) if _last_key(place) == name)
        return ()
    if not element.is_choice:
        return tuple(
            Place((*place.operations, Key(name)), type_name, element.values) for type_name in element.types
        )
    return _choices(place, element)


def _choices(place: Place, element: _Element) -> tuple[Place, ...]:
    """Return one place per type of a choice."""
    return tuple(
        Place(
            (*place.operations, Key(element.name + type_name[0].upper() + type_name[1:])),
            type_name,
            element.values,
        )
        for type_name in element.types
    )


def _last_key(place: Place) -> str:
    """Return the member name a place ends in."""
    last = place.operations[-1]
    return last.name if isinstance(last, Key) else ""
