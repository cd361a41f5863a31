"""New epochs, from the wallet's side: the keys, and a check of what the custodian says stays visible.

The wallet signs the new manifest only if it lists everything the ledger has of the ended epochs, apart from what
the custodian names as left out. So a custodian cannot use a revocation to let records disappear unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.agent.errors import CUSTODIAN_DIFFERS
from careledger.domains.records.service.agent.sessions import CellSession
from careledger.domains.records.service.agent.wallets import identity_of
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.commands import (
    EPOCH_STATE,
    KEYS,
    MANIFESTS,
    OPEN_EPOCHS,
    SEAL_EPOCHS,
    CompartmentBytes,
    CompartmentList,
    Compartments,
    EpochState,
    EpochStates,
    custodian_key_info,
    read_body,
    wallet_key_info,
)
from careledger.domains.records.service.consent.errors import COMMAND_INVALID, EPOCH_NOT_READY
from careledger.domains.records.service.consent.grants import StreamSecrets
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.exchange.directory import Directory
from careledger.primitives.errors import Rejected, Unavailable
from careledger.primitives.identifiers import Commitment, PublicKey, Tag
from careledger.sdk.context import StateReader
from careledger.vault.envelope import parse_envelope, sign_envelope, verify_envelope
from careledger.vault.errors import EnvelopeInvalid, OpeningInvalid, WrapBroken
from careledger.vault.keys import CompartmentKey, IndexKey
from careledger.vault.streams import (
    MANIFEST_PAYLOAD_TYPE,
    Manifest,
    decode_manifest,
    encode_manifest,
    key_digest,
    manifest_hash,
    tag,
)
from careledger.vault.wallet import CustodianKeys
from careledger.vault.wrapping import grant_key, open_granted_key

READY_TRIES: Final = 200
READY_PAUSE_S: Final = 0.05
LOOK_AHEAD: Final = 64
"""Positions looked at past a missing one."""


@dataclass(frozen=True, slots=True)
class HeldManifest:
    """A compartment's manifest, as the custodian stores it and the wallet has checked it."""

    epoch: int
    envelope: bytes
    wallet: PublicKey
    """Identity key of the wallet that signed it."""

    @property
    def digest(self) -> bytes:
        """Hash that stands in the cell."""
        return manifest_hash(self.envelope)


