"""A ledger without consensus: the three modules over one store, each message in an overlay of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from careledger.domains.governance import chain as governance_chain
from careledger.domains.governance.chain import genesis as governance_genesis
from careledger.domains.governance.chain import keeper as governance
from careledger.domains.governance.chain.types import ModuleActivation, Validator
from careledger.domains.identity import chain as identity_chain
from careledger.domains.identity.chain import genesis as identity_genesis
from careledger.domains.identity.chain import keeper as identity
from careledger.domains.identity.chain.types import (
    USAGES_ALL,
    Candidate,
    CandidateKey,
    Role,
    Usage,
    possession_bytes,
)
from careledger.domains.records import chain as records_chain
from careledger.primitives.codec import Wire, decode, encode
from careledger.primitives.errors import Code, Rejected
from careledger.primitives.hashing import labelled
from careledger.primitives.signing import public_key_of, sign
from careledger.sdk.context import Context, View
from careledger.sdk.events import Event
from careledger.sdk.messages import Message
from careledger.sdk.module import Module, ValidatorUpdate
from careledger.state.overlay import Overlay

CHAIN_ID = "test-ledger"
GENESIS_TIME_MS = 1_800_000_000_000


class _Nothing:
    """What is under the lowest overlay."""

    def get(self, key: bytes) -> None:  # noqa: ARG002
        return None

    def has(self, key: bytes) -> bool:  # noqa: ARG002
        return False

    def scan(
        self,
        start: bytes,  # noqa: ARG002 - nothing lies in any range
        end: bytes | None,  # noqa: ARG002
        *,
        reverse: bool = False,  # noqa: ARG002
    ) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


def empty_store() -> Overlay:
    """A state without anything in it."""
    return Overlay(_Nothing())


def seed(*parts: object) -> bytes:
    """Signing seed by name."""
    return labelled("test/seed", *(str(part).encode() for part in parts))


def digest(*parts: object) -> bytes:
    """Any 32 bytes by name."""
    return labelled("test/digest", *(str(part).encode() for part in parts))


def admin(organisation: int, number: int = 1) -> bytes:
    """Seed of an organisation's admin key."""
    return seed("admin", organisation, number)


def ledger(organisation: int) -> bytes:
    """Seed of an organisation's ledger key."""
    return seed("ledger", organisation)


def validator(organisation: int) -> bytes:
    """Seed of an organisation's key for consensus."""
    return seed("validator", organisation)


def genesis_organisation(
    number: int, *, admins: int = 1, admin_threshold: int = 1
) -> identity_genesis.GenesisOrganisation:
    """Organisation with admin keys, a ledger key and a key for consensus."""
    keys = [(admin(number, each + 1), Usage.ADMIN) for each in range(admins)]
    keys += [(ledger(number), Usage.LEDGER | Usage.EXCHANGE), (validator(number), Usage.VALIDATOR)]
    return identity_genesis.GenesisOrganisation(
        id=number,
        slug=f"organisation-{number}",
        roles=(Role.HOSPITAL,),
        endpoints=(f"https://site-{number}.example:8443/ledger",),
        admin_threshold=admin_threshold,
        keys=tuple(
            identity_genesis.GenesisKey(public_key=public_key_of(held), usages=int(usages))
            for held, usages in keys
        ),
    )


def candidate(slug: str, **changes: Any) -> bytes:
    """Encoded candidate with one key for everything, named by its short name."""
    held = seed("candidate", slug)
    signed = possession_bytes(chain_id=CHAIN_ID, slug=slug, public_key=public_key_of(held), usages=USAGES_ALL)
    parts: dict[str, Any] = {
        "slug": slug,
        "roles": (Role.PHARMACY, Role.WITNESS),
        "endpoints": ("http://127.0.0.1:8080",),
        "hpke_public_key": b"",
        "admin_threshold": 1,
        "keys": (CandidateKey(public_key_of(held), USAGES_ALL, sign(held, signed)),),
    }
    return encode(Candidate(**(parts | changes)))


