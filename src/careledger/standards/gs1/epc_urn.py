"""EPC URNs: `urn:epc:id:`, `urn:epc:class:lgtin:` and `urn:epc:idpat:`.

Owns their grammar (EPC Tag Data Standard §6 and §8) and the translation to and from pairs of
application identifier and value, which every other notation shares. Schemes without a GS1 key (`gid`,
`usdod`, `adi`, `bic`, `imovn`) have no such pairs and are refused as unknown schemes.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1 import prefixes
from careledger.standards.gs1.checkdigit import compute_check_digit
from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.escaping import escape_urn, unescape

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Application identifiers with their values, primary key first."""

_GTIN_BODY: Final = 13
_SSCC_BODY: Final = 17
_GLN_BODY: Final = 12
_GSIN_BODY: Final = 16
_PREFIX = re.compile(r"[0-9]{6,12}")
_DIGITS = re.compile(r"[0-9]*")
_TWO_DIGITS = re.compile(r"[0-9]{2}")
_ANY = "*"
_NO_EXTENSION = "0"


def _malformed(message: str) -> GS1Error:
    return GS1Error(GS1Code.URN_SYNTAX, message)


def _split(rest: str, count: int) -> list[str]:
    parts = rest.split(".", count - 1)
    if len(parts) != count:
        raise _malformed(f"this scheme has {count} parts separated by dots")
    return parts


def _join_digits(prefix: str, reference: str, total: int) -> str:
    """Put company prefix and reference together and check that they have `total` digits."""
    if not _PREFIX.fullmatch(prefix):
        raise _malformed("the company prefix must be 6 to 12 digits")
    if not _DIGITS.fullmatch(reference):
        raise _malformed("the reference behind the company prefix must be digits")
    if len(prefix) + len(reference) != total:
        raise _malformed(f"company prefix and reference must have {total} digits together")
    return prefix + reference


@functools.lru_cache(maxsize=16_384)
def gtin_of(prefix: str, item: str) -> str:
    """Build the GTIN-14 of a company prefix and an item reference whose first digit is the indicator."""
    _join_digits(prefix, item, _GTIN_BODY)
    body = item[0] + prefix + item[1:]
    return body + compute_check_digit(body)


@functools.lru_cache(maxsize=16_384)
def gln_of(prefix: str, reference: str) -> str:
    """Build the GLN of a company prefix and a location or party reference."""
    body = _join_digits(prefix, reference, _GLN_BODY)
    return body + compute_check_digit(body)


def sscc_of(prefix: str, reference: str) -> str:
    """Build the SSCC of a company prefix and a serial reference starting with the extension digit."""
    _join_digits(prefix, reference, _SSCC_BODY)
    body = reference[0] + prefix + reference[1:]
    return body + compute_check_digit(body)


def _value(ai: str, value: str) -> tuple[str, str]:
    identifiers.verify_value(identifiers.IDENTIFIERS[ai], value)
    return ai, value


def _text(ai: str, escaped: str) -> tuple[str, str]:
    return _value(ai, unescape(escaped))


def _sgtin(rest: str) -> Pairs:
    prefix, item, serial = _split(rest, 3)
    return ("01", gtin_of(prefix, item)), _text("21", serial)


def _lgtin(rest: str) -> Pairs:
    prefix, item, lot = _split(rest, 3)
    return ("01", gtin_of(prefix, item)), _text("10", lot)


def _upui(rest: str) -> Pairs:
    prefix, item, extension = _split(rest, 3)
    return ("01", gtin_of(prefix, item)), _text("235", extension)


def _sscc(rest: str) -> Pairs:
    prefix, reference = _split(rest, 2)
    return (("00", sscc_of(prefix, reference)),)


def _sgln(rest: str) -> Pairs:
    prefix, reference, extension = _split(rest, 3)
    location = ("414", gln_of(prefix, reference))
    return (location,) if extension == _NO_EXTENSION else (location, _text("254", extension))


def _pgln(rest: str) -> Pairs:
    prefix, reference = _split(rest, 2)
    return (("417", gln_of(prefix, reference)),)


