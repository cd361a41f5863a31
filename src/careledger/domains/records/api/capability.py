"""The CapabilityStatement, built from the tables that route requests and that search reads (FHIR R4 §5.4).

Nothing in it is written by hand that another table decides: types, interactions, operations, search parameters and
inclusions are those that are served. It says nothing about whom it is shown to, so it needs no token.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.routing import Operation, Route, Shape
from careledger.domains.records.api.served_types import SERVED_TYPES, WRITABLE_TYPES
from careledger.domains.records.api.site import FhirSite
from careledger.primitives.errors import Rejected
from careledger.primitives.timestamps import format_instant
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.structure import FHIR_VERSION
from careledger.web.errors import ROUTE_UNKNOWN

_WRITES: Final = frozenset({"create", "update", "patch", "delete"})
_TYPE_SHAPES: Final = frozenset(
    {
        Shape.TYPE,
        Shape.TYPE_HISTORY,
        Shape.TYPE_SEARCH,
        Shape.INSTANCE,
        Shape.INSTANCE_HISTORY,
        Shape.VERSION,
    }
)
_ORDER: Final = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_SYSTEM: Final = {
    "batch": ("transaction", "batch"),
    "search-system": ("search-system",),
    "history-system": ("history-system",),
}
_SECURITY: Final = (
    "Every request but this one carries an access token (OAuth 2.0 bearer). What a token's scopes, its patient in "
    "context, the patients' consents and the labels of the records do not allow does not exist for it."
)
_SPECIAL: Final = {Kind.PHONETIC: "string"}


def _interactions(routes: tuple[Route, ...], resource_type: str) -> list[JsonObject]:
    offered = {route.interaction for route in routes if route.shape in _TYPE_SHAPES}
    if resource_type not in WRITABLE_TYPES:
        offered -= _WRITES
    return [{"code": code} for code in _ORDER if code in offered]


@cache
def _sources() -> dict[str, tuple[str, ...]]:
    """Return per resource type the `Type:parameter` whose references may lead to it."""
    found: dict[str, list[str]] = {}
    for source in sorted(SERVED_TYPES):
        for code, parameter in parameters(source).items():
            if parameter.kind is Kind.REFERENCE:
                for target in parameter.targets or sorted(SERVED_TYPES):
                    found.setdefault(target, []).append(f"{source}:{code}")
    return {name: tuple(codes) for name, codes in found.items()}


@cache
def _search_parts(resource_type: str) -> JsonObject:
    """Return search parameters and inclusions of a type."""
    known = parameters(resource_type)
    references = [f"{resource_type}:{code}" for code, one in known.items() if one.kind is Kind.REFERENCE]
    return {
        "searchInclude": ["*", *references],
        "searchRevInclude": list(_sources().get(resource_type, ())),
        "searchParam": [
            {"name": code, "type": _SPECIAL.get(one.kind, one.kind.value)} for code, one in known.items()
        ],
    }


def _operation(operation: Operation) -> JsonObject:
    return {
        "name": operation.name.removeprefix("$"),
        "definition": operation.definition,
        "documentation": operation.text,
    }


def _resource(routes: tuple[Route, ...], operations: list[Operation], resource_type: str) -> JsonObject:
    described: JsonObject = {
        "type": resource_type,
        "interaction": _interactions(routes, resource_type),
        "versioning": "versioned",
        "readHistory": True,
    }
    if resource_type in WRITABLE_TYPES:
        described |= {
            "updateCreate": False,
            "conditionalCreate": True,
            "conditionalRead": "full-support",
            "conditionalUpdate": True,
            "conditionalDelete": "single",
        }
    described["referencePolicy"] = ["literal", "logical", "local"]
    described |= _search_parts(resource_type)
    own = [
        _operation(operation)
        for operation in operations
        if any(operation.applies(level, resource_type) for level in ("type", "instance", "version"))
    ]
    if own:
        described["operation"] = own
    return described


def _service(site: FhirSite) -> JsonObject:
    """Return how a client gets a token: by SMART where the site has an endpoint for it."""
    code = "OAuth" if site.smart_configuration is None else "SMART-on-FHIR"
    system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
    return {"coding": [{"system": system, "code": code}]}


def build_statement(site: FhirSite, *, built_ms: int) -> JsonObject:
    """Return the CapabilityStatement of a site.

    Args:
        site: what it offers.
        built_ms: when the site began to offer it.
    """
    routes = site.table.routes
    operations = [one for one in site.table.operations.values() if one.is_offered(site)]
    system = [
        {"code": code}
        for route in routes
        if route.interaction in _SYSTEM and route.shape in (Shape.SYSTEM, Shape.SYSTEM_HISTORY)
        for code in _SYSTEM[route.interaction]
    ]
    rest: JsonObject = {
        "mode": "server",
        "documentation": "JSON only. Bytes are kept as submitted; what is served differs in id, meta and links alone.",
        "security": {
            "cors": False,
            "service": [_service(site)],
            "description": _SECURITY,
        },
        "resource": [_resource(routes, operations, name) for name in sorted(SERVED_TYPES)],
        "interaction": system,
        "compartment": ["http://hl7.org/fhir/CompartmentDefinition/patient"],
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": format_instant(built_ms),
        "publisher": site.title,
        "kind": "instance",
        "software": {"name": "CareLedger", "version": site.software_version},
        "implementation": {"description": site.title, "url": site.base_url},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json"],
        "rest": [rest],
    }


async def show(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `GET metadata`."""
    del request
    if not site.statement:
        site.statement = write_json(build_statement(site, built_ms=site.clock_ms()))
    return FhirAnswer(status=200, body=site.statement)


async def show_smart(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer `GET .well-known/smart-configuration`, where the site has a token endpoint."""
    del request
    if site.smart_configuration is None:
        raise Rejected(ROUTE_UNKNOWN)
    return FhirAnswer(
        status=200, body=write_json(site.smart_configuration), content_type=b"application/json", is_final=True
    )
