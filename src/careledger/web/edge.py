"""The outermost layer of a site's HTTP face: request ids, security headers, log line, metrics, last resort.

Every request passes here once, whatever answers it. Written as plain ASGI, since it is on every hot path. What
escapes an application becomes a problem document with a request id and nothing else; the log shows its type and
place.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from careledger.primitives.errors import Unavailable
from careledger.web import problem
from careledger.web.errors import OVERLOADED
from careledger.web.logs import RequestLine, RequestLog, Safe, describe_error
from careledger.web.metrics import Metrics

STATE_KEY: Final = "careledger.request"
IN_FLIGHT_MAX: Final = 4_096
"""Requests under way in one site; more are told to come again."""

_LOG = logging.getLogger(__name__)
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_IDS: Final = random.Random(os.urandom(32))  # noqa: S311 - names of requests are no secrets
"""Seeded by the system once: asking it for every request would give the interpreter lock away each time."""
_UNROUTED: Final = Safe("unrouted")
_NONE: Final = Safe("")

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
API_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")
"""For everything that is no page: nothing in it may run or load, whatever it holds."""


_ADDED: Final = (*SECURITY_HEADERS, API_POLICY)
_REPLACEABLE: Final = frozenset(name for name, _ in _ADDED)
"""Headers that an application may set otherwise, as pages do."""


@dataclass(slots=True)
class RequestState:
    """What the layers tell each other about one request."""

    request_id: str
    started_ns: int
    route: Safe = _UNROUTED
    """Template of the route that took the request."""
    client_id: Safe = _NONE
    """Registered application that asks; not a person."""
    resource_type: Safe = _NONE
    """FHIR resource type, where there is one."""
    code: Safe = _NONE
    """Code of a refusal."""


def state_of(scope: Scope) -> RequestState:
    """Return the state of a request that passed the edge."""
    found = scope.get(STATE_KEY)
    if not isinstance(found, RequestState):
        raise TypeError("the application is not behind an edge")
    return found


def _request_id(scope: Scope) -> str:
    """Return the client's request id if it is a UUID, else a new one.

    Other texts are not taken over: they could be anybody's name, and request ids are logged.
    """
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            if _UUID.fullmatch(value):
                return str(value, "ascii").lower()
            break
    raw = f"{_IDS.getrandbits(128):032x}"
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


class Edge:
    """Wraps a site's application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        log: RequestLog | None,
        clock_ms: Callable[[], int],
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log
        self._clock_ms = clock_ms
        self._in_flight_max = in_flight_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        state = RequestState(_request_id(scope), time.perf_counter_ns())
        scope[STATE_KEY] = state
        metrics = self._metrics
        status = 0
        request_header = (b"x-request-id", state.request_id.encode("ascii"))

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                own = [name for name, _ in headers if name in _REPLACEABLE]
                added = [one for one in _ADDED if one[0] not in own] if own else _ADDED
                message["headers"] = [*headers, request_header, *added]
            await send(message)

        metrics.in_flight += 1
        try:
            if metrics.in_flight > self._in_flight_max:
                await send_problem(send_on, state, Unavailable(OVERLOADED))
            else:
                await self._app(scope, receive, send_on)
        except Exception as error:
            if status or not problem.is_foreseen(error):
                self._report(error, state)
            if status:
                raise  # the answer had begun: only cutting the connection tells the client
            await send_problem(send_on, state, error)
        finally:
            metrics.in_flight -= 1
            self._note(scope, state, status)

    def _report(self, error: Exception, state: RequestState) -> None:
        metrics = self._metrics
        metrics.count("careledger_errors_unforeseen_total", "Requests that failed for no reason of theirs.")
        _LOG.error(
            "request failed",
            extra={
                "request_id": Safe(state.request_id),
                "route": state.route,
                "failure": Safe(str(describe_error(error))),
            },
        )

    def _note(self, scope: Scope, state: RequestState, status: int) -> None:
        """Count the request and write its log line."""
        route = state.route
        if route is _UNROUTED:
            known = scope.get("route")
            template = getattr(known, "path", None)
            if isinstance(template, str):
                route = Safe(template)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        duration_us = (time.perf_counter_ns() - state.started_ns) // 1_000
        self._metrics.count_request(method, str(route), status, duration_us)
        if self._log is not None:
            line = RequestLine(
                request_id=state.request_id,
                method=method,
                route=str(route),
                type=str(state.resource_type),
                status=status,
                code=str(state.code),
                client=str(state.client_id),
                duration_us=duration_us,
            )
            self._log.note(self._clock_ms(), line)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def send_problem(send: Send, state: RequestState, error: Exception) -> None:
    """Answer with a problem document."""
    found = problem.problem_of(error)
    state.code = Safe(found.code)
    body = found.encode(state.request_id)
    headers = [
        (b"content-type", problem.CONTENT_TYPE),
        (b"content-length", str(len(body)).encode("ascii")),
        *found.headers,
    ]
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
