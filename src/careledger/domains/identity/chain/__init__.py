"""Manifest of the identity module: organisations, keys, roles, endpoints."""

from __future__ import annotations

from careledger.domains.identity.chain import handlers, keeper, messages
from careledger.domains.identity.chain.errors import IDENTITY_CODES
from careledger.domains.identity.chain.genesis import export_genesis, import_genesis
from careledger.domains.identity.chain.invariants import INVARIANTS
from careledger.domains.identity.chain.queries import QUERIES
from careledger.sdk.module import Module, bind


def build() -> Module:
    """Version 1 of the module; it needs nothing of any other."""
    return Module(
        name="identity",
        number=keeper.MODULE_NUMBER,
        version=1,
        codes=IDENTITY_CODES,
        handlers=(
            bind(messages.RegisterKey, handlers.register_key),
            bind(messages.RotateKey, handlers.rotate_key),
            bind(messages.RevokeKey, handlers.revoke_key),
            bind(messages.SetEndpoints, handlers.set_endpoints),
            bind(messages.SetHPKEKey, handlers.set_hpke_key),
            bind(messages.SetAdminThreshold, handlers.set_admin_threshold),
        ),
        export_genesis=export_genesis,
        import_genesis=import_genesis,
        queries=QUERIES,
        invariants=INVARIANTS,
    )
