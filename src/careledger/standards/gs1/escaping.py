"""Character sets of GS1 identifiers and their percent-encodings.

Owns the three encodable sets (GS1 General Specifications §7.11) and how their members are written
in an EPC URN and in a Digital Link path. The two differ: a URN escapes `" % & / < > ?` (and
`#`), a Digital Link every character outside letters, digits and `- . _ ' ; =`.
"""

from __future__ import annotations

import re

from careledger.standards.gs1.errors import GS1Code, GS1Error

# Character set 82: serial numbers, lots and most free text.
CSET_82 = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]+")
# Character set 39: component and part identifiers.
CSET_39 = re.compile(r"[#\-/0-9A-Z]+")
# Base64url, for digital signatures.
CSET_64 = re.compile(r"[A-Za-z0-9\-_=]+")

_PLAIN_IN_LINK = re.compile(r"[A-Za-z0-9\-._';=~]*")
_MUST_ESCAPE_IN_LINK = re.compile(r"[^A-Za-z0-9\-._';=~]")
_MUST_ESCAPE_IN_URN = re.compile(r"[\"%&/<>?#]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match.group().encode())


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match.group(1), 16))


def escape_link(value: str) -> str:
    """Write `value` as one path segment of a canonical Digital Link URI."""
    if _PLAIN_IN_LINK.fullmatch(value):
        return value
    return _MUST_ESCAPE_IN_LINK.sub(_escape, value)


def escape_urn(value: str) -> str:
    """Write `value` as one component of an EPC URN (EPC Tag Data Standard, table of escapes)."""
    if _PLAIN_IN_LINK.fullmatch(value):
        return value
    return _MUST_ESCAPE_IN_URN.sub(_escape, value)


def unescape(value: str) -> str:
    """Undo the percent-encoding of one component.

    Raises:
        GS1Error: CHARACTER when a percent sign is not followed by two hexadecimal digits, or
            encodes anything outside ASCII (no GS1 value holds such a character).
    """
    if "%" not in value:
        return value
    stray = _STRAY_PERCENT.search(value)
    if stray is not None:
        raise GS1Error(
            GS1Code.CHARACTER, "a percent sign without two hexadecimal digits", position=stray.start()
        )
    plain = _ESCAPE.sub(_unescape, value)
    if not plain.isascii():
        raise GS1Error(GS1Code.CHARACTER, "an escape outside ASCII")
    return plain
