"""Checking a transaction set as a whole.

Owns the run of one transaction set through the loop builder and the element checks, and the rules that need
several segments: the numbering of hierarchical levels (HL) and of service lines (LX). Answers nothing:
`acknowledge` does.
"""

from careledger.standards.x12.checks import check_segment
from careledger.standards.x12.faults import Fault, Level
from careledger.standards.x12.header import Delimiters
from careledger.standards.x12.patterns import SegmentPattern, segment_pattern
from careledger.standards.x12.tables.notation import LoopSpec, SegmentSpec, TransactionSpec
from careledger.standards.x12.tokens import Limits, Segment
from careledger.standards.x12.walker import Walker

_PARENT_LEVELS = {
    "837": {"20": "", "22": "20", "23": "22"},
    "277": {"20": "", "21": "20", "19": "21", "PT": "19"},
}
"""Which level (HL03) each level stands under, by transaction set."""


class _Levels:
    """The hierarchical levels seen so far, kept as the chain of open ones."""

    def __init__(self, parents: dict[str, str]) -> None:
        self._parents = parents
        self._number = 0
        self._open: list[tuple[str, str]] = []

    def faults(self, elements: Segment, position: int) -> list[Fault]:
        """Take one HL segment and return what is wrong with its numbers."""
        number, parent, level = ([*elements[1:4], "", "", ""])[:3]
        found = []
        self._number += 1
        if number != str(self._number):
            found.append(Fault(Level.ELEMENT, "I12", position, "HL", element=1, reference="628"))
        wanted = self._parents.get(level)
        if wanted is None:
            return found
        while self._open and self._open[-1][1] != wanted:
            self._open.pop()
        above = self._open[-1][0] if self._open else ""
        if parent != above:
            found.append(
                Fault(Level.ELEMENT, "7" if parent else "1", position, "HL", element=2, reference="734")
            )
        self._open.append((number, level))
        return found


class SetChecker:
    """Takes the segments of one transaction set; `faults` holds what is wrong with them."""

    def __init__(self, table: TransactionSpec, delimiters: Delimiters, limits: Limits) -> None:
        self._delimiters = delimiters
        self._faults_max = limits.faults_max
        self.faults: list[Fault] = []
        """In the order of the segments, at most as many as the limits allow."""
        self.uncounted = 0
        """How many more there were."""
        self._seen: set[tuple[int, int, int, str, str, str]] = set()
        every_loop = frozenset(_loop_ids(table))
        self._walker = Walker(
            table, delimiters.component, self._report, drop=every_loop, segments_max=limits.loop_segments_max
        )
        self._patterns: dict[SegmentSpec, SegmentPattern] = {}
        self._levels = _Levels(_PARENT_LEVELS.get(table.set_id, {}))
        self._lines = 0
        self._is_claim = table.set_id == "837"

    def take(self, elements: Segment, position: int) -> None:
        """Check one segment."""
        spec = self._walker.advance(elements, position)
        if spec is None:
            return
        pattern = self._patterns.get(spec)
        if pattern is None:
            pattern = self._patterns[spec] = segment_pattern(spec, self._delimiters)
        if not pattern.accepts(elements, self._delimiters.element):
            check_segment(spec, elements, position, self._delimiters, self._report)
        name = elements[0]
        if name == "HL":
            for fault in self._levels.faults(elements, position):
                self._report(fault)
        elif self._is_claim and name in {"LX", "CLM"}:
            self._lines = 0 if name == "CLM" else self._lines + 1
            if name == "LX" and elements[1:2] != [str(self._lines)]:
                self._report(Fault(Level.ELEMENT, "I12", position, "LX", "2400", 1, reference="554"))

    def finish(self, position: int) -> None:
        """Check that nothing is missing; `position` is that of the trailer."""
        self._walker.finish(position)

    def _report(self, fault: Fault) -> None:
        """Keep a fault once."""
        # A code that fits no place is found by the loop builder and again by the element check.
        loop = "" if fault.element else fault.loop
        key = (fault.position, fault.element, fault.component, fault.code, fault.segment, loop)
        if key in self._seen:
            return
        if len(self.faults) >= self._faults_max:
            self.uncounted += 1
            return
        self._seen.add(key)
        self.faults.append(fault)


def _loop_ids(table: TransactionSpec) -> set[str]:
    """Return the id of every loop of a table."""
    found: set[str] = set()
    open_loops = [table.root]
    while open_loops:
        for child in open_loops.pop().children:
            if isinstance(child, LoopSpec):
                found.add(child.id)
                open_loops.append(child)
    return found
