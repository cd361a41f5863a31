"""A key backup brings everything back, until a key in it is erased: then no copy of it brings anything back."""

import os
import shutil
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from careledger.vault import backup as backup_module
from careledger.vault.backup import (
    SECTION_BYTES_MAX,
    restore_key_backup,
    rotate_escrow,
    write_key_backup,
)
from careledger.vault.errors import BackupBroken, BackupSuperseded, KeyNotHeld, PassphraseWrong
from careledger.vault.escrow import BackupEpoch, create_escrow, read_escrow, replace_escrow
from careledger.vault.keys import BackupEpochKey
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import PassphraseParameters

CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
PASSPHRASE = "the backup's passphrase"
CANARY = b"canary-secret-of-thirty-two-byte"


@dataclass
class Place:
    """One site's key store, its backup, and its escrow file elsewhere."""

    folder: Path
    store: Keystore

    @property
    def backup(self) -> Path:
        return self.folder / "backups" / "keys.backup"

    @property
    def escrow(self) -> Path:
        return self.folder / "escrow" / "epoch.key"

    def write(self) -> None:
        write_key_backup(self.store, self.backup, self.escrow, PASSPHRASE, parameters=CHEAP)

    def rotate(self) -> None:
        rotate_escrow(self.store, self.backup, self.escrow, PASSPHRASE, parameters=CHEAP)

    def restore(self, backup: Path | None = None, passphrase: str = PASSPHRASE) -> dict[str, bytes]:
        target = self.folder / f"restored-{os.urandom(4).hex()}.db"
        with Keystore.create(target, "x", parameters=CHEAP) as restored:
            count = restore_key_backup(backup or self.backup, self.escrow, passphrase, restored)
            found = dict(restored.entries())
            assert len(found) == count
            return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for folder in ("backups", "escrow"):
        (tmp_path / folder).mkdir()
    with Keystore.create(tmp_path / "keys.db", "site", parameters=CHEAP) as store:
        made = Place(tmp_path, store)
        create_escrow(made.escrow)
        store.put_many({"wallet/1": CANARY, "wallet/2": b"2" * 32, "site/signing": b"s" * 32})
        yield made


def test_a_backup_brings_everything_back(place: Place) -> None:
    place.write()
    assert place.restore() == dict(place.store.entries())
    place.store.put("wallet/3", b"3" * 32)
    assert "wallet/3" not in place.restore()
    place.write()
    assert place.restore() == dict(place.store.entries())


def test_an_empty_store_is_backed_up_too(place: Place) -> None:
    place.store.destroy(place.store.names())
    place.write()
    assert place.restore() == {}


def test_many_sections_come_back_in_order(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_module, "SECTION_BYTES", 300)
    place.store.put_many({f"entry/{number:03d}": bytes([number]) * 40 for number in range(100)})
    place.write()
    sections = sections_of(place.backup.read_bytes())
    assert len(sections) > 10
    assert place.restore() == dict(place.store.entries())


def test_after_an_erasure_no_copy_of_an_earlier_backup_opens(place: Place) -> None:
    copies = []
    for round_number in range(4):
        place.store.put(f"record/{round_number}", os.urandom(32))
        place.write()
        copies.append(Path(shutil.copy(place.backup, place.folder / f"forgotten-{round_number}")))
    place.store.destroy(["wallet/1"])
    place.store.erase_now()
    assert "wallet/1" in place.restore()  # until rotation the earlier backup still has it
    place.rotate()
    assert place.restore() == dict(place.store.entries())
    assert "wallet/1" not in place.restore()
    for copy in copies:
        with pytest.raises(BackupSuperseded, match="epoch 1, the escrow file of epoch 2"):
            place.restore(copy)
    place.rotate()
    copies.append(Path(shutil.copy(place.backup, place.folder / "forgotten-5")))
    place.rotate()
    for copy in copies:
        with pytest.raises(BackupSuperseded):
            place.restore(copy)
    with pytest.raises(KeyNotHeld):
        place.store.get("wallet/1")


def test_an_earlier_backup_does_not_open_under_the_new_epoch_key_even_when_relabelled(place: Place) -> None:
    place.write()
    old = bytearray(place.backup.read_bytes())
    place.rotate()
    epoch = read_escrow(place.escrow)
    old[5:13] = epoch.number.to_bytes(8, "big")
    old[13:29] = epoch.identifier
    forged = place.folder / "forged"
    forged.write_bytes(old)
    with pytest.raises(PassphraseWrong):
        place.restore(forged)


def test_the_epoch_key_and_not_its_name_closes_earlier_backups(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackupEpoch, "identifier", property(lambda _: bytes(16)))
    place.write()
    copy = Path(shutil.copy(place.backup, place.folder / "copy"))
    assert place.restore(copy) == dict(place.store.entries())
    place.rotate()
    with pytest.raises(PassphraseWrong):
        place.restore(copy)


