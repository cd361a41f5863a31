"""The custodian's side of a read by another organisation.

In this order and no other, so that there is never a release without a log, nor one by stale consent:

    1. The request's signature stands: the caller has checked it, and says who asks.
    2. The access entry is committed, and its receipt is there.
    3. The view of the ledger is fresh, and at that entry's height or later.
    4. An opening that was given leads to the cell's commitment in that view, and holds a grant to who asks.
    5. No stop stands against the grant.
    6. The grant is in force, and its policy permits.
    7. The answer is built from that very state, and no stop came in meanwhile.

Whatever fails from 3 on is one and the same refusal, given after the same time. An unknown cell goes through the
same motions: it must not be found out which cells on the ledger have a patient behind them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.types import CELL_ID_BYTES
from careledger.domains.records.service.audit import AuditRecorder, Logged
from careledger.domains.records.service.audit_events import Access, Action, Reader, ReaderKind
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.cells import MANIFEST_SLOTS, prove_leaves
from careledger.domains.records.service.consent.coverage import is_whole
from careledger.domains.records.service.consent.custody import CellCustody, CellSubject, ServedCell
from careledger.domains.records.service.consent.epochs import (
    EpochKeys,
    disclosure_key,
    read_keys,
    read_manifest,
)
from careledger.domains.records.service.consent.errors import NOT_GRANTED
from careledger.domains.records.service.consent.grants import GrantedScope
from careledger.domains.records.service.consent.policy import Asker, RecordFacts, decide, is_within
from careledger.domains.records.service.consent.vocabulary import LEGAL_PURPOSES, purpose_covers
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.answers import (
    Room,
    SinglesBasis,
    build_singles,
    build_stream,
    choose_singles,
    sign_singles_head,
)
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.errors import MESSAGE_INVALID, VIEW_BEHIND
from careledger.domains.records.service.exchange.messages import (
    SINGLES_KEY,
    TEXT_CHARACTERS_MAX,
    VERSION,
    AccessStatement,
    ReadAnswer,
    ReadRequest,
)
from careledger.domains.records.service.exchange.release import HeldStream, read_stream
from careledger.domains.records.service.writer import RecordWriter
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import Rejected, Unavailable
from careledger.sdk.context import StateReader
from careledger.storage.faults import declare, fault_point
from careledger.storage.sqlite import Connection
from careledger.vault.envelope import parse_envelope
from careledger.vault.keys import CompartmentKey
from careledger.vault.streams import decode_manifest

REFUSAL_S: Final = 0.4
"""Least time until a refusal, or a multiple of it."""
VIEW_WAIT_S: Final = 2.0
SKIPS_MAX: Final = 8
_TRIES: Final = 3

BEFORE_ANSWER: Final = declare("exchange.before_answer")


@dataclass(frozen=True, slots=True)
class _Basis:
    """What permits an answer."""

    subject: CellSubject
    served: ServedCell
    commitment: bytes
    slot: int
    granted: GrantedScope
    asker: Asker
    cell_version: int


@dataclass(frozen=True, slots=True)
class _Secrets:
    keys: dict[Compartment, list[EpochKeys]]
    disclosure: dict[Compartment, CompartmentKey]


class DisclosureDesk:
    """Answers other organisations' reads."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        custody: CellCustody,
        recorder: AuditRecorder,
        *,
        refusal_s: float = REFUSAL_S,
    ) -> None:
        self._site = site
        self._writer = writer
        self._custody = custody
        self._recorder = recorder
        self._refusal_s = refusal_s

    async def read(self, requester: Member, request: ReadRequest) -> ReadAnswer:
        """Answer a read whose signature the caller has checked.

        Raises:
            Rejected: NOT_GRANTED, whatever the reason; MESSAGE_INVALID.
            Unavailable: STALE_VIEW, LEDGER_SLOW, VIEW_BEHIND: the answer is no for now.
        """
        # 1. is the caller's: the requester is who signed
        _check_request(request)
        started = asyncio.get_running_loop().time()
        subject = self._custody.find(request.cell)
        access = _describe(requester, request, subject)
        # 2.
        logged: Logged | None = None
        if subject is None:
            height = await self._recorder.commit_nothing()
        else:
            logged = await self._recorder.commit(access)
            height = logged.height
        try:
            # 3.
            await wait_for_view(self._site.view, max(height, request.seen_height))
            return await self._answer(requester, request, subject, logged)
        except Rejected as refusal:
            if subject is not None:
                await self._recorder.record(_refused(access, refusal))
            await pad_time(started, self._refusal_s)
            # One refusal for every reason; the reason stands in the custodian's own log.
            raise Rejected(NOT_GRANTED) from None

    async def _answer(
        self, requester: Member, request: ReadRequest, subject: CellSubject | None, logged: Logged | None
    ) -> ReadAnswer:
        if subject is None or logged is None:
            raise Rejected(NOT_GRANTED, "no such cell here")
        for _ in range(_TRIES):
            heard = self._custody.stops_heard
            # 4. to 6.
            basis = self._find_basis(requester, request, subject)
            secrets = await self._writer.in_transaction(partial(self._read_secrets, basis))
            # 7.
            answer = await asyncio.to_thread(self._build, request, requester, basis, secrets, logged)
            if answer is None or self._custody.stops_heard != heard:
                continue  # the cell or a stop changed meanwhile: everything is asked again
            fault_point(BEFORE_ANSWER)
            return answer
        raise Unavailable(VIEW_BEHIND, "consent is changing; try again")

    def _find_basis(self, requester: Member, request: ReadRequest, subject: CellSubject) -> _Basis:
        # 4.
        with self._site.view.at_head() as view:
            cell = keeper.cell(view.store, subject.cell)
            at_ms = view.time_ms
        if cell is None or cell.custodian != self._site.organisation:
            raise Rejected(NOT_GRANTED, "the cell is not on the ledger")
        served = self._custody.served_cell(subject, cell.commitment)
        if served is None:
            raise Rejected(NOT_GRANTED, "no opening leads to the cell's commitment")
        asker = Asker(
            organisations=frozenset({requester.slug}),
            purpose=request.purpose,
            at_ms=at_ms,
            practitioners=frozenset({request.practitioner} if request.practitioner else ()),
            roles=frozenset(request.roles),
        )
        refusal = "no grant to this organisation for this purpose"
        for slot, granted in served.grants.items():
            if not _is_for(granted, requester, request.purpose) or request.grant not in (b"", granted.name):
                continue
            # 5.
            if self._custody.is_stopped(subject.cell, granted.name):
                refusal = "stopped by the patient"
                continue
            # 6.
            if not granted.is_in_force(at_ms):
                refusal = "not in force"
                continue
            return _Basis(subject, served, cell.commitment, slot, granted, asker, cell.version)
        raise Rejected(NOT_GRANTED, refusal)

    def _read_secrets(self, basis: _Basis, connection: Connection) -> _Secrets:
        subject, keystore = basis.subject.row, self._site.keystore
        wanted = sorted(basis.granted.compartments)
        epochs = {one: basis.served.contents.manifests[one][0] for one in wanted}
        return _Secrets(
            {one: read_keys(connection, keystore, subject, one) for one in wanted},
            {
                one: disclosure_key(keystore, subject, one, epochs[one])
                for one in wanted
                if one in basis.granted.whole
            },
        )

    def _build(
        self, request: ReadRequest, requester: Member, basis: _Basis, secrets: _Secrets, logged: Logged
    ) -> ReadAnswer | None:
        """Build the answer from one state, or None if that is no longer the state it was permitted in.

        In a thread, because long answers take a while.
        """
        site, granted, skips, room = self._site, basis.granted, dict(request.skip), Room()
        with site.view.at_head() as view, site.database.snapshot() as connection:
            cell = keeper.cell(view.store, basis.subject.cell)
            if cell is None or cell.commitment != basis.commitment:
                return None
            streams = {
                one: self._read_stream(connection, view.store, basis, secrets, one)
                for one in sorted(granted.compartments)
            }
            height = view.height
        proofs = prove_leaves(basis.served.opening, {basis.slot, *range(MANIFEST_SLOTS)})
        answers = tuple(
            build_stream(
                site,
                basis.subject.cell,
                streams[one],
                proofs[one.value],
                secrets.disclosure[one],
                height=height,
                skip=skips.get(one.value, 0),
                room=room,
            )
            for one in sorted(granted.whole)
            if _is_whole_now(granted, one, requester, basis.asker)
        )
        singles_basis = SinglesBasis(
            cell=basis.subject.cell,
            name=granted.name,
            purpose=granted.grant.purpose,
            expires_at_ms=granted.grant.expires_at_ms,
            policy_hash=granted.grant.scope_hash,
            recipient=requester.recipient(),
        )

        def permit(facts: RecordFacts) -> bool:
            return decide(granted.policy, basis.asker, facts).is_permitted

        narrow = {one: held for one, held in streams.items() if one not in granted.whole}
        chosen = choose_singles(site, narrow, permit)
        first = skips.get(SINGLES_KEY, 0)
        return ReadAnswer(
            VERSION,
            basis.cell_version,
            granted.raw,
            granted.scope_raw,
            proofs[basis.slot],
            answers,
            build_singles(chosen, singles_basis, site, skip=first, room=room),
            first,
            len(chosen),
            sign_singles_head(chosen, singles_basis, site, height=height) if narrow else b"",
            AccessStatement(logged.tag, logged.height, logged.salt, logged.event),
        )

    def _read_stream(
        self,
        connection: Connection,
        store: StateReader,
        basis: _Basis,
        secrets: _Secrets,
        compartment: Compartment,
    ) -> HeldStream:
        epoch = basis.served.contents.manifests[compartment][0]
        envelope = read_manifest(connection, basis.subject.row, compartment, epoch)
        visible = decode_manifest(parse_envelope(envelope).payload).visible
        return read_stream(
            connection, store, self._site, compartment, epoch, secrets.keys[compartment], visible
        )


