"""Sources that are not contracts: each is refused at its place, in words that say what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from careledger.contracts import ContractRefused, FaultKind, check, point_at

HEAD = 'ENTRY_POINTS = ["main"]\n'
BIG = "170141183460469231731687303715884105728"

# In a function `main(x)`, whose body begins in line 3, column 5.
BODIES: list[tuple[str, FaultKind, tuple[int, int], str]] = [
    ("return 1.5", FaultKind.NOT_IN_LANGUAGE, (3, 12), "decimal fractions"),
    ("return 1e5", FaultKind.NOT_IN_LANGUAGE, (3, 12), "digits"),
    ("return 0x10", FaultKind.NOT_IN_LANGUAGE, (3, 12), "digits"),
    ("return 007", FaultKind.NOT_IN_LANGUAGE, (3, 12), "digits"),
    ("return 1_", FaultKind.NOT_IN_LANGUAGE, (3, 12), "digits"),
    ("return 5if x else 2", FaultKind.NOT_IN_LANGUAGE, (3, 12), "digits"),
    (f"return {BIG}", FaultKind.LITERAL_OUT_OF_RANGE, (3, 12), "127 bits"),
    (f"return {'9' * 5000}", FaultKind.LITERAL_OUT_OF_RANGE, (3, 12), "127 bits"),
    ("return 1 / 2", FaultKind.NOT_IN_LANGUAGE, (3, 14), "round_half_up"),
    ("x /= 2", FaultKind.NOT_IN_LANGUAGE, (3, 7), "round_half_up"),
    ("return 2 ** 3", FaultKind.NOT_IN_LANGUAGE, (3, 14), "**"),
    ("return 1 << 3", FaultKind.NOT_IN_LANGUAGE, (3, 14), "shifts"),
    ("x >>= 1", FaultKind.NOT_IN_LANGUAGE, (3, 7), "shifts"),
    ("return 1 | 2", FaultKind.NOT_IN_LANGUAGE, (3, 14), "bitwise"),
    ("return ~x", FaultKind.NOT_IN_LANGUAGE, (3, 12), "bitwise"),
    ("return (y := 1)", FaultKind.NOT_IN_LANGUAGE, (3, 15), ":="),
    ("return x; return x", FaultKind.NOT_IN_LANGUAGE, (3, 13), "one statement per line"),
    ("return x.y", FaultKind.NOT_IN_LANGUAGE, (3, 14), 'x["y"]'),
    ("return x.__class__()", FaultKind.NAME_REFUSED, (3, 14), "`_`"),
    ("_x = 1", FaultKind.NAME_REFUSED, (3, 5), "`_`"),
    (f"{'y' * 65} = 1", FaultKind.NAME_REFUSED, (3, 5), "64"),
    ("class = 1", FaultKind.NOT_IN_LANGUAGE, (3, 5), "no classes"),
    ("for if in x:\n        pass", FaultKind.NAME_REFUSED, (3, 9), "word of the language"),
    ("while x:\n        pass", FaultKind.NOT_IN_LANGUAGE, (3, 5), "range"),
    ("import os", FaultKind.NOT_IN_LANGUAGE, (3, 5), "own functions"),
    ("from os import path", FaultKind.NOT_IN_LANGUAGE, (3, 5), "own functions"),
    ("try:\n        pass", FaultKind.NOT_IN_LANGUAGE, (3, 5), "faults"),
    ("raise x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "fail"),
    ("assert x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "fail"),
    ("with x:\n        pass", FaultKind.NOT_IN_LANGUAGE, (3, 5), "with"),
    ("global x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "constants"),
    ("nonlocal x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "return them"),
    ("del x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "pop"),
    ("async def f():\n        pass", FaultKind.NOT_IN_LANGUAGE, (3, 5), "wait"),
    ("def f():\n        pass", FaultKind.NOT_IN_LANGUAGE, (3, 5), "top level"),
    ("return lambda: 1", FaultKind.NOT_IN_LANGUAGE, (3, 12), "def"),
    ("return await x", FaultKind.NOT_IN_LANGUAGE, (3, 12), "wait"),
    ("yield x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "return"),
    ("return x is None", FaultKind.NOT_IN_LANGUAGE, (3, 14), "=="),
    ("return x is not None", FaultKind.NOT_IN_LANGUAGE, (3, 14), "=="),
    ("return 1 < x < 3", FaultKind.NOT_IN_LANGUAGE, (3, 18), "chained"),
    ("return 1 == x in [1]", FaultKind.NOT_IN_LANGUAGE, (3, 19), "chained"),
    ("return ()", FaultKind.NOT_IN_LANGUAGE, (3, 12), "list"),
    ("return (1, 2)", FaultKind.NOT_IN_LANGUAGE, (3, 14), "list"),
    ("return 1, 2", FaultKind.NOT_IN_LANGUAGE, (3, 13), "list"),
    ("x = 1, 2", FaultKind.NOT_IN_LANGUAGE, (3, 10), "list"),
    ("x = y = 1", FaultKind.NOT_IN_LANGUAGE, (3, 11), "one thing"),
    ("x: int = 1", FaultKind.NOT_IN_LANGUAGE, (3, 6), "annotations"),
    ("x[0], y = [1, 2]", FaultKind.NOT_IN_LANGUAGE, (3, 5), "plain names"),
    ("return {1, 2}", FaultKind.NOT_IN_LANGUAGE, (3, 12), "sets"),
    ("return {x for x in [1]}", FaultKind.NOT_IN_LANGUAGE, (3, 12), "sets"),
    ("return (x for x in [1])", FaultKind.NOT_IN_LANGUAGE, (3, 15), "brackets"),
    ("return sum(x for x in [1])", FaultKind.NOT_IN_LANGUAGE, (3, 18), "brackets"),
    ("return x[::2]", FaultKind.NOT_IN_LANGUAGE, (3, 15), "step"),
    ("return [*x]", FaultKind.SYNTAX, (3, 13), "value"),
    ("return len(*x)", FaultKind.NOT_IN_LANGUAGE, (3, 16), "one by one"),
    ("return len(**x)", FaultKind.NOT_IN_LANGUAGE, (3, 16), "**"),
    ("return x()()", FaultKind.NOT_IN_LANGUAGE, (3, 15), "function's name"),
    ("return [len][0](x)", FaultKind.NOT_IN_LANGUAGE, (3, 20), "function's name"),
    ("return x(1)", FaultKind.NOT_IN_LANGUAGE, (3, 12), "value and cannot be called"),
    ("return len", FaultKind.NOT_IN_LANGUAGE, (3, 12), "can only be called"),
    ("return main", FaultKind.NOT_IN_LANGUAGE, (3, 12), "can only be called"),
    ("x + 1", FaultKind.NOT_IN_LANGUAGE, (3, 5), "nothing uses"),
    ("x", FaultKind.NOT_IN_LANGUAGE, (3, 5), "nothing uses"),
    ("pass\n    'text'", FaultKind.NOT_IN_LANGUAGE, (4, 5), "nothing uses"),
    ("return 'a' 'b'", FaultKind.NOT_IN_LANGUAGE, (3, 16), "`+`"),
    ("return f'{x}'", FaultKind.NOT_IN_LANGUAGE, (3, 12), "prefix"),
    ("return b'x'", FaultKind.NOT_IN_LANGUAGE, (3, 12), "prefix"),
    ("return r'x'", FaultKind.NOT_IN_LANGUAGE, (3, 12), "prefix"),
    (r"return '\d'", FaultKind.NOT_IN_LANGUAGE, (3, 13), "escapes"),
    (r"return '\x41'", FaultKind.NOT_IN_LANGUAGE, (3, 13), "escapes"),
    ("return '\\\nx'", FaultKind.NOT_IN_LANGUAGE, (3, 13), "escapes"),
    ("return 1 + \\\n        2", FaultKind.NOT_IN_LANGUAGE, (3, 16), "backslash"),
    ("return 'abc", FaultKind.SYNTAX, (3, 12), "not closed"),
    ("return '''abc\n", FaultKind.SYNTAX, (3, 12), "not closed"),
    ("return [1, 2", FaultKind.SYNTAX, (4, 1), "still open"),
    ("return 1]", FaultKind.SYNTAX, (3, 13), "closes no bracket"),
    ("return (1]", FaultKind.SYNTAX, (3, 14), "closes no bracket"),
    ("return x[]", FaultKind.SYNTAX, (3, 14), "value"),
    ("return 1 +", FaultKind.SYNTAX, (3, 15), "value"),
    ("return 1 2", FaultKind.SYNTAX, (3, 14), "end of the line"),
    ("return if", FaultKind.SYNTAX, (3, 12), "value"),
    ("return 1 if x", FaultKind.SYNTAX, (3, 18), "`else`"),
    ("return [x for in x]", FaultKind.NAME_REFUSED, (3, 19), "word"),
    ("return [x for 1 in x]", FaultKind.SYNTAX, (3, 19), "name"),
    ("if x\n        pass", FaultKind.SYNTAX, (3, 9), "`:`"),
    ("if x:\n    pass", FaultKind.SYNTAX, (4, 5), "indented line"),
    ("pass\n        pass", FaultKind.SYNTAX, (4, 9), "indented more"),
    ("if x:\n            pass\n        pass", FaultKind.SYNTAX, (5, 9), "matches no line"),
    ("else:\n        pass", FaultKind.NOT_IN_LANGUAGE, (3, 5), "under an `if`"),
    ("for i in x:\n        pass\n    else:\n        pass", FaultKind.NOT_IN_LANGUAGE, (5, 5), "under an `if`"),
    ("5 = x", FaultKind.SYNTAX, (3, 5), "is assigned"),
    ("len(x) = 1", FaultKind.SYNTAX, (3, 5), "is assigned"),
    ("len(x) += 1", FaultKind.SYNTAX, (3, 5), "is assigned"),
    ("x[1:2] = [1]", FaultKind.SYNTAX, (3, 5), "is assigned"),
    ("return main(x, x=1, x=2)", FaultKind.WRONG_CALL, (3, 12), "arguments are expected"),
    ("return len(a=1, 2)", FaultKind.SYNTAX, (3, 21), "by position come before"),
    ("break", FaultKind.SYNTAX, (3, 5), "outside any loop"),
    ("if x:\n        continue", FaultKind.SYNTAX, (4, 9), "outside any loop"),
    ("return\tx", FaultKind.BAD_CHARACTER, (3, 11), "tabs"),
    ("return 'a\x00b'", FaultKind.BAD_CHARACTER, (3, 14), "cannot be seen"),
    ("return 'a\u202eb'", FaultKind.BAD_CHARACTER, (3, 14), "cannot be seen"),
    ("return 'a\u200bb'", FaultKind.BAD_CHARACTER, (3, 14), "cannot be seen"),
    ("return x # \u2066 hidden", FaultKind.BAD_CHARACTER, (3, 16), "cannot be seen"),
    ("return x\r    return x", FaultKind.BAD_CHARACTER, (3, 13), "cannot be seen"),
    ("return x\x0c", FaultKind.BAD_CHARACTER, (3, 13), "cannot be seen"),
    ("return é", FaultKind.BAD_CHARACTER, (3, 12), "ASCII"),
    ("return \uff58", FaultKind.BAD_CHARACTER, (3, 12), "ASCII"),
    ("ﬁle = 1", FaultKind.BAD_CHARACTER, (3, 5), "ASCII"),
    ("return x\u00a0+ 1", FaultKind.BAD_CHARACTER, (3, 13), "ASCII"),
    ("return $x", FaultKind.BAD_CHARACTER, (3, 12), "not allowed"),
    ("return x!", FaultKind.BAD_CHARACTER, (3, 13), "not allowed"),
    ("return y", FaultKind.UNKNOWN_NAME, (3, 12), "`y`"),
    ("return nothing(x)", FaultKind.UNKNOWN_NAME, (3, 12), "`nothing`"),
    ("return x.format(1)", FaultKind.UNKNOWN_NAME, (3, 14), "`format`"),
    ("return x.encode()", FaultKind.UNKNOWN_NAME, (3, 14), "`encode`"),
    ("return print(x)", FaultKind.UNKNOWN_NAME, (3, 12), "`print`"),
    ("return eval(x)", FaultKind.UNKNOWN_NAME, (3, 12), "`eval`"),
    ("return hash(x)", FaultKind.UNKNOWN_NAME, (3, 12), "`hash`"),
    ("len = 5", FaultKind.NAME_TAKEN, (3, 5), "function of the language"),
    ("main = 5", FaultKind.NAME_TAKEN, (3, 5), "function of this source"),
    ("ENTRY_POINTS = 5", FaultKind.NAME_TAKEN, (3, 5), "constant of this source"),
    ("for sum in [1]:\n        pass", FaultKind.NAME_TAKEN, (3, 9), "function of the language"),
    ("return [len for len in [1]]", FaultKind.NAME_TAKEN, (3, 21), "function of the language"),
    ("a, a = [1, 2]", FaultKind.NAME_TAKEN, (3, 8), "twice"),
    ("y += 1", FaultKind.MAY_HAVE_NO_VALUE, (3, 5), "`y`"),
    ("if x:\n        y = 1\n    return y", FaultKind.MAY_HAVE_NO_VALUE, (5, 12), "every way"),
    ("for y in x:\n        pass\n    return y", FaultKind.MAY_HAVE_NO_VALUE, (5, 12), "every way"),
    ("return y\n    y = 1", FaultKind.MAY_HAVE_NO_VALUE, (3, 12), "every way"),
    ("for i in x:\n        if i:\n            z = 1\n        w = z\n    return 1",
     FaultKind.MAY_HAVE_NO_VALUE, (6, 13), "`z`"),
    ("return len()", FaultKind.WRONG_CALL, (3, 12), "missing"),
    ("return len(1, 2)", FaultKind.WRONG_CALL, (3, 12), "1 arguments are expected"),
    ("return len(y=1)", FaultKind.WRONG_CALL, (3, 12), "no parameter `y`"),
    ("return percent_bp(1, 2, amount=3)", FaultKind.WRONG_CALL, (3, 12), "twice"),
    ("return min()", FaultKind.WRONG_CALL, (3, 12), "missing"),
    ("return [].append()", FaultKind.WRONG_CALL, (3, 15), "does not take 0"),
    ("return [].append(1, 2)", FaultKind.WRONG_CALL, (3, 15), "does not take 2"),
    ("return {}.get(key=1)", FaultKind.NOT_IN_LANGUAGE, (3, 19), "by position"),
    ("return main(1)", FaultKind.RECURSION, (3, 12), "`main`, which calls `main`"),
    ("return rule('r', 1, 'x', 1, 2)", FaultKind.BAD_RULES, (3, 17), "no such rule id"),
    ("return rule(line=1, rule_id='r', amount='x', before=1, after=2)",
     FaultKind.BAD_RULES, (3, 33), "no such rule id"),
    ("fail(x)", FaultKind.NOT_IN_LANGUAGE, (3, 5), "written out"),
    ("return {'a': 1, 'a': 2}", FaultKind.BAD_KEY, (3, 21), "twice"),
    ("return " + "(" * 41 + "1" + ")" * 41, FaultKind.TOO_NESTED, (3, 52), "nested"),
    ("return " + "[" * 40 + "]" * 40, FaultKind.TOO_NESTED, (3, 51), "nested"),
    ("return " + " + ".join(["x"] * 60), FaultKind.TOO_NESTED, (3, 90), "nested"),
    ("return " + "not " * 50 + "x", FaultKind.TOO_NESTED, (3, 172), "nested"),
    ("return " + "-" * 50 + "x", FaultKind.TOO_NESTED, (3, 52), "nested"),
    ("return x" + "[0]" * 50, FaultKind.TOO_NESTED, (3, 43), "nested"),
    ("return " + "1 if x else " * 50 + "2", FaultKind.TOO_NESTED, (3, 492), "nested"),
    (
        "\n".join("    " * i + "for a in x:" for i in range(9)).lstrip().replace("\n", "\n    ")
        + "\n" + "    " * 10 + "pass",
        FaultKind.TOO_NESTED,
        (11, 37),
        "8 loops",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "place", "words"), BODIES)
def test_body_is_refused(body: str, kind: FaultKind, place: tuple[int, int], words: str) -> None:
    with pytest.raises(ContractRefused) as caught:
        check(f"{HEAD}def main(x):\n    {body}\n")
    first = caught.value.problems[0]
    assert (first.kind, first.location) == (kind, place), str(first)
    assert words in first.detail


WHOLE: list[tuple[str, FaultKind, tuple[int, int], str]] = [
    ("", FaultKind.BAD_ENTRY_POINTS, (1, 1), "ENTRY_POINTS"),
    ("# nothing", FaultKind.BAD_ENTRY_POINTS, (1, 1), "ENTRY_POINTS"),
    ("ENTRY_POINTS = []", FaultKind.BAD_ENTRY_POINTS, (1, 1), "ENTRY_POINTS"),
    ('ENTRY_POINTS = "main"\ndef main():\n    pass', FaultKind.BAD_ENTRY_POINTS, (1, 1), "ENTRY_POINTS"),
    ('ENTRY_POINTS = ["other"]\ndef main():\n    pass', FaultKind.BAD_ENTRY_POINTS, (1, 1), "functions"),
    ('ENTRY_POINTS = ["main", "main"]\ndef main():\n    pass', FaultKind.BAD_ENTRY_POINTS, (1, 1), "functions"),
    ("for x in [1]:\n    pass", FaultKind.SYNTAX, (1, 1), "value"),
    ("while 1:\n    pass", FaultKind.NOT_IN_LANGUAGE, (1, 1), "range"),
    ("import os", FaultKind.NOT_IN_LANGUAGE, (1, 1), "own functions"),
    ("  x = 1", FaultKind.SYNTAX, (1, 3), "indented"),
    ("x += 1", FaultKind.NOT_IN_LANGUAGE, (1, 1), "outside functions"),
    ("x[0] = 1", FaultKind.NOT_IN_LANGUAGE, (1, 1), "outside functions"),
    ("return 1", FaultKind.NOT_IN_LANGUAGE, (1, 1), "outside functions"),
    ("len(1)", FaultKind.NOT_IN_LANGUAGE, (1, 1), "outside functions"),
    ("@main\ndef f():\n    pass", FaultKind.NOT_IN_LANGUAGE, (1, 1), "decorators"),
    ("def f(x: int):\n    pass", FaultKind.NOT_IN_LANGUAGE, (1, 8), "annotations"),
    ("def f() -> int:\n    pass", FaultKind.NOT_IN_LANGUAGE, (1, 9), "annotations"),
    ("def f(*a):\n    pass", FaultKind.NOT_IN_LANGUAGE, (1, 7), "one by one"),
    ("def f(a=1, b):\n    pass", FaultKind.SYNTAX, (1, 12), "last"),
    ("def f(a=[]):\n    pass", FaultKind.NOT_IN_LANGUAGE, (1, 9), "default"),
    ("def f(a, a):\n    pass", FaultKind.NAME_TAKEN, (1, 10), "same name"),
    ("def f(len):\n    pass", FaultKind.NAME_TAKEN, (1, 7), "function of the language"),
    ("def f():\npass", FaultKind.SYNTAX, (2, 1), "indented line"),
    ("def f():", FaultKind.SYNTAX, (2, 1), "indented line"),
    ("def f(", FaultKind.SYNTAX, (2, 1), "still open"),
    ("def len():\n    pass", FaultKind.NAME_TAKEN, (1, 5), "function of the language"),
    ("def f():\n    pass\ndef f():\n    pass", FaultKind.NAME_TAKEN, (3, 5), "already"),
    ("X = 1\nX = 2", FaultKind.NAME_TAKEN, (2, 1), "already"),
    ("X = Y\nY = 1", FaultKind.UNKNOWN_NAME, (1, 5), "further down"),
    ("X = [1] * 65537", FaultKind.BAD_CONSTANT, (1, 9), "too long"),
    ("X = 1 // 0", FaultKind.BAD_CONSTANT, (1, 7), "division"),
    ("X = [y for x in range(65536) for y in range(65536)]", FaultKind.BAD_CONSTANT, (1, 39), "memory"),
    ("X = f()\ndef f():\n    return 1", FaultKind.BAD_CONSTANT, (1, 5), "own functions"),
    ("X = fail('no')", FaultKind.BAD_CONSTANT, (1, 5), "own functions"),
    ("X = rule('a', 1, 'b', 1, 2)", FaultKind.BAD_CONSTANT, (1, 5), "own functions"),
    ("RULES = []", FaultKind.BAD_RULES, (1, 1), "RULES"),
    ("RULES = {1: 'x'}", FaultKind.BAD_RULES, (1, 1), "rule id"),
    ("RULES = {'': 'x'}", FaultKind.BAD_RULES, (1, 1), "rule id"),
    ("RULES = {'A b': 'x'}", FaultKind.BAD_RULES, (1, 1), "small letters"),
    ("RULES = {'a': ' '}", FaultKind.BAD_RULES, (1, 1), "plain words"),
    ("RULES = {'a': 5}", FaultKind.BAD_RULES, (1, 1), "plain words"),
    ("def a():\n    return b()\ndef b():\n    return c()\ndef c():\n    return a()",
     FaultKind.RECURSION, (2, 12), "`a`, which calls `b`, which calls `c`"),
    ("#" * 65537, FaultKind.SOURCE_TOO_LARGE, (1, 1), "65536"),
    ("#" + "é" * 40000, FaultKind.SOURCE_TOO_LARGE, (1, 1), "65536"),
    ("X = [" + "1," * 32500 + "]", FaultKind.TOO_MANY, (1, 32003), "32000"),
    ("\n".join(f"def f{i}(): pass" for i in range(257)), FaultKind.TOO_MANY, (257, 5), "256"),
    (f"def f({', '.join(f'a{i}' for i in range(33))}):\n    pass", FaultKind.TOO_MANY, (1, 5), "32"),
    ("def f():\n" + "".join(f"    a{i} = 1\n" for i in range(201)), FaultKind.TOO_MANY, (202, 5), "200"),
    ("X = 'a\ud800b'", FaultKind.BAD_CHARACTER, (1, 7), "cannot be seen"),
    ("\ufeffX = 1", FaultKind.BAD_CHARACTER, (1, 1), "cannot be seen"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "kind", "place", "words"), WHOLE)
def test_source_is_refused(source: str, kind: FaultKind, place: tuple[int, int], words: str) -> None:
    with pytest.raises(ContractRefused) as caught:
        check(source)
    found = {(problem.kind, tuple(problem.location)): problem.detail for problem in caught.value.problems}
    assert (kind, place) in found, str(caught.value)
    assert words in found[kind, place]


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(ContractRefused, match=r"line 2, column 1: the text is not UTF-8 \[102\]"):
        check(b"X = 1\nY = '\xff'\n")


def test_problems_are_reported_together_in_the_order_of_the_text() -> None:
    source = f"{HEAD}def main(x):\n    a = b1\n    a = b2\n    return len(1, 2)\n"
    with pytest.raises(ContractRefused) as caught:
        check(source)
    assert [(problem.kind.value, problem.location.line) for problem in caught.value.problems] == [
        (107, 3),
        (107, 4),
        (110, 5),
    ]
    assert str(caught.value).count("\n") == 2


def test_reporting_stops_at_twenty() -> None:
    with pytest.raises(ContractRefused) as caught:
        check(HEAD + "def main():\n" + "".join(f"    a = x{i}\n" for i in range(50)))
    assert len(caught.value.problems) == 20


def test_a_caret_points_at_the_place() -> None:
    source = f"{HEAD}def main(x):\n    return y\n"
    with pytest.raises(ContractRefused) as caught:
        check(source)
    assert point_at(source, caught.value.problems[0].location) == "    return y\n           ^"


def test_line_ends_of_either_kind_make_the_same_tree() -> None:
    source = f"{HEAD}def main(x):\n    '''two\n    lines'''\n    return x\n"
    unix = check(source)
    other = check(source.replace("\n", "\r\n"))
    assert unix.program == other.program
    assert unix.source_hash != other.source_hash


def test_a_source_may_end_without_a_line_end() -> None:
    assert (
        check(f"{HEAD}def main(x):\n    return x").program
        == check(f"{HEAD}def main(x):\n    return x\n").program
    )


def test_every_fault_has_words_and_a_test() -> None:
    words = [kind.words for kind in FaultKind]
    assert len(set(words)) == len(words)
    tested = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    missing = [kind.name for kind in FaultKind if not re.search(rf"FaultKind\.{kind.name}\b", tested)]
    assert missing == []


def test_numbers_of_faults_never_change() -> None:
    assert {kind.name: kind.value for kind in FaultKind} == {
        "SOURCE_TOO_LARGE": 101, "BAD_CHARACTER": 102, "SYNTAX": 103, "NOT_IN_LANGUAGE": 104, "TOO_NESTED": 105,
        "NAME_REFUSED": 106, "UNKNOWN_NAME": 107, "NAME_TAKEN": 108, "MAY_HAVE_NO_VALUE": 109, "WRONG_CALL": 110,
        "RECURSION": 111, "LITERAL_OUT_OF_RANGE": 112, "BAD_ENTRY_POINTS": 113, "BAD_RULES": 114,
        "BAD_CONSTANT": 115, "TOO_MANY": 116,
        "OUT_OF_GAS": 201, "OUT_OF_MEMORY": 202, "WRONG_TYPE": 203, "NUMBER_TOO_LARGE": 204,
        "DIVISION_BY_ZERO": 205, "NO_SUCH_ELEMENT": 206, "NO_SUCH_KEY": 207, "TOO_LONG": 208, "BAD_KEY": 209,
        "UNKNOWN_RULE": 210, "PLAN_STOPPED": 211, "WRONG_COUNT": 212, "CONSTANT_CHANGED": 213, "BAD_VALUE": 214,
        "TOO_DEEP": 215, "NO_SUCH_METHOD": 216, "BAD_HOST_RESULT": 217,
        "UNKNOWN_ENTRY": 301, "BAD_ARGUMENT": 302, "BAD_RESULT": 303, "HOST_MISMATCH": 304,
    }  # fmt: skip
