"""Claim acknowledgement: what a claim says against itself, and the 277CA that answers it."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from careledger.standards.x12.acknowledge import acknowledge
from careledger.standards.x12.claim_model import Claim
from careledger.standards.x12.claim_status import (
    ACCEPTED,
    Answer,
    Receipt,
    Status,
    answer_claim,
    find_problems,
    write_claim_answers,
)
from careledger.standards.x12.errors import UnwritableError
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.parties import Party
from standards.x12.x12_samples import (
    BILLING,
    CHILD,
    CLINIC,
    PLAN,
    RENDERING,
    STAMP,
    claim,
    line,
    npi,
    rich_claim,
    stay,
)

RECEIPT = Receipt(
    source=Party(role="PR", name="Orchard Plan", id_qualifier="PI", id="ORCH01"),
    receiver=Party(role="41", name="Bridge Clinic", id_qualifier="46", id="BRIDGE"),
    reference="ACK-1",
    batch="B77",
    date="2026-03-02",
    time="0931",
    received_on="2026-03-01",
    processed_on="2026-03-02",
)


def write(answers: list[Answer]) -> list[list[str]]:
    """Return the segments of the answer, which its receiver would accept."""
    data = write_claim_answers(RECEIPT, answers, STAMP, sender=PLAN, receiver=CLINIC)
    (accepted,) = acknowledge(data)
    assert (accepted.code, [group.code for group in accepted.groups]) == ("A", ["A"])
    return parse(data).interchanges[0].segments


@pytest.mark.parametrize("good", [claim(), rich_claim(), stay(), stay(frequency="4")])
def test_a_claim_without_problems_is_accepted(good: Claim) -> None:
    assert find_problems(good) == ()
    assert answer_claim(good, "P1").statuses == (ACCEPTED,)
    assert answer_claim(good, "P1").is_accepted


BAD_ID = "1990000019"


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (
            lambda one: replace(one, billing=replace(BILLING, party=replace(BILLING.party, id=BAD_ID))),
            Status(category="A7", code="562", entity="85"),
        ),
        (
            lambda one: replace(one, parties=(replace(RENDERING, id=BAD_ID),)),
            Status(category="A7", code="562", entity="82"),
        ),
        (
            lambda one: replace(
                one, lines=(line(1, 18550, parties=(replace(RENDERING, role="DK", id="x"),)),)
            ),
            Status(category="A7", code="562", entity="DK"),
        ),
        (lambda one: replace(one, charge_minor=1), Status(category="A7", code="178")),
        (lambda one: replace(one, frequency="7"), Status(category="A7", code="464")),
        (lambda one: replace(one, frequency="8"), Status(category="A7", code="464")),
        (lambda one: replace(one, frequency="2"), Status(category="A7", code="535")),
        (
            lambda one: replace(one, lines=(line(1, 18550, pointers=(3,)),)),
            Status(category="A7", code="477"),
        ),
    ],
)
def test_a_claim_that_contradicts_itself_is_rejected(spoil: Callable[[Claim], Claim], status: Status) -> None:
    spoiled = spoil(claim())
    assert find_problems(spoiled) == (status,)
    answer = answer_claim(spoiled, "P1")
    assert not answer.is_accepted
    assert answer.payer_control_number == ""
    said = [segment[3] for segment in write([answer]) if segment[0] == "STC" and segment[1].startswith("A7")]
    assert said == ["U"]


def test_parties_without_such_an_identifier_are_left_alone() -> None:
    tax_only = replace(BILLING, party=replace(BILLING.party, id="", id_qualifier=""))
    assert find_problems(claim(billing=tax_only)) == ()
    named = next(
        segment for segment in write([answer_claim(claim(billing=tax_only))]) if segment[:2] == ["NM1", "85"]
    )
    assert named[8:] == ["FI", "990000001"]


def test_the_payer_adds_reasons_of_its_own() -> None:
    unknown = Status(category="A3", code="33", entity="IL")
    answer = answer_claim(claim(), "P1", lambda one: (unknown,) if one.payer.id == "ORCH01" else ())
    assert answer.statuses == (unknown,)
    assert not answer.is_accepted


def test_every_claim_is_answered_and_counted() -> None:
    answers = [
        answer_claim(claim(1), "P1"),
        answer_claim(claim(2, patient=CHILD, charge_minor=5), "P2"),
        answer_claim(
            replace(rich_claim(), billing=replace(BILLING, party=replace(BILLING.party, id=npi(8)))), "P3"
        ),
        answer_claim(stay(4), "P4"),
    ]
    segments = write(answers)
    assert [segment[1] for segment in segments if segment[0] == "HL"] == [str(at) for at in range(1, 10)]
    assert [segment[1:] for segment in segments if segment[0] == "QTY"] == [
        ["90", "3"],
        ["AA", "1"],
        ["QA", "1"],
        ["QC", "1"],
        ["QA", "1"],
        ["QA", "1"],
    ]
    assert [segment[1:] for segment in segments if segment[0] == "AMT"][:2] == [
        ["YU", "4581.25"],
        ["YY", ".05"],
    ]
    assert [segment[2] for segment in segments if segment[:2] == ["TRN", "2"]] == [
        "B77",
        "CLM000001",
        "CLM000002",
        "CLM000077",
        "CLM000004",
    ]
    assert [segment[2] for segment in segments if segment[:2] == ["REF", "1K"]] == ["P1", "P3", "P4"]
    assert [segment[2] for segment in segments if segment[:2] == ["REF", "BLT"]] == ["111"]
    patients = [segment for segment in segments if segment[:2] == ["NM1", "QC"]]
    assert [(segment[4], segment[9]) for segment in patients] == [
        ("Ada", "ORC0000417"),
        ("Bo", "ORC0000417"),
        ("Bo", "ORC0000417"),
        ("Ada", "ORC0000417"),
    ]
    assert [segment[2:] for segment in segments if segment[:2] == ["DTP", "472"]] == [
        ["D8", "20260220"],
        ["D8", "20260220"],
        ["RD8", "20260220-20260221"],
        ["RD8", "20260210-20260214"],
    ]


def test_an_empty_batch_is_answered_too() -> None:
    segments = write([])
    assert [segment[0] for segment in segments if segment[0] in {"HL", "QTY"}] == ["HL", "HL"]


def test_a_claim_without_any_date_cannot_be_answered() -> None:
    dateless = claim(lines=(line(1, 18550, service=None),))
    with pytest.raises(UnwritableError, match="service date"):
        write([answer_claim(dateless)])
