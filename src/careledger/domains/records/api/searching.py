"""search: one type, several types, a patient's compartment; by GET and by POST (FHIR R4 §3.1.0.9, §3.1.1).

The scope that stands for what the requester may see goes into the index with the search, so it holds for matches,
inclusions, chains and totals alike. Whatever is shown is kept in the access log first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from careledger.domains.records.api.finding import seen_of
from careledger.domains.records.api.interaction import FhirAnswer, FhirRequest
from careledger.domains.records.api.negotiation import SEARCH_TYPES_ALLOWED, check_content_type
from careledger.domains.records.api.ports import AccessEvent
from careledger.domains.records.api.rendering import new_id, show_part
from careledger.domains.records.api.searches import PAGE_PARAMETER, PageRequest
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.service.errors import ERASED
from careledger.domains.records.service.index.results import Entry, Page, SearchPage
from careledger.domains.records.service.index.scope import Scope
from careledger.domains.records.service.store import StoredVersion
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.bundle_answers import Hit, Link, build_search_set
from careledger.standards.fhir.issues import Issue
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.outcome import build_outcome
from careledger.standards.fhir.search.query import Query, Summary, Total
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.standards.fhir.structure import patient_compartment
from careledger.web.errors import SCOPE_INSUFFICIENT

ANY: Final = "*"
_TRANSPORT: Final = frozenset({"_format", "_pretty"})
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One page of one search, understood."""

    place: str
    """Where it was asked, relative to the base: `Observation`, `Patient/1/Observation`, or empty."""
    pairs: Pairs
    is_strict: bool
    query: Query
    page: Page
    scope: Scope


@dataclass(slots=True, kw_only=True)
class Found:
    """A page with the versions it names, unsealed."""

    page: SearchPage
    matches: list[tuple[StoredVersion, bytes]]
    includes: list[tuple[StoredVersion, bytes]]


async def search(site: FhirSite, request: FhirRequest) -> FhirAnswer:
    """Answer a search."""
    wanted = read_search(site, request)
    return await answer_search(site, request, wanted, interaction=_interaction(request))


def _interaction(request: FhirRequest) -> str:
    return "search-type" if request.resource_type else "search-system"


def _place(request: FhirRequest) -> str:
    if request.inner_type:
        return f"Patient/{request.resource_id}/{request.inner_type}"
    return request.resource_type


def read_pairs(request: FhirRequest) -> Pairs:
    """Return the parameters of a search, those of a form included.

    Raises:
        SearchRejected: They cannot be split.
        HttpRefused: 415.
    """
    pairs = parse_query_string(request.query)
    if request.method == "POST":
        if request.body or b"content-type" in request.headers:
            check_content_type(request.header(b"content-type"), SEARCH_TYPES_ALLOWED)
        pairs += parse_query_string(request.body.decode("latin-1"))
    return pairs


def read_search(site: FhirSite, request: FhirRequest) -> Wanted:
    """Understand a search request, or the page link that continues one.

    Raises:
        Rejected: SCOPE_INSUFFICIENT, PAGE_REFUSED.
        SearchRejected: It is malformed.
    """
    place = _place(request)
    pairs = read_pairs(request)
    is_strict, link = request.presentation.is_strict, None
    texts = [value for name, value in pairs if name == PAGE_PARAMETER]
    if texts:
        opened = site.searches.open_page(texts[0], place)
        pairs, is_strict, link = opened.pairs, opened.is_strict, opened.link
    target = request.inner_type or request.resource_type
    scope = request.access.scopes["s"]
    if target and target != ANY:
        scope = request.access.require("s", target)
    elif not scope.by_type:
        raise Rejected(SCOPE_INSUFFICIENT)
    if target == ANY:
        pairs, target = _narrow_to_compartment(pairs, scope), ""
    query = parse_search(
        target, pairs, now_ms=site.clock_ms(), own_base=site.searches.own_base, is_strict=is_strict
    )
    if request.inner_type:
        query = replace(query, compartment_patient=request.resource_id)
    return Wanted(
        place=place,
        pairs=pairs,
        is_strict=is_strict,
        query=query,
        page=page_of(query, link, site.settings.page_count),
        scope=scope,
    )


def _narrow_to_compartment(pairs: Pairs, scope: Scope) -> Pairs:
    """Name the types of a compartment, unless the request names some: others hold nothing of it."""
    if any(name == "_type" for name, _ in pairs):
        return pairs
    types = sorted(name for name in scope.by_type if name == "Patient" or name in patient_compartment())
    return (*pairs, ("_type", ",".join(types)))


