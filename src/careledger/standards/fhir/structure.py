"""What FHIR 4.0.1 says about its types: elements, cardinalities, choices, codes, compartment membership.

Owns the packaged table ``tables/structure.json`` (see ``tools/fhir_tables.py`` for its format) and hands it
out as small immutable values, one type at a time, built when first asked for. Checks nothing itself.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

FHIR_VERSION = "4.0.1"
DEFINITIONS = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type."""

    name: str
    """Name without the ``[x]`` of a choice."""
    is_choice: bool
    """Whether JSON appends the type: ``value[x]`` becomes ``valueQuantity``."""
    is_required: bool
    """Whether the minimum cardinality is one."""
    is_list: bool
    """Whether JSON holds an array."""
    types: tuple[str, ...]
    """Type names; a backbone element or a reference to one is named by its path, ``Patient.contact``."""
    is_summary: bool
    """Whether ``_summary=true`` keeps it."""
    is_modifier: bool
    """Whether ignoring it changes what the rest means."""
    targets: frozenset[str]
    """Resource types a Reference may point to; empty for any."""
    values: str
    """Value set of a required binding whose codes are known; else empty."""

    def json_name(self, type_name: str) -> str:
        """Return the member name that JSON uses for the element when it holds ``type_name``."""
        return f"{self.name}{type_name[0].upper()}{type_name[1:]}" if self.is_choice else self.name


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """A resource, complex or backbone type with everything it inherits."""

    name: str
    """``Patient``, ``HumanName`` or ``Patient.contact``."""
    kind: str
    """``resource``, ``complex-type``, ``backbone`` or ``abstract``."""
    elements: tuple[Element, ...]
    """Inherited ones first."""

    @property
    def is_resource(self) -> bool:
        """Whether values of the type carry a ``resourceType``."""
        return self.kind == "resource"


@cache
def _table() -> dict[str, dict[str, Any]]:
    """Return the packaged table; rows are positional, so they are read here and nowhere else."""
    data = files("careledger.standards.fhir.tables").joinpath("structure.json").read_bytes()
    table: dict[str, dict[str, Any]] = msgspec.json.decode(data)
    return table


@cache
def resource_types() -> frozenset[str]:
    """Return the names of the concrete resource types: 146 in FHIR 4.0.1."""
    return frozenset(name for name, row in _table()["types"].items() if row[0] == "resource")


def is_resource_type(name: object) -> bool:
    """Return whether ``name`` names a concrete resource type."""
    return isinstance(name, str) and name in resource_types()


def _read_element(row: list[Any]) -> Element:
    """Return the element that a row of the table states."""
    facts: dict[str, Any] = row[4] if len(row) > 4 else {}
    name: str = row[0]
    return Element(
        name=name.removesuffix("[x]"),
        is_choice=name.endswith("[x]"),
        is_required=row[1] == 1,
        is_list=row[2] == "*",
        types=tuple(row[3]),
        is_summary=facts.get("summary", False),
        is_modifier=facts.get("modifier", False),
        targets=frozenset(facts.get("targets", ())),
        values=facts.get("values", ""),
    )


@cache
def type_facts(name: str) -> TypeFacts:
    """Return the facts of a resource, complex or backbone type.

    Raises:
        KeyError: FHIR 4.0.1 has no such type.
    """
    kind, base, rows = _table()["types"][name]
    inherited = type_facts(base).elements if base else ()
    return TypeFacts(name, kind, inherited + tuple(_read_element(row) for row in rows))


def is_complex_type(name: str) -> bool:
    """Return whether ``name`` names a type that JSON shows as an object."""
    return name in _table()["types"]


@cache
def value_set(name: str) -> dict[str, frozenset[str]]:
    """Return the codes of a required value set by code system.

    Raises:
        KeyError: The value set belongs to no required binding, or its codes are not known.
    """
    return {system: frozenset(codes) for system, codes in _table()["values"][name].items()}


@cache
def patient_compartment() -> dict[str, tuple[str, ...]]:
    """Return per resource type the search parameters that place it in a patient's compartment.

    Types that are absent are never in it. A Patient is in its own compartment as well.
    """
    return {name: tuple(codes) for name, codes in _table()["compartment"].items()}


@cache
def member_types(name: str) -> dict[str, tuple[Element, str]]:
    """Return per JSON member of a type its element and the type name the member holds."""
    return {
        element.json_name(type_name): (element, type_name)
        for element in type_facts(name).elements
        for type_name in element.types
    }
