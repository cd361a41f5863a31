"""Checks of one segment against what an implementation asks of its elements.

Owns presence, length, type, code, repetition and the conditions between elements; its faults are those of
IK403. Does not check lists that have an owner outside X12, nor what several segments say together.
"""

import re

from careledger.standards.x12.dates import check_moment, is_date, is_time
from careledger.standards.x12.dictionary import Condition
from careledger.standards.x12.faults import Fault, FaultHandler, Level
from careledger.standards.x12.header import Delimiters
from careledger.standards.x12.tables.notation import ElementRule, SegmentSpec
from careledger.standards.x12.tokens import Segment

_MONEY = "782"
_MONEY_DECIMALS = 2
_FORM, _MOMENT = "1250", "1251"
_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")


class _Report:
    """Where the values being checked stand, and whom to tell."""

    __slots__ = ("component", "element", "position", "repetition", "sink", "spec")

    def __init__(self, spec: SegmentSpec, position: int, sink: FaultHandler) -> None:
        self.spec = spec
        self.position = position
        self.sink = sink
        self.element = 0
        self.component = 0
        self.repetition = 0

    def fault(self, code: str, reference: str, detail: str = "") -> None:
        """Report a fault of the present element or component."""
        self.sink(
            Fault(
                Level.ELEMENT,
                code,
                self.position,
                self.spec.id,
                self.spec.loop_id,
                self.element,
                self.component,
                self.repetition,
                reference,
                detail,
            )
        )


def _check_value(rule: ElementRule, value: str, report: _Report) -> None:
    """Check one present simple value."""
    kind = rule.kind
    length = len(value)
    if kind in {"AN", "ID"}:
        if not (value.isascii() and value.isprintable()):
            report.fault("6", rule.reference)
    elif kind == "DT":
        if not is_date(value):
            report.fault("8", rule.reference)
            return
    elif kind == "TM":
        if not is_time(value):
            report.fault("9", rule.reference)
            return
    else:
        if not (_DECIMAL if kind == "R" else _INTEGER).fullmatch(value):
            report.fault("6", rule.reference)
            return
        length -= value.count("-") + value.count(".")
        if rule.reference == _MONEY and len(value.partition(".")[2].rstrip("0")) > _MONEY_DECIMALS:
            report.fault("I12", rule.reference, "an amount has at most two decimals")
    if length < rule.length_min:
        report.fault("4", rule.reference)
    elif length > rule.length_max:
        report.fault("5", rule.reference)
    elif rule.codes is not None and value not in rule.codes:
        report.fault("7", rule.reference)


def _check_conditions(
    conditions: tuple[Condition, ...], values: list[str], report: _Report, *, inside: bool
) -> None:
    """Check what the presence of some places asks of others; `values[0]` is place 1."""
    count = len(values)
    for kind, places in conditions:
        present = [place for place in places if place <= count and values[place - 1]]
        if kind == "E":
            if len(present) > 1:
                _fault_at(report, "10", present[1], inside=inside)
            continue
        if not present and kind != "R":
            continue
        is_met = (
            len(present) == len(places)
            if kind == "P"
            else bool(present)
            if kind == "R"
            else present[0] != places[0] or len(present) == len(places)
            if kind == "C"
            else present[0] != places[0] or len(present) > 1
        )
        if not is_met:
            missing = next(place for place in places if place not in present)
            _fault_at(report, "2", missing, inside=inside)


def _fault_at(report: _Report, code: str, place: int, *, inside: bool) -> None:
    """Report a broken condition at the place that breaks it."""
    if inside:
        report.component = place
        reference = report.spec.rules[report.element - 1].components[place - 1].reference
    else:
        report.element, report.component = place, 0
        reference = report.spec.rules[place - 1].reference
    report.fault(code, reference)


def _check_composite(rule: ElementRule, text: str, delimiters: Delimiters, report: _Report) -> None:
    """Check one present composite value, component by component."""
    values = text.split(delimiters.component)
    if len(values) > len(rule.components):
        report.fault("13", rule.reference)
    form = ""
    for component, inner in enumerate(rule.components, 1):
        value = values[component - 1] if component <= len(values) else ""
        report.component = component
        if not value:
            if inner.is_required:
                report.fault("1", inner.reference)
        elif not inner.is_used:
            report.fault("I10", inner.reference)
        else:
            _check_value(inner, value, report)
            if inner.reference == _FORM:
                form = value
            elif inner.reference == _MOMENT and form and not check_moment(form, value):
                report.fault("8", inner.reference)
    if rule.conditions:
        _check_conditions(rule.conditions, values, report, inside=True)
    report.component = 0


def _check_element(rule: ElementRule, text: str, delimiters: Delimiters, report: _Report) -> None:
    """Check one present element, every repetition of it."""
    values = [text]
    if rule.repeat > 1 and delimiters.repetition:
        values = text.split(delimiters.repetition)
        if len(values) > rule.repeat:
            report.fault("12", rule.reference)
            values = values[: rule.repeat]
    elif delimiters.repetition and delimiters.repetition in text:
        report.fault("12", rule.reference)
    for repetition, value in enumerate(values, 1):
        report.repetition = repetition if len(values) > 1 else 0
        if rule.components:
            _check_composite(rule, value, delimiters, report)
        else:
            if delimiters.component in value:
                report.fault("13", rule.reference)
            _check_value(rule, value, report)
    report.repetition = 0


def check_segment(
    spec: SegmentSpec, elements: Segment, position: int, delimiters: Delimiters, sink: FaultHandler
) -> None:
    """Report everything wrong with the elements of one segment, one by one.

    Args:
        spec: What the implementation asks at this place.
        elements: The segment.
        position: Its position in the transaction set, from 1 for ST.
        delimiters: Those of the interchange.
        sink: Takes the faults.
    """
    report = _Report(spec, position, sink)
    rules = spec.rules
    count = len(elements) - 1
    if count > len(rules):
        report.element = len(rules) + 1
        report.fault("3", "")
    form = ""
    for place, rule in enumerate(rules, 1):
        value = elements[place] if place <= count else ""
        if not value:
            if rule.is_required:
                report.element = place
                report.fault("1", rule.reference)
            continue
        report.element = place
        if not rule.is_used:
            report.fault("I10", rule.reference)
            continue
        _check_element(rule, value, delimiters, report)
        if rule.reference == _FORM:
            form = value
        elif rule.reference == _MOMENT and form and not check_moment(form, value):
            report.fault("8", rule.reference)
    if spec.conditions:
        _check_conditions(spec.conditions, elements[1:], report, inside=False)
