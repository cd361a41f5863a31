"""What the vault builds on gives the published answers."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from careledger.primitives.identifiers import CellID, ChainID
from careledger.primitives.signing import public_key_of, sign, verify_signature
from careledger.vault.derivation import hkdf_expand, hkdf_extract
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, KEMSeed
from careledger.vault.wrapping import GrantInfo, _hpke_info, grant_key, open_granted_key

VECTORS: Mapping[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "vault_published.json").read_text()
)
CIPHERTEXT_BYTES = 1088
INFO = GrantInfo(ChainID("care-1"), CellID(bytes(32)), "normal", "TREAT", 0, 0, bytes(32))


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("case", VECTORS["hkdf_sha256"]["cases"])
def test_hkdf(case: Mapping[str, Any]) -> None:
    key = hkdf_extract(unhex(case["salt"]), unhex(case["ikm"]))
    assert key.hex() == case["prk"]
    assert hkdf_expand(key, unhex(case["info"]), case["length"]).hex() == case["okm"]


@pytest.mark.parametrize("case", VECTORS["hmac_sha256"]["cases"])
def test_hmac(case: Mapping[str, str]) -> None:
    assert hmac.digest(unhex(case["key"]), unhex(case["data"]), "sha256").hex() == case["mac"]


@pytest.mark.parametrize("case", VECTORS["ed25519"]["cases"])
def test_ed25519(case: Mapping[str, str]) -> None:
    seed, message = unhex(case["seed"]), unhex(case["message"])
    assert public_key_of(seed).hex() == case["public_key"]
    assert sign(seed, message).hex() == case["signature"]
    verify_signature(public_key_of(seed), message, unhex(case["signature"]))


def test_argon2id() -> None:
    case = VECTORS["argon2id"]
    derived = Argon2id(
        salt=unhex(case["salt"]),
        length=32,
        iterations=case["iterations"],
        lanes=case["lanes"],
        memory_cost=case["memory_kib"],
        ad=unhex(case["associated_data"]),
        secret=unhex(case["secret"]),
    ).derive(unhex(case["password"]))
    assert derived.hex() == case["tag"]


# An independent reading of the KEM and of RFC 9180's key schedule, from the standard library's hashes and the
# two key exchanges alone.


def labelled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def labelled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    message = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, message + b"\x01", "sha256")[:size]


def key_schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    suite = b"HPKE" + (0x647A).to_bytes(2, "big") + (1).to_bytes(2, "big") + (3).to_bytes(2, "big")
    context = (
        b"\x00"
        + labelled_extract(suite, b"", b"psk_id_hash", b"")
        + labelled_extract(suite, b"", b"info_hash", info)
    )
    secret = labelled_extract(suite, shared, b"secret", b"")
    return (
        labelled_expand(suite, secret, b"key", context, 32),
        labelled_expand(suite, secret, b"base_nonce", context, 12),
    )


def combine(of_mlkem: bytes, of_x25519: bytes, ephemeral: bytes, public: bytes) -> bytes:
    return hashlib.sha3_256(of_mlkem + of_x25519 + ephemeral + public + rb"\.//^" + b"\\").digest()


def expand_seed(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(
        expanded[64:]
    )


def decapsulate(seed: bytes, encapsulated: bytes) -> bytes:
    mlkem, x25519 = expand_seed(seed)
    ephemeral = encapsulated[CIPHERTEXT_BYTES:]
    return combine(
        mlkem.decapsulate(encapsulated[:CIPHERTEXT_BYTES]),
        x25519.exchange(X25519PublicKey.from_public_bytes(ephemeral)),
        ephemeral,
        x25519.public_key().public_bytes_raw(),
    )


def test_hpke_suite_of_the_draft() -> None:
    case = VECTORS["hpke_mlkem768_x25519"]
    public = OpeningKey(KEMSeed(unhex(case["secret_key"]))).recipient.raw
    assert public[:32].hex() == case["public_key_first_32"]
    assert public[-32:].hex() == case["public_key_last_32"]
    shared = decapsulate(unhex(case["secret_key"]), unhex(case["enc"]))
    assert shared.hex() == case["shared_secret"]
    key, nonce = key_schedule(shared, unhex(case["info"]))
    assert (key.hex(), nonce.hex()) == (case["key"], case["base_nonce"])
    opened = ChaCha20Poly1305(key).decrypt(nonce, unhex(case["sealed"]), unhex(case["associated_data"]))
    assert opened.hex() == case["plaintext"]


def test_what_we_grant_opens_by_that_reading() -> None:
    seed, key = KEMSeed.random(), CompartmentKey.random()
    recipient = OpeningKey(seed).recipient
    granted = grant_key(key, recipient, INFO)
    encapsulated, sealed = granted[2:1122], granted[1122:]
    opening, nonce = key_schedule(decapsulate(seed.reveal(), encapsulated), _hpke_info(INFO, recipient, 1))
    assert ChaCha20Poly1305(opening).decrypt(nonce, sealed, b"") == key.reveal()


def test_what_that_reading_seals_we_open() -> None:
    opening_key, key = OpeningKey(KEMSeed.random()), CompartmentKey.random()
    public = opening_key.recipient.raw
    ephemeral = X25519PrivateKey.generate()
    of_mlkem, ciphertext = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    ours = ephemeral.public_key().public_bytes_raw()
    of_x25519 = ephemeral.exchange(X25519PublicKey.from_public_bytes(public[1184:]))
    shared = combine(of_mlkem, of_x25519, ours, public[1184:])
    sealing, nonce = key_schedule(shared, _hpke_info(INFO, opening_key.recipient, 1))
    sealed = ChaCha20Poly1305(sealing).encrypt(nonce, key.reveal(), b"")
    assert (
        open_granted_key(b"\x01\x01" + ciphertext + ours + sealed, opening_key, INFO, CompartmentKey) == key
    )
