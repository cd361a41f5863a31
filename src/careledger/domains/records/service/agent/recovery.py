"""Lost and stolen wallets.

Lost: two of three shares (device, contact, custodian) give the root back, and everything follows from it; no
cell changes. The custodian's share comes after delay and notice.

Stolen: whoever has the root, or a custodian's part of it, can advance cells. A new wallet takes its place. For
each cell:

    1. The old wallet's recovery key announces on the ledger that the cell is to follow the new wallet's keys.
    2. The ledger's delay passes; whoever holds the present key can end this by any update, and is told.
    3. The recovery is completed.
    4. The custodian is told the new wallet, on the word of the key that the cell follows now.
    5. Every compartment begins a new epoch under the new wallet; old grants end.

Steps can be repeated after a crash; the new wallet is durable before the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from careledger.domains.records.chain.errors import RECOVERY_ABSENT, RECOVERY_PENDING, RECOVERY_TOO_EARLY
from careledger.domains.records.chain.messages import CompleteRecovery, StartRecovery
from careledger.domains.records.chain.types import Cell, compute_recovery_commitment
from careledger.domains.records.service.agent.authority import Act, Authority, describe, require_authority
from careledger.domains.records.service.agent.cell_work import in_cell
from careledger.domains.records.service.agent.epochs import EpochKeeper
from careledger.domains.records.service.agent.errors import (
    CELL_KEY_LOST,
    RECOVERY_NOT_READY,
    SHARES_WRONG,
)
from careledger.domains.records.service.agent.notices import WALLET_REPLACED, NoticeBoard
from careledger.domains.records.service.agent.sessions import CellSession, Sessions
from careledger.domains.records.service.agent.updates import KEYS_WALKED_MAX, CellUpdater
from careledger.domains.records.service.agent.wallets import (
    WalletStore,
    identity_of,
    recovery_key_commitment,
    update_key_commitment,
)
from careledger.domains.records.service.consent.cells import CellContents
from careledger.domains.records.service.consent.commands import (
    ESCROW,
    IDENTITY,
    KEEP_SHARE,
    IdentityBody,
    ShareBody,
    custodian_key_info,
)
from careledger.domains.records.service.consent.escrow import SHARE, share_info
from careledger.domains.records.service.consent.sealed_bytes import open_bytes, seal_bytes
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.client import ExchangeClient
from careledger.domains.records.service.exchange.directory import Directory, require_member
from careledger.domains.records.service.exchange.errors import ANSWER_INVALID
from careledger.domains.records.service.exchange.messages import (
    VERSION,
    ShareAnswer,
    ShareRequest,
    read_answer,
)
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID
from careledger.primitives.signing import public_key_of
from careledger.storage.sqlite import Connection
from careledger.vault.errors import ShareInvalid, VaultError
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import SigningSeed
from careledger.vault.recovery import ShareHolder, recover_wallet, split_wallet
from careledger.vault.share_text import share_from_text, share_to_text
from careledger.vault.sharing import Share
from careledger.vault.wallet import Wallet

SHARES_PATH: Final = "/shares"


class RecoveryOffice:
    """Gives wallets back, and replaces them."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        directory: Directory,
        client: ExchangeClient,
        wallets: WalletStore,
        sessions: Sessions,
        updater: CellUpdater,
        epochs: EpochKeeper,
        notices: NoticeBoard,
        opening_key: OpeningKey,
    ) -> None:
        self._site = site
        self._writer = writer
        self._directory = directory
        self._client = client
        self._wallets = wallets
        self._sessions = sessions
        self._updater = updater
        self._epochs = epochs
        self._notices = notices
        self._opening_key = opening_key

    # -- shares --------------------------------------------------------------------------------------------

    async def issue_shares(self, patient_id: str, keeper: str) -> dict[ShareHolder, str]:
        """Split a wallet: one share goes into escrow at a custodian, two are returned for paper.

        Args:
            patient_id: the patient's id at this site.
            keeper: custodian that keeps its share, by short name; better not this agent itself.

        Returns:
            Texts of the device's and the contact's share.
        """
        session = await self._sessions.open(patient_id, keeper)
        shares = split_wallet(session.wallet)
        info = custodian_key_info(self._site.chain_id, session.cell, SHARE, 0)
        sealed = seal_bytes(shares[ShareHolder.CUSTODIAN].to_bytes(), session.custodian.recipient(), info)
        await session.command(ESCROW, ShareBody(sealed))
        return {holder: share_to_text(shares[holder]) for holder in (ShareHolder.DEVICE, ShareHolder.CONTACT)}

    async def keep_share(self, patient_id: str, keeper: str) -> None:
        """Say that the wallet is still here: the custodian's share is not given out."""
        session = await self._sessions.open(patient_id, keeper)
        await session.command(KEEP_SHARE)

    async def ask_for_share(
        self, keeper: str, cell: bytes, asked_by: tuple[str, ...]
    ) -> tuple[int, Share | None]:
        """Ask a custodian for its share, for a patient who lost the wallet.

        Returns:
            When it is given, and the share once it is.

        Raises:
            Rejected: DUAL_CONTROL, CELL_UNKNOWN_HERE.
        """
        member = require_member(self._directory, keeper)
        body = encode(ShareRequest(VERSION, cell, asked_by))
        answer = read_answer(await self._client.call(member, SHARES_PATH, body), ShareAnswer)
        if not answer.sealed_share:
            return answer.ready_ms, None
        try:
            raw = open_bytes(answer.sealed_share, self._opening_key, share_info(self._site, CellID(cell)))
            return answer.ready_ms, Share.from_bytes(raw)
        except (VaultError, ValueError):
            raise Rejected(ANSWER_INVALID, "the share does not open") from None

    async def recover(
        self, patient_id: str, shares: Sequence[Share | str], *, authority: Authority
    ) -> Wallet:
        """Give a wallet back from two or three shares and keep it here again.

        Raises:
            Rejected: SHARES_WRONG; DUAL_CONTROL.
        """
        try:
            read = [share_from_text(share) if isinstance(share, str) else share for share in shares]
            wallet = recover_wallet(read)
        except ShareInvalid as error:
            raise Rejected(SHARES_WRONG, str(error)) from None
        identity = identity_of(wallet)
        require_authority(
            authority,
            chain=self._site.chain_id,
            identity=identity,
            action=Act.RECOVER,
            compartments=(),
            at_ms=self._site.clock_ms(),
        )

        def keep(connection: Connection) -> None:
            row = connection.execute(
                "SELECT identity FROM subject WHERE patient_id = ?", (patient_id,)
            ).fetchone()
            if row is None or row[0] != identity:
                raise Rejected(SHARES_WRONG)
            self._wallets.keep(connection, patient_id, wallet)

        await self._writer.in_transaction(keep)
        return wallet

    # -- a stolen wallet -----------------------------------------------------------------------------------

    async def begin_replacement(self, patient_id: str, *, authority: Authority) -> int:
        """Announce a new wallet for every cell; returns when the last can be completed, in block time.

        Raises:
            Rejected: CELL_KEY_LOST, the old wallet has no recovery key of a cell; DUAL_CONTROL.
        """
        old = await self._writer.in_transaction(lambda connection: self._wallets.load(connection, patient_id))
        require_authority(
            authority,
            chain=self._site.chain_id,
            identity=identity_of(old),
            action=Act.RECOVER,
            compartments=(),
            at_ms=self._site.clock_ms(),
        )
        new = await self._writer.in_transaction(lambda connection: self._next(connection, patient_id))
        ready_ms = 0
        for custodian in await self._sessions.custodians(patient_id):
            session = await self._sessions.open(patient_id, custodian)
            cell = self._updater.require_cell(session)
            if cell.pending is None:
                seed = self.find_recovery_key(session, cell)
                message = StartRecovery(
                    session.cell,
                    public_key_of(seed.reveal()),
                    update_key_commitment(new, session.custodian_name, cell.version + 1),
                    recovery_key_commitment(new, session.custodian_name, cell.version + 1),
                )
                try:
                    await self._updater.submit(message, seed)
                except Rejected as refusal:
                    if refusal.code is not RECOVERY_PENDING:
                        raise
                cell = await self._updater.wait_for_cell(session, lambda now: now.pending is not None)
            if cell.pending is not None:
                ready_ms = max(ready_ms, cell.pending.ready_at_ms)
        text = f"A new wallet is to take the place of yours, asked by {describe(authority)}."
        await self._notices.post(patient_id, WALLET_REPLACED, text)
        return ready_ms

    async def complete_replacement(self, patient_id: str) -> None:
        """Let the new wallet take the old one's place at every custodian, once the delay is over.

        Raises:
            Rejected: RECOVERY_NOT_READY; what a custodian refuses.
        """
        new = await self._writer.in_transaction(
            lambda connection: self._wallets.load_next(connection, patient_id)
        )
        if new is None:
            raise Rejected(RECOVERY_NOT_READY, "no new wallet was announced")
        for custodian in await self._sessions.custodians(patient_id):
            session = await self._sessions.open(patient_id, custodian)
            async with self._updater.lock(session.cell):
                await self._replace(session, await self._sessions.open(patient_id, custodian, wallet=new))

        def swap(connection: Connection) -> None:
            self._wallets.keep(connection, patient_id, new)
            self._wallets.drop_next(connection, patient_id)

        await self._writer.in_transaction(swap)

    async def _replace(self, old: CellSession, new: CellSession) -> None:
        # 3.
        cell = self._updater.require_cell(old)
        if cell.pending is not None:
            seed = self.find_recovery_key(old, cell)
            try:
                await self._updater.submit(CompleteRecovery(old.cell, public_key_of(seed.reveal())), seed)
            except Rejected as refusal:
                if refusal.code is RECOVERY_TOO_EARLY:
                    raise Rejected(RECOVERY_NOT_READY) from None
                if refusal.code is not RECOVERY_ABSENT:
                    raise
            cell = await self._updater.wait_for_cell(old, lambda now: now.pending is None)
        manifests = await self._epochs.manifests(new, former=old)
        # 4.
        present = self._updater.find_key(new, cell)
        identity = identity_of(new.wallet)
        body = IdentityBody(identity, new.wallet.opening_key().recipient.raw, self._site.slug)
        await new.send(IDENTITY, body, (new.wallet.identity_seed(), present))
        # 5.
        begun = {one: held for one, held in manifests.items() if held.wallet == identity}
        ending = {one: held for one, held in manifests.items() if one not in begun}
        begun |= await self._epochs.begin(new, ending, manifests, previous=old.keys)

        def amend(contents: CellContents) -> CellContents:
            # Grants were signed by the old wallet and count no more.
            del contents
            return CellContents(in_cell(begun))

        await self._updater.update(new, amend, anew=True)

    # -- keys ----------------------------------------------------------------------------------------------

    def find_recovery_key(self, session: CellSession, cell: Cell) -> SigningSeed:
        """Seed of the recovery key that the cell committed to; it is derived at some version up to now.

        Raises:
            Rejected: CELL_KEY_LOST.
        """
        for position in range(cell.version, max(-1, cell.version - KEYS_WALKED_MAX), -1):
            seed = session.wallet.recovery_seed(session.custodian_name, position)
            if compute_recovery_commitment(public_key_of(seed.reveal())) == cell.recovery_commitment:
                return seed
        raise Rejected(CELL_KEY_LOST)

    def _next(self, connection: Connection, patient_id: str) -> Wallet:
        found = self._wallets.load_next(connection, patient_id)
        if found is None:
            found = Wallet.create()
            self._wallets.keep_next(connection, patient_id, found)
        return found
