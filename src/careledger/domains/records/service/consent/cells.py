"""Contents of a consent cell: 64 slots of salted leaves under one Merkle root, their openings, and the update.

    leaf    = labelled("careledger/cell-leaf/1", salt, content);   an unused slot: 32 random bytes
    root    = RFC 9162 tree over the 64 leaves in the order of their slots
    slots   0..6 the manifest of each compartment's current epoch, 7..63 one grant each

Every salt and every filler is drawn anew for each version, so that whoever sees one leaf with its path learns
nothing of the others, not even which of them stayed as they were. Grant, amendment, revocation and refresh are
one message of one size.

Owns the contents' form and proofs. Does not know who may change a cell (`records.chain`), nor what a grant means.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from careledger.domains.records.chain.messages import UpdateCell
from careledger.domains.records.chain.types import VERSION_BYTES
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.errors import CELL_FULL, OPENING_INVALID
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.hashing import fold_inclusion, inclusion_path, labelled, tree_root
from careledger.primitives.identifiers import CellID, Commitment
from careledger.primitives.signing import public_key_of
from careledger.vault.keys import SigningSeed

SLOTS: Final = 64
MANIFEST_SLOTS: Final = len(COMPARTMENTS)
GRANTS_MAX: Final = SLOTS - MANIFEST_SLOTS
PATH_LENGTH: Final = 6
SALT_BYTES: Final = 32
OPENING_BYTES_MAX: Final = 8 * 1024 * 1024

_LEAF_LABEL: Final = "careledger/cell-leaf/1"
_OPENING_VERSION: Final = 1
_MANIFEST_KIND: Final = "manifest"


class ManifestLeaf(Wire, frozen=True):
    """Content of slots 0 to 6."""

    version: int
    """1."""
    kind: str
    """`manifest`."""
    compartment: int
    """The slot's number."""
    epoch: int
    """The compartment's current epoch."""
    manifest_hash: bytes
    """SHA-256 of the manifest's envelope as it is stored."""


class Slot(Wire, frozen=True):
    """One slot in the open."""

    salt: bytes
    """32 bytes; the leaf itself where the slot is unused."""
    content: bytes
    """A manifest leaf, a grant, or empty for an unused slot."""
    scope: bytes
    """The grant's scope; empty otherwise. Bound by the grant, not by the leaf."""


class CellOpening(Wire, frozen=True):
    """All slots: what a custodian is given."""

    version: int
    """1."""
    cell: bytes
    """32 bytes."""
    cell_version: int
    """Version of the cell whose commitment this opens."""
    slots: tuple[Slot, ...]
    """64."""


class LeafProof(Wire, frozen=True):
    """One slot in the open with its path: what a grantee is shown."""

    slot: int
    salt: bytes
    content: bytes
    path: tuple[bytes, ...]
    """6 sibling hashes, from the leaf up."""


@dataclass(slots=True)
class CellContents:
    """What a cell says, without salts."""

    manifests: dict[Compartment, tuple[int, bytes]] = field(default_factory=dict)
    """Epoch and hash of each compartment's current manifest."""
    grants: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """Grant and scope by slot."""

    def free_slot(self) -> int:
        """Lowest slot that holds no grant.

        Raises:
            Rejected: CELL_FULL.
        """
        for slot in range(MANIFEST_SLOTS, SLOTS):
            if slot not in self.grants:
                return slot
        raise Rejected(CELL_FULL)

    def copy(self) -> CellContents:
        """Independent contents to change."""
        return CellContents(dict(self.manifests), dict(self.grants))


def new_opening(cell: CellID, cell_version: int, contents: CellContents) -> CellOpening:
    """Draw new salts and fillers for a version of a cell."""
    noise = os.urandom(SALT_BYTES * SLOTS)
    slots = []
    for number in range(SLOTS):
        salt = noise[number * SALT_BYTES : (number + 1) * SALT_BYTES]
        content, scope = b"", b""
        if number < MANIFEST_SLOTS:
            found = contents.manifests.get(Compartment(number))
            if found is not None:
                content = encode(ManifestLeaf(1, _MANIFEST_KIND, number, found[0], found[1]))
        elif number in contents.grants:
            content, scope = contents.grants[number]
        slots.append(Slot(salt, content, scope))
    return CellOpening(_OPENING_VERSION, cell, cell_version, tuple(slots))


def new_filler_commitment() -> Commitment:
    """Commitment of a cell that says nothing yet, as it is created; nobody can open it."""
    noise = os.urandom(SALT_BYTES * SLOTS)
    return Commitment(tree_root([noise[at : at + SALT_BYTES] for at in range(0, len(noise), SALT_BYTES)]))


