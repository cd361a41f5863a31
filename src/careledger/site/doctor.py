"""Examining an installation: its replica of the ledger, and every hosted organisation's site.

Puts together the pure checks of `careledger.ledger.doctor`, those of the files beside the tables, and the tamper
scan of each site. Reads only, and may run beside the processes that write. Repairs nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from careledger.domains.governance.chain import keeper as governance_keeper
from careledger.domains.records.service import tamper
from careledger.ledger.doctor import Check, Examined, examine, ledger_checks, read_position
from careledger.ledger.execution import select_active
from careledger.ledger.findings import Finding
from careledger.ledger.genesis import GenesisDocument, read_genesis
from careledger.ledger.meta import TABLES, Position
from careledger.ledger.trust import TrustInvalid, trust_of_genesis
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import InvariantViolated
from careledger.sdk.module import Module
from careledger.site.config import NetworkConfig, SiteEntry
from careledger.site.doctor_files import (
    check_cosigned,
    check_headers,
    check_nodes,
    check_witness_state,
    read_witness_state,
)
from careledger.site.ledger_process import LedgerPaths, clock_ms
from careledger.site.stores import has_stores, opened_site
from careledger.site.wiring import build_modules
from careledger.site.witness import STATE_FILE
from careledger.state.store import Reader, StorageFailed, TableView
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile
from careledger.vault.errors import VaultError

Progress = Callable[[str, int, int], None]
"""Told (check, done, of how many) where a check is long."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What to examine."""

    with_ledger: bool = True
    sites: tuple[str, ...] | None = None
    """Short names; None for all that are hosted, empty for none."""


class NotExaminable(Exception):  # noqa: N818 - what the operator is told
    """There is nothing that could be examined; the message says why."""


def examine_installation(
    config: NetworkConfig, passphrase: str | None, scope: Scope, progress: Progress | None = None
) -> Iterator[Examined]:
    """Run all checks in scope, one outcome after the other.

    Args:
        config: the network folder.
        passphrase: opens the sites' keystores; None leaves sites out.
        scope: what to examine.
        progress: told how far a long check is.

    Raises:
        NotExaminable: The replica's files cannot be opened.
    """
    paths = LedgerPaths(config.ledger_root)
    try:
        document = read_genesis(paths.genesis.read_bytes())
        tables = LmdbTables.open_read_only(paths.tables, tables=TABLES)
    except (OSError, ValueError, StorageFailed) as error:
        raise NotExaminable(f"the replica in {paths.root} cannot be opened: {error}") from None
    with contextlib.ExitStack() as stack:
        stack.callback(tables.close)
        if scope.with_ledger:
            yield from _examine_replica(config, paths, tables, document)
        # Only proofs need the nodes, and none are made here.
        nodes = NodeFile.in_memory(buckets_log2=document.buckets_log2)
        stack.callback(nodes.close)
        view = LedgerView(tables, nodes, clock_ms=clock_ms, wait=lambda: None)
        for entry in config.sites:
            if passphrase is not None and (scope.sites is None or entry.slug in scope.sites):
                yield from examine([_site_check(config, entry, passphrase, view, progress)])


def _open_nodes(paths: LedgerPaths, buckets_log2: int) -> NodeFile | None:
    try:
        return NodeFile.open_read_only(paths.nodes, buckets_log2=buckets_log2)
    except StorageFailed:
        return None


def _examine_replica(
    config: NetworkConfig, paths: LedgerPaths, tables: LmdbTables, document: GenesisDocument
) -> Iterator[Examined]:
    witnesses = {
        entry.slug: read_witness_state(config.site_root(entry.slug) / STATE_FILE)
        for entry in config.sites
        if (config.site_root(entry.slug) / STATE_FILE).exists()
    }
    with tables.snapshot() as reader:
        try:
            position = read_position(reader)
            checks = ledger_checks(reader, _active_modules(reader, position))
        except (InvariantViolated, LookupError) as error:
            finding = Finding("replica", f"The replica cannot be read: {error}")
            yield Examined("position", "the replica can be read", (finding,))
            return
        yield from examine([*checks, *_file_checks(reader, position, document)])
        for slug, state in witnesses.items():
            run = partial(check_witness_state, reader, state, slug)
            title = f"what {slug} agreed to as a witness is in the history"
            yield from examine([Check(f"witness.{slug}", title, run)])
    nodes = partial(check_nodes, tables, partial(_open_nodes, paths, document.buckets_log2))
    yield from examine([Check("nodes", "the tree's file is that of its buckets", nodes)])


def _active_modules(reader: Reader, position: Position) -> Sequence[Module]:
    versions = governance_keeper.active_versions(TableView(reader), position.height)
    available = {(module.name, module.version): module for module in build_modules()}
    return select_active(available, versions).modules


def _file_checks(reader: Reader, position: Position, document: GenesisDocument) -> list[Check]:
    checks = [Check("cosigned", "what witnesses cosigned is in the history", partial(check_cosigned, reader))]
    with contextlib.suppress(TrustInvalid):
        sequencer = trust_of_genesis(document).sequencer
        if sequencer:  # else the engine's own headers, of which its light client judges
            now = [each.public_key for each in governance_keeper.validator_set(TableView(reader))]
            run = partial(check_headers, reader, position, frozenset([sequencer, *now]))
            title = "headers are signed, follow each other, and name their blocks"
            checks.insert(0, Check("headers", title, run))
    return checks


def _site_check(
    config: NetworkConfig, entry: SiteEntry, passphrase: str, view: LedgerView, progress: Progress | None
) -> Check:
    name = f"site.{entry.slug}"

    def run() -> Iterator[Finding]:
        if not has_stores(config, entry):
            return
        try:
            yield from _scan_site(config, entry, passphrase, view, partial(_told, progress, name))
        except (StorageFailed, VaultError) as error:
            yield Finding("site", f"The stores cannot be read: {error}", organisation=entry.slug)

    return Check(name, f"streams, records and commitments of {entry.slug} agree with the ledger", run)


def _told(progress: Progress | None, name: str, done: int, total: int) -> None:
    if progress is not None:
        progress(name, done, total)


def _scan_site(
    config: NetworkConfig,
    entry: SiteEntry,
    passphrase: str,
    view: LedgerView,
    progress: tamper.Progress,
) -> Iterator[Finding]:
    with opened_site(config, entry, passphrase, view) as context:
        for found in tamper.scan(context, progress):
            height = found.height or None
            yield Finding(found.resource, found.problem, height, found.organisation)
