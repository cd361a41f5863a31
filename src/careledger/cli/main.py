"""`careledger`: noun, then verb. Puts the commands together and turns expected errors into one line and an exit code.

Every command's own imports happen inside it, so that `--help` and `verify` start at once.
"""

from __future__ import annotations

import sys

import typer

from careledger.cli import (
    access,
    backup,
    consent,
    demo,
    doctor,
    engine,
    ledger,
    network,
    organisations,
    records,
    token,
    verify,
    version,
    witness,
)
from careledger.cli.exits import Exit
from careledger.cli.failures import judge, tell

HELP = """One shared ledger for health care's facts, with the people kept off it.

Begin with `careledger demo`, or with `careledger init` and `careledger serve`. Everything takes `--help`, and
what prints takes `--json`."""

app = typer.Typer(
    name="careledger",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (network, demo, verify, doctor, backup, version):
    command.register(app)
for noun, part, summary in (
    ("ledger", ledger, "The replica of the ledger."),
    ("org", organisations, "Organisations: members and votes."),
    ("witness", witness, "Witnesses of a ledger's checkpoints."),
    ("records", records, "Records at a running site."),
    ("consent", consent, "What a patient allows."),
    ("access", access, "Who looked at a patient's record."),
    ("token", token, "Access tokens of a hosted site."),
    ("engine", engine, "The CometBFT engine."),
):
    app.add_typer(part.app, name=noun, short_help=summary, no_args_is_help=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(args=given, prog_name="careledger")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        found = judge(error)
        if found is None:
            raise
        tell(found, as_json="--json" in given)
        return found[0]
    return Exit.OK


if __name__ == "__main__":
    sys.exit(main())
