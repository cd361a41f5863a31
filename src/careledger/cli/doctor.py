"""`careledger doctor`: examines a network folder and names what is wrong, and where."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from careledger.cli import local, options
from careledger.cli.exits import Exit
from careledger.cli.output import show_json, show_lines

if TYPE_CHECKING:
    from careledger.ledger.doctor import Examined


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", short_help="Examine a network folder; name what is wrong.")(doctor)


def doctor(
    network: options.Network = options.HERE,
    site: Annotated[
        list[str] | None, typer.Option("--site", help="Examine only these organisations' sites.")
    ] = None,
    *,
    ledger_only: Annotated[
        bool, typer.Option("--ledger-only", help="Examine no site; asks no passphrase.")
    ] = False,
    sites_only: Annotated[bool, typer.Option("--sites-only", help="Do not examine the replica.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Examine the replica and every hosted site; may run beside the processes that write. Repairs nothing.

    Rebuilds the state root from the values, follows history, receipts, headers and signatures, runs every module's
    invariants, compares what witnesses signed, and checks every stored record against its commitment on the ledger.

    Exit codes: 0 nothing is wrong, 1 something is, 2 there is nothing that could be examined.
    """
    from careledger.site.doctor import Scope, examine_installation

    config = local.open_network(network)
    for slug in site or ():
        config.site(slug)
    scope = Scope(with_ledger=not sites_only, sites=() if ledger_only else tuple(site) if site else None)
    passphrase = None if ledger_only else local.passphrase_of(config)
    done: list[Examined] = []
    for examined in examine_installation(
        config, passphrase, scope, _progress if sys.stderr.isatty() else None
    ):
        done.append(examined)
        if not as_json:
            show_lines(_lines(examined))
    is_sound = all(examined.is_sound for examined in done)
    if as_json:
        show_json(_document(done, is_sound=is_sound))
    else:
        count = sum(len(examined.findings) for examined in done)
        show_lines(["", "Nothing is wrong." if is_sound else f"Found {count}; see above."])
    raise typer.Exit(Exit.OK if is_sound else Exit.FAILED)


def _progress(name: str, done: int, total: int) -> None:
    print(f"\r{name}: {done:,} of {total:,}", end="\n" if done >= total else "", file=sys.stderr)


def _lines(examined: Examined) -> list[str]:
    mark = "ok   " if examined.is_sound else "WRONG"
    return [f"{mark}  {examined.title}", *(f"         {finding}" for finding in examined.findings)]


def _document(done: list[Examined], *, is_sound: bool) -> dict[str, object]:
    return {
        "sound": is_sound,
        "checks": [
            {
                "check": examined.name,
                "title": examined.title,
                "sound": examined.is_sound,
                "findings": [
                    {
                        "where": finding.where,
                        "organisation": finding.organisation or None,
                        "height": finding.height,
                        "problem": finding.problem,
                    }
                    for finding in examined.findings
                ],
            }
            for examined in done
        ],
    }
