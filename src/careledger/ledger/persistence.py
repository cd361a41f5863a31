"""What a block writes: every table's rows in one batch, so that a store is always at exactly one height."""

from __future__ import annotations

import msgspec

from careledger.ledger.execution import BlockExecution, Limits
from careledger.ledger.genesis import GenesisDocument
from careledger.ledger.history import EMPTY_FRONTIER, HistoryLeaf, append_leaf
from careledger.ledger.meta import (
    LEAF_INDEX,
    POSITION_KEY,
    TX_INDEX,
    Position,
    encode_position,
    height_key,
)
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.receipt import receipts_root
from careledger.ledger.retention import prune_batch
from careledger.ledger.seen import expired_entries
from careledger.primitives.codec import encode, encode_list
from careledger.primitives.hashing import EMPTY_ROOT
from careledger.state.store import EVENTS, HISTORY, META, RECEIPTS, SEEN, Reader, WriteBatch
from careledger.state.tree import TreeUpdate


def build_block_batch(
    reader: Reader,
    *,
    before: Position,
    request: FinalizeBlockRequest,
    execution: BlockExecution,
    encoded: tuple[bytes, ...],
    tree_update: TreeUpdate,
    limits: Limits,
) -> tuple[Position, WriteBatch]:
    """Rows of a block that carries transactions, and the position they lead to.

    Args:
        reader: the store before the block.
        before: position before the block.
        request: the block.
        execution: what its transactions did.
        encoded: receipts, encoded.
        tree_update: what the block does to the state tree; added to the batch.
        limits: for the retention of receipts.
    """
    leaf = HistoryLeaf(request.height, request.time_ms, tree_update.root, receipts_root(encoded))
    frontier, puts = append_leaf(before.frontier, leaf)
    batch = WriteBatch()
    tree_update.add_to(batch)
    batch.update(HISTORY, puts)
    key = height_key(request.height)
    batch.put(LEAF_INDEX, key, height_key(before.frontier.size))
    batch.put(RECEIPTS, key, encode_list(encoded))
    batch.update(TX_INDEX, ((tx_id, key + index.to_bytes(4, "big")) for index, tx_id in execution.processed))
    if execution.events:
        batch.put(EVENTS, key, encode(execution.events))
    batch.update(SEEN, execution.seen.puts)
    for seen in expired_entries(lambda start, end: reader.scan(SEEN, start, end), request.time_ms):
        batch.delete(SEEN, seen)
    pruned_below = prune_batch(
        reader, batch, pruned_below=before.pruned_below, time_ms=request.time_ms, limits=limits
    )
    after = Position(
        chain_id=before.chain_id,
        height=request.height,
        time_ms=request.time_ms,
        state_root=tree_update.root,
        state_height=before.state_height if tree_update.is_empty else request.height,
        frontier=frontier,
        buckets_log2=before.buckets_log2,
        pruned_below=pruned_below,
    )
    batch.put(META, POSITION_KEY, encode_position(after))
    return after, batch


def add_genesis(
    batch: WriteBatch, document: GenesisDocument, update: TreeUpdate, *, initial_height: int
) -> Position:
    """Add the genesis state and history leaf 0 to a batch; returns the first position."""
    update.add_to(batch)
    leaf = HistoryLeaf(0, document.genesis_time_ms, update.root, EMPTY_ROOT)
    frontier, puts = append_leaf(EMPTY_FRONTIER, leaf)
    batch.update(HISTORY, puts)
    batch.put(LEAF_INDEX, height_key(0), height_key(0))
    position = Position(
        chain_id=document.chain_id,
        height=initial_height - 1,
        time_ms=document.genesis_time_ms,
        state_root=update.root,
        state_height=0,
        frontier=frontier,
        buckets_log2=document.buckets_log2,
        pruned_below=0,
    )
    batch.put(META, POSITION_KEY, encode_position(position))
    return position


def move_position(before: Position, *, height: int, time_ms: int) -> Position:
    """Position after a block without transactions: the application hash stays."""
    return msgspec.structs.replace(before, height=height, time_ms=time_ms)


def build_position_batch(position: Position) -> WriteBatch:
    """Rows of a block without transactions."""
    batch = WriteBatch()
    batch.put(META, POSITION_KEY, encode_position(position))
    return batch
