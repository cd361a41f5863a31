"""Evidence files: one claim about a ledger, with everything that is needed to check it offline.

Owns the file's form; `evidence_check` verifies, `evidence_making` makes. A file is JSON for people around
canonical CBOR for programs: everything readable in it is derived from the CBOR and compared on reading, so the
two can never say different things. Spaces, line ends and the order of members do not count.

The trust anchors stated in a file are those of whoever made it. They are for a first use under a warning and
for saying that they differ; nothing is verified against them otherwise.

Byte by byte: `docs/formats/evidence.md`.
"""

from __future__ import annotations

import base64
import binascii
import json
from enum import IntEnum
from typing import Final

from careledger.ledger.light import LeafProof, ReceiptEvidence, StateEvidence
from careledger.ledger.trust import Trust, TrustInvalid, check_trust
from careledger.primitives.codec import CodecError, Wire, decode, encode
from careledger.primitives.hashing import DIGEST_BYTES, sha256
from careledger.primitives.identifiers import ORGANISATION_ID_MAX

FORMAT: Final = "careledger-evidence/1"
VERSION: Final = 1
FILE_BYTES_MAX: Final = 32 * 1024 * 1024
_LINE_CHARACTERS: Final = 76


class EvidenceUnusable(ValueError):  # noqa: N818 - reading raises the outcome's name
    """Bytes that are no evidence file; the message says why, never with content."""


# -- Claims ----------------------------------------------------------------------------------------------


class RecordClaim(Wire, frozen=True, tag=1):
    """An organisation committed to a record version under a tag; without commitment: to nothing."""

    organisation: int
    tag: bytes
    """32 bytes."""
    commitment: bytes | None
    """32 bytes; None claims absence."""


class AccessClaim(Wire, frozen=True, tag=2):
    """An organisation committed to an access entry under a tag; without commitment: to nothing."""

    organisation: int
    tag: bytes
    """32 bytes."""
    commitment: bytes | None
    """32 bytes; None claims absence."""


class CellClaim(Wire, frozen=True, tag=3):
    """A consent cell stood at a version with a commitment."""

    cell: bytes
    """32 bytes."""
    version: int
    """1 at creation."""
    commitment: bytes
    """32 bytes."""


class ReceiptClaim(Wire, frozen=True, tag=4):
    """A transaction had an outcome."""

    tx_id: bytes
    """32 bytes."""
    module: int
    """Number of the module whose code it is; 0 on success."""
    code: int
    """0 for success."""


class ValueClaim(Wire, frozen=True, tag=5):
    """A state key had a value, or none."""

    key: bytes
    value: bytes | None
    """None claims absence."""


Claim = RecordClaim | AccessClaim | CellClaim | ReceiptClaim | ValueClaim


# -- Proofs and disclosures ------------------------------------------------------------------------------


class StateProof(Wire, frozen=True, tag=1):
    """Proof of what the state held."""

    evidence: StateEvidence
    since: LeafProof | None
    """Leaf of the block that an entry names as its own, in the same history: gives its time."""


class ReceiptProof(Wire, frozen=True, tag=2):
    """Proof of a transaction's outcome."""

    evidence: ReceiptEvidence
    transaction: bytes | None
    """The transaction's exact bytes: shows what it asked for and who signed it."""


class DocumentForm(IntEnum):
    """Which bytes of a record version a document is."""

    NONE = 0
    """No document, only opened fields."""
    SERVED = 1
    """FHIR as the organisation serves it; its hash is in the metadata."""
    SUBMITTED = 2
    """The bytes as they were submitted; their hash is in the metadata."""
    PLAINTEXT = 3
    """The whole sealed content, opened."""
    SEALED = 4
    """The sealed blob, unopened."""


class Disclosure(Wire, frozen=True):
    """Opened fields of a record's leaf, and perhaps the document they speak of."""

    opening: bytes
    """Canonical encoding of a leaf opening."""
    form: DocumentForm
    document: bytes
    """The exact bytes; empty for `NONE`."""


class Evidence(Wire, frozen=True):
    """Content of an evidence file."""

    version: int
    """1."""
    stated: Trust
    """Anchors as the maker states them."""
    claim: Claim
    proof: StateProof | ReceiptProof
    disclosure: Disclosure | None


# -- The file --------------------------------------------------------------------------------------------


def write_evidence(evidence: Evidence) -> bytes:
    """Write an evidence file: ASCII JSON whose last member is the CBOR in base64.

    Raises:
        EvidenceUnusable: A part is out of bounds.
    """
    check_evidence(evidence)
    return (json.dumps(_document(evidence), indent=1) + "\n").encode("ascii")


