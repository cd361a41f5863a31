"""Signed requests of the records module.

No field is text, and every length is fixed or one of a few. A grant, an amendment, a revocation and a refresh
are all `UpdateCell` transactions of one size: even the version is bytes, since a number's encoding grows.
"""

from __future__ import annotations

from operator import ge
from struct import Struct

from careledger.domains.records.chain.errors import (
    BATCH_SIZE,
    BATCH_UNEVEN,
    FIELD_LENGTH,
    ORGANISATION_OUT_OF_RANGE,
    TAGS_NOT_ASCENDING,
)
from careledger.domains.records.chain.types import (
    ACCESS_BATCH_SIZES,
    CELL_BATCH_SIZES,
    CELL_CONTENTS_BYTES,
    CELL_ID_BYTES,
    COMMITMENT_BYTES,
    KEY_BYTES,
    RECORD_BATCH_SIZES,
    TAG_BYTES,
    VERSION_BYTES,
)
from careledger.primitives.identifiers import ORGANISATION_ID_MAX
from careledger.sdk.errors import Rejected
from careledger.sdk.messages import Message

# One call cuts a whole batch; compiled once, since a format of 4096 parts takes longer to read than to use.
_CUT = {count: Struct("32s" * count).unpack for count in (*RECORD_BATCH_SIZES, 1)}


class CommitRecords(Message, frozen=True):
    """Commit to a batch of record versions, all or none. Signed by a ledger key of the organisation."""

    organisation: int
    """The custodian."""
    tags: bytes
    """8, 64, 512 or 4096 tags of 32 bytes, strictly ascending."""
    commitments: bytes
    """One commitment of 32 bytes for each tag, in the tags' order."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_organisation(self.organisation)
        _check_batch(self.tags, self.commitments, RECORD_BATCH_SIZES)

    def operations(self) -> int:
        """One for each tag."""
        return len(self.tags) // TAG_BYTES


class CommitAccess(Message, frozen=True):
    """Commit to a batch of access log entries, all or none. Signed by a ledger key of the organisation."""

    organisation: int
    """Who discloses, or who asked."""
    tags: bytes
    """1, 8, 64 or 512 tags of 32 bytes, strictly ascending."""
    commitments: bytes
    """One commitment of 32 bytes for each tag, in the tags' order."""

    def check(self) -> None:
        """Check sizes and order."""
        _check_organisation(self.organisation)
        _check_batch(self.tags, self.commitments, ACCESS_BATCH_SIZES)

    def operations(self) -> int:
        """One for each tag."""
        return len(self.tags) // TAG_BYTES


class CreateCells(Message, frozen=True):
    """Create consent cells. Signed by a ledger key of the custodian."""

    organisation: int
    """The custodian."""
    cells: bytes
    """1, 8, 64 or 512 times: commitment 32 | next key commitment 32 | recovery commitment 32 | nonce 32."""

    def check(self) -> None:
        """Check sizes."""
        _check_organisation(self.organisation)
        count, rest = divmod(len(self.cells), CELL_CONTENTS_BYTES)
        if rest or count not in CELL_BATCH_SIZES:
            raise Rejected(BATCH_SIZE)

    def operations(self) -> int:
        """One for each cell."""
        return len(self.cells) // CELL_CONTENTS_BYTES


class UpdateCell(Message, frozen=True):
    """Advance a cell. Signed by the one-time key that the cell committed to, and always of one size."""

    cell: bytes
    """32 bytes."""
    version: bytes
    """The cell's version plus one, 8 bytes, big-endian."""
    key: bytes
    """The one-time public key, 32 bytes."""
    next_key_commitment: bytes
    """Digest of the key that may make the update after this one."""
    recovery_commitment: bytes
    """Digest of the key that may start a recovery from now on."""
    commitment: bytes
    """The new contents."""

    def check(self) -> None:
        """Check lengths."""
        _check_length(self.cell, CELL_ID_BYTES, "cell")
        _check_length(self.version, VERSION_BYTES, "version")
        _check_length(self.key, KEY_BYTES, "key")
        _check_length(self.next_key_commitment, COMMITMENT_BYTES, "next_key_commitment")
        _check_length(self.recovery_commitment, COMMITMENT_BYTES, "recovery_commitment")
        _check_length(self.commitment, COMMITMENT_BYTES, "commitment")


class StartRecovery(Message, frozen=True):
    """Announce that a cell is to follow new keys. Signed by the recovery key; takes effect after a delay."""

    cell: bytes
    """32 bytes."""
    recovery_key: bytes
    """The public key the cell committed to for recovery, 32 bytes."""
    next_key_commitment: bytes
    """Digest of the key that may make the first update after the recovery."""
    recovery_commitment: bytes
    """Digest of the recovery key that takes the place of this one."""

    def check(self) -> None:
        """Check lengths."""
        _check_length(self.cell, CELL_ID_BYTES, "cell")
        _check_length(self.recovery_key, KEY_BYTES, "recovery_key")
        _check_length(self.next_key_commitment, COMMITMENT_BYTES, "next_key_commitment")
        _check_length(self.recovery_commitment, COMMITMENT_BYTES, "recovery_commitment")


class CompleteRecovery(Message, frozen=True):
    """Let a started recovery take effect once its delay is over. Signed by the recovery key."""

    cell: bytes
    """32 bytes."""
    recovery_key: bytes
    """The same key that started the recovery, 32 bytes."""

    def check(self) -> None:
        """Check lengths."""
        _check_length(self.cell, CELL_ID_BYTES, "cell")
        _check_length(self.recovery_key, KEY_BYTES, "recovery_key")


def cut_digests(packed: bytes) -> tuple[bytes, ...]:
    """Cut a checked batch into its parts of 32 bytes."""
    parts: tuple[bytes, ...] = _CUT[len(packed) // TAG_BYTES](packed)
    return parts


def _check_organisation(organisation: int) -> None:
    if not 1 <= organisation <= ORGANISATION_ID_MAX:
        raise Rejected(ORGANISATION_OUT_OF_RANGE)


def _check_length(value: bytes, length_bytes: int, at: str) -> None:
    if len(value) != length_bytes:
        raise Rejected(FIELD_LENGTH, at=at)


def _check_batch(tags: bytes, commitments: bytes, sizes: tuple[int, ...]) -> None:
    count, rest = divmod(len(tags), TAG_BYTES)
    if rest or count not in sizes:
        raise Rejected(BATCH_SIZE)
    if len(commitments) != len(tags):
        raise Rejected(BATCH_UNEVEN)
    cut = cut_digests(tags)
    if any(map(ge, cut, cut[1:])):
        raise Rejected(TAGS_NOT_ASCENDING)
