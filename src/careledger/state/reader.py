"""Proofs in processes that do not write the state: read, fold, compare, and read again on a mismatch.

Owns the retry. A gateway process opens the store read-only and maps the node file; the ledger process may be
writing either at any moment. A proof made meanwhile is folded and compared with the root in the same
snapshot, so a wrong one is never returned. The nodes lag behind the store for the few milliseconds of an
install, so one waits and takes a new snapshot; how to wait is the caller's: this package knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from careledger.state.at_height import NodesBehind, reader_at
from careledger.state.nodes import Nodes
from careledger.state.proofs import Proof
from careledger.state.store import SnapshotLost, Tables

_CURRENT: Final = 2**63
"""A height at or above every other."""
ATTEMPTS_MAX: Final = 200
"""Attempts before giving up: with waits of 5 ms far longer than an install, shorter than a rebuild."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedValue:
    """A value, or its absence, with the proof and the state it belongs to."""

    height: int
    """Height that produced the state."""
    root: bytes
    """Root of the state, 32 bytes."""
    value: bytes | None
    """The value; None for an absent key."""
    proof: Proof
    """What `verify_proof` takes."""


class StateReader:
    """Reads values with proofs beside the process that writes them."""

    __slots__ = ("_nodes", "_tables")

    def __init__(self, tables: Tables, nodes: Nodes) -> None:
        self._tables = tables
        self._nodes = nodes

    def try_prove(self, key: bytes, height: int | None = None) -> ProvedValue:
        """Make one attempt to read a key with its proof, for callers that wait asynchronously between them.

        Args:
            key: the state key.
            height: the height as of which to read; None for the current state.

        Raises:
            NodesBehind: The nodes are being written; try again in some milliseconds.
            SnapshotLost: The store's map grew meanwhile; try again at once.
            HeightPruned: The height can no longer be shown, or no state was written yet.
            StorageFailed: The store cannot be read.
        """
        with self._tables.snapshot() as reader:
            at = reader_at(reader, _CURRENT if height is None else height)
            value, proof = at.prove(self._nodes, key)
            return ProvedValue(height=at.version.height, root=at.version.root, value=value, proof=proof)

    def prove(
        self,
        key: bytes,
        height: int | None = None,
        *,
        wait: Callable[[], None],
        attempts_max: int = ATTEMPTS_MAX,
    ) -> ProvedValue:
        """Read a key with its proof, waiting while the nodes are being written.

        Args:
            key: the state key.
            height: the height as of which to read; None for the current state.
            wait: called between attempts; should let some milliseconds pass.
            attempts_max: attempts before giving up, at least 1.

        Raises:
            NodesBehind: No attempt succeeded: the nodes are being rebuilt, or are of another store.
            HeightPruned: The height can no longer be shown, or no state was written yet.
            StorageFailed: The store cannot be read.
        """
        for _ in range(attempts_max - 1):
            try:
                return self.try_prove(key, height)
            except (NodesBehind, SnapshotLost):
                wait()
        return self.try_prove(key, height)
