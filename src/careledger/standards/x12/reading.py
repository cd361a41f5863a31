"""From segments to the shared read models.

Owns the reading of the segments that claims and remittances have in common. A segment that cannot be read
raises `UnreadableError` holding the segment itself, so that whoever knows its loop can say where it stands.
"""

from collections.abc import Iterable
from typing import TypedDict, Unpack

from careledger.standards.x12.amounts import read_milli, read_minor
from careledger.standards.x12.dates import read_date, read_period, read_time
from careledger.standards.x12.dictionary import COMPOSITES, SEGMENTS
from careledger.standards.x12.errors import ContentError, Location
from careledger.standards.x12.parties import (
    Address,
    Adjustment,
    Amount,
    Carried,
    Contact,
    Party,
    Period,
    Procedure,
    Quantity,
    Reference,
)
from careledger.standards.x12.tokens import Segment
from careledger.standards.x12.walker import Loop

PAD = [""] * 21
"""Added to a segment so that every element it may have can be indexed."""

_CAS_TRIPLES = range(2, 20, 3)
_PERSON = "1"


class PartyDetails(TypedDict, total=False):
    """What stands after a party's name, as far as it is there."""

    address: Address | None
    references: tuple[Reference, ...]
    contacts: tuple[Contact, ...]
    taxonomy: str
    birth_date: str
    sex: str
    dates: tuple[Period, ...]
    other: tuple[Carried, ...]


class UnreadableError(Exception):
    """A segment does not hold what its place asks for."""

    def __init__(self, elements: Segment, element: int, reason: str) -> None:
        super().__init__(reason)
        self.elements = elements
        self.element = element
        self.reason = reason


def locate(error: UnreadableError, loops: Iterable[Loop], transaction: int) -> ContentError:
    """Return the error with its place, searched in `loops` and the loops inside them."""
    open_loops = list(loops)
    while open_loops:
        loop = open_loops.pop()
        for elements, position in zip(loop.segments, loop.positions, strict=True):
            if elements is error.elements:
                place = Location(
                    transaction=transaction,
                    position=position,
                    segment=elements[0],
                    loop=loop.id,
                    element=error.element,
                )
                return ContentError(error.reason, place)
        open_loops.extend(loop.loops)
    return ContentError(error.reason, Location(transaction=transaction, segment=error.elements[0]))


def require(loop: Loop, loop_id: str) -> Loop:
    """Return an inner loop that a claim cannot be read without."""
    inner = loop.inner(loop_id)
    if inner is None:
        raise UnreadableError(loop.segments[0] if loop.segments else ["ST"], 0, f"loop {loop_id} is missing")
    return inner


def amount_at(elements: Segment, place: int) -> int:
    """Return a required amount in minor units."""
    try:
        return read_minor(elements[place])
    except IndexError:
        raise UnreadableError(elements, place, "an amount is missing") from None
    except ValueError as error:
        raise UnreadableError(elements, place, f"the amount is {error}") from error


def optional_amount_at(elements: Segment, place: int) -> int | None:
    """Return an amount in minor units, None if there is none."""
    return amount_at(elements, place) if len(elements) > place and elements[place] else None


def quantity_at(elements: Segment, place: int) -> int:
    """Return a required quantity in thousandths."""
    try:
        return read_milli(elements[place])
    except IndexError:
        raise UnreadableError(elements, place, "a quantity is missing") from None
    except ValueError as error:
        raise UnreadableError(elements, place, f"the quantity is {error}") from error


def optional_quantity_at(elements: Segment, place: int) -> int | None:
    """Return a quantity in thousandths, None if there is none."""
    return quantity_at(elements, place) if len(elements) > place and elements[place] else None


def date_at(elements: Segment, place: int) -> str:
    """Return a date in ISO form, empty if there is none."""
    if len(elements) <= place or not elements[place]:
        return ""
    try:
        return read_date(elements[place])
    except ValueError as error:
        raise UnreadableError(elements, place, "the date is not valid") from error


def read_dtp(elements: Segment) -> Period:
    """Read DTP."""
    _, qualifier, form, text = elements if len(elements) == 4 else (elements + PAD)[:4]
    try:
        if form == "D8":
            return Period(qualifier=qualifier, start=read_date(text))
        if form == "RD8":
            start, end = read_period(text)
            return Period(qualifier=qualifier, start=start, end=end)
        if form == "DT":
            return Period(qualifier=qualifier, start=read_date(text[:8]), time=read_time(text[8:]))
        if form == "TM":
            return Period(qualifier=qualifier, time=read_time(text))
    except ValueError as error:
        raise UnreadableError(elements, 3, "the date is not valid") from error
    raise UnreadableError(elements, 2, "the form of the date is not one that is read")


def read_dtm(elements: Segment) -> Period:
    """Read DTM."""
    return Period(qualifier=elements[1] if len(elements) > 1 else "", start=date_at(elements, 2))


