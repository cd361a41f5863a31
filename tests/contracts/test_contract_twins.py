"""The two engines against each other on random programs: result, fault, gas, memory and trace must be the same.

Each program runs with ample allowances, then with gas and with memory that end somewhere on its way.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter

import pytest

from careledger.contracts import CheckedContract, ContractFault, ContractRefused, Engine, Value, check, run
from contracts.contract_programs import HOST, ProgramMaker

GAS = 200_000
MEMORY = 10_000_000
SLOW_PROGRAMS = 200_000
SLOW_SECONDS = 240

Seen = tuple[object, ...]


def attempt(
    contract: CheckedContract, arguments: dict[str, Value], gas: int, memory: int, engine: Engine
) -> Seen:
    """Everything one run shows."""
    try:
        outcome = run(
            contract, "main", arguments, gas_max=gas, memory_bytes_max=memory, host=HOST, engine=engine
        )
    except ContractFault as fault:
        return (fault.kind.name, fault.location, fault.gas_used, fault.memory_bytes_used, fault.trace)
    return ("", repr(outcome.result), outcome.gas_used, outcome.memory_bytes_used, outcome.trace)


def compare(seed: int, kinds: Counter[str]) -> str:
    """Run one program under both engines; return what differs, or ""."""
    maker = ProgramMaker(seed)
    source = maker.program()
    arguments = maker.arguments()
    try:
        contract = check(source, host=HOST)
    except ContractRefused:
        kinds["refused"] += 1
        return ""
    draw = random.Random(seed)
    gas, memory, memory_used = GAS, MEMORY, 0
    for turn in range(3):
        closures = attempt(contract, arguments, gas, memory, Engine.CLOSURES)
        rewritten = attempt(contract, arguments, gas, memory, Engine.REWRITTEN)
        kinds[str(closures[0])] += 1
        if closures != rewritten:
            return f"seed {seed}, gas {gas}, memory {memory}:\n{source}\n{arguments}\n{closures}\n{rewritten}"
        if turn == 0:
            gas, memory_used = draw.randint(0, int(str(closures[2]))), int(str(closures[3]))
        else:
            gas, memory = GAS, draw.randint(0, memory_used)
    return ""


def compare_many(seeds: range, until: float) -> tuple[int, Counter[str], list[str]]:
    """Compare programs until the seeds or the time run out."""
    kinds: Counter[str] = Counter()
    differences: list[str] = []
    done = 0
    for seed in seeds:
        if time.monotonic() > until:
            break
        difference = compare(seed, kinds)
        done += 1
        if difference:
            differences.append(difference)
    return done, kinds, differences


def test_engines_agree() -> None:
    done, kinds, differences = compare_many(range(2_000), time.monotonic() + 600)
    assert differences[:1] == []
    assert done == 2_000
    assert kinds["refused"] < done // 100, "the maker should make contracts"
    assert kinds[""] > done // 4, "a good part should run to its end"
    reached = {
        "OUT_OF_GAS",
        "OUT_OF_MEMORY",
        "WRONG_TYPE",
        "NO_SUCH_ELEMENT",
        "NO_SUCH_KEY",
        "DIVISION_BY_ZERO",
    }
    assert reached <= kinds.keys()


def test_a_difference_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from careledger.contracts.engines import rewriting

    monkeypatch.setitem(rewriting._AUGMENTED, "-", "add")
    contract = check('ENTRY_POINTS = ["main"]\ndef main(d):\n    d["a"] -= 1\n    return d\n')
    seen = [attempt(contract, {"d": {"a": 1}}, GAS, MEMORY, engine) for engine in Engine]
    assert seen[0] != seen[1]


@pytest.mark.slow
def test_engines_agree_on_two_hundred_thousand_programs() -> None:
    workers = 2
    first = 1_000_000
    share = SLOW_PROGRAMS // workers
    until = time.monotonic() + SLOW_SECONDS
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        parts = pool.starmap(
            compare_many, [(range(first + i * share, first + (i + 1) * share), until) for i in range(workers)]
        )
    assert [difference for _, _, differences in parts for difference in differences][:1] == []
    done = sum(part[0] for part in parts)
    assert done >= SLOW_PROGRAMS // 4, f"only {done} programs in the time allowed"
