"""Where one node keeps its files.

The replica's files have the places that they have under the embedded engine, so gateways read either alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_BYTES_MAX = 107
"""Longest path of a Unix socket."""


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Files of one node."""

    root: Path

    @property
    def genesis(self) -> Path:
        """The ledger's genesis document."""
        return self.root / "genesis.json"

    @property
    def tables(self) -> Path:
        """Folder of the LMDB environment."""
        return self.root / "tables"

    @property
    def nodes(self) -> Path:
        """Memory-mapped file of the state tree."""
        return self.root / "tree.nodes"

    @property
    def socket(self) -> Path:
        """Unix socket for gateways."""
        return self.root / "ledger.sock"

    @property
    def abci_socket(self) -> Path:
        """Unix socket on which the application answers the engine."""
        return self.root / "abci.sock"

    @property
    def rpc_socket(self) -> Path:
        """Unix socket on which the engine answers."""
        return self.root / "rpc.sock"

    @property
    def engine_home(self) -> Path:
        """Home of the engine: its configuration, keys, blocks and signing state."""
        return self.root / "engine"

    @property
    def snapshots(self) -> Path:
        """Folder of the snapshots that are on offer."""
        return self.root / "snapshots"

    def check(self) -> None:
        """Check that the sockets can be made there.

        Raises:
            ValueError: The folder's path is too long for a Unix socket.
        """
        longest = max(len(str(path).encode()) for path in (self.socket, self.abci_socket, self.rpc_socket))
        if longest > SOCKET_PATH_BYTES_MAX:
            raise ValueError(
                f"the path of {self.root} is too long for a Unix socket by {longest - 107} bytes"
            )
