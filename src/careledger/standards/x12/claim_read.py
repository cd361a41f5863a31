"""Reading claims from a stream of 837P and 837I.

Owns the run of a stream through envelope and loop builder, handing over one claim at a time: memory holds
one batch of segments, the open levels and the claim being put together. Structure is held against the
table; the elements a claim is made of must be readable, others are taken as they are. Whoever answers the
sender runs `acknowledge` first.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from careledger.standards.x12.claim_model import Billing, Claim, Insured, Submission
from careledger.standards.x12.claim_parts import (
    Levels,
    read_billing,
    read_claim,
    read_insured,
    read_submission,
)
from careledger.standards.x12.envelope import EnvelopeTracker, GroupHeader, SegmentSink, SetHeader
from careledger.standards.x12.errors import ContentError, Location
from careledger.standards.x12.faults import Fault, FaultHandler, raise_fault
from careledger.standards.x12.header import Delimiters, InterchangeHeader
from careledger.standards.x12.parties import Party
from careledger.standards.x12.reading import UnreadableError, locate, read_party, require
from careledger.standards.x12.tables import find_table
from careledger.standards.x12.tables.claim_institutional import institutional_claim
from careledger.standards.x12.tables.notation import TransactionSpec
from careledger.standards.x12.tokens import Limits, SegmentReader
from careledger.standards.x12.walker import Loop, Walker

_T = TypeVar("_T")

_CLAIM_SET = "837"
_EMIT = frozenset({"2300"})
_DROP = frozenset({"2000A", "2000B", "2000C"})


class _Inherited:
    """The levels above a claim, each read once."""

    def __init__(self, version: str, component: str) -> None:
        self._version = version
        self._component = component
        self._read: dict[str, tuple[Loop, object]] = {}
        self._levels: tuple[tuple[Loop, ...], Levels] | None = None

    def above(self, loops: tuple[Loop, ...]) -> Levels:
        """Return what stands above a claim; `loops` are its open loops, the header first."""
        if self._levels is not None and self._levels[0] == loops:
            return self._levels[1]
        root, billing, subscriber = loops[:3]
        patient = loops[3] if len(loops) > 3 else None
        levels = Levels(
            submission=self._once(root, self._submission),
            billing=self._once(billing, self._billing),
            subscriber=self._once(subscriber, self._subscriber),
            payer=self._party(subscriber, "2010BB"),
            patient=read_insured(patient, self._party(patient, "2010CA")) if patient else None,
        )
        self._levels = loops, levels
        return levels

    def _once(self, loop: Loop, read: Callable[[Loop], _T]) -> _T:
        """Read a level unless it is the one read last."""
        known = self._read.get(loop.spec.id)
        if known is not None and known[0] is loop:
            return known[1]  # type: ignore[return-value]  # stored below by the same reader
        value = read(loop)
        self._read[loop.spec.id] = loop, value
        return value

    def _submission(self, loop: Loop) -> Submission:
        return read_submission(loop, self._version, self._component)

    def _billing(self, loop: Loop) -> Billing:
        return read_billing(loop, self._component)

    def _subscriber(self, loop: Loop) -> Insured:
        return read_insured(loop, self._party(loop, "2010BA"))

    def _party(self, loop: Loop, loop_id: str) -> Party:
        return read_party(require(loop, loop_id), self._component)


class _ClaimReader:
    """Reads the claims of a stream as their loops close (an `EnvelopeHandler`)."""

    def __init__(self, limits: Limits, on_fault: FaultHandler | None) -> None:
        self._limits = limits
        self._on_fault = on_fault
        self._walker: Walker | None = None
        self._header: SetHeader | None = None
        self._table: TransactionSpec | None = None
        self._inherited = _Inherited("", "")
        self.done: list[Claim] = []
        """Claims read and not yet taken."""

    def interchange_opened(self, header: InterchangeHeader, delimiters: Delimiters) -> None:
        """Nothing to do: faults come when the interchange closes."""

    def interchange_closed(self, faults: list[Fault]) -> None:
        """Pass on what is wrong with the interchange."""
        self._report_all(faults)

    def group_opened(self, header: GroupHeader) -> None:
        """Nothing to do: the transaction set names the convention."""

    def group_closed(self, faults: list[Fault], *, stated_sets: int, received_sets: int) -> None:  # noqa: ARG002
        """Pass on what is wrong with the group."""
        self._report_all(faults)

    def set_opened(self, header: SetHeader) -> SegmentSink:
        """Start a transaction set, which must be of claims."""
        table = find_table(header.group.functional_id, header.version)
        if table is None or table.set_id != _CLAIM_SET or header.set_id != _CLAIM_SET:
            place = Location(transaction=header.ordinal, position=1, segment="ST")
            raise ContentError("the transaction set is not a professional or institutional claim", place)
        component = header.delimiters.component
        self._header, self._table = header, table
        self._inherited = _Inherited(header.version, component)
        self._walker = Walker(
            table,
            component,
            self._report,
            emit=_EMIT,
            drop=_DROP,
            segments_max=self._limits.loop_segments_max,
        )
        return self._walker.advance

    def set_closed(self, faults: list[Fault], position: int) -> None:
        """End a transaction set."""
        if self._walker is not None:
            self._walker.finish(position)
            self.collect()
        self._report_all(faults)

    def collect(self) -> None:
        """Read the claims whose loops have closed."""
        walker, header = self._walker, self._header
        if walker is None or header is None:
            return
        finished, walker.finished = walker.finished, []
        component = header.delimiters.component
        is_institutional = self._table is institutional_claim()
        for loop, loops in finished:
            try:
                levels = self._inherited.above(loops)
                self.done.append(read_claim(loop, levels, component, is_institutional=is_institutional))
            except UnreadableError as error:
                raise locate(error, (loop, *loops), header.ordinal) from error

    def _report(self, fault: Fault) -> None:
        """Pass a fault on, or refuse the input for it."""
        if self._on_fault is not None:
            self._on_fault(fault)
        else:
            raise_fault(fault, self._header.ordinal if self._header else 0)

    def _report_all(self, faults: list[Fault]) -> None:
        for fault in faults:
            self._report(fault)


def read_claims(
    source: bytes | Iterable[bytes], limits: Limits | None = None, *, on_fault: FaultHandler | None = None
) -> Iterator[Claim]:
    """Read the claims of every interchange of the input.

    Args:
        source: The input, whole or in pieces.
        limits: How large it may be.
        on_fault: Takes faults of envelope and structure, which are then passed over. Without it the first one raises.

    Yields:
        Each claim when its last segment was read. The trailers that count the claims come after them: only an exhausted
        iterator has held the whole input against its counts.

    Raises:
        MalformedError: If no interchange can be made out.
        ContentError: If a transaction set is no claim, a claim cannot be read, or a fault is met and not handled.
        LimitError: If the input crosses a limit.
    """
    limits = limits or Limits()
    segments = SegmentReader(source, limits)
    reader = _ClaimReader(limits, on_fault)
    tracker = EnvelopeTracker(reader)
    for batch in segments.batches():
        tracker.feed(batch)
        reader.collect()
        yield from reader.done
        reader.done.clear()
    tracker.finish(is_truncated=segments.is_truncated)
    yield from reader.done
