"""A site's stores opened from outside its own process: for examination and for backups.

Nothing runs: no write path, no port. The process that serves the site may be running meanwhile; it stays the only
one that writes records.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from careledger.consensus.client import LedgerClient
from careledger.domains.records.service.context import SiteContext
from careledger.ledger.view import LedgerView
from careledger.primitives.identifiers import ChainID, OrganisationID
from careledger.site.config import NetworkConfig, SiteEntry
from careledger.site.ledger_process import LedgerPaths, clock_ms
from careledger.site.setup import DATABASE_KEY, LEDGER_KEY, RECORDS_KEY
from careledger.storage.sqlite import Database
from careledger.vault.keys import SigningSeed
from careledger.vault.keystore import Keystore

SITE_DATABASE: Final = "site.db"
SITE_KEYSTORE: Final = "keystore.db"


def has_stores(config: NetworkConfig, entry: SiteEntry) -> bool:
    """Whether the site was ever opened, so that there is a database."""
    return (config.site_root(entry.slug) / SITE_DATABASE).exists()


@contextmanager
def opened_site(
    config: NetworkConfig, entry: SiteEntry, passphrase: str, view: LedgerView
) -> Iterator[SiteContext]:
    """A site's keystore and database, which must exist, closed at the end.

    Raises:
        VaultError: The keystore does not open.
        StorageFailed: The database does not open.
    """
    root = config.site_root(entry.slug)
    with ExitStack() as stack:
        keystore = stack.enter_context(Keystore.open(root / SITE_KEYSTORE, passphrase))
        database = Database(root / SITE_DATABASE, keystore.get(DATABASE_KEY))
        stack.callback(database.close)
        yield SiteContext(
            slug=entry.slug,
            organisation=OrganisationID(entry.organisation),
            chain_id=ChainID(config.chain_id),
            ledger_seed=SigningSeed(keystore.get(LEDGER_KEY)),
            records_seed=SigningSeed(keystore.get(RECORDS_KEY)),
            keystore=keystore,
            database=database,
            view=view,
            ledger=LedgerClient(LedgerPaths(config.ledger_root).socket),
            clock_ms=clock_ms,
        )
