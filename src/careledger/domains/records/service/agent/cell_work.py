"""The steps of what an agent does to one cell; each can be repeated after a crash.

Owns the order within a revocation, and the issuing anew of grants when an epoch ends. On whose word anything is
done is `agent`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from careledger.domains.records.service.agent.epochs import EpochKeeper, HeldManifest
from careledger.domains.records.service.agent.sessions import CellSession, Sessions
from careledger.domains.records.service.agent.updates import CellUpdater
from careledger.domains.records.service.agent.wallets import identity_of
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.cells import CellContents
from careledger.domains.records.service.consent.commands import EVERYTHING, STOP, Names
from careledger.domains.records.service.consent.coverage import PlannedGrant
from careledger.domains.records.service.consent.errors import GRANT_UNKNOWN
from careledger.domains.records.service.consent.grants import (
    GrantedScope,
    GrantTerms,
    StreamSecrets,
    issue_grant,
    new_grant_name,
    verify_grant,
)
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Directory, require_member
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import OrganisationID
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection

AFTER_STOP = declare("agent.after_stop")
AFTER_EPOCHS = declare("agent.after_epochs")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGrant:
    """A grant that stands in a cell."""

    custodian: str
    organisation: str
    """Who may read."""
    name: bytes
    purpose: str
    compartments: tuple[Compartment, ...]
    whole: tuple[Compartment, ...]
    not_before_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A revocation or restriction under way."""

    ended: tuple[bytes, ...]
    compartments: tuple[Compartment, ...]
    is_all: bool


