"""From the loops of a service line to its read model.

Owns the reading of the line level of 837P and 837I (2400 and below).
"""

from careledger.standards.x12.claim_model import Drug, LineDecision, ServiceLine
from careledger.standards.x12.parties import (
    Adjustment,
    Amount,
    Carried,
    Party,
    Period,
    Procedure,
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
    quantity_at,
    read_adjustments,
    read_amount,
    read_dtp,
    read_party,
    read_procedure,
    read_quantity,
    read_reference,
)
from careledger.standards.x12.tokens import Segment
from careledger.standards.x12.walker import Loop

_SERVICE_DATE = "472"
_REMAINING = "EAF"
_POINTERS = {str(pointer): pointer for pointer in range(1, 13)}


def _read_drug(loop: Loop, component: str) -> Drug:
    """Read LIN, CTP and the number of the prescription."""
    item = loop.segments[0] + PAD
    pricing, reference = loop.find("CTP"), loop.find("REF")
    if pricing is None:
        raise UnreadableError(loop.segments[0], 0, "the drug has no quantity")
    return Drug(
        qualifier=item[2],
        code=item[3],
        quantity_milli=quantity_at(pricing, 4),
        unit=(pricing + PAD)[5].partition(component)[0],
        reference=read_reference(reference, component) if reference else None,
    )


def _read_decision(loop: Loop, component: str) -> LineDecision:
    """Read what another payer decided."""
    adjustments: list[Adjustment] = []
    decided_on, remaining_minor = "", None
    for elements in loop.segments[1:]:
        name = elements[0]
        if name == "CAS":
            adjustments.extend(read_adjustments(elements))
        elif name == "DTP":
            decided_on = date_at(elements, 3)
        elif name == "AMT" and elements[1] == _REMAINING:
            remaining_minor = amount_at(elements, 2)
    decision = loop.segments[0]
    full = decision + PAD
    return LineDecision(
        payer_id=full[1],
        paid_minor=amount_at(decision, 2),
        procedure=read_procedure(full[3], component),
        revenue_code=full[4],
        quantity_milli=optional_quantity_at(decision, 5),
        bundled_line=full[6],
        adjustments=tuple(adjustments),
        decided_on=decided_on,
        remaining_minor=remaining_minor,
    )


class _Service:
    """What SV1 or SV2 says."""

    __slots__ = (
        "charge_minor", "flags", "non_covered_minor", "place", "pointers", "procedure", "quantity_milli",
        "revenue_code", "unit",
    )  # fmt: skip

    def __init__(self, elements: Segment, component: str, *, is_institutional: bool) -> None:
        full = elements + PAD
        # SV2 has the revenue code before the procedure; SV1 has places of its own behind the quantity.
        at = 1 if is_institutional else 0
        self.revenue_code = full[1] if is_institutional else ""
        self.procedure: Procedure | None = read_procedure(full[1 + at], component)
        self.charge_minor = amount_at(elements, 2 + at)
        self.unit = full[3 + at]
        self.quantity_milli = quantity_at(elements, 4 + at)
        self.non_covered_minor = optional_amount_at(elements, 7) if is_institutional else None
        self.place = ""
        self.pointers: tuple[int, ...] = ()
        self.flags = (False, False, False, False)
        if not is_institutional:
            self.place = full[5]
            self.pointers = _read_pointers(elements, full[7], component)
            if len(elements) > 9:
                self.flags = (full[9] == "Y", full[11] == "Y", full[12] == "Y", full[15] == "0")


def _read_pointers(elements: Segment, text: str, component: str) -> tuple[int, ...]:
    """Read which diagnoses a line is for."""
    if not text:
        return ()
    try:
        return tuple([_POINTERS[pointer] for pointer in text.split(component)])
    except KeyError:
        raise UnreadableError(elements, 7, "a diagnosis pointer is not a number from 1 to 12") from None


def read_line(loop: Loop, component: str, *, is_institutional: bool) -> ServiceLine:
    """Read one service line.

    Args:
        loop: The line's loop (2400), complete.
        component: The component separator.
        is_institutional: Whether the line is one of an institutional claim.

    Raises:
        UnreadableError: If an element the line is made of cannot be read.
    """
    service: Period | None = None
    details: _Service | None = None
    dates: list[Period] = []
    references: list[Reference] = []
    amounts: list[Amount] = []
    quantities: list[Quantity] = []
    notes: list[tuple[str, str]] = []
    other: list[Carried] = []
    for elements in loop.segments[1:]:
        name = elements[0]
        if name in {"SV1", "SV2"}:
            details = _Service(elements, component, is_institutional=is_institutional)
        elif name == "DTP":
            period = read_dtp(elements)
            if period.qualifier == _SERVICE_DATE and service is None:
                service = period
            else:
                dates.append(period)
        elif name == "REF":
            references.append(read_reference(elements, component))
        elif name == "AMT":
            amounts.append(read_amount(elements))
        elif name == "QTY":
            quantities.append(read_quantity(elements))
        elif name == "NTE":
            notes.append((elements[1], (elements + PAD)[2]))
        else:
            other.append(carry(elements, component))
    counter = loop.segments[0]
    if details is None or len(counter) < 2 or not counter[1].isdecimal():
        raise UnreadableError(counter, 1, "the service line has no number or no service")
    drug: Drug | None = None
    parties: list[Party] = []
    decisions: list[LineDecision] = []
    forms: list[tuple[Carried, ...]] = []
    for inner in loop.loops:
        name = inner.spec.id
        if name == "2410":
            drug = _read_drug(inner, component)
        elif name == "2430":
            decisions.append(_read_decision(inner, component))
        elif name == "2440":
            forms.append(tuple(carry(elements, component) for elements in inner.segments))
        else:
            parties.append(read_party(inner, component))
    flags = details.flags
    return ServiceLine(
        number=int(counter[1]),
        charge_minor=details.charge_minor,
        procedure=details.procedure,
        revenue_code=details.revenue_code,
        unit=details.unit,
        quantity_milli=details.quantity_milli,
        place=details.place,
        pointers=details.pointers,
        is_emergency=flags[0],
        is_epsdt=flags[1],
        is_family_planning=flags[2],
        is_copay_exempt=flags[3],
        non_covered_minor=details.non_covered_minor,
        service=service,
        dates=tuple(dates),
        references=tuple(references),
        amounts=tuple(amounts),
        quantities=tuple(quantities),
        notes=tuple(notes),
        drug=drug,
        parties=tuple(parties),
        decisions=tuple(decisions),
        forms=tuple(forms),
        other=tuple(other),
    )
