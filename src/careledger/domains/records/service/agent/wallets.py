"""Wallets in a site's keystore, and what a custodian is given of a new one.

A wallet lies in the keystore under the patient's cell at this site, so that wallets can be made in advance, many
in one durable step: a patient's enrolment then only takes one. One-time keys have no stored position: the
key that makes version v+1 of a cell is derived at position v, so whoever has the root and the ledger knows it.

Everything here runs on the writer thread, which alone uses the keystore.
"""

from __future__ import annotations

import os
from typing import Final

from careledger.domains.records.chain.types import (
    CELL_CONTENTS_BYTES,
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
)
from careledger.domains.records.service.agent.errors import WALLET_UNKNOWN
from careledger.domains.records.service.compartments import COMPARTMENTS, Compartment
from careledger.domains.records.service.consent.cells import new_filler_commitment
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.rows import fetch_all, fetch_one
from careledger.domains.records.service.streams import FIRST_EPOCH, SubjectKeys
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID, PublicKey
from careledger.primitives.signing import public_key_of
from careledger.storage.sqlite import Connection
from careledger.vault.envelope import sign_envelope
from careledger.vault.errors import KeyNotHeld
from careledger.vault.keys import RootSecret
from careledger.vault.streams import MANIFEST_PAYLOAD_TYPE, Manifest, encode_manifest, key_digest
from careledger.vault.wallet import Custodian, Wallet

SPARE_WALLETS: Final = 64
"""Wallets made in advance at a time."""

_PREFIX: Final = "cell-wallet/"
_ROOT_BYTES: Final = RootSecret.SIZE_BYTES


def new_cell_contents(wallet: Wallet, custodian: Custodian) -> bytes:
    """The 128 bytes a cell is created with: it says nothing yet, and follows the wallet's first keys."""
    return (
        new_filler_commitment()
        + update_key_commitment(wallet, custodian, 1)
        + recovery_key_commitment(wallet, custodian, 1)
        + os.urandom(32)
    )


def update_key_commitment(wallet: Wallet, custodian: Custodian, version: int) -> bytes:
    """Commitment to the one-time key that may update a cell of that version."""
    seed = wallet.custodian(custodian).cell_seed(version)
    return compute_key_commitment(public_key_of(seed.reveal()))


def recovery_key_commitment(wallet: Wallet, custodian: Custodian, version: int) -> bytes:
    """Commitment to the key that may start a recovery of a cell of that version."""
    seed = wallet.recovery_seed(custodian, version - 1)
    return compute_recovery_commitment(public_key_of(seed.reveal()))


def identity_of(wallet: Wallet) -> PublicKey:
    """The wallet's public identity key."""
    return PublicKey(public_key_of(wallet.identity_seed().reveal()))


def sign_first_manifests(wallet: Wallet, custodian: Custodian, cell: CellID) -> dict[Compartment, bytes]:
    """Manifests of the first epoch, one per compartment, signed by the wallet."""
    keys, seed = wallet.custodian(custodian), wallet.identity_seed()
    return {
        one: sign_envelope(
            MANIFEST_PAYLOAD_TYPE,
            encode_manifest(
                Manifest(1, key_digest(keys.index_key(one.label, FIRST_EPOCH)), cell, FIRST_EPOCH, ())
            ),
            seed,
        )
        for one in COMPARTMENTS
    }


