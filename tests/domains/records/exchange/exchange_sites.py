"""Several sites on one real ledger, talking over signed HTTP in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec
from starlette.applications import Starlette

from careledger.consensus.client import LedgerClient
from careledger.domains.governance.chain.types import DEFAULT_LIMITS
from careledger.domains.identity.chain import keeper as identity
from careledger.domains.identity.chain.types import Usage
from careledger.domains.records.api.exchange.routes import ExchangeRoutes
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.audit_events import Reader
from careledger.domains.records.service.context import RecordsSettings, SiteContext
from careledger.domains.records.service.exchange.dialling import AddressPolicy
from careledger.domains.records.service.exchange.directory import Member
from careledger.domains.records.service.exchange.reading import Question
from careledger.domains.records.service.sharing import Sharing, SharingSettings, SiteKeys, build_sharing
from careledger.domains.records.service.store import RecordStore
from careledger.domains.records.service.writer import RecordWriter
from careledger.ledger.view import LedgerView
from careledger.primitives.identifiers import OrganisationID
from careledger.site.ledger_process import LedgerPaths, LedgerProcess, clock_ms
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.search.extract import Extractor
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import KEMSeed, SigningSeed
from careledger.web.signatures import NonceMemory
from kit.ledgers import ORGANISATIONS, START_MS, genesis_bytes, seed_of
from kit.samples import create, observation, patient
from kit.sites import SETTINGS, open_site, running_ledger

FAST = SharingSettings(
    addresses=AddressPolicy(allow_loopback=True, allow_plain=True),
    refusal_s=0.05,
    match_s=0.05,
    share_delay_ms=200,
)
BASES = {slug: f"http://{slug}.test:80{number}" for number, slug in enumerate(ORGANISATIONS, start=10)}


def kem_seed(slug: str) -> KEMSeed:
    """Seed of a test organisation's HPKE key."""
    return KEMSeed(sha256(f"{slug}/kem".encode()).digest())


RECIPIENTS = {slug: OpeningKey(kem_seed(slug)).recipient.raw for slug in ORGANISATIONS}


class ViewDirectory:
    """The registry of a ledger view; addresses and HPKE keys are the test's."""

    def __init__(self, view: LedgerView, bases: dict[str, str] | None = None) -> None:
        self.view = view
        self.bases = BASES if bases is None else bases

    def by_slug(self, slug: str) -> Member | None:
        with self.view.at_head() as view:
            found = identity.organisation_by_slug(view.store, slug)
        if found is None or not found.is_active:
            return None
        return Member(
            organisation=OrganisationID(found.id),
            slug=found.slug,
            roles=frozenset(role.name.lower() for role in found.roles),
            endpoints=(self.bases[found.slug],) if found.slug in self.bases else (),
            hpke_public_key=RECIPIENTS[found.slug],
        )

    def by_number(self, organisation: int) -> Member | None:
        with self.view.at_head() as view:
            found = identity.organisation(view.store, organisation)
        return None if found is None else self.by_slug(found.slug)

    def exchange_key_owner(self, public_key: bytes) -> Member | None:
        owner = self._owner(public_key, Usage.EXCHANGE, now=True)
        return None if owner is None else self.by_number(owner)

    def records_key_owner(self, public_key: bytes, *, now: bool) -> int | None:
        return self._owner(public_key, Usage.RECORDS, now=now)

    def _owner(self, public_key: bytes, usage: Usage, *, now: bool) -> int | None:
        with self.view.at_head() as view:
            held = identity.key(view.store, public_key)
            if held is None or not held.usages & usage:
                return None
            if now and not held.is_valid_at(view.height + 1):
                return None
        return held.organisation


class Switchboard(httpx.AsyncBaseTransport):
    """Carries requests to the application whose name they ask for; may be told to alter answers on the way."""

    def __init__(self) -> None:
        self.apps: dict[str, Starlette] = {}
        self.requests: list[tuple[str, bytes]] = []
        self.down: set[str] = set()
        self.alter: Callable[[str, httpx.Request], httpx.Request] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.headers["host"]
        body = await request.aread()
        self.requests.append((request.url.path, body))
        if host in self.down or host not in self.apps:
            raise httpx.ConnectError("down", request=request)
        if self.alter is not None:
            request = self.alter(host, request)
        return await httpx.ASGITransport(self.apps[host]).handle_async_request(request)


