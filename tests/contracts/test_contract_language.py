"""What every piece of the language gives, and what stops it: both engines, one row each."""

from __future__ import annotations

import pytest

from careledger.contracts import (
    ContractFault,
    Engine,
    FaultKind,
    Outcome,
    Value,
    check,
    run,
)

GAS = 1_000_000
MEMORY = 32 * 1024 * 1024
ENGINES = list(Engine)
HEAD = 'ENTRY_POINTS = ["main"]\nRULES = {"a-rule": "Words."}\n'


def outcome_of(source: str, engine: Engine = Engine.CLOSURES, **arguments: Value) -> Outcome:
    return run(check(HEAD + source), "main", arguments, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine)


def value_of(source: str, engine: Engine = Engine.CLOSURES, **arguments: Value) -> Value:
    return outcome_of(source, engine, **arguments).result


EXPRESSIONS: list[tuple[str, Value]] = [
    # numbers
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("7 // 2", 3),
    ("-7 // 2", -4),
    ("7 // -2", -4),
    ("-7 % 3", 2),
    ("7 % -3", -2),
    ("- -5", 5),
    ("+5", 5),
    ("1_500_000", 1_500_000),
    ("170141183460469231731687303715884105727", 2**127 - 1),
    ("-170141183460469231731687303715884105727", 1 - 2**127),
    # texts
    ("'it\\'s' + \"\\t\\\\\"", "it's\t\\"),
    ('"""two\nlines"""', "two\nlines"),
    ('"é€" + "x"', "é€x"),
    ('"ab" * 3', "ababab"),
    ('3 * "ab"', "ababab"),
    ('"ab" * -1', ""),
    ('"abc"[0]', "a"),
    ('"abc"[-1]', "c"),
    ('"abc"[1:]', "bc"),
    ('"abc"[:-1]', "ab"),
    ('"abc"[5:9]', ""),
    ('"bc" in "abcd"', True),
    ('"" in ""', True),
    # truth and comparison
    ("True == 1", False),
    ("[True] == [1]", False),
    ("False == 0", False),
    ("None == False", False),
    ('1 == "1"', False),
    ("[1, [2]] == [1, [2]]", True),
    ('{"a": 1, "b": 2} == {"b": 2, "a": 1}', True),
    ("1 in [True]", False),
    ("[1] in [[1]]", True),
    ("1 < 2", True),
    ('"Z" < "a"', True),
    ('"10" < "9"', True),
    ('"a" in {"a": 1}', True),
    ("3 not in [1, 2]", True),
    ("not []", True),
    ("not 0 and 5", 5),
    ("0 or [] or None", None),
    ("1 and 2 and 3", 3),
    ("0 and fail('never')", 0),
    ("1 or fail('never')", 1),
    ("1 if [] else 2", 2),
    ("1 if 0 else 2 if 0 else 3", 3),
    ("not 1 == 2", True),
    # lists and dictionaries
    ("[1, 2] + [3]", [1, 2, 3]),
    ("[0] * 3", [0, 0, 0]),
    ("[1, 2, 3][1:2]", [2]),
    ("[1, 2, 3][-2]", 2),
    ("[1, 2, 3][-9:9]", [1, 2, 3]),
    ('{"a": 1, 7: 2}[7]', 2),
    ('{"a": {"b": 3}}["a"]["b"]', 3),
    ("[x * 2 for x in [1, 2, 3] if x != 2]", [2, 6]),
    ("[x + y for x in [1, 2] for y in [10, 20]]", [11, 21, 12, 22]),
    ("[[y for y in range(x)] for x in range(3)]", [[], [0], [0, 1]]),
    ("[a + b for a, b in [[1, 2], [3, 4]]]", [3, 7]),
    ("{str(x): x for x in range(2)}", {"0": 0, "1": 1}),
    ("{x % 2: x for x in range(4)}", {0: 2, 1: 3}),
    ("[k for k in {'b': 1, 'a': 2}]", ["b", "a"]),
    # the library
    ("len('abc') + len([1]) + len({1: 2})", 5),
    ("range(3)", [0, 1, 2]),
    ("range(2, 5)", [2, 3, 4]),
    ("range(5, 0, -2)", [5, 3, 1]),
    ("range(0, 5, 7)", [0]),
    ("range(3, 3)", []),
    ("range(0, -5, -2)", [0, -2, -4]),
    ("min(3, 1, 2) + max([4, 9])", 10),
    ("min('b', 'a')", "a"),
    ("abs(-4)", 4),
    ("sum([1, 2, 3])", 6),
    ("sum([])", 0),
    ('sum_of([{"a": 1}, {"a": 5}], "a")', 6),
    ("sorted([3, 1, 2])", [1, 2, 3]),
    ("sorted(['b', 'a'], reverse=True)", ["b", "a"]),
    ("reversed([1, 2])", [2, 1]),
    ("str(5) + str(True) + str(None) + str('x')", "5TrueNonex"),
    ("int('-12') + int('+2') + int(3)", -7),
    ("bool('') or bool([0])", True),
    ("list({'a': 1}) + list([2])", ["a", 2]),
    ("dict({'a': 1})", {"a": 1}),
    ("any([0, 1]) and not all([0, 1])", True),
    ("all([])", True),
    ("enumerate(['a', 'b'], start=1)", [[1, "a"], [2, "b"]]),
    ("zip([1, 2, 3], ['a', 'b'])", [[1, "a"], [2, "b"]]),
    ("rule('a-rule', 1, 'allowed', 5, 3)", 3),
    # money and dates
    ("round_half_up(5, 2)", 3),
    ("round_half_up(-5, 2)", -3),
    ("round_half_even(5, 2)", 2),
    ("round_half_even(7, 2)", 4),
    ("round_half_even(-5, 2)", -2),
    ("round_down(-7, 2)", -3),
    ("round_up(-7, 2)", -4),
    ("round_up(7, 2)", 4),
    ("floor(-7, 2)", -4),
    ("ceiling(-7, 2)", -3),
    ("percent_bp(12350, 1000, 'half_up')", 1235),
    ("percent_bp(1235, 1000, 'half_up')", 124),
    ("percent_bp(1245, 1000, 'half_even')", 124),
    ("percent_bp(mode='down', basis_points=3333, amount=100)", 33),
    ("money('1,250.05')", 125005),
    ("money('-0.50')", -50),
    ("money_text(125005)", "1,250.05"),
    ("money_text(-5)", "-0.05"),
    ("money_text(100000000)", "1,000,000.00"),
    ("days_between('2024-02-28', '2024-03-01')", 2),
    ("days_between('2026-03-01', '2026-02-28')", -1),
    ("add_days('2026-12-31', 1)", "2027-01-01"),
    # methods
    ("'aBé'.upper() + 'AbÉ'.lower()", "ABéabÉ"),
    ("' x '.strip() + ' y'.lstrip() + 'z '.rstrip()", "xyz"),
    ("'a,b,,c'.split(',')", ["a", "b", "", "c"]),
    ("'-'.join(['a', 'b'])", "a-b"),
    ("'-'.join([])", ""),
    ("'aXbX'.replace('X', 'yy')", "ayybyy"),
    ("'abc'.startswith('ab') and 'abc'.endswith('bc')", True),
    ("'abcb'.find('b') + 'abc'.find('z') + 'abcb'.count('b')", 2),
    ("'12'.isdigit() and not '٣'.isdigit() and not ''.isdigit()", True),
    ("[5, 6].index(6)", 1),
    ("{'a': 1}.get('b')", None),
    ("{'a': 1}.get('b', 7)", 7),
    ("{'a': 1, 'b': 2}.keys()", ["a", "b"]),
    ("{'a': 1, 'b': 2}.values()", [1, 2]),
    ("{'a': 1, 'b': 2}.items()", [["a", 1], ["b", 2]]),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
def test_expression(expression: str, expected: Value, engine: Engine) -> None:
    result = value_of(f"def main():\n    return {expression}\n", engine)
    assert result == expected
    assert repr(result) == repr(expected), "True and 1 are equal to Python and not to us"


BODIES: list[tuple[str, Value]] = [
    ("x = 1\nx += 2\nx *= 5\nx -= 1\nx //= 2\nx %= 4\nreturn x", 3),
    ("l = [1]\nm = l\nl += [2]\nreturn m", [1, 2]),
    ("l = [1]\nm = l\nl = l + [2]\nreturn m", [1]),
    ("s = 'a'\ns += 'b'\nreturn s", "ab"),
    ("d = {}\nd['a'] = 1\nd['a'] += 4\nreturn d", {"a": 5}),
    ("l = [1, 2]\nl[0] = 9\nl[-1] += 1\nreturn l", [9, 3]),
    ("a, b = [1, 2]\na, b = [b, a]\nreturn [a, b]", [2, 1]),
    (
        "for i in range(5):\n    if i == 2:\n        continue\n    if i == 4:\n        break\nreturn 'done'",
        "done",
    ),
    ("t = 0\nfor i in [1, 2, 3]:\n    t += i\nreturn t", 6),
    ("t = []\nfor k, v in {'a': 1, 'b': 2}.items():\n    t.append(k + str(v))\nreturn t", ["a1", "b2"]),
    ("l = [1, 2]\nfor x in l:\n    l.append(x)\nreturn l", [1, 2, 1, 2]),
    ("d = {'a': 1}\nfor k in d:\n    d[k + k] = 2\nreturn d", {"a": 1, "aa": 2}),
    (
        (
            "for i in range(3):\n    for j in range(3):\n        if j == 1:\n            break\n"
            "    if i == 1:\n        return [i, j2(i)]\nreturn 0"
        ),
        [1, 2],
    ),
    ("if 0:\n    return 1\nelif 1:\n    return 2\nelse:\n    return 3", 2),
    ("if 0:\n    x = 1\nelif 0:\n    x = 2\nelif 0:\n    x = 3\nelse:\n    x = 4\nreturn x", 4),
    ("if 1:\n    x = 1\nelse:\n    return 5\nreturn x", 1),
    ("pass", None),
    ("return", None),
    (
        "l = [3, 1]\nl.extend([2])\nl.insert(0, 9)\nl.remove(1)\nx = l.pop()\ny = l.pop(0)\nreturn [l, x, y]",
        [[3], 2, 9],
    ),
    ("l = [1]\nl.insert(-100, 0)\nl.insert(100, 2)\nl.insert(-1, 5)\nreturn l", [0, 1, 5, 2]),
    ("l = [1]\nl.clear()\nreturn l", []),
    (
        (
            "d = {'a': 1, 'b': 2}\nx = d.pop('a')\ny = d.pop('z', 7)\nz = d.setdefault('b', 9)\n"
            "w = d.setdefault('c', 3)\nd.update({'e': 5})\nreturn [d, x, y, z, w]"
        ),
        [{"b": 2, "c": 3, "e": 5}, 1, 7, 2, 3],
    ),
    ("x = 1\ny = [x for x in [5, 6]]\nreturn [x, y]", [1, [5, 6]]),
    ("TOP2 = 5\nreturn TOP2 + TOP[0]", 8),
    ("l = list(TOP)\nl.append(1)\nreturn [l, len(TOP)]", [[3, 4, 1], 2]),
    ("return two(1) + two(b=5, a=1) + two(a=2) + two(1, b=1)", 3 + 6 + 4 + 2),
    ("return none(1)", None),
    ("l = []\nl.append(l2(l))\nreturn len(l)", 1),
    ("return late()", 11),
]
FUNCTIONS = (
    "TOP = [3, 4]\n"
    "def two(a, b=2):\n    return a + b\n"
    "def none(x):\n    x = x + 1\n"
    "def j2(i):\n    return i * 2\n"
    "def l2(l):\n    l2x = l\n    return len(l2x)\n"
    "def late():\n    return later() + 1\n"
    "def later():\n    return 10\n"
)  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_statements(body: str, expected: Value, engine: Engine) -> None:
    indented = "\n".join("    " + line for line in body.split("\n"))
    assert value_of(f"{FUNCTIONS}def main():\n{indented}\n", engine) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_arguments_are_evaluated_as_written(engine: Engine) -> None:
    source = (
        "def main():\n    seen = []\n    both(second=note(seen, 1), first=note(seen, 2))\n    return seen\n"
        "def both(first, second):\n    return [first, second]\n"
        "def note(seen, x):\n    seen.append(x)\n    return x\n"
    )
    assert value_of(source, engine) == [1, 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_value_comes_before_the_place_it_is_assigned_to(engine: Engine) -> None:
    source = (
        "def main():\n    seen = []\n    d = {}\n    d[note(seen, 'key')] = note(seen, 'value')\n    return seen\n"
        "def note(seen, x):\n    seen.append(x)\n    return x\n"
    )
    assert value_of(source, engine) == ["value", "key"]


FAULTS: list[tuple[str, FaultKind, int]] = [
    ("1 + 'a'", FaultKind.WRONG_TYPE, 14),
    ("True + 1", FaultKind.WRONG_TYPE, 17),
    ("1 - True", FaultKind.WRONG_TYPE, 14),
    ("-'a'", FaultKind.WRONG_TYPE, 12),
    ("'a' % 3", FaultKind.WRONG_TYPE, 16),
    ("[1] * True", FaultKind.WRONG_TYPE, 16),
    ("1 < 'a'", FaultKind.WRONG_TYPE, 14),
    ("[1] < [2]", FaultKind.WRONG_TYPE, 16),
    ("True < False", FaultKind.WRONG_TYPE, 17),
    ("1 in 5", FaultKind.WRONG_TYPE, 14),
    ("1 in 'a'", FaultKind.WRONG_TYPE, 14),
    ("5[0]", FaultKind.WRONG_TYPE, 13),
    ("[1]['a']", FaultKind.WRONG_TYPE, 15),
    ("[1][True]", FaultKind.WRONG_TYPE, 15),
    ("'abc'['x']", FaultKind.WRONG_TYPE, 17),
    ("'abc'['a':]", FaultKind.WRONG_TYPE, 17),
    ("{}[1:]", FaultKind.WRONG_TYPE, 14),
    ("[x for x in 'abc']", FaultKind.WRONG_TYPE, 15),
    ("[x for x in 5]", FaultKind.WRONG_TYPE, 15),
    ("len(5)", FaultKind.WRONG_TYPE, 12),
    ("sum(['a'])", FaultKind.WRONG_TYPE, 12),
    ("sum([True])", FaultKind.WRONG_TYPE, 12),
    ("sorted([1, 'a'])", FaultKind.WRONG_TYPE, 12),
    ("sorted([[1]])", FaultKind.WRONG_TYPE, 12),
    ("sorted([1], reverse=1)", FaultKind.WRONG_TYPE, 12),
    ("str([1])", FaultKind.WRONG_TYPE, 12),
    ("int(True)", FaultKind.WRONG_TYPE, 12),
    ("min(1, 'a')", FaultKind.WRONG_TYPE, 12),
    ("'-'.join([1])", FaultKind.WRONG_TYPE, 16),
    ("rule('a-rule', True, 'x', 1, 2)", FaultKind.WRONG_TYPE, 12),
    ("rule('a-rule', 1, 'x', '1', 2)", FaultKind.WRONG_TYPE, 12),
    ("170141183460469231731687303715884105727 + 1", FaultKind.NUMBER_TOO_LARGE, 52),
    ("-170141183460469231731687303715884105727 - 1", FaultKind.NUMBER_TOO_LARGE, 53),
    ("170141183460469231731687303715884105727 * 2", FaultKind.NUMBER_TOO_LARGE, 52),
    ("sum([170141183460469231731687303715884105727, 1])", FaultKind.NUMBER_TOO_LARGE, 12),
    ("percent_bp(170141183460469231731687303715884105727, 20000, 'up')", FaultKind.NUMBER_TOO_LARGE, 12),
    ("int('999999999999999999999999999999999999999')", FaultKind.NUMBER_TOO_LARGE, 12),
    ("1 // 0", FaultKind.DIVISION_BY_ZERO, 14),
    ("1 % 0", FaultKind.DIVISION_BY_ZERO, 14),
    ("round_half_up(1, 0)", FaultKind.DIVISION_BY_ZERO, 12),
    ("floor(1, -2)", FaultKind.DIVISION_BY_ZERO, 12),
    ("[1][1]", FaultKind.NO_SUCH_ELEMENT, 15),
    ("[1][-2]", FaultKind.NO_SUCH_ELEMENT, 15),
    ("''[0]", FaultKind.NO_SUCH_ELEMENT, 14),
    ("[].pop()", FaultKind.NO_SUCH_ELEMENT, 15),
    ("[1].index(2)", FaultKind.NO_SUCH_ELEMENT, 16),
    ("{}['a']", FaultKind.NO_SUCH_KEY, 14),
    ("{}.pop(1)", FaultKind.NO_SUCH_KEY, 15),
    ("{[]: 1}", FaultKind.BAD_KEY, 12),
    ("{True: 1}", FaultKind.BAD_KEY, 12),
    ("{1 + 1: 1, 2: 2}", FaultKind.BAD_KEY, 12),
    ("{}[None]", FaultKind.BAD_KEY, 14),
    ("{}.get(True)", FaultKind.BAD_KEY, 15),
    ("True in {}", FaultKind.BAD_KEY, 17),
    ("{1152921504606846976: 1}", FaultKind.BAD_KEY, 12),
    ("{('a' * 257): 1}", FaultKind.BAD_KEY, 12),
    ("'a' * 65537", FaultKind.TOO_LONG, 16),
    ("[1] * 65537", FaultKind.TOO_LONG, 16),
    ("range(65537)", FaultKind.TOO_LONG, 12),
    ("'a' * 40000 + 'a' * 40000", FaultKind.TOO_LONG, 24),
    ("('a' * 65536).replace('a', 'bb')", FaultKind.TOO_LONG, 26),
    ("('a' * 65536).split('a')", FaultKind.TOO_LONG, 26),
    ("','.join(['a' * 40000, 'a' * 40000])", FaultKind.TOO_LONG, 16),
    ("rule('a' + 'x', 1, 'x', 1, 2)", FaultKind.UNKNOWN_RULE, 12),
    ("rule('a-rule', -1, 'x', 1, 2)", FaultKind.BAD_VALUE, 12),
    ("rule('a-rule', 1, 'x' * 65, 1, 2)", FaultKind.BAD_VALUE, 12),
    ("fail('not like this')", FaultKind.PLAN_STOPPED, 12),
    ("[a for a, b in [[1]]]", FaultKind.WRONG_COUNT, 15),
    ("TOP.append(1)", FaultKind.CONSTANT_CHANGED, 16),
    ("TOP.pop()", FaultKind.CONSTANT_CHANGED, 16),
    ("TABLE.update({})", FaultKind.CONSTANT_CHANGED, 18),
    ("TABLE['a'].clear()", FaultKind.CONSTANT_CHANGED, 23),
    ("range(1, 2, 0)", FaultKind.BAD_VALUE, 12),
    ("min([])", FaultKind.BAD_VALUE, 12),
    ("int('1.5')", FaultKind.BAD_VALUE, 12),
    ("int(' 1')", FaultKind.BAD_VALUE, 12),
    ("int('')", FaultKind.BAD_VALUE, 12),
    ("int('٣')", FaultKind.BAD_VALUE, 12),
    ("percent_bp(1, 1, 'bankers')", FaultKind.BAD_VALUE, 12),
    ("money('12.5')", FaultKind.BAD_VALUE, 12),
    ("money('12,34.50')", FaultKind.BAD_VALUE, 12),
    ("days_between('2026-02-29', '2026-03-01')", FaultKind.BAD_VALUE, 12),
    ("days_between('20260228', '2026-03-01')", FaultKind.BAD_VALUE, 12),
    ("days_between('2026-W01-1', '2026-03-01')", FaultKind.BAD_VALUE, 12),
    ("add_days('9999-12-31', 1)", FaultKind.BAD_VALUE, 12),
    ("'a'.split('')", FaultKind.BAD_VALUE, 16),
    ("'a'.replace('', 'x')", FaultKind.BAD_VALUE, 16),
    ("(5).upper()", FaultKind.NO_SUCH_METHOD, 16),
    ("[].keys()", FaultKind.NO_SUCH_METHOD, 15),
    ("{}.pop()", FaultKind.NO_SUCH_METHOD, 15),
    ("None.get('a')", FaultKind.NO_SUCH_METHOD, 17),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("expression", "kind", "column"), FAULTS)
def test_fault(expression: str, kind: FaultKind, column: int, engine: Engine) -> None:
    source = f'TOP = [1]\nTABLE = {{"a": [1]}}\ndef main():\n    return {expression}\n'
    with pytest.raises(ContractFault) as caught:
        value_of(source, engine)
    assert (caught.value.kind, caught.value.location) == (kind, (6, column))
    assert caught.value.gas_used > 0


BODY_FAULTS: list[tuple[str, FaultKind, tuple[int, int]]] = [
    ("TOP[0] = 2", FaultKind.CONSTANT_CHANGED, (5, 8)),
    ("TOP[0] += 2", FaultKind.CONSTANT_CHANGED, (5, 8)),
    ("x = TOP\n    x += [2]", FaultKind.CONSTANT_CHANGED, (6, 7)),
    ("x = [1]\n    x[1] = 2", FaultKind.NO_SUCH_ELEMENT, (6, 6)),
    ("x = {}\n    x['a'] += 2", FaultKind.NO_SUCH_KEY, (6, 6)),
    ("x = {'a': 1}\n    x['a'] += 'b'", FaultKind.WRONG_TYPE, (6, 12)),
    ("x = 5\n    x[0] = 1", FaultKind.WRONG_TYPE, (6, 6)),
    ("a, b = [1]", FaultKind.WRONG_COUNT, (5, 10)),
    ("a, b = 5", FaultKind.WRONG_TYPE, (5, 10)),
    ("for a, b in [[1]]:\n        pass", FaultKind.WRONG_COUNT, (5, 5)),
    ("for a in None:\n        pass", FaultKind.WRONG_TYPE, (5, 5)),
    ("l = []\n    l.append(l)\n    m = []\n    m.append(m)\n    return l == m", FaultKind.TOO_DEEP, (9, 14)),
    ("d = {}\n    for i in range(65536):\n        d[i] = i\n    d['more'] = 1", FaultKind.TOO_LONG, (8, 6)),
    ("l = [0] * 65536\n    l.append(1)", FaultKind.TOO_LONG, (6, 7)),
    ("l = [0] * 65536\n    l += [1]", FaultKind.TOO_LONG, (6, 7)),
    ("l = []\n    l.append(l)\n    return l", FaultKind.BAD_RESULT, (0, 0)),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("body", "kind", "place"), BODY_FAULTS)
def test_fault_in_a_statement(body: str, kind: FaultKind, place: tuple[int, int], engine: Engine) -> None:
    source = f"TOP = [1]\ndef main():\n    {body}\n"
    contract = check(HEAD + source)
    with pytest.raises(ContractFault) as caught:
        run(contract, "main", {}, gas_max=10_000_000, memory_bytes_max=64 * 1024 * 1024, engine=engine)
    assert (caught.value.kind, caught.value.location) == (kind, place)


def test_a_fault_says_where_and_what_in_plain_words() -> None:
    with pytest.raises(ContractFault) as caught:
        value_of("def main():\n    return {}['patient']\n")
    assert str(caught.value) == "line 4, column 14: the dictionary has no such key [207]"


def test_a_plan_that_stops_says_its_own_words() -> None:
    with pytest.raises(ContractFault, match=r"^line 4, column 5: no such tier \[211\]$"):
        value_of("def main():\n    fail('no such tier')\n")


def test_no_fault_shows_a_value() -> None:
    source = "def main(name):\n    return {}[name]\n"
    with pytest.raises(ContractFault) as caught:
        value_of(source, name="Adelheid Unverwechselbar")
    assert "Adelheid" not in f"{caught.value} {caught.value!r} {caught.value.args}"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_trace_has_every_application_of_a_rule_in_order(engine: Engine) -> None:
    source = (
        "def main():\n"
        "    total = 0\n"
        "    for line in [1, 2]:\n"
        "        total = rule('a-rule', line, 'paid', total, total + 10)\n"
        "    return rule('a-rule', 0, 'total', total, total)\n"
    )
    trace = outcome_of(source, engine).trace
    assert [(step.rule_id, step.line, step.amount, step.before, step.after) for step in trace] == [
        ("a-rule", 1, "paid", 0, 10),
        ("a-rule", 2, "paid", 10, 20),
        ("a-rule", 0, "total", 20, 20),
    ]
    assert [step.location for step in trace] == [(6, 17), (6, 17), (7, 12)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_keeps_the_trace_so_far(engine: Engine) -> None:
    source = "def main():\n    rule('a-rule', 1, 'paid', 0, 1)\n    return 1 // 0\n"
    with pytest.raises(ContractFault) as caught:
        value_of(source, engine)
    assert [step.rule_id for step in caught.value.trace] == ["a-rule"]


@pytest.mark.parametrize("engine", ENGINES)
def test_gas_is_taken_at_the_start_of_each_block(engine: Engine) -> None:
    contract = check(HEAD + "def main(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\n")
    used = [
        run(contract, "main", {"n": n}, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine).gas_used
        for n in (0, 1, 2, 3)
    ]
    assert used[1] - used[0] == used[2] - used[1] == used[3] - used[2] > 0
    enough = run(contract, "main", {"n": 3}, gas_max=used[3], memory_bytes_max=MEMORY, engine=engine)
    assert enough.gas_used == used[3]
    with pytest.raises(ContractFault) as caught:
        run(contract, "main", {"n": 3}, gas_max=used[3] - 1, memory_bytes_max=MEMORY, engine=engine)
    assert caught.value.kind is FaultKind.OUT_OF_GAS
    assert caught.value.gas_used == used[3] - 1, "what is used never exceeds what was allowed"


@pytest.mark.parametrize("engine", ENGINES)
def test_memory_is_what_was_ever_allocated(engine: Engine) -> None:
    contract = check(HEAD + "def main(n):\n    for i in range(n):\n        l = [0] * 1000\n    return None\n")
    used = [
        run(contract, "main", {"n": n}, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine).memory_bytes_used
        for n in (1, 2, 3)
    ]
    assert used[2] - used[1] == used[1] - used[0] > 8000
    with pytest.raises(ContractFault) as caught:
        run(contract, "main", {"n": 3}, gas_max=GAS, memory_bytes_max=used[2] - 1, engine=engine)
    assert caught.value.kind is FaultKind.OUT_OF_MEMORY


def test_runs_share_nothing() -> None:
    contract = check(HEAD + "def main(l):\n    l.append(1)\n    return l\n")
    given: list[Value] = [0]
    first = run(contract, "main", {"l": given}, gas_max=GAS, memory_bytes_max=MEMORY)
    second = run(contract, "main", {"l": given}, gas_max=GAS, memory_bytes_max=MEMORY)
    assert given == [0]
    assert first.result == second.result == [0, 1]
    assert first.result is not second.result


@pytest.mark.parametrize("engine", ENGINES)
def test_a_constant_given_out_is_a_plain_copy(engine: Engine) -> None:
    result = value_of("TABLE = {'a': [1]}\ndef main():\n    return TABLE\n", engine)
    assert type(result) is dict
    assert type(result["a"]) is list


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, FaultKind.BAD_ARGUMENT),
        ({"a": 1, "b": 2, "c": 3}, FaultKind.BAD_ARGUMENT),
        ({"a": 1.5}, FaultKind.BAD_ARGUMENT),
        ({"a": {1.5: 1}}, FaultKind.BAD_ARGUMENT),
        ({"a": {True: 1}}, FaultKind.BAD_ARGUMENT),
        ({"a": {"k" * 257: 1}}, FaultKind.BAD_ARGUMENT),
        ({"a": {2**60: 1}}, FaultKind.BAD_ARGUMENT),
        ({"a": 2**127}, FaultKind.BAD_ARGUMENT),
        ({"a": [[-(2**127)]]}, FaultKind.BAD_ARGUMENT),
        ({"a": b"bytes"}, FaultKind.BAD_ARGUMENT),
        ({"a": {1, 2}}, FaultKind.BAD_ARGUMENT),
        ({"a": "x" * 65537}, FaultKind.BAD_ARGUMENT),
        ({"a": [0] * 65537}, FaultKind.BAD_ARGUMENT),
        ({"a": "\ud800"}, FaultKind.BAD_ARGUMENT),
        ({"a": {"\ud800": 1}}, FaultKind.BAD_ARGUMENT),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object], kind: FaultKind) -> None:
    contract = check(HEAD + "def main(a, b=2):\n    return a\n")
    with pytest.raises(ContractFault) as caught:
        run(contract, "main", arguments, gas_max=GAS, memory_bytes_max=MEMORY)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("argument", "expected"),
    [((1, [2]), [1, [2]]), ("é", "é"), (2**127 - 1, 2**127 - 1), (None, None), ({"a": True}, {"a": True})],
)
def test_arguments_that_fit(argument: object, expected: Value) -> None:
    contract = check(HEAD + "def main(a):\n    return a\n")
    assert run(contract, "main", {"a": argument}, gas_max=GAS, memory_bytes_max=MEMORY).result == expected


