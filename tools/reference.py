"""Write docs/reference/ from the program itself: errors, command line, configuration, routes.

    python tools/reference.py            write what has changed
    python tools/reference.py --check    name what differs and write nothing

A test runs the check, so that a document which is behind the program fails.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

import careledger
from careledger.cli.exits import MEANINGS
from careledger.cli.main import app
from careledger.primitives.errors import code_spaces
from careledger.site.config import Settings
from careledger.site.ledger_routes import MOUNT, OPERATIONS
from careledger.web.manifest import Operation

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
GATEWAY_HOOK = "careledger.gateway.routes"
"""Module whose `describe_routes()` gives (title, mount, operations) of every face, once the gateway has it."""

_GENERATED = "Written by `tools/reference.py`; a test fails when it is behind the program.\n"
_ABOUT_ERRORS = """\
A code is stable: its number is never used again, and its name goes over the wire. The HTTP status follows from
its category alone. Number 0 of module 0 is success.
"""
_ABOUT_COMMANDS = """\
Every command takes `--help`. `--json` prints one JSON document on standard output; errors are one line, or one
JSON object with `--json`, on standard error.
"""
_ABOUT_SETTINGS = """\
A network folder has one file, `network.toml`, written by `careledger init`. What an operator may set stands in
the environment. Secrets are in neither: they are in the keystores.
"""
_OTHER_VARIABLES = """\
The command line also reads `CARELEDGER_NETWORK`, `CARELEDGER_URL` and `CARELEDGER_TOKEN`; see `cli.md`.
"""
_ABOUT_ROUTES = """\
FHIR describes itself at `/fhir/metadata`. Errors are problem documents (RFC 9457), under `/fhir` OperationOutcomes.
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(value: object) -> str:
    """Text of one cell."""
    return re.sub(r"\s+", " ", str(value)).replace("|", "\\|").strip()


# -- Errors ----------------------------------------------------------------------------------------------


def import_all_errors() -> None:
    """Import every module named `errors`, where the numbered codes are defined."""
    for found in pkgutil.walk_packages(careledger.__path__, "careledger."):
        if found.name.endswith(".errors"):
            importlib.import_module(found.name)


def errors_document() -> str:
    """Every numbered code."""
    import_all_errors()
    parts = [
        "# Errors\n",
        _GENERATED,
        _ABOUT_ERRORS,
    ]
    for space in code_spaces():
        parts.append(f"## {space.module} (module {space.module_number})\n")
        parts.append(
            table(
                ("number", "code", "HTTP", "meaning"),
                [
                    (code.number, f"`{code.name}`", code.category.http_status, code.text)
                    for code in space.codes()
                ],
            )
        )
    return "\n".join(parts)


# -- Command line ----------------------------------------------------------------------------------------


def walk_commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """(full name, command), groups before what is in them."""
    yield name, command
    for verb, below in getattr(command, "commands", {}).items():
        yield from walk_commands(f"{name} {verb}", below)


def command_section(name: str, command: Any) -> str:
    """One command: what it does, its arguments and options."""
    parts = [f"## {name}\n", inspect.cleandoc(command.help or "") + "\n"]
    if getattr(command, "commands", None) is not None:
        return "\n".join(parts)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([name, "[OPTIONS]", *(argument_usage(one) for one in arguments)])
    parts.append(f"    {usage}\n")
    rows = [(f"`{one.name.upper()}`", one.help, "") for one in arguments]
    rows += [
        (", ".join(f"`{name}`" for name in one.opts), one.help or "", default_of(one))
        for one in command.params
        if one.param_type_name == "option"
    ]
    if rows:
        parts.append(table(("argument or option", "meaning", "default"), rows))
    return "\n".join(parts)


def argument_usage(argument: Any) -> str:
    """An argument as it stands in a usage line."""
    text = argument.name.upper() + ("..." if argument.nargs != 1 else "")
    return text if argument.required else f"[{text}]"


def default_of(option: Any) -> str:
    """Default of an option, and its environment variable."""
    if option.required:
        shown = "required"
    elif isinstance(option.show_default, str):
        shown = option.show_default
    elif option.is_flag or option.default in (None, "", ()) or callable(option.default):
        shown = ""
    else:
        shown = f"`{option.default}`"
    variable = f"`{option.envvar}`" if option.envvar else ""
    return ", or ".join(part for part in (shown, variable) if part)