def test_rotation_overwrites_the_old_epoch_key_where_it_lay(place: Place) -> None:
    old = place.escrow.read_bytes()
    kept = place.folder / "same-inode"
    os.link(place.escrow, kept)
    place.rotate()
    assert kept.read_bytes() == bytes(len(old))
    assert place.escrow.read_bytes() != old


def test_the_backup_without_its_escrow_or_passphrase_shows_nothing(place: Place) -> None:
    place.write()
    content = place.backup.read_bytes()
    for trace in (b"canary", b"wallet", b"site"):
        assert trace not in content
    with pytest.raises(PassphraseWrong):
        place.restore(passphrase="another")
    replace_escrow(place.escrow, BackupEpoch(number=1, key=BackupEpochKey.random()))
    with pytest.raises(BackupSuperseded):
        place.restore()
    place.escrow.unlink()
    with pytest.raises(FileNotFoundError):
        place.restore()


def test_files_are_the_owners_alone(place: Place) -> None:
    place.write()
    place.rotate()
    for file in (place.backup, place.escrow):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_restored_over_entries_or_from_nothing(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        place.restore()
    place.write()
    with pytest.raises(ValueError, match="empty key store"):
        restore_key_backup(place.backup, place.escrow, PASSPHRASE, place.store)


def test_neither_backup_nor_rotation_makes_an_escrow_file(place: Place) -> None:
    with pytest.raises(FileExistsError):
        create_escrow(place.escrow)
    place.escrow.unlink()
    for call in (place.write, place.rotate):
        with pytest.raises(FileNotFoundError):
            call()
    assert not place.backup.exists()


def restored_or_refused(place: Place, content: bytes) -> None:
    """Restore from changed bytes: refused, with nothing kept."""
    changed = place.folder / "changed"
    changed.write_bytes(content)
    target = place.folder / "target.db"
    if not target.exists():
        Keystore.create(target, "x", parameters=CHEAP).close()
    with Keystore.open(target, "x") as restored:
        with pytest.raises((BackupBroken, BackupSuperseded, PassphraseWrong)):
            restore_key_backup(changed, place.escrow, PASSPHRASE, restored)
        assert restored.names() == []


def test_a_flipped_bit_anywhere_is_noticed_and_nothing_is_kept(place: Place) -> None:
    place.write()
    content = place.backup.read_bytes()
    for at in range(len(content)):
        if 30 <= at <= 35:
            continue  # the work factors: allowed up to a limit, which the passphrase's tests look at
        wrong = bytearray(content)
        wrong[at] ^= 1 << at % 8
        restored_or_refused(place, bytes(wrong))


HEADER_BYTES = 5 + 8 + 16 + 23
CHECK_BYTES = 16


def sections_of(content: bytes) -> list[bytes]:
    found = []
    rest = content[HEADER_BYTES + CHECK_BYTES :]
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        found.append(rest[: 4 + size])
        rest = rest[4 + size :]
    return found


def test_sections_cut_dropped_doubled_or_reordered_are_noticed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "SECTION_BYTES", 20)
    place.write()
    content = place.backup.read_bytes()
    head, (first, second, third) = content[: HEADER_BYTES + CHECK_BYTES], sections_of(content)
    for parts in (
        (),
        (first,),
        (first, second),
        (second, third),
        (first, third),
        (first, third, second),
        (first, first, second, third),
        (first, second, third, third),
        (first, second, third[:-1]),
        (first, second, third, b"\x00"),
        (first, second, third, bytes(4)),
    ):
        restored_or_refused(place, head + b"".join(parts))
    for size in (0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + CHECK_BYTES):
        restored_or_refused(place, content[:size])


def test_a_section_longer_than_ours_is_refused_before_it_is_read(place: Place) -> None:
    place.write()
    head = place.backup.read_bytes()[: HEADER_BYTES + CHECK_BYTES]
    restored_or_refused(place, head + struct.pack(">I", SECTION_BYTES_MAX + 1) + bytes(100))


@pytest.mark.parametrize("at", [0, 4, 5, 12, 13, 44, 45, 52])
def test_a_damaged_escrow_file_is_called_that(place: Place, at: int) -> None:
    raw = bytearray(place.escrow.read_bytes())
    assert len(raw) == 53
    raw[at] ^= 1
    place.escrow.write_bytes(raw)
    for call in (place.write, place.rotate):
        with pytest.raises(BackupBroken, match="escrow"):
            call()
    for wrong in (b"", bytes(raw[:-1]), bytes(raw) + b"\x00", bytes(1000)):
        place.escrow.write_bytes(wrong)
        with pytest.raises(BackupBroken, match="escrow"):
            read_escrow(place.escrow)


def test_an_epoch_shows_its_number_and_not_its_key() -> None:
    epoch = BackupEpoch(number=3, key=BackupEpochKey(CANARY))
    assert "canary" not in repr(epoch)
    assert CANARY not in epoch.identifier
    assert epoch.following().number == 4
    assert epoch.following().key != epoch.following().key
