"""A custodial agent without a network: wallets in a site's keystore, for tests of the write path."""

from __future__ import annotations

import os

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
from careledger.vault.streams import MANIFEST_PAYLOAD_TYPE, Manifest, encode_manifest, key_digest
from careledger.vault.wallet import Wallet


class LocalWallets:
    """Makes a wallet per patient and keeps its root in the keystore."""

    def __init__(self, site: SiteContext) -> None:
        self._site = site

    def enrol(self, patient_id: str) -> SubjectKeys:
        """Make a wallet and what the custodian needs of it."""
        wallet = Wallet.create()
        self._site.keystore.put(f"wallet/{patient_id}", wallet.root.reveal())
        keys = wallet.custodian(self._site.custodian)
        contents = (
            os.urandom(32)
            + compute_key_commitment(public_key_of(keys.cell_seed(1).reveal()))
            + compute_recovery_commitment(
                public_key_of(wallet.recovery_seed(self._site.custodian, 0).reveal())
            )
            + os.urandom(32)
        )
        cell = CellID(compute_cell_id(self._site.chain_id, self._site.organisation, contents))
        index_keys = {one: keys.index_key(one.label, FIRST_EPOCH) for one in COMPARTMENTS}
        return SubjectKeys(
            index_keys=index_keys,
            access_key=keys.access_log_key(FIRST_EPOCH),
            cell_contents=contents,
            identity=public_key_of(wallet.identity_seed().reveal()),
            recipient=b"",
            agent=self._site.slug,
            manifests={
                one: sign_envelope(
                    MANIFEST_PAYLOAD_TYPE,
                    encode_manifest(Manifest(1, key_digest(key), cell, FIRST_EPOCH, ())),
                    wallet.identity_seed(),
                )
                for one, key in index_keys.items()
            },
        )
