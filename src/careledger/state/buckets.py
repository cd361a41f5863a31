"""Buckets of the state tree: entries, hashing and the nesting of over-full ones.

Owns the layout of a bucket and every hash of the tree (see `docs/formats/state.md`). A key belongs to the
bucket named by the leading bits of its SHA-256. A bucket is its entries end to end, ascending; an entry is
SHA-256(key) then SHA-256(value). The hash of a bucket depends on the set of entries alone:

- no entry: 32 zero bytes, as is every subtree in which no bucket has an entry;
- up to 8 entries: SHA-256(01 | entries);
- more: SHA-256(02 | left | right), the entries being divided by the next bit of their key hashes, each side
hashed
  by these same rules one bit further.

An inner node over two subtrees that are not both empty is SHA-256(03 | left | right). No input of one kind
can be an input of another, since the first byte differs; 32 zero bytes as a hash would need a preimage of
zero.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
ENTRY_BYTES: Final = 2 * HASH_BYTES
BUCKET_ENTRIES_MAX: Final = 8
"""More entries than this are nested."""
BUCKET_BYTES_MAX: Final = BUCKET_ENTRIES_MAX * ENTRY_BYTES

EMPTY: Final = bytes(HASH_BYTES)
"""Hash of an empty bucket and of every empty subtree."""
EMPTY_PAIR: Final = EMPTY + EMPTY

BUCKET_TAG: Final = b"\x01"
NESTED_TAG: Final = b"\x02"
INNER_TAG: Final = b"\x03"

BUCKETS_LOG2_MIN: Final = 4
BUCKETS_LOG2_MAX: Final = 24
BUCKETS_LOG2: Final = 20
"""Binary logarithm of the number of buckets unless genesis says otherwise: 1,048,576 buckets."""


def check_buckets_log2(buckets_log2: int) -> int:
    """Return the binary logarithm of the number of buckets unless it is out of range.

    Raises:
        ValueError: It is not between 4 and 24.
    """
    if not BUCKETS_LOG2_MIN <= buckets_log2 <= BUCKETS_LOG2_MAX:
        raise ValueError(f"the number of buckets must be 2^{BUCKETS_LOG2_MIN} to 2^{BUCKETS_LOG2_MAX}")
    return buckets_log2


def bucket_index(key_hash: bytes, buckets_log2: int) -> int:
    """Return the number of the bucket a key hash belongs to: its leading bits."""
    return int.from_bytes(key_hash[:4], "big") >> (32 - buckets_log2)


def bucket_key(index: int) -> bytes:
    """Return the key of a bucket in the table `buckets`: its number, 4 bytes, big-endian."""
    return index.to_bytes(4, "big")


def bit(key_hash: bytes, position: int) -> int:
    """Return one bit of a hash; position 0 is the most significant bit of the first byte."""
    return key_hash[position >> 3] >> (7 - (position & 7)) & 1


def find_entry(entries: bytes, key_hash: bytes) -> int:
    """Return the offset of the key's entry, or minus one minus the offset where it would go."""
    for offset in range(0, len(entries), ENTRY_BYTES):
        present = entries[offset : offset + HASH_BYTES]
        if present >= key_hash:
            return offset if present == key_hash else -1 - offset
    return -1 - len(entries)


def with_entry(entries: bytes, key_hash: bytes, value_hash: bytes | None) -> bytes:
    """Return the entries after one key got a value or, for None, lost it; an absent key stays absent."""
    offset = find_entry(entries, key_hash)
    if offset >= 0:
        after = entries[offset + ENTRY_BYTES :]
        return (
            entries[:offset] + after
            if value_hash is None
            else entries[: offset + HASH_BYTES] + value_hash + after
        )
    if value_hash is None:
        return entries
    offset = -1 - offset
    return entries[:offset] + key_hash + value_hash + entries[offset:]


def divide(entries: bytes, depth: int) -> int:
    """Return the offset of the first entry with key hash bit `depth` set; all share the bits before it."""
    for offset in range(0, len(entries), ENTRY_BYTES):
        if entries[offset + (depth >> 3)] >> (7 - (depth & 7)) & 1:
            return offset
    return len(entries)


def bucket_hash(entries: bytes, depth: int) -> bytes:
    """Return the hash of a bucket.

    Args:
        entries: whole entries, strictly ascending by key hash, all sharing the first `depth` bits.
        depth: bits that lead to this bucket; the binary logarithm of the number of buckets at the outset.
    """
    if len(entries) <= BUCKET_BYTES_MAX:
        return sha256(BUCKET_TAG + entries).digest() if entries else EMPTY
    middle = divide(entries, depth)
    left = bucket_hash(entries[:middle], depth + 1)
    right = bucket_hash(entries[middle:], depth + 1)
    return sha256(NESTED_TAG + left + right).digest()


def inner_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over two subtrees."""
    return EMPTY if left == EMPTY == right else sha256(INNER_TAG + left + right).digest()


def nested_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a nested node within an over-full bucket; its sides are never both empty."""
    return sha256(NESTED_TAG + left + right).digest()
