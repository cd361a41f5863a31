"""Receipts: the outcome of one transaction, hashed into the history."""

from __future__ import annotations

from collections.abc import Sequence

from careledger.primitives.codec import Wire, encode
from careledger.primitives.errors import Code, find_code
from careledger.primitives.hashing import leaf_hash, tree_root

SUCCESS = 0


class Receipt(Wire, frozen=True):
    """Outcome of one transaction. Every field is the same on every node."""

    tx_id: bytes
    """The transaction; for bytes that are no transaction, their SHA-256."""
    height: int
    """Block that carried it."""
    index: int
    """Position in that block."""
    module: int
    """Number of the module whose code this is."""
    code: int
    """0 for success."""
    data: bytes
    """What the handler returned; empty on rejection."""
    operations: int
    """Operations it was counted for."""

    @property
    def is_success(self) -> bool:
        """Whether the transaction took effect."""
        return self.code == SUCCESS

    def rejection(self) -> Code | None:
        """Code of the rejection, None on success."""
        return None if self.code == SUCCESS else find_code(self.module, self.code)


def receipt_leaf(receipt: Receipt) -> bytes:
    """Leaf hash of a receipt in its block's receipt tree."""
    return leaf_hash(encode(receipt))


def receipts_root(encoded: Sequence[bytes]) -> bytes:
    """Root of the RFC 9162 tree over a block's encoded receipts."""
    return tree_root([leaf_hash(raw) for raw in encoded])
