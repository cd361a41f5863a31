"""What is kept how long: receipts, events and block bodies for a time, everything else for ever.

Receipts that are gone here can be brought back from an archive: their root stays in the history leaf.
"""

from __future__ import annotations

from typing import Protocol

from careledger.ledger.history import read_leaf
from careledger.ledger.meta import LEAF_INDEX, TX_INDEX, height_key
from careledger.primitives.codec import decode_plain
from careledger.state.store import BODIES, EVENTS, HISTORY, RECEIPTS, Reader, WriteBatch

HEIGHTS_PER_BLOCK_MAX = 8
"""Bounds the work that pruning adds to one block; more than one, so that it catches up."""


class Retention(Protocol):
    """How long receipts, events and bodies are kept."""

    @property
    def receipts_retention_ms(self) -> int:
        """Time after the block's own."""


def prune_batch(
    reader: Reader, batch: WriteBatch, *, pruned_below: int, time_ms: int, limits: Retention
) -> int:
    """Add the deletions that are due to the batch; returns the new lowest height that is kept."""
    for pruned, (key, raw) in enumerate(reader.scan(RECEIPTS, height_key(pruned_below), None)):
        position = reader.get(LEAF_INDEX, key)
        leaf = read_leaf(lambda name: reader.get(HISTORY, name), int.from_bytes(position or b"", "big"))
        if pruned >= HEIGHTS_PER_BLOCK_MAX or leaf is None:
            break
        if leaf.time_ms + limits.receipts_retention_ms >= time_ms:
            break
        for receipt in decode_plain(raw):
            tx_id, index = receipt[0], receipt[2]
            # A duplicate's receipt is not what the index points to; only its own entry goes.
            if reader.get(TX_INDEX, tx_id) == key + index.to_bytes(4, "big"):
                batch.delete(TX_INDEX, tx_id)
        batch.delete(RECEIPTS, key)
        batch.delete(EVENTS, key)
        batch.delete(BODIES, key)
        pruned_below = int.from_bytes(key, "big") + 1
    return pruned_below
