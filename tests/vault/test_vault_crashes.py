"""The process is killed at every declared fault point, at every passage, and what must survive is there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from careledger.storage.faults import ENVIRONMENT_VARIABLE, FAULT_POINTS
from careledger.vault import backup, recovery  # noqa: F401 - imported for the points they declare
from careledger.vault.backup import restore_key_backup, rotate_escrow, write_key_backup
from careledger.vault.errors import BackupSuperseded
from careledger.vault.escrow import create_escrow, read_escrow
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import PassphraseParameters

CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
POINTS = [point for point in FAULT_POINTS if point.startswith("vault.")]
PASSAGES_MAX = 6

SERVER = """
import json, os, sys
from pathlib import Path
from careledger.storage import faults
from careledger.vault.backup import rotate_escrow, write_key_backup
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import PassphraseParameters
CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)

def live(folder, script, setting):
    os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    # What importing the module under the environment variable does; importing costs 100 times the scenario.
    faults._armed_name, faults._passages_left = faults._parse(setting)
    places = {"store_path": "keys.db", "backup": "keys.backup", "escrow": "epoch.key"}
    exec(script, globals() | {name: folder / file for name, file in places.items()})

for line in sys.stdin:
    folder, script, setting = json.loads(line)
    child = os.fork()
    if child == 0:
        live(Path(folder), script, setting)
        sys.stdout.flush()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

CREATE = """
with Keystore.create(store_path, "site", parameters=CHEAP) as store:
    print("created", flush=True)
"""

CHANGE = """
with Keystore.open(store_path, "site") as store:
    for number in range(2):
        with store.batch():
            store.put(f"new/{number}", b"n" * 32)
            store.destroy([f"old/{number}"])
        print(f"changed {number}", flush=True)
    store.erase_now()
    print("erased", flush=True)
"""

PASSPHRASE = """
Keystore.change_passphrase(store_path, "site", "new", parameters=CHEAP)
print("changed", flush=True)
"""

BACK_UP = """
with Keystore.open(store_path, "site") as store:
    write_key_backup(store, backup, escrow, "backup", parameters=CHEAP)
    print("written", flush=True)
"""

ERASE = """
with Keystore.open(store_path, "site") as store:
    store.destroy(["old/0"])
    store.erase_now()
    print("destroyed", flush=True)
    rotate_escrow(store, backup, escrow, "backup", parameters=CHEAP)
    print("rotated", flush=True)
"""

Checked = Callable[[Path, list[str]], None]


def fresh(folder: Path) -> None:
    """A store with two entries, a backup of it, and the first epoch's escrow."""
    with Keystore.create(folder / "keys.db", "site", parameters=CHEAP) as store:
        store.put_many({"old/0": b"0" * 32, "old/1": b"1" * 32, "kept": b"k" * 32})
        create_escrow(folder / "epoch.key")
        write_key_backup(store, folder / "keys.backup", folder / "epoch.key", "backup", parameters=CHEAP)
        store.put("since", b"s" * 32)


def contents(folder: Path, passphrase: str = "site") -> dict[str, bytes]:
    with Keystore.open(folder / "keys.db", passphrase) as store:
        return dict(store.entries())


def restored(folder: Path, backup_name: str = "keys.backup") -> dict[str, bytes]:
    target = folder / f"restored-{os.urandom(4).hex()}.db"
    with Keystore.create(target, "x", parameters=CHEAP) as store:
        restore_key_backup(folder / backup_name, folder / "epoch.key", "backup", store)
        return dict(store.entries())


def check_created(folder: Path, said: list[str]) -> None:
    if said:
        assert contents(folder) == {}
        return
    try:
        assert contents(folder) == {}
    except FileNotFoundError:
        # Nobody was given the store; making it again takes what is left away.
        Keystore.create(folder / "keys.db", "again", parameters=CHEAP).close()
        assert contents(folder, "again") == {}


def check_changed(folder: Path, said: list[str]) -> None:
    found = contents(folder)
    done = sum(line.startswith("changed") for line in said)
    states = [
        {"old/0", "old/1", "kept", "since"},
        {"new/0", "old/1", "kept", "since"},
        {"new/0", "new/1", "kept", "since"},
    ]
    assert found.keys() in states[done : done + 2]
    with Keystore.open(folder / "keys.db", "site") as store:
        store.put("after", b"a")
        store.erase_now()


def check_passphrase(folder: Path, said: list[str]) -> None:
    expected = {"old/0", "old/1", "kept", "since"}
    opened = []
    for passphrase in ("site", "new"):
        try:
            opened.append((passphrase, contents(folder, passphrase).keys() == expected))
        except Exception as error:  # noqa: BLE001 - which one does not matter, one of the two must open
            assert type(error).__name__ == "PassphraseWrong"  # noqa: PT017
    assert opened in ([("site", True)], [("new", True)])
    assert not said or opened == [("new", True)]


