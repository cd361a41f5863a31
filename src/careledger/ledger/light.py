"""The light client: checks what a ledger says without its state.

Every proof runs from a value or a receipt to a history leaf, from the leaf to the history's root, and from
there to whoever vouches for that root. How a root is vouched for differs by engine and stands behind the
`Authenticator` protocol; everything below it is the same for both.

Pure: no I/O and no clock; the caller hands in what it has and judges how fresh is fresh enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from careledger.ledger.checkpoint import (
    CheckpointInvalid,
    parse_note,
    verify_cosignatures,
    verify_note_signature,
)
from careledger.ledger.history import HistoryLeaf
from careledger.ledger.receipt import Receipt, receipt_leaf
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.hashing import fold_inclusion, leaf_hash
from careledger.state.proofs import Proof, ProofInvalid, verify_proof


class EvidenceInvalid(Exception):  # noqa: N818 - verification raises the outcome's name
    """A step of the check failed; the message says which and why."""


class TrustedRoot(Wire, frozen=True):
    """A history root that somebody vouches for."""

    chain_id: str
    """The ledger."""
    size: int
    """Leaves of the history."""
    root: bytes
    """Root of the history."""
    height: int
    """Last block covered."""
    time_ms: int
    """That block's time."""
    vouchers: tuple[str, ...]
    """Names of those whose signatures were checked."""


class Authenticator(Protocol):
    """Decides whether a root is vouched for, from bytes that came with the evidence."""

    def authenticate(self, raw: bytes) -> TrustedRoot:
        """Check the signatures over a root.

        Raises:
            EvidenceInvalid: It is not vouched for.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SoloAuthenticator:
    """An embedded ledger's root: the sequencer's signature and a quorum of witnesses."""

    chain_id: str
    """The ledger that is expected."""
    sequencer: bytes
    """Its sequencer's Ed25519 key."""
    witnesses: Mapping[str, bytes]
    """Known witnesses: name -> Ed25519 key."""
    quorum: int
    """How many witnesses must have cosigned; 0 trusts the sequencer alone."""

    def authenticate(self, raw: bytes) -> TrustedRoot:
        """Check a checkpoint in signed-note form."""
        try:
            signed = parse_note(raw.decode())
            if signed.checkpoint.chain_id != self.chain_id:
                raise EvidenceInvalid("the checkpoint is of another ledger")
            sequencer_name = f"{self.chain_id}/sequencer"
            verify_note_signature(signed, sequencer_name, self.sequencer)
            cosigned = verify_cosignatures(signed, self.witnesses)
        except (CheckpointInvalid, UnicodeDecodeError) as error:
            raise EvidenceInvalid(f"the checkpoint does not hold: {error}") from None
        if len(cosigned) < self.quorum:
            raise EvidenceInvalid(
                f"{len(cosigned)} known witnesses cosigned the checkpoint, {self.quorum} are needed"
            )
        checkpoint = signed.checkpoint
        return TrustedRoot(
            checkpoint.chain_id,
            checkpoint.size,
            checkpoint.root,
            checkpoint.height,
            checkpoint.time_ms,
            (sequencer_name, *sorted(cosigned)),
        )


class LeafProof(Wire, frozen=True):
    """A history leaf and its path."""

    leaf: bytes
    """Encoded `HistoryLeaf`."""
    index: int
    """Its position."""
    path: tuple[bytes, ...]
    """Siblings up to the history's root."""


class StateEvidence(Wire, frozen=True):
    """That a key had a value, or none, in the state after some block."""

    root: bytes
    """What the authenticator reads: a signed note, or a header with its commit."""
    leaf: LeafProof
    """The newest leaf of that history, or an older one."""
    key: bytes
    """State key."""
    value: bytes | None
    """Its value; None proves absence."""
    proof: Proof
    """From the value to the leaf's state root."""
    buckets_log2: int
    """Size of the state tree; from genesis, checked through the proof."""


class ReceiptEvidence(Wire, frozen=True):
    """That a transaction had an outcome in some block."""

    root: bytes
    """As in `StateEvidence`."""
    leaf: LeafProof
    """The block's own leaf."""
    receipt: bytes
    """Encoded `Receipt`."""
    count: int
    """Receipts of the block."""
    path: tuple[bytes, ...]
    """Siblings up to the leaf's receipts root."""


def verify_leaf(proof: LeafProof, trusted: TrustedRoot) -> HistoryLeaf:
    """Check that a leaf stands in the history.

    Raises:
        EvidenceInvalid: It does not.
    """
    try:
        leaf = decode(proof.leaf, HistoryLeaf)
        folded = fold_inclusion(leaf_hash(proof.leaf), proof.index, trusted.size, proof.path)
    except (CodecError, ValueError) as error:
        raise EvidenceInvalid(f"the history leaf cannot be checked: {error}") from None
    if folded != trusted.root:
        raise EvidenceInvalid("the history leaf is not in the history that was signed")
    return leaf


def verify_state(
    evidence: StateEvidence, authenticator: Authenticator, *, buckets_log2: int
) -> tuple[TrustedRoot, HistoryLeaf]:
    """Check a value, or its absence.

    1. The root is vouched for.
    2. The leaf stands in the history under that root.
    3. The value, or its absence, follows from the leaf's state root.

    Whether the leaf is the newest one is said by `is_newest_leaf`; an older leaf proves the past only.

    Raises:
        EvidenceInvalid: A step failed.
    """
    # 1
    trusted = authenticator.authenticate(evidence.root)
    # 2
    leaf = verify_leaf(evidence.leaf, trusted)
    # 3
    if evidence.buckets_log2 != buckets_log2:
        raise EvidenceInvalid("the state tree has another size than the ledger's")
    try:
        verify_proof(evidence.proof, evidence.key, evidence.value, leaf.state_root, buckets_log2)
    except ProofInvalid as error:
        raise EvidenceInvalid(f"the value does not follow from the state root: {error}") from None
    return trusted, leaf


def is_newest_leaf(proof: LeafProof, trusted: TrustedRoot) -> bool:
    """Whether the leaf is the last of the history, so that its state is the state at the root's height."""
    return proof.index == trusted.size - 1


def verify_receipt(
    evidence: ReceiptEvidence, authenticator: Authenticator
) -> tuple[TrustedRoot, HistoryLeaf, Receipt]:
    """Check a transaction's outcome.

    1. The root is vouched for.
    2. The leaf stands in the history under that root.
    3. The receipt stands in the leaf's receipts.

    Raises:
        EvidenceInvalid: A step failed.
    """
    # 1
    trusted = authenticator.authenticate(evidence.root)
    # 2
    leaf = verify_leaf(evidence.leaf, trusted)
    # 3
    try:
        receipt = decode(evidence.receipt, Receipt)
        folded = fold_inclusion(receipt_leaf(receipt), receipt.index, evidence.count, evidence.path)
    except (CodecError, ValueError) as error:
        raise EvidenceInvalid(f"the receipt cannot be checked: {error}") from None
    if folded != leaf.receipts_root or receipt.height != leaf.height:
        raise EvidenceInvalid("the receipt is not among the block's receipts")
    return trusted, leaf, receipt


def encode_evidence(evidence: StateEvidence | ReceiptEvidence) -> bytes:
    """Canonical bytes of a piece of evidence."""
    return encode(evidence)
