"""Signature checks of transactions, and the cache that keeps each from being made twice.

Results are keyed by the hash of *all* envelope bytes: a badly signed twin has the same transaction id, and a
cache keyed by that would let the twin pass on the node that saw the good one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from careledger.ledger.transaction import Transaction, signing_bytes
from careledger.primitives.signing import SIGNATURE_BYTES, SignatureInvalid, verify_signature


class Verifier(Protocol):
    """Says of each transaction whether all its signatures stand."""

    def verify(self, transactions: Sequence[Transaction]) -> list[bool]:
        """Check every signature of every transaction; True only where all stand."""


def has_valid_signatures(transaction: Transaction) -> bool:
    """Check all signatures of one transaction."""
    message = signing_bytes(transaction.tx_id)
    signatures = transaction.signatures
    for position, signer in enumerate(transaction.content.signers):
        start = position * SIGNATURE_BYTES
        try:
            verify_signature(signer, message, signatures[start : start + SIGNATURE_BYTES])
        except SignatureInvalid:
            return False
    return True


class SignatureCache:
    """Verification results by the hash of all envelope bytes, oldest dropped first."""

    def __init__(self, entries_max: int = 200_000) -> None:
        self._results: dict[bytes, bool] = {}
        self._entries_max = entries_max

    def get(self, raw_hash: bytes) -> bool | None:
        """Result for these exact bytes, if they were checked."""
        return self._results.get(raw_hash)

    def put(self, raw_hash: bytes, result: bool) -> None:
        """Remember a result."""
        results = self._results
        results[raw_hash] = result
        while len(results) > self._entries_max:
            del results[next(iter(results))]

    def forget(self, raw_hash: bytes) -> None:
        """Drop a result that is no longer needed."""
        self._results.pop(raw_hash, None)


class CachingVerifier:
    """Uses what admission already found out, and checks the rest in this process."""

    def __init__(self, cache: SignatureCache | None = None) -> None:
        self.cache = cache if cache is not None else SignatureCache()

    def verify(self, transactions: Sequence[Transaction]) -> list[bool]:
        """Check what the cache does not know."""
        results = []
        for transaction in transactions:
            result = self.cache.get(transaction.raw_hash)
            if result is None:
                result = has_valid_signatures(transaction)
                self.cache.put(transaction.raw_hash, result)
            results.append(result)
        return results
