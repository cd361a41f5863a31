"""Read access to a replica's tables: what gateways, tools and light clients' evidence are made from.

Needs no ledger process: it reads snapshots of the store and the tree's node file, and where a proof does not
fold to the recorded root, because a block was installed meanwhile, it reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from careledger.ledger.errors import HEIGHT_PRUNED, NOT_FOUND, STALE_VIEW
from careledger.ledger.history import HistoryLeaf, consistency_proof, inclusion_proof, leaf_key, read_leaf
from careledger.ledger.light import LeafProof, ReceiptEvidence, StateEvidence
from careledger.ledger.meta import LEAF_INDEX, POSITION_KEY, TX_INDEX, Position, decode_position, height_key
from careledger.ledger.receipt import Receipt, receipt_leaf
from careledger.primitives.codec import decode, decode_list, decode_plain, encode
from careledger.primitives.errors import InvariantViolated, Rejected, Unavailable
from careledger.primitives.hashing import inclusion_path
from careledger.primitives.timestamps import MINUTE_MS
from careledger.sdk.context import View
from careledger.sdk.events import EmittedEvent
from careledger.state.at_height import HeightPruned
from careledger.state.nodes import Nodes
from careledger.state.reader import StateReader
from careledger.state.store import BODIES, EVENTS, HEADERS, HISTORY, META, RECEIPTS, Reader, Tables, TableView

VIEW_AGE_MS_MAX = MINUTE_MS
"""Older views decide nothing about other organisations' requests."""


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """One block as it is kept."""

    height: int
    header: bytes
    """The engine's header, as signed."""
    transactions: tuple[bytes, ...]
    receipts: tuple[Receipt, ...]
    events: tuple[EmittedEvent, ...]


class LedgerView:
    """A replica's tables, read only."""

    def __init__(
        self,
        tables: Tables,
        nodes: Nodes,
        *,
        clock_ms: Callable[[], int],
        wait: Callable[[], None],
    ) -> None:
        self._tables = tables
        self._states = StateReader(tables, nodes)
        self._clock_ms = clock_ms
        self._wait = wait

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """All tables at one height."""
        with self._tables.snapshot() as reader:
            yield reader

    def position(self) -> Position:
        """Where the replica stands."""
        with self._tables.snapshot() as reader:
            return _position(reader)

    @contextmanager
    def at_head(self) -> Iterator[View]:
        """The state at the newest height."""
        with self._tables.snapshot() as reader:
            position = _position(reader)
            yield View(
                store=TableView(reader),
                chain_id=position.chain_id,
                height=position.height,
                time_ms=position.time_ms,
            )

    def require_fresh(self) -> Position:
        """Position, if the replica is fresh enough to decide about a disclosure.

        Raises:
            Unavailable: STALE_VIEW, the last block is more than 60 s old by the local clock.
        """
        position = self.position()
        if self._clock_ms() - position.time_ms > VIEW_AGE_MS_MAX:
            raise Unavailable(STALE_VIEW)
        return position

    def get(self, key: bytes) -> bytes | None:
        """Value of a state key at the newest height."""
        with self._tables.snapshot() as reader:
            return TableView(reader).get(key)

    def receipt(self, tx_id: bytes) -> Receipt | None:
        """Receipt of a transaction, if it was processed and its receipt is still kept."""
        with self._tables.snapshot() as reader:
            found = _find_receipt(reader, tx_id)
        return found[0][found[1]] if found else None

    def prove_state(self, key: bytes, root: bytes, size: int) -> StateEvidence:
        """Evidence for a key's value, or its absence, in the state after the last leaf of a history.

        Args:
            key: the state key.
            root: what vouches for the history, such as a signed note.
            size: leaves of that history: the present one, or at most 64 blocks with transactions back.

        Raises:
            Rejected: HEIGHT_PRUNED, that state can no longer be shown.
        """
        with self._tables.snapshot() as reader:
            position = _position(reader)
            proof = self._leaf_proof(reader, size - 1, size)
        leaf = decode(proof.leaf, HistoryLeaf)
        try:
            proved = self._states.prove(key, leaf.height, wait=self._wait)
        except HeightPruned:
            raise Rejected(HEIGHT_PRUNED) from None
        return StateEvidence(root, proof, key, proved.value, proved.proof, position.buckets_log2)

    def leaf_proof(self, index: int, size: int) -> LeafProof:
        """Leaf and path in the history of that size."""
        with self._tables.snapshot() as reader:
            return self._leaf_proof(reader, index, size)

    def prove_receipt(self, tx_id: bytes, root: bytes, size: int) -> ReceiptEvidence:
        """Evidence for a transaction's outcome, under a root of a history of that size.

        Raises:
            Rejected: NOT_FOUND, unknown or no longer kept, or newer than that history.
        """
        with self._tables.snapshot() as reader:
            found = _find_receipt(reader, tx_id)
            if found is None:
                raise Rejected(NOT_FOUND)
            receipts, index = found
            position = reader.get(LEAF_INDEX, height_key(receipts[index].height))
            leaf_index = int.from_bytes(position or b"", "big")
            if leaf_index >= size:
                raise Rejected(NOT_FOUND, "the transaction is newer than that history")
            leaf = self._leaf_proof(reader, leaf_index, size)
        path = inclusion_path([receipt_leaf(receipt) for receipt in receipts], index)
        return ReceiptEvidence(root, leaf, encode(receipts[index]), len(receipts), path)

    def block_receipts(self, height: int) -> list[Receipt]:
        """Receipts of one block, while they are kept; none for a block without transactions."""
        with self._tables.snapshot() as reader:
            raw = reader.get(RECEIPTS, height_key(height))
        return decode_list(raw, Receipt) if raw else []

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        """Proof that the history only grew between two sizes."""
        with self._tables.snapshot() as reader:
            return consistency_proof(lambda name: reader.get(HISTORY, name), first, second)

    def block(self, height: int) -> BlockSummary:
        """One block.

        Raises:
            Rejected: NOT_FOUND.
        """
        key = height_key(height)
        with self._tables.snapshot() as reader:
            header = reader.get(HEADERS, key)
            if header is None:
                raise Rejected(NOT_FOUND)
            bodies = reader.get(BODIES, key)
            receipts = reader.get(RECEIPTS, key)
            events = reader.get(EVENTS, key)
        return BlockSummary(
            height,
            header,
            tuple(decode_bodies(bodies)) if bodies else (),
            tuple(decode_list(receipts, Receipt)) if receipts else (),
            tuple(decode_list(events, EmittedEvent)) if events else (),
        )

    def _leaf_proof(self, reader: Reader, index: int, size: int) -> LeafProof:
        def read(name: bytes) -> bytes | None:
            return reader.get(HISTORY, name)

        raw = read(leaf_key(index))
        if raw is None or read_leaf(read, index) is None:
            raise Rejected(NOT_FOUND)
        return LeafProof(raw, index, inclusion_proof(read, index, size))


def decode_bodies(raw: bytes) -> list[bytes]:
    """Read the transactions of a stored block."""
    return [bytes(one) for one in decode_plain(raw)]


def _position(reader: Reader) -> Position:
    raw = reader.get(META, POSITION_KEY)
    if raw is None:
        raise InvariantViolated("the ledger has no genesis yet")
    return decode_position(raw)


def _find_receipt(reader: Reader, tx_id: bytes) -> tuple[list[Receipt], int] | None:
    where = reader.get(TX_INDEX, tx_id)
    if where is None:
        return None
    raw = reader.get(RECEIPTS, where[:8])
    if raw is None:
        return None
    return decode_list(raw, Receipt), int.from_bytes(where[8:], "big")
