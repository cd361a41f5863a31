"""Snapshots: the same bytes everywhere, nothing taken on trust, and a replica that goes on as if it had replayed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.ledger import snapshots
from careledger.ledger.history import Frontier, HistoryLeaf
from careledger.ledger.light import LeafProof, TrustedRoot, verify_leaf
from careledger.ledger.meta import TABLES
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.restoring import SnapshotRestore, discard_restore, fill_history
from careledger.ledger.snapshots import (
    SnapshotBuilder,
    SnapshotInvalid,
    SnapshotManifest,
    check_manifest,
    encode_manifest,
    read_rows,
)
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import decode, encode
from careledger.primitives.errors import InvariantViolated
from careledger.primitives.hashing import sha256
from careledger.state.store import HISTORY, SEEN, STATE, Tables, WriteBatch
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile
from kit.ledgers import (
    BUCKETS_LOG2,
    CHAIN_ID,
    START_MS,
    TestLedger,
    commit_access,
    commit_records,
    signed,
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 700)


@dataclass
class Taken:
    manifest: SnapshotManifest
    chunks: list[bytes]
    app_hash: bytes

    @property
    def raw(self) -> bytes:
        return encode_manifest(self.manifest)


def take(ledger: TestLedger) -> Taken:
    with ledger.tables.snapshot() as reader:
        builder = SnapshotBuilder(reader)
        chunks = list(builder.chunks())
        return Taken(builder.manifest(), chunks, ledger.application.position.app_hash)


def filled(blocks: int = 7) -> TestLedger:
    """A ledger with records, a rejected transaction, a duplicate and an empty block at the end."""
    ledger = TestLedger()
    for number in range(blocks):
        batch = signed(commit_records("hospital-a", 8 * number), "hospital-a")
        wrong = signed(commit_access("hospital-b", number), "practice")
        ledger.block(batch, wrong, batch, signed(commit_access("practice", number), "practice"))
    ledger.block()
    return ledger


@dataclass
class Empty:
    tables: Tables = field(default_factory=lambda: MemoryTables(TABLES))
    nodes: NodeFile = field(default_factory=lambda: NodeFile.in_memory(buckets_log2=BUCKETS_LOG2))


def checked(taken: Taken, **changes: object) -> SnapshotManifest:
    expected: dict[str, object] = {
        "snapshot_hash": sha256(taken.raw),
        "height": taken.manifest.height,
        "chunks": len(taken.chunks),
        "app_hash": taken.app_hash,
        "chain_id": CHAIN_ID,
        "buckets_log2": BUCKETS_LOG2,
    }
    expected.update(changes)
    return check_manifest(taken.raw, **expected)  # type: ignore[arg-type]  # a table of single changes


def restored(taken: Taken, empty: Empty | None = None) -> TestLedger:
    empty = empty or Empty()
    restore = SnapshotRestore(empty.tables, empty.nodes, checked(taken))
    for chunk in taken.chunks:
        restore.apply(chunk)
    restore.finish()
    return TestLedger(tables=empty.tables, nodes=empty.nodes)


def both(first: TestLedger, second: TestLedger, *txs: bytes) -> None:
    """One block on two replicas, which must answer alike."""
    height = first.application.position.height + 1
    request = FinalizeBlockRequest(height=height, time_ms=START_MS + height * 1_000, txs=txs)
    answers = [each.application.finalize_block(request) for each in (first, second)]
    assert answers[0] == answers[1]
    for each in (first, second):
        each.application.commit()


def test_two_replicas_make_the_same_bytes() -> None:
    first, second = take(filled()), take(filled())
    assert first.chunks == second.chunks
    assert len(first.chunks) > 5
    assert first.raw == second.raw


def test_a_restored_replica_makes_the_same_snapshot_and_goes_on_with_the_same_hashes() -> None:
    ledger = filled()
    taken = take(ledger)
    again = restored(taken)
    assert take(again).raw == taken.raw
    assert take(again).chunks == taken.chunks
    assert again.application.info() == ledger.application.info()
    for number in range(100, 106):
        txs = (signed(commit_records("hospital-b", 8 * number), "hospital-b"),) if number % 3 else ()
        both(ledger, again, *txs)
    assert take(again).raw == take(ledger).raw


def test_a_restored_replica_rejects_what_was_seen_before() -> None:
    ledger = filled()
    again = restored(take(ledger))
    batch = signed(commit_records("hospital-a", 0), "hospital-a")
    assert ledger.slugs(batch) == again.slugs(batch) == ["DUPLICATE"]


@pytest.mark.parametrize("blocks", range(9))
def test_a_restored_replica_proves_its_newest_leaf_and_later_ones(blocks: int) -> None:
    ledger = filled(blocks)
    again = restored(take(ledger))
    view = LedgerView(again.tables, again.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    for _ in range(9):
        position = again.application.position
        size = position.frontier.size
        trusted = TrustedRoot(CHAIN_ID, size, position.frontier.root(), position.height, 0, ())
        for index in range(blocks, size):
            verify_leaf(view.leaf_proof(index, size), trusted)
        both(ledger, again, signed(commit_access("practice", 1_000 + size), "practice"))


@pytest.mark.parametrize("blocks", range(3, 9))
def test_older_history_can_be_given_back(blocks: int) -> None:
    ledger = filled(blocks)
    again = restored(take(ledger))
    size = again.application.position.frontier.size
    with ledger.tables.snapshot() as reader:
        leaves = [value for key, value in reader.scan(HISTORY, b"\x00", b"\x01")]
    wrong = [leaves[0], encode(decode(leaves[1], HistoryLeaf)), *reversed(leaves[2:])]
    for bad in (wrong, leaves[: size - 3], []):
        with pytest.raises(SnapshotInvalid):
            fill_history(again.tables, partial(list, bad))
    assert fill_history(again.tables, lambda: leaves) == size - 1
    view = LedgerView(again.tables, again.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    position = again.application.position
    trusted = TrustedRoot(CHAIN_ID, size, position.frontier.root(), position.height, 0, ())
    for index in range(size):
        verify_leaf(view.leaf_proof(index, size), trusted)
    view.consistency(1, size)
    assert fill_history(again.tables, lambda: leaves) == 0, "nothing is missing any more"


def test_entries_of_minutes_that_are_over_are_left_out() -> None:
    """The table keeps them for a while, but no digest vouches for them."""
    ledger = TestLedger()
    ledger.block(signed(commit_access("practice", 1), "practice", expires_at_ms=START_MS + 60_000))
    with ledger.tables.snapshot() as reader:
        assert reader.count(SEEN) == 1
    ledger.block(signed(commit_access("practice", 2), "practice"), later_ms=200_000)
    taken = take(ledger)
    assert taken.manifest.seen_count == 1
    assert take(restored(taken)).raw == taken.raw


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"snapshot_hash": bytes(32)}, "hash names"),
        ({"height": 3}, "not of the snapshot that was offered"),
        ({"chunks": 1}, "not of the snapshot that was offered"),
        ({"app_hash": bytes(32)}, "application hash"),
        ({"chain_id": "other"}, "another ledger"),
        ({"buckets_log2": 9}, "another ledger"),
    ],
)
def test_a_manifest_is_held_to_what_is_trusted(change: dict[str, object], says: str) -> None:
    with pytest.raises(SnapshotInvalid, match=says):
        checked(take(filled()), **change)


def lying_manifests(manifest: SnapshotManifest) -> dict[str, SnapshotManifest]:
    replace = msgspec.structs.replace
    leaf = decode(manifest.leaf.leaf, HistoryLeaf)
    other_leaf = encode(replace(leaf, state_root=bytes(32)))
    peaks = manifest.frontier.peaks
    return {
        "unknown format": replace(manifest, format=2),
        "other state root": replace(
            manifest, leaf=LeafProof(other_leaf, manifest.leaf.index, manifest.leaf.path)
        ),
        "an older leaf": replace(
            manifest, leaf=LeafProof(manifest.leaf.leaf, manifest.leaf.index - 1, manifest.leaf.path)
        ),
        "no path": replace(manifest, leaf=LeafProof(manifest.leaf.leaf, manifest.leaf.index, ())),
        "a peak too many": replace(manifest, frontier=Frontier(manifest.frontier.size, (*peaks, peaks[0]))),
        "another size": replace(manifest, frontier=Frontier(manifest.frontier.size + 1, peaks)),
        "a short hash": replace(manifest, chunks=(b"x", *manifest.chunks[1:])),
    }


@pytest.mark.parametrize("lie", list(lying_manifests(take(filled()).manifest)))
def test_a_lying_manifest_is_refused(lie: str) -> None:
    taken = take(filled())
    taken.manifest = lying_manifests(taken.manifest)[lie]
    with pytest.raises(SnapshotInvalid):
        checked(taken)


def test_bytes_that_are_no_manifest_are_refused() -> None:
    for raw in (b"", b"\x80", b"junk", bytes(10_000)):
        with pytest.raises(SnapshotInvalid, match="cannot be read"):
            check_manifest(
                raw,
                snapshot_hash=sha256(raw),
                height=1,
                chunks=1,
                app_hash=bytes(32),
                chain_id=CHAIN_ID,
                buckets_log2=BUCKETS_LOG2,
            )


def test_a_wrong_part_is_refused_and_the_right_one_still_fits() -> None:
    taken = take(filled())
    empty = Empty()
    restore = SnapshotRestore(empty.tables, empty.nodes, checked(taken))
    for number, chunk in enumerate(taken.chunks):
        flipped = bytes((chunk[0] ^ 1,)) + chunk[1:]
        for wrong in (flipped, chunk[:-1], b"", taken.chunks[number - 1]):
            with pytest.raises(SnapshotInvalid):
                restore.apply(wrong)
        restore.apply(chunk)
    with pytest.raises(SnapshotInvalid, match="no more parts"):
        restore.apply(taken.chunks[0])
    restore.finish()


def forged(taken: Taken, chunks: list[bytes], *, state: int = 0, seen: int = 0) -> Taken:
    """A snapshot whose manifest names other parts, as a lying peer would make it."""
    manifest = msgspec.structs.replace(
        taken.manifest,
        chunks=tuple(map(sha256, chunks)),
        state_count=taken.manifest.state_count + state,
        seen_count=taken.manifest.seen_count + seen,
    )
    return Taken(manifest, chunks, taken.app_hash)


def row(kind: int, key: bytes, value: bytes) -> bytes:
    return bytes((kind,)) + len(key).to_bytes(2, "big") + len(value).to_bytes(4, "big") + key + value


def rows_of(taken: Taken) -> list[tuple[int, bytes, bytes]]:
    return [each for chunk in taken.chunks for each in read_rows(chunk)]


def as_one_chunk(rows: list[tuple[int, bytes, bytes]]) -> list[bytes]:
    return [b"".join(row(*each) for each in rows)]


def lies_about_rows() -> dict[str, Taken]:
    taken = take(filled())
    rows = rows_of(taken)
    state = [each for each in rows if each[0] == 1]
    seen = [each for each in rows if each[0] == 2]
    extra_minute = (2, (7).to_bytes(4, "big") + bytes(32), bytes(4))
    return {
        "a value changed": forged(taken, as_one_chunk([(1, state[0][1], b"x"), *rows[1:]])),
        "a pair left out": forged(taken, as_one_chunk(rows[1:]), state=-1),
        "a pair too many": forged(taken, as_one_chunk([*state, (1, b"\xff\xff", b"x"), *seen]), state=1),
        "the count is wrong": forged(taken, taken.chunks, state=1),
        "a seen entry left out": forged(taken, as_one_chunk([*state, *seen[1:]]), seen=-1),
        "a seen entry too many": forged(taken, as_one_chunk([*state, extra_minute, *seen]), seen=1),
        "seen entries swapped": forged(
            taken,
            as_one_chunk(
                [
                    *state,
                    (2, seen[0][1], seen[1][2]),
                    (2, seen[1][1], seen[0][2]),
                    *seen[2:],
                ]
            ),
        ),
        "no seen entries": forged(taken, as_one_chunk(state), seen=-len(seen)),
    }


@pytest.mark.parametrize("lie", list(lies_about_rows()))
def test_rows_that_do_not_lead_to_the_trusted_hash_leave_an_empty_replica(lie: str) -> None:
    taken = lies_about_rows()[lie]
    empty = Empty()
    restore = SnapshotRestore(empty.tables, empty.nodes, checked(taken))
    for chunk in taken.chunks:
        restore.apply(chunk)
    with pytest.raises(SnapshotInvalid):
        restore.finish()
    with empty.tables.snapshot() as reader:
        assert all(reader.count(table) == 0 for table in TABLES)
    honest = take(filled())
    assert take(restored(honest, empty)).raw == honest.raw, "another snapshot can be restored there"


@pytest.mark.parametrize(
    "rows",
    [
        [(1, b"b", b""), (1, b"a", b"")],
        [(1, b"a", b""), (1, b"a", b"")],
        [(2, b"a", b""), (1, b"b", b"")],
    ],
)
def test_rows_out_of_order_are_refused(rows: list[tuple[int, bytes, bytes]]) -> None:
    taken = forged(take(filled()), as_one_chunk(rows))
    empty = Empty()
    restore = SnapshotRestore(empty.tables, empty.nodes, checked(taken))
    with pytest.raises(SnapshotInvalid, match="order"):
        restore.apply(taken.chunks[0])


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_rows_or_refused(raw: bytes) -> None:
    try:
        rows = list(read_rows(raw))
    except SnapshotInvalid:
        return
    assert b"".join(row(*each) for each in rows) == raw


@pytest.mark.parametrize("applied", [0, 1, 4, -1])
def test_a_restart_in_the_middle_begins_with_an_empty_replica(applied: int) -> None:
    taken = take(filled())
    empty = Empty()
    restore = SnapshotRestore(empty.tables, empty.nodes, checked(taken))
    for chunk in taken.chunks[:applied] if applied >= 0 else taken.chunks:
        restore.apply(chunk)
    # killed here; the next opening
    assert discard_restore(empty.tables)
    assert not discard_restore(empty.tables)
    with empty.tables.snapshot() as reader:
        assert all(reader.count(table) == 0 for table in TABLES)
    fresh = TestLedger(tables=empty.tables, nodes=empty.nodes)
    assert fresh.application.position == TestLedger().application.position, "genesis can be applied as well"


def test_a_second_attempt_removes_the_first_ones_rows() -> None:
    taken = take(filled())
    empty = Empty()
    first = SnapshotRestore(empty.tables, empty.nodes, checked(taken))
    first.apply(taken.chunks[0])
    assert take(restored(taken, empty)).raw == taken.raw


class Killed(Exception):  # noqa: N818 - the process would be gone
    pass


class DyingTables:
    """Tables that stop the world before or after the n-th write."""

    def __init__(self, tables: MemoryTables, writes_left: int, *, is_written: bool) -> None:
        self._tables = tables
        self._writes_left = writes_left
        self._is_written = is_written
        self.snapshot = tables.snapshot
        self.close = tables.close

    def write(self, batch: WriteBatch) -> None:
        self._writes_left -= 1
        if self._writes_left < 0 and not self._is_written:
            raise Killed
        self._tables.write(batch)
        if self._writes_left < 0:
            raise Killed


@pytest.mark.parametrize("is_written", [False, True])
def test_killed_at_every_write_the_replica_is_empty_or_whole(*, is_written: bool) -> None:
    taken = take(filled())
    outcomes = []
    for writes in range(200):
        tables = MemoryTables(TABLES)
        nodes = NodeFile.in_memory(buckets_log2=BUCKETS_LOG2)
        dying = DyingTables(tables, writes, is_written=is_written)
        try:
            restore = SnapshotRestore(dying, nodes, checked(taken))
            for chunk in taken.chunks:
                restore.apply(chunk)
            restore.finish()
        except Killed:
            pass
        discard_restore(tables)
        with tables.snapshot() as reader:
            is_whole = reader.count(STATE) > 0
        ledger = TestLedger(tables=tables, nodes=nodes)
        assert ledger.application.position.height == (taken.manifest.height if is_whole else 0)
        if is_whole:
            assert take(ledger).raw == taken.raw
        outcomes.append(is_whole)
        if outcomes[-5:] == [True] * 5:
            break
    assert False in outcomes
    assert True in outcomes
    assert outcomes == sorted(outcomes), "once whole, it stays whole"


def test_a_replica_that_has_a_ledger_takes_no_snapshot() -> None:
    ledger = filled(1)
    with pytest.raises(InvariantViolated, match="empty replica"):
        SnapshotRestore(ledger.tables, ledger.nodes, take(filled()).manifest)


def test_nothing_to_show_before_genesis() -> None:
    with MemoryTables(TABLES).snapshot() as reader, pytest.raises(InvariantViolated):
        SnapshotBuilder(reader)


def test_the_manifest_waits_for_the_parts() -> None:
    ledger = filled(1)
    with ledger.tables.snapshot() as reader, pytest.raises(InvariantViolated):
        SnapshotBuilder(reader).manifest()
