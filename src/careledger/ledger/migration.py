"""Bringing a module's state from one version to the next, at most so many keys per block.

The version that each module's state has reached is itself state, so every node migrates the same keys in the
same blocks, and a crash in the middle is replayed like anything else.
"""

from __future__ import annotations

from careledger.ledger.execution import ActiveModules
from careledger.primitives.codec import Wire
from careledger.primitives.errors import InvariantViolated
from careledger.sdk.collections import Map, text_key
from careledger.sdk.context import StateStore
from careledger.sdk.module import MIGRATED_KEYS_PER_BLOCK_MAX


class AppliedVersion(Wire, frozen=True):
    """How far the state of one module has come."""

    version: int
    """Version whose layout the state has, or is being given."""
    cursor: bytes | None
    """Where the migration goes on in the next block; None when it is done."""


APPLIED_VERSIONS: Map[str, AppliedVersion] = Map(0, 2, "ledger.applied_versions", text_key, AppliedVersion)


def run_migrations(store: StateStore, active: ActiveModules, height: int) -> None:
    """Go on with every migration that is due; called once in each block that carries transactions.

    Raises:
        InvariantViolated: A module's state is newer than the module, or a version was skipped.
    """
    keys_left = MIGRATED_KEYS_PER_BLOCK_MAX
    for module in active.modules:
        applied = APPLIED_VERSIONS.get(store, module.name)
        if applied is None:
            applied = AppliedVersion(module.version, None)
            APPLIED_VERSIONS.set(store, module.name, applied)
        if applied.version == module.version and applied.cursor is None:
            continue
        if not module.version - 1 <= applied.version <= module.version:
            raise InvariantViolated(
                f"module {module.name} is at version {module.version} with state of version "
                f"{applied.version} at height {height}"
            )
        cursor: bytes | None = applied.cursor or b""
        if module.migrate is not None and cursor is not None:
            cursor = module.migrate(store, cursor, keys_left) if keys_left else cursor
            keys_left = 0
        else:
            cursor = None
        APPLIED_VERSIONS.set(store, module.name, AppliedVersion(module.version, cursor))
