"""Headers, commits and the light client: the engine's own bytes reproduced, and every change of them refused."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.consensus.cometbft.engine_json import (
    AnswerUnusable,
    read_signed_header,
    read_time,
    read_validators,
)
from careledger.consensus.cometbft.header import (
    BlockId,
    Commit,
    Header,
    HeaderInvalid,
    SignedHeader,
    Validator,
    Vote,
    VoteFlag,
    header_hash,
    ordered,
    validators_hash,
    verify_commit,
    vote_sign_bytes,
)
from careledger.consensus.cometbft.light import (
    CHANGES_MAX,
    CometAuthenticator,
    QuorumProof,
    ValidatorChange,
    build_checkpoint,
    follow_changes,
    read_quorum_proof,
)
from careledger.ledger.checkpoint import NoteSignature, SignedCheckpoint, cosign, parse_note
from careledger.ledger.history import compute_app_hash
from careledger.ledger.light import EvidenceInvalid
from careledger.primitives.codec import encode
from careledger.primitives.signing import public_key_of, sign

Json = dict[str, Any]

RECORDED: Json = json.loads((Path(__file__).parent / "recorded_headers.json").read_text())
HEIGHTS = sorted(map(int, RECORDED["heights"]))
CHAIN = "test-chain"


def recorded(height: int) -> tuple[SignedHeader, tuple[Validator, ...]]:
    answers = RECORDED["heights"][str(height)]
    return read_signed_header(answers["commit"]), tuple(read_validators(answers["validators"])[0])


# -- Recorded from the engine ------------------------------------------------------------------------------


@pytest.mark.parametrize("height", HEIGHTS)
def test_hashes_and_votes_are_the_engines(height: int) -> None:
    signed, validators = recorded(height)
    assert header_hash(signed.header) == signed.commit.block_id.hash
    assert validators_hash(validators) == signed.header.validators_hash
    assert ordered(validators) == validators
    counted = verify_commit(signed, CHAIN, validators)
    assert len(counted) * 3 > 2 * len(validators)


def test_the_recording_has_what_it_is_for() -> None:
    headers = {height: recorded(height)[0].header for height in HEIGHTS}
    changes = [
        height for height, header in headers.items() if header.validators_hash != header.next_validators_hash
    ]
    assert len(changes) == 2
    assert headers[1].last_block_id == BlockId(b"", 0, b"")
    assert {len(recorded(height)[1]) for height in HEIGHTS} == {4, 5}
    flags = {vote.flag for height in HEIGHTS for vote in recorded(height)[0].commit.votes}
    assert VoteFlag.ABSENT in flags
    for height in changes:
        following = recorded(height + 1)[0].header
        assert following.last_block_id == recorded(height)[0].commit.block_id
        assert validators_hash(recorded(height + 1)[1]) == headers[height].next_validators_hash


def test_a_recorded_checkpoint_is_vouched_for_from_genesis_on() -> None:
    """Made by a node of that network; the verifier knows only the first validator set."""
    note: str = RECORDED["checkpoint"]
    genesis = recorded(1)[1]
    root = CometAuthenticator(chain_id=CHAIN, validators=genesis).authenticate(note.encode())
    assert root.height == parse_note(note).checkpoint.height
    assert len(root.vouchers) >= 3
    newest = recorded(HEIGHTS[-1])[1]
    CometAuthenticator(chain_id=CHAIN, validators=newest).authenticate(note.encode())
    strangers = tuple(Validator(public_key_of(bytes((number,)) * 32), 1) for number in range(4))
    with pytest.raises(EvidenceInvalid, match="another validator set"):
        CometAuthenticator(chain_id=CHAIN, validators=strangers).authenticate(note.encode())


def fields_changed(value: msgspec.Struct) -> list[tuple[str, msgspec.Struct]]:
    """The structure with each of its fields changed, one at a time, at every depth."""
    changed = []
    for name in value.__struct_fields__:
        old = getattr(value, name)
        news: list[object]
        if isinstance(old, bool | int):
            news = [old + 1]
        elif isinstance(old, str):
            news = [old + "x"]
        elif isinstance(old, bytes):
            news = [bytes((old[0] ^ 1,)) + old[1:]] if old else [b"x" * 20]
        elif isinstance(old, msgspec.Struct):
            news = [new for _, new in fields_changed(old)]
        else:
            news = [old[:-1], old + old[-1:], (*old[:-1], fields_changed(old[-1])[0][1])]
        changed += [(name, msgspec.structs.replace(value, **{name: new})) for new in news]
    return changed


@pytest.mark.parametrize("height", [HEIGHTS[0], HEIGHTS[-1]])
def test_no_field_of_a_header_can_be_changed(height: int) -> None:
    signed, validators = recorded(height)
    changes = fields_changed(signed.header)
    assert len(changes) >= 18
    for _, header in changes:
        assert isinstance(header, Header)
        with pytest.raises(HeaderInvalid):
            verify_commit(SignedHeader(header, signed.commit), CHAIN, validators)
        # Not even with a commit that names the changed header: nobody signed that.
        renamed = msgspec.structs.replace(
            signed.commit,
            height=header.height,
            block_id=msgspec.structs.replace(signed.commit.block_id, hash=header_hash(header)),
        )
        with pytest.raises(HeaderInvalid):
            verify_commit(SignedHeader(header, renamed), CHAIN, validators)


@pytest.mark.parametrize("field", ["round", "parts_total", "parts_hash"])
def test_what_is_signed_of_a_commit_cannot_be_changed(field: str) -> None:
    signed, validators = recorded(HEIGHTS[-1])
    commit = signed.commit
    if field == "round":
        commit = msgspec.structs.replace(commit, round=commit.round + 1)
    else:
        block_id = commit.block_id
        new = 9 if field == "parts_total" else bytes(32)
        commit = msgspec.structs.replace(commit, block_id=msgspec.structs.replace(block_id, **{field: new}))
    with pytest.raises(HeaderInvalid, match="more than two thirds"):
        verify_commit(SignedHeader(signed.header, commit), CHAIN, validators)


# -- Made here ---------------------------------------------------------------------------------------------


def seeds(*numbers: int) -> dict[bytes, bytes]:
    """Public key -> seed."""
    made = [sha256(f"light/{number}".encode()).digest() for number in numbers]
    return {public_key_of(seed): seed for seed in made}


def validator_set(powers: dict[int, int]) -> tuple[Validator, ...]:
    return ordered(
        Validator(public_key_of(sha256(f"light/{number}".encode()).digest()), power)
        for number, power in powers.items()
    )


def signed_header(
    height: int,
    validators: tuple[Validator, ...],
    *,
    following: tuple[Validator, ...] | None = None,
    signers: dict[bytes, bytes],
    app_hash: bytes = bytes(32),
    chain_id: str = CHAIN,
    nil: tuple[bytes, ...] = (),
) -> SignedHeader:
    """A header that these seeds sign."""
    header = Header(
        version_block=11,
        version_app=1,
        chain_id=chain_id,
        height=height,
        time_s=1_795_000_000 + height,
        time_ns=5_000_001,
        last_block_id=BlockId(bytes(32), 1, bytes(32)),
        last_commit_hash=bytes(32),
        data_hash=bytes(32),
        validators_hash=validators_hash(validators),
        next_validators_hash=validators_hash(validators if following is None else following),
        consensus_hash=bytes(32),
        app_hash=app_hash,
        last_results_hash=b"",
        evidence_hash=b"",
        proposer=validators[0].address,
    )
    commit = Commit(height, 0, BlockId(header_hash(header), 1, sha256(b"parts").digest()), ())
    votes = []
    for each in validators:
        seed = signers.get(each.public_key)
        flag = VoteFlag.ABSENT if seed is None else VoteFlag.COMMIT
        if each.public_key in nil:
            flag = VoteFlag.NIL
        vote = Vote(int(flag), each.address if seed else b"", header.time_s, 7, b"")
        signature = sign(seed, vote_sign_bytes(chain_id, commit, vote)) if seed else b""
        votes.append(msgspec.structs.replace(vote, signature=signature))
    return SignedHeader(header, msgspec.structs.replace(commit, votes=tuple(votes)))


@pytest.mark.parametrize(
    ("powers", "signing", "is_enough"),
    [
        ({1: 1, 2: 1, 3: 1, 4: 1}, (1, 2, 3, 4), True),
        ({1: 1, 2: 1, 3: 1, 4: 1}, (1, 2, 4), True),
        ({1: 1, 2: 1, 3: 1, 4: 1}, (1, 2), False),
        ({1: 1, 2: 1, 3: 1}, (1, 2), False),
        ({1: 1, 2: 1, 3: 1}, (1, 2, 3), True),
        ({1: 2, 2: 1, 3: 1}, (1, 2), True),
        ({1: 4, 2: 1, 3: 1}, (1,), False),
        ({1: 5, 2: 1, 3: 1}, (1,), True),
        ({1: 1}, (1,), True),
        ({1: 1}, (), False),
    ],
)
def test_more_than_two_thirds_of_the_power(
    powers: dict[int, int], signing: tuple[int, ...], *, is_enough: bool
) -> None:
    validators = validator_set(powers)
    signed = signed_header(5, validators, signers=seeds(*signing))
    if is_enough:
        assert len(verify_commit(signed, CHAIN, validators)) == len(signing)
    else:
        with pytest.raises(HeaderInvalid, match="more than two thirds"):
            verify_commit(signed, CHAIN, validators)


def test_votes_that_are_not_for_the_block_count_for_nothing() -> None:
    validators = validator_set({1: 1, 2: 1, 3: 1, 4: 1})
    signers = seeds(1, 2, 3, 4)
    two = tuple(list(signers)[:2])
    with pytest.raises(HeaderInvalid, match="2 of 4"):
        verify_commit(signed_header(5, validators, signers=signers, nil=two), CHAIN, validators)
    stranger = {**seeds(1, 2), next(iter(seeds(3))): next(iter(seeds(9).values()))}
    with pytest.raises(HeaderInvalid, match="2 of 4"):
        verify_commit(signed_header(5, validators, signers=stranger), CHAIN, validators)


def test_a_bad_signature_beside_an_honest_quorum_spoils_nothing() -> None:
    validators = validator_set({1: 1, 2: 1, 3: 1, 4: 1})
    stranger = {**seeds(1, 2, 3), next(iter(seeds(4))): next(iter(seeds(9).values()))}
    counted = verify_commit(signed_header(5, validators, signers=stranger), CHAIN, validators)
    assert set(counted) == set(seeds(1, 2, 3))


def malformed_sets() -> dict[str, tuple[Validator, ...]]:
    good = validator_set({1: 1, 2: 1, 3: 1})
    return {
        "empty": (),
        "one twice": (good[0], good[0], good[1]),
        "a short key": (Validator(b"x", 1), *good),
        "no power": (Validator(good[0].public_key, 0), *good[1:]),
        "negative power": (Validator(good[0].public_key, -1), *good[1:]),
        "another order": tuple(reversed(good)),
        "one less": good[:-1],
    }


@pytest.mark.parametrize("name", list(malformed_sets()))
def test_a_malformed_validator_set_verifies_nothing(name: str) -> None:
    good = validator_set({1: 1, 2: 1, 3: 1})
    with pytest.raises(HeaderInvalid):
        verify_commit(signed_header(5, good, signers=seeds(1, 2, 3)), CHAIN, malformed_sets()[name])


def commit_changes(commit: Commit) -> dict[str, Commit]:
    replace = msgspec.structs.replace
    return {
        "height": replace(commit, height=commit.height + 1),
        "huge height": replace(commit, height=2**63),
        "negative round": replace(commit, round=-1),
        "a vote less": replace(commit, votes=commit.votes[:-1]),
        "a vote more": replace(commit, votes=(*commit.votes, commit.votes[0])),
        "votes swapped": replace(commit, votes=(commit.votes[1], commit.votes[0], *commit.votes[2:])),
        "another block": replace(commit, block_id=replace(commit.block_id, hash=bytes(32))),
    }


@pytest.mark.parametrize(
    "name", list(commit_changes(signed_header(1, validator_set({1: 1, 2: 1}), signers={}).commit))
)
def test_a_malformed_commit_verifies_nothing(name: str) -> None:
    validators = validator_set({1: 1, 2: 1, 3: 1})
    signed = signed_header(5, validators, signers=seeds(1, 2, 3))
    with pytest.raises(HeaderInvalid):
        verify_commit(SignedHeader(signed.header, commit_changes(signed.commit)[name]), CHAIN, validators)


# -- Changes of the validator set ----------------------------------------------------------------------------

FIRST = {1: 1, 2: 1, 3: 1, 4: 1}
SECOND = {1: 1, 2: 1, 3: 1, 5: 3}
THIRD = {5: 1, 6: 1, 7: 1}


def hand_over(height: int, before: dict[int, int], after: dict[int, int], *signing: int) -> ValidatorChange:
    old, new = validator_set(before), validator_set(after)
    signed = signed_header(height, old, following=new, signers=seeds(*(signing or before)))
    return ValidatorChange(signed, new)


def test_changes_are_followed_to_the_newest_set() -> None:
    changes = (hand_over(10, FIRST, SECOND), hand_over(20, SECOND, THIRD))
    assert follow_changes(CHAIN, validator_set(FIRST), changes) == validator_set(THIRD)
    assert follow_changes(CHAIN, validator_set(SECOND), changes) == validator_set(THIRD)
    assert follow_changes(CHAIN, validator_set(THIRD), changes) == validator_set(THIRD)
    assert follow_changes(CHAIN, validator_set(FIRST), ()) == validator_set(FIRST)


def wrong_changes() -> dict[str, tuple[ValidatorChange, ...]]:
    good = hand_over(10, FIRST, SECOND)
    return {
        "too few signed": (hand_over(10, FIRST, SECOND, 1, 2),),
        "another set than named": (ValidatorChange(good.signed, validator_set(THIRD)),),
        "out of its order": (ValidatorChange(good.signed, tuple(reversed(good.validators))),),
        "back in time": (good, hand_over(9, SECOND, THIRD)),
        "at the same height": (good, hand_over(10, SECOND, THIRD)),
        "of another ledger": (
            ValidatorChange(
                signed_header(
                    10,
                    validator_set(FIRST),
                    following=validator_set(SECOND),
                    signers=seeds(*FIRST),
                    chain_id="other",
                ),
                validator_set(SECOND),
            ),
        ),
    }


@pytest.mark.parametrize("name", list(wrong_changes()))
def test_a_wrong_change_is_refused(name: str) -> None:
    with pytest.raises(EvidenceInvalid):
        follow_changes(CHAIN, validator_set(FIRST), wrong_changes()[name])


# -- Checkpoints ---------------------------------------------------------------------------------------------

ROOT = sha256(b"root").digest()
WITNESS = sha256(b"light/witness").digest()


def checkpoint(
    *, size: int = 6, signing: tuple[int, ...] = (5, 6, 7), powers: dict[int, int] | None = None
) -> SignedCheckpoint:
    signed = signed_header(
        30,
        validator_set(powers or THIRD),
        signers=seeds(*signing),
        app_hash=compute_app_hash(size, ROOT),
    )
    changes = (hand_over(10, FIRST, SECOND), hand_over(20, SECOND, THIRD))
    return build_checkpoint(size=size, root=ROOT, signed=signed, changes=changes)


def authenticator(**changes: object) -> CometAuthenticator:
    known: dict[str, object] = {"chain_id": CHAIN, "validators": validator_set(FIRST), **changes}
    return CometAuthenticator(**known)  # type: ignore[arg-type]  # a table of single changes


def test_a_checkpoint_is_vouched_for_by_its_validators() -> None:
    root = authenticator().authenticate(checkpoint().note().encode())
    assert (root.size, root.root, root.height) == (6, ROOT, 29)
    assert root.time_ms == (1_795_000_000 + 30) * 1_000 + 5
    assert len(root.vouchers) == 3
    named = authenticator(names={next(iter(seeds(5))): "hospital-a"})
    assert "hospital-a" in named.authenticate(checkpoint().note().encode()).vouchers


def test_witnesses_are_asked_for_besides() -> None:
    made = checkpoint()
    line = cosign(made, "regulator", WITNESS, time_s=1_795_000_100)
    cosigned = SignedCheckpoint(made.checkpoint, made.text, (*made.signatures, line)).note().encode()
    asking = authenticator(witnesses={"regulator": public_key_of(WITNESS)}, quorum=1)
    assert asking.authenticate(cosigned).vouchers[-1] == "regulator"
    with pytest.raises(EvidenceInvalid, match="0 known witnesses"):
        asking.authenticate(made.note().encode())
    forged = cosigned.replace(b"height 29", b"height 28")
    with pytest.raises(EvidenceInvalid):
        asking.authenticate(forged)


def wrong_notes() -> dict[str, bytes]:
    made = checkpoint()
    note = made.note()
    name, key_id = made.signatures[0].name, made.signatures[0].key_id
    proof = read_quorum_proof(made)

    def with_line(raw: bytes, name: str = name) -> bytes:
        return (
            SignedCheckpoint(made.checkpoint, made.text, (NoteSignature(name, key_id, raw),)).note().encode()
        )

    changes = proof.changes * 40
    return {
        "another size": note.replace("\n6\n", "\n7\n").encode(),
        "another root": note.replace(
            base64.b64encode(ROOT).decode(), base64.b64encode(bytes(32)).decode()
        ).encode(),
        "another height": note.replace("height 29", "height 28").encode(),
        "another time": note.replace("time_ms 1", "time_ms 2").encode(),
        "another ledger": note.replace("careledger/test-chain", "careledger/other").encode(),
        "nobody's line": with_line(encode(proof), "test-chain/somebody"),
        "junk in the line": with_line(b"junk"),
        "unknown version": with_line(encode(QuorumProof(2, proof.changes, proof.signed))),
        "too many changes": with_line(encode(QuorumProof(1, changes, proof.signed))),
        "no changes": with_line(encode(QuorumProof(1, (), proof.signed))),
        "not a note": b"junk",
        "not text": b"\xff\xfe",
        "too few signed": checkpoint(signing=(5, 6)).note().encode(),
        "signed by the old set": checkpoint(signing=(1, 2, 3, 4), powers=FIRST).note().encode(),
    }


@pytest.mark.parametrize("name", list(wrong_notes()))
def test_a_checkpoint_that_is_not_what_validators_signed_is_refused(name: str) -> None:
    assert CHANGES_MAX < 80
    with pytest.raises(EvidenceInvalid):
        authenticator().authenticate(wrong_notes()[name])


@settings(max_examples=150)
@given(st.data())
def test_no_byte_of_a_proof_can_be_flipped_unnoticed(data: st.DataObject) -> None:
    """A flip may leave the statement standing (such as an absent vote's time), but never change it."""
    made = checkpoint()
    raw = bytearray(made.signatures[0].signature)
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    line = NoteSignature(made.signatures[0].name, made.signatures[0].key_id, bytes(raw))
    note = SignedCheckpoint(made.checkpoint, made.text, (line,)).note().encode()
    try:
        root = authenticator().authenticate(note)
    except EvidenceInvalid:
        return
    assert (root.size, root.root, root.height) == (6, ROOT, 29)


def test_a_header_with_another_application_hash_makes_no_checkpoint() -> None:
    signed = signed_header(30, validator_set(THIRD), signers=seeds(5, 6, 7), app_hash=bytes(32))
    with pytest.raises(ValueError, match="application hash"):
        build_checkpoint(size=6, root=ROOT, signed=signed, changes=())


# -- The engine's JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("2026-11-22T18:19:52.789015171Z", (1_795_371_592, 789_015_171)),
        ("2026-11-22T18:19:52.5Z", (1_795_371_592, 500_000_000)),
        ("0001-01-01T00:00:00Z", (-62_135_596_800, 0)),
    ],
)
def test_times(text: str, time: tuple[int, int]) -> None:
    assert read_time(text) == time


@pytest.mark.parametrize("text", ["", "2026-11-22", "2026-13-22T18:19:52Z", "2026-11-22T18:19:52+01:00", "x"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(AnswerUnusable):
        read_time(text)


@pytest.mark.parametrize("answer", [{}, {"signed_header": {}}, {"signed_header": None}, {"validators": [{}]}])
def test_other_answers_are_refused(answer: Json) -> None:
    with pytest.raises(AnswerUnusable):
        read_signed_header(answer)
    with pytest.raises(AnswerUnusable):
        read_validators(answer)
