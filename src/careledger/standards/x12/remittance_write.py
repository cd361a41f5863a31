"""Writing remittances as 835.

Owns the order of the segments of an 835 and the refusal of a remittance that does not balance: none is ever
written. The result is held against the implementation before it is handed over, unless the caller does without.
"""

from collections.abc import Iterable, Iterator

from careledger.standards.x12.amounts import write_milli, write_minor
from careledger.standards.x12.balance import UnbalancedError, check_balance
from careledger.standards.x12.claim_write import refuse_faulty
from careledger.standards.x12.drafts import Row
from careledger.standards.x12.errors import Location, UnwritableError
from careledger.standards.x12.parties import Period
from careledger.standards.x12.remittance_model import (
    Entity,
    OrganisationAdjustment,
    Payment,
    Remittance,
    RemittedClaim,
    RemittedLine,
)
from careledger.standards.x12.rows import (
    address_rows,
    adjustment_rows,
    amount_value,
    contact_row,
    date_value,
    name_row,
    procedure_value,
    quantity_value,
    reference_row,
)
from careledger.standards.x12.tables.remittance import remittance_advice
from careledger.standards.x12.writing import Endpoint, SetWriter, Stamp, Value, write_interchange

_ADJUSTMENTS_MAX = 6
"""Adjustments one PLB has room for."""


def _payment_rows(payment: Payment) -> Iterator[Row]:
    """Yield BPR and TRN."""
    if payment.amount_minor < 0:
        raise UnwritableError("a payment is not negative", Location(segment="BPR", element=2))
    payer, payee = payment.payer_account, payment.payee_account
    yield (
        "BPR",
        payment.handling,
        write_minor(payment.amount_minor),
        "D" if payment.is_debit else "C",
        payment.method,
        payment.form,
        payer.bank_qualifier,
        payer.bank,
        payer.qualifier,
        payer.number,
        payment.payer_company,
        payment.payer_company_supplement,
        payee.bank_qualifier,
        payee.bank,
        payee.qualifier,
        payee.number,
        date_value(payment.date, "BPR"),
    )
    yield "TRN", "1", payment.trace_number, payment.payer_identifier, payment.trace_supplement


def _entity_rows(entity: Entity, role: str) -> Iterator[Row]:
    """Yield N1 and what follows it."""
    yield "N1", role, entity.name, entity.id_qualifier, entity.id
    yield from address_rows(entity.address)
    yield from map(reference_row, entity.references)
    yield from map(contact_row, entity.contacts)
    yield from entity.other


def _date_row(period: Period) -> Row:
    """Return DTM."""
    return "DTM", period.qualifier, date_value(period.start, "DTM")


def _adjustment_rows(adjustments: Iterable[OrganisationAdjustment]) -> Iterator[Row]:
    """Yield PLB: neighbours of one organisation and period share a segment as long as there is room."""
    row: list[Value] = []
    key = ("", "")
    count = 0
    for adjustment in adjustments:
        this = (adjustment.organisation_id, adjustment.fiscal_date)
        if this != key or count == _ADJUSTMENTS_MAX:
            if row:
                yield tuple(row)
            key, count = this, 0
            row = ["PLB", this[0], date_value(this[1], "PLB")]
        row += ((adjustment.reason, adjustment.reference), write_minor(adjustment.amount_minor))
        count += 1
    if row:
        yield tuple(row)


def _write_line(writer: SetWriter, line: RemittedLine) -> None:
    """Write a service line."""
    add = writer.add
    add(
        "SVC",
        procedure_value(line.procedure),
        write_minor(line.charge_minor),
        write_minor(line.paid_minor),
        line.revenue_code,
        quantity_value(line.quantity_milli),
        procedure_value(line.submitted_procedure),
        quantity_value(line.submitted_quantity_milli),
    )
    for period in line.dates:
        add(*_date_row(period))
    for row in adjustment_rows(line.adjustments):
        add(*row)
    for reference in line.references:
        add(*reference_row(reference))
    for amount in line.amounts:
        add("AMT", amount.qualifier, write_minor(amount.amount_minor))
    for quantity in line.quantities:
        add("QTY", quantity.qualifier, write_milli(quantity.quantity_milli))
    for remark in line.remarks:
        add("LQ", *remark)


def _write_claim(writer: SetWriter, claim: RemittedClaim) -> None:
    """Write a claim and its service lines."""
    add = writer.add
    add(
        "CLP",
        claim.id,
        claim.status,
        write_minor(claim.charge_minor),
        write_minor(claim.paid_minor),
        amount_value(claim.patient_responsibility_minor),
        claim.filing,
        claim.payer_control_number,
        claim.facility,
        claim.frequency,
        "",
        claim.drg,
        claim.drg_weight,
        claim.discharge_fraction,
    )
    for row in adjustment_rows(claim.adjustments):
        add(*row)
    add(*name_row(claim.patient))
    for party in claim.parties:
        add(*name_row(party))
    for carried in claim.other:
        add(*carried)
    for reference in claim.references:
        add(*reference_row(reference))
    for period in claim.dates:
        add(*_date_row(period))
    for contact in claim.contacts:
        add(*contact_row(contact))
    for amount in claim.amounts:
        add("AMT", amount.qualifier, write_minor(amount.amount_minor))
    for quantity in claim.quantities:
        add("QTY", quantity.qualifier, write_milli(quantity.quantity_milli))
    for line in claim.lines:
        _write_line(writer, line)


def _write_set(remittance: Remittance) -> SetWriter:
    """Write the transaction set of one remittance."""
    imbalances = check_balance(remittance)
    if imbalances:
        raise UnbalancedError(imbalances, Location(segment="ST"))
    table = remittance_advice()
    writer = SetWriter(table.set_id, table.versions[0], names_version=False)
    add = writer.add
    for row in _payment_rows(remittance.payment):
        add(*row)
    if remittance.currency:
        add("CUR", "PR", remittance.currency)
    for reference in remittance.references:
        add(*reference_row(reference))
    if remittance.production_date:
        add("DTM", "405", date_value(remittance.production_date, "DTM"))
    for role, entity in (("PR", remittance.payer), ("PE", remittance.payee)):
        for row in _entity_rows(entity, role):
            add(*row)
    for group in remittance.groups:
        add("LX", str(group.number))
        for carried in group.other:
            add(*carried)
        for claim in group.claims:
            _write_claim(writer, claim)
    for row in _adjustment_rows(remittance.adjustments):
        add(*row)
    return writer


def write_remittances(
    remittances: Iterable[Remittance],
    stamp: Stamp,
    *,
    sender: Endpoint,
    receiver: Endpoint,
    is_checked: bool = True,
) -> bytes:
    """Return an interchange with the remittances, each a transaction set.

    Args:
        remittances: What to write, in order.
        stamp: Date, time and numbers of the interchange.
        sender: Who sends.
        receiver: Who receives.
        is_checked: Whether the result is held against the implementation before it is returned. The equations are
            held in any case.

    Raises:
        UnbalancedError: If a remittance does not balance at line, claim or payment.
        UnwritableError: If a value cannot be written, or the result would not be accepted.
    """
    sets = [_write_set(remittance) for remittance in remittances]
    if not sets:
        raise UnwritableError("an interchange holds at least one remittance")
    table = remittance_advice()
    data = write_interchange(
        stamp, sender=sender, receiver=receiver, functional_id=table.functional_id, sets=sets
    )
    if is_checked:
        refuse_faulty(data)
    return data
