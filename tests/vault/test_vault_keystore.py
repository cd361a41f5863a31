"""The key store keeps what was committed, gives up what was destroyed, and shows nothing from outside."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careledger.vault import keystore_file
from careledger.vault.derivation import derive
from careledger.vault.errors import KeyNotHeld, KeystoreBroken, KeystoreBusy, PassphraseWrong
from careledger.vault.keystore import SECRET_BYTES_MAX, Keystore, _read_seal, seal_path_of
from careledger.vault.passphrase import PassphraseParameters

CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
PASSPHRASE = "an operator's passphrase"
NAME_CANARY = "wallet/canary-patient-name"
SECRET_CANARY = b"canary-secret-of-thirty-two-byte"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
def store(path: Path) -> Iterator[Keystore]:
    with Keystore.create(path, PASSPHRASE, parameters=CHEAP) as made:
        yield made


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def test_what_is_put_is_got_and_survives_reopening(store: Keystore, path: Path) -> None:
    store.put("site/signing", b"s" * 32)
    store.put_many({f"compartment/{number}": bytes([number]) * 32 for number in range(20)})
    store.put("site/signing", b"t" * 32)
    store.close()
    with Keystore.open(path, PASSPHRASE) as again:
        assert again.get("site/signing") == b"t" * 32
        assert again.get("compartment/7") == bytes([7]) * 32
        assert again.has("compartment/19")
        assert not again.has("compartment/20")
        with pytest.raises(KeyNotHeld):
            again.get("compartment/20")


def test_names_are_in_order_and_by_prefix(store: Keystore) -> None:
    names = ["a", "a/1", "a/2", "a/z-Z_9", "a0", "b/1"]
    store.put_many(dict.fromkeys(reversed(names), b"x"))
    assert store.names() == sorted(names)
    assert store.names("a/") == ["a/1", "a/2", "a/z-Z_9"]
    assert store.names("a") == ["a", "a/1", "a/2", "a/z-Z_9", "a0"]
    assert store.names("c") == []
    assert list(store.entries()) == [(name, b"x") for name in sorted(names)]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9][A-Za-z0-9._:/-]{0,20}", fullmatch=True), st.binary(min_size=1, max_size=200)
    ),
    st.data(),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_behaves_like_a_dictionary(
    store: Keystore, entries: dict[str, bytes], data: st.DataObject
) -> None:
    store.destroy(store.names())
    store.put_many(entries)
    gone = data.draw(st.sets(st.sampled_from(sorted(entries) or ["none"])))
    assert store.destroy(gone) == len(gone & entries.keys())
    model = {name: secret for name, secret in entries.items() if name not in gone}
    assert dict(store.entries()) == model
    prefix = data.draw(st.sampled_from(["", "a", "0", *entries]))
    assert store.names(prefix) == sorted(name for name in model if name.startswith(prefix))


@pytest.mark.parametrize("name", ["", "/a", ".a", "A", "a b", "a\n", "é", "a~", "x" * 201, "a\x00"])
def test_names_out_of_bounds_are_refused(store: Keystore, name: str) -> None:
    for call in (
        lambda: store.put(name, b"x"),
        lambda: store.get(name),
        lambda: store.has(name),
        lambda: store.destroy([name]),
    ):
        with pytest.raises(ValueError, match="name of an entry"):
            call()


@pytest.mark.parametrize("size", [0, SECRET_BYTES_MAX + 1])
def test_secrets_out_of_bounds_are_refused_and_nothing_of_their_batch_is_kept(
    store: Keystore, size: int
) -> None:
    with pytest.raises(ValueError, match="a secret is"):
        store.put_many({"a": b"x", "b": bytes(size)})
    assert store.names() == []


def test_a_batch_is_all_or_nothing(store: Keystore, path: Path) -> None:
    def failing() -> None:
        with store.batch():
            store.put("new", b"2")
            store.destroy(["old"])
            assert store.get("new") == b"2"
            raise RuntimeError

    store.put("old", b"1")
    with pytest.raises(RuntimeError):
        failing()
    assert dict(store.entries()) == {"old": b"1"}
    with store.batch() as batch:
        batch.put("new", b"2")
        batch.destroy(["old"])
        with Keystore.open(path, PASSPHRASE) as other:
            assert dict(other.entries()) == {"old": b"1"}
    assert dict(store.entries()) == {"new": b"2"}


def test_batches_do_not_nest_and_are_not_erased_inside(store: Keystore) -> None:
    with store.batch():
        with pytest.raises(ValueError, match="does not nest"), store.batch():
            pass
        for call in (store.erase_now, store.compact):
            with pytest.raises(ValueError, match="before the batch"):
                call()
        store.put("a", b"1")
    assert store.get("a") == b"1"


def test_settings_are_what_durability_needs(store: Keystore) -> None:
    connection = store._connection
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("secure_delete") == 1
    assert connection.pragma("cipher") == "chacha20"


def test_a_setting_sqlite_does_not_take_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(apsw.Connection):
        def pragma(self, name: str, value: object = None, **options: object) -> object:
            return "delete" if name == "journal_mode" else super().pragma(name, value, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("careledger.vault.keystore_file.apsw.Connection", Stubborn)
    with pytest.raises(KeystoreBroken, match="journal_mode"):
        Keystore.create(path, PASSPHRASE, parameters=CHEAP)


def test_files_are_the_owners_alone(store: Keystore, path: Path) -> None:
    store.put("a", b"1")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


def test_nothing_shows_in_the_files(store: Keystore, path: Path) -> None:
    store.put(NAME_CANARY, SECRET_CANARY)
    store.put_many({f"wallet/canary-{number}": SECRET_CANARY for number in range(200)})
    before_checkpoint = files_of(path)
    wal = path.with_name("keys.db-wal").read_bytes()
    assert len(wal) > 4096
    store.erase_now()
    data_key = _read_seal(path, PASSPHRASE).reveal()
    for content in (before_checkpoint, files_of(path)):
        for trace in (b"canary", b"wallet/", SECRET_CANARY[:8], b"CREATE TABLE", b"SQLite format", data_key):
            assert trace not in content


def test_the_store_without_the_passphrase_and_the_seal_without_the_store_are_useless(
    store: Keystore, path: Path, tmp_path: Path
) -> None:
    store.put("a", SECRET_CANARY)
    store.close()
    with pytest.raises(PassphraseWrong):
        Keystore.open(path, "another passphrase")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("SELECT * FROM entry")
    elsewhere = tmp_path / "elsewhere" / "keys.db"
    elsewhere.parent.mkdir()
    Keystore.create(elsewhere, PASSPHRASE, parameters=CHEAP).close()
    seal_path_of(path).write_bytes(seal_path_of(elsewhere).read_bytes())
    with pytest.raises(KeystoreBroken, match="does not open"):
        Keystore.open(path, PASSPHRASE)


def test_entries_cannot_be_swapped_or_changed_even_with_the_page_key(store: Keystore) -> None:
    store.put_many({"a": b"1" * 32, "b": b"2" * 32})
    rows = sealed_rows(store)
    store._connection.execute("BEGIN")  # so that hundreds of changes do not each wait for the disk

    def overwrite(name: str, sealed: bytes) -> None:
        store._connection.execute(
            "UPDATE slot SET sealed = ? WHERE id = (SELECT slot FROM entry WHERE name = ?)", (sealed, name)
        )

    overwrite("a", rows["b"])
    with pytest.raises(KeystoreBroken, match="under its name"):
        store.get("a")
    with pytest.raises(KeystoreBroken, match="under its name"):
        list(store.entries())
    for bit in range(len(rows["b"]) * 8):
        wrong = bytearray(rows["b"])
        wrong[bit // 8] ^= 1 << bit % 8
        overwrite("b", bytes(wrong))
        with pytest.raises(KeystoreBroken):
            store.get("b")
    for size in (0, 1, 30):
        overwrite("b", rows["b"][:size])
        with pytest.raises(KeystoreBroken, match="known version"):
            store.get("b")


def test_flipped_bits_of_the_file_are_noticed(store: Keystore, path: Path) -> None:
    entries = {f"entry/{number:03d}": bytes([number]) * 32 for number in range(100)}
    store.put_many(entries)
    store.erase_now()
    store.close()
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 997):
        wrong = bytearray(whole)
        wrong[place] ^= 1 << place % 8
        path.write_bytes(wrong)
        try:
            with Keystore.open(path, PASSPHRASE) as damaged:
                assert dict(damaged.entries()) == entries  # a page that holds nothing of it
        except KeystoreBroken:
            noticed += 1
    assert noticed > len(whole) // 997 // 2
    path.write_bytes(whole)
    with Keystore.open(path, PASSPHRASE) as again:
        assert dict(again.entries()) == entries


def sealed_rows(store: Keystore) -> dict[str, bytes]:
    return dict(store._connection.execute("SELECT name, sealed FROM entry JOIN slot ON slot.id = entry.slot"))


@pytest.fixture
def plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out page encryption, so that the file's bytes can be searched, unused gaps of pages included."""
    require = keystore_file._require

    def without_encryption(
        connection: apsw.Connection, pragma: str, value: str | int | None, *, expected: str | int
    ) -> None:
        if pragma not in ("cipher", "key"):
            require(connection, pragma, value, expected=expected)

    monkeypatch.setattr(keystore_file, "_require", without_encryption)


