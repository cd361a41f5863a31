"""Where the separators were, when a scanner dropped them.

Owns the search for every way a run of characters can be cut into elements that a medicine pack may carry.
It does not choose: if there is more than one way, nobody can know, and `scan` says so.
"""

from __future__ import annotations

from typing import Final

from careledger.standards.gs1 import ai as identifiers
from careledger.standards.gs1.element_string import Element, ElementString
from careledger.standards.gs1.errors import GS1Error

# Identifiers found on medicine packs; others would make a cut out of almost any digits.
_ON_PACKS: Final = ("01", "10", "11", "17", "21", "240", "710", "711", "712", "713", "714", "715", "716")
# Longest run searched: a pack's code is shorter, and the search must stay small.
_RUN_CHARS_MAX: Final = 160
# Elements tried before giving up; a pack's code takes some dozens.
_STEPS_MAX: Final = 4000
WAYS_MAX: Final = 8
"""More ways than this are not listed; more than one is already undecidable."""


def ways_to_split(run: str) -> tuple[ElementString, ...]:
    """List the ways to read `run`, without any separator, as product, serial number and the rest.

    Each way names (01) and (21) and no identifier twice. Where some ways name batch and expiry as
    well, only those are given: packs under EU and US rules carry all four.

    Args:
        run: the characters after any symbology identifier.
    """
    if len(run) > _RUN_CHARS_MAX:
        return ()
    found: list[tuple[Element, ...]] = []
    steps = _search(run, 0, (), found, _STEPS_MAX)
    if steps <= 0:
        return ()
    serialised = [elements for elements in found if _has(elements, "01", "21")]
    complete = [elements for elements in serialised if _has(elements, "10", "17")]
    return tuple(ElementString(elements=elements) for elements in (complete or serialised)[:WAYS_MAX])


def _has(elements: tuple[Element, ...], *ais: str) -> bool:
    present = {element.ai for element in elements}
    return present.issuperset(ais)


def _search(
    run: str, position: int, before: tuple[Element, ...], found: list[tuple[Element, ...]], steps: int
) -> int:
    """Extend `before` in every way; gives the steps left, so that crafted runs cannot take long."""
    if position == len(run):
        found.append(before)
        return steps - 1
    known = identifiers.find(run, position)
    if known is None or known.ai not in _ON_PACKS or any(e.ai == known.ai for e in before):
        return steps - 1
    start = position + len(known.ai)
    for length in range(known.length_min, min(known.length_max, len(run) - start) + 1):
        if steps <= 0:
            return 0
        value = run[start : start + length]
        try:
            identifiers.verify_value(known, value)
        except GS1Error:
            continue
        after = (*before, Element(ai=known.ai, value=value))
        steps = _search(run, start + length, after, found, steps)
    return steps - 1
