"""Checks of what stands beside the replica's tables: headers, the tree's file, what witnesses signed.

The headers are the embedded engine's: one chain, each signed by the sequencer of its time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from careledger.consensus.solo.header import SignedHeader, SoloHeader, compute_header_hash, verify_header
from careledger.ledger.checkpoint import CheckpointInvalid, SignedCheckpoint, parse_note
from careledger.ledger.doctor import read_position
from careledger.ledger.findings import Finding
from careledger.ledger.history import compute_app_hash, subtree_hash
from careledger.ledger.meta import LEAF_INDEX, Position, height_key
from careledger.primitives.codec import CodecError, decode, decode_plain
from careledger.primitives.hashing import EMPTY_ROOT, leaf_hash, tree_root
from careledger.primitives.signing import SignatureInvalid
from careledger.site.ledger_reading import COSIGNED_KEY
from careledger.site.witness_state import WitnessStateBroken, peek_state
from careledger.state.nodes import NodeBuffer, Stamp
from careledger.state.rebuild import fill_nodes
from careledger.state.store import BODIES, BUCKETS, HEADERS, HISTORY, META, Reader, Tables
from careledger.storage.node_file import NodeFile

LAST_HEADER_KEY = b"solo.last_header_hash"
NODES_ATTEMPTS_MAX = 5
NODES_SHOWN_MAX = 25
_SPAN_BYTES = 1 << 20


@dataclass(slots=True)
class _Chain:
    """What the next header has to follow."""

    chain_id: str
    sequencers: frozenset[bytes]
    previous_hash: bytes = b""
    time_ms: int = 0
    size: int = 1
    app_hash: bytes = b""
    is_history_followed: bool = True
    """False once a header did not follow the history: later ones cannot either, and one finding says it."""


def check_headers(reader: Reader, position: Position, sequencers: frozenset[bytes]) -> Iterator[Finding]:
    """Every header is signed, follows the one before it, and names its transactions and the history.

    Args:
        reader: the snapshot.
        position: where it stands.
        sequencers: keys that may have signed: that of the genesis and those in force now.
    """
    chain = _Chain(position.chain_id, sequencers)
    chain.app_hash = _app_hash(reader, 1)
    for height in range(1, position.height + 1):
        raw = reader.get(HEADERS, height_key(height))
        if raw is None:
            yield Finding("header", "The header is missing.", height)
            continue
        try:
            signed = decode(raw, SignedHeader)
            header = decode(signed.header, SoloHeader)
        except CodecError:
            yield Finding("header", "The header cannot be read.", height)
            continue
        for problem in _check_header(reader, chain, signed, header, height):
            yield Finding("header", problem, height)
        chain.previous_hash = compute_header_hash(signed.header)
        chain.time_ms = header.time_ms
    if reader.count(HEADERS) != position.height:
        yield Finding("header", f"There are not exactly {position.height} headers.")
    if (reader.get(META, LAST_HEADER_KEY) or b"") != chain.previous_hash:
        yield Finding("header", "The last header is not the one that the engine remembers.", position.height)


def _check_header(
    reader: Reader, chain: _Chain, signed: SignedHeader, header: SoloHeader, height: int
) -> Iterator[str]:
    if header.sequencer not in chain.sequencers:
        yield "The header is of a sequencer that this ledger never had."
    try:
        verify_header(signed, header.sequencer)
    except SignatureInvalid:
        yield "The sequencer's signature does not stand."
    if header.chain_id != chain.chain_id or header.height != height:
        yield "The header is of another ledger or another block."
    if header.previous_hash != chain.previous_hash:
        yield "The header does not follow the one before it."
    if header.time_ms <= chain.time_ms:
        yield "The header's time does not ascend."
    key = height_key(height)
    has_leaf = reader.get(LEAF_INDEX, key) is not None
    bodies = reader.get(BODIES, key)
    if bodies is not None and tree_root([leaf_hash(body) for body in decode_plain(bodies)]) != (
        header.transactions_root
    ):
        yield "The transactions are not those that the header names."
    if not has_leaf and header.transactions_root != EMPTY_ROOT:
        yield "The header names transactions, and the history has no leaf for its block."
    if has_leaf:
        chain.size += 1
        chain.app_hash = _app_hash(reader, chain.size)
    follows = (header.history_size, header.app_hash) == (chain.size, chain.app_hash)
    if chain.is_history_followed and not follows:
        chain.is_history_followed = False
        yield "From this header on, the history is not the one that was signed."


def _app_hash(reader: Reader, size: int) -> bytes:
    root = history_root(reader, size)
    return b"" if root is None else compute_app_hash(size, root)


def history_root(reader: Reader, size: int) -> bytes | None:
    """Root over the first leaves of the history; None if it does not hold them."""
    try:
        return subtree_hash(lambda name: reader.get(HISTORY, name), 0, size)
    except KeyError:
        return None


def check_checkpoint(reader: Reader, signed: SignedCheckpoint, where: str) -> Iterator[Finding]:
    """What was cosigned is still a part of this replica's history."""
    checkpoint = signed.checkpoint
    root = history_root(reader, checkpoint.size)
    if root is None:
        yield Finding(
            where, "The history is shorter than what was cosigned: it was taken back.", checkpoint.height
        )
    elif root != checkpoint.root:
        yield Finding(where, "The history is not the one that was cosigned.", checkpoint.height)


