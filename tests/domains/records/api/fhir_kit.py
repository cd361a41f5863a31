"""A complete small site behind its HTTP face, called in process: the real ledger, write path, index and access log."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx

from careledger.domains.records.api.assembly import RecordsFace, build_records_face
from careledger.domains.records.api.ports import ConsentPolicy, ProofSource, SharedHistory
from careledger.domains.records.api.site import ApiSettings
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.context import RecordsSettings
from careledger.gateway.application import SiteApp, build_site
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.search.extract import Extractor
from careledger.vault.keys import SigningSeed
from careledger.web.principal import Purpose
from careledger.web.tokens import TokenIssuer, TokenVerifier
from kit.sites import SETTINGS, TestSite, running_ledger, running_site

SITE_URL = "http://hospital-a.example"
BASE = f"{SITE_URL}/fhir"
ALL_SCOPES = "system/*.cruds"
FHIR = "application/fhir+json"
TOKEN_SEED = SigningSeed(sha256(b"tokens").digest())
LINK_KEY = sha256(b"links").digest() * 2


@dataclass
class Caller:
    """One requester: a token and a client that carries it."""

    http: httpx.AsyncClient
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    async def send(
        self,
        method: str,
        path: str,
        value: JsonObject | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request; a body is FHIR JSON unless the headers say otherwise."""
        sent = {"authorization": f"Bearer {self.token}"} if self.token else {}
        content: bytes | None = None
        if value is not None:
            sent["content-type"] = FHIR
            content = write_json(value) if isinstance(value, dict) else value
        sent |= {**self.headers, **(headers or {})}
        url = path if path.startswith("http") else f"{BASE}/{path}" if path else BASE
        return await self.http.request(method, url, content=content, headers=sent)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.send("GET", path, headers=_named(headers))

    async def post(self, path: str, value: JsonObject | bytes, **headers: str) -> httpx.Response:
        return await self.send("POST", path, value, headers=_named(headers))

    async def put(self, path: str, value: JsonObject | bytes, **headers: str) -> httpx.Response:
        return await self.send("PUT", path, value, headers=_named(headers))

    async def delete(self, path: str, **headers: str) -> httpx.Response:
        return await self.send("DELETE", path, headers=_named(headers))

    async def create(self, value: JsonObject | bytes, **headers: str) -> str:
        """Create a resource and return its id."""
        kind = value["resourceType"] if isinstance(value, dict) else read_resource(value)["resourceType"]
        answer = await self.post(str(kind), value, **headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].split("/")[-3]


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def issue_of(answer: httpx.Response) -> JsonObject:
    """First issue of the OperationOutcome that an answer must be."""
    value = read_resource(answer.content)
    assert value["resourceType"] == "OperationOutcome", answer.text
    issues = value["issue"]
    assert isinstance(issues, list)
    first = issues[0]
    assert isinstance(first, dict)
    return first


def code_of(answer: httpx.Response) -> str:
    """Our own code in an OperationOutcome; empty where there is none."""
    details = issue_of(answer).get("details")
    return str(details["coding"][0]["code"]) if isinstance(details, dict) else ""


def entries_of(answer: httpx.Response) -> list[JsonObject]:
    """Entries of the bundle that an answer must be."""
    assert answer.status_code == 200, answer.text
    value = read_resource(answer.content)
    assert value["resourceType"] == "Bundle"
    entries = value.get("entry", [])
    assert isinstance(entries, list)
    return entries


def ids_of(answer: httpx.Response, mode: str = "match") -> list[str]:
    """Ids of a search set's resources of one mode."""
    return [
        str(entry["resource"]["id"])  # type: ignore[index]  # the shape of a search set
        for entry in entries_of(answer)
        if entry["search"]["mode"] == mode  # type: ignore[index]
    ]


def link_of(answer: httpx.Response, relation: str) -> str | None:
    """Link of a bundle."""
    value = read_resource(answer.content)
    links = value.get("link", [])
    assert isinstance(links, list)
    return next((link["url"] for link in links if link["relation"] == relation), None)


@dataclass
class FhirStack:
    """The stack under test."""

    site: TestSite
    face: RecordsFace
    app: SiteApp
    issuer: TokenIssuer
    recorder: AuditRecorder
    http: httpx.AsyncClient
    log: io.StringIO

    def caller(
        self,
        scopes: str = ALL_SCOPES,
        *,
        role: str = "integration",
        subject: str = "interface-engine",
        patient: str = "",
        fhir_user: str = "",
        purpose: Purpose = Purpose.TREATMENT,
        client_id: str = "test-client",
    ) -> Caller:
        """A requester with a token of its own."""
        issued = self.issuer.issue(
            subject=subject,
            client_id=client_id,
            role=role,
            scopes=scopes,
            purpose=purpose,
            fhir_user=fhir_user,
            patient=patient,
        )
        return Caller(self.http, issued.token)


@asynccontextmanager
async def running_stack(
    folder: Path,
    *,
    consents: ConsentPolicy | None = None,
    proofs: ProofSource | None = None,
    shared_history: SharedHistory | None = None,
    settings: RecordsSettings = SETTINGS,
    api_settings: ApiSettings | None = None,
    smart_configuration: JsonObject | None = None,
    requests_per_s: int = 0,
    slug: str = "hospital-a",
    buckets_log2: int = 8,
) -> AsyncIterator[FhirStack]:
    """Run a ledger, a site and its HTTP face in this process."""
    async with (
        running_ledger(folder / "ledger", buckets_log2=buckets_log2) as ledger,
        running_site(folder / "site", ledger, slug, settings) as site,
    ):
        recorder = AuditRecorder(site.context, site.writer)
        await recorder.start()
        log = io.StringIO()
        issuer = TokenIssuer(TOKEN_SEED, organisation=slug, issuer=BASE, clock_ms=site.context.clock_ms)
        verifier = TokenVerifier({slug: issuer.public_key}, issuer=BASE, clock_ms=site.context.clock_ms)
        face = build_records_face(
            site.context,
            title="Hospital A",
            site_url=SITE_URL,
            software_version="0",
            writer=site.writer,
            store=site.store,
            recorder=recorder,
            verifier=verifier,
            link_key=LINK_KEY,
            extractor=Extractor(f"{BASE}/"),
            consents=consents,
            proofs=proofs,
            shared_history=shared_history,
            smart_configuration=smart_configuration,
            requests_per_s=requests_per_s,
            settings=api_settings,
        )
        app = build_site(
            name=slug,
            title="Hospital A",
            site_url=SITE_URL,
            host="127.0.0.1",
            port=0,
            faces=[face.face],
            clock_ms=site.context.clock_ms,
            probes={"write path": lambda: site.writer.failure is None},
            log_to=log,
        )
        transport = httpx.ASGITransport(app=app.app, raise_app_exceptions=True)
        try:
            async with httpx.AsyncClient(transport=transport) as http:
                yield FhirStack(site, face, app, issuer, recorder, http, log)
        finally:
            await recorder.stop()
            face.site.close()