class EpochKeeper:
    """Manifests, keys and new epochs of cells, on behalf of wallets."""

    def __init__(self, site: SiteContext, directory: Directory) -> None:
        self._site = site
        self._directory = directory

    async def manifests(
        self, session: CellSession, *, former: CellSession | None = None
    ) -> dict[Compartment, HeldManifest]:
        """Current manifests of all compartments, each signed by wallet and custodian over the wallet's key.

        Args:
            session: the cell.
            former: the same with the wallet that this one takes the place of, whose manifests count as well.

        Raises:
            Rejected: CUSTODIAN_DIFFERS.
        """
        try:
            raw = await session.command(MANIFESTS)
        except Rejected as refusal:
            if former is None or refusal.code is not COMMAND_INVALID:
                raise
            raw = await former.command(MANIFESTS)  # the custodian was not told of the new wallet yet
        found = {}
        for item in read_body(raw, CompartmentList).items:
            try:
                held = self._check_manifest(session, item)
            except Rejected:
                if former is None:
                    raise
                held = self._check_manifest(former, item)
            found[_compartment(item)] = held
        if set(found) != set(COMPARTMENTS):
            raise Rejected(CUSTODIAN_DIFFERS, "a compartment has no manifest")
        return found

    async def secrets(
        self, session: CellSession, compartments: Iterable[Compartment]
    ) -> dict[Compartment, StreamSecrets]:
        """Epoch, index key and disclosure key of compartments: what a grant of the whole hands over."""
        wanted = sorted(compartments)
        if not wanted:
            return {}
        answer = read_body(
            await session.command(KEYS, Compartments(tuple(one.value for one in wanted))), CompartmentList
        )
        opening_key = session.wallet.opening_key()
        found: dict[Compartment, StreamSecrets] = {}
        for item in answer.items:
            compartment = _compartment(item)
            info = wallet_key_info(self._site.chain_id, session.cell, compartment.label, item.epoch)
            try:
                key = open_granted_key(item.value, opening_key, info, CompartmentKey)
            except (WrapBroken, ValueError):
                raise Rejected(CUSTODIAN_DIFFERS, "a key does not open") from None
            found[compartment] = (item.epoch, session.keys.index_key(compartment.label, item.epoch), key)
        if set(found) != set(wanted):
            raise Rejected(CUSTODIAN_DIFFERS, "a key is missing")
        return found

    async def begin(
        self,
        session: CellSession,
        compartments: Iterable[Compartment],
        after: dict[Compartment, HeldManifest],
        *,
        previous: CustodianKeys | None = None,
    ) -> dict[Compartment, HeldManifest]:
        """Begin a new epoch in each compartment; returns the manifests that must stand in the cell next.

        May be repeated after a crash: keys and numbers follow from the wallet and from `after`.

        Args:
            session: the cell.
            compartments: which epochs end.
            after: manifests that stand in the cell now.
            previous: keys of the ending epochs, where another wallet had them; this wallet's by default.

        Raises:
            Rejected: CUSTODIAN_DIFFERS, what is said to stay visible is not what the ledger has.
            Unavailable: Entries of the ended epochs did not come onto the ledger in time.
        """
        wanted = sorted(compartments)
        if not wanted:
            return {}
        recipient = session.custodian.recipient()
        opened = []
        for one in wanted:
            epoch = after[one].epoch + 1
            info = custodian_key_info(self._site.chain_id, session.cell, one.label, epoch)
            sealed = grant_key(session.keys.index_key(one.label, epoch), recipient, info)
            opened.append(CompartmentBytes(one.value, epoch, sealed))
        await session.command(OPEN_EPOCHS, CompartmentList(tuple(opened)))
        states = await self._wait_for_states(session, wanted)
        signed = []
        for state in states:
            compartment = Compartment(state.compartment)
            if state.epoch != after[compartment].epoch + 1:
                raise Rejected(CUSTODIAN_DIFFERS, "another epoch", at=compartment.label)
            self._check_state(session, state, after[compartment], previous or session.keys)
            signed.append(self._sign_manifest(session, compartment, state))
        answer = read_body(
            await session.command(SEAL_EPOCHS, CompartmentList(tuple(signed))), CompartmentList
        )
        found = {}
        for item in answer.items:
            found[_compartment(item)] = self._check_manifest(session, item)
        if set(found) != set(wanted):
            raise Rejected(CUSTODIAN_DIFFERS, "a manifest is missing")
        return found

    async def _wait_for_states(
        self, session: CellSession, compartments: list[Compartment]
    ) -> tuple[EpochState, ...]:
        body = Compartments(tuple(one.value for one in compartments))
        for _ in range(READY_TRIES):
            try:
                answer = read_body(await session.command(EPOCH_STATE, body), EpochStates)
            except Unavailable as error:
                if error.code is not EPOCH_NOT_READY:
                    raise
                await asyncio.sleep(READY_PAUSE_S)
                continue
            if [state.compartment for state in answer.items] != list(body.compartments):
                raise Rejected(CUSTODIAN_DIFFERS, "not the compartments that were asked for")
            return answer.items
        raise Unavailable(EPOCH_NOT_READY)

    def _sign_manifest(
        self, session: CellSession, compartment: Compartment, state: EpochState
    ) -> CompartmentBytes:
        manifest = Manifest(
            1,
            key_digest(session.keys.index_key(compartment.label, state.epoch)),
            session.cell,
            state.epoch,
            tuple((Tag(of), Commitment(commitment)) for of, commitment in state.visible),
        )
        envelope = sign_envelope(
            MANIFEST_PAYLOAD_TYPE, encode_manifest(manifest), session.wallet.identity_seed()
        )
        return CompartmentBytes(compartment.value, state.epoch, envelope)

    def _check_manifest(self, session: CellSession, item: CompartmentBytes) -> HeldManifest:
        compartment = _compartment(item)
        identity = identity_of(session.wallet)
        try:
            signers = [PublicKey(one.public_key) for one in parse_envelope(item.value).signatures]
            others = [signer for signer in signers if signer != identity]
            if len(signers) != 2 or len(others) != 1:
                raise Rejected(CUSTODIAN_DIFFERS, "a manifest not signed by both", at=compartment.label)
            if self._directory.records_key_owner(others[0], now=False) != session.custodian.organisation:
                raise Rejected(CUSTODIAN_DIFFERS, "a manifest of another custodian", at=compartment.label)
            manifest = decode_manifest(
                verify_envelope(item.value, payload_type=MANIFEST_PAYLOAD_TYPE, signers=signers)
            )
        except (EnvelopeInvalid, OpeningInvalid) as error:
            raise Rejected(CUSTODIAN_DIFFERS, str(error), at=compartment.label) from None
        key = session.keys.index_key(compartment.label, item.epoch)
        if (manifest.key_digest, manifest.cell, manifest.epoch) != (
            key_digest(key),
            session.cell,
            item.epoch,
        ):
            raise Rejected(CUSTODIAN_DIFFERS, "a manifest of another key or epoch", at=compartment.label)
        return HeldManifest(item.epoch, item.value, identity)

    def _check_state(
        self, session: CellSession, state: EpochState, ending: HeldManifest, keys: CustodianKeys
    ) -> None:
        """Compare what stays visible with what was visible and with what the ledger has of the ending epoch."""
        compartment = Compartment(state.compartment)
        listed = decode_manifest(parse_envelope(ending.envelope).payload).visible
        expected: dict[bytes, bytes] = dict(listed)
        with self._site.view.at_head() as view:
            expected |= _committed(
                view.store, session.custodian.organisation, keys.index_key(compartment.label, ending.epoch)
            )
        for of in state.left_out:
            expected.pop(of, None)
        if sorted(expected.items()) != sorted(state.visible):
            raise Rejected(CUSTODIAN_DIFFERS, "what stays visible is not all there is", at=compartment.label)


def _committed(store: StateReader, organisation: int, key: IndexKey) -> dict[bytes, bytes]:
    """(tag -> commitment) of every position but the manifest's, with a look past missing ones."""
    found: dict[bytes, bytes] = {}
    position, missing = 1, 0
    while missing < LOOK_AHEAD:
        of = tag(key, position)
        entry = keeper.record_entry(store, organisation, of)
        if entry is None:
            missing += 1
        else:
            found[of] = entry.commitment
            missing = 0
        position += 1
    return found


def _compartment(item: CompartmentBytes) -> Compartment:
    try:
        return Compartment(item.compartment)
    except ValueError:
        raise Rejected(CUSTODIAN_DIFFERS, "an unknown compartment") from None
