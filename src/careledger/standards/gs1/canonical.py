"""The one form in which two spellings of an identifier are the same.

Owns the constrained canonical Digital Link of CBV 2.0 §8.9: EPC URNs, EPC classes, patterns and
Digital Links of any domain all become `https://id.gs1.org/...` with only the most specific level of
identification, no query string and one way of percent-encoding. Identifiers that are not GS1 keys stay as
they are. This runs once per identifier of every EPCIS event, hence the short cuts for packs,
logistic units and places; they are checked against the general path by the tests.
"""

from __future__ import annotations

import functools
import re
from urllib.parse import urlsplit

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1.checkdigit import verify_check_digit
from careledger.standards.gs1.digital_link import CANONICAL_STEM, find_key
from careledger.standards.gs1.epc_urn import Pairs, gln_of, gtin_of, parse_urn
from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.escaping import CSET_39, CSET_82, escape_link, unescape

URI_CHARS_MAX = 2048
"""Longest identifier looked at."""

# A value that is written the same way in a URN and in a Digital Link.
_PLAIN = re.compile(r"[A-Za-z0-9\-._';=]{1,20}")
_PLAIN_LINK = re.compile(r"https://id\.gs1\.org/01/([0-9]{14})(?:/(?:21|10)/[A-Za-z0-9\-._';=]{1,20})?")
_EPC = "urn:epc:"
_SGTIN = re.compile(r"urn:epc:id:sgtin:([0-9]{6,12})\.([0-9]{1,7})\.")
# Everything before the serial number has this length, wherever the company prefix ends.
_SGTIN_HEAD_CHARS = 32
_SGLN = "urn:epc:id:sgln:"

_C82 = CSET_82.pattern[:-1]
_C39 = CSET_39.pattern[:-1]
# What each primary key looks like, without its check digit's arithmetic.
_KEYS: dict[str, re.Pattern[str]] = {
    "00": re.compile(r"[0-9]{18}"),
    "01": re.compile(r"[0-9]{14}"),
    "253": re.compile(rf"[0-9]{{13}}{_C82}{{0,17}}"),
    "255": re.compile(r"[0-9]{13}[0-9]{0,12}"),
    "401": re.compile(rf"{_C82}{{1,30}}"),
    "402": re.compile(r"[0-9]{17}"),
    "414": re.compile(r"[0-9]{13}"),
    "417": re.compile(r"[0-9]{13}"),
    "8003": re.compile(rf"[0-9]{{14}}{_C82}{{0,16}}"),
    "8004": re.compile(rf"{_C82}{{1,30}}"),
    "8006": re.compile(r"[0-9]{18}"),
    "8010": re.compile(rf"{_C39}{{1,30}}"),
    "8017": re.compile(r"[0-9]{18}"),
    "8018": re.compile(r"[0-9]{18}"),
}
# A key may be any of these lengths when it is a GTIN; the others are padded on the left.
_SHORT_GTIN = re.compile(r"[0-9]{8}|[0-9]{12}|[0-9]{13}")
# Qualifiers that identify something finer, finest first; any other qualifier is left out.
_FINEST: dict[str, tuple[str, ...]] = {
    "01": ("21", "235", "10"),
    "8006": ("21", "10"),
    "414": ("254",),
    "8010": ("8011",),
}
_GTIN_DIGITS = 14
_LEADING_DIGITS = re.compile(r"[0-9]{4}")


def canonical_uri(uri: str) -> str:
    """Give the canonical form of an identifier, or the identifier itself where there is none.

    Never fails: malformed EPC URNs and links that are not GS1 links come back unchanged. Check
    digits of links are not looked at; `checked_canonical_uri` does that. Examples:
    `urn:epc:id:sgtin:4012345.011111.987` and `https://shop.example/gtin/4012345111118/21/987?x=1` both give
    `https://id.gs1.org/01/04012345111118/21/987`.
    """
    try:
        return checked_canonical_uri(uri)
    except GS1Error as error:
        if error.code is GS1Code.CHECK_DIGIT:
            pairs = _link_pairs(uri)
            return uri if pairs is None else _write(pairs)
        return uri


