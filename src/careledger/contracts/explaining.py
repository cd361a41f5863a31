"""Why an amount is what it is, in the plan's own words, step by step.

Turns a trace into explanations: every step names its rule, the plain words RULES gives it, the amount before and
after, and the place in the plan's source. Nothing here computes an amount; what is shown is what the run recorded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from careledger.contracts.checking import CheckedContract
from careledger.contracts.faults import Location, Step
from careledger.contracts.semantics.money import amount_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One step of a trace with its words.

    Attributes:
        line: claim line; 0 for the claim as a whole.
        amount: which amount the rule touched.
        before_minor: what it was.
        after_minor: what it became.
        rule_id: the rule.
        words: the rule in plain words.
        location: where in the plan's source the rule was applied.
    """

    line: int
    amount: str
    before_minor: int
    after_minor: int
    rule_id: str
    words: str
    location: Location

    def __str__(self) -> str:
        if self.before_minor == self.after_minor:
            change = f"{amount_text(self.after_minor)} (unchanged)"
        else:
            change = f"{amount_text(self.before_minor)} -> {amount_text(self.after_minor)}"
        return f"{self.amount}: {change}. {self.words} [{self.rule_id}, line {self.location.line}]"


def explain(contract: CheckedContract, trace: Iterable[Step]) -> tuple[Explanation, ...]:
    """Return the explanations of a trace, in its order.

    Args:
        contract: the contract that left the trace.
        trace: of an outcome or of a fault.
    """
    return tuple(
        Explanation(
            line=step.line,
            amount=step.amount,
            before_minor=step.before,
            after_minor=step.after,
            rule_id=step.rule_id,
            words=contract.rules[step.rule_id],
            location=step.location,
        )
        for step in trace
    )


def explain_by_line(
    contract: CheckedContract, trace: Iterable[Step]
) -> Mapping[int, tuple[Explanation, ...]]:
    """Return the explanations of a trace by claim line, lines ascending, each in the order of the trace."""
    by_line: dict[int, list[Explanation]] = {}
    for explanation in explain(contract, trace):
        by_line.setdefault(explanation.line, []).append(explanation)
    return {line: tuple(by_line[line]) for line in sorted(by_line)}
