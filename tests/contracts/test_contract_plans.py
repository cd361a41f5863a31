"""The example plans: their cases, and on any claim at all balanced decisions, explained, the same from both engines."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careledger.contracts import Engine, Value, check, run
from careledger.contracts.cases import read_cases, run_cases
from careledger.contracts.documents import (
    Accumulators,
    AdjudicationRequest,
    Authorisation,
    Claim,
    ClaimLine,
    Coverage,
    Decision,
    DecisionRefused,
    Edit,
    Facts,
    arguments_of,
    read_decision,
    verify_decision,
)
from careledger.contracts.explaining import explain, explain_by_line
from careledger.contracts.plans import EXAMPLES, example_plan

GAS = 2_000_000
MEMORY = 64 * 1024 * 1024
PLANS = {name: check(example_plan(name).source) for name in EXAMPLES}


GIVEN = {name: read_cases(example_plan(name).cases).given for name in EXAMPLES}


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_cases_pass(name: str, engine: Engine) -> None:
    report = run_cases(PLANS[name], example_plan(name).cases, engine=engine)
    assert report.passed, str(report)
    assert len(report.results) >= 15


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_cases_reach_every_rule(name: str) -> None:
    report = run_cases(PLANS[name], example_plan(name).cases)
    applied = {step.rule_id for result in report.results if result.outcome for step in result.outcome.trace}
    assert applied == set(PLANS[name].rules)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_cases_notice_a_changed_plan(name: str) -> None:
    source = example_plan(name).source
    changes = [
        ("min(counted, fee)", "counted"),
        (" > parameters", " >= parameters"),
        ("- copay", ""),
        ("half_up", "down"),
        ('"PR", "1"', '"CO", "1"'),
        ("max(limit, 0)", "limit + 1"),
    ]
    made = [check(source.replace(old, new)) for old, new in changes if old in source]
    assert len(made) >= 3
    for changed in made:
        assert not run_cases(changed, example_plan(name).cases).passed


def test_unknown_examples_are_not_found() -> None:
    with pytest.raises(KeyError):
        example_plan("gold")


AMOUNTS = st.integers(0, 500_000) | st.sampled_from([0, 1, 99, 2**40])
DAYS = st.sampled_from(["2025-12-31", "2026-01-01", "2026-02-20", "2026-02-28", "2026-12-31"])


@st.composite
def requests(draw: st.DrawFn, name: str) -> AdjudicationRequest:
    procedures = [*dict.fromkeys(str(key) for key in fees(name)), "X-UNKNOWN"]
    count = draw(st.integers(1, 6))
    numbers = draw(st.permutations(range(1, count + 1)))
    tiers = ["preferred", "standard", "outside"] if name == "ppo" else ["network", "outside"]
    return AdjudicationRequest(
        claim=Claim(
            received_date=draw(DAYS),
            lines=tuple(
                ClaimLine(
                    number=number,
                    procedure=draw(st.sampled_from(procedures)),
                    modifiers=tuple(draw(st.lists(st.sampled_from(["HALF", "ASSIST", "OTHER"]), max_size=3))),
                    units=draw(st.integers(1, 9)),
                    charge_minor=draw(AMOUNTS),
                    place=draw(
                        st.sampled_from(["office", "specialist", "hospital", "laboratory", "emergency-room"])
                    ),
                    service_date=draw(DAYS),
                )
                for number in numbers
            ),
        ),
        coverage=Coverage(from_date=draw(DAYS), to_date=draw(st.none() | DAYS), family=draw(st.booleans())),
        facts=Facts(
            tier=draw(st.sampled_from(tiers)),
            accumulators=Accumulators(
                individual_deductible_minor=draw(AMOUNTS),
                individual_limit_minor=draw(AMOUNTS),
                family_deductible_minor=draw(AMOUNTS),
                family_limit_minor=draw(AMOUNTS),
            ),
            edits=tuple(
                Edit(
                    line=draw(st.integers(1, count)),
                    kind=draw(st.sampled_from(["duplicate", "bundled", "units"])),
                    units=draw(st.integers(0, 9)),
                )
                for _ in range(draw(st.integers(0, 3)))
            ),
            authorisations=tuple(
                Authorisation(
                    procedure=draw(st.sampled_from(procedures)),
                    from_date=draw(DAYS),
                    to_date=draw(DAYS),
                    units=draw(st.integers(0, 5)),
                )
                for _ in range(draw(st.integers(0, 3)))
            ),
            referred=draw(st.booleans()),
            emergency=draw(st.booleans()),
        ),
        fees_minor=fees(name),
        parameters=parameters(name),
    )


def fees(name: str) -> dict[str, int]:
    found = GIVEN[name]["fees_minor"]
    assert isinstance(found, dict)
    return {str(procedure): int(str(fee)) for procedure, fee in found.items()}


def parameters(name: str) -> dict[str, object]:
    found = GIVEN[name]["parameters"]
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


@pytest.mark.parametrize("name", EXAMPLES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_decision_balances_and_is_explained(name: str, data: st.DataObject) -> None:
    request = data.draw(requests(name))
    outcomes = [
        run(
            PLANS[name],
            "adjudicate",
            arguments_of(request),
            gas_max=GAS,
            memory_bytes_max=MEMORY,
            engine=engine,
        )
        for engine in Engine
    ]
    assert outcomes[0] == outcomes[1]
    outcome = outcomes[0]
    decision = read_decision(outcome.result)
    verify_decision(request.claim, decision)
    explained = explain_by_line(PLANS[name], outcome.trace)
    for line in decision.lines:
        steps = explained[line.number]
        assert {adjustment.rule for adjustment in line.adjustments} <= {step.rule_id for step in steps}
        assert line.status != "paid" or (steps[-1].amount, steps[-1].after_minor) == ("paid", line.paid_minor)
    check_year(name, request, decision)


def check_year(name: str, request: AdjudicationRequest, decision: Decision) -> None:
    """What the patient shares never goes beyond what was left of the year's limit."""
    used = request.facts.accumulators
    limit = int(str(parameters(name)["individual_limit_minor"]))
    left = limit - used.individual_limit_minor
    if request.coverage.family:
        left = min(left, int(str(parameters(name)["family_limit_minor"])) - used.family_limit_minor)
    assert decision.uses.individual_limit_minor <= max(left, 0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_order_of_other_claims_does_not_matter_to_a_decision(name: str) -> None:
    """Nothing is kept between runs: the same claim is decided the same before and after another."""
    report = run_cases(PLANS[name], example_plan(name).cases)
    again = run_cases(PLANS[name], example_plan(name).cases)
    assert [result.outcome for result in report.results] == [result.outcome for result in again.results]


def decision_of(**changes: Value) -> tuple[Claim, Value]:
    """One balanced line, with changes."""
    line: dict[str | int, Value] = {
        "number": 1, "status": "paid", "units": 1, "charge_minor": 100, "allowed_minor": 80, "deductible_minor": 10,
        "copay_minor": 0, "coinsurance_minor": 20, "paid_minor": 50, "patient_minor": 30,
        "adjustments": [
            {"group": "CO", "reason": "45", "amount_minor": 20, "rule": "agreed-fee"},
            {"group": "PR", "reason": "1", "amount_minor": 10, "rule": "deductible"},
            {"group": "PR", "reason": "2", "amount_minor": 20, "rule": "coinsurance"},
        ],
    }  # fmt: skip
    totals = {name: value for name, value in line.items() if str(name).endswith("_minor")}
    uses: dict[str | int, Value] = {"individual_deductible_minor": 10, "individual_limit_minor": 30}
    for name, value in changes.items():
        where, _, key = name.partition("__")
        {"line": line, "totals": totals, "uses": uses}[where][key] = value
    claim_line = ClaimLine(
        number=1, procedure="P", charge_minor=100, place="office", service_date="2026-01-01"
    )
    return Claim(received_date="2026-01-02", lines=(claim_line,)), {
        "lines": [line],
        "totals": totals,
        "uses": uses,
    }


def test_a_balanced_decision_passes() -> None:
    claim, result = decision_of()
    verify_decision(claim, read_decision(result))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"line__number": 2}, "lines and charges"),
        ({"line__charge_minor": 101}, "lines and charges"),
        ({"line__paid_minor": 51}, "line 1: charge less adjustments"),
        ({"line__patient_minor": 31}, "sum of group PR"),
        ({"line__copay_minor": 1}, "more than the patient's part"),
        ({"line__status": "denied"}, "something is paid"),
        ({"totals__paid_minor": 49}, "totals: paid_minor"),
        ({"totals__allowed_minor": 81}, "totals: allowed_minor"),
        ({"uses__individual_deductible_minor": 11}, "uses"),
        ({"uses__individual_limit_minor": 31}, "uses"),
        ({"uses__family_deductible_minor": 5}, "uses"),
        ({"uses__family_limit_minor": 5}, "uses"),
    ],
)
def test_an_unbalanced_decision_is_refused(change: dict[str, Value], words: str) -> None:
    claim, result = decision_of(**change)
    with pytest.raises(DecisionRefused, match=words):
        verify_decision(claim, read_decision(result))


