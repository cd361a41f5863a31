"""The node file keeps hashes and says honestly whether they can be trusted after what happened to the process."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from careledger.state.nodes import Stamp
from careledger.state.store import StorageFailed
from careledger.storage import node_file
from careledger.storage.node_file import NodeFile

STAMP = Stamp(7, bytes(range(32)))


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    return tmp_path / "tree" / "nodes"


def stamped(path: Path) -> NodeFile:
    nodes = NodeFile.open(path, buckets_log2=8)
    nodes.write_pairs([3, 200], [b"\x01" * 64, b"\x02" * 64])
    nodes.write_pairs([4, 5], [b"\x03" * 64, b"\x04" * 64])
    nodes.write_span(300, b"\x05" * 96)
    nodes.set_stamp(STAMP)
    return nodes


def reopened_stamp(path: Path) -> Stamp | None:
    nodes = NodeFile.open(path, buckets_log2=8)
    stamp = nodes.stamp()
    nodes._pages.close()
    return stamp


def abandon(nodes: NodeFile) -> None:
    """Leave the file as a killed process does."""
    nodes._pages.close()


def test_layout(path: Path) -> None:
    nodes = stamped(path)
    raw = path.read_bytes()
    assert len(raw) == 32 * 512 + 4096
    assert raw[3 * 64 : 4 * 64] == b"\x01" * 64
    assert raw[4 * 64 : 6 * 64] == b"\x03" * 64 + b"\x04" * 64
    assert raw[200 * 64 : 201 * 64] == b"\x02" * 64
    assert raw[300 * 32 : 303 * 32] == b"\x05" * 96
    assert raw[32 * 512 :][:18] == b"CLNODES1" + bytes([8, 1]) + (7).to_bytes(8, "big")
    assert raw[32 * 512 + 18 :][:32] == STAMP.root
    assert raw[32 * 512 + 50 :][:8] == path.stat().st_ino.to_bytes(8, "big")
    assert nodes.buffer[300 * 32 : 301 * 32] == b"\x05" * 32
    nodes.close()


def test_all_space_is_reserved_at_once(path: Path) -> None:
    nodes = NodeFile.open(path, buckets_log2=12)
    assert path.stat().st_blocks * 512 >= path.stat().st_size
    nodes.close()


def test_a_fresh_file_has_no_stamp(path: Path) -> None:
    nodes = NodeFile.open(path, buckets_log2=8)
    assert nodes.stamp() is None
    nodes.close()
    assert reopened_stamp(path) is None


def test_a_stamp_survives_closing_and_killing(path: Path) -> None:
    abandon(stamped(path))
    assert reopened_stamp(path) == STAMP
    NodeFile.open(path, buckets_log2=8).close()
    assert reopened_stamp(path) == STAMP


def other_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_file, "_boot_id", lambda: b"\x09" * 16)


def unknown_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_file, "_boot_id", lambda: bytes(16))


@pytest.mark.parametrize("reboot", [other_boot, unknown_boot])
def test_after_a_lost_machine_only_a_closed_stamp_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch, reboot: Callable[[pytest.MonkeyPatch], None]
) -> None:
    abandon(stamped(path))
    closed = path.with_name("closed")
    stamped(closed).close()
    reboot(monkeypatch)
    assert reopened_stamp(path) is None
    assert reopened_stamp(closed) == STAMP


def test_without_a_boot_identifier_only_a_closed_stamp_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_file, "_BOOT_ID_PATH", path / "missing")
    abandon(stamped(path))
    assert reopened_stamp(path) is None
    stamped(path).close()
    assert reopened_stamp(path) == STAMP


WRITES: dict[str, Callable[[NodeFile], None]] = {
    "pairs": lambda nodes: nodes.write_pairs([1], [bytes(64)]),
    "span": lambda nodes: nodes.write_span(1, bytes(32)),
    "clear": lambda nodes: nodes.clear(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_writing_takes_a_closed_stamp_back(path: Path, write: Callable[[NodeFile], None]) -> None:
    stamped(path).close()
    nodes = NodeFile.open(path, buckets_log2=8)
    assert nodes.stamp() == STAMP
    write(nodes)
    abandon(nodes)
    assert reopened_stamp(path) is None


def test_clearing_keeps_the_file_and_drops_everything_in_it(path: Path) -> None:
    nodes = stamped(path)
    inode = path.stat().st_ino
    nodes.clear()
    assert nodes.stamp() is None
    assert path.read_bytes()[: 32 * 512] == bytes(32 * 512)
    assert path.stat().st_ino == inode
    nodes.close()


@pytest.mark.parametrize("offset", [0, 8, 9, 17, 49, 57])
def test_a_damaged_stamp_does_not_count(path: Path, offset: int) -> None:
    abandon(stamped(path))
    raw = bytearray(path.read_bytes())
    raw[32 * 512 + offset] ^= 0x10
    path.write_bytes(raw)
    assert reopened_stamp(path) != STAMP


def test_a_copied_file_does_not_count(path: Path) -> None:
    stamped(path).close()
    shutil.copyfile(path, path.with_name("copy"))
    assert reopened_stamp(path.with_name("copy")) is None
    assert reopened_stamp(path) == STAMP


def test_a_file_of_another_size_is_made_anew(path: Path) -> None:
    stamped(path).close()
    nodes = NodeFile.open(path, buckets_log2=9)
    assert nodes.stamp() is None
    assert nodes.buffer[: 32 * 1024] == bytes(32 * 1024)
    nodes.close()


def test_readers_see_what_the_writer_writes(path: Path) -> None:
    nodes = stamped(path)
    reader = NodeFile.open_read_only(path, buckets_log2=8)
    assert reader.stamp() == STAMP
    nodes.write_pairs([3], [b"\x0a" * 64])
    assert reader.buffer[192:256] == b"\x0a" * 64
    with pytest.raises(TypeError):
        reader.write_pairs([3], [bytes(64)])
    reader.close()
    nodes.close()


@pytest.mark.parametrize("buckets_log2", [7, 9])
def test_a_reader_refuses_a_file_of_another_size(path: Path, buckets_log2: int) -> None:
    stamped(path).close()
    with pytest.raises(StorageFailed, match="does not have the size"):
        NodeFile.open_read_only(path, buckets_log2=buckets_log2)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot be read"):
        NodeFile.open_read_only(tmp_path / "nowhere", buckets_log2=8)
    with pytest.raises(StorageFailed, match="cannot be opened"):
        NodeFile.open(tmp_path, buckets_log2=8)
    for buckets_log2 in (3, 25):
        with pytest.raises(ValueError, match=r"must be 2\^4 to 2\^24"):
            NodeFile.open(tmp_path / "nodes", buckets_log2=buckets_log2)


def test_a_full_disk_is_refused_at_opening(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from careledger.state.store import StorageFailed
from careledger.storage.node_file import NodeFile
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    NodeFile.open(Path(sys.argv[1]), buckets_log2=20)
except StorageFailed as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "nodes")],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "cannot be opened" in done.stdout


def test_nodes_in_memory_have_no_lasting_stamp() -> None:
    nodes = NodeFile.in_memory(buckets_log2=20)
    assert nodes.stamp() is None
    nodes.set_stamp(STAMP)
    assert nodes.stamp() == STAMP
    nodes.close()
