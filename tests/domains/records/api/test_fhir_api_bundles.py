"""Batches and transactions over HTTP: all or none, links, conditions, bytes; and batches entry by entry."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.domains.records.api.entry_bytes import slice_entries
from careledger.standards.fhir.json_reader import read_json, read_resource
from careledger.standards.fhir.json_types import JsonObject
from domains.records.api.fhir_kit import BASE, Caller, FhirStack, code_of, entries_of, ids_of, issue_of
from kit import samples


def entry(value: JsonObject | None, method: str, url: str, full_url: str = "", **request: str) -> JsonObject:
    """One entry of a bundle of requests."""
    made: JsonObject = {"fullUrl": full_url} if full_url else {}
    if value is not None:
        made["resource"] = value
    return made | {"request": {"method": method, "url": url, **request}}


def bundle(kind: str, *entries: JsonObject) -> JsonObject:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def statuses_of(answer_entries: list[JsonObject]) -> list[str]:
    return [str(one["response"]["status"])[:3] for one in answer_entries]  # type: ignore[index]


def location_of(one: JsonObject) -> str:
    return str(one["response"]["location"]).partition("/_history")[0]  # type: ignore[index]


async def total_of(caller: Caller, query: str) -> int:
    return int(str(read_resource((await caller.get(f"{query}&_summary=count")).content)["total"]))


def test_a_transaction_links_its_entries_and_resolves_references(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        house = await caller.create(
            samples.organization("Linked House") | {"identifier": [{"system": "urn:x", "value": "house-1"}]}
        )
        patient, observation = urn(), urn()
        linked = samples.observation("x") | {
            "subject": {"reference": patient},
            "performer": [{"reference": "Organization?identifier=urn:x|house-1"}],
        }
        sent = bundle(
            "transaction",
            entry(linked, "POST", "Observation", observation),
            entry(samples.patient("Linked"), "POST", "Patient", patient),
        )
        answer = await caller.post("", sent)
        assert answer.headers["x-careledger-ledger"] == "committed"
        done = entries_of(answer)
        assert statuses_of(done) == ["201", "201"]
        assert done[0]["response"]["etag"] == 'W/"1"'  # type: ignore[index]
        read = read_resource((await caller.get(location_of(done[0]))).content)
        assert read["subject"] == {"reference": location_of(done[1])}
        assert read["performer"] == [{"reference": f"Organization/{house}"}]

    runner.run(act())


def test_submitted_bytes_of_an_entry_are_those_of_the_bundle(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        resources = [
            b'{ "resourceType" :"Organization" ,\n\t"name":"\\u00dcber \\"quoted\\"" }',
            b'{"name":"Second","resourceType":"Organization"}',
        ]
        raw = (
            b'{"type":"transaction","resourceType":"Bundle", "entry": [ {"request":{"method":"POST",'
            b'"url":"Organization"},\n "re\\u0073ource"  :  '
            + resources[0]
            + b' }, {"resource":'
            + resources[1]
            + b',"request":{"url":"Organization","method":"POST"}}]}'
        )
        for kind in (b"transaction", b"batch"):
            done = entries_of(await caller.post("", raw.replace(b"transaction", kind)))
            for one, expected in zip(done, resources, strict=True):
                submitted = await caller.get(f"{location_of(one)}/$submitted")
                assert submitted.content == expected

    runner.run(act())


def test_a_transaction_leaves_nothing_when_any_entry_is_refused(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    good = entry(samples.organization("Atomic"), "POST", "Organization")

    def bad(**changes: object) -> JsonObject:
        return entry(samples.organization("Atomic") | changes, "POST", "Organization")

    cases: list[tuple[JsonObject, int]] = [
        (bad(active="yes"), 400),
        (entry(samples.observation("nobody"), "POST", "Observation"), 422),
        (entry(samples.organization() | {"id": "no-such"}, "PUT", "Organization/no-such"), 404),
        (entry(None, "DELETE", "Organization/no-such"), 404),
        (bad(partOf={"reference": "Organization?identifier=nobody"}), 412),
        (bad(partOf={"reference": urn()}), 400),
        (entry(samples.organization(), "POST", "Patient"), 400),
        (entry(samples.organization(), "POST", "Organization", ifNoneExist="nonsense=1"), 400),
        (entry(samples.organization(), "PUT", "Organization?name="), 412),
        (entry(samples.organization() | {"id": "x"}, "PUT", "Organization/x", ifMatch='W/"x"'), 412),
        (entry(None, "GET", "http://elsewhere.example/Patient/1"), 400),
    ]

    async def act() -> None:
        caller = stack.caller()
        for other, status in cases:
            for entries in ((good, other), (other, good)):
                answer = await caller.post("", bundle("transaction", *entries))
                assert answer.status_code == status, (other, answer.text)
                issue_of(answer)
        assert await total_of(caller, "Organization?name=Atomic") == 0

    runner.run(act())


def test_conditions_inside_a_transaction(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        existing = await caller.create(samples.patient("Known"))
        patient = urn()
        sent = bundle(
            "transaction",
            entry(
                samples.patient("Known"),
                "POST",
                "Patient",
                patient,
                ifNoneExist="identifier=urn:example:number|Known",
            ),
            entry(samples.observation("x") | {"subject": {"reference": patient}}, "POST", "Observation"),
            entry(samples.organization("Upserted"), "PUT", "Organization?name:exact=Upserted"),
        )
        first = entries_of(await caller.post("", sent))
        assert statuses_of(first) == ["200", "201", "201"]
        assert location_of(first[0]) == f"Patient/{existing}"
        observation = read_resource((await caller.get(location_of(first[1]))).content)
        assert observation["subject"] == {"reference": f"Patient/{existing}"}
        second = entries_of(await caller.post("", sent))
        assert statuses_of(second) == ["200", "201", "200"]
        assert location_of(second[2]) == location_of(first[2])
        removed = await caller.post(
            "", bundle("transaction", entry(None, "DELETE", "Organization?name:exact=Upserted"))
        )
        assert statuses_of(entries_of(removed)) == ["204"]
        same = bundle("transaction", sent["entry"][2], sent["entry"][2])  # type: ignore[index]
        await caller.post("", bundle("transaction", sent["entry"][2]))  # type: ignore[index]
        assert (await caller.post("", same)).status_code == 400

    runner.run(act())


def test_a_patient_may_be_made_by_any_entry_of_a_transaction(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient = urn()
        sent = bundle(
            "transaction",
            entry(samples.observation("x") | {"subject": {"reference": patient}}, "POST", "Observation"),
            entry(
                samples.patient("Putmade"), "PUT", "Patient?identifier=urn:example:number|Putmade", patient
            ),
        )
        done = entries_of(await caller.post("", sent))
        assert statuses_of(done) == ["201", "201"]
        read = read_resource((await caller.get(location_of(done[0]))).content)
        assert read["subject"] == {"reference": location_of(done[1])}

    runner.run(act())


def test_two_transactions_that_create_the_same_at_once(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        sent = bundle(
            "transaction",
            entry(
                samples.patient("Raced"), "POST", "Patient", ifNoneExist="identifier=urn:example:number|Raced"
            ),
        )
        answers = await asyncio.gather(*(caller.post("", sent) for _ in range(5)))
        found = [entries_of(answer)[0] for answer in answers]
        assert sorted(statuses_of(found)) == ["200"] * 4 + ["201"]
        assert len({location_of(one) for one in found}) == 1

    runner.run(act())


def test_patches_reads_and_searches_inside_bundles(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization("Patched"))
        json_patch = json.dumps([{"op": "replace", "path": "/name", "value": "By JSON"}]).encode()
        binary: JsonObject = {
            "resourceType": "Binary",
            "contentType": "application/json-patch+json",
            "data": base64.b64encode(json_patch).decode(),
        }
        path_patch: JsonObject = {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "operation",
                    "part": [
                        {"name": "type", "valueCode": "replace"},
                        {"name": "path", "valueString": "Organization.name"},
                        {"name": "value", "valueString": "By path"},
                    ],
                }
            ],
        }
        for kind in ("transaction", "batch"):
            for value, name in ((binary, "By JSON"), (path_patch, "By path")):
                sent = bundle(
                    kind,
                    entry(None, "GET", f"Organization/{made}"),
                    entry(value, "PATCH", f"Organization/{made}"),
                    entry(None, "GET", f"Organization?_id={made}"),
                    entry(None, "GET", "Organization/nobody"),
                )
                done = entries_of(await caller.post("", sent))
                assert statuses_of(done) == ["200", "200", "200", "404"], done
                assert done[0]["resource"]["name"] == name  # type: ignore[index]
                assert done[2]["resource"]["entry"][0]["resource"]["name"] == name  # type: ignore[index]
                assert done[3]["response"]["outcome"]["resourceType"] == "OperationOutcome"  # type: ignore[index]
        submitted = await caller.get(f"Organization/{made}/_history/2/$submitted")
        assert submitted.content == json_patch
        assert submitted.headers["content-type"] == "application/json-patch+json"

    runner.run(act())


def test_a_faulty_entry_of_a_batch_costs_only_itself(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient = await caller.create(samples.patient())
        made = await caller.create(samples.organization("Batched"))
        sent = bundle(
            "batch",
            entry(samples.organization("Batch one"), "POST", "Organization"),
            entry(samples.organization() | {"active": "yes"}, "POST", "Organization"),
            entry(samples.observation("nobody"), "POST", "Observation"),
            entry(samples.observation(patient), "POST", "Observation"),
            entry(None, "DELETE", f"Organization/{made}"),
            entry(None, "GET", "metadata"),
            entry(None, "GET", f"Patient/{patient}/$everything"),
            entry(samples.organization(), "POST", "Organization", ifNoneExist="nonsense=1"),
            entry({"resourceType": "Parameters"}, "POST", "Patient/_search"),
            entry(samples.observation(patient) | {"subject": {"reference": urn()}}, "POST", "Observation"),
            entry(None, "GET", "Nonsense/1"),
            entry(None, "PUT", f"Organization/{made}"),
        )
        answer = await caller.post("", sent)
        done = entries_of(answer)
        assert statuses_of(done) == [
            *("201", "400", "422", "201", "204", "400", "200", "400", "400", "201", "404", "400")
        ]
        for one, status in zip(done, statuses_of(done), strict=True):
            if status >= "400":
                assert one["response"]["outcome"]["issue"][0]["severity"] == "error"  # type: ignore[index]
        assert await total_of(caller, "Organization?name=Batch%20one") == 1

    runner.run(act())


def test_prefer_representation_shows_what_was_written(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        for kind in ("batch", "transaction"):
            sent = bundle(kind, entry(samples.organization("Shown"), "POST", "Organization"))
            plain = entries_of(await caller.post("", sent))
            assert "resource" not in plain[0]
            shown = entries_of(await caller.post("", sent, prefer="return=representation"))
            assert shown[0]["resource"]["name"] == "Shown"  # type: ignore[index]
            assert str(shown[0]["fullUrl"]).startswith(f"{BASE}/Organization/")

    runner.run(act())


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"resourceType": "Bundle", "type": "searchset"}, 400),
        ({"resourceType": "Bundle"}, 400),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Bundle", "type": "transaction", "entry": {}}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": [1]}, 400),
        ({"resourceType": "Bundle", "type": "batch"}, 200),
        ({"resourceType": "Bundle", "type": "transaction"}, 200),
    ],
)
def test_what_is_no_bundle_of_requests(
    runner: asyncio.Runner, stack: FhirStack, value: JsonObject, status: int
) -> None:
    async def act() -> None:
        answer = await stack.caller().post("", value)
        assert answer.status_code == status, answer.text

    runner.run(act())


def test_rights_hold_for_every_entry(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller(
            "user/Organization.rs user/Patient.cruds", role="clinician", fhir_user="Practitioner/1"
        )
        forbidden = entry(samples.organization("Forbidden"), "POST", "Organization")
        allowed = entry(samples.patient("Allowed"), "POST", "Patient")
        answer = await caller.post("", bundle("transaction", allowed, forbidden))
        assert answer.status_code == 403
        assert code_of(answer) == "web.SCOPE_INSUFFICIENT"
        done = entries_of(await caller.post("", bundle("batch", allowed, forbidden)))
        assert statuses_of(done) == ["201", "403"]
        assert ids_of(await caller.get("Organization?name=Forbidden")) == []

    runner.run(act())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(max_size=4), json_values, max_size=3), st.booleans()), max_size=4
    ),
    st.sampled_from([None, 1, "\t"]),
)
def test_slices_are_the_very_bytes_of_the_values(
    entries: list[tuple[dict[str, object], bool]], indent: int | str | None
) -> None:
    document: dict[str, object] = {"resourceType": "Bundle", "note": {"entry": [{"resource": 1}]}}
    document["entry"] = [
        {"request": {"resource": 2}, "resource": value} if last else {"resource": value, "x": [1]}
        for value, last in entries
    ]
    raw = json.dumps(document, indent=indent, ensure_ascii=bool(len(entries) % 2)).encode()
    slices = slice_entries(raw)
    assert [read_json(one) for one in slices] == [value for value, _ in entries]
    at = 0
    for one in slices:
        at = raw.index(one, at) + len(one)
