"""What a requester may not see makes no difference: every route, before and after it is there.

For each kind of limit (patient in context, role, granular scope, consent) the same requests are sent before and
after resources are written that the limit hides. All answers must be the same, byte for byte, but for what is random
in them anyhow. Then the hidden resources are asked for by id, and the answers must be those for ids that never were.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from careledger.domains.records.api.ports import Restriction
from careledger.domains.records.service.compartments import Compartment
from careledger.standards.fhir.json_types import JsonObject
from careledger.web.principal import Principal
from domains.records.api.fhir_kit import Caller, FhirStack, code_of, running_stack
from kit import samples

HIV_LABEL = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}]}
LABORATORY = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]
}
NEVER_WAS = "00000000-0000-4000-8000-000000000000"

READS = (
    "Patient",
    "Patient?_id={patient}",
    "Patient?_summary=count",
    "Patient?_total=accurate&_count=1",
    "Patient?family=Tenant",
    "Patient?_sort=-family,birthdate",
    "Patient?_has:Observation:subject:code=718-7",
    "Patient?_has:Observation:patient:value-quantity=gt90",
    "Patient?general-practitioner.name=x",
    "Patient?link=Patient/{patient}",
    "Patient?_revinclude=Observation:subject",
    "Patient?_revinclude=*",
    "Patient?_revinclude:iterate=Observation:subject&_include=*",
    "Observation",
    "Observation?_summary=count",
    "Observation?_total=accurate",
    "Observation?_count=1",
    "Observation?_sort=-value-quantity",
    "Observation?_include=*",
    "Observation?_include=Observation:focus",
    "Observation?_include:iterate=Observation:derived-from&_include:iterate=Observation:subject",
    "Observation?_revinclude=Observation:derived-from",
    "Observation?_revinclude=Observation:focus",
    "Observation?subject:Patient.family=Tenant",
    "Observation?patient.organization.name=Shared",
    "Observation?focus=Patient/{patient}",
    "Observation?focus:Patient.family=Tenant",
    "Observation?derived-from.subject:Patient.family=Other",
    "Observation?code=718-7&value-quantity=gt0",
    "Observation?_lastUpdated=gt2020-01-01",
    "Observation?performer:Organization.name=Shared",
    "Organization?_has:Observation:performer:code=718-7",
    "Organization?_has:Patient:organization:family=Other",
    "Organization?_revinclude=Patient:organization",
    "Organization?_revinclude=Observation:performer",
    "Organization",
    "?_type=Patient,Observation&_summary=count",
    "?_type=Patient,Observation",
    "_history",
    "_history?_count=1",
    "Patient/_history",
    "Observation/_history",
    "Observation/_history?_count=2",
    "Patient/{patient}",
    "Patient/{patient}/_history",
    "Patient/{patient}/_history/1",
    "Patient/{patient}/$everything",
    "Patient/{patient}/$everything?_count=1",
    "Patient/{patient}/*",
    "Patient/{patient}/Observation",
    "Patient/{patient}/Observation?_summary=count",
    "Patient/{patient}/$meta",
    "Patient/{patient}/$submitted",
    "Observation/{observation}",
    "Observation/{observation}/_history",
    "Observation/{observation}/$submitted",
)
RANDOM = re.compile(rb'(?<="resourceType":"Bundle",)"id":"[^"]+"|_page=[A-Za-z0-9_-]+')


@dataclass
class World:
    """A stack, what is there for all to see, and what is hidden later."""

    stack: FhirStack
    engine: Caller
    patient: str = ""
    observation: str = ""
    organization: str = ""
    hidden: dict[str, list[str]] = field(default_factory=dict)

    async def fill(self) -> None:
        """One patient with one result, and a shared organisation."""
        self.organization = await self.engine.create(samples.organization("Shared House"))
        self.patient = await self.engine.create(self.person("Tenant"))
        self.observation = await self.engine.create(self.result(self.patient))

    def person(self, family: str) -> JsonObject:
        return samples.patient(family) | {
            "managingOrganization": {"reference": f"Organization/{self.organization}"}
        }

    def result(self, patient: str, value: str = "1.5", **more: object) -> JsonObject:
        return samples.observation(patient, value) | {
            "category": [LABORATORY],
            "performer": [{"reference": f"Organization/{self.organization}"}],
            **more,
        }

    async def hide(self, value: JsonObject) -> str:
        made = await self.engine.create(value)
        self.hidden.setdefault(str(value["resourceType"]), []).append(made)
        return made

    async def answers(self, caller: Caller) -> dict[str, tuple[int, bytes]]:
        """Every route's answer, without what is random in it."""
        found = {}
        for template in READS:
            path = template.format(patient=self.patient, observation=self.observation)
            answer = await caller.get(path)
            found[template] = (answer.status_code, RANDOM.sub(b"", answer.content))
        form = {"content-type": "application/x-www-form-urlencoded"}
        posted = await caller.send("POST", "Observation/_search", b"_include=*&_total=accurate", form)
        found["POST search"] = (posted.status_code, RANDOM.sub(b"", posted.content))
        matched = await caller.post(
            "Patient/$match",
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "resource", "resource": samples.patient("Other")}],
            },
        )
        found["match"] = (matched.status_code, RANDOM.sub(b"", matched.content))
        batch = await caller.post(
            "",
            {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [
                    {"request": {"method": "GET", "url": path}}
                    for path in ("Observation?_include=*", f"Patient/{self.patient}/$everything", "Patient")
                ],
            },
        )
        found["batch"] = (batch.status_code, RANDOM.sub(b"", batch.content))
        return found


