"""Tables of the EPCIS repository in a site's database.

All SQL that creates them is here. An event is kept as read (`stored_form`); the other columns are copies
of what queries look at, identifiers in canonical form.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

COMPONENT: Final = "supply.events"

MIGRATIONS: Final = (
    """
    CREATE TABLE epcis_job (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        document BLOB NOT NULL         -- the capture job as it is served
    );
    CREATE TABLE epcis_event (
        row INTEGER PRIMARY KEY,       -- order of capture, which is the order of pages
        job INTEGER NOT NULL,
        event_id TEXT NOT NULL,        -- as captured; empty where the event had none
        effective_id TEXT NOT NULL,    -- the event's identifier, or its hash identifier
        digest BLOB NOT NULL,          -- CBV event hash, 32 bytes
        declaration BLOB,              -- digest of the error declaration, where there is one
        event_us INTEGER NOT NULL,
        record_us INTEGER NOT NULL,
        type TEXT NOT NULL,
        action TEXT NOT NULL,
        biz_step TEXT NOT NULL,
        disposition TEXT NOT NULL,
        read_point TEXT NOT NULL,
        biz_location TEXT NOT NULL,
        document BLOB NOT NULL         -- its stored form
    );
    CREATE INDEX epcis_event_by_id ON epcis_event (effective_id);
    CREATE INDEX epcis_event_by_digest ON epcis_event (digest);
    CREATE INDEX epcis_event_by_time ON epcis_event (event_us);
    CREATE INDEX epcis_event_by_step ON epcis_event (biz_step);
    CREATE INDEX epcis_event_by_location ON epcis_event (biz_location);
    CREATE TABLE epcis_object (
        value TEXT NOT NULL,
        kind INTEGER NOT NULL,
        event INTEGER NOT NULL,
        PRIMARY KEY (value, kind, event)
    ) WITHOUT ROWID;
    CREATE TABLE epcis_master_data (
        row INTEGER PRIMARY KEY,
        document BLOB NOT NULL         -- stored form of one vocabulary
    );
    """,
)


class ObjectKind(IntEnum):
    """What an identifier is in an event; numbers are never reused."""

    EPC = 1
    PARENT = 2
    INPUT = 3
    OUTPUT = 4
    EPC_CLASS = 5
    INPUT_CLASS = 6
    OUTPUT_CLASS = 7
