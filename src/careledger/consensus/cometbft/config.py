"""Configuration of the engine: one dataclass, written as the engine's TOML and genesis JSON.

Owns the values that differ from the engine's own defaults, each with its reason; whatever is not named here
keeps the engine's default. The engine's RPC has no authentication and therefore listens on a Unix socket in a
folder of its owner only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from careledger.consensus.cometbft.keys import public_key_json, validator_address
from careledger.sdk.module import ValidatorUpdate

BLOCK_BYTES_MAX = 4_194_304
TRANSACTION_BYTES_MAX = 524_288
RPC_BATCH_MAX = 512
RPC_BODY_BYTES_MAX = 8 * 1024 * 1024
MEMPOOL_TRANSACTIONS_MAX = 50_000

HEARTBEAT_MS = 20_000
"""Time between empty blocks when idle: expiry and freshness are judged by block time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another node to stay connected with."""

    node_id: str
    host: str
    port: int

    def address(self) -> str:
        """Address in the engine's form."""
        return f"{self.node_id}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSync:
    """Start from a peer's snapshot instead of from genesis; honoured only by a home without blocks."""

    rpc_servers: tuple[str, ...]
    """At least two addresses that answer the read-only calls; their answers are checked against the trust."""
    trust_height: int
    """A block that is known to be of this ledger."""
    trust_hash: bytes
    """That block's header hash."""
    trust_period_s: int = 14 * 24 * 3600
    """How long after its time that block may still be trusted."""
    discovery_ms: int = 5_000
    """How long peers are asked for snapshots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """How one engine runs."""

    moniker: str
    """Name shown to peers."""
    proxy_app: str
    """`unix://` and the socket of the application; or the name of an application within the engine."""
    rpc_laddr: str
    """`unix://` and the socket of the RPC."""
    p2p_host: str
    p2p_port: int
    peers: tuple[Peer, ...] = ()
    heartbeat_ms: int = HEARTBEAT_MS
    timeout_commit_ms: int = 200
    """Pause after a block in which late votes are still taken."""
    timeout_propose_ms: int = 1_000
    state_sync: StateSync | None = None
    log_level: str = "info"
    prometheus_laddr: str = ""
    """Empty: no metrics of the engine."""
    overrides: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Section -> key -> value, laid over everything; for tests and for unusual sites."""

    def toml(self) -> str:
        """Content of `config.toml`."""
        sections = self._sections()
        for name, values in self.overrides.items():
            sections.setdefault(name, {}).update(values)
        lines = [f"{key} = {_toml_value(value)}" for key, value in sections.pop("").items()]
        for name, values in sections.items():
            lines += ["", f"[{name}]", *(f"{key} = {_toml_value(value)}" for key, value in values.items())]
        return "\n".join(lines) + "\n"

    def _sections(self) -> dict[str, dict[str, object]]:
        return {
            "": {
                "moniker": self.moniker,
                "proxy_app": self.proxy_app,
                "abci": "socket",
                "db_backend": "goleveldb",
                "log_level": self.log_level,
                "log_format": "json",
            },
            "rpc": {
                "laddr": self.rpc_laddr,
                "max_body_bytes": RPC_BODY_BYTES_MAX,
                "max_request_batch_size": RPC_BATCH_MAX,
            },
            "p2p": {
                "laddr": f"tcp://{self.p2p_host}:{self.p2p_port}",
                "persistent_peers": ",".join(peer.address() for peer in self.peers),
                # Members are known by name; nobody is discovered.
                "pex": False,
                "addr_book_strict": False,
                "allow_duplicate_ip": True,
                "max_num_inbound_peers": 100,
                "persistent_peers_max_dial_period": "2s",
                "flush_throttle_timeout": "5ms",
                "send_rate": 50_000_000,
                "recv_rate": 50_000_000,
            },
            "mempool": {
                # A transaction that has grown stale is rejected when its block is finalized.
                "recheck": False,
                "size": MEMPOOL_TRANSACTIONS_MAX,
                "cache_size": 2 * MEMPOOL_TRANSACTIONS_MAX,
                "max_tx_bytes": TRANSACTION_BYTES_MAX,
                "max_txs_bytes": 256 * 1024 * 1024,
            },
            "consensus": {
                "timeout_propose": f"{self.timeout_propose_ms}ms",
                "timeout_commit": f"{self.timeout_commit_ms}ms",
                "create_empty_blocks": False,
                "create_empty_blocks_interval": f"{self.heartbeat_ms}ms",
                "peer_gossip_sleep_duration": "10ms",
            },
            "storage": {"discard_abci_responses": False},
            "tx_index": {"indexer": "null"},
            "instrumentation": {
                "prometheus": bool(self.prometheus_laddr),
                "prometheus_listen_addr": self.prometheus_laddr,
                "namespace": "cometbft",
            },
            "statesync": self._state_sync(),
        }

    def _state_sync(self) -> dict[str, object]:
        sync = self.state_sync
        if sync is None:
            return {"enable": False}
        return {
            "enable": True,
            "rpc_servers": ",".join(sync.rpc_servers),
            "trust_height": sync.trust_height,
            "trust_hash": sync.trust_hash.hex().upper(),
            "trust_period": f"{sync.trust_period_s}s",
            "discovery_time": f"{sync.discovery_ms}ms",
        }


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # A JSON string of printable text is a TOML basic string as well.
        return json.dumps(value)
    raise TypeError(f"no TOML form for {type(value).__name__}")


def engine_genesis(
    *, chain_id: str, genesis_time_ms: int, app_state: bytes, validators: Sequence[ValidatorUpdate] = ()
) -> bytes:
    """Genesis JSON of the engine around the ledger's own genesis document.

    Without validators the engine takes those that the application names.
    """
    return json.dumps(
        {
            "genesis_time": _rfc3339(genesis_time_ms),
            "chain_id": chain_id,
            "initial_height": "1",
            "consensus_params": {
                "block": {"max_bytes": str(BLOCK_BYTES_MAX), "max_gas": "-1"},
                "evidence": {
                    "max_age_num_blocks": "1000000",
                    "max_age_duration": str(14 * 24 * 3600 * 10**9),
                    "max_bytes": "1048576",
                },
                "validator": {"pub_key_types": ["ed25519"]},
                "version": {"app": "1"},
                "abci": {"vote_extensions_enable_height": "0"},
            },
            "validators": [
                {
                    "address": validator_address(each.public_key).hex().upper(),
                    "pub_key": public_key_json(each.public_key),
                    "power": str(each.power),
                    "name": "",
                }
                for each in validators
            ],
            "app_hash": "",
            "app_state": json.loads(app_state),
        }
    ).encode()


def _rfc3339(time_ms: int) -> str:
    seconds, rest_ms = divmod(time_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ms:03d}Z"


def write_config(home: Path, config: EngineConfig) -> None:
    """Write the configuration file of a home."""
    folder = home / "config"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config.toml())


def write_engine_genesis(home: Path, genesis: bytes) -> None:
    """Write the engine's genesis file of a home."""
    folder = home / "config"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "genesis.json").write_bytes(genesis)
