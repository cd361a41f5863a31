"""How large a document may be.

Owns the limits that keep reading bounded in memory and time, whatever arrives. Callers may tighten them; what
the capture interface announces to partners is a matter for the service.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on one document."""

    document_bytes_max: int = 32 * 1024 * 1024

    events_max: int = 20_000

    list_items_max: int = 100_000
    """Entries of one list, such as the packs of one event."""

    depth_max: int = 32
    """Levels of nesting inside extension content."""

    text_chars_max: int = 65_536
    """Longest text of an extension or a sensor."""

    problems_max: int = 1_000
    """Problems collected per document; further ones are only counted."""


DEFAULT_LIMITS: Final = Limits()

URI_CHARS_MAX: Final = 2_048
NUMBER_CHARS_MAX: Final = 40
"""Longest number literal; a quantity or a sensor value needs far fewer digits."""

EXPONENT_MAX: Final = 100
"""Largest power of ten of a number, so that writing it out stays short."""
