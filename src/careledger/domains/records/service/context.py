"""What every part of a site's record service is given: who the site is, its stores, and its ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from careledger.ledger.receipt import Receipt
from careledger.ledger.view import LedgerView
from careledger.primitives.identifiers import ChainID, OrganisationID
from careledger.storage.sqlite import Database
from careledger.vault.keys import SigningSeed
from careledger.vault.keystore import Keystore
from careledger.vault.wallet import Custodian


class LedgerPort(Protocol):
    """Where transactions go."""

    async def submit(self, raw: bytes) -> Receipt:
        """Submit a transaction and wait for its durable receipt.

        Raises:
            Rejected: Refused before any block.
            Unavailable: Not reachable or full; the outcome may be unknown.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsSettings:
    """How the record service runs; see `docs/reference/configuration.md`."""

    commit_wait_ms: int = 250
    """How long an answer waits for the ledger before it says `pending`."""
    write_group_ms: int = 3
    """How long writes are collected into one database transaction."""
    group_changes_max: int = 512
    """Changes in one database transaction, unless one request alone has more."""
    restricted_delay_ms: tuple[int, int] = (2_000, 10_000)
    """Random delay of restricted compartments' ledger entries, least and greatest."""
    expiry_ms: int = 300_000
    """Life of a signed ledger transaction."""
    retry_ms: int = 500
    """Pause before a ledger that cannot be reached is tried again."""


@dataclass(slots=True, kw_only=True)
class SiteContext:
    """One organisation's site, as its record service sees it."""

    slug: str
    organisation: OrganisationID
    chain_id: ChainID
    ledger_seed: SigningSeed
    """Signs ledger transactions."""
    records_seed: SigningSeed
    """Signs manifests and heads of streams."""
    keystore: Keystore
    database: Database
    view: LedgerView
    ledger: LedgerPort
    clock_ms: Callable[[], int]
    settings: RecordsSettings = field(default_factory=RecordsSettings)

    @property
    def custodian(self) -> Custodian:
        """This site as a wallet names it."""
        return Custodian(chain=self.chain_id, organisation=self.organisation)
