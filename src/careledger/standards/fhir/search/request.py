"""Search requests: from names and values to a `Query`.

Owns the parameters that shape an answer (`_sort`, `_count`, `_total`, `_summary`, `_elements`, `_include`,
`_revinclude`, `_type`), strict and lenient handling (FHIR R4 §3.1.1.4.1), and the limits on a request as a whole.
Pure: reads no clock and no data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from careledger.standards.fhir.search.definitions import Kind
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import (
    Branch,
    Condition,
    Include,
    Issue,
    Limits,
    Query,
    SearchRejected,
    SortKey,
    Summary,
    Total,
)
from careledger.standards.fhir.search.request_names import NameReader, UnknownParameter
from careledger.standards.fhir.search.request_values import Reading

DEFAULT_LIMITS: Final = Limits()
_TRANSPORT: Final = frozenset({"_format", "_pretty"})
"""Parameters of the transport, which searching passes over."""
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)*")
_UNSORTABLE: Final = frozenset({Kind.COMPOSITE, Kind.SPECIAL, Kind.PHONETIC})
_WILDCARD: Final = "*"


def parse_query_string(text: str, *, limits: Limits = DEFAULT_LIMITS) -> tuple[tuple[str, str], ...]:
    """Split a query string into names and values, percent-decoding both (UTF-8).

    Raises:
        SearchRejected: It is too long, has too many parameters or is not UTF-8.
    """
    if len(text) > limits.request_chars_max:
        raise SearchRejected(Issue.TOO_COSTLY, "request too long")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=limits.parameters_max)
    except UnicodeDecodeError as error:
        raise SearchRejected(Issue.INVALID, "not UTF-8") from error
    except ValueError as error:
        raise SearchRejected(Issue.TOO_COSTLY, "too many parameters") from error
    return tuple(pairs)


def parse_search(
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    now_ms: int,
    own_base: str = "",
    is_strict: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> Query:
    """Understand a search request.

    Args:
        resource_type: type searched, or empty for a search over the types that `_type` names (all without it).
        pairs: names and values in the order of the request, percent-decoding done.
        now_ms: current time, for prefix `ap` on dates.
        own_base: this server's base URL with its final slash; references below it are local.
        is_strict: refuse unknown parameters (`Prefer: handling=strict`) instead of passing over them.
        limits: bounds to keep.

    Raises:
        SearchRejected: The request is malformed, asks for what is not offered, or exceeds a limit.
        KeyError: R4 has no such resource type.
    """
    if sum(len(name) + len(value) for name, value in pairs) > limits.request_chars_max:
        raise SearchRejected(Issue.TOO_COSTLY, "request too long")
    if len(pairs) > limits.parameters_max:
        raise SearchRejected(Issue.TOO_COSTLY, "too many parameters")
    reader = _RequestReader(
        resource_type, Reading(now_ms=now_ms, own_base=own_base, limits=limits), is_strict
    )
    for number, (name, value) in enumerate(pairs, start=1):
        reader.read(number, name, value)
    return reader.finish()


class _RequestReader:
    """Collects what the parameters of one request say."""

    def __init__(self, resource_type: str, reading: Reading, is_strict: bool) -> None:
        self._reading = reading
        self._limits = reading.limits
        self._is_strict = is_strict
        self._is_typed = bool(resource_type)
        self._types: tuple[str, ...] = (resource_type,) if resource_type else ()
        if resource_type:
            parameters(resource_type)
        self._named: list[tuple[str, str, str]] = []
        self._includes: list[Include] = []
        self._sort = ("", "")
        self._single: dict[str, str] = {}
        self._count: int | None = None
        self._total: Total | None = None
        self._summary = Summary.FALSE
        self._elements: tuple[str, ...] = ()
        self._ignored: list[str] = []

    def read(self, number: int, name: str, value: str) -> None:
        """Take in one parameter."""
        at = f"parameter {number}"
        if name in _TRANSPORT or not value:
            return
        base, _, modifier = name.partition(":")
        if base in {"_include", "_revinclude"}:
            self._read_include(base, modifier, value, at)
        elif name in {"_sort", "_count", "_total", "_summary", "_elements", "_type", "_contained"}:
            at = f"{at} ({name})"
            if name in self._single:
                raise SearchRejected(Issue.INVALID, "given twice", at=at)
            self._single[name] = value
            self._read_single(name, value, at)
        else:
            self._named.append((at, name, value))

    def _read_single(self, name: str, value: str, at: str) -> None:
        """Take in a parameter that may occur once."""
        if name == "_sort":
            self._sort = (at, value)
        elif name == "_count":
            if not value.isascii() or not value.isdecimal() or len(value) > 9:
                raise SearchRejected(Issue.INVALID, "not a count", at=at)
            self._count = min(int(value), self._limits.count_max)
        elif name == "_total":
            self._total = next((known for known in Total if known.value == value), None)
            if self._total is None:
                raise SearchRejected(Issue.INVALID, "is none, estimate or accurate", at=at)
        elif name == "_summary":
            summary = next((known for known in Summary if known.value == value), None)
            if summary is None:
                raise SearchRejected(Issue.INVALID, "is true, text, data, count or false", at=at)
            self._summary = summary
        elif name == "_elements":
            self._elements = tuple(part for part in value.split(",") if part)
            if not all(_ELEMENT.fullmatch(part) for part in self._elements):
                raise SearchRejected(Issue.INVALID, "not element names", at=at)
        elif name == "_contained":
            if value != "false":
                raise SearchRejected(Issue.NOT_SUPPORTED, "contained resources are not searched", at=at)
        else:
            self._read_types(value, at)

    def _read_types(self, value: str, at: str) -> None:
        """Take in `_type`."""
        if self._is_typed:
            raise SearchRejected(Issue.INVALID, "belongs to searches over several types", at=at)
        self._types = tuple(dict.fromkeys(part for part in value.split(",") if part))
        if not set(self._types) <= set(resource_types()):
            raise SearchRejected(Issue.INVALID, "no such resource type", at=at)

    def _read_include(self, base: str, modifier: str, value: str, at: str) -> None:
        """Take in `_include` or `_revinclude`: `*`, `Source:*`, `Source:code` or `Source:code:Target`."""
        at = f"{at} ({base})"
        if modifier not in {"", "iterate", "recurse"}:
            raise SearchRejected(Issue.NOT_SUPPORTED, "modifier not supported", at=at)
        if len(self._includes) >= self._limits.includes_max:
            raise SearchRejected(Issue.TOO_COSTLY, "too many inclusions", at=at)
        source, _, rest = value.partition(":")
        code, _, target = rest.partition(":")
        if source == _WILDCARD and not rest:
            source, code = "", ""
        elif source not in resource_types() or not code or (target and target not in resource_types()):
            raise SearchRejected(
                Issue.INVALID, "not of the form Type:parameter or Type:parameter:Type", at=at
            )
        elif code == _WILDCARD:
            code = ""
        else:
            parameter = parameters(source).get(code)
            if parameter is None or parameter.kind is not Kind.REFERENCE:
                raise SearchRejected(Issue.INVALID, "inclusion needs a reference parameter", at=at)
            if target and parameter.targets and target not in parameter.targets:
                raise SearchRejected(Issue.INVALID, "the reference never leads to such a type", at=at)
        self._includes.append(Include(source, code, target, base == "_revinclude", bool(modifier)))

    def _read_conditions(self, resource_type: str) -> tuple[Condition, ...]:
        """Read the remaining parameters as conditions on a type."""
        conditions = []
        for at, name, value in self._named:
            code = name.partition(".")[0].partition(":")[0]
            place = f"{at} ({code})" if code in parameters(resource_type) else at
            try:
                condition = NameReader(self._reading, place, value).read(resource_type, name)
            except UnknownParameter:
                # Over several types, passing over it for some of them would return all of those.
                if self._is_strict or len(self._types) > 1:
                    raise
                self._ignored.append(at)
                continue
            if condition is not None:
                conditions.append(condition)
        return tuple(conditions)

    def _read_sort(self) -> tuple[SortKey, ...]:
        """Read `_sort`, whose keys all types searched must have."""
        at, value = self._sort
        keys = [SortKey(part.removeprefix("-"), part.startswith("-")) for part in value.split(",") if part]
        if len(keys) > self._limits.sorts_max:
            raise SearchRejected(Issue.TOO_COSTLY, "too many keys", at=at)
        kept = []
        for key in keys:
            known = [parameters(name).get(key.code) for name in self._types]
            if all(parameter is not None and parameter.kind not in _UNSORTABLE for parameter in known):
                kept.append(key)
            elif self._is_strict:
                raise SearchRejected(Issue.NOT_SUPPORTED, "cannot sort by that", at=at)
            else:
                self._ignored.append(at)
        return tuple(kept)

    def finish(self) -> Query:
        """Return the request as understood."""
        if not self._types:
            self._types = resource_types()
        branches = tuple(Branch(name, self._read_conditions(name)) for name in self._types)
        spelled = sorted((name, value) for _, name, value in self._named)
        return Query(
            branches=branches,
            includes=tuple(self._includes),
            sorts=self._read_sort(),
            count=self._count,
            total=self._total,
            summary=self._summary,
            elements=self._elements,
            ignored=tuple(dict.fromkeys(self._ignored)),
            canonical=repr((self._types, spelled, self._sort[1])),
        )
