"""What a patient must be told: kept at the agent, until it was read and after.

Custodians send notices by cell; the agent knows whose cell it is. A notice that is sent twice is one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.agent.sessions import Sessions
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.errors import MESSAGE_INVALID, NOT_THE_AGENT
from careledger.domains.records.service.exchange.messages import TEXT_CHARACTERS_MAX, Notice
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.storage.sqlite import Connection

BREAK_GLASS: Final = "break-glass"
RECOVERY_ASKED: Final = "recovery-asked"
GRANTED: Final = "granted"
REVOKED: Final = "revoked"
RESTRICTED: Final = "restricted"
AGENT_CHANGED: Final = "agent-changed"
WALLET_REPLACED: Final = "wallet-replaced"
ERASED: Final = "erased"

_INSERT: Final = (
    "INSERT OR IGNORE INTO agent_notice (wallet, at_ms, source, kind, text, notice_id, read_ms) "
    "VALUES (?, ?, ?, ?, ?, ?, 0)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientNotice:
    """One notice as the patient sees it."""

    number: int
    at_ms: int
    source: int
    """Number of the organisation that gave it."""
    kind: str
    text: str
    read_ms: int
    """0 until it was read."""


class NoticeBoard:
    """Notices of the patients of one agent."""

    def __init__(self, site: SiteContext, writer: RecordWriter, sessions: Sessions) -> None:
        self._site = site
        self._writer = writer
        self._sessions = sessions

    async def receive(self, sender: Member, notice: Notice) -> None:
        """Take a notice about a cell of a patient of ours; durable on return.

        Raises:
            Rejected: NOT_THE_AGENT, MESSAGE_INVALID.
        """
        if len(notice.notice_id) != 16 or len(notice.text) > 4 * TEXT_CHARACTERS_MAX or len(notice.kind) > 64:
            raise Rejected(MESSAGE_INVALID)
        cell = self._sessions.cell_on_ledger(notice.cell)
        if cell is None or cell.custodian != sender.organisation:
            raise Rejected(MESSAGE_INVALID, "not a cell of the sender", at="cell")
        patient_id = self._sessions.patient_of_cell(notice.cell)
        if patient_id is None:
            raise Rejected(NOT_THE_AGENT)
        values = (patient_id, notice.at_ms, sender.organisation, notice.kind, notice.text, notice.notice_id)
        await self._writer.in_transaction(lambda connection: connection.execute(_INSERT, values).fetchall())

    async def post(self, patient_id: str, kind: str, text: str) -> None:
        """Tell a patient what this agent did; durable on return."""
        await self._writer.in_transaction(lambda connection: self.insert(connection, patient_id, kind, text))

    def insert(self, connection: Connection, patient_id: str, kind: str, text: str) -> None:
        """Insert a notice inside the caller's transaction."""
        values = (
            patient_id,
            self._site.clock_ms(),
            self._site.organisation,
            kind,
            text,
            os.urandom(16),
        )
        connection.execute(_INSERT, values)

    def read(self, patient_id: str, *, after: int = 0, count: int = 100) -> list[PatientNotice]:
        """Notices of a patient, oldest first."""
        with self._site.database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT row, at_ms, source, kind, text, read_ms FROM agent_notice "
                "WHERE wallet = ? AND row > ? ORDER BY row LIMIT ?",
                (patient_id, after, count),
            )
        return [
            PatientNotice(
                number=row[0], at_ms=row[1], source=row[2], kind=row[3], text=row[4], read_ms=row[5]
            )
            for row in rows
        ]

    async def mark_read(self, patient_id: str, numbers: list[int]) -> None:
        """Note that the patient has seen notices."""
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> None:
            connection.executemany(
                "UPDATE agent_notice SET read_ms = ? WHERE wallet = ? AND row = ? AND read_ms = 0",
                [(now_ms, patient_id, number) for number in numbers],
            )

        await self._writer.in_transaction(write)
