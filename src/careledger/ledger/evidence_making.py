"""Making evidence from a replica: looks up what is asked, proves it under a signed note, and checks it once.

What is made here is verified against the stated anchors before it is handed out, so that a damaged replica
gives an error and not a file that fails elsewhere. Reads a `LedgerView`; writes nothing.
"""

from __future__ import annotations

from careledger.ledger.checkpoint import parse_note
from careledger.ledger.errors import NOT_FOUND
from careledger.ledger.evidence import (
    AccessClaim,
    CellClaim,
    Disclosure,
    Evidence,
    ReceiptClaim,
    ReceiptProof,
    RecordClaim,
    StateProof,
    ValueClaim,
)
from careledger.ledger.evidence_check import access_key, cell_key, record_key, verify_evidence
from careledger.ledger.light import Authenticator, LeafProof, TrustedRoot
from careledger.ledger.meta import LEAF_INDEX, height_key
from careledger.ledger.receipt import Receipt
from careledger.ledger.trust import ENGINE_SOLO, Trust
from careledger.ledger.view import LedgerView, decode_bodies
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected
from careledger.state.store import BODIES


class _OwnNote:
    """Takes this installation's own note at its word; everything below its root is still checked."""

    def authenticate(self, raw: bytes) -> TrustedRoot:
        statement = parse_note(raw.decode()).checkpoint
        return TrustedRoot(
            statement.chain_id, statement.size, statement.root, statement.height, statement.time_ms, ()
        )


class EvidenceMaker:
    """Makes evidence under one signed note."""

    def __init__(
        self, view: LedgerView, trust: Trust, note: str, authenticator: Authenticator | None = None
    ) -> None:
        """Take the note whose history everything is proved in.

        Without an authenticator, votes of validators on the note are taken for granted here: it came from this
        installation's own ledger, and whoever verifies the evidence checks them.

        Raises:
            CheckpointInvalid: The note is none.
        """
        self._view = view
        self._trust = trust
        is_solo = trust.engine == ENGINE_SOLO
        self._authenticator = authenticator or (trust.solo_authenticator() if is_solo else _OwnNote())
        self._root = note.encode()
        self._size = parse_note(note).checkpoint.size

    def record(self, organisation: int, tag: bytes, disclosure: Disclosure | None = None) -> Evidence:
        """Evidence for a record entry, or for its absence.

        Raises:
            Rejected: HEIGHT_PRUNED, the note is of a state that can no longer be shown.
            EvidenceFailed: The replica is damaged, the note is not vouched for by the stated anchors, or the
                disclosure does not belong to the entry.
        """
        proof, commitment = self._entry(record_key(organisation, tag))
        return self._checked(RecordClaim(organisation, tag, commitment), proof, disclosure)

    def access(self, organisation: int, tag: bytes) -> Evidence:
        """Evidence for an access entry, or for its absence; raises as `record`."""
        proof, commitment = self._entry(access_key(organisation, tag))
        return self._checked(AccessClaim(organisation, tag, commitment), proof)

    def cell(self, cell: bytes) -> Evidence:
        """Evidence for a consent cell's version and commitment.

        Raises:
            Rejected: NOT_FOUND, there is no such cell; otherwise as `record`.
        """
        shown = self._view.prove_state(cell_key(cell), self._root, self._size)
        value = shown.value
        if value is None:
            raise Rejected(NOT_FOUND)
        claim = CellClaim(cell, int.from_bytes(value[5:13], "big"), value[13:45])
        return self._checked(claim, StateProof(shown, None))

    def value(self, key: bytes) -> Evidence:
        """Evidence for the value of any state key, or for its absence; raises as `record`."""
        shown = self._view.prove_state(key, self._root, self._size)
        return self._checked(ValueClaim(key, shown.value), StateProof(shown, None))

    def receipt(self, tx_id: bytes, *, with_transaction: bool = True) -> Evidence:
        """Evidence for a transaction's outcome, with its bytes while they are kept.

        Raises:
            Rejected: NOT_FOUND, unknown, no longer kept, or newer than the note.
            EvidenceFailed: As `record`.
        """
        shown = self._view.prove_receipt(tx_id, self._root, self._size)
        receipt = decode(shown.receipt, Receipt)
        raw = self._transaction(receipt) if with_transaction else None
        claim = ReceiptClaim(receipt.tx_id, receipt.module, receipt.code)
        return self._checked(claim, ReceiptProof(shown, raw))

    def _entry(self, key: bytes) -> tuple[StateProof, bytes | None]:
        shown = self._view.prove_state(key, self._root, self._size)
        if shown.value is None:
            return StateProof(shown, None), None
        since = self._leaf_of_height(int.from_bytes(shown.value[33:41], "big"))
        return StateProof(shown, since), shown.value[1:33]

    def _transaction(self, receipt: Receipt) -> bytes | None:
        with self._view.snapshot() as reader:
            raw = reader.get(BODIES, height_key(receipt.height))
        return decode_bodies(raw)[receipt.index] if raw else None

    def _leaf_of_height(self, height: int) -> LeafProof:
        with self._view.snapshot() as reader:
            index = reader.get(LEAF_INDEX, height_key(height))
        if index is None:
            raise Rejected(NOT_FOUND, "the block of that entry is not in the history")
        return self._view.leaf_proof(int.from_bytes(index, "big"), self._size)

    def _checked(
        self,
        claim: RecordClaim | AccessClaim | CellClaim | ReceiptClaim | ValueClaim,
        proof: StateProof | ReceiptProof,
        disclosure: Disclosure | None = None,
    ) -> Evidence:
        evidence = Evidence(1, self._trust, claim, proof, disclosure)
        verify_evidence(evidence, self._trust, self._authenticator)
        return evidence
