"""The normative engine: statements, functions, and the making of a program ready to run.

Every statement becomes a closure over its parts, as expressions do in `closure_values` and `closure_calls`. Owns
control flow, assignment, and the taking of gas at the start of each block.
"""

from collections.abc import Callable
from typing import Final

from careledger.contracts.engines import closure_calls as calls
from careledger.contracts.engines import closure_values as values
from careledger.contracts.engines.frames import (
    BREAK,
    CONTINUE,
    Callee,
    Compilation,
    Evaluator,
    Executor,
    Frame,
    Signal,
    binder,
    nothing,
)
from careledger.contracts.faults import ContractFault, FaultKind
from careledger.contracts.limits import INTEGER_MAX
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.meter import Meter
from careledger.contracts.syntax import nodes
from careledger.contracts.syntax.nodes import Value

_AUGMENTED: Final = values.BINARY | {"+": op.add_in_place}


def compile_closures(program: nodes.Program) -> dict[str, Callable[..., Value]]:
    """Return, by name, what runs each function: `call(meter, *arguments)`."""
    compilation = Compilation(_EXPRESSIONS)
    compilation.callees = {name: Callee() for name in program.functions}
    for name, function in program.functions.items():
        callee = compilation.callees[name]
        compilation.begin(len(function.variables))
        callee.body = _suite(function.body, compilation)
        callee.blank = compilation.blank(len(function.parameters))
    return {name: _entry(callee) for name, callee in compilation.callees.items()}


def evaluate(node: nodes.Expression, variables: int, meter: Meter) -> Value:
    """Return the value of a settled expression that uses no function of the source: a constant's."""
    compilation = Compilation(_EXPRESSIONS)
    compilation.begin(variables)
    value = compilation.evaluator(node)
    return value(compilation.blank(0), meter)


def _entry(callee: Callee) -> Callable[..., Value]:
    def call(meter: Meter, *arguments: Value) -> Value:
        signal = callee.body([*arguments, *callee.blank], meter)
        return None if signal is None else signal[0]

    return call


def _suite(suite: nodes.Suite, compilation: Compilation) -> Executor:
    """Return what runs a suite: blocks, each paid for before its statements run."""
    blocks: list[tuple[nodes.Charge, list[Executor]]] = []
    for statement in suite:
        if isinstance(statement, nodes.Charge):
            blocks.append((statement, []))
        else:
            blocks[-1][1].append(_STATEMENTS[type(statement)](statement, compilation))
    if not blocks:
        return nothing
    runs = [_block(charge, tuple(statements)) for charge, statements in blocks]
    if len(runs) == 1:
        return runs[0]
    parts = tuple(runs)

    def run(frame: Frame, meter: Meter) -> Signal:
        for part in parts:
            signal = part(frame, meter)
            if signal is not None:
                return signal
        return None

    return run


def _block(charge: nodes.Charge, statements: tuple[Executor, ...]) -> Executor:
    gas = charge.gas
    location = charge.location
    *first, last = statements
    before = tuple(first)

    def run_one(frame: Frame, meter: Meter) -> Signal:
        meter.gas -= gas
        if meter.gas < 0:
            raise ContractFault(FaultKind.OUT_OF_GAS, location)
        return last(frame, meter)

    def run(frame: Frame, meter: Meter) -> Signal:
        meter.gas -= gas
        if meter.gas < 0:
            raise ContractFault(FaultKind.OUT_OF_GAS, location)
        for statement in before:
            # Only the last statement of a block can leave it (see `suites`).
            statement(frame, meter)
        return last(frame, meter)

    return run if before else run_one


def _assign(node: nodes.Assign, compilation: Compilation) -> Executor:
    value = compilation.evaluator(node.value)
    if isinstance(node.target, nodes.Name):
        slot = node.target.slot
        if isinstance(node.value, nodes.Name | nodes.Literal):
            source = compilation.slot(node.value)

            def copy(frame: Frame, _meter: Meter) -> Signal:
                frame[slot] = frame[source]
                return None

            return copy

        def assign(frame: Frame, meter: Meter) -> Signal:
            frame[slot] = value(frame, meter)
            return None

        return assign
    container = compilation.evaluator(node.target.container)
    key = compilation.evaluator(node.target.key)
    location = node.target.location

    def assign_element(frame: Frame, meter: Meter) -> Signal:
        assigned = value(frame, meter)
        op.assign_element(meter, container(frame, meter), key(frame, meter), assigned, location)
        return None

    return assign_element


