"""A small site on a small ledger: the real parts, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from careledger.consensus.client import LedgerClient
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.context import RecordsSettings, SiteContext
from careledger.domains.records.service.store import RecordStore
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.identifiers import ChainID, OrganisationID
from careledger.site.ledger_process import LedgerOptions, LedgerPaths, LedgerProcess, clock_ms
from careledger.standards.fhir.search.extract import Extractor
from careledger.storage.sqlite import Database
from careledger.vault.keys import SigningSeed
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import PassphraseParameters
from kit.ledgers import CHAIN_ID, ORGANISATIONS, SEQUENCER_SEED, START_MS, genesis_bytes, seed_of

CHEAP = PassphraseParameters(memory_kib=64, iterations=1, lanes=1)
SETTINGS = RecordsSettings(restricted_delay_ms=(0, 0), write_group_ms=1)
DATABASE_KEY = bytes(range(32))


def ledger_paths(folder: Path, *, buckets_log2: int = 8) -> LedgerPaths:
    """A folder with a genesis of now."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = LedgerPaths(folder)
    if not paths.genesis.exists():
        genesis = genesis_bytes(buckets_log2=buckets_log2)
        paths.genesis.write_bytes(genesis.replace(str(START_MS).encode(), str(clock_ms() - 1_000).encode()))
    return paths


@asynccontextmanager
async def running_ledger(
    folder: Path, *, heartbeat_ms: int = 500, buckets_log2: int = 8
) -> AsyncIterator[LedgerProcess]:
    """The embedded ledger in this process, with its worker and socket."""
    process = LedgerProcess(
        ledger_paths(folder, buckets_log2=buckets_log2),
        SEQUENCER_SEED,
        LedgerOptions(heartbeat_ms=heartbeat_ms, allow_pause=True),
    )
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


def open_site(
    folder: Path, process: LedgerProcess, slug: str = "hospital-a", settings: RecordsSettings = SETTINGS
) -> SiteContext:
    """A site's stores, opened or made."""
    folder.mkdir(parents=True, exist_ok=True)
    keystore_path = folder / "keystore.db"
    if keystore_path.exists():
        keystore = Keystore.open(keystore_path, "passphrase")
    else:
        keystore = Keystore.create(keystore_path, "passphrase", parameters=CHEAP)
    return SiteContext(
        slug=slug,
        organisation=OrganisationID(ORGANISATIONS.index(slug) + 1),
        chain_id=ChainID(CHAIN_ID),
        ledger_seed=SigningSeed(seed_of(slug)),
        records_seed=SigningSeed(seed_of(slug)),
        keystore=keystore,
        database=Database(folder / "site.db", DATABASE_KEY),
        view=process.view(),
        ledger=LedgerClient(process.paths.socket),
        clock_ms=clock_ms,
        settings=settings,
    )


@dataclass(slots=True)
class TestSite:
    """A site with its write path."""

    __test__ = False

    context: SiteContext
    writer: RecordWriter
    store: RecordStore


@asynccontextmanager
async def running_site(
    folder: Path, process: LedgerProcess, slug: str = "hospital-a", settings: RecordsSettings = SETTINGS
) -> AsyncIterator[TestSite]:
    """A site whose write path runs."""
    context = open_site(folder, process, slug, settings)
    writer = RecordWriter(
        context,
        extractor=Extractor(f"http://{slug}.example/fhir/"),
        patient_keys=WalletStore(context),
        link_key=bytes(32),
    )
    await writer.start()
    try:
        yield TestSite(context, writer, RecordStore(context))
    finally:
        await writer.stop()
        context.database.close()
        context.keystore.close()
        if isinstance(context.ledger, LedgerClient):
            await context.ledger.close()
