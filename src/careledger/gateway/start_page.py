"""A site's start page: what it is, where its interfaces are, whether it works, and what to try first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from careledger.web.health import Probe, check_all
from careledger.web.manifest import DomainFace
from careledger.web.pages import PageShell


def start_page(
    shell: PageShell,
    *,
    title: str,
    site_url: str,
    faces: Sequence[DomainFace],
    probes: Mapping[str, Probe],
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `/`."""
    shown = [
        {
            "name": face.name,
            "text": face.text,
            "url": f"{site_url}/{face.mount}",
            "document": f"/{face.mount}/{face.document}" if face.document else "",
        }
        for face in faces
    ]
    has_fhir = any(face.mount == "fhir" for face in faces)

    async def show(_: Request) -> Response:
        checks = check_all(probes)
        values = {
            "title": title,
            "site_url": site_url,
            "faces": shown,
            "checks": checks,
            "is_ready": all(checks.values()),
            "has_fhir": has_fhir,
        }
        return shell.render("gateway/start.html", values)

    return show