def cli_document() -> str:
    """Every command."""
    commands = walk_commands("careledger", get_command(app))
    next(commands)
    parts = [
        "# Command line\n",
        _GENERATED,
        _ABOUT_COMMANDS,
        table(("exit code", "meaning"), [(int(code), meaning) for code, meaning in MEANINGS.items()]),
        *(command_section(name, command) for name, command in commands),
    ]
    return "\n".join(parts)


# -- Configuration ---------------------------------------------------------------------------------------


def configuration_document() -> str:
    """Every setting."""
    prefix = Settings.model_config.get("env_prefix", "")
    rows = []
    for name, field in Settings.model_fields.items():
        limits = [
            f"{word} {getattr(limit, attribute)}"
            for limit in field.metadata
            for attribute, word in (("ge", "from"), ("le", "to"))
            if getattr(limit, attribute, None) is not None
        ]
        default = "" if field.default in (None, "") else f"`{field.default}`"
        rows.append((f"`{prefix}{name.upper()}`", field.description, default, " ".join(limits)))
    return "\n".join(
        [
            "# Configuration\n",
            _GENERATED,
            _ABOUT_SETTINGS,
            "## Environment\n",
            table(("variable", "meaning", "default", "range"), rows),
            _OTHER_VARIABLES,
            "## network.toml\n",
            table(
                ("key", "meaning"),
                [
                    ("`chain_id`", "Name of the ledger."),
                    ("`site.slug`", "Short name of a hosted organisation, as registered on the ledger."),
                    ("`site.organisation`", "Its number on the ledger."),
                    ("`site.role`", "What it is."),
                    ("`site.port`", "TCP port of its gateway."),
                ],
            ),
        ]
    )


# -- Routes ----------------------------------------------------------------------------------------------


def describe_routes() -> list[tuple[str, str, Sequence[Operation]]]:
    """(title, mount, operations) of every face: from the gateway if it says so itself, else those known here."""
    if importlib.util.find_spec(GATEWAY_HOOK) is not None:
        found: list[tuple[str, str, Sequence[Operation]]] = importlib.import_module(
            GATEWAY_HOOK
        ).describe_routes()
        return found
    openapi = importlib.import_module("careledger.gateway.openapi")
    return [("The site itself", "", openapi.SITE_OPERATIONS), ("The ledger", MOUNT, OPERATIONS)]


def routes_document() -> str:
    """Every operation, face by face."""
    parts = [
        "# Routes\n",
        _GENERATED,
        _ABOUT_ROUTES,
    ]
    for title, mount, operations in describe_routes():
        parts.append(f"## {title}\n")
        for operation in operations:
            path = f"/{mount}{operation.path}" if mount else operation.path
            parts.append(f"### {operation.method} {path}\n")
            open_to = "public" if operation.is_public else " or ".join(operation.scopes) or "with a token"
            parts.append(f"{operation.text} Open: {open_to}.\n")
            if operation.parameters:
                rows = [
                    (f"`{one.name}`", one.place, "yes" if one.is_required else "", one.text)
                    for one in operation.parameters
                ]
                parts.append(table(("parameter", "in", "required", "meaning"), rows))
            parts.append(
                table(
                    ("status", "answer"),
                    [
                        (status, f"{text} `{operation.answer_type}`")
                        for status, text in operation.answers.items()
                    ],
                )
            )
    return "\n".join(parts)


DOCUMENTS = {
    "cli.md": cli_document,
    "configuration.md": configuration_document,
    "errors.md": errors_document,
    "routes.md": routes_document,
}


def differing(folder: Path = FOLDER) -> dict[str, str]:
    """Documents that are not what the program says, with what they should be."""
    found = {}
    for name, build in DOCUMENTS.items():
        path = folder / name
        text = build()
        if not path.exists() or path.read_text() != text:
            found[name] = text
    return found


def main() -> int:
    """Write the documents, or with `--check` only say which are behind."""
    behind = differing()
    if "--check" in sys.argv[1:]:
        for name in behind:
            print(f"docs/reference/{name} is behind the program: run python tools/reference.py")
        return 1 if behind else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in behind.items():
        (FOLDER / name).write_text(text)
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
