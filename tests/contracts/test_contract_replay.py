"""Two versions of a plan on the same claims: what changes, by how much, and why."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from careledger.contracts import ContractFault, Engine, FaultKind, Outcome, check
from careledger.contracts.cases import overlaid, read_cases
from careledger.contracts.plans import example_plan
from careledger.contracts.replaying import PlanVersion, replay

SOURCE = example_plan("ppo").source
CASES = read_cases(example_plan("ppo").cases)


def inputs() -> list[tuple[str, Mapping[str, object]]]:
    return [(case.name, case.arguments) for case in CASES.cases]


def version(old: str = "", new: str = "", **overrides: object) -> PlanVersion:
    assert old in SOURCE
    return PlanVersion(contract=check(SOURCE.replace(old, new) if old else SOURCE), overrides=overrides)


@pytest.mark.parametrize("engine", list(Engine))
def test_the_same_version_changes_nothing(engine: Engine) -> None:
    report = replay(version(), version(), inputs(), engine=engine)
    assert report.examined == len(CASES.cases)
    assert report.changed == ()
    assert report.delta_minor == 0


def test_a_comment_changes_nothing() -> None:
    assert replay(version(), version("\nENTRY_POINTS", "\n\n# moved\nENTRY_POINTS"), inputs()).changed == ()


def test_a_changed_rule_shows_claims_money_and_traces() -> None:
    report = replay(
        version(), version('"half_up")\n        coinsurance', '"down")\n        coinsurance'), inputs()
    )
    assert [(claim.key, claim.delta_minor) for claim in report.changed] == [
        ("Half a cent of coinsurance goes up", 1)
    ]
    (line,) = report.changed[0].lines
    assert (line.number, line.paid_before_minor, line.paid_after_minor, line.delta_minor) == (
        1,
        1111,
        1112,
        1,
    )
    assert [step.after for step in line.trace_before if step.rule_id == "coinsurance"] == [124]
    assert [step.after for step in line.trace_after if step.rule_id == "coinsurance"] == [123]
    assert report.delta_minor == 1


def test_changed_parameters_are_a_version_too() -> None:
    old = CASES.given["parameters"]
    new = overlaid(old, {"individual_deductible_minor": 40_000})
    report = replay(version(), version(parameters=new), inputs())
    changed = {claim.key: claim.delta_minor for claim in report.changed}
    assert changed["The line that meets the deductible is split between deductible and coinsurance"] == 1_600
    assert report.delta_minor == sum(changed.values()) > 0
    assert all(claim.lines for claim in report.changed)


def test_a_version_that_stops_is_a_change() -> None:
    stops = version("    deductible = 0\n", "    deductible = 0\n    x = 1 // deductible\n")
    report = replay(version(), stops, inputs())
    assert 10 < len(report.changed) < len(CASES.cases)
    claim = report.changed[0]
    assert isinstance(claim.before, Outcome)
    assert isinstance(claim.after, ContractFault)
    assert claim.after.kind is FaultKind.DIVISION_BY_ZERO
    assert claim.lines[0].paid_after_minor is None
    assert claim.delta_minor == -(claim.lines[0].paid_before_minor or 0)


def test_stopping_alike_is_no_change_and_stopping_otherwise_is() -> None:
    key = "A tier the parameters do not know stops the plan instead of guessing"
    claims = [entry for entry in inputs() if entry[0] == key]
    assert replay(version(), version(), claims).changed == ()
    other = version('tier = parameters["tiers"][facts["tier"]]', "fail('no such tier')\n    tier = {}")
    (changed,) = replay(version(), other, claims).changed
    assert changed.lines == ()
    assert changed.delta_minor == 0


def test_results_that_are_no_decisions_have_no_lines() -> None:
    head = 'ENTRY_POINTS = ["main"]\ndef main(x):\n    return '
    old, new = (
        PlanVersion(contract=check(head + value + "\n"), overrides={}, entry="main")
        for value in ('{"lines": 5}', "[x]")
    )
    (changed,) = replay(old, new, [("one", {"x": 1})]).changed
    assert (changed.lines, changed.delta_minor) == ((), 0)
