"""The edge and what it uses: ids, headers, last resort, logs, metrics, problems, bodies, rates."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import uuid

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from careledger.primitives.errors import Rejected, Unavailable, code_spaces
from careledger.web import rates
from careledger.web.bodies import read_body
from careledger.web.edge import Edge, state_of
from careledger.web.errors import OVERLOADED, ROUTE_UNKNOWN, TOKEN_MISSING, HttpRefused, method_not_allowed
from careledger.web.logs import (
    RequestLine,
    RequestLog,
    Safe,
    SafeFormatter,
    configure_logging,
    describe_error,
)
from careledger.web.metrics import Metrics, format_labels
from careledger.web.problem import problem_of
from careledger.web.rates import RateLimiter

UUID = "0f3c1c52-97f2-4a51-9f8e-3b2b6c1d7e10"
NOW_MS = 1_795_000_000_000


class Behind:
    """An application that does what it is told."""

    def __init__(self, error: Exception | None = None, *, begins: bool = False) -> None:
        self.error = error
        self.begins = begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        state_of(scope).route = Safe("/made/{up}")
        if self.begins or self.error is None:
            headers = [(b"content-type", b"text/plain"), (b"content-security-policy", b"own")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.body", "body": b"ok"})


def ask(app: Behind, *, in_flight_max: int = 10, **headers: str) -> tuple[httpx.Response, Metrics, str]:
    metrics, stream = Metrics("site-a"), io.StringIO()
    log = RequestLog(stream, "site-a")
    edge = Edge(app, metrics=metrics, log=log, clock_ms=lambda: NOW_MS, in_flight_max=in_flight_max)

    async def act() -> httpx.Response:
        transport = httpx.ASGITransport(app=edge)
        async with httpx.AsyncClient(transport=transport) as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.get("http://a.example/secret/path?name=secret", headers=sent)

    try:
        answer = asyncio.run(act())
    finally:
        log.flush()
    return answer, metrics, stream.getvalue()


def test_every_answer_has_an_id_and_the_headers() -> None:
    answer, metrics, logged = ask(Behind(), x_request_id=UUID.upper())
    assert answer.text == "ok"
    assert answer.headers["x-request-id"] == UUID
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get_list("content-security-policy") == ["own"]
    line = json.loads(logged)
    assert line["request_id"] == UUID
    assert line["route"] == "/made/{up}"
    assert line["status"] == 200
    assert line["time"] == "2026-11-18T11:06:40.000Z"
    assert "secret" not in logged
    shown = metrics.render().decode()
    assert (
        'careledger_http_requests_total{site="site-a",method="GET",route="/made/{up}",status="200"} 1'
        in shown
    )
    assert "secret" not in shown
    assert metrics.in_flight == 0


def test_a_new_id_is_a_uuid() -> None:
    answers = [ask(Behind(), x_request_id=given)[0] for given in ("smith", UUID + "0", "")]
    made = {answer.headers["x-request-id"] for answer in answers}
    assert len(made) == 3
    for one in made:
        uuid.UUID(one)


@pytest.mark.parametrize(
    ("error", "status", "code", "header"),
    [
        (Rejected(TOKEN_MISSING), 401, "web.TOKEN_MISSING", "www-authenticate"),
        (Unavailable(OVERLOADED), 503, "web.OVERLOADED", "retry-after"),
        (method_not_allowed(["GET", "PUT"]), 405, "web.METHOD_NOT_ALLOWED", "allow"),
        (HTTPException(404), 404, "web.ROUTE_UNKNOWN", "content-type"),
        (HTTPException(405, headers={"Allow": "GET"}), 405, "web.METHOD_NOT_ALLOWED", "allow"),
        (HTTPException(400), 400, "web.REFUSED", "content-type"),
        (KeyError("a secret"), 500, "web.INTERNAL", "content-type"),
    ],
)
def test_what_escapes_becomes_a_problem(
    error: Exception, status: int, code: str, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer, metrics, logged = ask(Behind(error))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert header in answer.headers
    problem = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["type"] == f"urn:careledger:error:{code.replace('.', ':')}"
    assert "secret" not in answer.text + logged + str([vars(record) for record in caplog.records])
    assert ("careledger_errors_unforeseen_total" in metrics.render().decode()) is (status == 500)
    assert bool(caplog.records) is (status == 500)


def test_an_answer_that_had_begun_is_cut() -> None:
    with pytest.raises(KeyError):
        ask(Behind(KeyError("x"), begins=True))


def test_a_full_site_says_so() -> None:
    answer, _, _ = ask(Behind(), in_flight_max=0)
    assert answer.status_code == 503
    assert answer.json()["code"] == "web.OVERLOADED"


def test_every_code_is_a_problem() -> None:
    for space in code_spaces():
        for code in space.codes():
            problem = problem_of(Rejected(code, "more", at="here"))
            document = problem.document(UUID)
            assert document["status"] == code.category.http_status
            assert document["detail"] == "more"
            assert document["at"] == "here"


# -- logs -------------------------------------------------------------------------------------------------


def fail_within() -> None:
    """A refusal with a cause, both with words that must not be logged."""
    cause = ValueError("secret cause")
    raise Rejected(ROUTE_UNKNOWN, "secret detail") from cause


def test_only_safe_values_are_logged() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter())
    logger = logging.getLogger("careledger.test.redaction")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        try:
            fail_within()
        except Rejected:
            logger.exception(
                "event %s %d", "secret", 7, extra={"name_": "secret", "kind": Safe("fine"), "count": 3}
            )
        logger.warning({"secret": 1})
    finally:
        logger.removeHandler(handler)
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert "secret" not in stream.getvalue().replace("secret_", "")
    assert first["event"] == "event %s %d"
    assert first["arguments"] == ["redacted", 7]
    assert (first["name_"], first["kind"], first["count"]) == ("redacted", "fine", 3)
    assert first["error"]["type"] == "Rejected"
    assert first["error"]["code"] == "web.ROUTE_UNKNOWN"
    assert first["error"]["cause"]["type"] == "ValueError"
    assert re.match(r"test_web_edge\.py:\d+ ", first["error"]["at"][0])
    assert second["event"] == "redacted"


def test_logging_is_configured_for_all_of_the_process() -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    try:
        configure_logging(stream, "INFO")
        logging.getLogger("a.library.of.others").warning("a word %s", "secret")
        logging.getLogger("elsewhere").debug("unheard")
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in before:
            root.addHandler(handler)
        root.setLevel(level)
    assert json.loads(stream.getvalue())["event"] == "a word %s"
    assert "secret" not in stream.getvalue()


def test_an_error_is_described_without_its_words() -> None:
    def fail() -> None:
        raise OSError("/a/secret/path")

    with pytest.raises(OSError, match="secret") as caught:
        fail()
    described = describe_error(caught.value)
    assert described["type"] == "OSError"
    assert "secret" not in str(described)


def test_the_request_log_is_written_in_bunches() -> None:
    stream = io.StringIO()
    log = RequestLog(stream, "s")
    for number in range(250):
        log.note(
            NOW_MS + number,
            RequestLine(
                request_id="r",
                method="GET",
                route="/",
                type="",
                status=200,
                code="",
                client="",
                duration_us=1,
            ),
        )
    assert len(stream.getvalue().splitlines()) == 200
    log.flush()
    times = [json.loads(line)["time"] for line in stream.getvalue().splitlines()]
    assert times == sorted(times)
    assert times[-1].endswith(".249Z")


# -- metrics ----------------------------------------------------------------------------------------------


def test_durations_are_counted_in_buckets() -> None:
    metrics = Metrics("s")
    for duration_us in (400, 500, 501, 6_000_000):
        metrics.count_request("GET", "/x", 200, duration_us)
    metrics.count("careledger_things_total", "Things.", 2)
    metrics.watch("careledger_depth", "Depth.", lambda: 7)
    shown = metrics.render().decode()
    labels = 'site="s",method="GET",route="/x"'
    assert f'careledger_http_request_seconds_bucket{{{labels},le="0.0005"}} 2' in shown
    assert f'careledger_http_request_seconds_bucket{{{labels},le="0.001"}} 3' in shown
    assert f'careledger_http_request_seconds_bucket{{{labels},le="5"}} 3' in shown
    assert f'careledger_http_request_seconds_bucket{{{labels},le="+Inf"}} 4' in shown
    assert f"careledger_http_request_seconds_count{{{labels}}} 4" in shown
    assert f"careledger_http_request_seconds_sum{{{labels}}} 6.001401" in shown
    assert 'careledger_things_total{site="s"} 2' in shown
    assert 'careledger_depth{site="s"} 7' in shown
    for line in shown.splitlines():
        assert line.startswith("# ") or re.fullmatch(r'[a-z_]+\{([a-z]+="[^"]*",?)+\} [0-9.]+', line), line


def test_labels_are_escaped() -> None:
    assert format_labels((("a", 'x"\\\n'),)) == '{a="x\\"\\\\\\n"}'
    assert format_labels(()) == ""


# -- bodies and rates -------------------------------------------------------------------------------------


def receiving(*parts: bytes, ends: bool = True) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append(
        {"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"}
    )
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    return receive


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=8), max_size=5), st.integers(0, 40))
def test_bodies_are_read_up_to_their_limit(parts: list[bytes], limit: int) -> None:
    whole = b"".join(parts)
    if len(whole) <= limit:
        assert asyncio.run(read_body(receiving(*parts), None, limit)) == whole
    else:
        with pytest.raises(Rejected, match="BODY_TOO_LARGE"):
            asyncio.run(read_body(receiving(*parts), None, limit))


@pytest.mark.parametrize(
    ("length", "code"),
    [
        (b"11", "BODY_TOO_LARGE"),
        (b"-1", "REQUEST_MALFORMED"),
        (b"x", "REQUEST_MALFORMED"),
        (b"9" * 20, "REQUEST_MALFORMED"),
    ],
)
def test_a_declared_length_is_judged_before_anything_is_read(length: bytes, code: str) -> None:
    async def never() -> Message:
        raise AssertionError("the body was read")

    with pytest.raises(Rejected, match=code):
        asyncio.run(read_body(never, length, 10))


def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careledger.web.bodies.BODY_S", 0.02)

    async def never() -> Message:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits that long")

    with pytest.raises(HttpRefused) as caught:
        asyncio.run(read_body(never, b"5", 10))
    assert caught.value.status == 408


def test_a_client_that_goes_away() -> None:
    with pytest.raises(Rejected, match="CLIENT_GONE"):
        asyncio.run(read_body(receiving(b"ab", ends=False), None, 10))


def test_a_client_may_ask_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW_MS]
    limiter = RateLimiter(10, clock_ms=lambda: now[0])
    for _ in range(20):
        limiter.admit("a")
    with pytest.raises(Unavailable, match="TOO_MANY_REQUESTS"):
        limiter.admit("a")
    limiter.admit("b")
    now[0] += 99
    with pytest.raises(Unavailable):
        limiter.admit("a")
    now[0] += 1
    limiter.admit("a")
    now[0] -= 10_000  # a clock set back gives nothing away and takes nothing
    with pytest.raises(Unavailable):
        limiter.admit("a")
    monkeypatch.setattr(rates, "CLIENTS_MAX", 3)
    for number in range(10):
        limiter.admit(f"c{number}")
    assert len(limiter._buckets) <= 3
    free = RateLimiter(0, clock_ms=lambda: now[0])
    for _ in range(100):
        free.admit("a")
