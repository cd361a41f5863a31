"""Checking evidence, step by step, and saying in plain sentences what it shows and what it does not.

The verifier raises at the first step that fails and names it; it never returns a verdict that one may
overlook. Needs no clock, no network and nothing of a site: the caller hands in the trusted anchors and, for
how fresh it is, the time.

State keys and values are restated here from their formats (`docs/formats/records_chain.md`): whoever verifies
derives the key from the claim, so that a file cannot prove one thing and claim another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar

from careledger.ledger.checkpoint import CheckpointInvalid, parse_note, verify_cosignatures
from careledger.ledger.evidence import (
    AccessClaim,
    CellClaim,
    Evidence,
    ReceiptClaim,
    ReceiptProof,
    RecordClaim,
    StateProof,
    ValueClaim,
    root_of,
)
from careledger.ledger.evidence_documents import DisclosedRecord, DisclosureInvalid, verify_disclosure
from careledger.ledger.history import HistoryLeaf
from careledger.ledger.light import (
    Authenticator,
    EvidenceInvalid,
    LeafProof,
    TrustedRoot,
    is_newest_leaf,
    verify_leaf,
)
from careledger.ledger.receipt import Receipt, receipt_leaf
from careledger.ledger.transaction import Content, decode_transaction
from careledger.ledger.trust import Trust
from careledger.ledger.verification import has_valid_signatures
from careledger.primitives.codec import CodecError, decode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import fold_inclusion
from careledger.primitives.timestamps import SECOND_MS
from careledger.state.proofs import ProofInvalid, verify_proof

_RECORD_PREFIX: Final = b"\x03\x01"
_ACCESS_PREFIX: Final = b"\x03\x02"
_CELL_PREFIX: Final = b"\x03\x03"
_ENTRY_BYTES: Final = 41
_ENTRY_SCHEMA: Final = 1
_CELL_BYTES: Final = 182
_CELL_SCHEMA: Final = 1

T = TypeVar("T")


class Step(IntEnum):
    """What is checked, in this order; the numbers are stable."""

    FILE = 1
    LEDGER = 2
    CHECKPOINT = 3
    HISTORY = 4
    PROOF = 5
    CLAIM = 6
    TIME = 7
    DOCUMENT = 8


STEP_TITLES: Final = {
    Step.FILE: "the file is whole, and what can be read in it is what is checked",
    Step.LEDGER: "it is about the ledger that you trust",
    Step.CHECKPOINT: "its checkpoint is signed by those who decide there, and by enough witnesses that you trust",
    Step.HISTORY: "its block stands in the history that was signed",
    Step.PROOF: "the proof leads from the ledger's content to that block",
    Step.CLAIM: "what is proved is what is claimed",
    Step.TIME: "the block that first held it, and so its time, stands in the same history",
    Step.DOCUMENT: "what was disclosed is what was committed to",
}


class EvidenceFailed(EvidenceInvalid):
    """A step failed; nothing is shown."""

    def __init__(self, step: Step, reason: str, passed: tuple[Step, ...]) -> None:
        super().__init__(f"step {int(step)}, {STEP_TITLES[step]}: {reason}")
        self.step = step
        self.reason = reason
        self.passed = passed


def record_key(organisation: int, tag: bytes) -> bytes:
    """State key of a record entry."""
    return _RECORD_PREFIX + organisation.to_bytes(4, "big") + tag


def access_key(organisation: int, tag: bytes) -> bytes:
    """State key of an access entry."""
    return _ACCESS_PREFIX + organisation.to_bytes(4, "big") + tag


def cell_key(cell: bytes) -> bytes:
    """State key of a consent cell."""
    return _CELL_PREFIX + cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a piece of evidence shows, all of it checked."""

    evidence: Evidence
    trust: Trust
    """The anchors that it was checked against."""
    trusted: TrustedRoot
    """The signed history root."""
    cosigned_s: dict[str, int]
    """Trusted witness -> when it cosigned, seconds since 1970, by its own clock."""
    leaf: HistoryLeaf
    """The block whose state or receipts were shown."""
    is_newest: bool
    """Whether that block was the last with transactions in the signed history."""
    committed: tuple[int, int] | None
    """Height and block time (ms) at which what is claimed came about, where that is shown."""
    receipt: Receipt | None = None
    content: Content | None = None
    """What the transaction asked for, if it came with the evidence."""
    record: DisclosedRecord | None = None
    steps: tuple[Step, ...]
    """Steps that were made; the others were not needed for this file."""
    warnings: tuple[str, ...] = field(default=())


