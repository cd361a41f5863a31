"""Threat row 15: the same messages leave the same state in interpreters that differ."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from domains.identity import chain_scenario

HERE = chain_scenario.run()


def test_the_story_is_worth_replaying() -> None:
    assert chain_scenario.run() == HERE


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ([], {"PYTHONHASHSEED": "0"}),
        (["-O"], {"PYTHONHASHSEED": "1"}),
        (["-OO"], {"PYTHONHASHSEED": "4294967295", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"}),
    ],
)
def test_the_state_is_the_same(arguments: list[str], environment: dict[str, str]) -> None:
    paths = os.pathsep.join(sys.path)
    ended = subprocess.run(
        [sys.executable, *arguments, chain_scenario.__file__],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.strip() == HERE