def read_evidence(raw: bytes) -> Evidence:
    """Read an evidence file.

    1. It is short enough, and JSON without a member that stands twice.
    2. Its member `evidence` is canonical base64 of canonical CBOR of an `Evidence` within bounds.
    3. All its other members are what `write_evidence` derives from that, and there are no more of them.

    Raises:
        EvidenceUnusable: A step failed.
    """
    # 1
    if len(raw) > FILE_BYTES_MAX:
        raise EvidenceUnusable("the file is too large")
    try:
        document = json.loads(raw, object_pairs_hook=_without_duplicates)
        lines = document["evidence"]
        is_of_format = document["format"] == FORMAT
    except EvidenceUnusable:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise EvidenceUnusable("the file is not JSON with the members of an evidence file") from None
    if not is_of_format:
        raise EvidenceUnusable("the file's format is unknown to this version")
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise EvidenceUnusable("the member `evidence` is not a list of lines")
    # 2
    try:
        evidence = decode(base64.b64decode("".join(lines).encode("ascii"), validate=True), Evidence)
    except (UnicodeEncodeError, binascii.Error):
        raise EvidenceUnusable("the member `evidence` is not base64") from None
    except CodecError as error:
        raise EvidenceUnusable(f"the evidence cannot be decoded: {error}") from None
    check_evidence(evidence)
    # 3: compared as text, since Python takes 1, 1.0 and true for the same value
    if json.dumps(document, sort_keys=True) != json.dumps(_document(evidence), sort_keys=True):
        raise EvidenceUnusable("what can be read in the file is not what its evidence says; it was edited")
    return evidence


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise EvidenceUnusable("a member of the file stands twice")
    return document


def check_evidence(evidence: Evidence) -> None:
    """Check versions, lengths and ranges, and that claim, proof and disclosure can belong together.

    Raises:
        EvidenceUnusable: They cannot.
    """
    if evidence.version != VERSION:
        raise EvidenceUnusable("the evidence's version is unknown")
    try:
        check_trust(evidence.stated)
    except TrustInvalid as error:
        raise EvidenceUnusable(f"the stated anchors are malformed: {error}") from None
    claim = evidence.claim
    _check_claim(claim)
    if isinstance(claim, ReceiptClaim) is not isinstance(evidence.proof, ReceiptProof):
        raise EvidenceUnusable("claim and proof are of different kinds")
    if evidence.disclosure is None:
        return
    if not isinstance(claim, RecordClaim) or claim.commitment is None:
        raise EvidenceUnusable("only a record that is present can be opened")
    if evidence.disclosure.form is DocumentForm.NONE and evidence.disclosure.document:
        raise EvidenceUnusable("a document has no form")


def _check_claim(claim: Claim) -> None:
    digests: tuple[bytes | None, ...] = ()
    numbers: tuple[int, ...] = ()
    if isinstance(claim, RecordClaim | AccessClaim):
        digests, numbers = (claim.tag, claim.commitment), (claim.organisation,)
    elif isinstance(claim, CellClaim):
        digests, numbers = (claim.cell, claim.commitment), (claim.version,)
    elif isinstance(claim, ReceiptClaim):
        digests = (claim.tx_id,)
        if not 0 <= claim.module <= 0xFF or not 0 <= claim.code <= 0xFFFF:
            raise EvidenceUnusable("the claimed outcome is out of range")
    if any(digest is not None and len(digest) != DIGEST_BYTES for digest in digests):
        raise EvidenceUnusable("a tag, commitment or identifier is not 32 bytes")
    bound = ORGANISATION_ID_MAX if isinstance(claim, RecordClaim | AccessClaim) else 2**63 - 1
    if any(not 1 <= number <= bound for number in numbers):
        raise EvidenceUnusable("a number of the claim is out of range")


def root_of(evidence: Evidence) -> bytes:
    """What vouches for the history: a signed note."""
    return evidence.proof.evidence.root


def describe_claim(claim: Claim) -> dict[str, object]:
    """The claim as JSON, digests in hexadecimal."""
    if isinstance(claim, RecordClaim | AccessClaim):
        return {
            "kind": "record" if isinstance(claim, RecordClaim) else "access",
            "organisation": claim.organisation,
            "tag": claim.tag.hex(),
            "commitment": _hex(claim.commitment),
        }
    if isinstance(claim, CellClaim):
        return {
            "kind": "cell",
            "cell": claim.cell.hex(),
            "version": claim.version,
            "commitment": claim.commitment.hex(),
        }
    if isinstance(claim, ReceiptClaim):
        return {
            "kind": "receipt",
            "transaction": claim.tx_id.hex(),
            "module": claim.module,
            "code": claim.code,
        }
    return {"kind": "value", "key": claim.key.hex(), "value": _hex(claim.value)}


def _describe_disclosure(disclosure: Disclosure | None) -> dict[str, object] | None:
    if disclosure is None:
        return None
    described: dict[str, object] = {"form": disclosure.form.name.lower()}
    if disclosure.form is not DocumentForm.NONE:
        described["document_bytes"] = len(disclosure.document)
        described["document_sha256"] = sha256(disclosure.document).hex()
    return described


def _document(evidence: Evidence) -> dict[str, object]:
    text = base64.b64encode(encode(evidence)).decode()
    return {
        "format": FORMAT,
        "chain_id": evidence.stated.chain_id,
        "claim": describe_claim(evidence.claim),
        "checkpoint": root_of(evidence).decode("utf-8", "replace").split("\n"),
        "disclosed": _describe_disclosure(evidence.disclosure),
        "evidence": [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)],
    }


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()
