"""From the shared read models to segments.

Owns the writing of the segments that claims and remittances have in common, the counterpart of `reading`.
"""

from collections.abc import Iterator, Sequence

from careledger.standards.x12.amounts import write_milli, write_minor
from careledger.standards.x12.dates import read_time, write_date
from careledger.standards.x12.drafts import Draft, Row
from careledger.standards.x12.errors import Location, UnwritableError
from careledger.standards.x12.parties import (
    Address,
    Adjustment,
    Contact,
    Party,
    Period,
    Procedure,
    Reference,
)
from careledger.standards.x12.writing import Value

_TRIPLES_MAX = 6
"""Reasons one CAS has room for."""
_NUMBERS_MAX = 3
"""Numbers one PER has room for."""


def date_value(iso: str, segment: str) -> str:
    """Return an ISO date as X12 writes it, empty if there is none.

    Raises:
        UnwritableError: If it is no date.
    """
    if not iso:
        return ""
    try:
        return write_date(iso)
    except ValueError as error:
        raise UnwritableError("a date is not an ISO date", Location(segment=segment)) from error


def amount_value(amount_minor: int | None) -> str:
    """Return an amount as X12 writes it, empty if there is none."""
    return "" if amount_minor is None else write_minor(amount_minor)


def quantity_value(quantity_milli: int | None) -> str:
    """Return a quantity as X12 writes it, empty if there is none."""
    return "" if quantity_milli is None else write_milli(quantity_milli)


def procedure_value(procedure: Procedure | None) -> tuple[str, ...]:
    """Return a procedure as a composite, empty if there is none.

    Raises:
        UnwritableError: If it has more modifiers than there is room for.
    """
    if procedure is None:
        return ()
    modifiers = procedure.modifiers
    if not (modifiers or procedure.description or procedure.code_end):
        return procedure.qualifier, procedure.code
    if len(modifiers) > 4:
        raise UnwritableError("a procedure has at most four modifiers")
    padding = ("",) * (4 - len(modifiers))
    return (
        procedure.qualifier,
        procedure.code,
        *modifiers,
        *padding,
        procedure.description,
        procedure.code_end,
    )


def reference_row(reference: Reference) -> Row:
    """Return REF."""
    if reference.payer_id:
        return "REF", reference.qualifier, reference.value, "", ("2U", reference.payer_id)
    return "REF", reference.qualifier, reference.value


def period_row(period: Period) -> Row:
    """Return DTP.

    Raises:
        UnwritableError: If a date or time is none.
    """
    start = date_value(period.start, "DTP")
    if period.time:
        try:
            time = read_time(period.time)
        except ValueError as error:
            raise UnwritableError("a time is not a time", Location(segment="DTP")) from error
        return "DTP", period.qualifier, "DT" if start else "TM", start + time
    if period.end:
        return "DTP", period.qualifier, "RD8", f"{start}-{date_value(period.end, 'DTP')}"
    return "DTP", period.qualifier, "D8", start


def adjustment_rows(adjustments: Sequence[Adjustment]) -> Iterator[Row]:
    """Yield CAS: neighbours of one group share a segment as long as there is room."""
    row: list[Value] = []
    group = ""
    triples = 0
    for adjustment in adjustments:
        if adjustment.group != group or triples == _TRIPLES_MAX:
            if row:
                yield tuple(row)
            group, triples = adjustment.group, 0
            row = ["CAS", group]
        row += (
            adjustment.reason,
            write_minor(adjustment.amount_minor),
            quantity_value(adjustment.quantity_milli),
        )
        triples += 1
    if row:
        yield tuple(row)


def contact_row(contact: Contact) -> Row:
    """Return PER.

    Raises:
        UnwritableError: If there are more numbers than there is room for.
    """
    if len(contact.numbers) > _NUMBERS_MAX:
        raise UnwritableError("a contact has at most three numbers", Location(segment="PER"))
    return "PER", contact.function, contact.name, *(part for number in contact.numbers for part in number)


def address_rows(address: Address | None) -> Iterator[Row]:
    """Yield N3 and N4."""
    if address is None:
        return
    if address.lines:
        yield "N3", *address.lines
    if address.city or address.country:
        yield (
            "N4",
            address.city,
            address.state,
            address.postal_code,
            address.country,
            "",
            "",
            address.subdivision,
        )


def name_row(party: Party) -> Row:
    """Return NM1."""
    return (
        "NM1",
        party.role,
        "1" if party.is_person else "2",
        party.name,
        party.first,
        party.middle,
        party.prefix,
        party.suffix,
        party.id_qualifier,
        party.id,
    )


def party_draft(party: Party | None, specialty: str = "") -> Draft | None:
    """Return the loop of a party, None if there is none.

    Args:
        party: Who.
        specialty: Code of the taxonomy's PRV where it stands in the party's own loop; empty where it does not.
    """
    if party is None:
        return None
    draft = Draft(name_row(party))
    draft.extend(address_rows(party.address))
    if party.birth_date or party.sex:
        draft.add("DMG", "D8", date_value(party.birth_date, "DMG"), party.sex)
    if party.taxonomy and specialty:
        draft.add("PRV", specialty, "PXC", party.taxonomy)
    draft.extend(map(reference_row, party.references))
    draft.extend(map(contact_row, party.contacts))
    draft.extend(map(period_row, party.dates))
    draft.extend(party.other)
    return draft
