"""Acting for patients: grant, revoke, refresh, restrict, and begin new epochs.

A revocation is

    1. written down, so that a crash leaves it to be finished;
    2. a stop at the custodian, which counts at once;
    3. a new epoch in every compartment whose keys the ended grants gave: new index key, new disclosure key, and a
       manifest that lists what stays visible;
    4. the remaining grants issued anew with the new keys;
    5. one update of the cell, its opening delivered before it commits.

Seen from outside, a grant, an amendment, a refresh and a revocation are one cell update and one batch each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from careledger.domains.records.service.agent.authority import (
    Act,
    Authority,
    describe,
    require_authority,
)
from careledger.domains.records.service.agent.cell_work import CellWork, HeldGrant, Task, in_cell
from careledger.domains.records.service.agent.epochs import EpochKeeper
from careledger.domains.records.service.agent.notices import GRANTED, RESTRICTED, REVOKED, NoticeBoard
from careledger.domains.records.service.agent.sessions import CellSession, Sessions
from careledger.domains.records.service.agent.updates import CellUpdater
from careledger.domains.records.service.agent.wallets import identity_of
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.cells import CellContents
from careledger.domains.records.service.consent.commands import EVERYTHING, LIFT, Names
from careledger.domains.records.service.consent.coverage import plan_grants
from careledger.domains.records.service.consent.grants import GrantedScope
from careledger.domains.records.service.consent.policy import Policy
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Directory, Member
from careledger.domains.records.service.exchange.messages import VERSION, GrantDelivery
from careledger.domains.records.service.exchange.outgoing import OutgoingQueue
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import encode
from careledger.storage.sqlite import Connection

GRANTS_PATH: Final = "/grants"


class CustodialAgent:
    """Acts with the wallets of one site's patients."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        directory: Directory,
        sessions: Sessions,
        updater: CellUpdater,
        epochs: EpochKeeper,
        work: CellWork,
        notices: NoticeBoard,
        outgoing: OutgoingQueue,
    ) -> None:
        self._site = site
        self._writer = writer
        self._directory = directory
        self._sessions = sessions
        self._updater = updater
        self._epochs = epochs
        self._work = work
        self._notices = notices
        self._outgoing = outgoing

    # -- what a patient asks for ---------------------------------------------------------------------------

    async def grant(
        self,
        patient_id: str,
        custodian: str,
        policy: Policy,
        *,
        authority: Authority,
        recipients: Iterable[str] = (),
        replacing: Iterable[bytes] = (),
    ) -> list[HeldGrant]:
        """Grant what a policy permits of the records at one custodian.

        Args:
            patient_id: the patient's id at this site.
            custodian: organisation that holds the records, by short name.
            policy: the patient's decision.
            authority: on whose word.
            recipients: organisations besides those the policy names.
            replacing: names of grants that end with the same update: an amendment. Their keys are changed.

        Raises:
            Rejected: Not on such a word; RECIPIENT_MISSING, PART_2_INCOMPLETE; the cell is full or lost.
            Unavailable: The custodian or the ledger cannot be reached; trying again goes on from there.
        """
        planned = plan_grants(policy, recipients=recipients)
        concerned = {one for plan in planned for one in plan.compartments}
        session = await self._authorised(patient_id, custodian, authority, Act.GRANT, concerned)
        replaced = tuple(replacing)
        async with self._updater.lock(session.cell):
            session = await self._work.resumed(session)
            if replaced:
                await self._work.end(session, await self._work.task_for(session, replaced))
                session = await self._sessions.open(patient_id, custodian)
            issued = await self._work.issue(session, planned)
        for held in issued:
            await self._tell_grantee(session, held, is_ended=False)
        if issued:
            text = f"Allowed by {describe(authority)}: " + "; ".join(
                f"{held.organisation} may read {_listed(held.compartments)} at {custodian}" for held in issued
            )
            await self._notices.post(patient_id, GRANTED, text)
        return issued

    async def revoke(
        self, patient_id: str, custodian: str, names: Iterable[bytes], *, authority: Authority
    ) -> None:
        """End grants: no further release. Copies already opened cannot be recalled.

        Raises:
            Rejected: Not on such a word; GRANT_UNKNOWN.
            Unavailable: As `grant`; the stop counts as soon as the custodian has it.
        """
        ended = tuple(names)
        session = await self._authorised(patient_id, custodian, authority, Act.REVOKE, ())
        async with self._updater.lock(session.cell):
            session = await self._work.resumed(session)
            task = await self._work.task_for(session, ended)
            gone = await self._work.end(session, task)
        await self._report_ended(session, gone, REVOKED, authority)

    async def restrict(self, patient_id: str, custodian: str, *, authority: Authority) -> None:
        """Share nothing from one custodian any more, with anybody, until `unrestrict`.

        Raises:
            Rejected: Not on such a word.
            Unavailable: As `grant`.
        """
        session = await self._authorised(patient_id, custodian, authority, Act.REVOKE, ())
        async with self._updater.lock(session.cell):
            session = await self._work.resumed(session)
            held = await self._work.granted(session)
            whole = {one for granted in held.values() for one in granted.whole}
            task = Task(
                ended=tuple(granted.name for granted in held.values()),
                compartments=tuple(sorted(whole)),
                is_all=True,
            )
            gone = await self._work.end(session, task)
        await self._report_ended(session, gone, RESTRICTED, authority)

    async def unrestrict(self, patient_id: str, custodian: str, *, authority: Authority) -> None:
        """Take a restriction back; nothing is shared until something is granted again."""
        session = await self._authorised(patient_id, custodian, authority, Act.GRANT, COMPARTMENTS)
        await session.command(LIFT, Names((EVERYTHING,)))

    async def refresh(self, patient_id: str, custodian: str) -> None:
        """Advance the cell without a change, so that changes cannot be told by an update."""
        session = await self._sessions.open(patient_id, custodian)
        async with self._updater.lock(session.cell):
            session = await self._work.resumed(session)
            manifests = in_cell(await self._epochs.manifests(session))

            def amend(contents: CellContents) -> CellContents:
                contents.manifests = manifests
                return contents

            await self._updater.update(session, amend)

    async def renew(self, patient_id: str, custodian: str, compartments: Collection[Compartment]) -> None:
        """Begin new epochs without ending a grant, such as after an erasure."""
        session = await self._sessions.open(patient_id, custodian)
        async with self._updater.lock(session.cell):
            session = await self._work.resumed(session)
            task = Task(ended=(), compartments=tuple(sorted(compartments)), is_all=False)
            await self._work.end(session, task)

    async def grants(self, patient_id: str) -> list[HeldGrant]:
        """Grants that stand, at all custodians."""
        found = []
        for custodian in await self._sessions.custodians(patient_id):
            session = await self._sessions.open(patient_id, custodian)
            granted = await self._work.granted(session)
            found += [self._work.describe(session, one) for one in granted.values()]
        return found

    async def end_delegation(self, patient_id: str, nonce: bytes) -> None:
        """End a delegation before its time, and with it every one that rests on it."""
        await self._writer.in_transaction(
            lambda connection: connection.execute(
                "INSERT OR IGNORE INTO agent_ended_delegation VALUES (?, ?)", (patient_id, nonce)
            ).fetchall()
        )

    async def resume(self) -> int:
        """Finish at start what was under way; returns how many cells had something."""
        with self._site.database.snapshot() as connection:
            rows = fetch_all(
                connection,
                "SELECT wallet, custodian FROM agent_cell WHERE cell IN "
                "(SELECT cell FROM agent_task UNION SELECT cell FROM agent_update)",
            )
        for patient_id, number in rows:
            member = self._directory.by_number(number)
            if member is None:
                continue
            session = await self._sessions.open(patient_id, member.slug)
            async with self._updater.lock(session.cell):
                await self._work.resumed(session)
        return len(rows)

    # -- details -------------------------------------------------------------------------------------------

    async def _authorised(
        self,
        patient_id: str,
        custodian: str,
        authority: Authority,
        action: Act,
        compartments: Collection[Compartment],
    ) -> CellSession:
        session = await self._sessions.open(patient_id, custodian)
        with self._site.database.snapshot() as connection:
            ended = fetch_all(
                connection, "SELECT nonce FROM agent_ended_delegation WHERE wallet = ?", (patient_id,)
            )
        require_authority(
            authority,
            chain=self._site.chain_id,
            identity=identity_of(session.wallet),
            action=action,
            compartments=compartments,
            at_ms=self._site.clock_ms(),
            ended={bytes(row[0]) for row in ended},
        )
        return session

    async def _report_ended(
        self, session: CellSession, gone: list[GrantedScope], kind: str, authority: Authority
    ) -> None:
        ended = [self._work.describe(session, granted) for granted in gone]
        for held in ended:
            await self._tell_grantee(session, held, is_ended=True)
        names = ", ".join(sorted({held.organisation for held in ended})) or "nobody"
        text = (
            f"Ended by {describe(authority)} at {session.custodian.slug}: reading by {names}. "
            "No further release; copies already opened cannot be recalled."
        )
        await self._notices.post(session.patient_id, kind, text)

    async def _tell_grantee(self, session: CellSession, held: HeldGrant, *, is_ended: bool) -> None:
        member: Member | None = self._directory.by_slug(held.organisation)
        if member is None:
            return
        own_cell = await self._writer.in_transaction(
            lambda connection: _cell_at(connection, session.patient_id, member.organisation)
        )
        delivery = GrantDelivery(
            VERSION,
            session.custodian.organisation,
            session.cell,
            held.name,
            held.purpose,
            held.expires_at_ms,
            is_ended,
            own_cell,
        )
        await self._outgoing.put(member.slug, GRANTS_PATH, encode(delivery))


def _cell_at(connection: Connection, patient_id: str, organisation: int) -> bytes:
    row = fetch_one(
        connection,
        "SELECT cell FROM agent_cell WHERE wallet = ? AND custodian = ?",
        (patient_id, organisation),
    )
    return b"" if row is None else bytes(row[0])


def _listed(compartments: Iterable[Compartment]) -> str:
    return ", ".join(one.label for one in compartments)
