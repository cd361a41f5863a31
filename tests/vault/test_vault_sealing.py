"""Sealed blobs open exactly as sealed, under their key and context, or not at all."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from careledger.vault.derivation import hkdf_expand
from careledger.vault.errors import KeyMismatch, SealBroken
from careledger.vault.keys import RecordKey
from careledger.vault.sealing import (
    OVERHEAD_BYTES,
    PART_BYTES,
    new_record_key,
    open_sealed,
    seal,
    sealed_size_bytes,
)

KEY = RecordKey(bytes(range(32)))
CONTEXT = b"record 7 version 1"
PREFIX_BYTES = 64
SEALED_PART_BYTES = PART_BYTES + 16
THREE_PARTS = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the third part"


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(st.binary(max_size=3000), st.binary(max_size=100))
def test_round_trip(plaintext: bytes, context: bytes) -> None:
    key = new_record_key()
    sealed = seal(plaintext, key, context=context)
    assert open_sealed(sealed, key, context=context) == plaintext
    assert len(sealed) == sealed_size_bytes(len(plaintext)) == len(plaintext) + OVERHEAD_BYTES


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        PART_BYTES - 1,
        PART_BYTES,
        PART_BYTES + 1,
        2 * PART_BYTES - 1,
        2 * PART_BYTES,
        5 * PART_BYTES + 7,
    ],
)
def test_round_trip_around_part_boundaries(size: int) -> None:
    plaintext = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    sealed = seal(plaintext, KEY, context=CONTEXT)
    assert len(sealed) == sealed_size_bytes(size)
    assert open_sealed(sealed, KEY, context=CONTEXT) == plaintext


def test_every_flipped_bit_is_noticed() -> None:
    sealed = seal(b"potassium 4.1 mmol/L" * 10, KEY, context=CONTEXT)
    for bit in range(len(sealed) * 8):
        with pytest.raises(SealBroken):
            open_sealed(flipped(sealed, bit), KEY, context=CONTEXT)


def test_flipped_bits_are_noticed_in_every_part_of_a_long_blob() -> None:
    sealed = seal(THREE_PARTS, KEY, context=CONTEXT)
    ends = [PREFIX_BYTES + SEALED_PART_BYTES * part for part in (1, 2)] + [len(sealed)]
    places = set(range(PREFIX_BYTES)) | set(range(0, len(sealed), 1499))
    for end in ends:
        places |= set(range(end - 20, min(end + 4, len(sealed))))
    for place in sorted(places):
        with pytest.raises(SealBroken):
            open_sealed(flipped(sealed, place * 8 + place % 8), KEY, context=CONTEXT)


def test_every_truncation_and_extension_is_noticed() -> None:
    sealed = seal(b"short", KEY, context=CONTEXT)
    for size in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(sealed[:size], KEY, context=CONTEXT)
    for more in (b"\x00", bytes(16), sealed, bytes(SEALED_PART_BYTES)):
        with pytest.raises(SealBroken):
            open_sealed(sealed + more, KEY, context=CONTEXT)


def parts_of(sealed: bytes) -> tuple[bytes, list[bytes]]:
    body = sealed[PREFIX_BYTES:]
    return sealed[:PREFIX_BYTES], [
        body[start : start + SEALED_PART_BYTES] for start in range(0, len(body), SEALED_PART_BYTES)
    ]


@pytest.mark.parametrize(
    "order",
    [[0], [0, 1], [1, 2], [2], [1, 0, 2], [0, 2, 1], [0, 0, 1, 2], [0, 1, 1, 2], [0, 1, 2, 2], [1, 1, 2]],
)
def test_parts_dropped_repeated_or_reordered_are_noticed(order: list[int]) -> None:
    prefix, parts = parts_of(seal(THREE_PARTS, KEY, context=CONTEXT))
    assert len(parts) == 3
    with pytest.raises(SealBroken):
        open_sealed(prefix + b"".join(parts[part] for part in order), KEY, context=CONTEXT)


def test_parts_of_another_blob_under_the_same_key_are_noticed() -> None:
    prefix, parts = parts_of(seal(THREE_PARTS, KEY, context=CONTEXT))
    _, others = parts_of(seal(THREE_PARTS, KEY, context=CONTEXT))
    for place in range(3):
        mixed = [*parts[:place], others[place], *parts[place + 1 :]]
        with pytest.raises(SealBroken):
            open_sealed(prefix + b"".join(mixed), KEY, context=CONTEXT)


def test_a_blob_has_one_form_only() -> None:
    """The key's holder could end a blob on an empty part or mark a full one as not the last; neither opens."""
    sealed = seal(bytes(PART_BYTES), KEY, context=CONTEXT)
    header, commitment = sealed[:32], sealed[32:PREFIX_BYTES]
    derived = hkdf_expand(KEY.reveal(), b"\x12careledger/seal/v1" + header + CONTEXT, 64)
    assert derived[32:] == commitment
    cipher = AESGCM(derived[:32])

    def part(number: int, last: int, content: bytes) -> bytes:
        return cipher.encrypt(number.to_bytes(11, "big") + bytes([last]), content, commitment)

    assert sealed == header + commitment + part(0, 1, bytes(PART_BYTES))
    for forged in (
        part(0, 0, bytes(PART_BYTES)) + part(1, 1, b""),
        part(0, 0, bytes(PART_BYTES)),
        part(0, 0, b"short") + part(1, 1, b"second"),
        part(0, 1, bytes(PART_BYTES)) + part(1, 1, b"second"),
    ):
        with pytest.raises(SealBroken):
            open_sealed(header + commitment + forged, KEY, context=CONTEXT)


def test_another_key_or_context_is_told_from_damage() -> None:
    sealed = seal(b"text", KEY, context=CONTEXT)
    with pytest.raises(KeyMismatch):
        open_sealed(sealed, new_record_key(), context=CONTEXT)
    for context in (b"", CONTEXT[:-1], CONTEXT + b"\x00", b"record 7 version 2"):
        with pytest.raises(KeyMismatch):
            open_sealed(sealed, KEY, context=context)
    with pytest.raises(SealBroken) as caught:
        open_sealed(flipped(sealed, len(sealed) * 8 - 1), KEY, context=CONTEXT)
    assert not isinstance(caught.value, KeyMismatch)


def test_the_commitment_is_checked_even_where_a_part_would_open() -> None:
    """Whoever forges a commitment does not get a blob accepted, whatever follows."""
    sealed = seal(b"text", KEY, context=CONTEXT)
    with pytest.raises(KeyMismatch):
        open_sealed(sealed[:32] + bytes(32) + sealed[64:], KEY, context=CONTEXT)


def test_sealing_twice_gives_unrelated_bytes() -> None:
    first, second = (seal(bytes(4096), KEY, context=CONTEXT) for _ in range(2))
    assert first[8:] != second[8:]
    equal = sum(a == b for a, b in zip(first[8:], second[8:], strict=True))
    assert equal < 64  # 1 in 256 by chance: 16 expected


def test_plaintext_does_not_show() -> None:
    canary = b"Jane Canary, born 1970-01-01"
    sealed = seal(canary * 100, KEY, context=b"Canary context")
    for trace in (b"Canary", b"1970", canary[:6]):
        assert trace not in sealed


@pytest.mark.parametrize("place", range(8))
def test_an_unknown_version_or_suite_is_refused_before_any_key_is_used(place: int) -> None:
    sealed = bytearray(seal(b"text", KEY, context=CONTEXT))
    sealed[place] ^= 0x40
    with pytest.raises(SealBroken, match="known version"):
        open_sealed(bytes(sealed), KEY, context=CONTEXT)
