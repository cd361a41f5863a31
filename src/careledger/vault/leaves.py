"""The commitment of one record version, and how single fields of it are shown with proof.

Owns the leaf's structure, its commitment and the opening of fields. Does not build metadata, nor check the
fields' meaning.

    leaf = SHA-256(0x00 | CBOR[tag, H(salt_1 | type), H(salt_2 | blob hash), H(salt_3 | plaintext hash),
                               H(salt_4 | metadata)])            H = SHA-256, salts of 32 bytes

Every field is salted by itself, so that one can be shown alone: an insurer sees type and metadata, not
content. The tag is inside, so that a commitment cannot be reused for another patient. Without the salts all
of it is noise; while they live, it is personal data for whoever holds them, and `repr` shows none of it.

Source: the project's `records.md`, "Leaf".
"""

from __future__ import annotations

import os
from enum import IntEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from careledger.primitives.codec import CodecError, Wire, decode
from careledger.primitives.identifiers import Commitment, Tag
from careledger.vault.errors import OpeningInvalid
from careledger.vault.keys import SecretWire

SALT_BYTES: Final = 32
DIGEST_BYTES: Final = 32
FIELD_COUNT: Final = 4
SALTS_BYTES: Final = SALT_BYTES * FIELD_COUNT
TYPE_CHARACTERS_MAX: Final = 64
METADATA_BYTES_MAX: Final = 4096

# CBOR: an array of 5, every element a byte string of 32 bytes.
_DIGEST_HEAD = b"\x58\x20"
_LEAF_PREFIX = b"\x00\x85" + _DIGEST_HEAD


class LeafField(IntEnum):
    """A field of a leaf, by its place."""

    TYPE = 0
    """Resource type, UTF-8."""
    BLOB_HASH = 1
    """SHA-256 of the sealed blob."""
    PLAINTEXT_HASH = 2
    """SHA-256 of the exact plaintext bytes."""
    METADATA = 3
    """Whatever the records service states about the version, as canonical bytes."""


class Leaf(SecretWire, frozen=True):
    """All that one record version's commitment is made of; stored sealed, destroyed with the record."""

    tag: Tag
    """The tag under which the commitment stands."""
    record_type: str
    """Resource type, 1 to 64 characters."""
    blob_hash: bytes
    """SHA-256 of the sealed blob, 32 bytes."""
    plaintext_hash: bytes
    """SHA-256 of the exact plaintext bytes, 32 bytes."""
    metadata: bytes
    """At most 4,096 bytes."""
    salts: bytes
    """Four salts of 32 bytes, in the order of `LeafField`."""


class ShownField(SecretWire, frozen=True):
    """One field in the open, with the salt that proves it."""

    field: int
    """Its `LeafField`."""
    salt: bytes
    """32 bytes."""
    value: bytes
    """The field's bytes; the type in UTF-8."""


class LeafOpening(Wire, frozen=True):
    """One or more fields in the open, and the digests of the others."""

    shown: tuple[ShownField, ...]
    """Ascending by field, at least one."""
    hidden: tuple[bytes, ...]
    """Digests of the remaining fields, ascending by field, 32 bytes each."""


def new_leaf(tag: Tag, record_type: str, blob_hash: bytes, plaintext_hash: bytes, metadata: bytes) -> Leaf:
    """Make a leaf with fresh salts.

    Raises:
        ValueError: A field is out of bounds.
    """
    leaf = Leaf(tag, record_type, blob_hash, plaintext_hash, metadata, os.urandom(SALTS_BYTES))
    _check_leaf(leaf)
    return leaf


def decode_leaf(raw: bytes) -> Leaf:
    """Read a leaf back from its canonical encoding.

    Raises:
        OpeningInvalid: Not the canonical encoding of a leaf within bounds.
    """
    try:
        leaf = decode(raw, Leaf)
        _check_leaf(leaf)
    except (CodecError, ValueError) as error:
        raise OpeningInvalid(f"not a leaf: {error}") from None
    return leaf


