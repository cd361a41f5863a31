"""Contracts written to hurt the host: each stops with a fault or a refusal, in bounded time and memory.

Time is held against the gas used (a generous 3 µs per gas, where the measured worst case is 0.2), so that anything
whose cost is not metered fails here; memory against the allowance, by what Python really allocated.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc

import pytest

from careledger.contracts import (
    CheckedContract,
    ContractFault,
    ContractRefused,
    Engine,
    FaultKind,
    Outcome,
    Value,
    check,
    run,
)
from contracts.contract_programs import deepest

GAS = 1_000_000
MEMORY = 16 * 1024 * 1024
SECONDS_PER_GAS = 3e-6
SECONDS_FIXED = 0.5
HEAD = 'ENTRY_POINTS = ["main"]\nRULES = {"r": "A rule."}\n'


def body(*lines: str) -> str:
    return HEAD + "def main():\n" + "".join(f"    {line}\n" for line in lines)


SOURCES: dict[str, str] = {
    "brackets": body("return " + "(" * 30_000 + "1" + ")" * 30_000),
    "lists": body("return " + "[" * 30_000 + "]" * 30_000),
    "braces left open": body("return " + "{1:" * 20_000),
    "indentation": HEAD
    + "def main():\n"
    + "".join(" " * i + "if 1:\n" for i in range(1, 300))
    + " " * 300
    + "pass\n",
    "indentation of one line": HEAD + "def main():\n" + " " * 60_000 + "pass\n",
    "long sum": body("x = 1", "return x" + "+x" * 15_000),
    "long product of texts": body("return 'a'" + "*9" * 15_000),
    "not": body("return " + "not " * 15_000 + "1"),
    "minus": body("x = 1", "return " + "-" * 30_000 + "x"),
    "signs": body("return " + "+-" * 15_000 + "1"),
    "conditionals": body("return " + "1 if 1 else " * 5_000 + "2"),
    "ands": body("x = 1", "return x" + " and x" * 9_000),
    "methods": body("x = 'a'", "return x" + ".strip()" * 7_000),
    "indexes": body("x = [1]", "return x" + "[0]" * 9_000),
    "calls": body("return " + "len(" * 10_000 + ")" * 10_000),
    "comparisons": body("x = 1", "return x" + "<x" * 15_000),
    "commas": body("return [" + "," * 31_000 + "]"),
    "elif": body("x = 1", "if x == 0:", "    x = 1", *["elif x == 5:", "    x = 2"] * 2_500, "return x"),
    "unclosed text": body("return '" + "a" * 60_000),
    "unclosed long text": body('return """' + '"" ' * 15_000),
    "quotes": body("return " + '"' * 60_001),
    "escapes": body("return '" + "\\\\" * 30_000 + "'"),
    "digits": body("return " + "9" * 60_000),
    "underscores": body("return 1" + "_1" * 30_000),
    "dots": body("return " + "1." * 30_000),
    "letters": body("return " + "a" * 60_000),
    "null bytes": "\x00" * 60_000,
    "not utf-8 lookalikes": "\uff41" * 20_000,
    "backslashes": "\\\n" * 30_000,
    "semicolons": body("x = 1" + ";" * 30_000),
    "hashes": "#\n" * 30_000,
    "blank lines": "\n" * 65_000,
    "functions": HEAD + "".join(f"def f{i}():\n    return {i}\n" for i in range(2_000)),
    "constants": HEAD + "".join(f"C{i} = [{i}]\n" for i in range(3_000)) + "def main():\n    return 1\n",
    "variables": body(*[f"v{i} = 1" for i in range(4_000)]),
    "ifs around one variable": body("x = 1", *["if x: x = 2"] * 3_000, "return x"),
    "call chain": HEAD
    + "def main():\n    return f0(1)\n"
    + "".join(f"def f{i}(x):\n    return {'[' * 30}f{i + 1}(x){']' * 30}\n" for i in range(200))
    + "def f200(x):\n    return x\n",
    "constant text": HEAD + "X = 'a' * 1000000000\n",
    "constant growth": HEAD + "A = [1] * 65536\nB = [A] * 65536\nC = [B, B] * 30000\nD = [C] * 60000\n",
    "constant sharing": HEAD + "A0 = [1]\n" + "".join(f"A{i + 1} = [A{i}, A{i}]\n" for i in range(39)),
    "constant loops": HEAD + "X = [a for a in range(60000) for b in range(60000) for c in range(60000)]\n",
    "many keyword arguments": body("return rule(" + ", ".join(f"a{i}=1" for i in range(5_000)) + ")"),
    "recursion through many": HEAD
    + "def main():\n    return f0()\n"
    + "".join(f"def f{i}():\n" + "".join(f"    f{j}()\n" for j in range(100)) for i in range(100)),
}