def compute_commitment(opening: CellOpening) -> Commitment:
    """Root that an opening leads to."""
    return Commitment(tree_root(_leaves(opening)))


def encode_opening(opening: CellOpening) -> bytes:
    """Write an opening."""
    return encode(opening)


def decode_opening(raw: bytes) -> CellOpening:
    """Read an opening.

    Raises:
        Rejected: OPENING_INVALID, naming the place.
    """
    if len(raw) > OPENING_BYTES_MAX:
        raise Rejected(OPENING_INVALID, "too long")
    try:
        opening = decode(raw, CellOpening)
    except CodecError as error:
        raise Rejected(OPENING_INVALID, str(error)) from None
    if opening.version != _OPENING_VERSION or len(opening.slots) != SLOTS:
        raise Rejected(OPENING_INVALID, "not an opening of a known version")
    for number, slot in enumerate(opening.slots):
        if len(slot.salt) != SALT_BYTES or (slot.scope and not slot.content):
            raise Rejected(
                OPENING_INVALID, "a salt is not 32 bytes, or a scope has no grant", at=f"slots[{number}]"
            )
    return opening


def read_contents(opening: CellOpening) -> CellContents:
    """What an opening says.

    Raises:
        Rejected: OPENING_INVALID, a manifest's slot holds something else.
    """
    contents = CellContents()
    for number, slot in enumerate(opening.slots):
        if not slot.content:
            continue
        if number < MANIFEST_SLOTS:
            leaf = read_manifest_leaf(slot.content, Compartment(number))
            contents.manifests[Compartment(number)] = (leaf.epoch, leaf.manifest_hash)
        else:
            contents.grants[number] = (slot.content, slot.scope)
    return contents


def read_manifest_leaf(content: bytes, compartment: Compartment) -> ManifestLeaf:
    """Read the content of a manifest's slot.

    Raises:
        Rejected: OPENING_INVALID, not the manifest of that compartment.
    """
    try:
        leaf = decode(content, ManifestLeaf)
    except CodecError as error:
        raise Rejected(OPENING_INVALID, str(error)) from None
    if (
        (leaf.version, leaf.kind, leaf.compartment) != (1, _MANIFEST_KIND, compartment)
        or len(leaf.manifest_hash) != 32
        or not 0 <= leaf.epoch < 2**32
    ):
        raise Rejected(OPENING_INVALID, "the slot does not hold its compartment's manifest")
    return leaf


def prove_leaf(opening: CellOpening, slot: int) -> LeafProof:
    """Show one slot that is in use."""
    found = opening.slots[slot]
    return LeafProof(slot, found.salt, found.content, inclusion_path(_leaves(opening), slot))


def prove_leaves(opening: CellOpening, slots: Mapping[int, object] | set[int]) -> dict[int, LeafProof]:
    """Show several slots; hashes the leaves once."""
    leaves = _leaves(opening)
    return {
        slot: LeafProof(
            slot, opening.slots[slot].salt, opening.slots[slot].content, inclusion_path(leaves, slot)
        )
        for slot in sorted(slots)
    }


def verify_leaf(proof: LeafProof, commitment: bytes) -> None:
    """Check that a slot of the cell holds this content.

    Raises:
        Rejected: OPENING_INVALID.
    """
    if len(proof.salt) != SALT_BYTES or not proof.content or len(proof.path) != PATH_LENGTH:
        raise Rejected(OPENING_INVALID, "not the proof of a slot in use")
    leaf = labelled(_LEAF_LABEL, proof.salt, proof.content)
    try:
        root = fold_inclusion(leaf, proof.slot, SLOTS, proof.path)
    except ValueError:
        raise Rejected(OPENING_INVALID, "not a path of a cell's tree") from None
    if not compare_digest(root, commitment):
        raise Rejected(OPENING_INVALID)


def build_update(
    *,
    cell: CellID,
    version: int,
    seed: SigningSeed,
    next_key_commitment: bytes,
    recovery_commitment: bytes,
    commitment: Commitment,
) -> UpdateCell:
    """Message that makes `version` of a cell, to be signed with the one-time key of that seed; always of one size."""
    return UpdateCell(
        cell,
        version.to_bytes(VERSION_BYTES, "big"),
        public_key_of(seed.reveal()),
        next_key_commitment,
        recovery_commitment,
        commitment,
    )


def _leaves(opening: CellOpening) -> list[bytes]:
    return [
        labelled(_LEAF_LABEL, slot.salt, slot.content) if slot.content else slot.salt
        for slot in opening.slots
    ]