def _check_leaf(leaf: Leaf) -> None:
    if len(leaf.tag) != DIGEST_BYTES:
        raise ValueError("tag is not 32 bytes")
    if not 1 <= len(leaf.record_type) <= TYPE_CHARACTERS_MAX:
        raise ValueError("record_type is not 1 to 64 characters")
    if len(leaf.blob_hash) != DIGEST_BYTES or len(leaf.plaintext_hash) != DIGEST_BYTES:
        raise ValueError("a hash is not 32 bytes")
    if len(leaf.metadata) > METADATA_BYTES_MAX:
        raise ValueError("metadata is longer than 4,096 bytes")
    if len(leaf.salts) != SALTS_BYTES:
        raise ValueError("salts are not 4 times 32 bytes")


def leaf_commitment(leaf: Leaf) -> Commitment:
    """Compute the commitment of a leaf made by `new_leaf` or read by `decode_leaf`."""
    salts = leaf.salts
    return _fold(
        leaf.tag,
        sha256(salts[:32] + leaf.record_type.encode()).digest(),
        sha256(salts[32:64] + leaf.blob_hash).digest(),
        sha256(salts[64:96] + leaf.plaintext_hash).digest(),
        sha256(salts[96:] + leaf.metadata).digest(),
    )


def _fold(tag: Tag, of_type: bytes, of_blob: bytes, of_plaintext: bytes, of_metadata: bytes) -> Commitment:
    # Written out rather than encoded: the form is fixed, and every record version passes here.
    head = _DIGEST_HEAD
    return Commitment(
        sha256(
            b"".join((_LEAF_PREFIX, tag, head, of_type, head, of_blob, head, of_plaintext, head, of_metadata))
        ).digest()
    )


def open_fields(leaf: Leaf, *fields: LeafField) -> LeafOpening:
    """Show one or more fields of a leaf and prove them.

    Raises:
        ValueError: No field was named.
    """
    if not fields:
        raise ValueError("an opening shows at least one field")
    values = (leaf.record_type.encode(), leaf.blob_hash, leaf.plaintext_hash, leaf.metadata)
    shown: list[ShownField] = []
    hidden: list[bytes] = []
    for field in LeafField:
        salt = leaf.salts[field * SALT_BYTES : (field + 1) * SALT_BYTES]
        if field in fields:
            shown.append(ShownField(int(field), salt, values[field]))
        else:
            hidden.append(sha256(salt + values[field]).digest())
    return LeafOpening(tuple(shown), tuple(hidden))


def verify_opening(opening: LeafOpening, *, tag: Tag, commitment: Commitment) -> dict[LeafField, bytes]:
    """Check an opening against a tag and commitment whose place on the ledger the caller has verified.

    1. The opening is well formed: each field once, shown or hidden, in order.
    2. Digests of shown and hidden fields, folded with the tag, give the commitment.

    Returns:
        The shown fields.

    Raises:
        OpeningInvalid: Anything else.
    """
    # 1.
    places = [item.field for item in opening.shown]
    if not places or places != sorted(set(places)) or not 0 <= places[0] <= places[-1] < FIELD_COUNT:
        raise OpeningInvalid("shown fields are not ascending places of a leaf")
    if len(opening.hidden) != FIELD_COUNT - len(places):
        raise OpeningInvalid("shown and hidden fields are not four together")
    if any(len(item.salt) != SALT_BYTES for item in opening.shown):
        raise OpeningInvalid("a salt is not 32 bytes")
    if len(tag) != DIGEST_BYTES or any(len(digest) != DIGEST_BYTES for digest in opening.hidden):
        raise OpeningInvalid("a tag or digest is not 32 bytes")
    # 2.
    digests = {item.field: sha256(item.salt + item.value).digest() for item in opening.shown}
    hidden = iter(opening.hidden)
    of_type, of_blob, of_plaintext, of_metadata = (
        digests[place] if place in digests else next(hidden) for place in range(FIELD_COUNT)
    )
    if not compare_digest(_fold(tag, of_type, of_blob, of_plaintext, of_metadata), commitment):
        raise OpeningInvalid("what was shown does not lead to the commitment")
    return {LeafField(item.field): item.value for item in opening.shown}
