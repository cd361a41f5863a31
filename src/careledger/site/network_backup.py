"""Backing up a whole network folder while it runs, and restoring it into a new one.

    BACKUP/network.toml, genesis.json
    BACKUP/ledger/tables/        a consistent copy of the replica's tables
    BACKUP/ledger/keys.sealed    the sequencer's keystore, sealed under passphrase and escrow
    BACKUP/SLUG/                 one site: records.db, wraps.sealed, keys.sealed
    ESCROW/ledger.escrow, ESCROW/SLUG.escrow

The escrow folder belongs on another medium: an erasure changes it, and with it every earlier copy of the keys stops
opening. What a witness agreed to last is in no backup, because an old state could make it agree to a second
history; neither are the tree's file and the search index, which are made anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from careledger.domains.records.service.backup import (
    KEYS_FILE,
    RECORDS_FILE,
    BackupPlace,
    restore_stores,
    write_backup,
)
from careledger.ledger.genesis import read_genesis
from careledger.ledger.meta import TABLES
from careledger.site.config import (
    NETWORK_FILE,
    ConfigurationInvalid,
    NetworkConfig,
    read_network,
    write_network,
)
from careledger.site.ledger_process import LedgerPaths, open_replica
from careledger.site.runtime_ledger import opened_view
from careledger.site.setup import DATABASE_KEY
from careledger.site.stores import SITE_KEYSTORE, has_stores, opened_site
from careledger.storage.lmdb_tables import LmdbTables
from careledger.vault.backup import restore_key_backup, write_key_backup
from careledger.vault.escrow import create_escrow
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import DEFAULT_PARAMETERS, PassphraseParameters

BACKUP_FOLDER: Final = "backups"
ESCROW_FOLDER: Final = "escrow"
LEDGER_PART: Final = "ledger"
_TABLES: Final = "tables"
_ESCROW_SUFFIX: Final = ".escrow"

Say = Callable[[str], None]


def site_place(
    backup: Path,
    escrow: Path,
    slug: str,
    passphrase: str,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> BackupPlace:
    """Where one site's parts stand."""
    return BackupPlace(
        directory=backup / slug,
        escrow=escrow / f"{slug}{_ESCROW_SUFFIX}",
        passphrase=passphrase,
        parameters=parameters,
    )


def back_up(
    config: NetworkConfig,
    passphrase: str,
    *,
    only: Sequence[str] | None = None,
    say: Say = lambda _: None,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> Path:
    """Back a network folder up into its own folder `backups`, in place of an earlier backup there.

    A site's erasures reach the backups of this place, and of no other: copy them away, together with what is in
    `escrow`, rather than writing them elsewhere.

    Args:
        config: the folder.
        passphrase: opens the keystores, and will open the backup.
        only: short names of the sites to back up; None for the ledger and all sites.
        say: told what is done, in plain sentences.
        parameters: how expensive a guess of the passphrase is.

    Raises:
        VaultError, StorageFailed, OSError: A part could not be backed up; the earlier one stands.
    """
    backup, escrow = config.root / BACKUP_FOLDER, config.root / ESCROW_FOLDER
    for folder in (backup, escrow):
        folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(config.root / NETWORK_FILE, backup / NETWORK_FILE)
    paths = LedgerPaths(config.ledger_root)
    if only is None:
        _back_up_ledger(paths, backup / LEDGER_PART, escrow, passphrase, parameters)
        say("the ledger's tables and keys")
    with opened_view(paths) as view:
        for entry in config.sites:
            if only is not None and entry.slug not in only:
                continue
            place = site_place(backup, escrow, entry.slug, passphrase, parameters)
            if not has_stores(config, entry):
                _back_up_keys(config.site_root(entry.slug), place.directory, place.escrow, place)
                say(f"{entry.slug}: keys; it was never served")
                continue
            with opened_site(config, entry, passphrase, view) as site:
                count = write_backup(site, place, site.keystore.get(DATABASE_KEY))
            say(f"{entry.slug}: {count:,} entries")
    return backup


def _back_up_keys(root: Path, target: Path, escrow: Path, place: BackupPlace) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    if not escrow.exists():
        create_escrow(escrow)
    with Keystore.open(root / SITE_KEYSTORE, place.passphrase) as keystore:
        write_key_backup(keystore, target / KEYS_FILE, escrow, place.passphrase, parameters=place.parameters)


def _back_up_ledger(
    paths: LedgerPaths, target: Path, escrow: Path, passphrase: str, parameters: PassphraseParameters
) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(paths.genesis, target / paths.genesis.name)
    unfinished = target / f"{_TABLES}.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    tables = LmdbTables.open_read_only(paths.tables, tables=TABLES)
    try:
        tables.copy_to(unfinished)
    finally:
        tables.close()
    old = target / _TABLES
    if old.exists():
        shutil.rmtree(old)
    unfinished.rename(old)
    place = site_place(target.parent, escrow, LEDGER_PART, passphrase, parameters)
    _back_up_keys(paths.root, target, place.escrow, place)


def restore(
    backup: Path,
    escrow: Path,
    target: Path,
    passphrase: str,
    *,
    say: Say = lambda _: None,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> NetworkConfig:
    """Restore a backup into a new network folder.

    Hosted witnesses begin without a state: before they run again, somebody has to decide that the restored history
    is the one they agreed to.

    Raises:
        ConfigurationInvalid: The folder holds something, or the backup has no network.
        BackupSuperseded, BackupBroken, PassphraseWrong: Keys cannot be restored.
    """
    if target.exists() and any(target.iterdir()):
        raise ConfigurationInvalid(f"{target} is not empty")
    config = replace(read_network(backup), root=target)
    (target / LEDGER_PART).mkdir(parents=True, mode=0o700)
    source, paths = backup / LEDGER_PART, LedgerPaths(config.ledger_root)
    genesis = (source / paths.genesis.name).read_bytes()
    read_genesis(genesis)
    paths.genesis.write_bytes(genesis)
    shutil.copytree(source / _TABLES, paths.tables)
    _restore_keys(paths.root, site_place(backup, escrow, LEDGER_PART, passphrase, parameters))
    open_replica(paths).close()  # the tree's file is made from the tables
    say("the ledger's tables and keys")
    for entry in config.sites:
        place = site_place(backup, escrow, entry.slug, passphrase, parameters)
        if not place.directory.exists():
            say(f"{entry.slug}: not in this backup")
            continue
        root = config.site_root(entry.slug)
        if not (place.directory / RECORDS_FILE).exists():
            _restore_keys(root, place)
            say(f"{entry.slug}: keys; it was never served")
            continue
        count = restore_stores(place, root, database_key_name=DATABASE_KEY)
        say(f"{entry.slug}: {count:,} entries")
    write_network(config)
    return config


def _restore_keys(root: Path, place: BackupPlace) -> None:
    root.mkdir(parents=True, mode=0o700, exist_ok=True)
    with Keystore.create(root / SITE_KEYSTORE, place.passphrase, parameters=place.parameters) as keystore:
        restore_key_backup(place.directory / KEYS_FILE, place.escrow, place.passphrase, keystore)
