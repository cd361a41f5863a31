"""The look of an answer's body: subsets, pretty printing, and what `Prefer: return` leaves of a write's answer."""

from __future__ import annotations

import os
from typing import Final, cast

import msgspec

from careledger.domains.records.api.errors import OPERATION_INPUT
from careledger.domains.records.api.interaction import FhirAnswer
from careledger.domains.records.api.negotiation import Presentation
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.issues import Issue
from careledger.standards.fhir.json_reader import Limits, read_resource
from careledger.standards.fhir.json_writer import write_json
from careledger.standards.fhir.meta import SummaryMode, select_elements, summarise
from careledger.standards.fhir.outcome import build_outcome

_SUMMARIES = frozenset({"true", "text", "data", "false"})
_IDS_AT_ONCE: Final = 256
_RANDOM: Final[list[bytes]] = []
"""Random bytes for ids to come; taking one is atomic, so threads share it."""
_UUID_MASK: Final = ~(0xF << 76 | 0x3 << 62)
_UUID_BITS: Final = 0x4 << 76 | 0x2 << 62
"""Version 4, variant 1."""
_OWN_LIMITS = Limits(size_bytes_max=1 << 30, values_max=1 << 30)
"""For documents that this site stored itself: they passed the limits once."""


def read_own(raw: bytes) -> dict[str, object]:
    """Return a resource that this site stored."""
    return read_resource(raw, _OWN_LIMITS)


def new_id() -> str:
    """Return a new random id (UUID version 4, RFC 9562): 122 bits, derived from nothing.

    Random bytes are drawn for many ids at once: a system call for each would give the interpreter lock away.
    """
    try:
        raw = _RANDOM.pop()
    except IndexError:
        block = os.urandom(16 * _IDS_AT_ONCE)
        _RANDOM.extend(block[at : at + 16] for at in range(16, len(block), 16))
        raw = block[:16]
    bits = int.from_bytes(raw, "big") & _UUID_MASK | _UUID_BITS
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def show_part(raw: bytes, *, summary: str, elements: tuple[str, ...]) -> bytes:
    """Return what `_summary` and `_elements` show of a stored resource.

    Raises:
        Rejected: OPERATION_INPUT, no such summary.
    """
    if summary not in _SUMMARIES:
        raise Rejected(OPERATION_INPUT, "_summary is true, text, data or false here")
    if summary == "false" and not elements:
        return raw
    value = read_own(raw)
    if summary != "false":
        value = summarise(value, cast("SummaryMode", summary))
    if elements:
        value = select_elements(value, elements)
    return write_json(value)


def present(answer: FhirAnswer, wanted: Presentation, *, is_read: bool) -> None:
    """Give an answer's body the look that was asked for.

    Args:
        answer: changed in place.
        wanted: what was asked for.
        is_read: whether the body is one resource that was read, of which a part may be asked for.
    """
    if not answer.body or answer.is_final:
        return
    if is_read and (wanted.summary != "false" or wanted.elements) and answer.status == 200:
        answer.body = show_part(answer.body, summary=wanted.summary, elements=wanted.elements)
    if wanted.is_pretty:
        answer.body = msgspec.json.format(answer.body, indent=2)


def body_of_write(served: bytes, returns: str, *, what: str) -> tuple[bytes, bool]:
    """Return the body of a write's answer and whether it is an OperationOutcome (FHIR R4 §3.1.0.1.9).

    Args:
        served: the resource as it is served.
        returns: value of `Prefer: return`; the whole resource is the default.
        what: what was done, for an OperationOutcome.
    """
    if returns == "minimal":
        return b"", False
    if returns == "OperationOutcome":
        return write_json(build_outcome([Issue("informational", "", what, "information")])), True
    return served, False