class CellWork:
    """Does to cells what the agent decides."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        directory: Directory,
        sessions: Sessions,
        updater: CellUpdater,
        epochs: EpochKeeper,
    ) -> None:
        self._site = site
        self._writer = writer
        self._directory = directory
        self._sessions = sessions
        self._updater = updater
        self._epochs = epochs

    async def resumed(self, session: CellSession) -> CellSession:
        """The session after whatever was under way is finished."""
        row = await self._writer.in_transaction(
            lambda connection: fetch_one(
                connection,
                "SELECT ended, compartments, is_all FROM agent_task WHERE cell = ?",
                (session.cell,),
            )
        )
        if await self._updater.resume(session) or row is not None:
            session = await self._sessions.open(session.patient_id, session.custodian.slug)
        if row is not None:
            ended = tuple(row[0][at : at + 32] for at in range(0, len(row[0]), 32))
            task = Task(
                ended=ended,
                compartments=tuple(Compartment(number) for number in row[1]),
                is_all=bool(row[2]),
            )
            await self.end(session, task)
            session = await self._sessions.open(session.patient_id, session.custodian.slug)
        return session

    async def task_for(self, session: CellSession, names: tuple[bytes, ...]) -> Task:
        """What ending these grants comes to.

        Raises:
            Rejected: GRANT_UNKNOWN.
        """
        held = {granted.name: granted for granted in (await self.granted(session)).values()}
        if not names or any(name not in held for name in names):
            raise Rejected(GRANT_UNKNOWN)
        whole = {one for name in names for one in held[name].whole}
        return Task(ended=names, compartments=tuple(sorted(whole)), is_all=False)

    async def end(self, session: CellSession, task: Task) -> list[GrantedScope]:
        """End grants and epochs; every step can be repeated after a crash. Returns what ended now."""
        # 1.
        await self._writer.in_transaction(lambda connection: _keep_task(connection, session, task))
        # 2.
        names = (EVERYTHING,) if task.is_all else task.ended
        if names:
            await session.command(STOP, Names(names))
        fault_point(AFTER_STOP)
        # 3.
        contents = await self._updater.contents(session)
        latest = await self._epochs.manifests(session)
        begun_before = {
            one
            for one in task.compartments
            if one in contents.manifests and latest[one].epoch > contents.manifests[one][0]
        }
        todo = [one for one in task.compartments if one not in begun_before]
        manifests = {**latest, **await self._epochs.begin(session, todo, latest)}
        fault_point(AFTER_EPOCHS)
        # 4. and 5.
        held = await self.granted(session)
        gone = [granted for granted in held.values() if granted.name in task.ended]
        kept = {slot: granted for slot, granted in held.items() if granted.name not in task.ended}
        reissued = await self._reissue(session, kept, manifests)

        def amend(present: CellContents) -> CellContents:
            present.manifests = in_cell(manifests)
            present.grants = {slot: reissued[slot] for slot in present.grants if slot in reissued}
            return present

        await self._updater.update(session, amend)
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "DELETE FROM agent_task WHERE cell = ?", (session.cell,)
            ).fetchall()
        )
        return gone

    async def issue(self, session: CellSession, planned: Iterable[PlannedGrant]) -> list[HeldGrant]:
        """Sign planned grants and put them into the cell with one update."""
        plans = list(planned)
        if not plans:
            return []
        secrets = await self._epochs.secrets(session, {one for plan in plans for one in plan.whole})
        manifests = await self._epochs.manifests(session)
        issued: list[tuple[bytes, bytes]] = []

        def amend(contents: CellContents) -> CellContents:
            contents.manifests = in_cell(manifests)
            for plan in plans:
                member = require_member(self._directory, plan.organisation)
                slot = contents.free_slot()
                terms = GrantTerms(
                    organisation=member.organisation,
                    recipient=member.recipient(),
                    purpose=plan.purpose,
                    policy=plan.policy,
                    compartments=plan.compartments,
                    whole=plan.whole,
                    not_before_ms=plan.not_before_ms,
                    expires_at_ms=plan.expires_at_ms,
                )
                contents.grants[slot] = self._sign(session, terms, slot, new_grant_name(), secrets)
                issued.append(contents.grants[slot])
            return contents

        await self._updater.update(session, amend)
        return [self.describe(session, self._read_grant(session, *pair)) for pair in issued]

    async def _reissue(
        self,
        session: CellSession,
        kept: dict[int, GrantedScope],
        manifests: dict[Compartment, HeldManifest],
    ) -> dict[int, tuple[bytes, bytes]]:
        """Grants as they must stand under these manifests: those with keys of an ended epoch get new ones."""
        stale = {
            slot
            for slot, granted in kept.items()
            if any(
                sealed.epoch != manifests[Compartment(sealed.compartment)].epoch
                for sealed in granted.grant.sealed_keys
            )
        }
        secrets = await self._epochs.secrets(session, {one for slot in stale for one in kept[slot].whole})
        standing = {}
        for slot, granted in kept.items():
            if slot not in stale:
                standing[slot] = (granted.raw, granted.scope_raw)
                continue
            member = self._directory.by_number(granted.scope.organisation)
            if member is None:
                continue  # no member any more: there is nobody to seal to
            terms = GrantTerms(
                organisation=OrganisationID(granted.scope.organisation),
                recipient=member.recipient(),
                purpose=granted.grant.purpose,
                policy=granted.policy,
                compartments=tuple(sorted(granted.compartments)),
                whole=tuple(sorted(granted.whole)),
                not_before_ms=granted.grant.not_before_ms,
                expires_at_ms=granted.grant.expires_at_ms,
            )
            standing[slot] = self._sign(session, terms, slot, granted.name, secrets)
        return standing

    def _sign(
        self,
        session: CellSession,
        terms: GrantTerms,
        slot: int,
        name: bytes,
        secrets: dict[Compartment, StreamSecrets],
    ) -> tuple[bytes, bytes]:
        return issue_grant(
            terms,
            chain=self._site.chain_id,
            cell=session.cell,
            slot=slot,
            name=name,
            seed=session.wallet.identity_seed(),
            secrets=secrets,
        )

    async def granted(self, session: CellSession) -> dict[int, GrantedScope]:
        """Grants that stand in the cell, by slot."""
        contents = await self._updater.contents(session)
        return {slot: self._read_grant(session, *pair) for slot, pair in contents.grants.items()}

    def _read_grant(self, session: CellSession, raw: bytes, scope: bytes) -> GrantedScope:
        return verify_grant(
            raw, scope, chain=self._site.chain_id, cell=session.cell, identity=identity_of(session.wallet)
        )

    def describe(self, session: CellSession, granted: GrantedScope) -> HeldGrant:
        """A grant as patients see it."""
        member = self._directory.by_number(granted.scope.organisation)
        return HeldGrant(
            custodian=session.custodian.slug,
            organisation="" if member is None else member.slug,
            name=granted.name,
            purpose=granted.grant.purpose,
            compartments=tuple(sorted(granted.compartments)),
            whole=tuple(sorted(granted.whole)),
            not_before_ms=granted.grant.not_before_ms,
            expires_at_ms=granted.grant.expires_at_ms,
        )


def in_cell(manifests: dict[Compartment, HeldManifest]) -> dict[Compartment, tuple[int, bytes]]:
    """Manifests as the cell's contents name them."""
    return {one: (held.epoch, held.digest) for one, held in manifests.items()}


def _keep_task(connection: Connection, session: CellSession, task: Task) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO agent_task VALUES (?, ?, ?, ?)",
        (
            session.cell,
            b"".join(task.ended),
            bytes(one.value for one in task.compartments),
            int(task.is_all),
        ),
    )