def checked_canonical_uri(uri: str) -> str:
    """Give the canonical form of an identifier and check it on the way.

    Raises:
        GS1Error: for an EPC URN that is malformed, a Digital Link with a wrong check digit, or an
            identifier longer than `URI_CHARS_MAX` characters. EPC schemes without a GS1 key and URIs
            that are not GS1 identifiers come back unchanged.
    """
    head = _sgtin_head(uri[:_SGTIN_HEAD_CHARS])
    if head and _PLAIN.fullmatch(uri, _SGTIN_HEAD_CHARS):
        return head + uri[_SGTIN_HEAD_CHARS:]
    if len(uri) > URI_CHARS_MAX:
        raise GS1Error(GS1Code.TOO_LONG, "an identifier longer than any GS1 key", position=URI_CHARS_MAX)
    if uri.startswith(_EPC):
        return _canonical_urn(uri)
    if uri.startswith("http"):
        match = _PLAIN_LINK.fullmatch(uri)
        if match is not None:
            _verify_gtin(match.group(1))
            return uri
        pairs = _link_pairs(uri)
        if pairs is not None:
            _verify_key(*pairs[0])
            return _write(pairs)
    return uri


def canonical_packs(uris: list[object]) -> list[str] | None:
    """Give the canonical forms of a list of plainly written SGTIN URNs, the bulk of all identifiers.

    Returns:
        None as soon as one of them is anything else; `checked_canonical_uri` then sees to each.
    """
    found = []
    for uri in uris:
        if type(uri) is not str:
            return None
        head = _sgtin_head(uri[:_SGTIN_HEAD_CHARS])
        if not head or not _PLAIN.fullmatch(uri, _SGTIN_HEAD_CHARS):
            return None
        found.append(head + uri[_SGTIN_HEAD_CHARS:])
    return found


@functools.lru_cache(maxsize=16_384)
def _sgtin_head(text: str) -> str:
    """Give the link up to the serial number for a URN up to the serial number; nothing for other texts."""
    match = _SGTIN.fullmatch(text)
    if match is None or len(text) != _SGTIN_HEAD_CHARS:
        return ""
    return f"{CANONICAL_STEM}/01/{gtin_of(*match.groups())}/21/"


def _canonical_urn(uri: str) -> str:
    if uri.startswith(_SGLN):
        parts = uri[16:].split(".", 2)
        if len(parts) == 3 and parts[2] == "0":
            return f"{CANONICAL_STEM}/414/{gln_of(parts[0], parts[1])}"
    try:
        return _write(parse_urn(uri))
    except GS1Error as error:
        if error.code is GS1Code.URN_SCHEME:
            return uri
        raise


def _write(pairs: Pairs) -> str:
    return CANONICAL_STEM + "".join(f"/{ai}/{escape_link(value)}" for ai, value in pairs)


def _link_pairs(uri: str) -> Pairs | None:
    """Take key and finest qualifier out of a link, or None when it is not a Digital Link."""
    try:
        parts = urlsplit(uri)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return None
        found = find_key(parts.path.rstrip("/").split("/"))
        if found is None:
            return None
        (ai, text), *rest = found[1]
        value = unescape(text)
        if ai == "01" and _SHORT_GTIN.fullmatch(value):
            value = value.zfill(_GTIN_DIGITS)
        shape = _KEYS.get(ai)
        if shape is None or not shape.fullmatch(value) or not _LEADING_DIGITS.match(value):
            return None
        qualifiers = dict(rest)
        for name in _FINEST.get(ai, ()):
            if name in qualifiers:
                finest = unescape(qualifiers[name])
                identifiers.verify_value(identifiers.IDENTIFIERS[name], finest)
                return (ai, value), (name, finest)
    except (GS1Error, ValueError):
        return None
    return ((ai, value),)


@functools.lru_cache(maxsize=16_384)
def _verify_gtin(digits: str) -> None:
    verify_check_digit(digits, ai="01")


def _verify_key(ai: str, value: str) -> None:
    known = identifiers.IDENTIFIERS[ai]
    if known.has_check_digit:
        verify_check_digit(value[: known.components[0].length_max], ai=ai)
