"""Short secrets sealed to an organisation or a wallet: a random key by HPKE, and the bytes under that key."""

from __future__ import annotations

from careledger.vault.errors import WrapBroken
from careledger.vault.kem import OpeningKey, RecipientKey
from careledger.vault.keys import RecordKey
from careledger.vault.sealing import open_sealed, seal
from careledger.vault.wrapping import GRANTED_KEY_BYTES, GrantInfo, grant_key, open_granted_key

_CONTEXT = b"careledger/sealed-bytes/1"


def seal_bytes(plaintext: bytes, recipient: RecipientKey, info: GrantInfo) -> bytes:
    """Seal bytes to a recipient: granted key (1,170) | sealed blob."""
    key = RecordKey.random()
    return grant_key(key, recipient, info) + seal(plaintext, key, context=_CONTEXT)


def open_bytes(sealed: bytes, opening_key: OpeningKey, info: GrantInfo) -> bytes:
    """Open what `seal_bytes` made.

    Raises:
        WrapBroken: Sealed to somebody else, under a different `info`, or cut.
        SealBroken: Changed.
    """
    if len(sealed) <= GRANTED_KEY_BYTES:
        raise WrapBroken("too short")
    key = open_granted_key(sealed[:GRANTED_KEY_BYTES], opening_key, info, RecordKey)
    return open_sealed(sealed[GRANTED_KEY_BYTES:], key, context=_CONTEXT)
