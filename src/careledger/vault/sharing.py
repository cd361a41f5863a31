"""A secret in n shares, any k of which give it back, and fewer say nothing.

Owns the arithmetic, the shares' form, and their text for printing. Does not know what the secret is for.

Shamir's scheme over GF(256): byte by byte, a random polynomial of degree k-1 whose value at 0 is the secret's
byte. Multiplication is by whole-string translation with the table of a *public* factor (a share's number or
an interpolation coefficient), so no branch and no choice of table depends on a secret byte.

A digest of the secret is shared along with it, so that combining the wrong shares fails instead of giving
another secret; it is only visible to whoever can combine. Every share has a checksum of its own, and its text
a check symbol per group, so that a typing error is found and its group named.

Source: Shamir 1979; field and generator as in FIPS 197 §4 (x^8+x^4+x^3+x+1, generator 3); the text's alphabet
is Crockford's base32.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from careledger.primitives.hashing import labelled
from careledger.vault.errors import ShareInvalid

SHARES_MAX: Final = 16
SECRET_BYTES_MIN: Final = 16
SECRET_BYTES_MAX: Final = 64
SET_ID_BYTES: Final = 4

_VERSION = 1
_DIGEST_BYTES = 8
_CHECKSUM_BYTES = 4
_HEAD_BYTES = 3 + SET_ID_BYTES
_DIGEST_LABEL = "careledger/shared-secret/v1"
_FIELD_POLYNOMIAL = 0x11B


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One share of a secret."""

    set_id: bytes
    """4 random bytes, the same in all shares made together."""
    threshold: int
    """How many shares are needed, 1 to 16."""
    number: int
    """Which share this is, 1 to 16."""
    value: bytes
    """The secret's length and 8 bytes more."""

    def __repr__(self) -> str:
        return f"<Share {self.number} of set {self.set_id.hex()}: not shown>"

    def to_bytes(self) -> bytes:
        """Write a share.

        Version 1 | set (4) | threshold-1, number-1 (4 bits each) | value's length (1) | value | checksum (4).
        """
        numbers = (self.threshold - 1) << 4 | (self.number - 1)
        body = bytes((_VERSION,)) + self.set_id + bytes((numbers, len(self.value))) + self.value
        return body + sha256(body).digest()[:_CHECKSUM_BYTES]

    @staticmethod
    def encoded_size_bytes(start: bytes) -> int:
        """Size of the share that starts like this, whatever follows it.

        Raises:
            ShareInvalid: The start is too short to say.
        """
        if len(start) < _HEAD_BYTES:
            raise ShareInvalid("the share is cut")
        return _HEAD_BYTES + start[_HEAD_BYTES - 1] + _CHECKSUM_BYTES

    @classmethod
    def from_bytes(cls, raw: bytes) -> Share:
        """Read a share.

        Raises:
            ShareInvalid: Not a share, or damaged.
        """
        body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
        if len(body) < _HEAD_BYTES or body[0] != _VERSION:
            raise ShareInvalid("not a share of a known version")
        if sha256(body).digest()[:_CHECKSUM_BYTES] != checksum:
            raise ShareInvalid("the share's checksum does not stand")
        numbers, size = body[1 + SET_ID_BYTES], body[2 + SET_ID_BYTES]
        value = body[_HEAD_BYTES:]
        if len(value) != size or not SECRET_BYTES_MIN <= size - _DIGEST_BYTES <= SECRET_BYTES_MAX:
            raise ShareInvalid("the share's length is not what it says")
        return cls(
            set_id=body[1 : 1 + SET_ID_BYTES],
            threshold=(numbers >> 4) + 1,
            number=(numbers & 0xF) + 1,
            value=value,
        )


