"""`careledger ledger`: where it stands, its blocks and transactions, proofs, anchors, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from careledger.cli import local, options
from careledger.cli.failures import Refused
from careledger.cli.output import show_json, show_lines, show_pairs, show_table

if TYPE_CHECKING:
    from careledger.consensus.client import LedgerClient
    from careledger.ledger.evidence import Evidence
    from careledger.ledger.evidence_making import EvidenceMaker
    from careledger.ledger.view import LedgerView
    from careledger.site.config import NetworkConfig

app = typer.Typer(help="The replica of the ledger in a network folder.")

Out = Annotated[Path | None, typer.Option("--out", help="File to write; standard output without it.")]


@app.command("status", short_help="Where the ledger stands.")
def status(network: options.Network = options.HERE, *, as_json: options.AsJson = False) -> None:
    """Say where the ledger stands, whether its process runs, and what witnesses have cosigned."""
    config = local.open_network(network)
    with local.open_ledger(config) as (view, client):
        document = local.run(_status(view, client))
    if as_json:
        show_json(document)
    else:
        show_pairs(document)


async def _status(view: LedgerView, client: LedgerClient) -> dict[str, object]:
    from careledger.ledger.checkpoint import parse_note, verify_cosignatures
    from careledger.primitives.errors import Rejected, Unavailable
    from careledger.primitives.timestamps import format_instant
    from careledger.site.ledger_reading import note_of_any, read_trust_in_force

    try:
        process = await client.status()
    except Unavailable:
        process = None
    trust = read_trust_in_force(view)
    position = view.position()
    try:
        note = parse_note(await note_of_any(client, view, trust, needs_witnesses=True))
    except (Rejected, Unavailable):
        note = None
    await client.close()
    return {
        "chain_id": position.chain_id,
        "height": position.height,
        "time": format_instant(position.time_ms),
        "app_hash": position.app_hash.hex(),
        "state_root": position.state_root.hex(),
        "history_size": position.frontier.size,
        "receipts_kept_from": position.pruned_below,
        "is_running": process is not None,
        "waiting_transactions": process.waiting if process else None,
        "witnesses": ", ".join(trust.witness_keys) or "none",
        "witness_quorum": trust.quorum,
        "cosigned_height": note.checkpoint.height if note else None,
        "cosigned_by": ", ".join(verify_cosignatures(note, trust.witness_keys)) if note else None,
    }


@app.command("block", short_help="One block.")
def block(
    height: Annotated[int, typer.Argument(min=1, help="Height of the block.")],
    network: options.Network = options.HERE,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Show one block; its transactions without their payloads."""
    from careledger.site.ledger_reading import block_document

    with local.open_ledger(local.open_network(network)) as (view, _):
        found = view.block(height)
        document = block_document(found)
    if as_json:
        show_json(document)
        return
    show_pairs({name: value for name, value in document.items() if not isinstance(value, list)})
    if found.receipts:
        transactions = document["transactions"]
        rows = transactions if isinstance(transactions, list) else []
        show_table(
            ("transaction", "message", "outcome", "operations"),
            [(row["tx_id"], row.get("message", ""), row["outcome"], row["operations"]) for row in rows],
        )


