"""Readers of references: to resources of this server, to others, and by identifier.

Owns the forms of `Reference.reference` (FHIR R4 §2.3.0): relative and absolute, with or without a version, `urn:`
and `#contained`. A contained resource is no resource of its own, so a reference to one counts as a value but has
no row.
"""

from __future__ import annotations

from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.folding import bound
from careledger.standards.fhir.search.read_values import Reader
from careledger.standards.fhir.search.rows import Rows

_TYPES = frozenset(resource_types())
_PAIR = 2
_VERSIONED = 3
"""Segments of `id/_history/version`."""


def split_reference(text: str, own_base: str = "") -> tuple[str, str]:
    """Return type and id of a reference to a resource of this server, or ("", "") for any other.

    Args:
        text: relative reference, or absolute one below `own_base`; a version is ignored.
        own_base: this server's base URL with its final slash, empty if unknown.
    """
    if own_base and text.startswith(own_base):
        text = text[len(own_base) :]
    type_name, slash, target_id = text.partition("/")
    if type_name not in _TYPES or not slash:
        return "", ""
    if target_id and "/" not in target_id and "?" not in target_id:
        return type_name, target_id
    segments = target_id.split("/", _VERSIONED)
    is_versioned = len(segments) == _VERSIONED and segments[1] == "_history"
    return (type_name, segments[0]) if is_versioned and segments[0] else ("", "")


def strip_version(url: str) -> str:
    """Return an absolute reference without its version."""
    return url.partition("/_history/")[0]


def find_target_type(text: str, own_base: str = "") -> str:
    """Return the resource type that a literal reference names, or the empty text."""
    type_name, _ = split_reference(text, own_base)
    if type_name:
        return type_name
    segments = strip_version(text).rsplit("/", _PAIR)
    return segments[-_PAIR] if len(segments) > _PAIR and segments[-_PAIR] in _TYPES else ""


def read_reference(slot: int, views: tuple[tuple[str, int], ...], own_base: str, only_type: str) -> Reader:
    """Read a Reference.

    Args:
        slot: the parameter's slot.
        views: (resource type, slot) of parameters that read these rows restricted to a type.
        own_base: this server's base URL with its final slash.
        only_type: pass over references to other types; empty for none.
    """
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        text = value.get("reference")
        target, target_id = split_reference(text, own_base) if type(text) is str else ("", "")
        if only_type or views:
            named = target
            if not named:
                declared = value.get("type")
                named = find_target_type(text) if type(text) is str else ""
                named = named or (declared if type(declared) is str else "")
            if only_type and named != only_type:
                return
            for type_name, view_slot in views:
                if named == type_name:
                    if text:
                        rows.present |= 1 << view_slot
                    # By identifier, a type cannot be told from the rows themselves: the view has its own.
                    _read_logical(view_slot, value.get("identifier"), rows)
        if target:
            rows.present |= bit
            rows.references.append((slot, target, target_id))
        elif type(text) is str and text:
            rows.present |= bit
            if text[0] != "#":
                rows.uris.append((slot, bound(strip_version(text))))
        if "identifier" in value:
            _read_logical(slot, value["identifier"], rows)

    return read


def _read_logical(slot: int, identifier: object, rows: Rows) -> None:
    """Read the identifier of a reference."""
    if type(identifier) is not dict:
        return
    system, code = identifier.get("system"), identifier.get("value")
    if type(code) is str and code:
        rows.present |= 1 << slot
        rows.logical.append((slot, bound(system) if type(system) is str else "", bound(code)))


def read_resource(slot: int) -> Reader:
    """Read a resource held inside another (`Bundle.entry[0].resource`) as a reference to it."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        type_name, resource_id = value.get("resourceType"), value.get("id")
        if type(type_name) is str and type_name in _TYPES:
            rows.present |= bit
            if type(resource_id) is str and resource_id:
                rows.references.append((slot, type_name, resource_id))

    return read
