"""Interchanges held whole, and written back byte for byte.

Owns the in-memory form of an input: every segment, and what stood between them, so that writing it gives
the bytes it was read from. For inputs that fit in memory; streams go through `claim_read`,
`remittance_read` or `acknowledge`, which keep no more than they must.
"""

from collections.abc import Iterator

from msgspec import Struct

from careledger.standards.x12.envelope import EnvelopeTracker, GroupHeader, SegmentSink, SetHeader
from careledger.standards.x12.faults import Fault
from careledger.standards.x12.header import Delimiters, InterchangeHeader
from careledger.standards.x12.tokens import Batch, Limits, Segment, SegmentReader

WHOLE_LIMITS = Limits(size_bytes_max=64 << 20, segments_max=2_000_000)
"""Limits of an input that is held whole."""


class TransactionSet(Struct, frozen=True):
    """One transaction set: its header and what stands between ST and SE."""

    header: SetHeader
    segments: list[Segment]


class Interchange(Struct, frozen=True):
    """One interchange: every segment from ISA to IEA, in order."""

    header: InterchangeHeader
    delimiters: Delimiters
    segments: list[Segment]
    gaps: list[str]
    """What stood before each segment: line breaks as a rule."""

    def text(self) -> str:
        """Return the interchange as it was read."""
        element, terminator = self.delimiters.element, self.delimiters.segment
        return "".join(
            [
                f"{gap}{element.join(elements)}{terminator}"
                for gap, elements in zip(self.gaps, self.segments, strict=True)
            ]
        )


class Document(Struct, frozen=True):
    """An input: its interchanges and what stood after the last of them."""

    interchanges: list[Interchange]
    tail: str
    is_truncated: bool
    """The input ended inside an interchange."""

    def write(self) -> bytes:
        """Return the bytes the document was read from."""
        return ("".join(interchange.text() for interchange in self.interchanges) + self.tail).encode(
            "latin-1"
        )

    def transaction_sets(self) -> Iterator[TransactionSet]:
        """Yield the transaction sets in order, whatever is wrong with their envelopes."""
        sets = _Sets()
        tracker = EnvelopeTracker(sets)
        for interchange in self.interchanges:
            tracker.feed(Batch(interchange.delimiters, interchange.segments, [], interchange.header))
            yield from sets.done
            sets.done.clear()
        tracker.finish(is_truncated=self.is_truncated)
        yield from sets.done


class _Sets:
    """Gathers transaction sets (an `EnvelopeHandler`)."""

    def __init__(self) -> None:
        self._open: TransactionSet | None = None
        self.done: list[TransactionSet] = []

    def interchange_opened(self, header: InterchangeHeader, delimiters: Delimiters) -> None:
        """Nothing to gather."""

    def interchange_closed(self, faults: list[Fault]) -> None:
        """Nothing to gather."""

    def group_opened(self, header: GroupHeader) -> None:
        """Nothing to gather."""

    def group_closed(self, faults: list[Fault], *, stated_sets: int, received_sets: int) -> None:
        """Nothing to gather."""

    def set_opened(self, header: SetHeader) -> SegmentSink:
        """Start a set."""
        self._open = TransactionSet(header, [])
        return self._take

    def _take(self, elements: Segment, position: int) -> None:  # noqa: ARG002 - the order is the position
        if self._open is not None:
            self._open.segments.append(elements)

    def set_closed(self, faults: list[Fault], position: int) -> None:  # noqa: ARG002 - kept whatever its faults
        """End a set."""
        if self._open is not None:
            self.done.append(self._open)
            self._open = None


def parse(source: bytes, limits: Limits = WHOLE_LIMITS) -> Document:
    """Read an input whole.

    Raises:
        MalformedError: If no interchange can be made out.
        LimitError: If the input crosses a limit.
    """
    reader = SegmentReader(source, limits, keep_gaps=True)
    interchanges: list[Interchange] = []
    for batch in reader.batches():
        if batch.header is not None:
            interchanges.append(Interchange(batch.header, batch.delimiters, batch.segments, batch.gaps))
        else:
            interchanges[-1].segments.extend(batch.segments)
            interchanges[-1].gaps.extend(batch.gaps)
    return Document(interchanges, reader.tail, reader.is_truncated)
