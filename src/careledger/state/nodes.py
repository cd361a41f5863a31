"""Port of the node file: the hashes of the tree's inner nodes in one flat buffer, and its stamp.

Owns the numbering. Node 1 is the root, the children of node i are 2i and 2i + 1, bucket b of 2^n is node
2^n + b; node 0 is unused. A node's hash stands at 32 times its number, so two siblings are 64 bytes side by
side at 64 times their parent's number: a *pair*. All zeros is the tree of an empty state. The adapter is
`careledger.storage.node_file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

PAIR_BYTES: Final = 64
ROOT_NODE: Final = 1


class Stamp(NamedTuple):
    """Which state the node file holds."""

    height: int
    """Last height that changed the state."""
    root: bytes
    """State root at that height."""


class NodeBuffer(Protocol):
    """The hashes end to end, read by slices of bytes."""

    def __getitem__(self, where: slice, /) -> bytes:
        """Return a copy of these bytes."""


class Nodes(Protocol):
    """An opened node file. One process writes it; others may read meanwhile and must check what they fold."""

    @property
    def buckets_log2(self) -> int:
        """Binary logarithm of the number of buckets."""

    @property
    def buffer(self) -> NodeBuffer:
        """Hashes of all nodes, for reading."""

    def write_pairs(self, parents: Sequence[int], pairs: Sequence[bytes]) -> None:
        """Write the 64 bytes below each of these parents."""

    def write_span(self, first: int, hashes: bytes) -> None:
        """Write consecutive nodes, starting with node `first`."""

    def clear(self) -> None:
        """Set every node to zero and drop the stamp."""

    def stamp(self) -> Stamp | None:
        """Return which state the nodes hold; None when that is unknown or nothing was stamped yet."""

    def set_stamp(self, stamp: Stamp) -> None:
        """Say which state the nodes hold, after all of them were written."""


def root_of(nodes: Nodes) -> bytes:
    """Return the root hash."""
    return nodes.buffer[32:64]


def pair_of(buffer: NodeBuffer, parent: int) -> bytes:
    """Return the hashes of both children of a node."""
    start = parent * PAIR_BYTES
    return buffer[start : start + PAIR_BYTES]
