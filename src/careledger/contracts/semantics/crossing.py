"""Values across the border of a contract: copied in, copied out, frozen.

A contract never shares a list or dictionary with its caller or its host, and what crosses is bounded in depth,
length and, through the meter, in total: a value that contains itself, or the same part a billion times,
stops like anything else that costs too much.
"""

from careledger.contracts import costs
from careledger.contracts.faults import NOWHERE, ContractFault, FaultKind, Location
from careledger.contracts.limits import (
    INTEGER_MAX,
    KEY_INTEGER_MAX,
    KEY_LENGTH_MAX,
    LENGTH_MAX,
    VALUE_DEPTH_MAX,
)
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import FrozenDict, FrozenList, Value

_SHORT = 64


def copy_in(
    meter: Meter, value: object, fault: FaultKind, location: Location = NOWHERE, depth: int = 0
) -> Value:
    """Return a copy of a caller's or host's value, checked.

    Args:
        meter: pays for every value and for every byte of lists and dictionaries.
        value: None, bool, int, str, list, tuple (read as a list) or dict; exact types, no subclasses.
        fault: kind to report for whatever is not such a value or is beyond the limits.
        location: place to report.
        depth: levels already entered.

    Raises:
        ContractFault: `fault`, OUT_OF_GAS or OUT_OF_MEMORY.
    """
    kind = type(value)
    if isinstance(value, dict) and kind is dict:
        _enter(meter, len(value), costs.DICT_BYTES + costs.ENTRY_BYTES * len(value), depth, fault, location)
        copied: dict[str | int, Value] = {}
        for key, element in value.items():
            if type(key) is str:
                if len(key) > KEY_LENGTH_MAX or not key.isascii():
                    _check_text(meter, key, KEY_LENGTH_MAX, fault, location)
            elif type(key) is not int or not -KEY_INTEGER_MAX <= key <= KEY_INTEGER_MAX:
                raise ContractFault(fault, location)
            # The two commonest kinds are looked at here, for speed; `copy_in` would do the same.
            if (type(element) is str and len(element) <= _SHORT and element.isascii()) or (
                type(element) is int and -INTEGER_MAX <= element <= INTEGER_MAX
            ):
                copied[key] = element
            else:
                copied[key] = copy_in(meter, element, fault, location, depth + 1)
        return copied
    if isinstance(value, list | tuple) and kind in (list, tuple):
        _enter(meter, len(value), costs.LIST_BYTES + costs.SLOT_BYTES * len(value), depth, fault, location)
        return [copy_in(meter, element, fault, location, depth + 1) for element in value]
    if isinstance(value, str) and kind is str:
        if len(value) > _SHORT or not value.isascii():
            _check_text(meter, value, LENGTH_MAX, fault, location)
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and kind is int and -INTEGER_MAX <= value <= INTEGER_MAX:
        return value
    raise ContractFault(fault, location)


def _enter(
    meter: Meter, length: int, size_bytes: int, depth: int, fault: FaultKind, location: Location
) -> None:
    """Pay for a list or dictionary and for the values directly in it."""
    if length > LENGTH_MAX or depth >= VALUE_DEPTH_MAX:
        raise ContractFault(fault, location)
    meter.gas -= costs.VALUE * (length + 1)
    meter.memory -= size_bytes
    if meter.gas < 0:
        raise ContractFault(FaultKind.OUT_OF_GAS, location)
    if meter.memory < 0:
        raise ContractFault(FaultKind.OUT_OF_MEMORY, location)


def _check_text(meter: Meter, value: str, length_max: int, fault: FaultKind, location: Location) -> None:
    """Refuse a text that is too long or could not be written as UTF-8."""
    if len(value) > length_max:
        raise ContractFault(fault, location)
    meter.charge(len(value) >> costs.NUMBERS_SHIFT, location)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ContractFault(fault, location) from None


def copy_out(
    meter: Meter, value: Value, fault: FaultKind, location: Location = NOWHERE, depth: int = 0
) -> Value:
    """Return a copy of a contract's value for its caller or host; arguments and errors as for `copy_in`.

    Long texts are paid for each time they occur: in memory they are shared, written out they are not.
    """
    if isinstance(value, dict):
        _enter(meter, len(value), costs.DICT_BYTES + costs.ENTRY_BYTES * len(value), depth, fault, location)
        copied: dict[str | int, Value] = {}
        for key, element in value.items():
            kind = type(element)
            if kind is int or (isinstance(element, str) and len(element) <= _SHORT):
                copied[key] = element
            else:
                copied[key] = copy_out(meter, element, fault, location, depth + 1)
        return copied
    if isinstance(value, list):
        _enter(meter, len(value), costs.LIST_BYTES + costs.SLOT_BYTES * len(value), depth, fault, location)
        return [copy_out(meter, element, fault, location, depth + 1) for element in value]
    if isinstance(value, str) and len(value) > _SHORT:
        meter.charge(len(value) >> costs.TEXT_SHIFT, location)
        meter.allocate(costs.CHARACTER_BYTES * len(value), location)
    return value


def frozen(meter: Meter, value: Value, location: Location, depth: int = 0) -> Value:
    """Return a copy of a constant's value that the operations of the language refuse to change."""
    if isinstance(value, dict):
        size_bytes = costs.DICT_BYTES + costs.ENTRY_BYTES * len(value)
        _enter(meter, len(value), size_bytes, depth, FaultKind.TOO_DEEP, location)
        return FrozenDict(
            {key: frozen(meter, element, location, depth + 1) for key, element in value.items()}
        )
    if isinstance(value, list):
        size_bytes = costs.LIST_BYTES + costs.SLOT_BYTES * len(value)
        _enter(meter, len(value), size_bytes, depth, FaultKind.TOO_DEEP, location)
        return FrozenList([frozen(meter, element, location, depth + 1) for element in value])
    return value
