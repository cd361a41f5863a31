"""Erasure: content goes for good, in every copy; what was committed stays provable as having been there.

Needs a decision with a legal basis; a retention duty or a legal hold refuses with its reason. Erasing a record
destroys its key, blob, salts and index rows, and then changes the compartment's key, wrapping the other
records' keys anew: an old copy of the database still has the erased record's wrapped key, but nothing opens
it any more. Key backups are written anew and the old ones cut off (`backup.py`).

Steps, each repeatable, so that a crash between any two is carried on at the next start:

    1. The decision is written down, and the new compartment keys are durable under the name `next`.
    2. One database transaction: keys of the remaining records wrapped anew, the erased ones and their blobs
       removed, index rows gone.
    3. The new compartment keys take the old ones' place in the keystore, whose old bytes are overwritten.
    4. Key backups are rotated.

Who held the stream's index key keeps knowing that something was there, and when. Copies that were opened
elsewhere cannot be recalled; their holders are listed for notification.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.errors import ERASURE_HELD, RESOURCE_UNKNOWN
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.schema import ENTRY_RECORD
from careledger.domains.records.service.streams import Registry, Stream, compartment_key_name
from careledger.domains.records.service.versions import wrap_context
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import Commitment
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection
from careledger.vault.keys import CompartmentKey
from careledger.vault.wrapping import unwrap_record_key, wrap_record_key

COMPONENT: Final = "records.erasure"
MIGRATIONS: Final = (
    """
    CREATE TABLE hold (
        row INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        kind TEXT NOT NULL,            -- retention, legal-hold
        reason TEXT NOT NULL,
        until_ms INTEGER NOT NULL      -- 0 while open-ended
    );
    CREATE INDEX hold_resource ON hold (id, type);
    CREATE TABLE erasure (
        row INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        basis TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        decided_ms INTEGER NOT NULL,
        state INTEGER NOT NULL         -- 0 decided, 1 removed here, 2 keys changed, 3 backups cut off
    );
    CREATE TABLE mark (name TEXT PRIMARY KEY) WITHOUT ROWID;  -- what is still to be done at the next start
    """,
)

BEFORE_REMOVE = declare("erasure.before_remove")
AFTER_REMOVE = declare("erasure.after_remove")
AFTER_KEYS = declare("erasure.after_keys")

_DECIDED, _REMOVED, _KEYS_CHANGED, _DONE = range(4)


class Basis(StrEnum):
    """Why content may be erased: GDPR Article 17(1), by letter."""

    NO_LONGER_NECESSARY = "17-1-a"
    CONSENT_WITHDRAWN = "17-1-b"
    OBJECTION = "17-1-c"
    UNLAWFUL = "17-1-d"
    LEGAL_OBLIGATION = "17-1-e"
    CHILD_SERVICES = "17-1-f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure did."""

    resource_type: str
    resource_id: str
    versions: int
    """Versions whose content is gone."""
    heights: tuple[int, ...]
    """Blocks that carry their commitments still."""