@app.command("tx", short_help="One transaction's outcome.")
def transaction(
    tx_id: Annotated[str, typer.Argument(help="The transaction's id, 64 hexadecimal digits.")],
    network: options.Network = options.HERE,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Show one transaction's outcome, without its payload."""
    from careledger.site.ledger_reading import transaction_document

    wanted = local.parse_hex(tx_id, "a transaction's id")
    with local.open_ledger(local.open_network(network)) as (view, _):
        document = transaction_document(view, wanted)
    if as_json:
        show_json(document)
    else:
        show_pairs(document)


@app.command("proof", short_help="Write an evidence file.")
def proof(
    record: Annotated[str, typer.Option(help="Tag of a record entry; with --organisation.")] = "",
    entry: Annotated[str, typer.Option("--access", help="Tag of an access entry; with --organisation.")] = "",
    organisation: Annotated[str, typer.Option(help="Who committed: short name or number.")] = "",
    cell: Annotated[str, typer.Option(help="Identifier of a consent cell.")] = "",
    tx: Annotated[str, typer.Option(help="Id of a transaction, for its outcome.")] = "",
    key: Annotated[str, typer.Option(help="Any state key.")] = "",
    out: Out = None,
    network: options.Network = options.HERE,
    *,
    uncosigned: Annotated[
        bool, typer.Option("--uncosigned", help="Prove under the newest checkpoint, witnesses or not.")
    ] = False,
) -> None:
    """Write an evidence file, for `careledger verify`. Tags, identifiers and keys are hexadecimal digits."""
    from careledger.ledger.evidence import write_evidence

    asked = {"record": record, "access": entry, "cell": cell, "tx": tx, "key": key}
    named = [name for name, value in asked.items() if value]
    if len(named) != 1:
        raise Refused("name exactly one of --record, --access, --cell, --tx and --key")
    if named[0] in ("record", "access") and not organisation:
        raise Refused("name the organisation that committed with --organisation")
    config = local.open_network(network)
    with local.open_ledger(config) as (view, client):
        maker = local.run(_maker(view, client, uncosigned=uncosigned))
        number = _organisation_number(config, view, organisation) if organisation else 0
        raw = write_evidence(_prove(maker, named[0], asked[named[0]], number))
    _emit(raw, out)


async def _maker(view: LedgerView, client: LedgerClient, *, uncosigned: bool) -> EvidenceMaker:
    import msgspec

    from careledger.ledger.evidence_making import EvidenceMaker
    from careledger.site.ledger_reading import note_of_any, read_trust_in_force

    trust = read_trust_in_force(view)
    note = await note_of_any(client, view, trust, needs_witnesses=not uncosigned)
    await client.close()
    return EvidenceMaker(view, msgspec.structs.replace(trust, quorum=0) if uncosigned else trust, note)


def _prove(maker: EvidenceMaker, kind: str, text: str, organisation: int) -> Evidence:
    if kind == "key":
        try:
            return maker.value(bytes.fromhex(text))
        except ValueError:
            raise Refused("a state key is hexadecimal digits") from None
    digest = local.parse_hex(text, f"--{kind}")
    if kind == "record":
        return maker.record(organisation, digest)
    if kind == "access":
        return maker.access(organisation, digest)
    return maker.cell(digest) if kind == "cell" else maker.receipt(digest)


def _organisation_number(config: NetworkConfig, view: LedgerView, text: str) -> int:
    """Number of an organisation named by number or short name."""
    if text.isascii() and text.isdigit() and len(text) <= 10:
        return int(text)
    from careledger.site.directory import LedgerDirectory

    del config
    return LedgerDirectory(view).by_slug(text).organisation


@app.command("checkpoint", short_help="The signed note of the history.")
def checkpoint(
    out: Out = None,
    network: options.Network = options.HERE,
    *,
    uncosigned: Annotated[
        bool,
        typer.Option("--uncosigned", help="The newest checkpoint, whether or not witnesses cosigned it."),
    ] = False,
) -> None:
    """Print the signed note of the history, with the cosignatures that the ledger asks for."""
    from careledger.site.ledger_reading import note_of_any, read_trust_in_force

    async def read(view: LedgerView, client: LedgerClient) -> str:
        trust = read_trust_in_force(view)
        note = await note_of_any(client, view, trust, needs_witnesses=not uncosigned)
        await client.close()
        return note

    with local.open_ledger(local.open_network(network)) as (view, client):
        _emit(local.run(read(view, client)).encode(), out)


@app.command("trust", short_help="The anchors of trust, for others to pin.")
def trust(
    out: Out = None,
    network: options.Network = options.HERE,
    *,
    at_genesis: Annotated[
        bool, typer.Option("--genesis", help="The anchors that the ledger began with.")
    ] = False,
) -> None:
    """Print the anchors of trust in force, for others to pin: sequencer, witnesses, quorum."""
    from careledger.ledger.genesis import read_genesis
    from careledger.ledger.trust import trust_of_genesis, write_trust
    from careledger.site.ledger_process import LedgerPaths
    from careledger.site.ledger_reading import read_trust_in_force

    config = local.open_network(network)
    if at_genesis:
        document = read_genesis(LedgerPaths(config.ledger_root).genesis.read_bytes())
        _emit(write_trust(trust_of_genesis(document)), out)
        return
    with local.open_ledger(config) as (view, _):
        _emit(write_trust(read_trust_in_force(view)), out)


@app.command("export", short_help="The state as a genesis document.")
def export(out: Out = None, network: options.Network = options.HERE) -> None:
    """Write the whole state as a genesis document, from which a ledger with the same state root begins."""
    from careledger.domains.governance.chain import keeper as governance_keeper
    from careledger.ledger.execution import select_active
    from careledger.ledger.genesis import export_genesis, write_genesis
    from careledger.sdk.context import View
    from careledger.site.wiring import build_modules
    from careledger.state.store import TableView

    with local.open_ledger(local.open_network(network)) as (view, _):
        position = view.position()
        available = {(module.name, module.version): module for module in build_modules()}
        with view.snapshot() as reader:
            head = View(
                store=TableView(reader),
                chain_id=position.chain_id,
                height=position.height,
                time_ms=position.time_ms,
            )
            versions = governance_keeper.active_versions(head.store, position.height)
            document = export_genesis(
                head, reader, select_active(available, versions).modules, buckets_log2=position.buckets_log2
            )
        _emit(write_genesis(document), out)


def _emit(raw: bytes, out: Path | None) -> None:
    if out is None:
        show_lines([raw.decode().rstrip("\n")])
    else:
        local.write_new(out, raw)
        show_lines([f"wrote {out}, {len(raw):,} bytes"])