def split_secret(secret: bytes, *, threshold: int, count: int) -> tuple[Share, ...]:
    """Split a secret of 16 to 64 bytes into `count` shares, any `threshold` of which give it back.

    Raises:
        ValueError: Not 1 <= threshold <= count <= 16, or the secret's length is out of bounds.
    """
    if not 1 <= threshold <= count <= SHARES_MAX:
        raise ValueError("threshold and count are not 1 <= threshold <= count <= 16")
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ValueError("a shared secret is 16 to 64 bytes")
    set_id = os.urandom(SET_ID_BYTES)
    shared = secret + _digest(secret, set_id)
    coefficients = [shared, *(os.urandom(len(shared)) for _ in range(threshold - 1))]
    return tuple(
        Share(set_id=set_id, threshold=threshold, number=number, value=_evaluate(coefficients, number))
        for number in range(1, count + 1)
    )


def combine_shares(shares: Sequence[Share]) -> bytes:
    """Give the secret back.

    1. The shares belong to one set, are different, and are enough.
    2. The first `threshold` of them give a secret whose digest stands.
    3. Any further share lies on the same polynomial.

    Raises:
        ShareInvalid: One of these does not hold; the message names the step's reason and the share.
    """
    # 1.
    if not shares:
        raise ShareInvalid("no shares")
    first = shares[0]
    for share in shares[1:]:
        same = (share.set_id, share.threshold, len(share.value))
        if same != (first.set_id, first.threshold, len(first.value)):
            raise ShareInvalid(f"share {share.number} belongs to another set than share {first.number}")
    numbers = [share.number for share in shares]
    if len(set(numbers)) != len(numbers):
        raise ShareInvalid("the same share is given twice")
    if len(shares) < first.threshold:
        raise ShareInvalid(f"{first.threshold} shares are needed, {len(shares)} are given")
    # 2.
    used = shares[: first.threshold]
    shared = _interpolate(used, 0)
    secret, digest = shared[:-_DIGEST_BYTES], shared[-_DIGEST_BYTES:]
    if not compare_digest(digest, _digest(secret, first.set_id)):
        raise ShareInvalid("the shares do not give the secret they were made from")
    # 3.
    for share in shares[first.threshold :]:
        if not compare_digest(_interpolate(used, share.number), share.value):
            raise ShareInvalid(f"share {share.number} does not fit the others")
    return secret


def _digest(secret: bytes, set_id: bytes) -> bytes:
    return labelled(_DIGEST_LABEL, set_id, secret)[:_DIGEST_BYTES]


def _evaluate(coefficients: Sequence[bytes], at: int) -> bytes:
    result = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = _add(_times(result, at), coefficient)
    return result


def _interpolate(shares: Sequence[Share], at: int) -> bytes:
    result = bytes(len(shares[0].value))
    for share in shares:
        factor = 1
        for other in shares:
            if other.number != share.number:
                # Lagrange: (at - x_j) / (x_i - x_j); subtraction in GF(256) is exclusive or
                over = _multiply(at ^ other.number, _inverse(share.number ^ other.number))
                factor = _multiply(factor, over)
        result = _add(result, _times(share.value, factor))
    return result


def _add(left: bytes, right: bytes) -> bytes:
    total = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return total.to_bytes(len(left), "big")


def _times(value: bytes, factor: int) -> bytes:
    return value.translate(_multiples(factor))


@lru_cache(maxsize=256)
def _multiples(factor: int) -> bytes:
    return bytes(_multiply(factor, byte) for byte in range(256))


def _multiply(left: int, right: int) -> int:
    """Multiply in GF(256). Only ever called with public numbers and table indexes."""
    product = 0
    while right:
        if right & 1:
            product ^= left
        left <<= 1
        if left & 0x100:
            left ^= _FIELD_POLYNOMIAL
        right >>= 1
    return product


def _inverse(number: int) -> int:
    """Invert in GF(256): the 254th power, since every non-zero element's 255th is 1."""
    power, result = number, 1
    for _ in range(7):
        power = _multiply(power, power)
        result = _multiply(result, power)
    return result
