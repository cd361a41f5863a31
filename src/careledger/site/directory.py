"""The organisations of the ledger as other domains need them: endpoints, keys and roles, from the registry."""

from __future__ import annotations

from dataclasses import dataclass

from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.types import Organisation, Usage
from careledger.ledger.errors import NOT_FOUND
from careledger.ledger.view import LedgerView
from careledger.primitives.errors import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEntry:
    """One organisation."""

    organisation: int
    slug: str
    roles: tuple[str, ...]
    endpoints: tuple[str, ...]
    hpke_public_key: bytes
    exchange_keys: tuple[bytes, ...]
    """Keys that sign its HTTP requests now."""
    records_keys: tuple[bytes, ...]
    """Keys that sign its manifests and heads now."""
    is_member: bool


class LedgerDirectory:
    """Reads the registry on this replica; every answer is as of the newest block."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view

    def by_slug(self, slug: str) -> DirectoryEntry:
        """Organisation by its short name.

        Raises:
            Rejected: NOT_FOUND.
        """
        with self._view.at_head() as view:
            found = keeper.organisation_by_slug(view.store, slug)
        if found is None:
            raise Rejected(NOT_FOUND)
        return self._entry(found)

    def by_id(self, organisation: int) -> DirectoryEntry:
        """Organisation by its number.

        Raises:
            Rejected: NOT_FOUND.
        """
        with self._view.at_head() as view:
            found = keeper.organisation(view.store, organisation)
        if found is None:
            raise Rejected(NOT_FOUND)
        return self._entry(found)

    def all(self) -> list[DirectoryEntry]:
        """Every organisation, removed ones included, by number."""
        with self._view.at_head() as view:
            found = list(keeper.organisations(view.store))
        return [self._entry(one) for one in found]

    def _entry(self, found: Organisation) -> DirectoryEntry:
        with self._view.at_head() as view:
            height = view.height + 1
            keys = [
                key for key in keeper.keys_in_force(view.store, found.id) if key.valid_from_height <= height
            ]
            is_member = keeper.is_member(view.store, found.id)
        return DirectoryEntry(
            organisation=found.id,
            slug=found.slug,
            roles=tuple(role.name.lower() for role in found.roles),
            endpoints=found.endpoints,
            hpke_public_key=found.hpke_public_key,
            exchange_keys=tuple(key.public_key for key in keys if key.usages & Usage.EXCHANGE),
            records_keys=tuple(key.public_key for key in keys if key.usages & Usage.RECORDS),
            is_member=is_member,
        )
