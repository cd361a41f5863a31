"""Second opinions: Starlark on the values of pure programs, Python on values and on the shape of every source."""

from __future__ import annotations

import ast
import random
from collections import Counter

import pytest
import starlark

from careledger.contracts import ContractFault, ContractRefused, FaultKind, Value, check, run
from careledger.contracts.plans import EXAMPLES, example_plan
from careledger.contracts.syntax import nodes
from careledger.contracts.syntax.parser import parse
from contracts.contract_programs import ProgramMaker

OURS_ALONE = frozenset(
    {
        # limits Starlark and Python do not have
        FaultKind.NUMBER_TOO_LARGE,
        FaultKind.TOO_LONG,
        FaultKind.OUT_OF_GAS,
        FaultKind.OUT_OF_MEMORY,
        FaultKind.BAD_KEY,
        FaultKind.BAD_RESULT,
        # stricter than Starlark or Python, or about constants
        FaultKind.WRONG_TYPE,
        FaultKind.CONSTANT_CHANGED,
    }
)


def exact(value: object) -> str:
    """A text that tells True from 1 and a tuple from nothing."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{exact(key)}: {exact(element)}" for key, element in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(exact(element) for element in value) + "]"
    return repr(value)


def ours(source: str, arguments: dict[str, Value]) -> str | FaultKind:
    contract = check(source)
    try:
        return exact(run(contract, "main", arguments, gas_max=500_000, memory_bytes_max=20_000_000).result)
    except ContractFault as fault:
        return fault.kind


def starlarks(source: str, arguments: dict[str, Value]) -> tuple[str | None, str]:
    """The value Starlark gives, or None and what it says instead."""
    call = f"main({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    tree = starlark.parse("x.star", f"{source}\n{call}\n")
    try:
        return exact(starlark.eval(starlark.Module(), tree, starlark.Globals.standard())), ""
    except starlark.StarlarkError as error:
        return None, str(error)


STARLARK_ALONE = (
    "mutates an iterable",  # a loop here goes over the elements as they stood when it began
    "too big to fit in i32",  # its indexes and repetitions have 32 bits
    "unpacking value for parameter `index`",  # the same
)


def disagreement(seed: int, seen: Counter[str]) -> str:
    """What Starlark says otherwise about one program, or ""."""
    maker = ProgramMaker(seed, pure=True)
    source = maker.program()
    arguments = maker.arguments()
    try:
        mine = ours(source, arguments)
    except ContractRefused:
        return ""
    if mine in OURS_ALONE:
        return ""
    theirs, error = starlarks(source, arguments)
    if theirs is None and (isinstance(mine, FaultKind) or any(reason in error for reason in STARLARK_ALONE)):
        seen["stopped"] += 1
        return ""
    seen["value"] += 1
    return (
        ""
        if mine == theirs
        else f"seed {seed}: {mine!r} here, {theirs or error} there\n{source}\n{arguments}"
    )


def test_starlark_agrees() -> None:
    seen: Counter[str] = Counter()
    found = [text for seed in range(600) if (text := disagreement(seed, seen))]
    assert found[:1] == []
    assert seen["value"] > 200
    assert seen["stopped"] > 100


@pytest.mark.parametrize(
    ("body", "agrees"),
    [
        ("return [True == 1, 1 in [True], [1] == [True]]", True),
        ("return [7 // -2, -7 % 3, 'abc'[-2:], 'é€'[1], len('é€')]", True),
        ("return sorted(['b', 'a', 'é', 'Z'])", True),
        ("x = [1]\n    y = x\n    y += [2]\n    return x", True),
        ("l = [1]\n    for x in l:\n        l.append(2)\n    return l", False),
    ],
)
def test_starlark_on_the_corners(body: str, *, agrees: bool) -> None:
    source = f'ENTRY_POINTS = ["main"]\ndef main():\n    {body}\n'
    theirs, _ = starlarks(source, {})
    assert (ours(source, {}) == theirs) is agrees


# -- Python's own parser ------------------------------------------------------------------------------------

OPERATORS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.And: "and", ast.Or: "or",
    ast.Not: "not", ast.USub: "-", ast.UAdd: "+", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=",
    ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip

Shape = tuple[object, ...]


def shape_of_python(node: ast.AST) -> Shape:  # noqa: PLR0912 - one branch per kind of node
    """The shape of Python's tree, in our words."""
    match node:
        case ast.Constant(value=value):
            return ("literal", repr(value))
        case ast.Name(id=name):
            return ("name", name, node.lineno, len(node_line(node)[: node.col_offset].decode()) + 1)
        case ast.UnaryOp(op=op, operand=operand):
            inner = shape_of_python(operand)
            if not isinstance(op, ast.Not) and inner[0] == "literal" and str(inner[1]).lstrip("-").isdigit():
                return (
                    "literal",
                    repr(-int(str(inner[1])) if isinstance(op, ast.USub) else int(str(inner[1]))),
                )
            return ("unary", OPERATORS[type(op)], inner)
        case ast.BinOp(left=left, op=op, right=right):
            return ("binary", OPERATORS[type(op)], shape_of_python(left), shape_of_python(right))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return ("comparison", OPERATORS[type(op)], shape_of_python(left), shape_of_python(right))
        case ast.BoolOp(op=op, values=values):
            return ("logical", OPERATORS[type(op)], *map(shape_of_python, values))
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            return ("conditional", *map(shape_of_python, (test, body, otherwise)))
        case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper)):
            return (
                "slice",
                shape_of_python(value),
                *(part and shape_of_python(part) for part in (lower, upper)),
            )
        case ast.Subscript(value=value, slice=key):
            return ("index", shape_of_python(value), shape_of_python(key))
        case ast.List(elts=elements):
            return ("list", *map(shape_of_python, elements))
        case ast.Dict(keys=keys, values=values):
            return (
                "dict",
                *((shape_of_python(k), shape_of_python(v)) for k, v in zip(keys, values, strict=True) if k),
            )
        case ast.ListComp(elt=element, generators=generators):
            return ("comprehension", None, shape_of_python(element), *map(shape_of_python, generators))
        case ast.DictComp(key=key, value=value, generators=generators):
            return (
                "comprehension",
                shape_of_python(key),
                shape_of_python(value),
                *map(shape_of_python, generators),
            )
        case ast.comprehension(target=target, iter=iterable, ifs=conditions):
            return ("clause", names_of(target), shape_of_python(iterable), *map(shape_of_python, conditions))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            named = tuple((keyword.arg, shape_of_python(keyword.value)) for keyword in keywords)
            return ("call", name, *((None, shape_of_python(argument)) for argument in arguments), *named)
        case ast.Call(func=ast.Attribute(value=receiver, attr=method), args=arguments):
            return ("method", method, shape_of_python(receiver), *map(shape_of_python, arguments))
        case ast.Assign(targets=[ast.Tuple() as targets], value=value):
            return ("unpack", names_of(targets), shape_of_python(value))
        case ast.Assign(targets=[target], value=value):
            return ("assign", shape_of_python(target), shape_of_python(value))
        case ast.AugAssign(target=target, op=op, value=value):
            return ("augment", OPERATORS[type(op)], shape_of_python(target), shape_of_python(value))
        case ast.Expr(value=value):
            return ("evaluate", shape_of_python(value))
        case ast.Return(value=value):
            return ("return", shape_of_python(value) if value else ("literal", "None"))
        case ast.If():
            return ("if", *arms_of(node))
        case ast.For(target=target, iter=iterable, body=body):
            return ("for", names_of(target), shape_of_python(iterable), *map(shape_of_python, body))
        case ast.FunctionDef(name=name, args=arguments, body=body):
            if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                body = body[1:]
            return ("function", name, tuple(a.arg for a in arguments.args), *map(shape_of_python, body))
        case _:
            return (type(node).__name__.lower(),)


