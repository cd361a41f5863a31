"""One site's HTTP face: the faces of its domains, its pages, its health, behind one edge.

The first segment of an address chooses the domain, by one dictionary look-up; what no domain owns goes to the site's
own routes. Errors outside of a domain are problem documents.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from careledger.gateway.openapi import build_openapi
from careledger.gateway.start_page import start_page
from careledger.primitives.errors import CodedError
from careledger.web.edge import Edge, state_of
from careledger.web.errors import HttpRefused
from careledger.web.health import Probe, health_routes
from careledger.web.logs import RequestLog, Safe
from careledger.web.manifest import DomainFace, Operation
from careledger.web.metrics import Metrics
from careledger.web.pages import PageShell, serve_asset
from careledger.web.problem import CONTENT_TYPE, problem_of

Step = Callable[[], Awaitable[None]]
_RESERVED = frozenset({"", "livez", "readyz", "metrics", "static", "openapi.json", "auth", ".well-known"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """Where a site's TLS certificate lies; TLS 1.2 is the least that is spoken."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteApp:
    """One site, ready to be served."""

    name: str
    host: str
    port: int
    """0 to have one chosen."""
    app: ASGIApp
    start: Sequence[Step] = ()
    """Run in order before the port opens."""
    stop: Sequence[Step] = ()
    """Run in order after the last request was answered."""
    log: RequestLog | None = None
    """Flushed while the site is served and when it stops."""
    tls: TLSFiles | None = None
    """None for plain HTTP."""
    metrics: Metrics = field(default_factory=lambda: Metrics(""))


class _Faces:
    """Chooses the face by the first segment of the address."""

    def __init__(self, faces: Sequence[DomainFace], rest: ASGIApp) -> None:
        self._faces = {face.mount: face.app for face in faces}
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path: str = scope.get("path", "")
        face = self._faces.get(path[1:].partition("/")[0]) if scope["type"] == "http" else None
        await (face or self._rest)(scope, receive, send)


def build_site(
    *,
    name: str,
    title: str,
    site_url: str,
    host: str,
    port: int,
    faces: Sequence[DomainFace],
    clock_ms: Callable[[], int],
    probes: Mapping[str, Probe],
    routes: Sequence[BaseRoute] = (),
    operations: Sequence[Operation] = (),
    log_to: TextIO | None = None,
    start: Sequence[Step] = (),
    stop: Sequence[Step] = (),
    software_version: str = "",
    tls: TLSFiles | None = None,
) -> SiteApp:
    """Put a site's HTTP face together.

    Args:
        name: short name of the organisation.
        title: how the site calls itself.
        site_url: `http://host:port` without a final slash, as clients write it.
        host: address to listen on.
        port: TCP port.
        faces: the manifests of the domains that are served.
        clock_ms: current time.
        probes: what must work for the site to be ready, by name.
        routes: further routes of the site, such as pages and authentication.
        operations: what those routes do, for the API document.
        log_to: where the request log goes; None for none.
        start: run in order before the port opens.
        stop: run in order after the last request was answered.
        software_version: shown on the start page and in documents.
        tls: certificate and key; None for plain HTTP.

    Raises:
        ValueError: Two faces want the same addresses, or one that the site needs.
    """
    _check_mounts(faces)
    metrics = Metrics(name)
    shell = PageShell(site=name, title=title, packages={"gateway": "careledger.gateway"})
    document = build_openapi(
        title=title, version=software_version, site_url=site_url, faces=faces, operations=operations
    )
    start_face = start_page(shell, title=title, site_url=site_url, faces=faces, probes=probes)
    starlette = Starlette(
        routes=[
            Route("/", start_face, name="start"),
            Route("/openapi.json", _showing(document)),
            Route("/static/{name}", serve_asset),
            *health_routes(metrics, probes),
            *routes,
        ],
        exception_handlers={CodedError: _refuse, HttpRefused: _refuse, HTTPException: _refuse},
    )
    log = RequestLog(log_to, name) if log_to is not None else None
    return SiteApp(
        name=name,
        host=host,
        port=port,
        app=Edge(_Faces(faces, starlette), metrics=metrics, log=log, clock_ms=clock_ms),
        start=start,
        stop=(*(_closing(face) for face in faces), *stop),
        log=log,
        tls=tls,
        metrics=metrics,
    )


def _check_mounts(faces: Sequence[DomainFace]) -> None:
    mounts = [face.mount for face in faces]
    if len(set(mounts)) != len(mounts) or _RESERVED.intersection(mounts):
        raise ValueError("mounts must be distinct and none of the site's own")


def _showing(document: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def show(_: Request) -> Response:
        return Response(document, media_type="application/json")

    return show


def _closing(face: DomainFace) -> Step:
    async def close() -> None:
        face.close()

    return close


async def _refuse(request: Request, error: Exception) -> Response:
    state = state_of(request.scope)
    problem = problem_of(error)
    state.code = Safe(problem.code)
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in problem.headers}
    return Response(
        problem.encode(state.request_id),
        problem.status,
        headers=headers,
        media_type=CONTENT_TYPE.decode("ascii"),
    )
