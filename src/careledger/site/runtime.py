"""One organisation's site, put together: the composition root of the off-ledger parts.

What one part needs of another is handed in here, by name. Starting order is stores, write path, access log; stopping
is the reverse. A site whose ledger is out of reach goes on charting. Ports are opened by the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from careledger import __version__
from careledger.domains.records.api.assembly import build_records_face
from careledger.domains.records.api.exchange.routes import ExchangeRoutes
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.backup import KEYS_FILE, BackupPlace, cut_backups
from careledger.domains.records.service.context import RecordsSettings, SiteContext
from careledger.domains.records.service.exchange.dialling import AddressPolicy
from careledger.domains.records.service.sharing import Sharing, SharingSettings, SiteKeys, build_sharing
from careledger.domains.records.service.store import RecordStore
from careledger.domains.records.service.writer import RecordWriter
from careledger.primitives.identifiers import ChainID, OrganisationID
from careledger.site.config import NetworkConfig, Settings, SiteEntry
from careledger.site.ledger_process import clock_ms
from careledger.site.ledger_routes import ledger_face
from careledger.site.members import RegistryDirectory
from careledger.site.proofs import RecordProofs
from careledger.site.runtime_ledger import RunningLedger
from careledger.site.setup import (
    CURSOR_KEY,
    DATABASE_KEY,
    EXCHANGE_KEY,
    LEDGER_KEY,
    OPENING_KEY,
    RECORDS_KEY,
    TOKEN_KEY,
)
from careledger.standards.fhir.search.extract import Extractor
from careledger.storage.sqlite import Database
from careledger.vault.derivation import derive
from careledger.vault.keys import KEMSeed, SigningSeed
from careledger.vault.keystore import Keystore
from careledger.web.manifest import DomainFace
from careledger.web.signatures import NonceMemory
from careledger.web.tokens import TokenIssuer, TokenVerifier

LINK_KEY_BYTES = 64
EXCHANGE_MOUNT = "exchange"


@dataclass(slots=True, kw_only=True)
class SiteRuntime:
    """One organisation's site, opened."""

    entry: SiteEntry
    url: str
    """`http://host:port` without a final slash."""
    context: SiteContext
    writer: RecordWriter
    store: RecordStore
    recorder: AuditRecorder
    issuer: TokenIssuer
    proofs: RecordProofs
    sharing: Sharing
    faces: tuple[DomainFace, ...]
    """What the gateway mounts."""
    backup_place: BackupPlace | None = None
    """Where backups go, once one was made; erasures cut off the keys there."""

    async def start(self) -> None:
        """Begin to write and to log."""
        await self.writer.start()
        await self.recorder.start()
        await self.sharing.start()

    async def stop(self) -> None:
        """Finish what is under way."""
        await self.sharing.stop()
        await self.recorder.stop()
        await self.writer.stop()

    def close(self) -> None:
        """Close the stores."""
        self.context.database.close()
        self.context.keystore.close()


def open_site(
    config: NetworkConfig, entry: SiteEntry, settings: Settings, passphrase: str, ledger: RunningLedger
) -> SiteRuntime:
    """Open a site's stores and put its parts together; nothing runs yet.

    Raises:
        VaultError, StorageFailed: A store does not open.
    """
    # A site that never ran has seen no request, so its memory of nonces is complete from the start.
    seen_since_ms = None if (config.site_root(entry.slug) / "site.db").exists() else 0
    context = _open_context(config, entry, settings, passphrase, ledger)
    url = f"http://{settings.host}:{entry.port}"
    extractor = Extractor(f"{url}/fhir/")
    link_key = derive(context.keystore.get(CURSOR_KEY), "page-links", size_bytes=LINK_KEY_BYTES)
    runtime: SiteRuntime

    def cut() -> None:
        if runtime.backup_place is not None:
            cut_backups(context, runtime.backup_place)

    wallets, directory = WalletStore(context), RegistryDirectory(ledger.view)
    writer = RecordWriter(
        context,
        extractor=extractor,
        patient_keys=wallets,
        link_key=link_key[:32],  # the index's own half
        cut_backups=cut,
    )
    store, recorder, issuer = RecordStore(context), AuditRecorder(context, writer), _issuer(context, url)
    sharing = build_sharing(
        context,
        writer=writer,
        store=store,
        recorder=recorder,
        directory=directory,
        keys=_sharing_keys(context),
        extractor=extractor,
        fhir_base=f"{url}/fhir/",
        wallets=wallets,
        settings=SharingSettings(addresses=_addresses(settings)),
    )
    exchange = _exchange_face(context, sharing, directory, seen_since_ms)
    proofs = RecordProofs(context, store, ledger)
    face = build_records_face(
        context,
        title=entry.slug,
        site_url=url,
        software_version=__version__,
        writer=writer,
        store=store,
        recorder=recorder,
        verifier=TokenVerifier({entry.slug: issuer.public_key}, issuer=f"{url}/fhir", clock_ms=clock_ms),
        link_key=link_key,
        extractor=extractor,
        proofs=proofs,
    )
    runtime = SiteRuntime(
        entry=entry,
        url=url,
        context=context,
        writer=writer,
        store=store,
        recorder=recorder,
        issuer=issuer,
        backup_place=_known_backups(config, entry, passphrase),
        proofs=proofs,
        sharing=sharing,
        faces=(face.face, exchange, ledger_face(ledger.view, ledger.client)),
    )
    return runtime


