"""Which values the ledger's parameters may have: wide enough to choose, too narrow to stop the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from careledger.domains.governance.chain.errors import PARAMETER_OUT_OF_RANGE, PARAMETER_UNKNOWN
from careledger.domains.governance.chain.types import Limits
from careledger.primitives.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from careledger.sdk.errors import Rejected

RANGES: Mapping[str, tuple[int, int]] = {
    # A batch of 4096 needs 4096 operations and 270 KB: below that, sites could not submit at all.
    "transaction_bytes_max": (294_912, 4_194_304),
    "operations_per_transaction_max": (4_096, 100_000),
    "operations_per_block_max": (4_096, 1_000_000),
    "expiry_ahead_ms_max": (MINUTE_MS, HOUR_MS),
    "block_bytes_max": (1_048_576, 67_108_864),
    "permit_bytes_max": (0, 4_096),
    # Three admins of an organisation and a new key must fit.
    "signatures_per_transaction_max": (4, 255),
    "receipts_retention_ms": (DAY_MS, 3_660 * DAY_MS),
    "recovery_delay_ms": (SECOND_MS, 90 * DAY_MS),
    "proposal_lifetime_ms": (MINUTE_MS, 365 * DAY_MS),
    "threshold_numerator": (1, 99),
    "threshold_denominator": (2, 100),
}
"""Least and greatest value of each field of `Limits`."""


def apply_changes(limits: Limits, changes: Sequence[tuple[str, int]]) -> Limits:
    """Limits with some values replaced.

    Raises:
        Rejected: PARAMETER_UNKNOWN or PARAMETER_OUT_OF_RANGE.
    """
    for name, _ in changes:
        if name not in RANGES:
            raise Rejected(PARAMETER_UNKNOWN)
    changed = msgspec.structs.replace(limits, **dict(changes))
    check_limits(changed)
    return changed


def check_limits(limits: Limits) -> None:
    """Check every value, and those that depend on each other.

    Raises:
        Rejected: PARAMETER_OUT_OF_RANGE, naming the parameter.
    """
    for name, (least, greatest) in RANGES.items():
        if not least <= getattr(limits, name) <= greatest:
            raise Rejected(PARAMETER_OUT_OF_RANGE, at=name)
    if limits.operations_per_transaction_max > limits.operations_per_block_max:
        raise Rejected(PARAMETER_OUT_OF_RANGE, at="operations_per_transaction_max")
    if limits.transaction_bytes_max > limits.block_bytes_max:
        raise Rejected(PARAMETER_OUT_OF_RANGE, at="transaction_bytes_max")
    # At least half, so that two opposite decisions cannot both pass; less than all, so that "more than"
    # can be reached.
    if not limits.threshold_denominator <= 2 * limits.threshold_numerator < 2 * limits.threshold_denominator:
        raise Rejected(PARAMETER_OUT_OF_RANGE, at="threshold_numerator")
