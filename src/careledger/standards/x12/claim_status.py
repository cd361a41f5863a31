"""Accepting or rejecting single claims: the 277CA.

Owns what can be said of a claim by itself before anybody adjudicates it (identifiers with wrong check digits,
sums, references, pointers) and the writing of the answer by 005010X214. Coverage, duplicates and payment are not
decided here; whoever decides more adds statuses of its own. The codes are those of the claim status category and
claim status lists, without their texts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from careledger.standards.x12.amounts import write_minor
from careledger.standards.x12.balance import check_charges
from careledger.standards.x12.claim_model import INSTITUTIONAL, ORIGINAL, REPLACEMENT, VOID, Claim
from careledger.standards.x12.claim_write import refuse_faulty
from careledger.standards.x12.drafts import Draft, write_draft
from careledger.standards.x12.errors import Location, UnwritableError
from careledger.standards.x12.npi import is_npi
from careledger.standards.x12.parties import Party, Period, find_reference
from careledger.standards.x12.rows import date_value, name_row, period_row
from careledger.standards.x12.tables.acknowledgement import claim_acknowledgement
from careledger.standards.x12.writing import Endpoint, SetWriter, Stamp, write_interchange

ACCEPTED_CATEGORIES = frozenset({"A0", "A1", "A2", "A5"})
"""Categories that let a claim go on; every other rejects it."""

_REJECTED = "A7"
"""Rejected for invalid information."""
_NPI, _CHARGES, _CONTROL_NUMBER, _FREQUENCY, _POINTER = "562", "178", "464", "535", "477"
_ACCEPT, _REJECT = "WQ", "U"
_STATEMENT = "434"
_NPI_QUALIFIER = "XX"


class Status(Struct, frozen=True, kw_only=True):
    """One thing said of a claim."""

    category: str
    """Claim status category code, such as `A2` accepted or `A7` rejected."""
    code: str
    """Claim status code, such as `20`."""
    entity: str = ""
    """Role of the party it is about, such as `85`."""


ACCEPTED = Status(category="A2", code="20")
"""Accepted into adjudication."""

_RECEIVED = Status(category="A1", code="19")
"""Said of the batch as a whole: it arrived, whatever becomes of its claims."""


class Answer(Struct, frozen=True, kw_only=True):
    """The answer to one claim."""

    claim: Claim
    statuses: tuple[Status, ...] = (ACCEPTED,)
    payer_control_number: str = ""
    """The payer's number, given when a claim is accepted (REF 1K)."""

    @property
    def is_accepted(self) -> bool:
        """Whether every status lets the claim go on."""
        return all(status.category in ACCEPTED_CATEGORIES for status in self.statuses)


class Receipt(Struct, frozen=True, kw_only=True):
    """Who answers whom about which batch."""

    source: Party
    """The payer (role `PR`) or an intermediary (`AY`)."""
    receiver: Party
    """The submitter (role `41`)."""
    reference: str
    """The answer's own number (BHT03, TRN02 of the source)."""
    batch: str
    """The number of the batch answered (BHT03 of the 837)."""
    date: str
    """ISO date of the answer."""
    time: str
    """HHMM or longer."""
    received_on: str
    """ISO date the batch arrived."""
    processed_on: str
    """ISO date it was processed."""


def _npi_problems(claim: Claim) -> Iterator[Status]:
    """Yield the parties whose National Provider Identifier has a wrong check digit."""
    parties = [
        claim.billing.party,
        *claim.parties,
        *(party for line in claim.lines for party in line.parties),
    ]
    for party in parties:
        if party.id_qualifier == _NPI_QUALIFIER and not is_npi(party.id):
            yield Status(category=_REJECTED, code=_NPI, entity=party.role)


def find_problems(claim: Claim) -> tuple[Status, ...]:
    """Return what rejects a claim on its own evidence, each once; empty if nothing does."""
    found = dict.fromkeys(_npi_problems(claim))
    if check_charges(claim):
        found[Status(category=_REJECTED, code=_CHARGES)] = None
    if claim.frequency in {REPLACEMENT, VOID} and not claim.payer_control_number:
        found[Status(category=_REJECTED, code=_CONTROL_NUMBER)] = None
    is_frequency_known = claim.kind == INSTITUTIONAL or claim.frequency in {ORIGINAL, REPLACEMENT, VOID}
    if not is_frequency_known:
        found[Status(category=_REJECTED, code=_FREQUENCY)] = None
    diagnoses = len(claim.diagnoses)
    if any(pointer > diagnoses for line in claim.lines for pointer in line.pointers):
        found[Status(category=_REJECTED, code=_POINTER)] = None
    return tuple(found)


def answer_claim(
    claim: Claim, payer_control_number: str = "", more: Callable[[Claim], Iterable[Status]] | None = None
) -> Answer:
    """Answer one claim by what can be said of it.

    Args:
        claim: The claim.
        payer_control_number: The number it gets if it is accepted.
        more: Further checks of the payer.
    """
    problems = find_problems(claim) + (tuple(more(claim)) if more else ())
    if problems:
        return Answer(claim=claim, statuses=problems)
    return Answer(claim=claim, payer_control_number=payer_control_number)


def _service_period(claim: Claim) -> Period:
    """Return when the services of a claim were done.

    Raises:
        UnwritableError: If no line and no statement period says so.
    """
    stated = [period for period in claim.dates if period.qualifier == _STATEMENT]
    periods = stated or [line.service for line in claim.lines if line.service is not None]
    if not periods:
        raise UnwritableError("a claim answered has a service date", Location(segment="DTP", loop="2200D"))
    start = min(period.start for period in periods)
    end = max(period.end or period.start for period in periods)
    return Period(qualifier="472", start=start, end=end if end != start else "")


