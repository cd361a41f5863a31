"""What a witness remembers: the last checkpoint it agreed to, durably, and evidence against a sequencer.

One text file per ledger:

    careledger-witness/1
    NAME
    CHAIN ID
    (empty line)
    the signed note last agreed to, whole; nothing before the first

It is replaced by renaming a synchronised file over it, before anything is signed. A file that is lost or cannot
be read stops the witness: starting over in silence would let it agree to a second history. Only one process
holds a state at a time.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from careledger.ledger.checkpoint import NOTE_BYTES_MAX, CheckpointInvalid, SignedCheckpoint, parse_note
from careledger.ledger.split_view import SplitView, write_split_view
from careledger.primitives.hashing import sha256
from careledger.storage.faults import declare, fault_point
from careledger.vault.private_files import read_file, replace_file

FORMAT: Final = "careledger-witness/1"
STATE_BYTES_MAX: Final = NOTE_BYTES_MAX + 4096

BEFORE_PERSIST: Final = declare("witness.before_persist")
AFTER_PERSIST: Final = declare("witness.after_persist")


class WitnessStateBroken(Exception):  # noqa: N818 - what the operator is told
    """The state is missing, damaged, held by another process, or of another witness."""


class WitnessState:
    """The state file of one witness of one ledger, held by this process until `close`."""

    def __init__(
        self, path: Path, lock: int, *, name: str, chain_id: str, last: SignedCheckpoint | None
    ) -> None:
        self.path = path
        self._lock = lock
        self.name = name
        """Name under which it cosigns."""
        self.chain_id = chain_id
        """The ledger."""
        self.last = last
        """What it agreed to last; None before the first."""

    @classmethod
    def create(cls, path: Path, *, name: str, chain_id: str, last: SignedCheckpoint | None = None) -> Self:
        """Begin a state: nothing agreed to yet, or the checkpoint that is known to be the last.

        Raises:
            WitnessStateBroken: There is one already.
        """
        lock = _take_lock(path)
        state = cls(path, lock, name=name, chain_id=chain_id, last=last)
        try:
            state._begin()
        except BaseException:
            state.close()
            raise
        return state

    @classmethod
    def open(cls, path: Path, *, name: str, chain_id: str) -> Self:
        """Take up a state.

        Raises:
            WitnessStateBroken: It is missing, damaged, held, or of another witness or ledger.
        """
        lock = _take_lock(path)
        try:
            last = _read(path, name, chain_id)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock, name=name, chain_id=chain_id, last=last)

    def persist(self, signed: SignedCheckpoint) -> None:
        """Remember a checkpoint, durably on return; only then may it be cosigned.

        Raises:
            OSError: It could not be made durable.
        """
        fault_point(BEFORE_PERSIST)
        self._write(signed)
        self.last = signed
        fault_point(AFTER_PERSIST)

    def keep(self, evidence: SplitView, *, found: str) -> Path:
        """Keep evidence against the sequencer beside the state, durably; returns its file."""
        raw = write_split_view(evidence, found=found)
        digest = sha256((evidence.first + evidence.second).encode()).hex()[:16]
        path = self.path.with_name(f"split-view-{digest}.json")
        replace_file(path, [raw])
        return path

    def close(self) -> None:
        """Let another process take the state."""
        os.close(self._lock)

    def _begin(self) -> None:
        if self.path.exists():
            raise WitnessStateBroken(f"{self.path} is there already; a witness does not start over")
        self._write(self.last)

    def _write(self, signed: SignedCheckpoint | None) -> None:
        head = f"{FORMAT}\n{self.name}\n{self.chain_id}\n\n"
        replace_file(self.path, [(head + (signed.note() if signed else "")).encode()])


def peek_state(path: Path) -> tuple[str, str, SignedCheckpoint | None]:
    """Name, ledger and last checkpoint of a state, beside the process that may hold it.

    Raises:
        WitnessStateBroken: It is missing or damaged.
    """
    try:
        text = read_file(path, size_bytes_max=STATE_BYTES_MAX).decode()
    except FileNotFoundError:
        raise WitnessStateBroken(
            f"{path} is missing. If this witness ever cosigned this ledger, restore the file: without it the "
            f"witness could agree to a second history. If it never did, begin with --new"
        ) from None
    except (ValueError, OSError) as error:
        raise WitnessStateBroken(f"{path} cannot be read: {type(error).__name__}") from None
    parts = text.split("\n", 4)
    if len(parts) != 5 or parts[0] != FORMAT or parts[3]:
        raise WitnessStateBroken(f"{path} is not the state of a witness")
    try:
        return parts[1], parts[2], parse_note(parts[4]) if parts[4] else None
    except CheckpointInvalid as error:
        raise WitnessStateBroken(f"{path} is damaged: {error}") from None


def _read(path: Path, name: str, chain_id: str) -> SignedCheckpoint | None:
    found_name, found_chain_id, last = peek_state(path)
    if (found_name, found_chain_id) != (name, chain_id):
        raise WitnessStateBroken(
            f"{path} is the state of {found_name} for {found_chain_id}, not of {name} for {chain_id}"
        )
    return last


def _take_lock(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise WitnessStateBroken(f"another process holds {path}") from None
    return lock
