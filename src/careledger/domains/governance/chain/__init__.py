"""Manifest of the governance module: genesis, active modules, validators, parameters, votes."""

from __future__ import annotations

from functools import partial

from careledger.domains.governance.chain import handlers, keeper, messages
from careledger.domains.governance.chain.errors import GOVERNANCE_CODES
from careledger.domains.governance.chain.genesis import export_genesis, import_genesis
from careledger.domains.governance.chain.invariants import invariants
from careledger.domains.governance.chain.queries import QUERIES
from careledger.domains.governance.chain.types import Membership
from careledger.sdk.module import Module, bind


def build(membership: Membership) -> Module:
    """Version 1 of the module, with what it needs from identity."""
    return Module(
        name="governance",
        number=keeper.MODULE_NUMBER,
        version=1,
        codes=GOVERNANCE_CODES,
        handlers=(
            bind(messages.Propose, partial(handlers.propose, membership)),
            bind(messages.Vote, partial(handlers.vote, membership)),
        ),
        export_genesis=export_genesis,
        import_genesis=import_genesis,
        queries=QUERIES,
        invariants=invariants(membership),
        end_block=partial(handlers.end_block, membership),
    )
