"""SimpleEventQuery in memory.

Owns the meaning of a predicate: whether one event meets it. A store that compiles predicates to its own language is
checked against this. Subscriptions use it directly, event by event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from careledger.standards.epcis.model import Content, Event, MasterDataVocabulary
from careledger.standards.epcis.query_fields import Found, identifiers_of_field, scalars, values_of
from careledger.standards.epcis.query_model import Clause, EPCPattern, Operator, Predicate, Subject, Value
from careledger.standards.epcis.query_patterns import matches_pattern
from careledger.standards.epcis.timestamps import Instant, InvalidTime, parse_instant
from careledger.standards.epcis.values import parse_number
from careledger.standards.gs1.canonical import canonical_uri


class MasterData:
    """Master data for queries: which places lie within which, and attributes of identifiers.

    Args:
        vocabularies: master data of documents, in the order of arrival; later entries add to earlier ones.
    """

    def __init__(self, vocabularies: Iterable[MasterDataVocabulary] = ()) -> None:
        self._children: dict[str, set[str]] = {}
        self._attributes: dict[str, dict[str, list[str]]] = {}
        for vocabulary in vocabularies:
            for element in vocabulary.elements:
                key = element.id.canonical
                self._children.setdefault(key, set()).update(child.canonical for child in element.children)
                known = self._attributes.setdefault(key, {})
                for field in element.attributes:
                    known.setdefault(field.name, []).extend(_texts_of(field.content))

    def within(self, canonical: str) -> frozenset[str]:
        """Give a place and every place inside it, at any depth."""
        found = {canonical}
        waiting = [canonical]
        while waiting:
            for child in self._children.get(waiting.pop(), ()):
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return frozenset(found)

    def attributes(self, canonical: str) -> Mapping[str, list[str]]:
        """Give the attributes of an identifier by name."""
        return self._attributes.get(canonical, {})


_NO_MASTER_DATA = MasterData()


def matches(event: Event, predicate: Predicate, masterdata: MasterData = _NO_MASTER_DATA) -> bool:
    """Tell whether an event meets every clause of a predicate.

    Args:
        event: the event.
        predicate: from `query_parameters`; order and limits are not looked at.
        masterdata: for `WD_`, `HASATTR_` and `EQ_ATTR_` parameters.
    """
    return all(_meets(event, clause, masterdata) for clause in predicate.clauses)


def order_key(event: Event, clause: Clause) -> tuple[int, Decimal, str]:
    """Give a sort key for `orderBy`; events without the field come first in ascending order."""
    for value in values_of(event, clause):
        if isinstance(value, Instant):
            return 1, Decimal(value.epoch_us), ""
        number = _as_number(value)
        if number is not None:
            return 1, number, ""
        if isinstance(value, str):
            return 2, Decimal(0), value
    return 0, Decimal(0), ""


def _meets(event: Event, clause: Clause, masterdata: MasterData) -> bool:
    if clause.subject is Subject.MASTER_DATA:
        return _meets_master_data(event, clause, masterdata)
    found = values_of(event, clause)
    if clause.operator is Operator.EXISTS:
        return any(True for _ in found) is not (False in clause.values)
    if clause.operator is Operator.WITHIN:
        places = frozenset().union(*(masterdata.within(str(value)) for value in clause.values))
        return any(value in places for value in found)
    if clause.operator is Operator.MATCH:
        patterns = [value for value in clause.values if isinstance(value, EPCPattern)]
        return any(matches_pattern(pattern, str(value)) for value in found for pattern in patterns)
    compare = _COMPARISONS[clause.operator]
    return any(compare(value, wanted) for value in found for wanted in clause.values)


def _equals(value: Found, wanted: Value) -> bool:
    if isinstance(wanted, Decimal):
        return _as_number(value) == wanted
    if isinstance(wanted, Instant):
        moment = _as_instant(value)
        return moment is not None and moment.epoch_us == wanted.epoch_us
    if isinstance(value, bool) and isinstance(wanted, str):
        return ("true" if value else "false") == wanted
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted or canonical_uri(value) == canonical_uri(wanted)
    if isinstance(wanted, str):
        number = parse_number(wanted)
        return number is not None and _as_number(value) == number
    return value == wanted


def _ordered(test: Callable[[int | Decimal, int | Decimal], bool]) -> Callable[[Found, Value], bool]:
    def compare(value: Found, wanted: Value) -> bool:
        if isinstance(wanted, Decimal):
            number = _as_number(value)
            return number is not None and test(number, wanted)
        if isinstance(wanted, Instant):
            moment = _as_instant(value)
            return moment is not None and test(moment.epoch_us, wanted.epoch_us)
        return False

    return compare


_COMPARISONS: dict[Operator, Callable[[Found, Value], bool]] = {
    Operator.EQ: _equals,
    Operator.GT: _ordered(lambda value, wanted: value > wanted),
    Operator.GE: _ordered(lambda value, wanted: value >= wanted),
    Operator.LT: _ordered(lambda value, wanted: value < wanted),
    Operator.LE: _ordered(lambda value, wanted: value <= wanted),
}


def _as_number(value: Found) -> Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    number = parse_number(value) if isinstance(value, str) else None
    return None if number is None else Decimal(number)


def _as_instant(value: Found) -> Instant | None:
    if isinstance(value, Instant):
        return value
    if isinstance(value, str):
        try:
            return parse_instant(value)
        except InvalidTime:
            return None
    return None


def _texts_of(content: Content) -> list[str]:
    return [str(scalar) for scalar in scalars(content) if scalar is not None]


def _meets_master_data(event: Event, clause: Clause, masterdata: MasterData) -> bool:
    for canonical in identifiers_of_field(event, clause.qualifier):
        attributes = masterdata.attributes(canonical)
        if clause.operator is Operator.HAS_ATTRIBUTE:
            if any(str(name) in attributes for name in clause.values):
                return True
        elif any(str(value) in attributes.get(clause.name, ()) for value in clause.values):
            return True
    return False
