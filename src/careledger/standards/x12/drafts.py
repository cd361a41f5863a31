"""Loops being written.

Owns `Draft`, a loop as its segments and inner loops in any order, and the putting in order of both by the
implementation's table, so that a writer need not repeat what the table already says. Refuses what has no place in
the table.
"""

from collections.abc import Iterable

from careledger.standards.x12.errors import Location, UnwritableError
from careledger.standards.x12.tables.notation import LoopSpec, SegmentSpec
from careledger.standards.x12.writing import SetWriter, Value

Row = tuple[Value, ...]
"""A segment to be written: identifier and elements."""


class Draft:
    """One loop to be written; the first segment starts it."""

    __slots__ = ("loops", "segments")

    def __init__(self, *segments: Row) -> None:
        self.segments: list[Row] = list(segments)
        self.loops: list[Draft] = []

    def add(self, *values: Value) -> None:
        """Add a segment."""
        self.segments.append(values)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add segments."""
        self.segments.extend(rows)

    def nest(self, loop: "Draft | None") -> None:
        """Add an inner loop, if there is one."""
        if loop is not None:
            self.loops.append(loop)


def _place(spec: LoopSpec, row: Row) -> SegmentSpec | LoopSpec:
    """Return the place of a segment in a loop.

    Raises:
        UnwritableError: If it has none.
    """
    name = row[0]
    entry = spec.by_id.get(name) if isinstance(name, str) else None
    if entry is not None:
        value = row[entry.element] if len(row) > entry.element else ""
        code = (value[0] if value else "") if isinstance(value, tuple) else value
        found = entry.by_code.get(code, ()) if entry.element else entry.candidates
        if found:
            return found[0]
    shown = name if isinstance(name, str) else ""
    raise UnwritableError(
        "the implementation has no place for this segment", Location(segment=shown, loop=spec.id)
    )


def write_draft(draft: Draft, spec: LoopSpec, writer: SetWriter, *, is_root: bool = False) -> None:
    """Write a loop and the loops inside it in the order of the table.

    Raises:
        UnwritableError: If a segment or loop has no place in the table.
    """
    segments = draft.segments
    if not is_root:
        writer.add(*segments[0])
        segments = segments[1:]
    items: list[tuple[int, Row | Draft, SegmentSpec | LoopSpec]] = []
    for row in segments:
        place = _place(spec, row)
        items.append((place.group, row, place))
    for loop in draft.loops:
        place = _place(spec, loop.segments[0])
        items.append((place.group, loop, place))
    items.sort(key=lambda item: item[0])
    for _, item, place in items:
        if isinstance(item, Draft) and isinstance(place, LoopSpec):
            write_draft(item, place, writer)
        elif isinstance(item, tuple):
            writer.add(*item)
