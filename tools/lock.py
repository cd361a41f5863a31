"""Pin requirements/*.in into requirements/*.lock with hashes: exact versions, for every platform, no addresses.

    python tools/lock.py              pin anew, keeping versions that still fit
    python tools/lock.py --upgrade    take the newest versions that fit

Needs `uv` on the path. The result is checked before it replaces a lock: every line pinned, every version with a
hash, and no address of any registry, so that a lock works wherever the wheels come from.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
PYTHON = "3.11"

_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,-]+\])?==[A-Za-z0-9.!+_-]+( ; .+)? \\\Z")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?\Z")


def problems(text: str) -> list[str]:
    """What is wrong with a lock, line by line; nothing if it is good."""
    found = []
    after_pin = False
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if "://" in line or line.startswith("-"):
            found.append(f"line {number}: an address or an option")
        elif _PIN.match(line):
            if after_pin:
                found.append(f"line {number}: the pin before has no hash")
            after_pin = True
        elif _HASH.match(line):
            after_pin = False
        else:
            found.append(f"line {number}: neither a pin nor a hash")
    if after_pin:
        found.append("the last pin has no hash")
    return found


def pin(uv: str, source: Path, lock: Path, *, upgrade: bool) -> None:
    """Pin one file; the lock is replaced only by a good one."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / lock.name
        if lock.exists() and not upgrade:
            shutil.copy(lock, target)
        command = [uv, "pip", "compile", str(source), "--output-file", str(target), "--generate-hashes"]
        command += ["--universal", "--python-version", PYTHON, "--no-header", "--no-annotate"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        subprocess.run([*command, *(["--upgrade"] if upgrade else [])], check=True, cwd=FOLDER)
        text = target.read_text()
        wrong = problems(text)
        if wrong:
            sys.exit(f"{lock.name} would not be good:\n" + "\n".join(wrong[:20]))
        lock.write_text(text)


def main() -> int:
    """Pin every `.in` file."""
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is not on the path; install it to pin the requirements anew")
    for source in sorted(FOLDER.glob("*.in")):
        lock = source.with_suffix(".lock")
        pin(uv, source, lock, upgrade="--upgrade" in sys.argv[1:])
        print(f"pinned {lock.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