def check_cosigned(reader: Reader) -> Iterator[Finding]:
    """The newest cosigned note that the ledger process keeps fits the history."""
    raw = reader.get(META, COSIGNED_KEY)
    if raw is None:
        return
    try:
        signed = parse_note(raw.decode())
    except (CheckpointInvalid, UnicodeDecodeError):
        yield Finding("cosigned checkpoint", "The note cannot be read.")
        return
    yield from check_checkpoint(reader, signed, "cosigned checkpoint")


def read_witness_state(path: Path) -> SignedCheckpoint | WitnessStateBroken | None:
    """What a hosted witness agreed to last, or why that cannot be read.

    Read it before the snapshot that it is compared with: a running witness goes on agreeing, and only to what is
    durable in the tables by then.
    """
    try:
        return peek_state(path)[2]
    except WitnessStateBroken as error:
        return error


def check_witness_state(
    reader: Reader, state: SignedCheckpoint | WitnessStateBroken | None, organisation: str
) -> Iterator[Finding]:
    """What a hosted witness agreed to last fits the history."""
    if isinstance(state, WitnessStateBroken):
        yield Finding("witness state", "The state cannot be read.", organisation=organisation)
    elif state is not None:
        for found in check_checkpoint(reader, state, "witness state"):
            yield Finding(found.where, found.problem, found.height, organisation)


def check_nodes(tables: Tables, open_nodes: Callable[[], NodeFile | None]) -> Iterator[Finding]:
    """Every node of the tree's file is that of the buckets.

    A file whose stamp is of another state is passed over: it is rebuilt when the ledger process starts. While that
    process installs a block, nodes run ahead of any snapshot; what differed then is compared again.
    """
    for _ in range(NODES_ATTEMPTS_MAX):
        nodes = open_nodes()
        if nodes is None:
            yield Finding(
                "tree's file",
                "The file is missing or of another size; it is made anew when the ledger starts.",
            )
            return
        with contextlib.closing(nodes):
            with tables.snapshot() as reader:
                position = read_position(reader)
                found = list(islice(_wrong_nodes(reader, position, nodes), NODES_SHOWN_MAX))
            # A block's values are durable before its nodes are written, so its height shows that one came between.
            with tables.snapshot() as reader:
                is_quiet = read_position(reader).state_height == position.state_height
        if is_quiet or not found:
            for node in found:
                yield Finding(f"tree node {node}", "The node is not the hash of what is below it.")
            return


def _wrong_nodes(reader: Reader, position: Position, nodes: NodeFile) -> Iterator[int]:
    if nodes.stamp() != Stamp(position.state_height, position.state_root):
        return
    expected = NodeFile.in_memory(buckets_log2=position.buckets_log2)
    with contextlib.closing(expected):
        stored = ((int.from_bytes(key, "big"), raw) for key, raw in reader.scan(BUCKETS, b"", None))
        fill_nodes(stored, expected)
        yield from _differing(expected.buffer, nodes.buffer, 64 << position.buckets_log2)


def _differing(expected: NodeBuffer, found: NodeBuffer, size_bytes: int) -> Iterator[int]:
    for start in range(0, size_bytes, _SPAN_BYTES):
        end = min(start + _SPAN_BYTES, size_bytes)
        good, present = expected[start:end], found[start:end]
        if good == present:
            continue
        for at in range(0, end - start, 32):
            if good[at : at + 32] != present[at : at + 32]:
                yield (start + at) // 32
