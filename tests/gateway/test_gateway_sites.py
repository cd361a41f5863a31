"""A site's own addresses, its documents, and several sites served from one process."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import ssl
import warnings
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from careledger.domains.records.api.interactions import ROUTES
from careledger.domains.records.api.reference import list_operations
from careledger.gateway.application import SiteApp, TLSFiles, build_site
from careledger.gateway.reference import render_routes
from careledger.gateway.serving import HEAD_BYTES_MAX, RunningSites, serve_sites
from careledger.primitives.errors import Rejected
from careledger.web.errors import TOKEN_MISSING
from careledger.web.manifest import DomainFace, Operation, Parameter
from careledger.web.pages import PAGE_POLICY, stylesheet_path

T = TypeVar("T")
URL = "http://a.example"


async def refuse(_: Request) -> Response:
    raise Rejected(TOKEN_MISSING)


async def slow(_: Request) -> Response:
    await asyncio.sleep(0.2)
    return Response("done")


class Face:
    """A domain's application: a router and nothing around it."""

    def __init__(self) -> None:
        self.router = Router([Route("/made/up/{id}", refuse), Route("/made/slow", slow)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self  # a router raises what it refuses only if it knows an application above it
        await self.router(scope, receive, send)


def site(name: str = "a", *, ready: Callable[[], bool] = lambda: True, **more: Any) -> SiteApp:
    face = DomainFace(
        name="made",
        mount="made",
        app=Face(),
        text="Things that are made up.",
        operations=(
            Operation(
                method="GET",
                path="/up/{id}",
                name="readUp",
                text="One thing.",
                parameters=(Parameter(name="depth", place="query", text="How deep."),),
                answers={200: "The thing.", 204: "Nothing."},
                scopes=("made:read",),
            ),
            Operation(
                method="POST", path="/up", name="createUp", text="A new one.", request_type="application/json"
            ),
        ),
    )
    return build_site(
        name=name,
        title=f"Site {name} <b>bold</b>",
        site_url=URL,
        host="127.0.0.1",
        port=0,
        faces=[face],
        clock_ms=lambda: 0,
        probes={"storage": ready},
        **more,
    )


def get(app: SiteApp, path: str, method: str = "GET") -> httpx.Response:
    async def act() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app.app)) as client:
            return await client.request(method, f"{URL}{path}")

    return asyncio.run(act())


class Page(HTMLParser):
    """What matters of a page: its references, headings, language, label of the main part."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_start_page_is_its_own_and_loads_nothing_from_elsewhere() -> None:
    answer = get(site(), "/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    assert "&lt;b&gt;bold" in answer.text
    assert "<b>" not in answer.text
    page = Page(answer.text)
    for tag, attributes in page.tags:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("/", "#")), target
    assert page.named("script") == []
    assert page.named("html")[0]["lang"] == "en"
    assert len(page.named("h1")) == 1
    assert page.named("main")[0]["id"] == "main"
    assert {"class": "skip", "href": "#main"} in page.named("a")
    assert all(header["scope"] for header in page.named("th"))
    assert "Ready" in answer.text


def test_the_start_page_says_when_the_site_does_not_work() -> None:
    def broken() -> bool:
        raise OSError("details that nobody needs")

    answer = get(site(ready=broken), "/")
    assert "Not ready" in answer.text
    assert "details" not in answer.text
    readiness = get(site(ready=broken), "/readyz")
    assert readiness.status_code == 503
    assert readiness.json() == {"status": "not ready", "checks": {"storage": "failed"}}


def test_health_metrics_and_assets() -> None:
    app = site()
    assert get(app, "/livez").json() == {"status": "live"}
    assert get(app, "/readyz").json() == {"status": "ready", "checks": {"storage": "ok"}}
    shown = get(app, "/metrics")
    assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'route="/readyz",status="200"} 1' in shown.text
    sheet = get(app, stylesheet_path())
    assert sheet.headers["content-type"].startswith("text/css")
    assert "max-age" in sheet.headers["cache-control"]
    assert "prefers-color-scheme: dark" in sheet.text
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text
    for path in ("/static/nothing.css", "/static/..%2Fpages.py", "/static/pages.py", f"/static/{'x' * 90}"):
        assert get(app, path).status_code == 404


def contrast(first: str, second: str) -> float:
    """Contrast of two colours (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_colours_can_be_read_in_both_modes() -> None:
    text = get(site(), stylesheet_path()).text
    palettes = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{([^}]*)\}", text)
    ]
    assert len(palettes) == 2
    for palette in palettes:
        for name in ("ink", "quiet", "link", "good", "bad"):
            for ground in ("ground", "raised"):
                assert contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
        for name in ("line", "focus"):
            assert contrast(palette[name], palette["ground"]) >= 3


