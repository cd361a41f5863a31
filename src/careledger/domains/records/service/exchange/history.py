"""Several organisations' verified entries as one FHIR history, with what was proved said beside it.

A Bundle of type `collection`: every entry's current version with a mark that it was verified and the label of its
compartment, one Provenance for each organisation and compartment, and an OperationOutcome with the words that
say what the proof shows and what it does not. Words about a proof are only these.

Owns the form. What is in it was verified before (`verifying`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.vocabulary import (
    LABEL_OF,
    NO_REDISCLOSURE_LABEL,
    ORGANISATION_SYSTEM,
    PART_2_LABEL,
)
from careledger.domains.records.service.exchange.entries import VerifiedEntry, VerifiedRead
from careledger.domains.records.service.package import Method
from careledger.ledger.history import HistoryLeaf, read_leaf
from careledger.ledger.meta import LEAF_INDEX, height_key
from careledger.ledger.view import LedgerView
from careledger.primitives.timestamps import format_instant
from careledger.standards.fhir.json_types import JsonObject
from careledger.standards.fhir.meta import with_codings
from careledger.state.store import HISTORY

VERIFIED_SYSTEM: Final = "urn:careledger:verified"
UNALTERED: Final = "unaltered"

OTHER_INFORMATION: Final = "Other information may exist."
PART_2_NOTICE: Final = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
"""The short form of the notice that goes with substance use records, 42 CFR 2.32(a)(2)."""

BlockTime = Callable[[int], int | None]
"""Block time of a height, in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedHistory:
    """The Bundle, and counts for whoever shows it."""

    bundle: JsonObject
    resources: int
    organisations: int


def block_times(view: LedgerView) -> BlockTime:
    """Times of blocks with transactions, read from the own ledger's history."""
    known: dict[int, int | None] = {}

    def find(height: int) -> int | None:
        if height not in known:
            with view.snapshot() as reader:
                index = reader.get(LEAF_INDEX, height_key(height))
                leaf: HistoryLeaf | None = None
                if index is not None:
                    leaf = read_leaf(lambda name: reader.get(HISTORY, name), int.from_bytes(index, "big"))
            known[height] = None if leaf is None else leaf.time_ms
        return known[height]

    return find


def merge_history(
    reads: Sequence[VerifiedRead], *, now_ms: int, block_time: BlockTime, all_versions: bool = False
) -> MergedHistory:
    """Merge verified reads into one Bundle.

    Args:
        reads: what each organisation showed.
        now_ms: when.
        block_time: block times of the own ledger.
        all_versions: every version, rather than each resource's current one.
    """
    entries: list[JsonObject] = []
    issues: list[JsonObject] = []
    count = 0
    for read in reads:
        shown = _choose(read.entries, all_versions=all_versions)
        by_compartment: dict[Compartment, list[VerifiedEntry]] = defaultdict(list)
        for entry in shown:
            by_compartment[entry.compartment].append(entry)
            entries.append({"fullUrl": _url(entry), "resource": _mark(entry, block_time)})
        for compartment, members in sorted(by_compartment.items()):
            entries.append({"resource": _provenance(read, compartment, members, now_ms)})
        issues += _words(read, shown, block_time)
        count += len(shown)
    issues.append(_issue(OTHER_INFORMATION))
    entries.append({"resource": {"resourceType": "OperationOutcome", "issue": issues}})
    bundle: JsonObject = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": format_instant(now_ms),
        "entry": entries,
    }
    return MergedHistory(bundle=bundle, resources=count, organisations=len(reads))


def _choose(entries: Iterable[VerifiedEntry], *, all_versions: bool) -> list[VerifiedEntry]:
    """Versions to show; a resource whose latest version is a deletion is not shown at all."""
    if all_versions:
        return [entry for entry in entries if entry.value is not None]
    latest: dict[tuple[str, str], VerifiedEntry] = {}
    for entry in entries:
        name = (entry.resource_type, entry.resource_id)
        if name not in latest or latest[name].version < entry.version:
            latest[name] = entry
    return [entry for entry in latest.values() if entry.method is not Method.DELETE]