@pytest.mark.parametrize(
    "change",
    [
        {"line__status": "maybe"},
        {"line__paid_minor": -1},
        {"line__paid_minor": "50"},
        {"line__extra": 1},
        {"line__adjustments": [{"group": "XX", "reason": "1", "amount_minor": 1, "rule": "r"}]},
        {"line__adjustments": [{"group": "CO", "reason": "1", "amount_minor": 0, "rule": "r"}]},
        {"uses__other": 1},
    ],
)
def test_what_is_no_decision_is_refused(change: dict[str, Value]) -> None:
    _, result = decision_of(**change)
    with pytest.raises(DecisionRefused) as caught:
        read_decision(result)
    assert "maybe" not in str(caught.value)
    assert "`$" in str(caught.value), "the place, and not the value"


def test_an_explanation_reads_as_a_sentence() -> None:
    report = run_cases(PLANS["ppo"], example_plan("ppo").cases)
    outcome = report.results[0].outcome
    assert outcome is not None
    sentences = [str(explanation) for explanation in explain(PLANS["ppo"], outcome.trace)]
    place = outcome.trace[0].location.line
    assert sentences[0] == (
        "allowed: 125.00 -> 95.00. The plan counts at most the fee the practice has agreed to. "
        f"[agreed-fee, line {place}]"
    )
    assert sentences[2].startswith("coinsurance: 0.00 (unchanged). ")
    assert 'rule("agreed-fee"' in PLANS["ppo"].source.split("\n")[place - 1]
