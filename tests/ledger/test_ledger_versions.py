"""Module versions by activation height: both run in one release, and state migrates a bounded part per block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from careledger.domains.governance.chain.types import DEFAULT_LIMITS, Limits
from careledger.ledger.application import Application
from careledger.ledger.genesis import GenesisDocument, ModuleGenesis, write_genesis
from careledger.ledger.meta import TABLES
from careledger.ledger.migration import APPLIED_VERSIONS
from careledger.ledger.port import FinalizeBlockRequest, InitChainRequest
from careledger.ledger.verification import CachingVerifier
from careledger.primitives.errors import Category, CodeSpace
from careledger.sdk.collections import RawMap, u32_key
from careledger.sdk.context import Context, StateReader, StateStore
from careledger.sdk.messages import Message
from careledger.sdk.module import Module, ValidatorUpdate, bind
from careledger.state.rebuild import open_tree
from careledger.state.store import Tables, TableView
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile
from kit.ledgers import CHAIN_ID, START_MS, signed

CODES = CodeSpace("toy", 200)
CODES.define(1, "NEVER", Category.INVALID, "Never.")
ITEMS: RawMap[int] = RawMap(200, 1, "toy.items", u32_key)
KEYS = 25_000
ACTIVATION = 3


class Touch(Message, frozen=True):
    number: int


def touch(version: int) -> Any:
    def handle(context: Context, message: Touch) -> bytes:
        ITEMS.set(context.store, message.number, bytes([version]))
        return bytes([version])

    return handle


def import_items(store: StateStore, state: dict[str, int]) -> None:
    store.set_many((ITEMS.key(number), b"\x01") for number in range(state["keys"]))


def migrate(store: StateStore, cursor: bytes, keys_max: int) -> bytes | None:
    rows = []
    for key, _ in store.scan(cursor or ITEMS.prefix, b"\xc8\x02"):
        rows.append(key)
        if len(rows) > keys_max:
            break
    store.set_many((key, b"\x02") for key in rows[:keys_max])
    return rows[keys_max] if len(rows) > keys_max else None


def module(version: int) -> Module:
    return Module(
        name="toy",
        number=200,
        version=version,
        codes=CODES,
        handlers=(bind(Touch, touch(version)),),
        export_genesis=lambda _: {"keys": 0},
        import_genesis=import_items,
        migrate=migrate if version > 1 else None,
    )


class Schedule:
    """Version 2 from a height on."""

    def active_versions(self, store: StateReader, height: int) -> Mapping[str, int]:
        del store
        return {"toy": 2 if height >= ACTIVATION else 1}

    def limits(self, store: StateReader) -> Limits:
        del store
        return DEFAULT_LIMITS

    def validators(self, store: StateReader) -> tuple[ValidatorUpdate, ...]:
        del store
        return ()


def open_application(tables: Tables, nodes: NodeFile, *versions: int) -> Application:
    with tables.snapshot() as reader:
        tree = open_tree(reader, nodes)
    return Application(
        tables=tables,
        tree=tree,
        modules=[module(version) for version in versions],
        governance=Schedule(),
        verifier=CachingVerifier(),
    )


def started(*versions: int) -> tuple[Tables, NodeFile, Application]:
    tables, nodes = MemoryTables(TABLES), NodeFile.in_memory(buckets_log2=8)
    application = open_application(tables, nodes, *versions)
    document = GenesisDocument(CHAIN_ID, START_MS, 8, (ModuleGenesis("toy", 1, {"keys": KEYS}),), {})
    application.init_chain(
        InitChainRequest(
            chain_id=CHAIN_ID,
            time_ms=START_MS,
            initial_height=1,
            validators=(),
            app_state=write_genesis(document),
        )
    )
    return tables, nodes, application


def block(application: Application) -> bytes:
    height = application.position.height + 1
    raw = signed(Touch(KEYS + height), "hospital-a", module="toy")
    response = application.finalize_block(
        FinalizeBlockRequest(height=height, time_ms=START_MS + height * 1_000, txs=(raw,))
    )
    application.commit()
    return response.tx_results[0].data


def view(tables: Tables) -> list[int]:
    with tables.snapshot() as reader:
        values = [value for _, value in ITEMS.scan_raw(TableView(reader))]
    return [sum(value == bytes([version]) for value in values) for version in (1, 2)]


def test_each_version_runs_at_its_heights_and_migration_is_bounded() -> None:
    tables, _, application = started(1, 2)
    assert [block(application) for _ in range(6)] == [b"\x01", b"\x01", b"\x02", b"\x02", b"\x02", b"\x02"]
    old, new = view(tables)
    assert old == 0
    assert new == KEYS + 6
    with tables.snapshot() as reader:
        applied = APPLIED_VERSIONS.get(TableView(reader), "toy")
    assert applied is not None
    assert (applied.version, applied.cursor) == (2, None)


def test_at_most_ten_thousand_keys_move_in_one_block_and_a_restart_goes_on() -> None:
    tables, nodes, application = started(1, 2)
    block(application)
    block(application)
    counts = []
    for _ in range(3):
        block(application)
        counts.append(view(tables)[0])
        application = open_application(tables, nodes, 1, 2)
    assert counts == [KEYS + 2 - 10_000, KEYS + 2 - 20_000, 0]


def test_a_release_without_the_active_version_does_not_go_on() -> None:
    tables, nodes, application = started(1, 2)
    block(application)
    block(application)
    with pytest.raises(LookupError, match="no version 2 of module toy"):
        open_application(tables, nodes, 1)
    assert open_application(tables, nodes, 1, 2).position == application.position
