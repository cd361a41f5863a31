"""Names of search parameters: modifiers, chains and reverse chains.

Owns FHIR R4 §3.1.1.4.2 (chaining) and §3.1.1.4.3 (`_has`): from the text before the equals sign to conditions
on a resource type.
"""

from __future__ import annotations

from careledger.standards.fhir.search.definitions import Kind, Parameter
from careledger.standards.fhir.search.elements import resource_types
from careledger.standards.fhir.search.parameters import parameters
from careledger.standards.fhir.search.query import (
    Chain,
    Condition,
    Has,
    Issue,
    Match,
    Modifier,
    SearchRejected,
)
from careledger.standards.fhir.search.request_values import Reading, read_values

_COMMON = {Modifier.NONE, Modifier.MISSING}
ALLOWED_MODIFIERS: dict[Kind, frozenset[Modifier]] = {
    Kind.NUMBER: frozenset(_COMMON),
    Kind.DATE: frozenset(_COMMON),
    Kind.QUANTITY: frozenset(_COMMON),
    Kind.SPECIAL: frozenset(_COMMON),
    Kind.PHONETIC: frozenset(_COMMON),
    Kind.COMPOSITE: frozenset({Modifier.NONE}),
    Kind.STRING: frozenset({*_COMMON, Modifier.EXACT, Modifier.CONTAINS}),
    Kind.TOKEN: frozenset({*_COMMON, Modifier.TEXT, Modifier.NOT, Modifier.OF_TYPE}),
    Kind.REFERENCE: frozenset({*_COMMON, Modifier.IDENTIFIER}),
    Kind.URI: frozenset({*_COMMON, Modifier.ABOVE, Modifier.BELOW}),
}
"""Which modifiers a kind of parameter takes. A reference also takes a resource type.

`:in`, `:not-in`, and `:above` and `:below` on tokens need a terminology server and are refused.
"""
_HAS = "_has:"
_BOOLEANS = {"true": True, "false": False}


class UnknownParameter(SearchRejected):
    """The parameter is not defined; lenient handling passes over it."""


class NameReader:
    """Reads the name and value of one parameter into a condition."""

    def __init__(self, reading: Reading, at: str, value: str) -> None:
        """Build a reader.

        Args:
            reading: clock, own base and limits.
            at: place of the parameter in the request, for errors.
            value: what follows the equals sign.
        """
        self._reading = reading
        self._at = at
        self._value = value
        self._alternatives = 0

    def read(self, resource_type: str, name: str, *, hops: int = 0) -> Condition | None:
        """Read a name as seen from a resource type; None when there is no value to compare with.

        Raises:
            SearchRejected: The name or value is malformed, not supported or beyond a limit.
        """
        if hops > self._reading.limits.hops_max:
            raise SearchRejected(Issue.TOO_COSTLY, "chain too long", at=self._at)
        if name.startswith(_HAS):
            return self._read_has(resource_type, name[len(_HAS) :], hops)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = parameters(resource_type).get(code)
        if parameter is None:
            raise UnknownParameter(Issue.NOT_SUPPORTED, "unknown search parameter", at=self._at)
        if dot:
            return self._read_chain(parameter, modifier, rest, hops)
        return self._read_match(parameter, modifier)

    def _read_has(self, resource_type: str, rest: str, hops: int) -> Condition | None:
        """Read `Type:reference:name` of a reverse chain."""
        parts = rest.split(":", 2)
        if len(parts) != 3 or parts[0] not in resource_types():
            raise SearchRejected(Issue.INVALID, "not of the form _has:Type:reference:parameter", at=self._at)
        parameter = parameters(parts[0]).get(parts[1])
        if parameter is None or parameter.kind is not Kind.REFERENCE:
            raise SearchRejected(Issue.INVALID, "_has needs a reference parameter", at=self._at)
        if parameter.targets and resource_type not in parameter.targets:
            raise SearchRejected(Issue.INVALID, "_has over a reference that never leads here", at=self._at)
        condition = self.read(parts[0], parts[2], hops=hops + 1)
        return None if condition is None else Has(parts[0], parameter, condition)

    def _read_chain(self, parameter: Parameter, modifier: str, rest: str, hops: int) -> Condition | None:
        """Read what follows the first dot of a chain, for every type the reference may lead to."""
        if parameter.kind is not Kind.REFERENCE:
            raise SearchRejected(Issue.INVALID, "only references can be chained", at=self._at)
        types = (self._target_type(parameter, modifier),) if modifier else parameter.targets
        if not types:
            raise SearchRejected(Issue.INVALID, "chain needs a resource type, as in name:Type.x", at=self._at)
        found: list[tuple[str, Condition]] = []
        is_known = False
        for target in types:
            self._alternatives += 1
            if self._alternatives > self._reading.limits.alternatives_max:
                raise SearchRejected(Issue.TOO_COSTLY, "chain needs resource types", at=self._at)
            try:
                condition = self.read(target, rest, hops=hops + 1)
            except UnknownParameter:
                # Without a type, the chain means those targets that have the parameter.
                continue
            is_known = True
            if condition is not None:
                found.append((target, condition))
        if not is_known:
            raise UnknownParameter(Issue.NOT_SUPPORTED, "unknown search parameter in a chain", at=self._at)
        return Chain(parameter, tuple(found)) if found else None

    def _target_type(self, parameter: Parameter, name: str) -> str:
        """Check a resource type given as a modifier."""
        if name not in resource_types() or (parameter.targets and name not in parameter.targets):
            raise SearchRejected(Issue.INVALID, "the reference never leads to such a type", at=self._at)
        return name

    def _read_match(self, parameter: Parameter, name: str) -> Condition | None:
        """Read the value of a parameter of the resource itself."""
        only_type = ""
        modifier = next((known for known in Modifier if known.value == name), None)
        if modifier is None and parameter.kind is Kind.REFERENCE and name in resource_types():
            only_type, modifier = self._target_type(parameter, name), Modifier.NONE
        if modifier is None or modifier not in ALLOWED_MODIFIERS[parameter.kind]:
            raise SearchRejected(Issue.NOT_SUPPORTED, "modifier not supported", at=self._at)
        if parameter.is_built_in and modifier is not Modifier.NONE and modifier is not Modifier.NOT:
            raise SearchRejected(Issue.NOT_SUPPORTED, "modifier not supported", at=self._at)
        if modifier is Modifier.MISSING:
            if self._value not in _BOOLEANS:
                raise SearchRejected(Issue.INVALID, ":missing takes true or false", at=self._at)
            return Match(parameter, modifier, (), is_missing=_BOOLEANS[self._value])
        values = read_values(parameter, modifier, only_type, self._value, self._reading, self._at)
        return Match(parameter, modifier, values) if values else None
