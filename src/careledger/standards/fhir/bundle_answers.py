"""Bundles a server answers with: responses to batches and transactions, search sets, histories.

Resources may be given as values or as stored JSON bytes (``msgspec.Raw``), which are written out as they are.
Everything here builds plain values; ``json_writer`` turns them into bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from careledger.standards.fhir.instants import format_instant
from careledger.standards.fhir.json_types import Json, JsonObject

Stored: TypeAlias = JsonObject | msgspec.Raw
"""A resource as a value or as its bytes."""

REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
"""The words HTTP (RFC 9110) gives to a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one entry of a batch or transaction."""

    status: int
    """HTTP status."""
    location: str = ""
    """``Type/id/_history/version`` of what was written."""
    version_id: str = ""
    """Its version; becomes a weak entity tag."""
    last_modified_ms: int | None = None
    """When it was written, UTC milliseconds."""
    resource: Stored | None = None
    """What the client asked to see."""
    full_url: str = ""
    """Where that resource stands."""
    outcome: JsonObject | None = None
    """OperationOutcome, for failures and remarks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One resource of a search set."""

    full_url: str
    """Absolute URL of the resource."""
    resource: Stored
    """The resource."""
    mode: Literal["match", "include", "outcome"] = "match"
    """Why it is there."""
    score: str = ""
    """Relevance from 0 to 1 as a decimal text, for ``$match``; or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version in a history."""

    full_url: str
    """Absolute URL of the resource, without version."""
    identity: str
    """``Type/id``."""
    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    """How the version came about."""
    version_id: str
    """Its version."""
    last_modified_ms: int
    """When it came about, UTC milliseconds."""
    resource: Stored | None
    """The version; absent after a delete."""


Link: TypeAlias = tuple[str, str]
"""Relation (``self``, ``next``) and URL."""


def format_status(status: int) -> str:
    """Return an HTTP status with its words, ``201 Created``."""
    return f"{status} {REASONS[status]}" if status in REASONS else str(status)


def format_etag(version_id: str) -> str:
    """Return the weak entity tag of a version."""
    return f'W/"{version_id}"'


def _response(answer: Answer) -> JsonObject:
    """Return ``Bundle.entry.response``."""
    response: JsonObject = {"status": format_status(answer.status)}
    if answer.location:
        response["location"] = answer.location
    if answer.version_id:
        response["etag"] = format_etag(answer.version_id)
    if answer.last_modified_ms is not None:
        response["lastModified"] = format_instant(answer.last_modified_ms)
    if answer.outcome is not None:
        response["outcome"] = answer.outcome
    return response


def build_response(kind: Literal["batch", "transaction"], answers: Iterable[Answer]) -> JsonObject:
    """Return the response to a batch or transaction; answers stand in the order of its entries."""
    entries: list[Json] = []
    for answer in answers:
        entry: JsonObject = {}
        if answer.full_url:
            entry["fullUrl"] = answer.full_url
        if answer.resource is not None:
            entry["resource"] = answer.resource
        entry["response"] = _response(answer)
        entries.append(entry)
    return _bundle(f"{kind}-response", entries)


def build_search_set(
    hits: Iterable[Hit], *, total: int | None = None, links: Sequence[Link] = (), bundle_id: str = ""
) -> JsonObject:
    """Return a search set.

    Args:
        hits: Matches, includes and outcomes in the order to show.
        total: Number of all matches, over all pages; None when it was not counted.
        links: Relations and URLs; ``self`` first.
        bundle_id: Id of the bundle, or empty.
    """
    entries: list[Json] = []
    for hit in hits:
        search: JsonObject = {"mode": hit.mode}
        if hit.score:
            search["score"] = msgspec.Raw(hit.score.encode("ascii"))
        entry: JsonObject = {"fullUrl": hit.full_url} if hit.full_url else {}
        entries.append(entry | {"resource": hit.resource, "search": search})
    return _bundle("searchset", entries, total=total, links=links, bundle_id=bundle_id)


def build_history(
    versions: Iterable[Version], *, total: int | None = None, links: Sequence[Link] = ()
) -> JsonObject:
    """Return a history, newest version first as the caller gives it."""
    entries: list[Json] = []
    for version in versions:
        entry: JsonObject = {"fullUrl": version.full_url}
        if version.resource is not None:
            entry["resource"] = version.resource
        url = version.identity if version.method != "POST" else version.identity.partition("/")[0]
        entry["request"] = {"method": version.method, "url": url}
        entry["response"] = {
            "status": format_status({"POST": 201, "DELETE": 204}.get(version.method, 200)),
            "etag": format_etag(version.version_id),
            "lastModified": format_instant(version.last_modified_ms),
        }
        entries.append(entry)
    return _bundle("history", entries, total=total, links=links)


def _bundle(
    kind: str,
    entries: list[Json],
    *,
    total: int | None = None,
    links: Sequence[Link] = (),
    bundle_id: str = "",
) -> JsonObject:
    """Return a bundle; empty parts are left out, as FHIR JSON wants."""
    bundle: JsonObject = {"resourceType": "Bundle"}
    if bundle_id:
        bundle["id"] = bundle_id
    bundle["type"] = kind
    if total is not None:
        bundle["total"] = total
    if links:
        bundle["link"] = [{"relation": relation, "url": url} for relation, url in links]
    if entries:
        bundle["entry"] = entries
    return bundle
