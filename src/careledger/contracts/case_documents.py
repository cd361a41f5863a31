"""YAML as test cases use it: mappings, lists, texts, whole numbers, true, false, null; nothing else.

Owns the strict reading of such a text, because YAML's own rules would turn `2026-01-31` into a date, `no` into false
and `12.50` into a fraction. Here a plain scalar is a whole number, a truth value, null or else a text; and below a key
that ends in `_minor` numbers are amounts with exactly two decimals, read as minor units: `charge_minor: 125.00` is
12500. Written otherwise, as 125 or 1,250.00, they are refused: in `{a_minor: 1,250.00}` the comma ends the value, and
what was meant is anybody's guess. Anchors, aliases, tags and a key given twice are refused too; size and depth are
bounded. Needs PyYAML.
"""

import re
from dataclasses import dataclass
from typing import Final, Protocol

import yaml

from careledger.contracts.faults import Location
from careledger.contracts.semantics.money import minor_units

TEXT_BYTES_MAX: Final = 512 * 1024
DEPTH_MAX: Final = 24

Given = None | bool | int | str | list["Given"] | dict[str | int, "Given"]

_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,37})\Z", re.ASCII)
_AMOUNT: Final = re.compile(r"-?[0-9]+\.[0-9]{2}\Z", re.ASCII)
_NUMBER_LIKE: Final = re.compile(r"-?[0-9][0-9,._]*\Z", re.ASCII)
_WORDS: Final[dict[str, Given]] = {"true": True, "false": False, "null": None, "~": None, "": None}


class CasesRefused(ValueError):  # noqa: N818 - named for what happened, as ContractRefused is
    """The text is not a usable file of test cases; `location` says where."""

    def __init__(self, detail: str, location: Location) -> None:
        self.detail = detail
        self.location = location
        super().__init__(f"{location}: {detail}")


Path = tuple[str | int, ...]
"""Keys and positions that lead from the whole document to one of its values."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text that was read: its one mapping, and where every value stands."""

    entries: dict[str | int, Given]
    places: dict[Path, Location]


def read_document(text: str) -> Document:
    """Return the one mapping a YAML text holds.

    Raises:
        CasesRefused: the text is not YAML, or uses what is refused here.
    """
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise CasesRefused(f"at most {TEXT_BYTES_MAX} bytes", Location(1, 1))
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        raise CasesRefused(error.problem or "this is not YAML", _place(error.problem_mark)) from None
    except yaml.YAMLError:
        raise CasesRefused("this is not YAML", Location(1, 1)) from None


class _Mark(Protocol):
    """Where PyYAML says something stands, counted from 0."""

    line: int
    column: int


def _place(mark: _Mark | None) -> Location:
    return Location(1, 1) if mark is None else Location(mark.line + 1, mark.column + 1)


class _Reader:
    """Builds values from YAML's events, one level of recursion per level of nesting."""

    def __init__(self, text: str) -> None:
        self.events = yaml.parse(text, Loader=yaml.SafeLoader)
        self.places: dict[Path, Location] = {}

    def document(self) -> Document:
        self._expect(yaml.StreamStartEvent)
        self._expect(yaml.DocumentStartEvent)
        value = self._value(next(self.events), (), is_amount=False)
        self._expect(yaml.DocumentEndEvent)
        self._expect(yaml.StreamEndEvent)
        if not isinstance(value, dict):
            raise CasesRefused("the file is a mapping", self.places[()])
        return Document(value, self.places)

    def _expect(self, kind: type[yaml.Event]) -> None:
        event = next(self.events)
        if not isinstance(event, kind):
            raise CasesRefused("the file holds one document", _place(event.start_mark))

    def _value(self, event: yaml.Event, path: Path, *, is_amount: bool) -> Given:
        location = self.places[path] = _place(event.start_mark)
        if len(path) > DEPTH_MAX:
            raise CasesRefused("this is nested too deeply", location)
        if isinstance(event, yaml.AliasEvent):
            raise CasesRefused("aliases are not used here", location)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise CasesRefused("anchors are not used here", location)
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise CasesRefused("tags are not used here", location)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, is_amount=is_amount)
        if isinstance(event, yaml.SequenceStartEvent):
            elements: list[Given] = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                elements.append(self._value(event, (*path, len(elements)), is_amount=is_amount))
            return elements
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, is_amount=is_amount)
        raise CasesRefused("a value is expected here", location)

    def _mapping(self, path: Path, *, is_amount: bool) -> dict[str | int, Given]:
        entries: dict[str | int, Given] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = _place(event.start_mark)
            key = _scalar(event, is_amount=False) if isinstance(event, yaml.ScalarEvent) else None
            if type(key) is not str and type(key) is not int:
                raise CasesRefused("a key is a text or a whole number", place)
            if key in entries:
                raise CasesRefused("this key stands here twice", place)
            below = is_amount or (isinstance(key, str) and key.endswith("_minor"))
            entries[key] = self._value(next(self.events), (*path, key), is_amount=below)
        return entries


def _scalar(event: yaml.ScalarEvent, *, is_amount: bool) -> Given:
    text = event.value
    if event.style is not None or not isinstance(text, str):
        return str(text)
    if text in _WORDS:
        return _WORDS[text]
    if is_amount and _NUMBER_LIKE.match(text):
        try:
            return minor_units(text if _AMOUNT.match(text) else "")
        except ValueError:
            detail = "amounts have two decimals and no comma: 1250.00"
            raise CasesRefused(detail, _place(event.start_mark)) from None
    return int(text) if _WHOLE.match(text) else text
