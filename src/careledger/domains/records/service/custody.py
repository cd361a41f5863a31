"""Custodial wallets: this site keeps the wallet of a patient who brings no agent.

The wallet's root lies in the site's keystore under `wallet/<patient>`. A proof then says "the agent acting for the
patient allowed it", never "the patient". Everything else about a wallet is in `vault/wallet.py`.
"""

from __future__ import annotations

import os
from typing import Final

from careledger.domains.records.chain.types import (
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
)
from careledger.domains.records.service.compartments import COMPARTMENTS
from careledger.domains.records.service.context import SiteContext
from careledger.domains.records.service.streams import FIRST_EPOCH, SubjectKeys
from careledger.primitives.identifiers import CellID
from careledger.primitives.signing import public_key_of
from careledger.vault.envelope import sign_envelope
from careledger.vault.keys import RootSecret
from careledger.vault.streams import MANIFEST_PAYLOAD_TYPE, Manifest, encode_manifest, key_digest
from careledger.vault.wallet import Custodian, Wallet

FIRST_CELL_POSITION: Final = 1
"""Position of the one-time key that may make a cell's first update."""
FIRST_RECOVERY_POSITION: Final = 0


def wallet_name(patient_id: str) -> str:
    """Name of a wallet's root in the keystore."""
    return f"wallet/{patient_id}"


def derive_subject_keys(wallet: Wallet, custodian: Custodian, *, agent: str) -> SubjectKeys:
    """What a custodian is given of a wallet at enrolment: its keys of the first epoch, a cell, manifests."""
    keys = wallet.custodian(custodian)
    first_key = public_key_of(keys.cell_seed(FIRST_CELL_POSITION).reveal())
    recovery_key = public_key_of(wallet.recovery_seed(custodian, FIRST_RECOVERY_POSITION).reveal())
    contents = b"".join(
        (
            # A cell is created over noise: its first update commits to manifests and grants.
            os.urandom(32),
            compute_key_commitment(first_key),
            compute_recovery_commitment(recovery_key),
            os.urandom(32),
        )
    )
    cell = CellID(compute_cell_id(custodian.chain, custodian.organisation, contents))
    index_keys = {one: keys.index_key(one.label, FIRST_EPOCH) for one in COMPARTMENTS}
    return SubjectKeys(
        index_keys=index_keys,
        access_key=keys.access_log_key(FIRST_EPOCH),
        cell_contents=contents,
        identity=public_key_of(wallet.identity_seed().reveal()),
        recipient=wallet.opening_key().recipient.raw,
        agent=agent,
        manifests={
            one: sign_envelope(
                MANIFEST_PAYLOAD_TYPE,
                encode_manifest(Manifest(1, key_digest(key), cell, FIRST_EPOCH, ())),
                wallet.identity_seed(),
            )
            for one, key in index_keys.items()
        },
    )


class CustodialWallets:
    """Makes and keeps wallets for patients who bring none."""

    def __init__(self, site: SiteContext) -> None:
        self._site = site

    def enrol(self, patient_id: str) -> SubjectKeys:
        """Make a patient's wallet, durably, and derive what this site needs of it."""
        wallet = Wallet.create()
        self._site.keystore.put(wallet_name(patient_id), wallet.root.reveal())
        return derive_subject_keys(wallet, self._site.custodian, agent=self._site.slug)

    def wallet(self, patient_id: str) -> Wallet:
        """Wallet kept for a patient.

        Raises:
            KeyNotHeld: There is none.
        """
        return Wallet(RootSecret(self._site.keystore.get(wallet_name(patient_id))))
