"""Which search parameters need no rows of their own because others hold the same values.

Owns the comparison of parameters by the places of their values, so that each value is stored once:

- `patient` where it means `subject.where(resolve() is Patient)` reads the rows of `subject`, restricted to a type;
- `combo-code` is `code` and `component-code` together;
- a composite over the resource itself, such as `code-value-quantity`, is the conjunction of its components'
  parameters; one over an element (`component-code-value-quantity`) keeps rows, once for all who share them.

Views are few among R4's parameters but frequent in data: half the rows of an Observation would be copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from careledger.standards.fhir.search.definitions import (
    BUILT_IN,
    INDEXED_TYPES,
    Component,
    Context,
    Kind,
    Part,
)
from careledger.standards.fhir.search.elements import Place, resolve
from careledger.standards.fhir.search.expression import ExpressionError, ResolvesTo, parse_expression


@dataclass(slots=True)
class Draft:
    """A parameter while its views are worked out."""

    code: str
    kind: Kind
    places: tuple[Place, ...]
    targets: tuple[str, ...]
    part_expressions: tuple[tuple[str, str], ...] = ()
    """Per component of a composite, parameter code and expression."""
    restriction: str = ""
    bare: frozenset[Place] = field(default_factory=frozenset)
    """Places without the type test that became the restriction."""
    sources: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    contexts: tuple[Context, ...] = ()
    conjunctions: tuple[tuple[str, ...], ...] = ()


def find_views(resource_type: str, drafts: dict[str, Draft]) -> None:
    """Fill in, for all parameters of a resource type, whose rows hold their values.

    Raises:
        ExpressionError: A component of a composite cannot be matched with its parameter.
    """
    for draft in drafts.values():
        _find_restriction(draft)
    stored: list[Draft] = []
    simple = [
        draft for draft in drafts.values() if draft.kind is not Kind.COMPOSITE and draft.code not in BUILT_IN
    ]
    for draft in sorted(simple, key=lambda draft: (draft.restriction != "", len(draft.places), draft.code)):
        covering = _cover(draft, stored)
        draft.sources = tuple(sorted(other.code for other in covering)) or (draft.code,)
        if not covering and not draft.restriction:
            stored.append(draft)
    composites = [draft for draft in drafts.values() if draft.kind is Kind.COMPOSITE]
    kept: dict[Context, str] = {}
    for draft in sorted(composites, key=lambda draft: (len(draft.places), draft.code)):
        _find_composite(resource_type, draft, drafts, kept)


def _find_restriction(draft: Draft) -> None:
    """Split off a type test that all places of a reference parameter end in."""
    tests = {place.operations[-1] if place.operations else None for place in draft.places}
    only = next(iter(tests)) if len(tests) == 1 else None
    if draft.kind is Kind.REFERENCE and isinstance(only, ResolvesTo):
        draft.restriction = only.type_name
        draft.bare = frozenset(
            Place(place.operations[:-1], place.type_name, place.values) for place in draft.places
        )
    else:
        draft.bare = frozenset(draft.places)


def _cover(draft: Draft, stored: list[Draft]) -> list[Draft]:
    """Return stored parameters that together hold exactly a parameter's values, or nothing."""
    missing = set(draft.bare)
    chosen: list[Draft] = []
    for other in sorted(stored, key=lambda other: (-len(other.bare), other.code)):
        if other.kind is draft.kind and other.bare <= draft.bare and other.bare & missing:
            chosen.append(other)
            missing -= other.bare
    return [] if missing else chosen


def _find_composite(
    resource_type: str, draft: Draft, drafts: dict[str, Draft], kept: dict[Context, str]
) -> None:
    """Work out the components of a composite, its conjunctions and its element contexts."""
    parts = tuple((drafts[code], expression) for code, expression in draft.part_expressions)
    sources: list[str] = []
    for place in draft.places:
        context = Context(place, tuple(_part(resource_type, place, *part) for part in parts))
        if not place.operations:
            codes = tuple(_find_holder(resource_type, part, drafts) for part in context.parts)
            draft.conjunctions = (*draft.conjunctions, codes)
            continue
        owner = kept.setdefault(context, draft.code)
        sources.append(owner)
        if owner == draft.code:
            draft.contexts = (*draft.contexts, context)
    draft.sources = tuple(dict.fromkeys(sources))
    draft.components = tuple(Component(part.code, part.kind, part.targets) for part, _ in parts)


def _part(resource_type: str, place: Place, component: Draft, expression: str) -> Part:
    """Resolve one component's expression within a context."""
    paths = parse_expression(expression)
    is_from_resource = paths[0].root == "%resource"
    element = Place((), place.type_name)
    places = tuple(end for path in paths for end in resolve(resource_type, path, base=element))
    indexed = INDEXED_TYPES[component.kind]
    return Part(component.kind, tuple(end for end in places if end.type_name in indexed), is_from_resource)


def _find_holder(resource_type: str, part: Part, drafts: dict[str, Draft]) -> str:
    """Return the parameter of that kind whose values are the part's, or the least that includes them."""
    wanted = frozenset(part.places)
    holders = [
        draft
        for draft in drafts.values()
        if draft.kind is part.kind and wanted <= draft.bare and not draft.restriction
    ]
    if not holders:
        raise ExpressionError(f"{resource_type}: no parameter holds the values of a composite's component")
    return min(holders, key=lambda draft: (len(draft.bare), draft.code)).code
