"""Tables of what a site does with other organisations, in its database."""

from __future__ import annotations

from typing import Final

COMPONENT: Final = "records.exchange"

MIGRATIONS: Final = (
    """
    CREATE TABLE mirror (
        row INTEGER PRIMARY KEY,
        exchange_id BLOB NOT NULL UNIQUE,
        custodian INTEGER NOT NULL,
        salt BLOB NOT NULL,
        event BLOB NOT NULL,           -- the AuditEvent of what was asked
        event_ms INTEGER NOT NULL
    );
    CREATE TABLE head (
        custodian INTEGER NOT NULL,
        stream BLOB NOT NULL,
        envelope BLOB NOT NULL,        -- the latest head that was received
        PRIMARY KEY (custodian, stream)
    ) WITHOUT ROWID;
    CREATE TABLE evidence (
        row INTEGER PRIMARY KEY,
        custodian INTEGER NOT NULL,
        found_ms INTEGER NOT NULL,
        raw BLOB NOT NULL              -- two heads that contradict each other
    );
    CREATE TABLE held_grant (
        cell BLOB NOT NULL,
        name BLOB NOT NULL,
        custodian INTEGER NOT NULL,
        purpose TEXT NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        is_ended INTEGER NOT NULL,
        patient_id TEXT,               -- patient of this site, where the agent or a person has said so
        delivered_ms INTEGER NOT NULL,
        PRIMARY KEY (cell, name)
    ) WITHOUT ROWID;
    CREATE TABLE outgoing (
        row INTEGER PRIMARY KEY,
        recipient TEXT NOT NULL,       -- organisation, by short name
        path TEXT NOT NULL,
        body BLOB NOT NULL,
        next_ms INTEGER NOT NULL,      -- when to try again
        attempts INTEGER NOT NULL
    );
    CREATE TABLE review (
        row INTEGER PRIMARY KEY,
        side TEXT NOT NULL,            -- custodian, requester
        kind TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        session BLOB NOT NULL,
        patient_id TEXT,
        organisation TEXT NOT NULL,    -- the other one
        practitioner TEXT NOT NULL,
        affiliation TEXT NOT NULL,
        reason TEXT NOT NULL,
        nature TEXT NOT NULL,
        part_2 INTEGER NOT NULL,       -- whether substance use records were opened (42 CFR 2.51)
        verdict TEXT,                  -- justified, not-justified; NULL while open
        reviewed_by TEXT,
        reviewed_ms INTEGER,
        remark TEXT
    );
    CREATE TABLE match_handle (
        handle BLOB NOT NULL PRIMARY KEY,
        requester INTEGER NOT NULL,
        subject INTEGER NOT NULL,      -- 0 for nobody
        grade TEXT NOT NULL,
        made_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE emergency (
        session BLOB NOT NULL PRIMARY KEY,
        handle BLOB NOT NULL UNIQUE,
        requester INTEGER NOT NULL,
        subject INTEGER NOT NULL,
        practitioner TEXT NOT NULL,
        part_2 INTEGER NOT NULL,
        opened_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
)