def _status_rows(
    draft: Draft, statuses: Iterable[Status], date: str, amount_minor: int, *, is_good: bool
) -> None:
    """Add STC for each status."""
    for status in statuses:
        draft.add(
            "STC",
            (status.category, status.code, status.entity),
            date,
            _ACCEPT if is_good else _REJECT,
            write_minor(amount_minor),
        )


def _totals(draft: Draft, answers: Sequence[Answer], accepted: str, rejected: str) -> None:
    """Add how many claims, and how much, were accepted and rejected."""
    for is_good, count, amount in ((True, accepted, "YU"), (False, rejected, "YY")):
        charges = [answer.claim.charge_minor for answer in answers if answer.is_accepted is is_good]
        if charges:
            draft.add("QTY", count, str(len(charges)))
            draft.add("AMT", amount, write_minor(sum(charges)))


def _claim_level(answer: Answer, number: int, parent: int, date: str) -> Draft:
    """Return the level of one claim."""
    claim = answer.claim
    patient = claim.treated.party
    identified = patient if patient.id else claim.subscriber.party
    named = Party(
        role="QC",
        is_person=True,
        name=patient.name,
        first=patient.first,
        middle=patient.middle,
        suffix=patient.suffix,
        id_qualifier=identified.id_qualifier or "MI",
        id=identified.id,
    )
    tracking = Draft(("TRN", "2", claim.id))
    _status_rows(tracking, answer.statuses, date, claim.charge_minor, is_good=answer.is_accepted)
    intermediary = find_reference(claim.references, "D9")
    bill_type = f"{claim.facility}{claim.frequency}" if claim.kind == INSTITUTIONAL else ""
    references = (("1K", answer.payer_control_number), ("D9", intermediary), ("BLT", bill_type))
    draft = Draft(("HL", str(number), str(parent), "PT"))
    draft.nest(Draft(name_row(named)))
    tracking.extend(("REF", qualifier, value) for qualifier, value in references if value)
    tracking.extend([period_row(_service_period(claim))])
    draft.nest(tracking)
    return draft


def _billing_level(answers: Sequence[Answer], number: int) -> Draft:
    """Return the level of one billing party; its claims are numbered on from it."""
    party = answers[0].claim.billing.party
    tax_number = party.reference("EI", "SY")
    named = Party(
        role="85",
        is_person=party.is_person,
        name=party.name,
        first=party.first,
        middle=party.middle,
        suffix=party.suffix,
        id_qualifier=_NPI_QUALIFIER if party.id else "FI",
        id=party.id or tax_number,
    )
    draft = Draft(("HL", str(number), "2", "19", "1"))
    draft.nest(Draft(name_row(named)))
    totals = Draft(("TRN", "1", "0"))
    total_minor = sum(answer.claim.charge_minor for answer in answers)
    _status_rows(totals, (_RECEIVED,), "", total_minor, is_good=True)
    _totals(totals, answers, "QA", "QC")
    draft.nest(totals)
    return draft


def _write_set(receipt: Receipt, answers: Sequence[Answer]) -> SetWriter:
    """Write the transaction set."""
    date = date_value(receipt.date, "BHT")
    root = Draft(("BHT", "0085", "08", receipt.reference, date, receipt.time, "TH"))
    source = Draft(("HL", "1", "", "20", "1"))
    source.nest(Draft(name_row(receipt.source)))
    trace = Draft(("TRN", "1", receipt.reference))
    trace.add("DTP", "050", "D8", date_value(receipt.received_on, "DTP"))
    trace.add("DTP", "009", "D8", date_value(receipt.processed_on, "DTP"))
    source.nest(trace)
    receiver = Draft(("HL", "2", "1", "21", "1" if answers else "0"))
    receiver.nest(Draft(name_row(receipt.receiver)))
    batch = Draft(("TRN", "2", receipt.batch))
    total_minor = sum(answer.claim.charge_minor for answer in answers)
    _status_rows(batch, (_RECEIVED,), date, total_minor, is_good=True)
    _totals(batch, answers, "90", "AA")
    receiver.nest(batch)
    number = 2
    for _, group in groupby(answers, key=lambda answer: answer.claim.billing.party):
        answered = list(group)
        number += 1
        level, parent = _billing_level(answered, number), number
        for answer in answered:
            number += 1
            level.nest(_claim_level(answer, number, parent, date))
        receiver.nest(level)
    source.nest(receiver)
    root.nest(source)
    table = claim_acknowledgement()
    writer = SetWriter(table.set_id, table.versions[0])
    write_draft(root, table.root, writer, is_root=True)
    return writer


def write_claim_answers(
    receipt: Receipt, answers: Sequence[Answer], stamp: Stamp, *, sender: Endpoint, receiver: Endpoint
) -> bytes:
    """Return a 277CA that accepts or rejects claims one by one.

    Args:
        receipt: Who answers whom about which batch.
        answers: The answers, in the order of the batch.
        stamp: Date, time and numbers of the interchange.
        sender: Who sends.
        receiver: Who receives.

    Raises:
        UnwritableError: If something cannot be written or the result would not be accepted.
    """
    data = write_interchange(
        stamp, sender=sender, receiver=receiver, functional_id="HN", sets=[_write_set(receipt, answers)]
    )
    refuse_faulty(data)
    return data
