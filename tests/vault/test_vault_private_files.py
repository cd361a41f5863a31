"""Small secret files change whole and durably, or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from careledger.vault.private_files import read_file, replace_and_overwrite, replace_file


def test_a_file_is_replaced_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    old_mask = os.umask(0)
    try:
        replace_file(path, [b"one ", b"two"])
    finally:
        os.umask(old_mask)
    assert path.read_bytes() == b"one two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    replace_file(path, [b"three"])
    assert path.read_bytes() == b"three"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    "replace", [lambda path: replace_file(path, [b"new"]), lambda path: replace_and_overwrite(path, b"new")]
)
def test_a_failing_fsync_is_raised_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: object
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")

    def failing(descriptor: int) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="input/output"):
        replace(path)  # type: ignore[operator]
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_a_failing_source_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_file(path, pieces())
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_file_and_folder_are_synchronised_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        seen.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    path = tmp_path / "secret"
    replace_and_overwrite(path, b"old")
    assert seen == ["file", "rename", "folder"]
    seen.clear()
    replace_and_overwrite(path, b"new")
    assert seen == ["file", "rename", "folder", "file"]


def test_overwritten_bytes_are_zero_where_they_lay(tmp_path: Path) -> None:
    path, same = tmp_path / "secret", tmp_path / "same-inode"
    path.write_bytes(b"old secret" * 20_000)
    os.link(path, same)
    replace_and_overwrite(path, b"new")
    assert path.read_bytes() == b"new"
    assert same.read_bytes() == bytes(200_000)


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(bytes(10))
    assert read_file(path, size_bytes_max=10) == bytes(10)
    with pytest.raises(ValueError, match="larger than 9"):
        read_file(path, size_bytes_max=9)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "none", size_bytes_max=9)