def check_backed_up(folder: Path, said: list[str]) -> None:
    found = restored(folder).keys()
    assert found in ({"old/0", "old/1", "kept"}, {"old/0", "old/1", "kept", "since"})
    assert not said or "since" in found
    with Keystore.open(folder / "keys.db", "site") as store:
        write_key_backup(store, folder / "keys.backup", folder / "epoch.key", "backup", parameters=CHEAP)
    assert "since" in restored(folder)


def check_erased(folder: Path, said: list[str]) -> None:
    """Some pair always restores; once the escrow has changed, no earlier backup does."""
    present = contents(folder).keys()
    assert not said or "old/0" not in present
    found = restored(folder)
    if read_escrow(folder / "epoch.key").number == 1:
        assert "rotated" not in said
        assert found.keys() == {"old/0", "old/1", "kept"}
    else:
        assert found.keys() == {"old/1", "kept", "since"}
        with pytest.raises(BackupSuperseded):
            restored(folder, "copy-of-the-first.backup")
    # The pending erasure is finished by calling again.
    with Keystore.open(folder / "keys.db", "site") as store:
        store.destroy(["old/0"])
        store.erase_now()
        rotate_escrow(store, folder / "keys.backup", folder / "epoch.key", "backup", parameters=CHEAP)
    assert restored(folder).keys() == {"old/1", "kept", "since"}
    assert not (folder / "keys.backup.next").exists()
    with pytest.raises(BackupSuperseded):
        restored(folder, "copy-of-the-first.backup")


SCENARIOS: dict[str, tuple[str, bool, Checked, set[str]]] = {
    "create": (
        CREATE,
        False,
        check_created,
        {"before_store", "before_seal", "before_rename", "after_rename"},
    ),
    "change": (CHANGE, True, check_changed, {"before_commit", "after_commit", "before_erase"}),
    "passphrase": (PASSPHRASE, True, check_passphrase, {"before_rename", "after_rename"}),
    "back up": (BACK_UP, True, check_backed_up, {"before_rename", "after_rename"}),
    "erase": (
        ERASE,
        True,
        check_erased,
        {
            *("before_commit", "after_commit", "before_erase", "before_rename", "after_rename"),
            *("before_escrow", "after_escrow", "settled"),
        },
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that lives each scenario in a child of its own and tells how the child ended."""
    environment = {name: value for name, value in os.environ.items() if name != ENVIRONMENT_VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def run(server: subprocess.Popen[str], folder: Path, script: str, setting: str) -> tuple[int, list[str]]:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps([str(folder), script, setting]) + "\n")
    server.stdin.flush()
    code = int(server.stdout.readline())
    assert code in (0, -signal.SIGKILL)
    return code, (folder / "said").read_text().splitlines()


@pytest.mark.faults
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_must_survive_a_kill_survives(
    tmp_path: Path, server: subprocess.Popen[str], scenario: str
) -> None:
    script, prepared, check, expected = SCENARIOS[scenario]
    template = tmp_path / "template"
    template.mkdir()
    if prepared:
        fresh(template)
        shutil.copy(template / "keys.backup", template / "copy-of-the-first.backup")
    killed_at: set[str] = set()
    for point in POINTS:
        if point.rpartition(".")[2] not in expected:
            continue
        for passage in range(1, PASSAGES_MAX):
            folder = tmp_path / f"{point}-{passage}"
            shutil.copytree(template, folder)
            code, said = run(server, folder, script, f"{point}:{passage}")
            check(folder, said)
            if code == 0:
                break
            killed_at.add(point.rpartition(".")[2])
        else:
            pytest.fail(f"{point} is passed more often than the test follows")
    assert killed_at == expected


ROTATION = (
    "before_rename:1",
    "after_rename:1",
    "before_escrow",
    "before_rename:2",
    "after_rename:2",
    "after_escrow",
)


@pytest.mark.faults
@pytest.mark.parametrize("first", ROTATION)
@pytest.mark.parametrize("second", ROTATION)
def test_a_rotation_killed_twice_leaves_a_pair_that_restores(
    tmp_path: Path, server: subprocess.Popen[str], first: str, second: str
) -> None:
    fresh(tmp_path)
    shutil.copy(tmp_path / "keys.backup", tmp_path / "copy-of-the-first.backup")
    said: list[str] = []
    for setting in (first, second):
        point, _, passage = setting.partition(":")
        full = next(name for name in POINTS if name.endswith(f".{point}"))
        code, said = run(server, tmp_path, ERASE, f"{full}:{passage or 1}")
        assert code == -signal.SIGKILL
        assert restored(tmp_path).keys() >= {"old/1", "kept"}
    check_erased(tmp_path, said)


def test_every_declared_point_is_in_a_scenario() -> None:
    covered = set().union(*(expected for *_, expected in SCENARIOS.values()))
    assert {point.rpartition(".")[2] for point in POINTS} == covered
    assert len({point.rpartition(".")[2] for point in POINTS}) == len(POINTS)
