"""What a wallet may ask of a custodian about its cell: signed commands and their bodies.

A command is an envelope signed by the wallet's identity key, so it counts however it came: from the agent at
the same site, or over the exchange. It names ledger, cell, kind and time; a custodian obeys commands of a cell
in the order of their times and refuses earlier ones, so that an old `lift` cannot undo a later `stop`.

Owns the format. `command_desk` obeys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from careledger.domains.records.service.consent.errors import COMMAND_INVALID
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import CellID, ChainID, PublicKey
from careledger.vault.envelope import parse_envelope, sign_envelope, verify_envelope
from careledger.vault.errors import EnvelopeInvalid
from careledger.vault.keys import SigningSeed
from careledger.vault.wrapping import GrantInfo

COMMAND_PAYLOAD_TYPE: Final = "careledger/cell-command/v1"
COMMAND_BYTES_MAX: Final = 24 * 1024 * 1024

STOP: Final = "stop"
LIFT: Final = "lift"
MANIFESTS: Final = "manifests"
KEYS: Final = "keys"
OPEN_EPOCHS: Final = "open-epochs"
EPOCH_STATE: Final = "epoch-state"
SEAL_EPOCHS: Final = "seal-epochs"
OPENING: Final = "opening"
CURRENT_OPENING: Final = "current-opening"
ACCESS_LOG: Final = "access-log"
ESCROW: Final = "escrow"
KEEP_SHARE: Final = "keep-share"
AGENT: Final = "agent"
IDENTITY: Final = "identity"

KINDS: Final = (
    STOP,
    LIFT,
    MANIFESTS,
    KEYS,
    OPEN_EPOCHS,
    EPOCH_STATE,
    SEAL_EPOCHS,
    OPENING,
    CURRENT_OPENING,
    ACCESS_LOG,
    ESCROW,
    KEEP_SHARE,
    AGENT,
    IDENTITY,
)

EVERYTHING: Final = bytes(32)
"""Name under which all of a cell's grants are stopped."""
OPENING_PADDED_BYTES: Final = 64 * 1024
"""Openings are filled up to a multiple of this, so that their length tells little."""

_NO_POLICY: Final = bytes(32)


class Command(Wire, frozen=True):
    """Payload of a command's envelope."""

    version: int
    """1."""
    chain_id: str
    cell: bytes
    """32 bytes."""
    kind: str
    """One of `KINDS`."""
    issued_ms: int
    """When the wallet signed; ascending per cell."""
    body: bytes
    """Canonical bytes of the kind's body; empty where it has none."""


class Names(Wire, frozen=True):
    """Body of `stop` and `lift`: names of grants, or `EVERYTHING`."""

    names: tuple[bytes, ...]


class Compartments(Wire, frozen=True):
    """Body of `keys` and `epoch-state`."""

    compartments: tuple[int, ...]


class CompartmentBytes(Wire, frozen=True):
    """Something of one compartment's epoch: a sealed key or a manifest's envelope."""

    compartment: int
    epoch: int
    value: bytes


class CompartmentList(Wire, frozen=True):
    """Body of `open-epochs` (sealed index keys) and `seal-epochs` (envelopes); answer of several kinds."""

    items: tuple[CompartmentBytes, ...]


class EpochState(Wire, frozen=True):
    """What a custodian prepared for one new epoch."""

    compartment: int
    epoch: int
    visible: tuple[tuple[bytes, bytes], ...]
    """(tag, commitment) of earlier epochs that may still be shown, in the order of their streams."""
    left_out: tuple[bytes, ...]
    """Tags of earlier epochs that are not shown any more: erased, void or never this site's."""


class EpochStates(Wire, frozen=True):
    """Answer of `epoch-state`."""

    items: tuple[EpochState, ...]


class OpeningBody(Wire, frozen=True):
    """Body of `opening`."""

    opening: bytes
    padding: bytes
    """Zeros."""


class LogFrom(Wire, frozen=True):
    """Body of `access-log`."""

    first: int
    """Position to start from."""


class LogItem(Wire, frozen=True):
    """One access entry."""

    position: int
    salt: bytes
    event: bytes


class LogPage(Wire, frozen=True):
    """Answer of `access-log`."""

    items: tuple[LogItem, ...]
    next_first: int
    """Where the next page starts; 0 if this is the last."""


class ShareBody(Wire, frozen=True):
    """Body of `escrow`."""

    share: bytes
    """The custodian's share of the wallet's root, as `vault.sharing` writes it, sealed to the custodian."""


class AgentBody(Wire, frozen=True):
    """Body of `agent`: who keeps the wallet from now on."""

    slug: str


class IdentityBody(Wire, frozen=True):
    """Body of `identity`: the wallet that took the place of a lost or stolen one."""

    identity: bytes
    """Its identity key."""
    recipient: bytes
    """Its HPKE key."""
    agent: str
    """Who keeps it."""


@dataclass(frozen=True, slots=True)
class SignedCommand:
    """A command whose signatures stand."""

    command: Command
    signers: tuple[PublicKey, ...]


W = TypeVar("W", bound=Wire)


def sign_command(
    kind: str,
    body: Wire | None,
    *,
    chain: ChainID,
    cell: CellID,
    issued_ms: int,
    seeds: tuple[SigningSeed, ...],
) -> bytes:
    """Sign a command."""
    raw = b"" if body is None else encode(body)
    return sign_envelope(COMMAND_PAYLOAD_TYPE, encode(Command(1, chain, cell, kind, issued_ms, raw)), *seeds)


def read_command(envelope: bytes, *, chain: ChainID, kind: str) -> SignedCommand:
    """Check the signatures of a command and read it; whose keys they must be is the caller's to check.

    Raises:
        Rejected: COMMAND_INVALID.
    """
    if len(envelope) > COMMAND_BYTES_MAX:
        raise Rejected(COMMAND_INVALID, "too long")
    try:
        signers = tuple(PublicKey(item.public_key) for item in parse_envelope(envelope).signatures)
        payload = verify_envelope(envelope, payload_type=COMMAND_PAYLOAD_TYPE, signers=signers)
        command = decode(payload, Command)
    except (EnvelopeInvalid, CodecError) as error:
        raise Rejected(COMMAND_INVALID, str(error)) from None
    if (command.version, command.chain_id, command.kind) != (1, chain, kind) or len(command.cell) != 32:
        raise Rejected(COMMAND_INVALID, "for another ledger or of another kind")
    return SignedCommand(command, signers)


def read_body(raw: bytes, kind: type[W]) -> W:
    """Read a command's body or an answer.

    Raises:
        Rejected: COMMAND_INVALID.
    """
    try:
        return decode(raw, kind)
    except CodecError as error:
        raise Rejected(COMMAND_INVALID, str(error)) from None


def pad_opening(opening: bytes) -> OpeningBody:
    """Fill an opening up, so that its length on the way says little about what changed."""
    return OpeningBody(opening, bytes(-len(opening) % OPENING_PADDED_BYTES))


def wallet_key_info(chain: ChainID, cell: CellID, subject: str, epoch: int) -> GrantInfo:
    """What a key sealed to the wallet is bound to."""
    return GrantInfo(chain, cell, subject, "wallet", epoch, 0, _NO_POLICY)


def custodian_key_info(chain: ChainID, cell: CellID, subject: str, epoch: int) -> GrantInfo:
    """What a key sealed to the custodian is bound to."""
    return GrantInfo(chain, cell, subject, "custodian", epoch, 0, _NO_POLICY)
