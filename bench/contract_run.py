"""What a contract costs: a five-line claim under both engines, checking, and the slowest gas there is.

Machines are noisy, so each case is timed in short batches that take turns over the whole run, and the best batch
counts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from careledger.contracts import CheckedContract, ContractFault, Engine, Value, check, run
from careledger.contracts.cases import read_cases
from careledger.contracts.plans import example_plan

GAS = 10_000_000
MEMORY = 256 * 1024 * 1024

SMALL_PLAN = """
ENTRY_POINTS = ["adjudicate"]

RULES = {
    "fee": "The plan counts at most its fee.",
    "modifier": "The modifier changes the part of the fee that counts.",
    "deductible": "The patient pays the first part of the year's costs.",
    "copay": "The patient pays a fixed amount for a visit.",
    "coinsurance": "The patient pays a share of the rest.",
    "limit": "The patient has reached the most a year may cost.",
}

FEES = {"P1": 9500, "P2": 6000, "P3": 1235, "P4": 240000, "P5": 8000}
MODIFIERS = {"HALF": 5000, "ASSIST": 1600}


def adjudicate(lines, deductible_left, limit_left):
    paid_total = 0
    decided = []
    for line in lines:
        number = line["number"]
        charge = line["charge_minor"]
        fee = FEES[line["procedure"]] * line["units"]
        for modifier in line["modifiers"]:
            fee = rule("modifier", number, "fee", fee, percent_bp(fee, MODIFIERS[modifier], "half_up"))
        allowed = rule("fee", number, "allowed", charge, min(charge, fee))
        copay = rule("copay", number, "copay", 0, min(allowed, 2500)) if line["place"] == "office" else 0
        deductible = rule("deductible", number, "deductible", 0, min(allowed - copay, deductible_left))
        deductible_left -= deductible
        share = percent_bp(allowed - copay - deductible, 2000, "half_up")
        coinsurance = rule("coinsurance", number, "coinsurance", 0, share)
        patient = copay + deductible + coinsurance
        if patient > limit_left:
            patient = rule("limit", number, "patient", patient, limit_left)
        limit_left -= patient
        paid = allowed - patient
        paid_total += paid
        decided.append([number, allowed, patient, paid])
    return {"lines": decided, "paid_minor": paid_total}
