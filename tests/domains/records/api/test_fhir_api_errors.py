"""Every refusal is an OperationOutcome with the right status, and says nothing it should not."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import httpx
import pytest

from careledger.domains.records.api.outcomes import refusal_of
from careledger.domains.records.api.site import ApiSettings
from careledger.domains.records.service.errors import SERVICE_CODES
from careledger.domains.records.service.store import RecordStore
from careledger.primitives.errors import Rejected, code_spaces
from careledger.storage.sqlite import StorageBusy
from domains.records.api.fhir_kit import BASE, FHIR, FhirStack, code_of, issue_of, running_stack
from kit import samples

SMALL = ApiSettings(body_bytes_max=4_096)


def check(answer: httpx.Response, status: int, issue: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert "x-request-id" in answer.headers
    assert issue_of(answer)["code"] == issue


REQUESTS = [
    ("GET", "Nonsense", None, {}, 404, "not-found"),
    ("GET", "Parameters/1", None, {}, 404, "not-found"),
    ("GET", "Patient/1/2/3/4/5", None, {}, 404, "not-found"),
    ("GET", "Patient/no%20id", None, {}, 404, "not-found"),
    ("GET", "$nonsense", None, {}, 404, "not-found"),
    ("GET", "Patient/$everything", None, {}, 404, "not-found"),
    ("GET", "Observation/1/$everything", None, {}, 404, "not-found"),
    ("GET", "Patient/nobody", None, {}, 404, "not-found"),
    ("GET", "Patient/nobody/_history", None, {}, 404, "not-found"),
    ("GET", "Patient/nobody/_history/1", None, {}, 404, "not-found"),
    ("GET", "Patient/nobody/_history/x", None, {}, 404, "not-found"),
    ("DELETE", "Patient/nobody", None, {}, 404, "not-found"),
    ("DELETE", "metadata", None, {}, 405, "not-supported"),
    ("PUT", "_history", None, {}, 405, "not-supported"),
    ("OPTIONS", "Patient", None, {}, 405, "not-supported"),
    ("BREW", "Patient/1", None, {}, 405, "not-supported"),
    ("POST", "Patient/1", b"{}", {}, 405, "not-supported"),
    ("GET", "Patient", None, {"accept": "application/fhir+xml"}, 406, "not-supported"),
    ("GET", "Patient", None, {"accept": "application/fhir+json; fhirVersion=5.0"}, 406, "not-supported"),
    ("GET", "Patient", None, {"accept": "application/fhir+json;q=0"}, 406, "not-supported"),
    ("GET", "Patient?_format=xml", None, {}, 406, "not-supported"),
    ("POST", "Patient", b"<Patient/>", {"content-type": "application/fhir+xml"}, 415, "not-supported"),
    (
        "POST",
        "Patient",
        b"{}",
        {"content-type": "application/fhir+json; charset=latin-1"},
        415,
        "not-supported",
    ),
    ("POST", "Patient", b"{}", {"content-type": ""}, 415, "not-supported"),
    ("POST", "", b"{}", {"content-type": "text/plain"}, 415, "not-supported"),
    ("POST", "Patient", b"", {"content-type": FHIR}, 400, "structure"),
    ("POST", "Patient", b"{}", {}, 400, "structure"),
    ("POST", "Patient", b'{"resourceType":"Organization","name":"x"}', {}, 400, "invalid"),
    ("POST", "Patient", b" " * 5_000, {}, 413, "too-long"),
    ("POST", "Patient", b"{}", {"content-length": "x"}, 400, "invalid"),
]


@pytest.fixture(scope="module")
def small_stack(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]  # noqa: ANN201
    context = running_stack(tmp_path_factory.mktemp("small"), api_settings=SMALL)
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "issue"), REQUESTS)
def test_requests_that_are_refused(
    runner: asyncio.Runner,
    small_stack: FhirStack,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    issue: str,
) -> None:
    async def act() -> httpx.Response:
        return await small_stack.caller().send(method, path, body, headers)

    answer = runner.run(act())
    check(answer, status, issue)
    if status == 405:
        assert answer.headers["allow"]


def test_the_answer_to_xml_is_json_that_says_so(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        answer = await stack.caller().get("metadata", accept="application/fhir+xml")
        check(answer, 406, "not-supported")

    runner.run(act())


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "web.TOKEN_MISSING"),
        ("nonsense", "web.TOKEN_INVALID"),
        ("a.b.c", "web.TOKEN_INVALID"),
    ],
)
def test_without_a_good_token_there_is_nothing(
    runner: asyncio.Runner, stack: FhirStack, token: str, code: str
) -> None:
    async def act() -> None:
        caller = stack.caller()
        caller.token = token
        for path in ("Patient", "Patient/1", "_history", "Patient/1/$everything", ""):
            answer = await caller.get(path)
            check(answer, 401, "login")
            assert code_of(answer) == code
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await caller.get("metadata")).status_code == 200

    runner.run(act())


def test_an_expired_token_is_told_so(
    runner: asyncio.Runner, stack: FhirStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        caller = stack.caller()
        assert (await caller.get("Patient?_count=1")).status_code == 200
        later = stack.site.context.clock_ms() + 400_000
        monkeypatch.setattr(stack.face.site.verifier, "_clock_ms", lambda: later)
        check(await caller.get("Patient"), 401, "expired")

    runner.run(act())


def test_what_a_token_does_not_allow_is_forbidden_whatever_exists(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        made = await stack.caller().create(samples.organization())
        caller = stack.caller("user/Patient.rs", role="clinician", fhir_user="Practitioner/1")
        value = samples.organization()
        for resource_id in (made, "nobody"):
            path = f"Organization/{resource_id}"
            for answer in (
                await caller.get(path),
                await caller.get(f"{path}/_history"),
                await caller.get(f"{path}/_history/1"),
                await caller.put(path, value | {"id": resource_id}),
                await caller.delete(path),
                await caller.get(f"{path}/$submitted"),
                await caller.get(f"{path}/$meta"),
                await caller.get("Organization"),
                await caller.post("Organization", value),
                await caller.post("Patient", samples.patient()),
                await caller.get("Patient/1/Observation"),
                await caller.send("PATCH", path, b"[]", {"content-type": "application/json-patch+json"}),
            ):
                check(answer, 403, "forbidden")

    runner.run(act())


def test_too_many_requests(tmp_path: Path) -> None:
    async def act() -> None:
        async with running_stack(tmp_path, requests_per_s=2) as stack:
            caller = stack.caller()
            answers = [await caller.get("Patient/nobody") for _ in range(8)]
            assert [answer.status_code for answer in answers].count(429) >= 2
            check(answers[-1], 429, "throttled")
            assert answers[-1].headers["retry-after"] == "1"
            other = stack.caller(client_id="another")
            assert (await other.get("Patient/nobody")).status_code == 404

    asyncio.run(act())


def test_what_nobody_foresaw_names_only_the_request(
    runner: asyncio.Runner,
    stack: FhirStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a secret detail")

    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization())
        monkeypatch.setattr(RecordStore, "open", fail)
        request_id = "0f3c1c52-97f2-4a51-9f8e-3b2b6c1d7e10"
        answer = await caller.get(f"Organization/{made}", x_request_id=request_id)
        check(answer, 500, "exception")
        assert answer.headers["x-request-id"] == request_id
        assert request_id in answer.text
        assert "secret" not in answer.text
        assert "KeyError" not in answer.text
        check(await caller.get("Organization?_count=1"), 500, "exception")

    with caplog.at_level(logging.ERROR):
        runner.run(act())
    assert "KeyError" in str([vars(record) for record in caplog.records])
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_a_fault_inside_a_condition_is_one_requests_own(
    runner: asyncio.Runner, stack: FhirStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def act() -> None:
        caller = stack.caller()
        with monkeypatch.context() as patched:
            patched.setattr("careledger.domains.records.api.writing.find_one", fail)
            answer = await caller.post("Patient", samples.patient(), if_none_exist="family=Faulty")
            check(answer, 500, "exception")
        assert (
            await caller.post("Patient", samples.patient(), if_none_exist="family=Faulty")
        ).status_code == 201
        assert stack.site.writer.failure is None

    runner.run(act())


def test_every_code_has_an_outcome() -> None:
    codes = [code for space in code_spaces() for code in space.codes()]
    assert set(SERVICE_CODES.codes()) <= set(codes)
    for code in codes:
        refusal = refusal_of(Rejected(code, at="Patient.name[0]"))
        assert refusal.status == code.category.http_status
        issue = refusal.outcome["issue"][0]  # type: ignore[index]
        assert issue["details"]["coding"][0]["code"] == code.name
        assert issue["expression"] == ["Patient.name[0]"]
    assert refusal_of(StorageBusy()).status == 503


def test_a_request_id_is_taken_over_only_if_it_can_name_nobody(
    runner: asyncio.Runner, stack: FhirStack
) -> None:
    async def act() -> None:
        caller = stack.caller()
        for given in ("smith-john-1970", "x" * 300, "0f3c1c52-97f2-4a51-9f8e-3b2b6c1d7e10 "):
            answer = await caller.get("metadata", x_request_id=given)
            assert answer.headers["x-request-id"] != given
            assert len(answer.headers["x-request-id"]) == 36

    runner.run(act())


def test_the_base_answers_with_and_without_its_slash(runner: asyncio.Runner, stack: FhirStack) -> None:
    async def act() -> None:
        caller = stack.caller()
        for url in (
            f"{BASE}/?_type=Patient&_count=0",
            f"{BASE}?_type=Patient&_count=0",
            f"{BASE}/Patient/?_count=0",
        ):
            assert (await caller.get(url)).status_code == 200

    runner.run(act())
