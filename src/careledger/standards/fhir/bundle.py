"""Batches and transactions: what each entry asks for, whether it may, and in which order it is carried out.

Owns the rules of FHIR R4 §3.1.0.11 that need no database: the form of requests, identities that must not overlap,
processing order, links between entries and conditional references. Finding what a condition matches, permission and
storage are the caller's. Structure must have been checked before (``validate``); responses are built in
``bundle_answers``.

How a transaction is carried out with this module:

1. :func:`read_requests` gives the entries, or refuses the whole with every reason.
2. The caller resolves ``ifNoneExist``, conditional updates and deletes, gives ids to what is created, and hands the
   identities to :func:`check_identities`.
3. It resolves :meth:`Requests.conditional_references`, each of which must match exactly one resource.
4. :meth:`Requests.compute_links`, what was resolved in step 3 and :func:`link_resource` give every resource with its
   links replaced.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from careledger.standards.fhir.bundle_requests import Entry, Method, read_entry
from careledger.standards.fhir.issues import FhirError, Issue
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.references import (
    ReferenceKind,
    ReferenceTextError,
    find_references,
    parse_reference,
    rewrite_references,
)

ENTRIES_MAX = 10_000
BundleKind: TypeAlias = Literal["batch", "transaction"]

_ORDER: dict[Method, int] = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


class BundleError(FhirError):
    """A bundle is refused as a whole."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The entries of a batch or transaction."""

    kind: BundleKind
    """A transaction succeeds or fails as a whole; the entries of a batch do so one by one."""
    entries: tuple[Entry, ...]
    """In the order of the bundle."""

    def ordered(self) -> list[Entry]:
        """Return the entries in processing order: DELETE, POST, PUT and PATCH, then GET and HEAD."""
        return sorted(self.entries, key=lambda entry: _ORDER.get(entry.method, 3))

    def conditional_references(self) -> list[str]:
        """Return the distinct ``Type?query`` references of all resources, in order of appearance."""
        found: dict[str, None] = {}
        for entry in self.entries:
            for text in entry.reference_texts:
                if "?" in text and _kind(text) is ReferenceKind.CONDITIONAL:
                    found[text] = None
        return list(found)

    def compute_links(self, assigned: Mapping[int, str]) -> "Links":
        """Return what links between entries are replaced with.

        Args:
            assigned: Per entry index the identity ``Type/id`` it now has.
        """
        whole: dict[str, str] = {}
        relative: dict[str, dict[str, str]] = {}
        for entry in self.entries:
            target = assigned.get(entry.index)
            if target is None or not entry.full_url:
                continue
            whole[entry.full_url] = target
            reference = parse_reference(entry.full_url)
            if reference.base_url:
                relative.setdefault(reference.base_url, {})[reference.local_text] = target
        return Links(whole, {base: texts | whole for base, texts in relative.items()})


@dataclass(frozen=True, slots=True)
class Links:
    """Texts that lead to entries of the same bundle, and the identities to put in their place."""

    whole: Mapping[str, str]
    """By fullUrl."""
    by_base: Mapping[str, Mapping[str, str]]
    """For entries whose fullUrl starts with a server's base: the same, and the relative forms on that server.

    A relative reference is relative to the fullUrl of the entry it stands in (FHIR R4 §2.36.4.1); in an entry known
    by a UUID it means this server, whatever other entries are called.
    """

    def of_entry(self, entry: Entry) -> Mapping[str, str]:
        """Return the links that count in one entry."""
        base = parse_reference(entry.full_url).base_url if entry.full_url else ""
        return self.by_base.get(base, self.whole)


def _kind(text: str) -> ReferenceKind | None:
    """Return the form of a reference, or None when it is no reference."""
    try:
        return parse_reference(text).kind
    except ReferenceTextError:
        return None


