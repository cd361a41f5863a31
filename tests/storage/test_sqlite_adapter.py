"""The SQLite adapter is encrypted, durable at COMMIT, and says so when it cannot be."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from careledger.state.store import StorageFailed
from careledger.storage import faults, sqlite
from careledger.storage.sqlite import Database, SchemaTooNew, StorageBusy, WrongKey

KEY = bytes(range(32))
CANARY = "canary-4711-canary"
TABLE = ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",)


def open_database(path: Path, key: bytes = KEY, *, readers: int = 2, busy_ms: int = 5_000) -> Database:
    database = Database(path / "site.db", key, readers=readers, busy_ms=busy_ms)
    database.migrate("notes", TABLE)
    return database


def notes(database: Database) -> list[str]:
    with database.snapshot() as connection:
        return [str(row[0]) for row in connection.execute("SELECT text FROM note ORDER BY id")]


def write(database: Database, text: str) -> None:
    with database.immediate() as connection:
        connection.execute("INSERT INTO note (text) VALUES (?)", (text,))


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    write(database, CANARY)
    database.close()
    reopened = open_database(tmp_path)
    assert notes(reopened) == [CANARY]
    reopened.close()


def test_no_plain_text_in_file_or_log(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    write(database, CANARY)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["site.db", "site.db-shm", "site.db-wal"]
    database.checkpoint()
    write(database, CANARY)
    for file in files:
        content = file.read_bytes()
        assert CANARY.encode() not in content
        assert b"CREATE TABLE" not in content
        assert b"SQLite format" not in content
    database.close()


@pytest.mark.parametrize("key", [bytes(32), KEY[::-1], KEY[:31] + b"\x00"])
def test_another_key_is_refused(tmp_path: Path, key: bytes) -> None:
    open_database(tmp_path).close()
    with pytest.raises(WrongKey):
        open_database(tmp_path, key)


def test_a_plain_database_is_refused(tmp_path: Path) -> None:
    plain = apsw.Connection(str(tmp_path / "site.db"))
    plain.execute("CREATE TABLE t (x)")
    plain.close()
    with pytest.raises(WrongKey):
        open_database(tmp_path)


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY + b"\x00"])
def test_a_key_of_another_length_is_refused(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Database(tmp_path / "site.db", key)


@pytest.mark.parametrize(
    ("pragma", "wanted"),
    [
        ("cipher", "chacha20"),
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("temp_store", 2),
        ("trusted_schema", 0),
        ("page_size", 4_096),
    ],
)
def test_settings_hold_on_writer_and_readers(tmp_path: Path, pragma: str, wanted: object) -> None:
    database = open_database(tmp_path)
    with database.immediate() as writer:
        assert writer.pragma(pragma) == wanted
    with database.snapshot() as reader:
        assert reader.pragma(pragma) == wanted
        assert reader.pragma("query_only") == 1
    database.close()


def test_a_setting_that_does_not_take_is_fatal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CIPHER", "no-such-cipher")
    with pytest.raises((StorageFailed, apsw.SQLError)):
        open_database(tmp_path)


def test_a_folder_that_cannot_be_synchronised_is_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageFailed):
        open_database(tmp_path)


def test_an_exception_rolls_back(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    write(database, "kept")

    def fail() -> None:
        with database.immediate() as connection:
            connection.execute("INSERT INTO note (text) VALUES ('lost')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert notes(database) == ["kept"]
    write(database, "after")
    assert notes(database) == ["kept", "after"]
    database.close()


def test_a_snapshot_does_not_move(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    write(database, "one")
    with database.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchall() == [(1,)]
        write(database, "two")
        assert connection.execute("SELECT count(*) FROM note").fetchall() == [(1,)]
    assert notes(database) == ["one", "two"]
    database.close()


def test_a_snapshot_cannot_write_and_stays_usable(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with pytest.raises(apsw.ReadOnlyError), database.snapshot() as connection:
        connection.execute("INSERT INTO note (text) VALUES ('x')")
    write(database, "fine")
    assert notes(database) == ["fine"]
    database.close()


def test_all_readers_in_use_is_busy(tmp_path: Path) -> None:
    database = open_database(tmp_path, readers=1, busy_ms=20)
    with database.snapshot(), pytest.raises(StorageBusy), database.snapshot():
        pass
    database.close()


def test_another_thread_holding_the_writer_is_busy(tmp_path: Path) -> None:
    database = open_database(tmp_path, busy_ms=20)
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            write(database, "second")
        except StorageBusy as error:
            caught.append(error)

    with database.immediate() as connection:
        connection.execute("INSERT INTO note (text) VALUES ('first')")
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert len(caught) == 1
    assert notes(database) == ["first"]
    database.close()


def test_another_process_holding_the_lock_is_busy(tmp_path: Path) -> None:
    first, second = open_database(tmp_path), open_database(tmp_path, busy_ms=20)
    with first.immediate(), pytest.raises(StorageBusy):
        write(second, "x")
    write(second, "y")
    assert notes(first) == ["y"]
    first.close()
    second.close()


def test_a_full_disk_fails_for_good_and_keeps_what_was_committed(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    write(database, "kept")

    def fill() -> None:
        with database.immediate() as connection:
            connection.execute("PRAGMA max_page_count = 20")
            for _ in range(1_000):
                connection.execute("INSERT INTO note (text) VALUES (?)", ("x" * 4_000,))

    with pytest.raises(StorageFailed, match="FullError"):
        fill()
    for attempt in (lambda: write(database, "later"), lambda: notes(database)):
        with pytest.raises(StorageFailed):
            attempt()
    database.close()
    reopened = open_database(tmp_path)
    assert notes(reopened) == ["kept"]
    reopened.close()


def test_a_damaged_page_is_detected(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    for number in range(200):
        write(database, f"{number}" * 100)
    database.close()
    file = tmp_path / "site.db"
    content = bytearray(file.read_bytes())
    content[3 * 4_096 + 100] ^= 1
    file.write_bytes(content)
    damaged = open_database(tmp_path)
    with pytest.raises(StorageFailed):
        notes(damaged)
    damaged.close()


def test_migrations_apply_once_and_in_order(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    second = (*TABLE, "ALTER TABLE note ADD COLUMN mark INTEGER; CREATE TABLE other (x)")
    assert database.migrate("notes", TABLE) == 0
    assert database.migrate("notes", second) == 1
    assert database.migrate("notes", second) == 0
    with pytest.raises(SchemaTooNew):
        database.migrate("notes", TABLE)
    with pytest.raises(apsw.SQLError):
        database.migrate("notes", (*second, "CREATE TABLE third (x); CREATE TABLE third (x)"))
    with database.snapshot() as connection:
        names = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'third'").fetchall()
    assert names == [(0,)]
    database.close()


SCRIPT = """
import sys
from pathlib import Path
from careledger.storage.sqlite import Database
database = Database(Path(sys.argv[1]) / "site.db", bytes(range(32)))
database.migrate("notes", ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",))
for text in ("one", "two", "three"):
    with database.immediate() as connection:
        connection.execute("INSERT INTO note (text) VALUES (?)", (text,))
    print(text, flush=True)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("point", "acknowledged", "present"),
    # Passage 1 is the migration's transaction, so passage 3 is the second note's.
    [(sqlite.BEFORE_COMMIT, ["one"], ["one"]), (sqlite.AFTER_COMMIT, ["one"], ["one", "two"])],
)
def test_a_kill_around_commit_loses_nothing_acknowledged(
    tmp_path: Path, point: str, acknowledged: list[str], present: list[str]
) -> None:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    environment[faults.ENVIRONMENT_VARIABLE] = f"{point}:3"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == acknowledged
    database = open_database(tmp_path)
    assert notes(database) == present
    database.close()
