"""Any k shares give the secret back, fewer say nothing, and wrong or mistyped ones are named."""

import hashlib
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.vault.errors import ShareInvalid
from careledger.vault.share_text import ALPHABET, GROUP_SYMBOLS, share_from_text, share_to_text
from careledger.vault.sharing import (
    Share,
    _add,
    _interpolate,
    _inverse,
    _multiply,
    _times,
    combine_shares,
    split_secret,
)

SECRET = bytes(range(32))
SHARES = split_secret(SECRET, threshold=2, count=3)
TEXT = share_to_text(SHARES[0])


def changed(share: Share, **fields: object) -> Share:
    values = {name: getattr(share, name) for name in ("set_id", "threshold", "number", "value")}
    return Share(**(values | fields))


def test_the_field_is_that_of_fips_197() -> None:
    assert _multiply(0x57, 0x83) == 0xC1  # FIPS 197 §4.2
    assert _multiply(0x57, 0x13) == 0xFE  # FIPS 197 §4.2.1
    assert all(_multiply(number, _inverse(number)) == 1 for number in range(1, 256))
    assert all(
        _multiply(left, right) == _multiply(right, left) for left in range(256) for right in (3, 77, 255)
    )
    for factor in (0, 1, 2, 16, 255):
        assert _times(bytes(range(256)), factor) == bytes(_multiply(factor, byte) for byte in range(256))


@given(st.binary(min_size=16, max_size=64), st.integers(1, 16), st.integers(0, 15), st.randoms())
@settings(max_examples=60)
def test_any_threshold_of_shares_gives_the_secret(
    secret: bytes, threshold: int, spare: int, order: random.Random
) -> None:
    count = min(16, threshold + spare)
    shares = list(split_secret(secret, threshold=threshold, count=count))
    order.shuffle(shares)
    assert combine_shares(shares[:threshold]) == secret
    assert combine_shares(shares) == secret


def test_every_pair_of_three() -> None:
    for pair in itertools.permutations(SHARES, 2):
        assert combine_shares(pair) == SECRET


@given(st.binary(min_size=40, max_size=40))
def test_fewer_than_the_threshold_are_compatible_with_every_secret(target: bytes) -> None:
    """For one share and any other outcome, there is a second share that gives that outcome."""
    one = SHARES[0]
    slope = _add(target, one.value)  # the line through (0, target) and (1, value)
    two = changed(SHARES[1], value=_add(target, _times(slope, 2)))
    assert _interpolate((one, two), 0) == target


def test_one_share_is_distributed_alike_for_different_secrets() -> None:
    means = []
    for secret in (bytes(16), b"\xff" * 16):
        values = b"".join(split_secret(secret, threshold=2, count=2)[1].value[:16] for _ in range(400))
        counts = [values.count(byte) for byte in range(256)]
        # chi-squared with 255 degrees of freedom: mean 255, deviation 22.6
        means.append(sum((count - len(values) / 256) ** 2 / (len(values) / 256) for count in counts))
    assert all(statistic < 255 + 8 * 22.6 for statistic in means)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ([], "no shares"),
        ([SHARES[0]], "2 shares are needed, 1"),
        ([SHARES[0], SHARES[0]], "twice"),
        ([SHARES[0], split_secret(SECRET, threshold=2, count=3)[1]], "share 2 belongs to another set"),
        ([SHARES[0], changed(SHARES[1], threshold=3)], "another set"),
        ([SHARES[0], changed(SHARES[1], value=SHARES[1].value[:-1])], "another set"),
        ([SHARES[0], changed(SHARES[1], number=3)], "do not give the secret"),
        ([SHARES[0], changed(SHARES[1], value=bytes(40))], "do not give the secret"),
        ([SHARES[0], SHARES[1], changed(SHARES[2], value=bytes(40))], "share 3 does not fit"),
        ([changed(share, threshold=1) for share in SHARES[:1]], "do not give the secret"),
    ],
)
def test_shares_that_do_not_belong_together_are_refused(shares: list[Share], reason: str) -> None:
    with pytest.raises(ShareInvalid, match=reason):
        combine_shares(shares)


@pytest.mark.parametrize(
    ("size", "threshold", "count"), [(15, 2, 3), (65, 2, 3), (32, 0, 3), (32, 4, 3), (32, 2, 17), (32, 1, 0)]
)
def test_splits_out_of_bounds_are_refused(size: int, threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="16"):
        split_secret(bytes(size), threshold=threshold, count=count)