def verify_evidence(evidence: Evidence, trust: Trust, authenticator: Authenticator | None = None) -> Verdict:
    """Check evidence that was read by `read_evidence` against anchors that the caller trusts.

    Without an authenticator, that of the embedded engine is made from the anchors; where validators decide, the
    caller hands in their engine's, made from the same anchors.

    1. The file is whole and says the same in all its parts (made by `read_evidence`).
    2. The ledger is the trusted one.
    3. The checkpoint is signed by the sequencer, or decided by the validators, and cosigned by a quorum of
       trusted witnesses.
    4. The history leaf stands in the checkpoint's history.
    5. The state value, or the receipt, leads to that leaf.
    6. The claim, by keys derived from it here, is what the proof is about.
    7. The leaf of the block in which an entry came about stands in the same history; a transaction's
       bytes are those of the receipt.
    8. Disclosed fields and document lead to the claimed commitment.

    Raises:
        EvidenceFailed: Names the first step that failed.
        TrustInvalid: Validators decide, and no authenticator was given.
    """
    decide = authenticator or trust.solo_authenticator()
    check = _Check()
    check.passed.append(Step.FILE)
    # 2
    check.make(Step.LEDGER, lambda: _check_ledger(evidence, trust))
    # 3
    root = root_of(evidence)
    trusted = check.make(Step.CHECKPOINT, lambda: decide.authenticate(root))
    # 4
    proof = evidence.proof
    leaf = check.make(Step.HISTORY, lambda: verify_leaf(proof.evidence.leaf, trusted))
    # 5, 6, 7
    receipt, content = None, None
    if isinstance(proof, StateProof):
        check.make(Step.PROOF, lambda: _check_state(proof, leaf, trust))
        height = check.make(Step.CLAIM, lambda: _check_state_claim(evidence, proof))
        committed = None
        if proof.since is not None:
            since = proof.since
            committed = check.make(Step.TIME, lambda: _check_since(since, trusted, leaf, height))
    else:
        receipt = check.make(Step.PROOF, lambda: _check_receipt(proof, leaf))
        check.make(Step.CLAIM, lambda: _check_receipt_claim(evidence, receipt))
        committed = (leaf.height, leaf.time_ms)
        if proof.transaction is not None:
            raw = proof.transaction
            content = check.make(Step.TIME, lambda: _check_transaction(raw, receipt))
    # 8
    record = None
    if evidence.disclosure is not None:
        record = check.make(Step.DOCUMENT, lambda: _check_disclosure(evidence))
    return Verdict(
        evidence=evidence,
        trust=trust,
        trusted=trusted,
        cosigned_s=_cosigned_s(root, trust),
        leaf=leaf,
        is_newest=is_newest_leaf(proof.evidence.leaf, trusted),
        committed=committed,
        receipt=receipt,
        content=content,
        record=record,
        steps=tuple(check.passed),
        warnings=_warnings(evidence, trust),
    )


class _Check:
    """Makes steps one after the other and knows which have passed."""

    def __init__(self) -> None:
        self.passed: list[Step] = []

    def make(self, step: Step, action: Callable[[], T]) -> T:
        try:
            result = action()
        except (EvidenceInvalid, DisclosureInvalid, CheckpointInvalid) as error:
            raise EvidenceFailed(step, str(error), tuple(self.passed)) from None
        self.passed.append(step)
        return result


def _check_ledger(evidence: Evidence, trust: Trust) -> None:
    if evidence.stated.chain_id != trust.chain_id:
        raise EvidenceInvalid(f"it is about {evidence.stated.chain_id}, you trust {trust.chain_id}")


def _check_state(proof: StateProof, leaf: HistoryLeaf, trust: Trust) -> None:
    shown = proof.evidence
    if shown.buckets_log2 != trust.buckets_log2:
        raise EvidenceInvalid("the state tree has another size than the ledger's")
    try:
        verify_proof(shown.proof, shown.key, shown.value, leaf.state_root, trust.buckets_log2)
    except ProofInvalid as error:
        raise EvidenceInvalid(f"the value does not follow from the state root ({error})") from None


