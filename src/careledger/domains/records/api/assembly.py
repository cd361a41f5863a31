"""Putting the FHIR face of a site together, for the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from careledger.domains.records.api.access import AccessPolicy
from careledger.domains.records.api.application import FhirApplication
from careledger.domains.records.api.interactions import TABLE
from careledger.domains.records.api.ports import (
    AccessTrail,
    ConsentPolicy,
    NoConsents,
    ProofSource,
    SharedHistory,
)
from careledger.domains.records.api.reference import list_operations
from careledger.domains.records.api.routing import MOUNT
from careledger.domains.records.api.searches import SearchReader
from careledger.domains.records.api.site import ApiSettings, FhirSite, Writer
from careledger.domains.records.api.trail import AuditTrail
from careledger.domains.records.service.audit import AuditRecorder
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.store import RecordStore
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.search.extract import Extractor
from careledger.web.manifest import DomainFace
from careledger.web.rates import RateLimiter
from careledger.web.tokens import TokenVerifier


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsFace:
    """The FHIR face of a site, ready to be mounted."""

    site: FhirSite
    face: DomainFace


def build_records_face(
    context: SiteContext,
    *,
    title: str,
    site_url: str,
    software_version: str,
    writer: Writer,
    store: RecordStore,
    recorder: AuditRecorder | AccessTrail,
    verifier: TokenVerifier,
    link_key: bytes,
    extractor: Extractor,
    consents: ConsentPolicy | None = None,
    proofs: ProofSource | None = None,
    shared_history: SharedHistory | None = None,
    smart_configuration: JsonObject | None = None,
    requests_per_s: int = 0,
    settings: ApiSettings | None = None,
) -> RecordsFace:
    """Build the FHIR face of a site.

    Args:
        context: the site.
        title: how the site calls itself.
        site_url: `http://host:port` without a final slash; the FHIR base is below it.
        software_version: shown in the CapabilityStatement.
        writer: the write path, started.
        store: what reads versions.
        recorder: the access log, started; or something else that keeps accesses.
        verifier: checks access tokens.
        link_key: 64 secret bytes of this site that seal page links.
        extractor: the write path's.
        consents: what patients decided; none by default.
        proofs: makes evidence; without it there is no `$proof`.
        shared_history: asks other organisations; without it there is no `$shared-history`.
        smart_configuration: what the site's token endpoint offers; None where it has none.
        requests_per_s: allowed to one client; 0 for no limit.
        settings: limits and defaults.
    """
    base_url = f"{site_url}/{MOUNT}"
    site = FhirSite(
        name=context.slug,
        title=title,
        base_url=base_url,
        writer=writer,
        store=store,
        searches=SearchReader(
            context.database, link_key=link_key, own_base=f"{base_url}/", extractor=extractor
        ),
        extractor=extractor,
        policy=AccessPolicy(consents or NoConsents(), own_base=f"{base_url}/", clock_ms=context.clock_ms),
        verifier=verifier,
        trail=_trail_of(recorder, store, context),
        limiter=RateLimiter(requests_per_s, clock_ms=context.clock_ms),
        clock_ms=context.clock_ms,
        software_version=software_version,
        table=TABLE,
        proofs=proofs,
        shared_history=shared_history,
        smart_configuration=smart_configuration,
        settings=settings or ApiSettings(),
    )
    return RecordsFace(site=site, face=_face_of(site))


def _trail_of(recorder: AuditRecorder | AccessTrail, store: RecordStore, context: SiteContext) -> AccessTrail:
    if isinstance(recorder, AuditRecorder):
        return AuditTrail(recorder, store=store, database=context.database)
    return recorder


def _face_of(site: FhirSite) -> DomainFace:
    return DomainFace(
        name="records",
        mount=MOUNT,
        app=FhirApplication(site),
        text="Health records as FHIR R4, with proof of what was kept.",
        reference=list_operations(),
        document="metadata",
        close=site.close,
    )
