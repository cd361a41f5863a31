"""transaction: many changes, all or none, with links between them and references by search (FHIR R4 §3.1.0.11.2).

1. The bundle is read and checked as a whole, and what it asks for against the requester's rights: nothing is looked
   up yet.
2. Inside the write transaction: conditions find their resources, new ids are given, identities must not overlap,
   references by search must each find exactly one resource; then every link is replaced.
3. The changes are written in FHIR's order: deletions, creations, updates and patches.
4. Reads and searches of the bundle are answered last, each as a request of its own.

Every resource is kept as submitted with its own bytes from within the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from careledger.domains.records.api.access import Access
from careledger.domains.records.api.conditions import find_one, is_allowed, read_criteria, write_decided
from careledger.domains.records.api.documents import check_context, check_identity
from careledger.domains.records.api.errors import BUNDLE_ENTRY_FORBIDDEN, CONDITION_WITHOUT_MATCH
from careledger.domains.records.api.patching import Patch, apply_checked
from careledger.domains.records.api.patients import patients_of
from careledger.domains.records.api.ports import AccessEvent
from careledger.domains.records.api.rendering import new_id, read_own
from careledger.domains.records.api.site import FhirSite
from careledger.domains.records.api.writing import stored_patients
from careledger.domains.records.service.changes import Change, WriteResult, Written
from careledger.domains.records.service.errors import RESOURCE_UNKNOWN, VERSION_CONFLICT
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.package import Method
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.bundle import Links, Requests, check_identities, link_resource
from careledger.standards.fhir.bundle_requests import Entry
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.search.query import Query, SearchRejected
from careledger.storage.sqlite import Connection

_LETTERS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


@dataclass(slots=True, kw_only=True)
class Planned:
    """One changing entry of a transaction."""

    entry: Entry
    submitted: bytes
    criteria: Query | None = None
    """Of a conditional create, update, patch or delete."""
    patch: Patch | None = None
    if_match: int | None = None
    resource_type: str = ""
    resource_id: str = ""
    """Known once conditions are resolved and ids given."""
    method: Method | None = None
    """What will be done; None where a conditional create found its resource."""
    found_version: int = 0
    found_ms: int = 0
    """Of what a conditional create found."""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """One transaction under way."""

    site: FhirSite
    access: Access
    requests: Requests
    planned: list[Planned] = field(default_factory=list)
    changing: list[Planned] = field(default_factory=list)
    """Those of them that do change something, in the order of their changes."""
    references: dict[str, Query] = field(default_factory=dict)
    """Criteria of the references by search, by their text."""
    patients: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Whose record each changed resource belongs to."""
    written: dict[int, Written] = field(default_factory=dict)
    """By index of the entry."""

    def plan(self, slices: Sequence[bytes], patches: dict[int, tuple[Patch, bytes]]) -> None:
        """Check what is asked for, entry by entry, before anything is looked up.

        Raises:
            Rejected: An entry lies beyond the requester's rights, or a bundle cannot carry it.
            SearchRejected: A condition is malformed.
        """
        for entry in self.requests.ordered():
            letter = _LETTERS.get(entry.method)
            if letter is None or (entry.method == "POST" and not entry.is_create):
                continue
            where = f"Bundle.entry[{entry.index}]"
            name = entry.url.type_name
            if not name:
                raise Rejected(BUNDLE_ENTRY_FORBIDDEN, at=where)
            self.access.require(letter, name)
            planned = Planned(entry=entry, submitted=slices[entry.index], resource_type=name)
            planned.resource_id = entry.url.logical_id
            planned.if_match = _version_of(entry)
            condition = entry.if_none_exist or (entry.url.query if entry.url.is_conditional else "")
            if condition:
                self.access.require("s", name)
                planned.criteria = self._criteria(name, condition, where)
            if entry.method == "PATCH":
                planned.patch, planned.submitted = patches[entry.index]
            self.planned.append(planned)
        for text in self.requests.conditional_references():
            name, _, query = text.partition("?")
            self.access.require("s", name)
            self.references[text] = self._criteria(name, query, "Bundle")

    def _criteria(self, resource_type: str, text: str, where: str) -> Query:
        try:
            return read_criteria(self.site, resource_type, text)
        except SearchRejected as error:
            raise SearchRejected(error.issue, error.text, at=f"{where}: {error.at}") from None

    # -- inside the write transaction ----------------------------------------------------------------------

    def decide(self, connection: Connection) -> Sequence[Change]:
        """Resolve, give ids, link: what the transaction changes, in processing order.

        Raises:
            Rejected: A condition finds several, a target may not be seen, a reference finds nothing.
            BundleError: Two entries change the same resource.
        """
        index = self.site.searches.index_on(connection)
        for planned in self.planned:
            self._resolve(index, planned)
        changing = [planned for planned in self.planned if planned.method is not None]
        changing.sort(key=_precedence)
        self.changing = changing
        check_identities(
            (planned.entry.index, f"{planned.resource_type}/{planned.resource_id}") for planned in changing
        )
        assigned = {
            planned.entry.index: f"{planned.resource_type}/{planned.resource_id}" for planned in self.planned
        }
        links = self.requests.compute_links(assigned)
        found = self._resolve_references(index)
        return [self._change(planned, links, found) for planned in changing]

    def _resolve(self, index: Index, planned: Planned) -> None:
        """Find what an entry is about, and what is to be done with it."""
        name, entry = planned.resource_type, planned.entry
        found = None
        if planned.criteria is not None:
            found = find_one(index, planned.criteria, self.access.require("s", name))
        if entry.method == "POST":
            if found is None:
                planned.method, planned.resource_id = Method.CREATE, new_id()
            else:
                planned.resource_id = found.resource_id
                planned.found_version, planned.found_ms = found.version, found.last_updated_ms
            return
        if found is not None:
            planned.resource_id = found.resource_id
        elif planned.criteria is not None and entry.method == "PUT":
            if entry.resource is not None and "id" in entry.resource:
                raise Rejected(RESOURCE_UNKNOWN, at=f"Bundle.entry[{entry.index}]")
            self.access.require("c", name)
            planned.method, planned.resource_id = Method.CREATE, new_id()
            return
        letter = _LETTERS[entry.method]
        if not planned.resource_id or not is_allowed(index, self.access, letter, name, planned.resource_id):
            raise Rejected(RESOURCE_UNKNOWN, at=f"Bundle.entry[{entry.index}]")
        planned.method = Method.DELETE if entry.method == "DELETE" else Method.UPDATE

    def _resolve_references(self, index: Index) -> dict[str, str]:
        """Return what each reference by search refers to."""
        found: dict[str, str] = {}
        for text, query in self.references.items():
            name = text.partition("?")[0]
            entry = find_one(index, query, self.access.require("s", name))
            if entry is None:
                raise Rejected(CONDITION_WITHOUT_MATCH)
            found[text] = f"{name}/{entry.resource_id}"
        return found

    def _change(self, planned: Planned, links: Links, found: dict[str, str]) -> Change:
        """Return the change of one entry, its links replaced."""
        name, resource_id, method = planned.resource_type, planned.resource_id, planned.method
        if method is None or method is Method.DELETE:
            self.patients[name, resource_id] = stored_patients(self.site, name, resource_id)
            return Change(
                method=Method.DELETE, resource_type=name, resource_id=resource_id, if_match=planned.if_match
            )
        if_match = planned.if_match
        if planned.patch is not None:
            stored = self.site.store.read(name, resource_id)
            if if_match is not None and stored.version != if_match:
                raise Rejected(VERSION_CONFLICT, at=f"Bundle.entry[{planned.entry.index}]")
            value = apply_checked(planned.patch, read_own(self.site.store.open(stored).served))
            if_match = stored.version
        else:
            value = self._linked(planned, links, found)
        letter = "c" if method is Method.CREATE else "u"
        check_context(self.site, self.access, letter, name, resource_id, value)
        own_base = self.site.searches.own_base
        self.patients[name, resource_id] = patients_of(name, resource_id, value, own_base)
        return Change(
            method=method,
            resource_type=name,
            resource_id=resource_id,
            value=value,
            submitted=planned.submitted,
            if_match=if_match,
        )

    def _linked(self, planned: Planned, links: Links, found: dict[str, str]) -> JsonObject:
        resource = planned.entry.resource or {}
        if planned.method is Method.UPDATE and "id" in resource:
            check_identity(resource, planned.resource_type, planned.resource_id)
        mapping = links.of_entry(planned.entry)
        return link_resource(resource, {**mapping, **found} if found else mapping)

    # -- afterwards ----------------------------------------------------------------------------------------

    async def write(self, request_id: str) -> WriteResult | None:
        """Write all changes; None where there are none to be made."""
        if not self.planned:
            return None
        event = AccessEvent(
            principal=self.access.principal,
            action="create",
            interaction="transaction",
            seen=(),
            request_id=request_id,
        )
        also = self.site.trail.note_write(
            event, lambda written: self.patients.get((written.resource_type, written.resource_id), ())
        )
        result = await write_decided(self.site, self.decide, also)
        self.written = {
            planned.entry.index: written
            for planned, written in zip(self.changing, result.written, strict=True)
        }
        return result


def _precedence(planned: Planned) -> int:
    """Return the place of a change: deletions first, and new patients before what belongs to their records."""
    if planned.method is Method.DELETE:
        return 0
    return 1 if planned.resource_type == "Patient" and planned.method is Method.CREATE else 2


def _version_of(entry: Entry) -> int | None:
    """Return the version an entry expects.

    Raises:
        Rejected: VERSION_CONFLICT for a tag that no version here can have.
    """
    if not entry.if_match:
        return None
    if not entry.if_match.isascii() or not entry.if_match.isdigit() or len(entry.if_match) > 9:
        raise Rejected(VERSION_CONFLICT, at=f"Bundle.entry[{entry.index}].request.ifMatch")
    return int(entry.if_match)


def located(error: Rejected, index: int) -> Rejected:
    """Return a refusal that says which entry it is about."""
    where = f"Bundle.entry[{index}]"
    return Rejected(error.code, error.detail, at=f"{where}.{error.at}" if error.at else where)
