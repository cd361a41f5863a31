"""`careledger demo`: the demonstration, which has options of its own."""

from __future__ import annotations

import importlib

import typer

_DEMONSTRATION = "careledger.demo.main"


def register(app: typer.Typer) -> None:
    """Add the command; its options are read by the demonstration itself."""
    app.command(
        "demo",
        short_help="A made-up network and its story.",
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )(demo)


def demo(context: typer.Context) -> None:
    """Run four made-up organisations on this machine and tell a story on them; `--help` lists its options."""
    # By name: command line and demonstration stand beside each other and know nothing of each other's parts.
    raise SystemExit(importlib.import_module(_DEMONSTRATION).run(context.args))
