"""Events that speak about the same happening.

Owns the comparison of an event with one captured before: captured again, declared wrong, or in conflict. EPCIS 2.0
§7.4.1.2: an error declaration repeats the original event with the same identifier and adds the declaration. What to
do about it (409, a case, a correction) is for the service.
"""

from __future__ import annotations

import enum
import re

from careledger.standards.epcis.event_hash import VERSION, event_digest, event_hash
from careledger.standards.epcis.model import Event

_HASH_ID = re.compile(r"ni:///sha-256;[0-9a-f]{64}\?ver=CBV\d+\.\d+(\.\d+)?")


class Relation(enum.StrEnum):
    """How an event relates to one captured earlier."""

    UNRELATED = "unrelated"

    SAME_EVENT = "same-event"
    """The same content and identifier, the same declaration or none: captured again."""

    ERROR_DECLARATION = "error-declaration"
    """The same content and identifier, now declared wrong."""

    DECLARATION_CONFLICT = "declaration-conflict"
    """The same content and identifier, declared wrong twice in different ways, or the declaration taken back."""

    IDENTIFIER_CONFLICT = "identifier-conflict"
    """The same identifier for different content."""

    SAME_CONTENT = "same-content"
    """The same content under another identifier, or with one where there was none."""


def relate(event: Event, earlier: Event) -> Relation:
    """Say how `event` relates to `earlier`, captured before.

    Content is compared by the event hash, so record time, spelling, order and syntax make no difference. An event
    without identifier is identified by its hash.
    """
    same_content = event_digest(event) == event_digest(earlier)
    same_id = effective_id(event) == effective_id(earlier)
    if not same_content:
        return Relation.IDENTIFIER_CONFLICT if same_id else Relation.UNRELATED
    if not same_id:
        return Relation.SAME_CONTENT
    if event.error_declaration == earlier.error_declaration:
        return Relation.SAME_EVENT
    if earlier.error_declaration is None:
        return Relation.ERROR_DECLARATION
    return Relation.DECLARATION_CONFLICT


def effective_id(event: Event) -> str:
    """Give the event's identifier, or its hash identifier where it has none."""
    return event.event_id or event_hash(event)


def declares_error_in(event: Event, earlier: Event) -> bool:
    """Tell whether `event` is the error declaration of `earlier`."""
    return relate(event, earlier) is Relation.ERROR_DECLARATION


def has_true_hash_id(event: Event) -> bool | None:
    """Tell whether an identifier that claims to be the event's hash is it.

    Returns:
        None when the identifier makes no such claim, or claims another version of the algorithm.
    """
    if not _HASH_ID.fullmatch(event.event_id) or not event.event_id.endswith(f"?ver={VERSION}"):
        return None
    return event.event_id == event_hash(event)
