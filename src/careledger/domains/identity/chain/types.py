"""State values, enumerations and events of the identity module.

Organisations and keys only: an organisation's record has a short name, roles and addresses, and nothing about
any person. A key's record is packed into 23 bytes, since it is read for every transaction.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from struct import Struct

from careledger.primitives.codec import Wire, encode
from careledger.primitives.hashing import label_prefix
from careledger.sdk.errors import InvariantViolated
from careledger.sdk.events import Event

SCHEMA = 1

ADMIN_THRESHOLD_MAX = 3
ENDPOINTS_MAX = 8
ENDPOINT_BYTES_MAX = 200
HPKE_KEY_BYTES_MAX = 2_048
KEYS_IN_FORCE_MAX = 64
VALID_FROM_AHEAD_MAX = 1_000_000
"""How many blocks ahead a key's first valid height may lie."""

_POSSESSION_PREFIX = label_prefix("careledger/key-possession/1")
_KEY_LAYOUT = Struct(">BIHQQ")


class Role(IntEnum):
    """What an organisation is; numbers are never reused."""

    HOSPITAL = 1
    PRACTICE = 2
    PHARMACY = 3
    MANUFACTURER = 4
    WHOLESALER = 5
    INSURER = 6
    REGULATOR = 7
    WITNESS = 8
    LABORATORY = 9
    PATIENT_AGENT = 10


class Usage(IntFlag):
    """What a key may be used for; a key may have several uses."""

    LEDGER = 1
    """Signs ledger transactions."""
    EXCHANGE = 2
    """Signs HTTP requests to other sites."""
    ADMIN = 4
    """Changes the organisation's keys and addresses, and votes."""
    VALIDATOR = 8
    """Takes part in consensus."""
    RECORDS = 16
    """Signs heads and manifests of record streams."""
    SUPPLY = 32
    """Certifies the one-time keys of lots and custody."""
    CLAIMS = 64
    """Certifies the one-time keys of agreements."""


USAGES_ALL = int(
    Usage.LEDGER
    | Usage.EXCHANGE
    | Usage.ADMIN
    | Usage.VALIDATOR
    | Usage.RECORDS
    | Usage.SUPPLY
    | Usage.CLAIMS
)


class Status(IntEnum):
    """Whether an organisation is a member."""

    ACTIVE = 1
    REMOVED = 2


class Organisation(Wire, frozen=True):
    """A registered member, present or past."""

    schema: int
    """1."""
    id: int
    """1 to 2^32-1, given at admission, never reused."""
    slug: str
    """Short name, never given to another organisation."""
    status: Status
    """Member or removed."""
    roles: tuple[Role, ...]
    """Ascending."""
    endpoints: tuple[str, ...]
    """Addresses of its site, preferred first."""
    hpke_public_key: bytes
    """Key that others wrap compartment keys to; empty if it receives none."""
    admin_threshold: int
    """How many distinct admin keys must sign a change, 1 to 3."""
    admitted_at_height: int
    """Block of its admission; 0 for genesis."""
    removed_at_height: int
    """Block of its removal; 0 while it is a member."""

    @property
    def is_active(self) -> bool:
        """Whether the organisation is a member."""
        return self.status is Status.ACTIVE


class Key(Wire, frozen=True):
    """A registered public key, in force or revoked."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    organisation: int
    """The one organisation it ever belongs to."""
    usages: int
    """Sum of `Usage` values."""
    valid_from_height: int
    """First block in which it may sign."""
    revoked_at_height: int
    """Block from which it may no longer sign; 0 while in force."""

    def is_valid_at(self, height: int) -> bool:
        """Whether a signature by this key counted in a block of that height."""
        return self.valid_from_height <= height and (
            self.revoked_at_height == 0 or height < self.revoked_at_height
        )


class CandidateKey(Wire, frozen=True):
    """A key that comes with a candidate."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    usages: int
    """Sum of `Usage` values."""
    possession: bytes
    """Signature by this key over `possession_bytes`: nobody can register a key that another holds."""


class Candidate(Wire, frozen=True):
    """An organisation that asks to become a member."""

    slug: str
    """Short name."""
    roles: tuple[Role, ...]
    """Ascending."""
    endpoints: tuple[str, ...]
    """Addresses of its site, preferred first."""
    hpke_public_key: bytes
    """Key that others wrap compartment keys to; may be empty."""
    admin_threshold: int
    """How many distinct admin keys must sign a change, 1 to 3."""
    keys: tuple[CandidateKey, ...]
    """Its first keys."""


class Counter(Wire, frozen=True):
    """The next organisation's number."""

    next_id: int
    """1 to 2^32-1."""


def possession_bytes(*, chain_id: str, slug: str, public_key: bytes, usages: int) -> bytes:
    """Bytes that a candidate's key signs, bound to the ledger, the candidate and the uses."""
    return _POSSESSION_PREFIX + encode([chain_id, slug, public_key, usages])


def pack_key(key: Key) -> bytes:
    """Stored form, big-endian: schema 1 | organisation 4 | usages 2 | valid from 8 | revoked at 8 bytes."""
    return _KEY_LAYOUT.pack(
        SCHEMA, key.organisation, key.usages, key.valid_from_height, key.revoked_at_height
    )


def unpack_key(public_key: bytes, raw: bytes) -> Key:
    """Read what `pack_key` wrote.

    Raises:
        InvariantViolated: The bytes are not of that layout.
    """
    if len(raw) != _KEY_LAYOUT.size or raw[0] != SCHEMA:
        raise InvariantViolated("state of identity.keys cannot be read")
    _, organisation, usages, valid_from, revoked_at = _KEY_LAYOUT.unpack(raw)
    return Key(public_key, organisation, usages, valid_from, revoked_at)


class OrganisationAdmitted(Event, frozen=True):
    """An organisation became a member."""

    organisation: int
    slug: str


class OrganisationRemoved(Event, frozen=True):
    """An organisation ceased to be a member; all its keys are revoked."""

    organisation: int


class KeyRegistered(Event, frozen=True):
    """A key came in."""

    organisation: int
    public_key: bytes
    usages: int
    valid_from_height: int


class KeyRevoked(Event, frozen=True):
    """A key went out, for ever."""

    organisation: int
    public_key: bytes


class EndpointsChanged(Event, frozen=True):
    """An organisation has other addresses."""

    organisation: int


class HPKEKeyChanged(Event, frozen=True):
    """An organisation has another key for wraps."""

    organisation: int


class AdminThresholdChanged(Event, frozen=True):
    """An organisation asks for another number of admin signatures."""

    organisation: int
    admin_threshold: int
