"""Merged histories: every grant asked, every failure named, nothing shown beyond the requester's rights."""

from __future__ import annotations

import asyncio
import json

import pytest

from careledger.domains.records.api.gathering import GrantedHistories
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.entries import VerifiedEntry, VerifiedRead
from careledger.domains.records.service.exchange.errors import PEER_UNREACHABLE, PROOF_FAILED
from careledger.domains.records.service.exchange.grants_held import KnownGrant
from careledger.domains.records.service.exchange.reading import Question
from careledger.domains.records.service.package import Method
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.identifiers import CellID, OrganisationID
from careledger.standards.fhir.json_types import JsonObject
from careledger.web.principal import Principal, Purpose
from careledger.web.smart_scopes import GrantedScopes

NOW_MS = 1_795_000_000_000
MEMBERS = {
    number: Member(
        organisation=OrganisationID(number),
        slug=slug,
        roles=frozenset(),
        endpoints=(),
        hpke_public_key=b"",
    )
    for number, slug in ((2, "hospital-b"), (3, "hospital-c"), (4, "hospital-d"))
}


class Known:
    """A directory of three custodians."""

    def by_slug(self, slug: str) -> Member | None:
        return next((one for one in MEMBERS.values() if one.slug == slug), None)

    def by_number(self, organisation: int) -> Member | None:
        return MEMBERS.get(organisation)

    def exchange_key_owner(self, public_key: bytes) -> Member | None:
        raise NotImplementedError(public_key)

    def records_key_owner(self, public_key: bytes, *, now: bool) -> int | None:
        raise NotImplementedError(public_key, now)


class Granted:
    """News of four grants, of which two count."""

    def of_patient(self, patient_id: str) -> list[KnownGrant]:
        return [
            self.grant(2, patient_id),
            self.grant(3, patient_id),
            self.grant(4, patient_id, purpose="HPAYMT"),
            self.grant(4, patient_id, expires_at_ms=NOW_MS),
            self.grant(9, patient_id),
        ]

    @staticmethod
    def grant(
        custodian: int, patient_id: str, *, purpose: str = "TREAT", expires_at_ms: int = NOW_MS + 1
    ) -> KnownGrant:
        return KnownGrant(
            cell=bytes([custodian]) * 32,
            name=bytes([custodian]) * 32,
            custodian=custodian,
            purpose=purpose,
            expires_at_ms=expires_at_ms,
            patient_id=patient_id,
        )


class Answers:
    """What the custodians answer."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[Question] = []

    async def read(self, question: Question) -> VerifiedRead:
        self.asked.append(question)
        if question.custodian == "hospital-c" and self.failure is not None:
            raise self.failure
        member = Known().by_slug(question.custodian)
        assert member is not None
        entries = [
            self.entry(member, Compartment.NORMAL, "Observation", "o1"),
            self.entry(member, Compartment.HIV, "Observation", "o2"),
            self.entry(member, Compartment.NORMAL, "Condition", "c1"),
        ]
        return VerifiedRead(custodian=member, cell=CellID(question.cell), entries=entries)

    @staticmethod
    def entry(member: Member, compartment: Compartment, kind: str, resource_id: str) -> VerifiedEntry:
        return VerifiedEntry(
            custodian=member,
            compartment=compartment,
            tag=bytes(32),
            commitment=bytes(32),
            height=1,
            resource_type=kind,
            resource_id=resource_id,
            version=1,
            method=Method.CREATE,
            updated_ms=NOW_MS,
            served=b"",
            submitted=b"",
            value={"resourceType": kind, "id": resource_id},
        )


def gather(answers: Answers, custodian: str = "") -> JsonObject:
    histories = GrantedHistories(
        Granted(), answers, Known(), block_time=lambda _: NOW_MS, clock_ms=lambda: NOW_MS
    )
    principal = Principal(
        organisation="hospital-a",
        subject="dr",
        client_id="c",
        role="clinician",
        scopes=GrantedScopes(),
        purpose=Purpose.TREATMENT,
        fhir_user="Practitioner/1",
    )
    return asyncio.run(
        histories.gather(
            principal,
            "p1",
            custodian=custodian,
            all_versions=False,
            allows=lambda kind, compartment: kind == "Observation" and compartment is Compartment.NORMAL,
            request_id="r",
        )
    )


def shown(bundle: JsonObject) -> list[str]:
    entries = bundle["entry"]
    assert isinstance(entries, list)
    return sorted(
        f"{one['resource']['resourceType']}/{one['resource'].get('id', '')}"
        for one in entries
        if one["resource"]["resourceType"] not in ("Provenance", "OperationOutcome")
    )


def test_grants_for_this_purpose_are_asked_and_rights_hold() -> None:
    answers = Answers()
    bundle = gather(answers)
    assert [question.custodian for question in answers.asked] == ["hospital-b", "hospital-c"]
    assert all(question.patient_id == "p1" and question.purpose == "TREAT" for question in answers.asked)
    assert shown(bundle) == ["Observation/o1", "Observation/o1"]
    assert "Other information may exist." in json.dumps(bundle)


def test_one_custodian_may_be_named() -> None:
    answers = Answers()
    gather(answers, "hospital-c")
    assert [question.custodian for question in answers.asked] == ["hospital-c"]


@pytest.mark.parametrize("failure", [Rejected(PROOF_FAILED, "secret"), Unavailable(PEER_UNREACHABLE)])
def test_a_custodian_that_gives_nothing_is_named(failure: Rejected | Unavailable) -> None:
    bundle = gather(Answers(failure))
    assert shown(bundle) == ["Observation/o1"]
    text = json.dumps(bundle)
    assert f"hospital-c gave nothing: {failure.code.name}" in text
    assert "secret" not in text


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        gather(Answers(KeyError("x")))
