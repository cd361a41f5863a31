"""``Resource.meta`` and the served form of a resource: what a server sets, what it keeps, what it shows in part.

Owns the stamping of id, version and time on what was submitted (everything else of it stays), the reading of labels
and tags, and the subsets that ``_summary`` and ``_elements`` ask for (FHIR R4 §3.1.1.4.14, §3.1.1.4.15), which it
marks as such.
"""

from collections.abc import Iterable
from functools import cache
from typing import Literal, TypeAlias, cast

from careledger.standards.fhir.instants import format_instant
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.structure import is_resource_type, type_facts

SummaryMode: TypeAlias = Literal["true", "text", "data", "count", "false"]
Coding: TypeAlias = tuple[str, str]
"""System and code; an absent one is an empty text."""

SUBSETTED: JsonObject = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
"""The tag that tells a client not to write back what it was shown in part."""

_ALWAYS = ("resourceType", "id", "meta")


def stamp(resource: JsonObject, *, logical_id: str, version_id: str, last_updated_ms: int) -> JsonObject:
    """Return a resource with the id, version and time the server gave it.

    ``meta.profile``, ``meta.security``, ``meta.tag`` and ``meta.source`` stay as submitted. Members come in FHIR's
    usual order: type, id, meta, then the rest as it was. The original is not changed.
    """
    submitted = resource.get("meta")
    meta: JsonObject = {"versionId": version_id, "lastUpdated": format_instant(last_updated_ms)}
    if isinstance(submitted, dict):
        meta |= {name: item for name, item in submitted.items() if name.removeprefix("_") not in meta}
    head: JsonObject = {"resourceType": resource.get("resourceType"), "id": logical_id, "meta": meta}
    return head | {name: item for name, item in resource.items() if name not in head}


def _codings(resource: JsonObject, name: str) -> list[JsonObject]:
    """Return the codings of one member of ``meta``."""
    meta = resource.get("meta")
    found = meta.get(name, []) if isinstance(meta, dict) else []
    return [coding for coding in found if isinstance(coding, dict)] if isinstance(found, list) else []


def _pair(coding: JsonObject) -> Coding:
    """Return system and code of a coding."""
    return cast("str", coding.get("system", "")), cast("str", coding.get("code", ""))


def list_labels(resource: JsonObject) -> list[Coding]:
    """Return the security labels of a resource in their order."""
    return [_pair(coding) for coding in _codings(resource, "security")]


def list_tags(resource: JsonObject) -> list[Coding]:
    """Return the tags of a resource in their order."""
    return [_pair(coding) for coding in _codings(resource, "tag")]


def is_subset(resource: JsonObject) -> bool:
    """Return whether a resource says of itself that parts of it were left out."""
    return _pair(SUBSETTED) in list_tags(resource)


def with_codings(
    resource: JsonObject, name: Literal["security", "tag"], codings: Iterable[JsonObject]
) -> JsonObject:
    """Return a resource with labels or tags added that it does not have yet."""
    present = _codings(resource, name)
    known = set(map(_pair, present))
    added = [coding for coding in codings if _pair(coding) not in known]
    if not added:
        return resource
    meta = resource.get("meta")
    changed = {**(meta if isinstance(meta, dict) else {}), name: [*present, *added]}
    return {**resource, "meta": changed}


@cache
def _shown_members(type_name: str, mode: str) -> frozenset[str]:
    """Return the elements of a resource type that a summary shows, apart from those always shown."""
    elements = type_facts(type_name).elements
    if mode == "text":
        return frozenset(
            element.name for element in elements if element.is_required or element.name == "text"
        )
    return frozenset(element.name for element in elements if element.is_summary or element.is_required)


@cache
def _element_names(type_name: str) -> dict[str, str]:
    """Return per JSON member of a type the name of its element."""
    return {
        f"{prefix}{element.json_name(name)}": element.name
        for element in type_facts(type_name).elements
        for name in element.types
        for prefix in ("", "_")
    }


def _keep(resource: JsonObject, names: frozenset[str]) -> JsonObject:
    """Return a resource with only the named elements, marked as a subset."""
    type_name = resource.get("resourceType")
    element_names = (
        _element_names(type_name) if isinstance(type_name, str) and is_resource_type(type_name) else {}
    )
    kept = {
        name: item
        for name, item in resource.items()
        if name in _ALWAYS or element_names.get(name, name) in names
    }
    return with_codings(kept, "tag", (SUBSETTED,))


def summarise(resource: JsonObject, mode: SummaryMode) -> JsonObject:
    """Return what ``_summary`` shows of a resource.

    ``true`` keeps the elements that FHIR marks as summary and the required ones, ``text`` the narrative and the
    required ones, ``data`` everything but the narrative; ``false`` is the whole. ``count`` shows no resources at all
    and is the caller's.
    """
    if mode in ("false", "count"):
        return resource
    if mode == "data":
        without = {name: item for name, item in resource.items() if name != "text"}
        return with_codings(without, "tag", (SUBSETTED,))
    return _keep(resource, _shown_members(str(resource.get("resourceType")), mode))


def select_elements(resource: JsonObject, names: Iterable[str]) -> JsonObject:
    """Return what ``_elements`` shows of a resource: the named top-level elements and the required ones."""
    type_name = str(resource.get("resourceType"))
    required = frozenset(element.name for element in type_facts(type_name).elements if element.is_required)
    return _keep(resource, required.union(names))
