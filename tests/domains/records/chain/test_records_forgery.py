"""Forged consent is never accepted, and decisions about a consent cannot be told apart by size.

Threat rows 5, 6 and 24. Everything goes through real envelopes: decoded, signatures checked, message checked,
then handled, as a validator does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.messages import CompleteRecovery, CreateCells, StartRecovery, UpdateCell
from careledger.domains.records.chain.types import (
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
)
from careledger.ledger.transaction import build_transaction, decode_transaction
from careledger.ledger.verification import has_valid_signatures
from careledger.primitives.codec import CodecError, decode, encode
from careledger.primitives.errors import Rejected
from careledger.primitives.signing import public_key_of
from careledger.sdk.context import Context
from careledger.sdk.messages import Message
from careledger.state.overlay import Overlay
from domains.identity.chain_network import CHAIN_ID, Network, digest, ledger, seed

EXPIRES_AT_MS = 1_900_000_000_000
KEYS = {version: seed("chain", version) for version in range(1, 8)}
RECOVERY = seed("recovery")
THIEF = seed("thief")


def key_commitment(version: int) -> bytes:
    return compute_key_commitment(public_key_of(KEYS[version]))


CONTENTS = b"".join(
    (
        digest("v1"),
        key_commitment(2),
        compute_recovery_commitment(public_key_of(RECOVERY)),
        digest("nonce"),
    )
)
CELL = compute_cell_id(CHAIN_ID, 1, CONTENTS)


def update(version: int, *, key: bytes | None = None) -> UpdateCell:
    return UpdateCell(
        cell=CELL,
        version=version.to_bytes(8, "big"),
        key=public_key_of(KEYS[version] if key is None else key),
        next_key_commitment=key_commitment(version + 1),
        recovery_commitment=compute_recovery_commitment(public_key_of(RECOVERY)),
        commitment=digest("v", version),
    )


def envelope(message: Message, *seeds: bytes, chain_id: str = CHAIN_ID) -> bytes:
    return build_transaction(
        chain_id=chain_id, module="records", message=message, expires_at_ms=EXPIRES_AT_MS, seeds=seeds
    )


def network_at(version: int) -> Network:
    """A network whose cell stands at the version."""
    network = Network()
    network.run(CreateCells(1, CONTENTS), ledger(1))
    for each in range(2, version + 1):
        assert accepts(network, envelope(update(each), KEYS[each]))
    return network


def accepts(network: Network, raw: bytes) -> bool:
    """Whether a validator would let the envelope take effect; if so, it has."""
    try:
        transaction = decode_transaction(raw)
        content = transaction.content
        if content.chain_id != CHAIN_ID or not has_valid_signatures(transaction):
            return False
        binding = network.records.binding(content.message)
        if content.module != "records" or binding is None:
            return False
        message = decode(content.payload, binding.message)
        message.check()
        overlay = Overlay(network.store)
        context = Context(
            store=overlay,
            chain_id=CHAIN_ID,
            height=network.height,
            time_ms=network.time_ms,
            tx_id=transaction.tx_id,
            signers=content.signers,
        )
        binding.handle(context, message)
    except (Rejected, CodecError):
        return False
    overlay.merge_into_parent()
    return True


def forgeries() -> Iterator[tuple[str, bytes]]:
    """Updates of the cell at version 3 that its holder did not sign."""
    good = update(4)
    yield "a stranger's key and signature", envelope(update(4, key=THIEF), THIEF)
    yield "the holder's key, a stranger's signature", envelope(good, THIEF)
    yield "the holder's key, the custodian's signature", envelope(good, ledger(1))
    yield "the recovery key", envelope(update(4, key=RECOVERY), RECOVERY)
    yield "another ledger", envelope(good, KEYS[4], chain_id="other-ledger")
    for version in (1, 2, 3):
        yield f"the key of version {version}", envelope(update(4, key=KEYS[version]), KEYS[version])
        yield f"version {version} again", envelope(update(version), KEYS[version])
    for version in (5, 6):
        yield f"version {version} ahead of its time", envelope(update(version), KEYS[version])
    for number in (0, 1, 2, 3, 5, 2**32 + 4, 2**63, 2**64 - 1):
        wrong = msgspec.structs.replace(good, version=number.to_bytes(8, "big"))
        yield f"version {number} by the right key", envelope(wrong, KEYS[4])
    other = msgspec.structs.replace(good, cell=digest("another cell"))
    yield "another cell", envelope(other, KEYS[4])
    yield (
        "a recovery by the update key",
        envelope(StartRecovery(CELL, public_key_of(KEYS[4]), digest("k"), digest("r")), KEYS[4]),
    )
    yield "a completion of nothing", envelope(CompleteRecovery(CELL, public_key_of(RECOVERY)), RECOVERY)
    # Signatures and contents of envelopes that are good by themselves, put together anew.
    envelopes = [envelope(good, KEYS[4]), envelope(good, THIEF), envelope(update(3), KEYS[3])]
    for left, right in combinations(envelopes, 2):
        yield "exchanged signatures", left[:-64] + right[-64:]
        yield "exchanged signatures", right[:-64] + left[-64:]


def test_no_forgery_is_accepted() -> None:
    network = network_at(3)
    before = network.pairs()
    names = [name for name, raw in forgeries() if accepts(network, raw)]
    assert names == []
    assert network.pairs() == before
    assert accepts(network, envelope(update(4), KEYS[4])), (
        "the genuine update must pass, or this shows nothing"
    )


def test_no_mutation_of_a_genuine_update_is_accepted() -> None:
    """Every byte changed in three ways, every length cut, and a thousand compound mutations."""
    network = network_at(3)
    before = network.pairs()
    good = envelope(update(4), KEYS[4])
    chance = random.Random(20_261_122)
    mutants = [good[:cut] for cut in range(0, len(good), 7)]
    for at in range(len(good)):
        mutants += [
            good[:at] + bytes((changed,)) + good[at + 1 :]
            for changed in (good[at] ^ 1, good[at] ^ 0x80, (good[at] + 1 + chance.randrange(254)) % 256)
            if changed != good[at]
        ]
    for _ in range(1_000):
        mutant = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(mutant))
            action = chance.randrange(3)
            if action == 0:
                mutant[at] = chance.randrange(256)
            elif action == 1:
                mutant.insert(at, chance.randrange(256))
            else:
                del mutant[at]
        if bytes(mutant) != good:
            mutants.append(bytes(mutant))
    accepted = sum(accepts(network, mutant) for mutant in mutants)
    assert accepted == 0
    assert len(mutants) > 2_000
    assert network.pairs() == before
    assert accepts(network, good)
    assert not accepts(network, good), "a replay is accepted"


def test_a_stolen_old_key_starts_nothing() -> None:
    """Whoever finds all keys used so far, and the custodian's, can still not make an update."""
    network = network_at(5)
    used = [KEYS[version] for version in (2, 3, 4, 5)]
    for held in used:
        message = msgspec.structs.replace(update(6, key=held), commitment=digest("forged"))
        assert not accepts(network, envelope(message, *used, ledger(1)))
    assert accepts(network, envelope(update(6), KEYS[6]))