def test_only_entry_points_are_run() -> None:
    contract = check(HEAD + "def main():\n    return 1\ndef other():\n    return 2\n")
    assert dict(contract.entry_points) == {"main": ()}
    with pytest.raises(ContractFault) as caught:
        run(contract, "other", {}, gas_max=GAS, memory_bytes_max=MEMORY)
    assert caught.value.kind is FaultKind.UNKNOWN_ENTRY


@pytest.mark.parametrize("allowance", [(-1, 0), (0, -1)])
def test_allowances_are_not_negative(allowance: tuple[int, int]) -> None:
    contract = check(HEAD + "def main():\n    return 1\n")
    with pytest.raises(ValueError, match="not negative"):
        run(contract, "main", {}, gas_max=allowance[0], memory_bytes_max=allowance[1])


def test_a_checked_contract_declares_itself() -> None:
    contract = check(HEAD + "def main(a, b=2):\n    return a\n")
    assert dict(contract.entry_points) == {"main": ("a", "b")}
    assert dict(contract.required) == {"main": 1}
    assert dict(contract.rules) == {"a-rule": "Words."}
    assert contract.engine_version == 1
    assert len(contract.source_hash) == 32
    assert contract.source_hash == check(contract.source.encode()).source_hash
    assert contract.source_hash != check(contract.source + "\n").source_hash
