"""Contradictions between two checkpoints: evidence against a sequencer that anybody can check.

Two notes signed by one sequencer contradict each other when they tell different stories of one ledger:

- one size, two roots: two histories, or two states over one history, since the root contains the state roots;
- one height, two texts: two blocks of that height;
- a later height with a smaller history or an earlier time: something was taken back;
- a larger history that does not begin with the smaller one: shown by another root of the smaller size together
  with the consistency proof that leads from that root to the larger one.

A smaller checkpoint alone is no contradiction, only old.
"""

from __future__ import annotations

import base64
import json
from enum import Enum
from typing import Final

from careledger.ledger.checkpoint import (
    NOTE_BYTES_MAX,
    Checkpoint,
    CheckpointInvalid,
    SignedCheckpoint,
    parse_note,
    verify_note_signature,
)
from careledger.ledger.history import verify_consistency
from careledger.primitives.codec import CodecError, Wire, decode, encode

FORMAT: Final = "careledger-split-view/1"
FILE_BYTES_MAX: Final = 8 * NOTE_BYTES_MAX


class Contradiction(Enum):
    """How two checkpoints contradict each other."""

    TWO_ROOTS = "two histories of one size"
    TWO_BLOCKS = "two blocks of one height"
    TAKEN_BACK = "a later block with a smaller history or an earlier time"
    FORKED = "a larger history that does not begin with the smaller one"


class SplitViewInvalid(ValueError):  # noqa: N818 - verification raises the outcome's name
    """The two checkpoints do not contradict each other, or are not of that sequencer."""


class SplitView(Wire, frozen=True):
    """Two notes that contradict each other."""

    version: int
    """1."""
    first: str
    """The note that was signed first, or known before; the smaller one."""
    second: str
    """The other."""
    other_root: bytes
    """For `FORKED`: root that the second note's history has at the first one's size; else empty."""
    proof: tuple[bytes, ...]
    """For `FORKED`: RFC 9162 consistency proof from `other_root` to the second note's root."""


def find_contradiction(first: Checkpoint, second: Checkpoint) -> Contradiction | None:
    """Compare two statements of one ledger by themselves; a fork of different sizes needs a proof besides."""
    if first.size == second.size and first.root != second.root:
        return Contradiction.TWO_ROOTS
    if first.height == second.height and first != second:
        return Contradiction.TWO_BLOCKS
    early, late = (first, second) if first.height < second.height else (second, first)
    if early.height < late.height and (late.size < early.size or late.time_ms < early.time_ms):
        return Contradiction.TAKEN_BACK
    return None


def verify_split_view(evidence: SplitView, *, chain_id: str, sequencer: bytes) -> Contradiction:
    """Check that a sequencer contradicted itself.

    1. Both notes are checkpoints of the ledger, signed by the sequencer.
    2. Their statements contradict each other, or
    3. the second one's history had another root at the first one's size.

    Raises:
        SplitViewInvalid: It did not, or this does not show it.
    """
    # 1
    if evidence.version != 1:
        raise SplitViewInvalid("the version is unknown")
    first = _read_signed(evidence.first, chain_id, sequencer)
    second = _read_signed(evidence.second, chain_id, sequencer)
    # 2
    contradiction = find_contradiction(first, second)
    if contradiction is not None:
        return contradiction
    # 3
    if evidence.other_root == first.root:
        raise SplitViewInvalid("the histories agree where the proof compares them")
    try:
        verify_consistency(first.size, evidence.other_root, second.size, second.root, evidence.proof)
    except ValueError as error:
        raise SplitViewInvalid(f"no contradiction is shown: {error}") from None
    return Contradiction.FORKED


def write_split_view(evidence: SplitView, *, found: str) -> bytes:
    """Write the evidence as JSON: both notes for people, all of it in CBOR.

    Args:
        evidence: what contradicts.
        found: where and when it was found, for people; not part of the evidence.
    """
    document = {
        "format": FORMAT,
        "found": found,
        "first": evidence.first.split("\n"),
        "second": evidence.second.split("\n"),
        "evidence": base64.b64encode(encode(evidence)).decode(),
    }
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def read_split_view(raw: bytes) -> SplitView:
    """Read what `write_split_view` wrote; only its member `evidence` counts.

    Raises:
        SplitViewInvalid: It is no such file.
    """
    if len(raw) > FILE_BYTES_MAX:
        raise SplitViewInvalid("the file is too large")
    try:
        document = json.loads(raw)
        is_of_format = document["format"] == FORMAT
        evidence = base64.b64decode(document["evidence"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SplitViewInvalid("the file is not JSON with the members of a split view") from None
    if not is_of_format:
        raise SplitViewInvalid("the format is unknown")
    try:
        return decode(evidence, SplitView)
    except CodecError as error:
        raise SplitViewInvalid(f"the evidence cannot be decoded: {error}") from None


def _read_signed(note: str, chain_id: str, sequencer: bytes) -> Checkpoint:
    try:
        signed: SignedCheckpoint = parse_note(note)
        verify_note_signature(signed, f"{chain_id}/sequencer", sequencer)
    except CheckpointInvalid as error:
        raise SplitViewInvalid(f"a note does not hold: {error}") from None
    if signed.checkpoint.chain_id != chain_id:
        raise SplitViewInvalid("a note is of another ledger")
    return signed.checkpoint