LINES: list[bytes] = []


def node_line(node: ast.expr) -> bytes:
    return LINES[node.lineno - 1]


def names_of(target: ast.expr) -> tuple[str, ...]:
    elements = target.elts if isinstance(target, ast.Tuple) else [target]
    return tuple(element.id for element in elements if isinstance(element, ast.Name))


def arms_of(node: ast.If) -> list[object]:
    """The arms of an `if`; an `elif` is an `if` alone in the `else`, at the same column."""
    arms: list[object] = [(shape_of_python(node.test), tuple(map(shape_of_python, node.body)))]
    match node.orelse:
        case [ast.If(col_offset=column) as inner] if column == node.col_offset:
            return arms + arms_of(inner)
        case otherwise:
            return [*arms, tuple(map(shape_of_python, otherwise))]


def shape_of_ours(node: object) -> Shape:  # noqa: PLR0912 - one branch per kind of node
    """The shape of our tree, in the same words."""
    match node:
        case nodes.Literal(value=value):
            return ("literal", repr(value))
        case nodes.Name(location=location, identifier=name):
            return ("name", name, *location)
        case nodes.Unary(operator=operator, operand=operand):
            return ("unary", operator, shape_of_ours(operand))
        case nodes.Binary(operator=operator, left=left, right=right):
            return ("binary", operator, shape_of_ours(left), shape_of_ours(right))
        case nodes.Comparison(operator=operator, left=left, right=right):
            return ("comparison", operator, shape_of_ours(left), shape_of_ours(right))
        case nodes.Logical(operator=operator, operands=operands):
            return ("logical", operator, *map(shape_of_ours, operands))
        case nodes.Conditional(test=test, then=then, otherwise=otherwise):
            return ("conditional", *map(shape_of_ours, (test, then, otherwise)))
        case nodes.Slice(container=container, start=start, stop=stop):
            return (
                "slice",
                shape_of_ours(container),
                *(part and shape_of_ours(part) for part in (start, stop)),
            )
        case nodes.Index(container=container, key=key):
            return ("index", shape_of_ours(container), shape_of_ours(key))
        case nodes.ListDisplay(elements=elements):
            return ("list", *map(shape_of_ours, elements))
        case nodes.DictDisplay(entries=entries):
            return ("dict", *((shape_of_ours(key), shape_of_ours(value)) for key, value in entries))
        case nodes.Comprehension(key=key, element=element, clauses=clauses):
            return (
                "comprehension",
                key and shape_of_ours(key),
                shape_of_ours(element),
                *map(shape_of_ours, clauses),
            )
        case nodes.Clause(targets=targets, iterable=iterable, conditions=conditions):
            names = tuple(target.identifier for target in targets)
            return ("clause", names, shape_of_ours(iterable), *map(shape_of_ours, conditions))
        case nodes.Call(function=function, arguments=arguments):
            return (
                "call",
                function,
                *((argument.name, shape_of_ours(argument.value)) for argument in arguments),
            )
        case nodes.MethodCall(receiver=receiver, method=method, arguments=values):
            return ("method", method, shape_of_ours(receiver), *map(shape_of_ours, values))
        case nodes.Unpack(targets=targets, value=value):
            return ("unpack", tuple(target.identifier for target in targets), shape_of_ours(value))
        case nodes.Assign(target=target, value=value):
            return ("assign", shape_of_ours(target), shape_of_ours(value))
        case nodes.Augment(operator=operator, target=target, value=value):
            return ("augment", operator, shape_of_ours(target), shape_of_ours(value))
        case nodes.Evaluate(value=value):
            return ("evaluate", shape_of_ours(value))
        case nodes.Return(value=value):
            return ("return", shape_of_ours(value))
        case nodes.If(arms=arms, otherwise=suite):
            parts = [(shape_of_ours(test), tuple(map(shape_of_ours, body))) for test, body in arms]
            return ("if", *parts, tuple(map(shape_of_ours, suite)))
        case nodes.For(targets=targets, iterable=iterable, body=body):
            names = tuple(target.identifier for target in targets)
            return ("for", names, shape_of_ours(iterable), *map(shape_of_ours, body))
        case nodes.Function(identifier=name, parameters=parameters, body=body):
            return ("function", name, tuple(p.identifier for p in parameters), *map(shape_of_ours, body))
        case _:
            return (type(node).__name__.lower(),)


