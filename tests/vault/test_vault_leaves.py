"""A record's commitment binds every field, and shows any of them without the others."""

import hashlib
import itertools

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from careledger.primitives.codec import decode_plain, encode
from careledger.primitives.identifiers import Commitment, Tag
from careledger.vault.errors import OpeningInvalid
from careledger.vault.leaves import (
    Leaf,
    LeafField,
    LeafOpening,
    ShownField,
    decode_leaf,
    leaf_commitment,
    new_leaf,
    open_fields,
    verify_opening,
)

TAG = Tag(b"\x05" * 32)
LEAF = new_leaf(TAG, "Observation", b"\x01" * 32, b"\x02" * 32, b"metadata")
SUBSETS = [subset for count in range(1, 5) for subset in itertools.combinations(LeafField, count)]
digests = st.binary(min_size=32, max_size=32)
leaves = st.builds(
    Leaf,
    digests.map(Tag),
    st.text(min_size=1, max_size=64),
    digests,
    digests,
    st.binary(max_size=4096),
    st.binary(min_size=128, max_size=128),
)


# Digests that start like a content identifier, which an encoder of DAG-CBOR might take for a link.
LIKE_LINKS = Leaf(
    Tag(bytes(range(1, 33))), "Observation", bytes(range(1, 33)), bytes(range(32)), b"", bytes(128)
)


@given(leaves)
@example(LIKE_LINKS)
def test_the_commitment_is_what_the_format_says(leaf: Leaf) -> None:
    values = (leaf.record_type.encode(), leaf.blob_hash, leaf.plaintext_hash, leaf.metadata)
    fields = [
        hashlib.sha256(leaf.salts[32 * place : 32 * place + 32] + value).digest()
        for place, value in enumerate(values)
    ]
    expected = hashlib.sha256(b"\x00" + encode([leaf.tag, *fields])).digest()
    assert leaf_commitment(leaf) == expected


@given(leaves)
def test_leaves_round_trip(leaf: Leaf) -> None:
    assert decode_leaf(encode(leaf)) == leaf


@pytest.mark.parametrize("fields", SUBSETS)
def test_any_fields_can_be_shown_without_the_others(fields: tuple[LeafField, ...]) -> None:
    values = {
        LeafField.TYPE: b"Observation",
        LeafField.BLOB_HASH: LEAF.blob_hash,
        LeafField.PLAINTEXT_HASH: LEAF.plaintext_hash,
        LeafField.METADATA: b"metadata",
    }
    opening = open_fields(LEAF, *reversed(fields))
    shown = verify_opening(opening, tag=TAG, commitment=leaf_commitment(LEAF))
    assert shown == {field: values[field] for field in fields}
    sent = encode(opening)
    for field, value in values.items():
        salt = LEAF.salts[32 * field : 32 * field + 32]
        assert (value in sent) == (salt in sent) == (field in fields)


def test_an_opening_does_not_prove_anything_else() -> None:
    commitment = leaf_commitment(LEAF)
    opening = open_fields(LEAF, LeafField.TYPE, LeafField.METADATA)
    verify_opening(opening, tag=TAG, commitment=commitment)
    kind, metadata = opening.shown
    first, second = opening.hidden
    changed = [
        LeafOpening((ShownField(0, kind.salt, b"Condition"), metadata), opening.hidden),
        LeafOpening((ShownField(0, bytes(32), kind.value), metadata), opening.hidden),
        LeafOpening((ShownField(0, kind.salt, kind.value + b"\x00"), metadata), opening.hidden),
        LeafOpening(
            (ShownField(0, metadata.salt, metadata.value), ShownField(3, kind.salt, kind.value)),
            opening.hidden,
        ),
        LeafOpening((ShownField(1, kind.salt, kind.value), metadata), opening.hidden),
        LeafOpening(opening.shown, (second, first)),
        LeafOpening(opening.shown, (first, bytes(32))),
    ]
    for wrong in changed:
        with pytest.raises(OpeningInvalid, match="does not lead"):
            verify_opening(wrong, tag=TAG, commitment=commitment)
    for other_tag, other in ((Tag(bytes(32)), commitment), (TAG, Commitment(bytes(32)))):
        with pytest.raises(OpeningInvalid, match="does not lead"):
            verify_opening(opening, tag=other_tag, commitment=other)


def test_bytes_do_not_move_between_salt_and_value() -> None:
    opening = open_fields(LEAF, LeafField.METADATA)
    item = opening.shown[0]
    moved = ShownField(3, item.salt[:-1], item.salt[-1:] + item.value)
    with pytest.raises(OpeningInvalid, match="salt"):
        verify_opening(LeafOpening((moved,), opening.hidden), tag=TAG, commitment=leaf_commitment(LEAF))


@pytest.mark.parametrize(
    ("places", "hidden"),
    [((), 4), ((0, 0), 2), ((1, 0), 2), ((0, 4), 2), ((-1, 0), 2), ((0,), 2), ((0,), 4), ((0, 1, 2, 3), 1)],
)
def test_malformed_openings_are_refused(places: tuple[int, ...], hidden: int) -> None:
    shown = tuple(ShownField(place, bytes(32), b"") for place in places)
    with pytest.raises(OpeningInvalid, match="shown"):
        verify_opening(LeafOpening(shown, (bytes(32),) * hidden), tag=TAG, commitment=leaf_commitment(LEAF))


def test_digests_of_another_size_are_refused() -> None:
    opening = open_fields(LEAF, LeafField.TYPE)
    uneven = (opening.hidden[0] + b"\x00", opening.hidden[1][:-1], opening.hidden[2])
    for wrong, of in ((LeafOpening(opening.shown, uneven), TAG), (opening, Tag(b""))):
        with pytest.raises(OpeningInvalid, match="32 bytes"):
            verify_opening(wrong, tag=of, commitment=leaf_commitment(LEAF))


def test_without_salts_the_same_record_is_noise() -> None:
    again = new_leaf(TAG, LEAF.record_type, LEAF.blob_hash, LEAF.plaintext_hash, LEAF.metadata)
    assert again.salts != LEAF.salts
    assert leaf_commitment(again) != leaf_commitment(LEAF)


def test_at_least_one_field_is_shown() -> None:
    with pytest.raises(ValueError, match="at least one"):
        open_fields(LEAF)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tag": bytes(31)},
        {"record_type": ""},
        {"record_type": "x" * 65},
        {"blob_hash": bytes(31)},
        {"plaintext_hash": bytes(33)},
        {"metadata": bytes(4097)},
        {"salts": bytes(127)},
    ],
)
def test_leaves_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    raw = encode(msgspec.structs.replace(LEAF, **wrong))
    with pytest.raises(OpeningInvalid, match="not a leaf"):
        decode_leaf(raw)
    if "salts" not in wrong:
        fields = {
            "tag": TAG,
            "record_type": "X",
            "blob_hash": bytes(32),
            "plaintext_hash": bytes(32),
            "metadata": b"",
        }
        with pytest.raises(ValueError, match="is not|is longer"):
            new_leaf(**(fields | wrong))  # type: ignore[arg-type]


def test_bytes_that_are_no_leaf_are_refused_without_showing_them() -> None:
    raw = encode(LEAF)
    for wrong in (b"", raw[:-1], raw + b"\x00", encode(decode_plain(raw)[:-1]), encode("Canary")):
        with pytest.raises(OpeningInvalid) as caught:
            decode_leaf(wrong)
        assert "Canary" not in str(caught.value)
