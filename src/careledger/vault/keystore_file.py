"""The SQLite file of a key store: encrypted pages, checked settings, schema.

Owns how the file is opened and what it contains at first. Does not read or write entries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from careledger.vault.errors import KeystoreBroken
from careledger.vault.keystore_slots import SCHEMA
from careledger.vault.private_files import sync_folder

BUSY_TIMEOUT_MS: Final = 5_000

_SCHEMA_VERSION = 1
_APPLICATION_ID = 0x434C4B53
_SYNCHRONOUS_FULL = 2


def connect(path: Path, page_key: bytes) -> apsw.Connection:
    """Open the file, decrypting pages with a 32-byte key, and prepare it if it is empty.

    Raises:
        KeystoreBroken: Another key, another file, or a setting SQLite did not take.
        OSError: The folder cannot be synchronised.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        _require(connection, "cipher", "chacha20", expected="chacha20")
        _require(connection, "key", f"raw:{page_key.hex()}", expected="ok")
        _require(connection, "journal_mode", "wal", expected="wal")
        connection.pragma("synchronous", "full")
        _require(connection, "synchronous", None, expected=_SYNCHRONOUS_FULL)
        _require(connection, "secure_delete", 1, expected=1)
        _prepare(connection)
        sync_folder(path.parent)  # SQLite ignores a failing fsync of the folder
    except apsw.Error as error:
        connection.close()
        raise KeystoreBroken(f"the key store does not open ({type(error).__name__})") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _require(
    connection: apsw.Connection, pragma: str, value: str | int | None, *, expected: str | int
) -> None:
    answer = connection.pragma(pragma) if value is None else connection.pragma(pragma, value)
    if answer != expected:
        raise KeystoreBroken(f"SQLite did not take the setting {pragma}")


def _prepare(connection: apsw.Connection) -> None:
    version = connection.pragma("user_version")
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
        with connection:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.pragma("application_id", _APPLICATION_ID)
            connection.pragma("user_version", _SCHEMA_VERSION)
        return
    if (version, connection.pragma("application_id")) != (_SCHEMA_VERSION, _APPLICATION_ID):
        raise KeystoreBroken("not a key store of a known version")


def remove(path: Path) -> None:
    """Remove the file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
