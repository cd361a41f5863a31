"""Extraction: from a resource's value to its index rows, in one walk.

Owns the compilation of a resource type's search parameters into closures. All places of all parameters with rows
of their own are merged into one tree, so that every element is visited once however many parameters read it; the
tree becomes nested functions in which member names, list handling and readers are already decided. The walk
costs 10 to 20 microseconds for an Observation.

It decides nothing about storage: `careledger.domains.records.service.index` writes the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from careledger.standards.fhir.search import read_amounts, read_references, read_values
from careledger.standards.fhir.search.definitions import Context, Kind, Parameter, Part
from careledger.standards.fhir.search.elements import Key, Operation, Place, code_systems
from careledger.standards.fhir.search.expression import Equals, IsTrue, Item, ResolvesTo
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.read_values import Reader
from careledger.standards.fhir.search.rows import Rows

_DIRECT_MEMBERS_MAX = 6
"""Up to so many members are looked up one by one; beyond, the value's own members are gone through."""


@dataclass(slots=True)
class _Node:
    """One element of the tree: what to read here and where to go on."""

    readers: list[Reader] = field(default_factory=list)
    children: dict[Operation, _Node] = field(default_factory=dict)

    def insert(self, operations: tuple[Operation, ...], reader: Reader) -> None:
        """Add a reader at the end of a way."""
        node = self
        for operation in operations:
            node = node.children.setdefault(operation, _Node())
        node.readers.append(reader)


class Extractor:
    """Extracts the rows of resources; compiles each type on first use."""

    def __init__(self, own_base: str = "") -> None:
        """Build an extractor.

        Args:
            own_base: this server's base URL with its final slash; absolute references below it count as local.
        """
        self.own_base = own_base
        self._compiled: dict[str, tuple[Reader, tuple[int, ...]]] = {}

    def extract(self, resource_type: str, value: dict[str, object]) -> Rows:
        """Return the rows of one resource, given as decoded JSON with decimals kept exact.

        What does not have the shape its type calls for is passed over; structure is checked elsewhere. The same
        row may occur more than once when a resource repeats itself.

        Raises:
            KeyError: R4 has no such resource type.
        """
        compiled = self._compiled.get(resource_type)
        if compiled is None:
            compiled = self._compiled[resource_type] = _compile_type(resource_type, self.own_base)
        walk, truths = compiled
        rows = Rows(value)
        walk(value, rows)
        for slot in truths:
            if not rows.present >> slot & 1:
                rows.present |= 1 << slot
                rows.tokens.append((slot, "", "false", ""))
        return rows


def _compile_type(resource_type: str, own_base: str) -> tuple[Reader, tuple[int, ...]]:
    """Compile the walk of a resource type; the second item names slots that are false unless found true."""
    root = _Node()
    truths: list[int] = []
    known = parameters(resource_type)
    for parameter in known.values():
        if parameter.slot not in parameter.sources:
            continue
        if parameter.kind is Kind.COMPOSITE:
            for context in parameter.contexts:
                operations = _strip_tests(context.place.operations)
                root.insert(operations, _compile_context(parameter.slot, context, own_base))
            continue
        views = tuple(
            (other.restriction, other.slot)
            for other in known.values()
            if other.restriction and other.sources == (parameter.slot,) and other is not parameter
        )
        for place in parameter.places:
            reader = _build_reader(parameter, place, views, own_base)
            root.insert(_strip_tests(place.operations), reader)
            if place.operations and isinstance(place.operations[-1], IsTrue):
                truths.append(parameter.slot)
    return _compile(root), tuple(dict.fromkeys(truths))


