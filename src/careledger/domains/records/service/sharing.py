"""Everything a site does with consent and with other organisations, put together for one site.

Owns the order of starting and stopping, and which message goes to whom at this site. The composition root hands
in what belongs to the site: its keys, its directory of organisations, and how it reaches them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from careledger.domains.records.service.access_log import AccessLogReader
from careledger.domains.records.service.agent.agent import CustodialAgent
from careledger.domains.records.service.agent.cell_work import CellWork
from careledger.domains.records.service.agent.enrolment import EnrolmentDesk, EnrolmentOffice
from careledger.domains.records.service.agent.epochs import EpochKeeper
from careledger.domains.records.service.agent.handover import HandoverOffice
from careledger.domains.records.service.agent.notices import NoticeBoard
from careledger.domains.records.service.agent.recovery import RecoveryOffice
from careledger.domains.records.service.agent.sessions import Sessions
from careledger.domains.records.service.agent.updates import CellUpdater
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.break_glass import (
    MATCH_S,
    MATCHES_MAX,
    OPENINGS_MAX,
    EmergencyDesk,
)
from careledger.domains.records.service.consent.command_desk import CommandDesk
from careledger.domains.records.service.consent.custody import CellCustody
from careledger.domains.records.service.consent.escrow import RELEASE_DELAY_MS, EscrowDesk
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange import schema
from careledger.domains.records.service.exchange.client import ExchangeClient
from careledger.domains.records.service.exchange.dialling import AddressPolicy, Resolve, resolve_name
from careledger.domains.records.service.exchange.directory import Directory, Member
from careledger.domains.records.service.exchange.disclosing import REFUSAL_S, DisclosureDesk
from careledger.domains.records.service.exchange.emergency import EmergencyReader
from careledger.domains.records.service.exchange.grants_held import HeldGrants
from careledger.domains.records.service.exchange.mirror import MirrorLog
from careledger.domains.records.service.exchange.notifying import AgentNotifier
from careledger.domains.records.service.exchange.outgoing import OutgoingQueue
from careledger.domains.records.service.exchange.reading import CrossReader, HeadBook
from careledger.domains.records.service.exchange.receiving import ExchangeDesk
from careledger.domains.records.service.matching import PatientMatcher
from careledger.domains.records.service.reviews import ReviewQueue
from careledger.domains.records.service.store import RecordStore
from careledger.domains.records.service.writer import RecordWriter
from careledger.standards.fhir.search.extract import Extractor
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import KEMSeed, SigningSeed
from careledger.web.signatures import MessageSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingSettings:
    """How a site deals with others; see `docs/reference/configuration.md`."""

    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    refusal_s: float = REFUSAL_S
    """Least time until a refusal of a read, or a multiple of it."""
    match_s: float = MATCH_S
    """Least time until the answer to a match, or a multiple of it."""
    matches_max: int = MATCHES_MAX
    """Matches that one organisation may ask for within a minute."""
    openings_max: int = OPENINGS_MAX
    """Emergencies of one practitioner within an hour."""
    share_delay_ms: int = RELEASE_DELAY_MS
    """How long a request for a share of a wallet waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteKeys:
    """Keys of a site for dealing with others."""

    exchange: SigningSeed
    """Signs HTTP messages."""
    opening: KEMSeed
    """Opens what is sealed to the organisation."""


@dataclass(slots=True, kw_only=True)
class Sharing:
    """The parts, for pages, the FHIR façade and the exchange's routes."""

    site: SiteContext
    writer: RecordWriter
    wallets: WalletStore
    custody: CellCustody
    desk: CommandDesk
    disclosures: DisclosureDesk
    emergencies: EmergencyDesk
    escrow: EscrowDesk
    agent: CustodialAgent
    enrolments: EnrolmentOffice
    newcomers: EnrolmentDesk
    recovery: RecoveryOffice
    handover: HandoverOffice
    notices: NoticeBoard
    sessions: Sessions
    access_log: AccessLogReader
    reader: CrossReader
    emergency_reader: EmergencyReader
    heads: HeadBook
    held_grants: HeldGrants
    mirror: MirrorLog
    reviews: ReviewQueue
    outgoing: OutgoingQueue
    client: ExchangeClient
    signer: MessageSigner
    receiving: ExchangeDesk

    async def start(self) -> None:
        """Bring the tables up to date, take up what the last run left, and begin; after writer and recorder."""
        self.site.database.migrate(schema.COMPONENT, schema.MIGRATIONS)
        self.sessions.migrate()
        await self.custody.start()
        await self.writer.in_transaction(self.wallets.reclaim)
        await self.outgoing.start()

    async def stop(self) -> None:
        """Stop; before recorder and writer."""
        await self.outgoing.stop()
        await self.client.close()


