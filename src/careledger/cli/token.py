"""`careledger token`: access tokens for a hosted site's HTTP routes."""

from __future__ import annotations

from typing import Annotated

import typer

from careledger.cli import local, options
from careledger.cli.failures import Refused
from careledger.cli.output import show_json, show_lines

app = typer.Typer(help="Access tokens, signed with a hosted site's own key.")


@app.command("issue", short_help="Print an access token.")
def issue(
    site: Annotated[str, typer.Option(help="Organisation whose site the token opens.")],
    scope: Annotated[
        list[str], typer.Option(help="What it allows, such as system/*.rs or user/Observation.cruds.")
    ],
    role: Annotated[str, typer.Option(help="Role that it gives.")] = "system",
    subject: Annotated[
        str, typer.Option(help="Who it is for, as the access log names them.")
    ] = "command-line",
    client: Annotated[str, typer.Option(help="Application that uses it.")] = "careledger-cli",
    patient: Annotated[str, typer.Option(help="Patient in context.")] = "",
    fhir_user: Annotated[str, typer.Option(help="Practitioner/… or Patient/… behind it.")] = "",
    purpose: Annotated[str, typer.Option(help="Purpose of use.")] = "TREAT",
    lifetime_s: Annotated[int, typer.Option(min=1, help="Seconds that it lives.")] = 300,
    network: options.Network = options.HERE,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Print a token from the site's keystore. Whoever holds it may do what it says until it ends.

    A token without a person behind it (--fhir-user) lives 300 seconds at most, others an hour.
    """
    from careledger.site.ledger_process import clock_ms
    from careledger.site.setup import TOKEN_KEY
    from careledger.vault.keys import SigningSeed
    from careledger.web.principal import Purpose
    from careledger.web.tokens import TokenIssuer

    config = local.open_network(network)
    settings = local.read_settings()
    entry = config.site(site)
    try:
        wanted = Purpose(purpose)
    except ValueError:
        raise Refused(f"a purpose is one of {', '.join(one.value for one in Purpose)}") from None
    issuer = TokenIssuer(
        SigningSeed(local.read_key(config, site, TOKEN_KEY)),
        organisation=site,
        issuer=f"http://{settings.host}:{entry.port}/fhir",
        clock_ms=clock_ms,
    )
    try:
        made = issuer.issue(
            subject=subject,
            client_id=client,
            role=role,
            scopes=" ".join(scope),
            purpose=wanted,
            fhir_user=fhir_user,
            patient=patient,
            lifetime_s=lifetime_s,
        )
    except ValueError as error:
        raise Refused(str(error)) from None
    if as_json:
        show_json({"access_token": made.token, "token_type": "Bearer", "expires_in": made.expires_in_s,
                   "scope": made.scope})  # fmt: skip
    else:
        show_lines([made.token])
