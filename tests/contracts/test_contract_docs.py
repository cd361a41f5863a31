"""The reference page says what is so: its plan, cases and outputs run, its tables name everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from careledger.contracts import ContractRefused, FaultKind, check, limits, run
from careledger.contracts.cases import run_cases
from careledger.contracts.documents import (
    Accumulators,
    Adjustment,
    Authorisation,
    Claim,
    ClaimLine,
    Coverage,
    Decision,
    Edit,
    Facts,
    LineDecision,
)
from careledger.contracts.explaining import explain
from careledger.contracts.replaying import PlanVersion, replay
from careledger.contracts.semantics.library import LIBRARY
from careledger.contracts.semantics.methods import METHODS

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "contracts.md").read_text(encoding="utf-8")
BLOCKS = [(kind, text) for kind, text in re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)]
SOURCE = next(text for kind, text in BLOCKS if kind == "contract")
CASES = next(text for kind, text in BLOCKS if kind == "yaml")
OUTPUTS = [text.strip() for kind, text in BLOCKS if kind == ""]
CLAIM = {"lines": [{"number": 1, "procedure": "VISIT", "charge_minor": 12000}]}
ARGUMENTS = {"claim": CLAIM, "fees_minor": {"VISIT": 9500}}


def section(title: str) -> str:
    return re.split(r"\n#+ ", PAGE.split(f"# {title}\n", 1)[1])[0]


def test_the_cases_give_what_is_shown() -> None:
    assert str(run_cases(check(SOURCE), CASES)) == OUTPUTS[0]


def test_the_mistakes_are_reported_as_shown() -> None:
    broken = run_cases(check(SOURCE.replace("min(allowed, COPAY)", "COPAY")), CASES)
    (failed,) = [result for result in broken.results if not result.passed]
    assert "lines[0].paid_minor: 0.00 expected, -8.00 there" in failed.differences
    assert "`lines[0].paid_minor: 0.00 expected, -8.00 there`" in PAGE
    with pytest.raises(ContractRefused) as caught:
        check(SOURCE.replace("min(allowed, COPAY)", "min(allowed, COPAI)"))
    assert str(caught.value) in PAGE


def test_the_explanation_is_the_one_shown() -> None:
    plan = check(SOURCE)
    outcome = run(plan, "adjudicate", ARGUMENTS, gas_max=100_000, memory_bytes_max=1_000_000)
    assert "\n".join(str(step) for step in explain(plan, outcome.trace)) == OUTPUTS[1]


def test_the_replay_gives_what_is_shown() -> None:
    plan = check(SOURCE)
    dearer = check(SOURCE.replace('money("20.00")', 'money("25.00")'))
    report = replay(
        PlanVersion(contract=plan, overrides={}),
        PlanVersion(contract=dearer, overrides={}),
        [("claim 1", ARGUMENTS)],
    )
    shown = [f"`{changed.key} {changed.delta_minor}`" for changed in report.changed]
    assert shown == ["`claim 1 -500`"]
    assert shown[0] in PAGE


def test_every_function_is_there_with_its_parameters() -> None:
    table = section("Functions")
    for name, function in LIBRARY.items():
        if function.variadic:
            assert f"`{name}(a, b, …)`" in table
            continue
        written = re.findall(rf"`{name}\(([^)]*)\)`", table)
        assert written, name
        longest = max((re.findall(r"\w+", parameters) for parameters in written), key=len)
        if function.parameters not in (("value",), ("number",)):
            assert tuple(longest) == function.parameters, name


def test_every_method_is_there() -> None:
    table = section("Methods")
    for kind, row in ((str, "texts"), (list, "lists"), (dict, "dictionaries")):
        (line,) = [line for line in table.splitlines() if line.startswith(f"| {row} ")]
        assert set(re.findall(r"`(\w+)\(", line)) == set(METHODS[kind])


def test_every_fault_is_there() -> None:
    assert {int(number) for number in re.findall(r"\| (\d{3}) ", section("What can go wrong"))} == {
        kind.value for kind in FaultKind
    }


@pytest.mark.parametrize(
    "number",
    [
        limits.SOURCE_BYTES_MAX,
        limits.TOKENS_MAX,
        limits.NESTING_MAX,
        limits.LOOP_NESTING_MAX,
        limits.CALL_NESTING_MAX,
        limits.FUNCTIONS_MAX,
        limits.PARAMETERS_MAX,
        limits.LOCALS_MAX,
        limits.LENGTH_MAX,
        limits.KEY_LENGTH_MAX,
        limits.VALUE_DEPTH_MAX,
        limits.NAME_LENGTH_MAX,
    ],
)
def test_every_limit_is_there(number: int) -> None:
    assert f"{number:,}" in section("Limits")


@pytest.mark.parametrize(
    "document",
    [
        Claim,
        ClaimLine,
        Coverage,
        Facts,
        Accumulators,
        Edit,
        Authorisation,
        Decision,
        LineDecision,
        Adjustment,
    ],
)
def test_every_field_of_the_documents_is_there(document: type) -> None:
    text = section("The documents of a plan")
    fields: tuple[str, ...] = getattr(document, "__struct_fields__", ())
    assert fields
    assert [field for field in fields if f"`{field}`" not in text] == []
