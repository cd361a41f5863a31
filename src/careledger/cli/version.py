"""`careledger version`: what this is."""

from __future__ import annotations

import typer

from careledger.cli.options import AsJson
from careledger.cli.output import show_json, show_lines


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version", short_help="Print the version.")(version)


def version(*, as_json: AsJson = False) -> None:
    """Print the version of the program and of what it can run."""
    import platform

    from careledger import __version__

    if not as_json:
        show_lines([f"careledger {__version__}"])
        return
    from careledger.site.wiring import build_modules

    show_json(
        {
            "careledger": __version__,
            "python": platform.python_version(),
            "modules": {module.name: module.version for module in build_modules()},
        }
    )
