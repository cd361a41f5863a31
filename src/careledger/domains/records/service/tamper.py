"""The tamper scan: every stored version against what the ledger holds, naming what differs and where.

Reads each entry of each stream, unseals it, computes its commitment anew and compares it with the database and
with the ledger. Says nothing about whether a record is true, nor whether something was left unrecorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.package import PackageBroken, build_leaf, decode_package
from careledger.domains.records.service.rows import fetch_all, fetch_value
from careledger.domains.records.service.schema import (
    COMMITTED,
    ENTRY_MANIFEST,
    ENTRY_RECORD,
    ENTRY_TAKEN,
    ENTRY_VOID,
)
from careledger.domains.records.service.store import RecordStore, StreamKeys
from careledger.domains.records.service.versions import seal_context
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import Commitment
from careledger.vault.errors import VaultError
from careledger.vault.leaves import leaf_commitment
from careledger.vault.sealing import open_sealed
from careledger.vault.streams import manifest_commitment, tag, void_commitment
from careledger.vault.wrapping import WrapContext, unwrap_record_key

_PAGE: Final = 500
_ROWS: Final = (
    "SELECT entry.row, stream, position, entry.kind, commitment, type, id, version, sealed, secret, "
    "coalesce(batch.state, 0), coalesce(batch.height, 0) "
    "FROM entry LEFT JOIN batch ON batch.row = entry.batch WHERE entry.row > ? ORDER BY entry.row LIMIT ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it must be."""

    organisation: str
    """The site."""
    resource: str
    """Type, id and version, or the stream's position where there is no resource."""
    height: int
    """Block that carries its commitment; 0 where there is none."""
    problem: str
    """Plain sentence."""


Progress = Callable[[int, int], None]
"""Told how many entries of how many are done."""


def scan(site: SiteContext, progress: Progress | None = None) -> Iterator[Finding]:
    """Check every entry; yields what is wrong as it is found."""
    store = RecordStore(site)
    with site.database.snapshot() as connection:
        total = fetch_value(connection, "SELECT count(*) FROM entry")
    last, done = 0, 0
    while True:
        with site.database.snapshot() as connection:
            rows = fetch_all(connection, _ROWS, (last, _PAGE))
        if not rows:
            break
        for row in rows:
            yield from _check(site, store, row)
        last = rows[-1][0]
        done += len(rows)
        if progress is not None:
            progress(done, total)
    yield from _find_gaps(site)


def _check(site: SiteContext, store: RecordStore, row: tuple[Any, ...]) -> Iterator[Finding]:
    _, stream, position, kind, commitment, rtype, rid, version, sealed, secret, state, height = row
    name = (
        f"{rtype}/{rid} version {version}" if kind == ENTRY_RECORD else f"stream {stream} position {position}"
    )

    def finding(problem: str) -> Finding:
        return Finding(organisation=site.slug, resource=name, height=height, problem=problem)

    try:
        keys = store.stream_keys(stream)
    except Rejected:
        return  # erased: nothing is left that could be altered
    of = tag(keys.index_key, position)
    if kind == ENTRY_TAKEN:
        yield finding("The position holds a commitment that this site's database does not know.")
        return
    if kind == ENTRY_RECORD and sealed is not None:
        problem = _check_record(site, keys, position, (commitment, rtype, rid, version, sealed, secret))
        if problem:
            yield finding(problem)
    elif kind == ENTRY_MANIFEST and manifest_commitment(of, secret, sealed) != commitment:
        yield finding("The manifest is not the one that was committed to.")
    elif kind == ENTRY_VOID and void_commitment(of, secret) != commitment:
        yield finding("The void position is not the one that was committed to.")
    if state == COMMITTED:
        with site.view.at_head() as view:
            entry = keeper.record_entry(view.store, site.organisation, of)
        if entry is None:
            yield finding("The ledger has no entry for a record that is marked as committed.")
        elif entry.commitment != commitment:
            yield finding("The ledger holds another commitment than the database.")


def _check_record(site: SiteContext, keys: StreamKeys, position: int, row: tuple[Any, ...]) -> str:
    commitment, rtype, rid, version, sealed, wrapped = row
    context = WrapContext(rid.encode(), version, keys.compartment.label, keys.epoch, Commitment(commitment))
    try:
        key = unwrap_record_key(wrapped, keys.compartment_key, context)
    except VaultError:
        return "The record's key, name or commitment was altered in the database."
    try:
        plaintext = open_sealed(sealed, key, context=seal_context(site, rtype, rid, version))
        package = decode_package(plaintext)
    except (VaultError, PackageBroken):
        return "The record's stored bytes were altered."
    leaf = build_leaf(tag(keys.index_key, position), rtype, sealed, plaintext, package)
    if leaf_commitment(leaf) != commitment:
        return "The record is not the one that was committed to."
    return ""


def _find_gaps(site: SiteContext) -> Iterator[Finding]:
    query = (
        "SELECT stream.row, stream.next_position, count(entry.row), coalesce(max(entry.position), -1) "
        "FROM stream LEFT JOIN entry ON entry.stream = stream.row GROUP BY stream.row"
    )
    with site.database.snapshot() as connection:
        rows = fetch_all(connection, query)
    for stream, next_position, count, last in rows:
        if count != next_position or last != next_position - 1:
            yield Finding(
                organisation=site.slug,
                resource=f"stream {stream}",
                height=0,
                problem=f"The stream has {count} entries where {next_position} positions were given out.",
            )
