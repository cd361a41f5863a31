"""Checks of the history and of what hangs on its leaves: receipts, transactions, events, indexes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from careledger.ledger.findings import Finding
from careledger.ledger.history import HistoryLeaf, leaf_key, node_key, read_leaf
from careledger.ledger.meta import LEAF_INDEX, TX_INDEX, Position, height_key
from careledger.ledger.receipt import Receipt, receipts_root
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.codec import CodecError, decode, decode_list, decode_plain, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import leaf_hash, node_hash, sha256
from careledger.sdk.events import EmittedEvent
from careledger.state.store import BODIES, EVENTS, HEADERS, HISTORY, RECEIPTS, Reader

_EVENT_OF_BLOCK = -1


def check_history(reader: Reader, position: Position) -> Iterator[Finding]:
    """Leaves, nodes and the index of heights, each against what it is made of.

    Every node is compared with its own children, so that one changed leaf is found once and at its place.
    """
    size = position.frontier.size
    yield from _check_leaves(reader, size)
    nodes = size
    level = 0
    while size >> level > 1:
        level += 1
        for index in range(size >> level):
            nodes += 1
            below = [reader.get(HISTORY, node_key(level - 1, 2 * index + side)) for side in (0, 1)]
            if None in below:
                yield Finding(f"history node {level}/{index}", "A node below it is missing.")
            elif reader.get(HISTORY, node_key(level, index)) != node_hash(below[0] or b"", below[1] or b""):
                yield Finding(f"history node {level}/{index}", "The node is not the hash of those below it.")
    peaks, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            peaks.append(reader.get(HISTORY, node_key(level, start >> level)))
            start += 1 << level
    if peaks != list(position.frontier.peaks):
        yield Finding("history", "The nodes do not lead to the root that was committed to.")
    if reader.count(HISTORY) != nodes + size:
        yield Finding("history", f"There are not exactly the {nodes + size} rows of a history of that size.")


def _check_leaves(reader: Reader, size: int) -> Iterator[Finding]:
    before: HistoryLeaf | None = None
    for index in range(size):
        raw = reader.get(HISTORY, leaf_key(index))
        where = f"history leaf {index}"
        if raw is None:
            yield Finding(where, "The leaf is missing.")
            continue
        if reader.get(HISTORY, node_key(0, index)) != leaf_hash(raw):
            yield Finding(where, "The leaf is not the one that was hashed.", _height_of(raw))
        try:
            leaf = decode(raw, HistoryLeaf)
        except CodecError:
            yield Finding(where, "The leaf cannot be read.")
            continue
        if before is not None and (leaf.height <= before.height or leaf.time_ms < before.time_ms):
            yield Finding(
                where, "The leaf does not follow the one before it in height and time.", leaf.height
            )
        if reader.get(LEAF_INDEX, height_key(leaf.height)) != height_key(index):
            yield Finding(where, "The leaf is not found by its height.", leaf.height)
        before = leaf
    if reader.count(LEAF_INDEX) != size:
        yield Finding("history", "The index of heights does not have one row for each leaf.")


def _height_of(raw: bytes) -> int | None:
    try:
        return decode(raw, HistoryLeaf).height
    except CodecError:
        return None


def check_receipts(reader: Reader, position: Position) -> Iterator[Finding]:
    """Receipts of every block that keeps them, against the leaf, the transactions and the index."""
    listed = 0
    for index in range(1, position.frontier.size):
        leaf = read_leaf(lambda name: reader.get(HISTORY, name), index)
        if leaf is None or leaf.height < position.pruned_below:
            continue
        listed += 1
        key = height_key(leaf.height)
        raw = reader.get(RECEIPTS, key)
        if raw is None:
            yield Finding("receipts", "The block's receipts are missing.", leaf.height)
            continue
        try:
            receipts = decode_list(raw, Receipt)
        except CodecError:
            yield Finding("receipts", "The block's receipts cannot be read.", leaf.height)
            continue
        if receipts_root([encode(one) for one in receipts]) != leaf.receipts_root:
            yield Finding("receipts", "The receipts are not those that were committed to.", leaf.height)
        yield from _check_block(reader, leaf, receipts)
    if reader.count(RECEIPTS) != listed:
        yield Finding("receipts", "There are receipts of blocks that have none to keep.")
    yield from _check_index(reader)


def _check_block(reader: Reader, leaf: HistoryLeaf, receipts: list[Receipt]) -> Iterator[Finding]:
    height = leaf.height
    key = height_key(height)
    for place, receipt in enumerate(receipts):
        where = f"receipt {place}"
        if (receipt.height, receipt.index) != (height, place):
            yield Finding(where, "The receipt names another place than its own.", height)
        entry = key + place.to_bytes(4, "big")
        if receipt.is_success and reader.get(TX_INDEX, receipt.tx_id) != entry:
            yield Finding(where, "The transaction is not found by its id.", height)
    bodies = reader.get(BODIES, key)
    if bodies is not None:
        yield from _check_bodies(bodies, receipts, height)
    elif reader.get(HEADERS, key) is not None:
        yield Finding("transactions", "The block's transactions are missing.", height)
    events = reader.get(EVENTS, key)
    if events is None:
        return
    try:
        found = decode_list(events, EmittedEvent)
    except CodecError:
        yield Finding("events", "The block's events cannot be read.", height)
        return
    if any(not _EVENT_OF_BLOCK <= event.tx_index < len(receipts) for event in found):
        yield Finding("events", "An event belongs to no transaction of its block.", height)


def _check_bodies(raw: bytes, receipts: list[Receipt], height: int) -> Iterator[Finding]:
    try:
        bodies = decode_plain(raw)
    except CodecError:
        yield Finding("transactions", "The block's transactions cannot be read.", height)
        return
    for place, (body, receipt) in enumerate(zip_longest(bodies, receipts)):
        if not isinstance(body, bytes) or receipt is None:
            yield Finding("transactions", "Transactions and receipts differ in number.", height)
            return
        if _id_of(body) != receipt.tx_id:
            yield Finding(f"transaction {place}", "The transaction is not the one of its receipt.", height)


def _id_of(raw: bytes) -> bytes:
    try:
        return decode_transaction(raw).tx_id
    except Rejected:
        return sha256(raw)


def _check_index(reader: Reader) -> Iterator[Finding]:
    """Every entry of the transaction index leads to a receipt of that transaction."""
    height, receipts = -1, list[Receipt]()
    entries = sorted((entry, tx_id) for tx_id, entry in reader.scan(TX_INDEX, b"", None))
    for entry, tx_id in entries:
        if len(entry) != 12:
            yield Finding("transaction index", "An entry is not a height and a place.")
            continue
        at, place = int.from_bytes(entry[:8], "big"), int.from_bytes(entry[8:], "big")
        if at != height:
            height, receipts = at, _receipts_of(reader, entry[:8])
        if place >= len(receipts) or receipts[place].tx_id != tx_id:
            yield Finding("transaction index", "An entry leads to no receipt of its transaction.", at)


def _receipts_of(reader: Reader, key: bytes) -> list[Receipt]:
    raw = reader.get(RECEIPTS, key)
    try:
        return decode_list(raw, Receipt) if raw else []
    except CodecError:
        return []  # reported where the receipts are checked
