"""How an answer shall look: `Accept`, `_format`, `_pretty`, `_summary`, `_elements` and `Prefer` (FHIR R4 §3.1.0.1).

This site speaks JSON only; what asks for anything else is told so (406, 415) in JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from careledger.web.errors import HttpRefused

FHIR_JSON: Final = b"application/fhir+json; charset=utf-8"
JSON_PATCH: Final = "application/json-patch+json"
FORM: Final = "application/x-www-form-urlencoded"

_JSON_TYPES: Final = frozenset({"application/fhir+json", "application/json", "text/json"})
_FORMATS: Final = _JSON_TYPES | {"json"}
_ACCEPTED: Final = _JSON_TYPES | {"*/*", "application/*"}
_FHIR_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
_HEADER_CHARS_MAX: Final = 1_024
_CACHE_MAX: Final = 256
_PARAMETERS_MAX: Final = 64
_QUALITY_ZERO = re.compile(r"q=0(?:\.0{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """How an answer shall look."""

    is_pretty: bool = False
    summary: str = "false"
    """`_summary` of an answer with one resource; searches read it themselves."""
    elements: tuple[str, ...] = ()
    returns: str = ""
    """`Prefer: return=`: `minimal`, `representation`, `OperationOutcome`, or empty."""
    is_strict: bool = True
    """Whether unknown search parameters are refused (`Prefer: handling=strict`)."""


PLAIN: Final = Presentation()

_accepts: dict[bytes, bool] = {}


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters of a media type, names in lower case."""
    pairs = (part.partition("=") for part in text.split(";")[1:])
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _is_acceptable(accept: str) -> bool:
    for choice in accept.split(","):
        media_type = choice.partition(";")[0].strip().lower()
        parameters = _parameters(choice)
        if media_type in _ACCEPTED and parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS:
            quality = parameters.get("q")
            if quality is None or not _QUALITY_ZERO.fullmatch(f"q={quality}"):
                return True
    return False


def check_accept(accept: bytes) -> None:
    """Refuse a request that takes no JSON.

    Raises:
        HttpRefused: 406.
    """
    known = _accepts.get(accept)
    if known is None:
        known = len(accept) <= _HEADER_CHARS_MAX and _is_acceptable(accept.decode("latin-1"))
        if len(_accepts) < _CACHE_MAX:
            _accepts[accept] = known
    if not known:
        raise HttpRefused(406, "NOT_ACCEPTABLE", "This site answers in JSON (application/fhir+json) only.")


def check_content_type(content_type: str, allowed: frozenset[str]) -> str:
    """Return the media type of a body, if it is one of the allowed ones.

    Raises:
        HttpRefused: 415, for another type, character set or FHIR version.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    parameters = _parameters(content_type) if ";" in content_type else {}
    if (
        media_type not in allowed
        or parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8")
        or parameters.get("fhirversion", "4.0") not in _FHIR_VERSIONS
    ):
        raise HttpRefused(
            415, "UNSUPPORTED_MEDIA_TYPE", f"The body must be one of: {', '.join(sorted(allowed))}."
        )
    return media_type


RESOURCE_TYPES_ALLOWED: Final = frozenset({"application/fhir+json", "application/json"})
PATCH_TYPES_ALLOWED: Final = RESOURCE_TYPES_ALLOWED | {JSON_PATCH}
SEARCH_TYPES_ALLOWED: Final = frozenset({FORM})


def read_presentation(accept: bytes, prefer: bytes, query: str) -> Presentation:
    """Return how the answer shall look.

    Raises:
        HttpRefused: 406, for a format other than JSON.
    """
    wanted = PLAIN
    has_format = False
    if query and "_" in query:
        values = dict(_transport_pairs(query))
        if "_format" in values:
            has_format = True
            if values["_format"].partition(";")[0].strip().lower() not in _FORMATS:
                raise HttpRefused(406, "NOT_ACCEPTABLE", "This site answers in JSON (_format=json) only.")
        elements = tuple(name for name in values.get("_elements", "").split(",") if name)
        wanted = Presentation(
            is_pretty=values.get("_pretty") == "true",
            summary=values.get("_summary", "false"),
            elements=elements,
        )
    if accept and not has_format:
        check_accept(accept)
    if prefer:
        wanted = _apply_prefer(wanted, prefer.decode("latin-1"))
    return wanted


def _transport_pairs(query: str) -> list[tuple[str, str]]:
    """Return the parameters that shape an answer; a query that cannot be split is the search's to refuse."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_PARAMETERS_MAX)
    except ValueError:
        return []
    return [(name, value) for name, value in pairs if name in ("_format", "_pretty", "_summary", "_elements")]


def _apply_prefer(wanted: Presentation, prefer: str) -> Presentation:
    """Apply a `Prefer` header (RFC 7240); preferences that are not known are passed over, as it says."""
    for part in prefer.replace(",", ";").split(";"):
        name, _, value = part.strip().partition("=")
        value = value.strip('"')
        if name == "return" and value in ("minimal", "representation", "OperationOutcome"):
            wanted = replace(wanted, returns=value)
        elif name == "handling" and value in ("strict", "lenient"):
            wanted = replace(wanted, is_strict=value == "strict")
    return wanted
