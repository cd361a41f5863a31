"""What each message of the records module does.

Whether a record is true, whose it is, and what a consent says is never seen here: handlers compare keys,
tags, versions and digests, and a patient's key signs for a cell without any account.
"""

from __future__ import annotations

import msgspec

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.errors import (
    KEY_NOT_COMMITTED,
    KEY_NOT_SIGNED,
    RECOVERY_ABSENT,
    RECOVERY_PENDING,
    RECOVERY_TOO_EARLY,
    VERSION_MISMATCH,
)
from careledger.domains.records.chain.messages import (
    CommitAccess,
    CommitRecords,
    CompleteRecovery,
    CreateCells,
    StartRecovery,
    UpdateCell,
)
from careledger.domains.records.chain.types import (
    AccessCommitted,
    Cell,
    CellsCreated,
    CellUpdated,
    Organisations,
    PendingRecovery,
    RecordsCommitted,
    RecordsParameters,
    RecoveryCancelled,
    RecoveryCompleted,
    RecoveryStarted,
    compute_key_commitment,
    compute_recovery_commitment,
)
from careledger.sdk.context import Context
from careledger.sdk.errors import Rejected


def commit_records(organisations: Organisations, context: Context, message: CommitRecords) -> bytes:
    """Commit to a batch of record versions."""
    # CHECKS
    organisations.require_ledger_signer(context, message.organisation)
    fresh = keeper.fresh_entries(
        context.store,
        keeper.RECORD_ENTRIES,
        message.organisation,
        message.tags,
        message.commitments,
        context.height,
    )
    # EFFECTS
    keeper.write_entries(context.store, fresh)
    # EVENTS
    context.emit(RecordsCommitted(message.organisation, len(fresh)))
    return b""


def commit_access(organisations: Organisations, context: Context, message: CommitAccess) -> bytes:
    """Commit to a batch of access log entries."""
    # CHECKS
    organisations.require_ledger_signer(context, message.organisation)
    fresh = keeper.fresh_entries(
        context.store,
        keeper.ACCESS_ENTRIES,
        message.organisation,
        message.tags,
        message.commitments,
        context.height,
    )
    # EFFECTS
    keeper.write_entries(context.store, fresh)
    # EVENTS
    context.emit(AccessCommitted(message.organisation, len(fresh)))
    return b""


def create_cells(organisations: Organisations, context: Context, message: CreateCells) -> bytes:
    """Create consent cells at version 1."""
    # CHECKS
    organisations.require_ledger_signer(context, message.organisation)
    fresh = keeper.fresh_cells(context.store, context.chain_id, message.organisation, message.cells)
    # EFFECTS
    keeper.write_cells(context.store, fresh)
    # EVENTS
    context.emit(CellsCreated(message.organisation, b"".join(fresh)))
    return b""


def update_cell(context: Context, message: UpdateCell) -> bytes:
    """Advance a cell by the key it committed to; a recovery under way ends."""
    # CHECKS
    _require_signature(context, message.key)
    cell = keeper.require_cell(context.store, message.cell)
    if int.from_bytes(message.version, "big") != cell.version + 1:
        raise Rejected(VERSION_MISMATCH)
    if compute_key_commitment(message.key) != cell.next_key_commitment:
        raise Rejected(KEY_NOT_COMMITTED)
    # EFFECTS
    updated = Cell(
        custodian=cell.custodian,
        version=cell.version + 1,
        commitment=message.commitment,
        next_key_commitment=message.next_key_commitment,
        recovery_commitment=message.recovery_commitment,
        pending=None,
    )
    keeper.write_cell(context.store, message.cell, updated)
    # EVENTS
    if cell.pending is not None:
        context.emit(RecoveryCancelled(message.cell, cell.custodian))
    context.emit(CellUpdated(message.cell, cell.custodian, updated.version))
    return b""


def start_recovery(parameters: RecordsParameters, context: Context, message: StartRecovery) -> bytes:
    """Start the delay after which a cell can follow new keys."""
    # CHECKS
    cell = _require_recoverable(context, message.cell, message.recovery_key)
    if cell.pending is not None:
        raise Rejected(RECOVERY_PENDING)
    # EFFECTS
    ready_at_ms = context.time_ms + parameters.recovery_delay_ms(context.store)
    pending = PendingRecovery(message.next_key_commitment, message.recovery_commitment, ready_at_ms)
    keeper.write_cell(context.store, message.cell, msgspec.structs.replace(cell, pending=pending))
    # EVENTS
    context.emit(RecoveryStarted(message.cell, cell.custodian, ready_at_ms))
    return b""


def complete_recovery(context: Context, message: CompleteRecovery) -> bytes:
    """Let a cell follow its new keys; its contents stay as they are."""
    # CHECKS
    cell = _require_recoverable(context, message.cell, message.recovery_key)
    if cell.pending is None:
        raise Rejected(RECOVERY_ABSENT)
    if context.time_ms < cell.pending.ready_at_ms:
        raise Rejected(RECOVERY_TOO_EARLY)
    # EFFECTS
    recovered = Cell(
        custodian=cell.custodian,
        version=cell.version + 1,
        commitment=cell.commitment,
        next_key_commitment=cell.pending.next_key_commitment,
        recovery_commitment=cell.pending.recovery_commitment,
        pending=None,
    )
    keeper.write_cell(context.store, message.cell, recovered)
    # EVENTS
    context.emit(RecoveryCompleted(message.cell, cell.custodian, recovered.version))
    return b""


def _require_recoverable(context: Context, cell_id: bytes, recovery_key: bytes) -> Cell:
    _require_signature(context, recovery_key)
    cell = keeper.require_cell(context.store, cell_id)
    if compute_recovery_commitment(recovery_key) != cell.recovery_commitment:
        raise Rejected(KEY_NOT_COMMITTED)
    return cell


def _require_signature(context: Context, key: bytes) -> None:
    if key not in context.signers:
        raise Rejected(KEY_NOT_SIGNED)
