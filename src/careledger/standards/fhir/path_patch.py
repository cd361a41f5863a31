"""FHIRPath Patch (FHIR R4 §3.1.0.13.2) for simple paths.

A patch is a Parameters resource with one parameter ``operation`` per step, whose parts are ``type``, ``path`` and, as
the type needs them, ``name``, ``value``, ``index``, ``source`` and ``destination``. Which paths are supported says
``patch_paths``. Values are given as ``value[x]`` of the element's type, or as parts for backbone elements.

``add`` appends to a list or sets an element that is absent; ``insert`` puts an item before an index; ``delete``
removes what is there and is content when nothing is; ``replace`` needs exactly one element; ``move`` changes the
order of one list. Companions of primitives (``_birthDate``) go with the primitive; a path cannot lead into them. The
document given is not changed. What may not be changed (``id``, ``meta``) and whether the result is a resource is for
the caller to check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.patch import OPERATIONS_MAX, PatchError
from careledger.standards.fhir.patch_paths import (
    Node,
    Path,
    PathError,
    element_of,
    evaluate,
    members_of,
    parse_path,
)
from careledger.standards.fhir.structure import Element, is_complex_type

_TYPES = frozenset(("add", "insert", "delete", "replace", "move"))
_NUMBERS = {"insert": ("index",), "move": ("source", "destination")}


@dataclass(frozen=True, slots=True, kw_only=True)
class PathOperation:
    """One operation of a FHIRPath Patch."""

    type: str
    """``add``, ``insert``, ``delete``, ``replace`` or ``move``."""
    path: Path
    """Where."""
    name: str = ""
    """Of add: the element to add below the path."""
    value: JsonObject | None = None
    """Of add, insert and replace: the part ``value`` as it was given."""
    numbers: tuple[int, ...] = ()
    """Of insert the index; of move the source and the destination."""


def read_path_patch(parameters: JsonObject) -> tuple[PathOperation, ...]:
    """Return the operations of a FHIRPath Patch, a Parameters resource whose structure was checked.

    Raises:
        PatchError: The resource is no such patch, or uses paths that are not supported.
    """
    items = parameters.get("parameter", [])
    if parameters.get("resourceType") != "Parameters" or not isinstance(items, list):
        raise PatchError("structure", "Parameters", "a FHIRPath Patch is a Parameters resource")
    if len(items) > OPERATIONS_MAX:
        raise PatchError("too-costly", "Parameters", f"a patch has at most {OPERATIONS_MAX} operations")
    return tuple(_read_operation(f"Parameters.parameter[{index}]", item) for index, item in enumerate(items))


def _read_operation(where: str, item: Json) -> PathOperation:
    """Return one operation."""
    if not isinstance(item, dict) or item.get("name") != "operation":
        raise PatchError("value", where, "every parameter of a patch is an operation")
    parts = {
        part["name"]: part
        for part in cast("list[Json]", item.get("part", []))
        if isinstance(part, dict) and isinstance(part.get("name"), str)
    }
    kind = _primitive(parts.get("type"))
    if not isinstance(kind, str) or kind not in _TYPES:
        raise PatchError("value", where, "type must be add, insert, delete, replace or move")
    text, name = _primitive(parts.get("path")), _primitive(parts.get("name"))
    numbers = [_primitive(parts.get(number)) for number in _NUMBERS.get(kind, ())]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise PatchError("required", where, f"{kind} needs {' and '.join(_NUMBERS[kind])}")
    if kind in ("add", "insert", "replace") and "value" not in parts:
        raise PatchError("required", where, f"{kind} needs a value")
    if kind == "add" and not isinstance(name, str):
        raise PatchError("required", where, "add needs the name of an element")
    try:
        path = parse_path(text if isinstance(text, str) else "")
    except PathError as error:
        raise PatchError("not-supported", where, str(error)) from error
    return PathOperation(
        type=kind,
        path=path,
        name=name if isinstance(name, str) else "",
        value=parts.get("value"),
        numbers=tuple(cast("list[int]", numbers)),
    )


def _primitive(part: JsonObject | None) -> Json:
    """Return the value of a part, whatever its type, or None."""
    for key, value in part.items() if part is not None else ():
        if key.startswith("value"):
            return value
    return None


def apply_path_patch(resource: JsonObject, operations: tuple[PathOperation, ...]) -> JsonObject:
    """Return the resource after all operations, or refuse them all.

    Raises:
        PatchError: An operation does not fit the resource; located by its parameter.
    """
    apply: dict[str, Callable[[JsonObject, PathOperation], JsonObject]] = {
        "add": _add,
        "insert": _insert,
        "delete": _delete,
        "replace": _replace,
        "move": _move,
    }
    for index, operation in enumerate(operations):
        try:
            resource = apply[operation.type](resource, operation)
        except PathError as error:
            raise PatchError("value", f"Parameters.parameter[{index}]", str(error)) from error
    return resource


ListEdit: TypeAlias = Callable[[list[Json], Json], list[Json]]
"""Changes a list in place of items; the second argument is the item that the change brings."""


def _one(nodes: list[Node]) -> Node:
    """Return the only element of a path."""
    if len(nodes) != 1:
        raise PathError("the path must lead to exactly one element")
    return nodes[0]


def _write(value: Json, place: tuple[str | int, ...], new: JsonObject) -> Json:
    """Return a value with the object at a place replaced; parts beside it are shared."""
    if not place:
        return new
    step, rest = place[0], place[1:]
    if isinstance(step, int):
        items = list(cast("list[Json]", value))
        items[step] = _write(items[step], rest, new)
        return items
    members = cast("JsonObject", value)
    return {**members, step: _write(members[step], rest, new)}


def _rewrite(resource: JsonObject, place: tuple[str | int, ...], new: JsonObject) -> JsonObject:
    """Return the resource with the object at a place replaced."""
    return cast("JsonObject", _write(resource, place, new))


def _without_none(items: list[Json]) -> list[Json]:
    """Return a companion list without the nulls at its end."""
    while items and items[-1] is None:
        items.pop()
    return items


def _edit_list(parent: JsonObject, member: str, edit: ListEdit, item: Json = None) -> JsonObject:
    """Return an object with one of its lists changed, and the companions of its items with them."""
    items = cast("list[Json]", parent.get(member, []))
    companion = parent.get(f"_{member}")
    edited: JsonObject = {member: edit(list(items), item)}
    if isinstance(companion, list):
        padded = companion + [None] * (len(items) - len(companion))
        edited[f"_{member}"] = _without_none(edit(padded, None))
    return {key: value for key, value in {**parent, **edited}.items() if value != []}


def _object_at(resource: JsonObject, place: tuple[str | int, ...]) -> JsonObject:
    """Return the object at a place."""
    value: Json = resource
    for step in place:
        value = value[step]  # type: ignore[index]  # places come from evaluation, so they fit
    return cast("JsonObject", value)


def _named(element: Element, part: JsonObject | None) -> tuple[str, Json]:
    """Return the JSON member that a given value goes into, and the value.

    Raises:
        PathError: The value's type is not one of the element's.
    """
    for key, value in part.items() if part is not None else ():
        if key == "part" and not element.is_choice and is_complex_type(element.types[0]):
            return element.name, _from_parts(element.types[0], cast("list[Json]", value))
        if key == "resource" and element.types == ("Resource",):
            return element.name, value
        if key.startswith("value"):
            for type_name in element.types:
                if key == f"value{type_name[0].upper()}{type_name[1:]}":
                    return element.json_name(type_name), value
    raise PathError("the value has another type than the element")


def _from_parts(type_name: str, parts: list[Json]) -> JsonObject:
    """Return a backbone element given as parts, one per element of it."""
    built: JsonObject = {}
    for part in parts:
        if not isinstance(part, dict):
            continue
        element = element_of(type_name, str(part.get("name")))
        member, value = _named(element, part)
        if element.is_list:
            built[member] = [*cast("list[Json]", built.get(member, [])), value]
        else:
            built[member] = value
    return built


def _add(resource: JsonObject, operation: PathOperation) -> JsonObject:
    """Add an element below the one a path leads to."""
    node = _one(evaluate(resource, operation.path))
    if not isinstance(node.value, dict):
        raise PathError("nothing can be added below a primitive")
    element = element_of(node.type_name, operation.name)
    member, value = _named(element, operation.value)
    if element.is_list:
        return _rewrite(
            resource, node.place, _edit_list(node.value, member, lambda items, new: [*items, new], value)
        )
    if members_of(node.value, element):
        raise PathError("the element is there already")
    return _rewrite(resource, node.place, {**node.value, member: value})


def _list_of(resource: JsonObject, operation: PathOperation) -> tuple[Node, Element]:
    """Return the element that holds the list a path names, and the list's definition."""
    steps = operation.path.steps
    if not steps or not steps[-1].name:
        raise PathError("the path must end with the name of a list")
    parent = _one(evaluate(resource, operation.path, steps[:-1]))
    element = element_of(parent.type_name, steps[-1].name)
    if not element.is_list or not isinstance(parent.value, dict):
        raise PathError("the path must end with the name of a list")
    return parent, element


