"""The requester's own access entry about what it asked of another organisation.

Both sides of a disclosure commit an entry, so one dishonest side is found out. The requester's stands under a
tag that follows from the exchange's random name, which the custodian's entry carries: whoever is shown one side's
log can look for the other's on the ledger. Two organisations that collude are not found out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.audit_events import (
    SALT_BYTES,
    Access,
    access_commitment,
    build_event,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.outbox import build_entries_message
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.schema import BATCH_ACCESS
from careledger.domains.records.service.streams import NewEntry
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.hashing import labelled
from careledger.sdk.context import StateReader
from careledger.storage.sqlite import Connection

_TAG_LABEL: Final = "careledger/mirror-tag/1"


@dataclass(frozen=True, slots=True)
class MirrorEntry:
    """What the requester keeps of one question."""

    exchange_id: bytes
    salt: bytes
    event: bytes


def mirror_tag(exchange_id: bytes) -> bytes:
    """Tag of the requester's entry about an exchange."""
    return labelled(_TAG_LABEL, exchange_id)


def has_mirror(store: StateReader, requester: int, exchange_id: bytes) -> bool:
    """Whether the requester has committed an entry about an exchange."""
    return keeper.access_entry(store, requester, mirror_tag(exchange_id)) is not None


class MirrorLog:
    """Writes one site's mirror entries."""

    def __init__(self, site: SiteContext, writer: RecordWriter, recorder: AuditRecorder) -> None:
        self._site = site
        self._writer = writer
        self._recorder = recorder

    async def commit(self, access: Access, *, custodian: int, exchange_id: bytes) -> int:
        """Log a question and bring its entry onto the ledger; returns its height.

        Raises:
            Unavailable: LEDGER_SLOW: what was asked for must not be used.
        """
        now_ms = self._site.clock_ms()
        salt = os.urandom(SALT_BYTES)
        event = build_event(access, site=self._site.slug, at_ms=now_ms)
        of = mirror_tag(exchange_id)
        message = build_entries_message(
            self._site, BATCH_ACCESS, [NewEntry(0, of, access_commitment(of, salt, event))]
        )

        def insert(connection: Connection, batch: object) -> None:
            del batch
            connection.execute(
                "INSERT INTO mirror (exchange_id, custodian, salt, event, event_ms) VALUES (?, ?, ?, ?, ?)",
                (exchange_id, custodian, salt, event, now_ms),
            )

        await self._writer.send(BATCH_ACCESS, message, insert)
        return await self._recorder.wait_on_ledger(self._site.organisation, of)

    def find(self, exchange_id: bytes) -> MirrorEntry | None:
        """What this site asked under that name."""
        with self._site.database.snapshot() as connection:
            row = fetch_one(
                connection,
                "SELECT exchange_id, salt, event FROM mirror WHERE exchange_id = ?",
                (exchange_id,),
            )
        return None if row is None else MirrorEntry(*row)
