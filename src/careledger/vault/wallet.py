"""A patient's wallet: one root secret, and the keys it derives.

Owns the derivation tree. Does not store the root (keystores and recovery files do), sign, or talk to anyone.

    root -> wallet key = HKDF-Extract("careledger/wallet/v1", root)
      identity signing seed
      HPKE seed
      recovery seed   per custodian and position
      custodian root  per custodian
        index key       per compartment and epoch
        access log key  per epoch
        cell seed       per position

Derivation is one-way and labelled, so a custodian's root says nothing of another's, of the wallet key, or of
the recovery seeds. Compartment keys are not derived: they are random and come wrapped, so that losing the
root loses control and never a record. `HeldKeys` is where a wallet keeps them, wrapped.

Whoever steals the root holds the recovery seeds too. What stands against that is the delay and notice of a
cell's recovery, not this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.identifiers import (
    ORGANISATION_ID_MAX,
    ChainID,
    OrganisationID,
    is_chain_id,
)
from careledger.vault.derivation import derivation_info, hkdf_expand, hkdf_extract
from careledger.vault.errors import KeyNotHeld, WrapBroken
from careledger.vault.kem import OpeningKey
from careledger.vault.keys import CompartmentKey, CustodianRoot, IndexKey, KEMSeed, RootSecret, SigningSeed
from careledger.vault.wrapping import GrantInfo, open_granted_key

HELD_KEYS_MAX: Final = 100_000

_SALT = b"careledger/wallet/v1"
_IDENTITY = derivation_info("identity")
_KEM = derivation_info("hpke")
_UINT32_BYTES = 4
_UINT64_BYTES = 8
_TEXT_BYTES_MAX = 64
_HELD_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Custodian:
    """An organisation that holds records, on the ledger where it is registered."""

    chain: ChainID
    """Organisation numbers are given per ledger, so the ledger is part of the name."""
    organisation: OrganisationID
    """1 to 2^32-1."""

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ValueError: Not the name of a ledger, or not an organisation's number.
        """
        if not is_chain_id(self.chain) or not 1 <= self.organisation <= ORGANISATION_ID_MAX:
            raise ValueError("not a ledger's name and an organisation's number")

    def parts(self) -> tuple[bytes, bytes]:
        """The custodian as parts of a derivation."""
        return self.chain.encode("ascii"), self.organisation.to_bytes(_UINT32_BYTES, "big")


class CustodianKeys:
    """What a wallet derives for one custodian; can be handed to an agent alone."""

    __slots__ = ("_key", "root")

    def __init__(self, root: CustodianRoot) -> None:
        self.root = root
        """The secret all of this follows from."""
        self._key = root.reveal()

    def index_key(self, compartment: str, epoch: int) -> IndexKey:
        """Index key of one compartment's stream in one epoch.

        Raises:
            ValueError: The compartment's name is not 1 to 64 bytes.
            OverflowError: The epoch is not 0 to 2^32-1.
        """
        name = compartment.encode()
        if not 1 <= len(name) <= _TEXT_BYTES_MAX:
            raise ValueError("compartment is 1 to 64 bytes")
        info = derivation_info("index", name, epoch.to_bytes(_UINT32_BYTES, "big"))
        return IndexKey(hkdf_expand(self._key, info))

    def access_log_key(self, epoch: int) -> IndexKey:
        """Index key of the access log's stream in one epoch.

        Raises:
            OverflowError: The epoch is not 0 to 2^32-1.
        """
        info = derivation_info("access-log", epoch.to_bytes(_UINT32_BYTES, "big"))
        return IndexKey(hkdf_expand(self._key, info))

    def cell_seed(self, position: int) -> SigningSeed:
        """Seed of the one-time key that signs the cell's update at that position.

        Raises:
            OverflowError: The position is not 0 to 2^64-1.
        """
        info = derivation_info("cell", position.to_bytes(_UINT64_BYTES, "big"))
        return SigningSeed(hkdf_expand(self._key, info))

    def __repr__(self) -> str:
        return "<CustodianKeys: not shown>"


