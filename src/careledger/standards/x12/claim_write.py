"""Writing claims as 837P and 837I.

Owns the levels of a claim transaction set and their numbering. Neighbouring claims of one submission, billing
party and subscriber share those levels; among those of one subscriber, its own come before its dependents'. The
order of segments is the table's (`drafts`), and what is written is checked as a receiver would check it before
it is handed over.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from careledger.standards.x12.acknowledge import acknowledge
from careledger.standards.x12.balance import check_charges
from careledger.standards.x12.claim_model import (
    INSTITUTIONAL,
    PROFESSIONAL,
    REPLACEMENT,
    VOID,
    Billing,
    Claim,
    Insured,
    Submission,
)
from careledger.standards.x12.claim_rows import claim_draft
from careledger.standards.x12.drafts import Draft, write_draft
from careledger.standards.x12.errors import Location, UnwritableError
from careledger.standards.x12.rows import date_value, party_draft
from careledger.standards.x12.tables.claim_institutional import institutional_claim
from careledger.standards.x12.tables.claim_professional import professional_claim
from careledger.standards.x12.tables.notation import TransactionSpec
from careledger.standards.x12.writing import Endpoint, SetWriter, Stamp, write_interchange

_CLAIMS_MAX = 5_000
"""Claims of one transaction set, as the implementations recommend."""

_LEVEL_CLAIMS_MAX = 100
"""Claims of one subscriber or patient level; further ones start the level again."""


class _Levels:
    """Numbers the hierarchical levels of one transaction set."""

    def __init__(self) -> None:
        self._last = 0

    def start(self, parent: str, level: str, *, has_children: bool) -> tuple[str, Draft]:
        """Return the number of a new level and its loop."""
        self._last += 1
        number = str(self._last)
        return number, Draft(("HL", number, parent, level, "1" if has_children else "0"))


def _check(claim: Claim) -> None:
    """Refuse a claim that says of itself that it is wrong.

    Raises:
        UnwritableError: If it replaces or voids without naming what, or its lines do not add up to its charge.
    """
    place = Location(segment="CLM", loop="2300")
    if claim.kind not in {PROFESSIONAL, INSTITUTIONAL}:
        raise UnwritableError("a claim is professional or institutional", place)
    if claim.frequency in {REPLACEMENT, VOID} and not claim.payer_control_number:
        raise UnwritableError("a replacement or void names the payer's control number", place)
    if check_charges(claim):
        raise UnwritableError("the service lines do not add up to the claim's charge", place)


def _header(submission: Submission) -> Draft:
    """Return what stands before the levels."""
    draft = Draft(
        (
            "BHT",
            "0019",
            submission.purpose,
            submission.reference,
            date_value(submission.date, "BHT"),
            submission.time,
            submission.kind,
        )
    )
    draft.nest(party_draft(submission.submitter))
    draft.nest(party_draft(submission.receiver))
    return draft


def _fill_billing(draft: Draft, billing: Billing) -> None:
    """Add the segments and parties of the billing level."""
    if billing.party.taxonomy:
        draft.add("PRV", "BI", "PXC", billing.party.taxonomy)
    if billing.currency:
        draft.add("CUR", "85", billing.currency)
    draft.nest(party_draft(billing.party))
    draft.nest(party_draft(billing.pay_to))
    draft.nest(party_draft(billing.pay_to_plan))


def _fill_insured(draft: Draft, insured: Insured, *, is_patient: bool) -> None:
    """Add the segments and the party of a subscriber or patient level."""
    if not is_patient:
        draft.add(
            "SBR",
            insured.responsibility,
            insured.relation,
            insured.group_number,
            insured.group_name,
            insured.secondary_kind,
            "",
            "",
            "",
            insured.filing,
        )
    condition = (
        *(("D8", date_value(insured.death_date, "PAT")) if insured.death_date else ("", "")),
        *(("01", insured.weight) if insured.weight else ("", "")),
        "Y" if insured.is_pregnant else "",
    )
    if is_patient or any(condition):
        draft.add("PAT", insured.relation if is_patient else "", "", "", "", *condition)
    draft.nest(party_draft(insured.party))


def _subscriber_level(levels: _Levels, parent: str, claims: Sequence[Claim]) -> Draft:
    """Return the level of one subscriber with its claims and those of its dependents."""
    dependents = [claim for claim in claims if claim.patient is not None]
    number, draft = levels.start(parent, "22", has_children=bool(dependents))
    _fill_insured(draft, claims[0].subscriber, is_patient=False)
    draft.nest(party_draft(claims[0].payer))
    for claim in claims:
        if claim.patient is None:
            draft.nest(claim_draft(claim))
    for patient, group in groupby(dependents, key=lambda claim: claim.patient):
        _, level = levels.start(number, "23", has_children=False)
        if patient is not None:
            _fill_insured(level, patient, is_patient=True)
        for claim in group:
            level.nest(claim_draft(claim))
        draft.nest(level)
    return draft


def _write_set(submission: Submission, claims: Sequence[Claim], table: TransactionSpec) -> SetWriter:
    """Write the transaction set of one submission."""
    if len(claims) > _CLAIMS_MAX:
        raise UnwritableError("a transaction set has at most 5,000 claims", Location(segment="ST"))
    levels = _Levels()
    root = _header(submission)
    for billing, billed in groupby(claims, key=lambda claim: claim.billing):
        number, level = levels.start("", "20", has_children=True)
        _fill_billing(level, billing)
        for _, group in groupby(billed, key=lambda claim: (claim.subscriber, claim.payer)):
            covered = list(group)
            for at in range(0, len(covered), _LEVEL_CLAIMS_MAX):
                level.nest(_subscriber_level(levels, number, covered[at : at + _LEVEL_CLAIMS_MAX]))
        root.nest(level)
    writer = SetWriter(table.set_id, table.versions[0])
    write_draft(root, table.root, writer, is_root=True)
    return writer


def write_claims(
    claims: Iterable[Claim], stamp: Stamp, *, sender: Endpoint, receiver: Endpoint, is_checked: bool = True
) -> bytes:
    """Return an interchange with the claims, all professional or all institutional.

    Args:
        claims: What to write, in order; each run of one submission becomes a transaction set.
        stamp: Date, time and numbers of the interchange.
        sender: Who sends.
        receiver: Who receives.
        is_checked: Whether the result is held against the implementation before it is returned.

    Raises:
        UnwritableError: If a claim is incomplete or wrong in itself, holds something that cannot be written, or the
            result would not be accepted.
    """
    listed = list(claims)
    for claim in listed:
        _check(claim)
    kinds = {claim.kind for claim in listed}
    if len(kinds) != 1:
        raise UnwritableError("an interchange holds claims of one kind, and at least one")
    table = institutional_claim() if INSTITUTIONAL in kinds else professional_claim()
    data = write_interchange(
        stamp,
        sender=sender,
        receiver=receiver,
        functional_id=table.functional_id,
        sets=[
            _write_set(submission, list(group), table)
            for submission, group in groupby(listed, key=lambda claim: claim.submission)
        ],
    )
    if is_checked:
        refuse_faulty(data)
    return data


def refuse_faulty(data: bytes) -> None:
    """Refuse an interchange that its receiver would refuse.

    Raises:
        UnwritableError: If it has a fault, with the place of the first.
    """
    for answer in acknowledge(data):
        for group in answer.groups:
            for result in group.sets:
                for fault in result.faults:
                    raise UnwritableError(fault.reason, fault.locate(result.ordinal))
            for fault in group.faults:
                raise UnwritableError(fault.reason, fault.locate())
        for fault in answer.faults:
            raise UnwritableError(fault.reason, fault.locate())