"""
"""The claim the design was measured on: fees, modifiers, copay, deductible, coinsurance, yearly limit."""


@dataclass
class Timed:
    """One thing being timed; `call` is run `batch` times in a row."""

    name: str
    call: Callable[[], object]
    batch: int = 10
    best_s: float = field(default=1e9)

    def turn(self) -> None:
        started = time.perf_counter()
        for _ in range(self.batch):
            self.call()
        self.best_s = min(self.best_s, (time.perf_counter() - started) / self.batch)


def take_turns(timed: list[Timed], seconds: float) -> None:
    """Time everything in turns until the time is up; at least three turns."""
    until = time.monotonic() + seconds
    turns = 0
    while turns < 3 or time.monotonic() < until:
        for one in timed:
            one.turn()
        turns += 1


def five_lines() -> list[dict[str, Value]]:
    return [
        {
            "number": i + 1,
            "procedure": f"P{i + 1}",
            "modifiers": ["HALF"] if i == 3 else [],
            "units": 1 + (i == 2),
            "charge_minor": 12_500 + 100 * i,
            "place": "office" if i < 2 else "hospital",
            "service_date": "2026-02-20",
        }
        for i in range(5)
    ]


def ppo_arguments() -> dict[str, object]:
    """A five-line claim for the packaged PPO plan."""
    return {
        **read_cases(example_plan("ppo").cases).given,
        "claim": {"kind": "professional", "received_date": "2026-03-01", "lines": five_lines()},
        "fees_minor": {"P1": 9_500, "P2": 6_000, "P3": 1_235, "P4": 240_000, "P5": 8_000},
    }


def runner(
    contract: CheckedContract, entry: str, arguments: dict[str, object], engine: Engine
) -> Callable[[], object]:
    return lambda: run(contract, entry, arguments, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine)


def claim(seconds: float = 6) -> dict[str, float]:
    """Print microseconds per five-line claim; return them by name."""
    small = check(SMALL_PLAN)
    small_arguments: dict[str, object] = {
        "lines": five_lines(),
        "deductible_left": 20_000,
        "limit_left": 300_000,
    }
    ppo = check(example_plan("ppo").source)
    timed = []
    for engine in Engine:
        timed.append(
            Timed(f"small plan, {engine.value}", runner(small, "adjudicate", small_arguments, engine))
        )
        timed.append(Timed(f"ppo plan, {engine.value}", runner(ppo, "adjudicate", ppo_arguments(), engine)))
    take_turns(timed, seconds)
    for name, contract, arguments in (("small", small, small_arguments), ("ppo", ppo, ppo_arguments())):
        outcome = run(contract, "adjudicate", arguments, gas_max=GAS, memory_bytes_max=MEMORY)
        print(
            f"{name} plan: {outcome.gas_used} gas, {outcome.memory_bytes_used} bytes, {len(outcome.trace)} steps"
        )
    for one in timed:
        print(f"{one.name:28} {one.best_s * 1e6:8.1f} us per call")
    return {one.name: one.best_s * 1e6 for one in timed}


def checking(seconds: float = 2) -> dict[str, float]:
    """Print milliseconds per check, and per making ready of each engine."""
    source = example_plan("ppo").source
    timed = [Timed("check the ppo plan", lambda: check(source), batch=1)]
    timed += [
        Timed(f"check, compile and run, {engine.value}", compiling(source, engine), 1) for engine in Engine
    ]
    take_turns(timed, seconds)
    for one in timed:
        print(f"{one.name:36} {one.best_s * 1e3:8.2f} ms")
    return {one.name: one.best_s * 1e3 for one in timed}


def compiling(source: str, engine: Engine) -> Callable[[], object]:
    arguments = ppo_arguments()
    return lambda: run(
        check(source), "adjudicate", arguments, gas_max=GAS, memory_bytes_max=MEMORY, engine=engine
    )


PREPARED = {
    "i": "1",
    "j": "99999999999999999999999999999999999",
    "s": '"abc"',
    "long": '"x" * 60000',
    "longer": '"x" * 60000',
    "wide": '"é" * 60000',
    "short": '"x" * 2499',
    "alike": '"x" * 1247 + "yx"',
    "needle": '"x" * 99 + "y"',
    "l": "[1, 2, 3]",
    "m": "[[1, 2], [3, 4]]",
    "n": "[[1, 2], [3, 4]]",
    "many": "range(20000)",
    "texts": '["x" * 2000 + str(i) for i in range(2000)]',
    "d": '{"a": 1, "b": {"c": 2}}',
    "e": '{"a": 1, "b": {"c": 2}}',
    "big": "{i: i for i in range(20000)}",
    "keys": "{str(i) * 40: i for i in range(100)}",
    "rows": '[{"a": 1}] * 1000',
}
STEPS = [
    "x = i", "x = i + 1", "x = i - j", "x = j * 3", "x = j // 7", "x = j % 7", "x = -i", "x = not i",
    "x = i == 2", "x = s == 'abd'", "x = l == m", "x = m == n", "x = d == e", "x = many == list(many)",
    "x = i < j", "x = s < 'abd'", "x = long == longer", "x = long < longer", "x = i in l", "x = i in many",
    "x = s in d", "x = s in long", "x = needle in long", "x = needle in wide", "x = i and s",
    "x = s if i else l", "x = l[i]", "x = s[i]", "x = d['a']", "x = d['b']['c']", "x = d[s[0:1]]",
    "x = s[1:]", "x = long[1:]", "x = wide[1:]", "x = l[1:]", "x = many[1:]", "x = s + s", "x = long + s",
    "x = l + l", "x = many + l", "x = s * 3", "x = l * 3", "x = 'ab' * 30000", "x = [1] * 60000", "x = []",
    "x = [i, i, i]", "x = {}", "x = {'a': i, 'b': i}", "x = {s: i}", "x = [y for y in l]",
    "x = [y for y in many]", "x = {y: 1 for y in many}", "x = [1 for y in l for z in l]", "l[0] = i",
    "l[0] += i", "d['a'] = i", "d['a'] += 1", "i += 0", "s += ''", "a1, b1 = [i, i]", "x = f0()",
    "x = f3(i, s, l)", "x = f3(c=i, b=s, a=l)", "if i: pass",
    "if i == 0:\n            pass\n        elif i == 5:\n            pass", "for y in l: pass",
    "for y in []: pass", "for y in many: pass", "for y in big: pass", "for y, z in m: pass", "x = len(l)",
    "x = range(3)", "x = range(20000)", "x = min(i, j)", "x = min(l)", "x = max(many)", "x = abs(i)",
    "x = sum(l)", "x = sum(many)", "x = sum_of(rows, 'a')", "x = sorted(l)", "x = sorted(many)",
    "x = sorted(reversed(many))", "x = sorted(texts)", "x = reversed(many)", "x = str(j)",
    "x = int('123456789012345678901234567890')", "x = bool(l)", "x = list(many)", "x = list(big)",
    "x = dict(big)", "x = dict(d)", "x = any(many)", "x = all(many)", "x = enumerate(l)",
    "x = enumerate(many)", "x = zip(l, l)", "x = zip(many, many)", "x = round_half_up(j, 7)",
    "x = round_half_even(j, 7)", "x = floor(j, 7)", "x = percent_bp(j, 2000, 'half_up')",
    "x = percent_bp(j, 2000, 'half_even')", "x = money('1,234,567.89')", "x = money_text(j)",
    "x = days_between('2026-01-01', '2027-01-01')", "x = add_days('2026-01-01', 77)",
    "x = rule('r', 1, 'x', i, j)", "x = s.upper()", "x = long.upper()", "x = wide.lower()",
    "x = long.strip()", "x = s.strip()", "x = s.startswith('a')", "x = long.startswith(longer)",
    "x = s.isdigit()", "x = s.find('c')", "x = long.find(needle)", "x = short.find(alike)", "x = wide.find(needle)",
    "x = long.count('x')", "x = long.count('xx')", "x = s.split('b')", "x = long.split('x')",
    "x = long.split('xxxxxxxx')", "x = ','.join(texts[0:30])", "x = ''.join(['a'] * 20000)",
    "x = long.replace('x', 'y')", "x = long.replace('xx', 'z')", "x = s.replace('b', 'zz')",
    "l.append(l.pop())", "l.extend([])", "many.insert(0, many.pop())", "many.append(many.pop(0))",
    "x = many.index(19999)", "x = l.index(3)", "x = big.get(5)", "x = d.get('a', 1)", "x = d.keys()",
    "x = big.keys()", "x = big.values()", "x = d.items()", "x = big.items()", "d['z'] = d.pop('z', 1)",
    "x = d.setdefault('a', 2)", "d.update(d)", "big.update(big)", "x = keys.get('1')",
    "many.remove(many[0])\n        many.append(1)", "x = money_text(1)",
]  # fmt: skip


def stepping(step: str, times: int) -> str:
    """A contract that prepares some values and then does one thing so many times."""
    used = set(re.findall(r"[a-z]+", step))
    prepared = "".join(f"    {name} = {value}\n" for name, value in PREPARED.items() if name in used)
    return (
        'ENTRY_POINTS = ["main", "nothing"]\nRULES = {"r": "A rule."}\n'
        "def f0():\n    return 1\n"
        "def f3(a, b, c):\n    return a\n"
        f"def main():\n{prepared}    for step in range({times}):\n        {step}\n    return None\n"
        f"def nothing():\n{prepared}    for step in range(0):\n        {step}\n    return None\n"
    )


def worst_gas(shown: int = 12, rounds: int = 3) -> dict[str, float]:
    """Print the steps that are slowest for their gas, in nanoseconds per gas; return the slowest of each engine.

    Every step is timed in every round, and its best round counts.
    """
    slowest: dict[str, float] = {}
    for engine in Engine:
        best = dict.fromkeys(STEPS, 1e9)
        for _ in range(rounds):
            for step in STEPS:
                best[step] = min(best[step], ns_per_gas(step, engine))
        found = sorted(((ns, step) for step, ns in best.items()), reverse=True)
        slowest[engine.value] = found[0][0]
        print(f"slowest gas, {engine.value}:")
        for ns, step in found[:shown]:
            print(f"  {ns:7.1f} ns per gas  {' '.join(step.split())}")
    return slowest


def ns_per_gas(step: str, engine: Engine) -> float:
    """Time one step in a loop, less the preparation; the number of rounds follows from its gas."""
    probe = check(stepping(step, 1))
    gas_once = measured(probe, "main", engine)[0] - measured(probe, "nothing", engine)[0]
    contract = check(stepping(step, max(20, min(3_000, 150_000 // max(1, gas_once)))))
    nothing = [measured(contract, "nothing", engine) for _ in range(7)]
    many = [measured(contract, "main", engine) for _ in range(7)]
    gas = many[0][0] - nothing[0][0]
    return (min(seconds for _, seconds in many) - min(seconds for _, seconds in nothing)) / gas * 1e9


def measured(contract: CheckedContract, entry: str, engine: Engine) -> tuple[int, float]:
    started = time.perf_counter()
    try:
        used = run(
            contract, entry, {}, gas_max=GAS * 100, memory_bytes_max=MEMORY * 100, engine=engine
        ).gas_used
    except ContractFault as fault:
        raise RuntimeError(f"{fault}: {contract.source.splitlines()[fault.location.line - 1]}") from fault
    return used, time.perf_counter() - started


def main() -> None:
    claim()
    checking()
    worst_gas()


if __name__ == "__main__":
    main()
