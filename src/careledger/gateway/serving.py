"""Serving several sites from one process: one server per site, one event loop, one graceful end.

Requests under way are answered before a site's parts are stopped; connections that idle are closed. Signals are the
caller's, who cancels or sets the event; so the same function serves a demonstration, a test and an installation.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Final

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from careledger.gateway.application import SiteApp

HEAD_BYTES_MAX: Final = 131_072
"""Longest head of a request; page links can make an address long."""
HEAD_S: Final = 30
"""Longest time a head may take to arrive, from the connection's beginning or the head's first byte."""
KEEP_ALIVE_S: Final = 65
GRACE_S: Final = 10
"""How long requests under way may take once the end is asked for."""
BACKLOG: Final = 1_024
_FLUSH_S: Final = 0.5
_COLLECT_AFTER: Final = (50_000, 20, 50)
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_LOG = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that does not end, in size or in time: the parser itself would gather and wait without limit."""

    _head_bytes = 0
    _is_in_head = True
    _has_cycle = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._end_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _end_waiting(self) -> None:
        if self._is_in_head and not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def data_received(self, data: bytes) -> None:
        """Pass on, and see whether a head has become too long."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._is_in_head:
            return
        if self._head_bytes and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._end_waiting)
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            if not self.pipeline and (not self._has_cycle or self.cycle.response_complete):
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is body, and the application bounds that."""
        self._is_in_head = False
        self._has_cycle = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count anew: the next bytes are a head."""
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_complete()


class _Server(Server):
    """A server that leaves the process's signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class RunningSites:
    """Sites that are served; `ports` says where."""

    def __init__(self, sites: Sequence[SiteApp]) -> None:
        self._sites = tuple(sites)
        self._servers: list[_Server] = []
        self._sockets: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._started: list[SiteApp] = []
        self._collect_after = gc.get_threshold()
        self.ports: dict[str, int] = {}
        """Per site the port it listens on."""

    async def start(self) -> None:
        """Start every site's parts, then open its port.

        Raises:
            OSError: A port is taken; what was started is stopped again.
        """
        try:
            for site in self._sites:
                self._sockets.append(_listen(site.host, site.port))
            for site in self._sites:
                self._started.append(site)
                for step in site.start:
                    await step()
            for site, bound in zip(self._sites, self._sockets, strict=True):
                self.ports[site.name] = bound.getsockname()[1]
                await self._serve(site, bound)
        except BaseException:
            await self.stop()
            raise
        self._flusher = asyncio.get_running_loop().create_task(self._flush())
        gc.collect()
        gc.freeze()  # what lives now lives as long as the sites do
        self._collect_after = gc.get_threshold()
        gc.set_threshold(*_COLLECT_AFTER)

    async def _serve(self, site: SiteApp, bound: socket.socket) -> None:
        config = Config(
            site.app,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=site.tls.chain if site.tls is not None else None,
            ssl_keyfile=site.tls.key if site.tls is not None else None,
        )
        server = _Server(config)
        self._servers.append(server)
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[bound]))
        self._tasks.append(task)
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError(f"the server of {site.name} ended before it began")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Answer what is under way, close the ports, stop the sites' parts."""
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for bound in self._sockets:
            bound.close()
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
            gc.set_threshold(*self._collect_after)
            gc.unfreeze()
        for site in reversed(self._started):
            for step in site.stop:
                try:
                    await step()
                except Exception:  # noqa: BLE001 - the others must be stopped all the same
                    _LOG.exception("a part of a site did not stop")
            if site.log is not None:
                site.log.flush()
        self._started = []

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            for site in self._sites:
                if site.log is not None:
                    site.log.flush()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


async def serve_sites(sites: Sequence[SiteApp], *, until: asyncio.Event | None = None) -> None:
    """Serve sites until the event is set or the task is cancelled; then stop gracefully.

    Run it in uvloop (`uvloop.run`).

    Raises:
        OSError: A port is taken.
    """
    running = RunningSites(sites)
    await running.start()
    try:
        await (until or asyncio.Event()).wait()
    finally:
        await running.stop()
