"""Obeying a wallet's commands at the custodian.

Every command is checked the same way, whether the agent is at this site or elsewhere:

    1. The cell is of a patient here, and whoever brings the command is the patient's agent.
    2. The wallet's identity key signed it, and nobody else.
    3. It is not older than one that was obeyed before.

Two kinds differ. `agent` may come from the new agent: the wallet's signature names it. `identity` is signed by
the new wallet and by the one-time key that the cell on the ledger follows now: whoever controls the cell says
which wallet is the patient's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from careledger.domains.records.chain.types import compute_key_commitment
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent import commands
from careledger.domains.records.service.consent.commands import (
    AgentBody,
    Command,
    CompartmentBytes,
    CompartmentList,
    Compartments,
    EpochStates,
    IdentityBody,
    LogFrom,
    LogItem,
    LogPage,
    Names,
    OpeningBody,
    ShareBody,
    custodian_key_info,
    read_body,
    read_command,
    wallet_key_info,
)
from careledger.domains.records.service.consent.custody import CellCustody, CellSubject
from careledger.domains.records.service.consent.epochs import (
    disclosure_key,
    epoch_state,
    open_epoch,
    read_manifests,
    seal_epochs,
    sealed_epoch,
)
from careledger.domains.records.service.consent.errors import (
    CELL_UNKNOWN_HERE,
    COMMAND_INVALID,
    COMMAND_STALE,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.errors import NOT_THE_AGENT
from careledger.domains.records.service.outbox import Batch, build_entries_message
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.schema import BATCH_RECORDS
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import is_slug
from careledger.storage.sqlite import Connection
from careledger.vault.errors import WrapBroken
from careledger.vault.kem import OpeningKey, RecipientKey
from careledger.vault.keys import IndexKey
from careledger.vault.wrapping import grant_key, open_granted_key

LOG_PAGE: Final = 1_000

_Obey = Callable[[CellSubject, Command], Awaitable[bytes]]


class ShareKeeper(Protocol):
    """Who keeps the custodian's share of a wallet, and gives it out after delay and notice only."""

    async def keep(self, subject: CellSubject, share: bytes) -> None:
        """Keep a share in place of an earlier one."""

    async def cancel(self, subject: CellSubject) -> None:
        """The wallet is there: refuse to give the share out on any request made before."""


