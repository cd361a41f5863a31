"""What a verifier pins: which ledger, who signs its checkpoints, and how many witnesses must agree.

A trust document is never taken from what is being verified. It comes from the network's genesis, from somebody
the verifier trusts, or from an earlier first use; how it is kept is the caller's business. Reading and writing
are pure. How validators' votes are checked belongs to their engine; only the embedded engine's authenticator is
made here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from careledger.ledger.genesis import GenesisDocument
from careledger.ledger.light import SoloAuthenticator
from careledger.primitives.codec import Wire
from careledger.primitives.identifiers import is_chain_id
from careledger.primitives.signing import PUBLIC_KEY_BYTES

FORMAT: Final = "careledger-trust/1"
ENGINE_SOLO: Final = "solo"
"""One sequencer signs checkpoints."""
ENGINE_COMETBFT: Final = "cometbft"
"""More than two thirds of the validators decide them."""
TRUST_BYTES_MAX: Final = 64 * 1024
WITNESSES_MAX: Final = 64
VALIDATORS_MAX: Final = 200
_BUCKETS_LOG2_RANGE: Final = range(4, 25)


class TrustInvalid(ValueError):  # noqa: N818 - reading raises the outcome's name
    """Bytes that are no usable trust document; the message says why."""


class PinnedWitness(Wire, frozen=True):
    """One whose cosignature counts."""

    name: str
    """Name of its key in signed notes."""
    public_key: bytes
    """Ed25519, 32 bytes."""


class PinnedValidator(Wire, frozen=True):
    """One whose vote counts."""

    public_key: bytes
    """Ed25519, 32 bytes."""
    power: int
    """1 to 2^31 - 1."""


class Trust(Wire, frozen=True):
    """Everything that a light client must know beforehand."""

    chain_id: str
    """The ledger."""
    engine: str
    """What orders its transactions: `solo` or `cometbft`."""
    sequencer: bytes
    """Ed25519 key that signs checkpoints, 32 bytes; empty where validators decide."""
    validators: tuple[PinnedValidator, ...]
    """A validator set that is known, ascending by key; empty where a sequencer decides."""
    witnesses: tuple[PinnedWitness, ...]
    """Ascending by name."""
    quorum: int
    """How many of them must have cosigned; 0 trusts the sequencer alone."""
    buckets_log2: int
    """Binary logarithm of the number of buckets of the state tree."""

    @property
    def witness_keys(self) -> dict[str, bytes]:
        """Name -> Ed25519 key."""
        return {witness.name: witness.public_key for witness in self.witnesses}

    def solo_authenticator(self) -> SoloAuthenticator:
        """What decides whether a checkpoint of an embedded ledger is vouched for.

        Raises:
            TrustInvalid: Validators decide there; their engine has the authenticator.
        """
        if self.engine != ENGINE_SOLO:
            raise TrustInvalid("the ledger has validators: their votes need an authenticator of their engine")
        return SoloAuthenticator(
            chain_id=self.chain_id,
            sequencer=self.sequencer,
            witnesses=self.witness_keys,
            quorum=self.quorum,
        )


def check_trust(trust: Trust) -> None:
    """Check that the parts are possible, so that nothing is verified against nonsense.

    Raises:
        TrustInvalid: One is not.
    """
    if not is_chain_id(trust.chain_id):
        raise TrustInvalid("chain_id is malformed")
    _check_deciders(trust)
    names = [witness.name for witness in trust.witnesses]
    keys = [witness.public_key for witness in trust.witnesses]
    if len(names) > WITNESSES_MAX or names != sorted(set(names)):
        raise TrustInvalid("the witnesses do not ascend by name, or are too many")
    if any(len(key) != PUBLIC_KEY_BYTES for key in keys) or len(set(keys)) != len(keys):
        raise TrustInvalid("a witness's key is not 32 bytes, or is there twice")
    if not 0 <= trust.quorum <= len(names):
        raise TrustInvalid("the quorum cannot be reached")
    if trust.buckets_log2 not in _BUCKETS_LOG2_RANGE:
        raise TrustInvalid("buckets_log2 is out of range")


def _check_deciders(trust: Trust) -> None:
    keys = [validator.public_key for validator in trust.validators]
    if trust.engine == ENGINE_SOLO:
        if len(trust.sequencer) != PUBLIC_KEY_BYTES or keys:
            raise TrustInvalid("a ledger with a sequencer has its key of 32 bytes and no validators")
    elif trust.engine == ENGINE_COMETBFT:
        if trust.sequencer or not 1 <= len(keys) <= VALIDATORS_MAX or keys != sorted(set(keys)):
            raise TrustInvalid("a ledger with validators lists them once each, by key, and no sequencer")
        if any(len(key) != PUBLIC_KEY_BYTES for key in keys):
            raise TrustInvalid("a validator's key is not 32 bytes")
        if any(not 1 <= validator.power < 2**31 for validator in trust.validators):
            raise TrustInvalid("a validator's power is out of range")
    else:
        raise TrustInvalid("the engine is unknown")


def write_trust(trust: Trust) -> bytes:
    """Write a trust document as JSON, keys in hexadecimal."""
    deciders: dict[str, object] = (
        {"sequencer": trust.sequencer.hex()}
        if trust.engine == ENGINE_SOLO
        else {"validators": {one.public_key.hex(): one.power for one in trust.validators}}
    )
    document = {
        "format": FORMAT,
        "chain_id": trust.chain_id,
        "engine": trust.engine,
        **deciders,
        "witnesses": {witness.name: witness.public_key.hex() for witness in trust.witnesses},
        "quorum": trust.quorum,
        "buckets_log2": trust.buckets_log2,
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def read_trust(raw: bytes) -> Trust:
    """Read a trust document.

    Raises:
        TrustInvalid: It is none.
    """
    if len(raw) > TRUST_BYTES_MAX:
        raise TrustInvalid("the trust document is too long")
    try:
        document = json.loads(raw, object_pairs_hook=_without_duplicates)
        _require_format(document["format"])
        trust = Trust(
            chain_id=_text(document["chain_id"]),
            engine=_text(document["engine"]),
            sequencer=bytes.fromhex(document.get("sequencer", "")),
            validators=tuple(
                PinnedValidator(bytes.fromhex(key), _number(power))
                for key, power in sorted(document.get("validators", {}).items())
            ),
            witnesses=tuple(
                PinnedWitness(name, bytes.fromhex(key)) for name, key in sorted(document["witnesses"].items())
            ),
            quorum=_number(document["quorum"]),
            buckets_log2=_number(document["buckets_log2"]),
        )
    except TrustInvalid:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TrustInvalid(f"not a trust document: {type(error).__name__}") from None
    check_trust(trust)
    return trust


def trust_of_genesis(document: GenesisDocument) -> Trust:
    """Anchors that a genesis document names: its validators, its witnesses and their quorum.

    A ledger with one validator has a sequencer. The anchors are those at the ledger's start; after a vote that
    changed witnesses or the sequencer, pin a newer trust document.

    Raises:
        TrustInvalid: Its governance part is not readable.
    """
    states = [module.state for module in document.modules if module.name == "governance"]
    try:
        state: Any = states[0]
        trust = build_trust(
            chain_id=document.chain_id,
            validators=[(each["public_key"], each["power"]) for each in state["validators"]],
            witnesses=[(each["name"], each["public_key"]) for each in state["witnesses"]],
            quorum=_number(state["witness_quorum"]),
            buckets_log2=document.buckets_log2,
        )
    except (KeyError, IndexError, TypeError) as error:
        raise TrustInvalid(f"the genesis names no anchors: {type(error).__name__}") from None
    check_trust(trust)
    return trust


def build_trust(
    *,
    chain_id: str,
    validators: Sequence[tuple[bytes, int]],
    witnesses: Sequence[tuple[str, bytes]],
    quorum: int,
    buckets_log2: int,
) -> Trust:
    """Put anchors together from what governance says: one validator is a sequencer, more decide together."""
    is_solo = len(validators) == 1
    return Trust(
        chain_id=chain_id,
        engine=ENGINE_SOLO if is_solo else ENGINE_COMETBFT,
        sequencer=validators[0][0] if is_solo else b"",
        validators=() if is_solo else tuple(PinnedValidator(key, power) for key, power in sorted(validators)),
        witnesses=tuple(PinnedWitness(name, key) for name, key in sorted(witnesses)),
        quorum=quorum,
        buckets_log2=buckets_log2,
    )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise TrustInvalid("a name is there twice")
    return document


def _require_format(name: object) -> None:
    if name != FORMAT:
        raise TrustInvalid("the format is unknown")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TrustInvalid("a text was expected")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TrustInvalid("a whole number was expected")
    return value
