"""What the operators of the language do to values.

Every function takes the meter first and the location to report last, charges before it works, and raises
`ContractFault` for whatever the language does not define. The engines may inline the case of two small
whole numbers and must come here for everything else.
"""

from careledger.contracts import costs
from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.limits import (
    INTEGER_MAX,
    KEY_INTEGER_MAX,
    KEY_LENGTH_MAX,
    LENGTH_MAX,
    VALUE_DEPTH_MAX,
)
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import Expression, FrozenDict, FrozenList, Literal, Value

_SEARCHED_PLAINLY = 2_500
_PART_SEARCHED_PLAINLY = 100
_SEARCH_SHIFT = 7
_SHORT = 64
"""Texts up to this length are handled within the cost of the node."""


def bounded(number: int, location: Location) -> int:
    """Return a number that lies within 127 bits; NUMBER_TOO_LARGE otherwise."""
    if -INTEGER_MAX <= number <= INTEGER_MAX:
        return number
    raise ContractFault(FaultKind.NUMBER_TOO_LARGE, location)


def new_text(meter: Meter, length: int, location: Location) -> None:
    """Pay for a new text of so many characters; TOO_LONG beyond the limit."""
    if length > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(costs.MAKING + (length >> costs.TEXT_SHIFT), location)
    meter.allocate(costs.TEXT_BYTES + costs.CHARACTER_BYTES * length, location)


def new_list(meter: Meter, length: int, location: Location) -> None:
    """Pay for a new list of so many elements; TOO_LONG beyond the limit."""
    if length > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(costs.MAKING + (length >> costs.COPY_SHIFT), location)
    meter.allocate(costs.LIST_BYTES + costs.SLOT_BYTES * length, location)


def new_dict(meter: Meter, length: int, location: Location) -> None:
    """Pay for a new dictionary of so many entries; TOO_LONG beyond the limit."""
    if length > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(costs.MAKING + (length >> costs.NUMBERS_SHIFT), location)
    meter.allocate(costs.DICT_BYTES + costs.ENTRY_BYTES * length, location)


def add(meter: Meter, left: Value, right: Value, location: Location) -> Value:
    """Return `left + right`: a sum, or two texts or lists joined."""
    if type(left) is int and type(right) is int:
        return bounded(left + right, location)
    if isinstance(left, str) and isinstance(right, str):
        new_text(meter, len(left) + len(right), location)
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        new_list(meter, len(left) + len(right), location)
        return [*left, *right]
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def add_in_place(meter: Meter, left: Value, right: Value, location: Location) -> Value:
    """Return what `left += right` leaves in `left`; a list is extended itself, not copied."""
    if not isinstance(left, list) or not isinstance(right, list):
        return add(meter, left, right, location)
    extend(meter, left, right, location)
    return left


def extend(meter: Meter, target: list[Value], more: list[Value], location: Location) -> None:
    """Append every element of one list to another."""
    require_changeable(target, location)
    if len(target) + len(more) > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(len(more) >> costs.COPY_SHIFT, location)
    meter.allocate(costs.SLOT_BYTES * len(more), location)
    target.extend(more)


