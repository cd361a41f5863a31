"""A patient takes the wallet elsewhere: a sealed file, and the custodians' record of who keeps it.

The file holds the root and the disclosure keys as they were sealed to the wallet. Whoever imports it tells every
custodian, on the wallet's own word, that it is the agent now; the former agent then destroys what it has. It
could have kept a copy: a patient who does not trust it has the wallet replaced (`recovery`).
"""

from __future__ import annotations

from careledger.domains.records.service.agent.errors import WALLET_UNKNOWN
from careledger.domains.records.service.agent.notices import AGENT_CHANGED, NoticeBoard
from careledger.domains.records.service.agent.sessions import Sessions
from careledger.domains.records.service.agent.wallets import WalletStore, identity_of
from careledger.domains.records.service.compartments import COMPARTMENTS
from careledger.domains.records.service.consent.commands import (
    AGENT,
    KEYS,
    AgentBody,
    CompartmentList,
    Compartments,
    read_body,
    wallet_key_info,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.storage.sqlite import Connection
from careledger.vault.passphrase import DEFAULT_PARAMETERS, PassphraseParameters
from careledger.vault.recovery import export_wallet, import_wallet
from careledger.vault.wallet import HeldKey, HeldKeys


class ExportedCell(Wire, frozen=True):
    """A cell that goes with an exported wallet."""

    cell: bytes
    custodian: int


class WalletFile(Wire, frozen=True):
    """What a patient takes along."""

    version: int
    """1."""
    chain_id: str
    cells: tuple[ExportedCell, ...]
    sealed: bytes
    """Root and held keys under the patient's passphrase, as `vault.recovery` writes them."""


class HandoverOffice:
    """Hands wallets out and takes them over."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        wallets: WalletStore,
        sessions: Sessions,
        notices: NoticeBoard,
    ) -> None:
        self._site = site
        self._writer = writer
        self._wallets = wallets
        self._sessions = sessions
        self._notices = notices

    async def export(
        self, patient_id: str, passphrase: str, *, parameters: PassphraseParameters = DEFAULT_PARAMETERS
    ) -> bytes:
        """The wallet as a file under the patient's passphrase.

        Raises:
            Rejected: WALLET_UNKNOWN.
            ValueError: The passphrase is empty or too long.
        """
        held, cells, wallet = HeldKeys(), [], None
        for custodian in await self._sessions.custodians(patient_id):
            session = await self._sessions.open(patient_id, custodian)
            wallet = session.wallet
            cells.append(ExportedCell(session.cell, session.custodian.organisation))
            body = Compartments(tuple(one.value for one in COMPARTMENTS))
            for item in read_body(await session.command(KEYS, body), CompartmentList).items:
                info = wallet_key_info(
                    self._site.chain_id, session.cell, COMPARTMENTS[item.compartment].label, item.epoch
                )
                held.add(HeldKey(session.custodian.organisation, info, item.value))
        if wallet is None:
            raise Rejected(WALLET_UNKNOWN)
        sealed = export_wallet(wallet, held, passphrase, parameters=parameters)
        return encode(WalletFile(1, self._site.chain_id, tuple(cells), sealed))

    async def take_over(self, patient_id: str, file: bytes, passphrase: str) -> list[str]:
        """Keep a wallet that a patient brings along, and become its agent at every custodian.

        Args:
            patient_id: the patient's id at this site, where their cell is one of the file's.
            file: as `export` wrote it.
            passphrase: the patient's.

        Returns:
            Custodians that know it now.

        Raises:
            Rejected: WALLET_UNKNOWN, not the wallet of that patient.
            PassphraseWrong: The passphrase does not open the file.
            CodecError: Not such a file.
        """
        exported = decode(file, WalletFile)
        wallet, _ = import_wallet(exported.sealed, passphrase)
        identity = identity_of(wallet)

        def keep(connection: Connection) -> None:
            row = fetch_one(
                connection, "SELECT identity, cell FROM subject WHERE patient_id = ?", (patient_id,)
            )
            if row is None or row[0] != identity or exported.chain_id != self._site.chain_id:
                raise Rejected(WALLET_UNKNOWN)
            self._wallets.keep(connection, patient_id, wallet)
            connection.executemany(
                "INSERT OR IGNORE INTO agent_cell VALUES (?, ?, ?, NULL)",
                [(one.cell, patient_id, one.custodian) for one in exported.cells],
            )

        await self._writer.in_transaction(keep)
        told = []
        for custodian in await self._sessions.custodians(patient_id):
            session = await self._sessions.open(patient_id, custodian)
            await session.command(AGENT, AgentBody(self._site.slug))
            told.append(custodian)
        await self._notices.post(patient_id, AGENT_CHANGED, f"{self._site.slug} keeps your wallet now.")
        return told

    async def retire(self, patient_id: str) -> None:
        """Destroy a wallet that is kept elsewhere now, and what was known of its cells.

        Raises:
            Rejected: WALLET_UNKNOWN.
        """

        def write(connection: Connection) -> None:
            self._wallets.load(connection, patient_id)
            self._wallets.destroy(connection, patient_id)
            connection.execute("DELETE FROM agent_cell WHERE wallet = ?", (patient_id,))

        await self._writer.in_transaction(write)
