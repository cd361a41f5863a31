"""Checkpoints: the history's size and root in C2SP signed-note form, signed and cosigned.

A checkpoint's text is the log's origin, size and root, then extension lines with height and block time; its
signatures are Ed25519 note signatures, a witness's being `cosignature/v1` with the time at which it signed.
Whoever cosigns the root cosigns the state roots inside the history.

Formats: C2SP signed-note, tlog-checkpoint and tlog-cosignature.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from careledger.ledger.history import compute_app_hash
from careledger.primitives.hashing import DIGEST_BYTES, sha256
from careledger.primitives.signing import (
    SIGNATURE_BYTES,
    SignatureInvalid,
    public_key_of,
    sign,
    verify_signature,
)

NOTE_BYTES_MAX = 64 * 1024
_ALGORITHM_ED25519 = b"\x01"
_ALGORITHM_COSIGNATURE = b"\x04"
_ORIGIN_PREFIX = "careledger/"
_NAME = re.compile(r"[^\s+]{1,128}\Z")
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})\Z", re.ASCII)


class CheckpointInvalid(Exception):  # noqa: N818 - verification raises the outcome's name
    """A checkpoint that does not hold; the message names the failing step."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint states."""

    chain_id: str
    """The ledger."""
    size: int
    """Leaves of the history."""
    root: bytes
    """Root of the history, 32 bytes."""
    height: int
    """Last block it covers, transactions or not."""
    time_ms: int
    """That block's time."""

    @property
    def app_hash(self) -> bytes:
        """Application hash of this history."""
        return compute_app_hash(self.size, self.root)

    def text(self) -> str:
        """Text of the note, ending in a newline."""
        root = base64.b64encode(self.root).decode()
        return (
            f"{_ORIGIN_PREFIX}{self.chain_id}\n{self.size}\n{root}\n"
            f"height {self.height}\ntime_ms {self.time_ms}\n"
        )


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line of a note."""

    name: str
    """Name of the key."""
    key_id: bytes
    """First 4 bytes of the digest of name, algorithm and key."""
    signature: bytes
    """64 bytes, or time (8) and 64 bytes for a cosignature."""

    def line(self) -> str:
        """The line as it stands in the note, ending in a newline."""
        return f"\N{EM DASH} {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with its signatures, as read."""

    checkpoint: Checkpoint
    """The statement."""
    text: str
    """The exact text that was signed."""
    signatures: tuple[NoteSignature, ...]
    """All signature lines, known or not."""

    def note(self) -> str:
        """The whole note."""
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)


def compute_key_id(name: str, algorithm: bytes, public_key: bytes) -> bytes:
    """Key id of a signed note."""
    return sha256(name.encode() + b"\n" + algorithm + public_key)[:4]


def sign_checkpoint(checkpoint: Checkpoint, name: str, seed: bytes) -> SignedCheckpoint:
    """Sign a checkpoint with the sequencer's key."""
    _check_name(name)
    text = checkpoint.text()
    key_id = compute_key_id(name, _ALGORITHM_ED25519, public_key_of(seed))
    return SignedCheckpoint(checkpoint, text, (NoteSignature(name, key_id, sign(seed, text.encode())),))


def cosignature_message(text: str, time_s: int) -> bytes:
    """Bytes that a witness signs."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def cosign(signed: SignedCheckpoint, name: str, seed: bytes, *, time_s: int) -> NoteSignature:
    """Cosign a checkpoint at a time in seconds since 1970."""
    _check_name(name)
    key_id = compute_key_id(name, _ALGORITHM_COSIGNATURE, public_key_of(seed))
    signature = sign(seed, cosignature_message(signed.text, time_s))
    return NoteSignature(name, key_id, time_s.to_bytes(8, "big") + signature)


def parse_note(note: str) -> SignedCheckpoint:
    """Read a note; signatures are kept, not checked.

    Raises:
        CheckpointInvalid: It is no checkpoint of a CareLedger history.
    """
    if len(note) > NOTE_BYTES_MAX:
        raise CheckpointInvalid("the note is too long")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise CheckpointInvalid("the note has no signatures")
    text += "\n"
    checkpoint = _parse_text(text)
    return SignedCheckpoint(
        checkpoint, text, tuple(_parse_signature(line) for line in lines[:-1].split("\n"))
    )


def verify_note_signature(signed: SignedCheckpoint, name: str, public_key: bytes) -> None:
    """Check that the key of that name signed the checkpoint.

    Raises:
        CheckpointInvalid: It did not.
    """
    key_id = compute_key_id(name, _ALGORITHM_ED25519, public_key)
    for signature in signed.signatures:
        if signature.name == name and signature.key_id == key_id:
            try:
                verify_signature(public_key, signed.text.encode(), signature.signature)
            except SignatureInvalid:
                raise CheckpointInvalid(f"the signature of {name} does not stand") from None
            return
    raise CheckpointInvalid(f"there is no signature of {name}")


def verify_cosignatures(signed: SignedCheckpoint, witnesses: Mapping[str, bytes]) -> dict[str, int]:
    """Check the cosignatures of known witnesses; returns the time (s) at which each signed.

    Lines of unknown names are passed over, as the note format asks.

    Raises:
        CheckpointInvalid: A line under a known witness's name and key does not stand.
    """
    times: dict[str, int] = {}
    for signature in signed.signatures:
        public_key = witnesses.get(signature.name)
        if public_key is None:
            continue
        if signature.key_id != compute_key_id(signature.name, _ALGORITHM_COSIGNATURE, public_key):
            continue
        if len(signature.signature) != 8 + SIGNATURE_BYTES:
            raise CheckpointInvalid(f"the cosignature of {signature.name} has the wrong length")
        time_s = int.from_bytes(signature.signature[:8], "big")
        try:
            verify_signature(public_key, cosignature_message(signed.text, time_s), signature.signature[8:])
        except SignatureInvalid:
            raise CheckpointInvalid(f"the cosignature of {signature.name} does not stand") from None
        times[signature.name] = time_s
    return times


def _check_name(name: str) -> None:
    if _NAME.match(name) is None:
        raise ValueError("a key's name has 1 to 128 characters, no white space and no plus sign")


def _parse_text(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 6 or lines[5]:
        raise CheckpointInvalid("the checkpoint has not exactly its five lines")
    origin, size, root_text, height, time_ms = lines[:5]
    if not origin.startswith(_ORIGIN_PREFIX):
        raise CheckpointInvalid("the origin is no CareLedger ledger")
    root = _decode_base64(root_text)
    if len(root) != DIGEST_BYTES:
        raise CheckpointInvalid("the root is not 32 bytes")
    return Checkpoint(
        chain_id=origin[len(_ORIGIN_PREFIX) :],
        size=_parse_number(size),
        root=root,
        height=_parse_number(height, "height "),
        time_ms=_parse_number(time_ms, "time_ms "),
    )


def _parse_number(text: str, prefix: str = "") -> int:
    if not text.startswith(prefix) or _NUMBER.match(text[len(prefix) :]) is None:
        raise CheckpointInvalid("a number of the checkpoint is malformed")
    return int(text[len(prefix) :])


def _parse_signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\N{EM DASH}" or _NAME.match(parts[1]) is None:
        raise CheckpointInvalid("a signature line is malformed")
    raw = _decode_base64(parts[2])
    if len(raw) < 5:
        raise CheckpointInvalid("a signature line is too short")
    return NoteSignature(parts[1], raw[:4], raw[4:])


def _decode_base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointInvalid("base64 is malformed") from None
    if base64.b64encode(raw).decode() != text:
        raise CheckpointInvalid("base64 is not canonical")
    return raw
