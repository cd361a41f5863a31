"""`$validate`: what is wrong with a resource, without keeping it (FHIR R4 Resource-operation-validate).

Says what this site checks: structure, formats, required codes, references' types and the invariants of FHIR R4.
Profiles are not checked, and a request that names one is told so.
"""

from __future__ import annotations

from careledger.domains.records.api.documents import read_document
from careledger.domains.records.api.errors import OPERATION_INPUT
from careledger.domains.records.api.finding import find_current
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.negotiation import RESOURCE_TYPES_ALLOWED, check_content_type
from careledger.domains.records.api.parameters import parts_of
from careledger.domains.records.api.reading import keep_read
from careledger.domains.records.api.rendering import read_own
from careledger.domains.records.api.site import FhirSite
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.issues import Issue
from careledger.standards.fhir.json_reader import read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.outcome import build_outcome
from careledger.standards.fhir.search.request import parse_query_string
from careledger.standards.fhir.validate import validate_resource

_MODES = frozenset({"create", "update", "delete"})


async def validate(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$validate` of a resource in the body, or of one that is stored."""
    values = dict(parse_query_string(request.query))
    resource: JsonObject | None = None
    if request.method == "POST" and (request.body or request.document is not None):
        body = await _read(site, request)
        resource = body
        if body.get("resourceType") == "Parameters":
            resource = None
            for name, simple, inner in parts_of(body):
                if name == "resource" and isinstance(inner, dict):
                    resource = inner
                elif name in ("mode", "profile") and isinstance(simple, str):
                    values[name] = simple
    mode = values.get("mode", "create")
    if mode not in _MODES:
        raise Rejected(OPERATION_INPUT, "mode is create, update or delete", at="mode")
    if resource is None and request.resource_id:
        stored = find_current(site, request.access, "r", request.resource_type, request.resource_id)
        resource = read_own(site.store.open(stored).served)
        await keep_read(site, request, "$validate", stored)
    if resource is None:
        raise Rejected(OPERATION_INPUT, "there is nothing to validate", at="resource")
    issues = validate_resource(resource)
    if request.resource_type and resource.get("resourceType") != request.resource_type:
        issues.append(Issue("invariant", "", "the resource is not of the type of the address"))
    if "profile" in values:
        issues.append(Issue("not-supported", "", "profiles are not checked here", "warning"))
    return FhirAnswer(status=200, body=write_json(build_outcome(issues)), is_outcome=True)


async def _read(site: FhirSite, request: FhirRequest) -> JsonObject:
    """Return the body as a resource, not yet checked: its faults are the answer."""
    if request.document is not None:
        return await read_document(site, request)
    check_content_type(request.header(b"content-type"), RESOURCE_TYPES_ALLOWED)
    raw, limits = request.body, site.settings.document_limits
    return await site.beside(lambda: read_resource(raw, limits), size_bytes=len(raw))
