"""`/livez`, `/readyz` and `/metrics`: whether the process runs, whether the site can serve, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from careledger.web.metrics import CONTENT_TYPE, Metrics

Probe = Callable[[], bool]
"""Says at once whether one thing works; must not wait for anything."""

_JSON: Final = "application/json"


def check_all(probes: Mapping[str, Probe]) -> dict[str, bool]:
    """Ask every probe; one that fails counts as not working."""
    found: dict[str, bool] = {}
    for name, probe in probes.items():
        try:
            found[name] = probe()
        except Exception:  # noqa: BLE001 - a probe that breaks is the finding, and is reported as such
            found[name] = False
    return found


def health_routes(metrics: Metrics, probes: Mapping[str, Probe]) -> list[Route]:
    """Return the operational routes of a site."""

    async def live(_: Request) -> Response:
        return Response(b'{"status":"live"}', media_type=_JSON)

    async def ready(_: Request) -> Response:
        found = check_all(probes)
        is_ready = all(found.values())
        body = {
            "status": "ready" if is_ready else "not ready",
            "checks": {name: "ok" if works else "failed" for name, works in found.items()},
        }
        return Response(msgspec.json.encode(body), 200 if is_ready else 503, media_type=_JSON)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": CONTENT_TYPE.decode("ascii")})

    return [
        Route("/livez", live, methods=["GET"]),
        Route("/readyz", ready, methods=["GET"]),
        Route("/metrics", show_metrics, methods=["GET"]),
    ]
