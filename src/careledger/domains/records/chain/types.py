"""State values and events of the records module, and what it needs from others.

There is no text in any of them: organisations' numbers, tags, commitments, keys' digests, heights and times.
Stored values have fixed layouts, so that a proof can be read without a decoder and every cell has one size.
"""

from __future__ import annotations

from struct import Struct
from typing import Protocol

from careledger.primitives.codec import Wire
from careledger.primitives.hashing import labelled
from careledger.sdk.context import Context, StateReader
from careledger.sdk.errors import InvariantViolated
from careledger.sdk.events import Event

TAG_BYTES = 32
COMMITMENT_BYTES = 32
KEY_BYTES = 32
CELL_ID_BYTES = 32
VERSION_BYTES = 8
CELL_CONTENTS_BYTES = 128
"""commitment 32 | commitment to the first key 32 | commitment to the recovery key 32 | nonce 32."""

RECORD_BATCH_SIZES = (8, 64, 512, 4096)
ACCESS_BATCH_SIZES = (1, 8, 64, 512)
CELL_BATCH_SIZES = (1, 8, 64, 512)

ENTRY_SCHEMA = b"\x01"
CELL_SCHEMA = 1
FIRST_VERSION = 1

_ENTRY_LAYOUT = Struct(">c32sQ")
_CELL_LAYOUT = Struct(">BIQ32s32s32sB32s32sQ")
_NO_DIGEST = bytes(32)


class Organisations(Protocol):
    """What this module needs to know of organisations."""

    def require_ledger_signer(self, context: Context, organisation_id: int) -> bytes:
        """Key of the organisation that signed and is valid for ledger use; raises Rejected if none did."""


class RecordsParameters(Protocol):
    """What this module needs of the ledger's parameters."""

    def recovery_delay_ms(self, store: StateReader) -> int:
        """How long a recovery of a cell waits before it can take effect."""


class Entry(Wire, frozen=True):
    """A record entry or an access entry."""

    organisation: int
    """Who committed."""
    tag: bytes
    """32 bytes."""
    commitment: bytes
    """32 bytes."""
    height: int
    """Block of the commitment."""


class PendingRecovery(Wire, frozen=True):
    """A recovery that was started and waits for its delay."""

    next_key_commitment: bytes
    """Takes the place of the cell's."""
    recovery_commitment: bytes
    """Takes the place of the cell's."""
    ready_at_ms: int
    """Block time from which it can be completed."""


class Cell(Wire, frozen=True):
    """A consent cell: a register advanced by one-time keys."""

    custodian: int
    """Organisation that created it."""
    version: int
    """1 at creation, one more with each update or completed recovery."""
    commitment: bytes
    """Padded Merkle root of salted leaves, one per grant."""
    next_key_commitment: bytes
    """Digest of the key that may make the next update."""
    recovery_commitment: bytes
    """Digest of the key that may start a recovery."""
    pending: PendingRecovery | None
    """The recovery under way, if there is one."""


def compute_cell_id(chain_id: str, custodian: int, contents: bytes) -> bytes:
    """Identifier of a cell: digest of the ledger, the custodian and the 128 bytes it is created with."""
    return labelled("careledger/cell/1", chain_id.encode(), custodian.to_bytes(4, "big"), contents)


def compute_key_commitment(public_key: bytes) -> bytes:
    """Digest by which a cell commits to the one-time key of its next update."""
    return labelled("careledger/cell-key/1", public_key)


def compute_recovery_commitment(public_key: bytes) -> bytes:
    """Digest by which a cell commits to its recovery key; never equal to a commitment to an update key."""
    return labelled("careledger/cell-recovery-key/1", public_key)


def pack_entry(commitment: bytes, height: int) -> bytes:
    """Stored form of an entry: schema 0x01 | commitment 32 | height 8, big-endian; 41 bytes."""
    return _ENTRY_LAYOUT.pack(ENTRY_SCHEMA, commitment, height)


def unpack_entry(organisation: int, tag: bytes, raw: bytes) -> Entry:
    """Read what `pack_entry` wrote.

    Raises:
        InvariantViolated: The bytes are not of that layout.
    """
    if len(raw) != _ENTRY_LAYOUT.size or raw[:1] != ENTRY_SCHEMA:
        raise InvariantViolated("an entry of records cannot be read")
    _, commitment, height = _ENTRY_LAYOUT.unpack(raw)
    return Entry(organisation, tag, commitment, height)


def pack_cell(cell: Cell) -> bytes:
    """Stored form of a cell, big-endian, always 182 bytes.

    Schema 1 | custodian 4 | version 8 | commitment 32 | next key 32 | recovery key 32 | recovery pending 1 |
    its next key 32 | its recovery key 32 | ready at 8; the last three are zero while none is pending.
    """
    pending = cell.pending
    return _CELL_LAYOUT.pack(
        CELL_SCHEMA,
        cell.custodian,
        cell.version,
        cell.commitment,
        cell.next_key_commitment,
        cell.recovery_commitment,
        pending is not None,
        _NO_DIGEST if pending is None else pending.next_key_commitment,
        _NO_DIGEST if pending is None else pending.recovery_commitment,
        0 if pending is None else pending.ready_at_ms,
    )


def unpack_cell(raw: bytes) -> Cell:
    """Read what `pack_cell` wrote.

    Raises:
        InvariantViolated: The bytes are not of that layout.
    """
    if len(raw) != _CELL_LAYOUT.size or raw[0] != CELL_SCHEMA:
        raise InvariantViolated("a cell of records cannot be read")
    _, custodian, version, commitment, next_key, recovery, flag, *rest = _CELL_LAYOUT.unpack(raw)
    pending = PendingRecovery(*rest) if flag else None
    return Cell(custodian, version, commitment, next_key, recovery, pending)


class RecordsCommitted(Event, frozen=True):
    """A batch of record entries is on the ledger."""

    organisation: int
    count: int
    """Entries that are new; those already there are not counted."""


class AccessCommitted(Event, frozen=True):
    """A batch of access entries is on the ledger."""

    organisation: int
    count: int
    """Entries that are new; those already there are not counted."""


class CellsCreated(Event, frozen=True):
    """Cells came into being."""

    custodian: int
    cells: bytes
    """Identifiers, 32 bytes each, in the order of the message."""


class CellUpdated(Event, frozen=True):
    """A cell advanced: a grant, an amendment, a revocation or a refresh, which look the same."""

    cell: bytes
    custodian: int
    version: int


class RecoveryStarted(Event, frozen=True):
    """A recovery waits for its delay; whoever holds the cell's key should be told now."""

    cell: bytes
    custodian: int
    ready_at_ms: int


class RecoveryCancelled(Event, frozen=True):
    """An ordinary update ended a recovery under way."""

    cell: bytes
    custodian: int


class RecoveryCompleted(Event, frozen=True):
    """A cell follows its new keys."""

    cell: bytes
    custodian: int
    version: int
