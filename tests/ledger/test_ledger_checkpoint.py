import base64

import pytest

from careledger.ledger.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    SignedCheckpoint,
    cosign,
    parse_note,
    sign_checkpoint,
    verify_cosignatures,
    verify_note_signature,
)
from careledger.ledger.light import EvidenceInvalid, SoloAuthenticator
from careledger.primitives.signing import public_key_of

SEQUENCER, WITNESS, OTHER = (bytes([number]) * 32 for number in (1, 2, 3))
STATEMENT = Checkpoint(chain_id="demo", size=7, root=bytes(range(32)), height=9, time_ms=1_234)
SIGNED = sign_checkpoint(STATEMENT, "demo/sequencer", SEQUENCER)
COSIGNED = SignedCheckpoint(
    STATEMENT, SIGNED.text, (*SIGNED.signatures, cosign(SIGNED, "regulator", WITNESS, time_s=77))
)


def test_a_note_reads_as_the_published_form_says() -> None:
    lines = COSIGNED.note().split("\n")
    assert lines[0] == "careledger/demo"
    assert lines[1] == "7"
    assert base64.b64decode(lines[2]) == bytes(range(32))
    assert lines[5] == ""
    assert lines[6].startswith("\N{EM DASH} demo/sequencer ")
    assert parse_note(COSIGNED.note()) == COSIGNED


def test_signatures_and_cosignatures_are_checked() -> None:
    signed = parse_note(COSIGNED.note())
    verify_note_signature(signed, "demo/sequencer", public_key_of(SEQUENCER))
    assert verify_cosignatures(signed, {"regulator": public_key_of(WITNESS)}) == {"regulator": 77}
    assert verify_cosignatures(signed, {"regulator": public_key_of(OTHER)}) == {}
    with pytest.raises(CheckpointInvalid, match="no signature"):
        verify_note_signature(signed, "demo/sequencer", public_key_of(OTHER))


@pytest.mark.parametrize("line", range(5))
def test_a_changed_statement_stands_under_no_signature(line: int) -> None:
    lines = COSIGNED.note().split("\n")
    lines[line] = {
        0: "careledger/demo2",
        1: "8",
        2: base64.b64encode(bytes(32)).decode(),
        3: "height 10",
    }.get(line, "time_ms 1235")
    changed = parse_note("\n".join(lines))
    with pytest.raises(CheckpointInvalid, match="does not stand"):
        verify_note_signature(changed, "demo/sequencer", public_key_of(SEQUENCER))
    with pytest.raises(CheckpointInvalid, match="does not stand"):
        verify_cosignatures(changed, {"regulator": public_key_of(WITNESS)})


def test_a_quorum_of_known_witnesses_is_needed() -> None:
    def authenticator(quorum: int) -> SoloAuthenticator:
        return SoloAuthenticator(
            chain_id="demo",
            sequencer=public_key_of(SEQUENCER),
            witnesses={"regulator": public_key_of(WITNESS)},
            quorum=quorum,
        )

    trusted = authenticator(1).authenticate(COSIGNED.note().encode())
    assert trusted.vouchers == ("demo/sequencer", "regulator")
    with pytest.raises(EvidenceInvalid, match="1 are needed"):
        authenticator(1).authenticate(SIGNED.note().encode())
    # The same witness twice is one witness.
    twice = SignedCheckpoint(STATEMENT, SIGNED.text, (*COSIGNED.signatures, COSIGNED.signatures[1]))
    with pytest.raises(EvidenceInvalid, match="2 are needed"):
        authenticator(2).authenticate(twice.note().encode())


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        "careledger/demo\n7\n",
        SIGNED.note().replace("\n7\n", "\n07\n"),
        SIGNED.note().replace("\n7\n", "\n-7\n"),
        SIGNED.note().replace("careledger/", "other/"),
        SIGNED.note().replace("height 9", "height nine"),
        SIGNED.note()[:-1],
        SIGNED.note() + "x" * 70_000,
        SIGNED.note().replace("\N{EM DASH}", "-"),
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(CheckpointInvalid):
        parse_note(note)
