"""Two complete example plans: sources with the suffix `.contract`, test cases beside them as YAML.

Fictitious throughout: procedures, fees and yearly amounts are nobody's. They are what the demo insures its patients
with and what a contract author starts from; `docs/contracts.md` walks through them.
"""

from dataclasses import dataclass
from importlib import resources
from typing import Final

EXAMPLES: Final = ("ppo", "hmo")
"""Names of the example plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplePlan:
    """One packaged plan.

    Attributes:
        name: as in `EXAMPLES`.
        source: the contract's text.
        cases: its test cases, YAML; the plan's parameters are in its `given`.
    """

    name: str
    source: str
    cases: str


def example_plan(name: str) -> ExamplePlan:
    """Return an example plan by name; KeyError for any other name."""
    if name not in EXAMPLES:
        raise KeyError(name)
    folder = resources.files(__name__)
    return ExamplePlan(
        name=name,
        source=folder.joinpath(f"{name}.contract").read_text(encoding="utf-8"),
        cases=folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"),
    )
