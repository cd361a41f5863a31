"""Located findings about an interchange, with the codes acknowledgements carry.

Owns `Fault` and, in our own words, what each code of TA105, AK905, IK502, IK304 and IK403 means here. Finds
nothing itself: `tokens`, `envelope`, `walker` and `checks` do.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn, TypeAlias

from msgspec import Struct

from careledger.standards.x12.errors import ContentError, Location


class Level(IntEnum):
    """What a fault is about; decides where an acknowledgement carries its code."""

    INTERCHANGE = 1
    """TA105."""
    GROUP = 2
    """AK905."""
    SET = 3
    """IK502."""
    SEGMENT = 4
    """IK304."""
    ELEMENT = 5
    """IK403."""


class Fault(Struct, frozen=True):
    """One finding: what, where, and the code for it. Never holds a value of the input."""

    level: Level
    code: str
    position: int = 0
    """Segment of the transaction set, from 1 for ST; 0 above that level."""
    segment: str = ""
    loop: str = ""
    element: int = 0
    component: int = 0
    repetition: int = 0
    """Which repetition of a repeating element, from 1; 0 where the element does not repeat."""
    reference: str = ""
    """Number of the data element or id of the composite in the dictionary."""
    detail: str = ""
    """More than the code says, in our own words."""

    @property
    def reason(self) -> str:
        """The finding in words."""
        words = REASONS[self.level].get(self.code, "fault")
        return f"{words}: {self.detail}" if self.detail else words

    def locate(self, transaction: int = 0) -> Location:
        """Return the place as an error states it, in the given transaction set of the input."""
        return Location(
            transaction=transaction,
            position=self.position,
            segment=self.segment,
            loop=self.loop,
            element=self.element,
            component=self.component,
        )

    def __str__(self) -> str:
        """Say place, code and reason."""
        place = f"{self.locate()}, " if self.level >= Level.SET and self.position else ""
        return f"{place}{self.level.name.lower()} fault {self.code}: {self.reason}"


FaultHandler: TypeAlias = Callable[[Fault], object]
"""Takes faults as they are found."""


def raise_fault(fault: Fault, transaction: int) -> NoReturn:
    """Refuse the input for a fault of one of its transaction sets.

    Raises:
        ContentError: Always.
    """
    raise ContentError(fault.reason, fault.locate(transaction))


REASONS: dict[Level, dict[str, str]] = {
    Level.INTERCHANGE: {
        "001": "the control numbers of ISA and IEA differ",
        "003": "this version of the control segments is not supported",
        "004": "the segment terminator cannot be one",
        "005": "the sender's qualifier is not valid",
        "006": "the sender's identifier is not valid",
        "007": "the receiver's qualifier is not valid",
        "008": "the receiver's identifier is not valid",
        "010": "the authorisation qualifier is not valid",
        "011": "the authorisation information is not valid",
        "012": "the security qualifier is not valid",
        "013": "the security information is not valid",
        "014": "the interchange date is not valid",
        "015": "the interchange time is not valid",
        "018": "the control number is not valid",
        "019": "the acknowledgement indicator is not valid",
        "020": "the usage indicator is not valid",
        "021": "the number of functional groups is not the one IEA states",
        "022": "the control segments do not nest",
        "023": "the input ends before the interchange does",
        "024": "a group header is not valid",
        "025": "an interchange with this control number came before",
        "026": "the element or repetition separator cannot be one",
        "027": "the component separator cannot be one",
    },
    Level.GROUP: {
        "1": "this kind of functional group is not supported",
        "2": "this implementation convention is not supported",
        "3": "the group trailer is missing",
        "4": "the control numbers of GS and GE differ",
        "5": "the number of transaction sets is not the one GE states",
        "6": "the group control number is not valid",
        "19": "the group control number is not unique in the interchange",
    },
    Level.SET: {
        "1": "this transaction set is not supported",
        "2": "the transaction set trailer is missing",
        "3": "the control numbers of ST and SE differ",
        "4": "the number of segments is not the one SE states",
        "5": "one or more segments are in error",
        "6": "the transaction set identifier is missing or not valid",
        "7": "the transaction set control number is missing or not valid",
        "23": "the transaction set control number is not unique in the group",
        "I5": "one or more segments are in error by the implementation",
        "I6": "this implementation convention is not supported",
    },
    Level.SEGMENT: {
        "1": "the segment identifier is not known",
        "2": "the segment is not expected here",
        "3": "a required segment is missing",
        "4": "the loop occurs too often",
        "5": "the segment occurs too often",
        "6": "the segment is not in this transaction set",
        "7": "the segment is out of order",
        "8": "the segment has elements in error",
    },
    Level.ELEMENT: {
        "1": "a required element is missing",
        "2": "an element required by another is missing",
        "3": "there are too many elements",
        "4": "the element is too short",
        "5": "the element is too long",
        "6": "the element has a character it may not have",
        "7": "the code is not permitted here",
        "8": "the date is not valid",
        "9": "the time is not valid",
        "10": "elements that exclude each other are present",
        "12": "the element repeats too often",
        "13": "there are too many components",
        "I10": "the element is not used here",
        "I12": "the element does not follow its pattern",
    },
}
"""What each code means, by level."""
