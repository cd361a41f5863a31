"""The interchange header (ISA): delimiters and addresses.

Owns the reading of the fixed-width ISA segment. The delimiters come from it and are never guessed; a header
with elements of wrong length is still read as far as it can be, so that a TA1 can answer it. Does not check
control numbers against the trailer: that is `envelope`.
"""

from msgspec import Struct

from careledger.standards.x12.dates import check_moment
from careledger.standards.x12.errors import Location, MalformedError
from careledger.standards.x12.faults import Fault, Level

HEADER_WINDOW = 512
"""Characters looked at for a header; a correct one and its terminator take 106."""

_LENGTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_CODES = {
    1: frozenset({"00", "01", "02", "03", "04", "05", "06"}),
    3: frozenset({"00", "01"}),
    5: frozenset({"01", "14", "20", "27", "28", "29", "30", "33", "ZZ"}),
    7: frozenset({"01", "14", "20", "27", "28", "29", "30", "33", "ZZ"}),
    12: frozenset({"00501"}),
    14: frozenset({"0", "1"}),
    15: frozenset({"I", "P", "T"}),
}
_FAULTS = (
    *("010", "011", "012", "013", "005", "006", "007", "008"),
    *("014", "015", "026", "003", "018", "019", "020", "027"),
)
_DATE, _TIME, _REPETITION, _CONTROL = 9, 10, 11, 13


class Delimiters(Struct, frozen=True):
    """The four characters that structure an interchange."""

    element: str = "*"
    component: str = ":"
    repetition: str = "^"
    """Empty where ISA11 holds no separator, as in interchanges that kept the `U` of earlier versions."""
    segment: str = "~"


NO_DELIMITERS = Delimiters("", "", "", "")
"""Before any header was read."""


class InterchangeHeader(Struct, frozen=True, kw_only=True):
    """The elements of ISA, as written, and what is wrong with them."""

    elements: tuple[str, ...]
    """ISA01 to ISA16, blanks included."""
    faults: tuple[Fault, ...] = ()

    @property
    def sender(self) -> tuple[str, str]:
        """Qualifier and identifier of the sender (ISA05, ISA06)."""
        return self.elements[4], self.elements[5].rstrip()

    @property
    def receiver(self) -> tuple[str, str]:
        """Qualifier and identifier of the receiver (ISA07, ISA08)."""
        return self.elements[6], self.elements[7].rstrip()

    @property
    def date(self) -> str:
        """Interchange date, YYMMDD (ISA09)."""
        return self.elements[8]

    @property
    def time(self) -> str:
        """Interchange time, HHMM (ISA10)."""
        return self.elements[9]

    @property
    def control_number(self) -> str:
        """Interchange control number (ISA13)."""
        return self.elements[12]

    @property
    def is_acknowledgement_requested(self) -> bool:
        """Whether a TA1 is asked for (ISA14)."""
        return self.elements[13] == "1"

    @property
    def usage(self) -> str:
        """`P` production, `T` test, `I` information (ISA15)."""
        return self.elements[14]


def _is_separator(character: str) -> bool:
    """Tell whether a character may separate."""
    return bool(character) and not character.isalnum() and character != " "


def _fault(place: int) -> Fault:
    """Return the fault of ISA element `place`."""
    return Fault(Level.INTERCHANGE, _FAULTS[place - 1], segment="ISA", element=place)


def _element_faults(elements: tuple[str, ...]) -> tuple[Fault, ...]:
    """Check lengths and values of the sixteen elements."""
    faults = []
    for place, (value, length) in enumerate(zip(elements, _LENGTHS, strict=True), 1):
        is_good = len(value) == length and value.isascii() and value.isprintable()
        if place in _CODES:
            is_good = is_good and value in _CODES[place]
        elif place == _DATE:
            is_good = is_good and check_moment("D6", value)
        elif place == _TIME:
            is_good = is_good and check_moment("TM", value)
        elif place == _CONTROL:
            is_good = is_good and value.isdecimal()
        elif place in {6, 8}:
            is_good = is_good and bool(value.strip())
        elif place in {11, 16}:
            is_good = len(value) == length
        if not is_good:
            faults.append(_fault(place))
    return tuple(faults)


def read_header(text: str, offset: int) -> tuple[InterchangeHeader, Delimiters]:
    """Read the header that starts `text`.

    Args:
        text: At least the header and its terminator, where there is that much.
        offset: Where `text` starts in the input, in bytes.

    Returns:
        The header with its faults, and the delimiters it names.

    Raises:
        MalformedError: If sixteen elements and a terminator cannot be made out, so that nothing can be answered.
    """
    place = Location(byte=offset, segment="ISA")
    element = text[3:4]
    if not _is_separator(element):
        raise MalformedError("the interchange header has no element separator", place)
    parts = text.split(element, 16)
    if (
        len(parts) != len(_LENGTHS) + 1
        or len(parts[16]) < 2
        or len(element.join(parts[:16])) > HEADER_WINDOW // 2
    ):
        raise MalformedError("the interchange header does not have sixteen elements", place)
    component, segment = parts[16][0], parts[16][1]
    if segment.isalnum() or segment == " " or segment in {element, component}:
        raise MalformedError("the interchange header has no segment terminator", place)
    if segment in element.join(parts[:16]):
        raise MalformedError("the interchange header has its segment terminator among its elements", place)
    elements = (*parts[1:16], component)
    faults = _element_faults(elements)
    repetition = elements[_REPETITION - 1] if _is_separator(elements[_REPETITION - 1]) else ""
    if repetition and repetition in {element, component, segment}:
        repetition, faults = "", (*faults, _fault(_REPETITION))
    if not _is_separator(component) or component == element:
        faults = (*faults, _fault(16))
    return InterchangeHeader(elements=elements, faults=faults), Delimiters(
        element, component, repetition, segment
    )