def attempt(source: str) -> CheckedContract | ContractRefused:
    try:
        return check(source)
    except ContractRefused as refused:
        return refused


@pytest.mark.parametrize("name", SOURCES)
def test_a_hostile_source_costs_little(name: str) -> None:
    source = SOURCES[name]
    assert len(source) < 200_000
    started = time.perf_counter()
    checked = attempt(source)
    if isinstance(checked, ContractRefused):
        assert 1 <= len(checked.problems) <= 20
        assert len(str(checked)) < 20_000
    else:
        for engine in Engine:
            bounded_run(checked, engine)
    assert time.perf_counter() - started < 8


def bounded_run(contract: CheckedContract, engine: Engine, **arguments: Value) -> Outcome | ContractFault:
    """Run `main`; what it takes is held against the gas it used."""
    started = time.perf_counter()
    ended: Outcome | ContractFault
    try:
        ended = run(contract, "main", arguments, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine)
    except ContractFault as fault:
        ended = fault
    elapsed = time.perf_counter() - started
    compiling = 5.0 if engine is Engine.REWRITTEN else 1.0
    assert elapsed < compiling * SECONDS_FIXED + ended.gas_used * SECONDS_PER_GAS
    return ended


STOPS: dict[str, tuple[str, set[FaultKind]]] = {
    "loops": (
        body(*["    " * i + f"for a{i} in range(60000):" for i in range(8)], "    " * 8 + "pass"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "empty loops": (
        body("for a in range(60000):", "    for b in []:", "        pass", "for a in range(60000): pass"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "comprehensions": (
        body("return [1 for a in range(60000) for b in range(60000) if b < 0]"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "squares": (body("x = 3", "for i in range(100):", "    x = x * x"), {FaultKind.NUMBER_TOO_LARGE}),
    "remainders of squares": (
        body(
            "x = 170141183460469231731687303715884105727", *["for i in range(60000):", "    x = x * x % 1000"]
        ),
        {FaultKind.NUMBER_TOO_LARGE},
    ),
    "long text": (body("return 'a' * 1000000000"), {FaultKind.TOO_LONG}),
    "long text the other way round": (body("return 1000000000 * 'a'"), {FaultKind.TOO_LONG}),
    "immense repetition": (body("return [] * 170141183460469231731687303715884105727"), set()),
    "immense range": (body("return range(170141183460469231731687303715884105727)"), {FaultKind.TOO_LONG}),
    "doubling text": (body("s = 'ab'", "for i in range(100):", "    s = s + s"), {FaultKind.TOO_LONG}),
    "doubling list": (body("l = [1]", "for i in range(100):", "    l += l"), {FaultKind.TOO_LONG}),
    "text by single letters": (
        body("s = ''", "for i in range(65000):", "    s = s + 'x'"),
        {FaultKind.OUT_OF_MEMORY, FaultKind.OUT_OF_GAS},
    ),
    "many long texts": (
        body("l = []", "for i in range(65000):", "    l.append('x' * 65536)"),
        {FaultKind.OUT_OF_MEMORY},
    ),
    "many long slices": (
        body("s = 'x' * 65536", "l = []", "for i in range(65000):", "    l.append(s[1:])"),
        {FaultKind.OUT_OF_MEMORY},
    ),
    "many lists": (
        body("l = []", "for i in range(65000):", "    l.append(list(range(1000)))"),
        {FaultKind.OUT_OF_MEMORY},
    ),
    "many dictionaries": (
        body("l = []", "for i in range(65000):", "    l.append({'a': {}, 'b': {}})"),
        {FaultKind.OUT_OF_MEMORY},
    ),
    "many numbers": (
        body(
            "l = [7] * 65000",
            "for i in range(65000):",
            "    l[i] = 99999999999999999999999999999999999999 + i",
        ),
        set(),
    ),
    "one element set over and over": (
        body("l = [7]", "for i in range(65000):", "    for j in range(65000):", "        l[0] = j"),
        {FaultKind.OUT_OF_MEMORY, FaultKind.OUT_OF_GAS},
    ),
    "trace without end": (
        body("for i in range(65000):", "    for j in range(65000):", "        rule('r', 1, 'x', i, j)"),
        {FaultKind.OUT_OF_MEMORY, FaultKind.OUT_OF_GAS},
    ),
    "shared lists, returned": (
        body("l = [1]", "for i in range(35):", "    l = [l, l]", "return l"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "shared dictionaries, returned": (
        body("l = {}", "for i in range(35):", "    l = {'a': l, 'b': l}", "return l"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "shared lists, compared": (
        body(
            "l = [1]", "m = [1]", "for i in range(35):", "    l = [l, l]", "    m = [m, m]", "return l == m"
        ),
        {FaultKind.OUT_OF_GAS},
    ),
    "a list of itself, returned": (body("l = []", "l.append(l)", "return l"), {FaultKind.BAD_RESULT}),
    "a list of itself many times": (
        body("l = []", "for i in range(60):", "    l.append(l)", "return l"),
        {FaultKind.BAD_RESULT, FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "a dictionary of itself, compared": (
        body("d = {}", "d['a'] = d", "e = {}", "e['a'] = e", "return d == e"),
        {FaultKind.TOO_DEEP},
    ),
    "a list in a list in a list": (
        body("l = []", "for i in range(20000):", "    l = [l]", "return l"),
        {FaultKind.BAD_RESULT},
    ),
    "one long text, returned many times": (
        body("s = 'x' * 65536", "return [s] * 65536"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "one long key, returned many times": (
        body("d = {'x' * 256: 1}", "return [d] * 65536"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "multiples of the hash modulus": (
        body("d = {}", "for i in range(1, 60000):", "    d[i * 2305843009213693951] = 1"),
        {FaultKind.BAD_KEY},
    ),
    "keys with equal low bits": (
        body("d = {}", "for i in range(1, 60000):", "    d[i * 8796093022208] = 1", "return len(d)"),
        set(),
    ),
    "an emptied dictionary, walked": (
        body(
            "d = {i: 1 for i in range(50000)}",
            "for i in range(49990):",
            "    d.pop(i)",
            "for i in range(60000):",
            "    for k in d:",
            "        break",
        ),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "an emptied dictionary, refilled": (
        body(
            "d = {i: 1 for i in range(20000)}",
            "for j in range(60000):",
            "    d.pop(j)",
            "    d[j + 20000] = 1",
            "    for k in d:",
            "        break",
        ),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "sorting long texts": (
        body("p = 'x' * 60000", "l = [p + str(i) for i in range(60)] * 1000", "return len(sorted(l))"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "sorting over and over": (
        body("l = range(60000, 0, -1)", "for i in range(1000):", "    sorted(l)"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "searching what is almost there": (
        body("s = 'a' * 65536", "p = 'a' * 90 + 'b'", "for i in range(60000):", "    s.find(p)"),
        {FaultKind.OUT_OF_GAS},
    ),
    "searching what ends alike": (
        body("s = 'a' * 2499", "p = 'a' * 1247 + 'ba'", "for i in range(60000):", "    s.find(p)"),
        {FaultKind.OUT_OF_GAS},
    ),
    "searching what is far": (
        body("s = 'ab' * 30000", "p = 'ab' * 14000 + 'c'", "for i in range(60000):", "    s.find(p)"),
        {FaultKind.OUT_OF_GAS},
    ),
    "replacing": (
        body("s = 'a' * 32000", "for i in range(60000):", "    s.replace('a', 'bb')"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "splitting": (
        body("s = ',' * 60000", "for i in range(60000):", "    s.split(',')"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "joining": (
        body("l = ['x'] * 60000", "for i in range(60000):", "    ''.join(l)"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "looking for what is not in a list": (
        body("l = ['x' * 200] * 60000", "for i in range(60000):", "    l.append(('y' * 200) in l)"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "equal long texts": (
        body("s = 'x' * 65000", "t = 'x' * 65000", "for i in range(60000):", "    u = s == t"),
        {FaultKind.OUT_OF_GAS},
    ),
    "ordered long texts": (
        body("s = 'x' * 65000", "t = 'x' * 65000", "for i in range(60000):", "    u = s < t"),
        {FaultKind.OUT_OF_GAS},
    ),
    "changing case": (
        body("s = 'é' * 65000", "for i in range(60000):", "    s.upper()"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "taking from the front": (
        body("l = [1] * 65000", "for i in range(60000):", "    l.pop(0)", "    l.append(1)"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "inserting at the front": (
        body("l = [1] * 5000", "for i in range(60000):", "    l.insert(0, 1)"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY, FaultKind.TOO_LONG},
    ),
    "sums": (
        body(
            "l = [170141183460469231731687303715884105727, -1] * 30000",
            "for i in range(60000):",
            "    sum(l)",
        ),
        {FaultKind.NUMBER_TOO_LARGE},
    ),
    "pairs": (
        body("l = range(60000)", "for i in range(60000):", "    zip(l, enumerate(l))"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "numbers to texts": (
        body("for i in range(60000):", "    str(99999999999999999999999999999999999999)"),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "calls that double": (
        HEAD
        + "def main():\n    return f0(1)\n"
        + "".join(f"def f{i}(x):\n    return [f{i + 1}(x), f{i + 1}(x)]\n" for i in range(30))
        + "def f30(x):\n    return x\n",
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY},
    ),
    "a loop that grows what it walks": (
        body(
            "l = [1]",
            "for x in l:",
            "    l.append(x)",
            "for x in range(60000):",
            "    for y in l + l: l.append(y)",
        ),
        {FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY, FaultKind.TOO_LONG},
    ),
}


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize("name", STOPS)
def test_a_hostile_contract_stops(name: str, engine: Engine) -> None:
    source, kinds = STOPS[name]
    contract = check(source)
    ended = bounded_run(contract, engine)
    if isinstance(ended, Outcome):
        assert kinds == set(), "it should have been stopped"
    else:
        assert ended.kind in kinds
        assert ended.gas_used <= GAS
        assert ended.memory_bytes_used <= MEMORY


HUNGRY = [
    "many long texts",
    "many long slices",
    "many lists",
    "many dictionaries",
    "many numbers",
    "trace without end",
    "text by single letters",
    "shared lists, returned",
    "one long text, returned many times",
    "pairs",
    "splitting",
    "keys with equal low bits",
]


@pytest.mark.parametrize("name", HUNGRY)
def test_a_hungry_contract_gets_no_more_than_its_allowance(name: str) -> None:
    contract = check(STOPS[name][0])
    gc.collect()
    tracemalloc.start()
    try:
        bounded = 4_000_000
        with pytest.raises(ContractFault):
            run(contract, "main", {}, gas_max=GAS, memory_bytes_max=bounded)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < bounded + 1_000_000


def test_arguments_that_share_themselves_stop() -> None:
    contract = check(HEAD + "def main(x):\n    return 1\n")
    shared: list[object] = [1]
    for _ in range(35):
        shared = [shared, shared]
    with pytest.raises(ContractFault) as caught:
        run(contract, "main", {"x": shared}, gas_max=GAS, memory_bytes_max=MEMORY)
    assert caught.value.kind in (FaultKind.OUT_OF_GAS, FaultKind.OUT_OF_MEMORY)
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ContractFault) as caught:
        run(contract, "main", {"x": endless}, gas_max=GAS, memory_bytes_max=MEMORY)
    assert caught.value.kind is FaultKind.BAD_ARGUMENT


@pytest.mark.parametrize("engine", list(Engine))
def test_the_deepest_contract_leaves_the_host_its_stack(engine: Engine) -> None:
    contract = check(deepest())
    frames = 0
    here = sys._getframe()
    while here.f_back is not None:
        here = here.f_back
        frames += 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(frames + 500)
    try:
        run(contract, "main", {"x": 1}, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine)
    finally:
        sys.setrecursionlimit(limit)


def test_a_call_too_many_is_refused() -> None:
    source = deepest().replace(
        "return [f0(x), g(x)]", "return [[[[[[[[[[[[[[[[[[[[[[[[[[[[[f0(x)]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
    )
    with pytest.raises(ContractRefused) as caught:
        check(source)
    assert {problem.kind for problem in caught.value.problems} == {FaultKind.TOO_NESTED}


def test_large_but_honest_sources_are_checked_and_compiled() -> None:
    table = "".join(f'    "P{i:05}": {i},\n' for i in range(2_200))
    code = "".join(f"    x = x + {i} * 2 - y\n" for i in range(500))
    contract = check(
        HEAD + "FEES = {\n" + table + "}\ndef main():\n    x = 1\n    y = 2\n" + code + "    return x\n"
    )
    results = {str(bounded_run(contract, engine)) for engine in Engine}
    assert len(results) == 1
