"""What the doctor finds: one sentence, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. Never any person's data."""

    where: str
    """Part of the replica or of the site, such as `history leaf 7` or `Observation/… version 2`."""
    problem: str
    """Plain sentence."""
    height: int | None = None
    """Block it belongs to, where that is known."""
    organisation: str = ""
    """Organisation it belongs to, where that is known: its short name, or its number."""

    def __str__(self) -> str:
        """The finding in one line."""
        place = [self.where]
        if self.organisation:
            place.append(f"organisation {self.organisation}")
        if self.height is not None:
            place.append(f"block {self.height}")
        return f"{', '.join(place)}: {self.problem}"
