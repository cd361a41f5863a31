"""The golden bytes, read by formulas of docs/formats/vault.md written out with the standard library's hashes."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from careledger.primitives.codec import decode_plain, encode

GOLDEN: Mapping[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "vault_golden.json").read_text()
)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def label(name: str) -> bytes:
    return bytes([len(name)]) + name.encode("ascii")


def expand(key: bytes, info: bytes, size: int = 32) -> bytes:
    blocks, previous = b"", b""
    for number in range(1, -(-size // 32) + 1):
        previous = hmac.digest(key, previous + info + bytes([number]), "sha256")
        blocks += previous
    return blocks[:size]


def derive(parent: bytes, name: str, *parts: bytes) -> bytes:
    return expand(parent, label(name) + b"".join(len(part).to_bytes(2, "big") + part for part in parts))


def open_blob(sealed: bytes, key: bytes, context: bytes) -> bytes:
    assert sealed[:8] == b"CLSB\x01\x01\x10\x00"
    derived = expand(key, label("careledger/seal/v1") + sealed[:32] + context, 64)
    assert sealed[32:64] == derived[32:]
    return AESGCM(derived[:32]).decrypt(bytes(11) + b"\x01", sealed[64:], derived[32:])


def passphrase_key(header: bytes, passphrase: str) -> bytes:
    assert header[0] == 1
    return Argon2id(
        salt=header[7:23],
        length=32,
        iterations=header[5],
        lanes=header[6],
        memory_cost=int.from_bytes(header[1:5], "big"),
    ).derive(passphrase.encode())


def open_passphrase(sealed: bytes, passphrase: str, context: bytes) -> bytes:
    assert sealed[:5] == b"CLPP\x01"
    return open_blob(sealed[28:], passphrase_key(sealed[5:28], passphrase), sealed[:28] + context)


@pytest.mark.parametrize("case", GOLDEN["sealing"])
def test_sealed_blob(case: Mapping[str, str]) -> None:
    opened = open_blob(unhex(case["sealed"]), unhex(case["key"]), unhex(case["context"]))
    assert opened.hex() == case["plaintext"]


def test_record_wrap() -> None:
    case = GOLDEN["record_wrap"]
    record, compartment = unhex(case["record"]), case["compartment"].encode()
    associated = (
        label("careledger/record-wrap/v1") + bytes((len(record), len(compartment))) + record + compartment
    )
    associated += case["version"].to_bytes(4, "big") + case["epoch"].to_bytes(4, "big") + unhex(case["leaf"])
    wrapped = unhex(case["wrapped"])
    opened = AESGCM(unhex(case["compartment_key"])).decrypt(wrapped[1:13], wrapped[13:], associated)
    assert (wrapped[0], opened.hex()) == (1, case["record_key"])


def test_grant_info() -> None:
    case = GOLDEN["key_grant"]
    bound = encode(
        [
            *(case["chain"], unhex(case["cell"]), case["subject"], case["purpose"]),
            *(case["epoch"], case["expires_at_ms"], unhex(case["policy_hash"])),
        ]
    )
    parts = (b"\x01", unhex(case["recipient_sha256"]), bound)
    info = label("careledger/key-grant/v1") + b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    assert info.hex() == case["hpke_info"]


def test_wallet() -> None:
    case = GOLDEN["wallet"]
    key = hmac.digest(b"careledger/wallet/v1", unhex(case["root"]), "sha256")
    place = (case["chain"].encode(), case["organisation"].to_bytes(4, "big"))
    custodian = derive(key, "custodian", *place)
    assert custodian.hex() == case["custodian_root"]
    assert derive(key, "identity").hex() == case["identity_seed"]
    assert derive(key, "recovery", *place, (1).to_bytes(8, "big")).hex() == case["recovery_seed_1"]
    assert derive(custodian, "index", b"normal", (2).to_bytes(4, "big")).hex() == case["index_key_normal_2"]
    assert derive(custodian, "access-log", (1).to_bytes(4, "big")).hex() == case["access_log_key_1"]
    assert derive(custodian, "cell", (5).to_bytes(8, "big")).hex() == case["cell_seed_5"]


def test_streams() -> None:
    case = GOLDEN["streams"]
    key = unhex(case["index_key"])
    digest = hashlib.sha256(label("careledger/index-key-digest/v1") + (32).to_bytes(8, "big") + key)
    assert digest.hexdigest() == case["key_digest"]
    for number, expected in case["tags"].items():
        assert hmac.digest(key, int(number).to_bytes(8, "big"), "sha256").hex() == expected


def test_envelope() -> None:
    case = GOLDEN["envelope"]
    kind, payload = case["payload_type"].encode(), unhex(case["payload"])
    signed = label("careledger/envelope/v1")
    for part in (kind, payload):
        signed += len(part).to_bytes(8, "big") + part
    assert signed.hex() == case["signed_bytes"]
    version, found_kind, found, signatures = decode_plain(unhex(case["envelope"]))
    assert (version, found_kind, found, len(signatures)) == (1, case["payload_type"], payload, 2)


@pytest.mark.parametrize("place", range(3))
def test_share_text(place: int) -> None:
    case = GOLDEN["shares"]
    bits = ""
    for number, group in enumerate(case["texts"][place].split(" ")):
        *data, check = (ALPHABET.index(symbol) for symbol in group)
        total = number % 32
        for symbol in data:
            total = (total ^ symbol) << 1
            total ^= 0x25 if total & 32 else 0
        assert total == check
        bits += "".join(f"{symbol:05b}" for symbol in data)
    raw = unhex(case["bytes"][place])
    assert bits == f"{int.from_bytes(raw, 'big'):0{len(raw) * 8}b}".ljust(len(bits), "0")
    assert raw[-4:] == hashlib.sha256(raw[:-4]).digest()[:4]
    assert (raw[0], raw[5], raw[6], len(raw)) == (1, 0x10 | place, 40, 51)


def test_wallet_export() -> None:
    case = GOLDEN["wallet_export"]
    content = open_passphrase(unhex(case["exported"]), case["passphrase"], b"careledger/wallet-export/v1")
    version, root, held = decode_plain(content)
    assert (version, root.hex()) == (1, case["root"])
    held_version, ((organisation, info, granted),) = decode_plain(held)
    assert (held_version, organisation, info[2], len(granted)) == (1, 7, "normal", 1170)


def test_key_store() -> None:
    case = GOLDEN["keystore"]
    seal = unhex(case["seal"])
    data_key = open_passphrase(seal, case["passphrase"], b"careledger/keystore/v1")
    assert (len(seal), data_key.hex()) == (140, case["data_key"])
    sealed = unhex(case["entry_sealed"])
    cipher = AESGCM(derive(data_key, "keystore-entries"))
    padded = cipher.decrypt(sealed[1:13], sealed[13:], case["entry_name"].encode())
    assert padded == (31).to_bytes(2, "big") + unhex(case["entry_secret"]) + bytes(1)


def test_backup_and_escrow() -> None:
    case = GOLDEN["backup"]
    escrow, backup = unhex(case["escrow"]), unhex(case["backup"])
    assert escrow[:5] == b"CLEK\x01"
    assert escrow[-8:] == hashlib.sha256(escrow[:-8]).digest()[:8]
    epoch_key = escrow[13:45]
    assert backup[:5] == b"CLKB\x01"
    assert backup[5:13] == escrow[5:13]
    assert backup[13:29] == expand(epoch_key, label("backup-epoch-id"), 16)
    joined = hmac.digest(epoch_key, passphrase_key(backup[29:52], case["passphrase"]), "sha256")
    section_key = derive(joined, "backup-sections", backup[:52])
    assert backup[52:68] == expand(section_key, label("backup-check"), 16)
    assert int.from_bytes(backup[68:72], "big") == len(backup) - 72
    section = open_blob(backup[72:], section_key, b"careledger/key-backup/v1" + bytes(4) + b"\x01")
    ((*entries,),) = decode_plain(section)
    assert {name: secret.hex() for name, secret in entries} == case["entries"]
