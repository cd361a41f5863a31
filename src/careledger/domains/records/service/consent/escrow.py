"""The custodian's share of a wallet: kept, and given out after delay and notice only.

The share alone opens nothing; with the patient's own or the contact's it gives the wallet back. So it is given
only when two people of an organisation asked for it, the patient's present agent was told at once, the delay has
passed, and the wallet has not said that it is still there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from careledger.domains.records.service.agent.errors import DUAL_CONTROL
from careledger.domains.records.service.consent.commands import custodian_key_info
from careledger.domains.records.service.consent.custody import CellCustody, CellSubject
from careledger.domains.records.service.consent.errors import CELL_UNKNOWN_HERE, COMMAND_INVALID
from careledger.domains.records.service.consent.sealed_bytes import open_bytes, seal_bytes
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.messages import VERSION, ShareAnswer, ShareRequest
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID
from careledger.primitives.timestamps import HOUR_MS
from careledger.storage.sqlite import Connection
from careledger.vault.errors import ShareInvalid, VaultError
from careledger.vault.kem import OpeningKey
from careledger.vault.sharing import Share
from careledger.vault.wrapping import GrantInfo

RELEASE_DELAY_MS: Final = 72 * HOUR_MS
SHARE: Final = "wallet-share"
RECOVERY_ASKED: Final = "recovery-asked"


class Notifier(Protocol):
    """Tells the patient's agent something, durably and soon."""

    async def notify(self, subject: CellSubject, kind: str, text: str) -> None:
        """Queue a notice; durable on return."""


@dataclass(frozen=True, slots=True)
class _Escrow:
    asked_ms: int
    asked_by: str


class EscrowDesk:
    """Keeps shares of wallets at one custodian."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        custody: CellCustody,
        notifier: Notifier,
        opening_key: OpeningKey,
        *,
        delay_ms: int = RELEASE_DELAY_MS,
    ) -> None:
        self._site = site
        self._writer = writer
        self._custody = custody
        self._notifier = notifier
        self._opening_key = opening_key
        self._delay_ms = delay_ms

    async def keep(self, subject: CellSubject, share: bytes) -> None:
        """Keep a share in place of an earlier one.

        Raises:
            Rejected: COMMAND_INVALID, it is no share sealed to this custodian.
        """
        info = custodian_key_info(self._site.chain_id, subject.cell, SHARE, 0)
        try:
            raw = open_bytes(share, self._opening_key, info)
            Share.from_bytes(raw)
        except (VaultError, ShareInvalid, ValueError):
            raise Rejected(COMMAND_INVALID, "not a share sealed to this custodian") from None
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> None:
            self._site.keystore.put(_name(subject.cell), raw)
            connection.execute(
                "INSERT OR REPLACE INTO escrow VALUES (?, ?, 0, '', 0)", (subject.cell, now_ms)
            )

        await self._writer.in_transaction(write)

    async def cancel(self, subject: CellSubject) -> None:
        """The wallet is there: a request that waits comes to nothing."""
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "UPDATE escrow SET asked_ms = 0, asked_by = '' WHERE cell = ?", (subject.cell,)
            ).fetchall()
        )

    async def ask(self, requester: Member, request: ShareRequest) -> ShareAnswer:
        """Ask for a share; the same request, made again after the delay, is given it.

        Raises:
            Rejected: DUAL_CONTROL, two different people must ask; CELL_UNKNOWN_HERE, no share is kept.
        """
        people = tuple(name.strip() for name in request.asked_by)
        if len(set(people)) < 2 or not all(people) or any(len(name) > 200 for name in people):
            raise Rejected(DUAL_CONTROL)
        subject = self._custody.find(request.cell)
        if subject is None:
            raise Rejected(CELL_UNKNOWN_HERE)
        now_ms = self._site.clock_ms()
        who = f"{requester.slug}: {' and '.join(sorted(people))}"
        asked, is_new = await self._writer.in_transaction(
            lambda connection: _note(connection, subject.cell, who, now_ms)
        )
        if is_new:
            text = f"{who} asks for the custodian's share of your wallet. If you did not ask for this, say so now."
            await self._notifier.notify(subject, RECOVERY_ASKED, text)
        ready_ms = asked.asked_ms + self._delay_ms
        if now_ms < ready_ms or asked.asked_by != who:
            return ShareAnswer(VERSION, ready_ms, b"")
        share = await self._writer.in_transaction(
            lambda connection: self._give(connection, subject.cell, now_ms)
        )
        sealed = seal_bytes(share, requester.recipient(), share_info(self._site, subject.cell))
        return ShareAnswer(VERSION, ready_ms, sealed)

    def _give(self, connection: Connection, cell: CellID, now_ms: int) -> bytes:
        connection.execute("UPDATE escrow SET given_ms = ? WHERE cell = ?", (now_ms, cell))
        return self._site.keystore.get(_name(cell))


def share_info(site: SiteContext, cell: CellID) -> GrantInfo:
    """What a share on its way to who asked is bound to."""
    return custodian_key_info(site.chain_id, cell, f"{SHARE}-released", 0)


def _name(cell: bytes) -> str:
    return f"escrow/{cell.hex()}"


def _note(connection: Connection, cell: bytes, who: str, now_ms: int) -> tuple[_Escrow, bool]:
    row = fetch_one(connection, "SELECT asked_ms, asked_by FROM escrow WHERE cell = ?", (cell,))
    if row is None:
        raise Rejected(CELL_UNKNOWN_HERE, "no share is kept")
    if row[0] and row[1] == who:
        return _Escrow(row[0], row[1]), False
    # Whoever else asked before waits anew as well, and the patient hears of both.
    connection.execute("UPDATE escrow SET asked_ms = ?, asked_by = ? WHERE cell = ?", (now_ms, who, cell))
    return _Escrow(now_ms, who), True