def _mark(entry: VerifiedEntry, block_time: BlockTime) -> JsonObject:
    """The resource with its verified mark and its compartment's label; all else as it was."""
    since = block_time(entry.height)
    text = (
        f"Unaltered since {format_instant(since)}" if since is not None else "Unaltered since its commitment"
    )
    mark: JsonObject = {
        "system": VERIFIED_SYSTEM,
        "code": UNALTERED,
        "display": f"{text} (block {entry.height})",
    }
    labels = [LABEL_OF[entry.compartment]]
    if entry.compartment is Compartment.SUBSTANCE_USE:
        labels += [PART_2_LABEL, NO_REDISCLOSURE_LABEL]
    marked = with_codings(entry.value or {}, "tag", (mark,))
    return with_codings(marked, "security", [{"system": system, "code": code} for system, code in labels])


def _provenance(
    read: VerifiedRead,
    compartment: Compartment,
    members: Sequence[VerifiedEntry],
    now_ms: int,
) -> JsonObject:
    """Where a compartment's entries came from, and by what they were verified."""
    who: JsonObject = {"identifier": {"system": ORGANISATION_SYSTEM, "value": read.custodian.slug}}
    heads = [stream.head.head for stream in read.streams if stream.compartment is compartment]
    if read.singles_head is not None and not heads:
        heads = [read.singles_head.head]
    entities: list[JsonObject] = [
        {
            "role": "source",
            "what": {
                "display": f"signed head at block {head.height}: {head.n}",
                "identifier": {"system": "urn:careledger:stream", "value": head.stream.hex()},
            },
        }
        for head in heads
    ]
    built: JsonObject = {
        "resourceType": "Provenance",
        "target": [{"reference": f"{_url(entry)}/_history/{entry.version}"} for entry in members],
        "recorded": format_instant(now_ms),
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "custodian",
                        }
                    ]
                },
                "who": who,
            }
        ],
    }
    if entities:
        built["entity"] = entities
    return built


def _words(read: VerifiedRead, shown: Sequence[VerifiedEntry], block_time: BlockTime) -> list[JsonObject]:
    """What was proved of one organisation's part, in the words that may be used."""
    slug = read.custodian.slug
    words = [f"{slug}: the bytes match their commitments. This does not show that they are clinically true."]
    if read.streams:
        parts = ", ".join(stream.compartment.label for stream in read.streams)
        words.append(f"{slug}: complete as to what this organisation committed in {parts}.")
    if read.granted is None:
        words.append(f"{slug}: opened in an emergency, without a permission; single records only.")
    else:
        latest = max((access.height for access in read.accesses), default=0)
        at = block_time(latest)
        when = f"block {latest}" if at is None else f"block {latest}, {format_instant(at)}"
        words.append(f"{slug}: the patient, or the agent acting for the patient, allowed it at {when}.")
        if read.granted.compartments != read.granted.whole:
            words.append(f"{slug}: single records; how many there are is this organisation's word.")
    for number, text in (
        (read.withheld, "not given: notes of psychotherapy"),
        (read.erased, "whose content this organisation says was erased"),
        (read.unexplained, "whose commitment this organisation cannot open"),
    ):
        if number:
            words.append(f"{slug}: {number} entries {text}.")
    if any(entry.compartment is Compartment.SUBSTANCE_USE for entry in shown):
        words.append(f"{slug}: {PART_2_NOTICE}")
    return [_issue(text) for text in words]


def _issue(text: str) -> JsonObject:
    return {"severity": "information", "code": "informational", "diagnostics": text}


def _url(entry: VerifiedEntry) -> str:
    """Where the custodian serves the resource; relative references within it resolve from there."""
    endpoints = entry.custodian.endpoints
    base = endpoints[0].rstrip("/") if endpoints else f"urn:careledger:{entry.custodian.slug}"
    return f"{base}/fhir/{entry.resource_type}/{entry.resource_id}"
