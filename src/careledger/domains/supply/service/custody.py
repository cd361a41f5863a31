"""Custody: who holds a pack, read from the ledger and proved to others.

A proof is one piece of state evidence for the pack, one for each container around it, one for each lot it
comes from (whose absence says that nothing was said about it) and one for its transformation. Whoever verifies it
needs no state, only the ledger's authenticator, and learns the pack's state, the key that holds it, and whether it
is recalled.

Does not know which organisation a key belongs to; whoever was told off the ledger does.
"""

from __future__ import annotations

from typing import TypeVar

from careledger.domains.supply.chain import keeper
from careledger.domains.supply.chain.types import (
    LEVEL_MAX,
    PACK_ID_BYTES,
    Container,
    LotFlags,
    Pack,
    PackState,
    Transformation,
    unpack_container,
    unpack_pack,
)
from careledger.domains.supply.service.errors import PROOF_INVALID
from careledger.ledger.light import (
    Authenticator,
    EvidenceInvalid,
    StateEvidence,
    TrustedRoot,
    is_newest_leaf,
    verify_state,
)
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import CodecError, Wire, decode
from careledger.primitives.errors import InvariantViolated, Rejected
from careledger.sdk.context import StateReader

T = TypeVar("T")


class Custody(Wire, frozen=True):
    """A pack's place in the chain of custody."""

    pack: Pack
    containers: tuple[Container, ...]
    """Around it, innermost first."""
    holder: bytes
    """The one-time key that holds the outermost of them, or the pack itself."""
    lot_flags: int
    """Sum of `LotFlags` over all lots it comes from."""

    @property
    def is_recalled(self) -> bool:
        """Whether its lot, or one it was repackaged from, is recalled."""
        return bool(self.lot_flags & LotFlags.RECALLED)

    @property
    def is_withdrawn(self) -> bool:
        """Whether its lot, or one it was repackaged from, is withdrawn."""
        return bool(self.lot_flags & LotFlags.WITHDRAWN)

    @property
    def lost_with(self) -> PackState | None:
        """What became of a container around it that left the chain, or None."""
        for container in self.containers:
            if container.state is not PackState.ACTIVE:
                return container.state
        return None


class CustodyProof(Wire, frozen=True):
    """Evidence for everything `Custody` says, all in the state after one block."""

    pack: StateEvidence
    containers: tuple[StateEvidence, ...]
    lots: tuple[StateEvidence, ...]
    transformation: StateEvidence | None


def read_custody(store: StateReader, pack_id: bytes, lot_tag: bytes) -> Custody | None:
    """Custody of a pack as it stands, or None if it was never commissioned."""
    pack = keeper.pack(store, pack_id)
    if pack is None:
        return None
    containers: list[Container] = []
    item: Pack | Container = pack
    while item.is_packed:
        item = _require(keeper.container(store, item.owner))
        containers.append(item)
    flags = 0
    for lot_id in keeper.lots_of(store, pack_id[:32] + lot_tag, pack):
        said = keeper.lot(store, lot_id)
        flags |= 0 if said is None else said.flags
    return Custody(pack, tuple(containers), item.owner, flags)


def prove_custody(
    view: LedgerView, pack_id: bytes, lot_tag: bytes, *, root: bytes, size: int
) -> CustodyProof:
    """Evidence for a pack's custody, or for its absence, under a root of a history of that size.

    Raises:
        Rejected: HEIGHT_PRUNED, that state can no longer be shown.
    """

    def prove(key: bytes) -> StateEvidence:
        return view.prove_state(key, root, size)

    proved = prove(keeper.PACKS.key(pack_id))
    if proved.value is None:
        return CustodyProof(proved, (), (), None)
    pack = unpack_pack(proved.value)
    containers: list[StateEvidence] = []
    item: Pack | Container = pack
    while item.is_packed:
        containers.append(prove(keeper.CONTAINERS.key(item.owner)))
        item = unpack_container(_require(containers[-1].value))
    made = prove(keeper.TRANSFORMATIONS.key(pack.transformation)) if pack.transformation else None
    lots = [pack_id[:32] + lot_tag]
    if made is not None:
        lots += _lots_in(decode(_require(made.value), Transformation))
    return CustodyProof(
        proved, tuple(containers), tuple(prove(keeper.LOTS.key(lot_id)) for lot_id in lots), made
    )