def destroyed_by_a_random_workload(store: Keystore, seed: int) -> dict[str, bytes]:
    """Put, replace and destroy in random order, and give the sealed bytes of all that is gone."""
    order = random.Random(seed)
    gone: dict[str, bytes] = {}
    for _ in range(30):
        entries = {
            f"p{order.randrange(10**6):06d}/normal": os.urandom(order.choice([32, 32, 32, 100, 900, 5000]))
            for _ in range(order.randrange(1, 60))
        }
        replaced = order.sample(store.names(), min(3, len(store.names())))
        present = sealed_rows(store)
        store.put_many(entries | dict.fromkeys(replaced, os.urandom(order.choice([32, 100]))))
        gone |= {f"{name} before": present[name] for name in replaced}
        present = sealed_rows(store)
        chosen = order.sample(sorted(present), min(len(present), order.randrange(50)))
        assert store.destroy(chosen) == len(chosen)
        gone |= {name: present[name] for name in chosen}
    return gone


@pytest.mark.usefixtures("plain_pages")
@pytest.mark.parametrize("seed", range(6))
def test_destroyed_keys_are_gone_from_every_byte_of_the_file(path: Path, seed: int) -> None:
    with Keystore.create(path, PASSPHRASE, parameters=CHEAP) as store:
        gone = destroyed_by_a_random_workload(store, seed)
        store.erase_now()
        content = files_of(path)
        assert content.count(b"SQLite format 3\x00") == 1
        assert path.with_name("keys.db-wal").stat().st_size == 0
        assert len(gone) > 400
        assert [name for name, sealed in gone.items() if sealed[13:37] in content] == []
        assert all(sealed[13:37] in content for sealed in sealed_rows(store).values())


