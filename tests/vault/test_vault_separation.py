"""Losing the blobs alone, or the keys alone, reveals nothing; together with the passphrase they open.

A site keeps sealed blobs, wrapped record keys and tags in one place and the key store in another. This test
builds both for a few records that carry canaries and searches all bytes of each.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from careledger.primitives.identifiers import CellID, ChainID, OrganisationID
from careledger.vault.errors import KeyNotHeld, PassphraseWrong, SealBroken, WrapBroken
from careledger.vault.keys import CompartmentKey, IndexKey, RootSecret
from careledger.vault.keystore import Keystore
from careledger.vault.leaves import leaf_commitment, new_leaf
from careledger.vault.passphrase import PassphraseParameters
from careledger.vault.sealing import new_record_key, open_sealed, seal
from careledger.vault.streams import tag
from careledger.vault.wallet import Custodian, Wallet
from careledger.vault.wrapping import GrantInfo, WrapContext, grant_key, unwrap_record_key, wrap_record_key

CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
CANARIES = (b"Jane Canary", b"1970-01-01", b"Observation", b"diabetes")
HOSPITAL = Custodian(chain=ChainID("care-1"), organisation=OrganisationID(7))


@dataclass
class Stored:
    blob: bytes
    wrapped: bytes
    context: WrapContext


@dataclass
class Site:
    store: Keystore
    path: Path
    records: list[Stored]
    granted: bytes


@pytest.fixture
def site(tmp_path: Path) -> Site:
    wallet, compartment_key = Wallet.create(), CompartmentKey.random()
    index_key = wallet.custodian(HOSPITAL).index_key("normal", 0)
    records = []
    for position in range(1, 6):
        record_key = new_record_key()
        plaintext = b"Observation of Jane Canary, born 1970-01-01: diabetes" * 10
        of = tag(index_key, position)
        blob = seal(plaintext, record_key, context=of)
        leaf = new_leaf(of, "Observation", sha256(blob).digest(), sha256(plaintext).digest(), b"Jane Canary")
        context = WrapContext(b"obs-%d" % position, 1, "normal", 0, leaf_commitment(leaf))
        records.append(Stored(blob, wrap_record_key(record_key, compartment_key, context), context))
    info = GrantInfo(HOSPITAL.chain, CellID(os.urandom(32)), "normal", "PATRQT", 0, 0, os.urandom(32))
    path = tmp_path / "keys" / "keys.db"
    path.parent.mkdir()
    store = Keystore.create(path, "site", parameters=CHEAP)
    store.put_many(
        {
            "compartment/jane-canary/normal/0": compartment_key.reveal(),
            "index/jane-canary/normal/0": index_key.reveal(),
            "wallet/jane-canary": wallet.root.reveal(),
        }
    )
    granted = grant_key(compartment_key, wallet.opening_key().recipient, info)
    return Site(store, path, records, granted)


def test_blobs_wraps_and_grants_alone_reveal_nothing(site: Site) -> None:
    secrets = [secret for _, secret in site.store.entries()]
    lost = b"".join(item.blob + item.wrapped for item in site.records) + site.granted
    for trace in (*CANARIES, *secrets):
        assert trace not in lost
    for item in site.records:
        with pytest.raises(WrapBroken):
            unwrap_record_key(item.wrapped, CompartmentKey.random(), item.context)
        with pytest.raises(SealBroken):
            open_sealed(item.blob, new_record_key(), context=b"")


def test_the_key_store_alone_reveals_nothing(site: Site) -> None:
    secrets = [secret for _, secret in site.store.entries()]
    for _ in range(2):
        lost = b"".join(file.read_bytes() for file in site.path.parent.iterdir())
        for trace in (*CANARIES, *secrets, b"jane", b"compartment/", b"wallet"):
            assert trace not in lost
        site.store.erase_now()
    with pytest.raises(PassphraseWrong):
        Keystore.open(site.path, "not the passphrase")


def test_both_with_the_passphrase_open_every_record(site: Site) -> None:
    site.store.close()
    with Keystore.open(site.path, "site") as store:
        key = CompartmentKey(store.get("compartment/jane-canary/normal/0"))
        index_key = IndexKey(store.get("index/jane-canary/normal/0"))
        wallet = Wallet(RootSecret(store.get("wallet/jane-canary")))
    assert wallet.custodian(HOSPITAL).index_key("normal", 0) == index_key
    for position, item in enumerate(site.records, 1):
        record_key = unwrap_record_key(item.wrapped, key, item.context)
        assert CANARIES[0] in open_sealed(item.blob, record_key, context=tag(index_key, position))


def test_a_blob_does_not_open_in_another_records_place(site: Site) -> None:
    key = CompartmentKey(site.store.get("compartment/jane-canary/normal/0"))
    index_key = IndexKey(site.store.get("index/jane-canary/normal/0"))
    first, second = site.records[:2]
    with pytest.raises(WrapBroken):
        unwrap_record_key(first.wrapped, key, second.context)
    record_key = unwrap_record_key(first.wrapped, key, first.context)
    with pytest.raises(SealBroken):
        open_sealed(first.blob, record_key, context=tag(index_key, 2))
    with pytest.raises(SealBroken):
        open_sealed(second.blob, record_key, context=tag(index_key, 2))


def test_once_the_compartment_key_is_destroyed_nothing_at_the_site_opens_its_records(site: Site) -> None:
    site.store.destroy(["compartment/jane-canary/normal/0", "wallet/jane-canary"])
    site.store.erase_now()
    left = [secret for _, secret in site.store.entries()]
    with pytest.raises(KeyNotHeld):
        site.store.get("compartment/jane-canary/normal/0")
    for item in site.records:
        for secret in left:
            with pytest.raises(WrapBroken):
                unwrap_record_key(item.wrapped, CompartmentKey(secret), item.context)