class CommandDesk:
    """Obeys commands about this custodian's cells."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        custody: CellCustody,
        recorder: AuditRecorder,
        shares: ShareKeeper,
        opening_key: OpeningKey,
    ) -> None:
        self._site = site
        self._writer = writer
        self._custody = custody
        self._recorder = recorder
        self._shares = shares
        self._opening_key = opening_key
        self._held: dict[bytes, Batch] = {}
        """Batches of manifests that wait for their cell's opening; after a restart they go out at once."""
        self._obey: dict[str, _Obey] = {
            commands.STOP: self._stop,
            commands.LIFT: self._lift,
            commands.MANIFESTS: self._manifests,
            commands.KEYS: self._keys,
            commands.OPEN_EPOCHS: self._open_epochs,
            commands.EPOCH_STATE: self._epoch_state,
            commands.SEAL_EPOCHS: self._seal_epochs,
            commands.OPENING: self._opening,
            commands.CURRENT_OPENING: self._current_opening,
            commands.ACCESS_LOG: self._access_log,
            commands.ESCROW: self._escrow,
            commands.KEEP_SHARE: self._keep_share,
            commands.AGENT: self._agent,
            commands.IDENTITY: self._identity,
        }

    async def execute(self, kind: str, envelope: bytes, *, brought_by: str) -> bytes:
        """Check a command and obey it.

        Args:
            kind: what the caller was asked for; the command must be of it.
            envelope: the signed command.
            brought_by: organisation that brought it.

        Returns:
            Canonical bytes of the kind's answer; empty where it has none.

        Raises:
            Rejected: COMMAND_INVALID, COMMAND_STALE, NOT_THE_AGENT, CELL_UNKNOWN_HERE, or the kind's own.
        """
        obey = self._obey.get(kind)
        if obey is None:
            raise Rejected(COMMAND_INVALID, "an unknown kind")
        signed = read_command(envelope, chain=self._site.chain_id, kind=kind)
        command = signed.command
        # 1.
        subject = self._custody.find(command.cell)
        if subject is None:
            raise Rejected(CELL_UNKNOWN_HERE)
        if kind not in (commands.AGENT, commands.IDENTITY) and brought_by != subject.agent:
            raise Rejected(NOT_THE_AGENT)
        # 2.
        if kind == commands.IDENTITY:
            self._check_new_identity(command, signed.signers, brought_by)
        elif signed.signers != (subject.identity,):
            raise Rejected(COMMAND_INVALID, "not signed by the wallet")
        # 3.
        await self._writer.in_transaction(lambda connection: _note(connection, command))
        return await obey(subject, command)

    # -- stops ---------------------------------------------------------------------------------------------

    async def _stop(self, subject: CellSubject, command: Command) -> bytes:
        await self._custody.stop(subject.cell, _names(command))
        return b""

    async def _lift(self, subject: CellSubject, command: Command) -> bytes:
        await self._custody.lift(subject.cell, _names(command))
        return b""

    # -- keys and epochs -----------------------------------------------------------------------------------

    async def _manifests(self, subject: CellSubject, command: Command) -> bytes:
        del command
        items = await self._writer.in_transaction(
            lambda connection: read_manifests(connection, subject.row, COMPARTMENTS)
        )
        return encode(CompartmentList(tuple(items)))

    async def _keys(self, subject: CellSubject, command: Command) -> bytes:
        wanted = _compartments(command)

        def read(connection: Connection) -> list[CompartmentBytes]:
            recipient = RecipientKey(subject.recipient)
            sealed = []
            for compartment in wanted:
                epoch = sealed_epoch(connection, subject.row, compartment)
                key = disclosure_key(self._site.keystore, subject.row, compartment, epoch)
                info = wallet_key_info(self._site.chain_id, subject.cell, compartment.label, epoch)
                sealed.append(CompartmentBytes(int(compartment), epoch, grant_key(key, recipient, info)))
            return sealed

        return encode(CompartmentList(tuple(await self._writer.in_transaction(read))))

    async def _open_epochs(self, subject: CellSubject, command: Command) -> bytes:
        body = read_body(command.body, CompartmentList)
        opened = [
            (_compartment(item.compartment), item.epoch, self._open_index_key(subject, item))
            for item in body.items
        ]

        def write(connection: Connection) -> None:
            for compartment, epoch, key in opened:
                open_epoch(
                    connection, self._site, self._writer.registry, subject.row, compartment, epoch, key
                )

        await self._writer.in_transaction(write)
        return b""

    async def _epoch_state(self, subject: CellSubject, command: Command) -> bytes:
        wanted = _compartments(command)
        states = await self._writer.in_transaction(
            lambda connection: tuple(
                epoch_state(connection, self._site, subject.row, one, require_ledger=True) for one in wanted
            )
        )
        return encode(EpochStates(states))

    async def _seal_epochs(self, subject: CellSubject, command: Command) -> bytes:
        body = read_body(command.body, CompartmentList)
        for item in body.items:
            _compartment(item.compartment)

        def write(connection: Connection) -> tuple[list[CompartmentBytes], Batch | None]:
            return seal_epochs(
                connection,
                self._site,
                self._writer.registry,
                subject.row,
                subject.cell,
                subject.identity,
                body.items,
            )

        final, batch = await self._writer.in_transaction(write)
        if batch is not None:
            self._held[subject.cell] = batch
        return encode(CompartmentList(tuple(final)))

    # -- openings ------------------------------------------------------------------------------------------

    async def _opening(self, subject: CellSubject, command: Command) -> bytes:
        body = read_body(command.body, OpeningBody)
        before = self._custody.cell_on_ledger(subject.cell)
        earlier = None if before is None else self._custody.served_cell(subject, before.commitment)
        served, is_new = await self._custody.keep_opening(subject, body.opening)
        held = self._held.pop(subject.cell, None)
        # Every update of a cell goes along with one batch, sent off at this very moment: of manifests where an
        # epoch ended, else of noise. Otherwise a revocation could be told from a refresh by what else is committed.
        if held is not None:
            self._writer.follow(held)
        elif is_new and (earlier is None or earlier.contents.manifests == served.contents.manifests):
            await self._writer.send(BATCH_RECORDS, build_entries_message(self._site, BATCH_RECORDS, []))
        return b""

    async def _current_opening(self, subject: CellSubject, command: Command) -> bytes:
        del command
        cell = self._custody.cell_on_ledger(subject.cell)
        raw = None if cell is None else self._custody.stored_opening(subject.cell, cell.commitment)
        return raw or b""

    # -- the access log ------------------------------------------------------------------------------------

    async def _access_log(self, subject: CellSubject, command: Command) -> bytes:
        first = read_body(command.body, LogFrom).first
        if first < 0:
            raise Rejected(COMMAND_INVALID, "a negative position")
        entries = self._recorder.read_log(subject.row, first=first, count=LOG_PAGE + 1)
        items = tuple(LogItem(entry.position, entry.salt, entry.event) for entry in entries[:LOG_PAGE])
        following = entries[LOG_PAGE].position if len(entries) > LOG_PAGE else 0
        return encode(LogPage(items, following))

    # -- shares, agents, wallets ---------------------------------------------------------------------------

    async def _escrow(self, subject: CellSubject, command: Command) -> bytes:
        await self._shares.keep(subject, read_body(command.body, ShareBody).share)
        return b""

    async def _keep_share(self, subject: CellSubject, command: Command) -> bytes:
        del command
        await self._shares.cancel(subject)
        return b""

    async def _agent(self, subject: CellSubject, command: Command) -> bytes:
        slug = read_body(command.body, AgentBody).slug
        if not is_slug(slug):
            raise Rejected(COMMAND_INVALID, "not an organisation's name")
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "UPDATE subject SET agent = ? WHERE row = ?", (slug, subject.row)
            ).fetchall()
        )
        return b""

    async def _identity(self, subject: CellSubject, command: Command) -> bytes:
        body = read_body(command.body, IdentityBody)
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "UPDATE subject SET identity = ?, recipient = ?, agent = ? WHERE row = ?",
                (body.identity, body.recipient, body.agent, subject.row),
            ).fetchall()
        )
        self._custody.forget(subject.cell)
        return b""

    # -- details -------------------------------------------------------------------------------------------

    def _check_new_identity(self, command: Command, signers: tuple[bytes, ...], brought_by: str) -> None:
        body = read_body(command.body, IdentityBody)
        cell = self._custody.cell_on_ledger(command.cell)
        others = [signer for signer in signers if signer != body.identity]
        if (
            cell is None
            or len(signers) != 2
            or len(others) != 1
            or compute_key_commitment(others[0]) != cell.next_key_commitment
        ):
            raise Rejected(COMMAND_INVALID, "not signed by the new wallet and the cell's present key")
        if body.agent != brought_by:
            raise Rejected(NOT_THE_AGENT)
        try:
            RecipientKey(body.recipient)
        except ValueError:
            raise Rejected(COMMAND_INVALID, "not a key to seal to") from None

    def _open_index_key(self, subject: CellSubject, item: CompartmentBytes) -> IndexKey:
        info = custodian_key_info(
            self._site.chain_id, subject.cell, _compartment(item.compartment).label, item.epoch
        )
        try:
            return open_granted_key(item.value, self._opening_key, info, IndexKey)
        except (WrapBroken, ValueError):
            raise Rejected(COMMAND_INVALID, "an index key does not open") from None


def _note(connection: Connection, command: Command) -> None:
    row = fetch_one(connection, "SELECT issued_ms FROM command WHERE cell = ?", (command.cell,))
    if row is not None and command.issued_ms <= row[0]:
        raise Rejected(COMMAND_STALE)
    connection.execute("INSERT OR REPLACE INTO command VALUES (?, ?)", (command.cell, command.issued_ms))


def _names(command: Command) -> tuple[bytes, ...]:
    names = read_body(command.body, Names).names
    if not 1 <= len(names) <= 64 or any(len(name) != 32 for name in names):
        raise Rejected(COMMAND_INVALID, "not names of grants")
    return names


def _compartments(command: Command) -> tuple[Compartment, ...]:
    return tuple(_compartment(number) for number in read_body(command.body, Compartments).compartments)


def _compartment(number: int) -> Compartment:
    try:
        return Compartment(number)
    except ValueError:
        raise Rejected(COMMAND_INVALID, "an unknown compartment") from None
