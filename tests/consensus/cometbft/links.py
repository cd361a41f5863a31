"""The wires between nodes, in user space: each can be cut, slowed down or made to fail, while all runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from random import Random


class Link:
    """One direction in which a node dials another."""

    def __init__(self, target: tuple[str, int], random: Random) -> None:
        self.target = target
        self.random = random
        self.is_cut = False
        self.delay_s = 0.0
        self.loss = 0.0
        """Chance that a piece of data ends the connection, as lost packets at last do."""
        self.writers: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, far_writer}
        try:
            await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer))
        finally:
            self.writers -= {writer, far_writer}
            for each in (writer, far_writer):
                each.close()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.is_cut or (self.loss and self.random.random() < self.loss):
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        self.is_cut = True
        for writer in list(self.writers):
            writer.close()


class Links:
    """All wires of a network."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._links: dict[tuple[int, int], Link] = {}
        self._servers: list[asyncio.Server] = []
        self._addresses: dict[tuple[int, int], tuple[str, int]] = {}

    def address_of(self, dialing: int, dialed: int) -> tuple[str, int]:
        """Where one node finds another."""
        return self._addresses[dialing, dialed]

    async def open(self, targets: list[tuple[str, int]]) -> None:
        """Lay the wires between nodes that listen there."""
        for dialing in range(len(targets)):
            for dialed, target in enumerate(targets):
                if dialing == dialed:
                    continue
                link = self._links[dialing, dialed] = Link(target, self._random)
                server = await asyncio.start_server(link.accept, "127.0.0.1", 0)
                self._servers.append(server)
                self._addresses[dialing, dialed] = server.sockets[0].getsockname()[:2]

    def partition(self, one: Iterable[int], other: Iterable[int]) -> None:
        """Cut every wire between two groups."""
        first, second = set(one), set(other)
        for (dialing, dialed), link in self._links.items():
            if (dialing in first and dialed in second) or (dialing in second and dialed in first):
                link.cut()

    def heal(self) -> None:
        """Make every wire whole and quick."""
        for link in self._links.values():
            link.is_cut, link.delay_s, link.loss = False, 0.0, 0.0

    def worsen(self, *, delay_s: float, loss: float) -> None:
        """Slow every wire down, and let it fail now and then."""
        for link in self._links.values():
            link.delay_s, link.loss = delay_s, loss

    async def close(self) -> None:
        """Take the wires down."""
        for link in self._links.values():
            link.cut()
        for server in self._servers:
            server.close()
