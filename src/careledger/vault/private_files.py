"""Small files that hold secrets: written whole and durably, readable by their owner only.

Owns the order of write, fsync, rename and fsync of the folder. Does not seal: callers hand in sealed bytes,
or an escrow key whose file has nothing to protect it but its place.

A file is replaced by renaming a finished, synchronised one over it, so that a crash leaves the old or the new
bytes and never a mixture. Any failing fsync is raised: what it says about the disk is not recoverable here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from careledger.storage.faults import declare, fault_point

OWNER_ONLY: Final = 0o600

_BEFORE_RENAME = declare("vault.private_files.before_rename")
_AFTER_RENAME = declare("vault.private_files.after_rename")
_PARTIAL_SUFFIX = ".partial"
_CHUNK_BYTES = 1 << 16


def replace_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file durably, in place of what is there. Two writers of one path must not meet.

    Raises:
        OSError: It could not be written or made durable; what was there is untouched unless the folder's own
            fsync failed.
    """
    partial = path.with_name(path.name + _PARTIAL_SUFFIX)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        fault_point(_BEFORE_RENAME)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
    fault_point(_AFTER_RENAME)
    sync_folder(path.parent)


def replace_and_overwrite(path: Path, content: bytes) -> None:
    """Replace a file durably, then overwrite the bytes it had where they lay, as far as the disk allows.

    The old bytes are overwritten only after the new file is durable. A crash in between leaves the old bytes
    in blocks no file names any more; so do copying file systems and wear-levelling disks.

    Raises:
        OSError: As `replace_file`.
    """
    try:
        old = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        replace_file(path, [content])
        return
    try:
        replace_file(path, [content])
        size = os.fstat(old).st_size
        for offset in range(0, size, _CHUNK_BYTES):
            os.pwrite(old, bytes(min(_CHUNK_BYTES, size - offset)), offset)
        os.fsync(old)
    finally:
        os.close(old)


def read_file(path: Path, *, size_bytes_max: int) -> bytes:
    """Read a file of at most that size.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger.
    """
    with path.open("rb") as file:
        content = file.read(size_bytes_max + 1)
    if len(content) > size_bytes_max:
        raise ValueError(f"{path.name} is larger than {size_bytes_max} bytes")
    return content


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: The folder cannot be synchronised.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
