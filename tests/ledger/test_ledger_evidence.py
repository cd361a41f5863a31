"""Evidence files: what they prove, and that nothing of one can be changed into proving something else."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.messages import CommitRecords, CreateCells
from careledger.domains.records.chain.types import compute_cell_id
from careledger.domains.records.service.compartments import Compartment
from careledger.domains.records.service.package import Method, Package, build_leaf, encode_package, new_salts
from careledger.ledger.checkpoint import Checkpoint, SignedCheckpoint, cosign, sign_checkpoint
from careledger.ledger.evidence import (
    CellClaim,
    Disclosure,
    DocumentForm,
    Evidence,
    EvidenceUnusable,
    ReceiptClaim,
    RecordClaim,
    StateProof,
    ValueClaim,
    read_evidence,
    write_evidence,
)
from careledger.ledger.evidence_check import (
    EvidenceFailed,
    Step,
    access_key,
    cell_key,
    record_key,
    verify_evidence,
)
from careledger.ledger.evidence_making import EvidenceMaker
from careledger.ledger.evidence_words import Conclusion, conclude, format_age
from careledger.ledger.genesis import read_genesis
from careledger.ledger.transaction import decode_transaction
from careledger.ledger.trust import PinnedWitness, Trust, trust_of_genesis
from careledger.ledger.view import LedgerView
from careledger.primitives.codec import encode
from careledger.primitives.errors import Rejected
from careledger.primitives.identifiers import Tag
from careledger.primitives.signing import public_key_of
from careledger.vault.leaves import LeafField, leaf_commitment, open_fields
from kit.ledgers import (
    CHAIN_ID,
    SEQUENCER_SEED,
    START_MS,
    WITNESS_SEED,
    TestLedger,
    commit_access,
    commit_records,
    genesis_bytes,
    signed,
)

TRUST = trust_of_genesis(read_genesis(genesis_bytes()))
SERVED = b'{"resourceType":"Observation","id":"8d0c","status":"final"}'
SUBMITTED = b'{"resourceType":"Observation","status":"final"}'
NOW_MS = START_MS + 90_000


def note_of(ledger: TestLedger, *, cosigned: bool = True, seed: bytes = SEQUENCER_SEED) -> str:
    position = ledger.application.position
    statement = Checkpoint(
        chain_id=CHAIN_ID,
        size=position.frontier.size,
        root=position.frontier.root(),
        height=position.height,
        time_ms=position.time_ms,
    )
    signed_note = sign_checkpoint(statement, f"{CHAIN_ID}/sequencer", seed)
    if cosigned:
        line = cosign(signed_note, "regulator", WITNESS_SEED, time_s=START_MS // 1_000 + 30)
        signed_note = SignedCheckpoint(statement, signed_note.text, (*signed_note.signatures, line))
    return signed_note.note()


@dataclass(repr=False)
class Story:
    """A ledger with a record that was committed, an access entry, a cell and a rejected transaction."""

    ledger: TestLedger
    maker: EvidenceMaker
    tag: bytes
    leaf_opening: Callable[..., bytes]
    plaintext: bytes
    sealed: bytes
    raw: bytes
    rejected: bytes
    cell: bytes

    def disclosure(self, form: DocumentForm, document: bytes, *fields: LeafField) -> Disclosure:
        return Disclosure(self.leaf_opening(*fields), form, document)

    def record(self, disclosure: Disclosure | None = None) -> Evidence:
        return self.maker.record(1, self.tag, disclosure)


def build_story() -> Story:
    ledger = TestLedger()
    tag = sha256(b"the tag").digest()
    package = Package(
        salts=new_salts(),
        compartment=Compartment.NORMAL,
        method=Method.UPDATE,
        version=3,
        updated_ms=START_MS,
        served=SERVED,
        submitted=SUBMITTED,
    )
    plaintext, sealed = encode_package(package), b"sealed bytes"
    leaf = build_leaf(Tag(tag), "Observation", sealed, plaintext, package)
    pairs = sorted(
        [
            (tag, bytes(leaf_commitment(leaf))),
            *((sha256(bytes([n])).digest(), sha256(bytes([n, 1])).digest()) for n in range(7)),
        ]
    )
    batch = CommitRecords(1, b"".join(pair[0] for pair in pairs), b"".join(pair[1] for pair in pairs))
    raw = signed(batch, "hospital-a")
    rejected = signed(commit_access("hospital-a", 5), "hospital-b")
    contents = sha256(b"cell").digest() * 4
    ledger.block(signed(commit_access("hospital-a", 1), "hospital-a"))
    ledger.block(raw, rejected)
    ledger.block()
    ledger.block(signed(CreateCells(2, contents), "hospital-b"))
    ledger.block(signed(commit_records("hospital-b", 0), "hospital-b"))
    ledger.block()
    view = LedgerView(ledger.tables, ledger.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    return Story(
        ledger=ledger,
        maker=EvidenceMaker(view, TRUST, note_of(ledger)),
        tag=tag,
        leaf_opening=lambda *fields: encode(open_fields(leaf, *fields)),
        plaintext=plaintext,
        sealed=sealed,
        raw=raw,
        rejected=rejected,
        cell=compute_cell_id(CHAIN_ID, 2, contents),
    )


@pytest.fixture(scope="module")
def story() -> Story:
    return build_story()


def proved(evidence: Evidence, trust: Trust = TRUST) -> Conclusion:
    return conclude(verify_evidence(read_evidence(write_evidence(evidence)), trust), now_ms=NOW_MS)


# -- What is proved --------------------------------------------------------------------------------------


def test_a_document_is_unaltered_since_its_block(story: Story) -> None:
    disclosure = story.disclosure(DocumentForm.SERVED, SERVED, LeafField.TYPE, LeafField.METADATA)
    conclusion = proved(story.record(disclosure))
    assert conclusion.proved == (
        "Organisation 1 committed to a record version under this tag in block 2 of 2026-11-18T11:06:42.000Z.",
        "The document, as the organisation serves it, is unaltered since 2026-11-18T11:06:42.000Z: SHA-256 "
        + sha256(SERVED).hexdigest()
        + ".",
        "It was committed to as a resource of type Observation.",
        "It was committed to as version 3, an update.",
    )
    assert conclusion.vouched == (
        "The sequencer of test-chain signed the checkpoint.",
        "The witness regulator cosigned it at 2026-11-18T11:07:10.000Z, by its own clock.",
    )
    assert conclusion.freshness == (
        "The checkpoint is of block 6 of 2026-11-18T11:06:46.000Z, 84 seconds ago by this computer's clock.",
    )
    assert "That anything in a record is clinically true." in conclusion.not_proved
    assert any("Other information may exist." in line for line in conclusion.not_proved)


@pytest.mark.parametrize(
    ("form", "field", "document_of"),
    [
        (DocumentForm.SERVED, LeafField.METADATA, lambda _: SERVED),
        (DocumentForm.SUBMITTED, LeafField.METADATA, lambda _: SUBMITTED),
        (DocumentForm.PLAINTEXT, LeafField.PLAINTEXT_HASH, lambda story: story.plaintext),
        (DocumentForm.SEALED, LeafField.BLOB_HASH, lambda story: story.sealed),
    ],
)
def test_every_form_of_a_document_is_shown_by_its_own_field_and_no_other(
    story: Story, form: DocumentForm, field: LeafField, document_of: Callable[[Story], bytes]
) -> None:
    document = document_of(story)
    evidence = story.record(story.disclosure(form, document, field))
    assert any("is unaltered since" in line for line in proved(evidence).proved)
    for wrong in set(LeafField) - {field}:
        lie = msgspec.structs.replace(evidence, disclosure=story.disclosure(form, document, wrong))
        assert failing(lie) is Step.DOCUMENT
    altered = story.disclosure(form, document[:-1] + b"?", field)
    assert failing(msgspec.structs.replace(evidence, disclosure=altered)) is Step.DOCUMENT


def test_fields_can_be_shown_without_any_document(story: Story) -> None:
    evidence = story.record(story.disclosure(DocumentForm.NONE, b"", LeafField.TYPE))
    assert proved(evidence).proved[1:] == ("It was committed to as a resource of type Observation.",)


def test_without_a_disclosure_it_says_that_no_content_came(story: Story) -> None:
    assert proved(story.record()).not_proved[0].startswith("What was committed to:")


def test_absence_is_proved_as_of_a_block(story: Story) -> None:
    conclusion = proved(story.maker.record(2, story.tag))
    assert conclusion.proved == (
        "Organisation 2 had committed to nothing under this tag as of block 6 of 2026-11-18T11:06:46.000Z.",
    )


def test_access_entries_cells_and_values(story: Story) -> None:
    tag = commit_access("hospital-a", 1).tags
    access = proved(story.maker.access(1, tag))
    assert "an access entry under this tag in block 1" in access.proved[0]
    cell = story.maker.cell(story.cell)
    assert isinstance(cell.claim, CellClaim)
    assert cell.claim.version == 1
    assert "stood at version 1" in proved(cell).proved[0]
    assert "held this value" in proved(story.maker.value(record_key(1, story.tag))).proved[0]
    assert "held nothing" in proved(story.maker.value(b"\x09\x09")).proved[0]
    with pytest.raises(Rejected, match="NOT_FOUND"):
        story.maker.cell(bytes(32))


def test_outcomes_of_transactions(story: Story) -> None:
    good = proved(story.maker.receipt(decode_transaction(story.raw).tx_id))
    assert good.proved[0].startswith("The transaction took effect in block 2")
    verdict = verify_evidence(story.maker.receipt(decode_transaction(story.rejected).tx_id), TRUST)
    assert verdict.receipt is not None
    assert not verdict.receipt.is_success
    assert "rejected in block 2" in conclude(verdict, now_ms=NOW_MS).proved[0]


def test_a_transactions_bytes_come_with_its_receipt_where_they_are_kept(story: Story) -> None:
    evidence = story.maker.receipt(decode_transaction(story.raw).tx_id, with_transaction=False)
    kept = msgspec.structs.replace(
        evidence, proof=msgspec.structs.replace(evidence.proof, transaction=story.raw)
    )
    assert "It asked for records.CommitRecords and was signed by" in proved(kept).proved[1]
    forged = bytearray(story.raw)
    forged[-1] ^= 1
    for raw in (story.rejected, bytes(forged), b"junk"):
        lie = msgspec.structs.replace(kept, proof=msgspec.structs.replace(kept.proof, transaction=raw))
        assert failing(lie) is Step.TIME


def test_the_keys_and_layouts_restated_here_are_those_of_the_records_module(story: Story) -> None:
    tag, cell = bytes(range(32)), bytes(range(1, 33))
    assert record_key(7, tag) == keeper.RECORD_ENTRIES.key((7, tag))
    assert access_key(7, tag) == keeper.ACCESS_ENTRIES.key((7, tag))
    assert cell_key(cell) == keeper.CELLS.key(cell)


def test_ages_are_written_in_the_largest_fitting_unit() -> None:
    assert [format_age(age).split(" ago")[0] for age in (0, 1, 119, 120, 7_200, 172_800)] == [
        "0 seconds",
        "1 second",
        "119 seconds",
        "2 minutes",
        "2 hours",
        "2 days",
    ]
    assert "not past" in format_age(-5)


# -- What fails, and where -------------------------------------------------------------------------------


def failing(evidence: Evidence, trust: Trust = TRUST) -> Step:
    with pytest.raises(EvidenceFailed) as caught:
        verify_evidence(evidence, trust)
    assert (
        list(caught.value.passed)
        == [step for step in Step if step < caught.value.step][: len(caught.value.passed)]
    )
    return caught.value.step


def with_proof(evidence: Evidence, **changes: object) -> Evidence:
    inner = msgspec.structs.replace(evidence.proof.evidence, **changes)
    return msgspec.structs.replace(evidence, proof=msgspec.structs.replace(evidence.proof, evidence=inner))


def test_each_step_fails_by_itself(story: Story) -> None:
    evidence = story.record()
    other_ledger = msgspec.structs.replace(TRUST, chain_id="other-chain")
    other_key = msgspec.structs.replace(TRUST, sequencer=public_key_of(bytes(32)))
    other_witness = msgspec.structs.replace(
        TRUST, witnesses=(PinnedWitness("regulator", public_key_of(bytes(32))),)
    )
    two = msgspec.structs.replace(
        TRUST, witnesses=(PinnedWitness("patients", public_key_of(bytes(32))), *TRUST.witnesses), quorum=2
    )
    other_size = msgspec.structs.replace(TRUST, buckets_log2=9)
    claim = evidence.claim
    assert isinstance(claim, RecordClaim)
    assert isinstance(evidence.proof, StateProof)
    view = story.maker._view
    size = story.maker._size
    rows: list[tuple[Step, Evidence, Trust]] = [
        (Step.LEDGER, evidence, other_ledger),
        (Step.CHECKPOINT, evidence, other_key),
        (Step.CHECKPOINT, evidence, other_witness),
        (Step.CHECKPOINT, evidence, two),
        (Step.CHECKPOINT, with_proof(evidence, root=note_of(story.ledger, cosigned=False).encode()), TRUST),
        (Step.CHECKPOINT, with_proof(evidence, root=note_of(story.ledger, seed=bytes(32)).encode()), TRUST),
        (Step.CHECKPOINT, with_proof(evidence, root=b"\xff"), TRUST),
        (
            Step.HISTORY,
            with_proof(evidence, leaf=msgspec.structs.replace(evidence.proof.evidence.leaf, index=0)),
            TRUST,
        ),
        (Step.PROOF, with_proof(evidence, leaf=view.leaf_proof(1, size)), TRUST),
        (Step.PROOF, with_proof(evidence, value=b"another value"), TRUST),
        (Step.PROOF, evidence, other_size),
        (
            Step.CLAIM,
            msgspec.structs.replace(evidence, claim=msgspec.structs.replace(claim, organisation=2)),
            TRUST,
        ),
        (
            Step.CLAIM,
            msgspec.structs.replace(evidence, claim=msgspec.structs.replace(claim, tag=bytes(32))),
            TRUST,
        ),
        (
            Step.CLAIM,
            msgspec.structs.replace(evidence, claim=msgspec.structs.replace(claim, commitment=bytes(32))),
            TRUST,
        ),
        (
            Step.CLAIM,
            msgspec.structs.replace(evidence, claim=msgspec.structs.replace(claim, commitment=None)),
            TRUST,
        ),
        (
            Step.TIME,
            msgspec.structs.replace(
                evidence, proof=msgspec.structs.replace(evidence.proof, since=view.leaf_proof(1, size))
            ),
            TRUST,
        ),
    ]
    for step, lie, trust in rows:
        assert failing(lie, trust) is step


def test_a_state_of_another_history_is_refused(story: Story) -> None:
    """Two states over one history: the root that the witness cosigned contains the honest one only."""
    honest = story.record()
    forked = TestLedger()
    forked.block(signed(commit_access("hospital-a", 1), "hospital-a"))
    forked.block(story.raw, story.rejected)
    forked.block(signed(commit_records("hospital-a", 50), "hospital-a"))
    view = LedgerView(forked.tables, forked.nodes, clock_ms=lambda: START_MS, wait=lambda: None)
    other = view.prove_state(record_key(1, story.tag), b"", forked.application.position.frontier.size)
    lie = with_proof(honest, value=other.value, proof=other.proof)
    assert failing(lie) is Step.PROOF
    assert failing(with_proof(lie, leaf=other.leaf)) is Step.HISTORY


def test_a_claim_of_one_kind_is_not_shown_by_a_proof_of_another(story: Story) -> None:
    receipt = story.maker.receipt(decode_transaction(story.raw).tx_id)
    for lie in (
        msgspec.structs.replace(receipt, claim=RecordClaim(1, story.tag, None)),
        msgspec.structs.replace(story.record(), claim=ReceiptClaim(bytes(32), 0, 0)),
    ):
        with pytest.raises(EvidenceUnusable, match="different kinds"):
            write_evidence(lie)
        assert failing(lie) is Step.CLAIM
    for claim in (CellClaim(story.tag, 1, bytes(32)), ValueClaim(b"\x01", None)):
        assert failing(msgspec.structs.replace(story.record(), claim=claim)) is Step.CLAIM


def test_wrong_outcomes_are_refused(story: Story) -> None:
    tx_id = decode_transaction(story.rejected).tx_id
    receipt = story.maker.receipt(tx_id)
    for claim in (ReceiptClaim(tx_id, 0, 0), ReceiptClaim(bytes(32), 1, 2)):
        assert failing(msgspec.structs.replace(receipt, claim=claim)) is Step.CLAIM
    assert failing(with_proof(receipt, count=5)) is Step.PROOF
    assert failing(with_proof(receipt, receipt=b"\x80")) is Step.PROOF


def test_other_anchors_in_the_file_are_not_used_and_are_mentioned(story: Story) -> None:
    stated = msgspec.structs.replace(TRUST, sequencer=public_key_of(bytes(32)), quorum=0)
    verdict = verify_evidence(msgspec.structs.replace(story.record(), stated=stated), TRUST)
    assert verdict.trusted.vouchers == ("test-chain/sequencer", "regulator")
    assert "other anchors" in verdict.warnings[0]


# -- The file --------------------------------------------------------------------------------------------


def test_a_file_can_be_read_by_a_person_and_says_the_same_to_both(story: Story) -> None:
    evidence = story.record(story.disclosure(DocumentForm.SERVED, SERVED, LeafField.METADATA))
    raw = write_evidence(evidence)
    document = json.loads(raw)
    assert document["claim"]["tag"] == story.tag.hex()
    assert document["checkpoint"][0] == "careledger/test-chain"
    assert document["disclosed"]["document_sha256"] == sha256(SERVED).hexdigest()
    for same in (
        raw,
        raw + b"\n",
        raw.replace(b"\n", b"\r\n"),
        json.dumps(document).encode(),
        json.dumps(document, sort_keys=True, separators=(",", ":")).encode(),
    ):
        assert read_evidence(same) == evidence
    for edited in (
        raw.replace(b'"organisation": 1', b'"organisation": 2'),
        raw.replace(b'"organisation": 1', b'"organisation": 1.0'),
        raw.replace(b'"organisation": 1', b'"organisation": true'),
        raw.replace(b'"form": "served"', b'"form": "sealed"'),
        raw.replace(b'"format"', b'"note": "paid in full", "format"'),
        raw.replace(b'"kind": "record"', b'"kind": "access"'),
        json.dumps({**document, "disclosed": None}).encode(),
        json.dumps({**document, "evidence": ["".join(document["evidence"])]}).encode(),
    ):
        with pytest.raises(EvidenceUnusable, match="edited"):
            read_evidence(edited)
    with pytest.raises(EvidenceUnusable, match="twice"):
        read_evidence(raw.replace(b'"chain_id"', b'"chain_id": "other", "chain_id"'))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"format":"careledger-evidence/1","evidence":1}',
        b'{"format":"careledger-evidence/1","evidence":["=="]}',
        b'{"format":"careledger-evidence/1","evidence":["\\u00e9"]}',
        b'{"format":"careledger-evidence/1","evidence":["gA=="]}',
        b'{"format":"careledger-evidence/2","evidence":["gA=="]}',
        b'{"format":"careledger-evidence/1","evidence":[' + b"9" * 5_000 + b"]}",
    ],
)
def test_what_is_no_evidence_file_is_unusable(raw: bytes) -> None:
    with pytest.raises(EvidenceUnusable):
        read_evidence(raw)


def test_a_file_that_is_too_large_is_not_even_parsed(story: Story) -> None:
    with pytest.raises(EvidenceUnusable, match="too large"):
        read_evidence(b" " * (32 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"claim": RecordClaim(0, bytes(32), None)},
        {"claim": RecordClaim(1, bytes(31), None)},
        {"claim": RecordClaim(1, bytes(32), b"x")},
        {"claim": CellClaim(bytes(32), 0, bytes(32))},
        {"claim": ReceiptClaim(bytes(32), 256, 0)},
        {"stated": msgspec.structs.replace(TRUST, quorum=5)},
        {"disclosure": Disclosure(b"", DocumentForm.NONE, b"document")},
        {"claim": RecordClaim(1, bytes(32), None), "disclosure": Disclosure(b"", DocumentForm.NONE, b"")},
    ],
)
def test_parts_out_of_bounds_are_unusable(story: Story, change: dict[str, object]) -> None:
    evidence = msgspec.structs.replace(story.record(), **change)
    with pytest.raises(EvidenceUnusable):
        write_evidence(evidence)


# -- Mutations -------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def outcome_of(raw: bytes) -> tuple[Conclusion, bool] | None:
    """What a file shows, and whether it states other anchors than those trusted; None if it shows nothing."""
    try:
        verdict = verify_evidence(read_evidence(raw), TRUST)
    except (EvidenceUnusable, EvidenceFailed):
        return None
    return conclude(verdict, now_ms=NOW_MS), bool(verdict.warnings)


def shows_nothing_else(changed: bytes | None, honest: bytes) -> bool:
    """Whether a changed file shows nothing, or the same, perhaps warning that its stated anchors differ."""
    expected = outcome_of(honest)
    assert expected is not None
    if changed is None or changed == honest:
        return True
    return outcome_of.__wrapped__(changed) in (None, expected, (expected[0], True))


def wrap(cbor: bytes, like: bytes) -> bytes | None:
    """The file around changed CBOR, written as its maker would; None where it cannot be."""
    document = json.loads(like)
    text = base64.b64encode(cbor).decode()
    document["evidence"] = [text[at : at + 76] for at in range(0, len(text), 76)]
    try:
        return write_evidence(read_loosely(document))
    except (EvidenceUnusable, ValueError):
        return None


def read_loosely(document: dict[str, list[str]]) -> Evidence:
    from careledger.primitives.codec import decode

    return decode(base64.b64decode("".join(document["evidence"])), Evidence)


def all_evidence(story: Story) -> list[Evidence]:
    return [
        story.record(story.disclosure(DocumentForm.SERVED, SERVED, LeafField.TYPE, LeafField.METADATA)),
        story.maker.record(2, story.tag),
        story.maker.cell(story.cell),
        story.maker.receipt(decode_transaction(story.raw).tx_id),
    ]


def test_no_flipped_byte_of_a_file_makes_it_show_something_else(story: Story) -> None:
    for evidence in all_evidence(story):
        raw = write_evidence(evidence)
        for at in range(len(raw)):
            changed = bytearray(raw)
            changed[at] ^= 1 << at % 8
            assert shows_nothing_else(bytes(changed), raw), f"byte {at} of the file"


def test_no_flipped_byte_of_the_cbor_makes_it_show_something_else(story: Story) -> None:
    """The readable part is written anew here, as a forger would: only the checks stand in the way."""
    for evidence in all_evidence(story):
        raw, cbor = write_evidence(evidence), encode(evidence)
        for at in range(len(cbor)):
            changed = bytearray(cbor)
            changed[at] ^= 1 << at % 8
            assert shows_nothing_else(wrap(bytes(changed), raw), raw), f"byte {at} of the CBOR"


@settings(max_examples=200)
@given(data=st.data())
def test_no_cut_or_moved_region_makes_it_show_something_else(story: Story, data: st.DataObject) -> None:
    evidence = data.draw(st.sampled_from(all_evidence(story)))
    raw, cbor = write_evidence(evidence), encode(evidence)
    start = data.draw(st.integers(0, len(cbor)))
    end = data.draw(st.integers(start, len(cbor)))
    to = data.draw(st.integers(0, len(cbor)))
    inserted = data.draw(st.sampled_from([b"", cbor[to : to + end - start], bytes(end - start)]))
    assert shows_nothing_else(wrap(cbor[:start] + inserted + cbor[end:], raw), raw)


@settings(max_examples=300)
@given(raw=st.binary(max_size=200))
def test_any_bytes_cost_a_clear_error_only(raw: bytes) -> None:
    with pytest.raises(EvidenceUnusable):
        read_evidence(raw)
