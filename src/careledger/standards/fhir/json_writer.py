"""Values to FHIR JSON bytes, with number texts and member order as they were read.

The counterpart of ``json_reader``: what one reads, the other writes with the same numbers, strings and
order; only white space and escapes may differ, and equal values always give equal bytes.
"""

import msgspec

from careledger.standards.fhir.json_types import ExactDecimal, Json

CONTENT_TYPE = "application/fhir+json"


def _write_exact(value: Json) -> Json:
    """Give the encoder the text of a number whose text matters."""
    if isinstance(value, ExactDecimal):
        return msgspec.Raw(value.text.encode("ascii"))
    raise TypeError(f"{type(value).__name__} is no JSON value")


_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=_write_exact)


def write_json(value: Json) -> bytes:
    """Return ``value`` as compact JSON in UTF-8.

    Raises:
        TypeError: The value holds something that JSON does not know.
    """
    return _ENCODER.encode(value)


def write_pretty_json(value: Json, indent: int = 2) -> bytes:
    """Return ``value`` as JSON for people to read (``_pretty=true``), ``indent`` spaces per level."""
    return msgspec.json.format(_ENCODER.encode(value), indent=indent)
