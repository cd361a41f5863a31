"""What extraction finds in one resource: compact rows per kind of value.

Owns the shape of the rows only. Every row starts with the slot of its parameter
(`careledger.standards.fhir.search.definitions.Parameter.slot`); an absent text is the empty text.
"""

from __future__ import annotations

from typing import TypeAlias

from careledger.standards.fhir.search.amounts import Amount

TokenRow: TypeAlias = tuple[int, str, str, str]
"""slot, system, code, folded text (display, concept text or identifier type)."""
TypedIdentifierRow: TypeAlias = tuple[int, str, str, str]
"""slot, system and code of the identifier's type, identifier value (modifier `:of-type`)."""
StringRow: TypeAlias = tuple[int, str, str]
"""slot, folded text or Soundex key, exact text."""
ReferenceRow: TypeAlias = tuple[int, str, str]
"""slot, resource type, id, of a resource of this server."""
LogicalRow: TypeAlias = tuple[int, str, str]
"""slot, system and value of a reference's identifier (modifier `:identifier`)."""
UriRow: TypeAlias = tuple[int, str]
"""slot, URI; also references that lead outside this server and canonical references."""
DateRow: TypeAlias = tuple[int, int, int]
"""slot, first and last UTC millisecond, both included."""
AmountRow: TypeAlias = tuple[int, Amount, Amount, str, str, str]
"""slot, lowest and highest value, both included; unit system, unit code, printed unit."""
PositionRow: TypeAlias = tuple[int, int, int]
"""slot, latitude and longitude in ten-millionths of a degree."""


class Rows:
    """All rows of one resource, and which parameters have a value."""

    __slots__ = (
        "amounts",
        "dates",
        "logical",
        "parts",
        "positions",
        "present",
        "references",
        "resource",
        "strings",
        "tokens",
        "typed_identifiers",
        "uris",
    )

    def __init__(self, resource: dict[str, object] | None = None) -> None:
        self.resource = resource
        """The value they are extracted from, for composites that look back at it."""
        self.present = 0
        """Bit per slot: the resource has a value for the parameter."""
        self.tokens: list[TokenRow] = []
        self.typed_identifiers: list[TypedIdentifierRow] = []
        self.strings: list[StringRow] = []
        self.references: list[ReferenceRow] = []
        self.logical: list[LogicalRow] = []
        self.uris: list[UriRow] = []
        self.dates: list[DateRow] = []
        self.amounts: list[AmountRow] = []
        self.positions: list[PositionRow] = []
        self.parts: list[PartRow] = []
        """Components of composites, see `PartRow`."""


PartRow: TypeAlias = tuple[int, int, int, Rows]
"""Composite's slot, a number that tells the resource's elements apart, number of the component, its values."""
