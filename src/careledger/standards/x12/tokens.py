"""From bytes to segments.

Owns the limits that keep memory bounded and the reader that turns a stream of bytes into batches of
segments, several interchanges one after the other. A segment is the plain list of its elements, its
identifier first; joined again with the element separator it is the text it came from. Bytes are read as
Latin-1, which maps every byte to one character and back. Does not know what a segment means: that is
`envelope` and `walker`.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct

from careledger.standards.x12.errors import LimitError, Location, MalformedError
from careledger.standards.x12.header import (
    HEADER_WINDOW,
    NO_DELIMITERS,
    Delimiters,
    InterchangeHeader,
    read_header,
)

Segment: TypeAlias = list[str]
"""A segment identifier and its elements."""

_CHUNK_BYTES = 65_536
_BLANKS = "\r\n\t \x1a\x00"
"""What may stand between segments: line breaks, spaces, and the end-of-file marks of old systems."""
_BYTE_ORDER_MARK = "\xef\xbb\xbf"


class Limits(Struct, frozen=True, kw_only=True):
    """How large an input may be. Crossing a limit raises `LimitError`; nothing is cut short silently."""

    size_bytes_max: int = 1 << 30
    """Whole input, in bytes."""
    segment_chars_max: int = 32_768
    """One segment, in characters; bounds every element too."""
    elements_max: int = 64
    """Elements of one segment (the longest defined one has 31)."""
    segments_max: int = 20_000_000
    """Segments of the whole input."""
    loop_segments_max: int = 200_000
    """Segments kept at once while one claim or one remittance is put together."""
    claims_max: int = 100_000
    """Claims of one remittance, which is handed over whole."""
    faults_max: int = 100
    """Faults reported for one transaction set; further ones are only counted."""


class Batch(Struct, frozen=True):
    """Segments of one interchange that arrived together."""

    delimiters: Delimiters
    segments: list[Segment]
    gaps: list[str]
    """What stood before each segment, if the reader keeps it; otherwise empty."""
    header: InterchangeHeader | None
    """The header, if the batch starts the interchange."""


def _chunks(source: bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Yield the source in pieces small enough that looking again at one piece costs little."""
    for piece in (source,) if isinstance(source, bytes) else source:
        for start in range(0, len(piece), _CHUNK_BYTES):
            yield piece[start : start + _CHUNK_BYTES]


