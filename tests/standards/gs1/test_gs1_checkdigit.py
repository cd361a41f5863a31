import pytest

from careledger.standards.gs1.checkdigit import compute_check_digit, is_digits, verify_check_digit
from careledger.standards.gs1.errors import GS1Code, GS1Error

# Numbers in public circulation: an ISBN as GTIN-13, a UPC-A, an EAN-8, a pencil's EAN-13, and the SSCC and
# GTIN examples printed in the GS1 General Specifications.
PUBLISHED = [
    "9780306406157",
    "9780345418913",
    "036000291452",
    "73513537",
    "4006381333931",
    "6291041500213",
    "376104250021234569",
]


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_check_digits(number: str) -> None:
    assert compute_check_digit(number[:-1]) == number[-1]
    verify_check_digit(number)


@pytest.mark.parametrize("number", PUBLISHED)
def test_every_single_digit_error_is_noticed(number: str) -> None:
    for position, original in enumerate(number):
        for digit in "0123456789":
            if digit == original:
                continue
            wrong = number[:position] + digit + number[position + 1 :]
            with pytest.raises(GS1Error) as caught:
                verify_check_digit(wrong, ai="01", position=2)
            assert caught.value.code is GS1Code.CHECK_DIGIT
            assert caught.value.position == 2 + len(number) - 1


@pytest.mark.parametrize("text", ["", "12a4", "١٢٣", "1 2"])
def test_only_ascii_digits_count(text: str) -> None:
    assert not is_digits(text)
    with pytest.raises(GS1Error) as caught:
        compute_check_digit(text)
    assert caught.value.code is GS1Code.NOT_DIGITS
