"""A running installation: the ledger process, and every hosted organisation's site with its port.

One process tree: the ledger process and its signature worker, and this process with all gateways. Everything ends
together, and a ledger that ends by itself ends the installation.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from careledger import __version__
from careledger.gateway.application import SiteApp, build_site
from careledger.gateway.serving import RunningSites
from careledger.site.config import NetworkConfig, Settings
from careledger.site.ledger_process import clock_ms
from careledger.site.runtime import SiteRuntime, open_site
from careledger.site.runtime_ledger import RunningLedger, running_ledger
from careledger.site.witness import INTERVAL_MS


def build_app(site: SiteRuntime, settings: Settings, ledger: RunningLedger) -> SiteApp:
    """HTTP face of a site."""
    return build_site(
        name=site.entry.slug,
        title=site.entry.slug,
        site_url=site.url,
        host=settings.host,
        port=site.entry.port,
        faces=site.faces,
        clock_ms=clock_ms,
        probes={
            "ledger": lambda: ledger.exit_code is None,
            "storage": lambda: site.writer.failure is None,
        },
        log_to=sys.stderr if settings.log_level.upper() == "DEBUG" else None,
        start=(site.start,),
        stop=(site.stop,),
        software_version=__version__,
    )


@dataclass(slots=True, kw_only=True)
class RunningNetwork:
    """Everything that runs."""

    config: NetworkConfig
    ledger: RunningLedger
    sites: dict[str, SiteRuntime]

    def site(self, slug: str) -> SiteRuntime:
        """Site of an organisation.

        Raises:
            KeyError: It is not hosted here.
        """
        return self.sites[slug]


@asynccontextmanager
async def running_network(
    config: NetworkConfig,
    settings: Settings,
    passphrase: str,
    *,
    allow_pause: bool = False,
    only: Sequence[str] = (),
    witness_interval_ms: int = INTERVAL_MS,
) -> AsyncIterator[RunningNetwork]:
    """Run the ledger and the sites of a network folder until the block ends.

    Args:
        config: the folder.
        settings: what the operator set.
        passphrase: opens the keystores.
        allow_pause: let the ledger be paused, for demonstrations.
        only: these organisations' sites; all by default.
        witness_interval_ms: how often hosted witnesses cosign.
    """
    async with running_ledger(
        config, settings, passphrase, allow_pause=allow_pause, interval_ms=witness_interval_ms
    ) as ledger:
        sites: dict[str, SiteRuntime] = {}
        try:
            for entry in config.sites:
                if not only or entry.slug in only:
                    sites[entry.slug] = await asyncio.to_thread(
                        open_site, config, entry, settings, passphrase, ledger
                    )
            running = RunningSites([build_app(site, settings, ledger) for site in sites.values()])
            await running.start()
            try:
                yield RunningNetwork(config=config, ledger=ledger, sites=sites)
            finally:
                await running.stop()
        finally:
            for site in sites.values():
                site.close()


async def serve(config: NetworkConfig, settings: Settings, passphrase: str, *, until: asyncio.Event) -> int:
    """Serve a network folder until told to stop, or until its ledger has ended; returns an exit code."""
    async with running_network(config, settings, passphrase) as network:
        waits = [
            asyncio.create_task(until.wait()),
            asyncio.create_task(network.ledger.ended.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return 0 if until.is_set() else 1
