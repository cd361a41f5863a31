"""Numbers sort as numbers, texts fold as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.search.amounts import (
    HIGHEST,
    LOWEST,
    AmountError,
    amount_of,
    approximate_range,
    encode_amount,
    implicit_range,
    parse_decimal,
)
from careledger.standards.fhir.search.folding import TEXT_CHARS_MAX, bound, fold, soundex
from careledger.standards.fhir.search.read_references import find_target_type, split_reference, strip_version

decimals = st.decimals(
    allow_nan=False, allow_infinity=False, places=None, min_value=-(10**20), max_value=10**20
).filter(lambda value: len(value.as_tuple().digits) <= 64)


@given(decimals, decimals)
def test_amounts_sort_like_numbers(first: Decimal, second: Decimal) -> None:
    assert (encode_amount(first) < encode_amount(second)) == (first < second)
    assert (encode_amount(first) == encode_amount(second)) == (first == second)
    assert LOWEST < encode_amount(first) < HIGHEST


@given(st.integers(-(10**30), 10**30), st.integers(-40, 40), st.integers(0, 5))
def test_trailing_zeros_do_not_make_another_number(digits: int, exponent: int, zeros: int) -> None:
    sign, mantissa, _ = Decimal(digits).as_tuple()
    plain = Decimal((sign, mantissa, exponent))
    written = Decimal((sign, (*mantissa, *([0] * zeros)), exponent - zeros))
    assert encode_amount(plain) == encode_amount(written)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        # FHIR R4 §3.1.1.4.7: 100 and 100.00, 1e2 with one significant figure.
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1e2", "50", "150"),
        ("5.4", "5.35", "5.45"),
        ("5.40e-3", "0.005395", "0.005405"),
        ("5.4e-3", "0.00535", "0.00545"),
        ("0", "-0.5", "0.5"),
        ("-2", "-2.5", "-1.5"),
    ],
)
def test_what_a_searched_number_stands_for(text: str, low: str, high: str) -> None:
    assert implicit_range(parse_decimal(text)) == (encode_amount(Decimal(low)), encode_amount(Decimal(high)))


def test_about_is_within_a_tenth() -> None:
    assert approximate_range(Decimal(-100)) == (encode_amount(Decimal(-110)), encode_amount(Decimal(-90)))


@pytest.mark.parametrize(
    "text", ["", "x", "1,5", "1e99999", "NaN", "Infinity", "0x1", "1_000", "\uff11", "1" * 200, "--1", "1e"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(AmountError):
        parse_decimal(text)


def test_numbers_of_resources() -> None:
    assert amount_of(5) == amount_of(Decimal("5.0")) == amount_of(5.0) == encode_amount(Decimal(5))
    for value in (None, "5", True, [5], Decimal("NaN"), Decimal("1e99999"), Decimal("1" * 70)):
        assert amount_of(value) is None


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Smith", "smith"),
        ("  Van   der\tBerg ", "van der berg"),
        ("Änne", "anne"),
        ("WEISS", "weiss"),
        ("Weiß", "weiss"),
        ("José", "jose"),
        ("ﬁ", "fi"),
        ("Łódź", "łodz"),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


# The American Soundex examples of the United States National Archives.
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Washington", "W252"),
        ("Lee", "L000"),
        ("Gutierrez", "G362"),
        ("Pfister", "P236"),
        ("Jackson", "J250"),
        ("Tymczak", "T522"),
        ("Ashcraft", "A261"),
        ("Robert", "R163"),
        ("Rupert", "R163"),
        ("李", ""),
        ("", ""),
    ],
)
def test_soundex(name: str, key: str) -> None:
    assert soundex(name) == key


def test_long_texts_stay_apart_and_keep_their_start() -> None:
    first, second = "x" * 5_000 + "a", "x" * 5_000 + "b"
    assert bound(first) != bound(second)
    assert bound(first).startswith("x" * TEXT_CHARS_MAX)
    assert len(bound(first)) < TEXT_CHARS_MAX + 100
    assert bound("x" * TEXT_CHARS_MAX) == "x" * TEXT_CHARS_MAX


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Patient/1", ("Patient", "1")),
        ("Patient/1/_history/2", ("Patient", "1")),
        ("https://own/fhir/Patient/1", ("Patient", "1")),
        ("https://other/fhir/Patient/1", ("", "")),
        ("Nothing/1", ("", "")),
        ("Patient/", ("", "")),
        ("Patient", ("", "")),
        ("Patient?identifier=1", ("", "")),
        ("Patient/1/extra", ("", "")),
        ("Patient/1/_history/2/x", ("", "")),
        ("urn:uuid:1", ("", "")),
        ("#p", ("", "")),
        ("", ("", "")),
    ],
)
def test_references(text: str, target: tuple[str, str]) -> None:
    assert split_reference(text, "https://own/fhir/") == target


def test_types_and_versions_of_foreign_references() -> None:
    assert find_target_type("https://other/fhir/Patient/1/_history/3") == "Patient"
    assert find_target_type("https://other/fhir/x") == ""
    assert find_target_type("urn:uuid:1") == ""
    assert strip_version("https://other/Patient/1/_history/3") == "https://other/Patient/1"
