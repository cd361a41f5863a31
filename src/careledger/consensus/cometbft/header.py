"""Headers and commits of the engine: their hashes, what validators sign, and the check of a quorum.

Pure: no engine, no network, no clock. Structures are stored and sent in our canonical encoding; what is hashed
or signed is built here byte for byte as the engine builds it, with a few lines of protobuf writing, so a
verifier needs nothing generated.

Source: CometBFT v0.38, specification of the core data structures; its Merkle tree is that of RFC 6962 §2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from careledger.consensus.cometbft.keys import validator_address
from careledger.primitives.codec import Wire
from careledger.primitives.hashing import leaf_hash, tree_root
from careledger.primitives.signing import PUBLIC_KEY_BYTES, SignatureInvalid, verify_signature

_PRECOMMIT = 2
_HEIGHT_MAX = 2**63 - 1
_ROUND_MAX = 2**31 - 1


class HeaderInvalid(Exception):  # noqa: N818 - verification raises the outcome's name
    """A header or commit that does not hold; the message names the failing step."""


class VoteFlag(IntEnum):
    """What a validator's place in a commit says."""

    ABSENT = 1
    COMMIT = 2
    NIL = 3


class Validator(Wire, frozen=True):
    """One member of a validator set."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    power: int
    """Voting power, above 0."""

    @property
    def address(self) -> bytes:
        """First 20 bytes of the key's SHA-256."""
        return validator_address(self.public_key)


class BlockId(Wire, frozen=True):
    """Name of a block."""

    hash: bytes
    """Hash of its header; empty for the block before the first."""
    parts_total: int
    """Parts in which it travelled."""
    parts_hash: bytes
    """Merkle root over the parts."""


class Header(Wire, frozen=True):
    """One block's header, field by field what is hashed."""

    version_block: int
    version_app: int
    chain_id: str
    height: int
    time_s: int
    """Block time: whole seconds since 1970."""
    time_ns: int
    """Block time: the rest, in nanoseconds."""
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    """Of the set that signs this block."""
    next_validators_hash: bytes
    """Of the set that signs the next one."""
    consensus_hash: bytes
    app_hash: bytes
    """Application hash after the block before this one."""
    last_results_hash: bytes
    evidence_hash: bytes
    proposer: bytes
    """Address, 20 bytes."""

    @property
    def time_ms(self) -> int:
        """Block time in milliseconds, rounded down."""
        return self.time_s * 1_000 + self.time_ns // 1_000_000


class Vote(Wire, frozen=True):
    """One validator's place in a commit."""

    flag: int
    """As in `VoteFlag`."""
    validator: bytes
    """Address; empty when absent."""
    time_s: int
    time_ns: int
    signature: bytes
    """Ed25519, 64 bytes; empty when absent."""


class Commit(Wire, frozen=True):
    """The votes that decided a block, in the order of the validator set."""

    height: int
    round: int
    block_id: BlockId
    votes: tuple[Vote, ...]


class SignedHeader(Wire, frozen=True):
    """A header and the commit that decided it."""

    header: Header
    commit: Commit


# -- Bytes -------------------------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    """Base-128 number; negative ones as 64-bit two's complement."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _number_field(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number) if number else b""


def _fixed_field(field: int, number: int) -> bytes:
    return _varint(field << 3 | 1) + number.to_bytes(8, "little", signed=True) if number else b""


