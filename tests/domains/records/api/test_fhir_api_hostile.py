"""Hostile input: bad documents leave nothing, canaries come out nowhere, random requests never break the site."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid

import httpx
import pytest

from careledger.domains.records.service.rows import fetch_value
from careledger.standards.fhir.json_reader import read_resource
from careledger.web.logs import SafeFormatter
from domains.records.api.fhir_kit import BASE, FHIR, FhirStack, issue_of
from kit import samples

DEEP = b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 200 + b"[]" + b"}]" * 200 + b"}"
NARRATIVE = (
    b'{"resourceType":"Patient","text":{"status":"generated",'
    b'"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">'
)
CORPUS: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("no json", b"hello"),
    ("cut off", b'{"resourceType":"Patient","name":[{"family":"A"'),
    ("twice the same name", b'{"resourceType":"Patient","gender":"male","gender":"female"}'),
    ("twice, one escaped", b'{"resourceType":"Patient","gender":"male","gend\\u0065r":"female"}'),
    ("trailing text", b'{"resourceType":"Patient"} {}'),
    ("not a number", b'{"resourceType":"Patient","multipleBirthInteger":NaN}'),
    ("infinity", b'{"resourceType":"Patient","multipleBirthInteger":Infinity}'),
    ("huge exponent", b'{"resourceType":"Observation","valueQuantity":{"value":1e999}}'),
    ("endless number", b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 10_000 + b"}"),
    ("deep", DEEP),
    ("very deep array", b"[" * 100_000),
    ("latin-1", '{"resourceType":"Patient","name":[{"family":"Müller"}]}'.encode("latin-1")),
    ("utf-16", '{"resourceType":"Patient"}'.encode("utf-16")),
    ("byte order mark", b'\xef\xbb\xbf{"resourceType":"Patient"}'),
    ("lone surrogate", b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}'),
    ("control character", b'{"resourceType":"Patient","name":[{"family":"a\x00b"}]}'),
    ("array", b"[]"),
    ("no type", b"{}"),
    ("type no text", b'{"resourceType":1}'),
    ("unknown type", b'{"resourceType":"Nonsense"}'),
    ("unknown element", b'{"resourceType":"Patient","shoe":1}'),
    ("empty array", b'{"resourceType":"Patient","name":[]}'),
    ("empty object", b'{"resourceType":"Patient","maritalStatus":{}}'),
    ("empty text", b'{"resourceType":"Patient","gender":""}'),
    ("null", b'{"resourceType":"Patient","gender":null}'),
    (
        "two values of a choice",
        b'{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}',
    ),
    ("array for an object", b'{"resourceType":"Patient","maritalStatus":[{"text":"x"}]}'),
    ("bad code", b'{"resourceType":"Patient","gender":"unclear"}'),
    ("bad date", b'{"resourceType":"Patient","birthDate":"2020-02-30"}'),
    (
        "long id",
        b'{"resourceType":"Patient","contained":[{"resourceType":"Basic","id":"' + b"a" * 65 + b'"}]}',
    ),
    (
        "script",
        NARRATIVE + b'<script>alert(1)</script></div>"}}',
    ),
    (
        "event handler",
        NARRATIVE + b'<p onclick=\\"x()\\">a</p></div>"}}',
    ),
    (
        "reference by search",
        b'{"resourceType":"Patient","managingOrganization":{"reference":"Organization?name=x"}}',
    ),
    (
        "reference to a wrong type",
        b'{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}',
    ),
]


def count_entries(stack: FhirStack) -> int:
    with stack.site.context.database.snapshot() as connection:
        return int(fetch_value(connection, "SELECT count(*) FROM entry"))


@pytest.mark.parametrize(("name", "body"), CORPUS, ids=[case[0] for case in CORPUS])
def test_a_bad_document_is_refused_with_a_place_and_leaves_nothing(
    runner: asyncio.Runner, stack: FhirStack, name: str, body: bytes
) -> None:
    async def act() -> None:
        caller = stack.caller()
        before = count_entries(stack)
        kind = "Observation" if b"Observation" in body else "Patient"
        direct = await caller.post(kind, body)
        assert 400 <= direct.status_code < 500, direct.text
        issue = issue_of(direct)
        assert issue["severity"] in ("error", "fatal")
        assert issue.get("expression") or issue.get("diagnostics")
        for text in ("Müller", "unclear", "alert", "onclick"):
            assert text not in direct.text
        for bundle in (b"batch", b"transaction"):
            wrapped = (
                b'{"resourceType":"Bundle","type":"'
                + bundle
                + b'","entry":[{"resource":'
                + body
                + b',"request":{"method":"POST","url":"'
                + kind.encode()
                + b'"}}]}'
            )
            answer = await caller.post("", wrapped)
            if answer.status_code == 200:
                entry = read_resource(answer.content)["entry"][0]  # type: ignore[index]
                assert entry["response"]["status"][:1] == "4", answer.text
            else:
                assert 400 <= answer.status_code < 500, answer.text
                issue_of(answer)
        assert count_entries(stack) == before

    runner.run(act())


def test_what_is_served_cannot_run_in_a_browser(runner: asyncio.Runner, stack: FhirStack) -> None:
    script = "<script>alert(1)</script>"

    async def act() -> None:
        caller = stack.caller()
        made = await caller.create(samples.organization(script) | {"alias": ["<img src=x onerror=x>"]})
        for path in (f"Organization/{made}", f"Organization/{made}/$submitted", f"Organization?_id={made}"):
            answer = await caller.get(path, accept="text/html, */*")
            assert answer.headers["content-type"].startswith("application/fhir+json")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == (
                "default-src 'none'; frame-ancestors 'none'; sandbox"
            )
            assert script in answer.text

    runner.run(act())


# -- canaries ---------------------------------------------------------------------------------------------


def test_canaries_come_out_nowhere_but_to_who_asks(
    runner: asyncio.Runner, stack: FhirStack, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "Zanzibarcanary"
    person = samples.patient(canary, "1933-12-31") | {
        "address": [{"line": [f"1 {canary} Street"], "city": canary}],
        "telecom": [{"system": "email", "value": f"{canary}@example.org"}],
    }

    async def act() -> list[httpx.Response]:
        caller = stack.caller(subject=f"dr-{canary}", client_id="a-client")
        made = await caller.create(person)
        await caller.create(samples.observation(made) | {"note": [{"text": canary}]})
        errors = [
            await caller.get(f"Patient?family={canary}&nonsense={canary}"),
            await caller.get(f"Patient?birthdate={canary}"),
            await caller.get(f"Patient?_include={canary}"),
            await caller.get(f"Patient/{canary}"),
            await caller.get(f"{canary}/1"),
            await caller.get(f"Patient/1/{canary}"),
            await caller.get(f"Patient/{made}/_history/{canary}"),
            await caller.get(f"Patient?_page={canary}"),
            await caller.post("Patient", person | {"gender": canary}),
            await caller.post("Patient", person | {f"{canary} {canary}": canary}),
            await caller.post("Patient", person | {"id": 7}),
            await caller.post("Patient", json.dumps(person).encode()[:-9]),
            await caller.post("Organization", person),
            await caller.put(f"Patient/{canary}", person | {"id": canary}),
            await caller.post("Patient", person, if_none_exist=f"{canary}={canary}"),
            await caller.put(f"Patient/{made}", person | {"id": made}, if_match=canary),
            await caller.get("Patient", accept=f"text/{canary}"),
            await caller.get(f"Patient?_format={canary}"),
            await caller.send("POST", "Patient", person, {"content-type": f"text/{canary}"}),
            await caller.send(canary, "Patient"),
            await caller.get(f"{BASE.removesuffix('/fhir')}/{canary}?name={canary}"),
            await caller.get("Patient/nobody", x_request_id=canary),
            await caller.post("Patient/$match", person),
            await caller.send(
                "PATCH",
                f"Patient/{made}",
                json.dumps([{"op": "test", "path": f"/{canary}", "value": canary}]).encode(),
                {"content-type": "application/json-patch+json"},
            ),
            await caller.post("", {"resourceType": "Bundle", "type": canary}),
        ]
        caller.token = canary
        errors.append(await caller.get("Patient"))
        caller.token = stack.caller().token
        found = await caller.get(f"Patient?family={canary}&_count=1")
        assert canary in found.text
        paged = await caller.get(f"Observation?patient.family={canary}&_count=1")
        assert "next" not in paged.text or canary not in paged.text.split('"next"')[1].split('"entry"')[0]
        metrics = await stack.http.get(f"{BASE.removesuffix('/fhir')}/metrics")
        assert canary not in metrics.text
        return [*errors, found]

    with caplog.at_level(logging.DEBUG):
        answers = runner.run(act())
    for answer in answers[:-1]:
        assert answer.status_code >= 400, answer.request.url
        assert canary.lower() not in answer.text.lower(), answer.request.url
    for answer in answers:
        assert canary not in str(answer.headers)
    assert stack.app.log is not None
    stack.app.log.flush()
    assert "a-client" in stack.log.getvalue()
    assert canary not in stack.log.getvalue()
    formatter = SafeFormatter()
    ours = [record for record in caplog.records if record.name.startswith("careledger")]
    assert canary not in "\n".join(map(formatter.format, ours))
    assert canary not in str([vars(record) for record in ours])


# -- random requests --------------------------------------------------------------------------------------

SEGMENTS = [
    *(
        "Patient",
        "Observation",
        "Bundle",
        "Binary",
        "metadata",
        "_history",
        "_search",
        "*",
        "1",
        "nobody",
        "",
    ),
    *(
        "$everything",
        "$match",
        "$validate",
        "$meta",
        "$submitted",
        "$proof",
        "$nonsense",
        "..",
        "%2e%2e",
        "ä",
    ),
    *("a" * 65, "Patient%2F1", "x y", "'", "\x7f", "_history/1", "0", "-1", "9" * 30, "%00", "%ff", "💥"),
]
NAMES = [
    *("_id", "_count", "_sort", "_include", "_revinclude", "_has:Observation:subject:code", "_page", "_type"),
    *("_summary", "_elements", "_total", "_format", "_pretty", "_since", "family", "birthdate", "identifier"),
    *(
        "name:exact",
        "subject:Patient.name",
        "value-quantity",
        "code-value-quantity",
        "date",
        "x",
        "",
        "_lastUpdated",
    ),
]
TEXTS = [
    "",
    "1",
    "x",
    "*",
    "-1",
    "2020",
    "gt2020-01-01",
    "a|b",
    "|",
    "$",
    "\\",
    ",",
    "%",
    "🙂",
    "' OR 1=1 --",
    "a" * 600,
]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b'{"resourceType":"Patient"}',
    b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient"}}]}',
    b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"x"}}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient"}}]}',
    b'[{"op":"add","path":"/x","value":1}]',
    b"name=x&_count=1",
    b"\xff\xfe",
]
TYPES = [
    FHIR,
    "application/json",
    "application/json-patch+json",
    "application/x-www-form-urlencoded",
    "text/html",
    "",
]
HEADERS = {
    "if-match": ['W/"1"', "*", "x", 'W/""'],
    "if-none-match": ['W/"1"', "*", "x"],
    "if-none-exist": ["_id=1", "", "x", "name=%ff"],
    "if-modified-since": ["x", "Sun, 22 Nov 2026 18:18:32 GMT", "Sun, 99 Nov 99999 18:18:32 GMT"],
    "prefer": ["return=minimal", "handling=lenient", ";;,,=", "return=OperationOutcome"],
    "accept": ["*/*", "application/fhir+json", "text/html", ",;q=x", "application/fhir+json;fhirVersion=4.0"],
    "range": ["bytes=0-1"],
    "expect": ["100-continue"],
}


def random_request(chance: random.Random) -> tuple[str, str, bytes | None, dict[str, str]]:
    path = "/".join(chance.choices(SEGMENTS, k=chance.choice([0, 1, 1, 2, 2, 2, 3, 4, 5])))
    if chance.random() < 0.5:
        pairs = [f"{chance.choice(NAMES)}={chance.choice(TEXTS)}" for _ in range(chance.randint(1, 4))]
        path += "?" + "&".join(pairs)
    method = chance.choice(
        ["GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
    )
    body = chance.choice(BODIES) if chance.random() < 0.6 else None
    headers = {name: chance.choice(values) for name, values in HEADERS.items() if chance.random() < 0.15}
    if body is not None:
        headers["content-type"] = chance.choice(TYPES)
    return method, path, body, headers


@pytest.mark.parametrize("seed", range(4))
def test_random_requests_are_answered_and_never_break_the_site(
    runner: asyncio.Runner, stack: FhirStack, seed: int
) -> None:
    chance = random.Random(f"fhir-{seed}")

    async def act() -> None:
        caller = stack.caller()
        for _ in range(250):
            method, path, body, headers = random_request(chance)
            try:
                answer = await caller.send(method, path, body, headers)
            except (httpx.InvalidURL, UnicodeEncodeError):
                continue  # no client can send that
            told = (method, path, body, headers, answer.text[:300])
            assert answer.status_code < 500, told
            is_below = answer.request.url.path.startswith("/fhir")  # clients resolve dots themselves
            if answer.status_code >= 400 and method != "HEAD" and is_below:
                assert read_resource(answer.content)["resourceType"] == "OperationOutcome", told
            uuid.UUID(answer.headers["x-request-id"])
        assert stack.site.writer.failure is None

    runner.run(act())
