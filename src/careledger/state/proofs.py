"""Proofs that a key has a value, or none, in the state of a given root.

Owns the proof's structure, its making and its verification. Verification needs nothing but the proof, the
claim and the root, so a light client runs it offline; who vouches for the root is not decided here. A proof
shows what the state holds under one key; it does not show that the state is the latest.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from careledger.primitives.codec import Wire
from careledger.state.buckets import (
    BUCKET_BYTES_MAX,
    EMPTY,
    ENTRY_BYTES,
    HASH_BYTES,
    bit,
    bucket_hash,
    check_buckets_log2,
    divide,
    find_entry,
    inner_hash,
    nested_hash,
)

DEPTH_MAX: Final = 8 * HASH_BYTES - 1
"""Longest path: 9 entries have different hashes, so the last bit never divides a bucket of more than 8."""


class ProofInvalid(ValueError):  # noqa: N818 - named like the other refusals of this package
    """A proof that does not show what is claimed; `step` names the failing step of `verify_proof`."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(f"{step}: {text}")
        self.step = step


class Proof(Wire, frozen=True):
    """Path from one key's bucket to the root. The key and its value are not in it: they are the claim."""

    depth: int
    """Levels of the path: the binary logarithm of the number of buckets, plus those nested within the bucket."""
    present: bytes
    """One bit for each level from the lowest up, the first being the least significant of the first byte: whether
    that sibling is not empty. Unused bits are zero."""
    siblings: bytes
    """The hashes of the siblings that are not empty, end to end, from the lowest level up."""
    entries: bytes
    """The other entries of the innermost bucket, ascending; the proven key's own is left out."""


def verify_proof(proof: Proof, key: bytes, value: bytes | None, root: bytes, buckets_log2: int) -> None:
    """Check that the state with this root holds the value under the key or, for None, nothing.

    1. shape: lengths, level count and unused bits are as the structure demands;
    2. entries: strictly ascending, without the key's own, and with it no more than a bucket holds;
    3. fold: the bucket with the claimed entry in its place, hashed up the path (nested levels, then inner ones, left or
       right by the bits of SHA-256(key)), gives a root;
    4. root: it is the one given.

    Args:
        proof: the proof, from an untrusted source.
        key: the state key.
        value: the claimed value; None claims absence.
        root: trusted state root, 32 bytes.
        buckets_log2: binary logarithm of the number of buckets, from genesis.

    Raises:
        ProofInvalid: Some step fails; the error's `step` names it.
    """
    if fold_proof(proof, key, value, buckets_log2) != root:
        raise ProofInvalid("root", "the proof leads to another root")


def fold_proof(proof: Proof, key: bytes, value: bytes | None, buckets_log2: int) -> bytes:
    """Return the root to which the proof leads for this claim: steps 1 to 3 of `verify_proof`.

    Raises:
        ProofInvalid: The proof is malformed or cannot belong to the claim.
    """
    # 1. shape
    _check_shape(proof, check_buckets_log2(buckets_log2))
    # 2. entries
    key_hash = sha256(key).digest()
    entries = _claimed_entries(proof.entries, key_hash, value)
    # 3. fold
    node = bucket_hash(entries, proof.depth)
    siblings, at = proof.siblings, 0
    for level in range(proof.depth):
        if proof.present[level >> 3] >> (level & 7) & 1:
            sibling = siblings[at : at + HASH_BYTES]
            at += HASH_BYTES
            if sibling == EMPTY:
                raise ProofInvalid("shape", "an empty sibling is listed instead of left out")
        else:
            sibling = EMPTY
        position = proof.depth - 1 - level
        combine = nested_hash if position >= buckets_log2 else inner_hash
        node = combine(sibling, node) if bit(key_hash, position) else combine(node, sibling)
    return node


def _check_shape(proof: Proof, buckets_log2: int) -> None:
    if not buckets_log2 <= proof.depth <= DEPTH_MAX:
        raise ProofInvalid("shape", "the number of levels is out of range")
    if len(proof.present) != (proof.depth + 7) >> 3:
        raise ProofInvalid("shape", "there is not exactly one bit for each level")
    bits = int.from_bytes(proof.present, "little")
    if bits >> proof.depth:
        raise ProofInvalid("shape", "a bit beyond the last level is set")
    if len(proof.siblings) != bits.bit_count() * HASH_BYTES:
        raise ProofInvalid("shape", "there is not exactly one hash for each sibling that is not empty")
    if len(proof.entries) % ENTRY_BYTES or len(proof.entries) > BUCKET_BYTES_MAX:
        raise ProofInvalid("shape", "the entries are not whole, or too many for a bucket")


def _claimed_entries(others: bytes, key_hash: bytes, value: bytes | None) -> bytes:
    last = b""
    for at in range(0, len(others), ENTRY_BYTES):
        entry_key = others[at : at + HASH_BYTES]
        if entry_key <= last:
            raise ProofInvalid("entries", "the entries do not ascend")
        last = entry_key
    offset = find_entry(others, key_hash)
    if offset >= 0:
        raise ProofInvalid("entries", "the key's own entry is among the others")
    if value is None:
        return others
    if len(others) == BUCKET_BYTES_MAX:
        raise ProofInvalid("entries", "with the key's own entry there are too many for a bucket")
    offset = -1 - offset
    return others[:offset] + key_hash + sha256(value).digest() + others[offset:]


def build_proof(key_hash: bytes, entries: bytes, outer_siblings: list[bytes]) -> Proof:
    """Return the proof for one key, present or absent.

    Args:
        key_hash: SHA-256 of the key.
        entries: all entries of the key's bucket.
        outer_siblings: hashes of the siblings above the bucket, from the lowest level up.
    """
    depth = len(outer_siblings)
    nested: list[bytes] = []
    while len(entries) > BUCKET_BYTES_MAX:
        middle = divide(entries, depth)
        left, right = entries[:middle], entries[middle:]
        depth += 1
        if bit(key_hash, depth - 1):
            nested.append(bucket_hash(left, depth))
            entries = right
        else:
            nested.append(bucket_hash(right, depth))
            entries = left
    offset = find_entry(entries, key_hash)
    if offset >= 0:
        entries = entries[:offset] + entries[offset + ENTRY_BYTES :]
    siblings = [*reversed(nested), *outer_siblings]
    bits = sum(1 << level for level, sibling in enumerate(siblings) if sibling != EMPTY)
    return Proof(
        depth=depth,
        present=bits.to_bytes((depth + 7) >> 3, "little"),
        siblings=b"".join(sibling for sibling in siblings if sibling != EMPTY),
        entries=entries,
    )
