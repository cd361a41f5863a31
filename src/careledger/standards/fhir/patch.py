"""JSON Patch (RFC 6902) on FHIR values.

All six operations, the whole of JSON Pointer (RFC 6901), and limits: operations per patch, nesting, and values
copied, which could otherwise double with every operation. The document given is not changed; unchanged parts are
shared with the result. What may not be changed (``id``, ``meta``) and whether the result is a resource is for the
caller to check.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from careledger.standards.fhir.issues import FhirError, Issue, IssueType
from careledger.standards.fhir.json_types import Json, JsonObject

OPERATIONS_MAX = 1_000
VALUES_MAX = 1_000_000
DEPTH_MAX = 64
POINTER_STEPS_MAX = 64

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_BAD_ESCAPE = re.compile(r"~(?![01])")

OperationName: TypeAlias = Literal["add", "remove", "replace", "move", "copy", "test"]
_NEEDS: dict[str, str] = {
    "add": "value",
    "remove": "",
    "replace": "value",
    "move": "from",
    "copy": "from",
    "test": "value",
}


class PatchError(FhirError):
    """A patch is malformed or does not fit the document."""

    def __init__(self, code: IssueType, location: str, text: str, *, is_test_failure: bool = False) -> None:
        super().__init__(Issue(code, location, text))
        self.is_test_failure = is_test_failure
        """Whether a ``test`` operation found something else: a conflict rather than a mistake."""


class _MissingError(Exception):
    """A pointer leads nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a JSON Patch."""

    op: OperationName
    """What to do."""
    path: tuple[str, ...]
    """Where: the unescaped steps of a JSON Pointer."""
    source: tuple[str, ...] = ()
    """Of move and copy: where from."""
    value: Json = None
    """Of add, replace and test: the value."""


def parse_pointer(text: str) -> tuple[str, ...]:
    """Return the unescaped steps of a JSON Pointer (RFC 6901 §3).

    Raises:
        ValueError: The text is no pointer, or a very long one.
    """
    if text == "":
        return ()
    if not text.startswith("/") or _BAD_ESCAPE.search(text):
        raise ValueError("must be a JSON Pointer")
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))
    if len(steps) > POINTER_STEPS_MAX:
        raise ValueError(f"has more than {POINTER_STEPS_MAX} steps")
    return steps


def read_json_patch(value: Json) -> tuple[Operation, ...]:
    """Return the operations of a JSON Patch document.

    Raises:
        PatchError: The document is no JSON Patch; located by JSON pointer.
    """
    if not isinstance(value, list):
        raise PatchError("structure", "", "a JSON Patch is an array of operations")
    if len(value) > OPERATIONS_MAX:
        raise PatchError("too-costly", "", f"a JSON Patch has at most {OPERATIONS_MAX} operations")
    return tuple(_read_operation(f"/{index}", item) for index, item in enumerate(value))


def _read_operation(where: str, item: Json) -> Operation:
    """Return one operation."""
    if not isinstance(item, dict):
        raise PatchError("structure", where, "an operation is an object")
    op = item.get("op")
    if not isinstance(op, str) or op not in _NEEDS:
        raise PatchError("value", f"{where}/op", "must be add, remove, replace, move, copy or test")
    needed = _NEEDS[op]
    if needed and needed not in item:
        raise PatchError("required", f"{where}/{needed}", "is required")
    path = _read_pointer(f"{where}/path", item.get("path"))
    source = _read_pointer(f"{where}/from", item["from"]) if needed == "from" else ()
    if op == "move" and path[: len(source)] == source and path != source:
        raise PatchError("value", f"{where}/from", "a value cannot be moved into itself")
    return Operation(op=cast("OperationName", op), path=path, source=source, value=item.get("value"))


def _read_pointer(where: str, text: Json) -> tuple[str, ...]:
    """Return the steps of a pointer in an operation."""
    if not isinstance(text, str):
        raise PatchError("required", where, "must be a JSON Pointer")
    try:
        return parse_pointer(text)
    except ValueError as error:
        raise PatchError("value", where, str(error)) from error


def apply_json_patch(document: JsonObject, operations: tuple[Operation, ...]) -> JsonObject:
    """Return the document after all operations, or refuse them all.

    Raises:
        PatchError: An operation does not fit the document; located by the operation's index.
    """
    result: Json = document
    values_left = VALUES_MAX
    for index, operation in enumerate(operations):
        where = f"/{index}"
        try:
            if operation.op in ("move", "copy"):
                # Sharing makes copies free here, but not where the result is written out or walked.
                source = _find(result, operation.source)
                values_left -= _measure(source, values_left) if isinstance(source, dict | list) else 0
            result = _apply(result, operation, where)
        except _MissingError as error:
            raise PatchError("not-found", where, "the path leads nowhere in the document") from error
    if not isinstance(result, dict):
        raise PatchError("structure", "", "the result is no object")
    _measure(result, VALUES_MAX)
    return result


def _apply(document: Json, operation: Operation, where: str) -> Json:
    """Return the document after one operation."""
    if operation.op == "add":
        return _add(document, operation.path, operation.value)
    if operation.op == "remove":
        return _remove(document, operation.path)
    if operation.op == "replace":
        return _replace(document, operation.path, operation.value)
    if operation.op == "test":
        if not is_equal(_find(document, operation.path), operation.value):
            text = "the document holds another value than the test expects"
            raise PatchError("conflict", where, text, is_test_failure=True)
        return document
    moved = _find(document, operation.source)
    if operation.op == "move":
        document = _remove(document, operation.source)
    return _add(document, operation.path, moved)


def _index(step: str, length: int) -> int:
    """Return the position a step names in an array that has ``length`` places."""
    if not _INDEX.fullmatch(step) or int(step) >= length:
        raise _MissingError
    return int(step)


def _child(value: Json, step: str) -> Json:
    """Return what one step leads to."""
    if isinstance(value, dict):
        if step not in value:
            raise _MissingError
        return value[step]
    if isinstance(value, list):
        return value[_index(step, len(value))]
    raise _MissingError


def _find(document: Json, path: tuple[str, ...]) -> Json:
    """Return the value at a path."""
    for step in path:
        document = _child(document, step)
    return document


def _with_child(value: Json, step: str, child: Json) -> Json:
    """Return a copy of a container with one child replaced."""
    if isinstance(value, dict):
        return {**value, step: child}
    items = list(cast("list[Json]", value))
    items[_index(step, len(items))] = child
    return items


def _add(document: Json, path: tuple[str, ...], value: Json) -> Json:
    """Return the document with a value added; into an array before the item at the index, or at ``-`` the end."""
    if not path:
        return value
    step = path[0]
    if len(path) > 1:
        return _with_child(document, step, _add(_child(document, step), path[1:], value))
    if isinstance(document, dict):
        return {**document, step: value}
    if isinstance(document, list):
        at = len(document) if step == "-" else _index(step, len(document) + 1)
        return [*document[:at], value, *document[at:]]
    raise _MissingError


def _remove(document: Json, path: tuple[str, ...]) -> Json:
    """Return the document without the value at a path."""
    if not path:
        raise _MissingError
    step = path[0]
    child = _child(document, step)
    if len(path) > 1:
        return _with_child(document, step, _remove(child, path[1:]))
    if isinstance(document, dict):
        return {key: item for key, item in document.items() if key != step}
    items = cast("list[Json]", document)
    at = int(step)
    return [*items[:at], *items[at + 1 :]]


def _replace(document: Json, path: tuple[str, ...], value: Json) -> Json:
    """Return the document with the value at a path replaced."""
    if not path:
        return value
    child = _child(document, path[0])
    return _with_child(document, path[0], _replace(child, path[1:], value))


def is_equal(one: Json, other: Json) -> bool:
    """Return whether two values are equal as JSON: numbers by value, ``true`` never equal to 1 (RFC 6902 §4.6)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_equal(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    return one == other


def _measure(value: Json, values_max: int) -> int:
    """Return how many members and items a value holds, its shared parts counted each time.

    Raises:
        PatchError: It holds more than ``values_max``, or is nested deeper than ``DEPTH_MAX``.
    """
    count = 0
    level = [value]
    for _ in range(DEPTH_MAX):
        inner: list[Json] = []
        for container in level:
            items = container.values() if isinstance(container, dict) else cast("list[Json]", container)
            count += len(items)
            if count > values_max:
                raise PatchError("too-costly", "", f"the patch makes more than {VALUES_MAX} values")
            inner += (item for item in items if isinstance(item, dict | list))
        if not inner:
            return count
        level = inner
    raise PatchError("too-costly", "", f"the patch makes values nested deeper than {DEPTH_MAX}")
