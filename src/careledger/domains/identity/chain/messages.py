"""Signed requests of the identity module, and the stateless checks of what they carry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from careledger.domains.identity.chain.errors import (
    ENDPOINT_INVALID,
    HPKE_KEY_INVALID,
    KEY_INVALID,
    KEYS_TOO_MANY,
    ORGANISATION_OUT_OF_RANGE,
    ROLES_INVALID,
    SLUG_INVALID,
    THRESHOLD_INVALID,
    USAGES_INVALID,
    VALID_FROM_INVALID,
)
from careledger.domains.identity.chain.types import (
    ADMIN_THRESHOLD_MAX,
    ENDPOINT_BYTES_MAX,
    ENDPOINTS_MAX,
    HPKE_KEY_BYTES_MAX,
    KEYS_IN_FORCE_MAX,
    USAGES_ALL,
    Candidate,
    Role,
)
from careledger.primitives.identifiers import ORGANISATION_ID_MAX, is_slug
from careledger.primitives.signing import PUBLIC_KEY_BYTES
from careledger.sdk.errors import Rejected
from careledger.sdk.messages import Message

# No user information, query or fragment: nothing that could carry a secret or a person.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ENDPOINT = re.compile(
    rf"https?://(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])"
    r"(?::([0-9]{1,5}))?(?:/[A-Za-z0-9._~-]*)*\Z"
)


class RegisterKey(Message, frozen=True):
    """Bring a key in. Signed by the organisation's admins and by the new key."""

    organisation: int
    public_key: bytes
    usages: int
    valid_from_height: int
    """First block in which it may sign; 0 means at once."""

    def check(self) -> None:
        """Check numbers and lengths."""
        check_organisation(self.organisation)
        check_public_key(self.public_key)
        check_usages(self.usages)
        if self.valid_from_height < 0:
            raise Rejected(VALID_FROM_INVALID)


class RotateKey(Message, frozen=True):
    """Replace a key by another with the same uses, at once. Signed by the admins and by the new key."""

    organisation: int
    old_public_key: bytes
    new_public_key: bytes

    def check(self) -> None:
        """Check numbers and lengths."""
        check_organisation(self.organisation)
        check_public_key(self.old_public_key)
        check_public_key(self.new_public_key)
        if self.old_public_key == self.new_public_key:
            raise Rejected(KEY_INVALID)


class RevokeKey(Message, frozen=True):
    """Take a key out for ever. Signed by the admins."""

    organisation: int
    public_key: bytes

    def check(self) -> None:
        """Check numbers and lengths."""
        check_organisation(self.organisation)
        check_public_key(self.public_key)


class SetEndpoints(Message, frozen=True):
    """Replace the organisation's addresses. Signed by the admins."""

    organisation: int
    endpoints: tuple[str, ...]

    def check(self) -> None:
        """Check the addresses' form."""
        check_organisation(self.organisation)
        check_endpoints(self.endpoints)


class SetHPKEKey(Message, frozen=True):
    """Replace the key that others wrap to. Signed by the admins."""

    organisation: int
    hpke_public_key: bytes

    def check(self) -> None:
        """Check numbers and lengths."""
        check_organisation(self.organisation)
        check_hpke_public_key(self.hpke_public_key)


class SetAdminThreshold(Message, frozen=True):
    """Change how many admin keys must sign. Signed by as many as the rule in force asks for."""

    organisation: int
    admin_threshold: int

    def check(self) -> None:
        """Check numbers."""
        check_organisation(self.organisation)
        check_admin_threshold(self.admin_threshold)


def check_organisation(organisation: int) -> None:
    """Check that the number can be an organisation's.

    Raises:
        Rejected: ORGANISATION_OUT_OF_RANGE.
    """
    if not 1 <= organisation <= ORGANISATION_ID_MAX:
        raise Rejected(ORGANISATION_OUT_OF_RANGE)


def check_public_key(public_key: bytes) -> None:
    """Check the length of an Ed25519 public key.

    Raises:
        Rejected: KEY_INVALID.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise Rejected(KEY_INVALID)


def check_usages(usages: int) -> None:
    """Check that there is at least one use and no unknown one.

    Raises:
        Rejected: USAGES_INVALID.
    """
    if not 1 <= usages <= USAGES_ALL:
        raise Rejected(USAGES_INVALID)


def check_endpoints(endpoints: Sequence[str]) -> None:
    """Check number, length and form of addresses.

    Raises:
        Rejected: ENDPOINT_INVALID, naming the position.
    """
    if len(endpoints) > ENDPOINTS_MAX:
        raise Rejected(ENDPOINT_INVALID, at=f"endpoints[{ENDPOINTS_MAX}]")
    for position, endpoint in enumerate(endpoints):
        match = _ENDPOINT.match(endpoint) if len(endpoint) <= ENDPOINT_BYTES_MAX else None
        if match is None or (match[1] is not None and not 1 <= int(match[1]) <= 65_535):
            raise Rejected(ENDPOINT_INVALID, at=f"endpoints[{position}]")


def check_hpke_public_key(hpke_public_key: bytes) -> None:
    """Check the length of a key for wraps; which scheme it belongs to is the sites' affair.

    Raises:
        Rejected: HPKE_KEY_INVALID.
    """
    if len(hpke_public_key) > HPKE_KEY_BYTES_MAX:
        raise Rejected(HPKE_KEY_INVALID)


def check_admin_threshold(admin_threshold: int) -> None:
    """Check that the number of admin signatures asked for is 1 to 3.

    Raises:
        Rejected: THRESHOLD_INVALID.
    """
    if not 1 <= admin_threshold <= ADMIN_THRESHOLD_MAX:
        raise Rejected(THRESHOLD_INVALID)


def check_roles(roles: Sequence[Role]) -> None:
    """Check that roles are there, distinct and ascending.

    Raises:
        Rejected: ROLES_INVALID.
    """
    if not roles or any(left >= right for left, right in pairwise(roles)):
        raise Rejected(ROLES_INVALID)


def check_candidate_form(candidate: Candidate) -> None:
    """Check whatever of a candidate needs no state.

    Raises:
        Rejected: The code of the first part that is wrong.
    """
    if not is_slug(candidate.slug):
        raise Rejected(SLUG_INVALID)
    check_roles(candidate.roles)
    check_endpoints(candidate.endpoints)
    check_hpke_public_key(candidate.hpke_public_key)
    check_admin_threshold(candidate.admin_threshold)
    if len(candidate.keys) > KEYS_IN_FORCE_MAX:
        raise Rejected(KEYS_TOO_MANY)
    for position, key in enumerate(candidate.keys):
        check_public_key(key.public_key)
        check_usages(key.usages)
        if any(other.public_key == key.public_key for other in candidate.keys[:position]):
            raise Rejected(KEY_INVALID, at=f"keys[{position}]")
