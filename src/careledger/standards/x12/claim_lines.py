"""From the loops of a service line to its read model.

Owns the reading of the line level of 837P and 837I (2400 and below).
"""

from typing import TypedDict

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
    read_pair,
    read_party,
    read_procedure,
    read_quantity,
    read_reference,
)
from careledger.standards.x12.tokens import Segment
from careledger.standards.x12.walker import Loop

_SERVICE_DATE = ["472"]
_REMAINING = ["EAF"]
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
        elif name == "AMT" and elements[1:2] == _REMAINING:
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


def _read_pointers(elements: Segment, text: str, component: str) -> tuple[int, ...]:
    """Read which diagnoses a line is for."""
    if not text:
        return ()
    try:
        return tuple([_POINTERS[pointer] for pointer in text.split(component)])
    except KeyError:
        raise UnreadableError(elements, 7, "a diagnosis pointer is not a number from 1 to 12") from None


class ServiceDetails(TypedDict, total=False):
    """What SV1 or SV2 says, as far as it is there."""

    procedure: Procedure | None
    charge_minor: int
    revenue_code: str
    unit: str
    quantity_milli: int
    place: str
    pointers: tuple[int, ...]
    is_emergency: bool
    is_epsdt: bool
    is_family_planning: bool
    is_copay_exempt: bool
    non_covered_minor: int | None


def _read_professional(elements: Segment, component: str) -> ServiceDetails:
    """Read SV1."""
    full = elements + PAD
    details: ServiceDetails = {
        "procedure": read_procedure(full[1], component),
        "charge_minor": amount_at(elements, 2),
        "unit": full[3],
        "quantity_milli": quantity_at(elements, 4),
        "place": full[5],
        "pointers": _read_pointers(elements, full[7], component),
    }
    if len(elements) > 9:
        details["is_emergency"] = full[9] == "Y"
        details["is_epsdt"] = full[11] == "Y"
        details["is_family_planning"] = full[12] == "Y"
        details["is_copay_exempt"] = full[15] == "0"
    return details


def _read_institutional(elements: Segment, component: str) -> ServiceDetails:
    """Read SV2."""
    full = elements + PAD
    return {
        "revenue_code": full[1],
        "procedure": read_procedure(full[2], component),
        "charge_minor": amount_at(elements, 3),
        "unit": full[4],
        "quantity_milli": quantity_at(elements, 5),
        "non_covered_minor": optional_amount_at(elements, 7),
    }


class LineDetails(TypedDict, total=False):
    """What stands below SV1 or SV2, as far as it is there."""

    drug: Drug
    parties: tuple[Party, ...]
    decisions: tuple[LineDecision, ...]
    forms: tuple[tuple[Carried, ...], ...]
    dates: tuple[Period, ...]
    amounts: tuple[Amount, ...]
    quantities: tuple[Quantity, ...]
    notes: tuple[tuple[str, str], ...]
    other: tuple[Carried, ...]


def _read_inner(loops: list[Loop], component: str) -> LineDetails:
    """Read the loops inside a service line."""
    details: LineDetails = {}
    parties: list[Party] = []
    decisions: list[LineDecision] = []
    forms: list[tuple[Carried, ...]] = []
    for loop in loops:
        name = loop.spec.id
        if name == "2410":
            details["drug"] = _read_drug(loop, component)
        elif name == "2430":
            decisions.append(_read_decision(loop, component))
        elif name == "2440":
            forms.append(tuple(carry(elements, component) for elements in loop.segments))
        else:
            parties.append(read_party(loop, component))
    details["parties"] = tuple(parties)
    details["decisions"] = tuple(decisions)
    details["forms"] = tuple(forms)
    return details


def _read_rest(segments: list[Segment], component: str, details: LineDetails) -> None:
    """Read the segments few service lines have."""
    dates: list[Period] = []
    amounts: list[Amount] = []
    quantities: list[Quantity] = []
    notes: list[tuple[str, str]] = []
    other: list[Carried] = []
    for elements in segments:
        name = elements[0]
        if name == "DTP":
            dates.append(read_dtp(elements))
        elif name == "AMT":
            amounts.append(read_amount(elements))
        elif name == "QTY":
            quantities.append(read_quantity(elements))
        elif name == "NTE":
            notes.append(read_pair(elements))
        else:
            other.append(carry(elements, component))
    details["dates"] = tuple(dates)
    details["amounts"] = tuple(amounts)
    details["quantities"] = tuple(quantities)
    details["notes"] = tuple(notes)
    details["other"] = tuple(other)


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
    described: ServiceDetails | None = None
    references: list[Reference] = []
    rest: list[Segment] = []
    for elements in loop.segments[1:]:
        name = elements[0]
        if name == "SV1" or name == "SV2":  # noqa: PLR1714 - this is the busiest loop of a claim
            read = _read_institutional if is_institutional else _read_professional
            described = read(elements, component)
        elif name == "REF":
            references.append(read_reference(elements, component))
        elif name == "DTP" and service is None and elements[1:2] == _SERVICE_DATE:
            service = read_dtp(elements)
        else:
            rest.append(elements)
    counter = loop.segments[0]
    if described is None or len(counter) < 2 or not counter[1].isdecimal():
        raise UnreadableError(counter, 1, "the service line has no number or no service")
    details: LineDetails = _read_inner(loop.loops, component) if loop.loops else {}
    if rest:
        _read_rest(rest, component, details)
    return ServiceLine(
        number=int(counter[1]), service=service, references=tuple(references), **described, **details
    )
