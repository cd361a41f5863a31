"""Mending a batch that the ledger refuses for good, and positions after a restore.

A tag of ours that holds a strange commitment means that this site's keys were used elsewhere, such as by an
older copy of it. The position is then given up: a record version moves to its stream's next position with a
new commitment, and the old position is marked as taken, so that the stream still has no gap and the strange
entry is visible to whoever checks. A position whose content is gone before it was committed is filled with a
void commitment, before anything later of its stream is signed.
"""

from __future__ import annotations

from collections.abc import Callable

from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.package import build_leaf, decode_package
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.schema import (
    ABANDONED,
    ENTRY_MANIFEST,
    ENTRY_RECORD,
    ENTRY_TAKEN,
    ENTRY_VOID,
)
from careledger.domains.records.service.streams import Registry, Stream
from careledger.domains.records.service.versions import seal_context, wrap_context
from careledger.primitives.errors import InvariantViolated
from careledger.primitives.identifiers import Commitment
from careledger.storage.sqlite import Connection
from careledger.vault.leaves import leaf_commitment
from careledger.vault.sealing import open_sealed
from careledger.vault.streams import new_salt, tag, void_commitment
from careledger.vault.wrapping import unwrap_record_key, wrap_record_key

FindEntry = Callable[[bytes], bytes | None]
"""Commitment that the ledger holds under one of this organisation's tags."""

LOOK_AHEAD = 64
"""Positions looked at past a missing one."""

_ENTRIES = (
    "SELECT row, stream, position, kind, commitment, type, id, version, sealed, secret FROM entry "
    "WHERE batch = ? ORDER BY stream, position"
)


def repair_batch(
    connection: Connection, site: SiteContext, registry: Registry, find: FindEntry, batch: int
) -> int:
    """Give up a refused batch: entries that can still go out are queued again; returns how many moved.

    Raises:
        InvariantViolated: A stream's very first position is taken; the stream cannot be used.
    """
    moved = 0
    for row, stream_row, position, kind, commitment, *rest in fetch_all(connection, _ENTRIES, (batch,)):
        stream = registry.stream_by_row(connection, stream_row)
        found = find(tag(stream.index_key, position))
        if found == commitment:
            continue
        if found is not None:
            if kind == ENTRY_MANIFEST:
                raise InvariantViolated("a stream's manifest position holds a strange commitment")
            _move(connection, site, stream, row, rest, found)
            moved += 1
        elif kind == ENTRY_RECORD and rest[3] is None:
            _fill_void(connection, stream, row, position)
        else:
            connection.execute("UPDATE entry SET batch = 0 WHERE row = ?", (row,))
        stream.batch = 0
        stream.is_changed = True
    connection.execute("UPDATE batch SET state = ?, raw = NULL WHERE row = ?", (ABANDONED, batch))
    registry.save(connection)
    return moved


def rederive_positions(connection: Connection, registry: Registry, find: FindEntry) -> list[tuple[int, int]]:
    """After a restore: positions that the ledger knows and this database does not are marked as taken.

    Walks each stream's tags from its next position on, looking ahead past missing ones, so that no position is
    ever used twice. Returns (stream, position) of those found.
    """
    found = []
    for (row,) in fetch_all(connection, "SELECT row FROM stream ORDER BY row"):
        stream = registry.stream_by_row(connection, row)
        position, missing = stream.next_position, 0
        while missing < LOOK_AHEAD:
            commitment = find(tag(stream.index_key, position))
            if commitment is None:
                missing += 1
            else:
                for skipped in range(stream.next_position, position + 1):
                    _insert_taken(connection, stream, skipped, find(tag(stream.index_key, skipped)))
                    found.append((row, skipped))
                stream.next_position = position + 1
                stream.is_changed = True
                missing = 0
            position += 1
    registry.save(connection)
    return found


def _insert_taken(connection: Connection, stream: Stream, position: int, commitment: bytes | None) -> None:
    if commitment is None:
        # Never committed: filled before anything later of the stream goes out.
        salt = new_salt()
        void = void_commitment(tag(stream.index_key, position), salt)
        connection.execute(
            "INSERT INTO entry (stream, position, kind, commitment, batch, secret) VALUES (?, ?, ?, ?, 0, ?)",
            (stream.row, position, ENTRY_VOID, void, salt),
        )
        return
    connection.execute(
        "INSERT INTO entry (stream, position, kind, commitment, batch) VALUES (?, ?, ?, ?, -1)",
        (stream.row, position, ENTRY_TAKEN, commitment),
    )


def _fill_void(connection: Connection, stream: Stream, row: int, position: int) -> None:
    salt = new_salt()
    void = void_commitment(tag(stream.index_key, position), salt)
    connection.execute(
        "UPDATE entry SET kind = ?, commitment = ?, batch = 0, secret = ? WHERE row = ?",
        (ENTRY_VOID, void, salt, row),
    )


def _move(
    connection: Connection, site: SiteContext, stream: Stream, row: int, rest: list[object], strange: bytes
) -> None:
    """Give a record version the stream's next position, with the commitment that goes with it."""
    resource_type, resource_id, version, sealed, wrapped = rest
    old = fetch_all(connection, "SELECT commitment FROM entry WHERE row = ?", (row,))[0][0]
    if not (
        isinstance(resource_type, str)
        and isinstance(resource_id, str)
        and isinstance(version, int)
        and isinstance(sealed, bytes)
        and isinstance(wrapped, bytes)
    ):
        raise InvariantViolated("a record's row is incomplete")
    key = unwrap_record_key(
        wrapped, stream.compartment_key, wrap_context(stream, resource_id, version, Commitment(old))
    )
    plaintext = open_sealed(sealed, key, context=seal_context(site, resource_type, resource_id, version))
    position = stream.next_position
    stream.next_position = position + 1
    of = tag(stream.index_key, position)
    leaf = build_leaf(of, resource_type, sealed, plaintext, decode_package(plaintext))
    commitment = leaf_commitment(leaf)
    again = wrap_record_key(
        key, stream.compartment_key, wrap_context(stream, resource_id, version, commitment)
    )
    taken_position = fetch_all(connection, "SELECT position FROM entry WHERE row = ?", (row,))[0][0]
    connection.execute(
        "UPDATE entry SET position = ?, commitment = ?, secret = ?, batch = 0 WHERE row = ?",
        (position, commitment, again, row),
    )
    connection.execute(
        "INSERT INTO entry (stream, position, kind, commitment, batch) VALUES (?, ?, ?, ?, -1)",
        (stream.row, taken_position, ENTRY_TAKEN, strange),
    )
