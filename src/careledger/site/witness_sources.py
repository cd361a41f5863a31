"""Where a witness gets checkpoints: the local ledger process and its files, or a gateway over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from careledger.consensus.client import LedgerClient
from careledger.ledger.checkpoint import NOTE_BYTES_MAX
from careledger.ledger.errors import MALFORMED, UNREACHABLE
from careledger.ledger.history import subtree_hash
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import Rejected, Unavailable
from careledger.site.witness import GrowthAnswer
from careledger.state.store import HISTORY

ANSWER_BYTES_MAX = NOTE_BYTES_MAX
PROOF_NODES_MAX = 128
TIMEOUT_S = 10


class GrowthDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `/ledger/v1/consistency`: digests in hexadecimal."""

    first: int
    second: int
    first_root: str
    proof: list[str]


def read_growth(view: LedgerView, first: int, second: int) -> GrowthAnswer:
    """How a replica's history grew.

    Raises:
        IndexError: The sizes do not fit together.
        KeyError: The replica has no such size.
    """
    proof = view.consistency(first, second)
    with view.snapshot() as reader:
        root = subtree_hash(lambda name: reader.get(HISTORY, name), 0, first)
    return GrowthAnswer(root, proof)


class LocalSource:
    """The ledger of this installation."""

    def __init__(self, client: LedgerClient, view: LedgerView) -> None:
        self._client = client
        self._view = view

    async def checkpoint(self) -> str:
        """Signed note of the newest block."""
        return await self._client.checkpoint()

    async def growth(self, first: int, second: int) -> GrowthAnswer:
        """How the history grew between two sizes."""
        try:
            return read_growth(self._view, first, second)
        except KeyError:
            raise Unavailable(UNREACHABLE, "the replica's files are behind its process") from None

    async def add_cosignature(self, note: str) -> None:
        """Hand in a note with our cosignature."""
        await self._client.add_cosignature(note)


class HttpSource:
    """A ledger behind somebody else's gateway. Nothing it says is believed without a check."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """Take a client whose base URL is the gateway's."""
        self._client = client

    async def checkpoint(self) -> str:
        """Signed note of the newest block."""
        raw = await self._get("/ledger/v1/checkpoint", {})
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Unavailable(UNREACHABLE, "the answer is not text") from None

    async def growth(self, first: int, second: int) -> GrowthAnswer:
        """How the history grew between two sizes."""
        raw = await self._get("/ledger/v1/consistency", {"first": first, "second": second})
        try:
            document = msgspec.json.decode(raw, type=GrowthDocument)
            if len(document.proof) > PROOF_NODES_MAX:
                raise Unavailable(UNREACHABLE, "the consistency proof is too long")
            return GrowthAnswer(
                bytes.fromhex(document.first_root), tuple(bytes.fromhex(node) for node in document.proof)
            )
        except (msgspec.DecodeError, ValueError):
            raise Unavailable(UNREACHABLE, "the answer is not a consistency proof") from None

    async def add_cosignature(self, note: str) -> None:
        """Hand in a note with our cosignature."""
        try:
            response = await self._client.post(
                "/ledger/v1/cosigned",
                content=note.encode(),
                headers={"content-type": "text/plain; charset=utf-8"},
            )
        except httpx.HTTPError as error:
            raise Unavailable(UNREACHABLE, type(error).__name__) from None
        if response.status_code in (400, 409):
            raise Rejected(
                MALFORMED, "the ledger does not take the cosignature; it may not know this witness"
            )
        if response.status_code >= 300:
            raise Unavailable(UNREACHABLE, f"status {response.status_code}")

    async def _get(self, path: str, parameters: dict[str, Any]) -> bytes:
        body = bytearray()
        try:
            async with self._client.stream("GET", path, params=parameters) as response:
                if response.status_code != 200:
                    raise Unavailable(UNREACHABLE, f"status {response.status_code}")
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise Unavailable(UNREACHABLE, "the answer is too long")
        except httpx.HTTPError as error:
            raise Unavailable(UNREACHABLE, type(error).__name__) from None
        return bytes(body)


def connect(url: str) -> httpx.AsyncClient:
    """Client for a gateway; follows no redirects."""
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, follow_redirects=False)