@pytest.mark.usefixtures("plain_pages")
def test_the_search_finds_what_is_not_overwritten(path: Path) -> None:
    """The control of the test above: without `secure_delete`, and before `erase_now`, it is found."""
    with Keystore.create(path, PASSPHRASE, parameters=CHEAP) as store:
        store._connection.pragma("secure_delete", 0)
        gone = destroyed_by_a_random_workload(store, 0)
        content = files_of(path)
        assert sum(sealed[13:37] in content for sealed in gone.values()) > 100
        store.erase_now()
        content = files_of(path)
        assert sum(sealed[13:37] in content for sealed in gone.values()) > 5


@pytest.mark.usefixtures("plain_pages")
def test_names_of_destroyed_entries_are_gone_after_compacting(path: Path) -> None:
    with Keystore.create(path, PASSPHRASE, parameters=CHEAP) as store:
        gone = [name for name in destroyed_by_a_random_workload(store, 1) if not name.endswith("before")]
        kept = dict(store.entries())
        store.compact()
        content = files_of(path)
        assert [name for name in gone if name not in kept and name.encode() in content] == []
        assert dict(store.entries()) == kept


def test_vacant_slots_are_used_again(store: Keystore, path: Path) -> None:
    store.put_many({f"entry/{number:04d}": SECRET_CANARY for number in range(500)})
    store.erase_now()
    size = path.stat().st_size
    for _ in range(5):
        assert store.destroy(store.names()) == 500
        store.put_many({f"entry/{number:04d}": SECRET_CANARY for number in range(500)})
    store.erase_now()
    assert path.stat().st_size <= size + 8 * 4096
    assert dict(store.entries()) == {f"entry/{number:04d}": SECRET_CANARY for number in range(500)}


@pytest.mark.parametrize("size", [1, 32, 33, 34, 97, 993, 994, 995, 2017, 65_535, SECRET_BYTES_MAX])
def test_secrets_of_every_size_come_back_and_do_not_show_their_exact_length(
    store: Keystore, size: int
) -> None:
    store.put("a", b"\x00" * size)
    assert store.get("a") == b"\x00" * size
    store.put("a", b"x" * size + b"y" if size < SECRET_BYTES_MAX else b"x")
    assert store.get("a") == (b"x" * size + b"y" if size < SECRET_BYTES_MAX else b"x")
    assert all(len(sealed) % 64 == 0 for sealed in sealed_rows(store).values())


