"""Read models shared by claims and remittances: parties, references, dates, amounts, adjustments.

Owns frozen values only. Money is in minor units (cents), quantities in thousandths, dates in ISO 8601; text
is as received. Segments a model has no field for are carried as they are, so that nothing is lost between
reading and writing.
"""

from typing import TypeAlias

from msgspec import Struct

Carried: TypeAlias = tuple[str | tuple[str, ...], ...]
"""A segment kept as read: its identifier and elements, a composite as the tuple of its components."""


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """A postal address (N3, N4)."""

    lines: tuple[str, ...]
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    """ISO 3166 code; empty within the United States."""
    subdivision: str = ""


class Reference(Struct, frozen=True, kw_only=True, gc=False):
    """An identifier of a stated kind (REF)."""

    qualifier: str
    value: str
    payer_id: str = ""
    """The payer whose identifier it is (REF04 with 2U), where several are involved."""


class Contact(Struct, frozen=True, kw_only=True, gc=False):
    """Whom to ask (PER)."""

    function: str
    name: str = ""
    numbers: tuple[tuple[str, str], ...] = ()
    """Pairs of kind (`TE`, `EM`, `FX`, `EX`, `UR`) and number."""


class Period(Struct, frozen=True, kw_only=True, gc=False):
    """A date, a time or a period of a stated kind (DTP, DTM)."""

    qualifier: str
    start: str = ""
    """ISO date; empty where only a time is given."""
    end: str = ""
    """ISO date of the last day; empty unless a period was given."""
    time: str = ""
    """HHMM or longer; empty unless given."""


class Amount(Struct, frozen=True, kw_only=True, gc=False):
    """Money of a stated kind (AMT)."""

    qualifier: str
    amount_minor: int


class Quantity(Struct, frozen=True, kw_only=True, gc=False):
    """A quantity of a stated kind (QTY)."""

    qualifier: str
    quantity_milli: int


class Adjustment(Struct, frozen=True, kw_only=True, gc=False):
    """One reason why less, or more, was paid than charged (CAS)."""

    group: str
    """Who bears it: `CO`, `PR`, `OA`, `PI` or `CR`."""
    reason: str
    """Claim adjustment reason code."""
    amount_minor: int
    """Positive lowers the payment."""
    quantity_milli: int | None = None


class Procedure(Struct, frozen=True, kw_only=True, gc=False):
    """A service as coded (C003)."""

    qualifier: str
    """Code system: `HC`, `N4`, `ER`, `HP`, `IV`, `WK`."""
    code: str
    modifiers: tuple[str, ...] = ()
    description: str = ""
    code_end: str = ""
    """Last code of a range; rarely used."""


class Party(Struct, frozen=True, kw_only=True, gc=False):
    """A person or organisation in a role (NM1 or N1 and what follows it)."""

    role: str
    """Entity identifier code, such as `85` or `IL`."""
    is_person: bool = False
    name: str = ""
    """Family name of a person, name of an organisation."""
    first: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""
    id_qualifier: str = ""
    """`XX` for a National Provider Identifier, `MI` member, `PI` payer, `46` sender or receiver."""
    id: str = ""
    address: Address | None = None
    references: tuple[Reference, ...] = ()
    contacts: tuple[Contact, ...] = ()
    taxonomy: str = ""
    """Health care provider taxonomy code (PRV03)."""
    birth_date: str = ""
    """ISO date (DMG02)."""
    sex: str = ""
    """`F`, `M` or `U` (DMG03)."""
    dates: tuple[Period, ...] = ()
    other: tuple[Carried, ...] = ()

    def reference(self, *qualifiers: str) -> str:
        """Return the first reference of these kinds, empty if there is none."""
        return find_reference(self.references, *qualifiers)


def find_reference(references: tuple[Reference, ...], *qualifiers: str) -> str:
    """Return the value of the first reference of these kinds, empty if there is none."""
    for reference in references:
        if reference.qualifier in qualifiers:
            return reference.value
    return ""


def find_amount(amounts: tuple[Amount, ...], qualifier: str) -> int | None:
    """Return the first amount of this kind in minor units, None if there is none."""
    for amount in amounts:
        if amount.qualifier == qualifier:
            return amount.amount_minor
    return None


def sum_adjustments(adjustments: tuple[Adjustment, ...]) -> int:
    """Return the sum of the adjustments in minor units."""
    return sum(adjustment.amount_minor for adjustment in adjustments)
