"""The ledger of a running installation: its process as a child of this one, and the witnesses that live here.

Owns start, readiness and end of the ledger process, and one task for every hosted organisation that is a witness.
It does not run gateways. Whoever uses it watches `ended`: without its ledger an installation only charts on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from careledger.consensus.client import LedgerClient
from careledger.ledger.checkpoint import SignedCheckpoint, parse_note, verify_cosignatures
from careledger.ledger.genesis import read_genesis
from careledger.ledger.meta import TABLES
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.signing import public_key_of
from careledger.site.config import ConfigurationInvalid, NetworkConfig, Settings, SiteEntry
from careledger.site.ledger_process import (
    LedgerDidNotStart,
    LedgerHandle,
    LedgerOptions,
    LedgerPaths,
    clock_ms,
    start_ledger,
)
from careledger.site.ledger_reading import read_trust_in_force
from careledger.site.setup import SEQUENCER_KEY, WITNESS_KEY
from careledger.site.witness import INTERVAL_MS, STATE_FILE, Round, SplitViewFound, Witness, run_witness
from careledger.site.witness_sources import LocalSource
from careledger.site.witness_state import WitnessState, WitnessStateBroken
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.node_file import NodeFile
from careledger.vault.keystore import Keystore

_LOG: Final = logging.getLogger(__name__)
_POLL_S: Final = 0.2
_END_S_MAX: Final = 20
_PROOF_WAIT_S: Final = 0.002
_WITNESS_ROLES: Final = frozenset({"regulator", "witness"})


@dataclass(slots=True)
class RunningLedger:
    """A ledger process and ways to it."""

    process: LedgerHandle
    client: LedgerClient
    view: LedgerView
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process has ended, whatever the reason."""

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self.process.exit_code


def read_seed(keystore: Path, passphrase: str, name: str) -> bytes:
    """One seed of a keystore."""
    with Keystore.open(keystore, passphrase) as opened:
        return opened.get(name)


@asynccontextmanager
async def running_ledger(
    config: NetworkConfig,
    settings: Settings,
    passphrase: str,
    *,
    allow_pause: bool = False,
    interval_ms: int = INTERVAL_MS,
) -> AsyncIterator[RunningLedger]:
    """Run the network's ledger process and its witnesses until the block ends.

    Raises:
        ConfigurationInvalid: The process did not become ready; its own words are on stderr.
        VaultError: A keystore does not open.
    """
    paths = LedgerPaths(config.ledger_root)
    seed = await asyncio.to_thread(read_seed, config.ledger_root / "keystore.db", passphrase, SEQUENCER_KEY)
    options = LedgerOptions(
        heartbeat_ms=settings.heartbeat_ms, group_wait_ms=settings.group_wait_ms, allow_pause=allow_pause
    )
    async with AsyncExitStack() as stack:
        process = await start_process(paths, seed, options)
        stack.push_async_callback(end_process, process)
        ledger = RunningLedger(process, LedgerClient(paths.socket), stack.enter_context(opened_view(paths)))
        stack.push_async_callback(ledger.client.close)
        running = [_watch(ledger)]
        for site in config.sites:
            if site.role in _WITNESS_ROLES:
                root = config.site_root(site.slug)
                witness_seed = await asyncio.to_thread(
                    read_seed, root / "keystore.db", passphrase, WITNESS_KEY
                )
                running.append(_run_site_witness(ledger, site, root, witness_seed, interval_ms))
        tasks = [asyncio.create_task(one) for one in running]
        stack.push_async_callback(_cancel, tasks)
        yield ledger


@contextmanager
def opened_view(paths: LedgerPaths) -> Iterator[LedgerView]:
    """Read access to a replica's files, closed at the end: a process may open them only once at a time."""
    document = read_genesis(paths.genesis.read_bytes())
    tables = LmdbTables.open_read_only(paths.tables, tables=TABLES)
    with contextlib.closing(tables):
        nodes = NodeFile.open_read_only(paths.nodes, buckets_log2=document.buckets_log2)
        with contextlib.closing(nodes):
            yield LedgerView(tables, nodes, clock_ms=clock_ms, wait=lambda: time.sleep(_PROOF_WAIT_S))


async def start_process(paths: LedgerPaths, seed: bytes, options: LedgerOptions) -> LedgerHandle:
    """Start a ledger process and wait until it takes transactions.

    Raises:
        ConfigurationInvalid: It ended before that.
    """
    try:
        return await asyncio.to_thread(start_ledger, paths.root, seed, options)
    except LedgerDidNotStart:
        raise ConfigurationInvalid(
            "the ledger process did not start; is another one running on the same folder?"
        ) from None


async def _watch(ledger: RunningLedger) -> None:
    while ledger.exit_code is None:  # noqa: ASYNC110 - see below
        await asyncio.sleep(_POLL_S)  # a child process of another thread has no event of its own
    ledger.ended.set()


async def end_process(process: LedgerHandle) -> None:
    """Let the process finish the block under way and close its files; end it by force if it does not."""
    await asyncio.to_thread(process.stop, _END_S_MAX)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _run_site_witness(
    ledger: RunningLedger, site: SiteEntry, site_root: Path, seed: bytes, interval_ms: int
) -> None:
    """Witness on behalf of a hosted organisation, if the ledger's policy names it; log why it stops."""
    trust = await asyncio.to_thread(read_trust_in_force, ledger.view)
    if trust.witness_keys.get(site.slug) != public_key_of(seed):
        return
    try:
        state = await open_or_recover_state(
            site_root / STATE_FILE,
            ledger.client,
            name=site.slug,
            chain_id=trust.chain_id,
            key=public_key_of(seed),
        )
        with contextlib.closing(state):
            await run_witness(
                Witness(state, sequencer=trust.sequencer, seed=seed, clock_ms=clock_ms),
                LocalSource(ledger.client, ledger.view),
                report=_log_round,
                stop=asyncio.Event(),
                interval_ms=interval_ms,
            )
    except (SplitViewFound, WitnessStateBroken, Rejected, OSError) as error:
        # The others go on: without this witness's cosignatures, proofs simply do not get their quorum.
        _LOG.critical("the witness %s stopped: %s", site.slug, error)


def _log_round(done: Round) -> None:
    if done.problem:
        _LOG.warning("the witness did not cosign: %s", done.problem)


async def open_or_recover_state(
    path: Path, client: LedgerClient, *, name: str, chain_id: str, key: bytes
) -> WitnessState:
    """Take up a hosted witness's state; a missing one begins at the newest note that it has cosigned.

    For a witness of the ledger in the same installation only: elsewhere the ledger could hold that note back, and
    a missing state must stop the witness.

    Raises:
        WitnessStateBroken: The state is there and cannot be used.
    """
    if await asyncio.to_thread(path.exists):
        return WitnessState.open(path, name=name, chain_id=chain_id)
    last: SignedCheckpoint | None = None
    with contextlib.suppress(Unavailable):
        note = await client.cosigned()
        if note is not None and verify_cosignatures(parse_note(note), {name: key}):
            signed = parse_note(note)
            own = tuple(one for one in signed.signatures if one.name == f"{chain_id}/sequencer")
            last = SignedCheckpoint(signed.checkpoint, signed.text, own)
    return WitnessState.create(path, name=name, chain_id=chain_id, last=last)