def read_reference(elements: Segment, component: str) -> Reference:
    """Read REF."""
    count = len(elements)
    if count > 4:
        pair = elements[4].split(component)
        return Reference(
            qualifier=elements[1],
            value=elements[2],
            payer_id=pair[1] if pair[0] == "2U" and len(pair) > 1 else "",
        )
    return Reference(qualifier=elements[1] if count > 1 else "", value=elements[2] if count > 2 else "")


def read_amount(elements: Segment) -> Amount:
    """Read AMT."""
    amount_minor = amount_at(elements, 2)
    return Amount(qualifier=elements[1], amount_minor=amount_minor)


def read_quantity(elements: Segment) -> Quantity:
    """Read QTY."""
    quantity_milli = quantity_at(elements, 2)
    return Quantity(qualifier=elements[1], quantity_milli=quantity_milli)


def read_pair(elements: Segment) -> tuple[str, str]:
    """Read a kind and what is said of it (NTE, LQ)."""
    _, kind, text = elements if len(elements) == 3 else (elements + PAD)[:3]
    return kind, text


def read_adjustments(elements: Segment) -> list[Adjustment]:
    """Read CAS: up to six reasons of one group."""
    found = []
    for at in _CAS_TRIPLES:
        if len(elements) <= at or not (elements[at] or any(elements[at + 1 : at + 3])):
            break
        found.append(
            Adjustment(
                group=elements[1],
                reason=elements[at],
                amount_minor=amount_at(elements, at + 1),
                quantity_milli=optional_quantity_at(elements, at + 2),
            )
        )
    return found


def read_procedure(text: str, component: str) -> Procedure | None:
    """Read C003, None if it is empty."""
    parts = text.split(component)
    count = len(parts)
    if count == 2:
        return Procedure(qualifier=parts[0], code=parts[1])
    if count == 1:
        return Procedure(qualifier=text, code="") if text else None
    return Procedure(
        qualifier=parts[0],
        code=parts[1],
        modifiers=tuple(filter(None, parts[2:6])),
        description=parts[6] if count > 6 else "",
        code_end=parts[7] if count > 7 else "",
    )


def read_contact(elements: Segment) -> Contact:
    """Read PER."""
    full = elements + PAD
    numbers = tuple((full[at], full[at + 1]) for at in (3, 5, 7) if full[at])
    return Contact(function=full[1], name=full[2], numbers=numbers)


def read_address(street: Segment | None, town: Segment | None) -> Address | None:
    """Read N3 and N4, None if there is neither."""
    if street is None and town is None:
        return None
    full = (town or []) + PAD
    return Address(
        lines=tuple(street[1:]) if street else (),
        city=full[1],
        state=full[2],
        postal_code=full[3],
        country=full[4],
        subdivision=full[7],
    )


def carry(elements: Segment, component: str) -> Carried:
    """Keep a segment as it is, composites taken apart."""
    parts = SEGMENTS[elements[0]].parts
    return (
        elements[0],
        *(
            tuple(value.split(component))
            if value and at < len(parts) and parts[at].ref in COMPOSITES
            else value
            for at, value in enumerate(elements[1:])
        ),
    )


def read_name(elements: Segment, **details: Unpack[PartyDetails]) -> Party:
    """Read NM1, with what was read from the segments after it."""
    count = len(elements)
    padded = elements if count == 10 else (elements + PAD)[:10]
    _, role, kind, name, first, middle, prefix, suffix, id_qualifier, identifier = padded
    return Party(
        role=role,
        is_person=kind == _PERSON,
        name=name,
        first=first,
        middle=middle,
        prefix=prefix,
        suffix=suffix,
        id_qualifier=id_qualifier,
        id=identifier,
        **details,
    )


def read_party(loop: Loop, component: str) -> Party:
    """Read a loop that starts with NM1."""
    segments = loop.segments
    if len(segments) == 1:
        return read_name(segments[0])
    references: list[Reference] = []
    contacts: list[Contact] = []
    dates: list[Period] = []
    other: list[Carried] = []
    details: PartyDetails = {}
    street = town = None
    for elements in segments[1:]:
        name = elements[0]
        if name == "N3":
            street = elements
        elif name == "N4":
            town = elements
        elif name == "REF":
            references.append(read_reference(elements, component))
        elif name == "DMG":
            details["birth_date"] = date_at(elements, 2)
            details["sex"] = elements[3] if len(elements) > 3 else ""
        elif name == "PRV":
            details["taxonomy"] = elements[3] if len(elements) > 3 else ""
        elif name == "PER":
            contacts.append(read_contact(elements))
        elif name == "DTP":
            dates.append(read_dtp(elements))
        else:
            other.append(carry(elements, component))
    if street or town:
        details["address"] = read_address(street, town)
    if references:
        details["references"] = tuple(references)
    if contacts:
        details["contacts"] = tuple(contacts)
    if dates:
        details["dates"] = tuple(dates)
    if other:
        details["other"] = tuple(other)
    return read_name(segments[0], **details)
