"""GS1 Digital Link URIs (GS1 Digital Link: URI Syntax 1.4).

Owns reading and writing of uncompressed links: a primary key, its qualifiers in the path, other
application identifiers in the query string, on the canonical domain or any other. Compressed links are
recognised and refused: CareLedger neither writes nor expands them. Nothing here resolves a
link.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1.element_string import TEXT_CHARS_MAX, Element, ElementString
from careledger.standards.gs1.errors import GS1Code, GS1Error
from careledger.standards.gs1.escaping import escape_link, unescape

CANONICAL_STEM: Final = "https://id.gs1.org"

# Primary keys and the qualifiers that may follow in the path, in this order.
QUALIFIERS: dict[str, tuple[str, ...]] = {
    "00": (),
    "01": ("22", "10", "21", "235"),
    "253": (),
    "255": (),
    "401": (),
    "402": (),
    "414": ("254", "7040"),
    "417": ("7040",),
    "8003": (),
    "8004": ("7040",),
    "8006": ("22", "10", "21"),
    "8010": ("8011",),
    "8013": (),
    "8017": ("8019",),
    "8018": ("8019",),
}
# Alphabetic names, deprecated since version 1.2 but still met.
SHORT_NAMES: dict[str, str] = {
    "sscc": "00",
    "gtin": "01",
    "gdti": "253",
    "gcn": "255",
    "ginc": "401",
    "gsin": "402",
    "gln": "414",
    "party": "417",
    "grai": "8003",
    "giai": "8004",
    "itip": "8006",
    "cpid": "8010",
    "gmn": "8013",
    "gsrnp": "8017",
    "gsrn": "8018",
    "cpv": "22",
    "lot": "10",
    "ser": "21",
    "tpx": "235",
    "glnx": "254",
    "cpsn": "8011",
    "srin": "8019",
}
_GTIN_LENGTHS = (8, 12, 13, 14)
_COMPRESSED = re.compile(r"[A-Za-z0-9_-]{10,}")
_FULL_PATH_AI = re.compile(r"[0-9]{2,4}")


class DigitalLink(msgspec.Struct, frozen=True, kw_only=True):
    """One link, taken apart."""

    stem: str
    """Scheme, domain and any path before the primary key, without a trailing slash."""

    key: Element
    qualifiers: tuple[Element, ...] = ()

    attributes: tuple[Element, ...] = ()
    """Application identifiers of the query string, such as (17)."""

    parameters: tuple[tuple[str, str], ...] = ()
    """Query parameters that are not application identifiers."""

    @property
    def elements(self) -> ElementString:
        """Key, qualifiers and attributes as an element string."""
        return ElementString(elements=(self.key, *self.qualifiers, *self.attributes))


def parse_link(uri: str) -> DigitalLink:
    """Read an uncompressed Digital Link.

    The primary key is found from the right: the path ends in pairs of identifier and value, and
    whatever stands before the key belongs to the domain's owner. GTIN-8, -12 and -13 are padded.

    Raises:
        GS1Error: LINK_SYNTAX, LINK_COMPRESSED, UNKNOWN_AI or any code of `ai.verify_value`.
    """
    if len(uri) > TEXT_CHARS_MAX:
        raise GS1Error(GS1Code.TOO_LONG, "longer than any symbol can be", position=TEXT_CHARS_MAX)
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise GS1Error(GS1Code.LINK_SYNTAX, "not a URI") from error
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        raise GS1Error(GS1Code.LINK_SYNTAX, "not an http or https URI")
    segments = parts.path.strip("/").split("/")
    found = find_key(segments)
    if found is None:
        if segments and _COMPRESSED.fullmatch(segments[-1]):
            message = "no GS1 key in the path; compressed Digital Links are not supported"
            raise GS1Error(GS1Code.LINK_COMPRESSED, message)
        raise GS1Error(GS1Code.LINK_SYNTAX, "no GS1 key in the path")
    start, pairs = found
    key, *qualifiers = (_element(ai, unescape(text)) for ai, text in pairs)
    _verify_order(key.ai, [element.ai for element in qualifiers])
    attributes, parameters = _query(parts.query)
    stem = "/".join([f"{parts.scheme}://{parts.netloc}", *segments[:start]])
    return DigitalLink(
        stem=stem,
        key=key,
        qualifiers=tuple(qualifiers),
        attributes=attributes,
        parameters=parameters,
    )


def find_key(segments: list[str]) -> tuple[int, list[tuple[str, str]]] | None:
    """Find the primary key in the path segments of a link.

    Returns:
        The index of the key's identifier and the (identifier, escaped value) pairs from there on, or
        None when the path does not end in such pairs.
    """
    pairs: list[tuple[str, str]] = []
    index = len(segments) - 2
    while index >= 0:
        ai = SHORT_NAMES.get(segments[index], segments[index])
        pairs.append((ai, segments[index + 1]))
        if ai in QUALIFIERS:
            return index, pairs[::-1]
        if ai not in identifiers.IDENTIFIERS:
            return None
        index -= 2
    return None


def _element(ai: str, value: str) -> Element:
    if ai == "01" and len(value) in _GTIN_LENGTHS:
        value = value.zfill(14)
    known = identifiers.IDENTIFIERS.get(ai)
    if known is None:
        raise GS1Error(GS1Code.UNKNOWN_AI, f"({ai}) is not an application identifier", ai=ai)
    identifiers.verify_value(known, value)
    return Element(ai=ai, value=value)


def _verify_order(key: str, qualifiers: list[str]) -> None:
    allowed = QUALIFIERS[key]
    ranks = [allowed.index(ai) if ai in allowed else -1 for ai in qualifiers]
    if -1 in ranks or ranks != sorted(set(ranks)):
        message = f"qualifiers of ({key}) that do not belong there, or in the wrong order"
        raise GS1Error(GS1Code.LINK_SYNTAX, message, ai=key)


def _query(query: str) -> tuple[tuple[Element, ...], tuple[tuple[str, str], ...]]:
    attributes, parameters = [], []
    for name, value in parse_qsl(query.replace(";", "&"), keep_blank_values=True):
        ai = SHORT_NAMES.get(name, name)
        if _FULL_PATH_AI.fullmatch(ai) and ai in identifiers.IDENTIFIERS:
            attributes.append(_element(ai, value))
        else:
            parameters.append((name, value))
    return tuple(attributes), tuple(parameters)


def write_link(string: ElementString, *, stem: str = CANONICAL_STEM) -> str:
    """Write an element string as a Digital Link on `stem`.

    Qualifiers of the primary key go into the path, everything else into the query string, in the order
    given. Example: (01)(17)(10)(21) becomes `.../01/.../10/.../21/...?17=...`.

    Raises:
        GS1Error: NOT_A_KEY when the element string has no primary key.
    """
    primary = next((element for element in string.elements if element.ai in QUALIFIERS), None)
    if primary is None:
        raise GS1Error(GS1Code.NOT_A_KEY, "without a primary key there is no Digital Link")
    allowed = QUALIFIERS[primary.ai]
    rest = [element for element in string.elements if element is not primary]
    path = sorted((e for e in rest if e.ai in allowed), key=lambda e: allowed.index(e.ai))
    query = [element for element in rest if element.ai not in allowed]
    uri = stem.rstrip("/") + "".join(f"/{e.ai}/{escape_link(e.value)}" for e in (primary, *path))
    if query:
        uri += "?" + "&".join(f"{e.ai}={quote(e.value, safe='')}" for e in query)
    return uri
