"""Killed at any point of persisting, the state reopens at the last durable block, with the right nodes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from careledger.state.at_height import reader_at
from careledger.state.nodes import root_of
from careledger.state.proofs import verify_proof
from careledger.state.rebuild import damaged_buckets, open_tree
from careledger.state.store import META, STATE, UNDO
from careledger.state.undo import read_versions
from careledger.storage import lmdb_tables, node_file
from careledger.storage.faults import ENVIRONMENT_VARIABLE, FAULT_POINTS
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile

BUCKETS_LOG2 = 8
LAST_BLOCK = 6

# Block h writes 40 keys, deletes some of the block before, and records itself in a table of the ledger.
SCRIPT = """
import sys
from pathlib import Path
from careledger.state.rebuild import open_tree
from careledger.state.store import META, WriteBatch
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile
home, last = Path(sys.argv[1]), int(sys.argv[2])
tables = LmdbTables.open(home / "store")
nodes = NodeFile.open(home / "nodes", buckets_log2=8)
with tables.snapshot() as reader:
    tree = open_tree(reader, nodes)
for height in range(1, last + 1):
    changes = {b"key %d" % (height * 25 + place): b"at %d" % height for place in range(40)}
    changes |= {b"key %d" % (height * 25 - place): None for place in range(1, 5)}
    with tables.snapshot() as reader:
        update = tree.compute(changes, reader, height)
    batch = WriteBatch()
    batch.put(META, b"ledger.height", b"%d" % height)
    tree.commit(update, batch, tables)
    print(height, update.root.hex(), flush=True)
nodes.close()
tables.close()
"""


def expected_state(height: int) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for number in range(1, height + 1):
        state |= {b"key %d" % (number * 25 + place): b"at %d" % number for place in range(40)}
        for place in range(1, 5):
            state.pop(b"key %d" % (number * 25 - place), None)
    return state


def start(home: Path, last: int, fault: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), ENVIRONMENT_VARIABLE: fault}
    command = [sys.executable, "-c", SCRIPT, str(home), str(last)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str]) -> tuple[int, dict[int, bytes]]:
    """Wait for the end and return its code and the roots of the blocks that were acknowledged."""
    assert process.stdout is not None
    # Not `communicate`, which loses what an earlier `readline` left in the buffer.
    lines = [line.split() for line in process.stdout.read().splitlines() if line.count(" ") == 1]
    process.stdout.close()
    return process.wait(timeout=60), {int(height): bytes.fromhex(root) for height, root in lines}


def check_reopened(home: Path, acked: dict[int, bytes]) -> int:
    """Reopen the store and check all it says; return the height it stands at."""
    tables = LmdbTables.open(home / "store")
    nodes = NodeFile.open(home / "nodes", buckets_log2=BUCKETS_LOG2)
    with tables.snapshot() as reader:
        tree = open_tree(reader, nodes)
        versions = read_versions(reader)
        height = 0 if versions is None else versions.current.height
        recorded = reader.get(META, b"ledger.height")
        assert recorded == (None if versions is None else b"%d" % height)
        # At most the block that was being written when the process died is there without an acknowledgement.
        assert height in (len(acked), len(acked) + 1)
        state = expected_state(height)
        assert dict(reader.scan(STATE, b"", None)) == state
        assert list(damaged_buckets(reader, BUCKETS_LOG2)) == []
        assert root_of(nodes) == tree.root == (bytes(32) if versions is None else versions.current.root)
        assert reader.count(UNDO) == 4 * max(0, height - 1)
        for past in range(1, height + 1):
            at = reader_at(reader, past)
            assert at.version.root == acked.get(past, at.version.root)
            assert dict(at.scan(b"", None)) == expected_state(past)
            for number in range(20, 220, 9):
                key = b"key %d" % number
                value, proof = at.prove(nodes, key)
                assert value == expected_state(past).get(key)
                verify_proof(proof, key, value, at.version.root, BUCKETS_LOG2)
    nodes.close()
    tables.close()
    return height


POINTS = [name for name in FAULT_POINTS if name.split(".")[0] in ("lmdb", "nodes")]
# Each block writes 9 levels of nodes; the third passage of every other point is that of the third block.
PASSAGES = {node_file.BEFORE_LEVEL: (1, 5, 9, 10, 32)}


def test_all_points_are_enumerated() -> None:
    assert {lmdb_tables.BEFORE_WRITE, lmdb_tables.BEFORE_COMMIT, lmdb_tables.AFTER_COMMIT} <= set(POINTS)
    assert {node_file.BEFORE_LEVEL, node_file.BEFORE_STAMP, node_file.AFTER_STAMP} <= set(POINTS)


@pytest.mark.faults
@pytest.mark.parametrize(
    "fault", [f"{name}:{passage}" for name in POINTS for passage in PASSAGES.get(name, (1, 3))]
)
def test_killed_at_every_fault_point(tmp_path: Path, fault: str) -> None:
    code, acked = acknowledged(start(tmp_path, LAST_BLOCK, fault))
    assert code == -signal.SIGKILL
    height = check_reopened(tmp_path, acked)
    name, passage = fault.split(":")
    if name in (lmdb_tables.BEFORE_WRITE, lmdb_tables.BEFORE_COMMIT):
        assert height == len(acked) == int(passage) - 1
    else:
        assert height == len(acked) + 1


def test_without_a_fault_nothing_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, acked = acknowledged(start(tmp_path, LAST_BLOCK))
    assert (code, len(acked)) == (0, LAST_BLOCK)
    monkeypatch.setattr("careledger.state.rebuild.rebuild_nodes", None)
    assert check_reopened(tmp_path, acked) == LAST_BLOCK


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("delay_ms", range(5, 130, 5))
def test_killed_at_any_moment(tmp_path: Path, delay_ms: int) -> None:
    process = start(tmp_path, 10**6)
    assert process.stdout is not None
    first_height, first_root = process.stdout.readline().split()
    time.sleep(delay_ms / 1000)
    process.kill()
    _, acked = acknowledged(process)
    acked[int(first_height)] = bytes.fromhex(first_root)
    tables = LmdbTables.open(tmp_path / "store")
    nodes = NodeFile.open(tmp_path / "nodes", buckets_log2=BUCKETS_LOG2)
    with tables.snapshot() as reader:
        tree = open_tree(reader, nodes)
        versions = read_versions(reader)
        assert versions is not None
        assert versions.current.height in (len(acked), len(acked) + 1)
        assert dict(reader.scan(STATE, b"", None)) == expected_state(versions.current.height)
        assert root_of(nodes) == tree.root == versions.current.root
        for past in versions.known:
            assert past.root == acked.get(past.height, past.root)
    nodes.close()
    tables.close()
