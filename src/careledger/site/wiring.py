"""The composition root: the one place where domains meet.

What one domain's replicated code needs of another is a Protocol in its `types.py`; here the other's keeper is
handed in. Wiring is by name, and what is missing fails at import, not at the first transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from careledger.domains.governance import chain as governance
from careledger.domains.governance.chain import keeper as governance_keeper
from careledger.domains.identity import chain as identity
from careledger.domains.identity.chain import keeper as identity_keeper
from careledger.domains.records import chain as records
from careledger.ledger.application import Governance
from careledger.sdk.context import StateReader
from careledger.sdk.module import Module


def build_modules() -> tuple[Module, ...]:
    """Every module version that this release can run; genesis and votes choose among them."""
    return (
        identity.build(),
        governance.build(identity_keeper),
        records.build(identity_keeper, governance_keeper),
    )


def build_governance() -> Governance:
    """What the application asks the governance module."""
    return governance_keeper


def witness_keys(store: StateReader) -> Mapping[str, bytes]:
    """Known witnesses: name -> Ed25519 key."""
    return {witness.name: witness.public_key for witness in governance_keeper.witnesses(store).witnesses}
