"""Snapshots: the whole state at one height in parts, the same bytes on every node, and their restoring.

A snapshot holds the state's pairs, the entries of the seen-set that the state vouches for, and the history's
frontier with its newest leaf. Receipts, events, bodies and older history are not needed to go on and are not in
it. What a restoring replica trusts is the application hash alone; everything else is checked against that:

    application hash -> frontier -> newest leaf -> state root -> pairs -> digests of minutes -> seen-set

Owns the format, the making and the checking of a manifest; `careledger.ledger.restoring` applies the parts.
Where snapshots are kept and how they travel is not its concern.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from careledger.ledger.history import (
    Frontier,
    HistoryLeaf,
    inclusion_proof,
    leaf_key,
)
from careledger.ledger.light import EvidenceInvalid, LeafProof, TrustedRoot, verify_leaf
from careledger.ledger.meta import (
    POSITION_KEY,
    Position,
    decode_position,
)
from careledger.ledger.seen import MINUTE_DIGESTS
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import InvariantViolated
from careledger.primitives.hashing import DIGEST_BYTES, sha256
from careledger.state.store import (
    HISTORY,
    KEY_BYTES_MAX,
    META,
    SEEN,
    STATE,
    Reader,
    TableView,
)

FORMAT = 1
CHUNK_BYTES = 1024 * 1024
"""A part closes with the row that reaches this size."""
CHUNK_BYTES_MAX = 8 * 1024 * 1024
CHUNKS_MAX = 65_536

_ROW = struct.Struct(">BHI")
STATE_ROW, SEEN_ROW = 1, 2
TABLE_OF = {STATE_ROW: STATE, SEEN_ROW: SEEN}
"""Kind of a row -> table it belongs to; rows of a snapshot ascend by kind, then by key."""


class SnapshotInvalid(Exception):  # noqa: N818 - verification raises the outcome's name
    """A snapshot, or one part of it, does not hold; the message names the failing step."""


class SnapshotManifest(Wire, frozen=True):
    """What a snapshot consists of."""

    format: int
    """1."""
    chain_id: str
    """The ledger."""
    height: int
    """Last block that the snapshot covers."""
    buckets_log2: int
    """Size of the state tree."""
    frontier: Frontier
    """The history up to that block."""
    leaf: LeafProof
    """The newest leaf of that history, which names the state root."""
    state_count: int
    """Pairs of the state."""
    seen_count: int
    """Entries of the seen-set."""
    chunks: tuple[bytes, ...]
    """SHA-256 of each part."""

    def newest_leaf(self) -> HistoryLeaf:
        """The newest leaf; it is checked by `check_manifest`."""
        return decode(self.leaf.leaf, HistoryLeaf)


# -- Making ------------------------------------------------------------------------------------------------


class SnapshotBuilder:
    """Makes the snapshot of what one reader shows: first all parts in order, then the manifest."""

    def __init__(self, reader: Reader) -> None:
        raw = reader.get(META, POSITION_KEY)
        if raw is None:
            raise InvariantViolated("the ledger has no genesis yet")
        self._reader = reader
        self.position: Position = decode_position(raw)
        self._hashes: list[bytes] = []
        self._counts = {STATE_ROW: 0, SEEN_ROW: 0}
        self._is_complete = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the parts."""
        part = bytearray()
        for row in self._rows():
            part += row
            if len(part) >= CHUNK_BYTES:
                yield self._closed(part)
                part = bytearray()
        if part:
            yield self._closed(part)
        self._is_complete = True

    def manifest(self) -> SnapshotManifest:
        """Say what the parts were, once all were made."""
        if not self._is_complete:
            raise InvariantViolated("the manifest comes after the last part")
        position, size = self.position, self.position.frontier.size

        def read(name: bytes) -> bytes | None:
            return self._reader.get(HISTORY, name)

        raw = read(leaf_key(size - 1))
        if raw is None:
            raise InvariantViolated("the history does not hold its newest leaf")
        return SnapshotManifest(
            FORMAT,
            position.chain_id,
            position.height,
            position.buckets_log2,
            position.frontier,
            LeafProof(raw, size - 1, inclusion_proof(read, size - 1, size)),
            self._counts[STATE_ROW],
            self._counts[SEEN_ROW],
            tuple(self._hashes),
        )

    def _closed(self, part: bytearray) -> bytes:
        raw = bytes(part)
        self._hashes.append(sha256(raw))
        return raw

    def _rows(self) -> Iterator[bytes]:
        pack, counts = _ROW.pack, self._counts
        for key, value in self._reader.scan(STATE, b"", None):
            counts[STATE_ROW] += 1
            yield pack(STATE_ROW, len(key), len(value)) + key + value
        # Entries of minutes that are over wait in the table to be deleted; nothing vouches for them any more.
        for minute, _ in MINUTE_DIGESTS.scan_raw(TableView(self._reader)):
            for key, value in self._reader.scan(SEEN, minute, next_minute(minute)):
                counts[SEEN_ROW] += 1
                yield pack(SEEN_ROW, len(key), len(value)) + key + value


