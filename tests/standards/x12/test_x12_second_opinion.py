"""What this package writes is held against pyx12, an independent reader with tables of its own."""

import io
import logging
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from pyx12.params import ParamsBase
from pyx12.x12n_document import x12n_document

from careledger.standards.x12.acknowledge import acknowledge
from careledger.standards.x12.acknowledge_write import write_acknowledgement
from careledger.standards.x12.claim_status import answer_claim, write_claim_answers
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.remittance_write import write_remittances
from standards.x12.test_x12_claim_status import RECEIPT
from standards.x12.x12_samples import CHILD, CLINIC, PAYER, PLAN, STAMP, claim, remittance, rich_claim, stay


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep pyx12's log out of the test's output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def opinion(data: bytes) -> tuple[bool, list[list[str]]]:
    """Return whether pyx12 accepts an interchange, and the segments of its own 999."""
    answer = io.StringIO()
    is_good = x12n_document(ParamsBase(), io.StringIO(data.decode("ascii")), answer, None)
    return bool(is_good), [line.strip().split("*") for line in answer.getvalue().split("~")]


CLAIMS = write_claims([claim(), claim(2, patient=CHILD), rich_claim()], STAMP, sender=CLINIC, receiver=PLAN)
# pyx12's institutional table has a dependent's level before the subscriber's own claims, the guide after them.
STAYS = write_claims(
    [stay(), stay(2, patient=CHILD, payer=replace(PAYER, id="ORCH02"))], STAMP, sender=CLINIC, receiver=PLAN
)
REMITTANCE = write_remittances([remittance(3)], STAMP, sender=PLAN, receiver=CLINIC)
ANSWERS = write_claim_answers(
    RECEIPT,
    [answer_claim(one, "P1") for one in (claim(), claim(2, charge_minor=1), stay(3))],
    STAMP,
    sender=PLAN,
    receiver=CLINIC,
)


def acknowledged(data: bytes) -> bytes:
    """Return our answer to an interchange."""
    (answer,) = acknowledge(data)
    written = write_acknowledgement(answer, STAMP)
    assert written is not None
    return written


@pytest.mark.parametrize(
    "data",
    [
        CLAIMS,
        STAYS,
        REMITTANCE,
        ANSWERS,
        acknowledged(CLAIMS),
        acknowledged(CLAIMS.replace(b"ABK:R05", b"ABK:")),
    ],
    ids=["837P", "837I", "835", "277CA", "999 accepting", "999 rejecting"],
)
def test_pyx12_accepts_what_is_written(data: bytes) -> None:
    is_good, answer = opinion(data)
    assert is_good, answer


@pytest.mark.parametrize(
    ("old", "new", "is_element"),
    [
        ("NM1*40*2", "NM1*40*", True),
        ("DMG*D8*19791130", "DMG*D8*19790231", True),
        ("*Y*A*Y*Y", "*Y*Q*Y*Y", True),
        ("SBR*P*18*GRP7", "SBR*P*18*" + "G" * 51, True),
        ("N4*Millport", "N4*M", True),
        ("~REF*EI*990000001", "~REF*EI*990000001~REF*EI*990000002", False),
        ("~N3*4 Quay Street*Floor 2~N4", "~N4", False),
    ],
)
def test_pyx12_finds_the_same_fault_in_the_same_place(old: str, new: str, is_element: bool) -> None:
    data = CLAIMS.replace(old.encode(), new.encode(), 1)
    assert data != CLAIMS
    ours = [one.split("*") for one in acknowledged(data).decode().split("~")]
    _, theirs = opinion(data)
    kind = "IK4" if is_element else "IK3"

    def named(segments: list[list[str]]) -> list[list[str]]:
        return [
            [one[1], one[3] if is_element else one[4]] + ([] if is_element else [one[2]])
            for one in segments
            if one[0] == kind and (is_element or one[4] != "8")
        ]

    assert named(ours) == named(theirs)
