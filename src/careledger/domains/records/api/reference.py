"""The FHIR routes as operations of a manifest, for the reference of routes. The CapabilityStatement says more."""

from __future__ import annotations

from typing import Final, cast

from careledger.domains.records.api.interactions import OPERATIONS, ROUTES
from careledger.domains.records.api.routing import LEVELS, MOUNT, Shape
from careledger.web.manifest import Method, Operation

_TEXTS: Final = {
    "capabilities": "What the site offers (CapabilityStatement).",
    "": "Where tokens come from (SMART configuration), where the site has a token endpoint.",
    "search-system": "Search over several types (`_type`).",
    "batch": "A batch or a transaction.",
    "history-system": "Versions of everything, newest first.",
    "search-type": "Search.",
    "create": "Create; with `If-None-Exist` only if nothing matches.",
    "update": "Update; with `If-Match` only that version.",
    "patch": "JSON Patch or FHIRPath Patch.",
    "delete": "Delete.",
    "history-type": "Versions of a type, newest first.",
    "read": "Read; with `If-None-Match` or `If-Modified-Since` only if changed.",
    "history-instance": "Versions of one resource, newest first.",
    "vread": "Read one version.",
}
_CONDITIONAL: Final = frozenset({"update", "patch", "delete"})
_COMPARTMENT: Final = "Search in the patient's compartment (`*` for all types)."


def list_operations() -> tuple[Operation, ...]:
    """Return every FHIR route and operation."""
    found = []
    for route in ROUTES:
        text = _TEXTS[route.interaction]
        if route.shape is Shape.TYPE and route.interaction in _CONDITIONAL:
            text = f"{text.rstrip('.')} of the one resource that criteria in the query mean."
        if route.shape in (Shape.COMPARTMENT, Shape.COMPARTMENT_SEARCH):
            text = _COMPARTMENT
        found.append(_operation(route.method, route.shape.value, text, is_public=not route.needs_token))
    for operation in OPERATIONS:
        for shape, level in LEVELS.items():
            if level in operation.levels:
                path = shape.value.replace("${operation}", operation.name)
                if operation.types is not None:
                    path = path.replace("{type}", min(operation.types))
                found += [_operation(method, path, operation.text) for method in operation.methods]
    return tuple(found)


def _operation(method: str, path: str, text: str, *, is_public: bool = False) -> Operation:
    return Operation(
        method=cast("Method", method),
        path=path.removeprefix(f"/{MOUNT}"),
        name="",
        text=text,
        is_public=is_public,
    )
