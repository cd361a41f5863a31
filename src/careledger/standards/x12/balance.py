"""The three equations every remittance must satisfy, and those of coordination of benefits.

Owns the sums only (005010X221A1 §1.10.2.1): service line SVC02 - CAS = SVC03; claim CLP03 - CAS of claim
and lines = CLP04; transaction set sum of CLP04 - PLB = BPR02. Says where and by how much, never whose. What
to do about it is up to the reader and the writer.
"""

from collections.abc import Iterator

from careledger.standards.x12.claim_model import Claim, OtherCoverage
from careledger.standards.x12.errors import Location, X12Error
from careledger.standards.x12.parties import sum_adjustments
from careledger.standards.x12.remittance_model import (
    CLAIM,
    COVERAGE,
    LINE,
    TRANSACTION,
    Imbalance,
    Remittance,
    RemittedClaim,
)


class UnbalancedError(X12Error):
    """A remittance whose sums do not agree; `imbalances` lists every equation that fails."""

    def __init__(self, imbalances: tuple[Imbalance, ...], location: Location) -> None:
        listed = "; ".join(map(str, imbalances[:5]))
        more = f"; and {len(imbalances) - 5} more" if len(imbalances) > 5 else ""
        super().__init__(f"the remittance does not balance: {listed}{more}", location)
        self.imbalances = imbalances


def check_claim(claim: RemittedClaim, ordinal: int = 1) -> Iterator[Imbalance]:
    """Yield what does not balance in one claim, `ordinal` being its number in the remittance."""
    total = sum_adjustments(claim.adjustments) if claim.adjustments else 0
    for number, line in enumerate(claim.lines, 1):
        adjusted = sum_adjustments(line.adjustments) if line.adjustments else 0
        total += adjusted
        if line.charge_minor - adjusted != line.paid_minor:
            yield Imbalance(
                level=LINE,
                claim=ordinal,
                line=number,
                position=claim.position,
                expected_minor=line.charge_minor - adjusted,
                stated_minor=line.paid_minor,
            )
    if claim.charge_minor - total != claim.paid_minor:
        yield Imbalance(
            level=CLAIM,
            claim=ordinal,
            position=claim.position,
            expected_minor=claim.charge_minor - total,
            stated_minor=claim.paid_minor,
        )


def check_transaction(remittance: Remittance) -> Iterator[Imbalance]:
    """Yield the equation of the whole payment if it does not hold."""
    paid = sum(claim.paid_minor for group in remittance.groups for claim in group.claims)
    expected = paid - sum(adjustment.amount_minor for adjustment in remittance.adjustments)
    payment = remittance.payment
    stated = -payment.amount_minor if payment.is_debit else payment.amount_minor
    if stated != expected:
        yield Imbalance(level=TRANSACTION, expected_minor=expected, stated_minor=stated)


def check_balance(remittance: Remittance) -> tuple[Imbalance, ...]:
    """Return every equation of a remittance that does not hold, lines and claims first."""
    found: list[Imbalance] = []
    for ordinal, claim in enumerate(remittance.claims, 1):
        found.extend(check_claim(claim, ordinal))
    found.extend(check_transaction(remittance))
    return tuple(found)


def check_charges(claim: Claim) -> int:
    """Return how much more a claim charges than its service lines together, in minor units; 0 if they agree."""
    return claim.charge_minor - sum(line.charge_minor for line in claim.lines)


def check_coverage(claim: Claim, coverage: OtherCoverage) -> int | None:
    """Return how far another payer's payment is from charge less adjustments, in minor units; None if it states none.

    The adjustments are those of the claim level (2320) and those the payer made on lines (2430 under its identifier).
    """
    if coverage.paid_minor is None:
        return None
    adjusted = sum_adjustments(coverage.adjustments)
    for line in claim.lines:
        for decision in line.decisions:
            if decision.payer_id == coverage.payer.id:
                adjusted += sum_adjustments(decision.adjustments)
    return coverage.paid_minor - (claim.charge_minor - adjusted)


def check_coverages(claim: Claim) -> Iterator[Imbalance]:
    """Yield the other payers of a claim whose payment is not charge less adjustments."""
    for number, coverage in enumerate(claim.coverages, 1):
        difference = check_coverage(claim, coverage)
        if difference and coverage.paid_minor is not None:
            yield Imbalance(
                level=COVERAGE,
                line=number,
                position=claim.position,
                expected_minor=coverage.paid_minor - difference,
                stated_minor=coverage.paid_minor,
            )
