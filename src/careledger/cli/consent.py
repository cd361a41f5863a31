"""`careledger consent`: what a patient allows, granted and taken back at a running site that is the patient's agent."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer

from careledger.cli import options, remote
from careledger.cli.failures import Refused
from careledger.cli.output import show_json, show_lines, show_table

app = typer.Typer(help="Grants of a patient, at the site that acts as the patient's agent.")

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")

Patient = Annotated[str, typer.Argument(help="Id of the patient at that site.")]


def address(template: str, patient: str) -> str:
    """Address below a patient.

    Raises:
        Refused: The id is malformed.
    """
    if _ID.match(patient) is None:
        raise Refused("a patient's id is 1 to 64 of A-Z a-z 0-9 . -")
    return template.format(patient=patient)


@app.command("grant", short_help="Allow an organisation to read.")
def grant(
    patient: Patient,
    to: Annotated[str, typer.Option(help="Organisation that may read, by short name.")],
    custodian: Annotated[
        str, typer.Option(help="Organisation whose records may be read.", show_default="the site")
    ] = "",
    compartment: Annotated[
        list[str] | None,
        typer.Option(help="Which part of the record; may be given again.", show_default="normal"),
    ] = None,
    purpose: Annotated[str, typer.Option(help="Purpose of use.")] = "TREAT",
    until: Annotated[str, typer.Option(help="Last day, such as 2027-06-30.", show_default="no end")] = "",
    url: remote.Url = "",
    token: remote.Token = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the request and send nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Allow an organisation to read a part of the patient's record."""
    body: dict[str, object] = {
        "organisation": to,
        "compartments": compartment or ["normal"],
        "purpose": purpose,
    }
    if custodian:
        body["custodian"] = custodian
    if until:
        body["until"] = until
    path = address(remote.CONSENT, patient)
    if dry_run:
        show_json({"method": "POST", "path": path, "body": body})
        return
    with remote.Site(url, token) as site:
        content = json.dumps(body).encode()
        document = site.call("POST", path, content=content, content_type="application/json").document()
    if as_json:
        show_json(document)
    else:
        show_lines([f"{to} may read it; the grant is {document.get('name', 'on its way')}"])


@app.command("revoke", short_help="End a grant.")
def revoke(
    patient: Patient,
    name: Annotated[str, typer.Argument(help="Name of the grant, from `consent list`.")],
    url: remote.Url = "",
    token: remote.Token = "",
    *,
    as_json: options.AsJson = False,
) -> None:
    """End a grant: no further release. Copies already opened cannot be recalled."""
    if _ID.match(name) is None:
        raise Refused("a grant's name is as `consent list` shows it")
    with remote.Site(url, token) as site:
        site.call("DELETE", f"{address(remote.CONSENT, patient)}/{name}")
    if as_json:
        show_json({"revoked": name})
    else:
        show_lines(["revoked: no further release; copies already opened cannot be recalled"])


@app.command("list", short_help="The grants that stand.")
def list_grants(
    patient: Patient, url: remote.Url = "", token: remote.Token = "", *, as_json: options.AsJson = False
) -> None:
    """List the grants that stand."""
    with remote.Site(url, token) as site:
        document = site.call("GET", address(remote.CONSENT, patient)).document()
    if as_json:
        show_json(document)
        return
    show_table(
        ("grant", "organisation", "custodian", "compartments", "purpose", "until"),
        [
            (
                one.get("name", ""),
                one.get("organisation", ""),
                one.get("custodian", ""),
                ", ".join(one.get("compartments", [])),
                one.get("purpose", ""),
                one.get("until") or "no end",
            )
            for one in document.get("grants", [])
        ],
    )
