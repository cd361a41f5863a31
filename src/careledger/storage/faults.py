"""Fault points: named places where a test may kill the process to see what survives.

Owns the registry of names and the one call that may kill. A module that persists something declares its
points once, at import, and calls `fault_point` around each step whose loss must be survivable:

    BEFORE_COMMIT = declare("lmdb.before_commit")
    ...
    fault_point(BEFORE_COMMIT)

The environment variable ``CARELEDGER_FAULT`` arms one point for the life of the process: ``name`` kills at
the first passage, ``name:3`` at the third. It is read once, when this module is imported; unarmed,
`fault_point` costs one comparison. Death is SIGKILL, so no handler, buffer flush or ``finally`` softens it.

It does not simulate disk errors or lost power; it does not run on the replicated path, which performs no I/O.
"""

import os
import signal
from typing import Final

ENVIRONMENT_VARIABLE: Final = "CARELEDGER_FAULT"

FAULT_POINTS: Final[list[str]] = []
"""Every declared point, in order of declaration; a test enumerates it after importing what it examines."""


def _parse(setting: str) -> tuple[str | None, int]:
    """Split ``name`` or ``name:N`` into the point's name and the passage (from 1) at which it kills.

    Raises:
        ValueError: when the name is empty or N is not a positive decimal integer.
    """
    if not setting:
        return None, 0
    name, separator, passage = setting.partition(":")
    if not name or (separator and not (passage.isascii() and passage.isdecimal() and int(passage) > 0)):
        raise ValueError(f"{ENVIRONMENT_VARIABLE} must be 'name' or 'name:N' with N >= 1, not {setting!r}")
    return name, int(passage) if separator else 1


_armed_name, _passages_left = _parse(os.environ.get(ENVIRONMENT_VARIABLE, ""))


def declare(name: str) -> str:
    """Register a fault point and return its name, to be bound to a module constant.

    Args:
        name: dotted lower-case name without a colon, declared in one place of the program only.

    Raises:
        ValueError: when the name is malformed or already declared.
    """
    if not name or ":" in name or name != name.strip().lower():
        raise ValueError(f"fault point name {name!r} must be lower case, without blanks around it or a colon")
    if name in FAULT_POINTS:
        raise ValueError(f"fault point {name!r} is already declared")
    FAULT_POINTS.append(name)
    return name


def fault_point(name: str) -> None:
    """Kill this process with SIGKILL if ``name`` is the armed point and its passage has come.

    Raises:
        ValueError: when some point is armed and ``name`` was never declared, so that a test sees them all.
    """
    global _passages_left  # noqa: PLW0603 - a countdown for the life of the process is one per process
    if _armed_name is None:
        return
    if name not in FAULT_POINTS:
        raise ValueError(f"fault point {name!r} was not declared")
    if name != _armed_name:
        return
    _passages_left -= 1
    if _passages_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
