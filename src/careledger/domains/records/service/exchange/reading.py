"""Reading another organisation's records: ask, verify, log, remember the heads.

    1. A random name for the exchange; the own view's height is noted.
    2. The question goes out, and the own mirror entry is committed beside it.
    3. Each answer is verified as `verifying` has it, by a view that has reached the heads it speaks of.
    4. Answers that were cut are asked on, until everything the heads speak of was shown.
    5. Heads are compared with those received before: two that contradict are kept as evidence.

Only then is anything handed on.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.audit_events import Access, Action, Reader
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.client import ExchangeClient
from careledger.domains.records.service.exchange.directory import Directory, Member, require_member
from careledger.domains.records.service.exchange.disclosing import wait_for_view
from careledger.domains.records.service.exchange.entries import VerifiedRead
from careledger.domains.records.service.exchange.errors import PROOF_FAILED
from careledger.domains.records.service.exchange.heads import (
    SignedHead,
    build_equivocation,
    verify_head,
)
from careledger.domains.records.service.exchange.messages import (
    VERSION,
    ReadAnswer,
    ReadRequest,
    read_answer,
)
from careledger.domains.records.service.exchange.mirror import MirrorLog
from careledger.domains.records.service.exchange.stream_proofs import Reading
from careledger.domains.records.service.exchange.verifying import ReadVerifier
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID
from careledger.storage.sqlite import Connection
from careledger.vault.kem import OpeningKey

PAGES_MAX: Final = 4_096
READ_PATH: Final = "/read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one person at this organisation wants to read elsewhere."""

    custodian: str
    """Short name of the organisation that holds the records."""
    cell: bytes
    purpose: str
    """Code of v3-ActReason."""
    reader: Reader
    """Who asks."""
    grant: bytes = b""
    """Name of the grant that is meant; empty for whichever permits."""
    roles: tuple[str, ...] = ()
    """`system|code`."""
    patient_id: str | None = None
    """The same patient at this site, where known: the look is in their log here, too."""
    request_id: str = ""


class HeadBook:
    """The latest head of every stream that this site was shown, and evidence against custodians."""

    def __init__(self, site: SiteContext, writer: RecordWriter, directory: Directory) -> None:
        self._site = site
        self._writer = writer
        self._directory = directory

    async def note(self, received: list[SignedHead]) -> list[bytes]:
        """Remember heads; returns evidence where one contradicts what was received before."""
        now_ms = self._site.clock_ms()

        def write(connection: Connection) -> list[bytes]:
            found = []
            for signed in received:
                evidence = self._compare(connection, signed)
                if evidence is not None:
                    found.append(evidence)
                    connection.execute(
                        "INSERT INTO evidence (custodian, found_ms, raw) VALUES (?, ?, ?)",
                        (signed.head.custodian, now_ms, evidence),
                    )
            return found

        return await self._writer.in_transaction(write)

    def evidence(self) -> list[tuple[int, int, bytes]]:
        """(custodian, when found, evidence), oldest first."""
        with self._site.database.snapshot() as connection:
            rows = fetch_all(connection, "SELECT custodian, found_ms, raw FROM evidence ORDER BY row")
        return [(custodian, found_ms, raw) for custodian, found_ms, raw in rows]

    def _compare(self, connection: Connection, signed: SignedHead) -> bytes | None:
        head = signed.head
        row = fetch_one(
            connection,
            "SELECT envelope FROM head WHERE custodian = ? AND stream = ?",
            (head.custodian, head.stream),
        )
        evidence = None
        if row is not None:
            known = verify_head(
                row[0],
                chain=self._site.chain_id,
                custodian=head.custodian,
                directory=self._directory,
                now=False,
            )
            evidence = build_equivocation(known, signed)
            if known.head.height >= head.height:
                return evidence
        connection.execute(
            "INSERT OR REPLACE INTO head VALUES (?, ?, ?)", (head.custodian, head.stream, signed.envelope)
        )
        return evidence


class CrossReader:
    """Reads other organisations' records on behalf of people at this one."""

    def __init__(
        self,
        site: SiteContext,
        directory: Directory,
        client: ExchangeClient,
        mirror: MirrorLog,
        recorder: AuditRecorder,
        heads: HeadBook,
        opening_key: OpeningKey,
    ) -> None:
        self._site = site
        self._directory = directory
        self._client = client
        self._mirror = mirror
        self._recorder = recorder
        self._heads = heads
        self._opening_key = opening_key

    async def read(self, question: Question) -> VerifiedRead:
        """Read everything that a grant opens, verified.

        Raises:
            Rejected: NOT_GRANTED by the custodian; PROOF_FAILED, what it showed does not stand.
            Unavailable: A site or the ledger cannot be reached, or a view is too old.
        """
        custodian = require_member(self._directory, question.custodian)
        own = require_member(self._directory, self._site.slug)
        # 1.
        reading = Reading(
            chain=self._site.chain_id,
            own=own,
            custodian=custodian,
            cell=CellID(question.cell),
            grant=question.grant,
            purpose=question.purpose,
            exchange_id=os.urandom(32),
            seen_height=self._site.view.require_fresh().height,
            opening_key=self._opening_key,
            directory=self._directory,
        )
        verifier = ReadVerifier(reading)
        # 2. to 4.
        logging = asyncio.create_task(self._log(question, custodian, reading.exchange_id))
        try:
            for _ in range(PAGES_MAX):
                answer = await self._ask(question, custodian, reading, verifier)
                await wait_for_view(self._site.view, verifier.needed_height(answer))
                before = verifier.skip
                await asyncio.to_thread(self._verify, verifier, answer)
                if verifier.is_complete:
                    break
                if verifier.skip == before:
                    raise Rejected(PROOF_FAILED, "nothing more is shown", at="total")
            result = verifier.finish()
        finally:
            await logging
        # 5.
        received = [stream.head for stream in result.streams]
        if result.singles_head is not None:
            received.append(result.singles_head)
        if await self._heads.note(received):
            raise Rejected(
                PROOF_FAILED, "the custodian told another story before; evidence is kept", at="head"
            )
        return result

    async def _ask(
        self, question: Question, custodian: Member, reading: Reading, verifier: ReadVerifier
    ) -> ReadAnswer:
        request = ReadRequest(
            VERSION,
            reading.cell,
            question.grant,
            question.purpose,
            question.reader.identifier if question.reader.kind.value == "person" else "",
            question.roles,
            reading.exchange_id,
            reading.seen_height,
            verifier.skip,
        )
        return read_answer(await self._client.call(custodian, READ_PATH, encode(request)), ReadAnswer)

    def _verify(self, verifier: ReadVerifier, answer: ReadAnswer) -> None:
        with self._site.view.at_head() as view:
            verifier.add(view, answer)

    async def _log(self, question: Question, custodian: Member, exchange_id: bytes) -> None:
        access = Access(
            action=Action.RECEIVE,
            patient_id=question.patient_id,
            reader=question.reader,
            purpose=question.purpose,
            request_id=question.request_id,
            exchange_id=exchange_id.hex(),
            description=f"asked {custodian.slug}",
        )
        await self._recorder.record(access)
        await self._mirror.commit(access, custodian=custodian.organisation, exchange_id=exchange_id)