def subtract(_meter: Meter, left: Value, right: Value, location: Location) -> Value:
    """Return `left - right` of two numbers."""
    if type(left) is int and type(right) is int:
        return bounded(left - right, location)
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def multiply(meter: Meter, left: Value, right: Value, location: Location) -> Value:
    """Return `left * right`: a product, or a text or list repeated."""
    if type(left) is int and type(right) is int:
        return bounded(left * right, location)
    if type(left) is int:
        left, right = right, left
    if type(right) is not int:
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    times = max(right, 0)
    if isinstance(left, str):
        new_text(meter, len(left) * times, location)
        return left * (times if left else 0)
    if isinstance(left, list):
        new_list(meter, len(left) * times, location)
        return list(left) * (times if left else 0)
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def floor_divide(_meter: Meter, left: Value, right: Value, location: Location) -> Value:
    """Return `left // right`, rounded towards minus infinity."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise ContractFault(FaultKind.DIVISION_BY_ZERO, location)
        return left // right
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def modulo(_meter: Meter, left: Value, right: Value, location: Location) -> Value:
    """Return `left % right`, which has the sign of `right`."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise ContractFault(FaultKind.DIVISION_BY_ZERO, location)
        return left % right
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def negate(_meter: Meter, operand: Value, location: Location) -> Value:
    """Return `-operand`."""
    if type(operand) is int:
        return -operand
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def plus(_meter: Meter, operand: Value, location: Location) -> Value:
    """Return `+operand`, which is the number itself."""
    if type(operand) is int:
        return operand
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def is_equal(meter: Meter, left: Value, right: Value, location: Location, depth: int = 0) -> bool:
    """Return `left == right`; values of different kinds differ, `True` and `1` too."""
    if left is None or isinstance(left, int):
        return type(left) is type(right) and left == right
    if isinstance(left, str):
        if not isinstance(right, str) or len(left) != len(right):
            return False
        if len(left) > _SHORT:
            meter.charge(len(left) >> costs.TEXT_SHIFT, location)
        return left == right
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        _descend(meter, len(left), depth, location)
        for one, other in zip(left, right, strict=True):  # noqa: SIM110 - a generator costs half as much again
            if not is_equal(meter, one, other, location, depth + 1):
                return False
        return True
    if not isinstance(right, dict) or len(left) != len(right):
        return False
    _descend(meter, len(left), depth, location)
    for key, one in left.items():
        if key not in right or not is_equal(meter, one, right[key], location, depth + 1):
            return False
    return True


def _descend(meter: Meter, length: int, depth: int, location: Location) -> None:
    if depth >= VALUE_DEPTH_MAX:
        raise ContractFault(FaultKind.TOO_DEEP, location)
    meter.charge(costs.COMPARED * (length + 1), location)


def is_less(meter: Meter, left: Value, right: Value, location: Location) -> bool:
    """Return `left < right` of two numbers, or of two texts by code point."""
    if type(left) is int and type(right) is int:
        return left < right
    if isinstance(left, str) and isinstance(right, str):
        meter.charge(min(len(left), len(right)) >> costs.TEXT_SHIFT, location)
        return left < right
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def contains(meter: Meter, element: Value, container: Value, location: Location) -> bool:
    """Return `element in container`: of a list, a dictionary's keys, or a text's parts."""
    if isinstance(container, dict):
        return checked_key(element, location) in container
    if isinstance(container, list):
        return position_of(meter, element, container, location) >= 0
    if isinstance(container, str) and isinstance(element, str):
        pay_search(meter, container, element, location)
        return element in container
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def pay_search(meter: Meter, text: str, part: str, location: Location) -> None:
    """Pay for looking for a part in a text.

    The interpreter compares position by position, quadratically at worst, in short texts and for short parts, and
    searches in linear time otherwise.
    """
    compared = len(part) if len(text) < _SEARCHED_PLAINLY else min(len(part), _PART_SEARCHED_PLAINLY)
    positions = max(len(text) - len(part), 0)
    meter.charge((positions * compared >> _SEARCH_SHIFT) + (len(text) >> costs.TEXT_SHIFT), location)


def position_of(meter: Meter, element: Value, elements: list[Value], location: Location) -> int:
    """Return the first position of an equal element, or -1."""
    meter.charge(costs.COMPARED * len(elements), location)
    for position, candidate in enumerate(elements):
        if is_equal(meter, candidate, element, location):
            return position
    return -1


def checked_key(key: Value, location: Location) -> str | int:
    """Return a value that may be a dictionary key; BAD_KEY otherwise."""
    if isinstance(key, str):
        if len(key) <= KEY_LENGTH_MAX:
            return key
    elif type(key) is int and -KEY_INTEGER_MAX <= key <= KEY_INTEGER_MAX:
        return key
    raise ContractFault(FaultKind.BAD_KEY, location)


