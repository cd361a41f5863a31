"""Batches: exact signed ledger transactions, kept until their receipts are durable.

A batch is written in the same database transaction as the entries it carries, with the very bytes that will be
submitted. After a crash it is submitted again as it is; once it has expired it is signed anew over the same
message, and what is already on the ledger with the same commitments counts as done.

Nothing here decides what is committed to; it brings what was decided onto the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.chain.messages import CommitAccess, CommitRecords, CreateCells
from careledger.domains.records.chain.types import (
    ACCESS_BATCH_SIZES,
    CELL_BATCH_SIZES,
    CELL_CONTENTS_BYTES,
    RECORD_BATCH_SIZES,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.schema import (
    BATCH_ACCESS,
    BATCH_CELLS,
    BATCH_RECORDS,
    COMMITTED,
    WAITING,
)
from careledger.domains.records.service.streams import NewEntry
from careledger.ledger.transaction import build_transaction, decode_transaction
from careledger.primitives.codec import decode, encode
from careledger.sdk.messages import Message
from careledger.storage.sqlite import Connection

RECORDS_MODULE: Final = "records"
BATCH_ENTRIES_MAX: Final = RECORD_BATCH_SIZES[-1]
ACCESS_ENTRIES_MAX: Final = ACCESS_BATCH_SIZES[-1]
CELLS_MAX: Final = CELL_BATCH_SIZES[-1]

_MESSAGES: Final[dict[int, type[Message]]] = {
    BATCH_RECORDS: CommitRecords,
    BATCH_ACCESS: CommitAccess,
    BATCH_CELLS: CreateCells,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction on its way to the ledger."""

    row: int
    kind: int
    raw: bytes
    tx_id: bytes
    expires_at_ms: int
    not_before_ms: int


def padded_size(count: int, sizes: Sequence[int]) -> int:
    """Least allowed size that holds so many entries.

    Raises:
        ValueError: There is none.
    """
    for size in sizes:
        if count <= size:
            return size
    raise ValueError("more entries than a batch can hold")


def build_entries_message(site: SiteContext, kind: int, entries: Sequence[NewEntry]) -> Message:
    """Ascending tags, padded with random pairs: a reader cannot tell how many are real, nor whose they are."""
    sizes = RECORD_BATCH_SIZES if kind == BATCH_RECORDS else ACCESS_BATCH_SIZES
    missing = padded_size(len(entries), sizes) - len(entries)
    noise = os.urandom(64 * missing)
    pairs = [(entry.tag, entry.commitment) for entry in entries]
    pairs += [(noise[at : at + 32], noise[at + 32 : at + 64]) for at in range(0, 64 * missing, 64)]
    pairs.sort()
    tags = b"".join(pair[0] for pair in pairs)
    commitments = b"".join(pair[1] for pair in pairs)
    if kind == BATCH_RECORDS:
        return CommitRecords(site.organisation, tags, commitments)
    return CommitAccess(site.organisation, tags, commitments)


def build_cells_message(site: SiteContext, cells: Sequence[bytes]) -> CreateCells:
    """Cells to create, padded with cells that nobody will ever open."""
    missing = padded_size(len(cells), CELL_BATCH_SIZES) - len(cells)
    noise = os.urandom(CELL_CONTENTS_BYTES * missing)
    return CreateCells(site.organisation, b"".join(cells) + noise)


def insert_batch(
    connection: Connection, site: SiteContext, kind: int, message: Message, *, delay_ms: int = 0
) -> Batch:
    """Sign a message and keep it, inside the caller's transaction."""
    now_ms = site.clock_ms()
    not_before_ms = now_ms + delay_ms
    raw, tx_id, expires_at_ms = _sign(site, message, not_before_ms)
    connection.execute(
        "INSERT INTO batch (kind, state, raw, message, tx_id, expires_at_ms, not_before_ms, created_ms, height) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (kind, WAITING, raw, encode(message), tx_id, expires_at_ms, not_before_ms, now_ms),
    )
    return Batch(connection.last_insert_rowid(), kind, raw, tx_id, expires_at_ms, not_before_ms)


def sign_anew(connection: Connection, site: SiteContext, row: int) -> Batch:
    """Give an expired batch a new expiry and signature over the same message."""
    kind, message = fetch_all(connection, "SELECT kind, message FROM batch WHERE row = ?", (row,))[0]
    now_ms = site.clock_ms()
    raw, tx_id, expires_at_ms = _sign(site, decode(message, _MESSAGES[kind]), now_ms)
    connection.execute(
        "UPDATE batch SET raw = ?, tx_id = ?, expires_at_ms = ? WHERE row = ?",
        (raw, tx_id, expires_at_ms, row),
    )
    return Batch(row, kind, raw, tx_id, expires_at_ms, now_ms)


def mark_committed(connection: Connection, confirmed: Sequence[tuple[int, int]]) -> None:
    """Note (batch, height) of durable receipts; the transactions' bytes are no longer needed."""
    connection.executemany(
        f"UPDATE batch SET state = {COMMITTED}, height = ?, raw = NULL WHERE row = ? AND state = {WAITING}",
        [(height, row) for row, height in confirmed],
    )


def read_waiting(connection: Connection) -> list[Batch]:
    """Batches without a receipt, oldest first: what a restart goes on with."""
    return [
        Batch(*row)
        for row in fetch_all(
            connection,
            f"SELECT row, kind, raw, tx_id, expires_at_ms, not_before_ms FROM batch WHERE state = {WAITING} "
            "ORDER BY row",
        )
    ]


def read_message(connection: Connection, row: int) -> Message:
    """What a batch asks for."""
    kind, message = fetch_all(connection, "SELECT kind, message FROM batch WHERE row = ?", (row,))[0]
    return decode(message, _MESSAGES[kind])


def _sign(site: SiteContext, message: Message, not_before_ms: int) -> tuple[bytes, bytes, int]:
    expires_at_ms = not_before_ms + site.settings.expiry_ms
    raw = build_transaction(
        chain_id=site.chain_id,
        module=RECORDS_MODULE,
        message=message,
        expires_at_ms=expires_at_ms,
        seeds=[site.ledger_seed.reveal()],
    )
    return raw, decode_transaction(raw).tx_id, expires_at_ms
