"""What can go wrong, and where.

Owns the exception types of this package and `Location`. Every message says where and why in words of our
own and codes of the standard; none carries a value from the input, since values may be about a person.
"""

from msgspec import Struct


class Location(Struct, frozen=True):
    """A place in an interchange; what is not known is zero or empty."""

    byte: int = 0
    """Offset from the start of the input, in bytes; kept for faults outside any transaction set."""
    transaction: int = 0
    """Which transaction set of the input, from 1."""
    position: int = 0
    """Which segment of the transaction set, from 1 for ST."""
    segment: str = ""
    """Segment identifier."""
    loop: str = ""
    """Loop identifier of the implementation, such as `2010AA`."""
    element: int = 0
    """Which element of the segment, from 1."""
    component: int = 0
    """Which component of the element, from 1."""

    def __str__(self) -> str:
        """Say the place in words."""
        words = []
        if self.transaction:
            words.append(f"transaction set {self.transaction}")
        if self.loop:
            words.append(f"loop {self.loop}")
        if self.position:
            words.append(f"segment {self.position}{f' ({self.segment})' if self.segment else ''}")
        elif self.segment:
            words.append(f"segment {self.segment}")
        if self.element:
            words.append(f"element {self.element}" + (f".{self.component}" if self.component else ""))
        if self.byte or not words:
            words.append(f"byte {self.byte}")
        return ", ".join(words)


class X12Error(Exception):
    """Base of this package's errors; `reason` and `location` hold what the message says."""

    def __init__(self, reason: str, location: Location = Location()) -> None:  # noqa: B008 - immutable
        super().__init__(f"{location}: {reason}")
        self.reason = reason
        self.location = location


class MalformedError(X12Error):
    """The input is not an X12 interchange, or ends or nests where it must not."""


class LimitError(X12Error):
    """The input is larger in some measure than the limits allow."""


class ContentError(X12Error):
    """The input is well-formed but cannot be read as what was asked for."""


class UnwritableError(X12Error):
    """A value cannot be written: it holds a delimiter, is missing, or has no place in the implementation."""
