"""The second engine: the settled tree rewritten as plain Python and compiled.

Faster than the closures and never the one that decides: the tests hold the two against each other in result,
fault, gas, memory and trace. What is compiled is written here from the settled tree, name by name (`v3` a variable,
`t1` an intermediate value, `p5` a place in the source); nothing of the contract's text gets into it but numbers and
texts as literals. Every operation is a statement of its own, so neither nesting nor evaluation order depend on the
interpreter's compiler.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from careledger.contracts.engines.rewriting_values import OPERATIONS, ExpressionWriter
from careledger.contracts.faults import ContractFault, FaultKind, Location
from careledger.contracts.semantics import operations as op
from careledger.contracts.semantics.library import LIBRARY
from careledger.contracts.syntax import nodes
from careledger.contracts.syntax.nodes import Value

_AUGMENTED: Final = OPERATIONS | {"+": "add_in_place"}


def _out_of_gas(location: Location) -> None:
    raise ContractFault(FaultKind.OUT_OF_GAS, location)


def _out_of_memory(location: Location) -> None:
    raise ContractFault(FaultKind.OUT_OF_MEMORY, location)


def _no_method(location: Location) -> None:
    raise ContractFault(FaultKind.NO_SUCH_METHOD, location)


def _names() -> dict[str, object]:
    """Return what rewritten code may name: a few types, the operations, the library. No builtins."""
    operations = (
        op.add,
        op.add_in_place,
        op.subtract,
        op.multiply,
        op.floor_divide,
        op.modulo,
        op.negate,
        op.plus,
        op.is_equal,
        op.is_less,
        op.contains,
        op.element_at,
        op.assign_element,
        op.part_of,
        op.append,
        op.put,
        op.elements_of,
        op.unpacked,
        op.dict_of,
    )
    names: dict[str, object] = {operation.__name__: operation for operation in operations}
    names |= {f"lib_{name}": function.call for name, function in LIBRARY.items()}
    names |= {"type": type, "int": int, "str": str, "list": list, "dict": dict, "len": len}
    names |= {"out_of_gas": _out_of_gas, "out_of_memory": _out_of_memory, "no_method": _no_method}
    names["__builtins__"] = {}
    return names


def compile_rewritten(program: nodes.Program) -> dict[str, Callable[..., Value]]:
    """Return, by name, what runs each function: `call(meter, *arguments)`."""
    names = _names()
    places: dict[Location, str] = {}
    lines: list[str] = []
    for function in program.functions.values():
        writer = _Writer(names, places)
        writer.function(function)
        lines += writer.lines
    names |= {name: location for location, name in places.items()}
    code = compile("\n".join(lines), "<contract>", "exec", dont_inherit=True)
    exec(code, names)  # noqa: S102 - the text was written above, from a checked tree
    functions: dict[str, Callable[..., Value]] = {}
    for name in program.functions:
        made = names[f"f_{name}"]
        if callable(made):
            functions[name] = made
    return functions


class _Writer(ExpressionWriter):
    """Writes one function, line by line."""

    def function(self, node: nodes.SettledFunction) -> None:
        """Write a whole function."""
        parameters = ", ".join(["m", *(f"v{slot}" for slot in range(len(node.parameters)))])
        self.line(f"def f_{node.identifier}({parameters}):")
        self._suite(node.body)

    def _suite(self, suite: nodes.Suite) -> None:
        """Write an indented suite."""
        self.indent += 1
        for statement in suite:
            self.temporaries = 0
            self.known = {}
            self._STATEMENTS[type(statement)](self, statement)
        if not suite:
            self.line("pass")
        self.indent -= 1

    def _charge(self, node: nodes.Charge) -> None:
        self.take_gas(node.gas, node.location)

    def _assign(self, node: nodes.Assign) -> None:
        value = self.value(node.value)
        if isinstance(node.target, nodes.Name):
            self.line(f"v{node.target.slot} = {value}")
        else:
            container = self.value(node.target.container)
            key = self.value(node.target.key)
            self.line(f"assign_element(m, {container}, {key}, {value}, {self.place(node.target.location)})")

    def _augment(self, node: nodes.Augment) -> None:
        operation = _AUGMENTED[node.operator]
        location = self.place(node.location)
        if isinstance(node.target, nodes.Name):
            target = f"v{node.target.slot}"
            value = self.value(node.value)
            slow = f"{operation}(m, {target}, {value}, {location})"
            self.line(f"{target} = {self.arithmetic(node.operator, target, value, slow)}")
            return
        place = self.place(node.target.location)
        container = self.value(node.target.container)
        key = self.value(node.target.key)
        before = self.temporary()
        self.line(f"{before} = element_at(m, {container}, {key}, {place})")
        value = self.value(node.value)
        after = self.temporary()
        self.line(f"{after} = {operation}(m, {before}, {value}, {location})")
        self.line(f"assign_element(m, {container}, {key}, {after}, {place})")

    def _unpack(self, node: nodes.Unpack) -> None:
        self.bind(node.targets, self.value(node.value), node.location)

    def _evaluate(self, node: nodes.Evaluate) -> None:
        self.value(node.value)

    def _choose(self, node: nodes.If) -> None:
        """Write an `if`. With several arms, all tests come first: nested `else` would indent without limit."""
        if len(node.arms) == 1:
            ((test, suite),) = node.arms
            self.line(f"if {self.value(test)}:")
            self._suite(suite)
            if node.otherwise:
                self.line("else:")
                self._suite(node.otherwise)
            return
        self.choices += 1
        chosen = f"c{self.choices}"
        self.line(f"{chosen} = 0")
        for number, (test, _) in enumerate(node.arms, 1):
            self.line(f"if not {chosen}:")
            self.indent += 1
            self.line(f"if {self.value(test)}: {chosen} = {number}")
            self.indent -= 1
        for number, (_, suite) in enumerate(node.arms, 1):
            self.line(f"if {chosen} == {number}:")
            self._suite(suite)
        if node.otherwise:
            self.line(f"if not {chosen}:")
            self._suite(node.otherwise)

    def _loop(self, node: nodes.For) -> None:
        iterable = self.value(node.iterable)
        location = self.place(node.location)
        single = len(node.targets) == 1
        item = f"v{node.targets[0].slot}" if single else "u"
        self.line(f"for {item} in elements_of(m, {iterable}, {location}):")
        if not single:
            self.indent += 1
            self.bind(node.targets, item, node.location)
            self.indent -= 1
        self._suite(node.body)

    def _give(self, node: nodes.Return) -> None:
        self.line(f"return {self.value(node.value)}")

    def _word(self, node: nodes.Break | nodes.Continue | nodes.Pass) -> None:
        self.line({nodes.Break: "break", nodes.Continue: "continue", nodes.Pass: "pass"}[type(node)])

    _STATEMENTS: ClassVar[dict[type, Callable[..., None]]] = {
        nodes.Charge: _charge,
        nodes.Assign: _assign,
        nodes.Augment: _augment,
        nodes.Unpack: _unpack,
        nodes.Evaluate: _evaluate,
        nodes.If: _choose,
        nodes.For: _loop,
        nodes.Return: _give,
        nodes.Break: _word,
        nodes.Continue: _word,
        nodes.Pass: _word,
    }
