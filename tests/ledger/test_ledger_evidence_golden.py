"""Golden evidence: a file made once still proves the same, and is still written the same.

Keys are those of `tests/kit/ledgers.py`; every salt and record in it is made up. A change of these bytes is a
change of the format.
"""

import json
from hashlib import sha256
from pathlib import Path

from careledger.ledger.evidence import read_evidence, write_evidence
from careledger.ledger.evidence_check import verify_evidence
from careledger.ledger.evidence_documents import Opening
from careledger.ledger.evidence_words import conclude
from careledger.ledger.trust import read_trust, write_trust
from careledger.primitives.codec import decode, encode
from careledger.vault.leaves import LeafOpening
from kit.ledgers import START_MS

GOLDEN = Path(__file__).with_name("test_ledger_evidence_golden.json")
DOCUMENT = b'{"resourceType":"Basic","id":"golden"}'
NOW_MS = START_MS + 60_000


def test_golden_evidence_still_proves_what_it_proved() -> None:
    golden = json.loads(GOLDEN.read_text())
    evidence = read_evidence(golden["evidence"].encode())
    verdict = verify_evidence(evidence, read_trust(golden["trust"].encode()))
    assert conclude(verdict, now_ms=NOW_MS).proved == (
        "Organisation 1 committed to a record version under this tag in block 1 of 2026-11-18T11:06:41.000Z.",
        "The document, as the organisation serves it, is unaltered since 2026-11-18T11:06:41.000Z: SHA-256 "
        + sha256(DOCUMENT).hexdigest()
        + ".",
        "It was committed to as a resource of type Basic.",
        "It was committed to as version 1, a creation.",
    )


def test_a_file_is_still_written_as_it_was() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert write_evidence(read_evidence(golden["evidence"].encode())).decode() == golden["evidence"]
    assert write_trust(read_trust(golden["trust"].encode())).decode() == golden["trust"]


def test_an_opening_here_is_an_opening_of_the_vault() -> None:
    """The verifier restates the vault's format; both read each other's bytes."""
    evidence = read_evidence(json.loads(GOLDEN.read_text())["evidence"].encode())
    assert evidence.disclosure is not None
    raw = evidence.disclosure.opening
    assert encode(decode(raw, Opening)) == encode(decode(raw, LeafOpening)) == raw
