"""SIGKILL at every step of logging, releasing and revoking: never a release without a log, never half a revocation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import careledger.domains.records.service.sharing
from careledger.storage.faults import FAULT_POINTS
from domains.records.exchange import exchange_crash

TESTS = Path(exchange_crash.__file__).parents[3]
assert careledger.domains.records.service.sharing.build_sharing.__name__ in dir(
    careledger.domains.records.service.sharing
)

POINTS = [
    name for name in FAULT_POINTS if name.split(".")[0] in ("agent", "audit", "exchange", "break_glass")
]
STORES = [
    f"{name}:{passage}"
    for name in (
        "sqlite.before_commit",
        "sqlite.after_commit",
        "vault.keystore.after_commit",
        "records.before_submit",
    )
    for passage in (8, 14, 20, 26, 32)
]


def run(folder: Path, what: str, *, fault: str = "", text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS.parent / "src"), str(TESTS)))}
    environment.pop("CARELEDGER_FAULT", None)
    if fault:
        environment["CARELEDGER_FAULT"] = fault
    return subprocess.run(
        [sys.executable, "-m", "domains.records.exchange.exchange_crash", str(folder), what],
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def check_after(folder: Path, fault: str, *, must_die: bool = True) -> None:
    killed = run(folder, "act", fault=fault)
    assert killed.returncode in ((-signal.SIGKILL,) if must_die else (-signal.SIGKILL, 0)), killed.stderr[
        -2_000:
    ]
    result = run(folder, "check", text=killed.stdout)
    assert (result.returncode, result.stdout.strip()) == (0, ""), (killed.stdout, result.stderr[-2_000:])


def test_every_step_is_a_fault_point() -> None:
    assert sorted(POINTS) == [
        "agent.after_epochs",
        "agent.after_opening",
        "agent.after_stop",
        "agent.after_update",
        "agent.before_opening",
        "audit.after_commit",
        "audit.after_log",
        "break_glass.before_release",
        "exchange.before_answer",
    ]


def test_the_story_is_whole_without_a_crash(tmp_path: Path) -> None:
    acted = run(tmp_path, "act")
    assert acted.returncode == 0, acted.stderr[-2_000:]
    words = [line.split()[0] for line in acted.stdout.splitlines()]
    assert words == ["patient", "granted", "released", "revoking", "revoked", "released", "released", "end"]
    result = run(tmp_path, "check", text=acted.stdout)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr[-2_000:]
    lie = run(tmp_path, "check", text=acted.stdout + "released 1\n" * 9)
    assert "without a log" in lie.stdout


def test_a_kill_between_log_and_release_leaves_the_log(tmp_path: Path) -> None:
    check_after(tmp_path, "audit.after_log")


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize(
    "fault",
    [*POINTS, "agent.before_opening:2", "agent.after_opening:2", "agent.after_update:2", "audit.after_log:3"],
)
def test_a_kill_at_every_step_leaves_all_or_nothing(tmp_path: Path, fault: str) -> None:
    check_after(tmp_path, fault)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("fault", STORES)
def test_a_kill_at_the_stores_leaves_all_or_nothing(tmp_path: Path, fault: str) -> None:
    check_after(tmp_path, fault, must_die=False)
