"""The functions of the language.

Owns their signatures and what they do to values; each is called with the meter, the location and its arguments by
position, absent optional ones as None. Arithmetic itself is in `money`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from careledger.contracts import costs
from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.limits import INTEGER_DIGITS_MAX, LENGTH_MAX
from careledger.contracts.semantics import money
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import Value

_DIGITS: Final = frozenset("0123456789")
_DATE_LENGTH: Final = 10
_AMOUNT_NAME_LENGTH_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class LibraryFunction:
    """One function of the language.

    Attributes:
        parameters: names, in order.
        required: how many of them must be given.
        gas: taken for every call, besides that of its arguments.
        call: what it does: `call(meter, location, *arguments)`.
        variadic: further arguments may follow.
    """

    parameters: tuple[str, ...]
    required: int
    gas: int
    call: Callable[..., Value]
    variadic: bool = False


def whole_number(value: Value, location: Location) -> int:
    """Return a value that is a number; WRONG_TYPE otherwise."""
    if type(value) is int:
        return value
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def text(value: Value, location: Location) -> str:
    """Return a value that is a text; WRONG_TYPE otherwise."""
    if isinstance(value, str):
        return value
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def list_value(value: Value, location: Location) -> list[Value]:
    """Return a value that is a list; WRONG_TYPE otherwise."""
    if isinstance(value, list):
        return value
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def _len(_meter: Meter, location: Location, value: Value) -> Value:
    if isinstance(value, str | list | dict):
        return len(value)
    raise ContractFault(FaultKind.WRONG_TYPE, location)


def _range(meter: Meter, location: Location, first: Value, second: Value = None, step: Value = None) -> Value:
    start = whole_number(first, location)
    stop = start
    if second is None:
        start = 0
    else:
        stop = whole_number(second, location)
    stride = 1 if step is None else whole_number(step, location)
    if stride == 0:
        raise ContractFault(FaultKind.BAD_VALUE, location)
    numbers = range(start, stop, stride)
    count = max(0, -((start - stop) // stride)) if stride > 0 else max(0, -((stop - start) // -stride))
    if count > LENGTH_MAX:
        raise ContractFault(FaultKind.TOO_LONG, location)
    meter.charge(count >> costs.NUMBERS_SHIFT, location)
    op.new_list(meter, count, location)
    return list(numbers)


def _extreme(meter: Meter, location: Location, *values: Value, least: bool) -> Value:
    """Return the least or greatest of several values, or of one list."""
    candidates = list(values) if len(values) > 1 else list_value(values[0], location)
    if not candidates:
        raise ContractFault(FaultKind.BAD_VALUE, location)
    meter.charge(len(candidates), location)
    numbers = [candidate for candidate in candidates if type(candidate) is int]
    if len(numbers) == len(candidates):
        return min(numbers) if least else max(numbers)
    best = candidates[0]
    if not isinstance(best, str):
        whole_number(best, location)
    for candidate in candidates[1:]:
        one, other = (candidate, best) if least else (best, candidate)
        if op.is_less(meter, one, other, location):
            best = candidate
    return best


def _min(meter: Meter, location: Location, *values: Value) -> Value:
    if len(values) == 2:
        first, second = values
        if type(first) is int and type(second) is int:
            return min(first, second)
    return _extreme(meter, location, *values, least=True)


def _max(meter: Meter, location: Location, *values: Value) -> Value:
    if len(values) == 2:
        first, second = values
        if type(first) is int and type(second) is int:
            return max(first, second)
    return _extreme(meter, location, *values, least=False)


def _abs(_meter: Meter, location: Location, value: Value) -> Value:
    return abs(whole_number(value, location))


def _sum(meter: Meter, location: Location, values: Value) -> Value:
    elements = list_value(values, location)
    meter.charge(len(elements) >> costs.FOLD_SHIFT, location)
    return op.bounded(sum([whole_number(element, location) for element in elements]), location)


def _sum_of(meter: Meter, location: Location, entries: Value, key: Value) -> Value:
    """Return the sum of what every dictionary of a list has under one key."""
    elements = list_value(entries, location)
    checked = op.checked_key(key, location)
    meter.charge(costs.VALUE * len(elements), location)
    total = 0
    for element in elements:
        value = element[checked] if type(element) is dict and checked in element else None
        if type(value) is not int:
            value = whole_number(op.element_at(meter, element, checked, location), location)
        total += value
    return op.bounded(total, location)


def _sorted(meter: Meter, location: Location, values: Value, reverse: Value = None) -> Value:
    if reverse is not None and type(reverse) is not bool:
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    elements = list_value(values, location)
    count = len(elements)
    meter.charge(count, location)
    op.new_list(meter, count, location)
    numbers = [element for element in elements if type(element) is int]
    if len(numbers) == count:
        meter.charge(count * count.bit_length() >> 2, location)
        return [*sorted(numbers, reverse=bool(reverse))]
    texts = [element for element in elements if isinstance(element, str)]
    if len(texts) != count:
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    per_comparison = 1 + (max(len(element) for element in texts) >> costs.TEXT_SHIFT)
    meter.charge(count * count.bit_length() * per_comparison, location)
    return [*sorted(texts, reverse=bool(reverse))]


def _reversed(meter: Meter, location: Location, values: Value) -> Value:
    elements = list_value(values, location)
    op.new_list(meter, len(elements), location)
    return elements[::-1]


def _str(meter: Meter, location: Location, value: Value) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    op.new_text(meter, INTEGER_DIGITS_MAX + 1, location)
    return str(value)


def _int(_meter: Meter, location: Location, value: Value) -> Value:
    if type(value) is int:
        return value
    digits = text(value, location)
    unsigned = digits[1:] if digits[:1] in ("-", "+") else digits
    if not 1 <= len(unsigned) <= INTEGER_DIGITS_MAX or not _DIGITS.issuperset(unsigned):
        raise ContractFault(FaultKind.BAD_VALUE, location)
    return op.bounded(int(digits), location)


def _bool(_meter: Meter, _location: Location, value: Value) -> Value:
    return bool(value)


def _list(meter: Meter, location: Location, value: Value) -> Value:
    return op.elements_of(meter, value, location)


def _dict(meter: Meter, location: Location, value: Value) -> Value:
    if not isinstance(value, dict):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    op.new_dict(meter, len(value), location)
    return dict(value)


def _any(meter: Meter, location: Location, values: Value) -> Value:
    elements = list_value(values, location)
    meter.charge(len(elements) >> costs.FOLD_SHIFT, location)
    return any(elements)


def _all(meter: Meter, location: Location, values: Value) -> Value:
    elements = list_value(values, location)
    meter.charge(len(elements) >> costs.FOLD_SHIFT, location)
    return all(elements)


def _pay_pairs(meter: Meter, count: int, location: Location) -> None:
    """Pay for a list of so many lists of two."""
    meter.charge(costs.PAIR * count, location)
    meter.allocate(count * (costs.LIST_BYTES + 2 * costs.SLOT_BYTES), location)
    op.new_list(meter, count, location)


def _enumerate(meter: Meter, location: Location, values: Value, start: Value = None) -> Value:
    elements = list_value(values, location)
    first = 0 if start is None else whole_number(start, location)
    op.bounded(first + len(elements), location)
    _pay_pairs(meter, len(elements), location)
    return [[number, element] for number, element in enumerate(elements, first)]


def _zip(meter: Meter, location: Location, first: Value, second: Value) -> Value:
    ones = list_value(first, location)
    others = list_value(second, location)
    _pay_pairs(meter, min(len(ones), len(others)), location)
    return [[one, other] for one, other in zip(ones, others, strict=False)]


def pairs_of(meter: Meter, entries: dict[str | int, Value], location: Location) -> Value:
    """Return the entries of a dictionary as lists of key and value."""
    _pay_pairs(meter, len(entries), location)
    return [[key, value] for key, value in entries.items()]


def _fail(_meter: Meter, location: Location, reason: Value) -> Value:
    raise ContractFault(FaultKind.PLAN_STOPPED, location, text(reason, location))


def _rule(
    meter: Meter, location: Location, rule_id: Value, line: Value, amount: Value, before: Value, after: Value
) -> Value:
    """Record that a rule moved an amount, and return what it is now."""
    if (
        type(rule_id) is not str
        or type(line) is not int
        or type(amount) is not str
        or type(before) is not int
        or type(after) is not int
    ):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    if rule_id not in meter.rules:
        raise ContractFault(FaultKind.UNKNOWN_RULE, location)
    if len(amount) > _AMOUNT_NAME_LENGTH_MAX or line < 0:
        raise ContractFault(FaultKind.BAD_VALUE, location)
    meter.memory -= costs.STEP_BYTES
    if meter.memory < 0:
        raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
    meter.trace.append((rule_id, line, amount, before, after, location))
    return after


def _rounding(name: str) -> Callable[..., Value]:
    rounding = money.ROUNDINGS[name]

    def call(_meter: Meter, location: Location, n: Value, d: Value) -> Value:
        numerator = whole_number(n, location)
        divisor = whole_number(d, location)
        if divisor <= 0:
            raise ContractFault(FaultKind.DIVISION_BY_ZERO, location)
        return rounding(numerator, divisor)

    return call


def _percent_bp(_meter: Meter, location: Location, amount: Value, basis_points: Value, mode: Value) -> Value:
    if type(amount) is not int or type(basis_points) is not int or not isinstance(mode, str):
        raise ContractFault(FaultKind.WRONG_TYPE, location)
    rounding = money.ROUNDINGS.get(mode)
    if rounding is None:
        raise ContractFault(FaultKind.BAD_VALUE, location)
    return op.bounded(rounding(amount * basis_points, money.BASIS_POINTS_PER_UNIT), location)


def _money(_meter: Meter, location: Location, amount: Value) -> Value:
    try:
        return op.bounded(money.minor_units(text(amount, location)), location)
    except ValueError:
        raise ContractFault(FaultKind.BAD_VALUE, location) from None


def _money_text(meter: Meter, location: Location, amount: Value) -> Value:
    number = whole_number(amount, location)
    op.new_text(meter, 2 * INTEGER_DIGITS_MAX, location)
    return money.amount_text(number)


def _days_between(_meter: Meter, location: Location, first: Value, second: Value) -> Value:
    try:
        return money.days_between(text(first, location), text(second, location))
    except ValueError:
        raise ContractFault(FaultKind.BAD_VALUE, location) from None


def _add_days(meter: Meter, location: Location, date: Value, days: Value) -> Value:
    op.new_text(meter, _DATE_LENGTH, location)
    try:
        return money.add_days(text(date, location), whole_number(days, location))
    except ValueError:
        raise ContractFault(FaultKind.BAD_VALUE, location) from None


def _plain(parameters: str, gas: int, call: Callable[..., Value], optional: int = 0) -> LibraryFunction:
    names = tuple(parameters.split())
    return LibraryFunction(names, len(names) - optional, gas, call)


LIBRARY: Final[dict[str, LibraryFunction]] = {
    "len": _plain("value", 1, _len),
    "range": _plain("start stop step", 7, _range, optional=2),
    "min": LibraryFunction(("first", "second"), 1, 3, _min, variadic=True),
    "max": LibraryFunction(("first", "second"), 1, 3, _max, variadic=True),
    "abs": _plain("number", 1, _abs),
    "sum": _plain("numbers", 4, _sum),
    "sum_of": _plain("entries key", 4, _sum_of),
    "sorted": _plain("values reverse", 8, _sorted, optional=1),
    "reversed": _plain("values", 4, _reversed),
    "str": _plain("value", 4, _str),
    "int": _plain("value", 4, _int),
    "bool": _plain("value", 1, _bool),
    "list": _plain("values", 4, _list),
    "dict": _plain("entries", 5, _dict),
    "any": _plain("values", 2, _any),
    "all": _plain("values", 2, _all),
    "enumerate": _plain("values start", 6, _enumerate, optional=1),
    "zip": _plain("first second", 6, _zip),
    "fail": _plain("reason", 1, _fail),
    "rule": _plain("rule_id line amount before after", 5, _rule),
    "round_half_up": _plain("n d", 4, _rounding("half_up")),
    "round_half_even": _plain("n d", 4, _rounding("half_even")),
    "round_down": _plain("n d", 4, _rounding("down")),
    "round_up": _plain("n d", 4, _rounding("up")),
    "floor": _plain("n d", 4, _rounding("floor")),
    "ceiling": _plain("n d", 4, _rounding("ceiling")),
    "percent_bp": _plain("amount basis_points mode", 6, _percent_bp),
    "money": _plain("amount", 10, _money),
    "money_text": _plain("amount", 14, _money_text),
    "days_between": _plain("first second", 14, _days_between),
    "add_days": _plain("date days", 12, _add_days),
}
"""Every function of the language by name."""
