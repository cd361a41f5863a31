"""Reading the ledger for people and programs: anchors in force, the note to prove under, blocks as documents.

Shared by the command line and the HTTP routes. Documents hold no payloads unless asked for: a payload lists tags,
and lists of tags help to link them.
"""

from __future__ import annotations

from typing import Final

from careledger.consensus.client import LedgerClient
from careledger.consensus.solo.header import SignedHeader, SoloHeader
from careledger.domains.governance.chain import keeper as governance_keeper
from careledger.ledger.checkpoint import parse_note, verify_cosignatures
from careledger.ledger.errors import NOT_FOUND
from careledger.ledger.receipt import Receipt
from careledger.ledger.transaction import decode_transaction
from careledger.ledger.trust import Trust, build_trust
from careledger.ledger.view import BlockSummary, LedgerView
from careledger.primitives.codec import CodecError, decode
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.timestamps import format_instant
from careledger.state.store import META

COSIGNED_KEY: Final = b"cosigned"
"""Key in the table `meta` under which the ledger process keeps the newest cosigned note."""


def read_trust_in_force(view: LedgerView) -> Trust:
    """Anchors of a ledger as they stand at the newest height."""
    position = view.position()
    with view.at_head() as head:
        validators = governance_keeper.validator_set(head.store)
        policy = governance_keeper.witnesses(head.store)
    return build_trust(
        chain_id=position.chain_id,
        validators=[(each.public_key, each.power) for each in validators],
        witnesses=[(each.name, each.public_key) for each in policy.witnesses],
        quorum=policy.quorum,
        buckets_log2=position.buckets_log2,
    )


async def choose_note(client: LedgerClient, trust: Trust, *, needs_witnesses: bool) -> str:
    """Note to prove under: the newest that enough witnesses cosigned, or simply the newest.

    Raises:
        Rejected: NOT_FOUND, no note has enough cosignatures yet.
        Unavailable: The ledger process cannot be reached.
    """
    if not needs_witnesses or trust.quorum == 0:
        return await client.checkpoint()
    return require_cosigned(await client.cosigned(), trust)


def require_cosigned(note: str | None, trust: Trust) -> str:
    """A note with cosignatures of enough witnesses.

    Raises:
        Rejected: NOT_FOUND, it has too few.
    """
    count = len(verify_cosignatures(parse_note(note), trust.witness_keys)) if note else 0
    if note is None or count < trust.quorum:
        raise Rejected(
            NOT_FOUND, f"no checkpoint has the {trust.quorum} cosignatures that this ledger asks for yet"
        )
    return note


async def note_of_any(client: LedgerClient, view: LedgerView, trust: Trust, *, needs_witnesses: bool) -> str:
    """As `choose_note`, from the replica's files where the ledger process does not run.

    Raises:
        Rejected: NOT_FOUND, there is no such note.
        Unavailable: The process does not run and the files hold no signed note.
    """
    try:
        return await choose_note(client, trust, needs_witnesses=needs_witnesses)
    except Unavailable:
        with view.snapshot() as reader:
            raw = reader.get(META, COSIGNED_KEY)
        if raw is None:
            raise
        note = raw.decode()
        return require_cosigned(note, trust) if needs_witnesses else note


def describe_receipt(receipt: Receipt) -> dict[str, object]:
    """A receipt as JSON."""
    code = receipt.rejection()
    outcome = "success" if receipt.is_success else code.name if code else f"{receipt.module}/{receipt.code}"
    return {
        "tx_id": receipt.tx_id.hex(),
        "height": receipt.height,
        "index": receipt.index,
        "outcome": outcome,
        "operations": receipt.operations,
        "data": receipt.data.hex(),
    }


def block_document(block: BlockSummary) -> dict[str, object]:
    """A block as JSON, without payloads."""
    document: dict[str, object] = {"height": block.height}
    try:
        signed = decode(block.header, SignedHeader)
        header = decode(signed.header, SoloHeader)
    except CodecError:
        document["header"] = block.header.hex()
    else:
        document |= {
            "time_ms": header.time_ms,
            "time": format_instant(header.time_ms),
            "app_hash": header.app_hash.hex(),
            "history_size": header.history_size,
            "previous_hash": header.previous_hash.hex(),
            "transactions_root": header.transactions_root.hex(),
            "sequencer": header.sequencer.hex(),
            "signature": signed.signature.hex(),
        }
    asked = [_describe_asked(raw) for raw in block.transactions]
    document["transactions"] = [
        describe_receipt(receipt) | (asked[receipt.index] if receipt.index < len(asked) else {})
        for receipt in block.receipts
    ]
    document["events"] = [
        {"transaction": event.tx_index, "module": event.module, "event": event.name} for event in block.events
    ]
    return document


def transaction_document(view: LedgerView, tx_id: bytes) -> dict[str, object]:
    """A transaction as JSON, without its payload.

    Raises:
        Rejected: NOT_FOUND.
    """
    receipt = view.receipt(tx_id)
    if receipt is None:
        raise Rejected(NOT_FOUND)
    block = view.block(receipt.height)
    document = describe_receipt(receipt)
    if receipt.index < len(block.transactions):
        document |= _describe_asked(block.transactions[receipt.index])
    return document


def _describe_asked(raw: bytes) -> dict[str, object]:
    """What a transaction asked for, and which keys signed it."""
    described: dict[str, object] = {"size_bytes": len(raw)}
    try:
        content = decode_transaction(raw).content
    except Rejected:
        return described
    return described | {
        "message": f"{content.module}.{content.message}",
        "signers": [signer.hex() for signer in content.signers],
        "expires_at_ms": content.expires_at_ms,
    }
