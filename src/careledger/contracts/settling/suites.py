"""Statements: scopes of functions, certain assignment, and where gas is taken.

A basic block is a run of statements that are executed together: from the start of a suite, or from behind a
statement that may leave it, to the next such statement or the suite's end. Its gas is taken at its start, as one
`Charge`. Operands that `and`, `or` and `if … else` may skip, and the tests of all arms of an `if`, count with
the block they stand in.
"""

from typing import Final, NamedTuple

from careledger.contracts import costs
from careledger.contracts.faults import FaultKind
from careledger.contracts.settling.resolving import ExpressionSettler
from careledger.contracts.syntax.nodes import (
    Assign,
    Augment,
    Break,
    Charge,
    Continue,
    Evaluate,
    Expression,
    For,
    Function,
    If,
    Index,
    Name,
    Pass,
    Return,
    SettledFunction,
    Statement,
    Suite,
    Unpack,
)

_EVERYTHING: Final = -1
"""Bits of what has a value where execution never comes: all of it."""


class SettledStatement(NamedTuple):
    """A settled statement, its gas, and how it may leave its suite."""

    statement: Statement
    gas: int
    returns: bool = False
    jumps: bool = False


class SuiteSettler(ExpressionSettler):
    """Settles one function."""

    def settle_function(self, function: Function) -> SettledFunction:
        """Return the function with its variables counted and its names settled."""
        for parameter in function.parameters:
            if parameter.identifier in self.slots:
                self.report.add(FaultKind.NAME_TAKEN, parameter.location, "two parameters have the same name")
                continue
            self.slots[parameter.identifier] = self.declare(parameter.identifier, parameter.location)
        self.assigned = (1 << len(self.variables)) - 1
        self._declare_assigned(function.body)
        body, _, _ = self._suite(function.body, 1, 0)
        return SettledFunction(
            function.location,
            function.identifier,
            function.parameters,
            function.description,
            tuple(self.variables),
            body,
        )

    def _declare_assigned(self, suite: Suite) -> None:
        """Give a slot to every name the suite assigns: such a name is a variable of the whole function."""
        for statement in suite:
            targets: tuple[Name | Index, ...] = ()
            match statement:
                case Assign(target=target) | Augment(target=target):
                    targets = (target,)
                case Unpack(targets=names):
                    targets = names
                case For(targets=names, body=body):
                    self._declare_targets(names)
                    self._declare_assigned(body)
                case If(arms=arms, otherwise=otherwise):
                    for _, arm in arms:
                        self._declare_assigned(arm)
                    self._declare_assigned(otherwise)
                case _:
                    pass
            self._declare_targets(targets)

    def _declare_targets(self, targets: tuple[Name | Index, ...]) -> None:
        for target in targets:
            if isinstance(target, Name) and target.identifier not in self.slots:
                self.slots[target.identifier] = self.declare(target.identifier, target.location)

    def _suite(self, suite: Suite, depth: int, first_gas: int) -> tuple[Suite, bool, bool]:
        """Return a suite with its charges, and whether it may return or jump; `first_gas` joins the first block."""
        settled: list[Statement] = []
        block: list[Statement] = []
        block_gas = first_gas
        returns = jumps = False
        for statement in suite:
            self.enter(statement.location, depth)
            one = self._statement(statement, depth + 1)
            block.append(one.statement)
            block_gas += one.gas
            returns |= one.returns
            jumps |= one.jumps
            if one.returns or one.jumps:
                settled += [Charge(block[0].location, block_gas), *block]
                block, block_gas = [], 0
        if block:
            settled += [Charge(block[0].location, block_gas), *block]
        return tuple(settled), returns, jumps

    def _statement(self, statement: Statement, depth: int) -> SettledStatement:
        match statement:
            case Assign():
                return self._assign(statement, depth)
            case Augment():
                return self._augment(statement, depth)
            case Unpack(location, targets, value):
                settled, gas = self.settle(value, depth)
                gas += costs.STATEMENT + costs.TARGET * len(targets)
                return SettledStatement(Unpack(location, self._targets(targets), settled), gas)
            case Evaluate(location, value):
                settled, gas = self.settle(value, depth)
                return SettledStatement(Evaluate(location, settled), gas + costs.STATEMENT)
            case If():
                return self._if(statement, depth)
            case For():
                return self._for(statement, depth)
            case Return(location, value):
                settled, gas = self.settle(value, depth)
                self.assigned = _EVERYTHING
                return SettledStatement(Return(location, settled), gas + costs.STATEMENT, returns=True)
            case Break() | Continue():
                if self.loops == 0:
                    self.report.add(FaultKind.SYNTAX, statement.location, "this stands outside any loop")
                self.assigned = _EVERYTHING
                return SettledStatement(statement, costs.STATEMENT, jumps=True)
            case Pass() | Charge():
                return SettledStatement(statement, costs.STATEMENT)

    def _targets(self, targets: tuple[Name, ...]) -> tuple[Name, ...]:
        """Return targets with their slots, which now have values."""
        settled = tuple(
            Name(target.location, target.identifier, self.slots[target.identifier]) for target in targets
        )
        for position, target in enumerate(settled):
            self.assigned |= 1 << target.slot
            if target.slot in [earlier.slot for earlier in settled[:position]]:
                self.report.add(
                    FaultKind.NAME_TAKEN, target.location, f"`{target.identifier}` stands here twice"
                )
        return settled

    def _assign(self, statement: Assign, depth: int) -> SettledStatement:
        value, gas = self.settle(statement.value, depth)
        gas += costs.STATEMENT
        if isinstance(statement.target, Name):
            (target,) = self._targets((statement.target,))
            return SettledStatement(Assign(statement.location, target, value), gas + costs.TARGET)
        index, index_gas = self._element(statement.target, depth)
        return SettledStatement(Assign(statement.location, index, value), gas + index_gas)

    def _augment(self, statement: Augment, depth: int) -> SettledStatement:
        target: Name | Index
        if isinstance(statement.target, Name):
            target = self.variable(statement.target, self.slots[statement.target.identifier])
            target_gas = costs.NAME + costs.TARGET
        else:
            target, target_gas = self._element(statement.target, depth)
            target_gas += costs.INDEX
        value, gas = self.settle(statement.value, depth)
        gas += target_gas + costs.STATEMENT + costs.BINARY
        return SettledStatement(Augment(statement.location, statement.operator, target, value), gas)

    def _element(self, target: Index, depth: int) -> tuple[Index, int]:
        """Settle an element that is assigned."""
        self.enter(target.location, depth)
        container, container_gas = self.settle(target.container, depth + 1)
        key, key_gas = self.settle(target.key, depth + 1)
        return Index(target.location, container, key), container_gas + key_gas + costs.INDEX

    def _if(self, statement: If, depth: int) -> SettledStatement:
        gas = 0
        arms: list[tuple[Expression, Suite]] = []
        returns = jumps = False
        after = _EVERYTHING
        for test, suite in statement.arms:
            settled_test, test_gas = self.settle(test, depth)
            gas += test_gas + costs.ARM
            before = self.assigned
            settled, arm_returns, arm_jumps = self._suite(suite, depth, 0)
            arms.append((settled_test, settled))
            returns |= arm_returns
            jumps |= arm_jumps
            after &= self.assigned
            self.assigned = before
        otherwise, else_returns, else_jumps = self._suite(statement.otherwise, depth, 0)
        self.assigned &= after
        made = If(statement.location, tuple(arms), otherwise)
        return SettledStatement(made, gas, returns or else_returns, jumps or else_jumps)

    def _for(self, statement: For, depth: int) -> SettledStatement:
        iterable, gas = self.settle(statement.iterable, depth)
        before = self.assigned
        self.enter_loop(statement.location)
        targets = self._targets(statement.targets)
        body, returns, _ = self._suite(statement.body, depth, costs.ITERATION + costs.TARGET * len(targets))
        self.loops -= 1
        self.assigned = before
        made = For(statement.location, targets, iterable, body)
        return SettledStatement(made, gas + costs.LOOP, returns)
