"""What each message of the identity module does.

Every change is signed by as many distinct admin keys as the organisation's own rule asks for, so where that
rule says two, no single person can change keys, addresses or the rule itself.
"""

from __future__ import annotations

import msgspec

from careledger.domains.identity.chain import keeper
from careledger.domains.identity.chain.errors import KEY_NOT_POSSESSED, KEY_UNKNOWN, VALID_FROM_INVALID
from careledger.domains.identity.chain.messages import (
    RegisterKey,
    RevokeKey,
    RotateKey,
    SetAdminThreshold,
    SetEndpoints,
    SetHPKEKey,
)
from careledger.domains.identity.chain.types import (
    VALID_FROM_AHEAD_MAX,
    AdminThresholdChanged,
    EndpointsChanged,
    HPKEKeyChanged,
    Key,
)
from careledger.sdk.context import Context
from careledger.sdk.errors import Rejected


def register_key(context: Context, message: RegisterKey) -> bytes:
    """Bring a key in."""
    # CHECKS
    keeper.require_admins(context, message.organisation)
    _require_possession(context, message.public_key)
    valid_from = message.valid_from_height or context.height
    if not context.height <= valid_from <= context.height + VALID_FROM_AHEAD_MAX:
        raise Rejected(VALID_FROM_INVALID)
    # EFFECTS, EVENTS
    keeper.add_key(context, Key(message.public_key, message.organisation, message.usages, valid_from, 0))
    return b""


def rotate_key(context: Context, message: RotateKey) -> bytes:
    """Replace a key by another with the same uses."""
    # CHECKS
    found = keeper.require_admins(context, message.organisation)
    _require_possession(context, message.new_public_key)
    old = _require_key_in_force(context, message.organisation, message.old_public_key)
    # EFFECTS, EVENTS: out before in, so that a full set of keys can be rotated too
    keeper.revoke_key(context, old)
    valid_from = max(context.height, old.valid_from_height)
    keeper.add_key(context, Key(message.new_public_key, message.organisation, old.usages, valid_from, 0))
    keeper.require_admins_kept(context, message.organisation, found.admin_threshold)
    return b""


def revoke_key(context: Context, message: RevokeKey) -> bytes:
    """Take a key out for ever."""
    # CHECKS
    found = keeper.require_admins(context, message.organisation)
    held = _require_key_in_force(context, message.organisation, message.public_key)
    # EFFECTS, EVENTS: the rule is checked on the outcome; a rejection drops it
    keeper.revoke_key(context, held)
    keeper.require_admins_kept(context, message.organisation, found.admin_threshold)
    return b""


def set_endpoints(context: Context, message: SetEndpoints) -> bytes:
    """Replace the organisation's addresses."""
    # CHECKS
    found = keeper.require_admins(context, message.organisation)
    # EFFECTS
    keeper.update_organisation(context.store, msgspec.structs.replace(found, endpoints=message.endpoints))
    # EVENTS
    context.emit(EndpointsChanged(message.organisation))
    return b""


def set_hpke_key(context: Context, message: SetHPKEKey) -> bytes:
    """Replace the key that others wrap to."""
    # CHECKS
    found = keeper.require_admins(context, message.organisation)
    # EFFECTS
    keeper.update_organisation(
        context.store, msgspec.structs.replace(found, hpke_public_key=message.hpke_public_key)
    )
    # EVENTS
    context.emit(HPKEKeyChanged(message.organisation))
    return b""


def set_admin_threshold(context: Context, message: SetAdminThreshold) -> bytes:
    """Change how many admin keys must sign."""
    # CHECKS
    found = keeper.require_admins(context, message.organisation)
    keeper.require_admins_kept(context, message.organisation, message.admin_threshold)
    # EFFECTS
    keeper.update_organisation(
        context.store, msgspec.structs.replace(found, admin_threshold=message.admin_threshold)
    )
    # EVENTS
    context.emit(AdminThresholdChanged(message.organisation, message.admin_threshold))
    return b""


def _require_possession(context: Context, public_key: bytes) -> None:
    # Without this, an organisation could register a key it saw in another's pending transaction.
    if public_key not in context.signers:
        raise Rejected(KEY_NOT_POSSESSED)


def _require_key_in_force(context: Context, organisation: int, public_key: bytes) -> Key:
    held = keeper.key(context.store, public_key)
    if held is None or held.organisation != organisation or held.revoked_at_height:
        raise Rejected(KEY_UNKNOWN)
    return held
