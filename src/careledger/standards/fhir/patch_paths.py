"""Simple FHIRPath for patches: parsing, and finding the elements a path leads to.

Supported paths start with the resource type and go on with any of: an element's name (a choice without its type:
``Observation.value``), ``[n]``, ``.first()``, ``.last()``, ``.ofType(Type)``, and ``.where(name = 'text')`` with one
or more equalities of child elements joined by ``and``, whose values are quoted texts, ``true``, ``false`` or whole
numbers. Anything else of FHIRPath is refused as not supported.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.structure import Element, is_complex_type, is_resource_type, type_facts

PATH_CHARS_MAX = 1_000
STEPS_MAX = 64
NODES_MAX = 10_000

_ROOT = re.compile(r"[A-Z][A-Za-z]*")
_TEXT = r"'(?:[^'\\]|\\['\\])*'"
_STEP = re.compile(
    r"\.(?P<name>[a-z][A-Za-z0-9]*)(?![A-Za-z0-9(])"
    r"|\[(?P<index>[0-9]{1,6})\]"
    r"|\.(?P<end>first|last)\(\)"
    r"|\.ofType\((?P<type>[A-Za-z]+)\)"
    rf"|\.where\((?P<where>(?:{_TEXT}|[^()'])*)\)"
)
_EQUALITY = re.compile(rf"\s*([a-z][A-Za-z0-9]*)\s*=\s*({_TEXT}|true|false|-?[0-9]{{1,9}})\s*(and\b|$)")


class PathError(ValueError):
    """A path is malformed, not supported or leads nowhere; the message never repeats it."""


Filter: TypeAlias = tuple[tuple[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path; exactly one member is set."""

    name: str = ""
    """Element to go to."""
    index: int | None = None
    """Item to keep; -1 for the last."""
    type_name: str = ""
    """Type to keep."""
    where: Filter = ()
    """Child elements and the values they must have."""


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path."""

    root: str
    """Resource type."""
    steps: tuple[Step, ...]
    """What follows."""


@dataclass(frozen=True, slots=True)
class Node:
    """One element that a path leads to."""

    value: Json
    """What stands there."""
    type_name: str
    """Its FHIR type."""
    place: tuple[str | int, ...]
    """JSON members and indexes from the resource down."""
    element: Element | None
    """Its definition; None for the resource itself."""


def parse_path(text: str) -> Path:
    """Return the steps of a path.

    Raises:
        PathError: The path is not one of the supported ones.
    """
    root = _ROOT.match(text)
    if root is None or len(text) > PATH_CHARS_MAX:
        raise PathError("a path starts with the resource type and is not long")
    steps: list[Step] = []
    position = root.end()
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or len(steps) == STEPS_MAX:
            raise PathError("the path uses what is not supported here")
        position = match.end()
        steps.append(_read_step(match))
    return Path(root[0], tuple(steps))


def _read_step(match: re.Match[str]) -> Step:
    """Return the step that a match of the grammar holds."""
    if match["name"] is not None:
        return Step(name=match["name"])
    if match["index"] is not None:
        return Step(index=int(match["index"]))
    if match["end"] is not None:
        return Step(index=0 if match["end"] == "first" else -1)
    if match["type"] is not None:
        return Step(type_name=match["type"])
    return Step(where=tuple(_read_filter(match["where"])))


def _read_filter(text: str) -> Iterator[tuple[str, Json]]:
    """Yield the equalities of a ``where``."""
    position = 0
    while True:
        match = _EQUALITY.match(text, position)
        if match is None:
            raise PathError("the path uses what is not supported here")
        literal = match[2]
        if literal.startswith("'"):
            yield match[1], re.sub(r"\\(.)", r"\1", literal[1:-1])
        else:
            yield (
                match[1],
                {"true": True, "false": False}.get(literal) if literal[0] in "tf" else int(literal),
            )
        if not match[3]:
            return
        position = match.end()


def element_of(type_name: str, name: str) -> Element:
    """Return an element of a type by its name without choice.

    Raises:
        PathError: The type has no such element.
    """
    element = _find_element(type_name, name)
    if element is None:
        raise PathError("the path names an element that does not exist")
    return element


def _find_element(type_name: str, name: str) -> Element | None:
    """Return an element of a type by its name without choice, if the type has it."""
    if not is_complex_type(type_name):
        return None
    return next((element for element in type_facts(type_name).elements if element.name == name), None)


def members_of(value: JsonObject, element: Element) -> list[tuple[str, str]]:
    """Return the JSON members present for an element, and the type each holds."""
    named = ((element.json_name(type_name), type_name) for type_name in element.types)
    return [(name, type_name) for name, type_name in named if name in value]


def _children(node: Node, name: str) -> Iterator[Node]:
    """Yield the elements of a name below one element."""
    element = _find_element(node.type_name, name)
    if element is None or not isinstance(node.value, dict):
        return
    for member, type_name in members_of(node.value, element):
        found = node.value[member]
        items = cast("list[Json]", found) if element.is_list else [found]
        for index, item in enumerate(items):
            place = (*node.place, member, index) if element.is_list else (*node.place, member)
            yield Node(item, _actual_type(type_name, item), place, element)


def _actual_type(type_name: str, value: Json) -> str:
    """Return the type of a value; where any resource may stand, its own."""
    own = value.get("resourceType") if isinstance(value, dict) else None
    return str(own) if type_name == "Resource" and is_resource_type(own) else type_name


def _is_kept(node: Node, where: Filter) -> bool:
    """Return whether an element passes a ``where``."""
    for name, wanted in where:
        found = node.value.get(name) if isinstance(node.value, dict) else None
        values = found if isinstance(found, list) else [found]
        if not any(type(value) is type(wanted) and value == wanted for value in values):
            return False
    return True


def _check_step(types: frozenset[str], step: Step) -> frozenset[str]:
    """Return the types a step leads to from ``types``, refusing names that none of them has, data or no data."""
    if "Resource" in types and (step.name or step.where):
        return frozenset(("Resource",)) if step.name else types
    if step.type_name:
        types &= {step.type_name}
    names = (step.name,) if step.name else tuple(name for name, _ in step.where)
    found = {name: [_find_element(type_name, name) for type_name in types] for name in names}
    if not types or not all(any(elements) for elements in found.values()):
        raise PathError("the path names an element that does not exist")
    if not step.name:
        return types
    return frozenset(inner for element in found[step.name] if element is not None for inner in element.types)


def evaluate(resource: JsonObject, path: Path, steps: tuple[Step, ...] | None = None) -> list[Node]:
    """Return the elements of a resource that a path leads to.

    Args:
        resource: The resource.
        path: A path; its type must be that of the resource.
        steps: Steps to take instead of all of the path.

    Raises:
        PathError: The path is about another type, or names an element that does not exist.
    """
    if resource.get("resourceType") != path.root:
        raise PathError("the path is about another type of resource")
    nodes = [Node(resource, path.root, (), None)]
    types = frozenset((path.root,))
    for step in path.steps if steps is None else steps:
        types = _check_step(types, step)
        if step.name:
            nodes = [child for node in nodes for child in _children(node, step.name)]
        elif step.index is not None:
            nodes = nodes[step.index :][:1]
        elif step.type_name:
            nodes = [node for node in nodes if node.type_name == step.type_name]
        else:
            nodes = [node for node in nodes if _is_kept(node, step.where)]
        if len(nodes) > NODES_MAX:
            raise PathError("the path leads to too many elements")
    return nodes
