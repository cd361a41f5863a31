"""A proof shows presence or absence under one root; changed in any place, it shows nothing."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.primitives.codec import CodecError, decode, encode
from careledger.state.at_height import reader_at
from careledger.state.buckets import bucket_hash
from careledger.state.proofs import Proof, ProofInvalid, build_proof, fold_proof, verify_proof
from careledger.state.store import BUCKETS, WriteBatch
from careledger.state.tree import BucketTree
from careledger.storage.memory_tables import MemoryTables
from careledger.storage.node_file import NodeFile

VECTORS = Path(__file__).parents[1] / "vectors" / "state_proofs.json"


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def pair(number: int) -> tuple[bytes, bytes]:
    return b"key %d" % number, b"value %d" % number


class Proven:
    """A state with its root, and proofs of it."""

    def __init__(self, model: dict[bytes, bytes], buckets_log2: int) -> None:
        self.model = model
        self.buckets_log2 = buckets_log2
        self.tables = MemoryTables()
        self.nodes = NodeFile.in_memory(buckets_log2=buckets_log2)
        tree = BucketTree(self.nodes)
        with self.tables.snapshot() as reader:
            update = tree.compute(model, reader, 1)
        tree.commit(update, WriteBatch(), self.tables)
        self.root = update.root

    def prove(self, key: bytes) -> tuple[bytes | None, Proof]:
        with self.tables.snapshot() as reader:
            return reader_at(reader, 1).prove(self.nodes, key)

    def verify(self, proof: Proof, key: bytes, value: bytes | None) -> None:
        verify_proof(proof, key, value, self.root, self.buckets_log2)


def state_of(count: int, buckets_log2: int) -> Proven:
    return Proven(dict(pair(number) for number in range(count)), buckets_log2)


STATES = {
    "one key": state_of(1, 20),
    "some keys": state_of(40, 8),
    "full buckets": state_of(100, 4),
    "nested buckets": state_of(1000, 4),
}
states = pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())


@states
def test_presence_and_absence(state: Proven) -> None:
    for number in range(1200):
        key, expected = pair(number)
        value, proof = state.prove(key)
        assert value == state.model.get(key)
        state.verify(proof, key, value)
        other = None if value is not None else expected
        for claim in (other, b"another value"):
            # A full bucket has no room for the claimed entry; any other leads elsewhere.
            full = claim is not None and value is None and len(proof.entries) == 8 * 64
            with pytest.raises(ProofInvalid) as caught:
                state.verify(proof, key, claim)
            assert caught.value.step == ("entries" if full else "root")


@states
def test_no_proof_shows_what_is_not_so(state: Proven) -> None:
    """A proof is good for more than its key, such as all absent keys of its bucket, yet never for a falsehood."""
    rejected = 0
    for number in (0, 1, 2000, 2001):
        value, proof = state.prove(pair(number)[0])
        for other in (*range(20), *range(3000, 3100)):
            other_key, other_value = pair(other)
            for claim in (None, value, other_value):
                try:
                    state.verify(proof, other_key, claim)
                except ProofInvalid:
                    rejected += 1
                else:
                    assert state.model.get(other_key) == claim
    assert rejected > 300


def tampered(proof: Proof) -> list[Proof]:
    """Return the proof with every byte of every field changed, removed or doubled, and with other depths."""
    variants = [
        msgspec.structs.replace(proof, depth=depth)
        for depth in (-1, 0, proof.depth - 1, proof.depth + 1, proof.depth + 8, 255, 256, 2**40)
        if depth != proof.depth
    ]
    for field in ("present", "siblings", "entries"):
        raw: bytes = getattr(proof, field)
        longer = [raw + b"\x00", raw + bytes(32), raw + bytes(64), raw + raw[-64:]]
        shorter = [raw[1:], raw[:-1], raw[32:], raw[64:]]
        flipped = [
            raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]
            for place in range(len(raw))
            for mask in (0x01, 0x80, 0xFF)
        ]
        changed = [other for other in (*longer, *shorter, *flipped) if other != raw]
        variants += [msgspec.structs.replace(proof, **{field: other}) for other in changed]
    return variants


@states
@pytest.mark.parametrize("number", [0, 7, 5000, 5007])
def test_every_tampered_byte_is_rejected(state: Proven, number: int) -> None:
    key, _ = pair(number)
    value, proof = state.prove(key)
    variants = tampered(proof)
    assert len(variants) >= 20
    for variant in variants:
        with pytest.raises(ProofInvalid):
            state.verify(variant, key, value)


def test_both_forms_of_nesting_are_covered() -> None:
    depths = {STATES["nested buckets"].prove(pair(number)[0])[1].depth for number in range(1000)}
    assert depths >= {7, 8, 9}
    assert {STATES["full buckets"].prove(pair(number)[0])[1].depth for number in range(100)} == {4, 5}


def proof_with(**fields: object) -> Proof:
    _, proof = STATES["nested buckets"].prove(pair(0)[0])
    return msgspec.structs.replace(proof, **fields)


def crowded() -> Proof:
    entries = sorted(digest(b"other %d" % number) + bytes(32) for number in range(8))
    return proof_with(entries=b"".join(entries))


@pytest.mark.parametrize(
    ("proof", "step", "text"),
    [
        (lambda: proof_with(depth=3), "shape", "levels is out of range"),
        (lambda: proof_with(depth=256), "shape", "levels is out of range"),
        (lambda: proof_with(present=b""), "shape", "one bit for each level"),
        (lambda: proof_with(depth=9, present=b"\xff\xff"), "shape", "bit beyond the last level"),
        (lambda: proof_with(siblings=bytes(33)), "shape", "one hash for each sibling"),
        (
            lambda: proof_with(siblings=bytes(32 * 8), present=b"\xff\x00", depth=9),
            "shape",
            "empty sibling is listed",
        ),
        (lambda: proof_with(entries=bytes(63)), "shape", "not whole, or too many"),
        (lambda: proof_with(entries=bytes(9 * 64)), "shape", "not whole, or too many"),
        (lambda: proof_with(entries=b"\x01" * 128), "entries", "do not ascend"),
        (lambda: proof_with(entries=digest(pair(0)[0]) + bytes(32)), "entries", "own entry is among"),
        (crowded, "entries", "too many for a bucket"),
        (lambda: proof_with(entries=b""), "root", "another root"),
    ],
)
def test_the_failing_step_is_named(proof: Callable[[], Proof], step: str, text: str) -> None:
    with pytest.raises(ProofInvalid, match=text) as caught:
        STATES["nested buckets"].verify(proof(), *pair(0))
    assert caught.value.step == step
    assert str(caught.value).startswith(f"{step}: ")
    assert "key 0" not in str(caught.value)


def test_the_number_of_buckets_comes_from_genesis() -> None:
    state = STATES["some keys"]
    value, proof = state.prove(pair(0)[0])
    for buckets_log2 in (7, 9):
        with pytest.raises(ProofInvalid):
            verify_proof(proof, pair(0)[0], value, state.root, buckets_log2)
    with pytest.raises(ValueError, match=r"must be 2\^4 to 2\^24"):
        verify_proof(proof, pair(0)[0], value, state.root, 25)


@given(
    st.builds(
        Proof,
        depth=st.integers(-1, 300),
        present=st.binary(max_size=40),
        siblings=st.integers(0, 30).map(lambda count: bytes(32 * count)),
        entries=st.integers(0, 9).map(lambda count: bytes(64 * count)) | st.binary(max_size=130),
    ),
    st.one_of(st.none(), st.binary(max_size=4)),
)
@settings(max_examples=200)
def test_nothing_else_than_proof_invalid_comes_of_bad_proofs(proof: Proof, value: bytes | None) -> None:
    with pytest.raises(ProofInvalid):
        STATES["some keys"].verify(proof, b"key", value)


def test_keys_that_share_many_bits_are_nested_deeply() -> None:
    """Nobody can find such keys; a bucket of them must be defined all the same."""
    entries = [bytes(31) + bytes([number << 4]) + bytes(32) for number in range(9)]
    # Their hashes differ from bit 248 on: eight of them have it clear, the ninth has it set.
    expected = digest(b"\x02" + digest(b"\x01" + b"".join(entries[:8])) + digest(b"\x01" + entries[8]))
    for _ in range(20, 248):
        expected = digest(b"\x02" + expected + bytes(32))
    assert bucket_hash(b"".join(entries), 20) == expected
    proof = build_proof(entries[3][:32], b"".join(entries), [bytes(32)] * 20)
    assert proof.depth == 249
    assert proof.siblings == digest(b"\x01" + entries[8])


@states
def test_proofs_survive_their_canonical_encoding(state: Proven) -> None:
    for number in (0, 5, 5000):
        key, _ = pair(number)
        value, proof = state.prove(key)
        raw = encode(proof)
        assert decode(raw, Proof) == proof
        state.verify(decode(raw, Proof), key, value)
        for place in range(len(raw)):
            mutant = raw[:place] + bytes([raw[place] ^ 0x01]) + raw[place + 1 :]
            with pytest.raises((CodecError, ProofInvalid)):
                state.verify(decode(mutant, Proof), key, value)


def test_the_size_is_bounded_at_ten_entries_a_bucket() -> None:
    """Ten entries a bucket is what 10,000,000 keys make of 2^20 buckets; the path has 16 more levels there."""
    state = state_of(10 * 16, 4)
    longest = max(
        len(encode(state.prove(pair(number)[0])[1])) for number in (*range(160), *range(3000, 3100))
    )
    assert longest + 16 * 32 + 2 <= 2048


def computed_vectors() -> list[dict[str, object]]:
    vectors: list[dict[str, object]] = []
    for count, buckets_log2, number in [(1, 20, 0), (1, 20, 1), (1000, 4, 0), (1000, 4, 5000), (40, 8, 3)]:
        state = state_of(count, buckets_log2)
        key, _ = pair(number)
        value, proof = state.prove(key)
        vectors.append(
            {
                "buckets_log2": buckets_log2,
                "keys": count,
                "root": state.root.hex(),
                "key": key.hex(),
                "value": None if value is None else value.hex(),
                "proof": encode(proof).hex(),
            }
        )
    return vectors


def test_golden_proofs() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    assert vectors == computed_vectors()
    for vector in vectors:
        value = None if vector["value"] is None else bytes.fromhex(vector["value"])
        proof = decode(bytes.fromhex(vector["proof"]), Proof)
        key, root = bytes.fromhex(vector["key"]), bytes.fromhex(vector["root"])
        assert fold_proof(proof, key, value, vector["buckets_log2"]) == root


def test_buckets_of_the_states_are_as_named() -> None:
    sizes = {}
    for name, state in STATES.items():
        with state.tables.snapshot() as reader:
            sizes[name] = max(len(entries) // 64 for _, entries in reader.scan(BUCKETS, b"", None))
    assert sizes["one key"] == 1
    assert sizes["some keys"] <= 8
    assert sizes["full buckets"] >= 9
    assert sizes["nested buckets"] >= 33


if __name__ == "__main__":
    note = (
        "Proofs of state keys, in their canonical encoding. Pair i of a state: key 'key i', value 'value i' "
        "(ASCII). Printed by running tests/state/test_proofs.py; the roots follow from the plain definition in "
        "tests/state/test_tree.py."
    )
    print(json.dumps({"note": note, "vectors": computed_vectors()}, indent=1))
