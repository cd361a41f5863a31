"""SIGKILL at every persistence step of ledger, site database, index and outbox; then everything must agree."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import careledger.domains.records.service.writer
import kit.sites
from careledger.storage.faults import FAULT_POINTS

TESTS = Path(kit.sites.__file__).parents[1]
assert careledger.domains.records.service.writer.BEFORE_GROUP in FAULT_POINTS

POINTS = [name for name in FAULT_POINTS if name.split(".")[0] in ("sqlite", "records", "lmdb", "nodes")]
PASSAGES = (2, 9)


def run(folder: Path, what: str, *, fault: str = "", text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS.parent / "src"), str(TESTS)))}
    environment.pop("CARELEDGER_FAULT", None)
    if fault:
        environment["CARELEDGER_FAULT"] = fault
    return subprocess.run(
        [sys.executable, "-m", "kit.crash_site", str(folder), what],
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def check_after(folder: Path, fault: str) -> None:
    killed = run(folder, "write", fault=fault)
    # A point that is passed less often than asked for lets the run end by itself, and says nothing.
    assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr[-2_000:]
    result = run(folder, "check", text=killed.stdout)
    assert result.returncode == 0, result.stderr[-2_000:]
    assert result.stdout.strip() == ""


def test_the_story_is_whole_without_a_crash(tmp_path: Path) -> None:
    written = run(tmp_path, "write")
    assert written.returncode == 0, written.stderr[-2_000:]
    assert len(written.stdout.splitlines()) == 39
    result = run(tmp_path, "check", text=written.stdout)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr[-2_000:]


@pytest.mark.parametrize(
    "point", ["sqlite.after_commit:9", "records.after_receipt:2", "lmdb.before_commit:9"]
)
def test_a_kill_at_a_few_points_loses_nothing(tmp_path: Path, point: str) -> None:
    check_after(tmp_path, point)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("passage", PASSAGES)
def test_a_kill_at_every_point_loses_nothing(tmp_path: Path, point: str, passage: int) -> None:
    check_after(tmp_path, f"{point}:{passage}")


def test_the_check_sees_what_is_missing(tmp_path: Path) -> None:
    run(tmp_path, "write")
    result = run(tmp_path, "check", text="Observation 00000000-0000-0000-0000-000000000000 1\n")
    assert "RESOURCE_UNKNOWN" in result.stdout
