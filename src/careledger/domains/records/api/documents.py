"""Documents as they come: read within limits, checked as FHIR R4, and held to what the address and the token say.

The collector of cyclic garbage is held back while a large document is read: its values have no cycles, and counting
through hundreds of thousands of them would cost more than reading them.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from careledger.domains.records.api.access import Access
from careledger.domains.records.api.errors import ID_MISMATCH, OUTSIDE_CONTEXT, REFERENCE_CONDITIONAL
from careledger.domains.records.api.interaction import FhirRequest
from careledger.domains.records.api.negotiation import RESOURCE_TYPES_ALLOWED, check_content_type
from careledger.domains.records.api.site import HEAVY_BYTES, FhirSite
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.json_reader import Limits, read_resource
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.references import (
    ReferenceKind,
    ReferenceTextError,
    list_reference_texts,
    parse_reference,
)
from careledger.standards.fhir.search.compartment import find_patients
from careledger.standards.fhir.search.query import Match, Modifier, TokenValue
from careledger.standards.fhir.search.rows import Rows
from careledger.standards.fhir.validate import check_resource

_GATE: Final = threading.Lock()
_HELD_BACK: Final = [0]


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold the cyclic collector back, also while others do; it goes on when the last of them is done."""
    with _GATE:
        _HELD_BACK[0] += 1
        gc.disable()
    try:
        yield
    finally:
        with _GATE:
            _HELD_BACK[0] -= 1
            if not _HELD_BACK[0]:
                gc.enable()


def read_checked(raw: bytes, limits: Limits) -> JsonObject:
    """Return the valid resource in a document.

    Raises:
        JsonError: The document is malformed or beyond a limit.
        ValidationError: It is no valid resource.
    """
    if len(raw) < HEAVY_BYTES:
        value = read_resource(raw, limits)
        check_resource(value)
        return value
    with without_collection():
        value = read_resource(raw, limits)
        check_resource(value)
        return value


async def read_document(site: FhirSite, request: FhirRequest) -> JsonObject:
    """Return the valid resource that a request brings.

    Raises:
        HttpRefused: 415.
        JsonError: The document is malformed or beyond a limit.
        ValidationError: It is no valid resource.
    """
    if request.document is not None:
        return request.document
    check_content_type(request.header(b"content-type"), RESOURCE_TYPES_ALLOWED)
    body, limits = request.body, site.settings.document_limits
    return await site.beside(lambda: read_checked(body, limits), size_bytes=len(body))


def check_identity(value: JsonObject, resource_type: str, resource_id: str = "") -> None:
    """Refuse a resource that is not of the address's type, or not of its id.

    Raises:
        Rejected: ID_MISMATCH.
    """
    if value.get("resourceType") != resource_type:
        raise Rejected(ID_MISMATCH, at="resourceType")
    if resource_id and value.get("id") != resource_id:
        raise Rejected(ID_MISMATCH, at=f"{resource_type}.id")


def check_references(value: JsonObject) -> None:
    """Refuse references by search, which only a transaction resolves.

    Raises:
        Rejected: REFERENCE_CONDITIONAL.
    """
    if any("?" in text and is_conditional(text) for text in list_reference_texts(value)):
        raise Rejected(REFERENCE_CONDITIONAL)


def is_conditional(text: str) -> bool:
    """Whether a reference's text is a search."""
    try:
        return parse_reference(text).kind is ReferenceKind.CONDITIONAL
    except ReferenceTextError:
        return False


def check_context(
    site: FhirSite, access: Access, letter: str, resource_type: str, resource_id: str, value: JsonObject
) -> None:
    """Refuse to write what lies outside of the token's patient or of its scopes' criteria.

    The answer follows from the token and the document alone, so it tells nothing about what exists.

    Raises:
        Rejected: OUTSIDE_CONTEXT, or SCOPE_INSUFFICIENT for the type as a whole.
    """
    scope = access.require(letter, resource_type)
    alternatives = scope.by_type[resource_type].alternatives
    if scope.patients is None and not alternatives:
        return
    rows = site.extractor.extract(resource_type, value)
    if scope.patients is not None:
        patients = find_patients(resource_type, resource_id, rows)
        if not patients or not scope.patients.issuperset(patients):
            raise Rejected(OUTSIDE_CONTEXT)
    if alternatives and not any(all(_fulfils(rows, match) for match in matches) for matches in alternatives):
        raise Rejected(OUTSIDE_CONTEXT)


def _fulfils(rows: Rows, match: Match) -> bool:
    """Whether a resource that is not stored yet fulfils a criterion; only tokens are compared, others never are."""
    if match.modifier is not Modifier.NONE:
        return False
    slots = match.parameter.sources
    return any(
        slot in slots
        and (value.system is None or value.system == system)
        and (value.code is None or value.code == code)
        for value in match.values
        if isinstance(value, TokenValue)
        for slot, system, code, _ in rows.tokens
    )
