"""Tables of the search index, and the numbers that stand for types and parameters in them.

Owns every table whose name starts with `idx_`. Nothing else writes them, and all SQL that creates them is here.

Built for growth: an index row is three small integers, because texts are interned once. A reference is stored as
the number of the resource it leads to, so that a chain is a join of integers; and since numbers ascend in the
order of writing, new rows go to the ends of a few ranges of pages instead of to random pages.

Rows of a version are never changed. A new version gets a new row number, and the old version's rows stay until
`purge`, marked with the row number that ended it. So a search that was begun at row number S can be continued
page by page on exactly the state it was begun on, while others write.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from careledger.standards.fhir.search.elements import resource_types

COMPONENT: Final = "records.index"
"""Name under which the migrations are recorded (`careledger.storage.sqlite.Database.migrate`)."""

LIVE: Final = 0
"""State of a resource that can be found."""
DELETED: Final = 1
"""State of a resource that was deleted; known to `lookup` alone."""
STUB: Final = 2
"""State of a resource that others refer to and that never was."""

NO_PATIENT: Final = 0
"""Value of `patient` for a resource in no patient's compartment."""
SEVERAL_PATIENTS: Final = -1
"""Value of `patient` for a resource in several compartments, which `idx_compartment` names."""

EVERY_LABEL: Final = 1 << 62
"""A label bit that every resource has, so that one mask can deny all."""
LABEL_BITS: Final = 62
"""Label bits that callers may use, from bit 0."""

VALUE: Final = 0
"""Aspect of a parameter: tokens, strings, and references to resources of this server."""
URI: Final = 1
"""Aspect: URIs, and references that lead elsewhere."""
LOGICAL: Final = 2
"""Aspect: identifiers of references."""
TYPED: Final = 3
"""Aspect: identifiers under their types."""
ASPECTS: Final = 4

