"""From the loops of a remittance to its read model.

Owns the reading of the header, claim and service line levels of the 835; the stream they come from is
`remittance_read`.
"""

from careledger.standards.x12.parties import (
    Adjustment,
    Amount,
    Carried,
    Contact,
    Party,
    Period,
    Quantity,
    Reference,
)
from careledger.standards.x12.reading import (
    PAD,
    UnreadableError,
    amount_at,
    carry,
    date_at,
    optional_amount_at,
    optional_quantity_at,
    read_address,
    read_adjustments,
    read_amount,
    read_contact,
    read_dtm,
    read_name,
    read_pair,
    read_procedure,
    read_quantity,
    read_reference,
)
from careledger.standards.x12.remittance_model import (
    Account,
    Entity,
    OrganisationAdjustment,
    Payment,
    RemittedClaim,
    RemittedLine,
)
from careledger.standards.x12.tokens import Segment
from careledger.standards.x12.walker import Loop

_PATIENT = "QC"
_DEBIT = "D"
_ADJUSTMENT_PLACES = range(3, 15, 2)


def read_payment(root: Loop) -> Payment:
    """Read BPR and TRN."""
    order, trace = root.find("BPR"), root.find("TRN")
    if order is None or trace is None:
        raise UnreadableError(
            root.segments[0] if root.segments else ["ST"], 0, "the payment or its trace is missing"
        )
    full, traced = order + PAD, trace + PAD
    return Payment(
        handling=full[1],
        amount_minor=amount_at(order, 2),
        is_debit=full[3] == _DEBIT,
        method=full[4],
        form=full[5],
        payer_account=Account(bank_qualifier=full[6], bank=full[7], qualifier=full[8], number=full[9]),
        payer_company=full[10],
        payer_company_supplement=full[11],
        payee_account=Account(bank_qualifier=full[12], bank=full[13], qualifier=full[14], number=full[15]),
        date=date_at(order, 16),
        trace_number=traced[2],
        payer_identifier=traced[3],
        trace_supplement=traced[4],
    )


def read_entity(loop: Loop, component: str) -> Entity:
    """Read a loop that starts with N1."""
    references: list[Reference] = []
    contacts: list[Contact] = []
    other: list[Carried] = []
    street = town = None
    for elements in loop.segments[1:]:
        name = elements[0]
        if name == "N3":
            street = elements
        elif name == "N4":
            town = elements
        elif name == "REF":
            references.append(read_reference(elements, component))
        elif name == "PER":
            contacts.append(read_contact(elements))
        else:
            other.append(carry(elements, component))
    full = loop.segments[0] + PAD
    return Entity(
        name=full[2],
        id_qualifier=full[3],
        id=full[4],
        address=read_address(street, town),
        references=tuple(references),
        contacts=tuple(contacts),
        other=tuple(other),
    )


def read_organisation_adjustments(elements: Segment, component: str) -> list[OrganisationAdjustment]:
    """Read PLB: up to six adjustments of one organisation."""
    found = []
    full = elements + PAD
    for at in _ADJUSTMENT_PLACES:
        if not (full[at] or full[at + 1]):
            break
        reason, _, reference = full[at].partition(component)
        found.append(
            OrganisationAdjustment(
                organisation_id=full[1],
                fiscal_date=date_at(elements, 2),
                reason=reason,
                reference=reference,
                amount_minor=amount_at(elements, at + 1),
            )
        )
    return found


