"""The normative engine, values: names, operators, displays.

A closure takes the frame of the running function and the meter, and gives a value. This engine defines what a
contract means; `rewriting` is its faster twin. The few special forms here (two whole numbers, a literal key)
do exactly what the general form in `operations` does, with fewer calls.
"""

from collections.abc import Callable
from typing import Final

from careledger.contracts import costs
from careledger.contracts.engines.frames import Compilation, Evaluator, Frame
from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.limits import INTEGER_MAX
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax.nodes import (
    Binary,
    Comparison,
    Conditional,
    DictDisplay,
    Expression,
    Index,
    ListDisplay,
    Literal,
    Logical,
    Name,
    Slice,
    Unary,
    Value,
)

Operation = Callable[[Meter, Value, Value, Location], Value]

BINARY: Final[dict[str, Operation]] = {
    "+": op.add,
    "-": op.subtract,
    "*": op.multiply,
    "//": op.floor_divide,
    "%": op.modulo,
}


def together(
    nodes: tuple[Expression, ...], compilation: Compilation
) -> Callable[[Frame, Meter], list[Value]]:
    """Return what evaluates several expressions in order into a list.

    Variables and literals can be picked before the rest is evaluated: nothing in an expression changes a variable.
    """
    pick = compilation.picker(nodes)
    if pick is not None:
        return lambda frame, _meter: [*pick(frame)]
    if len(nodes) > 2 and (leaves := compilation.picker(nodes[:-1])) is not None:
        last = compilation.evaluator(nodes[-1])
        return lambda frame, meter: [*leaves(frame), last(frame, meter)]
    parts = tuple(compilation.evaluator(node) for node in nodes)
    if len(parts) == 1:
        (only,) = parts
        return lambda frame, meter: [only(frame, meter)]
    if len(parts) == 2:
        first, second = parts
        return lambda frame, meter: [first(frame, meter), second(frame, meter)]
    return lambda frame, meter: [part(frame, meter) for part in parts]


def _literal(node: Literal, _compilation: Compilation) -> Evaluator:
    value = node.value
    return lambda _frame, _meter: value


def _name(node: Name, _compilation: Compilation) -> Evaluator:
    slot = node.slot
    return lambda frame, _meter: frame[slot]


def _unary(node: Unary, compilation: Compilation) -> Evaluator:
    operand = compilation.evaluator(node.operand)
    location = node.location
    if node.operator == "not":
        return lambda frame, meter: not operand(frame, meter)
    operation = op.negate if node.operator == "-" else op.plus
    return lambda frame, meter: operation(meter, operand(frame, meter), location)


def _binary(node: Binary, compilation: Compilation) -> Evaluator:
    left = compilation.evaluator(node.left)
    right = compilation.evaluator(node.right)
    location = node.location
    operation = BINARY[node.operator]

    def apply(frame: Frame, meter: Meter) -> Value:
        return operation(meter, left(frame, meter), right(frame, meter), location)

    def add(frame: Frame, meter: Meter) -> Value:
        first = left(frame, meter)
        second = right(frame, meter)
        if (
            type(first) is int
            and type(second) is int
            and -INTEGER_MAX <= (total := first + second) <= INTEGER_MAX
        ):
            return total
        return op.add(meter, first, second, location)

    def subtract(frame: Frame, meter: Meter) -> Value:
        first = left(frame, meter)
        second = right(frame, meter)
        if (
            type(first) is int
            and type(second) is int
            and -INTEGER_MAX <= (rest := first - second) <= INTEGER_MAX
        ):
            return rest
        return op.subtract(meter, first, second, location)

    return {"+": add, "-": subtract}.get(node.operator, apply)


def _comparison(node: Comparison, compilation: Compilation) -> Evaluator:
    if node.operator in ("==", "!="):
        return _equality(node, compilation)
    left = compilation.evaluator(node.left)
    right = compilation.evaluator(node.right)
    location = node.location

    def less(frame: Frame, meter: Meter) -> Value:
        first = left(frame, meter)
        second = right(frame, meter)
        if type(first) is int and type(second) is int:
            return first < second
        return op.is_less(meter, first, second, location)

    def less_or_equal(frame: Frame, meter: Meter) -> Value:
        first = left(frame, meter)
        second = right(frame, meter)
        if type(first) is int and type(second) is int:
            return first <= second
        return not op.is_less(meter, second, first, location)

    def greater(frame: Frame, meter: Meter) -> Value:
        first = left(frame, meter)
        second = right(frame, meter)
        if type(first) is int and type(second) is int:
            return first > second
        return op.is_less(meter, second, first, location)

    def greater_or_equal(frame: Frame, meter: Meter) -> Value:
        first = left(frame, meter)
        second = right(frame, meter)
        if type(first) is int and type(second) is int:
            return first >= second
        return not op.is_less(meter, first, second, location)

    def contained(frame: Frame, meter: Meter) -> Value:
        return op.contains(meter, left(frame, meter), right(frame, meter), location)

    def not_contained(frame: Frame, meter: Meter) -> Value:
        return not op.contains(meter, left(frame, meter), right(frame, meter), location)

    return {
        "<": less,
        "<=": less_or_equal,
        ">": greater,
        ">=": greater_or_equal,
        "in": contained,
        "not in": not_contained,
    }[node.operator]