async def hide_other_patient(world: World) -> None:
    """Somebody else, whose record points at the visible one wherever that makes no compartment."""
    other = await world.hide(world.person("Other"))
    first = await world.hide(world.result(other, "99.5", focus=[{"reference": f"Patient/{world.patient}"}]))
    await world.hide(
        world.result(
            other,
            "98.5",
            derivedFrom=[
                {"reference": f"Observation/{world.observation}"},
                {"reference": f"Observation/{first}"},
            ],
        )
    )


async def hide_restricted(world: World) -> None:
    """Results of the same patient that only some roles, or nobody by consent, may see."""
    first = await world.hide(world.result(world.patient, "97.5", meta=HIV_LABEL))
    await world.hide(
        world.result(
            world.patient,
            "96.5",
            meta=HIV_LABEL,
            derivedFrom=[
                {"reference": f"Observation/{world.observation}"},
                {"reference": f"Observation/{first}"},
            ],
        )
    )


async def hide_other_category(world: World) -> None:
    """Results outside of the category that a granular scope names."""
    made = world.result(world.patient, "95.5")
    made["category"] = [{"text": "social history"}]
    await world.hide(made)


class DenyHiv:
    """A consent by which this organisation's own people do not see the HIV compartment."""

    patient = ""

    def version(self) -> int:
        return 1 if self.patient else 0

    def restrict(self, principal: Principal) -> Restriction:
        del principal
        bit = Compartment.HIV.bit
        return Restriction(denials=((self.patient, bit),) if self.patient else ())


Limit = tuple[str, Callable[[World], Caller], Callable[[World], Awaitable[None]]]
LIMITS: list[Limit] = [
    (
        "patient in context",
        lambda world: world.stack.caller(
            "patient/*.rs", role="clinician", subject="app", patient=world.patient, fhir_user="Practitioner/1"
        ),
        hide_other_patient,
    ),
    (
        "patient's own",
        lambda world: world.stack.caller(
            "user/*.rs", role="patient", subject="own", fhir_user=f"Patient/{world.patient}"
        ),
        hide_other_patient,
    ),
    (
        "role",
        lambda world: world.stack.caller(
            "user/*.rs", role="clinician", subject="doctor", fhir_user="Practitioner/1"
        ),
        hide_restricted,
    ),
    (
        "granular scope",
        lambda world: world.stack.caller(
            "user/Patient.rs user/Organization.rs user/Observation.rs?category=laboratory",
            role="clinician",
            subject="lab",
            fhir_user="Practitioner/2",
        ),
        hide_other_category,
    ),
    (
        "consent",
        lambda world: world.stack.caller(
            "user/*.rs", role="infectiologist", subject="specialist", fhir_user="Practitioner/3"
        ),
        hide_restricted,
    ),
]


@pytest.mark.parametrize("limit", LIMITS, ids=[limit[0] for limit in LIMITS])
def test_what_is_hidden_makes_no_difference(tmp_path: Path, limit: Limit) -> None:
    name, make_caller, hide = limit
    consents = DenyHiv()

    async def act() -> None:
        async with running_stack(tmp_path, consents=consents if name == "consent" else None) as stack:
            world = World(stack, stack.caller())
            await world.fill()
            consents.patient = world.patient
            caller = make_caller(world)
            before = await world.answers(caller)
            assert before["Patient/{patient}"][0] == 200
            assert before["Observation/{observation}"][0] == 200
            assert b'"total":1' in before["Observation?_summary=count"][1]
            await hide(world)
            after = await world.answers(caller)
            changed = [template for template in before if before[template] != after[template]]
            assert changed == []
            # The measure itself: somebody who may see everything does see a difference, on most routes.
            officer = stack.caller("user/*.rs", role="records-officer", fhir_user="Practitioner/9")
            if name != "consent":
                seen = await world.answers(officer)
                assert sum(seen[template] != after[template] for template in seen) > 10
            await check_ids(world, caller)

    asyncio.run(act())