def test_errors_outside_of_a_domain_are_problems() -> None:
    app = site()
    for path, method, status, code in (
        ("/nothing", "GET", 404, "web.ROUTE_UNKNOWN"),
        ("/livez", "DELETE", 405, "web.METHOD_NOT_ALLOWED"),
        ("/made/up/1", "GET", 401, "web.TOKEN_MISSING"),
        ("/made/nothing", "GET", 404, "web.ROUTE_UNKNOWN"),
        ("/made/up/1", "PUT", 405, "web.METHOD_NOT_ALLOWED"),
    ):
        answer = get(app, path, method)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == code
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'route="/made/up/{id}",status="401"' in get(app, "/metrics").text
    assert "/nothing" not in get(app, "/metrics").text


def test_the_document_names_every_operation() -> None:
    document = get(site(), "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    read = document["paths"]["/made/up/{id}"]["get"]
    assert read["operationId"] == "made.readUp"
    assert read["security"] == [{"token": ["made:read"]}]
    assert [one["name"] for one in read["parameters"]] == ["depth", "id"]
    assert read["parameters"][1]["required"] is True
    assert set(read["responses"]) == {"200", "204", "default"}
    assert "content" not in read["responses"]["204"]
    assert document["paths"]["/made/up"]["post"]["requestBody"]["content"] == {"application/json": {}}
    assert document["paths"]["/livez"]["get"]["security"] == []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["security"] == [] and method == "get":
                assert get(site(), path).status_code == 200, path
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))


def test_the_reference_of_routes_names_every_operation_and_every_fhir_route() -> None:
    made = DomainFace(
        name="made",
        mount="made",
        app=Face(),
        text="Made up.",
        operations=(Operation(method="GET", path="/a|b", name="x", text="X."),),
    )
    fhir = DomainFace(name="records", mount="fhir", app=Face(), text="Records.", reference=list_operations())
    text = render_routes([made, fhir])
    assert text.index("`/fhir`") < text.index("`/made`")
    assert "| GET | `/made/a\\|b` | X. | yes |" in text
    assert "| GET | `/livez` | Whether the process runs. | public |" in text
    assert "| POST | `/auth/token` |" in text
    for route in ROUTES:
        assert f"| {route.method} | `{route.shape.value}` |" in text
    for line in (
        "| GET | `/fhir/{type}/{id}/_history/{version}/$submitted` |",
        "| POST | `/fhir/Patient/$match` |",
        "| GET | `/fhir/metadata` | What the site offers (CapabilityStatement). | public |",
    ):
        assert line in text


def test_two_faces_cannot_have_one_address() -> None:
    face = DomainFace(name="x", mount="metrics", app=Face(), text="x")
    other = DomainFace(name="y", mount="y", app=Face(), text="y")
    for faces in ([face], [other, other]):
        with pytest.raises(ValueError, match="distinct"):
            build_site(
                name="a",
                title="a",
                site_url=URL,
                host="127.0.0.1",
                port=0,
                faces=faces,
                clock_ms=lambda: 0,
                probes={},
            )


# -- serving ----------------------------------------------------------------------------------------------


def run(act: Callable[[], Awaitable[T]]) -> T:
    import uvloop

    async def wrapped() -> T:
        return await act()

    return uvloop.run(wrapped())


