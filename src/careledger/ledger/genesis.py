"""The genesis document: what a ledger starts from, and what an export of a running one looks like.

JSON, because engines carry it as such; bytes stand as `{"$bytes": "<hex>"}`. Import of an export gives the
same keys and values, and therefore the same state root.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from careledger.ledger.migration import APPLIED_VERSIONS, AppliedVersion
from careledger.ledger.seen import MINUTE_DIGESTS, compute_minute_digest, seen_key
from careledger.primitives.identifiers import is_chain_id
from careledger.sdk.context import View
from careledger.sdk.module import Module
from careledger.state.overlay import Overlay
from careledger.state.store import SEEN, Reader, WriteBatch

BUCKETS_LOG2_DEFAULT = 20
_BUCKETS_LOG2_RANGE = range(4, 25)


@dataclass(frozen=True, slots=True)
class ModuleGenesis:
    """State of one module version."""

    name: str
    version: int
    state: object


@dataclass(frozen=True, slots=True)
class GenesisDocument:
    """Everything a ledger starts from."""

    chain_id: str
    genesis_time_ms: int
    buckets_log2: int
    """Logarithm of the number of buckets of the state tree."""
    modules: tuple[ModuleGenesis, ...]
    seen: Mapping[int, tuple[bytes, ...]]
    """Seen transactions of an exported ledger: expiry minute -> ids in their order."""


def _jsonable(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": bytes(value).hex()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return value


def _from_json(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0] == "$bytes":
        return bytes.fromhex(pairs[0][1])
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("the genesis document has a duplicate key")
    return dict(pairs)


def write_genesis(document: GenesisDocument) -> bytes:
    """Encode the document, deterministically."""
    return json.dumps(
        {
            "chain_id": document.chain_id,
            "genesis_time_ms": document.genesis_time_ms,
            "buckets_log2": document.buckets_log2,
            "modules": [
                {"name": module.name, "version": module.version, "state": _jsonable(module.state)}
                for module in document.modules
            ],
            "seen": {str(minute): _jsonable(ids) for minute, ids in sorted(document.seen.items())},
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def read_genesis(raw: bytes) -> GenesisDocument:
    """Decode the document.

    Raises:
        ValueError: It is malformed.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_from_json)
        document = GenesisDocument(
            chain_id=value["chain_id"],
            genesis_time_ms=value["genesis_time_ms"],
            buckets_log2=value["buckets_log2"],
            modules=tuple(
                ModuleGenesis(module["name"], module["version"], module["state"])
                for module in value["modules"]
            ),
            seen={int(minute): tuple(ids) for minute, ids in value["seen"].items()},
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the genesis document is malformed: {error}") from None
    if not is_chain_id(document.chain_id):
        raise ValueError("the genesis document's chain_id is malformed")
    if document.buckets_log2 not in _BUCKETS_LOG2_RANGE:
        raise ValueError("the genesis document's buckets_log2 is out of range")
    return document


def write_genesis_state(
    document: GenesisDocument,
    overlay: Overlay,
    available: Mapping[tuple[str, int], Module],
    batch: WriteBatch,
) -> None:
    """Write the document's state into the overlay, and what stands outside the tree into the batch.

    Raises:
        LookupError: This release does not have a module version that the document needs.
    """
    for entry in document.modules:
        module = available.get((entry.name, entry.version))
        if module is None:
            raise LookupError(f"this release has no version {entry.version} of module {entry.name}")
        module.import_genesis(overlay, entry.state)
        APPLIED_VERSIONS.set(overlay, entry.name, AppliedVersion(entry.version, None))
    for minute, ids in sorted(document.seen.items()):
        MINUTE_DIGESTS.set(overlay, minute, compute_minute_digest(list(ids)))
        for sequence, tx_id in enumerate(ids):
            batch.put(SEEN, seen_key(minute, tx_id), sequence.to_bytes(4, "big"))


def export_genesis(
    view: View,
    reader: Reader,
    active: tuple[Module, ...],
    *,
    buckets_log2: int,
) -> GenesisDocument:
    """Turn the state of a running ledger into a genesis document."""
    seen: dict[int, tuple[bytes, ...]] = {}
    for key, _ in MINUTE_DIGESTS.scan_raw(view.store):
        minute = int.from_bytes(key, "big")
        rows = reader.scan(SEEN, key, (minute + 1).to_bytes(4, "big"))
        seen[minute] = tuple(row[4:] for row, _ in sorted(rows, key=lambda pair: pair[1]))
    return GenesisDocument(
        chain_id=view.chain_id,
        genesis_time_ms=view.time_ms,
        buckets_log2=buckets_log2,
        modules=tuple(
            ModuleGenesis(module.name, module.version, module.export_genesis(view)) for module in active
        ),
        seen=seen,
    )
