"""The node file: a memory-mapped file with the hashes of the state tree and a stamp.

Owns the file's layout: 2^(n+1) hashes of 32 bytes in order of their node numbers, then one page with the
stamp. The pages belong to the file, not to the process, so the map costs no anonymous memory and every
process that opens the file sees the same. Whoever holds the writer's lock of the store beside it is its only
writer.

The file can always be rebuilt from the store, so writing it is never synced; instead the stamp says which
file it was written to (inode) and under which boot of the machine. After a killed process the kernel still
has every page, and the stamp holds. After a lost machine pages may be missing: a stamp of an earlier boot
counts only if `close` wrote it, which syncs all nodes first. A copied file never counts, since it may have
been copied half-written.

Stamp: magic (8 bytes) | n (1) | state (1: 0 none, 1 written, 2 closed) | height (8, big-endian) | root (32) |
inode (8, big-endian) | boot identifier (16).
"""

from __future__ import annotations

import mmap
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from careledger.state.buckets import HASH_BYTES, check_buckets_log2
from careledger.state.nodes import PAIR_BYTES, Stamp
from careledger.state.store import StorageFailed
from careledger.storage.faults import declare, fault_point

BEFORE_LEVEL: Final = declare("nodes.before_level")
BEFORE_STAMP: Final = declare("nodes.before_stamp")
WITHIN_STAMP: Final = declare("nodes.within_stamp")
AFTER_STAMP: Final = declare("nodes.after_stamp")

_MAGIC: Final = b"CLNODES1"
_STAMP_PAGE_BYTES: Final = 4096
_STATE_AT: Final = len(_MAGIC) + 1
_NONE: Final = 0
_WRITTEN: Final = 1
_CLOSED: Final = 2
_CLEAR_BYTES: Final = 1 << 20
_BOOT_ID_PATH: Final = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN_BOOT: Final = bytes(16)


