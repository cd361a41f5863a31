"""The normative engine, calls and comprehensions."""

from collections.abc import Callable
from typing import Final, TypeVar

from careledger.contracts import costs
from careledger.contracts.engines.closure_values import together
from careledger.contracts.engines.frames import Compilation, Evaluator, Frame, binder
from careledger.contracts.faults import ContractFault, FaultKind
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.library import LIBRARY
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.semantics.methods import calls_by_type
from careledger.contracts.syntax.nodes import (
    Clause,
    Comprehension,
    FunctionCall,
    HostCall,
    LibraryCall,
    MethodCall,
    SettledCall,
    Value,
)

S = TypeVar("S")
Emit = Callable[[Frame, Meter, S], None]
"""Takes one element of a comprehension into the list or dictionary being made."""


def _comprehension(node: Comprehension, compilation: Compilation) -> Evaluator:
    """Build `[… for …]` or `{…: … for …}`."""
    location = node.location
    element = compilation.evaluator(node.element)
    if node.key is not None:
        return _dict_comprehension(node, compilation.evaluator(node.key), element, compilation)

    def emit(frame: Frame, meter: Meter, made: list[Value]) -> None:
        op.append(meter, made, element(frame, meter), location)

    loop: Emit[list[Value]] = emit
    for clause in reversed(node.clauses):
        loop = _clause(clause, loop, compilation)

    def comprehend(frame: Frame, meter: Meter) -> Value:
        meter.allocate(costs.LIST_BYTES, location)
        made: list[Value] = []
        loop(frame, meter, made)
        return made

    return comprehend


def _dict_comprehension(
    node: Comprehension, key: Evaluator, element: Evaluator, compilation: Compilation
) -> Evaluator:
    location = node.location

    def emit(frame: Frame, meter: Meter, made: dict[str | int, Value]) -> None:
        name = key(frame, meter)
        op.put(meter, made, name, element(frame, meter), location)

    loop: Emit[dict[str | int, Value]] = emit
    for clause in reversed(node.clauses):
        loop = _clause(clause, loop, compilation)

    def comprehend(frame: Frame, meter: Meter) -> Value:
        meter.allocate(costs.DICT_BYTES, location)
        made: dict[str | int, Value] = {}
        loop(frame, meter, made)
        return made

    return comprehend


def _clause(clause: Clause, inner: Emit[S], compilation: Compilation) -> Emit[S]:
    """Return one loop of a comprehension around the next, or around what takes its elements."""
    location = clause.location
    iterable = compilation.evaluator(clause.iterable)
    conditions = tuple(compilation.evaluator(condition) for condition in clause.conditions)
    bind = binder(clause.targets, location)
    gas = clause.gas

    def loop(frame: Frame, meter: Meter, made: S) -> None:
        for item in op.elements_of(meter, iterable(frame, meter), location):
            meter.gas -= gas
            if meter.gas < 0:
                raise ContractFault(FaultKind.OUT_OF_GAS, location)
            bind(frame, meter, item)
            for condition in conditions:
                if not condition(frame, meter):
                    break
            else:
                inner(frame, meter, made)

    return loop


def _arguments(node: SettledCall, compilation: Compilation) -> Callable[[Frame, Meter], list[Value]]:
    """Return what evaluates the arguments as written and gives them in the order of the parameters."""
    written = together(node.arguments, compilation)
    if node.order is None:
        return written
    order = node.order
    places = tuple(order.index(place) for place in range(len(order)))

    def arranged(frame: Frame, meter: Meter) -> list[Value]:
        values = written(frame, meter)
        return [values[place] for place in places]

    return arranged


def _function_call(node: FunctionCall, compilation: Compilation) -> Evaluator:
    callee = compilation.callees[node.function]
    pick = compilation.picker(node.arguments) if node.order is None else None
    if pick is not None:

        def call_picked(frame: Frame, meter: Meter) -> Value:
            signal = callee.body([*pick(frame), *callee.blank], meter)
            return None if signal is None else signal[0]

        return call_picked
    arguments = _arguments(node, compilation)

    def call(frame: Frame, meter: Meter) -> Value:
        signal = callee.body(arguments(frame, meter) + callee.blank, meter)
        return None if signal is None else signal[0]

    return call


def _library_call(node: LibraryCall, compilation: Compilation) -> Evaluator:
    function = LIBRARY[node.function].call
    location = node.location
    if node.order is None and len(node.arguments) == 1:
        only = compilation.evaluator(node.arguments[0])
        return lambda frame, meter: function(meter, location, only(frame, meter))
    if node.order is None and len(node.arguments) == 2:
        first = compilation.evaluator(node.arguments[0])
        second = compilation.evaluator(node.arguments[1])
        return lambda frame, meter: function(meter, location, first(frame, meter), second(frame, meter))
    if node.order is None:
        *most, final = node.arguments
        pick = compilation.picker(most)
        if pick is not None:
            last = compilation.evaluator(final)
            return lambda frame, meter: function(meter, location, *pick(frame), last(frame, meter))
    arguments = _arguments(node, compilation)
    return lambda frame, meter: function(meter, location, *arguments(frame, meter))


def _host_call(node: HostCall, compilation: Compilation) -> Evaluator:
    name = node.function
    location = node.location
    arguments = _arguments(node, compilation)
    return lambda frame, meter: meter.host[name](meter, location, *arguments(frame, meter))


def _method_call(node: MethodCall, compilation: Compilation) -> Evaluator:
    receiver = compilation.evaluator(node.receiver)
    by_type = calls_by_type(node.method, len(node.arguments))
    location = node.location
    if len(node.arguments) == 1:
        only = compilation.evaluator(node.arguments[0])

        def call_with_one(frame: Frame, meter: Meter) -> Value:
            value = receiver(frame, meter)
            argument = only(frame, meter)
            method = by_type.get(type(value))
            if method is None:
                raise ContractFault(FaultKind.NO_SUCH_METHOD, location)
            return method(meter, location, value, argument)

        return call_with_one
    arguments = together(node.arguments, compilation)

    def call(frame: Frame, meter: Meter) -> Value:
        value = receiver(frame, meter)
        values = arguments(frame, meter)
        method = by_type.get(type(value))
        if method is None:
            raise ContractFault(FaultKind.NO_SUCH_METHOD, location)
        return method(meter, location, value, *values)

    return call


BUILDERS: Final[dict[type, Callable[..., Evaluator]]] = {
    Comprehension: _comprehension,
    FunctionCall: _function_call,
    LibraryCall: _library_call,
    HostCall: _host_call,
    MethodCall: _method_call,
}
"""What makes the closure of each kind of node here."""
