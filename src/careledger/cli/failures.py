"""Expected errors, told in one line and an exit code; anything else is a fault of ours and shows its traceback."""

from __future__ import annotations

import json
import sys

from careledger.cli.exits import Exit


class Refused(Exception):  # noqa: N818 - what the user is told
    """A command cannot do what was asked; the message says why and, where it helps, what to do."""

    def __init__(self, message: str, exit_code: Exit = Exit.UNUSABLE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def judge(error: Exception) -> tuple[Exit, str, str] | None:
    """Exit code, stable name and sentence of an expected error; None for a fault of ours."""
    # Imported here: a command that succeeds needs none of it.
    from careledger.primitives.errors import CodedError, Rejected

    if isinstance(error, Refused):
        return error.exit_code, "cli.REFUSED", str(error)
    if isinstance(error, CodedError):
        exit_code = Exit.FAILED if isinstance(error, Rejected) else Exit.UNAVAILABLE
        return exit_code, error.code.name, str(error)
    named = _EXPECTED.get(type(error).__name__)
    if named is not None and type(error).__module__.startswith("careledger."):
        return *named, str(error)
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return Exit.UNUSABLE, "cli.FILE", f"{error.strerror or type(error).__name__}:{where}"
    return None


_EXPECTED = {
    "ConfigurationInvalid": (Exit.UNUSABLE, "cli.CONFIGURATION"),
    "EngineUnavailable": (Exit.UNAVAILABLE, "cli.ENGINE"),
    "EvidenceUnusable": (Exit.UNUSABLE, "cli.EVIDENCE"),
    "KeyNotHeld": (Exit.UNUSABLE, "cli.KEYSTORE"),
    "KeystoreBroken": (Exit.UNUSABLE, "cli.KEYSTORE"),
    "KeystoreBusy": (Exit.UNAVAILABLE, "cli.KEYSTORE"),
    "LedgerDidNotStart": (Exit.UNAVAILABLE, "cli.LEDGER"),
    "NotExaminable": (Exit.UNUSABLE, "cli.REPLICA"),
    "ParametersRefused": (Exit.UNUSABLE, "cli.KEYSTORE"),
    "PassphraseWrong": (Exit.UNUSABLE, "cli.PASSPHRASE"),
    "BackupBroken": (Exit.FAILED, "cli.BACKUP"),
    "BackupSuperseded": (Exit.FAILED, "cli.BACKUP"),
    "SplitViewFound": (Exit.FAILED, "cli.SPLIT_VIEW"),
    "SplitViewInvalid": (Exit.FAILED, "cli.SPLIT_VIEW"),
    "StorageFailed": (Exit.UNUSABLE, "cli.STORAGE"),
    "TrustInvalid": (Exit.UNUSABLE, "cli.TRUST"),
    "WitnessRefuses": (Exit.FAILED, "cli.WITNESS"),
    "WitnessStateBroken": (Exit.UNUSABLE, "cli.WITNESS"),
}
"""By class name, so that telling an error imports nothing: whoever raised it has imported its class."""


def tell(found: tuple[Exit, str, str], *, as_json: bool) -> None:
    """Print an expected error on standard error."""
    exit_code, name, message = found
    if as_json:
        document = {"error": name, "message": message, "exit_code": int(exit_code)}
        print(json.dumps(document), file=sys.stderr)
    else:
        print(f"careledger: {message}", file=sys.stderr)
