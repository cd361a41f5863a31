"""Interchanges, functional groups and transaction sets: how the control segments nest and count.

Owns the state machine over ISA/IEA, GS/GE and ST/SE and the faults of those levels (TA105, AK905, IK502).
What stands between ST and SE goes, segment by segment, to whoever handles the set; this module keeps none
of it.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from careledger.standards.x12.dates import is_date, is_time
from careledger.standards.x12.errors import MalformedError
from careledger.standards.x12.faults import Fault, Level
from careledger.standards.x12.header import Delimiters, InterchangeHeader
from careledger.standards.x12.tokens import Batch, Segment, SegmentReader

SegmentSink = Callable[[Segment, int], object]
"""Takes one segment and its position in the transaction set (ST is 1)."""

_CONTROL = frozenset({"ISA", "IEA", "TA1", "GS", "GE", "ST", "SE"})
_GROUP_ELEMENTS = 8
_GROUP_CONTROL_LENGTH = 9
_SET_CONTROL_LENGTHS = range(4, 10)


class GroupHeader(Struct, frozen=True):
    """The elements of GS."""

    functional_id: str
    """Kind of group (GS01)."""
    sender: str
    receiver: str
    date: str
    time: str
    control_number: str
    version: str
    """Implementation convention (GS08)."""


class SetHeader(Struct, frozen=True):
    """The elements of ST and where they stand."""

    set_id: str
    control_number: str
    version: str
    """Implementation convention of the set (ST03), or of its group where the set names none."""
    group: GroupHeader
    delimiters: Delimiters
    ordinal: int
    """Which transaction set of the input, from 1."""


class EnvelopeHandler(Protocol):
    """What is told of the nesting. Faults are given when a level closes."""

    def interchange_opened(self, header: InterchangeHeader, delimiters: Delimiters) -> None:
        """Take note of ISA."""

    def interchange_closed(self, faults: list[Fault]) -> None:
        """Take note of IEA, or of the input's end."""

    def group_opened(self, header: GroupHeader) -> None:
        """Take note of GS."""

    def group_closed(self, faults: list[Fault], *, stated_sets: int, received_sets: int) -> None:
        """Take note of GE, or of its absence."""

    def set_opened(self, header: SetHeader) -> SegmentSink:
        """Take note of ST and say what its segments go to."""

    def set_closed(self, faults: list[Fault], position: int) -> None:
        """Take note of SE at `position`, or of its absence."""


class _Level:
    """One open control level."""

    __slots__ = ("control_number", "faults", "received", "seen")

    def __init__(self, control_number: str) -> None:
        self.control_number = control_number
        self.faults: list[Fault] = []
        self.received = 0
        """Groups, transaction sets or segments so far."""
        self.seen: set[str] = set()
        """Control numbers used one level below."""


def _at(elements: Segment, place: int) -> str:
    """Return an element, empty if the segment is shorter."""
    return elements[place] if len(elements) > place else ""


def _count(text: str) -> int:
    """Return a stated count, -1 if it is none."""
    return int(text) if text.isdecimal() and len(text) <= _GROUP_CONTROL_LENGTH + 1 else -1


