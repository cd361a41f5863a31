"""Talking to a custodian about one cell: the wallet, the cell, and the way there.

The custodian may be this very site or any other; what it is asked is the same signed command either way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.types import Cell
from careledger.domains.records.service.agent import schema
from careledger.domains.records.service.agent.errors import NO_CELL_THERE
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.consent.commands import sign_command
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.client import ExchangeClient
from careledger.domains.records.service.exchange.directory import Directory, Member, require_member
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import Wire
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID
from careledger.storage.sqlite import Connection
from careledger.vault.keys import SigningSeed
from careledger.vault.wallet import Custodian, CustodianKeys, Wallet

COMMAND_PATH = "/cells/"


class Commands(Protocol):
    """Obeys commands at this site: `CommandDesk`."""

    async def execute(self, kind: str, envelope: bytes, *, brought_by: str) -> bytes:
        """Check a command and obey it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSession:
    """One patient's cell at one custodian, with the wallet in hand. Lives as long as one operation."""

    patient_id: str
    wallet: Wallet
    custodian: Member
    custodian_name: Custodian
    cell: CellID
    opening: bytes | None
    """Opening of the version that stands, as kept here."""
    send: Callable[[str, Wire | None, tuple[SigningSeed, ...]], Awaitable[bytes]]

    @property
    def keys(self) -> CustodianKeys:
        """What the wallet derives for this custodian."""
        return self.wallet.custodian(self.custodian_name)

    async def command(self, kind: str, body: Wire | None = None) -> bytes:
        """Have a command obeyed that the wallet's identity key signs; returns its answer.

        Raises:
            Rejected: The custodian refuses.
            Unavailable: It cannot be reached, or not yet obey.
        """
        return await self.send(kind, body, (self.wallet.identity_seed(),))


class Sessions:
    """Opens sessions for the patients of one agent."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        wallets: WalletStore,
        directory: Directory,
        client: ExchangeClient,
        desk: Commands,
    ) -> None:
        self._site = site
        self._writer = writer
        self._wallets = wallets
        self._directory = directory
        self._client = client
        self._desk = desk
        self._last_issued_ms = 0

    def migrate(self) -> None:
        """Make the agent's tables."""
        self._site.database.migrate(schema.COMPONENT, schema.MIGRATIONS)

    async def open(self, patient_id: str, custodian: str, *, wallet: Wallet | None = None) -> CellSession:
        """Open a session for a patient's cell at an organisation.

        Args:
            patient_id: the patient's id at this site.
            custodian: the organisation, by short name.
            wallet: to act with instead of the one that is kept, such as a new one.

        Raises:
            Rejected: WALLET_UNKNOWN, NO_CELL_THERE, PEER_UNKNOWN.
        """
        member = require_member(self._directory, custodian)

        def load(connection: Connection) -> tuple[Wallet, bytes, bytes | None]:
            held = wallet or self._wallets.load(connection, patient_id)
            if member.organisation == self._site.organisation:
                self._note_own_cell(connection, patient_id)
            row = fetch_one(
                connection,
                "SELECT cell, opening FROM agent_cell WHERE wallet = ? AND custodian = ?",
                (patient_id, member.organisation),
            )
            if row is None:
                raise Rejected(NO_CELL_THERE)
            return held, row[0], row[1]

        held, cell, opening = await self._writer.in_transaction(load)
        return self._session(patient_id, held, member, CellID(cell), opening)

    async def custodians(self, patient_id: str) -> list[str]:
        """Organisations at which a patient of this agent has a cell, this site's own first."""

        def read(connection: Connection) -> list[int]:
            self._note_own_cell(connection, patient_id)
            rows = fetch_all(
                connection,
                "SELECT custodian FROM agent_cell WHERE wallet = ? ORDER BY custodian <> ?, custodian",
                (patient_id, self._site.organisation),
            )
            return [row[0] for row in rows]

        found = []
        for number in await self._writer.in_transaction(read):
            member = self._directory.by_number(number)
            if member is not None:
                found.append(member.slug)
        return found

    def patient_of_cell(self, cell: bytes) -> str | None:
        """Patient of this agent whose cell it is, at whichever custodian."""
        with self._site.database.snapshot() as connection:
            row = fetch_one(connection, "SELECT wallet FROM agent_cell WHERE cell = ?", (cell,))
            if row is None:
                row = fetch_one(
                    connection,
                    "SELECT patient_id FROM subject WHERE cell = ? AND agent = ?",
                    (cell, self._site.slug),
                )
        return None if row is None else str(row[0])

    def cell_on_ledger(self, cell: bytes) -> Cell | None:
        """The cell as the local view has it."""
        with self._site.view.at_head() as view:
            return keeper.cell(view.store, cell)

    def _session(
        self, patient_id: str, wallet: Wallet, member: Member, cell: CellID, opening: bytes | None
    ) -> CellSession:
        async def send(kind: str, body: Wire | None, seeds: tuple[SigningSeed, ...]) -> bytes:
            # Commands of a cell count in the order of their times, so two never have the same.
            self._last_issued_ms = max(self._last_issued_ms + 1, self._site.clock_ms())
            envelope = sign_command(
                kind,
                body,
                chain=self._site.chain_id,
                cell=cell,
                issued_ms=self._last_issued_ms,
                seeds=seeds,
            )
            if member.organisation == self._site.organisation:
                return await self._desk.execute(kind, envelope, brought_by=self._site.slug)
            return await self._client.call(member, COMMAND_PATH + kind, envelope)

        return CellSession(
            patient_id=patient_id,
            wallet=wallet,
            custodian=member,
            custodian_name=Custodian(chain=self._site.chain_id, organisation=member.organisation),
            cell=cell,
            opening=opening,
            send=send,
        )

    def _note_own_cell(self, connection: Connection, patient_id: str) -> None:
        """The cell at this very site is known from the patient's registration; it is noted when first needed."""
        connection.execute(
            "INSERT OR IGNORE INTO agent_cell (cell, wallet, custodian, opening) "
            "SELECT cell, patient_id, ?, NULL FROM subject WHERE patient_id = ? AND cell IS NOT NULL",
            (self._site.organisation, patient_id),
        )
