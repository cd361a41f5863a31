"""Acknowledging what was received: TA1 for the interchange, 999 for each functional group.

Owns the decision (accepted, partly, rejected) and the results it rests on; memory stays within one batch of
segments plus the findings. Writing the answer is `acknowledge_write`; whether a claim can be worked is
`claim_status`.
"""

from collections.abc import Iterator, MutableSet

from msgspec import Struct

from careledger.standards.x12.envelope import EnvelopeTracker, GroupHeader, SegmentSink, SetHeader
from careledger.standards.x12.errors import LimitError, Location
from careledger.standards.x12.faults import Fault, Level
from careledger.standards.x12.header import Delimiters, InterchangeHeader
from careledger.standards.x12.tables import find_table, is_functional_id_known
from careledger.standards.x12.tables.notation import TransactionSpec
from careledger.standards.x12.tokens import Limits, Segment, SegmentReader
from careledger.standards.x12.validate import SetChecker

_ACKNOWLEDGEMENTS = "FA"
_SETS_MAX = 100_000
"""Transaction sets of one interchange; each leaves a result."""


class SetResult(Struct, frozen=True, kw_only=True):
    """What became of one transaction set."""

    set_id: str
    control_number: str
    version: str
    """ST03, or the group's convention where the set names none."""
    ordinal: int
    """Which transaction set of the input, from 1."""
    faults: tuple[Fault, ...] = ()
    """Of every level, in order of position within each level."""
    uncounted: int = 0
    """Faults beyond the limit, not kept."""

    @property
    def is_accepted(self) -> bool:
        """Whether nothing was found."""
        return not self.faults


class GroupResult(Struct, frozen=True, kw_only=True):
    """What became of one functional group."""

    header: GroupHeader
    sets: tuple[SetResult, ...]
    stated_sets: int
    """How many GE says there are."""
    faults: tuple[Fault, ...] = ()

    @property
    def accepted(self) -> int:
        """Transaction sets accepted; none if the group itself is at fault."""
        return 0 if self.faults else sum(result.is_accepted for result in self.sets)

    @property
    def code(self) -> str:
        """AK901: `A` accepted, `P` partly, `R` rejected."""
        if self.faults or not self.accepted:
            return "R"
        return "A" if self.accepted == len(self.sets) else "P"

    @property
    def is_answered(self) -> bool:
        """Whether a 999 answers the group; an acknowledgement is never acknowledged."""
        return self.header.functional_id != _ACKNOWLEDGEMENTS


class Acknowledgement(Struct, frozen=True, kw_only=True):
    """What became of one interchange."""

    header: InterchangeHeader
    groups: tuple[GroupResult, ...]
    faults: tuple[Fault, ...] = ()
    """Of the interchange itself; any of them rejects it whole."""

    @property
    def code(self) -> str:
        """TA104: `A` accepted or `R` rejected."""
        return "R" if self.faults else "A"

    @property
    def note_code(self) -> str:
        """TA105: `000`, or the first fault's code."""
        return self.faults[0].code if self.faults else "000"

    @property
    def is_ta1_due(self) -> bool:
        """Whether a TA1 is to be sent: it was asked for, or the interchange is rejected."""
        return self.header.is_acknowledgement_requested or bool(self.faults)

    @property
    def answered_groups(self) -> tuple[GroupResult, ...]:
        """The groups a 999 answers."""
        return () if self.faults else tuple(group for group in self.groups if group.is_answered)