def _check_state_claim(evidence: Evidence, proof: StateProof) -> int | None:
    """Compare key and value with the claim; returns the height that an entry names as its own."""
    claim = evidence.claim
    shown = proof.evidence
    if isinstance(claim, RecordClaim | AccessClaim):
        key_of = record_key if isinstance(claim, RecordClaim) else access_key
        _require_key(shown.key, key_of(claim.organisation, claim.tag))
        if claim.commitment is None:
            if shown.value is not None:
                raise EvidenceInvalid("the ledger has an entry where none is claimed")
            return None
        value = shown.value or b""
        if len(value) != _ENTRY_BYTES or value[0] != _ENTRY_SCHEMA or value[1:33] != claim.commitment:
            raise EvidenceInvalid("the ledger's entry is not the one that is claimed")
        return int.from_bytes(value[33:], "big")
    if isinstance(claim, CellClaim):
        _require_key(shown.key, cell_key(claim.cell))
        value = shown.value or b""
        if len(value) != _CELL_BYTES or value[0] != _CELL_SCHEMA:
            raise EvidenceInvalid("the ledger has no such consent cell")
        if int.from_bytes(value[5:13], "big") != claim.version or value[13:45] != claim.commitment:
            raise EvidenceInvalid("the consent cell is not at the version and commitment that are claimed")
        return None
    if isinstance(claim, ValueClaim):
        _require_key(shown.key, claim.key)
        if shown.value != claim.value:
            raise EvidenceInvalid("the value is not the one that is claimed")
        return None
    raise EvidenceInvalid("a state proof cannot show a transaction's outcome")


def _require_key(key: bytes, expected: bytes) -> None:
    if key != expected:
        raise EvidenceInvalid("the proof is about another key of the ledger's state")


def _check_since(
    since: LeafProof, trusted: TrustedRoot, shown: HistoryLeaf, height: int | None
) -> tuple[int, int]:
    if height is None:
        raise EvidenceInvalid("there is no entry whose block could be shown")
    leaf = verify_leaf(since, trusted)
    if leaf.height != height:
        raise EvidenceInvalid("the block is not the one that the entry names")
    if leaf.height > shown.height:
        raise EvidenceInvalid("the entry names a block after the state that holds it")
    return leaf.height, leaf.time_ms


def _check_receipt(proof: ReceiptProof, leaf: HistoryLeaf) -> Receipt:
    shown = proof.evidence
    try:
        receipt = decode(shown.receipt, Receipt)
        folded = fold_inclusion(receipt_leaf(receipt), receipt.index, shown.count, shown.path)
    except (CodecError, ValueError) as error:
        raise EvidenceInvalid(f"the receipt cannot be checked ({error})") from None
    if folded != leaf.receipts_root or receipt.height != leaf.height:
        raise EvidenceInvalid("the receipt is not among the block's receipts")
    return receipt


def _check_receipt_claim(evidence: Evidence, receipt: Receipt) -> None:
    claim = evidence.claim
    if not isinstance(claim, ReceiptClaim):
        raise EvidenceInvalid("a receipt cannot show what the state holds")
    if receipt.tx_id != claim.tx_id:
        raise EvidenceInvalid("the receipt is of another transaction")
    if (receipt.module, receipt.code) != (claim.module, claim.code):
        raise EvidenceInvalid("the outcome is not the one that is claimed")


def _check_transaction(raw: bytes, receipt: Receipt) -> Content:
    try:
        transaction = decode_transaction(raw)
    except Rejected:
        raise EvidenceInvalid("the transaction cannot be decoded") from None
    if transaction.tx_id != receipt.tx_id:
        raise EvidenceInvalid("the transaction is not the receipt's")
    if not has_valid_signatures(transaction):
        raise EvidenceInvalid("a signature of the transaction does not stand")
    return transaction.content


def _check_disclosure(evidence: Evidence) -> DisclosedRecord:
    claim, disclosure = evidence.claim, evidence.disclosure
    if disclosure is None or not isinstance(claim, RecordClaim) or claim.commitment is None:
        raise EvidenceInvalid("only a record that is present can be opened")
    return verify_disclosure(disclosure, tag=claim.tag, commitment=claim.commitment)


def _cosigned_s(root: bytes, trust: Trust) -> dict[str, int]:
    return verify_cosignatures(parse_note(root.decode()), trust.witness_keys)


def _warnings(evidence: Evidence, trust: Trust) -> tuple[str, ...]:
    warnings = []
    if evidence.stated != trust:
        warnings.append(
            "The file states other anchors of trust than yours. Yours were used; the file's were not."
        )
    return tuple(warnings)


def age_s(verdict: Verdict, now_ms: int) -> int:
    """Age of the checkpoint in seconds by the caller's clock; negative if the ledger's clock is ahead."""
    return (now_ms - verdict.trusted.time_ms) // SECOND_MS