class Eraser:
    """Erases records of one site. All methods run on the writer thread."""

    def __init__(
        self,
        site: SiteContext,
        registry: Registry,
        index: Index,
        *,
        cut_backups: Callable[[], None],
    ) -> None:
        self._site = site
        self._registry = registry
        self._index = index
        self._cut_backups = cut_backups

    def erase(self, resource_type: str, resource_id: str, *, basis: Basis, decided_by: str) -> Erased:
        """Erase every version of a resource.

        Raises:
            Rejected: ERASURE_HELD with the kind of duty, RESOURCE_UNKNOWN.
        """
        with self._site.database.immediate() as connection:
            self._check_holds(connection, resource_type, resource_id)
            erased = _describe(connection, resource_type, resource_id)
            connection.execute(
                "INSERT INTO erasure (type, id, basis, decided_by, decided_ms, state) VALUES (?, ?, ?, ?, ?, ?)",
                (resource_type, resource_id, basis.value, decided_by, self._site.clock_ms(), _DECIDED),
            )
        self.resume()
        return erased

    def resume(self) -> None:
        """Carry on every erasure that is not done; called at start as well."""
        with self._site.database.snapshot() as connection:
            open_ones = fetch_all(
                connection, "SELECT row, type, id, state FROM erasure WHERE state < ? ORDER BY row", (_DONE,)
            )
        for row, resource_type, resource_id, state in open_ones:
            self._carry_on(row, resource_type, resource_id, state)

    def _carry_on(self, row: int, resource_type: str, resource_id: str, state: int) -> None:
        if state == _DECIDED:
            # 1
            with self._site.database.snapshot() as connection:
                streams = _streams_of(connection, self._registry, resource_type, resource_id)
            self._site.keystore.put_many({_next_name(stream): os.urandom(32) for stream in streams})
            fault_point(BEFORE_REMOVE)
            # 2
            with self._site.database.immediate() as connection:
                for stream in streams:
                    self._wrap_anew(connection, stream, resource_type, resource_id)
                self._index.erase_many([(resource_type, resource_id)])
                connection.execute("UPDATE erasure SET state = ? WHERE row = ?", (_REMOVED, row))
            state = _REMOVED
            fault_point(AFTER_REMOVE)
        if state == _REMOVED:
            # 3
            self._change_keys()
            self._set_state(row, _KEYS_CHANGED)
            state = _KEYS_CHANGED
            fault_point(AFTER_KEYS)
        # 4
        self._cut_backups()
        self._set_state(row, _DONE)
        self._site.database.checkpoint()

    def _wrap_anew(
        self, connection: Connection, stream: Stream, resource_type: str, resource_id: str
    ) -> None:
        new_key = CompartmentKey(self._site.keystore.get(_next_name(stream)))
        rows = fetch_all(
            connection,
            f"SELECT row, type, id, version, commitment, secret FROM entry WHERE stream = ? "
            f"AND kind = {ENTRY_RECORD} AND secret IS NOT NULL",
            (stream.row,),
        )
        changed: list[tuple[bytes | None, bytes | None, int]] = []
        for row, rtype, rid, version, commitment, wrapped in rows:
            if (rtype, rid) == (resource_type, resource_id):
                continue
            context = wrap_context(stream, rid, version, Commitment(commitment))
            key = unwrap_record_key(wrapped, stream.compartment_key, context)
            changed.append((wrap_record_key(key, new_key, context), None, row))
        connection.executemany(
            "UPDATE entry SET secret = ? WHERE row = ?", [(wrapped, row) for wrapped, _, row in changed]
        )
        connection.execute(
            "UPDATE entry SET sealed = NULL, secret = NULL WHERE stream = ? AND type = ? AND id = ?",
            (stream.row, resource_type, resource_id),
        )

    def _change_keys(self) -> None:
        keystore = self._site.keystore
        pending = keystore.names(_NEXT_PREFIX)
        if pending:
            with keystore.batch():
                for name in pending:
                    keystore.put(name[len(_NEXT_PREFIX) :], keystore.get(name))
                keystore.destroy(pending)
            keystore.erase_now()
        self._registry.forget()

    def _set_state(self, row: int, state: int) -> None:
        with self._site.database.immediate() as connection:
            connection.execute("UPDATE erasure SET state = ? WHERE row = ?", (state, row))

    def _check_holds(self, connection: Connection, resource_type: str, resource_id: str) -> None:
        now_ms = self._site.clock_ms()
        hold = fetch_one(
            connection,
            "SELECT kind, reason FROM hold WHERE id = ? AND type = ? AND (until_ms = 0 OR until_ms > ?)",
            (resource_id, resource_type, now_ms),
        )
        if hold is not None:
            raise Rejected(ERASURE_HELD, f"{hold[0]}: {hold[1]}")


def place_hold(
    connection: Connection, resource_type: str, resource_id: str, *, kind: str, reason: str, until_ms: int = 0
) -> None:
    """Keep a resource from being erased, until a time or open-ended."""
    connection.execute(
        "INSERT INTO hold (type, id, kind, reason, until_ms) VALUES (?, ?, ?, ?, ?)",
        (resource_type, resource_id, kind, reason, until_ms),
    )


_NEXT_PREFIX: Final = "next/"


def _next_name(stream: Stream) -> str:
    return _NEXT_PREFIX + compartment_key_name(stream.subject, stream.compartment, stream.epoch)


def _describe(connection: Connection, resource_type: str, resource_id: str) -> Erased:
    rows = fetch_all(
        connection,
        "SELECT coalesce(batch.height, 0) FROM entry LEFT JOIN batch ON batch.row = entry.batch "
        f"WHERE entry.id = ? AND entry.type = ? AND entry.kind = {ENTRY_RECORD} ORDER BY entry.version",
        (resource_id, resource_type),
    )
    if not rows:
        raise Rejected(RESOURCE_UNKNOWN)
    return Erased(
        resource_type=resource_type,
        resource_id=resource_id,
        versions=len(rows),
        heights=tuple(height for (height,) in rows),
    )


def _streams_of(
    connection: Connection, registry: Registry, resource_type: str, resource_id: str
) -> Sequence[Stream]:
    rows = fetch_all(
        connection,
        f"SELECT DISTINCT stream FROM entry WHERE id = ? AND type = ? AND kind = {ENTRY_RECORD}",
        (resource_id, resource_type),
    )
    return [registry.stream_by_row(connection, row) for (row,) in rows]
