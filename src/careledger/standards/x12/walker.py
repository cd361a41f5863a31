"""The loop builder: puts the segments of a transaction set into the loops of an implementation.

Owns the matching of segments against a table (`tables`): order, repetition, presence. Its faults are those
of IK304. Does not look into elements except for the code that tells one place from another: that is
`checks`.
"""

from typing import NoReturn

from careledger.standards.x12.dictionary import SEGMENTS
from careledger.standards.x12.errors import LimitError, Location
from careledger.standards.x12.faults import Fault, FaultHandler, Level
from careledger.standards.x12.tables.notation import LoopSpec, SegmentSpec, TransactionSpec
from careledger.standards.x12.tokens import Segment


class Loop:
    """One occurrence of a loop: its segments in order and the loops inside it."""

    __slots__ = ("counts", "group", "kept_before", "loops", "marks", "positions", "segments", "spec")

    def __init__(self, spec: LoopSpec, kept_before: int) -> None:
        self.spec = spec
        self.segments: list[Segment] = []
        self.positions: list[int] = []
        """Position of each segment in the transaction set."""
        self.loops: list[Loop] = []
        self.kept_before = kept_before
        """How many segments the builder held when the loop opened."""
        self.counts = spec.unused[:]
        """How often each place of the table was used, but for the start."""
        self.group = 0
        """Rank of the last position used; what ranks before it is out of order."""
        self.marks: list[tuple[int, int]] = []
        """Each rank reached, with the position of the segment that reached it."""

    @property
    def id(self) -> str:
        """Loop identifier of the implementation."""
        return self.spec.id

    def find(self, segment_id: str) -> Segment | None:
        """Return the first segment of this id, if any."""
        for elements in self.segments:
            if elements[0] == segment_id:
                return elements
        return None

    def inner(self, loop_id: str) -> "Loop | None":
        """Return the first inner loop of this id, if any."""
        for loop in self.loops:
            if loop.spec.id == loop_id:
                return loop
        return None


