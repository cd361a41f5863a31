"""The proofs of one whole compartment, step by step as `verifying` numbers them."""

from __future__ import annotations

from dataclasses import dataclass

from careledger.domains.records.chain.types import Cell
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.consent.cells import read_manifest_leaf, verify_leaf
from careledger.domains.records.service.consent.grants import GrantedScope, open_grant_keys
from careledger.domains.records.service.exchange.directory import Directory, Member
from careledger.domains.records.service.exchange.entries import (
    EntryOnLedger,
    Opened,
    find_entry,
    open_item,
)
from careledger.domains.records.service.exchange.errors import PROOF_FAILED
from careledger.domains.records.service.exchange.heads import STREAM, SignedHead, stream_name, verify_head
from careledger.domains.records.service.exchange.messages import StreamAnswer
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID, ChainID, Commitment, PublicKey
from careledger.sdk.context import StateReader
from careledger.vault.envelope import parse_envelope, verify_envelope
from careledger.vault.errors import EnvelopeInvalid, OpeningInvalid
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, IndexKey
from careledger.vault.streams import (
    MANIFEST_PAYLOAD_TYPE,
    Manifest,
    decode_manifest,
    key_digest,
    manifest_hash,
    tag,
    verify_manifest_commitment,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is read, by whom, and on which ledger."""

    chain: ChainID
    own: Member
    custodian: Member
    cell: CellID
    grant: bytes
    """Name of the grant that was asked for; empty for whichever permits."""
    purpose: str
    exchange_id: bytes
    seen_height: int
    """Height of the own view when the question was asked."""
    opening_key: OpeningKey
    directory: Directory


@dataclass(frozen=True, slots=True)
class StreamState:
    """A compartment whose manifest was checked."""

    envelope: bytes
    manifest: Manifest
    index_key: IndexKey
    disclosure: CompartmentKey


def check_manifest(
    reading: Reading,
    store: StateReader,
    cell: Cell,
    granted: GrantedScope,
    compartment: Compartment,
    stream: StreamAnswer,
    known: StreamState | None,
    at: str,
) -> StreamState:
    """Check that a compartment's manifest stands (step 3 of `verifying`); `known` is what an earlier answer showed.

    Raises:
        Rejected: PROOF_FAILED, OPENING_INVALID or GRANT_INVALID.
    """
    proof = stream.manifest_proof
    if proof.slot != compartment.value:
        raise Rejected(PROOF_FAILED, "not the compartment's slot", at=f"{at}.manifest_proof")
    verify_leaf(proof, cell.commitment)
    leaf = read_manifest_leaf(proof.content, compartment)
    if leaf.epoch != stream.epoch or leaf.manifest_hash != manifest_hash(stream.manifest):
        raise Rejected(PROOF_FAILED, "the cell names another manifest", at=f"{at}.manifest")
    if known is not None and known.envelope == stream.manifest:
        return known
    if known is not None or stream.first:
        raise Rejected(PROOF_FAILED, "the epoch changed between two answers", at=at)
    epoch, index_key, disclosure = open_grant_keys(granted, reading.opening_key, compartment)
    manifest = _open_manifest(reading, granted, stream.manifest, at)
    if (epoch, manifest.epoch) != (stream.epoch, stream.epoch) or manifest.cell != reading.cell:
        raise Rejected(PROOF_FAILED, "a manifest of another epoch or cell", at=f"{at}.manifest")
    if manifest.key_digest != key_digest(index_key):
        raise Rejected(PROOF_FAILED, "the manifest names another key", at=f"{at}.manifest")
    first = tag(index_key, 0)
    on_ledger = require_entry(reading, store, first, f"{at}.manifest")
    try:
        verify_manifest_commitment(
            Commitment(on_ledger.commitment), first, stream.manifest_salt, stream.manifest
        )
    except (OpeningInvalid, ValueError):
        raise Rejected(PROOF_FAILED, "position 0 holds another manifest", at=f"{at}.manifest") from None
    return StreamState(stream.manifest, manifest, index_key, disclosure)


def _open_manifest(reading: Reading, granted: GrantedScope, envelope: bytes, at: str) -> Manifest:
    """Read a manifest that the wallet and a key of the custodian have signed, in force or revoked since."""
    identity = PublicKey(granted.grant.from_key)
    try:
        signers = [PublicKey(item.public_key) for item in parse_envelope(envelope).signatures]
        others = [signer for signer in signers if signer != identity]
        if len(signers) != 2 or len(others) != 1:
            raise Rejected(PROOF_FAILED, "not signed by wallet and custodian", at=f"{at}.manifest")
        owner = reading.directory.records_key_owner(others[0], now=False)
        if owner != reading.custodian.organisation:
            raise Rejected(PROOF_FAILED, "not signed by the custodian", at=f"{at}.manifest")
        return decode_manifest(verify_envelope(envelope, payload_type=MANIFEST_PAYLOAD_TYPE, signers=signers))
    except (EnvelopeInvalid, OpeningInvalid) as error:
        raise Rejected(PROOF_FAILED, str(error), at=f"{at}.manifest") from None


def check_head(
    reading: Reading, stream: StreamAnswer, compartment: Compartment, state: StreamState, at: str
) -> SignedHead:
    """Check a compartment's head (step 4).

    Raises:
        Rejected: PROOF_FAILED.
    """
    signed = read_head(reading, stream.head)
    head = signed.head
    if (
        head.kind != STREAM
        or head.stream != stream_name(reading.cell, compartment.value, stream.epoch)
        or head.content != manifest_hash(stream.manifest)
    ):
        raise Rejected(PROOF_FAILED, "a head of another stream", at=f"{at}.head")
    if head.height < reading.seen_height:
        raise Rejected(PROOF_FAILED, "the head is older than the question", at=f"{at}.head")
    if stream.total != len(state.manifest.visible) + head.n:
        raise Rejected(PROOF_FAILED, "the number of entries is not what the head says", at=f"{at}.total")
    return signed


def check_items(
    reading: Reading,
    store: StateReader,
    compartment: Compartment,
    state: StreamState,
    stream: StreamAnswer,
    head: SignedHead,
    done: int,
    at: str,
) -> list[Opened]:
    """Open entries from the `done`th on, each at its place (step 5).

    Raises:
        Rejected: PROOF_FAILED.
    """
    if stream.first != done or done + len(stream.items) > stream.total:
        raise Rejected(PROOF_FAILED, "entries are left out or repeated", at=f"{at}.first")
    visible = state.manifest.visible
    opened: list[Opened] = []
    for index, item in enumerate(stream.items, start=done):
        place = f"{at}.items[{index}]"
        if index < len(visible):
            of, expected = visible[index]
            on_ledger = require_entry(reading, store, of, place)
            if on_ledger.commitment != expected:
                raise Rejected(PROOF_FAILED, "not what the manifest lists", at=place)
        else:
            of = tag(state.index_key, index - len(visible) + 1)
            on_ledger = require_entry(reading, store, of, place)
        if on_ledger.height > head.head.height:
            raise Rejected(PROOF_FAILED, "newer than the head", at=place)
        opened.append(
            open_item(
                item,
                of,
                on_ledger,
                state.disclosure,
                custodian=reading.custodian,
                chain=reading.chain,
                compartment=compartment,
                epoch=stream.epoch,
                at=place,
            )
        )
    return opened


def check_end(reading: Reading, store: StateReader, state: StreamState, head: SignedHead, at: str) -> None:
    """Position n is on the ledger, and n+1 is not, at the head's height (step 6).

    Raises:
        Rejected: PROOF_FAILED.
    """
    organisation, n = reading.custodian.organisation, head.head.n
    if n:
        require_entry(reading, store, tag(state.index_key, n), f"{at}.head")
    following = find_entry(store, organisation, tag(state.index_key, n + 1))
    if following is not None and following.height <= head.head.height:
        raise Rejected(PROOF_FAILED, "the stream goes on past the head", at=f"{at}.head")


def read_head(reading: Reading, envelope: bytes) -> SignedHead:
    """Check who signed a head, and read it.

    Raises:
        Rejected: PROOF_FAILED.
    """
    return verify_head(
        envelope,
        chain=reading.chain,
        custodian=reading.custodian.organisation,
        directory=reading.directory,
    )


def require_entry(reading: Reading, store: StateReader, of: bytes, at: str) -> EntryOnLedger:
    """Record entry of the custodian that must be in the view.

    Raises:
        Rejected: PROOF_FAILED.
    """
    found = find_entry(store, reading.custodian.organisation, of)
    if found is None:
        raise Rejected(PROOF_FAILED, "not on the ledger", at=at)
    return found
