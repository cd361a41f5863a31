"""Names, scopes, calls and costs of expressions.

Owns the rule that a contract is a closed world: a name is a variable that certainly has a value, a constant defined
above, or the target of a call that fits it; anything else refuses the source. Every expression comes back settled
(see `nodes`), with the gas its syntax costs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

from careledger.contracts import costs
from careledger.contracts.faults import ContractRefused, FaultKind, Location, Problem
from careledger.contracts.limits import (
    LOCALS_MAX,
    LOOP_NESTING_MAX,
    NESTING_MAX,
    PARAMETERS_MAX,
    PROBLEMS_MAX,
)
from careledger.contracts.semantics.host import HostSignature
from careledger.contracts.semantics.library import LIBRARY
from careledger.contracts.semantics.methods import arities
from careledger.contracts.settling.binding import Formal, bind
from careledger.contracts.syntax.nodes import (
    Binary,
    Call,
    Clause,
    Comparison,
    Comprehension,
    Conditional,
    DictDisplay,
    Expression,
    Function,
    FunctionCall,
    HostCall,
    Index,
    LibraryCall,
    ListDisplay,
    Literal,
    Logical,
    MethodCall,
    Name,
    Slice,
    Unary,
    Value,
)

_ACTS: Final = ("rule", "fail")
"""Functions of the language that do something besides giving a value."""

Settled = tuple[Expression, int]
"""A settled expression and the gas of its syntax."""


CallType = type[FunctionCall] | type[LibraryCall] | type[HostCall]


class CallSite(NamedTuple):
    """A call of a function of the source, `depth` levels below the top of the function it stands in."""

    caller: str
    callee: str
    location: Location
    depth: int


@dataclass(slots=True)
class Report:
    """Problems found so far."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, kind: FaultKind, location: Location, detail: str = "") -> None:
        """Note a problem; the twentieth ends the check."""
        self.problems.append(Problem(kind=kind, location=location, detail=detail or kind.words))
        if len(self.problems) >= PROBLEMS_MAX:
            self.finish()

    def finish(self) -> None:
        """Raise `ContractRefused` if there is any problem."""
        if self.problems:
            raise ContractRefused(tuple(sorted(self.problems, key=lambda problem: problem.location)))


@dataclass(slots=True)
class World:
    """Everything a name may mean besides a variable."""

    functions: Mapping[str, Function]
    host: Mapping[str, HostSignature]
    constants: dict[str, Value] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    constant_names: frozenset[str] = frozenset()

    def meaning(self, name: str) -> str:
        """Return what a name already stands for, in words, or "" if it is free."""
        if name in LIBRARY:
            return "a function of the language"
        if name in self.host:
            return "a function of the host"
        if name in self.functions:
            return "a function of this source"
        if name in self.constant_names:
            return "a constant of this source"
        return ""