MIGRATIONS: Final = (
    """
    CREATE TABLE idx_counter (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        definitions TEXT NOT NULL,   -- digest of the search parameters the rows were made with
        row INTEGER NOT NULL,        -- last row number given
        token INTEGER NOT NULL,      -- last token id given
        text INTEGER NOT NULL,       -- last text id given
        purged INTEGER NOT NULL,     -- greatest `ended` whose rows are gone: no page link from before it
        erasures INTEGER NOT NULL    -- how often numbers were taken back, so that caches elsewhere are dropped
    );

    CREATE TABLE idx_writer (
        nonce BLOB NOT NULL PRIMARY KEY,  -- one process's writer
        writes INTEGER NOT NULL           -- how often it wrote: tells it whether its last write was kept
    ) WITHOUT ROWID;

    CREATE TABLE idx_resource (
        row INTEGER PRIMARY KEY,     -- one per version indexed, ascending in the order of writing
        entity INTEGER NOT NULL,     -- the resource, whatever its version: the row number of its first row
        type INTEGER NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        labels INTEGER NOT NULL,     -- bits of its sensitivity, and EVERY_LABEL
        patient INTEGER NOT NULL,    -- entity of the patient in whose compartment it is, or NO_, SEVERAL_
        present INTEGER NOT NULL,    -- bit per parameter slot: it has a value
        state INTEGER NOT NULL,
        ended INTEGER NOT NULL,      -- row number that replaced it, 0 while it is current
        ended_ms INTEGER NOT NULL    -- when that was
    );
    CREATE UNIQUE INDEX idx_resource_id ON idx_resource (type, id, ended);
    CREATE UNIQUE INDEX idx_resource_entity ON idx_resource (entity, ended);
    CREATE INDEX idx_resource_type ON idx_resource (type, updated_ms);
    CREATE INDEX idx_resource_patient ON idx_resource (patient, type) WHERE patient <> 0;
    CREATE INDEX idx_resource_ended ON idx_resource (ended_ms) WHERE ended <> 0;

    CREATE TABLE idx_compartment (
        row INTEGER NOT NULL,
        patient INTEGER NOT NULL,
        PRIMARY KEY (row, patient)
    ) WITHOUT ROWID;
    CREATE INDEX idx_compartment_patient ON idx_compartment (patient, row);

    CREATE TABLE idx_fact (
        row INTEGER NOT NULL,
        param INTEGER NOT NULL,
        value INTEGER NOT NULL,      -- token, text or entity, as the parameter has it
        PRIMARY KEY (row, param, value)
    ) WITHOUT ROWID;
    CREATE INDEX idx_hit ON idx_fact (param, value, row);

    CREATE TABLE idx_date (
        row INTEGER NOT NULL,
        param INTEGER NOT NULL,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        PRIMARY KEY (row, param, first_ms, last_ms)
    ) WITHOUT ROWID;
    CREATE INDEX idx_date_last ON idx_date (param, last_ms, first_ms);

    CREATE TABLE idx_several (
        param INTEGER PRIMARY KEY    -- date parameter of which some resource has, or once had, two values
    );

    CREATE TABLE idx_amount (
        row INTEGER NOT NULL,
        param INTEGER NOT NULL,
        low BLOB NOT NULL,           -- careledger.standards.fhir.search.amounts
        high BLOB NOT NULL,
        unit INTEGER NOT NULL,       -- text of code and system under UNITS, 0 for none
        printed INTEGER NOT NULL,    -- text of the printed unit under PRINTED_UNITS, 0 for none
        PRIMARY KEY (row, param, low, high, unit, printed)
    ) WITHOUT ROWID;

    CREATE TABLE idx_part (
        row INTEGER NOT NULL,
        param INTEGER NOT NULL,      -- of the composite
        element INTEGER NOT NULL,    -- tells the elements of one resource apart
        component INTEGER NOT NULL,  -- its number times ASPECTS plus the aspect
        value INTEGER NOT NULL,      -- as in idx_fact, or the unit as in idx_amount, or 0
        low NOT NULL,                -- as in idx_date or idx_amount, or 0
        high NOT NULL,
        printed INTEGER NOT NULL,
        PRIMARY KEY (row, param, element, component, value, low, high, printed)
    ) WITHOUT ROWID;

    CREATE TABLE idx_position (
        row INTEGER NOT NULL,
        param INTEGER NOT NULL,
        latitude_e7 INTEGER NOT NULL,
        longitude_e7 INTEGER NOT NULL,
        PRIMARY KEY (row, param, latitude_e7, longitude_e7)
    ) WITHOUT ROWID;
    CREATE INDEX idx_position_latitude ON idx_position (param, latitude_e7);

    CREATE TABLE idx_token (
        id INTEGER PRIMARY KEY,
        code TEXT NOT NULL,          -- empty for none
        system INTEGER NOT NULL,     -- text id of the system, 0 for none
        text TEXT NOT NULL           -- folded display, empty for none
    );
    CREATE UNIQUE INDEX idx_token_code ON idx_token (code, system, text);
    CREATE INDEX idx_token_system ON idx_token (system);
    CREATE INDEX idx_token_text ON idx_token (text) WHERE text <> '';

    CREATE TABLE idx_text (
        id INTEGER PRIMARY KEY,
        param INTEGER NOT NULL,      -- parameter and aspect it is a value of, or SYSTEMS, UNITS, PRINTED_UNITS
        folded TEXT NOT NULL,        -- as compared; for URIs, systems and units as written
        exact TEXT NOT NULL          -- as written; for UNITS the system; empty for URIs and sounds
    );
    CREATE UNIQUE INDEX idx_text_folded ON idx_text (param, folded, exact);
    """,
)
"""Migrations of the index's tables, in order."""

EXTRACTION: Final = "1"
"""Version of what extraction makes of the definitions; counts up with every change of rows."""

ROW_TABLES: Final = ("idx_compartment", "idx_fact", "idx_date", "idx_amount", "idx_part", "idx_position")
"""Tables whose rows belong to one row of `idx_resource` and go with it."""

_SLOT_BITS: Final = 64

SYSTEMS: Final = 0
"""`param` under which code systems are interned as texts."""
UNITS: Final = 1
"""`param` under which units are, code as folded text and system as exact text."""
PRINTED_UNITS: Final = 2
"""`param` under which printed units are."""


@cache
def type_numbers() -> dict[str, int]:
    """Return the number of every resource type, from 1 in the order of their names."""
    return {name: number for number, name in enumerate(resource_types(), start=1)}


@cache
def type_names() -> dict[int, str]:
    """Return the resource type of every number."""
    return {number: name for name, number in type_numbers().items()}


@cache
def param_number(resource_type: str, slot: int, aspect: int) -> int:
    """Return the number of one aspect of a resource type's parameter."""
    return (type_numbers()[resource_type] * _SLOT_BITS + slot) * ASPECTS + aspect


@cache
def definitions_digest() -> str:
    """Return a digest of everything that decides which rows a resource has.

    An index made under another digest must be built anew.
    """
    digest = hashlib.sha256(EXTRACTION.encode())
    for name in ("search_parameters.json", "structure.json"):
        digest.update(files("careledger.standards.fhir.tables").joinpath(name).read_bytes())
    return digest.hexdigest()
