"""`careledger init` and `careledger serve`: making a network folder, and running it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from careledger.cli import local, options
from careledger.cli.exits import Exit
from careledger.cli.failures import Refused
from careledger.cli.output import show_json, show_lines

if TYPE_CHECKING:
    from careledger.site.config import NetworkConfig

DEFAULT_ORGANISATIONS = [
    "hospital-a:hospital",
    "hospital-b:hospital",
    "practice:practice",
    "regulator:regulator",
]
FIRST_PORT = 8_440


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init", short_help="Make a network folder.")(init)
    app.command("serve", short_help="Run a network folder.")(serve)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must not hold anything yet.")],
    organisation: Annotated[
        list[str] | None,
        typer.Option(
            "--organisation",
            "-o",
            help="An organisation as slug:role, such as clinic-b:hospital; may be given again and again.",
            show_default=", ".join(DEFAULT_ORGANISATIONS),
        ),
    ] = None,
    chain_id: Annotated[str, typer.Option(help="Name of the ledger.")] = "careledger-1",
    first_port: Annotated[
        int, typer.Option(min=1, max=65_000, help="Port of the first gateway; the others follow.")
    ] = FIRST_PORT,
    buckets_log2: Annotated[
        int, typer.Option(min=4, max=24, help="Size of the state tree; smaller for trials.")
    ] = 20,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Make a network folder: keys, keystores, and the genesis that names the organisations.

    The keystores' passphrase is taken from CARELEDGER_PASSPHRASE_FILE or CARELEDGER_PASSPHRASE. Without one, a
    random passphrase is put into the folder itself, which protects a copied keystore but not a copied folder.
    """
    from careledger.primitives.identifiers import is_chain_id
    from careledger.site.ledger_process import LedgerPaths, clock_ms
    from careledger.site.setup import create_network, parse_organisation

    if not is_chain_id(chain_id):
        raise Refused("a chain id is 3 to 48 of a-z 0-9 - . and starts with a letter")
    plans = [
        parse_organisation(text, first_port + place)
        for place, text in enumerate(organisation or DEFAULT_ORGANISATIONS)
    ]
    passphrase, is_own = _passphrase()
    config = create_network(
        folder,
        chain_id=chain_id,
        organisations=plans,
        passphrase=passphrase,
        genesis_time_ms=clock_ms(),
        host=local.read_settings().host,
        buckets_log2=buckets_log2,
    )
    if is_own:
        _keep_passphrase(folder, passphrase)
    genesis = LedgerPaths(config.ledger_root).genesis
    if as_json:
        show_json(
            {
                "folder": str(folder),
                "chain_id": chain_id,
                "genesis": str(genesis),
                "passphrase_file": str(folder / "passphrase") if is_own else None,
                "sites": [
                    {
                        "slug": site.slug,
                        "organisation": site.organisation,
                        "role": site.role,
                        "port": site.port,
                    }
                    for site in config.sites
                ],
            }
        )
        return
    show_lines(_next_steps(config, genesis, is_own=is_own))


def _passphrase() -> tuple[str, bool]:
    """The passphrase to use, and whether it was made up here."""
    import secrets

    from careledger.site.config import ConfigurationInvalid, read_passphrase

    try:
        # A folder that has no passphrase file of its own: only the environment counts here.
        return read_passphrase(local.read_settings(), Path("/nowhere")), False
    except ConfigurationInvalid:
        return secrets.token_urlsafe(32), True


def _keep_passphrase(folder: Path, passphrase: str) -> None:
    import os

    descriptor = os.open(folder / "passphrase", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(passphrase + "\n")


def _next_steps(config: NetworkConfig, genesis: Path, *, is_own: bool) -> list[str]:
    lines = [f"made the network {config.chain_id} in {config.root}"]
    lines += [f"  {site.slug:<16} {site.role:<12} port {site.port}" for site in config.sites]
    if is_own:
        lines += [
            f"The keystores' passphrase is in {config.root / 'passphrase'}, since none was given. It protects a",
            "copied keystore, not a copied folder: for more than a trial set CARELEDGER_PASSPHRASE_FILE.",
        ]
    lines += [
        "Next:",
        f"  careledger serve --network {config.root}",
        f"  careledger verify EVIDENCE --trust {genesis}",
    ]
    return lines


def serve(network: options.Network = options.HERE, *, as_json: options.AsJson = False) -> None:
    """Run the ledger and every site of a network folder, until Ctrl-C or SIGTERM."""
    import uvloop

    config = local.open_network(network)
    raise typer.Exit(uvloop.run(_serve(config, as_json=as_json)))


async def _serve(config: NetworkConfig, *, as_json: bool) -> int:
    import signal

    from careledger.gateway.network import serve as serve_network

    settings = local.read_settings()
    passphrase = local.passphrase_of(config, settings)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    urls = {site.slug: f"http://{settings.host}:{site.port}" for site in config.sites}
    if as_json:
        show_json({"chain_id": config.chain_id, "sites": urls})
    else:
        show_lines([f"serving {config.chain_id}; Ctrl-C ends it"])
        show_lines(f"  {slug:<16} {url}" for slug, url in urls.items())
    code = await serve_network(config, settings, passphrase, until=told)
    if code:
        raise Refused("the ledger has ended by itself; its last words are above", Exit.UNAVAILABLE)
    return Exit.OK
