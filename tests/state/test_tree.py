"""The tree's root is a function of the state alone, equal to its plain definition, however it was reached."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from careledger.primitives.errors import InvariantViolated
from careledger.state.at_height import reader_at
from careledger.state.buckets import EMPTY
from careledger.state.nodes import Stamp
from careledger.state.proofs import verify_proof
from careledger.state.rebuild import (
    StateDamaged,
    damaged_buckets,
    open_tree,
    rebuild_from_values,
    rebuild_nodes,
)
from careledger.state.store import BUCKETS, META, STATE, UNDO, WriteBatch
from careledger.state.tree import BucketTree, TreeUpdate
from careledger.state.undo import VERSIONS_KEY, Version, read_versions
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile

VECTORS = Path(__file__).parents[1] / "vectors" / "state_roots.json"

Changes = Mapping[bytes, bytes | None]

# Few keys, so that they meet again; few buckets, so that over-full ones are common.
KEYS = [b"key %d" % number for number in range(300)]
keys = st.sampled_from(KEYS)


def spread(start: int, count: int, salt: int, kept: int) -> dict[bytes, bytes | None]:
    """Return a block over `count` keys from one on; of every four, `kept` are written and the rest deleted."""
    places = range(start, start + count)
    return {
        KEYS[place * 7 % len(KEYS)]: b"%d" % (salt + place % 3) if place % 4 < kept else None
        for place in places
    }


# Generated from four numbers, because generated dictionaries stay too small to fill buckets.
blocks = st.builds(spread, st.integers(0, 299), st.integers(0, 250), st.integers(0, 9), st.integers(0, 4))


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def plain_root(state: Mapping[bytes, bytes], buckets_log2: int) -> bytes:
    """Return the root by definition: recursive, bit by bit, sharing no code with the tree."""

    def node(entries: list[tuple[str, bytes]], depth: int) -> bytes:
        if not entries:
            return bytes(32)
        if depth >= buckets_log2 and len(entries) <= 8:
            return digest(b"\x01" + b"".join(entry for _, entry in entries))
        left = node([entry for entry in entries if entry[0][depth] == "0"], depth + 1)
        right = node([entry for entry in entries if entry[0][depth] == "1"], depth + 1)
        return digest((b"\x03" if depth < buckets_log2 else b"\x02") + left + right)

    entries = []
    for key, value in state.items():
        bits = "".join(f"{byte:08b}" for byte in digest(key))
        entries.append((bits, digest(key) + digest(value)))
    return node(sorted(entries), 0)


def apply(model: dict[bytes, bytes], changes: Changes) -> None:
    for key, value in changes.items():
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value


class Committed:
    """Tables, nodes and tree, driven as the ledger drives them."""

    def __init__(self, buckets_log2: int = 4) -> None:
        self.tables = MemoryTables()
        self.nodes = NodeFile.in_memory(buckets_log2=buckets_log2)
        self.tree = BucketTree(self.nodes)

    def compute(self, height: int, changes: Changes) -> TreeUpdate:
        with self.tables.snapshot() as reader:
            return self.tree.compute(changes, reader, height)

    def commit(self, height: int, changes: Changes) -> bytes:
        update = self.compute(height, changes)
        self.tree.commit(update, WriteBatch(), self.tables)
        return update.root

    def node_bytes(self) -> bytes:
        return self.nodes.buffer[: 64 << self.nodes.buckets_log2]


class TreeAgainstDefinition(RuleBasedStateMachine):
    """Random blocks, rebuilds and reopenings beside a dictionary."""

    @initialize(buckets_log2=st.integers(4, 11))
    def begin(self, buckets_log2: int) -> None:
        self.buckets_log2 = buckets_log2
        self.state = Committed(buckets_log2)
        self.model: dict[bytes, bytes] = {}
        self.height = 0
        self.past: list[tuple[int, bytes, dict[bytes, bytes]]] = []

    @rule(changes=blocks, skipped=st.integers(1, 3))
    def commit(self, changes: dict[bytes, bytes | None], skipped: int) -> None:
        before = dict(self.model)
        apply(self.model, changes)
        self.height += skipped
        update = self.state.compute(self.height, changes)
        assert update.is_empty == (before == self.model)
        self.state.tree.commit(update, WriteBatch(), self.state.tables)
        if not update.is_empty:
            self.past.append((self.height, update.root, dict(self.model)))

    @rule(changes=blocks)
    def compute_and_drop(self, changes: dict[bytes, bytes | None]) -> None:
        self.state.compute(self.height + 1, changes)

    @rule()
    def rebuild_nodes(self) -> None:
        incremental = self.state.node_bytes()
        with self.state.tables.snapshot() as reader:
            rebuild_nodes(reader, self.state.nodes)
        assert self.state.node_bytes() == incremental

    @rule(back=st.integers(0, 9), first=st.integers(0, 9))
    def read_at_a_height(self, back: int, first: int) -> None:
        if not self.past:
            return
        height, root, model = self.past[-1 - min(back, len(self.past) - 1)]
        with self.state.tables.snapshot() as reader:
            at = reader_at(reader, height)
            for key in KEYS[first::10]:
                value, proof = at.prove(self.state.nodes, key)
                assert (at.version, value) == ((height, root), model.get(key))
                verify_proof(proof, key, value, root, self.buckets_log2)
            assert dict(at.scan(b"", None)) == model

    @invariant()
    def root_is_as_defined(self) -> None:
        if not hasattr(self, "state"):
            return
        assert self.state.tree.root == plain_root(self.model, self.buckets_log2)
        with self.state.tables.snapshot() as reader:
            assert dict(reader.scan(STATE, b"", None)) == self.model
            assert list(damaged_buckets(reader, self.buckets_log2)) == []


TestTreeAgainstDefinition = TreeAgainstDefinition.TestCase
TestTreeAgainstDefinition.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)


@given(st.dictionaries(keys, st.binary(max_size=2), min_size=1, max_size=100), st.data())
@settings(max_examples=20, deadline=None)
def test_order_and_blocks_do_not_matter(state: dict[bytes, bytes], data: st.DataObject) -> None:
    at_once, one_by_one = Committed(), Committed()
    at_once.commit(1, state)
    for height, key in enumerate(data.draw(st.permutations(list(state))), start=1):
        one_by_one.commit(height, {key: state[key]})
    assert one_by_one.tree.root == at_once.tree.root == plain_root(state, 4)
    assert one_by_one.node_bytes() == at_once.node_bytes()


def test_the_empty_state_has_the_zero_root() -> None:
    state = Committed()
    assert state.tree.root == EMPTY
    state.commit(1, {b"a": b"1"})
    assert state.tree.root != EMPTY
    assert state.commit(2, {b"a": None}) == EMPTY
    assert state.node_bytes() == bytes(64 << 4)


def test_a_block_without_effect_writes_nothing() -> None:
    state = Committed()
    root = state.commit(1, {b"a": b"1", b"b": b"2"})
    update = state.compute(2, {b"a": b"1", b"c": None})
    batch = WriteBatch()
    update.add_to(batch)
    assert update.is_empty
    assert update.root == root
    assert not batch
    state.tree.install(update)
    assert state.nodes.stamp() == Stamp(1, root)


@pytest.mark.parametrize("height", [-1, 0, 5, 2**63])
def test_heights_rise(height: int) -> None:
    state = Committed()
    state.commit(5, {b"a": b"1"})
    with pytest.raises(InvariantViolated, match="must rise"):
        state.compute(height, {b"b": b"1"})


def test_an_update_written_but_not_installed_stops_the_next() -> None:
    state = Committed()
    batch = WriteBatch()
    state.compute(1, {b"a": b"1"}).add_to(batch)
    state.tables.write(batch)
    with pytest.raises(InvariantViolated, match="not those of the stored state"):
        state.compute(2, {b"b": b"1"})


def test_opening_rebuilds_nodes_of_another_state() -> None:
    state = Committed()
    state.commit(1, {b"key %d" % number: b"x" for number in range(200)})
    expected = state.node_bytes()
    other = Committed()
    other.commit(1, {b"other": b"x"})
    for nodes in (other.nodes, NodeFile.in_memory(buckets_log2=4)):
        with state.tables.snapshot() as reader:
            tree = open_tree(reader, nodes)
        assert nodes.buffer[: 64 << 4] == expected
        assert tree.root == state.tree.root


def test_opening_an_empty_store_clears_foreign_nodes() -> None:
    nodes = NodeFile.in_memory(buckets_log2=4)
    nodes.write_span(1, b"\x01" * 32)
    with MemoryTables().snapshot() as reader:
        assert open_tree(reader, nodes).root == EMPTY
    assert nodes.buffer[: 64 << 4] == bytes(64 << 4)


def test_opening_refuses_another_number_of_buckets() -> None:
    state = Committed(4)
    state.commit(1, {b"a": b"1"})
    with state.tables.snapshot() as reader, pytest.raises(InvariantViolated, match="number of buckets"):
        open_tree(reader, NodeFile.in_memory(buckets_log2=5))


def damage(state: Committed, table: str, key: bytes, value: bytes | None) -> None:
    batch = WriteBatch()
    batch.update(table, {key: value})
    state.tables.write(batch)


def test_damaged_buckets_are_found_and_repaired() -> None:
    state = Committed(8)
    model = {b"key %d" % number: b"x" for number in range(300)}
    root = state.commit(1, model)
    with state.tables.snapshot() as reader:
        stored = dict(reader.scan(BUCKETS, b"", None))
    indices = sorted(int.from_bytes(key, "big") for key in stored)
    absent = next(number for number in range(256) if number not in indices)
    damage(state, BUCKETS, indices[3].to_bytes(4, "big"), None)
    damage(state, BUCKETS, indices[7].to_bytes(4, "big"), bytes(64))
    damage(state, BUCKETS, absent.to_bytes(4, "big"), bytes(64))
    damage(state, BUCKETS, (255).to_bytes(4, "big"), bytes(64))
    expected = sorted({indices[3], indices[7], absent, 255})
    with state.tables.snapshot() as reader:
        assert list(damaged_buckets(reader, 8)) == expected
        with pytest.raises(StateDamaged, match="buckets do not lead"):
            rebuild_nodes(reader, state.nodes)
    assert state.nodes.stamp() is None
    rebuild_from_values(state.tables, state.nodes, Version(1, root))
    with state.tables.snapshot() as reader:
        assert dict(reader.scan(BUCKETS, b"", None)) == stored
    assert state.commit(2, {b"more": b"y"}) == plain_root(model | {b"more": b"y"}, 8)


def test_restoring_other_values_is_refused_and_can_be_repeated() -> None:
    source = Committed(6)
    model = {b"key %d" % number: b"x" for number in range(500)}
    source.commit(3, model | {b"gone": b"z"})
    root = source.commit(7, {b"gone": None})
    target = Committed(6)
    batch = WriteBatch()
    batch.update(STATE, model | {b"key 5": b"forged"})
    target.tables.write(batch)
    with pytest.raises(StateDamaged, match="values do not lead"):
        rebuild_from_values(target.tables, target.nodes, Version(7, root))
    with target.tables.snapshot() as reader:
        assert read_versions(reader) is None
    damage(target, STATE, b"key 5", b"x")
    target.tree = rebuild_from_values(target.tables, target.nodes, Version(7, root))
    with target.tables.snapshot() as reader:
        assert read_versions(reader) == (6, ((7, root),))
    assert target.node_bytes() == source.node_bytes()
    assert target.commit(8, {b"new": b"1"}) == source.commit(8, {b"new": b"1"})


@pytest.mark.parametrize("raw", [b"", b"\x04", b"\x04" + bytes(39), b"\x04" + bytes(41)])
def test_a_damaged_record_of_versions_is_refused(raw: bytes) -> None:
    state = Committed()
    damage(state, META, VERSIONS_KEY, raw)
    with state.tables.snapshot() as reader, pytest.raises(InvariantViolated, match="is damaged"):
        open_tree(reader, state.nodes)


def test_a_missing_undo_layer_is_a_violation() -> None:
    state = Committed()
    state.commit(1, {b"a": b"1"})
    state.commit(2, {b"a": b"2"})
    with state.tables.snapshot() as reader:
        layer = [key for key, _ in reader.scan(UNDO, b"", None)]
    damage(state, UNDO, layer[0], None)
    with state.tables.snapshot() as reader, pytest.raises(InvariantViolated, match="undo layer"):
        reader_at(reader, 1).get(b"a")


def vector_state(count: int) -> dict[bytes, bytes]:
    """Return `count` pairs: key SHA-256("key i"), value the first i mod 50 bytes of SHA-256("value i") twice."""
    return {
        digest(b"key %d" % number): (digest(b"value %d" % number) * 2)[: number % 50]
        for number in range(count)
    }


def computed_vectors() -> list[dict[str, object]]:
    """Return the vectors by definition; what this file prints when run as a script."""
    return [
        {"buckets_log2": log2, "keys": count, "root": plain_root(vector_state(count), log2).hex()}
        for log2, count in [(4, 0), (4, 1), (4, 8), (4, 200), (10, 3000), (20, 1), (20, 500), (24, 40)]
    ]


def test_golden_roots() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    for vector in vectors:
        state = Committed(vector["buckets_log2"])
        root = state.commit(1, vector_state(vector["keys"]))
        assert root.hex() == vector["root"], vector


def test_golden_roots_follow_from_the_definition() -> None:
    assert json.loads(VECTORS.read_text())["vectors"] == computed_vectors()


if __name__ == "__main__":
    note = (
        "State roots. Pair i of a state: key SHA-256('key i'), value the first (i mod 50) bytes of SHA-256('value i') "
        "written twice. Printed by running tests/state/test_tree.py, which computes them by the plain definition."
    )
    print(json.dumps({"note": note, "vectors": computed_vectors()}, indent=1))
