"""Advancing a cell, so that a crash at any step leaves the old contents or the new, and never nothing.

    1. An update that was begun before is finished or dropped first.
    2. The present contents are known: their opening leads to the cell's commitment on the ledger.
    3. The new opening is durable here.
    4. The custodian has it: no commitment ever stands that it cannot open.
    5. The one-time key that the cell committed to signs the update; the ledger takes it.
    6. The new opening takes the old one's place here.

A grant, an amendment, a revocation and a refresh are this and nothing else, always with new salts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from careledger.domains.records.chain.errors import KEY_NOT_COMMITTED, VERSION_MISMATCH
from careledger.domains.records.chain.types import Cell
from careledger.domains.records.service.agent.errors import CELL_KEY_LOST, CELL_MOVED, CONTENTS_LOST
from careledger.domains.records.service.agent.sessions import CellSession, Sessions
from careledger.domains.records.service.agent.wallets import recovery_key_commitment, update_key_commitment
from careledger.domains.records.service.consent.cells import (
    CellContents,
    CellOpening,
    build_update,
    compute_commitment,
    decode_opening,
    encode_opening,
    new_opening,
    read_contents,
)
from careledger.domains.records.service.consent.commands import CURRENT_OPENING, OPENING, pad_opening
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.errors import LEDGER_SLOW
from careledger.domains.records.service.outbox import RECORDS_MODULE
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.ledger.errors import DUPLICATE
from careledger.ledger.transaction import build_transaction
from careledger.primitives.errors import Rejected, Unavailable
from careledger.sdk.messages import Message
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection
from careledger.vault.keys import SigningSeed

KEYS_WALKED_MAX: Final = 256
"""Versions back that a cell's key is looked for; further than recoveries and restores can be apart."""
SUBMIT_TRIES: Final = 5
VIEW_WAIT_S: Final = 10.0

BEFORE_OPENING: Final = declare("agent.before_opening")
AFTER_OPENING: Final = declare("agent.after_opening")
AFTER_UPDATE: Final = declare("agent.after_update")

Amend = Callable[[CellContents], CellContents]
"""New contents from the present ones."""


