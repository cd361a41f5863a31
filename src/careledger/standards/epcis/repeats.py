"""Events of one document that share an identifier.

Owns the rule that an identifier names one event: said twice it is remarked on, with a declaration that the first was
wrong it is in order, and with other content the later event is barred. Events captured earlier are the service's
concern; it uses `corrections` in the same way.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from careledger.standards.epcis.corrections import Relation, relate
from careledger.standards.epcis.document import EventResult
from careledger.standards.epcis.errors import Problem, ProblemCode, Severity
from careledger.standards.epcis.model import Event

_CONFLICTS = (Relation.IDENTIFIER_CONFLICT, Relation.DECLARATION_CONFLICT)


def examine_repeats(
    results: list[EventResult], locate: Callable[[int, Problem], Problem]
) -> tuple[EventResult, ...]:
    """Examine the events of a document that share an identifier; the usual document has none.

    Args:
        results: what was read, in order.
        locate: puts a problem at the identifier of the event with a given number.
    """
    first: dict[str, Event] = {}
    for number, result in enumerate(results):
        event = result.event
        if event is None or not event.event_id:
            continue
        earlier = first.setdefault(event.event_id, event)
        if earlier is event:
            continue
        relation = relate(event, earlier)
        if relation is Relation.ERROR_DECLARATION:
            continue
        is_conflict = relation in _CONFLICTS
        problem = Problem(
            code=ProblemCode.DUPLICATE_IDENTIFIER,
            severity=Severity.ERROR if is_conflict else Severity.WARNING,
            message=(
                "another event of this document has the same identifier"
                if is_conflict
                else "the same event stands in this document before"
            ),
        )
        results[number] = msgspec.structs.replace(
            result,
            event=None if is_conflict else event,
            problems=(*result.problems, locate(number, problem)),
        )
    return tuple(results)