def _augment(node: nodes.Augment, compilation: Compilation) -> Executor:
    value = compilation.evaluator(node.value)
    operation = _AUGMENTED[node.operator]
    location = node.location
    if isinstance(node.target, nodes.Index):
        return _augment_element(node.target, value, node, compilation)
    slot = node.target.slot

    def add(frame: Frame, meter: Meter) -> Signal:
        left = frame[slot]
        right = value(frame, meter)
        if (
            type(left) is int
            and type(right) is int
            and -INTEGER_MAX <= (total := left + right) <= INTEGER_MAX
        ):
            frame[slot] = total
        else:
            frame[slot] = op.add_in_place(meter, left, right, location)
        return None

    def augment(frame: Frame, meter: Meter) -> Signal:
        frame[slot] = operation(meter, frame[slot], value(frame, meter), location)
        return None

    return add if node.operator == "+" else augment


def _augment_element(
    target: nodes.Index, value: Evaluator, node: nodes.Augment, compilation: Compilation
) -> Executor:
    container = compilation.evaluator(target.container)
    key = compilation.evaluator(target.key)
    operation = _AUGMENTED[node.operator]
    location = node.location
    place = target.location

    def augment_element(frame: Frame, meter: Meter) -> Signal:
        holder = container(frame, meter)
        position = key(frame, meter)
        before = op.element_at(meter, holder, position, place)
        after = operation(meter, before, value(frame, meter), location)
        op.assign_element(meter, holder, position, after, place)
        return None

    return augment_element


def _unpack(node: nodes.Unpack, compilation: Compilation) -> Executor:
    value = compilation.evaluator(node.value)
    bind = binder(node.targets, node.location)

    def unpack(frame: Frame, meter: Meter) -> Signal:
        bind(frame, meter, value(frame, meter))
        return None

    return unpack


def _evaluate(node: nodes.Evaluate, compilation: Compilation) -> Executor:
    value = compilation.evaluator(node.value)

    def evaluate_only(frame: Frame, meter: Meter) -> Signal:
        value(frame, meter)
        return None

    return evaluate_only


def _if(node: nodes.If, compilation: Compilation) -> Executor:
    arms = tuple((compilation.evaluator(test), _suite(suite, compilation)) for test, suite in node.arms)
    otherwise = _suite(node.otherwise, compilation)
    if len(arms) == 1:
        ((test, then),) = arms
        return lambda frame, meter: then(frame, meter) if test(frame, meter) else otherwise(frame, meter)

    def choose(frame: Frame, meter: Meter) -> Signal:
        for condition, suite in arms:
            if condition(frame, meter):
                return suite(frame, meter)
        return otherwise(frame, meter)

    return choose


def _for(node: nodes.For, compilation: Compilation) -> Executor:
    iterable = compilation.evaluator(node.iterable)
    bind = binder(node.targets, node.location)
    body = _suite(node.body, compilation)
    location = node.location

    def loop(frame: Frame, meter: Meter) -> Signal:
        for item in op.elements_of(meter, iterable(frame, meter), location):
            bind(frame, meter, item)
            signal = body(frame, meter)
            if signal is not None and signal is not CONTINUE:
                if signal is BREAK:
                    break
                return signal
        return None

    return loop


def _return(node: nodes.Return, compilation: Compilation) -> Executor:
    if isinstance(node.value, nodes.Name | nodes.Literal):
        slot = compilation.slot(node.value)
        return lambda frame, _meter: (frame[slot],)
    value = compilation.evaluator(node.value)
    return lambda frame, meter: (value(frame, meter),)


def _break(_node: nodes.Break, _compilation: Compilation) -> Executor:
    return lambda _frame, _meter: BREAK


def _continue(_node: nodes.Continue, _compilation: Compilation) -> Executor:
    return lambda _frame, _meter: CONTINUE


def _pass(_node: nodes.Pass, _compilation: Compilation) -> Executor:
    return nothing


_STATEMENTS: Final[dict[type, Callable[..., Executor]]] = {
    nodes.Assign: _assign,
    nodes.Augment: _augment,
    nodes.Unpack: _unpack,
    nodes.Evaluate: _evaluate,
    nodes.If: _if,
    nodes.For: _for,
    nodes.Return: _return,
    nodes.Break: _break,
    nodes.Continue: _continue,
    nodes.Pass: _pass,
}

_EXPRESSIONS: Final = values.BUILDERS | calls.BUILDERS
