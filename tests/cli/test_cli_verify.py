"""`careledger verify`: steps, sentences and exit codes over files as people have them."""

import json
from pathlib import Path

import msgspec
import pytest

from careledger.cli.exits import Exit
from careledger.cli.main import main
from careledger.consensus.cometbft.header import (
    BlockId,
    Commit,
    Header,
    SignedHeader,
    Validator,
    Vote,
    VoteFlag,
    header_hash,
    ordered,
    validators_hash,
    vote_sign_bytes,
)
from careledger.consensus.cometbft.light import build_checkpoint
from careledger.domains.records.chain.messages import CommitRecords
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.package import Method, Package, build_leaf, encode_package, new_salts
from careledger.ledger.checkpoint import Checkpoint, SignedCheckpoint, cosign, sign_checkpoint
from careledger.ledger.evidence import Disclosure, DocumentForm, write_evidence
from careledger.ledger.evidence_check import verify_evidence
from careledger.ledger.evidence_making import EvidenceMaker
from careledger.ledger.genesis import read_genesis
from careledger.ledger.trust import TrustInvalid, build_trust, trust_of_genesis, write_trust
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import encode
from careledger.primitives.hashing import sha256
from careledger.primitives.identifiers import Tag
from careledger.primitives.signing import public_key_of, sign
from careledger.vault.leaves import LeafField, leaf_commitment, open_fields
from kit.ledgers import (
    CHAIN_ID,
    SEQUENCER_SEED,
    START_MS,
    WITNESS_SEED,
    TestLedger,
    commit_access,
    genesis_bytes,
    signed,
)

SERVED = b'{"resourceType":"Observation","id":"8d0c","status":"final"}'


