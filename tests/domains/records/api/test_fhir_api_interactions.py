"""create, read, vread, update, delete, history: what is answered, and what is left behind."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest

from careledger.standards.fhir.json_reader import read_resource
from domains.records.api.fhir_kit import BASE, FhirStack, code_of, entries_of, issue_of, link_of
from kit import samples


def test_a_created_resource_is_read_as_it_was_answered(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        value = samples.patient()
        created = await caller.post("Patient", value)
        assert created.status_code == 201
        assert created.headers["etag"] == 'W/"1"'
        assert created.headers["x-careledger-ledger"] == "committed"
        assert created.headers["content-type"] == "application/fhir+json; charset=utf-8"
        assert "last-modified" in created.headers
        location = created.headers["location"]
        assert location.startswith(f"{BASE}/Patient/")
        assert location.endswith("/_history/1")
        shown = read_resource(created.content)
        assert {name: item for name, item in shown.items() if name not in ("id", "meta")} == value
        for url in (location, location.removesuffix("/_history/1")):
            read = await caller.get(url)
            assert read.status_code == 200
            assert read.content == created.content
            assert read.headers["etag"] == 'W/"1"'
            head = await caller.send("HEAD", url)
            assert head.status_code == 200
            assert head.content == b""
            assert head.headers["content-length"] == str(len(read.content))

    runner.run(act())


def test_an_id_in_a_created_document_is_not_taken(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        made = await stack.caller().create(samples.organization() | {"id": "my-own"})
        assert made != "my-own"

    runner.run(act())


def test_numbers_and_the_submitted_bytes_are_kept(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient = await caller.create(samples.patient())
        raw = (
            b'{ "status":"final", "resourceType" : "Observation",\n "code": {"text":"caf\\u00e9"},'
            b'"subject":{"reference":"Patient/' + patient.encode() + b'"},'
            b' "valueQuantity": {"value": 1.50, "unit":"g"},'
            b'"referenceRange":[{"low":{"value":-0.0},"high":{"value":1e2}}]}'
        )
        made = await caller.create(raw)
        submitted = await caller.get(f"Observation/{made}/$submitted")
        assert submitted.content == raw
        assert submitted.headers["content-digest"].startswith("sha-256=:")
        pretty = await caller.get(f"Observation/{made}/$submitted?_pretty=true")
        assert pretty.content == raw
        served = (await caller.get(f"Observation/{made}")).text
        for text in ('"value":1.50', '"value":-0.0', '"value":1e2', '"text":"café"'):
            assert text in served
        update = raw.replace(
            b'"resourceType" : "Observation"', f'"resourceType":"Observation","id":"{made}"'.encode()
        )
        assert (await caller.put(f"Observation/{made}", update)).status_code == 200
        assert (await caller.get(f"Observation/{made}/$submitted")).content == update
        assert (await caller.get(f"Observation/{made}/_history/1/$submitted")).content == raw

    runner.run(act())


def test_an_update_makes_a_version(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization("One"))
        changed = samples.organization("Two") | {"id": made}
        updated = await caller.put(f"Organization/{made}", changed, if_match='W/"1"')
        assert updated.status_code == 200
        assert updated.headers["etag"] == 'W/"2"'
        assert updated.headers["location"].endswith(f"Organization/{made}/_history/2")
        assert read_resource((await caller.get(f"Organization/{made}")).content)["name"] == "Two"
        first = await caller.get(f"Organization/{made}/_history/1")
        assert read_resource(first.content)["name"] == "One"
        stale = await caller.put(f"Organization/{made}", changed, if_match='W/"1"')
        assert stale.status_code == 412
        assert code_of(stale) == "records-service.VERSION_CONFLICT"
        for text, status in (('W/"x"', 412), ("7", 400), ("*", 200), ('"2"', 412)):
            answer = await caller.put(f"Organization/{made}", changed, if_match=text)
            assert answer.status_code == status, text
        exists = await caller.put(f"Organization/{made}", changed, if_none_match="*")
        assert exists.status_code == 412

    runner.run(act())


def test_an_update_of_nothing_is_refused_as_fhir_has_it(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        value = samples.organization() | {"id": "client-chosen"}
        answer = await caller.put("Organization/client-chosen", value)
        assert answer.status_code == 405
        assert answer.headers["allow"]
        assert issue_of(answer)["code"] == "not-supported"
        other = await caller.put("Organization/something-else", value)
        assert other.status_code == 400
        assert code_of(other) == "records-api.ID_MISMATCH"

    runner.run(act())


def test_a_deleted_resource_is_gone_and_can_come_back(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization())
        path = f"Organization/{made}"
        conflict = await caller.delete(path, if_match='W/"9"')
        assert conflict.status_code == 412
        deleted = await caller.delete(path)
        assert deleted.status_code == 204
        assert deleted.content == b""
        assert deleted.headers["etag"] == 'W/"2"'
        assert (await caller.delete(path)).status_code == 204
        gone = await caller.get(path)
        assert gone.status_code == 410
        assert issue_of(gone)["code"] == "deleted"
        assert (await caller.get(f"{path}/_history/2")).status_code == 410
        assert (await caller.get(f"{path}/_history/1")).status_code == 200
        back = await caller.put(path, samples.organization("Again") | {"id": made})
        assert back.status_code == 201
        assert back.headers["etag"] == 'W/"3"'
        assert (await caller.get(path)).status_code == 200
        history = entries_of(await caller.get(f"{path}/_history"))
        assert [entry["request"]["method"] for entry in history] == ["PUT", "DELETE", "POST"]  # type: ignore[index]
        told = await caller.delete(path, prefer="return=OperationOutcome")
        assert told.status_code == 200
        assert issue_of(told)["severity"] == "information"

    runner.run(act())


def test_a_patient_with_a_record_is_not_deleted(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.patient())
        answer = await caller.delete(f"Patient/{made}")
        assert answer.status_code == 409
        assert code_of(answer) == "records-service.PATIENT_DELETED"

    runner.run(act())


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [
        ("return=minimal", ""),
        ("return=representation", "Organization"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("something=else", "Organization"),
    ],
)
def test_prefer_decides_what_a_write_answers(
    runner: asyncio.Runner, stack: FhirStack, prefer: str, kind: str
) -> None:
    async def act() -> None:
        answer = await stack.caller().post("Organization", samples.organization(), prefer=prefer)
        assert answer.status_code == 201
        assert "location" in answer.headers
        if kind:
            assert read_resource(answer.content)["resourceType"] == kind
        else:
            assert answer.content == b""

    runner.run(act())


def test_conditional_reads(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization())
        path = f"Organization/{made}"
        first = await caller.get(path)
        modified = first.headers["last-modified"]
        for name, value, status in (
            ("if-none-match", 'W/"1"', 304),
            ("if-none-match", 'W/"0", "1"', 304),
            ("if-none-match", "*", 304),
            ("if-none-match", 'W/"2"', 200),
            ("if-modified-since", modified, 304),
            ("if-modified-since", formatdate(0, usegmt=True), 200),
            ("if-modified-since", "yesterday", 200),
        ):
            answer = await caller.send("GET", path, headers={name: value})
            assert answer.status_code == status, (name, value)
            assert bool(answer.content) == (status == 200)
            assert answer.headers["etag"] == 'W/"1"'

    runner.run(act())


def test_conditional_create(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        value = samples.patient("Once")
        criteria = "identifier=urn:example:number|Once"
        first = await caller.post("Patient", value, if_none_exist=criteria)
        assert first.status_code == 201
        second = await caller.post("Patient", value, if_none_exist=criteria)
        assert second.status_code == 200
        assert second.headers["location"] == first.headers["location"]
        assert second.content == b""
        shown = await caller.send(
            "POST",
            "Patient",
            value,
            headers={"if-none-exist": criteria, "prefer": "return=representation"},
        )
        assert shown.content == first.content
        await caller.create(value)
        third = await caller.post("Patient", value, if_none_exist=criteria)
        assert third.status_code == 412
        assert issue_of(third)["code"] == "multiple-matches"
        for criteria, status in (("", 412), ("nonsense=1", 400), ("birthdate=x", 400), ("_count=1", 412)):
            answer = await caller.post("Patient", value, if_none_exist=criteria)
            assert answer.status_code == status, criteria

    runner.run(act())


def test_of_two_conditional_creates_at_once_one_creates(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        for number in range(8):
            value = samples.patient(f"Race{number}")
            criteria = f"identifier=urn:example:number|Race{number}"
            answers = await asyncio.gather(
                *(caller.post("Patient", value, if_none_exist=criteria) for _ in range(4))
            )
            assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
            assert len({answer.headers["location"] for answer in answers}) == 1

    runner.run(act())


def test_conditional_update(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        value = samples.patient("Condup")
        path = "Patient?identifier=urn:example:number|Condup"
        created = await caller.put(path, value)
        assert created.status_code == 201
        made = created.headers["location"].split("/")[-3]
        updated = await caller.put(path, value | {"gender": "male"})
        assert updated.status_code == 200
        assert updated.headers["location"].endswith(f"{made}/_history/2")
        with_id = await caller.put(path, value | {"id": made})
        assert with_id.status_code == 200
        wrong_id = await caller.put(path, value | {"id": "other"})
        assert wrong_id.status_code == 400
        stale = await caller.put(path, value, if_match='W/"1"')
        assert stale.status_code == 412
        none_with_id = await caller.put("Patient?identifier=nobody", value | {"id": "other"})
        assert none_with_id.status_code == 405
        await caller.create(value)
        assert (await caller.put(path, value)).status_code == 412
        assert (await caller.put("Patient", value)).status_code == 412

    runner.run(act())


def test_conditional_delete(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        value = samples.organization("Conditional House")
        await caller.create(value)
        path = "Organization?name:exact=Conditional%20House"
        assert (await caller.delete(path)).status_code == 204
        assert (await caller.delete(path)).status_code == 404
        await caller.create(value)
        await caller.create(value)
        assert (await caller.delete(path)).status_code == 412
        assert (await caller.delete("Organization")).status_code == 412

    runner.run(act())


def test_history_of_a_type_and_of_the_system_is_paged(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = [await caller.create(samples.organization(f"Paged {number}")) for number in range(5)]
        for place in ("Organization", ""):
            base = f"{place}/_history" if place else "_history"
            seen: list[str] = []
            answer = await caller.get(f"{base}?_count=2")
            while True:
                assert "_count" not in (link_of(answer, "next") or "")
                seen += [str(entry["resource"]["id"]) for entry in entries_of(answer) if "resource" in entry]  # type: ignore[index]
                following = link_of(answer, "next")
                if following is None or len(seen) > 100:
                    break
                answer = await caller.get(following)
            assert [one for one in seen if one in made] == made[::-1]
        late = entries_of(await caller.get("Organization/_history?_since=2999-01-01T00:00:00Z"))
        assert late == []
        for path in ("Organization/_history?_since=x", "Organization/_history?_count=x", "_history?name=x"):
            refused = await caller.get(path)
            assert refused.status_code == 400
            assert code_of(refused) == "records-api.HISTORY_PARAMETER"

    runner.run(act())


def test_an_observation_of_an_unknown_patient_is_refused(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        answer = await stack.caller().post("Observation", samples.observation("nobody"))
        assert answer.status_code == 422
        assert code_of(answer) == "records-service.PATIENT_UNKNOWN"

    runner.run(act())


def test_pretty_summary_and_elements_of_a_read(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.patient() | {"maritalStatus": {"text": "unknown"}})
        path = f"Patient/{made}"
        plain = (await caller.get(path)).content
        pretty = (await caller.get(f"{path}?_pretty=true")).content
        assert read_resource(pretty) == read_resource(plain)
        assert b"\n" in pretty
        summary = read_resource((await caller.get(f"{path}?_summary=true")).content)
        assert "maritalStatus" not in summary
        assert "name" in summary
        assert summary["meta"]["tag"][0]["code"] == "SUBSETTED"  # type: ignore[index]
        part = read_resource((await caller.get(f"{path}?_elements=gender")).content)
        assert set(part) == {"resourceType", "id", "meta", "gender"}
        assert (await caller.get(f"{path}?_summary=nonsense")).status_code == 400
        assert (await caller.get(f"{path}?_format=json")).status_code == 200
        assert (await caller.get(f"{path}?_format=application/fhir%2Bjson")).status_code == 200

    runner.run(act())