def _read_line(loop: Loop, component: str) -> RemittedLine:
    """Read one service line."""
    adjustments: list[Adjustment] = []
    dates: list[Period] = []
    references: list[Reference] = []
    amounts: list[Amount] = []
    quantities: list[Quantity] = []
    remarks: list[tuple[str, str]] = []
    segments = loop.segments
    for elements in segments[1:]:
        name = elements[0]
        if name == "CAS":
            adjustments.extend(read_adjustments(elements))
        elif name == "DTM":
            dates.append(read_dtm(elements))
        elif name == "REF":
            references.append(read_reference(elements, component))
        elif name == "AMT":
            amounts.append(read_amount(elements))
        elif name == "LQ":
            remarks.append(read_pair(elements))
        else:
            quantities.append(read_quantity(elements))
    service = segments[0]
    full = service + PAD
    procedure = read_procedure(full[1], component)
    if procedure is None:
        raise UnreadableError(service, 1, "the procedure is missing")
    return RemittedLine(
        procedure=procedure,
        charge_minor=amount_at(service, 2),
        paid_minor=amount_at(service, 3),
        revenue_code=full[4],
        quantity_milli=optional_quantity_at(service, 5),
        submitted_procedure=read_procedure(full[6], component),
        submitted_quantity_milli=optional_quantity_at(service, 7),
        dates=tuple(dates),
        adjustments=tuple(adjustments),
        references=tuple(references),
        amounts=tuple(amounts),
        quantities=tuple(quantities),
        remarks=tuple(remarks),
    )


class _ClaimFields:
    """The parts of a claim gathered from its segments."""

    __slots__ = (
        "adjustments", "amounts", "contacts", "dates", "other", "parties", "patient", "quantities", "references",
    )  # fmt: skip

    def __init__(self, loop: Loop, component: str) -> None:
        self.adjustments: list[Adjustment] = []
        self.amounts: list[Amount] = []
        self.contacts: list[Contact] = []
        self.dates: list[Period] = []
        self.other: list[Carried] = []
        self.parties: list[Party] = []
        self.patient: Party | None = None
        self.quantities: list[Quantity] = []
        self.references: list[Reference] = []
        for elements in loop.segments[1:]:
            self._take(elements, component)

    def _take(self, elements: Segment, component: str) -> None:
        """Take one segment of the claim's own loop."""
        name = elements[0]
        if name == "NM1":
            party = read_name(elements)
            if party.role == _PATIENT and self.patient is None:
                self.patient = party
            else:
                self.parties.append(party)
        elif name == "CAS":
            self.adjustments.extend(read_adjustments(elements))
        elif name == "DTM":
            self.dates.append(read_dtm(elements))
        elif name == "REF":
            self.references.append(read_reference(elements, component))
        elif name == "AMT":
            self.amounts.append(read_amount(elements))
        elif name == "QTY":
            self.quantities.append(read_quantity(elements))
        elif name == "PER":
            self.contacts.append(read_contact(elements))
        else:
            self.other.append(carry(elements, component))


def read_remitted_claim(loop: Loop, component: str) -> RemittedClaim:
    """Read one claim.

    Args:
        loop: The claim's loop (2100), complete.
        component: The component separator.

    Raises:
        UnreadableError: If an element the claim is made of cannot be read.
    """
    fields = _ClaimFields(loop, component)
    claim = loop.segments[0]
    if fields.patient is None:
        raise UnreadableError(claim, 0, "the claim names no patient")
    full = claim + PAD
    return RemittedClaim(
        id=full[1],
        status=full[2],
        charge_minor=amount_at(claim, 3),
        paid_minor=amount_at(claim, 4),
        patient_responsibility_minor=optional_amount_at(claim, 5),
        filing=full[6],
        payer_control_number=full[7],
        facility=full[8],
        frequency=full[9],
        drg=full[11],
        drg_weight=full[12],
        discharge_fraction=full[13],
        patient=fields.patient,
        adjustments=tuple(fields.adjustments),
        parties=tuple(fields.parties),
        dates=tuple(fields.dates),
        references=tuple(fields.references),
        contacts=tuple(fields.contacts),
        amounts=tuple(fields.amounts),
        quantities=tuple(fields.quantities),
        lines=tuple([_read_line(inner, component) for inner in loop.loops]),
        other=tuple(fields.other),
        position=loop.positions[0],
    )