def element_at(_meter: Meter, container: Value, key: Value, location: Location) -> Value:
    """Return `container[key]`; a negative position counts from the end."""
    if isinstance(container, dict):
        checked = checked_key(key, location)
        if checked in container:
            return container[checked]
        raise ContractFault(FaultKind.NO_SUCH_KEY, location)
    if type(key) is int and isinstance(container, list | str):
        if -len(container) <= key < len(container):
            return container[key]
        raise ContractFault(FaultKind.NO_SUCH_ELEMENT, location)
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def part_of(meter: Meter, container: Value, start: Value, stop: Value, location: Location) -> Value:
    """Return `container[start:stop]`; bounds beyond the ends mean the ends."""
    for bound in (start, stop):
        if bound is not None and type(bound) is not int:
            raise ContractFault(FaultKind.WRONG_TYPE, location)
    if isinstance(container, str | list):
        first, last, _ = slice(start, stop).indices(len(container))
        length = max(last - first, 0)
        if isinstance(container, str):
            new_text(meter, length, location)
        else:
            new_list(meter, length, location)
        return container[first:last]
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def require_changeable(container: Value, location: Location) -> None:
    """Raise CONSTANT_CHANGED for the value of a constant."""
    if isinstance(container, FrozenList | FrozenDict):
        raise ContractFault(FaultKind.CONSTANT_CHANGED, location)


def assign_element(meter: Meter, container: Value, key: Value, value: Value, location: Location) -> None:
    """Do `container[key] = value`; a list does not grow this way."""
    if type(container) is dict:
        put(meter, container, key, value, location)
    elif type(container) is list and type(key) is int:
        if not -len(container) <= key < len(container):
            raise ContractFault(FaultKind.NO_SUCH_ELEMENT, location)
        meter.allocate(costs.SLOT_BYTES, location)
        container[key] = value
    else:
        require_changeable(container, location)
        raise ContractFault(FaultKind.WRONG_TYPE, location)


def put(
    meter: Meter, container: dict[str | int, Value], key: Value, value: Value, location: Location
) -> None:
    """Set one entry of a dictionary."""
    if type(key) is not str or len(key) > KEY_LENGTH_MAX:
        key = checked_key(key, location)
    if len(container) >= LENGTH_MAX and key not in container:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.memory -= costs.ENTRY_BYTES
    if meter.memory < 0:
        raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
    container[key] = value


def append(meter: Meter, target: list[Value], value: Value, location: Location) -> None:
    """Add one element at the end of a list."""
    if len(target) >= LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.memory -= costs.SLOT_BYTES
    if meter.memory < 0:
        raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
    target.append(value)


def elements_of(meter: Meter, iterable: Value, location: Location) -> list[Value]:
    """Return what a loop goes over: the elements or keys as they stand now, in a list of its own."""
    if not isinstance(iterable, list | dict):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    length = len(iterable)
    meter.gas -= length >> (costs.COPY_SHIFT if isinstance(iterable, list) else costs.WALK_SHIFT)
    if meter.gas < 0:
        raise ContractFault(FaultKind.OUT_OF_GAS, location)
    meter.memory -= costs.LIST_BYTES + costs.SLOT_BYTES * length
    if meter.memory < 0:
        raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
    return list(iterable)


def unpacked(_meter: Meter, value: Value, count: int, location: Location) -> list[Value]:
    """Return a list that has exactly `count` elements."""
    if not isinstance(value, list):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    if len(value) != count:
        raise ContractFault(FaultKind.WRONG_COUNT, location)
    return value


def dict_of(meter: Meter, pairs: list[tuple[Value, Value]], location: Location) -> Value:
    """Return a new dictionary; the same key twice is BAD_KEY."""
    meter.allocate(costs.DICT_BYTES + costs.ENTRY_BYTES * len(pairs), location)
    made = {checked_key(key, location): value for key, value in pairs}
    if len(made) != len(pairs):
        raise ContractFault(FaultKind.BAD_KEY, location)
    return made


def literal_key(node: Expression) -> str | None:
    """Return the key a node certainly is, a text short enough; None where that is not certain."""
    if isinstance(node, Literal) and isinstance(node.value, str) and len(node.value) <= KEY_LENGTH_MAX:
        return node.value
    return None


def literal_keys(entries: tuple[tuple[Expression, Expression], ...]) -> list[str] | None:
    """Return the keys of a dictionary display if all are literal and differ; None otherwise."""
    keys = [key for node, _ in entries if (key := literal_key(node)) is not None]
    return keys if len(keys) == len(entries) and len(dict.fromkeys(keys)) == len(keys) else None


def is_compared_at_once(value: Value) -> bool:
    """Tell whether comparing anything with this literal costs no more than the node itself."""
    return not isinstance(value, list | dict) and not (isinstance(value, str) and len(value) > _SHORT)
