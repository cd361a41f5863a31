"""Manifest of the records module: record entries, access entries, consent cells."""

from __future__ import annotations

from functools import partial

from careledger.domains.records.chain import handlers, keeper, messages
from careledger.domains.records.chain.errors import RECORDS_CODES
from careledger.domains.records.chain.genesis import export_genesis, import_genesis
from careledger.domains.records.chain.invariants import INVARIANTS
from careledger.domains.records.chain.queries import QUERIES
from careledger.domains.records.chain.types import Organisations, RecordsParameters
from careledger.sdk.module import Module, bind


def build(organisations: Organisations, parameters: RecordsParameters) -> Module:
    """Version 1 of the module, with what it needs from identity and from governance."""
    return Module(
        name="records",
        number=keeper.MODULE_NUMBER,
        version=1,
        codes=RECORDS_CODES,
        handlers=(
            bind(messages.CommitRecords, partial(handlers.commit_records, organisations)),
            bind(messages.CommitAccess, partial(handlers.commit_access, organisations)),
            bind(messages.CreateCells, partial(handlers.create_cells, organisations)),
            bind(messages.UpdateCell, handlers.update_cell),
            bind(messages.StartRecovery, partial(handlers.start_recovery, parameters)),
            bind(messages.CompleteRecovery, handlers.complete_recovery),
        ),
        export_genesis=export_genesis,
        import_genesis=import_genesis,
        queries=QUERIES,
        invariants=INVARIANTS,
    )
