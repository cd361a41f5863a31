"""The same contracts on every Python there is: result, fault, gas, memory and trace as stored.

The running interpreter is always compared. Others are looked for on the search path and among pyenv's versions, and
left out where there are none; hash seeds and optimisation are varied too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = HERE / "contract_interpreter_run.py"
STORED = json.loads((HERE / "contract_golden.json").read_text(encoding="utf-8"))
VERSIONS = [f"3.{minor}" for minor in range(11, 16)]


def found(version: str) -> str | None:
    """An interpreter of this version that runs, or None."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
    for candidate in candidates:
        if candidate is not None and answers(candidate, version):
            return candidate
    return None


def answers(candidate: str, version: str) -> bool:
    """A name on the search path may be a shim for a version that is not installed."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run(
            [candidate, "-c", asked], capture_output=True, text=True, timeout=20, check=False
        )
    except OSError:
        return False
    return told.returncode == 0 and told.stdout.strip() == version


def run_with(*command: str, **environment: str) -> dict[str, object]:
    """What the stored contracts give under this interpreter."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    ended = subprocess.run(
        [*command, "-W", "error", "-B", str(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **environment},
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert isinstance(said, dict)
    return said


def assert_as_stored(said: dict[str, object]) -> None:
    assert said.keys() == STORED["told"].keys()
    assert [name for name, told in said.items() if told != STORED["told"][name]] == []


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_this_interpreter_gives_what_is_stored(seed: str) -> None:
    assert_as_stored(run_with(sys.executable, PYTHONHASHSEED=seed))


def test_so_it_does_without_assertions_and_docstrings() -> None:
    assert_as_stored(run_with(sys.executable, "-OO"))


@pytest.mark.parametrize("version", VERSIONS)
def test_other_interpreters_give_the_same(version: str) -> None:
    interpreter = found(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} here")
    # Isolated from this environment's packages: the runtime needs none.
    assert_as_stored(run_with(interpreter, "-S", "-s"))


def test_the_stored_contracts_reach_much() -> None:
    kinds = {told[0] for told in STORED["told"].values()}
    assert {"refused", 0, 201, 202, 203, 204, 205, 206, 207, 212, 214, 216} <= kinds
    assert len(STORED["told"]) > 120