def _strip_tests(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Leave out what readers decide themselves: the truth test and the type of a reference."""
    return tuple(step for step in operations if not isinstance(step, IsTrue | ResolvesTo))


@cache
def _systems(values: str) -> dict[str, str]:
    return code_systems(values) if values else {}


def _build_reader(
    parameter: Parameter, place: Place, views: tuple[tuple[str, int], ...], own_base: str
) -> Reader:
    """Return the reader for the values of a parameter at one place."""
    last = place.operations[-1]
    if isinstance(last, IsTrue):
        return read_values.read_truth(parameter.slot)
    if parameter.kind is Kind.REFERENCE and place.type_name == "Reference":
        only_type = last.type_name if isinstance(last, ResolvesTo) else ""
        return read_references.read_reference(parameter.slot, views, own_base, only_type)
    return _build_plain_reader(parameter.kind, place, parameter.slot)


def _build_plain_reader(kind: Kind, place: Place, slot: int) -> Reader:  # noqa: C901, PLR0912 - one case per FHIR type reads best as one table
    """Return the reader for a kind of parameter and a type of value."""
    match kind, place.type_name:
        case Kind.TOKEN, "CodeableConcept":
            return read_values.read_concept(slot)
        case Kind.TOKEN, "Coding":
            return read_values.read_coding(slot)
        case Kind.TOKEN, "Identifier":
            return read_values.read_identifier(slot)
        case Kind.TOKEN, "ContactPoint":
            return read_values.read_contact(slot)
        case Kind.TOKEN, "boolean":
            return read_values.read_boolean(slot)
        case Kind.TOKEN, _:
            return read_values.read_code(slot, _systems(place.values))
        case ((Kind.STRING | Kind.PHONETIC), "HumanName"):
            keys = read_values.NAME_KEYS
            return read_values.read_string_parts(slot, keys, is_phonetic=kind is Kind.PHONETIC)
        case Kind.STRING, "Address":
            return read_values.read_string_parts(slot, read_values.ADDRESS_KEYS)
        case ((Kind.STRING | Kind.PHONETIC), _):
            return read_values.read_string(slot, is_phonetic=kind is Kind.PHONETIC)
        case Kind.DATE, "Period":
            return read_values.read_period(slot)
        case Kind.DATE, "Timing":
            return read_values.read_timing(slot)
        case Kind.DATE, _:
            return read_values.read_date(slot)
        case ((Kind.NUMBER | Kind.QUANTITY), "Range"):
            return read_amounts.read_range(slot)
        case Kind.NUMBER, _:
            return read_amounts.read_number(slot)
        case Kind.QUANTITY, "SampledData":
            return read_amounts.read_samples(slot)
        case Kind.QUANTITY, "Money":
            return read_amounts.read_money(slot)
        case Kind.QUANTITY, _:
            return read_amounts.read_quantity(slot)
        case Kind.REFERENCE, "Resource":
            return read_references.read_resource(slot)
        case Kind.SPECIAL, _:
            return read_values.read_position(slot)
    return read_values.read_uri(slot, is_canonical=place.type_name == "canonical")


def _compile_context(slot: int, context: Context, own_base: str) -> Reader:
    """Compile a composite: for every element of the context, its components' values side by side."""
    read_parts = tuple((_compile_part(part, own_base), part.is_from_resource) for part in context.parts)
    bit = 1 << slot

    def read_element(element: object, rows: Rows) -> None:
        found = []
        for read_part, is_from_resource in read_parts:
            part = Rows()
            read_part(rows.resource if is_from_resource else element, part)
            if not part.present:
                return
            found.append(part)
        rows.present |= bit
        element_number = len(rows.parts)
        rows.parts.extend((slot, element_number, index, part) for index, part in enumerate(found))

    return read_element


def _compile_part(part: Part, own_base: str) -> Reader:
    """Compile one component of a composite; its rows carry slot 0."""
    root = _Node()
    stand_in = Parameter(code="", kind=part.kind, slot=0)
    for place in part.places:
        root.insert(_strip_tests(place.operations), _build_reader(stand_in, place, (), own_base))
    return _compile(root)


def _compile(node: _Node) -> Reader:
    """Turn a node into a function."""
    actions = list(node.readers)
    keys = {step.name: child for step, child in node.children.items() if isinstance(step, Key)}
    members = {name: _compile(child) for name, child in keys.items() if not _is_indexed(child)}
    if members:
        actions.append(_compile_members(members))
    for name, child in keys.items():
        for step, end in child.children.items():
            if isinstance(step, Item):
                actions.append(_compile_item(name, step.index, _compile(end)))
    for step, child in node.children.items():
        if isinstance(step, Equals):
            actions.append(_compile_filter(step, _compile(child)))
    if len(actions) == 1:
        return actions[0]
    chained = tuple(actions)

    def read(value: object, rows: Rows) -> None:
        for action in chained:
            action(value, rows)

    return read


def _is_indexed(node: _Node) -> bool:
    """Say whether a member is only read at an index; no definition of R4 reads one in both ways."""
    return bool(node.children) and all(isinstance(step, Item) for step in node.children)


def _compile_item(name: str, index: int, action: Reader) -> Reader:
    """Go on into one item of a member."""

    def read(value: object, rows: Rows) -> None:
        if type(value) is dict:
            items = value.get(name)
            if type(items) is list and len(items) > index:
                action(items[index], rows)

    return read


def _compile_filter(step: Equals, action: Reader) -> Reader:
    """Go on only where a member has the wanted text."""
    name, literal = step.name, step.literal

    def read(value: object, rows: Rows) -> None:
        if type(value) is dict and value.get(name) == literal:
            action(value, rows)

    return read


def _compile_members(members: dict[str, Reader]) -> Reader:
    """Go on into members, into each item where the member is a list."""
    pairs = tuple(members.items())

    def read_few(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        for name, action in pairs:
            member = value.get(name)
            if member is None:
                continue
            if type(member) is list:
                for item in member:
                    action(item, rows)
            else:
                action(member, rows)

    def read_many(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        for name, member in value.items():
            action = members.get(name)
            if action is None or member is None:
                continue
            if type(member) is list:
                for item in member:
                    action(item, rows)
            else:
                action(member, rows)

    return read_few if len(members) <= _DIRECT_MEMBERS_MAX else read_many
