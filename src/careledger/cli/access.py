"""`careledger access`: who looked at a patient's record."""

from __future__ import annotations

from typing import Annotated

import typer

from careledger.cli import options, remote
from careledger.cli.consent import Patient, address
from careledger.cli.output import show_json, show_table

app = typer.Typer(help="The access log of a patient, at a running site.")


@app.command("list", short_help="Who looked.")
def list_accesses(
    patient: Patient,
    count: Annotated[int, typer.Option(min=1, max=1_000, help="Entries at most, newest first.")] = 50,
    url: remote.Url = "",
    token: remote.Token = "",
    *,
    as_json: options.AsJson = False,
) -> None:
    """List who looked at a patient's record, when, and at what; data pulls by programs included."""
    with remote.Site(url, token) as site:
        parameters = [("count", str(count))]
        document = site.call("GET", address(remote.ACCESS, patient), parameters=parameters).document()
    if as_json:
        show_json(document)
        return
    show_table(
        ("time", "who", "organisation", "action", "what", "on the ledger"),
        [
            (
                one.get("time", ""),
                one.get("who", ""),
                one.get("organisation", ""),
                one.get("action", ""),
                ", ".join(one.get("what", [])),
                one.get("height") or "not yet",
            )
            for one in document.get("entries", [])
        ],
    )
