"""patch: JSON Patch (RFC 6902) and FHIRPath Patch (FHIR R4 §3.1.0.10), by id or by criteria.

A patch is read, changed and written back under the version it was read at; where the client named no version and the
resource changed meanwhile, it is applied anew. What is kept as submitted is the patch itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from careledger.domains.records.api.conditions import find_one, read_criteria
from careledger.domains.records.api.documents import check_context, check_references
from careledger.domains.records.api.errors import PATCH_FIXED, WRITE_CONTENDED
from careledger.domains.records.api.finding import find_current
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.negotiation import JSON_PATCH, PATCH_TYPES_ALLOWED, check_content_type
from careledger.domains.records.api.outcomes import DocumentMisfit
from careledger.domains.records.api.rendering import read_own
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.api.writing import answer_written, keep_write, patients_in, read_if_match
from careledger.domains.records.service.changes import Change
from careledger.domains.records.service.errors import RESOURCE_UNKNOWN, VERSION_CONFLICT
from careledger.domains.records.service.package import Method
from careledger.domains.records.service.store import StoredVersion
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_reader import Limits, read_json, read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.patch import PatchError, apply_json_patch, read_json_patch
from careledger.standards.fhir.path_patch import apply_path_patch, read_path_patch
from careledger.standards.fhir.validate import check_resource

_TRIES_MAX: Final = 3
_META_FIXED: Final = ("versionId", "lastUpdated")

Patch = Callable[[JsonObject], JsonObject]


def read_patch(request: FhirRequest, limits: Limits) -> Patch:
    """Return what a patch does to a resource.

    Raises:
        HttpRefused: 415.
        PatchError: It is malformed.
        JsonError: It is no JSON, or beyond a limit.
    """
    if request.document is not None:
        # An entry of a batch: Parameters; a JSON Patch would come in a Binary, which batches unpack.
        parameters = request.document
    elif check_content_type(request.header(b"content-type"), PATCH_TYPES_ALLOWED) == JSON_PATCH:
        operations = read_json_patch(read_json(request.body, limits))
        return lambda value: apply_json_patch(value, operations)
    else:
        parameters = read_resource(request.body, limits)
    check_resource(parameters)
    steps = read_path_patch(parameters)
    return lambda value: apply_path_patch(value, steps)


def apply_checked(patch: Patch, current: JsonObject) -> JsonObject:
    """Return a resource after a patch.

    Raises:
        DocumentMisfit: The patch does not fit the resource; a failed test stays a `PatchError`.
        Rejected: PATCH_FIXED.
        ValidationError: The result is no valid resource.
    """
    try:
        patched = patch(current)
    except PatchError as error:
        if error.is_test_failure:
            raise
        raise DocumentMisfit(*error.issues) from error
    meta, before = patched.get("meta"), current.get("meta")
    if (
        patched.get("resourceType") != current.get("resourceType")
        or patched.get("id") != current.get("id")
        or not isinstance(meta, dict)
        or not isinstance(before, dict)
        or any(meta.get(name) != before.get(name) for name in _META_FIXED)
    ):
        raise Rejected(PATCH_FIXED)
    check_resource(patched)
    return patched


async def patch(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `PATCH [type]/[id]`, with `If-Match` where it is given."""
    request.access.require("u", request.resource_type)
    change = read_patch(request, site.settings.document_limits)
    return await _patch(site, request, request.resource_id, change)


async def patch_where(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `PATCH [type]?criteria`: patch the one match."""
    name = request.resource_type
    scope = request.access.require("s", name)
    request.access.require("u", name)
    criteria = read_criteria(site, name, request.query)
    change = read_patch(request, site.settings.document_limits)

    found = await site.searches.beside(
        lambda: site.searches.now(lambda index: find_one(index, criteria, scope))
    )
    if found is None:
        raise Rejected(RESOURCE_UNKNOWN)
    return await _patch(site, request, found.resource_id, change)


async def _patch(site: FhirSite, request: FhirRequest, resource_id: str, change: Patch) -> FhirAnswer:
    wanted = read_if_match(request)
    for _ in range(_TRIES_MAX):
        stored = find_current(site, request.access, "u", request.resource_type, resource_id)
        if wanted is not None and stored.version != wanted:
            raise Rejected(VERSION_CONFLICT)
        patched = _apply(site, request, stored, change)
        also = keep_write(site, request, "update", "patch", patients_in(site, patched))
        try:
            result = await site.writer.write((_change(request, stored, patched),), also=also)
        except Rejected as refusal:
            if refusal.code is VERSION_CONFLICT and wanted is None:
                continue
            raise
        return answer_written(request, 200, result, "The resource was patched.")
    raise Rejected(WRITE_CONTENDED)


def _apply(site: FhirSite, request: FhirRequest, stored: StoredVersion, change: Patch) -> JsonObject:
    patched = apply_checked(change, read_own(site.store.open(stored).served))
    check_references(patched)
    check_context(site, request.access, "u", stored.resource_type, stored.resource_id, patched)
    return patched


def _change(request: FhirRequest, stored: StoredVersion, patched: JsonObject) -> Change:
    return Change(
        method=Method.UPDATE,
        resource_type=stored.resource_type,
        resource_id=stored.resource_id,
        value=patched,
        submitted=request.body,
        if_match=stored.version,
    )
