"""The light client of a network of validators: who vouches for a history root there, and the proof of it.

A checkpoint of such a network is the same signed note as any other; one of its signature lines, under the name
`<chain_id>/validators`, carries the header after the checkpoint's block, the commit that decided it, and every
change of the validator set that leads from the set a verifier knows to the set that signed. So evidence has one
form under both engines, and witnesses cosign the same text.

Pure: no engine, no network, no clock. How fresh is fresh enough is for the caller to judge; the time of a
trusted root is that of the header which carries it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from careledger.consensus.cometbft.header import (
    HeaderInvalid,
    SignedHeader,
    Validator,
    check_validators,
    ordered,
    validators_hash,
    verify_commit,
)
from careledger.ledger.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    NoteSignature,
    SignedCheckpoint,
    parse_note,
    verify_cosignatures,
)
from careledger.ledger.light import EvidenceInvalid, TrustedRoot
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.hashing import sha256

CHANGES_MAX = 64
"""Changes of the validator set that one checkpoint may carry; a verifier further back pins a newer set."""

_KIND = b"\xffcareledger/validators/1"


class ValidatorChange(Wire, frozen=True):
    """A signed header that hands over to another validator set."""

    signed: SignedHeader
    """Signed by the set before; names the hash of the set after."""
    validators: tuple[Validator, ...]
    """The set after, in its order."""


class QuorumProof(Wire, frozen=True):
    """What stands in the signature line of the validators."""

    version: int
    """1."""
    changes: tuple[ValidatorChange, ...]
    """From the oldest to the newest; those before a verifier's own set are passed over."""
    signed: SignedHeader
    """Header of the block after the checkpoint's, with its commit."""


def validators_name(chain_id: str) -> str:
    """Name of the signature line."""
    return f"{chain_id}/validators"


def _key_id(name: str) -> bytes:
    return sha256(name.encode() + b"\n" + _KIND)[:4]


def build_checkpoint(
    *, size: int, root: bytes, signed: SignedHeader, changes: tuple[ValidatorChange, ...]
) -> SignedCheckpoint:
    """Make the checkpoint that a header vouches for.

    Args:
        size: leaves of the history after the block before the header.
        root: root of that history.
        signed: the header, with its commit.
        changes: changes of the validator set up to that header.

    Raises:
        ValueError: The header carries another application hash, or the note would be too long to be read.
    """
    header = signed.header
    checkpoint = Checkpoint(
        chain_id=header.chain_id, size=size, root=root, height=header.height - 1, time_ms=header.time_ms
    )
    if checkpoint.app_hash != header.app_hash:
        raise ValueError("the header does not carry the application hash of that history")
    name = validators_name(header.chain_id)
    line = NoteSignature(name, _key_id(name), encode(QuorumProof(1, changes[-CHANGES_MAX:], signed)))
    made = SignedCheckpoint(checkpoint, checkpoint.text(), (line,))
    try:
        parse_note(made.note())
    except CheckpointInvalid as error:
        raise ValueError(str(error)) from None
    return made


def read_quorum_proof(checkpoint: SignedCheckpoint) -> QuorumProof:
    """Read the validators' line of a checkpoint.

    Raises:
        EvidenceInvalid: There is none, or it cannot be read.
    """
    name = validators_name(checkpoint.checkpoint.chain_id)
    for line in checkpoint.signatures:
        if line.name == name and line.key_id == _key_id(name):
            try:
                proof = decode(line.signature, QuorumProof)
            except CodecError as error:
                raise EvidenceInvalid(f"the validators' line cannot be read: {error}") from None
            if proof.version != 1 or len(proof.changes) > CHANGES_MAX:
                raise EvidenceInvalid("the validators' line has an unknown version, or too many changes")
            return proof
    raise EvidenceInvalid("the checkpoint carries no votes of validators")


