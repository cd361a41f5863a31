"""`careledger witness`: cosign a ledger's checkpoints, and look at what a witness has kept."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from careledger.cli import local, options
from careledger.cli.failures import Refused
from careledger.cli.output import show_json, show_lines, show_pairs
from careledger.cli.verify import read_trust_file

if TYPE_CHECKING:
    from careledger.ledger.trust import Trust
    from careledger.site.witness import CheckpointSource, Round
    from careledger.site.witness_state import WitnessState

app = typer.Typer(help="Witnesses: they cosign checkpoints and never agree to two stories of one ledger.")

Site = Annotated[str, typer.Option(help="Hosted organisation whose witness this is.")]
State = Annotated[
    Path | None,
    typer.Option(help="The witness's state file.", show_default="witness.state in the site's folder"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Who witnesses what, and where it is kept."""

    name: str
    trust: Trust
    seed: bytes
    state: Path


@app.command("run", short_help="Cosign checkpoints until Ctrl-C.")
def run(
    site: Site = "",
    url: Annotated[
        str, typer.Option(help="Gateway to follow; without it, the ledger of this network folder.")
    ] = "",
    trust: options.TrustFile = None,
    keystore: Annotated[
        Path | None, typer.Option(help="Keystore with the witness's key; with --name.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name under which it cosigns.", show_default="the site's")] = "",
    state: State = None,
    interval_s: Annotated[int, typer.Option(min=1, max=3_600, help="Seconds between rounds.")] = 10,
    network: options.Network = options.HERE,
    *,
    new: Annotated[
        bool, typer.Option("--new", help="Begin a state: this witness never cosigned this ledger before.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="One round, then end.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Cosign checkpoints until Ctrl-C: check, remember durably, only then sign and hand in.

    Ends with exit code 1 when the sequencer contradicts itself; the evidence is kept beside the state.
    """
    if keystore is not None:
        plan = _plan_elsewhere(keystore, name, trust, state)
    else:
        plan = _plan_of_site(network, site, trust, state)
    from careledger.site.witness_state import WitnessState

    make = WitnessState.create if new else WitnessState.open
    opened = make(plan.state, name=plan.name, chain_id=plan.trust.chain_id)
    with closing(opened):
        local.run(_witness(plan, opened, network, url, interval_s=interval_s, once=once, as_json=as_json))


def _plan_of_site(network: Path, site: str, trust: Path | None, state: Path | None) -> _Plan:
    from careledger.ledger.genesis import read_genesis
    from careledger.ledger.trust import trust_of_genesis
    from careledger.site.ledger_process import LedgerPaths
    from careledger.site.setup import WITNESS_KEY
    from careledger.site.witness import STATE_FILE

    if not site:
        raise Refused("name the witness with --site, or its keystore with --keystore and --name")
    config = local.open_network(network)
    if trust is None:
        pinned = trust_of_genesis(read_genesis(LedgerPaths(config.ledger_root).genesis.read_bytes()))
    else:
        pinned = read_trust_file(trust)
    seed = local.read_key(config, site, WITNESS_KEY)
    return _Plan(name=site, trust=pinned, seed=seed, state=state or config.site_root(site) / STATE_FILE)


def _plan_elsewhere(keystore: Path, name: str, trust: Path | None, state: Path | None) -> _Plan:
    from careledger.site.config import read_passphrase
    from careledger.site.runtime_ledger import read_seed
    from careledger.site.setup import WITNESS_KEY
    from careledger.site.witness import STATE_FILE

    if not name or trust is None:
        raise Refused("with --keystore, --name and --trust are needed too")
    passphrase = read_passphrase(local.read_settings(), keystore.parent)
    seed = read_seed(keystore, passphrase, WITNESS_KEY)
    return _Plan(
        name=name, trust=read_trust_file(trust), seed=seed, state=state or keystore.with_name(STATE_FILE)
    )


async def _witness(
    plan: _Plan, state: WitnessState, network: Path, url: str, *, interval_s: int, once: bool, as_json: bool
) -> None:
    import signal

    from careledger.site.ledger_process import clock_ms
    from careledger.site.witness import Witness, run_witness

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    problems: list[str] = []

    def report(done: Round) -> None:
        _show_round(done, as_json=as_json)
        if once:
            problems.append(done.problem)
            stop.set()

    async with AsyncExitStack() as stack:
        source = await _source(stack, network, url)
        witness = Witness(state, sequencer=plan.trust.sequencer, seed=plan.seed, clock_ms=clock_ms)
        await run_witness(witness, source, report=report, stop=stop, interval_ms=1_000 * interval_s)
    if any(problems):
        from careledger.cli.exits import Exit

        raise Refused(problems[0], Exit.FAILED)


async def _source(stack: AsyncExitStack, network: Path, url: str) -> CheckpointSource:
    from careledger.site.witness_sources import HttpSource, LocalSource, connect

    if url:
        return HttpSource(await stack.enter_async_context(connect(url)))
    view, client = stack.enter_context(local.open_ledger(local.open_network(network)))
    stack.push_async_callback(client.close)
    return LocalSource(client, view)


def _show_round(done: Round, *, as_json: bool) -> None:
    from careledger.primitives.timestamps import format_instant

    if done.agreed is None:
        if as_json:
            show_json({"cosigned": False, "problem": done.problem})
        else:
            show_lines([f"not cosigned: {done.problem}"])
        return
    agreed = done.agreed.checkpoint
    if as_json:
        show_json({"cosigned": True, "height": agreed.height, "size": agreed.size, "root": agreed.root.hex()})
    else:
        show_lines(
            [f"cosigned block {agreed.height} of {format_instant(agreed.time_ms)}, {agreed.size} leaves"]
        )


@app.command("show", short_help="What a witness agreed to last.")
def show(
    state: Annotated[Path, typer.Argument(help="The witness's state file.")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Show what a witness agreed to last."""
    from careledger.site.witness_state import peek_state

    name, chain_id, last = peek_state(state)
    document: dict[str, object] = {"name": name, "chain_id": chain_id}
    if last is not None:
        statement = last.checkpoint
        document |= {"height": statement.height, "size": statement.size, "root": statement.root.hex()}
    else:
        document["height"] = None
    if as_json:
        show_json(document)
    else:
        show_pairs(document)


@app.command("check", short_help="Check evidence of a contradiction.")
def check(
    file: Annotated[Path, typer.Argument(help="A split-view file that a witness has kept.")],
    trust: options.TrustFile = None,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Check evidence that a sequencer contradicted itself. Exit code 0 means that it did."""
    from careledger.ledger.split_view import FILE_BYTES_MAX, read_split_view, verify_split_view

    if trust is None:
        raise Refused("name the anchors that you trust with --trust")
    pinned = read_trust_file(trust)
    with file.open("rb") as opened:
        evidence = read_split_view(opened.read(FILE_BYTES_MAX + 1))
    found = verify_split_view(evidence, chain_id=pinned.chain_id, sequencer=pinned.sequencer)
    if as_json:
        show_json({"contradiction": found.name, "meaning": found.value, "chain_id": pinned.chain_id})
        return
    show_lines(
        [
            f"The sequencer of {pinned.chain_id} contradicted itself: it signed {found.value}.",
            "Both notes carry its signature; nobody else can have made them.",
        ]
    )
