"""What X12 costs: claims read, checked and written, remittances read and written, beside pyx12 in the same run.

The cases take turns, pyx12 among them, and the best turn counts: so a busy machine slows them alike and the ratio
stays meaningful where the milliseconds do not. pyx12 walks and checks a file but builds no claims; its figure
stands for reading and checking together.
"""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from pyx12.params import ParamsBase
from pyx12.x12n_document import x12n_document

from careledger.standards.x12.acknowledge import acknowledge
from careledger.standards.x12.claim_model import Billing, Claim, HealthCode, Insured, ServiceLine, Submission
from careledger.standards.x12.claim_read import read_claims
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.npi import compute_check_digit
from careledger.standards.x12.parties import (
    Address,
    Adjustment,
    Amount,
    Contact,
    Party,
    Period,
    Procedure,
    Reference,
)
from careledger.standards.x12.remittance_model import (
    ClaimGroup,
    Entity,
    Payment,
    Remittance,
    RemittedClaim,
    RemittedLine,
)
from careledger.standards.x12.remittance_read import read_remittances
from careledger.standards.x12.remittance_write import write_remittances
from careledger.standards.x12.tokens import SegmentReader
from careledger.standards.x12.writing import Endpoint, Stamp

STAMP = Stamp(date="2026-03-02", time="0930", control_number=1)
CLINIC, PLAN = Endpoint(identifier="CLINIC"), Endpoint(identifier="PLAN")
ADDRESS = Address(lines=("4 Quay Street",), city="Millport", state="OH", postal_code="432150001")
TARGET_MS = {"837P to claims": 0.1, "835 written": 0.1}
"""The design's bounds, per claim."""


def npi(serial: int) -> str:
    """An identifier that checks and belongs to nobody."""
    stem = str(199_000_000 + serial)
    return stem + compute_check_digit(stem)


def fictitious_claims(count: int, lines: int) -> list[Claim]:
    """Claims of one clinic, each with a subscriber of its own."""
    submission = Submission(
        version="005010X222A1",
        submitter=Party(
            role="41",
            name="CLINIC",
            id_qualifier="46",
            id="C1",
            contacts=(Contact(function="IC", name="DESK", numbers=(("TE", "6145550100"),)),),
        ),
        receiver=Party(role="40", name="PLAN", id_qualifier="46", id="P1"),
        reference="B1",
        date="2026-03-01",
        time="1815",
    )
    billing = Billing(
        party=Party(
            role="85",
            name="CLINIC",
            id_qualifier="XX",
            id=npi(1),
            address=ADDRESS,
            references=(Reference(qualifier="EI", value="990000001"),),
            taxonomy="207Q00000X",
        )
    )
    payer = Party(role="PR", name="PLAN", id_qualifier="PI", id="P1")
    rendering = Party(
        role="82",
        is_person=True,
        name="MARSH",
        first="INES",
        id_qualifier="XX",
        id=npi(2),
        taxonomy="207Q00000X",
    )
    listed = []
    for serial in range(count):
        subscriber = Party(
            role="IL",
            is_person=True,
            name=f"NAME{serial}",
            first="ADA",
            id_qualifier="MI",
            id=f"M{serial:08d}",
            address=ADDRESS,
            birth_date="1979-11-30",
            sex="F",
        )
        services = tuple(
            ServiceLine(
                number=number,
                charge_minor=10050,
                procedure=Procedure(qualifier="HC", code=f"X{number:04d}"),
                pointers=(1, 2),
                service=Period(qualifier="472", start="2026-02-20"),
                references=(Reference(qualifier="6R", value=f"{serial}L{number}"),),
            )
            for number in range(1, lines + 1)
        )
        listed.append(
            Claim(
                kind="P",
                submission=submission,
                billing=billing,
                subscriber=Insured(
                    party=subscriber, responsibility="P", relation="18", group_number="G7", filing="CI"
                ),
                payer=payer,
                id=f"C{serial:08d}",
                charge_minor=10050 * lines,
                facility="11",
                signature="Y",
                assignment="A",
                benefits_assigned="Y",
                release="Y",
                diagnoses=(HealthCode(qualifier="ABK", code="R05"), HealthCode(qualifier="ABF", code="J069")),
                references=(Reference(qualifier="D9", value=f"T{serial:08d}"),),
                parties=(rendering,),
                lines=services,
            )
        )
    return listed


