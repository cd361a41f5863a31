"""Identifier types shared by all layers, and their limits."""

from __future__ import annotations

import re
from typing import NewType

ChainID = NewType("ChainID", str)
"""Name of one ledger: 3 to 48 of `a-z 0-9 - .`, starting with a letter."""

OrganisationID = NewType("OrganisationID", int)
"""Number of a registered organisation, 1 to 2^32-1, given at admission and never reused."""

PublicKey = NewType("PublicKey", bytes)
"""Ed25519 public key, 32 bytes."""

Tag = NewType("Tag", bytes)
"""A 32-byte pseudorandom handle that only the holder of a secret can recompute."""

Commitment = NewType("Commitment", bytes)
"""A salted digest of bytes kept off the ledger, 32 bytes."""

TxID = NewType("TxID", bytes)
"""Digest of a transaction's signed content, 32 bytes."""

CellID = NewType("CellID", bytes)
"""Digest of a consent cell's creation contents, 32 bytes."""

Height = NewType("Height", int)
"""Height of a block; the first is 1."""

ORGANISATION_ID_MAX = 2**32 - 1

_CHAIN_ID = re.compile(r"[a-z][a-z0-9.-]{2,47}\Z")
_SLUG = re.compile(r"[a-z][a-z0-9-]{1,39}\Z")


def is_chain_id(text: str) -> bool:
    """Whether the text can name a ledger."""
    return _CHAIN_ID.match(text) is not None


def is_slug(text: str) -> bool:
    """Whether the text can be an organisation's short name: 2 to 40 of `a-z 0-9 -`."""
    return _SLUG.match(text) is not None
