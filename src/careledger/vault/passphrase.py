"""Keys from passphrases, by Argon2id, and bytes sealed under a passphrase.

Owns the parameters, their limits and their place in a file. Does not judge how good a passphrase is, and
keeps none.

The parameters travel with what they protect and are limited on reading, so that a hostile file costs at most
1 GiB and a few seconds, refused before any memory is taken otherwise.

Source: RFC 9106; the default is its second recommended option (§4): 64 MiB, 3 passes, 4 lanes.
"""

from __future__ import annotations

import os
import struct
import unicodedata
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from careledger.vault.errors import KeyMismatch, ParametersRefused, PassphraseWrong, SealBroken
from careledger.vault.keys import PassphraseKey
from careledger.vault.sealing import open_sealed, seal

SALT_BYTES: Final = 16
PASSPHRASE_BYTES_MAX: Final = 1024
MEMORY_KIB_MAX: Final = 1 << 20
ITERATIONS_MAX: Final = 16
LANES_MAX: Final = 16

_ARGON2ID = 1
_LAYOUT = struct.Struct(">BIBB")
HEADER_BYTES: Final = _LAYOUT.size + SALT_BYTES
_MAGIC = b"CLPP\x01"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseParameters:
    """How expensive a guess is."""

    memory_kib: int = 64 * 1024
    """Argon2 m, 8 per lane to 1 GiB."""
    iterations: int = 3
    """Argon2 t, 1 to 16."""
    lanes: int = 4
    """Argon2 p, 1 to 16."""

    def __post_init__(self) -> None:
        """Check the limits.

        Raises:
            ParametersRefused: One is outside.
        """
        if not 1 <= self.lanes <= LANES_MAX:
            raise ParametersRefused(f"lanes are 1 to {LANES_MAX}")
        if not 1 <= self.iterations <= ITERATIONS_MAX:
            raise ParametersRefused(f"iterations are 1 to {ITERATIONS_MAX}")
        if not 8 * self.lanes <= self.memory_kib <= MEMORY_KIB_MAX:
            raise ParametersRefused(f"memory is 8 KiB per lane to {MEMORY_KIB_MAX} KiB")


DEFAULT_PARAMETERS: Final = PassphraseParameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseHeader:
    """Parameters and salt of one derived key, as they stand in a file; 23 bytes."""

    parameters: PassphraseParameters
    salt: bytes

    @classmethod
    def new(cls, parameters: PassphraseParameters) -> PassphraseHeader:
        """Make a header with a fresh salt."""
        return cls(parameters=parameters, salt=os.urandom(SALT_BYTES))

    def to_bytes(self) -> bytes:
        """Algorithm 1 | memory in KiB (4, big-endian) | iterations (1) | lanes (1) | salt (16)."""
        numbers = self.parameters
        return _LAYOUT.pack(_ARGON2ID, numbers.memory_kib, numbers.iterations, numbers.lanes) + self.salt

    @classmethod
    def from_bytes(cls, raw: bytes) -> PassphraseHeader:
        """Read a header.

        Raises:
            ParametersRefused: Wrong length, unknown algorithm, or parameters outside the limits.
        """
        if len(raw) != HEADER_BYTES:
            raise ParametersRefused("a passphrase header is 23 bytes")
        algorithm, memory_kib, iterations, lanes = _LAYOUT.unpack(raw[: _LAYOUT.size])
        if algorithm != _ARGON2ID:
            raise ParametersRefused("the only known algorithm is Argon2id")
        parameters = PassphraseParameters(memory_kib=memory_kib, iterations=iterations, lanes=lanes)
        return cls(parameters=parameters, salt=raw[_LAYOUT.size :])

    def key(self, passphrase: str) -> PassphraseKey:
        """Derive the key; about 0.15 s with the default parameters.

        The passphrase is taken in Unicode form NFKC, so that keyboards that compose differently agree.

        Raises:
            ValueError: The passphrase is empty or longer than 1,024 bytes of UTF-8.
        """
        secret = unicodedata.normalize("NFKC", passphrase).encode()
        if not 1 <= len(secret) <= PASSPHRASE_BYTES_MAX:
            raise ValueError(f"a passphrase is 1 to {PASSPHRASE_BYTES_MAX} bytes")
        numbers = self.parameters
        return PassphraseKey(
            Argon2id(
                salt=self.salt,
                length=PassphraseKey.SIZE_BYTES,
                iterations=numbers.iterations,
                lanes=numbers.lanes,
                memory_cost=numbers.memory_kib,
            ).derive(secret)
        )


def seal_with_passphrase(
    plaintext: bytes,
    passphrase: str,
    *,
    context: bytes,
    parameters: PassphraseParameters = DEFAULT_PARAMETERS,
) -> bytes:
    """Seal bytes under a passphrase: "CLPP" | version 1 | passphrase header | sealed blob.

    Raises:
        ValueError: The passphrase is empty or too long.
    """
    header = PassphraseHeader.new(parameters)
    prefix = _MAGIC + header.to_bytes()
    return prefix + seal(plaintext, header.key(passphrase), context=prefix + context)


def open_with_passphrase(sealed: bytes, passphrase: str, *, context: bytes) -> bytes:
    """Open what `seal_with_passphrase` made.

    Raises:
        PassphraseWrong: The passphrase, the context or the parameters are not those it was sealed with.
        ParametersRefused: The parameters in the file are outside the limits.
        SealBroken: The bytes are not of this format, cut or changed.
        ValueError: The passphrase is empty or too long.
    """
    if not sealed.startswith(_MAGIC):
        raise SealBroken("not sealed with a passphrase in a known version")
    end = len(_MAGIC) + HEADER_BYTES
    header = PassphraseHeader.from_bytes(sealed[len(_MAGIC) : end])
    try:
        return open_sealed(sealed[end:], header.key(passphrase), context=sealed[:end] + context)
    except KeyMismatch:
        raise PassphraseWrong("the passphrase does not open this file") from None