class NodeFile:
    """The nodes of one state tree; opened with `open`, `open_read_only` or, for tests, `in_memory`."""

    def __init__(
        self, pages: mmap.mmap, *, buckets_log2: int, inode: int, boot: bytes, writable: bool
    ) -> None:
        self._pages = pages
        self._buckets_log2 = buckets_log2
        self._stamp_at = HASH_BYTES << (buckets_log2 + 1)
        self._inode = inode.to_bytes(8, "big")
        self._boot = boot
        self._writable = writable
        # What counts is decided once, on opening; afterwards only this process stamps.
        self._stamp = self._read_stamp()
        self._closed_on_disk = self._state() == _CLOSED

    @classmethod
    def open(cls, path: Path, *, buckets_log2: int) -> Self:
        """Open the file for writing, creating it where missing; all its disk space is reserved at once.

        Without the reservation a full disk would kill the process at some later write to the map.

        Raises:
            StorageFailed: It cannot be created, or the disk has no room for it.
        """
        size_bytes = (HASH_BYTES << (check_buckets_log2(buckets_log2) + 1)) + _STAMP_PAGE_BYTES
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                status = os.fstat(descriptor)
                if status.st_size != size_bytes:
                    os.ftruncate(descriptor, 0)
                os.posix_fallocate(descriptor, 0, size_bytes)
                pages = mmap.mmap(descriptor, size_bytes)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageFailed(f"the node file {path} cannot be opened: {error}") from error
        return cls(pages, buckets_log2=buckets_log2, inode=status.st_ino, boot=_boot_id(), writable=True)

    @classmethod
    def open_read_only(cls, path: Path, *, buckets_log2: int) -> Self:
        """Map an existing file for reading, beside the process that writes it.

        Raises:
            StorageFailed: There is no such file, or it has another number of buckets.
        """
        size_bytes = (HASH_BYTES << (check_buckets_log2(buckets_log2) + 1)) + _STAMP_PAGE_BYTES
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                status = os.fstat(descriptor)
                if status.st_size != size_bytes:
                    raise StorageFailed(
                        f"the node file {path} does not have the size of 2^{buckets_log2} buckets"
                    )
                pages = mmap.mmap(descriptor, size_bytes, prot=mmap.PROT_READ)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageFailed(f"the node file {path} cannot be read: {error}") from error
        return cls(pages, buckets_log2=buckets_log2, inode=status.st_ino, boot=_boot_id(), writable=False)

    @classmethod
    def in_memory(cls, *, buckets_log2: int) -> Self:
        """Return nodes without a file, for tests and simulations; untouched pages cost nothing."""
        size_bytes = (HASH_BYTES << (check_buckets_log2(buckets_log2) + 1)) + _STAMP_PAGE_BYTES
        pages = mmap.mmap(-1, size_bytes)
        return cls(pages, buckets_log2=buckets_log2, inode=0, boot=_UNKNOWN_BOOT, writable=True)

    @property
    def buckets_log2(self) -> int:
        """Binary logarithm of the number of buckets."""
        return self._buckets_log2

    @property
    def buffer(self) -> mmap.mmap:
        """Hashes of all nodes, for reading; slices of it are copies."""
        return self._pages

    def write_pairs(self, parents: Sequence[int], pairs: Sequence[bytes]) -> None:
        """Write the 64 bytes below each of these parents, which ascend."""
        fault_point(BEFORE_LEVEL)
        self._before_write()
        pages = self._pages
        if parents[-1] - parents[0] == len(parents) - 1:
            pages[parents[0] * PAIR_BYTES : (parents[-1] + 1) * PAIR_BYTES] = b"".join(pairs)
            return
        for parent, pair in zip(parents, pairs, strict=True):
            start = parent * PAIR_BYTES
            pages[start : start + PAIR_BYTES] = pair

    def write_span(self, first: int, hashes: bytes) -> None:
        """Write consecutive nodes, starting with node `first`."""
        self._before_write()
        start = first * HASH_BYTES
        self._pages[start : start + len(hashes)] = hashes

    def clear(self) -> None:
        """Set every node to zero and drop the stamp.

        The file keeps its inode and size, so that processes which have it mapped go on without a fault.
        """
        self._before_write()
        self._set_state(_NONE)
        self._stamp = None
        zeros = bytes(_CLEAR_BYTES)
        for start in range(0, self._stamp_at, _CLEAR_BYTES):
            size = min(_CLEAR_BYTES, self._stamp_at - start)
            # Pages that are zero already are only read: writing would make all of them dirty.
            if self._pages[start : start + size] != zeros[:size]:
                self._pages[start : start + size] = zeros[:size]

    def stamp(self) -> Stamp | None:
        """Return which state the nodes hold; None when that is unknown or nothing was stamped yet.

        In a process that only reads, this is what held when it opened the file.
        """
        return self._stamp

    def set_stamp(self, stamp: Stamp) -> None:
        """Say which state the nodes hold, after all of them were written."""
        fault_point(BEFORE_STAMP)
        self._before_write()
        # Killed between these lines, the process leaves no stamp rather than half of one.
        self._set_state(_NONE)
        fault_point(WITHIN_STAMP)
        head = _MAGIC + bytes((self._buckets_log2, _NONE))
        body = stamp.height.to_bytes(8, "big") + stamp.root + self._inode + self._boot
        self._pages[self._stamp_at : self._stamp_at + len(head) + len(body)] = head + body
        self._set_state(_WRITTEN)
        self._stamp = stamp
        fault_point(AFTER_STAMP)

    def close(self) -> None:
        """Sync the nodes, mark the stamp as closed and unmap the file.

        Raises:
            StorageFailed: The disk refused; the nodes will be rebuilt on the next opening.
        """
        try:
            if self._writable and self._stamp is not None and self._inode != bytes(8):
                self._pages.flush()
                self._set_state(_CLOSED)
                self._pages.flush()
        except OSError as error:
            raise StorageFailed(f"the node file could not be synced: {error}") from error
        finally:
            self._pages.close()

    def _before_write(self) -> None:
        """Take back, durably, a stamp that would count after the loss of the machine; once after opening."""
        if not self._closed_on_disk:
            return
        self._set_state(_NONE)
        try:
            page = self._stamp_at & -mmap.PAGESIZE
            self._pages.flush(page, self._stamp_at + _STAMP_PAGE_BYTES - page)
        except OSError as error:
            raise StorageFailed(f"the node file could not be synced: {error}") from error
        self._closed_on_disk = False

    def _state(self) -> int:
        return self._pages[self._stamp_at + _STATE_AT]

    def _set_state(self, state: int) -> None:
        self._pages[self._stamp_at + _STATE_AT] = state

    def _read_stamp(self) -> Stamp | None:
        at = self._stamp_at
        head, at = self._pages[at : at + _STATE_AT], at + _STATE_AT
        state, at = self._pages[at], at + 1
        height, at = self._pages[at : at + 8], at + 8
        root, at = self._pages[at : at + HASH_BYTES], at + HASH_BYTES
        inode, at = self._pages[at : at + 8], at + 8
        boot = self._pages[at : at + 16]
        if head != _MAGIC + bytes((self._buckets_log2,)) or inode != self._inode:
            return None
        if state == _CLOSED or (state == _WRITTEN and boot == self._boot != _UNKNOWN_BOOT):
            return Stamp(int.from_bytes(height, "big"), root)
        return None


def _boot_id() -> bytes:
    """Return what distinguishes this boot of the machine; zeros where the system does not tell."""
    try:
        return uuid.UUID(_BOOT_ID_PATH.read_text("ascii").strip()).bytes
    except (OSError, ValueError):
        return _UNKNOWN_BOOT