class _Results:
    """Gathers results as the envelope closes its levels (an `EnvelopeHandler`)."""

    def __init__(self, limits: Limits, known: MutableSet[tuple[str, ...]] | None) -> None:
        self._limits = limits
        self._known = known
        self._header: InterchangeHeader | None = None
        self._duplicate = False
        self._group: GroupHeader | None = None
        self._group_faults: list[Fault] = []
        self._table: TransactionSpec | None = None
        self._set: SetHeader | None = None
        self._checker: SetChecker | None = None
        self._sets: list[SetResult] = []
        self._groups: list[GroupResult] = []
        self.done: list[Acknowledgement] = []

    def interchange_opened(self, header: InterchangeHeader, delimiters: Delimiters) -> None:  # noqa: ARG002
        self._header, self._groups = header, []
        key = (*header.sender, *header.receiver, header.control_number)
        self._duplicate = self._known is not None and key in self._known
        if self._known is not None and not header.faults:
            self._known.add(key)

    def interchange_closed(self, faults: list[Fault]) -> None:
        if self._header is None:
            return
        if self._duplicate:
            faults = [*faults, Fault(Level.INTERCHANGE, "025", segment="ISA", element=13)]
        self.done.append(
            Acknowledgement(header=self._header, groups=tuple(self._groups), faults=tuple(faults))
        )
        self._groups = []

    def group_opened(self, header: GroupHeader) -> None:
        self._group, self._group_faults, self._sets = header, [], []
        self._table = find_table(header.functional_id, header.version)
        if self._table is None:
            code = "2" if is_functional_id_known(header.functional_id) else "1"
            element = 8 if code == "2" else 1
            self._group_faults.append(Fault(Level.GROUP, code, segment="GS", element=element))

    def group_closed(self, faults: list[Fault], *, stated_sets: int, received_sets: int) -> None:  # noqa: ARG002
        if self._group is not None:
            self._groups.append(
                GroupResult(
                    header=self._group,
                    sets=tuple(self._sets),
                    stated_sets=stated_sets,
                    faults=(*self._group_faults, *faults),
                )
            )

    def set_opened(self, header: SetHeader) -> SegmentSink:
        if len(self._sets) + sum(len(group.sets) for group in self._groups) >= _SETS_MAX:
            raise LimitError(
                "the interchange has more transaction sets than allowed", Location(transaction=header.ordinal)
            )
        self._set = header
        if (
            self._table is None
            or header.set_id != self._table.set_id
            or header.version not in self._table.versions
        ):
            self._checker = None
            return _ignore
        self._checker = SetChecker(self._table, header.delimiters, self._limits)
        return self._checker.take

    def set_closed(self, faults: list[Fault], position: int) -> None:
        header, checker = self._set, self._checker
        if header is None:
            return
        found: list[Fault] = []
        uncounted = 0
        if checker is not None:
            checker.finish(position)
            found, uncounted = checker.faults, checker.uncounted
        elif self._table is not None:
            code = "I6" if header.set_id == self._table.set_id else "1"
            faults = [*faults, Fault(Level.SET, code, 1, "ST", element=3 if code == "I6" else 1)]
        self._sets.append(
            SetResult(
                set_id=header.set_id,
                control_number=header.control_number,
                version=header.version,
                ordinal=header.ordinal,
                faults=(*faults, *found),
                uncounted=uncounted,
            )
        )


def _ignore(elements: Segment, position: int) -> None:
    """Take a segment of a set that no table describes."""


def acknowledge(
    source: bytes | Iterator[bytes],
    limits: Limits | None = None,
    *,
    known: MutableSet[tuple[str, ...]] | None = None,
) -> Iterator[Acknowledgement]:
    """Check every interchange of the input and yield what to answer.

    Args:
        source: The input, whole or in pieces.
        limits: How large it may be.
        known: Interchanges seen before: qualifier and identifier of sender and receiver, and control number. One met
            again is rejected with 025, a new one is added. Without it duplicates are not looked for.

    Yields:
        One acknowledgement for each interchange, when its end is reached.

    Raises:
        MalformedError: If no interchange can be made out, so that there is nobody to answer.
        LimitError: If the input crosses a limit.
    """
    limits = limits or Limits()
    reader = SegmentReader(source, limits)
    results = _Results(limits, known)
    tracker = EnvelopeTracker(results)
    for batch in reader.batches():
        tracker.feed(batch)
        yield from results.done
        results.done.clear()
    tracker.finish(is_truncated=reader.is_truncated)
    yield from results.done
