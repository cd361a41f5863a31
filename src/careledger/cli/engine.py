"""`careledger engine`: the external engine, which only networks without a single sequencer need."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from careledger.cli.exits import Exit
from careledger.cli.options import AsJson
from careledger.cli.output import show_json, show_lines, show_pairs

if TYPE_CHECKING:
    from careledger.consensus.cometbft.install import EngineBinary

app = typer.Typer(help="The CometBFT engine, for networks of four or more validators.")


@app.command("install", short_help="Build the engine from its source.")
def install(*, as_json: AsJson = False) -> None:
    """Build the released engine from its published, checked source; takes a minute or two."""
    from careledger.consensus.cometbft.install import install_engine

    say = (lambda _: None) if as_json else (lambda text: show_lines([text]))
    _show(install_engine(say=say), as_json=as_json)


@app.command("status", short_help="Whether the engine is installed.")
def status(*, as_json: AsJson = False) -> None:
    """Say whether the engine is installed and is the one that was built."""
    from careledger.consensus.cometbft.install import EngineUnavailable, engine_status

    try:
        engine = engine_status()
    except EngineUnavailable as error:
        if not as_json:
            raise
        show_json({"installed": False, "reason": str(error)})
        raise typer.Exit(Exit.UNAVAILABLE) from None
    _show(engine, as_json=as_json)


def _show(engine: EngineBinary, *, as_json: bool) -> None:
    document = {"installed": True, **asdict(engine), "path": str(engine.path)}
    if as_json:
        show_json(document)
    else:
        show_pairs(document)
