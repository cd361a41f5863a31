"""Signed heads: how far a custodian says a stream goes, and what two statements that differ prove.

    head = [1, kind, chain, custodian, stream, content, n, height]        kind: "stream" or "singles"

`stream` names the stream without telling whose it is; `content` is the hash of its manifest, or of what was
shown where single records are released. The head says: positions 0 to n are on the ledger, and n+1 is not, at
that height. Every answer carries one, so two different stories about one stream are evidence that anybody can
check with the custodian's key alone.

Owns the format and the comparison. Whether a head is true is checked against the ledger by who receives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from careledger.domains.records.service.exchange.directory import Directory
from careledger.domains.records.service.exchange.errors import PROOF_FAILED
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import labelled
from careledger.primitives.identifiers import PublicKey
from careledger.vault.envelope import parse_envelope, sign_envelope, verify_envelope
from careledger.vault.errors import EnvelopeInvalid
from careledger.vault.keys import SigningSeed

HEAD_PAYLOAD_TYPE: Final = "careledger/head/v1"
STREAM: Final = "stream"
"""Kind of a head about a whole stream."""
SINGLES: Final = "singles"
"""Kind of a head about records that are released one by one."""

_STREAM_LABEL: Final = "careledger/stream-name/1"
_SINGLES_LABEL: Final = "careledger/singles-name/1"
_CONTENT_LABEL: Final = "careledger/singles-content/1"


class Head(Wire, frozen=True):
    """Payload of a head's envelope."""

    version: int
    """1."""
    kind: str
    """`STREAM` or `SINGLES`."""
    chain_id: str
    custodian: int
    """Organisation that speaks."""
    stream: bytes
    """Name of the stream, 32 bytes."""
    content: bytes
    """Hash of the manifest, or digest of the single records shown; 32 bytes."""
    n: int
    """Last position, or how many single records."""
    height: int
    """Block of the state it speaks of."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head whose signature stands."""

    envelope: bytes
    head: Head
    signer: PublicKey


def stream_name(cell: bytes, compartment: int, epoch: int) -> bytes:
    """Name of a stream in heads; the same whatever key or manifest the custodian claims for it."""
    return labelled(_STREAM_LABEL, cell, compartment.to_bytes(1, "big"), epoch.to_bytes(4, "big"))


def singles_name(cell: bytes, basis: bytes) -> bytes:
    """Name in heads of what is released record by record, under a grant's or an emergency's name."""
    return labelled(_SINGLES_LABEL, cell, basis)


def singles_content(tags: list[bytes]) -> bytes:
    """Digest of the tags of released records, in their order."""
    return labelled(_CONTENT_LABEL, b"".join(tags))


def sign_head(head: Head, seed: SigningSeed) -> bytes:
    """Sign a head with the custodian's key for records."""
    return sign_envelope(HEAD_PAYLOAD_TYPE, encode(head), seed)


def verify_head(
    envelope: bytes, *, chain: str, custodian: int, directory: Directory, now: bool = True
) -> SignedHead:
    """Check who signed a head, and read it.

    Args:
        envelope: the head as it came.
        chain: the ledger it must speak of.
        custodian: organisation that must have signed.
        directory: knows whose key it is.
        now: whether the key must be valid now; evidence counts after a revocation, too.

    Raises:
        Rejected: PROOF_FAILED.
    """
    try:
        signers = [PublicKey(item.public_key) for item in parse_envelope(envelope).signatures]
        if len(signers) != 1 or directory.records_key_owner(signers[0], now=now) != custodian:
            raise Rejected(PROOF_FAILED, "the head is not signed by the custodian", at="head")
        head = decode(verify_envelope(envelope, payload_type=HEAD_PAYLOAD_TYPE, signers=signers), Head)
    except (EnvelopeInvalid, CodecError) as error:
        raise Rejected(PROOF_FAILED, str(error), at="head") from None
    if (
        (head.version, head.chain_id, head.custodian) != (1, chain, custodian)
        or head.kind not in (STREAM, SINGLES)
        or len(head.stream) != 32
        or len(head.content) != 32
        or head.n < 0
    ):
        raise Rejected(PROOF_FAILED, "not a head of this custodian", at="head")
    return SignedHead(envelope, head, signers[0])


class Equivocation(Wire, frozen=True):
    """Two signed heads that cannot both be true: transferable, and checked with the custodian's key alone."""

    version: int
    """1."""
    first: bytes
    """Envelope of a head."""
    second: bytes
    """Envelope of a head that contradicts it."""


def contradict(first: Head, second: Head) -> bool:
    """Whether two heads of one custodian cannot both be true.

    A stream has one manifest and never becomes shorter. Single records may become fewer, since what a narrow
    grant permits may; two heads about them only contradict at one height.
    """
    names = [(head.kind, head.chain_id, head.custodian, head.stream) for head in (first, second)]
    if names[0] != names[1]:
        return False
    if first.height == second.height:
        return (first.n, first.content) != (second.n, second.content)
    if first.kind == SINGLES:
        return False
    earlier, later = sorted((first, second), key=lambda head: head.height)
    return first.content != second.content or earlier.n > later.n


def build_equivocation(first: SignedHead, second: SignedHead) -> bytes | None:
    """Evidence from two heads, or None if both can be true."""
    if not contradict(first.head, second.head):
        return None
    return encode(Equivocation(1, first.envelope, second.envelope))


def verify_equivocation(raw: bytes, *, chain: str, custodian: int, directory: Directory) -> tuple[Head, Head]:
    """Check evidence that a custodian told two stories.

    Raises:
        Rejected: PROOF_FAILED, it proves nothing.
    """
    try:
        evidence = decode(raw, Equivocation)
    except CodecError as error:
        raise Rejected(PROOF_FAILED, str(error), at="evidence") from None
    first, second = (
        verify_head(envelope, chain=chain, custodian=custodian, directory=directory, now=False).head
        for envelope in (evidence.first, evidence.second)
    )
    if evidence.version != 1 or not contradict(first, second):
        raise Rejected(PROOF_FAILED, "both heads can be true", at="evidence")
    return first, second
