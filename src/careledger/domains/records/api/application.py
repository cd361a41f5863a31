"""The FHIR base as an ASGI application: from an HTTP request to a handler and back (FHIR R4 §3.1.0).

1. The address gives the route: 404 and 405 are decided before anything is read.
2. The token gives the requester and their rights of now.
3. The body is read within its limit; then the handler answers.
4. Whatever is raised on the way becomes an OperationOutcome. An answer that something does not exist waits until a
   fixed time has passed since the request came, so that its timing does not tell what is hidden from what is not there.

Plain ASGI, since every microsecond here is on the path of every read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from typing import Final

from starlette.types import Receive, Scope, Send

from careledger.domains.records.api.access import LETTERS, Access
from careledger.domains.records.api.interaction import LEDGER_HEADER, FhirAnswer, FhirRequest
from careledger.domains.records.api.negotiation import FHIR_JSON, PLAIN, read_presentation
from careledger.domains.records.api.outcomes import Refusal, refusal_of
from careledger.domains.records.api.rendering import present
from careledger.domains.records.api.routing import MOUNT, Address, Route, Shape, parse_address
from careledger.domains.records.api.site import LARGE_BYTES, FhirSite
from careledger.domains.records.service.index.scope import Scope as IndexScope
from careledger.primitives.errors import Rejected
from careledger.web.bodies import read_body
from careledger.web.edge import RequestState, state_of
from careledger.web.errors import TOKEN_MISSING
from careledger.web.logs import Safe, describe_error
from careledger.web.principal import Principal
from careledger.web.smart_scopes import GrantedScopes
from careledger.web.tokens import bearer_token

_LOG = logging.getLogger(__name__)
_PREFIX: Final = f"/{MOUNT}"
_HIDDEN: Final = frozenset({404, 410})
_INSTANCES: Final = frozenset(
    {
        Shape.INSTANCE,
        Shape.INSTANCE_HISTORY,
        Shape.INSTANCE_OPERATION,
        Shape.VERSION,
        Shape.VERSION_OPERATION,
    }
)
_READS: Final = frozenset({"read", "vread"})
_COMMITTED: Final = (LEDGER_HEADER, b"committed")
_PENDING: Final = (LEDGER_HEADER, b"pending")
_NOBODY: Final = Access(
    Principal(organisation="", subject="", client_id="", role="", scopes=GrantedScopes()),
    {letter: IndexScope() for letter in LETTERS},
    frozenset(),
    0,
)
"""The requester of what needs no token: nothing exists for them."""
_TEMPLATES: Final = {shape: Safe(shape.value) for shape in Shape}
_TYPES: dict[str, Safe] = {}
_DATES: Final[dict[int, bytes]] = {}
_DATES_MAX: Final = 4_096
Headers = list[tuple[bytes, bytes]]


def _http_date(instant_ms: int) -> bytes:
    """Return an HTTP date; the last few seconds' are kept."""
    second = instant_ms // 1_000
    text = _DATES.get(second)
    if text is None:
        if len(_DATES) >= _DATES_MAX:
            _DATES.clear()
        text = _DATES[second] = formatdate(second, usegmt=True).encode("ascii")
    return text


def _type_name(resource_type: str) -> Safe:
    """Return a known type's name as it may be logged."""
    known = _TYPES.get(resource_type)
    if known is None:
        known = _TYPES[resource_type] = Safe(resource_type)
    return known


