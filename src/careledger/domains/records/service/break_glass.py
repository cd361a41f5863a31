"""Breaking the glass, at the custodian: records without a grant, in an emergency.

In two steps, neither of which is answered before it is logged:

    match   somebody is looked for by demographics. Whether they are known here or not, an entry goes onto the
            ledger, the answer is a random handle, and it is given after the same time.
    open    the handle is used, with a typed reason and who asks. An entry goes onto the ledger; the session, the
            review, and the notice to the patient's agent become durable together; only then is anything
            released: current versions of single records, each key sealed to who asks, for four hours.

Only a certain match opens anything. Substance use records open in a bona fide emergency alone, with the
particulars of 42 CFR 2.51(c) recorded: recipient and affiliation, discloser, time, nature of the emergency. Notes
of psychotherapy stay closed.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.agent.notices import BREAK_GLASS as NOTICE_KIND
from careledger.domains.records.service.audit import AuditRecorder, Logged
from careledger.domains.records.service.audit_events import Access, Action, Reader
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.custody import CellCustody, CellSubject
from careledger.domains.records.service.consent.epochs import EpochKeys, read_keys
from careledger.domains.records.service.consent.vocabulary import BREAK_GLASS
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.answers import (
    Room,
    SinglesBasis,
    build_singles,
    sign_singles_head,
)
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.disclosing import pad_time, wait_for_view
from careledger.domains.records.service.exchange.errors import (
    MESSAGE_INVALID,
    NOTHING_TO_OPEN,
    REASON_MISSING,
)
from careledger.domains.records.service.exchange.messages import (
    TEXT_CHARACTERS_MAX,
    VERSION,
    AccessStatement,
    BreakGlassAnswer,
    BreakGlassRequest,
    Demographics,
    MatchAnswer,
    MatchRequest,
)
from careledger.domains.records.service.exchange.notifying import AgentNotifier
from careledger.domains.records.service.exchange.quotas import Quota
from careledger.domains.records.service.exchange.release import OpenedRecord, read_current
from careledger.domains.records.service.matching import PatientMatcher, to_patient
from careledger.domains.records.service.reviews import Side, insert_review
from careledger.domains.records.service.rows import fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID
from careledger.primitives.timestamps import HOUR_MS, MINUTE_MS
from careledger.standards.fhir.search.match_score import Grade
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection

WINDOW_MS: Final = 4 * HOUR_MS
HANDLE_LIFE_MS: Final = HOUR_MS
MATCH_S: Final = 0.5
"""Least time until the answer to a match or a refusal, or a multiple of it."""
REASON_CHARACTERS_MIN: Final = 10
MATCHES_MAX: Final = 30
"""Of one organisation, within a minute."""
OPENINGS_MAX: Final = 10
"""Of one practitioner, within an hour."""

BEFORE_RELEASE: Final = declare("break_glass.before_release")


@dataclass(frozen=True, slots=True)
class _Session:
    session: bytes
    subject: CellSubject
    expires_ms: int
    part_2: bool


class EmergencyDesk:
    """Answers emergencies of other organisations."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        custody: CellCustody,
        recorder: AuditRecorder,
        matcher: PatientMatcher,
        notifier: AgentNotifier,
        *,
        match_s: float = MATCH_S,
        matches_max: int = MATCHES_MAX,
        openings_max: int = OPENINGS_MAX,
    ) -> None:
        self._site = site
        self._writer = writer
        self._custody = custody
        self._recorder = recorder
        self._matcher = matcher
        self._notifier = notifier
        self._match_s = match_s
        self._matches = Quota(matches_max, MINUTE_MS, clock_ms=site.clock_ms)
        self._openings = Quota(openings_max, HOUR_MS, clock_ms=site.clock_ms)

    async def match(self, requester: Member, request: MatchRequest) -> MatchAnswer:
        """Look for somebody; the answer tells nothing.

        Raises:
            Rejected: MESSAGE_INVALID, REASON_MISSING (who asks).
            Unavailable: TOO_OFTEN; LEDGER_SLOW.
        """
        started = asyncio.get_running_loop().time()
        _check_demographics(request)
        self._matches.admit(requester.slug)
        patient_id, grade = await asyncio.to_thread(
            self._matcher.find_certain, to_patient(request.demographics)
        )
        access = Access(
            action=Action.MATCH,
            patient_id=patient_id,
            reader=Reader(identifier=request.practitioner, organisation=requester.slug),
            purpose=BREAK_GLASS,
            exchange_id=request.exchange_id.hex(),
            description=f"looked for in an emergency, by {request.affiliation}",
        )
        # The same motions whether somebody is found or not: one durable entry, one batch, one handle.
        await self._recorder.commit(access)
        handle = os.urandom(32)
        subject = None if patient_id is None else self._custody.find_patient(patient_id)
        await self._writer.in_transaction(
            lambda connection: self._note_match(connection, requester, request, handle, subject, grade)
        )
        await pad_time(started, self._match_s)
        return MatchAnswer(VERSION, handle)

    async def open(self, requester: Member, request: BreakGlassRequest) -> BreakGlassAnswer:
        """Break the glass.

        Raises:
            Rejected: REASON_MISSING; NOTHING_TO_OPEN, whatever the reason.
            Unavailable: TOO_OFTEN, STALE_VIEW, LEDGER_SLOW.
        """
        started = asyncio.get_running_loop().time()
        _check_opening(request)
        if request.skip == 0:
            self._openings.admit(f"{requester.slug}/{request.practitioner}")
        session = await self._writer.in_transaction(
            lambda connection: self._find_session(connection, requester, request)
        )
        logged = await self._recorder.commit(self._describe(requester, request, session))
        await wait_for_view(self._site.view, max(logged.height, request.seen_height))
        if session is None:
            await pad_time(started, self._match_s)
            raise Rejected(NOTHING_TO_OPEN)
        # Told and queued for review before anything is released.
        await self._writer.in_transaction(
            lambda connection: self._note_opening(connection, requester, request, session)
        )
        self._notifier.wake()
        keys = await self._writer.in_transaction(
            lambda connection: {
                one: read_keys(connection, self._site.keystore, session.subject.row, one)
                for one in _compartments(session)
            }
        )
        answer = await asyncio.to_thread(self._build, requester, request, session, keys, logged)
        fault_point(BEFORE_RELEASE)
        return answer

    # -- steps ---------------------------------------------------------------------------------------------

    def _note_match(
        self,
        connection: Connection,
        requester: Member,
        request: MatchRequest,
        handle: bytes,
        subject: CellSubject | None,
        grade: str,
    ) -> None:
        now_ms = self._site.clock_ms()
        connection.execute(
            "DELETE FROM match_handle WHERE made_ms < ?", (now_ms - WINDOW_MS - HANDLE_LIFE_MS,)
        )
        connection.execute(
            "INSERT INTO match_handle VALUES (?, ?, ?, ?, ?)",
            (handle, requester.organisation, 0 if subject is None else subject.row, grade, now_ms),
        )
        if subject is None and grade in (Grade.PROBABLE.value, Grade.POSSIBLE.value):
            # Nothing opens by itself here; a person at this organisation can call back.
            insert_review(
                connection,
                side=Side.CUSTODIAN,
                kind="match-uncertain",
                at_ms=now_ms,
                session=handle,
                patient_id=None,
                organisation=requester.slug,
                practitioner=request.practitioner,
                affiliation=request.affiliation,
                reason=f"somebody was looked for; the best match here is {grade}",
                nature="",
                part_2=False,
            )

    def _find_session(
        self, connection: Connection, requester: Member, request: BreakGlassRequest
    ) -> _Session | None:
        """The session that a handle stands for: a new one, or the one it opened before, while it lasts."""
        now_ms = self._site.clock_ms()
        known = fetch_one(
            connection,
            "SELECT session, subject, part_2, expires_ms FROM emergency WHERE handle = ? AND requester = ?",
            (request.handle, requester.organisation),
        )
        if known is not None:
            session, row, part_2, expires_ms = known
            subject = self._subject(connection, row)
            if subject is None or expires_ms <= now_ms:
                return None
            return _Session(session, subject, expires_ms, bool(part_2))
        made = fetch_one(
            connection,
            "SELECT subject FROM match_handle WHERE handle = ? AND requester = ? AND made_ms > ?",
            (request.handle, requester.organisation, now_ms - HANDLE_LIFE_MS),
        )
        subject = None if made is None or made[0] == 0 else self._subject(connection, made[0])
        if subject is None:
            return None
        part_2 = request.is_bona_fide_emergency and bool(request.nature.strip())
        return _Session(os.urandom(32), subject, now_ms + WINDOW_MS, part_2)

    def _subject(self, connection: Connection, row: int) -> CellSubject | None:
        found = fetch_one(connection, "SELECT cell FROM subject WHERE row = ? AND row <> 0", (row,))
        return None if found is None else self._custody.find(found[0])

    def _note_opening(
        self, connection: Connection, requester: Member, request: BreakGlassRequest, session: _Session
    ) -> None:
        now_ms = self._site.clock_ms()
        known = fetch_one(connection, "SELECT 1 FROM emergency WHERE session = ?", (session.session,))
        if known is not None:
            return  # a further page, or a further look within the window: told and queued before
        connection.execute(
            "INSERT INTO emergency VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                session.session,
                request.handle,
                requester.organisation,
                session.subject.row,
                request.practitioner,
                int(session.part_2),
                now_ms,
                session.expires_ms,
            ),
        )
        insert_review(
            connection,
            side=Side.CUSTODIAN,
            kind=NOTICE_KIND,
            at_ms=now_ms,
            session=session.session,
            patient_id=session.subject.patient_id,
            organisation=requester.slug,
            practitioner=request.practitioner,
            affiliation=request.affiliation,
            reason=request.reason,
            nature=request.nature,
            part_2=session.part_2,
        )
        text = (
            f"{request.practitioner} ({request.affiliation}, {requester.slug}) opened your records at "
            f"{self._site.slug} without your permission, as an emergency. Reason given: {request.reason}"
        )
        self._notifier.insert(connection, session.subject, NOTICE_KIND, text)

    def _describe(self, requester: Member, request: BreakGlassRequest, session: _Session | None) -> Access:
        particulars = f"reason: {request.reason}"
        if session is not None and session.part_2:
            particulars += (
                f"; 42 CFR 2.51: to {request.practitioner}, {request.affiliation}; by {self._site.slug}; "
                f"emergency: {request.nature}"
            )
        return Access(
            action=Action.BREAK_GLASS,
            patient_id=None if session is None else session.subject.patient_id,
            reader=Reader(identifier=request.practitioner, organisation=requester.slug),
            purpose=BREAK_GLASS,
            exchange_id=request.exchange_id.hex(),
            description=particulars,
            is_failure=session is None,
        )

    def _build(
        self,
        requester: Member,
        request: BreakGlassRequest,
        session: _Session,
        keys: dict[Compartment, list[EpochKeys]],
        logged: Logged,
    ) -> BreakGlassAnswer:
        site = self._site
        chosen: list[tuple[Compartment, OpenedRecord]] = []
        with site.view.at_head() as view, site.database.snapshot() as connection:
            for compartment, held in keys.items():
                opened = read_current(connection, view.store, site, compartment, held)
                chosen += [(compartment, one) for one in opened]
            height = view.height
        basis = SinglesBasis(
            # The cell is not told: it would link this emergency with everything else on the ledger.
            cell=CellID(session.session),
            name=session.session,
            purpose=BREAK_GLASS,
            expires_at_ms=session.expires_ms,
            policy_hash=session.session,
            recipient=requester.recipient(),
        )
        return BreakGlassAnswer(
            VERSION,
            session.session,
            session.expires_ms,
            build_singles(chosen, basis, site, skip=request.skip, room=Room()),
            request.skip,
            len(chosen),
            sign_singles_head(chosen, basis, site, height=height),
            AccessStatement(logged.tag, logged.height, logged.salt, logged.event),
        )


