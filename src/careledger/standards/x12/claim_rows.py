"""From the read model of a claim to its loops.

Owns the writing of the claim level and the service lines (2300 and below), the counterpart of `claim_parts` and
`claim_lines`.
"""

from collections.abc import Iterator, Sequence

from careledger.standards.x12.amounts import write_milli, write_minor
from careledger.standards.x12.claim_model import (
    INSTITUTIONAL,
    Claim,
    Drug,
    HealthCode,
    LineDecision,
    OtherCoverage,
    ServiceLine,
)
from careledger.standards.x12.drafts import Draft, Row
from careledger.standards.x12.parties import Reference
from careledger.standards.x12.rows import (
    adjustment_rows,
    amount_value,
    date_value,
    party_draft,
    period_row,
    procedure_value,
    quantity_value,
    reference_row,
)

_SHARED = {"ABF": 12, "BF": 12, "ABN": 12, "BN": 12, "APR": 3, "PR": 3, "BO": 2}
_SHARED |= dict.fromkeys(("BBQ", "BQ", "BI", "BH", "BE", "BG", "TC"), 12)
"""How many facts one HI has room for, by code list; others stand alone."""
_FOLLOWS = {"ABF": ("ABK",), "BF": ("BK",), "BO": ("BP",)}
"""Code lists that may share an HI started by another list, professional claims only."""
_SPECIALTIES = {"82": "PE", "71": "AT"}
"""PRV01 of the parties whose taxonomy stands in their own loop."""


def _fact(code: HealthCode) -> tuple[str, ...]:
    """Return one coded fact as a composite."""
    form = moment = ""
    if code.end:
        form, moment = "RD8", f"{date_value(code.start, 'HI')}-{date_value(code.end, 'HI')}"
    elif code.start:
        form, moment = "D8", date_value(code.start, "HI")
    return (
        code.qualifier,
        code.code,
        form,
        moment,
        amount_value(code.amount_minor),
        quantity_value(code.quantity_milli),
        "",
        "",
        code.present_on_admission,
    )


def _fact_rows(codes: Sequence[HealthCode], *, is_institutional: bool) -> Iterator[Row]:
    """Yield HI: neighbouring facts share a segment where the implementation lets them."""
    row: list[tuple[str, ...]] = []
    first = ""
    for code in codes:
        list_id = code.qualifier
        room = _SHARED.get(list_id, 1)
        joins = list_id == first or (not is_institutional and first in _FOLLOWS.get(list_id, ()))
        if row and not (joins and len(row) < room):
            yield "HI", *row
            row = []
        if not row:
            first = list_id
        row.append(_fact(code))
    if row:
        yield "HI", *row


def _drug_draft(drug: Drug) -> Draft:
    """Return the loop of a drug."""
    draft = Draft(("LIN", "", drug.qualifier, drug.code))
    draft.add("CTP", "", "", "", write_milli(drug.quantity_milli), (drug.unit,))
    if drug.reference is not None:
        draft.extend([reference_row(drug.reference)])
    return draft


def _decision_draft(decision: LineDecision) -> Draft:
    """Return the loop of another payer's decision on a line."""
    draft = Draft(
        (
            "SVD",
            decision.payer_id,
            write_minor(decision.paid_minor),
            procedure_value(decision.procedure),
            decision.revenue_code,
            quantity_value(decision.quantity_milli),
            decision.bundled_line,
        )
    )
    draft.extend(adjustment_rows(decision.adjustments))
    if decision.decided_on:
        draft.add("DTP", "573", "D8", date_value(decision.decided_on, "DTP"))
    if decision.remaining_minor is not None:
        draft.add("AMT", "EAF", write_minor(decision.remaining_minor))
    return draft


def _service_row(line: ServiceLine, *, is_institutional: bool) -> Row:
    """Return SV1 or SV2."""
    charge, quantity = write_minor(line.charge_minor), write_milli(line.quantity_milli)
    procedure = procedure_value(line.procedure)
    if is_institutional:
        non_covered = amount_value(line.non_covered_minor)
        return "SV2", line.revenue_code, procedure, charge, line.unit, quantity, "", non_covered
    return (
        "SV1",
        procedure,
        charge,
        line.unit,
        quantity,
        line.place,
        "",
        tuple(map(str, line.pointers)),
        "",
        "Y" if line.is_emergency else "",
        "",
        "Y" if line.is_epsdt else "",
        "Y" if line.is_family_planning else "",
        "",
        "",
        "0" if line.is_copay_exempt else "",
    )


