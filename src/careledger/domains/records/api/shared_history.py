"""`Patient/[id]/$shared-history`: what other organisations hold of a patient, as far as the patient allows.

The exchange itself, its consent checks and its access entries are the exchange's; this is its door for clients.
"""

from __future__ import annotations

from careledger.domains.records.api.documents import read_document
from careledger.domains.records.api.finding import find_current
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.reading import keep_read
from careledger.domains.records.api.site import FhirSite
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_writer import write_json
from careledger.web.errors import ROUTE_UNKNOWN


async def shared_history(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$shared-history`."""
    if site.shared_history is None:
        raise Rejected(ROUTE_UNKNOWN)
    request.access.require("s", "Patient")
    stored = find_current(site, request.access, "r", "Patient", request.resource_id)
    has_body = bool(request.body) or request.document is not None
    parameters = await read_document(site, request) if has_body else None
    await keep_read(site, request, "$shared-history", stored)
    bundle = await site.shared_history.gather(request.access.principal, request.resource_id, parameters)
    return FhirAnswer(status=200, body=write_json(bundle))