def fictitious_remittance(claims: Iterable[Claim]) -> Remittance:
    """What a plan pays on the claims: four fifths."""
    decided = []
    for claim in claims:
        lines = tuple(
            RemittedLine(
                procedure=Procedure(qualifier="HC", code=f"X{line.number:04d}"),
                charge_minor=line.charge_minor,
                paid_minor=8050,
                quantity_milli=1000,
                dates=(Period(qualifier="472", start="2026-02-20"),),
                adjustments=(
                    Adjustment(group="CO", reason="45", amount_minor=1000),
                    Adjustment(group="PR", reason="2", amount_minor=1000),
                ),
                references=line.references,
                amounts=(Amount(qualifier="B6", amount_minor=9050),),
            )
            for line in claim.lines
        )
        decided.append(
            RemittedClaim(
                id=claim.id,
                status="1",
                charge_minor=claim.charge_minor,
                paid_minor=8050 * len(lines),
                patient_responsibility_minor=1000 * len(lines),
                filing="12",
                payer_control_number=f"P{claim.id}",
                facility="11",
                frequency="1",
                patient=Party(
                    role="QC",
                    is_person=True,
                    name="NAME",
                    first="ADA",
                    id_qualifier="MI",
                    id=claim.subscriber.party.id,
                ),
                parties=(
                    Party(
                        role="82", is_person=True, name="MARSH", first="INES", id_qualifier="XX", id=npi(2)
                    ),
                ),
                dates=(Period(qualifier="050", start="2026-03-02"),),
                amounts=(Amount(qualifier="AU", amount_minor=claim.charge_minor),),
                lines=lines,
            )
        )
    return Remittance(
        payment=Payment(
            amount_minor=sum(claim.paid_minor for claim in decided),
            date="2026-03-05",
            trace_number="T1",
            payer_identifier="1990000002",
        ),
        payer=Entity(
            name="PLAN",
            address=ADDRESS,
            contacts=(Contact(function="BL", name="DESK", numbers=(("TE", "6145550199"),)),),
        ),
        payee=Entity(name="CLINIC", id_qualifier="XX", id=npi(1)),
        groups=(ClaimGroup(number=1, claims=tuple(decided)),),
    )


@dataclass
class Case:
    """One thing being timed, over so many claims."""

    name: str
    claims: int
    call: Callable[[], object]
    best_s: float = 1e9

    def turn(self) -> None:
        started = time.perf_counter()
        self.call()
        self.best_s = min(self.best_s, time.perf_counter() - started)

    @property
    def per_claim_ms(self) -> float:
        return self.best_s / self.claims * 1000


def exhaust(items: Iterable[object]) -> None:
    for _ in items:
        pass


def second_reader(data: bytes) -> Callable[[], object]:
    text = data.decode("ascii")
    return lambda: x12n_document(ParamsBase(), io.StringIO(text), io.StringIO(), None)


def measure(seconds: float) -> list[Case]:
    """Time every case in turns for about so many seconds."""
    claims = fictitious_claims(500, lines=3)
    few = claims[:100]
    remittance = fictitious_remittance(claims)
    claim_data = write_claims(claims, STAMP, sender=CLINIC, receiver=PLAN)
    few_data = write_claims(few, STAMP, sender=CLINIC, receiver=PLAN)
    paid_data = write_remittances([remittance], STAMP, sender=PLAN, receiver=CLINIC)
    few_paid = write_remittances([fictitious_remittance(few)], STAMP, sender=PLAN, receiver=CLINIC)
    send_claims = partial(write_claims, claims, STAMP, sender=CLINIC, receiver=PLAN)
    send_payment = partial(write_remittances, [remittance], STAMP, sender=PLAN, receiver=CLINIC)
    cases = [
        Case("837P to segments", 500, lambda: exhaust(SegmentReader(claim_data).batches())),
        Case("837P kept whole and written back", 500, lambda: parse(claim_data).write()),
        Case("837P to claims", 500, lambda: exhaust(read_claims(claim_data))),
        Case("837P checked for a 999", 500, lambda: exhaust(acknowledge(claim_data))),
        Case("837P written and checked", 500, send_claims),
        Case("835 to remittance, balanced", 500, lambda: exhaust(read_remittances(paid_data))),
        Case("835 written", 500, partial(send_payment, is_checked=False)),
        Case("835 written and checked", 500, send_payment),
        Case("pyx12: 837P", 100, second_reader(few_data)),
        Case("pyx12: 835", 100, second_reader(few_paid)),
    ]
    print(
        f"837P: {claim_data.count(b'~') / 500:.1f} segments a claim; 835: {paid_data.count(b'~') / 500:.1f}"
    )
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for case in cases:
            case.turn()
    return cases


def main(seconds: float = 20.0) -> dict[str, float]:
    """Print and return milliseconds per claim by case."""
    logging.disable(logging.CRITICAL)
    cases = measure(seconds)
    found = {case.name: case.per_claim_ms for case in cases}
    both = found["837P to claims"] + found["837P checked for a 999"]
    for name, value in found.items():
        bound = f"  (at most {TARGET_MS[name]})" if name in TARGET_MS else ""
        print(f"  {value:8.4f} ms a claim  {name}{bound}")
    print(f"837P: {found['pyx12: 837P'] / both:.1f} times pyx12's speed, claims and checks together")
    print(f"835: {found['pyx12: 835'] / found['835 to remittance, balanced']:.1f} times pyx12's speed")
    return found


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
