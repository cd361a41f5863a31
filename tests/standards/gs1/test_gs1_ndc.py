import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.keys import GTIN
from careledger.standards.gs1.ndc import (
    NDC,
    NDCShape,
    digits_10_of_gtin,
    gtin_of_ndc,
    ndc_of_gtin,
    ndcs_of_digits_11,
    parse_ndc,
    split_digits_10,
)
from standards.gs1.gs1_strategies import digits


@pytest.mark.parametrize(
    ("hyphenated", "digits_11", "gtin"),
    [
        ("1234-5678-90", "01234567890", "00312345678906"),
        ("12345-678-90", "12345067890", "00312345678906"),
        ("12345-6789-0", "12345678900", "00312345678906"),
    ],
)
def test_three_shapes_one_gtin(hyphenated: str, digits_11: str, gtin: str) -> None:
    ndc = parse_ndc(hyphenated)
    assert ndc.hyphenated == hyphenated
    assert ndc.digits_11 == digits_11
    assert gtin_of_ndc(ndc).digits == gtin
    assert digits_10_of_gtin(GTIN(digits=gtin)) == "1234567890"


@given(digits(10), st.sampled_from(NDCShape), st.sampled_from("012345678"))
def test_round_trip_through_the_gtin(number: str, shape: NDCShape, indicator: str) -> None:
    ndc = split_digits_10(number, shape)
    assert ndc.digits_10 == number
    assert parse_ndc(ndc.hyphenated) == ndc
    assert ndc_of_gtin(gtin_of_ndc(ndc, indicator=indicator), shape) == ndc


@given(digits(10), st.sampled_from(NDCShape))
def test_the_eleven_digits_lead_back_to_the_ten(number: str, shape: NDCShape) -> None:
    ndc = split_digits_10(number, shape)
    assert ndc in ndcs_of_digits_11(ndc.digits_11)


def test_an_ambiguous_eleven_digit_code_gives_every_reading() -> None:
    found = ndcs_of_digits_11("01234067800")
    assert [ndc.hyphenated for ndc in found] == ["1234-0678-00", "01234-678-00", "01234-0678-0"]


def test_other_gtins_hold_no_drug_code() -> None:
    assert digits_10_of_gtin(GTIN(digits="04006381333931")) is None
    assert ndc_of_gtin(GTIN(digits="04006381333931"), NDCShape.FIVE_FOUR_ONE) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda: parse_ndc("1234567890"),
        lambda: parse_ndc("123-4567-890"),
        lambda: parse_ndc("1234-567-89"),
        lambda: NDC(labeler="12345", product="67٣", package="90"),
        lambda: split_digits_10("123456789", NDCShape.FIVE_FOUR_ONE),
        lambda: ndcs_of_digits_11("12345678911"),
        lambda: ndcs_of_digits_11("123"),
        lambda: gtin_of_ndc(parse_ndc("1234-5678-90"), indicator="9"),
    ],
)
def test_refused(act: object) -> None:
    assert callable(act)
    with pytest.raises(GS1Error) as caught:
        act()
    assert caught.value.code is GS1Code.NDC
