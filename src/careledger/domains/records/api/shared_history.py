"""`Patient/[id]/$shared-history`: what other organisations hold of a patient, as far as the patient allows.

The exchange itself, its consent checks and its access entries are the exchange's; this is its door for clients. What
comes from elsewhere is held to the requester's own rights as well: types of the token, compartments of the role.
"""

from __future__ import annotations

from typing import Final

from careledger.domains.records.api.errors import OPERATION_INPUT
from careledger.domains.records.api.finding import find_current
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.parameters import read_values
from careledger.domains.records.api.reading import keep_read
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.compartments import Compartment
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import is_slug
from careledger.standards.fhir.json_writer import write_json
from careledger.web.errors import ROUTE_UNKNOWN

_ALLOWED: Final = frozenset({"custodian", "all-versions"})


async def shared_history(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `$shared-history`."""
    if site.shared_history is None:
        raise Rejected(ROUTE_UNKNOWN)
    access = request.access
    access.require("s", "Patient")
    stored = find_current(site, access, "r", "Patient", request.resource_id)
    values = await read_values(site, request, _ALLOWED)
    custodian = values.get("custodian", "")
    if custodian and not is_slug(custodian):
        raise Rejected(OPERATION_INPUT, "not an organisation's short name", at="custodian")
    if values.get("all-versions", "false") not in ("true", "false"):
        raise Rejected(OPERATION_INPUT, "is true or false", at="all-versions")

    def allows(resource_type: str, compartment: Compartment) -> bool:
        # A scope's query cannot be asked of what is not in the index here, so it allows nothing from elsewhere.
        entry = access.scopes["r"].by_type.get(resource_type)
        is_narrowed = entry is not None and bool(entry.alternatives)
        return not is_narrowed and access.sees("r", resource_type, compartment) is not False

    await keep_read(site, request, "$shared-history", stored)
    bundle = await site.shared_history.gather(
        access.principal,
        request.resource_id,
        custodian=custodian,
        all_versions=values.get("all-versions") == "true",
        allows=allows,
        request_id=request.request_id,
    )
    return FhirAnswer(status=200, body=write_json(bundle))