def _line_draft(line: ServiceLine, *, is_institutional: bool) -> Draft:
    """Return the loop of a service line."""
    draft = Draft(("LX", str(line.number)), _service_row(line, is_institutional=is_institutional))
    if line.service is not None:
        draft.extend([period_row(line.service)])
    draft.extend(map(period_row, line.dates))
    draft.extend(map(reference_row, line.references))
    draft.extend(("AMT", amount.qualifier, write_minor(amount.amount_minor)) for amount in line.amounts)
    draft.extend(("QTY", item.qualifier, write_milli(item.quantity_milli)) for item in line.quantities)
    draft.extend(("NTE", *note) for note in line.notes)
    draft.extend(line.other)
    if line.drug is not None:
        draft.nest(_drug_draft(line.drug))
    for party in line.parties:
        draft.nest(party_draft(party, _SPECIALTIES.get(party.role, "")))
    for decision in line.decisions:
        draft.nest(_decision_draft(decision))
    for form in line.forms:
        draft.nest(Draft(*form))
    return draft


def _coverage_draft(coverage: OtherCoverage) -> Draft:
    """Return the loop of another payer."""
    draft = Draft(
        (
            "SBR",
            coverage.responsibility,
            coverage.relation,
            coverage.group_number,
            coverage.group_name,
            coverage.secondary_kind,
            "",
            "",
            "",
            coverage.filing,
        )
    )
    draft.extend(adjustment_rows(coverage.adjustments))
    draft.extend(("AMT", amount.qualifier, write_minor(amount.amount_minor)) for amount in coverage.amounts)
    draft.add("OI", "", "", coverage.assignment, coverage.signature, "", coverage.release)
    draft.extend(coverage.other)
    draft.nest(party_draft(coverage.subscriber))
    draft.nest(party_draft(coverage.payer))
    for party in coverage.parties:
        draft.nest(party_draft(party))
    return draft


def claim_draft(claim: Claim) -> Draft:
    """Return the loop of a claim.

    Raises:
        UnwritableError: If a date is none or something has no room.
    """
    is_institutional = claim.kind == INSTITUTIONAL
    causes = (*claim.causes, "", "", "")[:3]
    draft = Draft(
        (
            "CLM",
            claim.id,
            write_minor(claim.charge_minor),
            "",
            "",
            (claim.facility, "A" if is_institutional else "B", claim.frequency),
            claim.signature,
            claim.assignment,
            claim.benefits_assigned,
            claim.release,
            claim.patient_signature,
            (*causes, claim.cause_state, claim.cause_country) if claim.causes else "",
            claim.special_program,
            *("",) * 7,
            claim.delay_reason,
        )
    )
    draft.extend(map(period_row, claim.dates))
    if claim.admission_type or claim.admission_source or claim.patient_status:
        draft.add("CL1", claim.admission_type, claim.admission_source, claim.patient_status)
    if claim.payer_control_number:
        draft.extend([reference_row(Reference(qualifier="F8", value=claim.payer_control_number))])
    draft.extend(map(reference_row, claim.references))
    draft.extend(("AMT", amount.qualifier, write_minor(amount.amount_minor)) for amount in claim.amounts)
    draft.extend(("NTE", *note) for note in claim.notes)
    draft.extend(_fact_rows(claim.diagnoses, is_institutional=is_institutional))
    draft.extend(_fact_rows(claim.codes, is_institutional=is_institutional))
    draft.extend(claim.other)
    for party in claim.parties:
        draft.nest(party_draft(party, _SPECIALTIES.get(party.role, "")))
    for coverage in claim.coverages:
        draft.nest(_coverage_draft(coverage))
    for line in claim.lines:
        draft.nest(_line_draft(line, is_institutional=is_institutional))
    return draft