def page_of(query: Query, link: str | None, default_count: int) -> Page:
    """Return which page a query asks for."""
    if query.summary is Summary.COUNT:
        return Page(count=0, with_total=True)
    with_total = query.total in (Total.ACCURATE, Total.ESTIMATE) or query.count == 0
    count = default_count if query.count is None else query.count
    return Page(count=count, link=link, with_total=with_total)


async def run_search(site: FhirSite, wanted: Wanted) -> Found:
    """Search, and unseal what is found, beside the event loop.

    What was erased since the index was asked is left out.
    """

    def act() -> Found:
        page = site.searches.now(lambda index: index.search(wanted.query, wanted.scope, wanted.page))
        return Found(page=page, matches=_open(site, page.matches), includes=_open(site, page.includes))

    return await site.searches.beside(act)


def _open(site: FhirSite, entries: Sequence[Entry]) -> list[tuple[StoredVersion, bytes]]:
    keys = [(entry.resource_type, entry.resource_id, entry.version) for entry in entries]
    opened = []
    for stored in site.store.read_versions(keys):
        try:
            opened.append((stored, site.store.open(stored).served))
        except Rejected as refusal:
            if refusal.code is not ERASED:
                raise
    return opened


async def answer_search(
    site: FhirSite, request: FhirRequest, wanted: Wanted, *, interaction: str
) -> FhirAnswer:
    """Run a search, keep the access, and return the search set."""
    found = await run_search(site, wanted)
    shown = [stored for stored, _ in (*found.matches, *found.includes)]
    await site.trail.note(
        AccessEvent(
            principal=request.access.principal,
            action="query",
            interaction=interaction,
            seen=tuple(map(seen_of, shown)),
            query=urlencode(wanted.pairs),
            patient=wanted.query.compartment_patient,
            request_id=request.request_id,
        )
    )
    bundle = build_search_set(
        _hits(site, wanted, found),
        total=found.page.total,
        links=_links(site, wanted, found.page),
        bundle_id=new_id(),
    )
    return FhirAnswer(status=200, body=write_json(bundle))


def _hits(site: FhirSite, wanted: Wanted, found: Found) -> list[Hit]:
    summary = wanted.query.summary.value
    elements = wanted.query.elements
    is_whole = summary in ("false", "count") and not elements
    hits: list[Hit] = []
    for stored, served in found.matches:
        shown = served if is_whole else show_part(served, summary=summary, elements=elements)
        hits.append(Hit(full_url=_url(site, stored), resource=msgspec.Raw(shown)))
    for stored, served in found.includes:
        # _elements speaks of the type searched; inclusions are shown whole (FHIR R4 §3.1.1.4.15).
        shown = served if is_whole or elements else show_part(served, summary=summary, elements=())
        hits.append(Hit(full_url=_url(site, stored), resource=msgspec.Raw(shown), mode="include"))
    notes = []
    if wanted.query.ignored:
        listed = ", ".join(wanted.query.ignored)
        text = f"parameters that this site does not know were passed over: {listed}"
        notes.append(Issue("not-supported", "", text, "warning"))
    if found.page.is_cut:
        notes.append(
            Issue("too-costly", "", "more resources belong to this page than are included", "warning")
        )
    if notes:
        hits.append(Hit(full_url="", resource=build_outcome(notes), mode="outcome"))
    return hits


def _url(site: FhirSite, stored: StoredVersion) -> str:
    return f"{site.base_url}/{stored.resource_type}/{stored.resource_id}"


def _links(site: FhirSite, wanted: Wanted, page: SearchPage) -> list[Link]:
    """Return the links of a page: `self` says what was understood, the others are opaque."""
    base = f"{site.base_url}/{wanted.place}" if wanted.place else site.base_url
    ignored = set(wanted.query.ignored)
    understood = [
        pair
        for number, pair in enumerate(wanted.pairs, start=1)
        if pair[0] not in _TRANSPORT and f"parameter {number}" not in ignored
    ]
    own = f"{base}?{urlencode(understood, quote_via=quote)}" if understood else base
    links: list[Link] = [("self", own)]
    for relation, link in (("next", page.next_link), ("previous", page.previous_link)):
        if link is not None:
            sealed = site.searches.seal_page(PageRequest(wanted.place, wanted.pairs, wanted.is_strict, link))
            links.append((relation, f"{base}?{PAGE_PARAMETER}={sealed}"))
    return links
