"""The second engine, expressions.

Each method writes the lines that compute an expression and returns the text of an operand that has the value: a
variable, an intermediate value or a literal. Lines come in the order of evaluation.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from careledger.contracts import costs
from careledger.contracts.faults import Location
from careledger.contracts.limits import INTEGER_MAX
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.methods import calls_by_type
from careledger.contracts.syntax import nodes

OPERATIONS: Final = {"+": "add", "-": "subtract", "*": "multiply", "//": "floor_divide", "%": "modulo"}
_COMPARISONS: Final = {
    "==": "is_equal(m, {l}, {r}, {p})",
    "!=": "not is_equal(m, {l}, {r}, {p})",
    "<": "is_less(m, {l}, {r}, {p})",
    "<=": "not is_less(m, {r}, {l}, {p})",
    ">": "is_less(m, {r}, {l}, {p})",
    ">=": "not is_less(m, {l}, {r}, {p})",
}
_CONTAINMENTS: Final = {"in": "contains(m, {l}, {r}, {p})", "not in": "not contains(m, {l}, {r}, {p})"}
_BOUNDED: Final = ("+", "-", "*")
_NUMBERS: Final = ("-", "//", "%")
"""Operators that give a number or stop."""


class ExpressionWriter:
    """Writes the expressions of one function, line by line.

    Attributes:
        names: what the code may name; constants are added to it.
        places: names of places in the source.
        lines: what is written so far.
        known: operands whose type is certain, by their text, within the statement being written.
    """

    def __init__(self, names: dict[str, object], places: dict[Location, str]) -> None:
        self.names = names
        self.places = places
        self.lines: list[str] = []
        self.indent = 0
        self.temporaries = 0
        self.choices = 0
        self.known: dict[str, type] = {}

    def line(self, text: str) -> None:
        """Write one line."""
        self.lines.append(" " * self.indent + text)

    def temporary(self) -> str:
        """Return a name for an intermediate value, new within the statement."""
        self.temporaries += 1
        return f"t{self.temporaries}"

    def place(self, location: Location) -> str:
        """Return the name of a place in the source."""
        return self.places.setdefault(location, f"p{len(self.places)}")

    def constant(self, value: object) -> str:
        """Return a name for an object the code needs."""
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def take_gas(self, gas: int, location: Location) -> None:
        """Write the taking of gas."""
        self.line(f"m.gas -= {gas}")
        self.line(f"if m.gas < 0: out_of_gas({self.place(location)})")

    def take_memory(self, size_bytes: int, location: Location) -> None:
        """Write the taking of memory."""
        self.line(f"m.memory -= {size_bytes}")
        self.line(f"if m.memory < 0: out_of_memory({self.place(location)})")

    def bind(self, targets: tuple[nodes.Name, ...], value: str, location: Location) -> None:
        """Write the assignment of one value to one or several names."""
        if len(targets) == 1:
            self.line(f"v{targets[0].slot} = {value}")
            return
        names = ", ".join(f"v{target.slot}" for target in targets)
        self.line(f"{names} = unpacked(m, {value}, {len(targets)}, {self.place(location)})")

    def value(self, node: nodes.Expression) -> str:
        """Write the computing of an expression; return a variable, intermediate value or literal."""
        return self._EXPRESSIONS[type(node)](self, node)

    def _literal(self, node: nodes.Literal) -> str:
        value = node.value
        if isinstance(value, list | dict):
            return self.constant(value)
        text = ascii(value) if not (type(value) is int and value < 0) else f"({value})"
        self.known[text] = type(value)
        return text

    def _name(self, node: nodes.Name) -> str:
        return f"v{node.slot}"

    def result(self, text: str, kind: type | None = None) -> str:
        """Write an assignment to a new intermediate value."""
        name = self.temporary()
        self.line(f"{name} = {text}")
        if kind is not None:
            self.known[name] = kind
        return name

    def _unary(self, node: nodes.Unary) -> str:
        operand = self.value(node.operand)
        if node.operator == "not":
            return self.result(f"not {operand}")
        operation = "negate" if node.operator == "-" else "plus"
        return self.result(f"{operation}(m, {operand}, {self.place(node.location)})", int)

    def _are_numbers(self, *operands: str) -> str:
        """Return the test that operands are whole numbers, or "" where that is certain."""
        tests = [f"type({operand}) is int" for operand in operands if self.known.get(operand) is not int]
        return " and ".join(tests)

    def arithmetic(self, operator: str, left: str, right: str, slow: str) -> str:
        """Return the text of an operation on two numbers, with what to do instead for anything else."""
        for operand in (left, right):
            if self.known.get(operand, int) is not int:
                return slow
        tests = [test for test in (self._are_numbers(left, right),) if test]
        if operator in _BOUNDED:
            tests.append(f"-{INTEGER_MAX} <= (n := {left} {operator} {right}) <= {INTEGER_MAX}")
            return f"n if {' and '.join(tests)} else {slow}"
        tests.append(right)
        return f"{left} {operator} {right} if {' and '.join(tests)} else {slow}"

    def _binary(self, node: nodes.Binary) -> str:
        left = self.value(node.left)
        right = self.value(node.right)
        slow = f"{OPERATIONS[node.operator]}(m, {left}, {right}, {self.place(node.location)})"
        kind = int if node.operator in _NUMBERS else None
        return self.result(self.arithmetic(node.operator, left, right, slow), kind)

    def _comparison(self, node: nodes.Comparison) -> str:
        left = self.value(node.left)
        right = self.value(node.right)
        place = self.place(node.location)
        if node.operator in _CONTAINMENTS:
            return self.result(_CONTAINMENTS[node.operator].format(l=left, r=right, p=place))
        slow = _COMPARISONS[node.operator].format(l=left, r=right, p=place)
        if node.operator in ("==", "!=") and isinstance(node.right, nodes.Literal):
            kind = type(node.right.value)
            if kind is str and op.is_compared_at_once(node.right.value):
                test = f"type({left}) is str and {left} == {right}"
                return self.result(test if node.operator == "==" else f"not ({test})")
        for operand in (left, right):
            if self.known.get(operand, int) is not int:
                return self.result(slow)
        test = self._are_numbers(left, right) or "True"
        return self.result(f"{left} {node.operator} {right} if {test} else {slow}")

    def _logical(self, node: nodes.Logical) -> str:
        chosen = self.temporary()
        self.line(f"{chosen} = {self.value(node.operands[0])}")
        for operand in node.operands[1:]:
            self.line(f"if {chosen}:" if node.operator == "and" else f"if not {chosen}:")
            self._branch(chosen, operand)
        return chosen

    def _conditional(self, node: nodes.Conditional) -> str:
        chosen = self.temporary()
        self.line(f"if {self.value(node.test)}:")
        self._branch(chosen, node.then)
        self.line("else:")
        self._branch(chosen, node.otherwise)
        return chosen

    def _branch(self, chosen: str, node: nodes.Expression) -> None:
        """Write, indented, what gives `chosen` its value."""
        self.indent += 1
        self.line(f"{chosen} = {self.value(node)}")
        self.indent -= 1

    def _index(self, node: nodes.Index) -> str:
        container = self.value(node.container)
        key = self.value(node.key)
        slow = f"element_at(m, {container}, {key}, {self.place(node.location)})"
        if op.literal_key(node.key) is not None and self.known.get(container, dict) is dict:
            return self.result(
                f"{container}[{key}] if type({container}) is dict and {key} in {container} else {slow}"
            )
        return self.result(slow)

    def _part(self, node: nodes.Slice) -> str:
        container = self.value(node.container)
        start = "None" if node.start is None else self.value(node.start)
        stop = "None" if node.stop is None else self.value(node.stop)
        return self.result(f"part_of(m, {container}, {start}, {stop}, {self.place(node.location)})")

    def _list_display(self, node: nodes.ListDisplay) -> str:
        elements = [self.value(element) for element in node.elements]
        made = self.result(f"[{', '.join(elements)}]", list)
        self.take_memory(costs.LIST_BYTES + costs.SLOT_BYTES * len(elements), node.location)
        return made

    def _dict_display(self, node: nodes.DictDisplay) -> str:
        literal = op.literal_keys(node.entries)
        pairs = [(self.value(key), self.value(value)) for key, value in node.entries]
        if literal is None:
            entries = ", ".join(f"({key}, {value})" for key, value in pairs)
            return self.result(f"dict_of(m, [{entries}], {self.place(node.location)})", dict)
        made = self.result(f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}", dict)
        self.take_memory(costs.DICT_BYTES + costs.ENTRY_BYTES * len(pairs), node.location)
        return made

    def _comprehension(self, node: nodes.Comprehension) -> str:
        """Write nested loops that fill a new list or dictionary."""
        self.take_memory(costs.LIST_BYTES if node.key is None else costs.DICT_BYTES, node.location)
        made = self.result("[]" if node.key is None else "{}")
        outside = self.indent
        for clause in node.clauses:
            location = self.place(clause.location)
            item = self.temporary()
            self.line(f"for {item} in elements_of(m, {self.value(clause.iterable)}, {location}):")
            self.indent += 1
            self.take_gas(clause.gas, clause.location)
            self.bind(clause.targets, item, clause.location)
            for condition in clause.conditions:
                self.line(f"if not {self.value(condition)}: continue")
        if node.key is None:
            self.line(f"append(m, {made}, {self.value(node.element)}, {self.place(node.location)})")
        else:
            key = self.value(node.key)
            self.line(f"put(m, {made}, {key}, {self.value(node.element)}, {self.place(node.location)})")
        self.indent = outside
        return made

    def _arguments(self, node: nodes.SettledCall) -> list[str]:
        """Write the arguments in the order they are evaluated in; return them in that of the parameters."""
        values = [self.value(argument) for argument in node.arguments]
        if node.order is None:
            return values
        return [values[node.order.index(place)] for place in range(len(values))]

    def _function_call(self, node: nodes.FunctionCall) -> str:
        return self.result(f"f_{node.function}({', '.join(['m', *self._arguments(node)])})")

    def _library_call(self, node: nodes.LibraryCall) -> str:
        arguments = ", ".join(["m", self.place(node.location), *self._arguments(node)])
        return self.result(f"lib_{node.function}({arguments})")

    def _host_call(self, node: nodes.HostCall) -> str:
        arguments = ", ".join(["m", self.place(node.location), *self._arguments(node)])
        return self.result(f"m.host[{node.function!r}]({arguments})")

    def _method_call(self, node: nodes.MethodCall) -> str:
        receiver = self.value(node.receiver)
        place = self.place(node.location)
        arguments = ", ".join(["m", place, receiver, *(self.value(argument) for argument in node.arguments)])
        calls = self.constant(calls_by_type(node.method, len(node.arguments)))
        method = self.result(f"{calls}.get(type({receiver}))")
        self.line(f"if {method} is None: no_method({place})")
        return self.result(f"{method}({arguments})")

    _EXPRESSIONS: ClassVar[dict[type, Callable[..., str]]] = {
        nodes.Literal: _literal,
        nodes.Name: _name,
        nodes.Unary: _unary,
        nodes.Binary: _binary,
        nodes.Comparison: _comparison,
        nodes.Logical: _logical,
        nodes.Conditional: _conditional,
        nodes.Index: _index,
        nodes.Slice: _part,
        nodes.ListDisplay: _list_display,
        nodes.DictDisplay: _dict_display,
        nodes.Comprehension: _comprehension,
        nodes.FunctionCall: _function_call,
        nodes.LibraryCall: _library_call,
        nodes.HostCall: _host_call,
        nodes.MethodCall: _method_call,
    }
