"""Identifiers and patterns of identifiers in queries.

Owns the reading of `MATCH_` values: an identifier in any notation, a class pattern such as
`urn:epc:idpat:sgtin:4012345.012345.*`, or a company pattern such as `urn:epc:idpat:sgtin:4012345.*.*`; and the
comparison with canonical identifiers.
"""

from __future__ import annotations

import re

from careledger.standards.epcis.query_model import EPCPattern
from careledger.standards.epcis.scope import is_absolute_uri
from careledger.standards.gs1.canonical import canonical_uri
from careledger.standards.gs1.prefixes import prefix_start

_COMPANY = re.compile(r"urn:epc:(?:idpat|class):([a-z]+):([0-9]{6,12})(?:\.\*){1,4}")
_LOTS = re.compile(r"urn:epc:class:lgtin:([0-9]{6,12}\.[0-9]{1,7})\.\*")
_AIS = {
    "sgtin": "01",
    "lgtin": "01",
    "sscc": "00",
    "sgln": "414",
    "pgln": "417",
    "grai": "8003",
    "giai": "8004",
    "gsrn": "8018",
    "gsrnp": "8017",
    "gdti": "253",
    "sgcn": "255",
    "cpi": "8010",
    "itip": "8006",
    "upui": "01",
}
# Keys that name a class while nothing follows them.
_CLASSES = re.compile(r"https://id\.gs1\.org/(?:01/[0-9]{14}|8006/[0-9]{18}|8010/[^/]+)")
_CLASSES_WITH_SERIAL_INSIDE = re.compile(r"https://id\.gs1\.org/(?:8003/[0-9]{14}|25[35]/[0-9]{13})")
_STEM = "https://id.gs1.org/"


def parse_pattern(text: str) -> EPCPattern | None:
    """Read one value of a `MATCH_` parameter, or give None when it is neither identifier nor pattern."""
    if not is_absolute_uri(text):
        return None
    lots = _LOTS.fullmatch(text)
    if lots is not None:
        text = f"urn:epc:idpat:sgtin:{lots.group(1)}.*"
    company = _COMPANY.fullmatch(text)
    if company is not None and company.group(1) in _AIS:
        return EPCPattern(ai=_AIS[company.group(1)], company_prefix=company.group(2))
    canonical = canonical_uri(text)
    is_class = bool(_CLASSES.fullmatch(canonical) or _CLASSES_WITH_SERIAL_INSIDE.fullmatch(canonical))
    if text.startswith("urn:epc:idpat:") and not is_class:
        return None
    return EPCPattern(canonical=canonical, is_class=is_class)


def matches_pattern(pattern: EPCPattern, canonical: str) -> bool:
    """Tell whether a canonical identifier is meant by a pattern."""
    if pattern.company_prefix:
        head = f"{_STEM}{pattern.ai}/"
        start = len(head) + prefix_start(pattern.ai)
        return canonical.startswith(head) and canonical.startswith(pattern.company_prefix, start)
    if canonical == pattern.canonical:
        return True
    if not pattern.is_class or not canonical.startswith(pattern.canonical):
        return False
    return canonical[len(pattern.canonical)] == "/" or bool(
        _CLASSES_WITH_SERIAL_INSIDE.fullmatch(pattern.canonical)
    )