def read_requests(bundle: JsonObject, entries_max: int = ENTRIES_MAX) -> Requests:
    """Return the requests of a batch or transaction.

    Args:
        bundle: A Bundle whose structure was checked.
        entries_max: Entries allowed.

    Raises:
        BundleError: The bundle is of another type or too long; or it is a transaction and any entry is wrong. The
            faulty entries of a batch carry their issues instead.
    """
    kind = bundle.get("type")
    if bundle.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise BundleError(Issue("value", "Bundle.type", "must be batch or transaction"))
    items = bundle.get("entry", [])
    if not isinstance(items, list):
        raise BundleError(Issue("structure", "Bundle.entry", "must be a JSON array"))
    if len(items) > entries_max:
        raise BundleError(Issue("too-costly", "Bundle.entry", f"holds more than {entries_max} entries"))
    entries = tuple(
        read_entry(index, item if isinstance(item, dict) else {}) for index, item in enumerate(items)
    )
    requests = Requests(kind, entries)
    if kind == "transaction":
        issues = [issue for entry in entries for issue in entry.issues]
        issues += _check_full_urls(entries) + _check_links(entries)
        if issues:
            raise BundleError(*issues[:100])
        check_identities(
            (entry.index, entry.url.identity)
            for entry in entries
            if entry.method in ("PUT", "PATCH", "DELETE")
        )
    return requests


def _check_full_urls(entries: tuple[Entry, ...]) -> list[Issue]:
    """Refuse two entries under one fullUrl: links to it would be ambiguous."""
    seen: set[str] = set()
    issues: list[Issue] = []
    for entry in entries:
        if entry.full_url and entry.full_url in seen:
            issues.append(
                Issue("duplicate", f"Bundle.entry[{entry.index}].fullUrl", "another entry has this fullUrl")
            )
        seen.add(entry.full_url)
    return issues


def _check_links(entries: tuple[Entry, ...]) -> list[Issue]:
    """Refuse a reference by UUID or OID that no entry bears: it could never lead anywhere."""
    known = {entry.full_url for entry in entries}

    def is_dangling(text: str) -> bool:
        return text.startswith("urn:") and text not in known

    issues: list[Issue] = []
    for entry in entries:
        if entry.resource is None or not any(map(is_dangling, entry.reference_texts)):
            continue
        for reference in find_references(entry.resource):
            if is_dangling(reference.text):
                place = f"Bundle.entry[{entry.index}].resource.{reference.location}"
                issues.append(Issue("not-found", place, "no entry of the bundle has this fullUrl"))
    return issues


def check_identities(identities: Iterable[tuple[int, str]]) -> None:
    """Refuse a transaction in which two entries change the same resource (FHIR R4 §3.1.0.11.2).

    Args:
        identities: Entry index and ``Type/id`` of every create, update, patch and delete, after conditions are
            resolved; empty identities are passed over.

    Raises:
        BundleError: With every entry that repeats an identity.
    """
    seen: set[str] = set()
    issues: list[Issue] = []
    for index, identity in identities:
        if identity and identity in seen:
            issues.append(
                Issue("duplicate", f"Bundle.entry[{index}]", "another entry changes the same resource")
            )
        seen.add(identity)
    if issues:
        raise BundleError(*issues[:100])


def link_resource(resource: JsonObject, links: Mapping[str, str], new_id: str | None = None) -> JsonObject:
    """Return a resource with its links replaced and, where given, its id; the original is not changed."""
    linked = rewrite_references(resource, links)
    if new_id is None or linked.get("id") == new_id:
        return linked
    head: JsonObject = {"resourceType": linked.get("resourceType"), "id": new_id}
    return head | {name: value for name, value in linked.items() if name not in head}


def resources_of(bundle: JsonObject) -> list[JsonObject]:
    """Return the resources that a bundle of any type carries."""
    entries = bundle.get("entry", [])
    found = (
        (entry.get("resource") for entry in entries if isinstance(entry, dict))
        if isinstance(entries, list)
        else ()
    )
    return [resource for resource in found if isinstance(resource, dict)]
