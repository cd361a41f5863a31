"""`$shared-history` answered by the exchange: every grant this site was told of is asked, what is verified is merged.

A custodian that refuses, cannot be reached or whose proof fails is named with the code of that, and costs the others
nothing. Nothing that is not verified is in the Bundle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from careledger.domains.records.api.ports import Allows
from careledger.domains.records.api.trail import reader_of
from careledger.domains.records.service.exchange.directory import Directory
from careledger.domains.records.service.exchange.entries import VerifiedRead
from careledger.domains.records.service.exchange.grants_held import KnownGrant
from careledger.domains.records.service.exchange.history import BlockTime, merge_history
from careledger.domains.records.service.exchange.reading import Question
from careledger.primitives.errors import CodedError
from careledger.standards.fhir.issues import Issue
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.outcome import build_issue
from careledger.web.principal import Principal


class Grants(Protocol):
    """What may be read elsewhere, as `service.exchange.grants_held.HeldGrants` knows it."""

    def of_patient(self, patient_id: str) -> list[KnownGrant]:
        """Return the grants about a patient of this site."""


class Elsewhere(Protocol):
    """Reads other organisations' records, as `service.exchange.reading.CrossReader` does."""

    async def read(self, question: Question) -> VerifiedRead:
        """Return everything that a grant opens, verified."""


class GrantedHistories:
    """Fulfils `ports.SharedHistory` with the exchange."""

    def __init__(
        self,
        grants: Grants,
        elsewhere: Elsewhere,
        directory: Directory,
        *,
        block_time: BlockTime,
        clock_ms: Callable[[], int],
    ) -> None:
        """Build it.

        Args:
            grants: what this site was told of.
            elsewhere: asks and verifies.
            directory: who the custodians are.
            block_time: times of blocks, of the own ledger.
            clock_ms: current time.
        """
        self._grants = grants
        self._elsewhere = elsewhere
        self._directory = directory
        self._block_time = block_time
        self._clock_ms = clock_ms

    async def gather(
        self,
        principal: Principal,
        patient_id: str,
        *,
        custodian: str,
        all_versions: bool,
        allows: Allows,
        request_id: str,
    ) -> JsonObject:
        """Return a Bundle with what was obtained, of whom, and with what proof; see `ports.SharedHistory`."""
        questions = self._questions(principal, patient_id, custodian, request_id)
        outcomes = await asyncio.gather(
            *(self._elsewhere.read(question) for question in questions), return_exceptions=True
        )
        reads: list[VerifiedRead] = []
        issues: list[JsonObject] = []
        for question, outcome in zip(questions, outcomes, strict=True):
            if isinstance(outcome, CodedError):
                text = f"{question.custodian} gave nothing: {outcome.code.name}. {outcome.code.text}"
                issues.append(build_issue(Issue("incomplete", "", text, "warning")))
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                outcome.entries = [
                    entry for entry in outcome.entries if allows(entry.resource_type, entry.compartment)
                ]
                reads.append(outcome)
        merged = merge_history(
            reads, now_ms=self._clock_ms(), block_time=self._block_time, all_versions=all_versions
        )
        return _with_issues(merged.bundle, issues)

    def _questions(
        self, principal: Principal, patient_id: str, custodian: str, request_id: str
    ) -> list[Question]:
        found = []
        now_ms = self._clock_ms()
        for grant in self._grants.of_patient(patient_id):
            member = self._directory.by_number(grant.custodian)
            if member is None or grant.expires_at_ms <= now_ms or custodian not in ("", member.slug):
                continue
            if grant.purpose != principal.purpose.value:
                continue
            found.append(
                Question(
                    custodian=member.slug,
                    cell=grant.cell,
                    purpose=grant.purpose,
                    reader=reader_of(principal),
                    grant=grant.name,
                    patient_id=patient_id,
                    request_id=request_id,
                )
            )
        return found


def _with_issues(bundle: JsonObject, issues: list[JsonObject]) -> JsonObject:
    """Add what went wrong to the outcome that stands last in the Bundle."""
    entries = bundle["entry"]
    if issues and isinstance(entries, list):
        outcome = entries[-1]["resource"]
        outcome["issue"] = [*issues, *outcome["issue"]]
    return bundle
