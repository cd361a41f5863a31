"""Fault points kill exactly where and when they are armed, and nowhere else."""

import os
import signal
import subprocess
import sys

import pytest

from careledger.storage import faults

SCRIPT = """
from careledger.storage.faults import declare, fault_point
A = declare("test.a")
B = declare("test.b")
for step in range(3):
    fault_point(A)
    print("a", step, flush=True)
    fault_point(B)
    print("b", step, flush=True)
"""


def run(setting: str | None, script: str = SCRIPT) -> tuple[int, list[str], str]:
    environment = {name: value for name, value in os.environ.items() if name != faults.ENVIRONMENT_VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    if setting is not None:
        environment[faults.ENVIRONMENT_VARIABLE] = setting
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize(
    ("setting", "expected_code", "expected_lines"),
    [
        (None, 0, 6),
        ("", 0, 6),
        ("test.a", -signal.SIGKILL, 0),
        ("test.a:1", -signal.SIGKILL, 0),
        ("test.a:2", -signal.SIGKILL, 2),
        ("test.b:3", -signal.SIGKILL, 5),
        ("test.b:4", 0, 6),
        ("test.elsewhere", 0, 6),
    ],
)
def test_kills_at_the_armed_passage(setting: str | None, expected_code: int, expected_lines: int) -> None:
    code, lines, _ = run(setting)
    assert (code, len(lines)) == (expected_code, expected_lines)


@pytest.mark.parametrize("setting", [":2", "test.a:", "test.a:0", "test.a:-1", "test.a:x", "test.a:²"])
def test_refuses_a_malformed_setting(setting: str) -> None:
    code, _, errors = run(setting)
    assert code == 1
    assert "must be 'name' or 'name:N'" in errors


def test_an_armed_process_refuses_undeclared_points() -> None:
    code, _, errors = run(
        "test.a:9", 'from careledger.storage.faults import fault_point\nfault_point("nobody")'
    )
    assert code == 1
    assert "was not declared" in errors


def test_an_unarmed_call_does_nothing() -> None:
    faults.fault_point("anything at all")


@pytest.mark.parametrize("name", ["", "a:b", " a", "A"])
def test_refuses_malformed_names(name: str) -> None:
    with pytest.raises(ValueError, match="must be lower case"):
        faults.declare(name)


def test_a_name_is_declared_once() -> None:
    name = faults.declare("test.faults.once")
    try:
        assert name in faults.FAULT_POINTS
        with pytest.raises(ValueError, match="already declared"):
            faults.declare(name)
    finally:
        faults.FAULT_POINTS.remove(name)
