"""Another process proves values while the state is being written, and never returns a proof that does not fold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from careledger.state.rebuild import open_tree
from careledger.state.store import WriteBatch
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile

# Counts proofs and waits until its standard input ends; every proof is verified as a light client does.
SCRIPT = """
import sys, time, threading
from pathlib import Path
from careledger.state.proofs import verify_proof
from careledger.state.reader import StateReader
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile
home = Path(sys.argv[1])
tables = LmdbTables.open_read_only(home / "store")
nodes = NodeFile.open_read_only(home / "nodes", buckets_log2=12)
reader = StateReader(tables, nodes)
waits = 0
def wait():
    global waits
    waits += 1
    time.sleep(0.0005)
print("ready", flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
proofs, heights = 0, set()
while not ended.is_set() or proofs < 200:
    key = b"key %d" % (proofs * 7 % 4000)
    proved = reader.prove(key, wait=wait)
    # The value says at which height it was written, never later than the state it is proved in.
    assert proved.value is None or int(proved.value) <= proved.height
    verify_proof(proved.proof, key, proved.value, proved.root, 12)
    past = reader.prove(key, max(1, proved.height - 3), wait=wait)
    assert past.height <= proved.height
    verify_proof(past.proof, key, past.value, past.root, 12)
    heights.add(proved.height)
    proofs += 2
print(proofs, len(heights), waits)
"""


def block(height: int) -> dict[bytes, bytes | None]:
    return {b"key %d" % (number * height % 4000): b"%d" % height for number in range(1, 600)}


@pytest.mark.parametrize("rebuilds", [False, True], ids=["writing", "writing and rebuilding"])
def test_proofs_in_another_process(tmp_path: Path, *, rebuilds: bool) -> None:
    tables = LmdbTables.open(tmp_path / "store")
    nodes = NodeFile.open(tmp_path / "nodes", buckets_log2=12)
    with tables.snapshot() as reader:
        tree = open_tree(reader, nodes)

    def commit(height: int) -> None:
        with tables.snapshot() as reader:
            update = tree.compute(block(height), reader, height)
        tree.commit(update, WriteBatch(), tables)

    commit(1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        for height in range(2, 82):
            commit(height)
            if rebuilds and height % 20 == 0:
                nodes.clear()
                with tables.snapshot() as reader:
                    open_tree(reader, nodes)
        process.stdin.close()
        proofs, heights, _ = map(int, process.stdout.read().split())
    assert process.returncode == 0
    assert proofs >= 200
    assert heights >= 2
    nodes.close()
    tables.close()
