"""The sentences that a verdict stands for: what was proved, by whom, how fresh, and what was not proved.

Words only. They say exactly what the steps of `evidence_check` show, and they are the same for the command line,
for pages and for printed evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from careledger.ledger.evidence import AccessClaim, CellClaim, DocumentForm, ReceiptClaim, RecordClaim
from careledger.ledger.evidence_check import Verdict, age_s
from careledger.ledger.evidence_documents import METHODS, DisclosedRecord
from careledger.ledger.trust import ENGINE_SOLO
from careledger.primitives.errors import find_code
from careledger.primitives.timestamps import SECOND_MS, format_instant

_FORMS: Final = {
    DocumentForm.SERVED: "The document, as the organisation serves it,",
    DocumentForm.SUBMITTED: "The document, as it was submitted,",
    DocumentForm.PLAINTEXT: "The record's whole content",
    DocumentForm.SEALED: "The sealed record, which stays closed here,",
}
_CLOCK_AHEAD_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What to tell a person."""

    proved: tuple[str, ...]
    vouched: tuple[str, ...]
    freshness: tuple[str, ...]
    not_proved: tuple[str, ...]


def conclude(verdict: Verdict, *, now_ms: int) -> Conclusion:
    """Put a verdict into words, its age judged by the caller's clock (ms since 1970)."""
    return Conclusion(
        proved=tuple(_proved(verdict)),
        vouched=tuple(_vouched(verdict)),
        freshness=tuple(_freshness(verdict, now_ms)),
        not_proved=tuple(_not_proved(verdict)),
    )


def _block(height: int, time_ms: int) -> str:
    return f"block {height} of {format_instant(time_ms)}"


def _as_of(verdict: Verdict) -> str:
    if verdict.is_newest:
        # Nothing with transactions followed up to the checkpoint, so the state is that of its own block.
        return _block(verdict.trusted.height, verdict.trusted.time_ms)
    return _block(verdict.leaf.height, verdict.leaf.time_ms)


def _proved(verdict: Verdict) -> list[str]:
    claim = verdict.evidence.claim
    if isinstance(claim, RecordClaim | AccessClaim):
        what = "a record version" if isinstance(claim, RecordClaim) else "an access entry"
        if claim.commitment is None:
            who = f"Organisation {claim.organisation}"
            return [f"{who} had committed to nothing under this tag as of {_as_of(verdict)}."]
        when = f"in {_block(*verdict.committed)}" if verdict.committed else f"by {_as_of(verdict)}"
        lines = [f"Organisation {claim.organisation} committed to {what} under this tag {when}."]
        return lines + (_disclosed(verdict, verdict.record) if verdict.record else [])
    if isinstance(claim, CellClaim):
        return [
            f"The consent cell stood at version {claim.version} with this commitment as of {_as_of(verdict)}."
        ]
    if isinstance(claim, ReceiptClaim):
        return _outcome(verdict, claim)
    if claim.value is None:
        return [f"The ledger's state held nothing under this key as of {_as_of(verdict)}."]
    return [f"The ledger's state held this value under this key as of {_as_of(verdict)}."]


def _outcome(verdict: Verdict, claim: ReceiptClaim) -> list[str]:
    where = _block(verdict.leaf.height, verdict.leaf.time_ms)
    if claim.code == 0:
        lines = [f"The transaction took effect in {where}."]
    else:
        code = find_code(claim.module, claim.code)
        name = code.name if code else f"code {claim.code} of module {claim.module}"
        lines = [f"The transaction was rejected in {where}, with {name}."]
    content = verdict.content
    if content is not None:
        keys = ", ".join(key.hex() for key in content.signers)
        lines.append(f"It asked for {content.module}.{content.message} and was signed by {keys}.")
    return lines


def _disclosed(verdict: Verdict, record: DisclosedRecord) -> list[str]:
    since = f" since {format_instant(verdict.committed[1])}" if verdict.committed else ""
    lines = []
    if record.document_hash is not None:
        lines.append(f"{_FORMS[record.form]} is unaltered{since}: SHA-256 {record.document_hash.hex()}.")
    if record.record_type is not None:
        lines.append(f"It was committed to as a resource of type {record.record_type}.")
    metadata = record.metadata
    if metadata is not None:
        lines.append(
            f"It was committed to as version {metadata.version}, "
            f"{METHODS.get(metadata.method, 'a change of unknown kind')}."
        )
    return lines


def _vouched(verdict: Verdict) -> list[str]:
    chain_id = verdict.trusted.chain_id
    if verdict.trust.engine == ENGINE_SOLO:
        lines = [f"The sequencer of {chain_id} signed the checkpoint."]
    else:
        voters = [name for name in verdict.trusted.vouchers if name not in verdict.cosigned_s]
        names = ", ".join(voters)
        share = "more than two thirds of the votes"
        lines = [f"{len(voters)} validators of {chain_id}, with {share}, decided the checkpoint: {names}."]
    lines += [
        f"The witness {name} cosigned it at {format_instant(time_s * SECOND_MS)}, by its own clock."
        for name, time_s in sorted(verdict.cosigned_s.items())
    ]
    if not verdict.cosigned_s:
        lines.append("No witness cosigned it.")
    return lines


def _freshness(verdict: Verdict, now_ms: int) -> list[str]:
    trusted = verdict.trusted
    age = age_s(verdict, now_ms)
    lines = [f"The checkpoint is of {_block(trusted.height, trusted.time_ms)}, {format_age(age)}."]
    if age < -_CLOCK_AHEAD_S:
        lines.append("Its time lies ahead of this computer's clock; one of the two is wrong.")
    return lines


def format_age(age: int) -> str:
    """Write an age in seconds in the largest fitting unit."""
    if age < 0:
        return "which is not past by this computer's clock"
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if age >= 2 * size:
            return f"{age // size} {unit}s ago by this computer's clock"
    return f"{age} second{'' if age == 1 else 's'} ago by this computer's clock"


def _not_proved(verdict: Verdict) -> list[str]:
    claim = verdict.evidence.claim
    lines = []
    if isinstance(claim, RecordClaim):
        if verdict.record is None and claim.commitment is not None:
            lines.append("What was committed to: no content came with this evidence.")
        else:
            lines.append("That anything in a record is clinically true.")
        lines.append(
            "That nothing else was recorded, withheld, or left unrecorded. Other information may exist."
        )
        if claim.commitment is not None:
            lines.append("That this is the newest version, or that no later version corrects it.")
    elif isinstance(claim, AccessClaim):
        lines.append("Who looked at what: only whoever holds the entry's opening can show it.")
        lines.append("That every access was entered. Two organisations acting together can leave one out.")
    elif isinstance(claim, CellClaim):
        lines.append("What the patient allowed: only whoever holds the opening of a grant can show it.")
        lines.append("That copies opened before a revocation no longer exist; they cannot be recalled.")
    elif isinstance(claim, ReceiptClaim):
        lines.append("Which organisation the keys belong to: that is in the ledger's registry.")
        lines.append("That what took effect then still holds now.")
    else:
        lines.append("What the key and the value mean.")
    if not isinstance(claim, ReceiptClaim):
        lines.append(f"Anything that happened after {_as_of(verdict)}.")
    if not verdict.cosigned_s and verdict.trust.engine == ENGINE_SOLO:
        lines.append("That the sequencer shows everybody the same history: that is what witnesses are for.")
    elif not verdict.cosigned_s:
        lines.append("That a third of the validators did not act together against the others.")
    return lines
