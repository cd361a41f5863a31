"""Tables of consent cells at their custodian, in a site's database."""

from __future__ import annotations

from typing import Final

COMPONENT: Final = "records.consent"

MIGRATIONS: Final = (
    """
    CREATE INDEX subject_cell ON subject (cell);
    CREATE TABLE opening (
        cell BLOB NOT NULL,
        commitment BLOB NOT NULL,      -- what the opening leads to
        version INTEGER NOT NULL,      -- version of the cell it is for
        raw BLOB NOT NULL,
        received_ms INTEGER NOT NULL,
        PRIMARY KEY (cell, commitment)
    ) WITHOUT ROWID;
    CREATE TABLE stop (
        cell BLOB NOT NULL,
        name BLOB NOT NULL,            -- a grant's name; 32 zero bytes: everything
        stopped_ms INTEGER NOT NULL,
        PRIMARY KEY (cell, name)
    ) WITHOUT ROWID;
    CREATE TABLE command (
        cell BLOB NOT NULL PRIMARY KEY,
        issued_ms INTEGER NOT NULL     -- of the latest command that was obeyed
    ) WITHOUT ROWID;
    CREATE TABLE escrow (
        cell BLOB NOT NULL PRIMARY KEY,
        kept_ms INTEGER NOT NULL,
        asked_ms INTEGER NOT NULL,     -- when the share was asked for; 0 while it was not
        asked_by TEXT NOT NULL,
        given_ms INTEGER NOT NULL      -- 0 until it was given out
    ) WITHOUT ROWID;
    """,
)