def _grai(rest: str) -> Pairs:
    prefix, asset_type, serial = _split(rest, 3)
    return (_value("8003", "0" + gln_of(prefix, asset_type) + unescape(serial)),)


def _giai(rest: str) -> Pairs:
    prefix, reference = _split(rest, 2)
    return (_value("8004", _checked_prefix(prefix) + unescape(reference)),)


def _gsrn(rest: str, ai: str = "8018") -> Pairs:
    prefix, reference = _split(rest, 2)
    body = _join_digits(prefix, reference, _SSCC_BODY)
    return ((ai, body + compute_check_digit(body)),)


def _gdti(rest: str) -> Pairs:
    prefix, document_type, serial = _split(rest, 3)
    return (_value("253", gln_of(prefix, document_type) + unescape(serial)),)


def _sgcn(rest: str) -> Pairs:
    prefix, reference, serial = _split(rest, 3)
    return (_value("255", gln_of(prefix, reference) + serial),)


def _cpi(rest: str) -> Pairs:
    prefix, reference, serial = _split(rest, 3)
    return _value("8010", _checked_prefix(prefix) + unescape(reference)), _value("8011", serial)


def _ginc(rest: str) -> Pairs:
    prefix, reference = _split(rest, 2)
    return (_value("401", _checked_prefix(prefix) + unescape(reference)),)


def _gsin(rest: str) -> Pairs:
    prefix, reference = _split(rest, 2)
    body = _join_digits(prefix, reference, _GSIN_BODY)
    return (("402", body + compute_check_digit(body)),)


def _itip(rest: str) -> Pairs:
    prefix, item, piece, total, serial = _split(rest, 5)
    if not (_TWO_DIGITS.fullmatch(piece) and _TWO_DIGITS.fullmatch(total)):
        raise _malformed("piece and total must be two digits each")
    return ("8006", gtin_of(prefix, item) + piece + total), _text("21", serial)


def _checked_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise _malformed("the company prefix must be 6 to 12 digits")
    return prefix


_READERS: dict[str, Callable[[str], Pairs]] = {
    "id:sgtin": _sgtin,
    "id:sscc": _sscc,
    "id:sgln": _sgln,
    "id:pgln": _pgln,
    "id:grai": _grai,
    "id:giai": _giai,
    "id:gsrn": _gsrn,
    "id:gsrnp": functools.partial(_gsrn, ai="8017"),
    "id:gdti": _gdti,
    "id:sgcn": _sgcn,
    "id:cpi": _cpi,
    "id:ginc": _ginc,
    "id:gsin": _gsin,
    "id:itip": _itip,
    "id:upui": _upui,
    "class:lgtin": _lgtin,
}
# Schemes whose class, everything but the serial number, can be named by a pattern ending in `*`.
_PATTERNS = ("sgtin", "grai", "gdti", "sgcn", "cpi", "itip", "upui")
# Digits of the value of the primary key that name the class, where the serial is part of the value.
_CLASS_DIGITS = {"8003": 14, "253": 13, "255": 13}
_HEAD = "urn:epc:"


def parse_urn(urn: str) -> Pairs:
    """Translate an EPC URN into application identifiers and values.

    A pattern (`urn:epc:idpat:sgtin:4012345.066666.*`) gives the class it stands for. Example:
    `urn:epc:id:sgtin:4012345.011111.987` gives `(("01", "04012345111118"), ("21", "987"))`.

    Raises:
        GS1Error: URN_SCHEME for an unknown scheme, URN_SYNTAX for a malformed one, or what
            `ai.verify_value` says of a serial number.
    """
    if not urn.startswith(_HEAD):
        raise GS1Error(GS1Code.URN_SCHEME, "not an EPC URN")
    kind, _, scheme_and_rest = urn[len(_HEAD) :].partition(":")
    scheme, _, rest = scheme_and_rest.partition(":")
    if kind == "idpat":
        return _parse_pattern(scheme, rest)
    reader = _READERS.get(f"{kind}:{scheme}")
    if reader is None:
        raise GS1Error(GS1Code.URN_SCHEME, "an EPC scheme without a GS1 key")
    return reader(rest)