class CellUpdater:
    """Advances the cells of one agent's patients."""

    def __init__(self, site: SiteContext, writer: RecordWriter, sessions: Sessions) -> None:
        self._site = site
        self._writer = writer
        self._sessions = sessions
        self._locks: dict[bytes, asyncio.Lock] = {}

    def lock(self, cell: bytes) -> asyncio.Lock:
        """What serialises operations on a cell within this process."""
        return self._locks.setdefault(cell, asyncio.Lock())

    async def contents(self, session: CellSession) -> CellContents:
        """Present contents of a cell, checked against the ledger.

        Raises:
            Rejected: CONTENTS_LOST, neither this agent nor the custodian can open it any more.
        """
        cell = self.require_cell(session)
        if cell.version == 1:
            return CellContents()
        for raw in (session.opening, await self._ask_custodian(session)):
            if raw:
                opening = decode_opening(raw)
                if opening.cell == session.cell and compute_commitment(opening) == cell.commitment:
                    return read_contents(opening)
        raise Rejected(CONTENTS_LOST)

    async def update(self, session: CellSession, amend: Amend, *, anew: bool = False) -> CellContents:
        """Advance a cell by one version; returns its new contents. The caller holds the cell's lock.

        Args:
            session: the cell.
            amend: what changes; nothing, for a refresh.
            anew: start from empty contents where nobody can open the present ones.

        Raises:
            Rejected: CELL_KEY_LOST, CELL_MOVED, CONTENTS_LOST, or what the custodian refuses.
            Unavailable: The custodian or the ledger cannot be reached; trying again goes on from there.
        """
        # 1.
        await self.resume(session)
        # 2.
        try:
            present = await self.contents(await self._refreshed(session))
        except Rejected as refusal:
            if not anew or refusal.code is not CONTENTS_LOST:
                raise
            present = CellContents()
        cell = self.require_cell(session)
        contents = amend(present.copy())
        opening = new_opening(session.cell, cell.version + 1, contents)
        # 3.
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO agent_update VALUES (?, ?, ?)",
                (session.cell, opening.cell_version, encode_opening(opening)),
            ).fetchall()
        )
        # 4. to 6.
        await self._carry_out(session, opening)
        return contents

    async def resume(self, session: CellSession) -> bool:
        """Finish or drop an update that was begun; whether there was one."""
        row = await self._writer.in_transaction(
            lambda connection: fetch_one(
                connection, "SELECT version, opening FROM agent_update WHERE cell = ?", (session.cell,)
            )
        )
        if row is None:
            return False
        opening = decode_opening(row[1])
        cell = self.require_cell(session)
        if cell.commitment == compute_commitment(opening):
            await self._settle(session, opening)
        elif cell.version + 1 == opening.cell_version:
            await self._carry_out(session, opening)
        else:
            # The cell went another way, such as through a recovery: what was begun can never stand.
            await self._writer.in_transaction(lambda connection: _drop(connection, session.cell))
        return True

    def require_cell(self, session: CellSession) -> Cell:
        """The cell on the ledger.

        Raises:
            Rejected: CELL_MOVED, it is not there.
        """
        cell = self._sessions.cell_on_ledger(session.cell)
        if cell is None:
            raise Rejected(CELL_MOVED, "the cell is not on the ledger yet")
        return cell

    def find_key(self, session: CellSession, cell: Cell) -> SigningSeed:
        """Seed of the one-time key that the cell follows now.

        It is derived at the cell's version; after a recovery from an older state, at an earlier one.

        Raises:
            Rejected: CELL_KEY_LOST.
        """
        versions = [cell.version, cell.version + 1]
        versions += range(cell.version - 1, max(-1, cell.version - KEYS_WALKED_MAX), -1)
        for version in versions:
            if (
                update_key_commitment(session.wallet, session.custodian_name, version)
                == cell.next_key_commitment
            ):
                return session.keys.cell_seed(version)
        raise Rejected(CELL_KEY_LOST)

    async def submit(self, message: Message, seed: SigningSeed) -> None:
        """Bring a message onto the ledger that a one-time or recovery key signs.

        Raises:
            Rejected: The ledger refuses it.
            Unavailable: It could not be brought there; whether it was taken is not known.
        """
        unreachable: Unavailable | None = None
        for attempt in range(SUBMIT_TRIES):
            raw = build_transaction(
                chain_id=self._site.chain_id,
                module=RECORDS_MODULE,
                message=message,
                expires_at_ms=self._site.clock_ms() + self._site.settings.expiry_ms,
                seeds=[seed.reveal()],
            )
            try:
                code = (await self._site.ledger.submit(raw)).rejection()
            except Unavailable as error:
                unreachable = error
                await asyncio.sleep(self._site.settings.retry_ms * (attempt + 1) / 1_000)
                continue
            if code is not None and code is not DUPLICATE:
                raise Rejected(code)
            return
        raise unreachable or Unavailable(LEDGER_SLOW)

    async def wait_for_cell(self, session: CellSession, holds: Callable[[Cell], bool]) -> Cell:
        """Wait until the local view's cell is as expected.

        Raises:
            Unavailable: LEDGER_SLOW.
        """
        deadline = asyncio.get_running_loop().time() + VIEW_WAIT_S
        while True:
            cell = self._sessions.cell_on_ledger(session.cell)
            if cell is not None and holds(cell):
                return cell
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(LEDGER_SLOW)
            await asyncio.sleep(0.005)

    # -- steps ---------------------------------------------------------------------------------------------

    async def _carry_out(self, session: CellSession, opening: CellOpening) -> None:
        commitment = compute_commitment(opening)
        fault_point(BEFORE_OPENING)
        # 4.
        await session.command(OPENING, pad_opening(encode_opening(opening)))
        fault_point(AFTER_OPENING)
        # 5.
        cell = self.require_cell(session)
        if cell.commitment != commitment:
            seed = self.find_key(session, cell)
            update = build_update(
                cell=session.cell,
                version=opening.cell_version,
                seed=seed,
                next_key_commitment=update_key_commitment(
                    session.wallet, session.custodian_name, opening.cell_version
                ),
                recovery_commitment=recovery_key_commitment(
                    session.wallet, session.custodian_name, opening.cell_version
                ),
                commitment=commitment,
            )
            try:
                await self.submit(update, seed)
            except Rejected as refusal:
                if refusal.code not in (VERSION_MISMATCH, KEY_NOT_COMMITTED):
                    raise
                # Either it was taken before and the answer was lost, or somebody else was first.
                if self.require_cell(session).commitment != commitment:
                    await self._writer.in_transaction(lambda connection: _drop(connection, session.cell))
                    raise Rejected(CELL_MOVED) from None
            await self.wait_for_cell(session, lambda now: now.version >= opening.cell_version)
        fault_point(AFTER_UPDATE)
        # 6.
        await self._settle(session, opening)

    async def _settle(self, session: CellSession, opening: CellOpening) -> None:
        raw = encode_opening(opening)

        def write(connection: Connection) -> None:
            connection.execute("UPDATE agent_cell SET opening = ? WHERE cell = ?", (raw, session.cell))
            _drop(connection, session.cell)

        await self._writer.in_transaction(write)

    async def _refreshed(self, session: CellSession) -> CellSession:
        """The session as it is after an update was finished."""
        return await self._sessions.open(session.patient_id, session.custodian.slug, wallet=session.wallet)

    @staticmethod
    async def _ask_custodian(session: CellSession) -> bytes:
        try:
            return await session.command(CURRENT_OPENING)
        except Rejected:
            return b""


def _drop(connection: Connection, cell: bytes) -> None:
    connection.execute("DELETE FROM agent_update WHERE cell = ?", (cell,))
