"""Witnesses' cosignatures of a network's checkpoints, kept by each node for itself: the newest, durably.

A note is taken when validators vouch for it and at least one known witness cosigned it. Cosignatures of one
checkpoint are put together, whoever brought them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from careledger.consensus.cometbft.header import Validator
from careledger.consensus.cometbft.light import CometAuthenticator
from careledger.ledger.checkpoint import (
    CheckpointInvalid,
    SignedCheckpoint,
    parse_note,
    verify_cosignatures,
)
from careledger.ledger.light import EvidenceInvalid
from careledger.state.store import META, Tables, WriteBatch

_KEY = b"cosigned"


class NetworkCosignatures:
    """Collects cosignatures of the network's checkpoints."""

    def __init__(
        self,
        tables: Tables,
        *,
        chain_id: str,
        validators: Callable[[], tuple[Validator, ...]],
        witnesses: Callable[[], Mapping[str, bytes]],
    ) -> None:
        """Open the record.

        Args:
            tables: the node's store.
            chain_id: the ledger.
            validators: the validator set as it is now, or as it was at some time before the checkpoint.
            witnesses: known witnesses, name -> Ed25519 key.
        """
        self._tables = tables
        self._chain_id = chain_id
        self._validators = validators
        self._witnesses = witnesses
        with tables.snapshot() as reader:
            raw = reader.get(META, _KEY)
        self._newest: SignedCheckpoint | None = parse_note(raw.decode()) if raw else None

    def newest(self) -> str | None:
        """Newest note that has at least one known witness's cosignature."""
        return self._newest.note() if self._newest else None

    def add(self, note: str) -> None:
        """Take a note with a witness's cosignature.

        Raises:
            CheckpointInvalid: Validators do not vouch for it, or no known witness cosigned it.
        """
        witnesses = self._witnesses()
        authenticator = CometAuthenticator(chain_id=self._chain_id, validators=self._validators())
        try:
            authenticator.authenticate(note.encode())
        except EvidenceInvalid as error:
            raise CheckpointInvalid(str(error)) from None
        signed = parse_note(note)
        if not verify_cosignatures(signed, witnesses):
            raise CheckpointInvalid("no known witness cosigned")
        newest = self._newest
        if newest is not None and newest.text == signed.text:
            added = tuple(one for one in signed.signatures if one not in newest.signatures)
            signed = SignedCheckpoint(newest.checkpoint, newest.text, newest.signatures + added)
        elif newest is not None and signed.checkpoint.height < newest.checkpoint.height:
            return
        batch = WriteBatch()
        batch.put(META, _KEY, signed.note().encode())
        self._tables.write(batch)
        self._newest = signed