def follow_changes(
    chain_id: str, known: tuple[Validator, ...], changes: tuple[ValidatorChange, ...]
) -> tuple[Validator, ...]:
    """Follow changes from a known validator set; returns the set they lead to.

    1. A change that another set than the known one signed is passed over: it was before.
    2. A change counts when more than two thirds of the known set signed its header.
    3. The set after is the one whose hash that header names.

    Raises:
        EvidenceInvalid: A step failed.
    """
    height = 0
    for change in changes:
        header = change.signed.header
        # 1
        if header.validators_hash != validators_hash(known):
            continue
        # 2
        _verify(change.signed, chain_id, known)
        if header.height <= height:
            raise EvidenceInvalid("the changes of the validator set are not in order")
        height = header.height
        # 3
        if change.validators != ordered(change.validators):
            raise EvidenceInvalid("a validator set is not in its order")
        if validators_hash(change.validators) != header.next_validators_hash:
            raise EvidenceInvalid("the new validator set is not the one that the header names")
        known = change.validators
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class CometAuthenticator:
    """A network's root: more than two thirds of its validators, and a quorum of witnesses where one is asked for."""

    chain_id: str
    """The ledger that is expected."""
    validators: tuple[Validator, ...]
    """A validator set that is known: that of genesis, or a newer one."""
    witnesses: Mapping[str, bytes] = field(default_factory=dict)
    """Known witnesses: name -> Ed25519 key."""
    quorum: int = 0
    """How many witnesses must have cosigned; 0 trusts the validators alone."""
    names: Mapping[bytes, str] = field(default_factory=dict)
    """What to call validators: key -> name; others are called by their address."""

    def authenticate(self, raw: bytes) -> TrustedRoot:
        """Check a checkpoint with the votes that it carries.

        1. It is a note of the expected ledger, and enough known witnesses cosigned it.
        2. The changes of the validator set lead from the known one to the one that signed.
        3. More than two thirds of that set decided the header.
        4. The header is that of the next block, of the checkpoint's time, and carries its application hash.

        Raises:
            EvidenceInvalid: A step failed.
        """
        # 1
        try:
            signed = parse_note(raw.decode())
            cosigned = verify_cosignatures(signed, self.witnesses)
        except (CheckpointInvalid, UnicodeDecodeError) as error:
            raise EvidenceInvalid(f"the checkpoint does not hold: {error}") from None
        checkpoint = signed.checkpoint
        if checkpoint.chain_id != self.chain_id:
            raise EvidenceInvalid("the checkpoint is of another ledger")
        if len(cosigned) < self.quorum:
            raise EvidenceInvalid(
                f"{len(cosigned)} known witnesses cosigned the checkpoint, {self.quorum} are needed"
            )
        # 2
        proof = read_quorum_proof(signed)
        validators = follow_changes(self.chain_id, ordered(self.validators), proof.changes)
        # 3
        counted = _verify(proof.signed, self.chain_id, validators)
        # 4
        header = proof.signed.header
        if header.app_hash != checkpoint.app_hash:
            raise EvidenceInvalid("the validators signed another application hash than the checkpoint's")
        if header.height != checkpoint.height + 1 or header.time_ms != checkpoint.time_ms:
            raise EvidenceInvalid("the checkpoint's height or time is not what the validators signed")
        return TrustedRoot(
            checkpoint.chain_id,
            checkpoint.size,
            checkpoint.root,
            checkpoint.height,
            checkpoint.time_ms,
            (*(self._name(key) for key in counted), *sorted(cosigned)),
        )

    def _name(self, key: bytes) -> str:
        return self.names.get(key) or f"validator {Validator(key, 1).address.hex()}"


def _verify(signed: SignedHeader, chain_id: str, validators: tuple[Validator, ...]) -> tuple[bytes, ...]:
    try:
        check_validators(validators)
        return verify_commit(signed, chain_id, validators)
    except HeaderInvalid as error:
        raise EvidenceInvalid(str(error)) from None
