"""`careledger verify`: checks an evidence file, offline, without anything of a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from careledger.cli import options
from careledger.cli.exits import Exit
from careledger.cli.failures import Refused
from careledger.cli.local import write_new
from careledger.cli.output import show_json, show_lines

if TYPE_CHECKING:
    from careledger.ledger.evidence import Evidence
    from careledger.ledger.evidence_check import EvidenceFailed, Verdict
    from careledger.ledger.light import Authenticator
    from careledger.ledger.trust import Trust

FIRST_USE_WARNING = (
    "WARNING: nothing was pinned for this ledger yet. The anchors come from the very file that is checked: this "
    "shows that the file fits together, not who made it. They are kept, and a later file with others will fail."
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", short_help="Check an evidence file, offline.")(verify)


def verify(
    file: Annotated[Path, typer.Argument(help="The evidence file.")],
    trust: options.TrustFile = None,
    trust_store: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which anchors of a first use are kept.",
            show_default="~/.config/careledger/trust",
        ),
    ] = None,
    extract: Annotated[
        Path | None, typer.Option(help="File to write the disclosed document to, once it is checked.")
    ] = None,
    *,
    first_use: Annotated[
        bool,
        typer.Option(
            "--trust-on-first-use", help="Without --trust: keep the anchors of the first file seen."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check an evidence file step by step, and say what it proves, by whom, how fresh, and what it does not.

    Exit codes: 0 everything holds, 1 a step failed, 2 the file or the anchors cannot be used.
    """
    from careledger.ledger.evidence import FILE_BYTES_MAX, read_evidence
    from careledger.ledger.evidence_check import EvidenceFailed, verify_evidence

    with file.open("rb") as opened:
        evidence = read_evidence(opened.read(FILE_BYTES_MAX + 1))
    pinned, warnings = choose_trust(evidence, trust, first_use=first_use, store=trust_store)
    try:
        verdict = verify_evidence(evidence, pinned, authenticator_of(pinned))
    except EvidenceFailed as failed:
        show_failure(failed, warnings, as_json=as_json)
        raise typer.Exit(Exit.FAILED) from None
    if extract is not None:
        if evidence.disclosure is None or not evidence.disclosure.document:
            raise Refused("the file discloses no document")
        write_new(extract, evidence.disclosure.document)
    show_verdict(verdict, warnings, as_json=as_json)


def choose_trust(
    evidence: Evidence, trust: Path | None, *, first_use: bool, store: Path | None = None
) -> tuple[Trust, list[str]]:
    """Anchors to check by, and what to warn of.

    Raises:
        Refused: None were given, or the file cannot be read.
        TrustInvalid: What was given is no document of anchors.
    """
    if trust is not None:
        return read_trust_file(trust), []
    if not first_use:
        raise Refused(
            "name the anchors that you trust with --trust (a genesis.json, or a document of `careledger ledger "
            "trust`); --trust-on-first-use takes those of the file itself, which proves less"
        )
    from careledger.ledger.trust import read_trust, write_trust

    folder = store or Path.home() / ".config" / "careledger" / "trust"
    kept = folder / f"{evidence.stated.chain_id}.json"
    if kept.exists():
        return read_trust(kept.read_bytes()), [f"The anchors were pinned at a first use, in {kept}."]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_new(kept, write_trust(evidence.stated))
    return evidence.stated, [FIRST_USE_WARNING]


def read_trust_file(path: Path) -> Trust:
    """Anchors from a genesis or from a trust document.

    Raises:
        Refused: The file cannot be read, or is neither.
        TrustInvalid: The trust document is malformed.
    """
    from careledger.ledger.genesis import read_genesis
    from careledger.ledger.trust import FORMAT, read_trust, trust_of_genesis

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if FORMAT.encode() in raw[:200]:
        return read_trust(raw)
    try:
        return trust_of_genesis(read_genesis(raw))
    except ValueError as error:
        raise Refused(f"{path} is neither a genesis nor a trust document: {error}") from None


def authenticator_of(trust: Trust) -> Authenticator | None:
    """What checks the votes of a ledger's validators; None where a sequencer signs."""
    from careledger.ledger.trust import ENGINE_SOLO

    if trust.engine == ENGINE_SOLO:
        return None
    from careledger.consensus.cometbft.header import Validator
    from careledger.consensus.cometbft.light import CometAuthenticator

    return CometAuthenticator(
        chain_id=trust.chain_id,
        validators=tuple(Validator(one.public_key, one.power) for one in trust.validators),
        witnesses=trust.witness_keys,
        quorum=trust.quorum,
    )


def show_failure(failed: EvidenceFailed, warnings: list[str], *, as_json: bool) -> None:
    """Print the steps up to the one that failed."""
    from careledger.ledger.evidence_check import STEP_TITLES

    if as_json:
        show_json(
            {
                "verified": False,
                "failed_step": int(failed.step),
                "step": STEP_TITLES[failed.step],
                "reason": failed.reason,
                "passed_steps": [int(step) for step in failed.passed],
                "warnings": warnings,
            }
        )
        return
    show_lines([*warnings, *(f"{int(step)}. ok      {STEP_TITLES[step]}" for step in failed.passed)])
    show_lines([f"{int(failed.step)}. FAILED  {STEP_TITLES[failed.step]}: {failed.reason}"])
    show_lines(["", "Nothing is proved by this file."])


def show_verdict(verdict: Verdict, warnings: list[str], *, as_json: bool) -> None:
    """Print all steps and what they add up to."""
    import time

    from careledger.ledger.evidence import describe_claim
    from careledger.ledger.evidence_check import STEP_TITLES, Step, age_s
    from careledger.ledger.evidence_words import conclude

    now_ms = time.time_ns() // 1_000_000
    conclusion = conclude(verdict, now_ms=now_ms)
    told = [*warnings, *verdict.warnings]
    if as_json:
        trusted = verdict.trusted
        show_json(
            {
                "verified": True,
                "steps": [int(step) for step in verdict.steps],
                "claim": describe_claim(verdict.evidence.claim),
                "checkpoint": {
                    "chain_id": trusted.chain_id,
                    "height": trusted.height,
                    "time_ms": trusted.time_ms,
                    "age_s": age_s(verdict, now_ms),
                    "vouchers": list(trusted.vouchers),
                },
                "committed": _committed(verdict),
                "proved": conclusion.proved,
                "vouched": conclusion.vouched,
                "freshness": conclusion.freshness,
                "not_proved": conclusion.not_proved,
                "warnings": told,
            }
        )
        return
    lines = [*told, *([""] if told else [])]
    for step in Step:
        mark = "ok    " if step in verdict.steps else "-     "
        suffix = "" if step in verdict.steps else " (not part of this file)"
        lines.append(f"{int(step)}. {mark}  {STEP_TITLES[step]}{suffix}")
    for title, sentences in (
        ("Proved:", conclusion.proved),
        ("By whom:", conclusion.vouched),
        ("How fresh:", conclusion.freshness),
        ("Not proved:", conclusion.not_proved),
    ):
        lines += ["", title, *(f"  {sentence}" for sentence in sentences)]
    show_lines(lines)


def _committed(verdict: Verdict) -> dict[str, int] | None:
    if verdict.committed is None:
        return None
    height, time_ms = verdict.committed
    return {"height": height, "time_ms": time_ms}
