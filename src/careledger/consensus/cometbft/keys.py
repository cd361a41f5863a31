"""Key files of an engine home: the validator's signing key, its signing state and the node's own key.

Owns the three files' forms. The signing state is what keeps a validator from signing twice: it is created
once, never copied and never restored from a backup. Whoever makes a home for a key that signed before, with an
empty signing state, may make it sign a second vote for the same height.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

from careledger.primitives.hashing import sha256
from careledger.primitives.signing import SEED_BYTES, public_key_of

ADDRESS_BYTES = 20
_PUBLIC_TYPE = "tendermint/PubKeyEd25519"
_PRIVATE_TYPE = "tendermint/PrivKeyEd25519"


def validator_address(public_key: bytes) -> bytes:
    """Address of a validator: the first 20 bytes of the key's SHA-256."""
    return sha256(public_key)[:ADDRESS_BYTES]


def node_id_of(public_key: bytes) -> str:
    """Name under which peers know a node: its key's address in lower-case hex."""
    return validator_address(public_key).hex()


def public_key_json(public_key: bytes) -> dict[str, str]:
    """A public key as the engine's JSON has it."""
    return {"type": _PUBLIC_TYPE, "value": base64.b64encode(public_key).decode()}


def _private_key_json(seed: bytes) -> dict[str, str]:
    raw = seed + public_key_of(seed)
    return {"type": _PRIVATE_TYPE, "value": base64.b64encode(raw).decode()}


@dataclass(frozen=True, slots=True)
class EngineKeys:
    """The secrets of one engine home."""

    validator_seed: bytes
    """Ed25519 seed (32 bytes) that signs votes and proposals, and nothing else."""
    node_seed: bytes
    """Ed25519 seed (32 bytes) that names the node to its peers."""

    def __post_init__(self) -> None:
        if len(self.validator_seed) != SEED_BYTES or len(self.node_seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")

    @property
    def validator_key(self) -> bytes:
        """Public key of the validator."""
        return public_key_of(self.validator_seed)

    @property
    def node_id(self) -> str:
        """Name of the node among its peers."""
        return node_id_of(public_key_of(self.node_seed))


def write_keys(home: Path, keys: EngineKeys) -> None:
    """Write the key files of a home, and an empty signing state where there is none.

    Raises:
        ValueError: The home has a signing state made for another key.
        OSError: A file cannot be written.
    """
    config, data = home / "config", home / "data"
    for folder in (config, data):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    validator = {
        "address": validator_address(keys.validator_key).hex().upper(),
        "pub_key": public_key_json(keys.validator_key),
        "priv_key": _private_key_json(keys.validator_seed),
    }
    key_file, state_file = config / "priv_validator_key.json", data / "priv_validator_state.json"
    if key_file.exists() and state_file.exists() and json.loads(key_file.read_text()) != validator:
        raise ValueError("the home has a signing state made for another validator key")
    write_private(key_file, validator)
    write_private(config / "node_key.json", {"priv_key": _private_key_json(keys.node_seed)})
    if not state_file.exists():
        write_private(state_file, {"height": "0", "round": 0, "step": 0})


def write_private(path: Path, value: object) -> None:
    """Write JSON that only its owner may read; whoever looks sees the old file or the whole new one."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