def _message_field(field: int, content: bytes) -> bytes:
    """Write a field even when it is empty, as the engine does for parts that are always there."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _bytes_field(field: int, content: bytes) -> bytes:
    return _message_field(field, content) if content else b""


def _time(time_s: int, time_ns: int) -> bytes:
    return _number_field(1, time_s) + _number_field(2, time_ns)


def _block_id(block_id: BlockId) -> bytes:
    parts = _number_field(1, block_id.parts_total) + _bytes_field(2, block_id.parts_hash)
    return _bytes_field(1, block_id.hash) + _message_field(2, parts)


def header_hash(header: Header) -> bytes:
    """Hash of a header: the Merkle root over its fields."""
    fields: Iterable[bytes] = (
        _number_field(1, header.version_block) + _number_field(2, header.version_app),
        _bytes_field(1, header.chain_id.encode()),
        _number_field(1, header.height),
        _time(header.time_s, header.time_ns),
        _block_id(header.last_block_id),
        _bytes_field(1, header.last_commit_hash),
        _bytes_field(1, header.data_hash),
        _bytes_field(1, header.validators_hash),
        _bytes_field(1, header.next_validators_hash),
        _bytes_field(1, header.consensus_hash),
        _bytes_field(1, header.app_hash),
        _bytes_field(1, header.last_results_hash),
        _bytes_field(1, header.evidence_hash),
        _bytes_field(1, header.proposer),
    )
    return tree_root([leaf_hash(field) for field in fields])


def validators_hash(validators: Sequence[Validator]) -> bytes:
    """Hash of a validator set, which stands in the order of `ordered`."""
    return tree_root(
        [
            leaf_hash(_message_field(1, _bytes_field(1, each.public_key)) + _number_field(2, each.power))
            for each in validators
        ]
    )


def ordered(validators: Iterable[Validator]) -> tuple[Validator, ...]:
    """Order of a validator set: by power, the greatest first, then by address."""
    return tuple(sorted(validators, key=lambda each: (-each.power, each.address)))


def vote_sign_bytes(chain_id: str, commit: Commit, vote: Vote) -> bytes:
    """Bytes that a validator signs when it votes for the commit's block."""
    content = (
        _number_field(1, _PRECOMMIT)
        + _fixed_field(2, commit.height)
        + _fixed_field(3, commit.round)
        + _message_field(4, _block_id(commit.block_id))
        + _message_field(5, _time(vote.time_s, vote.time_ns))
        + _bytes_field(6, chain_id.encode())
    )
    return _varint(len(content)) + content


# -- Quorum ------------------------------------------------------------------------------------------------


def verify_commit(signed: SignedHeader, chain_id: str, validators: Sequence[Validator]) -> tuple[bytes, ...]:
    """Check that more than two thirds of a known validator set decided a header.

    1. Header and commit are of this ledger and of one height, and the commit names the header's hash.
    2. The known set is the one that the header names.
    3. The commit has one place for each validator, in the set's order.
    4. The power behind signatures that stand is more than two thirds of the whole.

    A signature that does not stand counts for nothing and spoils nothing: libraries disagree on a few malformed
    ones, and one faulty validator must not make an honest quorum unprovable.

    Returns:
        Keys of the validators whose signatures were counted.

    Raises:
        HeaderInvalid: A step failed.
    """
    header, commit = signed.header, signed.commit
    # 1
    if header.chain_id != chain_id:
        raise HeaderInvalid("the header is of another ledger")
    if header.height != commit.height:
        raise HeaderInvalid("the commit is of another height than the header")
    if not 0 < commit.height <= _HEIGHT_MAX or not 0 <= commit.round <= _ROUND_MAX:
        raise HeaderInvalid("a height or round is out of range")
    if commit.block_id.hash != header_hash(header):
        raise HeaderInvalid("the commit does not name the header's hash")
    # 2
    check_validators(validators)
    if validators_hash(validators) != header.validators_hash:
        raise HeaderInvalid("the header was signed by another validator set than the one that is known")
    # 3
    if len(commit.votes) != len(validators):
        raise HeaderInvalid("the commit has not one place for each validator")
    # 4
    counted: list[bytes] = []
    power = 0
    for validator, vote in zip(validators, commit.votes, strict=True):
        if vote.flag != VoteFlag.COMMIT:
            continue
        if vote.validator != validator.address:
            raise HeaderInvalid("a vote stands in the place of another validator")
        if _is_signed(chain_id, commit, vote, validator):
            counted.append(validator.public_key)
            power += validator.power
    total = sum(validator.power for validator in validators)
    if power * 3 <= total * 2:
        raise HeaderInvalid(
            f"validators with {power} of {total} votes signed, more than two thirds are needed"
        )
    return tuple(counted)


def check_validators(validators: Sequence[Validator]) -> None:
    """Check that a validator set is one.

    Raises:
        HeaderInvalid: It is empty, has a malformed or repeated key, or a power that is not above 0.
    """
    keys = [validator.public_key for validator in validators]
    if not keys or len(set(keys)) != len(keys):
        raise HeaderInvalid("the validator set is empty or names a validator twice")
    if any(len(key) != PUBLIC_KEY_BYTES for key in keys) or any(each.power < 1 for each in validators):
        raise HeaderInvalid("a validator's key or power is malformed")


def _is_signed(chain_id: str, commit: Commit, vote: Vote, validator: Validator) -> bool:
    try:
        verify_signature(validator.public_key, vote_sign_bytes(chain_id, commit, vote), vote.signature)
    except SignatureInvalid:
        return False
    return True
