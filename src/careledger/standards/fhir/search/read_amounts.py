"""Readers of numbers and quantities.

Owns what a number, Quantity, Money, Range or SampledData contributes to the index (FHIR R4 §3.1.1.4.7 and
§3.1.1.4.13). A plain number stands for itself: the implicit precision of FHIR is that of the search value, so
that a stored `5` is found by `5` and by `5.0`. Units are compared as written; nothing is converted.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException

from careledger.standards.fhir.search.amounts import (
    EXACT,
    HIGHEST,
    LOWEST,
    Amount,
    AmountError,
    amount_of,
    encode_amount,
    parse_decimal,
)
from careledger.standards.fhir.search.folding import bound
from careledger.standards.fhir.search.read_values import Reader
from careledger.standards.fhir.search.rows import Rows

CURRENCIES = "urn:iso:std:iso:4217"
"""Code system of the currencies of Money."""
SAMPLES_CHARS_MAX = 1 << 20
"""Longest SampledData.data read for its bounds."""
_LETTERS = frozenset({"E", "U", "L"})


def read_number(slot: int) -> Reader:
    """Read a decimal or integer."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        amount = amount_of(value)
        if amount is not None:
            rows.present |= bit
            rows.amounts.append((slot, amount, amount, "", "", ""))

    return read


def _unit(value: dict[str, object]) -> tuple[str, str, str]:
    """Return system, code and printed unit."""
    found = (value.get("system"), value.get("code"), value.get("unit"))
    system, code, unit = (bound(text) if type(text) is str else "" for text in found)
    return system, code, unit


def read_quantity(slot: int) -> Reader:
    """Read a Quantity; with a comparator it stands for everything beyond its value."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        amount = amount_of(value.get("value"))
        if amount is None:
            return
        low = high = amount
        comparator = value.get("comparator")
        if type(comparator) is str:
            low = LOWEST if comparator[:1] == "<" else low
            high = HIGHEST if comparator[:1] == ">" else high
        rows.present |= bit
        rows.amounts.append((slot, low, high, *_unit(value)))

    return read


def read_money(slot: int) -> Reader:
    """Read Money; its currency is the unit."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        amount, currency = amount_of(value.get("value")), value.get("currency")
        if amount is not None:
            code = bound(currency) if type(currency) is str else ""
            rows.present |= bit
            rows.amounts.append((slot, amount, amount, CURRENCIES if code else "", code, ""))

    return read


def read_range(slot: int) -> Reader:
    """Read a Range of quantities; an absent bound is open."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        low, high = value.get("low"), value.get("high")
        first = amount_of(low.get("value")) if type(low) is dict else None
        last = amount_of(high.get("value")) if type(high) is dict else None
        unit = low if type(low) is dict and first is not None else high
        if (first is not None or last is not None) and type(unit) is dict:
            rows.present |= bit
            rows.amounts.append((slot, first or LOWEST, last or HIGHEST, *_unit(unit)))

    return read


def read_samples(slot: int) -> Reader:
    """Read SampledData by the bounds of its values (description of R4's `Observation.value-quantity`)."""
    bit = 1 << slot

    def read(value: object, rows: Rows) -> None:
        if type(value) is not dict:
            return
        origin = value.get("origin")
        found = _sample_bounds(value, origin) if type(origin) is dict else None
        if found is not None and type(origin) is dict:
            rows.present |= bit
            rows.amounts.append((slot, *found, *_unit(origin)))

    return read


def _sample_bounds(value: dict[str, object], origin: dict[str, object]) -> tuple[Amount, Amount] | None:
    """Return lowest and highest sample after scaling, or None where there is none."""
    data, factor = value.get("data"), value.get("factor", 1)
    if type(data) is not str or len(data) > SAMPLES_CHARS_MAX:
        return None
    try:
        zero, scale = Decimal(str(origin.get("value"))), Decimal(str(factor))
        samples = [parse_decimal(text) for text in data.split() if text not in _LETTERS]
        scaled = [EXACT.add(zero, EXACT.multiply(sample, scale)) for sample in (min(samples), max(samples))]
        ends = sorted(map(encode_amount, scaled))
    except (AmountError, DecimalException, ValueError):
        # Structure checks judge the samples; an index leaves out what it cannot compare.
        return None
    return ends[0], ends[1]
