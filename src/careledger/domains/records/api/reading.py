"""read, vread, and what goes with one version: the bytes as submitted, the evidence, the metadata.

Every one of them keeps the access first and answers then; the bytes leave only after that is durable.
"""

from __future__ import annotations

import base64
import re
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final

from careledger.domains.records.api.errors import PROOF_PENDING
from careledger.domains.records.api.finding import find_current, find_version, seen_of
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.negotiation import JSON_PATCH
from careledger.domains.records.api.ports import AccessEvent
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.store import StoredVersion
from careledger.primitives.errors import Rejected, Unavailable
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.web.errors import ROUTE_UNKNOWN

_TAG = re.compile(r'(?:W/)?"([^"]{1,64})"')
_SECOND_MS: Final = 1_000


async def keep_read(site: FhirSite, request: FhirRequest, interaction: str, stored: StoredVersion) -> None:
    """Keep that a version was read; durable when this returns."""
    await site.trail.note(
        AccessEvent(
            principal=request.access.principal,
            action="read",
            interaction=interaction,
            seen=(seen_of(stored),),
            request_id=request.request_id,
        )
    )


async def read(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `GET [type]/[id]`, conditionally where the request says so (FHIR R4 §3.1.0.5)."""
    stored = find_current(site, request.access, "r", request.resource_type, request.resource_id)
    return await _answer(site, request, "read", stored)


async def vread(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `GET [type]/[id]/_history/[version]`."""
    stored = find_version(site, request.access, request.resource_type, request.resource_id, request.version)
    return await _answer(site, request, "vread", stored)


async def _answer(
    site: FhirSite, request: FhirRequest, interaction: str, stored: StoredVersion
) -> FhirAnswer:
    is_known = is_unchanged(request, stored)
    body = b"" if is_known else site.store.open(stored).served
    await keep_read(site, request, interaction, stored)
    return FhirAnswer(
        status=304 if is_known else 200,
        body=body,
        version=str(stored.version),
        updated_ms=stored.updated_ms,
        is_committed=stored.is_committed,
    )


def is_unchanged(request: FhirRequest, stored: StoredVersion) -> bool:
    """Whether the client has this version already (RFC 9110 §13.1.2, §13.1.3)."""
    headers = request.headers
    if b"if-none-match" in headers:
        text = request.header(b"if-none-match")
        return text.strip() == "*" or str(stored.version) in _TAG.findall(text)
    if b"if-modified-since" in headers:
        try:
            since = parsedate_to_datetime(request.header(b"if-modified-since"))
            return stored.updated_ms // _SECOND_MS <= int(since.timestamp())
        except (TypeError, ValueError, OverflowError):
            return False  # a date that is none is passed over (RFC 9110 §13.1.3)
    return False


def _find(site: FhirSite, request: FhirRequest) -> StoredVersion:
    if request.version:
        return find_version(site, request.access, request.resource_type, request.resource_id, request.version)
    return find_current(site, request.access, "r", request.resource_type, request.resource_id)


async def submitted(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$submitted`: exactly the bytes that were sent, for the current or an earlier version.

    For a version that came about by a patch, they are the patch.
    """
    stored = _find(site, request)
    content = site.store.open(stored).submitted
    await keep_read(site, request, "$submitted", stored)
    digest = base64.b64encode(sha256(content).digest())
    is_patch = content.lstrip()[:1] == b"["
    return FhirAnswer(
        status=200,
        body=content,
        version=str(stored.version),
        updated_ms=stored.updated_ms,
        is_committed=stored.is_committed,
        headers=((b"content-digest", b"sha-256=:" + digest + b":"),),
        content_type=JSON_PATCH.encode("ascii") if is_patch else b"",
        is_final=True,
    )


async def proof(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$proof`: evidence that a version is unaltered since its block, to be verified without this site."""
    if site.proofs is None:
        raise Rejected(ROUTE_UNKNOWN)
    stored = _find(site, request)
    if not stored.is_committed:
        raise Unavailable(PROOF_PENDING)
    evidence = await site.proofs.prove(stored.resource_type, stored.resource_id, stored.version)
    await keep_read(site, request, "$proof", stored)
    return FhirAnswer(
        status=200,
        body=write_json(evidence),
        is_committed=True,
        content_type=b"application/json",
    )


async def metadata(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$meta` of a resource or one of its versions (FHIR R4 Resource-operation-meta)."""
    stored = _find(site, request)
    served = read_resource(site.store.open(stored).served)
    await keep_read(site, request, "$meta", stored)
    found: JsonObject = {
        "resourceType": "Parameters",
        "parameter": [{"name": "return", "valueMeta": served.get("meta", {})}],
    }
    return FhirAnswer(status=200, body=write_json(found), is_committed=stored.is_committed)