def build_sharing(
    site: SiteContext,
    *,
    writer: RecordWriter,
    store: RecordStore,
    recorder: AuditRecorder,
    directory: Directory,
    keys: SiteKeys,
    extractor: Extractor,
    fhir_base: str,
    wallets: WalletStore | None = None,
    settings: SharingSettings | None = None,
    resolve: Resolve = resolve_name,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Sharing:
    """Put a site's parts together; nothing runs yet.

    Args:
        site: the site.
        writer: its write path.
        store: its record versions.
        recorder: its access log.
        directory: the ledger's organisations.
        keys: its keys for dealing with others.
        extractor: shared with the write path.
        fhir_base: base URL of its FHIR service, with the final slash.
        wallets: the same store that enrols new patients on the write path, if it does.
        settings: how it deals with others.
        resolve: resolves names; the operating system's resolver by default.
        transport: carries requests; the network by default.
    """
    settings = settings or SharingSettings()
    base = _Base(site, writer, store, recorder, directory, settings, OpeningKey(keys.opening))
    signer = MessageSigner(seed=keys.exchange, clock_ms=site.clock_ms)
    client = ExchangeClient(
        directory,
        signer,
        clock_ms=site.clock_ms,
        policy=settings.addresses,
        resolve=resolve,
        transport=transport,
    )
    receiving: ExchangeDesk

    async def deliver(member: Member, path: str, body: bytes) -> bytes:
        if member.organisation == site.organisation:
            return await receiving.receive(member, path, body)
        return await client.call(member, path, body)

    custodian = _build_custodian(
        base,
        OutgoingQueue(site, writer, directory, deliver),
        PatientMatcher(site, store, extractor, own_base=fhir_base),
    )
    sharing = _build_agent(base, custodian, client, signer, wallets or WalletStore(site))
    receiving = sharing.receiving
    return sharing


@dataclass(frozen=True, slots=True)
class _Base:
    """What every part is made from."""

    site: SiteContext
    writer: RecordWriter
    store: RecordStore
    recorder: AuditRecorder
    directory: Directory
    settings: SharingSettings
    opening_key: OpeningKey


@dataclass(frozen=True, slots=True)
class _Custodian:
    """The side that holds records and discloses them."""

    custody: CellCustody
    outgoing: OutgoingQueue
    escrow: EscrowDesk
    desk: CommandDesk
    disclosures: DisclosureDesk
    emergencies: EmergencyDesk


def _build_custodian(base: _Base, outgoing: OutgoingQueue, matcher: PatientMatcher) -> _Custodian:
    site, writer, settings = base.site, base.writer, base.settings
    custody = CellCustody(site, writer)
    notifier = AgentNotifier(site, outgoing)
    escrow = EscrowDesk(site, writer, custody, notifier, base.opening_key, delay_ms=settings.share_delay_ms)
    return _Custodian(
        custody=custody,
        outgoing=outgoing,
        escrow=escrow,
        desk=CommandDesk(site, writer, custody, base.recorder, escrow, base.opening_key),
        disclosures=DisclosureDesk(site, writer, custody, base.recorder, refusal_s=settings.refusal_s),
        emergencies=EmergencyDesk(
            site,
            writer,
            custody,
            base.recorder,
            matcher,
            notifier,
            match_s=settings.match_s,
            matches_max=settings.matches_max,
            openings_max=settings.openings_max,
        ),
    )


def _build_agent(
    base: _Base, custodian: _Custodian, client: ExchangeClient, signer: MessageSigner, wallets: WalletStore
) -> Sharing:
    """The side that acts for patients and reads elsewhere, and all of it together."""
    site, writer, directory, opening_key = base.site, base.writer, base.directory, base.opening_key
    sessions = Sessions(site, writer, wallets, directory, client, custodian.desk)
    updater = CellUpdater(site, writer, sessions)
    epochs = EpochKeeper(site, directory)
    notices = NoticeBoard(site, writer, sessions)
    work = CellWork(site, writer, directory, sessions, updater, epochs)
    mirror = MirrorLog(site, writer, base.recorder)
    heads = HeadBook(site, writer, directory)
    enrolments = EnrolmentOffice(site, writer, wallets)
    held_grants = HeldGrants(site, writer, custodian.custody)
    return Sharing(
        site=site,
        writer=writer,
        wallets=wallets,
        custody=custodian.custody,
        desk=custodian.desk,
        disclosures=custodian.disclosures,
        emergencies=custodian.emergencies,
        escrow=custodian.escrow,
        agent=CustodialAgent(
            site, writer, directory, sessions, updater, epochs, work, notices, custodian.outgoing
        ),
        enrolments=enrolments,
        newcomers=EnrolmentDesk(site, directory, client, opening_key),
        recovery=RecoveryOffice(
            site, writer, directory, client, wallets, sessions, updater, epochs, notices, opening_key
        ),
        handover=HandoverOffice(site, writer, wallets, sessions, notices),
        notices=notices,
        sessions=sessions,
        access_log=AccessLogReader(site, directory, sessions),
        reader=CrossReader(site, directory, client, mirror, base.recorder, heads, opening_key),
        emergency_reader=EmergencyReader(site, writer, directory, client, mirror, opening_key),
        heads=heads,
        held_grants=held_grants,
        mirror=mirror,
        reviews=ReviewQueue(site, writer),
        outgoing=custodian.outgoing,
        client=client,
        signer=signer,
        receiving=ExchangeDesk(
            disclosures=custodian.disclosures,
            emergencies=custodian.emergencies,
            desk=custodian.desk,
            enrolments=enrolments,
            escrow=custodian.escrow,
            notices=notices,
            held_grants=held_grants,
        ),
    )
