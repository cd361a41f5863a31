"""Grants that this organisation was told of: where something may be read, and of whom.

An agent says what was granted, and that it ended. That is news, not a permission: what may be read is decided by
the custodian, by what stands in the cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from careledger.domains.records.service.consent.custody import CellCustody
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.errors import MESSAGE_INVALID
from careledger.domains.records.service.exchange.messages import GrantDelivery
from careledger.domains.records.service.rows import fetch_all
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.storage.sqlite import Connection

_COLUMNS = "cell, name, custodian, purpose, expires_at_ms, patient_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGrant:
    """Something that may be readable elsewhere."""

    cell: bytes
    name: bytes
    custodian: int
    """Number of the organisation that holds the records."""
    purpose: str
    expires_at_ms: int
    patient_id: str | None
    """The patient here, where the agent or a person has said so."""


class HeldGrants:
    """News of grants at one organisation."""

    def __init__(self, site: SiteContext, writer: RecordWriter, custody: CellCustody) -> None:
        self._site = site
        self._writer = writer
        self._custody = custody

    async def receive(self, sender: Member, delivery: GrantDelivery) -> None:
        """Take news of a grant.

        Where the agent names the same patient's cell here, the two are linked: but only if it is that cell's agent.

        Raises:
            Rejected: MESSAGE_INVALID.
        """
        cell = self._custody.cell_on_ledger(delivery.cell) if len(delivery.cell) == 32 else None
        if cell is None or cell.custodian != delivery.custodian or len(delivery.name) != 32:
            raise Rejected(MESSAGE_INVALID)
        own = self._custody.find(delivery.own_cell) if delivery.own_cell else None
        patient_id = own.patient_id if own is not None and own.agent == sender.slug else None
        values = (
            delivery.cell,
            delivery.name,
            delivery.custodian,
            delivery.purpose[:32],
            delivery.expires_at_ms,
            int(delivery.is_ended),
            patient_id,
            self._site.clock_ms(),
        )
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO held_grant VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
            ).fetchall()
        )

    def of_patient(self, patient_id: str) -> list[KnownGrant]:
        """What may be read elsewhere about a patient of this site."""
        return self._read("patient_id = ?", (patient_id,))

    def unlinked(self) -> list[KnownGrant]:
        """Grants about people of whom it is not known whether they are patients here."""
        return self._read("patient_id IS NULL", ())

    async def link(self, cell: bytes, patient_id: str) -> None:
        """Note that the person behind a cell is a patient here; a person decides that, never a score."""

        def write(connection: Connection) -> None:
            connection.execute("UPDATE held_grant SET patient_id = ? WHERE cell = ?", (patient_id, cell))

        await self._writer.in_transaction(write)

    def _read(self, clause: str, values: tuple[object, ...]) -> list[KnownGrant]:
        with self._site.database.snapshot() as connection:
            rows = fetch_all(
                connection,
                f"SELECT {_COLUMNS} FROM held_grant WHERE is_ended = 0 AND {clause} ORDER BY delivered_ms",
                values,
            )
        return [
            KnownGrant(
                cell=row[0],
                name=row[1],
                custodian=row[2],
                purpose=row[3],
                expires_at_ms=row[4],
                patient_id=row[5],
            )
            for row in rows
        ]
