import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.primitives.codec import CodecError, Wire, decode, decode_list, decode_plain, encode


class Pair(Wire, frozen=True):
    number: int
    raw: bytes


class Nest(Wire, frozen=True):
    name: str
    pairs: tuple[Pair, ...]
    maybe: bytes | None


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_whatever_is_encoded_is_decoded_to_the_same(value: object) -> None:
    assert decode_plain(encode(value)) == value


def test_structures_round_trip() -> None:
    value = Nest("a", (Pair(1, b"x"), Pair(-5, b"")), None)
    assert decode(encode(value), Nest) == value
    assert decode_list(encode([Pair(1, b"x")]), Pair) == [Pair(1, b"x")]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x18\x01", "an integer that is longer than it must be"),
        (b"\x01\x01", "bytes after the value"),
        (b"\xc0\x60", "a tag"),
        (b"\x9f\xff", "an indefinite length"),
        (b"\xf9\x3c\x00", "a half float"),
        (b"\xf7", "undefined"),
        (b"\xa2\x61a\x01\x61a\x02", "a duplicate key"),
        (b"\xa2\x62aa\x01\x61b\x02", "keys out of order"),
        (b"\x61\xff", "text that is not UTF-8"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "a length beyond the data"),
        (b"\x81" * 500_000 + b"\x01", "depth"),
        (b"", "nothing"),
    ],
)
def test_only_the_canonical_form_is_read(raw: bytes, why: str) -> None:
    with pytest.raises(CodecError):
        decode_plain(raw)
    assert why


@pytest.mark.parametrize(
    "value",
    [
        [1],
        [1, b"x", 3],
        ["1", b"x"],
        [1.0, b"x"],
        [True, b"x"],
        [1, "eA=="],
        {"number": 1, "raw": b"x"},
    ],
)
def test_a_structure_has_exactly_its_fields_and_types(value: object) -> None:
    import libipld

    with pytest.raises(CodecError):
        decode(libipld.encode_dag_cbor(value), Pair)


@pytest.mark.parametrize("value", [1.5, [2**64], object(), {1: 2}, float("nan")])
def test_what_has_no_canonical_form_is_not_encoded(value: object) -> None:
    with pytest.raises(CodecError):
        encode(value)


def test_an_error_names_the_place_and_not_the_value() -> None:
    raw = encode(["name", [[1, "secret"]], None])
    with pytest.raises(CodecError) as caught:
        decode(raw, Nest)
    assert "secret" not in str(caught.value)
    assert "[1]" in str(caught.value)
