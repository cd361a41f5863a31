"""What the ledger keeps of itself: the layout of its tables, and the record that names its position.

Everything here is written in the same atomic batch as the state, so a store is always at one height.
"""

from __future__ import annotations

from typing import Final

from careledger.ledger.history import Frontier
from careledger.primitives.codec import Wire, decode, encode
from careledger.state.store import LEDGER_TABLES

TX_INDEX: Final = "txindex"
"""`tx_id (32)` -> `height (8) | index (4)`; pruned with the receipts."""
LEAF_INDEX: Final = "leafindex"
"""`height (8)` of a block with transactions -> `history index (8)`; kept for ever."""

TABLES: Final = (*LEDGER_TABLES, TX_INDEX, LEAF_INDEX)
"""Receipts, events and bodies stand as one list per height and are pruned by age; headers stay for ever."""

POSITION_KEY = b"position"


class Position(Wire, frozen=True):
    """Where the ledger stands."""

    chain_id: str
    """Name of the ledger."""
    height: int
    """Last committed block; 0 after genesis."""
    time_ms: int
    """Its block time."""
    state_root: bytes
    """Root of the state."""
    state_height: int
    """Height that last changed the state; stamps the tree file."""
    frontier: Frontier
    """The history up to here."""
    buckets_log2: int
    """Size of the state tree, from genesis."""
    pruned_below: int
    """Receipts, events and bodies below this height are gone."""

    @property
    def app_hash(self) -> bytes:
        """Application hash after the last committed block."""
        return self.frontier.app_hash()


def encode_position(position: Position) -> bytes:
    """Bytes stored under `POSITION_KEY`."""
    return encode(position)


def decode_position(raw: bytes) -> Position:
    """Read what `encode_position` wrote."""
    return decode(raw, Position)


def height_key(height: int) -> bytes:
    """Table key of a height."""
    return height.to_bytes(8, "big")
