"""The CapabilityStatement, claim by claim: everything it says is tried, and what it does not say is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from careledger.domains.records.api.interactions import OPERATIONS, ROUTES
from careledger.domains.records.api.served_types import SERVED_TYPES
from careledger.standards.fhir.structure import resource_types
from careledger.standards.fhir.validate import validate_resource
from domains.records.api.fhir_kit import Caller, FhirStack, code_of, running_stack
from domains.records.api.minimal_resources import build_minimal
from kit import samples

JSON_PATCH = {"content-type": "application/json-patch+json"}
VALUES = {
    "token": "x",
    "string": "x",
    "date": "2020-01-01",
    "reference": "Patient/1",
    "quantity": "1",
    "number": "1",
    "uri": "urn:x",
    "special": "1.0|1.0|1|km",
}
COMPOSITES = {
    "token": "x",
    "quantity": "1",
    "string": "x",
    "date": "2020",
    "reference": "Patient/1",
    "number": "1",
    "uri": "urn:x",
}
AT_ONCE = 20

Statement = dict[str, Any]


@pytest.fixture(scope="module")
def statement(runner: asyncio.Runner, stack: FhirStack) -> Statement:
    async def act() -> Statement:
        caller = stack.caller()
        caller.token = ""
        answer = await caller.get("metadata")
        assert answer.status_code == 200
        found: Statement = json.loads(answer.content)
        return found

    return runner.run(act())


def resources_of(statement: Statement) -> list[Statement]:
    found: list[Statement] = statement["rest"][0]["resource"]
    return found


def test_it_is_valid_and_names_every_served_type(statement: Statement) -> None:
    assert [issue for issue in validate_resource(statement) if issue.is_error] == []
    assert [one["type"] for one in resources_of(statement)] == sorted(SERVED_TYPES)
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["rest"][0]["interaction"] == [
        {"code": code} for code in ("search-system", "transaction", "batch", "history-system")
    ]
    assert len({json.dumps(one["interaction"]) for one in resources_of(statement)}) == 1


def test_every_route_and_operation_is_claimed(statement: Statement) -> None:
    claimed = {one["code"] for one in resources_of(statement)[0]["interaction"]}
    routed = {
        route.interaction
        for route in ROUTES
        if route.shape.value.startswith("/fhir/{type}") or "Patient" in route.shape.value
    }
    assert claimed == routed
    operations = {
        operation["name"] for one in resources_of(statement) for operation in one.get("operation", [])
    }
    offered = {one.name.removeprefix("$") for one in OPERATIONS} - {"proof", "shared-history"}
    assert operations == offered


def test_every_interaction_of_every_type_works(
    runner: asyncio.Runner, stack: FhirStack, statement: Statement
) -> None:
    async def act() -> None:
        caller = stack.caller()
        patient = await caller.create(samples.patient())
        walks = []
        for described in resources_of(statement):
            name = described["type"]
            value = build_minimal(name, patient)
            if not any(issue.is_error for issue in validate_resource(value)):
                claimed = {one["code"] for one in described["interaction"]}
                walks.append(walk(caller, name, value, claimed))
        assert len(walks) >= 110
        await asyncio.gather(*walks)

    runner.run(act())


async def walk(caller: Caller, name: str, value: dict[str, object], claimed: set[str]) -> None:
    """Try every interaction that is claimed for a type on a resource of it."""
    done = {"create"}
    made = await caller.create(value, prefer="return=minimal")
    path = f"{name}/{made}"
    version = 1

    async def check(interaction: str, method: str, where: str, status: int, body: object = None) -> None:
        headers = JSON_PATCH if method == "PATCH" else {}
        sent = json.dumps(body).encode() if isinstance(body, list) else body
        answer = await caller.send(method, where, sent, headers)  # type: ignore[arg-type]  # bytes or a resource
        assert answer.status_code == status, (name, interaction, answer.text)
        done.add(interaction)

    await check("read", "GET", path, 200)
    await check("vread", "GET", f"{path}/_history/{version}", 200)
    await check("update", "PUT", path, 200, value | {"id": made})
    await check("patch", "PATCH", path, 200, [{"op": "add", "path": "/language", "value": "en"}])
    await check("history-instance", "GET", f"{path}/_history", 200)
    await check("history-type", "GET", f"{name}/_history?_count=1", 200)
    await check("search-type", "GET", f"{name}?_id={made}", 200)
    await check("delete", "DELETE", path, 409 if name == "Patient" else 204)
    assert done == claimed


def test_every_search_parameter_of_every_type_is_understood(
    runner: asyncio.Runner, stack: FhirStack, statement: Statement
) -> None:
    async def act() -> None:
        caller = stack.caller()
        count = 0
        for described in resources_of(statement):
            plain = [one for one in described["searchParam"] if one["type"] != "composite"]
            count += len(plain)
            query = "&".join(f"{one['name']}={VALUES[one['type']]}" for one in plain)
            answer = await caller.get(f"{described['type']}?{query}")
            assert answer.status_code == 200, (described["type"], answer.text)
            for one in described["searchParam"]:
                if one["type"] == "composite":
                    count += 1
                    await check_composite(caller, described["type"], one["name"])
        assert count > 2_000

    runner.run(act())


async def check_composite(caller: Caller, name: str, code: str) -> None:
    """A composite takes some pair of values; a single value is malformed, which shows that it is one."""
    single = await caller.get(f"{name}?{code}=x")
    assert single.status_code == 400
    texts = sorted(set(COMPOSITES.values()))
    pairs = [f"{first}${second}" for first in texts for second in texts]
    pairs += ["x$1$1", "1$1$1"]
    for pair in pairs:
        if (await caller.get(f"{name}?{code}={pair}&_count=0")).status_code == 200:
            return
    raise AssertionError(f"{name}.{code} takes nothing")


def in_parts(items: Sequence[str]) -> list[list[str]]:
    return [list(items[at : at + AT_ONCE]) for at in range(0, len(items), AT_ONCE)]


def test_every_inclusion_of_every_type_is_understood(
    runner: asyncio.Runner, stack: FhirStack, statement: Statement
) -> None:
    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization())
        for described in resources_of(statement):
            for parameter, claims in (
                ("_include", described["searchInclude"]),
                ("_revinclude", described["searchRevInclude"]),
            ):
                for part in in_parts(claims):
                    query = "&".join(f"{parameter}={claim}" for claim in part)
                    answer = await caller.get(f"{described['type']}?_id={made}&{query}")
                    assert answer.status_code == 200, (described["type"], answer.text)

    runner.run(act())


def test_conditional_interactions_are_as_claimed(statement: Statement) -> None:
    for described in resources_of(statement):
        assert described["conditionalCreate"] is True
        assert described["conditionalUpdate"] is True
        assert described["conditionalDelete"] == "single"
        assert described["conditionalRead"] == "full-support"
        assert described["updateCreate"] is False


def test_what_is_not_claimed_is_refused(
    runner: asyncio.Runner, stack: FhirStack, statement: Statement
) -> None:
    async def act() -> None:
        caller = stack.caller()
        unserved = resource_types() - {one["type"] for one in resources_of(statement)}
        assert "Subscription" in unserved
        for name in sorted(unserved):
            for answer in (
                await caller.get(name),
                await caller.get(f"{name}/1"),
                await caller.post(name, {"resourceType": name}),
            ):
                assert answer.status_code == 404
                assert code_of(answer) == "web.ROUTE_UNKNOWN"
        for name in ("$export", "$closure", "Patient/$lastn", "Patient/1/$summary", "Patient/1/$graph"):
            assert (await caller.get(name)).status_code == 404

    runner.run(act())


def test_smart_is_claimed_where_it_is_offered(
    tmp_path: Path, runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def without() -> None:
        caller = stack.caller()
        assert (await caller.get(".well-known/smart-configuration")).status_code == 404
        assert '"code":"OAuth"' in (await caller.get("metadata")).text

    async def offered() -> None:
        async with running_stack(tmp_path, smart_configuration={"token_endpoint": "x"}) as other:
            caller = other.caller()
            caller.token = ""
            answer = await caller.get(".well-known/smart-configuration")
            assert answer.json() == {"token_endpoint": "x"}
            assert answer.headers["content-type"] == "application/json"
            assert '"code":"SMART-on-FHIR"' in (await caller.get("metadata")).text

    runner.run(without())
    asyncio.run(offered())
