"""history: of one resource, of a type, of everything (FHIR R4 §3.1.0.10).

A version is shown only if the requester may see the resource as it is now, deleted ones included, and the version by
itself: what has since become restricted is gone from its history too. No totals are given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from careledger.domains.records.api.access import Access
from careledger.domains.records.api.errors import HISTORY_PARAMETER
from careledger.domains.records.api.finding import is_visible, seen_of
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.ports import AccessEvent
from careledger.domains.records.api.searches import PAGE_PARAMETER, PageRequest
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.errors import ERASED, RESOURCE_UNKNOWN
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.package import Method
from careledger.domains.records.service.store import StoredVersion
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.bundle_answers import Version, build_history
from careledger.standards.fhir.instants import InstantError, parse_range
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.search.request import parse_query_string
from careledger.web.errors import SCOPE_INSUFFICIENT

COUNT_MAX: Final = 1_000
_CHUNK: Final = 200
_CHUNKS_MAX: Final = 50
"""Chunks looked through for one page; a page that sees few of many versions ends there and goes on with its link."""
_METHODS: Final[dict[Method, str]] = {Method.CREATE: "POST", Method.UPDATE: "PUT", Method.DELETE: "DELETE"}
_KNOWN: Final = frozenset({"_count", "_since", "_format", "_pretty", PAGE_PARAMETER})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    place: str
    resource_type: str | None
    resource_id: str | None
    since_ms: int | None
    count: int
    before_row: int | None
    pairs: tuple[tuple[str, str], ...]


async def history(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer a history."""
    access = request.access
    letter = "r" if request.resource_id else "s"
    if request.resource_type:
        access.require(letter, request.resource_type)
    elif not access.scopes["s"].by_type:
        raise Rejected(SCOPE_INSUFFICIENT)
    wanted = _read(site, request)
    if wanted.resource_id is not None:
        if not is_visible(site, access, "r", request.resource_type, wanted.resource_id):
            raise Rejected(RESOURCE_UNKNOWN)
        interaction = "history-instance"
    else:
        interaction = "history-type" if request.resource_type else "history-system"
    found, before_row = await site.searches.beside(lambda: _collect(site, access, letter, wanted))
    await site.trail.note(
        AccessEvent(
            principal=access.principal,
            action="read" if wanted.resource_id else "query",
            interaction=interaction,
            seen=tuple(seen_of(stored) for stored, _ in found),
            request_id=request.request_id,
        )
    )
    base = f"{site.base_url}/{wanted.place}" if wanted.place else site.base_url
    links = [("self", f"{base}/_history")]
    if before_row is not None:
        page = PageRequest(f"{wanted.place}/_history", wanted.pairs, True, str(before_row))
        links.append(("next", f"{base}/_history?{PAGE_PARAMETER}={site.searches.seal_page(page)}"))
    bundle = build_history((_version(site, *one) for one in found), links=links)
    return FhirAnswer(status=200, body=write_json(bundle))


def _read(site: FhirSite, request: FhirRequest) -> _Wanted:
    """Understand `_count`, `_since` or the page link.

    Raises:
        Rejected: HISTORY_PARAMETER, PAGE_REFUSED.
    """
    place = "/".join(part for part in (request.resource_type, request.resource_id) if part)
    pairs = parse_query_string(request.query)
    before_row = None
    values = dict(pairs)
    if PAGE_PARAMETER in values:
        opened = site.searches.open_page(values[PAGE_PARAMETER], f"{place}/_history")
        pairs, before_row = opened.pairs, int(opened.link)
        values = dict(pairs)
    unknown = [number for number, (name, _) in enumerate(pairs, start=1) if name not in _KNOWN]
    if unknown and request.presentation.is_strict:
        raise Rejected(HISTORY_PARAMETER, f"parameter {unknown[0]} is not offered")
    count = values.get("_count", str(site.settings.page_count))
    if not count.isascii() or not count.isdigit() or len(count) > 9:
        raise Rejected(HISTORY_PARAMETER, "not a count", at="_count")
    since_ms = None
    if "_since" in values:
        try:
            since_ms = parse_range(values["_since"])[0]
        except InstantError:
            raise Rejected(HISTORY_PARAMETER, "not an instant", at="_since") from None
    return _Wanted(
        place=place,
        resource_type=request.resource_type or None,
        resource_id=request.resource_id or None,
        since_ms=since_ms,
        count=max(1, min(int(count), COUNT_MAX)),
        before_row=before_row,
        pairs=pairs,
    )


def _collect(
    site: FhirSite, access: Access, letter: str, wanted: _Wanted
) -> tuple[list[tuple[StoredVersion, bytes]], int | None]:
    """Return the versions of a page, newest first, and the row before which the next page begins."""
    found: list[tuple[StoredVersion, bytes]] = []
    before_row = wanted.before_row
    for _ in range(_CHUNKS_MAX):
        chunk = site.store.history(
            resource_type=wanted.resource_type,
            resource_id=wanted.resource_id,
            since_ms=wanted.since_ms,
            before_row=before_row,
            count=_CHUNK,
        )
        for stored in _visible(site, access, letter, chunk):
            if len(found) == wanted.count:
                return found, found[-1][0].row
            opened = _open(site, stored)
            if opened is not None:
                found.append((stored, opened))
        if len(chunk) < _CHUNK:
            return found, None
        before_row = chunk[-1].row
    return found, before_row


def _visible(
    site: FhirSite, access: Access, letter: str, chunk: Sequence[StoredVersion]
) -> list[StoredVersion]:
    """Return those versions of a chunk that the requester may see."""
    ids: dict[str, set[str]] = {}
    for stored in chunk:
        ids.setdefault(stored.resource_type, set()).add(stored.resource_id)
    scope = access.scopes[letter]
    known = {
        name: _find_visible(site, scope, name, sorted(wanted))
        for name, wanted in ids.items()
        if name in scope.by_type
    }
    return [
        stored
        for stored in chunk
        if stored.resource_id in known.get(stored.resource_type, {})
        and access.sees(letter, stored.resource_type, site.store.stream_keys(stored.stream).compartment)
        is not False
    ]


def _find_visible(site: FhirSite, scope: Scope, resource_type: str, ids: list[str]) -> Collection[str]:
    return site.searches.now(lambda index: index.find_visible(resource_type, ids, scope, with_deleted=True))


def _open(site: FhirSite, stored: StoredVersion) -> bytes | None:
    """Return a version's bytes, empty for a deletion; None for one that was erased."""
    if stored.method is Method.DELETE:
        return b""
    try:
        return site.store.open(stored).served
    except Rejected as refusal:
        if refusal.code is ERASED:
            return None
        raise


def _version(site: FhirSite, stored: StoredVersion, served: bytes) -> Version:
    identity = f"{stored.resource_type}/{stored.resource_id}"
    method = _METHODS[stored.method]
    return Version(
        full_url=f"{site.base_url}/{identity}",
        identity=identity,
        method="POST" if method == "POST" else "DELETE" if method == "DELETE" else "PUT",
        version_id=str(stored.version),
        last_modified_ms=stored.updated_ms,
        resource=msgspec.Raw(served) if served else None,
    )