@given(st.binary(min_size=16, max_size=64), st.integers(1, 16), st.data())
@settings(max_examples=60)
def test_shares_round_trip_as_bytes_and_as_text(secret: bytes, threshold: int, data: st.DataObject) -> None:
    share = split_secret(secret, threshold=threshold, count=16)[data.draw(st.integers(0, 15))]
    assert Share.from_bytes(share.to_bytes()) == share
    text = share_to_text(share)
    assert share_from_text(text) == share
    assert share_from_text(text.lower().replace(" ", "-").replace("0", "o").replace("1", "l")) == share
    assert share_from_text(text.replace(" ", "\r\n\t").replace("0", "O").replace("1", "I")) == share


def test_every_flipped_bit_of_a_share_is_noticed() -> None:
    raw = SHARES[0].to_bytes()
    for bit in range(len(raw) * 8):
        wrong = bytearray(raw)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ShareInvalid):
            Share.from_bytes(bytes(wrong))
    for size in range(len(raw)):
        with pytest.raises(ShareInvalid):
            Share.from_bytes(raw[:size])
    with pytest.raises(ShareInvalid):
        Share.from_bytes(raw + b"\x00")


@pytest.mark.parametrize("length", [8, 23, 73, 255])
def test_a_share_of_an_impossible_length_is_refused(length: int) -> None:
    body = bytes((1, 0, 0, 0, 0, 0x10, length)) + bytes(length)
    with pytest.raises(ShareInvalid, match="length"):
        Share.from_bytes(body + hashlib.sha256(body).digest()[:4])


def test_the_text_is_21_groups_of_five_for_a_wallet() -> None:
    groups = TEXT.split(" ")
    assert len(groups) == 21
    assert all(len(group) == GROUP_SYMBOLS and set(group) <= set(ALPHABET) for group in groups)


def test_every_wrong_symbol_is_found_and_its_group_named() -> None:
    for place, symbol in enumerate(TEXT):
        if symbol == " ":
            continue
        group = place // 6 + 1
        for other in [*ALPHABET.replace(symbol, ""), "U", "!", "é"]:
            with pytest.raises(ShareInvalid, match=f"mistyped in group {group} of 21"):
                share_from_text(TEXT[:place] + other + TEXT[place + 1 :])


def test_every_exchange_of_neighbours_is_found() -> None:
    symbols = TEXT.replace(" ", "")
    for place in range(len(symbols) - 1):
        if symbols[place] == symbols[place + 1]:
            continue
        wrong = symbols[:place] + symbols[place + 1] + symbols[place] + symbols[place + 2 :]
        with pytest.raises(ShareInvalid, match="mistyped"):
            share_from_text(wrong)


def test_groups_in_each_others_place_are_found() -> None:
    groups = TEXT.split(" ")
    for left, right in itertools.combinations(range(len(groups)), 2):
        wrong = list(groups)
        wrong[left], wrong[right] = wrong[right], wrong[left]
        if wrong != groups:
            with pytest.raises(ShareInvalid, match="mistyped"):
                share_from_text(" ".join(wrong))


def test_missing_and_doubled_symbols_and_groups_are_found() -> None:
    symbols = TEXT.replace(" ", "")
    for place in range(len(symbols)):
        for wrong in (
            symbols[:place] + symbols[place + 1 :],
            symbols[:place] + symbols[place] + symbols[place:],
        ):
            with pytest.raises(ShareInvalid, match="missing or too many"):
                share_from_text(wrong)
    groups = TEXT.split(" ")
    for place in range(len(groups)):
        for wrong_groups in (
            groups[:place] + groups[place + 1 :],
            groups[:place] + groups[place : place + 1] + groups[place:],
        ):
            with pytest.raises(ShareInvalid):
                share_from_text(" ".join(wrong_groups))


@pytest.mark.parametrize("text", ["", " ", "-----", "0" * 1025, "00000", "0000", "00000 11111"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ShareInvalid):
        share_from_text(text)


def test_errors_and_repr_do_not_show_the_share() -> None:
    share = changed(SHARES[0], value=b"canary-value-of-forty-bytes-for-the-test")
    assert "canary" not in repr(share)
    assert share.value.hex()[:8] not in repr(share)
    with pytest.raises(ShareInvalid) as caught:
        share_from_text(TEXT[:10] + "!" + TEXT[11:])
    assert TEXT[:5] not in str(caught.value)
