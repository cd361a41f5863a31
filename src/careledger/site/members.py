"""The members of the ledger as the exchange needs them, from the registry on this replica.

Every answer is as of the newest block, so a key revoked a moment ago signs nothing any more.
"""

from __future__ import annotations

from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.types import Key, Organisation, Usage
from careledger.domains.records.service.exchange.directory import Member
from careledger.ledger.view import LedgerView
from careledger.primitives.identifiers import OrganisationID
from careledger.sdk.context import View


class RegistryDirectory:
    """Members and their keys, read from the identity module's state."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view

    def by_slug(self, slug: str) -> Member | None:
        """Present member of that short name."""
        with self._view.at_head() as view:
            found = keeper.organisation_by_slug(view.store, slug)
            return _member(view, found)

    def by_number(self, organisation: int) -> Member | None:
        """Present member of that number."""
        with self._view.at_head() as view:
            return _member(view, keeper.organisation(view.store, organisation))

    def exchange_key_owner(self, public_key: bytes) -> Member | None:
        """Present member that may sign HTTP requests with that key now."""
        with self._view.at_head() as view:
            key = keeper.key(view.store, public_key)
            if key is None or not _is_valid(view, key, Usage.EXCHANGE):
                return None
            return _member(view, keeper.organisation(view.store, key.organisation))

    def records_key_owner(self, public_key: bytes, *, now: bool) -> int | None:
        """Number of the organisation whose key for manifests and heads this is.

        Args:
            public_key: 32 bytes.
            now: whether it must be valid now; else one that was revoked counts too, for what it signed before.
        """
        with self._view.at_head() as view:
            key = keeper.key(view.store, public_key)
            if key is None or not key.usages & Usage.RECORDS:
                return None
            return key.organisation if not now or _is_valid(view, key, Usage.RECORDS) else None


def _is_valid(view: View, key: Key, usage: Usage) -> bool:
    """Whether a key would be accepted in the next block."""
    height = view.height + 1
    is_revoked = key.revoked_at_height and key.revoked_at_height <= height
    return bool(key.usages & usage) and key.valid_from_height <= height and not is_revoked


def _member(view: View, found: Organisation | None) -> Member | None:
    if found is None or not keeper.is_member(view.store, found.id):
        return None
    return Member(
        organisation=OrganisationID(found.id),
        slug=found.slug,
        roles=frozenset(role.name.lower().replace("_", "-") for role in found.roles),
        endpoints=found.endpoints,
        hpke_public_key=found.hpke_public_key,
    )
