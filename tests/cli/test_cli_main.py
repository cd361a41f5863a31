"""The command line as a whole: quick to start, told in one line when refused, the same everywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from careledger import __version__
from careledger.cli.exits import MEANINGS, Exit
from careledger.cli.failures import Refused, judge
from careledger.cli.main import app, main
from careledger.consensus.cometbft.install import EngineUnavailable
from careledger.ledger.errors import NOT_FOUND, UNREACHABLE
from careledger.ledger.trust import TrustInvalid
from careledger.primitives.errors import InvariantViolated, Rejected, Unavailable
from careledger.site.config import ConfigurationInvalid
from careledger.vault.errors import PassphraseWrong

OUTPUT_IS_A_DOCUMENT = {
    "careledger ledger proof",
    "careledger ledger checkpoint",
    "careledger ledger trust",
    "careledger ledger export",
    "careledger records get",
    "careledger demo",
}
"""Commands whose output is a document in any case, or that have options of their own."""


def commands() -> Iterator[tuple[str, object]]:
    """(full name, command) of every command that does something."""

    def walk(name: str, command: object) -> Iterator[tuple[str, object]]:
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
            return
        for verb, one in below.items():
            yield from walk(f"{name} {verb}", one)

    yield from walk("careledger", get_command(app))


def imported(*arguments: str) -> set[str]:
    """Modules that are loaded once a command has run, in a fresh interpreter."""
    program = (
        "import sys\n"
        "from careledger.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "sys.stderr.write('\\n'.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.splitlines())


HEAVY = {"apsw", "cryptography", "httpx", "lmdb", "lxml", "pydantic", "rich.console", "starlette", "uvicorn"}


def test_help_loads_no_library_that_takes_time() -> None:
    loaded = imported("--help")
    assert not HEAVY & loaded
    assert not [name for name in loaded if name.startswith("careledger.") and ".cli" not in name]


def test_verify_loads_nothing_of_a_site(tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(b"{}")
    loaded = imported("verify", str(file))
    assert "careledger.ledger.evidence" in loaded
    upper = ("site", "domains", "vault", "gateway", "web", "consensus", "storage")
    assert not [name for name in loaded if name.startswith(tuple(f"careledger.{layer}" for layer in upper))]
    assert HEAVY & loaded <= {"pydantic"}  # which the option parser itself loads


def test_every_command_says_what_it_does_and_speaks_json() -> None:
    found = dict(commands())
    assert len(found) >= 28
    for name, command in found.items():
        options = {option for parameter in command.params for option in parameter.opts}  # type: ignore[attr-defined]
        assert ("--json" in options) is not (name in OUTPUT_IS_A_DOCUMENT), name
        assert command.help, name  # type: ignore[attr-defined]
        assert command.short_help, name  # type: ignore[attr-defined]
        assert len(command.short_help) <= 45, name  # type: ignore[attr-defined]
        for parameter in command.params:  # type: ignore[attr-defined]
            assert parameter.help or parameter.name == "context", f"{name}: {parameter.name}"


def test_every_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name, _ in commands():
        if name == "careledger demo":
            continue
        assert main([*name.split()[1:], "--help"]) == 0
        assert "Usage: careledger" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"careledger {__version__}\n"
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["modules"]["records"] == 1


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["ledger", "block"], ["ledger", "block", "x"], ["ledger", "block", "0"], ["verify"]],
)
def test_wrong_arguments_end_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == Exit.UNUSABLE
    assert "Traceback" not in capsys.readouterr().err


def test_no_network_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "status", "--network", str(tmp_path)]) == Exit.UNUSABLE
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "careledger init" in told
    assert main(["ledger", "status", "--network", str(tmp_path), "--json"]) == Exit.UNUSABLE
    assert json.loads(capsys.readouterr().err)["exit_code"] == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no"), Exit.UNUSABLE),
        (Refused("no", Exit.FAILED), Exit.FAILED),
        (Rejected(NOT_FOUND), Exit.FAILED),
        (Unavailable(UNREACHABLE), Exit.UNAVAILABLE),
        (ConfigurationInvalid("no"), Exit.UNUSABLE),
        (PassphraseWrong("no"), Exit.UNUSABLE),
        (TrustInvalid("no"), Exit.UNUSABLE),
        (EngineUnavailable("no"), Exit.UNAVAILABLE),
        (FileNotFoundError(2, "No such file", "x"), Exit.UNUSABLE),
        (InvariantViolated("a bug"), None),
        (ValueError("a bug"), None),
        (KeyError("a bug"), None),
    ],
)
def test_expected_errors_have_an_exit_code_and_faults_of_ours_have_none(
    error: Exception, code: Exit | None
) -> None:
    found = judge(error)
    assert (found and found[0]) == code


def test_every_exit_code_is_explained() -> None:
    assert set(MEANINGS) == set(Exit)


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise InvariantViolated("a bug")

    monkeypatch.setattr("careledger.cli.local.open_network", fail)
    with pytest.raises(InvariantViolated):
        main(["ledger", "status", "--network", str(tmp_path)])


def test_output_that_nobody_reads_any_more_is_no_error() -> None:
    command = [
        sys.executable,
        "-c",
        "from careledger.cli.main import main; raise SystemExit(main(['version']))",
    ]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert done.stderr == b""


def test_the_demonstration_reads_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--help"]) == 0
    assert "--once" in capsys.readouterr().out