class FhirApplication:
    """Answers everything below the FHIR base of one site."""

    def __init__(self, site: FhirSite) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        state = state_of(scope)
        method = scope["method"]
        is_head = method == "HEAD"
        shape: Shape | None = None
        try:
            address = parse_address(scope["path"].removeprefix(_PREFIX).removeprefix("/"))
            shape = address.shape
            state.route = _TEMPLATES[shape]
            state.resource_type = _type_name(address.resource_type)
            route = self._site.table.find(self._site, "GET" if is_head else method, address)
            answer, request = await self._answer(scope, receive, state, address, route)
            present(answer, request.presentation, is_read=route.interaction in _READS)
        except Exception as error:  # noqa: BLE001 - every fault is answered with an OperationOutcome
            refusal = self._refuse(error, state)
            if refusal.status in _HIDDEN and shape in _INSTANCES:
                await self._wait_out(state)
            await _send(send, refusal.status, refusal.body, [_content(FHIR_JSON), *refusal.headers], is_head)
            return
        await _send(send, answer.status, answer.body, self._headers(answer), is_head)

    async def _answer(
        self, scope: Scope, receive: Receive, state: RequestState, address: Address, route: Route
    ) -> tuple[FhirAnswer, FhirRequest]:
        site = self._site
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, value)
        query = scope["query_string"].decode("latin-1")
        access = self._authenticate(headers, state) if route.needs_token else _NOBODY
        presentation = PLAIN
        accept, prefer = headers.get(b"accept", b""), headers.get(b"prefer", b"")
        if accept or prefer or query:
            presentation = read_presentation(accept, prefer, query)
        request = FhirRequest(
            method=route.method,
            resource_type=address.resource_type,
            resource_id=address.resource_id,
            version=address.version,
            inner_type=address.inner_type,
            operation=address.operation,
            query=query,
            headers=headers,
            access=access,
            request_id=state.request_id,
            received_ms=site.clock_ms(),
            presentation=presentation,
        )
        if not route.takes_body:
            return await route.handler(site, request), request
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) < LARGE_BYTES:
            request.body = await read_body(receive, length, site.settings.body_bytes_max)
            return await route.handler(site, request), request
        async with site.large:
            request.body = await read_body(receive, length, site.settings.body_bytes_max)
            return await route.handler(site, request), request

    def _authenticate(self, headers: dict[bytes, bytes], state: RequestState) -> Access:
        """Return the rights of the request's token.

        Raises:
            Rejected: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED.
            Unavailable: TOO_MANY_REQUESTS.
        """
        site = self._site
        token = bearer_token(headers.get(b"authorization", b""))
        if token is None:
            raise Rejected(TOKEN_MISSING)
        principal = site.verifier.verify(token)
        state.client_id = Safe(principal.client_id)
        site.limiter.admit(principal.client_id)
        return site.policy.access_of(principal)

    def _refuse(self, error: Exception, state: RequestState) -> Refusal:
        refusal = refusal_of(error, state.request_id)
        state.code = Safe(refusal.code)
        if refusal.status == 500:
            _LOG.error(
                "request failed",
                extra={
                    "request_id": Safe(state.request_id),
                    "route": state.route,
                    "failure": Safe(str(describe_error(error))),
                },
            )
        return refusal

    async def _wait_out(self, state: RequestState) -> None:
        passed_ms = (time.perf_counter_ns() - state.started_ns) / 1_000_000
        await asyncio.sleep(max(0.0, self._site.settings.answer_floor_ms - passed_ms) / 1_000)

    def _headers(self, answer: FhirAnswer) -> Headers:
        headers: Headers = []
        if answer.body:
            headers.append(_content(answer.content_type or FHIR_JSON))
        if answer.version:
            headers.append((b"etag", b'W/"' + answer.version.encode("ascii") + b'"'))
        if answer.updated_ms is not None:
            headers.append((b"last-modified", _http_date(answer.updated_ms)))
        if answer.location:
            headers.append((b"location", f"{self._site.base_url}/{answer.location}".encode("ascii")))
        if answer.is_committed is not None:
            headers.append(_COMMITTED if answer.is_committed else _PENDING)
        headers.extend(answer.headers)
        return headers


def _content(content_type: bytes) -> tuple[bytes, bytes]:
    return b"content-type", content_type


async def _send(send: Send, status: int, body: bytes, headers: Headers, is_head: bool) -> None:
    if status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head or status in (204, 304) else body})
