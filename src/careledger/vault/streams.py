"""Tags of a stream, and the commitments that stand under them on the ledger.

Owns: the tag of a position; the manifest at position 0; the void commitment that fills a failed position.
The commitment of a record version is in `leaves`. Does not know which position comes next, nor the ledger.

All three commitments are `SHA-256(kind | CBOR[tag, ...])` with kinds 0 (record), 1 (void) and 2 (manifest),
so a commitment can be read in one way only, and only under the tag it was made for. Whoever lacks the salt
sees 32 bytes of noise in each case.

Source: the project's `records.md`, "Streams and tags"; HMAC is RFC 2104 with SHA-256.
"""

from __future__ import annotations

import os
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest

from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.hashing import labelled
from careledger.primitives.identifiers import CellID, Commitment, Tag
from careledger.vault.errors import OpeningInvalid
from careledger.vault.keys import IndexKey

MANIFEST_POSITION = 0
"""Position 0 of every stream holds its manifest; record versions start at 1."""

MANIFEST_PAYLOAD_TYPE = "careledger/manifest/v1"
"""Payload type of the envelope a manifest is signed in, by wallet and custodian."""

SALT_BYTES = 32
DIGEST_BYTES = 32
POSITION_MAX = 2**64 - 1

_TAG_HEADER = b"\x58\x20"
"""CBOR head of a byte string of 32 bytes."""

_VOID_PREFIX = b"\x01\x82" + _TAG_HEADER
_MANIFEST_PREFIX = b"\x02\x82" + _TAG_HEADER
_MANIFEST_VERSION = 1
_KEY_DIGEST_LABEL = "careledger/index-key-digest/v1"


def tag(key: IndexKey, position: int) -> Tag:
    """Compute the tag of one position: HMAC-SHA256(key, position as 8 bytes, big-endian).

    Raises:
        OverflowError: The position is negative or beyond 2^64-1.
    """
    return Tag(hmac_digest(key.reveal(), position.to_bytes(8, "big"), "sha256"))


def key_digest(key: IndexKey) -> bytes:
    """Digest by which a manifest names its stream's key; 32 bytes, says nothing about the key."""
    return labelled(_KEY_DIGEST_LABEL, key.reveal())


def new_salt() -> bytes:
    """Make a salt of 32 random bytes."""
    return os.urandom(SALT_BYTES)


def void_commitment(of: Tag, salt: bytes) -> Commitment:
    """Compute the commitment that fills a position which will never hold a record.

    Raises:
        ValueError: Tag or salt is not 32 bytes.
    """
    _check_sizes(of, salt)
    return Commitment(sha256(_VOID_PREFIX + of + _TAG_HEADER + salt).digest())


def verify_void(commitment: Commitment, of: Tag, salt: bytes) -> None:
    """Check that a position is void and not a record.

    Raises:
        OpeningInvalid: The commitment is not the void one of this tag and salt.
        ValueError: Tag or salt is not 32 bytes.
    """
    _check_same(commitment, void_commitment(of, salt))


class Manifest(Wire, frozen=True):
    """What position 0 of a stream states; signed by wallet and custodian in one envelope."""

    version: int
    """1."""
    key_digest: bytes
    """`key_digest` of the stream's index key, 32 bytes."""
    cell: CellID
    """The consent cell of this patient and custodian."""
    epoch: int
    """Epoch of the stream, from 0."""
    visible: tuple[tuple[Tag, Commitment], ...]
    """Pairs of earlier epochs that may still be shown, in the order of their streams."""


def encode_manifest(manifest: Manifest) -> bytes:
    """Encode a manifest canonically.

    Raises:
        ValueError: A field is out of bounds.
    """
    _check_manifest(manifest)
    return encode(manifest)


def decode_manifest(raw: bytes) -> Manifest:
    """Decode the payload of a manifest's envelope, once its signatures stand.

    Raises:
        OpeningInvalid: Not the canonical encoding of a manifest within bounds.
    """
    try:
        manifest = decode(raw, Manifest)
        _check_manifest(manifest)
    except (CodecError, ValueError) as error:
        raise OpeningInvalid(f"not a manifest: {error}") from None
    return manifest


def _check_manifest(manifest: Manifest) -> None:
    if manifest.version != _MANIFEST_VERSION:
        raise ValueError("version is not 1")
    if len(manifest.key_digest) != DIGEST_BYTES:
        raise ValueError("key_digest is not 32 bytes")
    if len(manifest.cell) != DIGEST_BYTES:
        raise ValueError("cell is not 32 bytes")
    if not 0 <= manifest.epoch <= 0xFFFFFFFF:
        raise ValueError("epoch is out of range")
    for index, pair in enumerate(manifest.visible):
        if any(len(item) != DIGEST_BYTES for item in pair):
            raise ValueError(f"visible[{index}] is not two times 32 bytes")


def manifest_hash(envelope: bytes) -> bytes:
    """Hash of a manifest's envelope as it is stored, for the cell's commitment."""
    return sha256(envelope).digest()


def manifest_commitment(of: Tag, salt: bytes, envelope: bytes) -> Commitment:
    """Compute the commitment of position 0 from the manifest's envelope as it is stored.

    Raises:
        ValueError: Tag or salt is not 32 bytes.
    """
    _check_sizes(of, salt)
    return Commitment(sha256(_MANIFEST_PREFIX + of + _TAG_HEADER + sha256(salt + envelope).digest()).digest())


def verify_manifest_commitment(commitment: Commitment, of: Tag, salt: bytes, envelope: bytes) -> None:
    """Check that position 0 holds this envelope.

    Raises:
        OpeningInvalid: The commitment is not that of this tag, salt and envelope.
        ValueError: Tag or salt is not 32 bytes.
    """
    _check_same(commitment, manifest_commitment(of, salt, envelope))


def _check_sizes(of: Tag, salt: bytes) -> None:
    if len(of) != DIGEST_BYTES or len(salt) != SALT_BYTES:
        raise ValueError("a tag and a salt are 32 bytes each")


def _check_same(commitment: Commitment, computed: Commitment) -> None:
    if not compare_digest(commitment, computed):
        raise OpeningInvalid("what was shown does not lead to the commitment")
