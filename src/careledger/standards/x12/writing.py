"""From segments to bytes.

Owns the joining of elements with the delimiters, the refusal of values that would break it, and the control
segments around what the writers of this package produce. Takes date, time and control numbers from its
caller: there is no clock here.
"""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from careledger.standards.x12.dates import read_time, write_date
from careledger.standards.x12.errors import Location, UnwritableError
from careledger.standards.x12.header import Delimiters

Value: TypeAlias = str | tuple[str, ...]
"""A simple element, or the components of a composite."""

DELIMITERS = Delimiters()
"""What this package writes with: asterisk, colon, circumflex, tilde."""

_CONTROL_MAX = 999_999_999
_IDENTIFIER_LENGTH = 15


class Stamp(Struct, frozen=True, kw_only=True):
    """What an interchange is marked with. The caller owns the clock and the numbering."""

    date: str
    """ISO 8601."""
    time: str
    """HHMM or HHMMSS."""
    control_number: int
    """Interchange and group control number, 1 to 999,999,999; unique between the two parties."""
    usage: str = "P"
    """`P` production or `T` test."""
    is_acknowledgement_requested: bool = False
    line_end: str = ""
    """Written after every segment terminator, for people who read the file."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """One party of an interchange."""

    qualifier: str = "ZZ"
    """ISA05 or ISA07."""
    identifier: str
    """ISA06 or ISA08, at most 15 characters."""
    application: str = ""
    """GS02 or GS03; the identifier where empty."""


class SetWriter:
    """Collects the segments of one transaction set as text."""

    def __init__(self, set_id: str, version: str, *, names_version: bool = True) -> None:
        """Start a set; `names_version` says whether ST03 is written (835 leaves it out)."""
        self.set_id = set_id
        self.version = version
        self.names_version = names_version
        self.lines: list[str] = []

    def add(self, *values: Value) -> None:
        """Add one segment, identifier first; empty values at its end are left out.

        Raises:
            UnwritableError: If a value holds a separator, so that a reader would take the segment apart differently.
        """
        parts: list[str] = []
        components = 0
        for value in values:
            if isinstance(value, str):
                parts.append(value)
                continue
            last = len(value)
            while last and not value[last - 1]:
                last -= 1
            parts.append(":".join(value[:last]))
            components += max(last - 1, 0)
        while not parts[-1]:
            parts.pop()
        line = "*".join(parts)
        if line.count("*") != len(parts) - 1 or line.count(":") != components:
            place = Location(position=len(self.lines) + 2, segment=parts[0])
            raise UnwritableError("a value holds a separator", place)
        self.lines.append(line)

    def check(self) -> None:
        """Refuse characters that cannot be written.

        Raises:
            UnwritableError: If a value has a character outside printable ASCII, a terminator or a repetition separator.
        """
        body = "".join(self.lines)
        if body.isascii() and body.isprintable() and "~" not in body and "^" not in body:
            return
        for position, line in enumerate(self.lines, 2):
            if not (line.isascii() and line.isprintable()) or "~" in line or "^" in line:
                place = Location(position=position, segment=line.partition("*")[0])
                raise UnwritableError("a value has a character that cannot be written", place)


def _control(number: int) -> int:
    """Return a control number once its range is checked."""
    if not 1 <= number <= _CONTROL_MAX:
        raise UnwritableError("a control number is from 1 to 999,999,999")
    return number


def _written(text: str, segment: str) -> str:
    """Return the value of a control segment once it is known to be one."""
    if not (text.isascii() and text.isprintable()) or any(delimiter in text for delimiter in "*:^~"):
        place = Location(segment=segment)
        raise UnwritableError("a value of the control segments has a character that cannot be written", place)
    return text


def _padded(identifier: str) -> str:
    """Return an interchange identifier at its fixed width."""
    if not 0 < len(identifier) <= _IDENTIFIER_LENGTH:
        raise UnwritableError("an interchange identifier has 1 to 15 characters", Location(segment="ISA"))
    return _written(identifier, "ISA").ljust(_IDENTIFIER_LENGTH)


def write_interchange(
    stamp: Stamp,
    *,
    sender: Endpoint,
    receiver: Endpoint,
    functional_id: str,
    sets: Sequence[SetWriter],
    interchange_segments: Sequence[str] = (),
) -> bytes:
    """Return an interchange of at most one functional group.

    Args:
        stamp: Date, time and numbers.
        sender: Who sends.
        receiver: Who receives.
        functional_id: Kind of group (GS01).
        sets: The transaction sets, all of one version; none leaves the group out.
        interchange_segments: Segments before the group (TA1), already joined.

    Raises:
        UnwritableError: If a value cannot be written.
    """
    number = _control(stamp.control_number)
    try:
        date, time = write_date(stamp.date), read_time(stamp.time)
    except ValueError as error:
        raise UnwritableError(f"the stamp is {error}") from error
    parties = "*".join(
        f"{_written(party.qualifier, 'ISA')}*{_padded(party.identifier)}" for party in (sender, receiver)
    )
    header = (
        f"ISA*00*{'':10}*00*{'':10}*{parties}*{date[2:]}*{time[:4]}*^*00501*{number:09d}"
        f"*{int(stamp.is_acknowledgement_requested)}*{stamp.usage}*:"
    )
    lines = [header, *interchange_segments]
    if sets:
        codes = [_written(party.application or party.identifier, "GS") for party in (sender, receiver)]
        lines.append(f"GS*{functional_id}*{'*'.join(codes)}*{date}*{time}*{number}*X*{sets[0].version}")
        for ordinal, item in enumerate(sets, 1):
            item.check()
            version = f"*{item.version}" if item.names_version else ""
            lines.append(f"ST*{item.set_id}*{ordinal:04d}{version}")
            lines.extend(item.lines)
            lines.append(f"SE*{len(item.lines) + 2}*{ordinal:04d}")
        lines.append(f"GE*{len(sets)}*{number}")
    lines.append(f"IEA*{int(bool(sets))}*{number:09d}")
    terminator = f"~{stamp.line_end}"
    return (terminator.join(lines) + terminator).encode("ascii")