class ExpressionSettler:
    """Settles the expressions of one function, or of the constants.

    Attributes:
        slots: variables of the function by name.
        variables: names by slot, those of comprehensions included.
        assigned: bit i is set where the variable in slot i certainly has a value.
        loops: loops around the current place.
        calls: calls of functions of the source met so far.
        depth_reached: deepest nesting met so far.
    """

    def __init__(self, world: World, report: Report, function: str) -> None:
        self.world = world
        self.report = report
        self.function = function
        self.slots: dict[str, int] = {}
        self.variables: list[str] = []
        self.assigned = 0
        self.loops = 0
        self.calls: list[CallSite] = []
        self.depth_reached = 0

    def declare(self, name: str, location: Location) -> int:
        """Return the slot of a new variable."""
        meaning = self.world.meaning(name)
        if meaning:
            self.report.add(FaultKind.NAME_TAKEN, location, f"`{name}` is {meaning}")
        if len(self.variables) == LOCALS_MAX:
            self.report.add(FaultKind.TOO_MANY, location, f"a function has at most {LOCALS_MAX} variables")
            self.report.finish()
        self.variables.append(name)
        return len(self.variables) - 1

    def enter_loop(self, location: Location) -> None:
        """Count one more loop around what follows."""
        self.loops += 1
        if self.loops > LOOP_NESTING_MAX:
            self.report.add(
                FaultKind.TOO_NESTED, location, f"at most {LOOP_NESTING_MAX} loops inside one another"
            )
            self.report.finish()

    def enter(self, location: Location, depth: int) -> None:
        """Note that a node stands at this depth; deeper than the limit ends the check."""
        if depth > NESTING_MAX:
            self.report.add(FaultKind.TOO_NESTED, location)
            self.report.finish()
        self.depth_reached = max(self.depth_reached, depth)

    def settle(self, node: Expression, depth: int) -> Settled:
        """Return a settled expression and its gas."""
        self.enter(node.location, depth)
        return self._HANDLERS[type(node)](self, node, depth + 1)

    def _literal(self, node: Literal, _depth: int) -> Settled:
        return node, costs.LITERAL

    def _name(self, node: Name, _depth: int) -> Settled:
        name = node.identifier
        slot = self.slots.get(name)
        if slot is not None:
            return self.variable(node, slot), costs.NAME
        if name in self.world.constants:
            return Literal(node.location, self.world.constants[name]), costs.NAME
        meaning = self.world.meaning(name)
        if name in self.world.constant_names:
            self.report.add(FaultKind.UNKNOWN_NAME, node.location, f"`{name}` is defined further down")
        elif meaning:
            detail = f"`{name}` is {meaning}; it can only be called: `{name}(…)`"
            self.report.add(FaultKind.NOT_IN_LANGUAGE, node.location, detail)
        else:
            self.report.add(FaultKind.UNKNOWN_NAME, node.location, f"nothing is called `{name}`")
        return Literal(node.location, None), costs.NAME

    def variable(self, node: Name, slot: int) -> Name:
        """Return a variable being read, which must certainly have a value."""
        if not self.assigned >> slot & 1:
            detail = f"`{node.identifier}` may have no value here; give it one on every way that leads here"
            self.report.add(FaultKind.MAY_HAVE_NO_VALUE, node.location, detail)
        return Name(node.location, node.identifier, slot)

    def _unary(self, node: Unary, depth: int) -> Settled:
        operand, gas = self.settle(node.operand, depth)
        return Unary(node.location, node.operator, operand), gas + costs.UNARY

    def _binary(self, node: Binary, depth: int) -> Settled:
        left, left_gas = self.settle(node.left, depth)
        right, right_gas = self.settle(node.right, depth)
        return Binary(node.location, node.operator, left, right), left_gas + right_gas + costs.BINARY

    def _comparison(self, node: Comparison, depth: int) -> Settled:
        left, left_gas = self.settle(node.left, depth)
        right, right_gas = self.settle(node.right, depth)
        return Comparison(node.location, node.operator, left, right), left_gas + right_gas + costs.COMPARISON

    def _logical(self, node: Logical, depth: int) -> Settled:
        operands, gas = self._several(node.operands, depth)
        return Logical(node.location, node.operator, operands), gas + costs.LOGICAL_OPERAND * len(operands)

    def _conditional(self, node: Conditional, depth: int) -> Settled:
        (test, then, otherwise), gas = self._several((node.test, node.then, node.otherwise), depth)
        return Conditional(node.location, test, then, otherwise), gas + costs.CONDITIONAL

    def _index(self, node: Index, depth: int) -> Settled:
        (container, key), gas = self._several((node.container, node.key), depth)
        return Index(node.location, container, key), gas + costs.INDEX

    def _slice(self, node: Slice, depth: int) -> Settled:
        container, gas = self.settle(node.container, depth)
        start, start_gas = (None, 0) if node.start is None else self.settle(node.start, depth)
        stop, stop_gas = (None, 0) if node.stop is None else self.settle(node.stop, depth)
        return Slice(node.location, container, start, stop), gas + start_gas + stop_gas + costs.SLICE

    def _list(self, node: ListDisplay, depth: int) -> Settled:
        elements, gas = self._several(node.elements, depth)
        return ListDisplay(node.location, elements), gas + costs.LIST + costs.LIST_ELEMENT * len(elements)

    def _dict(self, node: DictDisplay, depth: int) -> Settled:
        entries = []
        gas = costs.DICT
        seen: dict[Value, None] = {}
        for key, value in node.entries:
            if isinstance(key, Literal) and isinstance(key.value, str):
                if key.value in seen:
                    self.report.add(FaultKind.BAD_KEY, key.location, "this key stands here twice")
                seen[key.value] = None
            settled_key, key_gas = self.settle(key, depth)
            settled_value, value_gas = self.settle(value, depth)
            entries.append((settled_key, settled_value))
            gas += key_gas + value_gas + costs.DICT_ENTRY
        return DictDisplay(node.location, tuple(entries)), gas

    def _several(self, nodes: tuple[Expression, ...], depth: int) -> tuple[tuple[Expression, ...], int]:
        settled = [self.settle(node, depth) for node in nodes]
        return tuple(node for node, _ in settled), sum(gas for _, gas in settled)

    def _comprehension(self, node: Comprehension, depth: int) -> Settled:
        """Settle a comprehension: its variables are its own, its first iterable is evaluated outside."""
        outer_slots = self.slots
        outer_assigned = self.assigned
        outer_loops = self.loops
        gas = costs.COMPREHENSION
        clauses: list[tuple[Clause, Expression, list[Name], tuple[Expression, ...], int]] = []
        for clause in node.clauses:
            iterable, iterable_gas = self.settle(clause.iterable, depth)
            if clauses:
                clauses[-1] = (*clauses[-1][:4], clauses[-1][4] + costs.CLAUSE + iterable_gas)
            else:
                gas += costs.CLAUSE + iterable_gas
            self.enter_loop(clause.location)
            self.slots = dict(self.slots)
            targets = [self._comprehension_variable(target) for target in clause.targets]
            conditions, conditions_gas = self._several(clause.conditions, depth)
            each_gas = (
                costs.ITERATION
                + costs.TARGET * len(targets)
                + conditions_gas
                + costs.CONDITION * len(conditions)
            )
            clauses.append((clause, iterable, targets, conditions, each_gas))
        key, key_gas = (None, 0) if node.key is None else self.settle(node.key, depth)
        element, element_gas = self.settle(node.element, depth)
        clauses[-1] = (*clauses[-1][:4], clauses[-1][4] + key_gas + element_gas + costs.DICT_ENTRY)
        self.slots = outer_slots
        self.assigned = outer_assigned
        self.loops = outer_loops
        settled = tuple(
            Clause(clause.location, tuple(targets), iterable, conditions, each_gas)
            for clause, iterable, targets, conditions, each_gas in clauses
        )
        return Comprehension(node.location, key, element, settled), gas

    def _comprehension_variable(self, target: Name) -> Name:
        slot = self.declare(target.identifier, target.location)
        self.slots[target.identifier] = slot
        self.assigned |= 1 << slot
        return Name(target.location, target.identifier, slot)

    def _method(self, node: MethodCall, depth: int) -> Settled:
        receiver, gas = self.settle(node.receiver, depth)
        arguments, arguments_gas = self._several(node.arguments, depth)
        known = arities(node.method)
        if not known:
            self.report.add(FaultKind.UNKNOWN_NAME, node.location, f"there is no method `{node.method}`")
        elif not any(least <= len(arguments) <= most for least, most in known):
            detail = f"`{node.method}` does not take {len(arguments)} arguments"
            self.report.add(FaultKind.WRONG_CALL, node.location, detail)
        gas += arguments_gas + costs.METHOD + costs.ARGUMENT * len(arguments)
        return MethodCall(node.location, receiver, node.method, arguments), gas

    def _call(self, node: Call, depth: int) -> Settled:
        """Settle a call; what it calls is known here and nowhere later."""
        name = node.function
        target = self._target(node, depth)
        if target is None:
            return Literal(node.location, None), 0
        formals, gas, kind = target
        binding = bind(node.arguments, formals)
        if isinstance(binding, str):
            self.report.add(FaultKind.WRONG_CALL, node.location, f"`{name}`: {binding}")
            return Literal(node.location, None), 0
        given = len(node.arguments)
        arguments, arguments_gas = self._several(binding.arguments[:given], depth)
        gas += costs.CALL + arguments_gas + costs.ARGUMENT * given
        arguments += binding.arguments[given:]
        if name in _ACTS:
            first = arguments[0 if binding.order is None else binding.order.index(0)]
            self._check_declared(name, first, node.location)
        return kind(node.location, name, arguments, binding.order), gas

    def _target(self, node: Call, depth: int) -> tuple[list[Formal], int, CallType] | None:
        """Return the formal parameters, own gas and kind of what a call names, or None after noting why not."""
        name = node.function
        absent = Literal(node.location, None)
        if not self.function and (name in self.world.host or name in self.world.functions or name in _ACTS):
            detail = "a constant is computed with the language's own functions only"
            self.report.add(FaultKind.BAD_CONSTANT, node.location, detail)
        elif name in self.slots:
            self.report.add(
                FaultKind.NOT_IN_LANGUAGE, node.location, f"`{name}` is a value and cannot be called"
            )
        elif name in LIBRARY:
            function = LIBRARY[name]
            formals = [
                Formal(parameter, None if place < function.required else absent)
                for place, parameter in enumerate(function.parameters)
            ]
            if function.variadic:
                formals = [Formal("", None)] * min(
                    max(len(node.arguments), function.required), PARAMETERS_MAX
                )
            return formals, function.gas, LibraryCall
        elif name in self.world.host:
            signature = self.world.host[name]
            return [Formal(parameter, None) for parameter, _ in signature.parameters], signature.gas, HostCall
        elif name in self.world.functions:
            self.calls.append(CallSite(self.function, name, node.location, depth))
            parameters = self.world.functions[name].parameters
            return (
                [Formal(parameter.identifier, parameter.default) for parameter in parameters],
                0,
                FunctionCall,
            )
        else:
            self.report.add(FaultKind.UNKNOWN_NAME, node.location, f"there is no function `{name}`")
        return None

    def _check_declared(self, name: str, first: Expression, location: Location) -> None:
        """Hold what is written out in a source against what the source declares."""
        if name == "fail":
            if not (isinstance(first, Literal) and isinstance(first.value, str)):
                detail = "fail() takes a text written out, so that no value of a claim can get into it"
                self.report.add(FaultKind.NOT_IN_LANGUAGE, location, detail)
        elif isinstance(first, Literal) and not (
            isinstance(first.value, str) and first.value in self.world.rules
        ):
            self.report.add(FaultKind.BAD_RULES, first.location, "RULES has no such rule id")

    _HANDLERS: ClassVar[dict[type, Callable[..., Settled]]] = {
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
        Comprehension: _comprehension,
        Call: _call,
        MethodCall: _method,
    }