class Network:
    """The modules of a ledger with some organisations; organisation 1 runs the first validator."""

    def __init__(
        self, organisations: int = 1, *, admins: int = 1, admin_threshold: int = 1, validators: int = 1
    ) -> None:
        self.identity = identity_chain.build()
        self.governance = governance_chain.build(identity)
        self.records = records_chain.build(identity, governance)
        self.modules = (self.identity, self.governance, self.records)
        self.store = empty_store()
        self.height = 0
        self.time_ms = GENESIS_TIME_MS
        self.events: list[Event] = []
        """Events of the last message."""
        members = [
            genesis_organisation(number, admins=admins, admin_threshold=admin_threshold)
            for number in range(1, organisations + 1)
        ]
        self.identity.import_genesis(self.store, identity_genesis.genesis_document(members))
        self.governance.import_genesis(
            self.store,
            governance_genesis.genesis_document(
                modules=[ModuleActivation(module.name, module.version, 0) for module in self.modules],
                validators=[
                    Validator(public_key_of(validator(number)), 10, number)
                    for number in range(1, validators + 1)
                ],
            ),
        )
        self.next_block()

    def next_block(self, *, blocks: int = 1, later_ms: int = 1_000) -> None:
        """Go on to a later block."""
        self.height += blocks
        self.time_ms += later_ms

    def context(self, *seeds: bytes, store: Overlay | None = None) -> Context:
        """Context of a transaction signed with the seeds."""
        return Context(
            store=self.store if store is None else store,
            chain_id=CHAIN_ID,
            height=self.height,
            time_ms=self.time_ms,
            tx_id=bytes(32),
            signers=tuple(sorted(public_key_of(each) for each in seeds)),
        )

    def module_of(self, message: Message) -> Module:
        """Module that understands the message."""
        for module in self.modules:
            binding = module.binding(type(message).__name__)
            if binding is not None and binding.message is type(message):
                return module
        raise LookupError(type(message).__name__)

    def run(self, message: Message, *seeds: bytes) -> bytes:
        """Process a message as the application does; whatever it wrote is dropped if it is rejected."""
        binding = self.module_of(message).binding(type(message).__name__)
        if binding is None:
            raise LookupError(type(message).__name__)
        received = decode(encode(message), binding.message)
        received.check()
        overlay = Overlay(self.store)
        context = self.context(*seeds, store=overlay)
        data = binding.handle(context, received)
        overlay.merge_into_parent()
        self.events = context.events
        return data

    def end_block(self) -> tuple[ValidatorUpdate, ...]:
        """Run what is due at the end of a block."""
        updates: list[ValidatorUpdate] = []
        for module in self.modules:
            if module.end_block is not None:
                context = self.context()
                updates += module.end_block(context)
                self.events = context.events
        return tuple(updates)

    def query(self, module: Module, name: str, request: Wire | bytes) -> Wire:
        """Ask a module."""
        return module.queries[name](self.view(), request if isinstance(request, bytes) else encode(request))

    def view(self) -> View:
        """The state as it stands."""
        return View(store=self.store, chain_id=CHAIN_ID, height=self.height, time_ms=self.time_ms)

    def pairs(self, module: Module | None = None) -> list[tuple[bytes, bytes]]:
        """All pairs of the state, or those of one module."""
        within = b"" if module is None else bytes((module.number,))
        return [(key, value) for key, value in self.store.scan(within, None) if key.startswith(within)]

    def check(self) -> None:
        """Fail if an invariant does not hold."""
        for module in self.modules:
            for name, holds in module.invariants.items():
                assert holds(self.view()) == [], (module.name, name)

    def check_round_trip(self) -> None:
        """Fail unless importing the export gives the same pairs."""
        for module in self.modules:
            copied = empty_store()
            module.import_genesis(copied, module.export_genesis(self.view()))
            assert list(copied.scan(b"", None)) == self.pairs(module)


def check_rejected(network: Network, code: Code, act: Callable[[Network], object]) -> None:
    """Fail unless the act is rejected with the code and leaves no trace."""
    before = network.pairs()
    with pytest.raises(Rejected) as caught:
        act(network)
    assert caught.value.code == code
    assert network.pairs() == before
