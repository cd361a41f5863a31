"""Operations and patches over HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from careledger.domains.records.api.ports import Allows
from careledger.domains.records.service.compartments import Compartment
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.web.principal import Principal
from domains.records.api.fhir_kit import (
    FhirStack,
    code_of,
    entries_of,
    ids_of,
    issue_of,
    link_of,
    running_stack,
)
from kit import samples

JSON_PATCH = "application/json-patch+json"


def parameters(*parts: JsonObject) -> JsonObject:
    return (
        {"resourceType": "Parameters", "parameter": list(parts)} if parts else {"resourceType": "Parameters"}
    )


# -- $everything ------------------------------------------------------------------------------------------


def test_everything_is_the_compartment_and_what_it_refers_to(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        house = await caller.create(samples.organization("Everything House"))
        patient = await caller.create(
            samples.patient("Everything") | {"managingOrganization": {"reference": f"Organization/{house}"}}
        )
        other = await caller.create(samples.patient("Everythingelse"))
        made = [await caller.create(samples.observation(patient, f"{n}.5")) for n in range(3)]
        await caller.create(samples.observation(other))
        path = f"Patient/{patient}/$everything"
        whole = await caller.get(path)
        assert sorted(ids_of(whole)) == sorted([patient, *made])
        assert ids_of(whole, "include") == [house]
        posted = await caller.post(path, parameters({"name": "_type", "valueString": "Observation"}))
        assert sorted(ids_of(posted)) == sorted(made)
        assert ids_of(await caller.get(f"{path}?start=2030-01-01&_type=Observation")) == []
        assert len(ids_of(await caller.get(f"{path}?start=2026-01-01&end=2026-12-31"))) == 4
        assert ids_of(await caller.get(f"{path}?_since=2999-01-01")) == []
        seen: list[str] = []
        answer = await caller.get(f"{path}?_count=2")
        while True:
            seen += ids_of(answer)
            following = link_of(answer, "next")
            if following is None:
                break
            assert f"/{path}?_page=" in following
            answer = await caller.get(following)
        assert sorted(seen) == sorted([patient, *made])
        for query, status in (("_type=Nonsense", 400), ("shoe=1", 400), ("start=x", 400), ("_page=x", 400)):
            assert (await caller.get(f"{path}?{query}")).status_code == status
        assert (await caller.get("Patient/nobody/$everything")).status_code == 404
        assert (await caller.delete(path)).status_code == 405

    runner.run(act())


# -- $match -----------------------------------------------------------------------------------------------


def test_match_grades_and_never_links(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        known = await caller.create(samples.patient("Matchable", "1971-03-04"))

        async def match(person: JsonObject, **extra: object) -> list[JsonObject]:
            parts: list[JsonObject] = [{"name": "resource", "resource": person}]
            parts += [
                {
                    "name": name,
                    f"value{type(item).__name__.replace('bool', 'Boolean').replace('int', 'Integer')}": item,
                }
                for name, item in extra.items()
            ]
            return entries_of(await caller.post("Patient/$match", parameters(*parts)))

        def grade(one: JsonObject) -> str:
            return str(one["search"]["extension"][0]["valueCode"])  # type: ignore[index]

        certain = await match(samples.patient("Matchable", "1971-03-04"))
        assert [grade(one) for one in certain] == ["certain"]
        assert certain[0]["resource"]["id"] == known  # type: ignore[index]
        without_number = samples.patient("Matchable", "1971-03-04")
        del without_number["identifier"]
        guesses = await match(without_number)
        assert [one["resource"]["id"] for one in guesses] == [known]  # type: ignore[index]
        assert grade(guesses[0]) in ("probable", "possible")
        assert await match(without_number, onlyCertainMatches=True) == []
        assert await match(samples.patient("Nobodyatall", "1901-01-01")) == []
        await caller.create(samples.patient("Matchable", "1971-03-04"))
        assert len(await match(samples.patient("Matchable", "1971-03-04"), count=1)) == 1
        for body in (
            parameters(),
            parameters({"name": "resource", "resource": samples.organization()}),
            parameters({"name": "shoe", "valueInteger": 1}),
            samples.patient(),
        ):
            answer = await caller.post("Patient/$match", body)
            assert answer.status_code == 400
            assert code_of(answer) == "records-api.OPERATION_INPUT"

    runner.run(act())


# -- $validate, $meta -------------------------------------------------------------------------------------


def test_validate_says_what_is_wrong_and_keeps_nothing(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        good = await caller.post("Patient/$validate", samples.patient("Validated"))
        assert good.status_code == 200
        assert issue_of(good)["severity"] == "information"
        bad = await caller.post("Patient/$validate", samples.patient() | {"gender": "unclear"})
        assert issue_of(bad)["severity"] == "error"
        assert issue_of(bad)["expression"] == ["Patient.gender"]
        wrapped = await caller.post(
            "Patient/$validate",
            parameters(
                {"name": "resource", "resource": samples.patient() | {"active": 1}},
                {"name": "profile", "valueUri": "http://example.org/profile"},
            ),
        )
        issues = read_resource(wrapped.content)["issue"]
        assert isinstance(issues, list)
        severities = [one["severity"] for one in issues]
        assert severities == ["error", "warning"]
        other = await caller.post("Patient/$validate", samples.organization())
        assert issue_of(other)["severity"] == "error"
        made = await caller.create(samples.organization())
        stored = await caller.get(f"Organization/{made}/$validate")
        assert issue_of(stored)["severity"] == "information"
        assert (await caller.get("Organization/$validate")).status_code == 400
        assert (await caller.get(f"Organization/{made}/$validate?mode=x")).status_code == 400
        assert (await caller.post("Organization/$validate", b"{")).status_code == 400
        assert ids_of(await caller.get("Patient?family=Validated")) == []

    runner.run(act())


def test_meta_of_a_resource_and_of_a_version(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        value = samples.organization() | {"meta": {"tag": [{"system": "urn:x", "code": "y"}]}}
        made = await caller.create(value)
        await caller.put(f"Organization/{made}", value | {"id": made})
        for path, version in ((f"Organization/{made}", "2"), (f"Organization/{made}/_history/1", "1")):
            answer = read_resource((await caller.get(f"{path}/$meta")).content)
            meta = answer["parameter"][0]["valueMeta"]  # type: ignore[index]
            assert meta["versionId"] == version
            assert meta["tag"] == [{"system": "urn:x", "code": "y"}]

    runner.run(act())


# -- $proof and $shared-history ---------------------------------------------------------------------------


class Proofs:
    async def prove(self, resource_type: str, resource_id: str, version: int) -> JsonObject:
        return {"of": f"{resource_type}/{resource_id}", "version": version}


class Elsewhere:
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
        shown = [one.label for one in Compartment if allows("Observation", one)]
        return {
            "resourceType": "Bundle",
            "type": "collection",
            "id": patient_id,
            "language": f"{custodian}/{all_versions}/{principal.role}/{','.join(shown)}/{len(request_id)}",
        }


def test_what_a_site_cannot_do_it_does_not_offer(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.patient())
        assert (await caller.get(f"Patient/{made}/$proof")).status_code == 404
        assert (await caller.post(f"Patient/{made}/$shared-history", parameters())).status_code == 404

    runner.run(act())


def test_proofs_and_shared_histories_come_from_whoever_makes_them(tmp_path: Path) -> None:
    async def act() -> None:
        async with running_stack(tmp_path, proofs=Proofs(), shared_history=Elsewhere()) as stack:
            caller = stack.caller()
            made = await caller.create(samples.patient())
            await stack.site.writer.flush()
            proof = await caller.get(f"Patient/{made}/$proof")
            assert proof.json() == {"of": f"Patient/{made}", "version": 1}
            assert proof.headers["content-type"] == "application/json"
            assert (await caller.get(f"Patient/{made}/_history/1/$proof")).json() == proof.json()
            assert (await caller.get(f"Patient/{made}/_history/2/$proof")).status_code == 404
            path = f"Patient/{made}/$shared-history"
            doctor = stack.caller("user/*.rs", role="clinician", fhir_user="Practitioner/1")
            shared = await doctor.send("POST", path)
            assert shared.json()["id"] == made
            assert shared.json()["language"] == "/False/clinician/normal/36"
            asked = await doctor.post(
                path,
                parameters(
                    {"name": "custodian", "valueString": "hospital-b"},
                    {"name": "all-versions", "valueBoolean": True},
                ),
            )
            assert asked.json()["language"] == "hospital-b/True/clinician/normal/36"
            narrow = stack.caller("user/Patient.rs user/Observation.rs?category=x", role="psychiatrist")
            assert (await narrow.send("POST", path)).json()["language"] == "/False/psychiatrist//36"
            for value in ("Not A Slug", ""):
                wrong = parameters({"name": "custodian", "valueString": value or "é"})
                assert (await doctor.post(path, wrong)).status_code == 400
            assert (await doctor.get(path)).status_code == 405
            assert (await doctor.send("POST", "Patient/nobody/$shared-history")).status_code == 404

    asyncio.run(act())


# -- patches ----------------------------------------------------------------------------------------------


def path_patch(**parts: object) -> JsonObject:
    names = {"type": "valueCode", "path": "valueString", "name": "valueString", "value": "valueCode"}
    return parameters(
        {
            "name": "operation",
            "part": [{"name": name, names[name]: item} for name, item in parts.items()],
        }
    )


def test_a_patch_makes_a_version_and_is_kept_as_sent(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient = await caller.create(samples.patient())
        made = await caller.create(samples.observation(patient, "1.50"))
        path = f"Observation/{made}"
        sent = b'[ {"op":"replace","path":"/valueQuantity/unit","value":"mg"} ]'
        answer = await caller.send("PATCH", path, sent, {"content-type": JSON_PATCH})
        assert answer.status_code == 200
        assert answer.headers["etag"] == 'W/"2"'
        assert '"value":1.50,"unit":"mg"' in answer.text
        assert (await caller.get(f"{path}/$submitted")).content == sent
        by_path = await caller.send(
            "PATCH",
            path,
            path_patch(type="replace", path="Observation.status", value="amended"),
            {"if-match": 'W/"2"'},
        )
        assert read_resource(by_path.content)["status"] == "amended"
        where = await caller.send(
            "PATCH",
            f"Observation?_id={made}",
            b'[{"op":"test","path":"/status","value":"amended"},{"op":"add","path":"/issued","value":"2026-01-01T00:00:00Z"}]',
            {"content-type": JSON_PATCH},
        )
        assert where.headers["etag"] == 'W/"4"'

    runner.run(act())


PATCHES = [
    ("not json", b"[", JSON_PATCH, 400),
    ("no patch", b"{}", JSON_PATCH, 400),
    ("unknown operation", b'[{"op":"burn","path":"/name"}]', JSON_PATCH, 400),
    ("path leads nowhere", b'[{"op":"remove","path":"/nothing"}]', JSON_PATCH, 422),
    ("failed test", b'[{"op":"test","path":"/name","value":"x"}]', JSON_PATCH, 409),
    ("id", b'[{"op":"replace","path":"/id","value":"x"}]', JSON_PATCH, 422),
    ("type", b'[{"op":"replace","path":"/resourceType","value":"Patient"}]', JSON_PATCH, 422),
    ("version", b'[{"op":"replace","path":"/meta/versionId","value":"9"}]', JSON_PATCH, 422),
    ("meta", b'[{"op":"remove","path":"/meta"}]', JSON_PATCH, 422),
    ("invalid result", b'[{"op":"replace","path":"/active","value":"yes"}]', JSON_PATCH, 400),
    ("media type", b"[]", "text/plain", 415),
    ("no parameters", json.dumps(samples.organization()).encode(), "application/fhir+json", 400),
    (
        "path of another type",
        json.dumps(path_patch(type="delete", path="Patient.name")).encode(),
        "application/fhir+json",
        422,
    ),
]


@pytest.mark.parametrize(
    ("body", "content_type", "status"), [case[1:] for case in PATCHES], ids=[c[0] for c in PATCHES]
)
def test_a_patch_that_is_refused_changes_nothing(
    runner: asyncio.Runner, stack: FhirStack, body: bytes, content_type: str, status: int
) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization("Unpatched") | {"active": True})
        answer = await caller.send("PATCH", f"Organization/{made}", body, {"content-type": content_type})
        assert answer.status_code == status, answer.text
        issue_of(answer)
        assert (await caller.get(f"Organization/{made}")).headers["etag"] == 'W/"1"'

    runner.run(act())


def test_a_patch_keeps_to_its_version(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization("Contended"))
        path = f"Organization/{made}"

        async def add(number: int, **headers: str) -> int:
            body = json.dumps([{"op": "add", "path": "/alias", "value": [f"a{number}"]}]).encode()
            sent = {"content-type": JSON_PATCH, **headers}
            return (await caller.send("PATCH", path, body, sent)).status_code

        stale = await add(0, **{"if-match": 'W/"7"'})
        assert stale == 412
        statuses = await asyncio.gather(*(add(number) for number in range(3)))
        assert set(statuses) == {200}
        assert (await caller.get(path)).headers["etag"] == 'W/"4"'
        guarded = await asyncio.gather(*(add(number, **{"if-match": 'W/"4"'}) for number in range(3)))
        assert sorted(guarded) == [200, 412, 412]
        assert await add(1) == 200
        nothing = await caller.send("PATCH", "Organization/nobody", b"[]", {"content-type": JSON_PATCH})
        assert nothing.status_code == 404
        where = await caller.send(
            "PATCH", "Organization?name=nobodyatall", b"[]", {"content-type": JSON_PATCH}
        )
        assert where.status_code == 404

    runner.run(act())
