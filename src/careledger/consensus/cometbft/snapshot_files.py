"""Snapshots as files: one folder for each, whole or not there at all.

Owns the folder's layout: `<height>-<format>/manifest` and `chunk-00000` and so on. A snapshot is written beside
its place, synced, and moved there by one rename. Does not decide when one is made.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from careledger.ledger.port import Snapshot
from careledger.ledger.snapshots import FORMAT, SnapshotBuilder, SnapshotManifest, encode_manifest
from careledger.primitives.codec import decode
from careledger.primitives.hashing import sha256
from careledger.state.store import Reader
from careledger.storage.faults import declare, fault_point

KEPT = 2
"""Newest snapshots that are kept."""

_NAME = re.compile(r"([0-9]{1,19})-([0-9]{1,9})\Z", re.ASCII)

BEFORE_SNAPSHOT: str = declare("snapshot.before_rename")
AFTER_SNAPSHOT: str = declare("snapshot.after_rename")


class SnapshotShelf:
    """The snapshots of one replica."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offers(self) -> list[Snapshot]:
        """All snapshots, newest first."""
        found = []
        for _, place in self._places():
            raw = (place / "manifest").read_bytes()
            manifest = decode(raw, SnapshotManifest)
            found.append(
                Snapshot(
                    height=manifest.height,
                    format=manifest.format,
                    chunks=len(manifest.chunks),
                    hash=sha256(raw),
                    metadata=raw,
                )
            )
        return found

    def load(self, height: int, snapshot_format: int, chunk: int) -> bytes | None:
        """One part of a snapshot; None where it is no longer kept."""
        try:
            return (self._folder / f"{height}-{snapshot_format}" / _chunk_name(chunk)).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, reader: Reader) -> int:
        """Write the snapshot of what a reader shows, and remove those that are too old; returns its height.

        Raises:
            OSError: The disk refused; the snapshots that were there are still there.
        """
        builder = SnapshotBuilder(reader)
        height = builder.position.height
        place = self._folder / f"{height}-{FORMAT}"
        if place.exists():
            return height
        beside = self._folder / f"{place.name}.new"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700, parents=True)
        for number, chunk in enumerate(builder.chunks()):
            _write_synced(beside / _chunk_name(number), chunk)
        _write_synced(beside / "manifest", encode_manifest(builder.manifest()))
        _sync_folder(beside)
        fault_point(BEFORE_SNAPSHOT)
        beside.rename(place)
        _sync_folder(self._folder)
        fault_point(AFTER_SNAPSHOT)
        for _, old in self._places()[KEPT:]:
            shutil.rmtree(old)
        return height

    def _places(self) -> list[tuple[int, Path]]:
        """(height, folder) of each snapshot, newest first."""
        if not self._folder.is_dir():
            return []
        named = ((_NAME.match(entry.name), entry) for entry in self._folder.iterdir())
        return sorted(((int(match[1]), entry) for match, entry in named if match), reverse=True)


def _chunk_name(number: int) -> str:
    return f"chunk-{number:05}"


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