def _issuer(context: SiteContext, url: str) -> TokenIssuer:
    return TokenIssuer(
        SigningSeed(context.keystore.get(TOKEN_KEY)),
        organisation=context.slug,
        issuer=f"{url}/fhir",
        clock_ms=clock_ms,
    )


def _sharing_keys(context: SiteContext) -> SiteKeys:
    keystore = context.keystore
    return SiteKeys(
        exchange=SigningSeed(keystore.get(EXCHANGE_KEY)), opening=KEMSeed(keystore.get(OPENING_KEY))
    )


def _open_context(
    config: NetworkConfig, entry: SiteEntry, settings: Settings, passphrase: str, ledger: RunningLedger
) -> SiteContext:
    """Who the site is, with its stores opened."""
    root = config.site_root(entry.slug)
    keystore = Keystore.open(root / "keystore.db", passphrase)
    return SiteContext(
        slug=entry.slug,
        organisation=OrganisationID(entry.organisation),
        chain_id=ChainID(config.chain_id),
        ledger_seed=SigningSeed(keystore.get(LEDGER_KEY)),
        records_seed=SigningSeed(keystore.get(RECORDS_KEY)),
        keystore=keystore,
        database=Database(root / "site.db", keystore.get(DATABASE_KEY)),
        view=ledger.view,
        ledger=ledger.client,
        clock_ms=clock_ms,
        settings=_records_settings(settings),
    )


def _exchange_face(
    context: SiteContext, sharing: Sharing, directory: RegistryDirectory, seen_since_ms: int | None
) -> DomainFace:
    """The door for other sites."""
    routes = ExchangeRoutes(
        context,
        sharing.receiving,
        directory,
        sharing.signer,
        nonces=NonceMemory(clock_ms=clock_ms, since_ms=seen_since_ms),
    )
    return DomainFace(
        name="exchange", mount=EXCHANGE_MOUNT, app=routes.application(), text="Signed requests between sites."
    )


def _records_settings(settings: Settings) -> RecordsSettings:
    return RecordsSettings(
        commit_wait_ms=settings.commit_wait_ms,
        write_group_ms=settings.write_group_ms,
        restricted_delay_ms=(settings.restricted_delay_ms_min, settings.restricted_delay_ms_max),
    )


def _addresses(settings: Settings) -> AddressPolicy:
    """Sites of one machine talk over loopback without TLS; any other address needs TLS."""
    is_local = settings.host in ("127.0.0.1", "localhost", "::1")
    return AddressPolicy(allow_loopback=is_local, allow_plain=is_local)


def _known_backups(config: NetworkConfig, entry: SiteEntry, passphrase: str) -> BackupPlace | None:
    """Where backups of the site lie already: an erasure must reach them after a restart, too."""
    place = default_backup_place(config.root, entry.slug, passphrase)
    return place if (place.directory / KEYS_FILE).exists() else None


def default_backup_place(root: Path, slug: str, passphrase: str) -> BackupPlace:
    """Where a site's backups go unless the operator says otherwise."""
    return BackupPlace(
        directory=root / "backups" / slug, escrow=root / "escrow" / f"{slug}.escrow", passphrase=passphrase
    )
