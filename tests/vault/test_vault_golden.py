"""Bytes written by format version 1 are still written and read alike."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from careledger.primitives.codec import decode, encode
from careledger.primitives.identifiers import CellID, ChainID, Commitment, OrganisationID, PublicKey, Tag
from careledger.primitives.signing import public_key_of
from careledger.vault import keystore, sealing, wrapping
from careledger.vault.backup import restore_key_backup
from careledger.vault.derivation import derive
from careledger.vault.envelope import sign_envelope, signed_bytes, verify_envelope
from careledger.vault.escrow import read_escrow
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, IndexKey, KEMSeed, RecordKey, RootSecret, SigningSeed
from careledger.vault.keystore import Keystore
from careledger.vault.leaves import (
    LeafField,
    LeafOpening,
    decode_leaf,
    leaf_commitment,
    open_fields,
    verify_opening,
)
from careledger.vault.passphrase import PassphraseParameters, open_with_passphrase
from careledger.vault.recovery import import_wallet, recover_wallet
from careledger.vault.sealing import open_sealed
from careledger.vault.share_text import share_from_text, share_to_text
from careledger.vault.sharing import Share
from careledger.vault.streams import (
    Manifest,
    decode_manifest,
    encode_manifest,
    key_digest,
    manifest_commitment,
    tag,
    void_commitment,
)
from careledger.vault.wallet import Custodian, Wallet
from careledger.vault.wrapping import GrantInfo, WrapContext, open_granted_key, unwrap_record_key

GOLDEN: Mapping[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "vault_golden.json").read_text()
)
CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("case", GOLDEN["sealing"])
def test_sealed_blob(case: Mapping[str, str]) -> None:
    key, context, plaintext = RecordKey(unhex(case["key"])), unhex(case["context"]), unhex(case["plaintext"])
    assert sealing._seal_with_nonce(plaintext, key, context, unhex(case["nonce"])).hex() == case["sealed"]
    assert open_sealed(unhex(case["sealed"]), key, context=context) == plaintext


def test_sealed_blob_of_two_parts() -> None:
    case = GOLDEN["sealing_long"]
    plaintext = bytes(range(256)) * 257
    key = RecordKey(unhex(case["key"]))
    sealed = sealing._seal_with_nonce(plaintext, key, unhex(case["context"]), unhex(case["nonce"]))
    assert (len(sealed), sha256(sealed).hexdigest()) == (case["sealed_size"], case["sealed_sha256"])


def test_record_key_wrap() -> None:
    case = GOLDEN["record_wrap"]
    record_key, compartment_key = (
        RecordKey(unhex(case["record_key"])),
        CompartmentKey(unhex(case["compartment_key"])),
    )
    context = WrapContext(
        unhex(case["record"]),
        case["version"],
        case["compartment"],
        case["epoch"],
        Commitment(unhex(case["leaf"])),
    )
    wrapped = wrapping._wrap_with_nonce(record_key, compartment_key, context, unhex(case["nonce"]))
    assert wrapped.hex() == case["wrapped"]
    assert unwrap_record_key(wrapped, compartment_key, context) == record_key


def test_key_grant() -> None:
    case = GOLDEN["key_grant"]
    opening_key = OpeningKey(KEMSeed(unhex(case["seed"])))
    assert opening_key.recipient.digest.hex() == case["recipient_sha256"]
    info = GrantInfo(
        ChainID(case["chain"]),
        CellID(unhex(case["cell"])),
        case["subject"],
        case["purpose"],
        case["epoch"],
        case["expires_at_ms"],
        unhex(case["policy_hash"]),
    )
    assert wrapping._hpke_info(info, opening_key.recipient, 1).hex() == case["hpke_info"]
    opened = open_granted_key(unhex(case["granted"]), opening_key, info, CompartmentKey)
    assert opened.reveal().hex() == case["compartment_key"]


def test_wallet_derivation() -> None:
    case = GOLDEN["wallet"]
    wallet = Wallet(RootSecret(unhex(case["root"])))
    custodian = Custodian(chain=ChainID(case["chain"]), organisation=OrganisationID(case["organisation"]))
    keys = wallet.custodian(custodian)
    assert wallet.identity_seed().reveal().hex() == case["identity_seed"]
    assert wallet.opening_key().recipient.digest.hex() == case["hpke_public_sha256"]
    assert keys.root.reveal().hex() == case["custodian_root"]
    assert keys.index_key("normal", 2).reveal().hex() == case["index_key_normal_2"]
    assert keys.access_log_key(1).reveal().hex() == case["access_log_key_1"]
    assert keys.cell_seed(5).reveal().hex() == case["cell_seed_5"]
    assert wallet.recovery_seed(custodian, 1).reveal().hex() == case["recovery_seed_1"]


def test_streams() -> None:
    case = GOLDEN["streams"]
    key, salt = IndexKey(unhex(case["index_key"])), unhex(case["salt"])
    assert key_digest(key).hex() == case["key_digest"]
    assert {number: tag(key, int(number)).hex() for number in case["tags"]} == case["tags"]
    assert void_commitment(tag(key, 1), salt).hex() == case["void_at_1"]
    manifest = decode_manifest(unhex(case["manifest"]))
    assert encode_manifest(manifest).hex() == case["manifest"]
    assert manifest == Manifest(1, key_digest(key), manifest.cell, 2, manifest.visible)
    assert manifest_commitment(tag(key, 0), salt, unhex(case["envelope"])).hex() == case["manifest_at_0"]


def test_leaf() -> None:
    case = GOLDEN["leaf"]
    leaf = decode_leaf(unhex(case["encoded"]))
    assert encode(leaf).hex() == case["encoded"]
    assert leaf_commitment(leaf).hex() == case["commitment"]
    opening = open_fields(leaf, LeafField.TYPE, LeafField.METADATA)
    assert encode(opening).hex() == case["opening_of_type_and_metadata"]
    read = decode(unhex(case["opening_of_type_and_metadata"]), LeafOpening)
    shown = verify_opening(read, tag=Tag(leaf.tag), commitment=Commitment(unhex(case["commitment"])))
    assert shown == {LeafField.TYPE: b"Observation", LeafField.METADATA: b"metadata"}


def test_shares() -> None:
    case = GOLDEN["shares"]
    shares = [Share.from_bytes(unhex(raw)) for raw in case["bytes"]]
    assert [share_to_text(share) for share in shares] == case["texts"]
    assert [share_from_text(text) for text in case["texts"]] == shares
    assert recover_wallet(shares[1:]).root.reveal().hex() == case["secret"]


def test_passphrase_seal() -> None:
    case = GOLDEN["passphrase"]
    opened = open_with_passphrase(unhex(case["sealed"]), case["passphrase"], context=unhex(case["context"]))
    assert opened.hex() == case["plaintext"]


def test_wallet_export() -> None:
    case = GOLDEN["wallet_export"]
    wallet, held = import_wallet(unhex(case["exported"]), case["passphrase"])
    assert wallet.root.reveal().hex() == case["root"]
    custodian = Custodian(chain=ChainID("care-1"), organisation=OrganisationID(7))
    opened = held.open_key(wallet.opening_key(), custodian, "normal", 0)
    assert opened.reveal().hex() == case["compartment_key"]


def test_envelope() -> None:
    case = GOLDEN["envelope"]
    seeds = [SigningSeed(unhex(seed)) for seed in case["seeds"]]
    payload = unhex(case["payload"])
    assert signed_bytes(case["payload_type"], payload).hex() == case["signed_bytes"]
    assert sign_envelope(case["payload_type"], payload, *seeds).hex() == case["envelope"]
    signers = [PublicKey(public_key_of(seed.reveal())) for seed in seeds]
    assert (
        verify_envelope(unhex(case["envelope"]), payload_type=case["payload_type"], signers=signers)
        == payload
    )


def test_backup_and_escrow(tmp_path: Path) -> None:
    case = GOLDEN["backup"]
    backup, escrow = tmp_path / "b", tmp_path / "e"
    backup.write_bytes(unhex(case["backup"]))
    escrow.write_bytes(unhex(case["escrow"]))
    assert read_escrow(escrow).to_bytes().hex() == case["escrow"]
    with Keystore.create(tmp_path / "keys.db", "site", parameters=CHEAP) as store:
        restore_key_backup(backup, escrow, case["passphrase"], store)
        assert {name: secret.hex() for name, secret in store.entries()} == case["entries"]


def test_keystore_seal_and_entry(tmp_path: Path) -> None:
    case = GOLDEN["keystore"]
    (tmp_path / "keys.db.seal").write_bytes(unhex(case["seal"]))
    data_key = keystore._read_seal(tmp_path / "keys.db", case["passphrase"]).reveal()
    assert data_key.hex() == case["data_key"]
    sealed = unhex(case["entry_sealed"])
    cipher = AESGCM(derive(data_key, "keystore-entries"))
    padded = cipher.decrypt(sealed[1:13], sealed[13:], case["entry_name"].encode())
    assert (len(sealed), padded.hex()) == (64, "001f" + case["entry_secret"] + "00")
