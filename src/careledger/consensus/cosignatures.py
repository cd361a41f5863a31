"""Witnesses' cosignatures as the ledger process keeps them: the newest cosigned checkpoint, durably."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from careledger.ledger.checkpoint import (
    CheckpointInvalid,
    SignedCheckpoint,
    parse_note,
    verify_cosignatures,
    verify_note_signature,
)
from careledger.state.store import META, Tables, WriteBatch

_KEY = b"cosigned"


class CosignatureStore:
    """Collects cosignatures of this ledger's own checkpoints."""

    def __init__(
        self, tables: Tables, *, chain_id: str, sequencer: bytes, witnesses: Callable[[], Mapping[str, bytes]]
    ) -> None:
        self._tables = tables
        self._chain_id = chain_id
        self._sequencer = sequencer
        self._witnesses = witnesses
        with tables.snapshot() as reader:
            raw = reader.get(META, _KEY)
        self._newest: SignedCheckpoint | None = parse_note(raw.decode()) if raw else None

    def newest(self) -> str | None:
        """Newest note that has at least one known witness's cosignature."""
        return self._newest.note() if self._newest else None

    def add(self, note: str) -> None:
        """Take a note with a witness's cosignature; cosignatures of one checkpoint are put together.

        Raises:
            CheckpointInvalid: It is not of this ledger, or a cosignature does not stand.
        """
        signed = parse_note(note)
        if signed.checkpoint.chain_id != self._chain_id:
            raise CheckpointInvalid("the checkpoint is of another ledger")
        verify_note_signature(signed, f"{self._chain_id}/sequencer", self._sequencer)
        if not verify_cosignatures(signed, self._witnesses()):
            raise CheckpointInvalid("no known witness cosigned")
        newest = self._newest
        if newest is not None and newest.text == signed.text:
            # One line for each key, the newest: a witness that cosigns an idle ledger again replaces its own.
            lines = {(one.name, one.key_id): one for one in (*newest.signatures, *signed.signatures)}
            signed = SignedCheckpoint(newest.checkpoint, newest.text, tuple(lines.values()))
        elif newest is not None and signed.checkpoint.height < newest.checkpoint.height:
            return
        batch = WriteBatch()
        batch.put(META, _KEY, signed.note().encode())
        self._tables.write(batch)
        self._newest = signed
