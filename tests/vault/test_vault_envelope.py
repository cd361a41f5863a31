"""An envelope's payload comes out only as it was signed, by exactly those who had to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.primitives.codec import decode_plain, encode
from careledger.primitives.identifiers import PublicKey
from careledger.primitives.signing import public_key_of, sign
from careledger.vault.envelope import (
    SIGNATURES_MAX,
    add_signature,
    parse_envelope,
    sign_envelope,
    signed_bytes,
    verify_envelope,
)
from careledger.vault.errors import EnvelopeInvalid
from careledger.vault.keys import SigningSeed

WALLET, HOSPITAL, STRANGER = (SigningSeed(bytes([number]) * 32) for number in (1, 2, 3))
KIND = "careledger/manifest/v1"
PAYLOAD = b"the bytes as they were stored"


def key_of(seed: SigningSeed) -> PublicKey:
    return PublicKey(public_key_of(seed.reveal()))


BOTH = (key_of(WALLET), key_of(HOSPITAL))
ENVELOPE = sign_envelope(KIND, PAYLOAD, WALLET, HOSPITAL)


@given(
    st.binary(max_size=500),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128),
)
def test_round_trip(payload: bytes, kind: str) -> None:
    envelope = sign_envelope(kind, payload, WALLET)
    assert verify_envelope(envelope, payload_type=kind, signers=[key_of(WALLET)]) == payload


def test_signers_may_sign_in_any_order_and_place() -> None:
    assert sign_envelope(KIND, PAYLOAD, HOSPITAL, WALLET) == ENVELOPE
    assert add_signature(sign_envelope(KIND, PAYLOAD, HOSPITAL), WALLET) == ENVELOPE
    for signers in (BOTH, BOTH[::-1], [*BOTH, BOTH[0]], set(BOTH)):
        assert verify_envelope(ENVELOPE, payload_type=KIND, signers=signers) == PAYLOAD


@pytest.mark.parametrize(
    "signers", [(), (key_of(WALLET),), (key_of(HOSPITAL),), (key_of(STRANGER),), (*BOTH, key_of(STRANGER))]
)
def test_exactly_the_expected_keys_have_to_sign(signers: tuple[PublicKey, ...]) -> None:
    with pytest.raises(EnvelopeInvalid, match="exactly the expected keys"):
        verify_envelope(ENVELOPE, payload_type=KIND, signers=signers)


def test_another_type_is_refused_even_with_good_signatures() -> None:
    with pytest.raises(EnvelopeInvalid, match="another type"):
        verify_envelope(ENVELOPE, payload_type="careledger/head/v1", signers=BOTH)


def test_the_type_is_under_the_signature() -> None:
    version, _, payload, signatures = decode_plain(ENVELOPE)
    relabelled = encode([version, "careledger/head/v1", payload, signatures])
    with pytest.raises(EnvelopeInvalid, match=r"signatures\[0\]"):
        verify_envelope(relabelled, payload_type="careledger/head/v1", signers=BOTH)


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(len(ENVELOPE) * 8):
        wrong = bytearray(ENVELOPE)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EnvelopeInvalid):
            verify_envelope(bytes(wrong), payload_type=KIND, signers=BOTH)


def test_a_signature_over_the_bare_payload_or_another_label_does_not_stand() -> None:
    for message in (PAYLOAD, signed_bytes(KIND, PAYLOAD)[1:], signed_bytes(KIND, PAYLOAD) + b"\x00"):
        signature = sign(WALLET.reveal(), message)
        forged = encode([1, KIND, PAYLOAD, [[key_of(WALLET), signature]]])
        with pytest.raises(EnvelopeInvalid, match="does not stand"):
            verify_envelope(forged, payload_type=KIND, signers=[key_of(WALLET)])


@given(st.tuples(st.sampled_from(["a", "ab", "abc"]), st.sampled_from([b"", b"a", b"b", b"bc", b"c"])))
def test_no_two_statements_are_signed_alike(pair: tuple[str, bytes]) -> None:
    kind, payload = pair
    others = {signed_bytes(k, p): (k, p) for k in ("a", "ab", "abc") for p in (b"", b"a", b"b", b"bc", b"c")}
    assert len(others) == 15
    assert others[signed_bytes(kind, payload)] == pair


WALLET_SIGNATURE = [key_of(WALLET), sign(WALLET.reveal(), signed_bytes(KIND, PAYLOAD))]
HOSPITAL_SIGNATURE = [key_of(HOSPITAL), sign(HOSPITAL.reveal(), signed_bytes(KIND, PAYLOAD))]
IN_ORDER = sorted([WALLET_SIGNATURE, HOSPITAL_SIGNATURE])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        ENVELOPE[:-1],
        ENVELOPE + b"\x00",
        encode([2, KIND, PAYLOAD, IN_ORDER]),
        encode([1, "", PAYLOAD, IN_ORDER]),
        encode([1, "a b", PAYLOAD, IN_ORDER]),
        encode([1, "é", PAYLOAD, IN_ORDER]),
        encode([1, "x" * 129, PAYLOAD, IN_ORDER]),
        encode([1, KIND, PAYLOAD, []]),
        encode([1, KIND, PAYLOAD, IN_ORDER[::-1]]),
        encode([1, KIND, PAYLOAD, [IN_ORDER[0], IN_ORDER[0]]]),
        encode([1, KIND, PAYLOAD, [[bytes([i]) * 32, bytes(64)] for i in range(SIGNATURES_MAX + 1)]]),
        encode([1, KIND, PAYLOAD, [IN_ORDER[0][:1]]]),
        encode([1, KIND, PAYLOAD]),
        encode([1, KIND, "text", IN_ORDER]),
        encode([1, KIND, PAYLOAD, IN_ORDER, None]),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    with pytest.raises(EnvelopeInvalid):
        parse_envelope(raw)
    with pytest.raises(EnvelopeInvalid):
        verify_envelope(raw, payload_type=KIND, signers=BOTH)


@pytest.mark.parametrize(
    "wrong", [[key_of(WALLET), bytes(63)], [key_of(WALLET)[:31], bytes(64)], [bytes(32), bytes(64)]]
)
def test_keys_and_signatures_of_another_size_or_order_do_not_stand(wrong: list[bytes]) -> None:
    raw = encode([1, KIND, PAYLOAD, [wrong]])
    with pytest.raises(EnvelopeInvalid, match="does not stand"):
        verify_envelope(raw, payload_type=KIND, signers=[PublicKey(wrong[0])])


def test_signing_is_refused_where_verification_would_be() -> None:
    seeds = [SigningSeed(bytes([number]) * 32) for number in range(SIGNATURES_MAX + 1)]
    for wrong in ([], [WALLET, WALLET], seeds):
        with pytest.raises(ValueError, match="sign"):
            sign_envelope(KIND, PAYLOAD, *wrong)
    for kind in ("", "a b", "é", "x" * 129, "a\n"):
        with pytest.raises(ValueError, match="payload type"):
            sign_envelope(kind, PAYLOAD, WALLET)
    with pytest.raises(ValueError, match="once"):
        add_signature(ENVELOPE, WALLET)
