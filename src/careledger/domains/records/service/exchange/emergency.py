"""Breaking the glass, at the requester: ask every custodian named, open what can be opened, verify it.

Every question is logged here and queued for review here before anything is shown. A custodian that knows nobody
of that description, or is not certain, answers as one that has nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.audit_events import Access, Action, Reader
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.vocabulary import BREAK_GLASS
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.client import ExchangeClient
from careledger.domains.records.service.exchange.directory import Directory, Member, require_member
from careledger.domains.records.service.exchange.disclosing import wait_for_view
from careledger.domains.records.service.exchange.entries import (
    Opened,
    VerifiedRead,
    check_access,
    check_singles_head,
    find_entry,
    open_single,
)
from careledger.domains.records.service.exchange.errors import NOTHING_TO_OPEN, PROOF_FAILED
from careledger.domains.records.service.exchange.heads import verify_head
from careledger.domains.records.service.exchange.messages import (
    VERSION,
    BreakGlassAnswer,
    BreakGlassRequest,
    Demographics,
    MatchAnswer,
    MatchRequest,
    read_answer,
)
from careledger.domains.records.service.exchange.mirror import MirrorLog
from careledger.domains.records.service.reviews import Side, insert_review
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import encode
from careledger.primitives.errors import CodedError, Rejected
from careledger.primitives.identifiers import CellID
from careledger.sdk.context import View
from careledger.vault.kem import OpeningKey

MATCH_PATH: Final = "/match"
BREAK_GLASS_PATH: Final = "/break-glass"
PAGES_MAX: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """Who breaks the glass, for whom, and why."""

    demographics: Demographics
    practitioner: str
    affiliation: str
    """Where they work, in words (42 CFR 2.51(c)(1))."""
    reason: str
    is_bona_fide_emergency: bool
    """Prior consent cannot be obtained: substance use records may be needed."""
    nature: str
    """Nature of the emergency."""
    patient_id: str | None = None
    """The patient here, where known."""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyResult:
    """What the custodians had."""

    opened: tuple[VerifiedRead, ...]
    silent: tuple[str, ...]
    """Custodians that have nothing for this description, or are not certain."""
    failed: tuple[tuple[str, str], ...]
    """(custodian, code) of those that could not be asked or showed what does not stand."""


class EmergencyReader:
    """Breaks the glass on behalf of people at one organisation."""

    def __init__(
        self,
        site: SiteContext,
        writer: RecordWriter,
        directory: Directory,
        client: ExchangeClient,
        mirror: MirrorLog,
        opening_key: OpeningKey,
    ) -> None:
        self._site = site
        self._writer = writer
        self._directory = directory
        self._client = client
        self._mirror = mirror
        self._opening_key = opening_key

    async def break_glass(self, custodians: Iterable[str], emergency: Emergency) -> EmergencyResult:
        """Ask custodians at the same time.

        Raises:
            Rejected: PEER_UNKNOWN, one is no member.
        """
        members = [require_member(self._directory, slug) for slug in dict.fromkeys(custodians)]
        outcomes = await asyncio.gather(
            *(self._ask(member, emergency) for member in members), return_exceptions=True
        )
        opened, silent, failed = [], [], []
        for member, outcome in zip(members, outcomes, strict=True):
            if isinstance(outcome, VerifiedRead):
                opened.append(outcome)
            elif isinstance(outcome, CodedError):
                if outcome.code is NOTHING_TO_OPEN:
                    silent.append(member.slug)
                else:
                    failed.append((member.slug, outcome.code.name))
            else:
                raise outcome
        return EmergencyResult(opened=tuple(opened), silent=tuple(silent), failed=tuple(failed))

    async def _ask(self, custodian: Member, emergency: Emergency) -> VerifiedRead:
        exchange_id = os.urandom(32)
        seen_height = self._site.view.require_fresh().height
        await self._log(custodian, emergency, exchange_id)
        body = encode(
            MatchRequest(
                VERSION,
                emergency.demographics,
                emergency.practitioner,
                emergency.affiliation,
                exchange_id,
            )
        )
        handle = read_answer(await self._client.call(custodian, MATCH_PATH, body), MatchAnswer).handle
        result, tags = VerifiedRead(custodian, CellID(bytes(32))), list[bytes]()
        for _ in range(PAGES_MAX):
            request = BreakGlassRequest(
                VERSION,
                handle,
                emergency.practitioner,
                emergency.affiliation,
                emergency.reason,
                emergency.is_bona_fide_emergency,
                emergency.nature,
                exchange_id,
                seen_height,
                len(tags),
            )
            answer = read_answer(
                await self._client.call(custodian, BREAK_GLASS_PATH, encode(request)), BreakGlassAnswer
            )
            signed = verify_head(
                answer.head,
                chain=self._site.chain_id,
                custodian=custodian.organisation,
                directory=self._directory,
            )
            await wait_for_view(self._site.view, max(signed.head.height, answer.access.height))
            if answer.first != len(tags) or signed.head.height < seen_height:
                raise Rejected(PROOF_FAILED, "records are left out, or the head is old", at="first")
            with self._site.view.at_head() as view:
                result.add(self._verify(view, custodian, answer, exchange_id, seen_height))
                result.verified_ms = view.time_ms
            result.accesses.append(answer.access)
            result.singles_head = signed
            tags += [single.tag for single in answer.singles]
            if len(tags) >= answer.total:
                check_singles_head(signed, answer.session, answer.session, tags)
                return result
            if not answer.singles:
                break
        raise Rejected(PROOF_FAILED, "not everything was shown", at="total")

    def _verify(
        self,
        view: View,
        custodian: Member,
        answer: BreakGlassAnswer,
        exchange_id: bytes,
        seen_height: int,
    ) -> list[Opened]:
        """Check the custodian's access entry and every record, each by itself."""
        check_access(view.store, custodian.organisation, answer.access, exchange_id, seen_height)
        opened: list[Opened] = []
        for index, single in enumerate(answer.singles):
            at = f"singles[{index}]"
            on_ledger = find_entry(view.store, custodian.organisation, single.tag)
            if on_ledger is None:
                raise Rejected(PROOF_FAILED, "not on the ledger", at=at)
            try:
                compartment = Compartment(single.compartment)
            except ValueError:
                raise Rejected(PROOF_FAILED, "an unknown compartment", at=at) from None
            opened.append(
                open_single(
                    single,
                    on_ledger,
                    self._opening_key,
                    custodian=custodian,
                    chain=self._site.chain_id,
                    cell=CellID(answer.session),
                    compartment=compartment,
                    purpose=BREAK_GLASS,
                    expires_at_ms=answer.expires_ms,
                    basis=answer.session,
                    at=at,
                )
            )
        return opened

    async def _log(self, custodian: Member, emergency: Emergency, exchange_id: bytes) -> None:
        """Log and queue for review before anything is asked."""
        await self._mirror.commit(
            Access(
                action=Action.BREAK_GLASS,
                patient_id=emergency.patient_id,
                reader=Reader(identifier=emergency.practitioner, organisation=self._site.slug),
                purpose=BREAK_GLASS,
                request_id=emergency.request_id,
                exchange_id=exchange_id.hex(),
                description=f"asked {custodian.slug}; reason: {emergency.reason}",
            ),
            custodian=custodian.organisation,
            exchange_id=exchange_id,
        )
        await self._writer.in_transaction(
            lambda connection: insert_review(
                connection,
                side=Side.REQUESTER,
                kind="break-glass",
                at_ms=self._site.clock_ms(),
                session=exchange_id,
                patient_id=emergency.patient_id,
                organisation=custodian.slug,
                practitioner=emergency.practitioner,
                affiliation=emergency.affiliation,
                reason=emergency.reason,
                nature=emergency.nature,
                part_2=emergency.is_bona_fide_emergency,
            )
        )
