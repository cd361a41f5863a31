"""The ledger over HTTP, below `/ledger/v1`: where it stands, its blocks, and proofs, for whoever wants to check.

Answered from this installation's replica; the ledger process is asked only for checkpoints and to take a
witness's cosignature. All of it is public: there are only keys, tags and commitments on the ledger. Even so, no
answer lists tags, since a list would help to link them: blocks and transactions are shown without payloads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from careledger.consensus.client import LedgerClient
from careledger.ledger.checkpoint import NOTE_BYTES_MAX
from careledger.ledger.errors import HEIGHT_AHEAD, NOT_FOUND
from careledger.ledger.evidence import Evidence, write_evidence
from careledger.ledger.evidence_making import EvidenceMaker
from careledger.ledger.trust import write_trust
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import ORGANISATION_ID_MAX
from careledger.site.ledger_reading import (
    block_document,
    choose_note,
    read_trust_in_force,
    transaction_document,
)
from careledger.site.witness_sources import GrowthDocument, read_growth
from careledger.web.bodies import read_body
from careledger.web.errors import REQUEST_MALFORMED, ROUTE_UNKNOWN
from careledger.web.manifest import DomainFace, Operation, Parameter

MOUNT: Final = "ledger"
_HEIGHT_DIGITS_MAX: Final = 18
_KEY_BYTES_MAX: Final = 480
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"

T = TypeVar("T")


class LedgerRoutes:
    """Answers the routes over one replica."""

    def __init__(self, view: LedgerView, client: LedgerClient) -> None:
        self._view = view
        self._client = client

    async def status(self, _: Request) -> Response:
        """Where the replica stands."""
        position = self._view.position()
        return _json(
            {
                "chain_id": position.chain_id,
                "height": position.height,
                "time_ms": position.time_ms,
                "app_hash": position.app_hash.hex(),
                "state_root": position.state_root.hex(),
                "history_size": position.frontier.size,
                "history_root": position.frontier.root().hex(),
                "receipts_kept_from": position.pruned_below,
            }
        )

    async def trust(self, _: Request) -> Response:
        """Anchors in force now; to be pinned only by whoever trusts where they come from."""
        return Response(write_trust(read_trust_in_force(self._view)), media_type=_JSON)

    async def checkpoint(self, _: Request) -> Response:
        """Signed note of the newest block."""
        return Response(await self._client.checkpoint(), media_type=_TEXT)

    async def cosigned(self, _: Request) -> Response:
        """Newest note that a witness has cosigned."""
        note = await self._client.cosigned()
        if note is None:
            raise Rejected(NOT_FOUND, "no witness has cosigned anything yet")
        return Response(note, media_type=_TEXT)

    async def add_cosignature(self, request: Request) -> Response:
        """Take a witness's cosignature."""
        length = request.headers.get("content-length")
        body = await read_body(
            request.receive, None if length is None else length.encode("latin-1"), NOTE_BYTES_MAX
        )
        try:
            note = body.decode()
        except UnicodeDecodeError:
            raise Rejected(REQUEST_MALFORMED, "a note is UTF-8") from None
        await self._client.add_cosignature(note)
        return Response(status_code=204)

    async def consistency(self, request: Request) -> Response:
        """How the history grew between two sizes."""
        first, second = _number(request, "first"), _number(request, "second")
        try:
            growth = read_growth(self._view, first, second)
        except IndexError:
            raise Rejected(REQUEST_MALFORMED, "sizes ascend from 1", at="first") from None
        except KeyError:
            raise Rejected(HEIGHT_AHEAD, "the history is not that long", at="second") from None
        document = GrowthDocument(
            first=first,
            second=second,
            first_root=growth.first_root.hex(),
            proof=[node.hex() for node in growth.proof],
        )
        return _json(document)

    async def block(self, request: Request) -> Response:
        """One block, without the transactions' payloads."""
        height = _digits(request.path_params["height"], "height")
        return _json(block_document(self._view.block(height)))

    async def transaction(self, request: Request) -> Response:
        """One transaction's outcome, without its payload."""
        tx_id = _hex(request.path_params["tx_id"], "tx_id", 32)
        return _json(transaction_document(self._view, tx_id))

    async def prove_state(self, request: Request) -> Response:
        """Evidence file for a record or access entry, a consent cell, or any state key."""
        make = _asked(request)
        maker = await self._maker(request)
        return Response(await asyncio.to_thread(lambda: write_evidence(make(maker))), media_type=_JSON)

    async def prove_receipt(self, request: Request) -> Response:
        """Evidence file for a transaction's outcome."""
        tx_id = _hex(request.query_params.get("tx", ""), "tx", 32)
        maker = await self._maker(request)
        made = await asyncio.to_thread(lambda: maker.receipt(tx_id, with_transaction=False))
        return Response(write_evidence(made), media_type=_JSON)

    async def _maker(self, request: Request) -> EvidenceMaker:
        trust = read_trust_in_force(self._view)
        wants_any = request.query_params.get("cosigned") == "false"
        note = await choose_note(self._client, trust, needs_witnesses=not wants_any)
        # Evidence under a note that too few have cosigned states that no witness is asked for.
        stated = msgspec.structs.replace(trust, quorum=0) if wants_any else trust
        return EvidenceMaker(self._view, stated, note)


