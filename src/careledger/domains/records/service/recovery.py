"""What a site does before it takes writes: finish erasures, and after a restore, find its place again.

The index is in no backup, so after a restore it is made anew from the versions that open. Positions that the
ledger knows and the restored database does not are marked as taken, so that no position is ever used twice.
"""

from __future__ import annotations

from typing import Final

from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.domains.records.service.package import Method
from careledger.domains.records.service.repair import FindEntry, rederive_positions
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.schema import ENTRY_RECORD
from careledger.domains.records.service.store import RecordStore
from careledger.domains.records.service.streams import Registry
from careledger.standards.fhir.json_reader import read_resource
from careledger.storage.sqlite import Connection

RESTORED: Final = "restored"
_PAGE: Final = 500
_CURRENT: Final = (
    "SELECT type, id, max(version) FROM entry WHERE "
    f"kind = {ENTRY_RECORD} GROUP BY type, id ORDER BY min(row) LIMIT ? OFFSET ?"
)


def is_marked(connection: Connection, name: str) -> bool:
    """Whether something is still to be done after a restore."""
    return fetch_one(connection, "SELECT 1 FROM mark WHERE name = ?", (name,)) is not None


def find_place_again(
    site: SiteContext, registry: Registry, index: Index, find: FindEntry
) -> list[tuple[int, int]]:
    """After a restore: positions from the ledger, index from the versions; returns positions found taken."""
    with site.database.immediate() as connection:
        found = rederive_positions(connection, registry, find)
    rebuild_index(site, index)
    with site.database.immediate() as connection:
        connection.execute("DELETE FROM mark WHERE name = ?", (RESTORED,))
    return found


def rebuild_index(site: SiteContext, index: Index) -> int:
    """Make the index anew from the current versions; returns how many resources it has."""
    store = RecordStore(site)
    with site.database.immediate():
        index.reset()
    offset = count = 0
    while True:
        with site.database.snapshot() as connection:
            page = fetch_all(connection, _CURRENT, (_PAGE, offset))
        if not page:
            return count
        items: list[IndexedResource] = []
        for stored in store.read_versions([(row[0], row[1], row[2]) for row in page]):
            if stored.sealed is None or stored.wrapped is None:
                continue
            package = store.open(stored)
            if package.method is Method.DELETE:
                continue
            items.append(
                IndexedResource(
                    resource_type=stored.resource_type,
                    resource_id=stored.resource_id,
                    version=stored.version,
                    last_updated_ms=stored.updated_ms,
                    value=read_resource(package.served),
                    labels=Compartment(package.compartment).bit,
                )
            )
        with site.database.immediate():
            index.put_many(items)
        offset += len(page)
        count += len(items)
