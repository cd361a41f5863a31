"""Runs the stored contracts and says what each cost: a program of its own, for any interpreter.

Needs the standard library and `careledger.contracts`. Writes, by name, what both engines gave, as JSON. With the
argument `make` it chooses the contracts anew, from seeds and from the example plans, and stores them with what they
give: done only together with a new ENGINE_VERSION.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from careledger.contracts import CheckedContract, ContractFault, ContractRefused, Engine, check, run
from contracts.contract_programs import HOST, ProgramMaker, deepest

STORED = Path(__file__).with_name("contract_golden.json")

REFUSED = {
    "fraction": "X = 1.5\n",
    "hidden": "X = 'a\u202eb'\n",
    "many problems": 'ENTRY_POINTS = ["main"]\ndef main(x):\n    y = z\n    return len(x, y, w)\n',
    "recursion": 'ENTRY_POINTS = ["a"]\ndef a():\n    return b()\ndef b():\n    return a()\n',
    "deep": 'ENTRY_POINTS = ["a"]\ndef a(x):\n    return ' + "+".join(["x"] * 50) + "\n",
    "constant": 'ENTRY_POINTS = ["a"]\nX = [i for i in range(60000) for j in range(60000)]\ndef a():\n    return X\n',
    "escape": "X = '\\N{BULLET}'\n",
    "match": "match 5:\n    case 5:\n        pass\n",
    "type": "type X = int\n",
    "template": "X = t'{1}'\n",
    "keyword arguments": "def f(x, /, *, y):\n    pass\n",
}


def digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def told(entry: dict[str, object], sources: dict[str, str]) -> list[object]:
    """What both engines say of one stored contract; they must say the same."""
    source = str(entry["source"])
    try:
        contract = check(sources.get(source, source), host=HOST)
    except ContractRefused as refused:
        return ["refused", [[p.kind.value, *p.location, p.detail] for p in refused.problems]]
    arguments = entry["arguments"]
    said = [one_run(contract, arguments, entry, engine) for engine in Engine]
    return said[0] if said[0] == said[1] else ["engines differ", *said]


def one_run(
    contract: CheckedContract, arguments: object, entry: dict[str, object], engine: Engine
) -> list[object]:
    if not isinstance(arguments, dict):
        raise TypeError("a stored contract has arguments")
    try:
        outcome = run(
            contract,
            next(iter(contract.entry_points)),
            keyed(arguments),
            gas_max=int(str(entry["gas_max"])),
            memory_bytes_max=int(str(entry["memory_bytes_max"])),
            host=HOST,
            engine=engine,
        )
    except ContractFault as fault:
        place = [fault.kind.value, *fault.location]
        return [
            *place,
            fault.gas_used,
            fault.memory_bytes_used,
            digest([tuple(step) for step in fault.trace]),
        ]
    trace = digest([tuple(step) for step in outcome.trace])
    return [0, outcome.gas_used, outcome.memory_bytes_used, digest(outcome.result), trace]


def keyed(arguments: dict[str, object]) -> dict[str, object]:
    """JSON has no number keys: `#7` stands for 7."""

    def restored(value: object) -> object:
        if isinstance(value, dict):
            return {
                int(key[1:]) if key.startswith("#") else key: restored(inner) for key, inner in value.items()
            }
        return [restored(inner) for inner in value] if isinstance(value, list) else value

    return {name: restored(value) for name, value in arguments.items()}


def unkeyed(value: object) -> object:
    if isinstance(value, dict):
        return {f"#{key}" if isinstance(key, int) else key: unkeyed(inner) for key, inner in value.items()}
    return [unkeyed(inner) for inner in value] if isinstance(value, list) else value


def make() -> dict[str, object]:
    """Choose the stored contracts; a source that several share is stored once, under a name."""
    from careledger.contracts.cases import read_cases
    from careledger.contracts.plans import EXAMPLES, example_plan

    sources = {name: example_plan(name).source for name in EXAMPLES}
    entries: dict[str, dict[str, object]] = {}
    for seed in range(120):
        maker = ProgramMaker(900_000 + seed)
        entries[f"seed {seed}"] = {
            "source": maker.program(),
            "arguments": unkeyed(maker.arguments()),
            "gas_max": [200_000, 60, 200][seed % 3],
            "memory_bytes_max": [10_000_000, 10_000_000, 2_000][seed % 3],
        }
    for name in EXAMPLES:
        plan = example_plan(name)
        for number, case in enumerate(read_cases(plan.cases).cases[::3]):
            entries[f"{name} {number}"] = {
                "source": name,
                "arguments": unkeyed(case.arguments),
                "gas_max": 1_000_000,
                "memory_bytes_max": 10_000_000,
            }
    entries["deepest"] = {
        "source": deepest(),
        "arguments": {"x": 1},
        "gas_max": 1_000_000,
        "memory_bytes_max": 10_000_000,
    }
    for name, source in REFUSED.items():
        entries[name] = {"source": source, "arguments": {}, "gas_max": 1, "memory_bytes_max": 1}
    told_now = {name: told(entry, sources) for name, entry in entries.items()}
    return {"sources": sources, "entries": entries, "told": told_now}


def main() -> None:
    if sys.argv[1:] == ["make"]:
        STORED.write_text(json.dumps(make(), indent=0, sort_keys=True) + "\n", encoding="utf-8")
        return
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    said = {name: told(entry, stored["sources"]) for name, entry in stored["entries"].items()}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
