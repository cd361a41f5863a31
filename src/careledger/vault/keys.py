"""Kinds of secret keys, so that one kind is never taken for another and none is ever printed.

Owns the classes that hold secrets in memory. Does not derive, store, seal or send them.

A secret's bytes leave its object only through `reveal`. Printing, formatting, pickling, hashing and ordering
do not show them; comparison takes the same time wherever the first difference is. Python cannot promise to
wipe memory, so a secret's life is kept short by its callers, not by this module.
"""

from __future__ import annotations

import os
from hmac import compare_digest
from typing import Any, ClassVar, NoReturn, Self

from careledger.primitives.codec import Wire


class SecretKey:
    """A secret of exactly `SIZE_BYTES` bytes. Use a subclass that says what it is for."""

    __slots__ = ("_secret",)

    SIZE_BYTES: ClassVar[int] = 32

    def __init__(self, secret: bytes) -> None:
        if type(secret) is not bytes or len(secret) != self.SIZE_BYTES:
            raise ValueError(f"a {type(self).__name__} is {self.SIZE_BYTES} bytes")
        self._secret = secret

    @classmethod
    def random(cls) -> Self:
        """Make a new one from the operating system's generator."""
        return cls(os.urandom(cls.SIZE_BYTES))

    def reveal(self) -> bytes:
        """Return the bytes themselves; the only way to them."""
        return self._secret

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return compare_digest(self._secret, other._secret)

    # A hash would make the object usable as a dictionary key and so spread it; caches use names instead.
    __hash__ = None  # type: ignore[assignment]  # that is how Python spells "unhashable"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: not shown>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"a {type(self).__name__} is neither pickled nor copied")


class RecordKey(SecretKey):
    """Seals one version of one record."""

    __slots__ = ()


class CompartmentKey(SecretKey):
    """Wraps the record keys of one patient, custodian, compartment and epoch. Random, never derived."""

    __slots__ = ()


class IndexKey(SecretKey):
    """Computes the tags of one stream."""

    __slots__ = ()


class SigningSeed(SecretKey):
    """Seed of an Ed25519 key (RFC 8032 §5.1.5)."""

    __slots__ = ()


class KEMSeed(SecretKey):
    """Seed of an MLKEM768-X25519 key pair (draft-ietf-hpke-pq §4)."""

    __slots__ = ()


class RootSecret(SecretKey):
    """All of one patient's wallet."""

    __slots__ = ()


class CustodianRoot(SecretKey):
    """The part of a wallet that concerns one custodian."""

    __slots__ = ()


class DataKey(SecretKey):
    """Encrypts a key store."""

    __slots__ = ()


class PassphraseKey(SecretKey):
    """What a passphrase becomes under given parameters."""

    __slots__ = ()


class BackupEpochKey(SecretKey):
    """Without it no key backup of its epoch opens."""

    __slots__ = ()


class SecretWire(Wire, frozen=True):
    """A stored structure whose fields are secret or personal: neither `repr` nor rich shows them."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: not shown>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # the base class says Any
        """Show nothing to rich, whose tracebacks print local variables."""
        return []
