"""`careledger demo`: makes a network in a folder of its own, tells the story on it, and keeps serving."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import uvloop
from rich.console import Console

from careledger.demo import sharing, story
from careledger.demo.cast import ORGANISATIONS, seat
from careledger.demo.stage import Stage, StoryBroken
from careledger.gateway.network import RunningNetwork, running_network
from careledger.site.config import NetworkConfig, Settings
from careledger.site.ledger_process import clock_ms
from careledger.site.setup import create_network, parse_organisation
from careledger.vault.passphrase import PassphraseParameters

FIRST_PORT = 8_400
CHAIN_ID = "careledger-demo"
_QUICK = PassphraseParameters(memory_kib=1_024, iterations=1, lanes=1)


def free_ports(first: int, count: int) -> int:
    """First of so many neighbouring ports that nobody listens on."""
    for start in range(first, first + 2_000, count):
        try:
            for port in range(start, start + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return start
    raise StoryBroken("no free ports on this machine")


async def tell(console: Console, scratch: Path, options: argparse.Namespace) -> None:
    """Run the network and tell the story; with `--once` that is all."""
    start = time.perf_counter()
    console.print("[bold]CareLedger[/bold]: one ledger, four organisations, and no person on it.")
    console.print("[dim]Making keys, an embedded ledger and four sites ...[/dim]")
    passphrase = secrets.token_urlsafe(24)
    first = free_ports(FIRST_PORT, len(ORGANISATIONS))
    config = create_network(
        scratch / "network",
        chain_id=CHAIN_ID,
        organisations=[parse_organisation(text, first + at) for at, text in enumerate(ORGANISATIONS)],
        passphrase=passphrase,
        genesis_time_ms=clock_ms() - 1_000,
        parameters=_QUICK,
    )
    settings = Settings.model_validate(
        {"heartbeat_ms": 1_000, "restricted_delay_ms_min": 200, "restricted_delay_ms_max": 600}
    )
    async with (
        running_network(config, settings, passphrase, allow_pause=True, witness_interval_ms=500) as network,
        httpx.AsyncClient() as client,
    ):
        stage = Stage(console)
        cast = story.Cast(network, client, passphrase)
        await story.load_population(stage, cast, seed=options.seed, count=options.patients)
        grants = await sharing.find_the_allergy(stage, cast)
        await sharing.reuse_a_result(stage, cast)
        await sharing.fill_the_form(stage, cast)
        await sharing.see_the_snoop_and_revoke(stage, cast, grants)
        await sharing.break_the_glass(stage, cast)
        await story.alter_one_byte(stage, cast)
        await story.erase_one_record(stage, cast, scratch)
        evidence = await story.verify_offline(stage, cast, scratch)
        await story.outage(stage, cast)
        stage.close()
        console.print(f"[dim]told in {time.perf_counter() - start:,.1f} s[/dim]")
        if not options.once:
            await _keep_serving(console, network, config, client, cast, evidence)


async def _keep_serving(
    console: Console,
    network: RunningNetwork,
    config: NetworkConfig,
    client: httpx.AsyncClient,
    cast: story.Cast,
    evidence: Path,
) -> None:
    desk = seat(network, "hospital-a", client, subject="you")
    patient = cast.patient_ids["hospital-a"]
    console.print("\n[bold]Now you.[/bold] The network keeps running until Ctrl-C.")
    for entry in config.sites:
        console.print(f"  {entry.slug:12} {network.site(entry.slug).url}")
    url = desk.site.url
    console.print(f"\n  export TOKEN={desk.token}", soft_wrap=True)
    for line in (
        f'curl -H "Authorization: Bearer $TOKEN" {url}/fhir/Patient/{patient}',
        f'curl -H "Authorization: Bearer $TOKEN" "{url}/fhir/Observation?patient={patient}&_sort=-date"',
        f'curl -H "Authorization: Bearer $TOKEN" "{url}/fhir/Patient/{patient}/\\$everything"',
        f"curl {url}/ledger/v1/status",
        f"curl {url}/ledger/v1/checkpoint",
        f"careledger verify {evidence} --trust {config.ledger_root / 'genesis.json'}",
    ):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    waits = [loop.create_task(told.wait()), loop.create_task(network.ledger.ended.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    console.print("stopping ...")


def run(arguments: Sequence[str]) -> int:
    """Run the demonstration; 0 if everything happened as told."""
    parser = argparse.ArgumentParser(prog="careledger demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="tell the story and exit")
    parser.add_argument("--seed", type=int, default=7, help="of the made-up population")
    parser.add_argument("--patients", type=int, default=24, help="besides the heroine")
    options = parser.parse_args(arguments)
    console = Console()
    scratch = Path(tempfile.mkdtemp(prefix="careledger-demo-"))
    try:
        uvloop.run(tell(console, scratch, options))
    except StoryBroken as error:
        console.print(f"[bold red]The story broke:[/bold red] {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0
