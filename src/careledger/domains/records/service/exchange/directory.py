"""What this part needs to know of other organisations; site/ answers from the ledger's registry.

Every answer is as of the local view's newest height, so a key revoked a moment ago signs nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from careledger.domains.records.service.exchange.errors import PEER_UNKNOWN
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import OrganisationID
from careledger.vault.kem import RecipientKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A present member of the ledger."""

    organisation: OrganisationID
    slug: str
    roles: frozenset[str]
    """What it is: `hospital`, `patient-agent`, …"""
    endpoints: tuple[str, ...]
    """Origins of its site, preferred first, such as `https://site.example:8443`; no path."""
    hpke_public_key: bytes
    """What keys are sealed to; empty if it receives none."""

    def recipient(self) -> RecipientKey:
        """The key to seal to.

        Raises:
            Rejected: PEER_UNKNOWN, it receives none.
        """
        try:
            return RecipientKey(self.hpke_public_key)
        except ValueError:
            raise Rejected(PEER_UNKNOWN, "the organisation receives no sealed keys") from None


class Directory(Protocol):
    """Members of the ledger and their keys."""

    def by_slug(self, slug: str) -> Member | None:
        """Present member of that short name."""

    def by_number(self, organisation: int) -> Member | None:
        """Present member of that number."""

    def exchange_key_owner(self, public_key: bytes) -> Member | None:
        """Present member that may sign HTTP requests with that key now."""

    def records_key_owner(self, public_key: bytes, *, now: bool) -> int | None:
        """Number of the organisation whose key for manifests and heads this is.

        Args:
            public_key: 32 bytes.
            now: whether it must be valid now; else one that was revoked counts too, for what it signed before.
        """


def require_member(directory: Directory, slug: str) -> Member:
    """Present member of that short name.

    Raises:
        Rejected: PEER_UNKNOWN.
    """
    member = directory.by_slug(slug)
    if member is None:
        raise Rejected(PEER_UNKNOWN)
    return member