class WalletStore:
    """The wallets that one site keeps. All methods run on the writer thread."""

    def __init__(self, site: SiteContext) -> None:
        self._site = site
        self._spare: list[tuple[Wallet, bytes]] = []

    def enrol(self, patient_id: str) -> SubjectKeys:
        """Take a wallet for a new patient of this site; `PatientKeys` of the write path.

        The wallet was durable before: if the patient's registration fails, it stays unused.
        """
        del patient_id  # the cell binds patient and wallet; nothing here is derived from a person
        if not self._spare:
            self._make_spare()
        wallet, contents = self._spare.pop()
        custodian = self._site.custodian
        cell = CellID(compute_cell_id(self._site.chain_id, self._site.organisation, contents))
        keys = wallet.custodian(custodian)
        return SubjectKeys(
            index_keys={one: keys.index_key(one.label, FIRST_EPOCH) for one in COMPARTMENTS},
            access_key=keys.access_log_key(FIRST_EPOCH),
            cell_contents=contents,
            identity=identity_of(wallet),
            recipient=wallet.opening_key().recipient.raw,
            agent=self._site.slug,
            manifests=sign_first_manifests(wallet, custodian, cell),
        )

    def reclaim(self, connection: Connection) -> int:
        """At start: wallets that nobody was given are spare again; returns how many."""
        taken = {row[0] for row in fetch_all(connection, "SELECT cell FROM subject WHERE cell IS NOT NULL")}
        for name in self._site.keystore.names(_PREFIX):
            if bytes.fromhex(name.removeprefix(_PREFIX)) not in taken:
                value = self._site.keystore.get(name)
                self._spare.append((Wallet(RootSecret(value[:_ROOT_BYTES])), value[_ROOT_BYTES:]))
        return len(self._spare)

    def load(self, connection: Connection, patient_id: str) -> Wallet:
        """Wallet of a patient of this site.

        Raises:
            Rejected: WALLET_UNKNOWN.
        """
        cell = _own_cell(connection, patient_id)
        try:
            value = self._site.keystore.get(wallet_name(cell))
        except KeyNotHeld:
            raise Rejected(WALLET_UNKNOWN) from None
        return Wallet(RootSecret(value[:_ROOT_BYTES]))

    def keep(self, connection: Connection, patient_id: str, wallet: Wallet) -> None:
        """Keep a wallet that came from elsewhere, in place of one of that patient.

        Raises:
            Rejected: WALLET_UNKNOWN, the patient is not registered here.
        """
        cell = _own_cell(connection, patient_id)
        contents = fetch_one(connection, "SELECT cell_contents FROM subject WHERE cell = ?", (cell,))
        kept = contents[0] if contents is not None else bytes(CELL_CONTENTS_BYTES)
        self._site.keystore.put(wallet_name(cell), wallet.root.reveal() + kept)

    def keep_next(self, connection: Connection, patient_id: str, wallet: Wallet) -> None:
        """Keep the wallet that is to take a stolen one's place, beside it."""
        self._site.keystore.put(_next_name(_own_cell(connection, patient_id)), wallet.root.reveal())

    def load_next(self, connection: Connection, patient_id: str) -> Wallet | None:
        """The wallet that is to take a stolen one's place, if there is one."""
        name = _next_name(_own_cell(connection, patient_id))
        if not self._site.keystore.has(name):
            return None
        return Wallet(RootSecret(self._site.keystore.get(name)))

    def drop_next(self, connection: Connection, patient_id: str) -> None:
        """Forget it: it has taken its place."""
        self._site.keystore.destroy([_next_name(_own_cell(connection, patient_id))])

    def destroy(self, connection: Connection, patient_id: str) -> None:
        """Destroy a wallet here: the patient has taken it elsewhere."""
        cell = _own_cell(connection, patient_id)
        self._site.keystore.destroy([wallet_name(cell)])
        self._site.keystore.erase_now()

    def _make_spare(self) -> None:
        made = []
        entries = {}
        for _ in range(SPARE_WALLETS):
            wallet = Wallet.create()
            contents = new_cell_contents(wallet, self._site.custodian)
            cell = compute_cell_id(self._site.chain_id, self._site.organisation, contents)
            entries[wallet_name(cell)] = wallet.root.reveal() + contents
            made.append((wallet, contents))
        self._site.keystore.put_many(entries)
        self._spare += made


def wallet_name(cell: bytes) -> str:
    """Name in the keystore of the wallet of a patient with that cell at this site."""
    return f"{_PREFIX}{cell.hex()}"


def _next_name(cell: bytes) -> str:
    return f"next-wallet/{cell.hex()}"


def _own_cell(connection: Connection, patient_id: str) -> bytes:
    row = fetch_one(connection, "SELECT cell FROM subject WHERE patient_id = ?", (patient_id,))
    if row is None or not isinstance(row[0], bytes):
        raise Rejected(WALLET_UNKNOWN)
    return row[0]
