"""SimpleEventQuery compiled to SQL.

Owns which clauses become SQL and which are left for `standards.epcis.query.matches`, event by event. Whatever is
compiled means exactly the same there: the tests compare both on the same events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from careledger.domains.supply.service.events.schema import ObjectKind
from careledger.standards.epcis.query import MasterData
from careledger.standards.epcis.query_model import Clause, EPCPattern, Operator, Predicate, Subject
from careledger.standards.epcis.timestamps import Instant
from careledger.standards.gs1.canonical import canonical_uri
from careledger.standards.gs1.prefixes import prefix_start

_STEM: Final = "https://id.gs1.org/"
_TIMES = {Subject.EVENT_TIME: "event_us", Subject.RECORD_TIME: "record_us"}
_COMPARED = {
    Operator.GE: ">=",
    Operator.LT: "<",
}
_COLUMNS = {
    Subject.EVENT_TYPE: "type",
    Subject.EVENT_ID: "event_id",
    Subject.ACTION: "action",
    Subject.BIZ_STEP: "biz_step",
    Subject.DISPOSITION: "disposition",
    Subject.READ_POINT: "read_point",
    Subject.BIZ_LOCATION: "biz_location",
}
_OBJECTS = {
    Subject.EPC: (ObjectKind.EPC,),
    Subject.PARENT_ID: (ObjectKind.PARENT,),
    Subject.INPUT_EPC: (ObjectKind.INPUT,),
    Subject.OUTPUT_EPC: (ObjectKind.OUTPUT,),
    Subject.ANY_EPC: (ObjectKind.EPC, ObjectKind.PARENT, ObjectKind.INPUT, ObjectKind.OUTPUT),
    Subject.EPC_CLASS: (ObjectKind.EPC_CLASS,),
    Subject.INPUT_EPC_CLASS: (ObjectKind.INPUT_CLASS,),
    Subject.OUTPUT_EPC_CLASS: (ObjectKind.OUTPUT_CLASS,),
    Subject.ANY_EPC_CLASS: (ObjectKind.EPC_CLASS, ObjectKind.INPUT_CLASS, ObjectKind.OUTPUT_CLASS),
}
Part = tuple[str, list[str | int]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A predicate in two parts."""

    where: str
    """Conditions joined by AND; never empty."""
    values: tuple[str | int, ...]
    """Bound in order."""
    residual: tuple[Clause, ...]
    """What has to be asked of each event."""


def compile_predicate(predicate: Predicate, masterdata: MasterData) -> Compiled:
    """Compile what can be compiled."""
    conditions = ["1"]
    values: list[str | int] = []
    residual = []
    for clause in predicate.clauses:
        part = _compile(clause, masterdata)
        if part is None:
            residual.append(clause)
        else:
            conditions.append(part[0])
            values += part[1]
    return Compiled(" AND ".join(conditions), tuple(values), tuple(residual))


def _compile(clause: Clause, masterdata: MasterData) -> Part | None:
    if clause.operator in _COMPARED and clause.subject in _TIMES:
        moments = [value for value in clause.values if isinstance(value, Instant)]
        if len(moments) == len(clause.values) == 1:
            return f"{_TIMES[clause.subject]} {_COMPARED[clause.operator]} ?", [moments[0].epoch_us]
        return None
    if clause.subject in _COLUMNS and clause.operator in (Operator.EQ, Operator.WITHIN):
        return _compile_column(clause, masterdata)
    if clause.subject in _OBJECTS and clause.operator is Operator.MATCH:
        return _compile_objects(clause)
    if clause.subject is Subject.ERROR_DECLARATION and clause.operator is Operator.EXISTS:
        return f"declaration IS {'' if False in clause.values else 'NOT '}NULL", []
    return None


def _compile_column(clause: Clause, masterdata: MasterData) -> Part | None:
    texts = [value for value in clause.values if isinstance(value, str)]
    if len(texts) != len(clause.values) or not texts:
        return None
    if clause.operator is Operator.WITHIN:
        wanted = sorted({place for text in texts for place in masterdata.within(text)})
    elif clause.subject in (Subject.READ_POINT, Subject.BIZ_LOCATION):
        # Stored in canonical form, so the canonical form of what is asked for decides.
        wanted = sorted({*texts, *map(canonical_uri, texts)})
    elif any(canonical_uri(text) != text or text.startswith(_STEM) for text in texts):
        # Another spelling of the same GS1 identifier would meet it too; that is asked of each event.
        return None
    else:
        wanted = texts
    column = _COLUMNS[clause.subject]
    # An event without the field meets no condition on it, not even one on nothing.
    return f"({column} <> '' AND {column} IN ({_marks(wanted)}))", [*wanted]


def _compile_objects(clause: Clause) -> Part | None:
    patterns = [value for value in clause.values if isinstance(value, EPCPattern)]
    if len(patterns) != len(clause.values) or not patterns:
        return None
    alternatives: list[str] = []
    values: list[str | int] = []
    for pattern in patterns:
        if pattern.company_prefix:
            head = f"{_STEM}{pattern.ai}/"
            start = len(head) + prefix_start(pattern.ai)
            alternatives.append("(value >= ? AND value < ? AND substr(value, ?, ?) = ?)")
            values += [head, _after(head), start + 1, len(pattern.company_prefix), pattern.company_prefix]
        elif pattern.is_class and pattern.canonical.startswith((f"{_STEM}8003/", f"{_STEM}25")):
            return None
        else:
            alternatives.append("value = ?")
            values.append(pattern.canonical)
            if pattern.is_class:
                below = f"{pattern.canonical}/"
                alternatives.append("(value >= ? AND value < ?)")
                values += [below, _after(below)]
    kinds = ", ".join(str(int(kind)) for kind in _OBJECTS[clause.subject])
    return (
        f"row IN (SELECT event FROM epcis_object WHERE kind IN ({kinds}) AND ({' OR '.join(alternatives)}))",
        values,
    )


def _after(prefix: str) -> str:
    """First text after all texts with the prefix, which ends in a slash."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
