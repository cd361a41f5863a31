"""Bytes to segments and back: delimiters, gaps, several interchanges, limits."""

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.errors import LimitError, MalformedError
from careledger.standards.x12.header import Delimiters, read_header
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.tokens import Limits, SegmentReader
from standards.x12.x12_samples import CLINIC, PLAN, STAMP, claim, rich_claim

SMALL = write_claims([claim()], STAMP, sender=CLINIC, receiver=PLAN)
RICH = write_claims([rich_claim()], STAMP, sender=CLINIC, receiver=PLAN)


def redelimit(data: bytes, element: str, component: str, repetition: str, segment: str) -> bytes:
    """Return the same interchange with other delimiters."""
    table = str.maketrans({"*": element, ":": component, "^": repetition, "~": segment})
    return data.decode("latin-1").translate(table).encode("latin-1")


def segments_of(data: bytes, chunks: list[bytes] | None = None) -> list[list[str]]:
    reader = SegmentReader(chunks if chunks is not None else data)
    return [segment for batch in reader.batches() for segment in batch.segments]


ENDS = [b"", b"\n", b"\r\n", b" \n", b"\n\n\t"]
DELIMITERS = ["*:^~", "|>!'", "\x1d\x1f\x1e\x1c", "+\x00#\n", "~^%_", "*:U~"]


@pytest.mark.parametrize(
    ("end", "delimiters"),
    # Where line breaks end segments, an empty line is an empty segment.
    [(end, each) for end in ENDS for each in DELIMITERS if not (b"\n" in end and each.endswith("\n"))],
)
def test_bytes_survive_reading_and_writing(end: bytes, delimiters: str) -> None:
    data = redelimit(RICH, *delimiters)
    terminator = delimiters[3].encode("latin-1")
    data = data.replace(terminator, terminator + end)
    document = parse(data)
    assert document.write() == data
    plain = parse(RICH)
    same = [segment[1:] for segment in plain.interchanges[0].segments[1:]]
    table = str.maketrans({"*": delimiters[0], ":": delimiters[1]})
    assert [segment[1:] for segment in document.interchanges[0].segments[1:]] == [
        [value.translate(table) for value in segment] for segment in same
    ]


@given(
    st.lists(st.sampled_from(["", "\n", "\r\n", " ", "\t \n"]), min_size=80, max_size=80),
    st.binary(max_size=3),
)
@settings(max_examples=40)
def test_uneven_gaps_survive(gaps: list[str], noise: bytes) -> None:
    pieces = SMALL.split(b"~")[:-1]
    ends = [gap.encode() for gap in gaps]
    data = b"".join(piece + b"~" + end for piece, end in zip(pieces, ends, strict=False))
    assert parse(data).write() == data
    if noise.strip(b"\r\n\t \x1a\x00"):
        with pytest.raises(MalformedError):
            parse(data + noise)


@given(st.lists(st.integers(0, len(RICH) * 2), max_size=12))
@settings(max_examples=60)
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    data = RICH + b"\r\n" + redelimit(RICH, *"|>!'")
    edges = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    assert segments_of(data, chunks) == segments_of(data)


def test_every_byte_alone_is_a_chunk() -> None:
    assert segments_of(SMALL, [bytes([byte]) for byte in SMALL]) == segments_of(SMALL)


def test_several_interchanges_each_with_its_own_delimiters() -> None:
    data = SMALL + b"\n" + redelimit(SMALL, *"|>!'") + b"\r\n" + SMALL
    document = parse(data)
    assert [interchange.delimiters.segment for interchange in document.interchanges] == ["~", "'", "~"]
    assert document.write() == data
    assert len(list(document.transaction_sets())) == 3


def test_a_header_in_place_of_a_trailer_starts_the_next_interchange() -> None:
    headless = SMALL[: SMALL.index(b"IEA")]
    document = parse(headless + SMALL)
    assert len(document.interchanges) == 2
    assert document.write() == headless + SMALL


def test_byte_order_mark_and_end_of_file_mark_are_kept() -> None:
    data = b"\xef\xbb\xbf" + SMALL + b"\r\n\x1a"
    assert parse(data).write() == data


def test_truncation_is_noticed_at_every_byte() -> None:
    for end in range(106, len(SMALL) - 1):
        document = parse(SMALL[:end])
        assert document.is_truncated
        assert document.write() == SMALL[:end]
    assert not parse(SMALL).is_truncated


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not start"),
        (b"  \n", "does not start"),
        (b"GS*HC*A*B~", "does not start"),
        (b"ISA", "no element separator"),
        (b"ISA*00*", "sixteen elements"),
        (SMALL.replace(b"~", b"A"), "no segment terminator"),
        (SMALL[:105] + b":" + SMALL[106:], "no segment terminator"),
        (SMALL.replace(b"BRIDGECLINIC", b"BRIDGE~LINIC"), "among its elements"),
        (b"ISAA" + SMALL[4:], "no element separator"),
        (SMALL + b"garbage", "not another one"),
        (b"ISA" + b"*" * 17, "sixteen elements"),
        (b"ISA" + b"*x" * 300, "no segment terminator"),
    ],
)
def test_what_is_no_interchange_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        parse(data)


def test_a_header_of_wrong_width_is_read_as_far_as_possible() -> None:
    text = SMALL[:106].decode().replace("*00*          *00*", "*00*         *00*")
    header, delimiters = read_header(text, 0)
    assert delimiters == Delimiters()
    assert [fault.code for fault in header.faults] == ["011"]
    assert header.control_number == "000000041"
    assert header.sender == ("ZZ", "BRIDGECLINIC")
    assert header.receiver == ("ZZ", "ORCHARDPLAN")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(size_bytes_max=500), "larger than allowed"),
        (Limits(segment_chars_max=40), "longer than allowed"),
        (Limits(elements_max=9), "more elements"),
        (Limits(segments_max=10), "more segments"),
    ],
)
def test_limits_hold(limits: Limits, reason: str) -> None:
    with pytest.raises(LimitError, match=reason):
        parse(RICH, limits)


def endless(start: bytes, body: bytes) -> Iterator[bytes]:
    """Yield an input without end."""
    yield start
    while True:
        yield body


@pytest.mark.parametrize(
    ("start", "body", "reason"),
    [
        (SMALL[:106], b"A" * 60_000, "longer than allowed"),
        (SMALL[:106], b" " * 60_000, "longer than allowed"),
        (SMALL, b"\n" * 60_000, "blank space"),
        (SMALL[:106], b"*" * 30_000 + b"~", "more elements"),
        (SMALL[:106], b"ZZ*A~" * 10_000, "larger than allowed"),
        (b"", SMALL * 50, "larger than allowed"),
        (b"", b" " * 60_000, "blank space"),
    ],
)
def test_endless_inputs_cost_a_bounded_amount(start: bytes, body: bytes, reason: str) -> None:
    limits = Limits(size_bytes_max=300_000)
    reader = SegmentReader(endless(start, body), limits)
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match=reason):
            for _ in reader.batches():
                pass
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
