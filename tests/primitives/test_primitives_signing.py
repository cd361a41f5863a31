"""Ed25519: RFC 8032 vectors, and the edge cases on which libraries disagree."""

import pytest

from careledger.primitives.signing import SignatureInvalid, public_key_of, sign, verify_signature

ORDER = 2**252 + 27742317777372353535851937790883648493

# RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]

LOW_ORDER_POINTS = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    raw = bytes.fromhex(message)
    assert public_key_of(bytes.fromhex(seed)).hex() == public
    assert sign(bytes.fromhex(seed), raw).hex() == signature
    verify_signature(bytes.fromhex(public), raw, bytes.fromhex(signature))


def test_a_scalar_beyond_the_order_is_refused() -> None:
    seed, message = bytes(range(32)), b"message"
    signature = sign(seed, message)
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert scalar < 2**256
    with pytest.raises(SignatureInvalid):
        verify_signature(public_key_of(seed), message, signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
def test_points_of_small_order_are_refused_as_key_and_as_r(point: str) -> None:
    raw = bytes.fromhex(point)
    zero = bytes(32)
    with pytest.raises(SignatureInvalid):
        verify_signature(raw, b"message", raw + zero)
    seed = bytes(range(32))
    with pytest.raises(SignatureInvalid):
        verify_signature(public_key_of(seed), b"message", raw + zero)


@pytest.mark.parametrize("position", range(0, 64 * 8, 7))
def test_every_flipped_bit_is_refused(position: int) -> None:
    seed, message = bytes(range(32)), b"message"
    signature = bytearray(sign(seed, message))
    signature[position // 8] ^= 1 << position % 8
    with pytest.raises(SignatureInvalid):
        verify_signature(public_key_of(seed), message, bytes(signature))


@pytest.mark.parametrize(
    ("key", "signature"), [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(32), bytes(63))]
)
def test_wrong_lengths_are_refused(key: bytes, signature: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        verify_signature(key, b"", signature)
