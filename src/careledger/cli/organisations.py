"""`careledger org`: who is a member, and how an organisation becomes one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from careledger.cli import local, options
from careledger.cli.exits import Exit
from careledger.cli.failures import Refused
from careledger.cli.output import show_json, show_lines, show_pairs, show_table

if TYPE_CHECKING:
    from careledger.domains.governance.chain.types import Outcome
    from careledger.domains.identity.chain.types import Role
    from careledger.site.config import NetworkConfig
    from careledger.site.directory import DirectoryEntry

app = typer.Typer(help="Organisations: members, and the votes by which one becomes a member.")

CANDIDATE_BYTES_MAX = 64 * 1024
Slug = Annotated[str, typer.Argument(help="Short name of the organisation.")]
By = Annotated[str, typer.Option("--by", help="Hosted member whose admin key signs.")]
AsRole = Annotated[str, typer.Option("--role", help="What it is: hospital, practice, pharmacy, …")]


@app.command("list", short_help="All organisations.")
def list_organisations(network: options.Network = options.HERE, *, as_json: options.AsJson = False) -> None:
    """List all organisations, past members included."""
    from careledger.site.directory import LedgerDirectory

    with local.open_ledger(local.open_network(network)) as (view, _):
        found = LedgerDirectory(view).all()
    if as_json:
        show_json([_document(one) for one in found])
        return
    show_table(
        ("number", "name", "roles", "member", "endpoints"),
        [
            (
                one.organisation,
                one.slug,
                ", ".join(one.roles),
                "yes" if one.is_member else "no",
                ", ".join(one.endpoints),
            )
            for one in found
        ],
    )


@app.command("show", short_help="One organisation with its keys.")
def show(slug: Slug, network: options.Network = options.HERE, *, as_json: options.AsJson = False) -> None:
    """Show one organisation with its keys."""
    from careledger.site.directory import LedgerDirectory

    with local.open_ledger(local.open_network(network)) as (view, _):
        document = _document(LedgerDirectory(view).by_slug(slug))
    if as_json:
        show_json(document)
        return
    lists = {name: ", ".join(map(str, value)) for name, value in document.items() if isinstance(value, list)}
    show_pairs(document | lists)


def _document(entry: DirectoryEntry) -> dict[str, object]:
    return {
        "organisation": entry.organisation,
        "slug": entry.slug,
        "is_member": entry.is_member,
        "roles": list(entry.roles),
        "endpoints": list(entry.endpoints),
        "exchange_keys": [key.hex() for key in entry.exchange_keys],
        "records_keys": [key.hex() for key in entry.records_keys],
        "hpke_public_key": entry.hpke_public_key.hex(),
    }


@app.command("candidate", short_help="Make keys and a candidate file.")
def candidate(
    slug: Slug,
    role: AsRole,
    folder: Annotated[Path, typer.Option(help="New folder for its keystore.")],
    endpoint: Annotated[list[str], typer.Option(help="Address of its site; may be given again.")],
    chain_id: Annotated[str, typer.Option(help="Name of the ledger that it wants to join.")],
    out: Annotated[Path, typer.Option("--out", help="File for the members to vote on.")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Make keys for an organisation elsewhere, and the candidate file that a member proposes with `org add`."""
    from careledger.site.admission import create_candidate
    from careledger.site.config import read_passphrase

    raw = create_candidate(
        folder,
        chain_id=chain_id,
        slug=_slug(slug),
        role=parse_role(role),
        endpoints=endpoint,
        passphrase=read_passphrase(local.read_settings(), folder),
    )
    local.write_new(out, raw)
    if as_json:
        show_json({"slug": slug, "candidate": str(out), "keystore": str(folder / "keystore.db")})
    else:
        show_lines([f"wrote {out}; a member proposes it with `careledger org add {slug} --candidate {out}`"])


def _slug(text: str) -> str:
    from careledger.primitives.identifiers import is_slug

    if not is_slug(text):
        raise Refused("a short name is 2 to 40 of a-z 0-9 - and starts with a letter")
    return text


def parse_role(text: str) -> Role:
    """Role by its name.

    Raises:
        Refused: There is none of that name.
    """
    from careledger.domains.identity.chain.types import Role

    roles = {role.name.lower().replace("_", "-"): role for role in Role}
    if text not in roles:
        raise Refused(f"a role is one of {', '.join(roles)}")
    return roles[text]


