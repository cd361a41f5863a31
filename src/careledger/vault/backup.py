"""Backups of a key store that stop opening when a key in them has been erased.

Owns the backup file and the order in which backup and escrow file change. Does not decide when to erase.

A backup opens with the passphrase *and* an epoch key that stands in an escrow file, kept elsewhere. Erasing a
key ends with `rotate_escrow`: a new backup without it is written under a new epoch key, the new epoch key takes
the old one's place, and from then on no copy of an earlier backup opens, wherever it was forgotten, while the
new pair restores everything else.

Order of `rotate_escrow`, so that at every moment one pair restores:

    1. BACKUP.next  written durably, sealed under the new epoch key       old pair: BACKUP + escrow (old)
    2. escrow       replaced atomically and durably by the new epoch key  new pair: BACKUP.next + escrow (new)
    3. BACKUP.next  renamed to BACKUP                                     new pair: BACKUP + escrow (new)

A crash before 2 leaves the old pair and a BACKUP.next that nothing opens; a crash before 3 leaves the new
pair, which restoring finds under either name. Until 2 is done the erasure is not done: the caller keeps it as
pending work and calls again. One process rotates at a time.

    header    magic "CLKB" | version 1 | epoch (8) | epoch id (16) | passphrase header (23)
    check     16 bytes
    sections  length (4) | sealed blob of the CBOR of names and secrets, repeated

    section key = HKDF-Expand(HKDF-Extract(salt = epoch key, passphrase key), "backup-sections" | header)
    check       = HKDF-Expand(section key, "backup-check", 16): tells a wrong passphrase from a changed file
    a section's context holds its number and whether it is the last
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import BinaryIO, Final

from careledger.primitives.codec import CodecError, decode, encode
from careledger.storage.faults import declare, fault_point
from careledger.vault.derivation import derivation_info, derive, hkdf_expand, hkdf_extract
from careledger.vault.errors import (
    BackupBroken,
    BackupSuperseded,
    ParametersRefused,
    PassphraseWrong,
    SealBroken,
)
from careledger.vault.escrow import EPOCH_ID_BYTES, BackupEpoch, read_escrow, replace_escrow
from careledger.vault.keys import SecretKey, SecretWire
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import (
    DEFAULT_PARAMETERS,
    HEADER_BYTES,
    PassphraseHeader,
    PassphraseParameters,
)
from careledger.vault.private_files import replace_file, sync_folder
from careledger.vault.sealing import open_sealed, seal

NEXT_SUFFIX: Final = ".next"
SECTION_BYTES: Final = 1 << 20
"""A section is closed once its names and secrets are this long."""

SECTION_BYTES_MAX: Final = 4 * SECTION_BYTES
"""No section of ours is longer when sealed; a longer one is refused before it is read."""

_BEFORE_ESCROW = declare("vault.backup.before_escrow")
_AFTER_ESCROW = declare("vault.backup.after_escrow")
_SETTLED = declare("vault.backup.settled")

_MAGIC = b"CLKB\x01"
_EPOCH = struct.Struct(">Q")
_BACKUP_HEADER_BYTES = len(_MAGIC) + _EPOCH.size + EPOCH_ID_BYTES + HEADER_BYTES
_CHECK_BYTES = 16
_LENGTH = struct.Struct(">I")
_SECTION = struct.Struct(">I?")
_CONTEXT = b"careledger/key-backup/v1"


class _SectionKey(SecretKey):
    __slots__ = ()

    def check(self) -> bytes:
        return derive(self.reveal(), "backup-check", size_bytes=_CHECK_BYTES)


class _Entry(SecretWire, frozen=True):
    name: str
    secret: bytes


class _Section(SecretWire, frozen=True):
    entries: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    raw: bytes
    epoch_number: int
    epoch_id: bytes
    passphrase: PassphraseHeader

    def section_key(self, epoch: BackupEpoch, passphrase: str) -> _SectionKey:
        joined = hkdf_extract(epoch.key.reveal(), self.passphrase.key(passphrase).reveal())
        return _SectionKey(hkdf_expand(joined, derivation_info("backup-sections", self.raw)))


def write_key_backup(
    keystore: Keystore,
    path: Path,
    escrow_path: Path,
    passphrase: str,
    *,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> None:
    """Back a key store up under the present epoch, in place of an earlier backup at that path.

    Raises:
        FileNotFoundError: There is no escrow file; see `escrow.create_escrow`.
        BackupBroken: The escrow file is damaged.
        ValueError: The passphrase is empty or too long.
        OSError: The backup could not be made durable; the earlier one stands.
    """
    epoch = read_escrow(escrow_path)
    _settle(path, epoch)
    replace_file(path, _backup_pieces(keystore, epoch, passphrase, parameters))


def rotate_escrow(
    keystore: Keystore,
    path: Path,
    escrow_path: Path,
    passphrase: str,
    *,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> None:
    """Back a key store up under a new epoch and close every earlier backup, as the last step of an erasure.

    On return no earlier backup opens. After an exception or a crash it may or may not be so; call again.

    Raises:
        FileNotFoundError: There is no escrow file.
        BackupBroken: The escrow file is damaged.
        ValueError: The passphrase is empty or too long.
        OSError: A file could not be made durable.
    """
    present = read_escrow(escrow_path)
    _settle(path, present)
    epoch = present.following()
    # 1.
    replace_file(_next_of(path), _backup_pieces(keystore, epoch, passphrase, parameters))
    # 2.
    fault_point(_BEFORE_ESCROW)
    replace_escrow(escrow_path, epoch)
    fault_point(_AFTER_ESCROW)
    # 3.
    _settle(path, epoch)
    fault_point(_SETTLED)


def restore_key_backup(path: Path, escrow_path: Path, passphrase: str, keystore: Keystore) -> int:
    """Restore a backup into an empty key store, in one transaction.

    1. The backup, or the one a crash left beside it, is of the escrow file's epoch.
    2. The passphrase opens it.
    3. Every section opens at its place, the last one is there, and nothing follows it.

    Returns:
        How many entries were restored.

    Raises:
        FileNotFoundError: There is no backup or no escrow file.
        BackupSuperseded: The backup is of another epoch: keys were erased since it was made (step 1).
        PassphraseWrong: Step 2.
        BackupBroken: The backup or the escrow file is cut or changed.
        ValueError: The key store has entries, which restoring must not mix with; or an unusable passphrase.
    """
    if keystore.names():
        raise ValueError("a backup is restored into an empty key store only")
    epoch = read_escrow(escrow_path)
    # 1.
    source = path if _is_of(path, epoch) else _next_of(path)
    if not _is_of(source, epoch):
        found = _read_header_of(path)
        raise BackupSuperseded(
            f"the backup is of epoch {found.epoch_number}, the escrow file of epoch {epoch.number}"
        )
    count = 0
    with source.open("rb") as file, keystore.batch():
        # 2.
        key = _read_header(file).section_key(epoch, passphrase)
        if not compare_digest(file.read(_CHECK_BYTES), key.check()):
            raise PassphraseWrong("the passphrase does not open this backup")
        # 3.
        for section in _sections(file, key):
            try:
                keystore.put_many({entry.name: entry.secret for entry in section.entries})
            except ValueError:
                raise BackupBroken("an entry of the backup is out of bounds") from None
            count += len(section.entries)
    return count


def _settle(path: Path, epoch: BackupEpoch) -> None:
    """Finish or drop what an interrupted rotation left beside the backup."""
    following = _next_of(path)
    if not following.exists():
        return
    if _is_of(following, epoch):
        following.replace(path)
    else:
        following.unlink()
    sync_folder(path.parent)


def _next_of(path: Path) -> Path:
    return path.with_name(path.name + NEXT_SUFFIX)


def _is_of(path: Path, epoch: BackupEpoch) -> bool:
    try:
        return _read_header_of(path).epoch_id == epoch.identifier
    except (FileNotFoundError, BackupBroken):
        return False


def _read_header_of(path: Path) -> _Header:
    with path.open("rb") as file:
        return _read_header(file)


def _read_header(file: BinaryIO) -> _Header:
    raw = file.read(_BACKUP_HEADER_BYTES)
    if len(raw) != _BACKUP_HEADER_BYTES or not raw.startswith(_MAGIC):
        raise BackupBroken("not a key backup of a known version")
    start = len(_MAGIC) + _EPOCH.size
    try:
        passphrase = PassphraseHeader.from_bytes(raw[start + EPOCH_ID_BYTES :])
    except ParametersRefused as error:
        raise BackupBroken(f"the backup's header is not one of ours: {error}") from None
    return _Header(
        raw=raw,
        epoch_number=_EPOCH.unpack_from(raw, len(_MAGIC))[0],
        epoch_id=raw[start : start + EPOCH_ID_BYTES],
        passphrase=passphrase,
    )


def _backup_pieces(
    keystore: Keystore, epoch: BackupEpoch, passphrase: str, parameters: PassphraseParameters
) -> Iterator[bytes]:
    derived_by = PassphraseHeader.new(parameters)
    raw = _MAGIC + _EPOCH.pack(epoch.number) + epoch.identifier + derived_by.to_bytes()
    header = _Header(raw=raw, epoch_number=epoch.number, epoch_id=epoch.identifier, passphrase=derived_by)
    key = header.section_key(epoch, passphrase)
    yield raw + key.check()
    number = 0
    held: list[_Entry] = []
    size_bytes = 0
    for name, secret in keystore.entries():
        if size_bytes >= SECTION_BYTES:
            yield from _sealed_section(held, key, number, is_last=False)
            held, size_bytes, number = [], 0, number + 1
        held.append(_Entry(name, secret))
        size_bytes += len(name) + len(secret)
    yield from _sealed_section(held, key, number, is_last=True)


def _sealed_section(
    entries: list[_Entry], key: _SectionKey, number: int, *, is_last: bool
) -> tuple[bytes, bytes]:
    context = _CONTEXT + _SECTION.pack(number, is_last)
    sealed = seal(encode(_Section(tuple(entries))), key, context=context)
    return _LENGTH.pack(len(sealed)), sealed


def _sections(file: BinaryIO, key: _SectionKey) -> Iterator[_Section]:
    number = 0
    sealed = _read_section(file)
    if sealed is None:
        raise BackupBroken("the backup is cut")
    while sealed is not None:
        following = _read_section(file)
        context = _CONTEXT + _SECTION.pack(number, following is None)
        try:
            yield decode(open_sealed(sealed, key, context=context), _Section)
        except (SealBroken, CodecError):
            raise BackupBroken(f"section {number} of the backup is not what was written") from None
        sealed = following
        number += 1


def _read_section(file: BinaryIO) -> bytes | None:
    length = file.read(_LENGTH.size)
    if not length:
        return None
    if len(length) != _LENGTH.size:
        raise BackupBroken("the backup is cut")
    (size,) = _LENGTH.unpack(length)
    if size > SECTION_BYTES_MAX:
        raise BackupBroken("a section is longer than any this version writes")
    sealed = file.read(size)
    if len(sealed) != size:
        raise BackupBroken("the backup is cut")
    return sealed