class Wallet:
    """Everything one patient's root secret derives."""

    __slots__ = ("_key", "root")

    def __init__(self, root: RootSecret) -> None:
        self.root = root
        """The secret all of this follows from."""
        self._key = hkdf_extract(_SALT, root.reveal())

    @classmethod
    def create(cls) -> Wallet:
        """Make the wallet of a new random root."""
        return cls(RootSecret.random())

    def identity_seed(self) -> SigningSeed:
        """Seed of the key the patient signs with where they may be recognised; never on the ledger."""
        return SigningSeed(hkdf_expand(self._key, _IDENTITY))

    def opening_key(self) -> OpeningKey:
        """HPKE key pair to which compartment keys are sealed for the patient. Costs about 200 us: keep it."""
        return OpeningKey(KEMSeed(hkdf_expand(self._key, _KEM)))

    def custodian(self, custodian: Custodian) -> CustodianKeys:
        """Keys that concern one custodian."""
        return CustodianKeys(
            CustodianRoot(hkdf_expand(self._key, derivation_info("custodian", *custodian.parts())))
        )

    def recovery_seed(self, custodian: Custodian, position: int) -> SigningSeed:
        """Seed of the key that may replace a lost one-time key of this custodian's cell.

        Raises:
            OverflowError: The position is not 0 to 2^64-1.
        """
        info = derivation_info("recovery", *custodian.parts(), position.to_bytes(_UINT64_BYTES, "big"))
        return SigningSeed(hkdf_expand(self._key, info))

    def __repr__(self) -> str:
        return "<Wallet: not shown>"


class HeldKey(Wire, frozen=True):
    """A compartment key as the wallet keeps it: sealed to the wallet's HPKE key."""

    organisation: OrganisationID
    """The custodian's number on the ledger that `info` names."""
    info: GrantInfo
    """What the seal is bound to; its subject is the compartment."""
    granted: bytes
    """The sealed key, as `wrapping.grant_key` made it."""


class _HeldFile(Wire, frozen=True):
    version: int
    keys: tuple[HeldKey, ...]


class HeldKeys:
    """The wrapped compartment keys of one wallet, by custodian, compartment and epoch."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[tuple[ChainID, OrganisationID, str, int], HeldKey] = {}

    def add(self, held: HeldKey) -> None:
        """Keep a wrapped key, in place of an earlier one of the same compartment and epoch.

        Raises:
            ValueError: The wallet holds as many as it may.
        """
        place = (held.info.chain, held.organisation, held.info.subject, held.info.epoch)
        if place not in self._keys and len(self._keys) >= HELD_KEYS_MAX:
            raise ValueError(f"a wallet holds at most {HELD_KEYS_MAX} wrapped keys")
        self._keys[place] = held

    def open_key(
        self, opening_key: OpeningKey, custodian: Custodian, compartment: str, epoch: int
    ) -> CompartmentKey:
        """Open one compartment key with the wallet's HPKE key.

        Raises:
            KeyNotHeld: There is none of that custodian, compartment and epoch.
            WrapBroken: It was sealed to somebody else, or changed.
        """
        held = self._keys.get((custodian.chain, custodian.organisation, compartment, epoch))
        if held is None:
            raise KeyNotHeld("the wallet holds no key of that custodian, compartment and epoch")
        return open_granted_key(held.granted, opening_key, held.info, CompartmentKey)

    def forget(self, custodian: Custodian, compartment: str, epoch: int) -> None:
        """Drop one wrapped key.

        Raises:
            KeyNotHeld: There is none.
        """
        place = (custodian.chain, custodian.organisation, compartment, epoch)
        if self._keys.pop(place, None) is None:
            raise KeyNotHeld("the wallet holds no key of that custodian, compartment and epoch")

    def __iter__(self) -> Iterator[HeldKey]:
        return iter([self._keys[place] for place in sorted(self._keys)])

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<HeldKeys: {len(self._keys)}>"

    def to_bytes(self) -> bytes:
        """Encode canonically, in order of custodian, compartment and epoch."""
        return encode(_HeldFile(_HELD_VERSION, tuple(self)))

    @classmethod
    def from_bytes(cls, raw: bytes) -> HeldKeys:
        """Read what `to_bytes` wrote.

        Raises:
            WrapBroken: Not the canonical encoding of held keys.
        """
        try:
            stored = decode(raw, _HeldFile)
        except CodecError as error:
            raise WrapBroken(f"not a wallet's held keys: {error}") from None
        if stored.version != _HELD_VERSION or len(stored.keys) > HELD_KEYS_MAX:
            raise WrapBroken("held keys of an unknown version, or too many")
        held = cls()
        for item in stored.keys:
            held.add(item)
        if tuple(held) != stored.keys:
            raise WrapBroken("held keys are not in order, or one of them stands twice")
        return held
