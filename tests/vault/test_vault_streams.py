"""Tags and the commitments under them can be recomputed by their secret's holder and by nobody else."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.primitives.codec import encode
from careledger.primitives.identifiers import CellID, Commitment, Tag
from careledger.vault.errors import OpeningInvalid
from careledger.vault.keys import IndexKey
from careledger.vault.leaves import leaf_commitment, new_leaf
from careledger.vault.streams import (
    POSITION_MAX,
    Manifest,
    decode_manifest,
    encode_manifest,
    key_digest,
    manifest_commitment,
    manifest_hash,
    new_salt,
    tag,
    verify_manifest_commitment,
    verify_void,
    void_commitment,
)

KEY = IndexKey(bytes(range(32)))
TAG = tag(KEY, 1)
SALT = bytes(range(100, 132))
MANIFEST = Manifest(1, bytes(32), CellID(b"\x01" * 32), 4, ((Tag(b"\x02" * 32), Commitment(b"\x03" * 32)),))


@given(st.integers(0, POSITION_MAX))
def test_a_tag_is_the_hmac_of_the_position(position: int) -> None:
    reference = hmac.new(KEY.reveal(), position.to_bytes(8, "big"), hashlib.sha256).digest()
    assert tag(KEY, position) == reference


def test_tags_of_positions_and_keys_differ() -> None:
    assert len({tag(key, position) for key in (KEY, IndexKey.random()) for position in range(1000)}) == 2000


@pytest.mark.parametrize("position", [-1, POSITION_MAX + 1])
def test_positions_out_of_range_are_refused(position: int) -> None:
    with pytest.raises(OverflowError):
        tag(KEY, position)


def test_commitments_are_what_the_format_says() -> None:
    assert void_commitment(TAG, SALT) == hashlib.sha256(b"\x01" + encode([TAG, SALT])).digest()
    inner = hashlib.sha256(SALT + b"envelope").digest()
    assert (
        manifest_commitment(TAG, SALT, b"envelope") == hashlib.sha256(b"\x02" + encode([TAG, inner])).digest()
    )
    assert manifest_hash(b"envelope") == hashlib.sha256(b"envelope").digest()


def test_a_void_opens_with_its_tag_and_salt_only() -> None:
    commitment = void_commitment(TAG, SALT)
    verify_void(commitment, TAG, SALT)
    for other_tag, salt in ((tag(KEY, 2), SALT), (TAG, new_salt()), (Tag(SALT), TAG)):
        with pytest.raises(OpeningInvalid):
            verify_void(commitment, other_tag, salt)


def test_a_manifest_opens_with_its_tag_salt_and_envelope_only() -> None:
    commitment = manifest_commitment(TAG, SALT, b"envelope")
    verify_manifest_commitment(commitment, TAG, SALT, b"envelope")
    for other_tag, salt, envelope in (
        (tag(KEY, 0), SALT, b"envelope"),
        (TAG, new_salt(), b"envelope"),
        (TAG, SALT, b"envelop"),
        (TAG, SALT, b""),
    ):
        with pytest.raises(OpeningInvalid):
            verify_manifest_commitment(commitment, other_tag, salt, envelope)


def test_one_kind_of_commitment_is_not_taken_for_another() -> None:
    with pytest.raises(OpeningInvalid):
        verify_void(manifest_commitment(TAG, SALT, b""), TAG, SALT)
    with pytest.raises(OpeningInvalid):
        verify_manifest_commitment(void_commitment(TAG, hashlib.sha256(SALT).digest()), TAG, SALT, b"")
    leaf = new_leaf(TAG, "Observation", bytes(32), bytes(32), b"")
    with pytest.raises(OpeningInvalid):
        verify_void(leaf_commitment(leaf), TAG, leaf.salts[:32])


@pytest.mark.parametrize(("of", "salt"), [(b"", SALT), (TAG, b""), (bytes(33), SALT), (TAG, bytes(31))])
def test_tags_and_salts_have_one_size(of: bytes, salt: bytes) -> None:
    for call in (
        lambda: void_commitment(Tag(of), salt),
        lambda: manifest_commitment(Tag(of), salt, b""),
        lambda: verify_void(Commitment(bytes(32)), Tag(of), salt),
        lambda: verify_manifest_commitment(Commitment(bytes(32)), Tag(of), salt, b""),
    ):
        with pytest.raises(ValueError, match="32 bytes"):
            call()


def test_the_key_digest_is_not_the_key_nor_a_tag() -> None:
    digest = key_digest(KEY)
    assert digest not in (KEY.reveal(), hashlib.sha256(KEY.reveal()).digest())
    assert digest != key_digest(IndexKey.random())


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32)), max_size=5),
)
def test_manifest_round_trip(digest: bytes, epoch: int, pairs: list[tuple[bytes, bytes]]) -> None:
    visible = tuple((Tag(left), Commitment(right)) for left, right in pairs)
    manifest = Manifest(1, digest, CellID(digest), epoch, visible)
    assert decode_manifest(encode_manifest(manifest)) == manifest


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        encode_manifest(MANIFEST)[:-1],
        encode_manifest(MANIFEST) + b"\x00",
        encode([2, bytes(32), bytes(32), 0, []]),
        encode([1, bytes(31), bytes(32), 0, []]),
        encode([1, bytes(32), bytes(33), 0, []]),
        encode([1, bytes(32), bytes(32), -1, []]),
        encode([1, bytes(32), bytes(32), 2**32, []]),
        encode([1, bytes(32), bytes(32), 0, [[bytes(32), bytes(31)]]]),
        encode([1, bytes(32), bytes(32), 0, [[bytes(32)]]]),
        encode([1, bytes(32), bytes(32), 0]),
        encode([1, bytes(32), bytes(32), 0, [], 0]),
        encode({}),
    ],
)
def test_what_is_no_manifest_is_refused(raw: bytes) -> None:
    with pytest.raises(OpeningInvalid):
        decode_manifest(raw)
