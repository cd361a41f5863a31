"""Checks of Reference elements: their text, the resource types they may point to, and contained resources.

A reference to a contained resource can only be judged with the whole resource in hand; it is reported as a finding of
nature ``local`` and settled by :func:`settle_local` at the resource.
"""

import re

from careledger.standards.fhir.findings import Check, Finding, Findings, wrong
from careledger.standards.fhir.json_types import Json, JsonObject
from careledger.standards.fhir.references import ReferenceKind, ReferenceTextError, parse_reference

_FAST = re.compile(r"([A-Z][A-Za-z]*)/[A-Za-z0-9.-]{1,64}")
_MISPLACED = "points to a resource type that is not allowed here"
LOCAL = "local"


def reference_check(check_structure: Check, targets: frozenset[str], known: frozenset[str]) -> Check:
    """Return the check of a Reference element.

    Args:
        check_structure: Check of the members of a Reference.
        targets: Resource types it may point to; empty for any.
        known: All resource types.
    """
    allowed = targets or known
    fullmatch = _FAST.fullmatch

    def check(value: object) -> Findings | None:
        found = check_structure(value)
        if found is not None:
            return found
        text = value.get("reference")  # type: ignore[attr-defined]  # an object: its structure was checked
        kind = value.get("type")  # type: ignore[attr-defined]  # the same
        if kind is None and type(text) is str:
            match = fullmatch(text)
            if match is not None and match[1] in allowed:
                return None
        return _check_target(text, kind, targets, known)

    return check


def _check_target(text: Json, kind: Json, targets: frozenset[str], known: frozenset[str]) -> Findings | None:
    """Check a reference that is not of the most common form."""
    if isinstance(kind, str) and not kind.startswith("http"):  # an absolute one names a logical model
        if kind not in known:
            return wrong("value", "names no resource type of FHIR R4", ".type")
        if targets and kind not in targets:
            return wrong("value", _MISPLACED, ".type")
    if not isinstance(text, str):
        return None
    try:
        reference = parse_reference(text)
    except ReferenceTextError as error:
        return wrong("value", str(error), ".reference")
    if reference.kind is ReferenceKind.CONTAINED:
        wanted = frozenset((kind,)) if isinstance(kind, str) else targets
        local = (reference.logical_id, wanted)
        return [
            Finding("invariant", "no contained resource has this id (ref-1)", nature=LOCAL, subject=local)
        ]
    if reference.type_name:
        if targets and reference.type_name not in targets:
            return wrong("value", _MISPLACED, ".reference")
        if isinstance(kind, str) and kind != reference.type_name:
            return wrong("value", "type and reference disagree", ".type")
    return None


def settle_local(resource: JsonObject, findings: Findings) -> Findings:
    """Return the findings without those local references that a contained resource satisfies."""
    contained = resource.get("contained")
    kinds = {
        item["id"]: item["resourceType"]
        for item in (contained if isinstance(contained, list) else [])
        if isinstance(item, dict)
        and isinstance(item.get("id"), str)
        and isinstance(item.get("resourceType"), str)
    }
    kept: Findings = []
    for finding in findings:
        if finding.nature != LOCAL or finding.subject is None:
            kept.append(finding)
            continue
        local_id, wanted = finding.subject
        kind = resource.get("resourceType") if not local_id else kinds.get(local_id)
        if kind is None or (wanted and kind not in wanted):
            finding.nature = ""
            finding.text = finding.text if kind is None else _MISPLACED
            kept.append(finding)
    return kept


def collect_local_ids(value: Json, found: set[str]) -> None:
    """Add to ``found`` every text below ``value`` that could point to a contained resource, without its ``#``."""
    if isinstance(value, dict):
        for item in value.values():
            collect_local_ids(item, found)
    elif isinstance(value, list):
        for item in value:
            collect_local_ids(item, found)
    elif isinstance(value, str) and value.startswith("#"):
        found.add(value[1:])


def check_contained(resource: JsonObject) -> Findings:
    """Check what a resource contains (FHIR R4 dom-2 to dom-5); its members are already checked."""
    contained = resource.get("contained")
    if not isinstance(contained, list):
        return []
    found: Findings = []
    used: set[str] = set()
    collect_local_ids(resource, used)
    seen: set[str] = set()
    for index, item in enumerate(contained):
        if not isinstance(item, dict):
            continue
        where = f".contained[{index}]"
        local_id = item.get("id")
        if "contained" in item:
            found += wrong("invariant", "a contained resource must not contain others (dom-2)", where)
        if not isinstance(local_id, str):
            found += wrong("required", "a contained resource needs an id", where)
        elif local_id in seen:
            found += wrong("duplicate", "two contained resources have the same id", where)
        elif local_id not in used and not _points_out(item):
            found += wrong("invariant", "a contained resource must be referred to (dom-3)", where)
        if isinstance(local_id, str):
            seen.add(local_id)
        meta = item.get("meta")
        if isinstance(meta, dict) and not meta.keys().isdisjoint(("versionId", "lastUpdated", "security")):
            found += wrong(
                "invariant", "a contained resource has no version and no label (dom-4, dom-5)", where
            )
    return found


def _points_out(contained: JsonObject) -> bool:
    """Return whether a contained resource refers to the one that contains it."""
    used: set[str] = set()
    collect_local_ids(contained, used)
    return "" in used
