"""Rules between elements of a Bundle: FHIR R4's bdl-1 to bdl-12, which are all of severity error.

They hold for any bundle, stored or exchanged. What a batch or transaction needs to be carried out is the business of
``bundle``.
"""

from typing import cast

from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.rules import Rule, some_of

_REQUESTED = ("batch", "transaction", "history")
_ANSWERED = ("batch-response", "transaction-response", "history")


def _entries(value: JsonObject) -> list[JsonObject]:
    """Return the entries of a bundle."""
    return [entry for entry in cast("list[Json]", value.get("entry", [])) if isinstance(entry, dict)]


def _first_type(value: JsonObject) -> Json:
    """Return the resource type of the first entry."""
    for entry in _entries(value)[:1]:
        resource = entry.get("resource")
        return resource.get("resourceType") if isinstance(resource, dict) else None
    return None


def check_total(value: JsonObject) -> str | None:
    """bdl-1: only search results and histories have a total."""
    if "total" in value and value.get("type") not in ("searchset", "history"):
        return "only a searchset or history has a total (bdl-1)"
    return None


def check_entries(value: JsonObject) -> str | None:
    """bdl-2 to bdl-4: search, request and response stand where the type of bundle wants them."""
    kind = value.get("type")
    for entry in _entries(value):
        if "search" in entry and kind != "searchset":
            return "only entries of a searchset say how they were found (bdl-2)"
        if ("request" in entry) != (kind in _REQUESTED):
            return "every entry of a batch, transaction or history has a request, no other has (bdl-3)"
        if ("response" in entry) != (kind in _ANSWERED):
            return "every entry of a response or history has a response, no other has (bdl-4)"
    return None


def check_full_urls(value: JsonObject) -> str | None:
    """bdl-7: a fullUrl occurs once per version of its resource, except in a history."""
    if value.get("type") == "history":
        return None
    seen: set[tuple[Json, Json]] = set()
    for entry in _entries(value):
        if "fullUrl" not in entry:
            continue
        resource = entry.get("resource")
        meta = resource.get("meta") if isinstance(resource, dict) else None
        key = (entry["fullUrl"], meta.get("versionId") if isinstance(meta, dict) else None)
        if key in seen:
            return "a fullUrl occurs twice (bdl-7)"
        seen.add(key)
    return None


def check_document(value: JsonObject) -> str | None:
    """bdl-9 to bdl-12: documents are identified, dated and start with a Composition; messages with a MessageHeader."""
    kind = value.get("type")
    if kind == "message" and _first_type(value) != "MessageHeader":
        return "a message starts with a MessageHeader (bdl-12)"
    if kind != "document":
        return None
    identifier = value.get("identifier")
    if not isinstance(identifier, dict) or "system" not in identifier or "value" not in identifier:
        return "a document has an identifier with system and value (bdl-9)"
    if "timestamp" not in value:
        return "a document has a timestamp (bdl-10)"
    return None if _first_type(value) == "Composition" else "a document starts with a Composition (bdl-11)"


def check_versionless(value: JsonObject) -> str | None:
    """bdl-8: a fullUrl names no version."""
    url = value.get("fullUrl")
    return "a fullUrl names no version (bdl-8)" if isinstance(url, str) and "/_history/" in url else None


BUNDLE_RULES: dict[str, tuple[Rule, ...]] = {
    "Bundle": (check_total, check_entries, check_full_urls, check_document),
    "Bundle.entry": (
        some_of("needs a resource, a request or a response (bdl-5)", "resource", "request", "response"),
        check_versionless,
    ),
}
"""The rules of bundles."""
