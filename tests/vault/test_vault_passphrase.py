"""A passphrase opens what it sealed; a hostile file cannot make trying expensive."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.vault.errors import ParametersRefused, PassphraseWrong, SealBroken
from careledger.vault.passphrase import (
    DEFAULT_PARAMETERS,
    HEADER_BYTES,
    PassphraseHeader,
    PassphraseParameters,
    open_with_passphrase,
    seal_with_passphrase,
)

CHEAP = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
SEALED = seal_with_passphrase(b"secret", "correct horse", context=b"test", parameters=CHEAP)


@given(st.binary(max_size=200), st.text(min_size=1, max_size=50), st.binary(max_size=20))
@settings(max_examples=50)
def test_round_trip(plaintext: bytes, passphrase: str, context: bytes) -> None:
    sealed = seal_with_passphrase(plaintext, passphrase, context=context, parameters=CHEAP)
    assert open_with_passphrase(sealed, passphrase, context=context) == plaintext


@pytest.mark.parametrize(
    "wrong", ["correct horse ", "Correct horse", "correct hors", "x", "correct\u00a0horse\u200b"]
)
def test_a_wrong_passphrase_is_called_that(wrong: str) -> None:
    with pytest.raises(PassphraseWrong):
        open_with_passphrase(SEALED, wrong, context=b"test")


def test_the_context_counts() -> None:
    with pytest.raises(PassphraseWrong):
        open_with_passphrase(SEALED, "correct horse", context=b"tes")


def test_composed_and_decomposed_letters_are_the_same_passphrase() -> None:
    sealed = seal_with_passphrase(b"s", "Mu\u0308ller \ufb01x", context=b"", parameters=CHEAP)
    assert open_with_passphrase(sealed, "M\u00fcller fix", context=b"") == b"s"


@pytest.mark.parametrize("passphrase", ["", "x" * 1025, "é" * 513])
def test_passphrases_out_of_bounds_are_refused(passphrase: str) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        seal_with_passphrase(b"", passphrase, context=b"", parameters=CHEAP)


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(len(SEALED) * 8):
        wrong = bytearray(SEALED)
        wrong[bit // 8] ^= 1 << bit % 8
        if asked_work(bytes(wrong)) > 4096:
            continue  # allowed work, of which a test need not pay tens of seconds
        with pytest.raises((PassphraseWrong, ParametersRefused, SealBroken)):
            open_with_passphrase(bytes(wrong), "correct horse", context=b"test")


def asked_work(sealed: bytes) -> int:
    """KiB times passes that a file asks for, 0 if it is refused outright."""
    try:
        parameters = PassphraseHeader.from_bytes(sealed[5 : 5 + HEADER_BYTES]).parameters
    except ParametersRefused:
        return 0
    return parameters.memory_kib * parameters.iterations


@pytest.mark.parametrize(
    ("memory_kib", "iterations", "lanes"),
    [
        (7, 1, 1),
        (8, 1, 2),
        (2**20 + 1, 1, 1),
        (2**32 - 1, 1, 1),
        (64, 0, 1),
        (64, 17, 1),
        (64, 1, 0),
        (256, 1, 17),
    ],
)
def test_parameters_outside_the_limits_cost_nothing(memory_kib: int, iterations: int, lanes: int) -> None:
    with pytest.raises(ParametersRefused):
        PassphraseParameters(memory_kib=memory_kib, iterations=iterations, lanes=lanes)
    header = b"\x01" + memory_kib.to_bytes(4, "big") + bytes((iterations, lanes)) + bytes(16)
    started = time.perf_counter()
    with pytest.raises(ParametersRefused):
        open_with_passphrase(b"CLPP\x01" + header + SEALED[28:], "x", context=b"")
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("size", range(0, len(SEALED), 3))
def test_cut_files_are_refused(size: int) -> None:
    with pytest.raises((SealBroken, ParametersRefused)):
        open_with_passphrase(SEALED[:size], "correct horse", context=b"test")


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ParametersRefused, match="Argon2id"):
        PassphraseHeader.from_bytes(b"\x02" + SEALED[6 : 5 + HEADER_BYTES])


def test_the_default_is_the_second_option_of_rfc_9106() -> None:
    numbers = (DEFAULT_PARAMETERS.memory_kib, DEFAULT_PARAMETERS.iterations, DEFAULT_PARAMETERS.lanes)
    assert numbers == (65_536, 3, 4)
    sealed = seal_with_passphrase(b"s", "default cost", context=b"")
    assert open_with_passphrase(sealed, "default cost", context=b"") == b"s"


def test_salts_differ() -> None:
    again = seal_with_passphrase(b"secret", "correct horse", context=b"test", parameters=CHEAP)
    assert again[12:28] != SEALED[12:28]
