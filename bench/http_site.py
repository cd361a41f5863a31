"""A site as an installation runs it, for the HTTP load: ledger process beside it, uvloop, uvicorn, no shortcuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from io import StringIO
from pathlib import Path

from careledger.consensus.client import LedgerClient
from careledger.domains.records.api.assembly import build_records_face
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.context import RecordsSettings, SiteContext
from careledger.domains.records.service.store import RecordStore
from careledger.domains.records.service.writer import RecordWriter
from careledger.gateway.application import build_site
from careledger.gateway.serving import RunningSites
from careledger.primitives.identifiers import ChainID, OrganisationID
from careledger.site.ledger_process import LedgerOptions, clock_ms, open_view, start_ledger
from careledger.standards.fhir.search.extract import Extractor
from careledger.storage.sqlite import Database
from careledger.vault.keys import SigningSeed
from careledger.vault.keystore import Keystore
from careledger.web.tokens import TokenIssuer, TokenVerifier
from kit.ledgers import CHAIN_ID, ORGANISATIONS, SEQUENCER_SEED, seed_of
from kit.sites import CHEAP, DATABASE_KEY, ledger_paths

SITE_URL = "http://bench.example"
SLUG = "hospital-a"


@asynccontextmanager
async def serve_bench_site(folder: Path) -> AsyncIterator[tuple[int, str]]:
    """Serve a site; its port and a token that lasts the run."""
    paths = ledger_paths(folder / "ledger", buckets_log2=16)
    ledger = await asyncio.to_thread(start_ledger, folder / "ledger", SEQUENCER_SEED, LedgerOptions())
    root = folder / "site"
    root.mkdir()
    context = SiteContext(
        slug=SLUG,
        organisation=OrganisationID(ORGANISATIONS.index(SLUG) + 1),
        chain_id=ChainID(CHAIN_ID),
        ledger_seed=SigningSeed(seed_of(SLUG)),
        records_seed=SigningSeed(seed_of(SLUG)),
        keystore=Keystore.create(root / "keystore.db", "passphrase", parameters=CHEAP),
        database=Database(root / "site.db", DATABASE_KEY),
        view=open_view(paths),
        ledger=LedgerClient(paths.socket),
        clock_ms=clock_ms,
        settings=RecordsSettings(),
    )
    base = f"{SITE_URL}/fhir"
    extractor = Extractor(f"{base}/")
    writer = RecordWriter(context, extractor=extractor, patient_keys=WalletStore(context), link_key=bytes(32))
    await writer.start()
    recorder = AuditRecorder(context, writer)
    await recorder.start()
    issuer = TokenIssuer(
        SigningSeed(sha256(b"bench").digest()), organisation=SLUG, issuer=base, clock_ms=clock_ms
    )
    records = build_records_face(
        context,
        title="Bench",
        site_url=SITE_URL,
        software_version="0",
        writer=writer,
        store=RecordStore(context),
        recorder=recorder,
        verifier=TokenVerifier({SLUG: issuer.public_key}, issuer=base, clock_ms=clock_ms),
        link_key=bytes(64),
        extractor=Extractor(f"{base}/"),
    )
    app = build_site(
        name=SLUG,
        title="Bench",
        site_url=SITE_URL,
        host="127.0.0.1",
        port=0,
        faces=[records.face],
        clock_ms=clock_ms,
        probes={},
        log_to=StringIO(),
    )
    token = issuer.issue(
        subject="engine", client_id="bench", role="integration", scopes="system/*.cruds", lifetime_s=300
    ).token
    running = RunningSites([app])
    await running.start()
    try:
        yield running.ports[SLUG], token
    finally:
        await running.stop()
        await recorder.stop()
        await writer.stop()
        await asyncio.to_thread(ledger.stop)
