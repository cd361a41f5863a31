"""Tables of the record service in a site's database, besides the index's own.

All SQL that creates them is here. `state` of a batch: 0 waiting, 1 committed, 2 abandoned. An entry without a
batch (0) is
queued: durable, sealed, and not yet in any ledger transaction, because an earlier entry of its stream is
still under way.
"""

from __future__ import annotations

from typing import Final

COMPONENT: Final = "records.service"

MIGRATIONS: Final = (
    """
    CREATE TABLE subject (
        row INTEGER PRIMARY KEY,       -- 0 is the organisation itself
        patient_id TEXT UNIQUE,        -- id of the Patient resource; NULL for row 0
        cell BLOB,                     -- consent cell, 32 bytes
        cell_contents BLOB,            -- the 128 bytes it was created with
        epoch INTEGER NOT NULL,
        access_position INTEGER NOT NULL,  -- next position of the access log
        identity BLOB,                 -- the wallet's public identity key
        recipient BLOB,                -- the wallet's public HPKE key
        agent TEXT NOT NULL            -- organisation whose agent keeps the wallet
    );
    CREATE TABLE stream (
        row INTEGER PRIMARY KEY,
        subject INTEGER NOT NULL,
        compartment INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        next_position INTEGER NOT NULL,
        batch INTEGER NOT NULL,        -- the batch under way, or the last one
        UNIQUE (subject, compartment, epoch)
    );
    CREATE TABLE entry (
        row INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL,
        position INTEGER NOT NULL,
        kind INTEGER NOT NULL,         -- 0 manifest, 1 record version, 2 void, 3 taken by a stranger
        commitment BLOB NOT NULL,
        batch INTEGER NOT NULL,        -- 0 while queued
        type TEXT,
        id TEXT,
        version INTEGER,
        method INTEGER,
        updated_ms INTEGER,
        sealed BLOB,                   -- a record's blob; a manifest's envelope
        secret BLOB                    -- a record's wrapped key; a manifest's or void's salt
    );
    CREATE UNIQUE INDEX entry_position ON entry (stream, position);
    CREATE UNIQUE INDEX entry_version ON entry (id, version, type) WHERE kind = 1;
    CREATE INDEX entry_queued ON entry (stream, position) WHERE batch = 0;
    CREATE TABLE batch (
        row INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,         -- 1 records, 2 access, 3 cells
        state INTEGER NOT NULL,
        raw BLOB,                      -- the exact signed transaction, until it is committed
        message BLOB NOT NULL,         -- what it asks for, to sign anew after an expiry
        tx_id BLOB NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        not_before_ms INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        height INTEGER NOT NULL        -- block that carries it; 0 while waiting
    );
    CREATE INDEX batch_waiting ON batch (not_before_ms) WHERE state = 0;
    CREATE TABLE access (
        row INTEGER PRIMARY KEY,
        subject INTEGER NOT NULL,
        position INTEGER NOT NULL,
        commitment BLOB NOT NULL,
        batch INTEGER NOT NULL,
        event_ms INTEGER NOT NULL,
        salt BLOB NOT NULL,
        event BLOB NOT NULL            -- the AuditEvent as it is served
    );
    CREATE UNIQUE INDEX access_position ON access (subject, position);
    CREATE INDEX access_queued ON access (row) WHERE batch = 0;
    """,
)

ENTRY_MANIFEST: Final = 0
ENTRY_RECORD: Final = 1
ENTRY_VOID: Final = 2
ENTRY_TAKEN: Final = 3

BATCH_RECORDS: Final = 1
BATCH_ACCESS: Final = 2
BATCH_CELLS: Final = 3

WAITING: Final = 0
COMMITTED: Final = 1
ABANDONED: Final = 2
"""Refused for good; its entries went into other batches."""
