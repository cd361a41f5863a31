"""Parameters of operations: from an address or from a Parameters resource (FHIR R4 §3.2.0.3)."""

from __future__ import annotations

from careledger.domains.records.api.documents import read_document
from careledger.domains.records.api.errors import OPERATION_INPUT
from careledger.domains.records.api.interaction import FhirRequest
from careledger.domains.records.api.site import FhirSite
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.search.request import parse_query_string

_TRANSPORT = frozenset({"_format", "_pretty"})


async def read_values(site: FhirSite, request: FhirRequest, allowed: frozenset[str]) -> dict[str, str]:
    """Return the simple parameters of an operation, each given at most once.

    Raises:
        Rejected: OPERATION_INPUT, an unknown, repeated or complex parameter.
    """
    found: dict[str, str] = {}

    def add(name: str, value: Json) -> None:
        if name in _TRANSPORT:
            return
        if name not in allowed:
            raise Rejected(OPERATION_INPUT, f"takes only: {', '.join(sorted(allowed)) or 'nothing'}")
        if name in found or not isinstance(value, (str, int)):
            raise Rejected(OPERATION_INPUT, "given twice, or not a simple value", at=name)
        found[name] = str(value).lower() if isinstance(value, bool) else str(value)

    for name, text in parse_query_string(request.query):
        add(name, text)
    if request.method == "POST" and (request.body or request.document is not None):
        for name, simple, _ in parts_of(await read_document(site, request)):
            add(name, simple)
    return found


def parts_of(value: JsonObject) -> list[tuple[str, Json, Json]]:
    """Return name, simple value and resource of each part of a Parameters resource.

    Raises:
        Rejected: OPERATION_INPUT, it is another resource.
    """
    if value.get("resourceType") != "Parameters":
        raise Rejected(OPERATION_INPUT, "the operation takes a Parameters resource")
    parts = value.get("parameter", [])
    found = []
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and isinstance(part.get("name"), str):
            simple = next((item for key, item in part.items() if key.startswith("value")), None)
            found.append((str(part["name"]), simple, part.get("resource")))
    return found
