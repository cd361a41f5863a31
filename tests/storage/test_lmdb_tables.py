"""LMDB and memory tables keep the same promises; LMDB's are also durable, atomic and seen by other processes."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careledger.state.store import (
    KEY_BYTES_MAX,
    LEDGER_TABLES,
    META,
    STATE,
    SnapshotLost,
    StorageFailed,
    Tables,
    WriteBatch,
)
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.memory_tables import MemoryTables

keys = st.lists(st.sampled_from([0, 1, 0xFF]), min_size=1, max_size=4).map(bytes)
changes_strategy = st.dictionaries(keys, st.one_of(st.none(), st.binary(max_size=3)), max_size=15)


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(name="tables", params=["memory", "lmdb"])
def tables_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    tables: Tables = MemoryTables() if request.param == "memory" else LmdbTables.open(tmp_path / "store")
    yield tables
    tables.close()


@pytest.fixture(name="lmdb_tables")
def lmdb_tables_fixture(tmp_path: Path) -> Iterator[LmdbTables]:
    tables = LmdbTables.open(tmp_path / "store")
    yield tables
    tables.close()


def write(tables: Tables, changes: dict[bytes, bytes | None], table: str = STATE) -> None:
    batch = WriteBatch()
    batch.update(table, changes)
    tables.write(batch)


def everything(tables: Tables, table: str = STATE) -> dict[bytes, bytes]:
    with tables.snapshot() as reader:
        return dict(reader.scan(table, b"", None))


@given(
    blocks=st.lists(changes_strategy, min_size=1, max_size=3),
    start=st.one_of(st.just(b""), keys),
    end=st.one_of(st.none(), keys),
    reverse=st.booleans(),
    asked=st.lists(keys, max_size=5),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_are_those_of_a_sorted_dictionary(
    tables: Tables,
    blocks: list[dict[bytes, bytes | None]],
    start: bytes,
    end: bytes | None,
    reverse: bool,
    asked: list[bytes],
) -> None:
    model = everything(tables)
    for changes in blocks:
        write(tables, changes)
        for key, value in changes.items():
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
    with tables.snapshot() as reader:
        expected = [(key, model[key]) for key in sorted(model) if key >= start and (end is None or key < end)]
        if reverse:
            expected.reverse()
        assert list(reader.scan(STATE, start, end, reverse=reverse)) == expected
        assert [reader.get(STATE, key) for key in asked] == [model.get(key) for key in asked]
        assert reader.get_many(STATE, asked) == {key: model[key] for key in asked if key in model}
        assert reader.count(STATE) == len(model)
        assert reader.count(META) == 0


def test_a_snapshot_does_not_see_later_batches(tables: Tables) -> None:
    write(tables, {b"a": b"1", b"b": b"1"})
    with tables.snapshot() as before:
        scan = before.scan(STATE, b"", None)
        first = next(scan)
        write(tables, {b"a": b"2", b"b": None, b"c": b"2"})
        assert [first, *scan] == [(b"a", b"1"), (b"b", b"1")]
        assert before.get(STATE, b"b") == b"1"
        assert before.count(STATE) == 2
    assert everything(tables) == {b"a": b"2", b"c": b"2"}


def test_one_batch_over_several_tables_is_all_or_nothing(tables: Tables) -> None:
    write(tables, {b"k": b"old"})
    batch = WriteBatch()
    batch.put(STATE, b"k", b"new")
    batch.delete(STATE, b"absent")
    batch.put(META, b"m", b"1")
    batch.append("headers", b"\x01", b"h")
    assert batch
    batch.append("headers", b"\x01", b"again")
    with pytest.raises(ValueError, match="behind every key"):
        tables.write(batch)
    assert everything(tables) == {b"k": b"old"}
    assert everything(tables, META) == everything(tables, "headers") == {}
    batch.appends["headers"].pop()
    tables.write(batch)
    assert everything(tables) == {b"k": b"new"}
    assert everything(tables, META) == {b"m": b"1"}
    assert everything(tables, "headers") == {b"\x01": b"h"}


def bad_batch(table: str, key: bytes, *, append: bool) -> WriteBatch:
    batch = WriteBatch()
    batch.put(META, b"good", b"1")
    if append:
        batch.append(table, key, b"1")
    else:
        batch.put(table, key, b"1")
    return batch


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    ("table", "key", "text"),
    [
        ("unknown", b"k", "no table 'unknown'"),
        (STATE, b"", f"1 to {KEY_BYTES_MAX} bytes"),
        (STATE, bytes(KEY_BYTES_MAX + 1), f"1 to {KEY_BYTES_MAX} bytes"),
    ],
)
def test_bad_batches_write_nothing(
    tables: Tables, table: str, key: bytes, text: str, *, append: bool
) -> None:
    with pytest.raises(ValueError, match=text):
        tables.write(bad_batch(table, key, append=append))
    assert everything(tables, META) == {}
    write(tables, {bytes(KEY_BYTES_MAX): b"longest"})
    assert everything(tables) == {bytes(KEY_BYTES_MAX): b"longest"}


def test_keys_no_table_can_hold_are_absent(tables: Tables) -> None:
    with tables.snapshot() as reader:
        assert reader.get(STATE, b"") is None
        assert reader.get(STATE, bytes(2000)) is None


def test_a_closed_store_fails(tables: Tables) -> None:
    tables.close()
    with pytest.raises(StorageFailed), tables.snapshot():
        pass
    with pytest.raises(StorageFailed):
        write(tables, {b"k": b"v"})


def test_an_empty_batch_is_false_and_harmless(tables: Tables) -> None:
    batch = WriteBatch()
    assert not batch
    batch.update(STATE, {})
    assert not batch
    tables.write(batch)


def test_large_values_and_reopening(tmp_path: Path) -> None:
    tables = LmdbTables.open(tmp_path / "store")
    write(tables, {b"big": b"x" * 3_000_000, b"empty": b""})
    tables.close()
    again = LmdbTables.open(tmp_path / "store")
    assert everything(again) == {b"big": b"x" * 3_000_000, b"empty": b""}
    again.close()


def test_the_map_grows_and_the_batch_is_applied_again(tmp_path: Path) -> None:
    tables = LmdbTables.open(tmp_path / "store", map_bytes=1 << 17)
    expected = {}
    for number in range(6):
        changes: dict[bytes, bytes | None] = {b"%d %d" % (number, place): bytes(200) for place in range(900)}
        write(tables, changes)
        expected.update(changes)
    assert everything(tables) == expected
    tables.close()


def test_growing_the_map_costs_open_snapshots_and_nothing_else(tmp_path: Path) -> None:
    tables = LmdbTables.open(tmp_path / "store", map_bytes=1 << 17)
    write(tables, {b"%d" % place: b"v" for place in range(10)})
    with tables.snapshot() as reader:
        scan = reader.scan(STATE, b"", None)
        next(scan)
        write(tables, {b"large": bytes(1 << 20)})
        attempts: list[Callable[[], object]] = [
            lambda: reader.get(STATE, b"1"),
            lambda: reader.get_many(STATE, [b"1"]),
            lambda: reader.count(STATE),
            lambda: list(reader.scan(STATE, b"", None)),
            lambda: list(scan),
        ]
        for attempt in attempts:
            with pytest.raises(SnapshotLost):
                attempt()
    assert len(everything(tables)) == 11
    tables.close()


def test_only_one_process_writes(lmdb_tables: LmdbTables, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from careledger.state.store import StorageFailed
from careledger.storage.lmdb_tables import LmdbTables
try:
    LmdbTables.open(Path(sys.argv[1]))
except StorageFailed as error:
    print(error)
"""
    assert "another process has it open for writing" in run(script, tmp_path / "store").stdout
    lmdb_tables.close()
    assert run(script, tmp_path / "store").stdout == ""