digests = st.binary(min_size=32, max_size=32)
versions = st.one_of(st.integers(1, 300), st.integers(2**31, 2**33), st.integers(0, 2**64 - 1))
payloads = st.builds(
    lambda version, *parts: UpdateCell(parts[0], version.to_bytes(8, "big"), *parts[1:]),
    versions,
    *[digests] * 5,
)


@given(payloads, payloads)
@settings(max_examples=200, deadline=None)
def test_any_two_updates_have_the_same_length(left: UpdateCell, right: UpdateCell) -> None:
    """A grant, an amendment, a revocation and a refresh differ in nothing that can be measured."""
    assert len(encode(left)) == len(encode(right))
    left.check()
    right.check()


@pytest.mark.parametrize("version", [2, 23, 24, 255, 256, 65_536, 2**32, 2**63])
def test_whole_transactions_have_the_same_length(version: int) -> None:
    first = UpdateCell(CELL, bytes(8), public_key_of(THIEF), bytes(32), bytes(32), bytes(32))
    other = msgspec.structs.replace(first, version=version.to_bytes(8, "big"), commitment=digest(version))
    assert len(envelope(first, THIEF)) == len(envelope(other, THIEF))


@pytest.mark.parametrize(
    "lookalike", [b"\x01" + bytes(31), b"\x01\x71\x12\x1c" + bytes(range(28)), b"\x12\x1e" + bytes(30)]
)
def test_a_digest_that_looks_like_a_content_identifier_is_a_digest(lookalike: bytes) -> None:
    """One random digest in some 2,450 does; a codec that writes it as a link gives its transaction another size."""
    plain = update(4)
    for field in ("cell", "key", "next_key_commitment", "recovery_commitment", "commitment"):
        assert len(encode(msgspec.structs.replace(plain, **{field: lookalike}))) == len(encode(plain))


def test_updates_leave_the_same_traces() -> None:
    """State, events and receipt data of two updates differ only in the bytes that are random to others."""
    traces = []
    for name in ("revocation", "refresh"):
        network = network_at(3)
        message = msgspec.structs.replace(update(4), commitment=digest(name))
        data = network.run(message, KEYS[4])
        stored = keeper.CELLS.get(network.store, CELL)
        assert stored is not None
        traces.append((data, network.events, len(stored), [key for key, _ in network.pairs()]))
    assert traces[0] == traces[1]
