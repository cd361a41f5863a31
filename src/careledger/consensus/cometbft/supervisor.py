"""Engine and application as a pair: started together, ended together, and started again after either dies.

The application is started first, since the engine connects to it. When one of the two ends, for whatever
reason, the other is ended as well, cleanly if it will, and both are started again after a pause that grows while
they do not last. Told to stop, the engine is ended before the application, so no decided block is interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

from careledger.consensus.cometbft.logs import joined_line
from careledger.consensus.cometbft.node import NodeOptions, run_node
from careledger.consensus.cometbft.parts import NodeParts
from careledger.consensus.cometbft.paths import NodePaths

_LINE_BYTES_MAX = 1 << 20


class PairFailed(Exception):  # noqa: N818 - an outcome
    """The application did not come up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOptions:
    """What is started, and with how much patience."""

    binary: Path
    """The engine."""
    paths: NodePaths
    node: NodeOptions
    open_parts: Callable[[NodePaths], NodeParts]
    """Opens the replica in the application's process; a function of a module, since it is sent there."""
    engine_environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the engine's environment; tests name the engine's own fault points there."""
    application_environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the application's environment; tests name fault points there."""
    start_s: float = 60.0
    """How long the application may take to open its files."""
    grace_s: float = 10.0
    """How long an ending part may take before it is killed."""
    pause_s: float = 0.5
    """Pause before the first new start; it doubles while the pair does not last."""
    pause_max_s: float = 30.0
    lasting_s: float = 60.0
    """A pair that lived so long starts again with the first pause."""


class Pair:
    """One engine and one application."""

    def __init__(self, options: PairOptions, *, log: TextIO = sys.stderr) -> None:
        self._options = options
        self._log = log
        self._told = asyncio.Event()
        self._application: BaseProcess | None = None
        self._engine: asyncio.subprocess.Process | None = None
        self.starts = 0
        """How often the pair was started."""
        self.up = asyncio.Event()
        """Set while both parts run."""

    @property
    def application_pid(self) -> int | None:
        """Process of the application, while it runs."""
        return self._application.pid if self._application is not None else None

    @property
    def engine_pid(self) -> int | None:
        """Process of the engine, while it runs."""
        return self._engine.pid if self._engine is not None else None

    def tell(self) -> None:
        """Tell the pair to end; `run` returns once it has."""
        self._told.set()

    async def run(self) -> None:
        """Keep the pair running until told to end."""
        options, loop = self._options, asyncio.get_running_loop()
        pause_s = options.pause_s
        while not self._told.is_set():
            began = loop.time()
            self.starts += 1
            try:
                ended = await self._run_once()
            except (OSError, PairFailed) as error:
                ended = f"{type(error).__name__}: {error}"
            if self._told.is_set():
                return
            if loop.time() - began >= options.lasting_s:
                pause_s = options.pause_s
            self._say("the pair ended and will be started again", reason=ended, pause_s=str(pause_s))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), pause_s)
            pause_s = min(2 * pause_s, options.pause_max_s)

    async def _run_once(self) -> str:
        """Run the pair until one part ends or it is told to; both have ended when this returns."""
        loop = asyncio.get_running_loop()
        relay: asyncio.Task[None] | None = None
        try:
            application = await self._start_application()
            application_ended = loop.create_future()
            loop.add_reader(application.sentinel, _settle, application_ended)
            try:
                engine = await self._start_engine()
                relay = loop.create_task(self._relay(engine))
                self.up.set()
                waits: dict[asyncio.Future[object], str] = {
                    loop.create_task(self._told.wait()): "told",
                    application_ended: "the application ended",
                    loop.create_task(engine.wait()): "the engine ended",
                }
                done, open_waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in open_waits:
                    wait.cancel()
                return " and ".join(waits[wait] for wait in done)
            finally:
                loop.remove_reader(application.sentinel)
        finally:
            self.up.clear()
            await self._end_engine()
            await self._end_application()
            if relay is not None:
                await relay

    async def _start_application(self) -> BaseProcess:
        options = self._options
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_node,
            args=(options.paths, options.node, options.open_parts, theirs),
            name=f"careledger-{options.node.name}",
        )
        with _environment(options.application_environment):
            process.start()
        theirs.close()
        self._application = process
        try:
            if not await _readable(ours, options.start_s):
                raise PairFailed("the application did not open its files in time")
            if ours.recv() != "ready":
                raise PairFailed("the application did not come up")
        except EOFError:
            raise PairFailed("the application ended while it was opening its files") from None
        finally:
            ours.close()
        return process

    async def _start_engine(self) -> asyncio.subprocess.Process:
        options = self._options
        # An engine that was killed leaves its socket's file, and the next one would not start over it.
        options.paths.rpc_socket.unlink(missing_ok=True)
        self._engine = await asyncio.create_subprocess_exec(
            str(options.binary),
            "start",
            "--home",
            str(options.paths.engine_home),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_BYTES_MAX,
            env={**os.environ, **options.engine_environment},
            umask=0o077,
        )
        return self._engine

    async def _relay(self, engine: asyncio.subprocess.Process) -> None:
        """Write the engine's lines to the joined log until it has said its last."""
        if engine.stdout is None:
            return
        while True:
            try:
                raw = await engine.stdout.readline()
            except ValueError:
                continue  # a line beyond all measure; the stream has skipped it
            if not raw:
                return
            self._log.write(joined_line(self._options.node.name, raw) + "\n")
            self._log.flush()

    async def _end_engine(self) -> None:
        engine = self._engine
        if engine is None:
            return
        if engine.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                engine.terminate()
            try:
                await asyncio.wait_for(engine.wait(), self._options.grace_s)
            except TimeoutError:
                self._say("the engine did not end when told", reason="killed")
                with contextlib.suppress(ProcessLookupError):
                    engine.kill()
                await engine.wait()
        self._engine = None

    async def _end_application(self) -> None:
        process = self._application
        if process is None:
            return
        process.terminate()
        await asyncio.to_thread(process.join, self._options.grace_s)
        if process.is_alive():
            self._say("the application did not end when told", reason="killed")
            process.kill()
            await asyncio.to_thread(process.join)
        process.close()
        self._application = None

    def _say(self, event: str, **fields: str) -> None:
        line = {"node": self._options.node.name, "part": "supervisor", "level": "warning", "event": event}
        self._log.write(json.dumps({**line, **fields}, separators=(",", ":")) + "\n")
        self._log.flush()


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _readable(connection: Connection, timeout_s: float) -> bool:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection.fileno(), _settle, heard)
    try:
        await asyncio.wait_for(heard, timeout_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(connection.fileno())
    return True


@contextlib.contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    """Add to the environment that a started process inherits; a spawned one reads some of it on import."""
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
