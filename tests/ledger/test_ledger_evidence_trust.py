"""Trust documents: what a verifier pins."""

import json
from typing import Any

import msgspec
import pytest

from careledger.ledger.genesis import GenesisDocument, ModuleGenesis, read_genesis
from careledger.ledger.trust import (
    PinnedWitness,
    Trust,
    TrustInvalid,
    check_trust,
    read_trust,
    trust_of_genesis,
    write_trust,
)
from careledger.primitives.signing import public_key_of
from kit.ledgers import CHAIN_ID, SEQUENCER_SEED, WITNESS_SEED, genesis_bytes

TRUST = Trust(
    chain_id=CHAIN_ID,
    engine="solo",
    sequencer=public_key_of(SEQUENCER_SEED),
    validators=(),
    witnesses=(PinnedWitness("regulator", public_key_of(WITNESS_SEED)),),
    quorum=1,
    buckets_log2=8,
)


def test_a_genesis_names_its_anchors() -> None:
    assert trust_of_genesis(read_genesis(genesis_bytes())) == TRUST


def test_a_trust_document_comes_back_as_it_was() -> None:
    assert read_trust(write_trust(TRUST)) == TRUST


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(write_trust(TRUST)), **changes}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"7",
        changed(engine="cometbft"),
        changed(validators={"00" * 32: 1}),
        changed(engine="cometbft", sequencer="", validators={}),
        changed(engine="cometbft", sequencer="", validators={"00": 1}),
        changed(engine="cometbft", sequencer="", validators={"00" * 32: 0}),
        changed(engine="cometbft", sequencer="", validators={"00" * 32: "1"}),
        changed(engine="cometbft", sequencer="", validators=["00" * 32]),
        b"\xff",
        b"[" * 50_000,
        b" " * 70_000,
        write_trust(TRUST).replace(b'"quorum": 1', b'"quorum": 1, "quorum": 0'),
        changed(format="careledger-trust/2"),
        changed(chain_id="X"),
        changed(chain_id=5),
        changed(engine="other"),
        changed(sequencer="00"),
        changed(sequencer="xx"),
        changed(witnesses=[]),
        changed(witnesses={"regulator": "00"}),
        changed(quorum=2),
        changed(quorum=-1),
        changed(quorum=True),
        changed(quorum="1"),
        changed(buckets_log2=3),
    ],
)
def test_what_is_no_trust_document_is_refused(raw: bytes) -> None:
    with pytest.raises(TrustInvalid):
        read_trust(raw)


@pytest.mark.parametrize(
    "witnesses",
    [
        (PinnedWitness("b", bytes(32)), PinnedWitness("a", bytes([1]) * 32)),
        (PinnedWitness("a", bytes(32)), PinnedWitness("a", bytes([1]) * 32)),
        (PinnedWitness("a", bytes(32)), PinnedWitness("b", bytes(32))),
    ],
)
def test_one_key_is_never_counted_as_two_witnesses(witnesses: tuple[PinnedWitness, ...]) -> None:
    with pytest.raises(TrustInvalid):
        check_trust(msgspec.structs.replace(TRUST, witnesses=witnesses))


ONE = {"public_key": bytes(32), "power": 1}


def test_several_validators_decide_together() -> None:
    validators = [{"public_key": bytes([number]) * 32, "power": number} for number in (3, 1, 2)]
    state = {"validators": validators, "witnesses": [], "witness_quorum": 0}
    document = GenesisDocument("some-chain", 0, 8, (ModuleGenesis("governance", 1, state),), {})
    trust = trust_of_genesis(document)
    assert (trust.engine, trust.sequencer) == ("cometbft", b"")
    assert [one.power for one in trust.validators] == [1, 2, 3]
    assert read_trust(write_trust(trust)) == trust
    with pytest.raises(TrustInvalid, match="authenticator"):
        trust.solo_authenticator()


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"validators": [], "witnesses": [], "witness_quorum": 0},
        {"validators": [{"public_key": bytes(32), "power": 1}] * 2, "witnesses": [], "witness_quorum": 0},
        {"validators": [{"public_key": bytes(32)}], "witnesses": [], "witness_quorum": 0},
        {"validators": [{}], "witnesses": [], "witness_quorum": 0},
        {"validators": [ONE], "witnesses": [{"name": "x"}], "witness_quorum": 0},
        {"validators": [ONE], "witnesses": [], "witness_quorum": 1},
        {"validators": [ONE], "witnesses": [], "witness_quorum": "0"},
    ],
)
def test_a_genesis_that_is_not_whole_names_no_anchors(state: object) -> None:
    modules = (ModuleGenesis("governance", 1, state),) if state is not None else ()
    with pytest.raises(TrustInvalid):
        trust_of_genesis(GenesisDocument("some-chain", 0, 8, modules, {}))