def test_other_processes_read_what_is_written_meanwhile(tmp_path: Path) -> None:
    tables = LmdbTables.open(tmp_path / "store", map_bytes=1 << 17)
    write(tables, {b"a": b"1"})
    script = """
import sys
from pathlib import Path
from careledger.state.store import StorageFailed, WriteBatch
from careledger.storage.lmdb_tables import LmdbTables
tables = LmdbTables.open_read_only(Path(sys.argv[1]), map_bytes=1 << 17)
for line in sys.stdin:
    with tables.snapshot() as reader:
        print([(key, len(value)) for key, value in reader.scan("state", b"", None)], flush=True)
try:
    batch = WriteBatch()
    batch.put("state", b"k", b"v")
    tables.write(batch)
except StorageFailed as error:
    print(error, flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "store")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def answer() -> str:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write("\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert answer() == "[(b'a', 1)]"
        write(tables, {b"b": b"22"})
        assert answer() == "[(b'a', 1), (b'b', 2)]"
        # Larger than the reader's map: it adopts the writer's.
        write(tables, {b"c": bytes(1 << 20)})
        assert answer() == "[(b'a', 1), (b'b', 2), (b'c', 1048576)]"
        reader.stdin.close()
        assert "open for reading only" in reader.stdout.read()
    tables.close()


def test_slots_of_killed_readers_are_taken_back(lmdb_tables: LmdbTables, tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from careledger.storage.lmdb_tables import LmdbTables
tables = LmdbTables.open_read_only(Path(sys.argv[1]))
with tables.snapshot() as reader:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(script, tmp_path / "store").returncode == -signal.SIGKILL
    readers = lmdb_tables._environment.readers
    assert len(readers().splitlines()) >= 2
    for number in range(64):
        write(lmdb_tables, {b"k": b"%d" % number})
    assert "no active readers" in readers().lower() or len(readers().splitlines()) <= 2


def test_reading_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="cannot be read"):
        LmdbTables.open_read_only(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_reading_a_store_without_the_table(tmp_path: Path) -> None:
    LmdbTables.open(tmp_path / "store", tables=["state"]).close()
    with pytest.raises(StorageFailed, match="cannot be read"):
        LmdbTables.open_read_only(tmp_path / "store", tables=LEDGER_TABLES)


def test_opening_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StorageFailed, match="cannot be opened"):
        LmdbTables.open(tmp_path / "store")


def test_opening_garbage(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data.mdb").write_bytes(bytes(100_000))
    for _ in range(2):  # the second time shows that the first gave the writer's lock back
        with pytest.raises(StorageFailed, match="cannot be opened"):
            LmdbTables.open(tmp_path / "store")


def test_a_copy_holds_everything(lmdb_tables: LmdbTables, tmp_path: Path) -> None:
    write(lmdb_tables, {b"a": b"1"})
    with lmdb_tables.snapshot():
        lmdb_tables.copy_to(tmp_path / "copy")
    write(lmdb_tables, {b"a": b"2"})
    copied = LmdbTables.open(tmp_path / "copy")
    assert everything(copied) == {b"a": b"1"}
    copied.close()
    with pytest.raises(StorageFailed, match="could not be copied"):
        lmdb_tables.copy_to(tmp_path / "copy")


@contextlib.contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_refusing_disk_is_fatal_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    tables = LmdbTables.open(tmp_path / "store")
    write(tables, {b"a": b"1"})
    # Python ignores SIGXFSZ, so a write beyond the limit fails like one to a full disk.
    with file_size_limit(1 << 20), pytest.raises(StorageFailed, match="not made durable"):
        write(tables, {b"b": bytes(4 << 20)})
    with pytest.raises(StorageFailed, match="since an earlier failure"):
        write(tables, {b"c": b"1"})
    tables.close()
    again = LmdbTables.open(tmp_path / "store")
    assert everything(again) == {b"a": b"1"}
    write(again, {b"b": bytes(4 << 20)})
    again.close()
