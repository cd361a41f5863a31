"""Exit codes of the command line; scripts may rely on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    """It did what was asked, and whatever was checked is sound."""
    FAILED = 1
    """What was checked does not hold, or what was asked for was refused."""
    UNUSABLE = 2
    """Arguments, files or configuration cannot be used; nothing was done."""
    UNAVAILABLE = 3
    """A process or site cannot be reached, or is busy; trying again may help."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""


MEANINGS = {
    Exit.OK: "It did what was asked, and whatever was checked is sound.",
    Exit.FAILED: "What was checked does not hold, or what was asked for was refused.",
    Exit.UNUSABLE: "Arguments, files or configuration cannot be used; nothing was done.",
    Exit.UNAVAILABLE: "A process or site cannot be reached, or is busy; trying again may help.",
    Exit.INTERRUPTED: "Ended by Ctrl-C.",
}
"""What the reference says of them."""
