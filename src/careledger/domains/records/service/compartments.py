"""The compartments of a patient's record, and their order.

A compartment is a part of the record that is sealed, granted and withheld by itself. Names and numbers never
change their meaning: they are in derivations of keys and in commitments.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Compartment(IntEnum):
    """One part of a record; the number is also the bit of its label in the index."""

    NORMAL = 0
    MENTAL_HEALTH = 1
    SUBSTANCE_USE = 2
    """42 CFR Part 2."""
    SEXUAL_REPRODUCTIVE = 3
    HIV = 4
    GENETICS = 5
    VIOLENCE = 6

    @property
    def label(self) -> str:
        """Name in derivations, grants and pages."""
        return _NAMES[self]

    @property
    def bit(self) -> int:
        """Bit of the index's sensitivity labels."""
        return 1 << self.value


_NAMES: Final = {
    Compartment.NORMAL: "normal",
    Compartment.MENTAL_HEALTH: "mental-health",
    Compartment.SUBSTANCE_USE: "substance-use",
    Compartment.SEXUAL_REPRODUCTIVE: "sexual-reproductive",
    Compartment.HIV: "hiv",
    Compartment.GENETICS: "genetics",
    Compartment.VIOLENCE: "violence",
}

COMPARTMENTS: Final = tuple(Compartment)
RESTRICTED: Final = frozenset(COMPARTMENTS[1:])


def compartment_named(name: str) -> Compartment:
    """Compartment of that name.

    Raises:
        KeyError: There is none.
    """
    for compartment, label in _NAMES.items():
        if label == name:
            return compartment
    raise KeyError(name)