def test_erasing_waits_for_readers_and_says_so(
    store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careledger.vault.keystore_file.BUSY_TIMEOUT_MS", 50)
    store.put_many({"a": b"1", "b": b"2"})
    store.close()
    with Keystore.open(path, PASSPHRASE) as writer, Keystore.open(path, PASSPHRASE) as reader:
        reading = reader.entries()
        assert next(reading) == ("a", b"1")
        writer.destroy(["a"])
        with pytest.raises(KeystoreBusy, match="reader"):
            writer.erase_now()
        assert list(reading) == [("b", b"2")]
        writer.erase_now()
        assert writer.names() == ["b"]


def test_a_second_writer_waits_and_is_told(
    store: Keystore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("careledger.vault.keystore_file.BUSY_TIMEOUT_MS", 50)
    with Keystore.open(path, PASSPHRASE) as second:
        with store.batch():
            store.put("a", b"1")
            with pytest.raises(KeystoreBusy):
                second.put("b", b"2")
        second.put("b", b"2")
    assert store.names() == ["a", "b"]


def test_a_failed_commit_closes_the_store_for_good(store: Keystore) -> None:
    store.put("a", b"1")
    store._connection.pragma("query_only", 1)  # the next write fails inside SQLite
    with pytest.raises(KeystoreBroken, match="failed"):
        store.put("b", b"2")
    for call in (
        lambda: store.get("a"),
        store.names,
        lambda: store.put("c", b"3"),
        store.erase_now,
    ):
        with pytest.raises(KeystoreBroken, match="opened anew"):
            call()


def test_changing_the_passphrase_closes_the_old_one(store: Keystore, path: Path) -> None:
    store.put("a", b"1")
    with pytest.raises(PassphraseWrong):
        Keystore.change_passphrase(path, "wrong", "new", parameters=CHEAP)
    Keystore.change_passphrase(path, PASSPHRASE, "new", parameters=CHEAP)
    with pytest.raises(PassphraseWrong):
        Keystore.open(path, PASSPHRASE)
    with Keystore.open(path, "new") as again:
        assert again.get("a") == b"1"
    assert store.get("a") == b"1"


def test_a_store_is_not_made_over_another_or_over_a_part_of_one(store: Keystore, path: Path) -> None:
    store.put("a", b"1")
    store.close()
    seal = seal_path_of(path).read_bytes()
    with pytest.raises(FileExistsError):
        Keystore.create(path, PASSPHRASE, parameters=CHEAP)
    seal_path_of(path).unlink()
    with pytest.raises(FileNotFoundError):
        Keystore.open(path, PASSPHRASE)
    with pytest.raises(FileExistsError):
        Keystore.create(path, PASSPHRASE, parameters=CHEAP)
    seal_path_of(path).write_bytes(seal)
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(KeystoreBroken, match="lost"):
        Keystore.open(path, PASSPHRASE)
    with pytest.raises(FileExistsError):
        Keystore.create(path, PASSPHRASE, parameters=CHEAP)
    path.write_bytes(whole)
    with Keystore.open(path, PASSPHRASE) as again:
        assert again.get("a") == b"1"


def test_a_file_of_another_program_is_refused(path: Path) -> None:
    Keystore.create(path, PASSPHRASE, parameters=CHEAP).close()
    page_key = derive(_read_seal(path, PASSPHRASE).reveal(), "keystore-pages")
    connection = apsw.Connection(str(path))
    connection.pragma("cipher", "chacha20")
    connection.pragma("key", f"raw:{page_key.hex()}")
    connection.pragma("user_version", 2)
    connection.close()
    with pytest.raises(KeystoreBroken, match="known version"):
        Keystore.open(path, PASSPHRASE)


def test_errors_do_not_show_names(store: Keystore) -> None:
    store.put(NAME_CANARY, SECRET_CANARY)
    store._connection.execute("UPDATE slot SET sealed = x'01'")
    for name in (NAME_CANARY, NAME_CANARY + "2", NAME_CANARY + "~"):
        with pytest.raises((KeystoreBroken, KeyNotHeld, ValueError)) as caught:
            store.get(name)
        assert "canary" not in str(caught.value)


def test_many_entries_are_put_fast(store: Keystore) -> None:
    """Budget 15 ms for 1,000 entries; four times that here, since other work shares the machine."""
    best_ms = 1e9
    for round_number in range(5):
        entries = {f"compartment/{round_number}/{number:06d}": SECRET_CANARY for number in range(1000)}
        started = time.perf_counter()
        store.put_many(entries)
        best_ms = min(best_ms, (time.perf_counter() - started) * 1000)
    assert best_ms < 60


WRITER = """
import sys
from pathlib import Path
from careledger.vault.keystore import Keystore
with Keystore.open(Path(sys.argv[1]), sys.argv[2]) as store:
    for number in range(int(sys.argv[3]), int(sys.argv[4])):
        store.put(f"entry/{number:04d}", number.to_bytes(4, "big"))
"""


def test_several_processes_share_a_store(store: Keystore, path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), PASSPHRASE, str(start), str(start + 50)],
            env=environment,
        )
        for start in (0, 50)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert dict(store.entries()) == {
        f"entry/{number:04d}": number.to_bytes(4, "big") for number in range(100)
    }