class SegmentReader:
    """Reads interchanges from bytes; once `batches` is exhausted, `tail` and `is_truncated` say how it ended."""

    def __init__(
        self, source: bytes | Iterable[bytes], limits: Limits | None = None, *, keep_gaps: bool = False
    ) -> None:
        self._source = source
        self._limits = limits or Limits()
        self._keep_gaps = keep_gaps
        self._delimiters = NO_DELIMITERS
        self._blanks = _BLANKS
        self._buffer = ""
        self._is_open = False
        self._read_bytes = 0
        self._segments = 0
        self.tail = ""
        """What stood after the last segment."""
        self.is_truncated = False
        """The input ended inside an interchange, or inside a segment."""

    @property
    def _offset(self) -> int:
        """Where the unread text starts, in bytes from the start of the input."""
        return self._read_bytes - len(self._buffer)

    def batches(self) -> Iterator[Batch]:
        """Yield the segments, at most one interchange's in a batch.

        Raises:
            MalformedError: If the input does not start with an interchange header, or one cannot be made out.
            LimitError: If the input crosses a limit.
        """
        for chunk in _chunks(self._source):
            self._read_bytes += len(chunk)
            if self._read_bytes > self._limits.size_bytes_max:
                raise LimitError(
                    "the input is larger than allowed", Location(byte=self._limits.size_bytes_max)
                )
            self._buffer += chunk.decode("latin-1")
            yield from self._drain(is_last=False)
        yield from self._drain(is_last=True)
        self.tail = self._buffer
        self.is_truncated = self._is_open or bool(self._buffer.strip(self._blanks))
        if not self._segments:
            raise MalformedError("the input does not start with an interchange header (ISA)")

    def _drain(self, *, is_last: bool) -> Iterator[Batch]:
        """Yield what the buffer completes and leave the rest in it."""
        while True:
            header, gap = None, ""
            if not self._is_open:
                start = self._find_header(is_last=is_last)
                if start < 0:
                    return
                gap, self._buffer = self._buffer[:start], self._buffer[start:]
                header = self._open()
            segments, gaps = self._split(is_new=header is not None)
            if header and gaps:
                gaps[0] = gap
            if segments:
                yield Batch(self._delimiters, segments, gaps if self._keep_gaps else [], header)
            if self._is_open:
                return

    def _find_header(self, *, is_last: bool) -> int:
        """Return where the next header starts in the buffer, -1 if more text is needed or none is left."""
        text = self._buffer
        start = len(text) - len(text.lstrip(_BLANKS + (_BYTE_ORDER_MARK if not self._segments else "")))
        if start == len(text):
            if start > self._limits.segment_chars_max:
                raise LimitError(
                    "there is more blank space between interchanges than allowed", Location(byte=self._offset)
                )
            return -1
        if len(text) - start < HEADER_WINDOW and not is_last:
            return -1
        if not text.startswith("ISA", start):
            place = Location(byte=self._offset + start)
            if self._segments:
                raise MalformedError("what follows the interchange is not another one", place)
            raise MalformedError("the input does not start with an interchange header (ISA)", place)
        return start

    def _open(self) -> InterchangeHeader:
        """Read the header at the start of the buffer and take over its delimiters."""
        header, self._delimiters = read_header(self._buffer[:HEADER_WINDOW], self._offset)
        self._blanks = _BLANKS
        for delimiter in (self._delimiters.element, self._delimiters.segment):
            self._blanks = self._blanks.replace(delimiter, "")
        self._is_open = True
        return header

    def _split(self, *, is_new: bool) -> tuple[list[Segment], list[str]]:
        """Take the complete segments of the open interchange from the buffer, its header among them if it `is_new`."""
        text, terminator, element = self._buffer, self._delimiters.segment, self._delimiters.element
        pieces = text.split(terminator)
        rest = pieces.pop()
        blanks = self._blanks
        stripped = [piece.lstrip(blanks) for piece in pieces]
        end = self._end(stripped, text, is_new=is_new)
        if end < len(stripped):
            rest = terminator.join([*pieces[end:], rest])
            del stripped[end:], pieces[end:]
        self._check(stripped, rest)
        self._buffer = rest
        gaps = []
        if self._keep_gaps:
            gaps = [piece[: len(piece) - len(bare)] for piece, bare in zip(pieces, stripped, strict=True)]
        segments = [bare.split(element) for bare in stripped]
        if segments and max(map(len, segments)) > self._limits.elements_max + 1:
            raise LimitError("a segment has more elements than allowed", Location(byte=self._offset))
        return segments, gaps

    def _end(self, stripped: list[str], text: str, *, is_new: bool) -> int:
        """Return how many pieces belong to the open interchange, closing it where it ends."""
        if "IEA" not in text and text.find("ISA", 3 if is_new else 0) < 0:
            return len(stripped)
        trailer, header = "IEA" + self._delimiters.element, "ISA" + self._delimiters.element
        for at, piece in enumerate(stripped):
            if piece.startswith(trailer) or piece == "IEA":
                self._is_open = False
                return at + 1
            if piece.startswith(header) and (at or not is_new):
                # A header where a trailer should be: the next interchange starts here.
                self._is_open = False
                return at
        return len(stripped)

    def _check(self, stripped: list[str], rest: str) -> None:
        """Hold the pieces against the limits."""
        self._segments += len(stripped)
        longest = max(map(len, stripped), default=0)
        if self._is_open:
            longest = max(longest, len(rest))
        if longest > self._limits.segment_chars_max:
            raise LimitError("a segment is longer than allowed", Location(byte=self._offset))
        if self._segments > self._limits.segments_max:
            raise LimitError("the input has more segments than allowed", Location(byte=self._offset))
