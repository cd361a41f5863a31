"""When a vote has passed, in integers."""

from __future__ import annotations


def is_passed(*, approvals: int, members: int, numerator: int, denominator: int) -> bool:
    """Whether more than numerator / denominator of the members approve.

    With 2/3: 1 of 1, 2 of 2, 3 of 3, 3 of 4, 4 of 5, 5 of 6, 5 of 7.
    """
    return approvals * denominator > members * numerator