async def wait_for_view(view: LedgerView, height: int) -> None:
    """Check that the local view may decide about a disclosure, waiting a little for it to reach a height.

    Raises:
        Unavailable: STALE_VIEW, or VIEW_BEHIND the height.
    """
    deadline = asyncio.get_running_loop().time() + VIEW_WAIT_S
    while view.require_fresh().height < height:
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(VIEW_BEHIND)
        await asyncio.sleep(0.005)


async def pad_time(started: float, step_s: float) -> None:
    """Wait until a whole number of steps has passed since `started`, a time of the running loop."""
    if step_s <= 0:
        return
    elapsed = asyncio.get_running_loop().time() - started
    await asyncio.sleep(step_s - elapsed % step_s)


def _check_request(request: ReadRequest) -> None:
    texts = (request.purpose, request.practitioner, *request.roles)
    if (
        len(request.cell) != CELL_ID_BYTES
        or len(request.exchange_id) != 32
        or not 1 <= len(request.purpose) <= 32
        or any(len(text) > TEXT_CHARACTERS_MAX for text in texts)
        or len(request.roles) > 32
        or len(request.skip) > SKIPS_MAX
        or any(count < 0 for _, count in request.skip)
    ):
        raise Rejected(MESSAGE_INVALID)


def _describe(requester: Member, request: ReadRequest, subject: CellSubject | None) -> Access:
    return Access(
        action=Action.DISCLOSE,
        patient_id=None if subject is None else subject.patient_id,
        reader=Reader(
            identifier=request.practitioner or requester.slug,
            organisation=requester.slug,
            kind=ReaderKind.PERSON if request.practitioner else ReaderKind.MACHINE,
        ),
        purpose=request.purpose,
        exchange_id=request.exchange_id.hex(),
    )


def _refused(access: Access, refusal: Rejected) -> Access:
    return replace(access, action=Action.REFUSE, is_failure=True, description=refusal.detail)


def _is_for(granted: GrantedScope, requester: Member, purpose: str) -> bool:
    return (
        granted.scope.organisation == requester.organisation
        and granted.grant.to_key == sha256(requester.hpke_public_key).digest()
        and purpose_covers(granted.grant.purpose, purpose)
    )


def _is_whole_now(granted: GrantedScope, compartment: Compartment, requester: Member, asker: Asker) -> bool:
    """Whether the policy really opens all of a compartment, now and for this purpose."""
    if compartment is Compartment.SUBSTANCE_USE and asker.purpose in LEGAL_PURPOSES:
        return False
    return is_within(granted.policy.base, asker.at_ms) and is_whole(
        granted.policy, requester.slug, asker.purpose, compartment
    )
