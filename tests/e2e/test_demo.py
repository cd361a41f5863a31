"""The demonstration as somebody runs it: it tells its story, ends with 0, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")


def start(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": SOURCE,
        "TMPDIR": str(temporary),
        "COLUMNS": "200",
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "careledger.demo", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


def test_the_story_is_told_once_and_nothing_is_left(tmp_path: Path) -> None:
    process = start(tmp_path, "--once", "--patients", "6")
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words[-3_000:]
    assert "What happened, what was proved, and what was not" in words
    assert "All persons and records are synthetic" in words
    assert len(re.findall(r"\bnot proved\b", words)) >= 5
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_makes_the_same_population(tmp_path: Path) -> None:
    from careledger.demo.cast import HOLDERS
    from careledger.demo.population import population

    assert tmp_path.exists()
    first = [person.patient() for person in population(7, 20, HOLDERS)]
    assert first == [person.patient() for person in population(7, 20, HOLDERS)]
    assert first != [person.patient() for person in population(8, 20, HOLDERS)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_keeps_serving_until_told_to_stop_and_takes_everything_with_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, "--patients", "2")
    assert process.stdout is not None
    words = ""
    deadline = time.monotonic() + 120
    while "careledger verify" not in words and time.monotonic() < deadline:
        line = process.stdout.readline()
        assert line or process.poll() is None, words[-3_000:]
        words += line
    urls = re.findall(r"hospital-a +(http://127\.0\.0\.1:\d+)", words)
    with urllib.request.urlopen(f"{urls[0]}/readyz", timeout=10) as answer:
        assert answer.status == 200
    family = children_of(process.pid)
    assert family
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait(30) == 0, rest
    process.stdout.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)
    assert list(tmp_path.iterdir()) == []