def _equality(node: Comparison, compilation: Compilation) -> Evaluator:
    left = compilation.evaluator(node.left)
    location = node.location
    equal = node.operator == "=="
    if isinstance(node.right, Literal) and op.is_compared_at_once(node.right.value):
        literal = node.right.value
        kind = type(literal)

        def is_literal(frame: Frame, meter: Meter) -> Value:
            value = left(frame, meter)
            return (type(value) is kind and value == literal) is equal

        return is_literal
    right = compilation.evaluator(node.right)
    if equal:
        return lambda frame, meter: op.is_equal(meter, left(frame, meter), right(frame, meter), location)
    return lambda frame, meter: not op.is_equal(meter, left(frame, meter), right(frame, meter), location)


def _logical(node: Logical, compilation: Compilation) -> Evaluator:
    operands = tuple(compilation.evaluator(operand) for operand in node.operands)
    if len(operands) == 2:
        first, second = operands
        if node.operator == "and":
            return lambda frame, meter: first(frame, meter) and second(frame, meter)
        return lambda frame, meter: first(frame, meter) or second(frame, meter)
    decides = node.operator == "or"

    def several(frame: Frame, meter: Meter) -> Value:
        value: Value = None
        for operand in operands:
            value = operand(frame, meter)
            if bool(value) is decides:
                return value
        return value

    return several


def _conditional(node: Conditional, compilation: Compilation) -> Evaluator:
    test = compilation.evaluator(node.test)
    then = compilation.evaluator(node.then)
    otherwise = compilation.evaluator(node.otherwise)
    return lambda frame, meter: then(frame, meter) if test(frame, meter) else otherwise(frame, meter)


def _index(node: Index, compilation: Compilation) -> Evaluator:
    literal = op.literal_key(node.key)
    if literal is not None:
        return _entry(node, literal, compilation)
    container = compilation.evaluator(node.container)
    key = compilation.evaluator(node.key)
    location = node.location
    return lambda frame, meter: op.element_at(meter, container(frame, meter), key(frame, meter), location)


def _entry(node: Index, key: str, compilation: Compilation) -> Evaluator:
    """Build `container["key"]`, by far the commonest index."""
    location = node.location
    if isinstance(node.container, Name):
        slot = node.container.slot

        def entry_of_variable(frame: Frame, meter: Meter) -> Value:
            value = frame[slot]
            if type(value) is dict and key in value:
                return value[key]
            return op.element_at(meter, value, key, location)

        return entry_of_variable
    container = compilation.evaluator(node.container)

    def entry(frame: Frame, meter: Meter) -> Value:
        value = container(frame, meter)
        if type(value) is dict and key in value:
            return value[key]
        return op.element_at(meter, value, key, location)

    return entry


def _slice(node: Slice, compilation: Compilation) -> Evaluator:
    container = compilation.evaluator(node.container)
    start = compilation.evaluator(node.start or Literal(node.location, None))
    stop = compilation.evaluator(node.stop or Literal(node.location, None))
    location = node.location

    def part(frame: Frame, meter: Meter) -> Value:
        return op.part_of(meter, container(frame, meter), start(frame, meter), stop(frame, meter), location)

    return part


def _list(node: ListDisplay, compilation: Compilation) -> Evaluator:
    elements = together(node.elements, compilation)
    size_bytes = costs.LIST_BYTES + costs.SLOT_BYTES * len(node.elements)
    location = node.location

    def make(frame: Frame, meter: Meter) -> Value:
        made = elements(frame, meter)
        meter.memory -= size_bytes
        if meter.memory < 0:
            raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
        return made

    return make


def _dict(node: DictDisplay, compilation: Compilation) -> Evaluator:
    size_bytes = costs.DICT_BYTES + costs.ENTRY_BYTES * len(node.entries)
    location = node.location
    literal = op.literal_keys(node.entries)
    if literal is None:
        pairs = tuple(
            (compilation.evaluator(key), compilation.evaluator(value)) for key, value in node.entries
        )

        def make(frame: Frame, meter: Meter) -> Value:
            made = [(key(frame, meter), value(frame, meter)) for key, value in pairs]
            return op.dict_of(meter, made, location)

        return make
    keys = tuple(literal)
    values = together(tuple(value for _, value in node.entries), compilation)

    def make_literal(frame: Frame, meter: Meter) -> Value:
        made: dict[str | int, Value] = dict(zip(keys, values(frame, meter), strict=True))
        meter.memory -= size_bytes
        if meter.memory < 0:
            raise ContractFault(FaultKind.OUT_OF_MEMORY, location)
        return made

    return make_literal


BUILDERS: Final[dict[type, Callable[..., Evaluator]]] = {
    Literal: _literal,
    Name: _name,
    Unary: _unary,
    Binary: _binary,
    Comparison: _comparison,
    Logical: _logical,
    Conditional: _conditional,
    Index: _index,
    Slice: _slice,
    ListDisplay: _list,
    DictDisplay: _dict,
}
"""What makes the closure of each kind of node here."""