def test_several_sites_are_served_and_stop_gracefully() -> None:
    events: list[str] = []

    def step(name: str) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            events.append(name)

        return do

    stream = io.StringIO()
    sites = [
        site(name, start=(step(f"start {name}"),), stop=(step(f"stop {name}"),), log_to=stream)
        for name in "ab"
    ]

    async def act() -> None:
        running = RunningSites(sites)
        await running.start()
        assert len(set(running.ports.values())) == 2
        async with httpx.AsyncClient() as client:
            for name, port in running.ports.items():
                answer = await client.get(f"http://127.0.0.1:{port}/")
                assert f"Site {name}" in answer.text
                assert "server" not in answer.headers
            waiting = asyncio.create_task(client.get(f"http://127.0.0.1:{running.ports['a']}/made/slow"))
            await asyncio.sleep(0.05)
            await running.stop()
            assert (await waiting).text == "done"
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{running.ports['a']}/livez")

    run(act)
    assert events == ["start a", "start b", "stop b", "stop a"]
    assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 3


def test_a_taken_port_stops_what_was_started() -> None:
    events: list[str] = []

    async def note() -> None:
        events.append("started")

    async def act() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            busy = build_site(
                name="b",
                title="b",
                site_url=URL,
                host="127.0.0.1",
                port=taken.getsockname()[1],
                faces=[],
                clock_ms=lambda: 0,
                probes={},
            )
            with pytest.raises(OSError, match="ddress already in use"):
                await serve_sites([site(start=(note,)), busy])

    run(act)
    assert events == []


def test_serving_ends_when_told() -> None:
    async def act() -> None:
        until = asyncio.Event()
        serving = asyncio.create_task(serve_sites([site()], until=until))
        await asyncio.sleep(0.05)
        assert not serving.done()
        until.set()
        await asyncio.wait_for(serving, 5)

    run(act)


def test_a_site_speaks_tls_of_today_where_it_has_a_certificate(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(tz=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, key_file = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    async def act() -> None:
        running = RunningSites([site(tls=TLSFiles(chain=str(chain), key=str(key_file)))])
        await running.start()
        url = f"https://127.0.0.1:{running.ports['a']}/livez"
        try:
            trusting = ssl.create_default_context(cafile=str(chain))
            async with httpx.AsyncClient(verify=trusting) as client:
                assert (await client.get(url)).json() == {"status": "live"}
            old = ssl.create_default_context(cafile=str(chain))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                old.minimum_version = ssl.TLSVersion.TLSv1
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            async with httpx.AsyncClient(verify=old) as client:
                with pytest.raises(httpx.ConnectError):
                    await client.get(url)
        finally:
            await running.stop()

    run(act)


def test_a_head_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careledger.gateway.serving.HEAD_S", 0.3)

    async def wait_for_end(port: int, *parts: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.02)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.close()

    async def act() -> None:
        running = RunningSites([site()])
        await running.start()
        port = running.ports["a"]
        whole = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
        try:
            assert await wait_for_end(port) == b""
            assert await wait_for_end(port, b"GET / HT") == b""
            assert b"200 OK" in await wait_for_end(port, whole, b"GET / HTTP/1.1\r\nx: ")
            async with httpx.AsyncClient() as client:
                slowly = await client.get(f"http://127.0.0.1:{port}/made/slow")
                await asyncio.sleep(0.5)  # an idle connection between requests is not waited for
                again = await client.get(f"http://127.0.0.1:{port}/livez")
                assert (slowly.text, again.status_code) == ("done", 200)
        finally:
            await running.stop()

    run(act)


def test_a_head_without_end_is_cut_off() -> None:
    async def talk(port: int, *parts: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in parts:
            writer.write(part)
        try:
            return await asyncio.wait_for(reader.read(300), 5)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def act() -> None:
        running = RunningSites([site()])
        await running.start()
        port = running.ports["a"]
        try:
            endless = b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"a" * (HEAD_BYTES_MAX + 10)
            cut = await talk(port, endless)
            assert not cut or b" 431 " in cut
            many = [b"GET / HTTP/1.1\r\nhost: x\r\n"] + [b"x: " + b"a" * 1_000 + b"\r\n"] * 200
            assert b"200 OK" not in await talk(port, *many)
            big_body = b"POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + b"a" * 300_000
            assert b" 405 " in await talk(port, big_body)
            for nonsense in (
                b"\x00\x01\x02\r\n\r\n",
                b"GET\r\n\r\n",
                b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
            ):
                assert b" 200 " not in await talk(port, nonsense)
            alive = await talk(port, b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert b"200 OK" in alive
        finally:
            await running.stop()

    run(act)
