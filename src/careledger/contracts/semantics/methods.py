"""The methods of texts, lists and dictionaries: a table by kind of value, and nothing outside it.

Changes of case and character classes go by ASCII alone, because Unicode's tables differ between interpreters.
Each method is called with the meter, the location, the receiver and its arguments by position.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from careledger.contracts import costs
from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.limits import LENGTH_MAX
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.library import list_value, pairs_of, text, whole_number
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import FrozenDict, FrozenList, Value

Entries = dict[str | int, Value]

_SPACE: Final = " \t\n\r\v\f"


@dataclass(frozen=True, slots=True)
class Method:
    """One method of one kind of value; `call(meter, location, receiver, *arguments)`."""

    least: int
    most: int
    call: Callable[..., Value]


def _pay_text(meter: Meter, receiver: str, location: Location) -> None:
    op.new_text(meter, len(receiver), location)


def _upper(meter: Meter, location: Location, receiver: str) -> Value:
    _pay_case(meter, receiver, location)
    return receiver.encode().upper().decode()


def _lower(meter: Meter, location: Location, receiver: str) -> Value:
    _pay_case(meter, receiver, location)
    return receiver.encode().lower().decode()


def _pay_case(meter: Meter, receiver: str, location: Location) -> None:
    """Pay for a text in other letters; on bytes of UTF-8, upper and lower touch ASCII alone."""
    meter.charge(len(receiver) >> costs.NUMBERS_SHIFT, location)
    _pay_text(meter, receiver, location)


def _strip(meter: Meter, location: Location, receiver: str) -> Value:
    _pay_text(meter, receiver, location)
    return receiver.strip(_SPACE)


def _lstrip(meter: Meter, location: Location, receiver: str) -> Value:
    _pay_text(meter, receiver, location)
    return receiver.lstrip(_SPACE)


def _rstrip(meter: Meter, location: Location, receiver: str) -> Value:
    _pay_text(meter, receiver, location)
    return receiver.rstrip(_SPACE)


def _startswith(meter: Meter, location: Location, receiver: str, prefix: Value) -> Value:
    meter.charge(len(receiver) >> costs.TEXT_SHIFT, location)
    return receiver.startswith(text(prefix, location))


def _endswith(meter: Meter, location: Location, receiver: str, suffix: Value) -> Value:
    meter.charge(len(receiver) >> costs.TEXT_SHIFT, location)
    return receiver.endswith(text(suffix, location))


def _isdigit(meter: Meter, location: Location, receiver: str) -> Value:
    meter.charge(len(receiver) >> costs.NUMBERS_SHIFT, location)
    return receiver.isascii() and receiver.isdigit()


def _find(meter: Meter, location: Location, receiver: str, part: Value) -> Value:
    sought = text(part, location)
    op.pay_search(meter, receiver, sought, location)
    return receiver.find(sought)


def _occurrences(meter: Meter, location: Location, receiver: str, part: Value) -> int:
    sought = text(part, location)
    if not sought:
        raise ContractFault(FaultKind.BAD_VALUE, location)
    op.pay_search(meter, receiver, sought, location)
    return receiver.count(sought)


def _split(meter: Meter, location: Location, receiver: str, separator: Value) -> Value:
    count = _occurrences(meter, location, receiver, separator) + 1
    if count > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(count, location)
    meter.allocate(costs.TEXT_BYTES * count, location)
    _pay_text(meter, receiver, location)
    op.new_list(meter, count, location)
    return [*receiver.split(text(separator, location))]


def _replace(meter: Meter, location: Location, receiver: str, old: Value, new: Value) -> Value:
    replacement = text(new, location)
    count = _occurrences(meter, location, receiver, old)
    meter.charge(count >> costs.FOLD_SHIFT, location)
    before = text(old, location)
    op.new_text(meter, len(receiver) + count * (len(replacement) - len(before)), location)
    return receiver.replace(before, replacement)


def _join(meter: Meter, location: Location, receiver: str, parts: Value) -> Value:
    elements = list_value(parts, location)
    meter.charge(len(elements), location)
    texts = [text(element, location) for element in elements]
    length = sum([len(part) for part in texts]) + len(receiver) * max(len(texts) - 1, 0)
    op.new_text(meter, length, location)
    return receiver.join(texts)


def _append(meter: Meter, location: Location, receiver: list[Value], value: Value) -> Value:
    if len(receiver) >= LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.memory -= costs.SLOT_BYTES
    if meter.memory < 0:
        raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
    receiver.append(value)
    return None


def _extend(meter: Meter, location: Location, receiver: list[Value], more: Value) -> Value:
    op.extend(meter, receiver, list_value(more, location), location)
    return None


def _insert(meter: Meter, location: Location, receiver: list[Value], position: Value, value: Value) -> Value:
    where = max(-LENGTH_MAX, min(whole_number(position, location), LENGTH_MAX))
    if len(receiver) >= LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(len(receiver) >> costs.COPY_SHIFT, location)
    meter.allocate(costs.SLOT_BYTES, location)
    receiver.insert(where, value)
    return None


def _list_pop(meter: Meter, location: Location, receiver: list[Value], position: Value = -1) -> Value:
    where = whole_number(position, location)
    if not -len(receiver) <= where < len(receiver):
        raise ContractFault(FaultKind.NO_SUCH_ELEMENT, location)
    meter.charge(len(receiver) >> costs.COPY_SHIFT, location)
    return receiver.pop(where)


def _index(meter: Meter, location: Location, receiver: list[Value], value: Value) -> Value:
    position = op.position_of(meter, value, receiver, location)
    if position < 0:
        raise ContractFault(FaultKind.NO_SUCH_ELEMENT, location)
    return position


def _remove(meter: Meter, location: Location, receiver: list[Value], value: Value) -> Value:
    position = op.position_of(meter, value, receiver, location)
    if position < 0:
        raise ContractFault(FaultKind.NO_SUCH_ELEMENT, location)
    del receiver[position]
    return None


def _clear(_meter: Meter, _location: Location, receiver: list[Value] | Entries) -> Value:
    receiver.clear()
    return None


def _get(_meter: Meter, location: Location, receiver: Entries, key: Value, default: Value = None) -> Value:
    return receiver.get(op.checked_key(key, location), default)


def _keys(meter: Meter, location: Location, receiver: Entries) -> Value:
    meter.charge(len(receiver) >> costs.WALK_SHIFT, location)
    op.new_list(meter, len(receiver), location)
    return [*receiver]


def _values(meter: Meter, location: Location, receiver: Entries) -> Value:
    meter.charge(len(receiver) >> costs.WALK_SHIFT, location)
    op.new_list(meter, len(receiver), location)
    return [*receiver.values()]


def _items(meter: Meter, location: Location, receiver: Entries) -> Value:
    return pairs_of(meter, receiver, location)


_ABSENT: Final[list[Value]] = []
"""Stands for a default that was not given."""


def _dict_pop(
    meter: Meter, location: Location, receiver: Entries, key: Value, default: Value = _ABSENT
) -> Value:
    """Remove an entry.

    The interpreter keeps the place of a removed entry and walks over it in every loop, so a dictionary that has
    shrunk to a power of two is rebuilt: what a loop walks over stays within twice what it is charged for.
    """
    checked = op.checked_key(key, location)
    if checked in receiver:
        value = receiver.pop(checked)
        left = len(receiver)
        if left & (left - 1) == 0:
            meter.charge(left >> costs.NUMBERS_SHIFT, location)
            entries = dict(receiver)
            receiver.clear()
            receiver.update(entries)
        return value
    if default is _ABSENT:
        raise ContractFault(FaultKind.NO_SUCH_KEY, location)
    return default


def _setdefault(
    meter: Meter, location: Location, receiver: Entries, key: Value, default: Value = None
) -> Value:
    checked = op.checked_key(key, location)
    if checked not in receiver:
        op.put(meter, receiver, checked, default, location)
    return receiver[checked]


def _update(meter: Meter, location: Location, receiver: Entries, more: Value) -> Value:
    if not isinstance(more, dict):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    if len(receiver) + len(more) > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(len(more) >> costs.NUMBERS_SHIFT, location)
    meter.allocate(costs.ENTRY_BYTES * len(more), location)
    receiver.update(more)
    return None


def _constant_changed(_meter: Meter, location: Location, *_: Value) -> Value:
    raise ContractFault(FaultKind.CONSTANT_CHANGED, location)


_TEXT: Final = {
    "upper": Method(0, 0, _upper),
    "lower": Method(0, 0, _lower),
    "strip": Method(0, 0, _strip),
    "lstrip": Method(0, 0, _lstrip),
    "rstrip": Method(0, 0, _rstrip),
    "startswith": Method(1, 1, _startswith),
    "endswith": Method(1, 1, _endswith),
    "isdigit": Method(0, 0, _isdigit),
    "find": Method(1, 1, _find),
    "count": Method(1, 1, _occurrences),
    "split": Method(1, 1, _split),
    "replace": Method(2, 2, _replace),
    "join": Method(1, 1, _join),
}
_LIST_READ: Final = {"index": Method(1, 1, _index)}
_LIST_CHANGE: Final = {
    "append": Method(1, 1, _append),
    "extend": Method(1, 1, _extend),
    "insert": Method(2, 2, _insert),
    "pop": Method(0, 1, _list_pop),
    "remove": Method(1, 1, _remove),
    "clear": Method(0, 0, _clear),
}
_DICT_READ: Final = {
    "get": Method(1, 2, _get),
    "keys": Method(0, 0, _keys),
    "values": Method(0, 0, _values),
    "items": Method(0, 0, _items),
}
_DICT_CHANGE: Final = {
    "pop": Method(1, 2, _dict_pop),
    "setdefault": Method(1, 2, _setdefault),
    "update": Method(1, 1, _update),
    "clear": Method(0, 0, _clear),
}


def _refusing(methods: dict[str, Method]) -> dict[str, Method]:
    """Return the same methods, each refusing to change a constant."""
    return {name: Method(method.least, method.most, _constant_changed) for name, method in methods.items()}


METHODS: Final[dict[type, dict[str, Method]]] = {
    str: _TEXT,
    list: _LIST_READ | _LIST_CHANGE,
    dict: _DICT_READ | _DICT_CHANGE,
    FrozenList: _LIST_READ | _refusing(_LIST_CHANGE),
    FrozenDict: _DICT_READ | _refusing(_DICT_CHANGE),
}
"""Every method by exact type of the receiver."""


def arities(name: str) -> tuple[tuple[int, int], ...]:
    """Return the fewest and most arguments of each method of this name; nothing for an unknown name."""
    return tuple(
        (methods[name].least, methods[name].most)
        for kind, methods in METHODS.items()
        if kind in (str, list, dict) and name in methods
    )


def calls_by_type(name: str, count: int) -> dict[type, Callable[..., Value]]:
    """Return what to call for each type of receiver that has the method and lets it have `count` arguments."""
    return {
        kind: methods[name].call
        for kind, methods in METHODS.items()
        if name in methods and methods[name].least <= count <= methods[name].most
    }