@dataclass(slots=True)
class ExchangeSite:
    """One site with everything this part has."""

    context: SiteContext
    writer: RecordWriter
    store: RecordStore
    recorder: AuditRecorder
    sharing: Sharing
    directory: ViewDirectory

    @property
    def slug(self) -> str:
        return self.context.slug

    async def add_patient(self, family: str = "Testperson", **parts: object) -> str:
        change = create({**patient(family), **parts})
        await self.writer.write([change], wait_ms=5_000)
        await self.writer.flush()
        return change.resource_id

    async def add(self, *values: JsonObject) -> list[str]:
        changes = [create(value) for value in values]
        await self.writer.write(changes, wait_ms=5_000)
        await self.writer.flush()
        return [change.resource_id for change in changes]

    async def add_results(self, patient_id: str, count: int) -> list[str]:
        return await self.add(*(observation(patient_id, f"{number}.50") for number in range(count)))

    def cell(self, patient_id: str) -> bytes:
        subject = self.sharing.custody.find_patient(patient_id)
        assert subject is not None
        return subject.cell

    def question(self, custodian: str, cell: bytes, **parts: object) -> Question:
        values: dict[str, object] = {
            "custodian": custodian,
            "cell": cell,
            "purpose": "TREAT",
            "reader": Reader(identifier="Practitioner/dr-b", organisation=self.slug, role="clinician"),
            **parts,
        }
        return Question(**values)  # type: ignore[arg-type]


@dataclass(slots=True)
class Network:
    """A ledger and its sites."""

    process: LedgerProcess
    switchboard: Switchboard
    sites: dict[str, ExchangeSite] = field(default_factory=dict)

    def __getitem__(self, slug: str) -> ExchangeSite:
        return self.sites[slug]


@asynccontextmanager
async def running_exchange_site(
    folder: Path,
    process: LedgerProcess,
    slug: str,
    *,
    switchboard: Switchboard | None = None,
    sharing_settings: SharingSettings = FAST,
    settings: RecordsSettings = SETTINGS,
    bases: dict[str, str] | None = None,
) -> AsyncIterator[tuple[ExchangeSite, Starlette]]:
    context = open_site(folder, process, slug, settings)
    extractor = Extractor(f"http://{slug}.example/fhir/")
    wallets = WalletStore(context)
    writer = RecordWriter(context, extractor=extractor, patient_keys=wallets, link_key=bytes(32))
    await writer.start()
    recorder = AuditRecorder(context, writer)
    await recorder.start()
    store = RecordStore(context)
    directory = ViewDirectory(context.view, bases)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    sharing = build_sharing(
        context,
        writer=writer,
        store=store,
        recorder=recorder,
        directory=directory,
        keys=SiteKeys(exchange=SigningSeed(seed_of(slug)), opening=kem_seed(slug)),
        extractor=extractor,
        fhir_base=f"http://{slug}.example/fhir/",
        wallets=wallets,
        settings=sharing_settings,
        resolve=resolve,
        transport=switchboard,
    )
    await sharing.start()
    app = ExchangeRoutes(
        context,
        sharing.receiving,
        directory,
        sharing.signer,
        nonces=NonceMemory(clock_ms=context.clock_ms, since_ms=0),
    ).application()
    try:
        yield ExchangeSite(context, writer, store, recorder, sharing, directory), app
    finally:
        await sharing.stop()
        await recorder.stop()
        await writer.stop()
        context.database.close()
        context.keystore.close()
        if isinstance(context.ledger, LedgerClient):
            await context.ledger.close()


@asynccontextmanager
async def running_network(
    folder: Path,
    *slugs: str,
    sharing_settings: SharingSettings = FAST,
    settings: RecordsSettings = SETTINGS,
) -> AsyncIterator[Network]:
    """Sites that reach each other in one process."""
    (folder / "ledger").mkdir(parents=True, exist_ok=True)
    limits = msgspec.structs.replace(DEFAULT_LIMITS, recovery_delay_ms=1_000)
    genesis = genesis_bytes(limits=limits).replace(str(START_MS).encode(), str(clock_ms() - 1_000).encode())
    if not LedgerPaths(folder / "ledger").genesis.exists():
        LedgerPaths(folder / "ledger").genesis.write_bytes(genesis)
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(running_ledger(folder / "ledger"))
        network = Network(process, Switchboard())
        for slug in slugs or ORGANISATIONS[:2]:
            site, app = await stack.enter_async_context(
                running_exchange_site(
                    folder / slug,
                    process,
                    slug,
                    switchboard=network.switchboard,
                    sharing_settings=sharing_settings,
                    settings=settings,
                )
            )
            network.sites[slug] = site
            network.switchboard.apps[BASES[slug].removeprefix("http://")] = app
        yield network


class SharedNetwork:
    """One network for all tests of a file; each test brings patients of its own."""

    def __init__(self, folder: Path, *slugs: str) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.network = self._runner.run(self._stack.enter_async_context(running_network(folder, *slugs)))

    def play(self, story: Callable[[Network], Awaitable[None]]) -> None:
        """Run one test's story."""
        self._runner.run(asyncio.wait_for(story(self.network), 60))

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()