def compare_shapes(source: str) -> None:
    LINES[:] = source.encode().split(b"\n")
    statements = ast.parse(source).body
    if isinstance(statements[0], ast.Expr):
        statements = statements[1:]
    module = parse(source)
    functions = [node for node in statements if isinstance(node, ast.FunctionDef)]
    constants = [node for node in statements if not isinstance(node, ast.FunctionDef)]
    assert [shape_of_ours(node) for node in module.functions] == [shape_of_python(node) for node in functions]
    assert [shape_of_ours(node) for node in module.constants] == [shape_of_python(node) for node in constants]


def test_python_sees_the_same_tree_in_random_programs() -> None:
    for seed in range(250):
        compare_shapes(ProgramMaker(50_000 + seed).program())


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_sees_the_same_tree_in_the_example_plans(name: str) -> None:
    compare_shapes(example_plan(name).source)


@pytest.mark.parametrize(
    "expression",
    [
        "not a == b and c or d", "not a in b", "a not in b", "- a * b", "-a[0]", "a - b - c", "a - (b - c)",
        "a * b // c % d", "a + b * c", "a or b and not c", "a if b else c if d else e", "(a if b else c) if d else e",
        "a if (b if c else d) else e", "a and (b and c)", "(a and b) and c", "a or b or c",
        "a.get(b).get(c)[d][e:][:f]",
        "[a if b else c for d in e or f if g if not h]", "{a: b for c in d for e in c}", "f(a, b=c if d else e)",
        "- 5", "-5 + 3", "+a", "- - a", "'it\\'s'", "(((a)))", "a[b:c]", "a[:]",
        "[a, [b], {c: [d,],},]", "a < (b < c)", "not not a", "-(-5)",
    ],
)  # fmt: skip
def test_python_sees_the_same_tree(expression: str) -> None:
    compare_shapes(f"def main(a, b, c, d, e, f, g, h):\n    return {expression}\n")


def test_what_is_accepted_is_python_whatever_is_done_to_the_text() -> None:
    draw = random.Random(7)
    alphabet = " \n()[]{}:,.=+-*/%<>!\"'#abx0_19"
    accepted = 0
    for seed in range(100):
        source = ProgramMaker(60_000 + seed).program()
        for _ in range(9):
            place = draw.randrange(len(source))
            changed = source[:place] + draw.choice(alphabet) + source[place + draw.choice([0, 1]) :]
            try:
                parse(changed)
            except ContractRefused:
                continue
            accepted += 1
            compare_shapes(changed)
    assert accepted > 100