def encode_manifest(manifest: SnapshotManifest) -> bytes:
    """Bytes of a manifest; their SHA-256 is the snapshot's hash."""
    return encode(manifest)


def next_minute(minute: bytes) -> bytes:
    """Table key of the minute after."""
    return (int.from_bytes(minute, "big") + 1).to_bytes(len(minute), "big")


# -- Checking ----------------------------------------------------------------------------------------------


def check_manifest(
    raw: bytes,
    *,
    snapshot_hash: bytes,
    height: int,
    chunks: int,
    app_hash: bytes,
    chain_id: str,
    buckets_log2: int,
) -> SnapshotManifest:
    """Check an offered snapshot before any part of it is fetched.

    1. The manifest is the one that the hash names, and of a known form.
    2. It is of this ledger and of the height and number of parts that were offered.
    3. Its frontier has the trusted application hash.
    4. Its newest leaf is the last one of that history, and not above the height.

    Raises:
        SnapshotInvalid: A step failed.
    """
    # 1
    if sha256(raw) != snapshot_hash:
        raise SnapshotInvalid("the manifest is not the one that the snapshot's hash names")
    try:
        manifest = decode(raw, SnapshotManifest)
    except CodecError as error:
        raise SnapshotInvalid(f"the manifest cannot be read: {error}") from None
    if manifest.format != FORMAT:
        raise SnapshotInvalid("the snapshot's format is unknown")
    # 2
    if manifest.chain_id != chain_id or manifest.buckets_log2 != buckets_log2:
        raise SnapshotInvalid("the snapshot is of another ledger")
    if manifest.height != height or not 0 < len(manifest.chunks) == chunks <= CHUNKS_MAX:
        raise SnapshotInvalid("the manifest is not of the snapshot that was offered")
    if any(len(each) != DIGEST_BYTES for each in manifest.chunks):
        raise SnapshotInvalid("a part's hash does not have 32 bytes")
    # 3
    frontier = manifest.frontier
    if len(frontier.peaks) != frontier.size.bit_count() or frontier.size < 1:
        raise SnapshotInvalid("the frontier has not one peak for each bit of its size")
    if frontier.app_hash() != app_hash:
        raise SnapshotInvalid("the frontier does not have the application hash that is trusted")
    # 4
    root = TrustedRoot(chain_id, frontier.size, frontier.root(), height, 0, ())
    try:
        leaf = verify_leaf(manifest.leaf, root)
    except EvidenceInvalid as error:
        raise SnapshotInvalid(str(error)) from None
    if manifest.leaf.index != frontier.size - 1 or not 0 <= leaf.height <= height:
        raise SnapshotInvalid("the leaf is not the newest one of the history")
    return manifest


def read_rows(chunk: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (kind, key, value) of each row of a part.

    Raises:
        SnapshotInvalid: A row is malformed.
    """
    offset, size, head = 0, len(chunk), _ROW.size
    unpack = _ROW.unpack_from
    while offset < size:
        if size - offset < head:
            raise SnapshotInvalid("a row is cut off")
        kind, key_bytes, value_bytes = unpack(chunk, offset)
        offset += head
        end = offset + key_bytes + value_bytes
        if kind not in TABLE_OF or not 0 < key_bytes <= KEY_BYTES_MAX or end > size:
            raise SnapshotInvalid("a row is malformed")
        yield kind, chunk[offset : offset + key_bytes], chunk[offset + key_bytes : end]
        offset = end
