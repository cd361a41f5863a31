"""The escrow file: the epoch key without which no key backup of its epoch opens.

Owns the file's form. Alone it opens nothing: a backup needs the passphrase too. It is kept apart from backups,
on another machine's disk or a mounted token, and must never be copied into them: whoever can bring back an old
escrow file can bring back what was erased since.

    magic "CLEK" | version 1 | epoch (8, big-endian) | epoch key (32) | first 8 bytes of SHA-256 of all before
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from careledger.vault.derivation import derive
from careledger.vault.errors import BackupBroken
from careledger.vault.keys import BackupEpochKey
from careledger.vault.private_files import read_file, replace_and_overwrite, replace_file

EPOCH_ID_BYTES: Final = 16

_MAGIC = b"CLEK\x01"
_EPOCH = struct.Struct(">Q")
_CHECKSUM_BYTES = 8
_FILE_BYTES = len(_MAGIC) + _EPOCH.size + BackupEpochKey.SIZE_BYTES + _CHECKSUM_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupEpoch:
    """An epoch of backups and its key."""

    number: int
    """From 1, one more at every rotation."""
    key: BackupEpochKey
    """Random."""

    @property
    def identifier(self) -> bytes:
        """16 bytes by which a backup names its epoch; they follow from the key and do not give it."""
        return derive(self.key.reveal(), "backup-epoch-id", size_bytes=EPOCH_ID_BYTES)

    def following(self) -> BackupEpoch:
        """Make the next epoch, with a new random key."""
        return BackupEpoch(number=self.number + 1, key=BackupEpochKey.random())

    def to_bytes(self) -> bytes:
        """Encode as the escrow file."""
        body = _MAGIC + _EPOCH.pack(self.number) + self.key.reveal()
        return body + sha256(body).digest()[:_CHECKSUM_BYTES]


def create_escrow(escrow_path: Path) -> BackupEpoch:
    """Make the first epoch's escrow file.

    Raises:
        FileExistsError: There is one; replacing it would close its backups.
        OSError: It could not be made durable.
    """
    if escrow_path.exists():
        raise FileExistsError(f"{escrow_path.name} is there already")
    epoch = BackupEpoch(number=1, key=BackupEpochKey.random())
    replace_file(escrow_path, [epoch.to_bytes()])
    return epoch


def read_escrow(escrow_path: Path) -> BackupEpoch:
    """Read the present epoch.

    Raises:
        FileNotFoundError: There is no escrow file.
        BackupBroken: It is cut, changed, or of an unknown version.
    """
    try:
        raw = read_file(escrow_path, size_bytes_max=_FILE_BYTES)
    except ValueError:
        raise BackupBroken("the escrow file is too long") from None
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(raw) != _FILE_BYTES or not raw.startswith(_MAGIC):
        raise BackupBroken("not an escrow file of a known version")
    if sha256(body).digest()[:_CHECKSUM_BYTES] != checksum:
        raise BackupBroken("the escrow file's checksum does not stand")
    (number,) = _EPOCH.unpack_from(body, len(_MAGIC))
    return BackupEpoch(number=number, key=BackupEpochKey(body[len(_MAGIC) + _EPOCH.size :]))


def replace_escrow(escrow_path: Path, epoch: BackupEpoch) -> None:
    """Put a new epoch in the present one's place: all earlier backups are closed for ever.

    Raises:
        OSError: It could not be made durable.
    """
    replace_and_overwrite(escrow_path, epoch.to_bytes())