def verify_custody(
    proof: CustodyProof, pack_id: bytes, lot_tag: bytes, authenticator: Authenticator, *, buckets_log2: int
) -> tuple[TrustedRoot, Custody | None]:
    """Check a custody proof; no custody means that the pack was never commissioned.

    1. Every piece follows from one vouched-for root, and from its newest leaf.
    2. The first piece is the pack's.
    3. Each container is the one named by what is inside it, up to a key, at most 6 deep.
    4. The transformation is the pack's, and the lots are its own and the transformation's, none left out.

    Raises:
        Rejected: PROOF_INVALID, with the step that failed.
    """
    # 1
    pieces = [proof.pack, *proof.containers, *proof.lots]
    pieces += [] if proof.transformation is None else [proof.transformation]
    if any((each.root, each.leaf) != (proof.pack.root, proof.pack.leaf) for each in pieces):
        raise Rejected(PROOF_INVALID, "its pieces are of different moments")
    try:
        trusted, _ = verify_state(proof.pack, authenticator, buckets_log2=buckets_log2)
        for each in pieces[1:]:
            verify_state(each, authenticator, buckets_log2=buckets_log2)
    except EvidenceInvalid as error:
        raise Rejected(PROOF_INVALID, str(error)) from None
    if not is_newest_leaf(proof.pack.leaf, trusted):
        raise Rejected(PROOF_INVALID, "it shows a state that is no longer the newest")
    # 2
    _require_key(proof.pack, keeper.PACKS.key(pack_id))
    if proof.pack.value is None:
        return trusted, None
    try:
        return trusted, _fold(proof, unpack_pack(proof.pack.value), pack_id, lot_tag)
    except (InvariantViolated, CodecError):
        raise Rejected(PROOF_INVALID, "a value cannot be read") from None


def _fold(proof: CustodyProof, pack: Pack, pack_id: bytes, lot_tag: bytes) -> Custody:
    # 3
    containers: list[Container] = []
    item: Pack | Container = pack
    for piece in proof.containers[: LEVEL_MAX + 1]:
        if not item.is_packed:
            raise Rejected(PROOF_INVALID, "there is a container too many")
        _require_key(piece, keeper.CONTAINERS.key(item.owner))
        item = unpack_container(_present(piece.value))
        containers.append(item)
    if item.is_packed:
        raise Rejected(PROOF_INVALID, "the containers do not lead to a key")
    # 4
    lots = [pack_id[:32] + lot_tag]
    if pack.transformation:
        if proof.transformation is None:
            raise Rejected(PROOF_INVALID, "the transformation is missing")
        _require_key(proof.transformation, keeper.TRANSFORMATIONS.key(pack.transformation))
        lots += _lots_in(decode(_present(proof.transformation.value), Transformation))
    if len(proof.lots) != len(lots):
        raise Rejected(PROOF_INVALID, "a lot is missing")
    flags = 0
    for lot_id, piece in zip(lots, proof.lots, strict=True):
        _require_key(piece, keeper.LOTS.key(lot_id))
        flags |= 0 if piece.value is None else keeper.unpack_lot(piece.value).flags
    return Custody(pack, tuple(containers), item.owner, flags)


def _lots_in(made: Transformation) -> list[bytes]:
    return [made.lots[at : at + PACK_ID_BYTES] for at in range(0, len(made.lots), PACK_ID_BYTES)]


def _require_key(piece: StateEvidence, key: bytes) -> None:
    if piece.key != key:
        raise Rejected(PROOF_INVALID, "a piece is about something else")


def _present(value: bytes | None) -> bytes:
    if value is None:
        raise Rejected(PROOF_INVALID, "a piece shows that something is not there")
    return value


def _require(found: T | None) -> T:
    if found is None:
        raise InvariantViolated("what a pack is in must be there")
    return found
