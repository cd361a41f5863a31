"""One pattern for a whole segment: the fast way to say that nothing is wrong with it.

Owns the compiling of what an implementation asks of a segment into a regular expression. A pattern accepts
only segments that `checks` would find no fault with; it does not accept all of them (a leap day, a period, a
long number take the long way), so what it refuses proves nothing. Values are bounded by their delimiters, so
matching takes linear time.
"""

import re
from functools import lru_cache

from careledger.standards.x12.dictionary import Condition
from careledger.standards.x12.header import Delimiters
from careledger.standards.x12.tables.notation import ElementRule, SegmentSpec

_DATE = r"(?:19|20)\d\d(?:(?:0[1-9]|1[0-2])(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])(?:29|30)|(?:0[13578]|1[02])31)"
"""Dates that exist in every year."""
_TIME = r"(?:[01]\d|2[0-3])[0-5]\d"
_FORM, _MOMENT = "1250", "1251"
_MOMENTS = {"D8": _DATE, "TM": _TIME}
_PRESENCES_MAX = 512

Pattern = re.Pattern[str]


class SegmentPattern:
    """Says of most faultless segments of one place that they are."""

    __slots__ = ("_conditions", "_pattern", "_presences")

    def __init__(self, spec: SegmentSpec, delimiters: Delimiters) -> None:
        text = _segment_text(spec, delimiters)
        self._pattern: Pattern | None = re.compile(text, re.ASCII) if text is not None else None
        self._conditions = spec.conditions
        self._presences: dict[tuple[bool, ...], bool] = {}

    def accepts(self, elements: list[str], separator: str) -> bool:
        """Tell whether the segment is known to be without fault."""
        if self._pattern is None or self._pattern.fullmatch(separator.join(elements)) is None:
            return False
        if not self._conditions:
            return True
        # Conditions ask only which elements are there, and few combinations ever occur.
        presence = tuple(map(bool, elements))
        holds = self._presences.get(presence)
        if holds is None:
            holds = all(_holds(condition, presence) for condition in self._conditions)
            if len(self._presences) < _PRESENCES_MAX:
                self._presences[presence] = holds
        return holds


def _holds(condition: Condition, presence: tuple[bool, ...]) -> bool:
    """Tell whether a condition holds; `presence[0]` is the segment identifier."""
    present = [place < len(presence) and presence[place] for place in condition.places]
    if condition.kind == "P":
        return all(present) or not any(present)
    if condition.kind == "R":
        return any(present)
    if condition.kind == "E":
        return sum(present) <= 1
    if condition.kind == "C":
        return not present[0] or all(present)
    return not present[0] or any(present[1:])


def _number(rule: ElementRule, *, decimals: int) -> str | None:
    """Return a pattern for numbers well within the length."""
    whole_max = rule.length_max - decimals
    if rule.length_min > 1 or whole_max < 1:
        return rf"\d{{{rule.length_min},{rule.length_max}}}" if not decimals else None
    fraction = rf"(?:\.\d{{0,{decimals}}})?" if decimals else ""
    return rf"-?\d{{1,{whole_max}}}{fraction}"


def _value(rule: ElementRule, delimiters: Delimiters) -> str | None:
    """Return a pattern for one simple value, None if there is no fast way."""
    if rule.codes is not None:
        codes = [code for code in sorted(rule.codes) if rule.length_min <= len(code) <= rule.length_max]
        return f"(?:{'|'.join(map(re.escape, codes))})" if codes else None
    if rule.kind in {"AN", "ID"}:
        barred = "".join(map(re.escape, (delimiters.element, delimiters.component, delimiters.repetition)))
        # Printable ASCII without the delimiters.
        return rf"(?:(?![{barred}])[ -~]){{{rule.length_min},{rule.length_max}}}"
    if rule.kind == "DT":
        return _DATE if rule.length_max == 8 else None
    if rule.kind == "TM":
        return _TIME
    return _number(rule, decimals=2 if rule.kind == "R" and rule.length_max > 2 else 0)


def _sequence(rules: list[str | None], required: list[bool], separator: str) -> str | None:
    """Join place patterns; what follows the last required place may be left out from the end.

    A place of None is one that cannot be matched: required, it spoils the whole; optional, it must be empty.
    """
    last = max((at for at, is_required in enumerate(required) if is_required), default=-1)
    head, tail = "", ""
    for at, (text, is_required) in enumerate(zip(rules, required, strict=True)):
        if is_required and text is None:
            return None
        place = text if is_required else f"(?:{text})?" if text else ""
        if at <= last:
            head += f"{separator if at else ''}{place}"
    for at in range(len(rules) - 1, last, -1):
        text = rules[at]
        place = f"(?:{text})?" if text else ""
        tail = f"{place}{tail}" if not at else f"(?:{separator}{place}{tail})?"
    return head + tail


def _moment(rules: tuple[ElementRule, ...], at: int) -> str | None:
    """Return a pattern for a date whose form another place states; only where that place permits one form."""
    forms = [rule.codes for rule in rules[:at] if rule.reference == _FORM and rule.is_used]
    if len(forms) == 1 and forms[0] is not None and len(forms[0]) == 1:
        return _MOMENTS.get(next(iter(forms[0])))
    return None


def _composite(rule: ElementRule, delimiters: Delimiters) -> str | None:
    """Return a pattern for one composite value, None if there is no fast way."""
    conditioned = {place for condition in rule.conditions for place in condition.places}
    texts: list[str | None] = []
    for place, inner in enumerate(rule.components, 1):
        if not inner.is_used or (place in conditioned and not inner.is_required):
            texts.append(None)
        elif inner.reference == _MOMENT:
            texts.append(_moment(rule.components, place - 1))
        else:
            texts.append(_value(inner, delimiters))
    if conditioned & {place for place, inner in enumerate(rule.components, 1) if inner.is_required}:
        return None
    required = [inner.is_required for inner in rule.components]
    return _sequence(texts, required, re.escape(delimiters.component))


def _segment_text(spec: SegmentSpec, delimiters: Delimiters) -> str | None:
    """Return the pattern of a whole segment, None if there is no fast way."""
    texts: list[str | None] = [re.escape(spec.id)]
    required = [True]
    for at, rule in enumerate(spec.rules):
        if not rule.is_used or rule.repeat > 1:
            texts.append(None)
        elif rule.components:
            texts.append(_composite(rule, delimiters))
        elif rule.reference == _MOMENT:
            texts.append(_moment(spec.rules, at))
        else:
            texts.append(_value(rule, delimiters))
        required.append(rule.is_required)
    # The last required place has something before it at least: the identifier.
    return _sequence(texts, required, re.escape(delimiters.element))


@lru_cache(maxsize=4096)
def segment_pattern(spec: SegmentSpec, delimiters: Delimiters) -> SegmentPattern:
    """Return the pattern of one place, compiled on first use.

    Delimiters come from the input, so the cache is bounded; it holds several times what all tables have places.
    """
    return SegmentPattern(spec, delimiters)
