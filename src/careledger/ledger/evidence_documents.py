"""Opening a record's commitment: which fields are shown, and whether a document is what was committed to.

This restates, from the formats and without the code that makes them, what a record entry's commitment is made
of: evidence has to be checkable by whoever has nothing but this package. Tests hold both statements together.

    commitment = SHA-256(0x00 | CBOR[tag, H(salt_1 | type), H(salt_2 | SHA-256 of the sealed blob),
                                    H(salt_3 | SHA-256 of the plaintext), H(salt_4 | metadata)])
    metadata   = 0x01 | compartment 1 | method 1 | version 4 | updated_ms 8 | SHA-256 of the submitted bytes 32 |
                 SHA-256 of the served bytes 32
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from careledger.ledger.evidence import Disclosure, DocumentForm
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.primitives.hashing import DIGEST_BYTES, sha256

FIELDS: Final = ("type", "blob_hash", "plaintext_hash", "metadata")
"""Fields of a leaf, in their order."""
METHODS: Final = {1: "a creation", 2: "an update", 3: "a deletion"}

_TYPE, _BLOB_HASH, _PLAINTEXT_HASH, _METADATA = range(4)
_METADATA_LAYOUT: Final = Struct(">BBBIQ32s32s")
_METADATA_SCHEMA: Final = 1
_SALT_BYTES: Final = 32
_DIGEST_HEAD: Final = b"\x58\x20"
_LEAF_HEAD: Final = b"\x00\x85"


class DisclosureInvalid(ValueError):  # noqa: N818 - verification raises the outcome's name
    """What was disclosed does not lead to the commitment; the message says why."""


class ShownField(Wire, frozen=True):
    """One field in the open, with the salt that proves it."""

    field: int
    salt: bytes
    value: bytes


class Opening(Wire, frozen=True):
    """Fields in the open, and the digests of the others."""

    shown: tuple[ShownField, ...]
    hidden: tuple[bytes, ...]


class RecordMetadata(Wire, frozen=True):
    """What a leaf states about a record version."""

    compartment: int
    method: int
    """1 create, 2 update, 3 delete."""
    version: int
    updated_ms: int
    """When the organisation says that it was made; the ledger's own time is the block's."""
    submitted_hash: bytes
    served_hash: bytes


class DisclosedRecord(Wire, frozen=True):
    """What a disclosure shows, checked."""

    record_type: str | None
    """Resource type, if shown."""
    metadata: RecordMetadata | None
    """If shown."""
    form: DocumentForm
    document_hash: bytes | None
    """SHA-256 of the document, if there is one."""


def verify_disclosure(disclosure: Disclosure, *, tag: bytes, commitment: bytes) -> DisclosedRecord:
    """Check a disclosure against a tag and commitment whose place on the ledger is proved.

    1. Shown and hidden fields, folded with the tag, give the commitment.
    2. The document is the one that a shown field names.

    Raises:
        DisclosureInvalid: A step failed.
    """
    # 1
    try:
        opening = decode(disclosure.opening, Opening)
    except CodecError as error:
        raise DisclosureInvalid(f"the opening cannot be decoded: {error}") from None
    shown = _fold(opening, tag, commitment)
    metadata = _read_metadata(shown[_METADATA]) if _METADATA in shown else None
    # 2
    document_hash: bytes | None = None
    if disclosure.form is not DocumentForm.NONE:
        document_hash = sha256(disclosure.document)
        if document_hash != _named_hash(disclosure.form, shown, metadata):
            raise DisclosureInvalid("the document is not the one that was committed to")
    record_type = _read_type(shown[_TYPE]) if _TYPE in shown else None
    return DisclosedRecord(record_type, metadata, disclosure.form, document_hash)


def _fold(opening: Opening, tag: bytes, commitment: bytes) -> dict[int, bytes]:
    places = [item.field for item in opening.shown]
    count = len(FIELDS)
    if not places or places != sorted(set(places)) or places[0] < 0 or places[-1] >= count:
        raise DisclosureInvalid("the shown fields are not ascending fields of a record")
    if len(opening.hidden) != count - len(places):
        raise DisclosureInvalid("shown and hidden fields are not four together")
    if any(len(item.salt) != _SALT_BYTES for item in opening.shown):
        raise DisclosureInvalid("a salt is not 32 bytes")
    if any(len(digest) != DIGEST_BYTES for digest in opening.hidden):
        raise DisclosureInvalid("a hidden field's digest is not 32 bytes")
    digests = {item.field: sha256(item.salt + item.value) for item in opening.shown}
    hidden = iter(opening.hidden)
    parts = [tag, *(digests[place] if place in digests else next(hidden) for place in range(count))]
    if sha256(_LEAF_HEAD + b"".join(_DIGEST_HEAD + part for part in parts)) != commitment:
        raise DisclosureInvalid("what was shown does not lead to the commitment")
    return {item.field: item.value for item in opening.shown}


def _named_hash(form: DocumentForm, shown: dict[int, bytes], metadata: RecordMetadata | None) -> bytes:
    """Hash of the document according to the field that names it."""
    if form is DocumentForm.PLAINTEXT and _PLAINTEXT_HASH in shown:
        return shown[_PLAINTEXT_HASH]
    if form is DocumentForm.SEALED and _BLOB_HASH in shown:
        return shown[_BLOB_HASH]
    if form is DocumentForm.SERVED and metadata is not None:
        return metadata.served_hash
    if form is DocumentForm.SUBMITTED and metadata is not None:
        return metadata.submitted_hash
    raise DisclosureInvalid("the field that names the document is not shown")


def _read_metadata(raw: bytes) -> RecordMetadata:
    if len(raw) != _METADATA_LAYOUT.size or raw[0] != _METADATA_SCHEMA:
        raise DisclosureInvalid("the metadata's layout is unknown")
    _, compartment, method, version, updated_ms, submitted, served = _METADATA_LAYOUT.unpack(raw)
    return RecordMetadata(compartment, method, version, updated_ms, submitted, served)


def _read_type(raw: bytes) -> str:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise DisclosureInvalid("the type is not a name") from None
    if not text.isalnum() or len(text) > 64:
        raise DisclosureInvalid("the type is not a name")
    return text
