"""`careledger backup` and `careledger restore`: a whole network folder, while it runs, and into a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from careledger.cli import local, options
from careledger.cli.output import show_json, show_lines


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup", short_help="Back a network folder up while it runs.")(backup)
    app.command("restore", short_help="Restore a backup into a new folder.")(restore)


def backup(
    network: options.Network = options.HERE,
    site: Annotated[
        list[str] | None,
        typer.Option("--site", help="Back up only these organisations' sites, not the ledger."),
    ] = None,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Back up into the folders `backups` and `escrow` of the network folder; it may run meanwhile.

    Copy both away, to different media: the backup does not open without its escrow, and an erasure changes the
    escrow, so that nothing erased opens from any earlier copy.
    """
    from careledger.site.network_backup import ESCROW_FOLDER, back_up

    config = local.open_network(network)
    for slug in site or ():
        config.site(slug)
    done: list[str] = []
    folder = back_up(config, local.passphrase_of(config), only=site, say=_say(done, as_json=as_json))
    if as_json:
        show_json({"backup": str(folder), "escrow": str(config.root / ESCROW_FOLDER), "parts": done})
    else:
        show_lines([f"backup in {folder}, escrow in {config.root / ESCROW_FOLDER}: keep them apart"])


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder `backups` of a network.")],
    escrow: Annotated[Path, typer.Option(help="Folder `escrow` of that network, in its newest state.")],
    into: Annotated[Path, typer.Option(help="New network folder; must not hold anything yet.")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Restore a network folder. Search index and stream positions are made anew when it is served.

    What was committed after the backup is on other replicas only; an embedded ledger has none, so witnesses will
    refuse a history that is shorter than what they cosigned.
    """
    from careledger.site.config import read_passphrase
    from careledger.site.network_backup import restore as restore_network

    passphrase = read_passphrase(local.read_settings(), into)
    done: list[str] = []
    config = restore_network(folder, escrow, into, passphrase, say=_say(done, as_json=as_json))
    if as_json:
        show_json({"network": str(config.root), "chain_id": config.chain_id, "parts": done})
    else:
        show_lines([f"restored {config.chain_id} into {config.root}; check it with `careledger doctor`"])


def _say(done: list[str], *, as_json: bool) -> local.Say:
    def say(text: str) -> None:
        done.append(text)
        if not as_json:
            show_lines([text])

    return say