def note_of(ledger: TestLedger) -> str:
    position = ledger.application.position
    statement = Checkpoint(
        CHAIN_ID, position.frontier.size, position.frontier.root(), position.height, position.time_ms
    )
    made = sign_checkpoint(statement, f"{CHAIN_ID}/sequencer", SEQUENCER_SEED)
    line = cosign(made, "regulator", WITNESS_SEED, time_s=START_MS // 1_000)
    return SignedCheckpoint(statement, made.text, (*made.signatures, line)).note()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of a document and of an absence, a genesis, and a trust document."""
    root = tmp_path_factory.mktemp("evidence")
    ledger = TestLedger()
    tag = sha256(b"tag")
    package = Package(
        salts=new_salts(),
        compartment=Compartment.NORMAL,
        method=Method.CREATE,
        version=1,
        updated_ms=START_MS,
        served=SERVED,
        submitted=SERVED,
    )
    leaf = build_leaf(Tag(tag), "Observation", b"sealed", encode_package(package), package)
    noise = [(sha256(bytes([n])), sha256(bytes([n, 1]))) for n in range(7)]
    pairs = sorted([(tag, bytes(leaf_commitment(leaf))), *noise])
    batch = CommitRecords(1, b"".join(one for one, _ in pairs), b"".join(other for _, other in pairs))
    ledger.block(signed(batch, "hospital-a"))
    trust = trust_of_genesis(read_genesis(genesis_bytes()))
    view = LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    maker = EvidenceMaker(view, trust, note_of(ledger))
    opening = encode(open_fields(leaf, LeafField.TYPE, LeafField.METADATA))
    disclosure = Disclosure(opening, DocumentForm.SERVED, SERVED)
    (root / "present.json").write_bytes(write_evidence(maker.record(1, tag, disclosure)))
    (root / "absent.json").write_bytes(write_evidence(maker.record(2, tag)))
    (root / "genesis.json").write_bytes(genesis_bytes())
    (root / "trust.json").write_bytes(write_trust(trust))
    return root


def run(folder: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    names = {entry.name for entry in folder.iterdir()}
    code = main(["verify", *(str(folder / one) if one in names else one for one in arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("anchors", ["genesis.json", "trust.json"])
def test_what_holds_is_told_with_what_does_not_follow(
    folder: Path, anchors: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "document"
    code, text, _ = run(folder, "present.json", "--trust", anchors, "--extract", str(out), capsys=capsys)
    assert code == Exit.OK
    assert [line[:9] for line in text.splitlines()[:8]] == [f"{n}. ok    " for n in range(1, 9)]
    for title in ("Proved:", "By whom:", "How fresh:", "Not proved:"):
        assert f"\n{title}\n" in text
    assert "is unaltered since 2026" in text
    assert "clinically true" in text
    assert out.read_bytes() == SERVED
    code, text, _ = run(folder, "absent.json", "--trust", anchors, capsys=capsys)
    assert code == Exit.OK
    assert "7. -       " in text
    assert "had committed to nothing" in text


def test_programs_get_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(folder, "present.json", "--trust", "trust.json", "--json", capsys=capsys)
    document = json.loads(text)
    assert code == Exit.OK
    assert document["verified"] is True
    assert document["steps"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert document["claim"]["organisation"] == 1
    assert document["committed"]["height"] == 1
    assert document["warnings"] == []


def test_the_first_failing_step_is_named_and_nothing_is_proved(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    document = json.loads((folder / "trust.json").read_text())
    other.write_text(json.dumps({**document, "witnesses": {"regulator": "00" * 32}}))
    code, text, _ = run(folder, "present.json", "--trust", str(other), capsys=capsys)
    assert code == Exit.FAILED
    assert "3. FAILED  its checkpoint is signed" in text
    assert "Proved:" not in text
    assert text.rstrip().endswith("Nothing is proved by this file.")
    code, text, _ = run(folder, "present.json", "--trust", str(other), "--json", capsys=capsys)
    assert code == Exit.FAILED
    assert (json.loads(text)["verified"], json.loads(text)["failed_step"]) == (False, 3)


def test_without_anchors_nothing_is_verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, told = run(folder, "present.json", capsys=capsys)
    assert (code, text) == (Exit.UNUSABLE, "")
    assert "--trust" in told


def test_a_first_use_warns_and_binds(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    first_use = ("--trust-on-first-use", "--trust-store", str(store))
    code, text, _ = run(folder, "present.json", *first_use, capsys=capsys)
    assert code == Exit.OK
    assert text.startswith("WARNING: nothing was pinned")
    code, text, _ = run(folder, "absent.json", *first_use, capsys=capsys)
    assert code == Exit.OK
    assert "WARNING" not in text
    kept = store / f"{CHAIN_ID}.json"
    document = json.loads(kept.read_text())
    kept.write_text(json.dumps({**document, "sequencer": "00" * 32}))
    code, text, _ = run(folder, "present.json", *first_use, capsys=capsys)
    assert code == Exit.FAILED


@pytest.mark.parametrize(
    ("file", "anchors"),
    [
        ("genesis.json", "trust.json"),
        ("present.json", "present.json"),
        ("present.json", "nowhere.json"),
        ("nowhere.json", "trust.json"),
    ],
)
def test_files_that_cannot_be_used_end_with_two(
    folder: Path, file: str, anchors: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, told = run(folder, file, "--trust", anchors, capsys=capsys)
    assert (code, text) == (Exit.UNUSABLE, "")
    assert told.startswith("careledger: ")


def test_a_document_is_not_extracted_over_another_nor_where_there_is_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "document"
    out.write_bytes(b"mine")
    code, _, _ = run(folder, "present.json", "--trust", "trust.json", "--extract", str(out), capsys=capsys)
    assert (code, out.read_bytes()) == (Exit.UNUSABLE, b"mine")
    other = tmp_path / "other"
    code, _, _ = run(folder, "absent.json", "--trust", "trust.json", "--extract", str(other), capsys=capsys)
    assert (code, other.exists()) == (Exit.UNUSABLE, False)


# -- A ledger that validators decide ---------------------------------------------------------------------

SEEDS = [sha256(bytes([200 + number])) for number in range(4)]


def decided_note(ledger: TestLedger, signing: int) -> str:
    """A checkpoint with the votes of so many of four validators."""
    position = ledger.application.position
    validators = ordered(Validator(public_key_of(seed), 1) for seed in SEEDS)
    seeds = {public_key_of(seed): seed for seed in SEEDS[:signing]}
    header = Header(
        version_block=11,
        version_app=1,
        chain_id=CHAIN_ID,
        height=position.height + 1,
        time_s=START_MS // 1_000 + 5,
        time_ns=0,
        last_block_id=BlockId(bytes(32), 1, bytes(32)),
        last_commit_hash=bytes(32),
        data_hash=bytes(32),
        validators_hash=validators_hash(validators),
        next_validators_hash=validators_hash(validators),
        consensus_hash=bytes(32),
        app_hash=position.app_hash,
        last_results_hash=b"",
        evidence_hash=b"",
        proposer=validators[0].address,
    )
    commit = Commit(header.height, 0, BlockId(header_hash(header), 1, bytes(32)), ())
    votes = []
    for each in validators:
        seed = seeds.get(each.public_key)
        flag = VoteFlag.COMMIT if seed else VoteFlag.ABSENT
        vote = Vote(int(flag), each.address if seed else b"", header.time_s, 7, b"")
        signature = sign(seed, vote_sign_bytes(CHAIN_ID, commit, vote)) if seed else b""
        votes.append(msgspec.structs.replace(vote, signature=signature))
    signed_header = SignedHeader(header, msgspec.structs.replace(commit, votes=tuple(votes)))
    frontier = position.frontier
    return build_checkpoint(size=frontier.size, root=frontier.root(), signed=signed_header, changes=()).note()


@pytest.mark.parametrize(("signing", "code"), [(3, Exit.OK), (2, Exit.FAILED)])
def test_validators_vouch_with_more_than_two_thirds(
    tmp_path: Path, signing: int, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = TestLedger()
    ledger.block(signed(commit_access("hospital-a", 1), "hospital-a"))
    trust = build_trust(
        chain_id=CHAIN_ID,
        validators=[(public_key_of(seed), 1) for seed in SEEDS],
        witnesses=[],
        quorum=0,
        buckets_log2=8,
    )
    view = LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    maker = EvidenceMaker(view, trust, decided_note(ledger, 4))
    evidence = maker.access(1, commit_access("hospital-a", 1).tags)
    inner = msgspec.structs.replace(evidence.proof.evidence, root=decided_note(ledger, signing).encode())
    evidence = msgspec.structs.replace(
        evidence, proof=msgspec.structs.replace(evidence.proof, evidence=inner)
    )
    (tmp_path / "evidence.json").write_bytes(write_evidence(evidence))
    (tmp_path / "trust.json").write_bytes(write_trust(trust))
    found, text, _ = run(tmp_path, "evidence.json", "--trust", "trust.json", capsys=capsys)
    assert found == code
    if code is Exit.OK:
        assert "3 validators of test-chain, with more than two thirds of the votes" in text
        assert "a third of the validators" in text
    else:
        assert "3. FAILED" in text
    with pytest.raises(TrustInvalid, match="authenticator"):
        verify_evidence(evidence, trust)