@app.command("add", short_help="Propose an organisation.")
def add(
    slug: Slug,
    by: By,
    role: Annotated[str, typer.Option("--role", help="What it is, for one to be hosted here.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of its gateway here.")] = 0,
    file: Annotated[
        Path | None, typer.Option("--candidate", help="Candidate file of an organisation elsewhere.")
    ] = None,
    network: options.Network = options.HERE,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be proposed, and do nothing.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Propose an organisation; it is a member once enough members have voted for it with `org vote`."""
    config = local.open_network(network)
    config.site(by)
    if (file is None) == (not role):
        raise Refused("give either --candidate, or --role and --port for one to be hosted here")
    if file is None and not port:
        raise Refused("name its --port too")
    if dry_run:
        show_json({"propose": {"admit": _slug(slug), "role": role or None, "by": by}})
        return
    raw = _candidate_here(config, _slug(slug), role, port) if file is None else _read_candidate(file, slug)
    outcome = local.run(_propose(config, by, raw))
    _report(config, outcome, as_json=as_json)


def _candidate_here(config: NetworkConfig, slug: str, role: str, port: int) -> bytes:
    """Candidate of an organisation hosted here; kept beside its keystore until it has its number."""
    import json

    from careledger.site.admission import create_candidate

    if any(site.slug == slug or site.port == port for site in config.sites):
        raise Refused(f"{slug} or port {port} is in use in this network folder")
    settings = local.read_settings()
    root = config.site_root(slug)
    raw = create_candidate(
        root,
        chain_id=config.chain_id,
        slug=slug,
        role=parse_role(role),
        endpoints=[f"http://{settings.host}:{port}"],
        passphrase=local.passphrase_of(config, settings),
    )
    (root / "candidate.cbor").write_bytes(raw)
    (root / "candidate.json").write_text(json.dumps({"role": role, "port": port}) + "\n")
    return raw


def _read_candidate(file: Path, slug: str) -> bytes:
    from careledger.domains.identity.chain.types import Candidate
    from careledger.primitives.codec import CodecError, decode

    with file.open("rb") as opened:
        raw = opened.read(CANDIDATE_BYTES_MAX)
    try:
        found = decode(raw, Candidate)
    except CodecError:
        raise Refused(f"{file} is not a candidate file") from None
    if found.slug != slug:
        raise Refused(f"{file} is of {found.slug}, not of {slug}")
    return raw


async def _propose(config: NetworkConfig, by: str, candidate: bytes) -> Outcome:
    from careledger.site.admission import propose_admission
    from careledger.site.ledger_process import clock_ms
    from careledger.site.setup import ADMIN_KEY

    raw = propose_admission(
        chain_id=config.chain_id,
        organisation=config.site(by).organisation,
        candidate=candidate,
        admin_seed=local.read_key(config, by, ADMIN_KEY),
        now_ms=clock_ms(),
    )
    return await _submit(config, raw)


async def _submit(config: NetworkConfig, raw: bytes) -> Outcome:
    from careledger.consensus.client import LedgerClient
    from careledger.site.admission import read_outcome
    from careledger.site.ledger_process import LedgerPaths

    client = LedgerClient(LedgerPaths(config.ledger_root).socket)
    try:
        return read_outcome(await client.submit(raw))
    finally:
        await client.close()


@app.command("vote", short_help="Vote on a proposal.")
def vote(
    proposal: Annotated[int, typer.Argument(min=1, help="Number of the proposal.")],
    by: By,
    network: options.Network = options.HERE,
    *,
    against: Annotated[bool, typer.Option("--against", help="Vote against it.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Vote on a proposal; the deciding vote carries it out."""
    config = local.open_network(network)
    config.site(by)
    outcome = local.run(_vote(config, by, proposal, is_approval=not against))
    _report(config, outcome, as_json=as_json)


async def _vote(config: NetworkConfig, by: str, proposal: int, *, is_approval: bool) -> Outcome:
    from careledger.site.admission import cast_vote
    from careledger.site.ledger_process import clock_ms
    from careledger.site.setup import ADMIN_KEY

    raw = cast_vote(
        chain_id=config.chain_id,
        organisation=config.site(by).organisation,
        proposal=proposal,
        is_approval=is_approval,
        admin_seed=local.read_key(config, by, ADMIN_KEY),
        now_ms=clock_ms(),
    )
    return await _submit(config, raw)


def _report(config: NetworkConfig, outcome: Outcome, *, as_json: bool) -> None:
    """Say what came of a proposal; a newcomer with a folder here gets its entry."""
    hosted = _host_newcomer(config, outcome.organisation) if outcome.organisation else ""
    if as_json:
        show_json(
            {
                "proposal": outcome.proposal,
                "is_executed": outcome.is_executed,
                "organisation": outcome.organisation or None,
                "hosted_as": hosted or None,
            }
        )
        return
    if not outcome.is_executed:
        show_lines(
            [
                f"proposal {outcome.proposal} is open: more members must approve it",
                f"  careledger org vote {outcome.proposal} --by MEMBER --network {config.root}",
            ]
        )
        return
    show_lines([f"proposal {outcome.proposal} was carried out"])
    if outcome.organisation:
        show_lines([f"the new member has number {outcome.organisation}"])
    if hosted:
        show_lines([f"{hosted} is served from here after the next `careledger serve`"])


def _host_newcomer(config: NetworkConfig, organisation: int) -> str:
    import json

    from careledger.site.admission import host_site
    from careledger.site.directory import LedgerDirectory

    with local.open_ledger(config) as (view, _):
        slug = LedgerDirectory(view).by_id(organisation).slug
    note = config.site_root(slug) / "candidate.json"
    if not note.exists():
        return ""
    wanted = json.loads(note.read_text())
    host_site(
        config,
        slug=slug,
        organisation=organisation,
        role=wanted["role"].replace("-", "_"),
        port=wanted["port"],
    )
    note.unlink()
    (config.site_root(slug) / "candidate.cbor").unlink(missing_ok=True)
    return slug


@app.command("proposals", short_help="Proposals that can be voted on.")
def proposals(network: options.Network = options.HERE, *, as_json: options.AsJson = False) -> None:
    """List the proposals that can be voted on."""
    from careledger.domains.governance.chain import keeper
    from careledger.primitives.timestamps import format_instant

    with local.open_ledger(local.open_network(network)) as (view, _), view.at_head() as head:
        rows = [
            {
                "proposal": found.id,
                "action": type(found.action).__name__,
                "proposer": found.proposer,
                "deadline": format_instant(found.deadline_ms),
                "approvals": sum(1 for _, is_approval in keeper.votes(head.store, found.id) if is_approval),
            }
            for found in keeper.open_proposals(head.store)
        ]
    if as_json:
        show_json(rows)
    elif rows:
        show_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        show_lines(["no proposal is open"])
    raise typer.Exit(Exit.OK)