def _insert(resource: JsonObject, operation: PathOperation) -> JsonObject:
    """Insert an item into a list."""
    parent, element = _list_of(resource, operation)
    holder = cast("JsonObject", parent.value)
    (index,) = operation.numbers
    if index > len(cast("list[Json]", holder.get(element.name, []))):
        raise PathError("the index is beyond the end of the list")
    member, value = _named(element, operation.value)
    edited = _edit_list(holder, member, lambda items, new: [*items[:index], new, *items[index:]], value)
    return _rewrite(resource, parent.place, edited)


def _move(resource: JsonObject, operation: PathOperation) -> JsonObject:
    """Move an item within a list."""
    parent, element = _list_of(resource, operation)
    holder = cast("JsonObject", parent.value)
    source, destination = operation.numbers
    if max(source, destination) >= len(cast("list[Json]", holder.get(element.name, []))):
        raise PathError("the index is beyond the end of the list")

    def edit(items: list[Json], _: Json) -> list[Json]:
        items.insert(destination, items.pop(source))
        return items

    return _rewrite(resource, parent.place, _edit_list(holder, element.name, edit))


def _delete(resource: JsonObject, operation: PathOperation) -> JsonObject:
    """Remove an element, where there is one."""
    nodes = evaluate(resource, operation.path)
    if not nodes:
        return resource
    node = _one(nodes)
    if node.element is None:
        raise PathError("a resource cannot be deleted by a patch")
    *above, last = node.place
    if isinstance(last, int):
        member, index = cast("str", above[-1]), last
        holder = _object_at(resource, tuple(above[:-1]))
        edited = _edit_list(holder, member, lambda items, _: [*items[:index], *items[index + 1 :]])
        return _rewrite(resource, tuple(above[:-1]), edited)
    holder = _object_at(resource, tuple(above))
    kept = {key: value for key, value in holder.items() if key not in (last, f"_{last}")}
    return _rewrite(resource, tuple(above), kept)


def _replace(resource: JsonObject, operation: PathOperation) -> JsonObject:
    """Replace exactly one element."""
    node = _one(evaluate(resource, operation.path))
    if node.element is None:
        raise PathError("a resource cannot be replaced by a patch")
    member, value = _named(node.element, operation.value)
    *above, last = node.place
    if isinstance(last, int):
        holder = _object_at(resource, tuple(above[:-1]))
        edited = _edit_list(
            holder, member, lambda items, new: [*items[:last], new, *items[last + 1 :]], value
        )
        return _rewrite(resource, tuple(above[:-1]), edited)
    holder = _object_at(resource, tuple(above))
    replaced = {
        member if key == last else key: value if key == last else item
        for key, item in holder.items()
        if key != f"_{last}"
    }
    return _rewrite(resource, tuple(above), replaced)
