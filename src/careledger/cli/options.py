"""Options that many commands share, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Network = Annotated[
    Path,
    typer.Option(
        "--network",
        "-n",
        envvar="CARELEDGER_NETWORK",
        help="Folder of the network, made by `careledger init`.",
        show_default="the current folder",
    ),
]
"""Folder of a network."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
"""Output for programs."""

TrustFile = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        help="Anchors that you trust: a network's genesis.json, or a document of `careledger ledger trust`.",
    ),
]
"""Pinned trust."""

HERE = Path()
"""The current folder."""
