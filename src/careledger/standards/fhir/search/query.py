"""A search as understood: typed, checked against the definitions, ready to be answered.

Owns the structures that `careledger.standards.fhir.search.request` produces, the limits it keeps and the error it
raises. Nothing here knows how a search is answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from careledger.standards.fhir.search.amounts import Amount
from careledger.standards.fhir.search.definitions import Parameter


class Issue(Enum):
    """Kinds of refusal, as the codes of OperationOutcome.issue (FHIR R4 `issue-type`)."""

    INVALID = "invalid"
    """The value or name is malformed."""
    NOT_SUPPORTED = "not-supported"
    """Well formed, but not offered here."""
    TOO_COSTLY = "too-costly"
    """Beyond a limit."""


class SearchRejected(ValueError):  # noqa: N818 - the outcome's name; its text is shown to the requester
    """A search request is refused.

    The text names the parameter by its place in the request and, where it is a defined one, by its code; it never
    repeats a value.
    """

    def __init__(self, issue: Issue, text: str, *, at: str = "") -> None:
        super().__init__(f"{at}: {text}" if at else text)
        self.issue = issue
        self.text = text
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a request; beyond them it is refused as too costly."""

    request_chars_max: int = 32_768
    """Length of names and values together."""
    parameters_max: int = 64
    """Number of parameters, repetitions included."""
    value_chars_max: int = 512
    """Length of one value between commas."""
    values_max: int = 200
    """Values between commas of one parameter."""
    hops_max: int = 4
    """Steps of a chain and nesting of `_has` together."""
    alternatives_max: int = 64
    """Resource types that a chain without types may fan out to, over all its steps."""
    sorts_max: int = 5
    """Keys of `_sort`."""
    includes_max: int = 20
    """`_include` and `_revinclude` together."""
    count_max: int = 1_000
    """Largest page; a larger `_count` is lowered to it."""


class Modifier(Enum):
    """Modifiers that remain in a match; a type modifier of a reference has become part of its values."""

    NONE = ""
    EXACT = "exact"
    CONTAINS = "contains"
    TEXT = "text"
    NOT = "not"
    ABOVE = "above"
    BELOW = "below"
    MISSING = "missing"
    IDENTIFIER = "identifier"
    OF_TYPE = "of-type"


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`code`, `system|code`, `|code` or `system|`."""

    system: str | None
    """None for any system, empty for none."""
    code: str | None
    """None for any code."""


@dataclass(frozen=True, slots=True)
class TypedIdentifierValue:
    """`system|code|value` of modifier `:of-type`."""

    system: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class TextValue:
    """A string, a URI, or the text of a token."""

    text: str
    """As written, without escapes."""


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """A reference by id, by type and id, or by URL."""

    types: tuple[str, ...]
    """Resource types it may lead to; empty when it is a URL."""
    target_id: str
    """Id, or empty when it is a URL."""
    url: str
    """URL outside this server, or canonical; empty when it is an id."""


@dataclass(frozen=True, slots=True)
class DateValue:
    """A range of time and how to compare with it."""

    prefix: str
    """One of the nine prefixes; `ap` comes with its range already widened."""
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class AmountValue:
    """A number or quantity and how to compare with it."""

    prefix: str
    """One of the nine prefixes."""
    low: Amount
    """For `eq` and `ne` the lower end of the implicit range, for `ap` of the widened one; else the number."""
    high: Amount
    """The upper end; not part of the range for `eq` and `ne`."""
    system: str | None = None
    """Unit system, None for any."""
    code: str | None = None
    """Unit, None for any; without a system it may be the code or the printed unit."""


@dataclass(frozen=True, slots=True)
class PositionValue:
    """A place on the globe and a distance around it."""

    latitude_e7: int
    longitude_e7: int
    distance_m: int


Value: TypeAlias = (
    TokenValue | TypedIdentifierValue | TextValue | ReferenceValue | DateValue | AmountValue | PositionValue
)


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """One value per component."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """One parameter of the resource itself has one of the values."""

    parameter: Parameter
    modifier: Modifier
    values: tuple[Value | CompositeValue, ...]
    """At least one; empty for `:missing`."""
    is_missing: bool = False
    """For `:missing`: whether the value must be absent."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A referenced resource fulfils a condition."""

    parameter: Parameter
    alternatives: tuple[tuple[str, Condition], ...]
    """Per resource type the reference may lead to, what must hold there."""


@dataclass(frozen=True, slots=True)
class Has:
    """A resource that refers to this one fulfils a condition."""

    source_type: str
    parameter: Parameter
    """Reference parameter of the source type."""
    condition: Condition


Condition: TypeAlias = Match | Chain | Has


@dataclass(frozen=True, slots=True)
class Branch:
    """What is searched for in one resource type."""

    resource_type: str
    conditions: tuple[Condition, ...]
    """All must hold."""


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`."""

    source_type: str
    """Type that holds the reference; empty for any (`*`)."""
    code: str
    """Reference parameter; empty for all (`Type:*`)."""
    target_type: str
    """Type referred to; empty for any."""
    is_reverse: bool
    """Whether it is a `_revinclude`."""
    is_iterated: bool
    """Whether it also applies to what was included."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`."""

    code: str
    is_descending: bool


class Total(Enum):
    """What `_total` asks for."""

    NONE = "none"
    ESTIMATE = "estimate"
    ACCURATE = "accurate"


class Summary(Enum):
    """What `_summary` asks for."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search request, understood."""

    branches: tuple[Branch, ...]
    """One per resource type searched."""
    includes: tuple[Include, ...] = ()
    sorts: tuple[SortKey, ...] = ()
    count: int | None = None
    """Entries per page asked for, already within the limit."""
    total: Total | None = None
    """None when the request does not say."""
    summary: Summary = Summary.FALSE
    elements: tuple[str, ...] = ()
    """Elements asked for by `_elements`."""
    compartment_patient: str = ""
    """Id of the patient whose compartment is searched; empty for no compartment. Set by the caller."""
    ignored: tuple[str, ...] = field(default=())
    """Places of parameters that lenient handling passed over."""
    canonical: str = ""
    """The request in one spelling, without what only shapes the answer's page; identifies it in page links."""