class Walker:
    """Builds the loops of one transaction set.

    Loops named in `emit` are handed over in `finished` when they close, each with the loops it stands in, and those in
    `drop` are forgotten then; neither stays in its parent. So a stream of claims needs the memory of one.
    """

    def __init__(
        self,
        table: TransactionSpec,
        component: str,
        report: FaultHandler,
        *,
        emit: frozenset[str] = frozenset(),
        drop: frozenset[str] = frozenset(),
        segments_max: int = 200_000,
    ) -> None:
        self._table = table
        self._component = component
        self._report = report
        self._emit = emit
        self._leave = emit | drop
        self._segments_max = segments_max
        self._kept = 0
        self._displaced_kept = 0
        self.root = Loop(table.root, 0)
        self.stack = [self.root]
        """Open loops, outermost first."""
        self.finished: list[tuple[Loop, tuple[Loop, ...]]] = []
        """Closed loops of `emit`, each with its open ancestors; whoever takes them clears the list."""

    def advance(self, elements: Segment, position: int) -> SegmentSpec | None:
        """Place one segment; return what the table asks of it, or None if it has no place."""
        stack = self.stack
        depth = len(stack) - 1
        name = elements[0]
        while depth >= 0:
            loop = stack[depth]
            entry = loop.spec.by_id.get(name)
            if entry is not None:
                at, is_component, by_code, found = entry
                if at:
                    code = elements[at] if len(elements) > at else ""
                    if is_component:
                        code = code.partition(self._component)[0]
                    found = by_code.get(code, ())
                # All places found share one position, so the first speaks for them.
                if found and found[0].group >= loop.group:
                    spec = found[0] if len(found) == 1 else _least_used(loop, found)
                    return self._take(spec, depth, elements, position)
            depth -= 1
        return self._unplaced(elements, position)

    def finish(self, position: int) -> None:
        """Close every loop; `position` is that of the trailer."""
        while self.stack:
            self._close(position)

    def _take(
        self, spec: SegmentSpec | LoopSpec, depth: int, elements: Segment, position: int
    ) -> SegmentSpec:
        """Put a segment where it belongs, closing and opening loops."""
        stack = self.stack
        for _ in range(len(stack) - 1 - depth):
            self._close(position)
        loop = stack[depth]
        if spec.group > loop.group:
            loop.group = spec.group
            loop.marks.append((spec.group, position))
        counts = loop.counts
        slot = spec.slot
        counts[slot] += 1
        start = spec.start
        if counts[slot] > spec.repeat_max:
            code, loop_id = ("5", loop.spec.id) if spec is start else ("4", spec.id)
            self._fault(code, position, elements[0], loop_id)
        if spec is not start:
            loop = Loop(spec, self._kept)  # type: ignore[arg-type]  # only a loop's start is another object
            stack.append(loop)
        loop.segments.append(elements)
        loop.positions.append(position)
        self._kept += 1
        if self._kept > self._segments_max:
            self._overfull(position)
        return start

    def _overfull(self, position: int) -> NoReturn:
        raise LimitError("a claim or remittance has more segments than allowed", Location(position=position))

    def _close(self, position: int) -> None:
        """Close the innermost loop and check that nothing required is missing from it."""
        loop = self.stack.pop()
        spec, counts = loop.spec, loop.counts
        for child in spec.required:
            if not counts[child.slot]:
                inner = child.id if isinstance(child, LoopSpec) else spec.id
                passed = (at for group, at in loop.marks if group > child.group)
                self._fault("3", next(passed, position), child.start.id, inner)
        if spec.id in self._leave:
            self._kept = loop.kept_before
            if spec.id in self._emit:
                self.finished.append((loop, tuple(self.stack)))
        elif self.stack:
            self.stack[-1].loops.append(loop)

    def _unplaced(self, elements: Segment, position: int) -> SegmentSpec | None:
        """Say why a segment has no place, and give it the place it was most likely meant for."""
        name = elements[0]
        if name not in SEGMENTS:
            # The identifier itself is not shown: where delimiters are damaged it can be a piece of anything.
            self._fault("1", position, "???", self.stack[-1].spec.id)
            return None
        if name not in self._table.places:
            self._fault("6", position, name, self.stack[-1].spec.id)
            return None
        for depth in range(len(self.stack) - 1, -1, -1):
            loop = self.stack[depth]
            entry = loop.spec.by_id.get(name)
            if entry is None:
                continue
            code = self._code(elements, entry.element, is_component=entry.is_component)
            found = entry.by_code.get(code, ()) if entry.element else entry.candidates
            if found:
                self._fault("7", position, name, loop.spec.id)
                return self._displaced(found[0], loop, elements, position)
            if entry.element and code not in self._table.places[name]:
                return self._miscoded(loop, entry.candidates, depth, elements, position)
        self._fault("2", position, name, self.stack[-1].spec.id)
        return None

    def _displaced(
        self, spec: SegmentSpec | LoopSpec, loop: Loop, elements: Segment, position: int
    ) -> SegmentSpec:
        """Take a segment that is out of order without closing anything, so that one slip is one fault."""
        loop.counts[spec.slot] += 1
        if isinstance(spec, LoopSpec):
            loop = Loop(spec, self._kept)
            self.stack.append(loop)
        loop.segments.append(elements)
        loop.positions.append(position)
        # Whatever closes next does not free this one, so these are counted for good.
        self._displaced_kept += 1
        if self._displaced_kept > self._segments_max:
            self._overfull(position)
        return spec.start

    def _miscoded(
        self,
        loop: Loop,
        candidates: tuple[SegmentSpec | LoopSpec, ...],
        depth: int,
        elements: Segment,
        position: int,
    ) -> SegmentSpec | None:
        """Take a segment whose code fits no place: for the required place still empty, if there is one."""
        missing = [
            spec for spec in candidates if spec.is_required and spec.slot and not loop.counts[spec.slot]
        ]
        spec = (missing[0] if missing else candidates[0]).start
        element, component = spec.key_place
        rule = spec.rules[element - 1]
        code = self._code(elements, element, is_component=component > 0)
        self._report(
            Fault(
                Level.ELEMENT,
                "7" if code else "1",
                position,
                elements[0],
                (missing[0].id if missing and isinstance(missing[0], LoopSpec) else loop.spec.id),
                element,
                component,
                reference=(rule.components[component - 1] if component else rule).reference,
            )
        )
        if missing and missing[0].group >= loop.group:
            return self._take(missing[0], depth, elements, position)
        return None

    def _code(self, elements: Segment, element: int, *, is_component: bool) -> str:
        """Return the code that tells places apart, empty if the segment has none."""
        code = elements[element] if 0 < element < len(elements) else ""
        return code.partition(self._component)[0] if is_component else code

    def _fault(self, code: str, position: int, segment: str, loop: str) -> None:
        self._report(Fault(Level.SEGMENT, code, position, segment, loop))


def _least_used(loop: Loop, found: tuple[SegmentSpec | LoopSpec, ...]) -> SegmentSpec | LoopSpec:
    """Return the first of several places of one code that has room, or the first."""
    for spec in found:
        if loop.counts[spec.slot] < spec.repeat_max:
            return spec
    return found[0]
