"""The page shell: templates, the one stylesheet, and the headers that pages are served with.

Pages load nothing from another origin and run no inline script; every value is escaped where it is put in. What a
page shows is its domain's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ASSET_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ASSET_AGE_S: Final = 86_400


class PageShell:
    """Renders pages of one site."""

    def __init__(self, *, site: str, title: str, packages: Mapping[str, str] | None = None) -> None:
        """Build a shell.

        Args:
            site: short name of the organisation.
            title: how the site calls itself.
            packages: per prefix the package whose `templates` folder holds a domain's pages.
        """
        shell = PackageLoader("careledger.web")
        domains = {prefix: PackageLoader(package) for prefix, package in (packages or {}).items()}
        self._environment = Environment(
            loader=ChoiceLoader([shell, PrefixLoader(domains)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(site=site, site_title=title, stylesheet=stylesheet_path())

    def render(self, template: str, values: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
        """Return a page."""
        text = self._environment.get_template(template).render(values)
        return HTMLResponse(text, status, headers={"content-security-policy": PAGE_POLICY})


@cache
def _asset(name: str) -> bytes | None:
    """Return a packaged asset, or None; names come from addresses and are matched against the folder."""
    for entry in files("careledger.web").joinpath("static").iterdir():
        if entry.name == name:
            return entry.read_bytes()
    return None


@cache
def stylesheet_path() -> str:
    """Return the stylesheet's address; it changes with the content, so that browsers may keep it."""
    content = _asset("careledger.css") or b""
    return f"/static/careledger.css?v={sha256(content).hexdigest()[:12]}"


async def serve_asset(request: Request) -> Response:
    """Answer `/static/{name}`."""
    name = str(request.path_params["name"])
    content = _asset(name) if len(name) <= 64 else None
    suffix = name[name.rfind(".") :] if "." in name else ""
    if content is None or suffix not in _ASSET_TYPES:
        return Response(status_code=404)
    headers = {"cache-control": f"public, max-age={_ASSET_AGE_S}", "content-security-policy": PAGE_POLICY}
    return Response(content, media_type=_ASSET_TYPES[suffix], headers=headers)
