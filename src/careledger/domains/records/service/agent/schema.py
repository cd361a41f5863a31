"""Tables of the custodial agent, in its site's database. Wallets themselves are in the keystore."""

from __future__ import annotations

from typing import Final

COMPONENT: Final = "records.agent"

MIGRATIONS: Final = (
    """
    CREATE TABLE agent_cell (
        cell BLOB NOT NULL PRIMARY KEY,
        wallet TEXT NOT NULL,          -- name of the wallet: the patient's id at this site
        custodian INTEGER NOT NULL,    -- organisation whose cell it is
        opening BLOB                   -- of the version that stands; NULL before the first update
    ) WITHOUT ROWID;
    -- one cell for each: a wallet's keys follow from the custodian, so two cells would share their tags
    CREATE UNIQUE INDEX agent_cell_wallet ON agent_cell (wallet, custodian);
    CREATE TABLE agent_update (
        cell BLOB NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,      -- that the update makes
        opening BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE agent_task (
        cell BLOB NOT NULL PRIMARY KEY,
        ended BLOB NOT NULL,           -- names of grants that end, 32 bytes each
        compartments BLOB NOT NULL,    -- compartments whose epoch ends, 1 byte each
        is_all INTEGER NOT NULL        -- whether everything is stopped
    ) WITHOUT ROWID;
    CREATE TABLE agent_code (
        digest BLOB NOT NULL PRIMARY KEY,
        wallet TEXT NOT NULL,
        expires_ms INTEGER NOT NULL,
        custodian INTEGER NOT NULL,    -- 0 until it was redeemed
        contents BLOB                  -- of the cell made for it
    ) WITHOUT ROWID;
    CREATE TABLE agent_notice (
        row INTEGER PRIMARY KEY,
        wallet TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        source INTEGER NOT NULL,       -- organisation that gave it
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        notice_id BLOB NOT NULL UNIQUE,
        read_ms INTEGER NOT NULL       -- 0 until it was read
    );
    CREATE INDEX agent_notice_wallet ON agent_notice (wallet, row);
    CREATE TABLE agent_ended_delegation (
        wallet TEXT NOT NULL,
        nonce BLOB NOT NULL,
        PRIMARY KEY (wallet, nonce)
    ) WITHOUT ROWID;
    CREATE TABLE agent_replacement (
        cell BLOB NOT NULL PRIMARY KEY,
        ready_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
)
