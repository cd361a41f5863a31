"""Unix sockets in deep folders: the kernel takes 107 bytes of path, folders may be longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PATH_BYTES_MAX: Final = 107
"""`sun_path` without its terminating zero, as Linux has it."""


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a path of bearable length to the same socket, valid inside the block.

    A path that is too long goes through a descriptor of its folder (`/proc/self/fd`).

    Raises:
        FileNotFoundError: The folder is not there.
    """
    text = str(path)
    if len(os.fsencode(text)) <= PATH_BYTES_MAX:
        yield text
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