def _compartments(session: _Session) -> tuple[Compartment, ...]:
    return tuple(one for one in COMPARTMENTS if one is not Compartment.SUBSTANCE_USE or session.part_2)


def _check_demographics(request: MatchRequest) -> None:
    wanted: Demographics = request.demographics
    texts = (
        wanted.family,
        *wanted.given,
        wanted.birth_date,
        wanted.gender,
        wanted.postal_code,
        wanted.city,
        wanted.phone,
        *(text for pair in wanted.identifiers for text in pair),
    )
    if (
        len(request.exchange_id) != 32
        or len(wanted.given) > 8
        or len(wanted.identifiers) > 16
        or any(len(text) > 200 for text in texts)
    ):
        raise Rejected(MESSAGE_INVALID)
    if not _is_named(request.practitioner) or not _is_named(request.affiliation):
        raise Rejected(REASON_MISSING)


def _check_opening(request: BreakGlassRequest) -> None:
    if len(request.handle) != 32 or len(request.exchange_id) != 32 or request.skip < 0:
        raise Rejected(MESSAGE_INVALID)
    if (
        not _is_named(request.practitioner)
        or not _is_named(request.affiliation)
        or len(request.reason.strip()) < REASON_CHARACTERS_MIN
        or max(len(request.reason), len(request.nature)) > TEXT_CHARACTERS_MAX
    ):
        raise Rejected(REASON_MISSING)


def _is_named(text: str) -> bool:
    return 2 <= len(text.strip()) <= 200
