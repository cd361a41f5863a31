"""Where the key store's sealed bytes lie: in slots that are overwritten in place and never moved.

Owns the three tables and their rules. Does not seal, open, or begin and end transactions.

SQLite's `secure_delete` overwrites what is deleted at the place where it last lay. Rows of an ordinary table
also move, when pages split and merge, and the copies they leave in the gaps of pages are not overwritten: a
search of the file found 3 of 1,067 deleted keys. So sealed bytes stand in a table of their own,

    slot(id, sealed)          rows are appended, never deleted, and only updated by as many bytes
    entry(name, slot, size)   where the bytes of a name are
    vacant(size, slot)        slots to use again

which SQLite neither splits nor merges: an append that does not fit opens a new page, an update of equal size
writes over the old bytes. Names do move, and may linger in gaps of encrypted pages until `Keystore.compact`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import apsw

SCHEMA: Final = (
    "CREATE TABLE slot (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT",
    "CREATE TABLE entry (name TEXT PRIMARY KEY, slot INTEGER, size INTEGER) STRICT, WITHOUT ROWID",
    "CREATE TABLE vacant (size INTEGER, slot INTEGER, PRIMARY KEY (size, slot)) STRICT, WITHOUT ROWID",
)

_SMALL_STEP_BYTES = 64
_SMALL_BYTES_MAX = 1024
_AFTER_EVERY_NAME = "~"


def slot_size_bytes(sealed_bytes: int) -> int:
    """Size of the slot for that many bytes: a multiple of 64 up to 1,024, then a power of two."""
    if sealed_bytes <= _SMALL_BYTES_MAX:
        return -(-sealed_bytes // _SMALL_STEP_BYTES) * _SMALL_STEP_BYTES
    return 1 << (sealed_bytes - 1).bit_length()


def read(connection: apsw.Connection, name: str) -> bytes | None:
    """Fetch the sealed bytes of a name."""
    row: tuple[bytes] | None = connection.execute(
        "SELECT sealed FROM slot WHERE id = (SELECT slot FROM entry WHERE name = ?)", (name,)
    ).fetchone()
    return None if row is None else row[0]


def names(connection: apsw.Connection, prefix: str) -> list[str]:
    """Names that start with the prefix, in order."""
    rows = connection.execute(
        "SELECT name FROM entry WHERE name >= ? AND name < ? ORDER BY name",
        (prefix, prefix + _AFTER_EVERY_NAME),
    )
    return [row[0] for row in rows]


def walk(connection: apsw.Connection) -> Iterator[tuple[str, bytes]]:
    """Walk over names and sealed bytes in order, as of one moment."""
    yield from connection.execute(
        "SELECT name, sealed FROM entry JOIN slot ON slot.id = entry.slot ORDER BY name"
    )


def write(connection: apsw.Connection, sealed: Mapping[str, bytes]) -> None:
    """Write sealed bytes, each already of a slot's size, under their names."""
    held = _find(connection, sealed)
    kept = {name: slot for name, (slot, size) in held.items() if size == len(sealed[name])}
    _clear(connection, {name: place for name, place in held.items() if name not in kept})
    homeless: dict[int, list[str]] = {}
    for name, content in sealed.items():
        if name not in kept:
            homeless.setdefault(len(content), []).append(name)
    for size, waiting in homeless.items():
        kept |= _move_in(connection, sealed, size, waiting)
    connection.executemany(
        "UPDATE slot SET sealed = ? WHERE id = ?", ((sealed[name], slot) for name, slot in kept.items())
    )


def clear(connection: apsw.Connection, wanted: Iterable[str]) -> int:
    """Overwrite the bytes of these names and forget them; names without an entry are passed over.

    Returns:
        How many there were.
    """
    held = _find(connection, wanted)
    _clear(connection, held)
    return len(held)


def _find(connection: apsw.Connection, wanted: Iterable[str]) -> dict[str, tuple[int, int]]:
    rows = connection.executemany(
        "SELECT name, slot, size FROM entry WHERE name = ?", ((name,) for name in wanted)
    )
    return {name: (slot, size) for name, slot, size in rows}


def _clear(connection: apsw.Connection, held: Mapping[str, tuple[int, int]]) -> None:
    connection.executemany(
        "UPDATE slot SET sealed = ? WHERE id = ?", ((bytes(size), slot) for slot, size in held.values())
    )
    connection.executemany("DELETE FROM entry WHERE name = ?", ((name,) for name in held))
    connection.executemany(
        "INSERT INTO vacant (size, slot) VALUES (?, ?)", ((size, slot) for slot, size in held.values())
    )


def _move_in(
    connection: apsw.Connection, sealed: Mapping[str, bytes], size: int, waiting: list[str]
) -> dict[str, int]:
    """Give names a vacant slot, which is still to be written, or append a new one with their bytes."""
    vacant = [
        row[0]
        for row in connection.execute(
            "SELECT slot FROM vacant WHERE size = ? ORDER BY slot LIMIT ?", (size, len(waiting))
        )
    ]
    connection.executemany(
        "DELETE FROM vacant WHERE size = ? AND slot = ?", ((size, slot) for slot in vacant)
    )
    reused = dict(zip(waiting, vacant, strict=False))
    appended = waiting[len(vacant) :]
    last = connection.execute("SELECT ifnull(max(id), 0) FROM slot").fetchone()
    first_new = (0 if last is None else last[0]) + 1
    connection.executemany(
        "INSERT INTO slot (id, sealed) VALUES (?, ?)",
        ((first_new + number, sealed[name]) for number, name in enumerate(appended)),
    )
    places = [*reused.items(), *((name, first_new + number) for number, name in enumerate(appended))]
    connection.executemany(
        "INSERT INTO entry (name, slot, size) VALUES (?, ?, ?)", ((name, slot, size) for name, slot in places)
    )
    return reused
