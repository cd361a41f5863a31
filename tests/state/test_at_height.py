"""The state can be read and proved at each of the last heights that changed it, and not before."""

import sys
from itertools import pairwise

import pytest

from careledger.primitives.codec import decode, encode
from careledger.state import undo
from careledger.state.at_height import HeightPruned, NodesBehind, reader_at
from careledger.state.buckets import BUCKETS_LOG2
from careledger.state.proofs import Proof, verify_proof
from careledger.state.reader import StateReader
from careledger.state.store import UNDO, SnapshotLost, WriteBatch
from careledger.state.tree import BucketTree
from careledger.state.undo import UNDO_HEIGHTS_MAX, UndoLayer, encode_layer
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile

KEYS = [b"key %d" % number for number in range(60)]
BLOCKS = 80


def block(number: int) -> dict[bytes, bytes | None]:
    """Return changes that touch some keys in every block, some seldom, and delete some now and then."""
    changes: dict[bytes, bytes | None] = {KEYS[0]: b"%d" % number}
    for place, key in enumerate(KEYS[1:]):
        if number % (place + 2) == 0:
            changes[key] = None if (number // (place + 2)) % 3 == 0 else b"%d at %d" % (place, number)
    return changes


class History:
    """Eighty blocks, at every third height, with the state after each."""

    def __init__(self, buckets_log2: int) -> None:
        self.buckets_log2 = buckets_log2
        self.tables = MemoryTables()
        self.nodes = NodeFile.in_memory(buckets_log2=buckets_log2)
        self.tree = BucketTree(self.nodes)
        self.states: list[tuple[int, bytes, dict[bytes, bytes]]] = []
        model: dict[bytes, bytes] = {}
        for number in range(1, BLOCKS + 1):
            changes = block(number)
            for key, value in changes.items():
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
            root = self.commit(3 * number, changes)
            self.states.append((3 * number, root, dict(model)))

    def commit(self, height: int, changes: dict[bytes, bytes | None]) -> bytes:
        with self.tables.snapshot() as reader:
            update = self.tree.compute(changes, reader, height)
        self.tree.commit(update, WriteBatch(), self.tables)
        return update.root


@pytest.fixture(name="history", scope="module", params=[4, 9, 12, BUCKETS_LOG2])
def history_fixture(request: pytest.FixtureRequest) -> History:
    return History(request.param)


def test_values_scans_and_proofs_at_every_height(history: History) -> None:
    shown = history.states[-UNDO_HEIGHTS_MAX - 1 :]
    assert len(shown) == 65
    for height, root, model in shown:
        # Heights between two changes show the earlier one.
        for asked in (height, height + 2):
            with history.tables.snapshot() as reader:
                at = reader_at(reader, asked)
                assert at.version == (height, root)
                assert list(at.scan(b"", None)) == sorted(model.items())
                assert list(at.scan(b"key 2", b"key 5", reverse=True)) == sorted(
                    ((key, value) for key, value in model.items() if b"key 2" <= key < b"key 5"), reverse=True
                )
                for key in (*KEYS[asked % 7 :: 7], b"never"):
                    assert at.get(key) == model.get(key)
                    assert at.has(key) == (key in model)
                    value, proof = at.prove(history.nodes, key)
                    assert value == model.get(key)
                    verify_proof(decode(encode(proof), Proof), key, value, root, history.buckets_log2)


def test_older_heights_are_pruned(history: History) -> None:
    oldest = history.states[-UNDO_HEIGHTS_MAX - 1][0]
    with history.tables.snapshot() as reader:
        for height in (0, oldest - 3, oldest - 1):
            with pytest.raises(HeightPruned, match=f"oldest height that can be shown is {oldest}"):
                reader_at(reader, height)
        assert reader_at(reader, 2**63).version.height == 3 * BLOCKS


def test_only_layers_of_shown_heights_are_kept(history: History) -> None:
    with history.tables.snapshot() as reader:
        heights = {int.from_bytes(key[:8], "big") for key, _ in reader.scan(UNDO, b"", None)}
    assert heights == {height for height, _, _ in history.states[-UNDO_HEIGHTS_MAX:]}


def test_a_store_without_state_has_no_height() -> None:
    with MemoryTables().snapshot() as reader, pytest.raises(HeightPruned, match="no state was written"):
        reader_at(reader, 0)


def test_nodes_of_another_state_never_give_a_proof() -> None:
    history = History(9)
    foreign = NodeFile.in_memory(buckets_log2=9)
    for height in (history.states[-1][0], history.states[-9][0]):
        with history.tables.snapshot() as reader, pytest.raises(NodesBehind):
            reader_at(reader, height).prove(foreign, KEYS[0])


def test_the_reader_waits_for_the_nodes() -> None:
    history = History(4)
    # More than one bucket changes, or the siblings of the changed one would still be right.
    changes: dict[bytes, bytes | None] = {b"new": b"1", **dict.fromkeys(KEYS[:20], b"2")}
    with history.tables.snapshot() as snapshot:
        update = history.tree.compute(changes, snapshot, 1000)
    batch = WriteBatch()
    update.add_to(batch)
    history.tables.write(batch)
    reader = StateReader(history.tables, history.nodes)
    waits: list[int] = []

    def install_at_the_third() -> None:
        waits.append(len(waits))
        if len(waits) == 3:
            history.tree.install(update)

    with pytest.raises(NodesBehind):
        reader.try_prove(b"new")
    with pytest.raises(NodesBehind):
        reader.prove(b"new", wait=lambda: None, attempts_max=5)
    proved = reader.prove(b"new", wait=install_at_the_third)
    assert (proved.height, proved.root, proved.value, len(waits)) == (1000, update.root, b"1", 3)
    verify_proof(proved.proof, b"new", b"1", update.root, 4)
    before = reader.prove(b"new", history.states[-1][0], wait=install_at_the_third)
    assert (before.height, before.root, before.value) == (*history.states[-1][:2], None)
    verify_proof(before.proof, b"new", None, before.root, 4)


def test_the_reader_takes_a_new_snapshot_when_one_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(4)
    reader = StateReader(history.tables, history.nodes)
    snapshot, losses = history.tables.snapshot, iter([True, True, False])

    def losing() -> object:
        if next(losses):
            raise SnapshotLost("the map grew")
        return snapshot()

    monkeypatch.setattr(history.tables, "snapshot", losing)
    assert reader.prove(KEYS[0], wait=lambda: None).value == b"%d" % BLOCKS


def test_a_layer_tells_keys_with_the_same_prefix_apart() -> None:
    tables = MemoryTables()
    batch = WriteBatch()
    records = encode_layer(
        5, [1, 7, 7, 7, 9], [b"a", b"b", b"c", b"d", b"e"], [b"A", None, b"", b"D", None], [], []
    )
    batch.update(UNDO, records)
    tables.write(batch)
    with tables.snapshot() as reader:
        layer = UndoLayer(reader, 5)
        found = [layer.find(key, 7) for key in (b"b", b"c", b"d", b"x")]
        assert found == [(None,), (b"",), (b"D",), None]
        assert layer.find(b"a", 7) is None
        assert layer.find(b"e", 9) == (None,)
        assert layer.find(b"z", 10) is None
        assert list(layer.within(2, 8)) == [(b"b", None), (b"c", b""), (b"d", b"D")]
        assert layer.old_pair(1) is None


def test_the_layer_format_is_little_endian_whatever_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (5, [1, 2**60], [b"a", b"bc"], [b"A", None], [1, 300], [bytes(64), b"\x01" * 64])
    records = encode_layer(*arguments)
    assert records[(5).to_bytes(8, "big") + b"\x01"] == (
        (1).to_bytes(8, "little") + (2**60).to_bytes(8, "little")
        + bytes([1, 0, 0, 0, 3, 0, 0, 0]) + bytes([1, 0, 0, 0, 1, 0, 0, 0]) + bytes([1, 0])
    )  # fmt: skip
    assert records[(5).to_bytes(8, "big") + b"\x02"] == b"abcA"
    assert records[(5).to_bytes(8, "big") + b"\x03"] == bytes([1, 0, 0, 0, 44, 1, 0, 0])
    monkeypatch.setattr(sys, "byteorder", "little" if sys.byteorder == "big" else "big")
    swapped = encode_layer(*arguments)
    assert swapped[(5).to_bytes(8, "big") + b"\x03"] == bytes([0, 0, 0, 1, 0, 0, 1, 44])


def test_heights_in_the_record_ascend() -> None:
    history = History(4)
    with history.tables.snapshot() as reader:
        versions = undo.read_versions(reader)
    assert versions is not None
    assert all(earlier.height < later.height for earlier, later in pairwise(versions.known))
    assert len(versions.encode()) == 1 + 40 * 65
    assert undo.Versions.decode(versions.encode()) == versions
