"""What a search parameter is: its kind, where its values stand, and whose rows hold them.

Owns the types that the other modules of this package share; `careledger.standards.fhir.search.parameters` builds
them from the packaged table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from careledger.standards.fhir.search.elements import Place

SLOTS_MAX = 62
"""Most parameters a resource type may have: one bit each in a signed 64-bit present-mask. R4 needs 45."""


class Kind(Enum):
    """The parameter types of FHIR R4 §3.1.1.4; `PHONETIC` is a string compared by its sound."""

    NUMBER = "number"
    DATE = "date"
    STRING = "string"
    TOKEN = "token"  # noqa: S105 - the name of a parameter type
    REFERENCE = "reference"
    COMPOSITE = "composite"
    QUANTITY = "quantity"
    URI = "uri"
    SPECIAL = "special"
    PHONETIC = "phonetic"


INDEXED_TYPES: dict[Kind, frozenset[str]] = {
    Kind.NUMBER: frozenset({"decimal", "integer", "positiveInt", "unsignedInt", "Range"}),
    Kind.DATE: frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    Kind.STRING: frozenset({"string", "markdown", "HumanName", "Address"}),
    Kind.PHONETIC: frozenset({"string", "HumanName"}),
    Kind.TOKEN: frozenset(
        {"CodeableConcept", "Coding", "Identifier", "ContactPoint", "code", "boolean", "id", "string", "uri"}
    ),
    Kind.REFERENCE: frozenset({"Reference", "canonical", "uri", "Resource"}),
    Kind.QUANTITY: frozenset(
        {"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range", "SampledData"}
    ),
    Kind.URI: frozenset({"uri", "url", "canonical", "oid", "uuid"}),
    Kind.SPECIAL: frozenset({"Location.position"}),
}
"""FHIR types whose values a kind of parameter indexes; values of other types in a choice are passed over."""

BUILT_IN = frozenset({"_id", "_lastUpdated"})
"""Parameters that an index answers from what it knows of the resource itself."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a composite's value."""

    code: str
    """Parameter whose notation the part uses; its values include the part's."""
    kind: Kind
    """Its kind."""
    targets: tuple[str, ...] = ()
    """Resource types a reference may lead to."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where one component's values stand within a context."""

    kind: Kind
    """Kind of the values."""
    places: tuple[Place, ...]
    """Relative to the context's element, or to the resource."""
    is_from_resource: bool
    """Whether the places start at the resource (`%resource`)."""


@dataclass(frozen=True, slots=True)
class Context:
    """The elements within which the parts of a composite must meet, when they are not the resource itself."""

    place: Place
    """Where those elements stand."""
    parts: tuple[Part, ...]
    """One per component."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A search parameter of one resource type."""

    code: str
    """Name in a request."""
    kind: Kind
    """What its values are."""
    slot: int
    """Number among the parameters of its resource type, below `SLOTS_MAX`; its bit in the present-mask."""
    targets: tuple[str, ...] = ()
    """Resource types a reference may lead to; empty means any."""
    places: tuple[Place, ...] = ()
    """Where its values stand; for a composite, where its contexts stand."""
    sources: tuple[int, ...] = ()
    """Slots whose rows hold its values: its own, or those of the parameters it is a view of."""
    restriction: str = ""
    """Resource type to which a view restricts the references it reads; empty for no restriction."""
    components: tuple[Component, ...] = ()
    """Parts of a composite."""
    contexts: tuple[Context, ...] = ()
    """Element contexts of a composite whose rows are kept under its own slot."""
    conjunctions: tuple[tuple[str, ...], ...] = ()
    """For a composite over the resource itself: parameter codes that must all match, one per component."""

    @property
    def is_built_in(self) -> bool:
        """Whether an index answers it without rows."""
        return self.code in BUILT_IN

    @property
    def present_mask(self) -> int:
        """Bits of the present-mask of which at least one is set when a resource has a value."""
        slots = (self.slot,) if self.restriction else self.sources
        mask = 0
        for slot in slots:
            mask |= 1 << slot
        return mask