async def check_ids(world: World, caller: Caller) -> None:
    """Hidden ids are answered as ids that never were, on every route that takes an id."""
    for kind, hidden in world.hidden.items():
        for made in hidden:
            for path in ("{}", "{}/_history", "{}/_history/1", "{}/$submitted", "{}/$meta", "{}/$validate"):
                there = await caller.get(f"{kind}/{path.format(made)}")
                nowhere = await caller.get(f"{kind}/{path.format(NEVER_WAS)}")
                assert there.status_code == nowhere.status_code == 404, path
                assert there.content == nowhere.content
            if kind == "Patient":
                for path in ("{}/$everything", "{}/Observation", "{}/*"):
                    there = await caller.get(f"Patient/{path.format(made)}")
                    nowhere = await caller.get(f"Patient/{path.format(NEVER_WAS)}")
                    assert there.status_code == nowhere.status_code
                    assert same(there, made) == same(nowhere, NEVER_WAS)


def same(answer: httpx.Response, resource_id: str) -> bytes:
    return RANDOM.sub(b"", answer.content.replace(resource_id.encode(), b"ID"))


def test_writes_on_what_is_hidden_are_answered_as_on_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        async with running_stack(tmp_path) as stack:
            world = World(stack, stack.caller())
            await world.fill()
            await hide_other_patient(world)
            caller = stack.caller(
                "patient/*.cruds", role="clinician", patient=world.patient, fhir_user="Practitioner/1"
            )
            hidden = world.hidden["Observation"][0]
            other = world.hidden["Patient"][0]
            own = world.result(world.patient)
            json_patch = {"content-type": "application/json-patch+json"}
            for resource_id in (hidden, NEVER_WAS):
                path = f"Observation/{resource_id}"
                assert (await caller.put(path, own | {"id": resource_id})).status_code == 405
                assert (await caller.delete(path)).status_code == 404
                assert (await caller.send("PATCH", path, b"[]", json_patch)).status_code == 404
                assert (await caller.delete(f"Observation?_id={resource_id}")).status_code == 404
                assert (await caller.put(f"Observation?_id={resource_id}", own)).status_code == 201
                created = await caller.post("Observation", own, if_none_exist=f"_id={resource_id}")
                assert created.status_code == 201
            for patient in (other, NEVER_WAS):
                refused = await caller.post("Observation", world.result(patient))
                assert refused.status_code == 403
                assert code_of(refused) == "records-api.OUTSIDE_CONTEXT"
            refused = await caller.post("Organization", samples.organization())
            assert refused.status_code == 403
            moved = await caller.put(
                f"Observation/{world.observation}", world.result(other) | {"id": world.observation}
            )
            assert moved.status_code == 403
            assert (await world.engine.get(f"Observation/{hidden}")).headers["etag"] == 'W/"1"'

    asyncio.run(act())


def test_a_granular_scope_holds_for_writes_too(tmp_path: Path) -> None:
    async def act() -> None:
        async with running_stack(tmp_path) as stack:
            world = World(stack, stack.caller())
            await world.fill()
            caller = stack.caller(
                "user/Patient.rs user/Observation.cruds?category=laboratory",
                role="clinician",
                fhir_user="Practitioner/1",
            )
            other = world.result(world.patient) | {"category": [{"text": "else"}]}
            assert (await caller.post("Observation", world.result(world.patient))).status_code == 201
            assert (await caller.post("Observation", other)).status_code == 403
            path = f"Observation/{world.observation}"
            refused = await caller.put(path, other | {"id": world.observation})
            assert refused.status_code == 403

    asyncio.run(act())


def test_what_became_restricted_is_gone_from_its_history_too(tmp_path: Path) -> None:
    async def act() -> None:
        async with running_stack(tmp_path) as stack:
            world = World(stack, stack.caller())
            await world.fill()
            path = f"Observation/{world.observation}"
            doctor = stack.caller("user/*.rs", role="clinician", fhir_user="Practitioner/1")
            assert (await doctor.get(f"{path}/_history/1")).status_code == 200
            restricted = world.result(world.patient, meta=HIV_LABEL) | {"id": world.observation}
            assert (await world.engine.put(path, restricted)).status_code == 200
            for suffix in ("", "/_history", "/_history/1", "/_history/2", "/$submitted"):
                assert (await doctor.get(f"{path}{suffix}")).status_code == 404, suffix
            assert world.observation not in (await doctor.get("Observation/_history")).text
            assert (await world.engine.get(f"{path}/_history/1")).status_code == 200

    asyncio.run(act())


def test_an_answer_that_nothing_is_there_takes_its_time(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        world = World(stack, stack.caller())
        await world.fill()
        await hide_restricted(world)
        doctor = stack.caller("user/*.rs", role="clinician", fhir_user="Practitioner/1")
        hidden = world.hidden["Observation"][0]
        floor_s = stack.face.site.settings.answer_floor_ms / 1_000
        for resource_id in (hidden, NEVER_WAS) * 3:
            started = time.perf_counter()
            assert (await doctor.get(f"Observation/{resource_id}")).status_code == 404
            # The loop's clock may be a little ahead of the measuring one.
            assert time.perf_counter() - started >= floor_s * 0.95

    runner.run(act())
