"""A story through all three modules; prints one digest of everything it left behind.

Run as a program by the replay test, in interpreters that differ in whatever must not matter.
"""

from __future__ import annotations

from hashlib import sha256

from careledger.domains.governance.chain.messages import Propose, Vote
from careledger.domains.governance.chain.types import (
    Action,
    ActivateModule,
    AdmitOrganisation,
    ChangeValidator,
    RemoveOrganisation,
    SetParameters,
    SetWitnesses,
    Witness,
    WitnessPolicy,
)
from careledger.domains.identity.chain.messages import RegisterKey, RevokeKey, RotateKey
from careledger.domains.records.chain.messages import CommitRecords, CreateCells, StartRecovery, UpdateCell
from careledger.domains.records.chain.types import (
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
)
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.signing import public_key_of
from careledger.sdk.messages import Message
from domains.identity.chain_network import (
    CHAIN_ID,
    Network,
    admin,
    candidate,
    digest,
    ledger,
    seed,
    validator,
)


def run() -> str:
    """Play the story and return the digest, in hexadecimal."""
    network = Network(5, validators=3)
    trace = sha256()

    def step(message: Message, *seeds: bytes) -> None:
        try:
            trace.update(b"\x00" + network.run(message, *seeds))
            for event in network.events:
                trace.update(type(event).__name__.encode() + encode(event))
        except Rejected as rejection:
            trace.update(b"\x01" + rejection.code.name.encode())

    new = seed("new")
    tags = sorted(digest("tag", number) for number in range(64))
    packed = b"".join(
        (
            digest("contents"),
            compute_key_commitment(public_key_of(new)),
            compute_recovery_commitment(public_key_of(seed("recovery"))),
            digest("nonce"),
        )
    )
    cell = compute_cell_id(CHAIN_ID, 1, packed)
    actions: tuple[Action, ...] = (
        AdmitOrganisation(candidate("sixth")),
        SetParameters((("permit_bytes_max", 100), ("recovery_delay_ms", 5_000))),
        ActivateModule("supply", 1, 40),
        ChangeValidator(public_key_of(validator(4)), 7, 4),
        SetWitnesses(
            WitnessPolicy(1, (Witness("a.example", digest("a")), Witness("b.example", digest("b"))))
        ),
        RemoveOrganisation(2),
    )
    for number, action in enumerate(actions, start=1):
        step(Propose(1, action), admin(1))
        for organisation in (2, 3, 4, 5):
            step(
                Vote(organisation, number, is_approval=organisation != 5 or number % 2 == 0),
                admin(organisation),
            )
        step(CommitRecords(1, b"".join(tags), b"".join(tags)), ledger(1))
        step(CommitRecords(3, b"".join(tags[:8]), bytes(256)), ledger(3 if number % 2 else 1))
        step(CreateCells(1, packed), ledger(1))
        step(StartRecovery(cell, public_key_of(seed("recovery")), digest("k"), digest("r")), seed("recovery"))
        step(
            UpdateCell(
                cell,
                number.to_bytes(8, "big"),
                public_key_of(new),
                digest("next"),
                digest("r"),
                digest(number),
            ),
            new,
        )
        step(RegisterKey(3, public_key_of(seed("extra", number)), 1, 0), admin(3), seed("extra", number))
        step(
            RotateKey(4, public_key_of(ledger(4)), public_key_of(seed("rotated"))), admin(4), seed("rotated")
        )
        step(RevokeKey(3, public_key_of(validator(3))), admin(3))
        for update in network.end_block():
            trace.update(update.public_key + update.power.to_bytes(4, "big"))
        network.next_block()
    for key, value in network.pairs():
        trace.update(len(key).to_bytes(2, "big") + key + len(value).to_bytes(4, "big") + value)
    for module in network.modules:
        trace.update(encode(module.export_genesis(network.view())))
    return trace.hexdigest()


if __name__ == "__main__":
    print(run())