def _parse_pattern(scheme: str, rest: str) -> Pairs:
    if scheme not in _PATTERNS:
        raise GS1Error(GS1Code.URN_SCHEME, "this EPC scheme has no class patterns")
    known, _, last = rest.rpartition(".")
    if last != _ANY:
        raise _malformed("a pattern ends in .*")
    primary, value = _READERS[f"id:{scheme}"](f"{known}.1")[0]
    return ((primary, value[: _CLASS_DIGITS.get(primary, len(value))]),)


def write_urn(pairs: Pairs, prefix_length: int) -> str:
    """Write the EPC URN of a key, given the length of its company prefix.

    A class without serial becomes a pattern; (01) with (10) becomes `urn:epc:class:lgtin:`.

    Raises:
        GS1Error: PREFIX_LENGTH, or NOT_A_KEY when the pairs name nothing that has a URN.
    """
    prefixes.verify_prefix_length(prefix_length)
    ai, value = pairs[0]
    start = prefixes.prefix_start(ai)
    prefix, rest = value[start : start + prefix_length], value[start + prefix_length :]
    if len(prefix) != prefix_length:
        raise GS1Error(GS1Code.PREFIX_LENGTH, "the value is shorter than the company prefix", ai=ai)
    qualifier = pairs[1] if len(pairs) > 1 else None
    if ai in ("01", "8006"):
        return _write_item(ai, value[0], prefix, rest, qualifier)
    if ai == "414":
        extension = escape_urn(qualifier[1]) if qualifier else _NO_EXTENSION
        return f"urn:epc:id:sgln:{prefix}.{rest[:-1]}.{extension}"
    if ai in _CLASS_DIGITS:
        return _write_typed(ai, prefix, rest, _CLASS_DIGITS[ai] - start - prefix_length)
    if ai == "8010":
        if qualifier is None:
            return f"urn:epc:idpat:cpi:{prefix}.{escape_urn(rest)}.*"
        return f"urn:epc:id:cpi:{prefix}.{escape_urn(rest)}.{qualifier[1]}"
    if ai == "00":
        return f"urn:epc:id:sscc:{prefix}.{value[0]}{rest[:-1]}"
    if ai in ("8004", "401"):
        return f"urn:epc:id:{'giai' if ai == '8004' else 'ginc'}:{prefix}.{escape_urn(rest)}"
    scheme = {"417": "pgln", "402": "gsin", "8017": "gsrnp", "8018": "gsrn"}[ai]
    return f"urn:epc:id:{scheme}:{prefix}.{rest[:-1]}"


def _write_item(ai: str, indicator: str, prefix: str, rest: str, qualifier: tuple[str, str] | None) -> str:
    if ai == "8006":
        item, piece, total = rest[:-5], rest[-4:-2], rest[-2:]
        scheme, body = "itip", f"{prefix}.{indicator}{item}.{piece}.{total}"
    else:
        scheme, body = "sgtin", f"{prefix}.{indicator}{rest[:-1]}"
    if qualifier is None:
        return f"urn:epc:idpat:{scheme}:{body}.*"
    qualifier_ai, text = qualifier[0], escape_urn(qualifier[1])
    if qualifier_ai == "21":
        return f"urn:epc:id:{scheme}:{body}.{text}"
    if ai == "01" and qualifier_ai == "10":
        return f"urn:epc:class:lgtin:{body}.{text}"
    if ai == "01" and qualifier_ai == "235":
        return f"urn:epc:id:upui:{body}.{text}"
    raise GS1Error(GS1Code.NOT_A_KEY, f"({ai}) with ({qualifier_ai}) has no EPC URN", ai=qualifier_ai)


def _write_typed(ai: str, prefix: str, rest: str, type_digits: int) -> str:
    """Write a key whose value is type, check digit and serial in one."""
    scheme = {"8003": "grai", "253": "gdti", "255": "sgcn"}[ai]
    kind, serial = rest[: type_digits - 1], rest[type_digits:]
    if not serial:
        return f"urn:epc:idpat:{scheme}:{prefix}.{kind}.*"
    return f"urn:epc:id:{scheme}:{prefix}.{kind}.{escape_urn(serial)}"
