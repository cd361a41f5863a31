"""Accesses are kept before anything is answered; and what is not yet on the ledger is said to be so."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from careledger.consensus.client import LedgerClient
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.exchange.errors import LEDGER_SLOW
from careledger.domains.records.service.rows import fetch_all
from careledger.primitives.errors import Unavailable
from careledger.standards.fhir.json_types import JsonObject
from careledger.web.principal import Purpose
from domains.records.api.fhir_kit import Caller, FhirStack, entries_of, issue_of
from kit import samples

READS = (
    ("read", "{kind}/{id}"),
    ("read", "{kind}/{id}/_history/1"),
    ("read", "{kind}/{id}/_history"),
    ("read", "{kind}/{id}/$submitted"),
    ("read", "{kind}/{id}/$meta"),
    ("read", "{kind}/{id}/$validate"),
    ("search", "{kind}?_id={id}"),
    ("search", "Patient/{patient}/$everything"),
    ("search", "Patient/{patient}/Observation"),
    ("search", "{kind}/_history?_count=1"),
)


async def events_of(stack: FhirStack, patient: str) -> list[JsonObject]:
    """AuditEvents of one patient, oldest first."""
    await stack.recorder.flush()
    with stack.site.context.database.snapshot() as connection:
        rows = fetch_all(
            connection,
            "SELECT event FROM access JOIN subject ON subject.row = access.subject "
            "WHERE subject.patient_id = ? ORDER BY access.row",
            (patient,),
        )
    return [json.loads(row[0]) for row in rows]


def summary(event: JsonObject) -> tuple[str, str]:
    return str(event["action"]), str(event["subtype"][0]["code"])  # type: ignore[index]


async def fill(caller: Caller) -> tuple[str, str]:
    patient = await caller.create(samples.patient())
    return patient, await caller.create(samples.observation(patient))


@pytest.mark.parametrize(("kind", "template"), READS)
def test_every_look_is_in_the_patients_log(
    runner: asyncio.Runner, stack: FhirStack, kind: str, template: str
) -> None:
    async def act() -> None:
        patient, observation = await fill(stack.caller())
        before = len(await events_of(stack, patient))
        doctor = stack.caller(
            "user/*.rs",
            role="clinician",
            subject="dr-look",
            fhir_user="Practitioner/1",
            purpose=Purpose.TREATMENT,
        )
        path = template.format(kind="Observation", id=observation, patient=patient)
        answer = await doctor.get(path)
        assert answer.status_code == 200
        new = (await events_of(stack, patient))[before:]
        assert len(new) >= 1, path
        assert summary(new[0]) == ({"read": "R", "search": "E"}[kind], kind)
        text = json.dumps(new)
        assert "dr-look" in text
        assert f"Observation/{observation}" in text
        assert '"TREAT"' in text
        assert answer.headers["x-request-id"] in text

    runner.run(act())


def test_every_change_is_in_the_patients_log(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient, observation = await fill(caller)
        path = f"Observation/{observation}"
        value = samples.observation(patient) | {"id": observation}
        await caller.put(path, value)
        await caller.send(
            "PATCH",
            path,
            b'[{"op":"add","path":"/issued","value":"2026-01-01T00:00:00Z"}]',
            {"content-type": "application/json-patch+json"},
        )
        await caller.put(f"Observation?_id={observation}", value)
        await caller.delete(path)
        await caller.post(
            "",
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [
                    {
                        "resource": samples.observation(patient),
                        "request": {"method": "POST", "url": "Observation"},
                    },
                    {
                        "resource": samples.patient() | {"id": patient},
                        "request": {"method": "PUT", "url": f"Patient/{patient}"},
                    },
                ],
            },
        )
        events = await events_of(stack, patient)
        assert [summary(event)[0] for event in events] == ["C", "C", "U", "U", "U", "D", "C", "U"]

    runner.run(act())


def test_what_cannot_be_logged_is_not_answered(
    runner: asyncio.Runner, stack: FhirStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise Unavailable(LEDGER_SLOW)

    async def act() -> None:
        patient, observation = await fill(stack.caller())
        doctor = stack.caller("user/*.rs", role="clinician", subject="dr-2", fhir_user="Practitioner/1")
        monkeypatch.setattr(AuditRecorder, "record", refuse)
        for _, template in READS:
            answer = await doctor.get(template.format(kind="Observation", id=observation, patient=patient))
            assert answer.status_code == 503, template
            assert issue_of(answer)["code"] == "transient"
            assert "718-7" not in answer.text
        unchanged = await doctor.get(f"Observation/{observation}", if_none_match='W/"1"')
        assert unchanged.status_code == 503

    runner.run(act())


def test_a_read_waits_until_its_entry_is_durable(
    runner: asyncio.Runner, stack: FhirStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        patient, _ = await fill(stack.caller())
        kept = AuditRecorder.record
        done: list[str] = []

        async def slowly(recorder: AuditRecorder, access: object) -> None:
            await asyncio.sleep(0.05)
            await kept(recorder, access)  # type: ignore[arg-type]
            done.append("kept")

        monkeypatch.setattr(AuditRecorder, "record", slowly)
        answer = await stack.caller(subject="dr-3").get(f"Patient/{patient}")
        assert answer.status_code == 200
        assert done == ["kept"]

    runner.run(act())


def test_what_is_not_on_the_ledger_yet_is_said_to_be_pending(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        ledger = stack.site.context.ledger
        assert isinstance(ledger, LedgerClient)
        await stack.site.writer.flush()
        await ledger.pause()
        try:
            started = time.perf_counter()
            created = await caller.post("Organization", samples.organization("Pending House"))
            assert created.status_code == 201
            assert created.headers["x-careledger-ledger"] == "pending"
            assert time.perf_counter() - started < 5
            made = created.headers["location"].split("/")[-3]
            read = await caller.get(f"Organization/{made}")
            assert read.status_code == 200
            assert read.headers["x-careledger-ledger"] == "pending"
            for kind in ("transaction", "batch"):
                answer = await caller.post(
                    "",
                    {
                        "resourceType": "Bundle",
                        "type": kind,
                        "entry": [
                            {
                                "resource": samples.organization(),
                                "request": {"method": "POST", "url": "Organization"},
                            }
                        ],
                    },
                )
                response = entries_of(answer)[0]["response"]
                assert "not yet on the ledger" in json.dumps(response)
                if kind == "transaction":
                    assert answer.headers["x-careledger-ledger"] == "pending"
        finally:
            await ledger.resume()
        await stack.site.writer.flush()
        assert (await caller.get(f"Organization/{made}")).headers["x-careledger-ledger"] == "committed"

    runner.run(act())


def test_nothing_in_a_document_makes_the_site_call_anyone(
    runner: asyncio.Runner, stack: FhirStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server-side request forgery: no reference, profile, context or link is ever fetched."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("somebody was called")

    target = "http://169.254.169.254/latest/meta-data"

    async def act() -> None:
        caller = stack.caller()
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
        patient = samples.patient("Caller") | {
            "meta": {"profile": [target], "source": target},
            "managingOrganization": {"reference": f"{target}/Organization/1"},
            "photo": [{"contentType": "image/png", "url": target}],
            "implicitRules": target,
        }
        made = await caller.create(patient)
        for answer in (
            await caller.get(f"Patient/{made}?_summary=true"),
            await caller.get(f"Patient?organization={target}/Organization/1&_include=*"),
            await caller.post(f"Patient/$validate?profile={target}", patient),
            await caller.get(f"Patient/{made}/$everything"),
        ):
            assert answer.status_code == 200

    runner.run(act())