class EnvelopeTracker:
    """Follows the control segments of a stream and reports to its handler."""

    def __init__(self, handler: EnvelopeHandler) -> None:
        self._handler = handler
        self._delimiters = Delimiters()
        self._interchange: _Level | None = None
        self._group: _Level | None = None
        self._group_header: GroupHeader | None = None
        self._set: _Level | None = None
        self._sink: SegmentSink | None = None
        self._sets = 0
        self.position = 0
        """Position of the last segment in its transaction set."""
        self._handlers = {
            "GS": self._open_group,
            "GE": self._close_group,
            "ST": self._open_set,
            "SE": self._close_set,
        }

    @property
    def ordinal(self) -> int:
        """Which transaction set of the input is, or was last, open."""
        return self._sets

    def feed(self, batch: Batch) -> None:
        """Take one batch of segments."""
        if batch.header is not None:
            self._open_interchange(batch.header, batch.delimiters)
        sink, position = self._sink, self.position
        for elements in batch.segments:
            if elements[0] in _CONTROL:
                self.position = position
                self._control(elements)
                sink, position = self._sink, self.position
            elif sink is not None:
                position += 1
                sink(elements, position)
            else:
                self._misplaced()
        self.position = position

    def finish(self, *, is_truncated: bool) -> None:
        """Take the end of the input."""
        if self._interchange is not None:
            self._end_interchange(None if is_truncated else [])

    def _misplaced(self) -> None:
        """Note a segment outside every transaction set, or a control segment out of place, once."""
        if self._interchange is not None and all(fault.code != "022" for fault in self._interchange.faults):
            self._interchange.faults.append(Fault(Level.INTERCHANGE, "022"))

    def _control(self, elements: Segment) -> None:
        """Take one control segment."""
        name = elements[0]
        if name in self._handlers:
            self._handlers[name](elements)
        elif name == "IEA":
            self._end_interchange(elements)
        elif name == "TA1" and self._group is not None:
            self._misplaced()

    def _open_interchange(self, header: InterchangeHeader, delimiters: Delimiters) -> None:
        if self._interchange is not None:
            self._end_interchange(None)
        self._delimiters = delimiters
        self._interchange = _Level(header.control_number)
        self._interchange.faults.extend(header.faults)
        self._handler.interchange_opened(header, delimiters)

    def _end_interchange(self, elements: Segment | None) -> None:
        """Close the interchange with its trailer, or with None where the input ended."""
        self._end_group(None)
        level, self._interchange = self._interchange, None
        if level is None:
            return
        if not elements:
            level.faults.append(Fault(Level.INTERCHANGE, "023"))
        else:
            if _at(elements, 2) != level.control_number:
                level.faults.append(Fault(Level.INTERCHANGE, "001", segment="IEA", element=2))
            if _count(_at(elements, 1)) != level.received:
                level.faults.append(Fault(Level.INTERCHANGE, "021", segment="IEA", element=1))
        self._handler.interchange_closed(level.faults)

    def _open_group(self, elements: Segment) -> None:
        interchange = self._interchange
        if interchange is None:
            raise MalformedError("a group header stands outside an interchange")
        self._end_group(None)
        interchange.received += 1
        header = GroupHeader(*(_at(elements, place) for place in (1, 2, 3, 4, 5, 6, 8)))
        self._group, self._group_header = _Level(header.control_number), header
        is_good = len(elements) == _GROUP_ELEMENTS + 1 and all(elements) and elements[7] == "X"
        if not (is_good and is_date(header.date) and is_time(header.time)):
            interchange.faults.append(Fault(Level.INTERCHANGE, "024", segment="GS"))
        number = header.control_number
        if not (number.isdecimal() and len(number) <= _GROUP_CONTROL_LENGTH):
            self._group.faults.append(Fault(Level.GROUP, "6", segment="GS", element=6))
        elif number in interchange.seen:
            self._group.faults.append(Fault(Level.GROUP, "19", segment="GS", element=6))
        interchange.seen.add(number)
        self._handler.group_opened(header)

    def _close_group(self, elements: Segment) -> None:
        if self._group is None:
            self._misplaced()
        else:
            self._end_group(elements)

    def _end_group(self, elements: Segment | None) -> None:
        """Close the group with its trailer, or with None where that is missing."""
        self._end_set(None)
        level, self._group = self._group, None
        if level is None:
            return
        stated = level.received
        if elements is None:
            level.faults.append(Fault(Level.GROUP, "3"))
        else:
            stated = _count(_at(elements, 1))
            if _at(elements, 2) != level.control_number:
                level.faults.append(Fault(Level.GROUP, "4", segment="GE", element=2))
            if stated != level.received:
                level.faults.append(Fault(Level.GROUP, "5", segment="GE", element=1))
        self._handler.group_closed(level.faults, stated_sets=max(stated, 0), received_sets=level.received)

    def _open_set(self, elements: Segment) -> None:
        if self._group is None or self._group_header is None:
            self._misplaced()
            return
        self._end_set(None)
        self._sets += 1
        self._group.received += 1
        self.position = 1
        number = _at(elements, 2)
        version = _at(elements, 3) or self._group_header.version
        header = SetHeader(
            _at(elements, 1), number, version, self._group_header, self._delimiters, self._sets
        )
        self._set = _Level(number)
        if len(header.set_id) != 3 or not header.set_id.isdecimal():
            self._set.faults.append(Fault(Level.SET, "6", 1, "ST", element=1))
        if len(number) not in _SET_CONTROL_LENGTHS or not (number.isascii() and number.isalnum()):
            self._set.faults.append(Fault(Level.SET, "7", 1, "ST", element=2))
        elif number in self._group.seen:
            self._set.faults.append(Fault(Level.SET, "23", 1, "ST", element=2))
        self._group.seen.add(number)
        self._sink = self._handler.set_opened(header)

    def _close_set(self, elements: Segment) -> None:
        if self._set is None:
            self._misplaced()
        else:
            self.position += 1
            self._end_set(elements)

    def _end_set(self, elements: Segment | None) -> None:
        """Close the transaction set with its trailer, or with None where that is missing."""
        level, self._set, self._sink = self._set, None, None
        if level is None:
            return
        position = self.position
        if elements is None:
            level.faults.append(Fault(Level.SET, "2", position))
        else:
            if _count(_at(elements, 1)) != position:
                level.faults.append(Fault(Level.SET, "4", position, "SE", element=1))
            if _at(elements, 2) != level.control_number:
                level.faults.append(Fault(Level.SET, "3", position, "SE", element=2))
        self._handler.set_closed(level.faults, position)


def follow(reader: SegmentReader, handler: EnvelopeHandler) -> None:
    """Run a whole input through a handler.

    Raises:
        MalformedError: If no interchange can be made out.
        LimitError: If the input crosses a limit.
    """
    tracker = EnvelopeTracker(handler)
    for batch in reader.batches():
        tracker.feed(batch)
    tracker.finish(is_truncated=reader.is_truncated)
