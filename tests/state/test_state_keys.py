"""Keys are injective, keep order, decode to what was encoded and refuse everything else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.state.keys import (
    TEXT,
    U8,
    U16,
    U32,
    U64,
    VARIABLE,
    Fixed,
    KeyInvalid,
    KeySchema,
    Part,
    prefix_end,
)

# A small alphabet around the escape bytes, so that ties and prefixes are common.
tricky_bytes = st.lists(st.sampled_from([0, 1, 2, 0xFE, 0xFF]), max_size=6).map(bytes)
tricky_text = st.text(alphabet="\x00\x01a\x7f\x80\u07ff\uffff\U00010000", max_size=5)
numbers = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))

SCHEMAS: list[tuple[KeySchema, st.SearchStrategy[tuple[Part, ...]]]] = [
    (KeySchema(1, 2), st.just(())),
    (KeySchema(1, 3, U64), st.tuples(numbers)),
    (KeySchema(1, 4, VARIABLE, VARIABLE), st.tuples(tricky_bytes, tricky_bytes)),
    (KeySchema(1, 5, TEXT, U64, TEXT), st.tuples(tricky_text, numbers, tricky_text)),
    (
        KeySchema(255, 255, Fixed(2), VARIABLE, U64),
        st.tuples(st.binary(min_size=2, max_size=2), tricky_bytes, numbers),
    ),
]
schemas = st.sampled_from(SCHEMAS)
cases = schemas.flatmap(lambda entry: st.tuples(st.just(entry[0]), entry[1], entry[1]))


@given(cases)
def test_keys_are_injective_and_keep_order(
    case: tuple[KeySchema, tuple[Part, ...], tuple[Part, ...]],
) -> None:
    schema, left, right = case
    left_key, right_key = schema.encode(*left), schema.encode(*right)
    assert (left_key == right_key) == (left == right)
    assert (left_key < right_key) == (left < right)
    assert schema.decode(left_key) == left


@given(cases, st.integers(0, 3))
def test_bounds_meet_exactly_the_keys_with_the_leading_parts(
    case: tuple[KeySchema, tuple[Part, ...], tuple[Part, ...]], shared: int
) -> None:
    schema, left, right = case
    shared = min(shared, len(left))
    start, end = schema.bounds(*left[:shared])
    key = schema.encode(*right)
    assert (start <= key and (end is None or key < end)) == (left[:shared] == right[:shared])


@given(schemas, st.binary(max_size=24))
def test_bytes_either_are_no_key_or_encode_back(
    entry: tuple[KeySchema, st.SearchStrategy[tuple[Part, ...]]], tail: bytes
) -> None:
    schema = entry[0]
    key = schema.prefix + tail
    try:
        parts = schema.decode(key)
    except KeyInvalid:
        return
    assert schema.encode(*parts) == key


@given(tricky_bytes, tricky_bytes)
def test_prefix_end_is_the_first_key_behind(prefix: bytes, other: bytes) -> None:
    end = prefix_end(prefix)
    assert (other >= prefix and (end is None or other < end)) == other.startswith(prefix)


@pytest.mark.parametrize(
    ("schema", "parts", "expected_hex"),
    [
        (KeySchema(1, 2), (), "0102"),
        (KeySchema(1, 2, U8, U16, U32), (1, 2, 3), "010201000200000003"),
        (KeySchema(1, 2, U64), (2**64 - 1,), "0102ffffffffffffffff"),
        (KeySchema(1, 2, VARIABLE), (b"",), "01020000"),
        (KeySchema(1, 2, VARIABLE), (b"a\x00b",), "01026100ff620000"),
        (KeySchema(1, 2, TEXT, Fixed(1)), ("é", b"\x00"), "0102c3a9000000"),
    ],
)
def test_known_encodings(schema: KeySchema, parts: tuple[Part, ...], expected_hex: str) -> None:
    assert schema.encode(*parts).hex() == expected_hex


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: KeySchema(256, 0), "fit 1 unsigned"),
        (lambda: KeySchema(0, -1), "fit 1 unsigned"),
        (lambda: KeySchema(1, 1, U64).encode(2**64), "fit 8 unsigned"),
        (lambda: KeySchema(1, 1, U64).encode(True), "must be an integer"),
        (lambda: KeySchema(1, 1, U64).encode(b"\x00" * 8), "must be an integer"),
        (lambda: KeySchema(1, 1, Fixed(2)).encode(b"abc"), "exactly 2 bytes"),
        (lambda: KeySchema(1, 1, Fixed(2)).encode("ab"), "exactly 2 bytes"),
        (lambda: KeySchema(1, 1, VARIABLE).encode("ab"), "must be bytes"),
        (lambda: KeySchema(1, 1, TEXT).encode(b"ab"), "must be a text"),
        (lambda: KeySchema(1, 1, TEXT).encode("\ud800"), "surrogates"),
        (lambda: KeySchema(1, 1, U64).encode(), "has 1 parts, not 0"),
        (lambda: KeySchema(1, 1, U64).bounds(1, 2), "has 1 parts, not 2"),
        (lambda: KeySchema(1, 1, VARIABLE).encode(b"\x01" * 477), "at most 480 bytes, not 481"),
        (lambda: KeySchema(1, 1, U64).decode(b"\x01\x02" + bytes(8)), "another collection"),
        (lambda: KeySchema(1, 1, U64).decode(b"\x01\x01" + bytes(7)), "within a number"),
        (lambda: KeySchema(1, 1, U64).decode(b"\x01\x01" + bytes(9)), "behind its last part"),
        (lambda: KeySchema(1, 1, Fixed(4)).decode(b"\x01\x01" + bytes(3)), "fixed length"),
        (lambda: KeySchema(1, 1, VARIABLE).decode(b"\x01\x01ab"), "without an end"),
        (lambda: KeySchema(1, 1, VARIABLE).decode(b"\x01\x01ab\x00"), "without an end"),
        (lambda: KeySchema(1, 1, VARIABLE).decode(b"\x01\x01ab\x00\x01"), "without an end"),
        (lambda: KeySchema(1, 1, TEXT).decode(b"\x01\x01\xff\x00\x00"), "not UTF-8"),
    ],
)
def test_refuses(action: Callable[[], object], text: str) -> None:
    with pytest.raises(KeyInvalid, match=text):
        action()


def test_the_longest_key_fits() -> None:
    assert len(KeySchema(1, 1, VARIABLE).encode(b"\x01" * 476)) == 480