def _asked(request: Request) -> Callable[[EvidenceMaker], Evidence]:
    """Which evidence a request for a state proof asks for."""
    asked = request.query_params
    organisation = asked.get("organisation")
    for name in ("record", "access"):
        if name in asked:
            tag = _hex(asked[name], name, 32)
            number = _digits(organisation or "", "organisation")
            if not 1 <= number <= ORGANISATION_ID_MAX:
                raise Rejected(REQUEST_MALFORMED, at="organisation")
            if name == "record":
                return lambda maker: maker.record(number, tag)
            return lambda maker: maker.access(number, tag)
    if "cell" in asked:
        cell = _hex(asked["cell"], "cell", 32)
        return lambda maker: maker.cell(cell)
    key = _hex(asked.get("key", ""), "key", None)
    return lambda maker: maker.value(key)


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type=_JSON)


def _number(request: Request, name: str) -> int:
    return _digits(request.query_params.get(name, ""), name)


def _digits(text: str, at: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _HEIGHT_DIGITS_MAX:
        raise Rejected(REQUEST_MALFORMED, "a whole number was expected", at=at)
    return int(text)


def _hex(text: str, at: str, size_bytes: int | None) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raise Rejected(REQUEST_MALFORMED, "hexadecimal digits were expected", at=at) from None
    if not 1 <= len(raw) <= _KEY_BYTES_MAX or (size_bytes is not None and len(raw) != size_bytes):
        raise Rejected(REQUEST_MALFORMED, "the number of digits is wrong", at=at)
    return raw


def ledger_face(view: LedgerView, client: LedgerClient) -> DomainFace:
    """The ledger's part of a site's HTTP face; its addresses begin with `/ledger`."""
    routes = LedgerRoutes(view, client)
    answers = {
        "readLedgerStatus": routes.status,
        "readLedgerTrust": routes.trust,
        "readCheckpoint": routes.checkpoint,
        "readCosignedCheckpoint": routes.cosigned,
        "addCosignature": routes.add_cosignature,
        "readConsistencyProof": routes.consistency,
        "readBlock": routes.block,
        "readTransaction": routes.transaction,
        "proveState": routes.prove_state,
        "proveReceipt": routes.prove_receipt,
    }
    # A bare router: what a route raises is answered by the edge in front, in one form for the whole site.
    app = Router(
        routes=[
            Route(f"/{MOUNT}{operation.path}", answers[operation.name], methods=[operation.method])
            for operation in OPERATIONS
        ],
        default=_unknown,
    )
    return DomainFace(
        name=MOUNT,
        mount=MOUNT,
        app=app,
        text="The shared ledger: where it stands, its blocks, and proofs that anybody can check.",
        operations=OPERATIONS,
    )


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise Rejected(ROUTE_UNKNOWN)


def _query(name: str, text: str, *, is_required: bool = False) -> Parameter:
    return Parameter(name=name, place="query", text=text, is_required=is_required)


def _path(name: str, text: str) -> Parameter:
    return Parameter(name=name, place="path", text=text, is_required=True)


_UNCOSIGNED: Final = _query(
    "cosigned", "`false` for the newest checkpoint, whether or not witnesses cosigned it."
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/status",
        name="readLedgerStatus",
        text="Say where this replica of the ledger stands.",
        answers={200: "Height, block time, hashes and the history's size."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/trust",
        name="readLedgerTrust",
        text="List the ledger's anchors of trust as they are in force now.",
        answers={200: "A trust document: sequencer, witnesses and their quorum."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/checkpoint",
        name="readCheckpoint",
        text="Sign the history as of the newest block.",
        answers={200: "A signed note."},
        answer_type="text/plain",
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/cosigned",
        name="readCosignedCheckpoint",
        text="Show the newest checkpoint that a witness has cosigned.",
        answers={200: "A signed note with cosignatures."},
        answer_type="text/plain",
        is_public=True,
    ),
    Operation(
        method="POST",
        path="/v1/cosigned",
        name="addCosignature",
        text="Hand in a witness's cosignature of one of this ledger's checkpoints.",
        request_type="text/plain",
        answers={204: "It was taken."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/consistency",
        name="readConsistencyProof",
        text="Prove that the history only grew between two sizes.",
        parameters=(
            _query("first", "The smaller size, from 1.", is_required=True),
            _query("second", "The larger size.", is_required=True),
        ),
        answers={200: "Root at the smaller size and the proof's nodes."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/block/{height}",
        name="readBlock",
        text="Show one block without its transactions' payloads.",
        parameters=(_path("height", "Height of the block, from 1."),),
        answers={200: "Header, transactions' outcomes and ledger events."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/tx/{tx_id}",
        name="readTransaction",
        text="Show one transaction's outcome without its payload.",
        parameters=(_path("tx_id", "The transaction's id, 64 hexadecimal digits."),),
        answers={200: "Its block, position and outcome."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/proof/state",
        name="proveState",
        text="Prove what the ledger's state holds, or does not hold.",
        parameters=(
            _query("record", "Tag of a record entry, 64 hexadecimal digits; with `organisation`."),
            _query("access", "Tag of an access entry, 64 hexadecimal digits; with `organisation`."),
            _query("organisation", "Number of the organisation that committed."),
            _query("cell", "Identifier of a consent cell, 64 hexadecimal digits."),
            _query("key", "Any state key, in hexadecimal digits."),
            _UNCOSIGNED,
        ),
        answers={200: "An evidence file."},
        is_public=True,
    ),
    Operation(
        method="GET",
        path="/v1/proof/receipt",
        name="proveReceipt",
        text="Prove a transaction's outcome.",
        parameters=(
            _query("tx", "The transaction's id, 64 hexadecimal digits.", is_required=True),
            _UNCOSIGNED,
        ),
        answers={200: "An evidence file."},
        is_public=True,
    ),
)
