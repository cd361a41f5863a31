"""docs/reference/ is what the program says, and the locks are what an installation needs."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    """A program of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


reference = load("reference")
lock = load("lock")


def test_the_reference_is_not_behind_the_program() -> None:
    # In a process of its own: other tests define codes, which belong in no document.
    command = [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_document_of_the_folder_is_generated() -> None:
    found = {path.name for path in (ROOT / "docs" / "reference").iterdir()}
    assert found == set(reference.DOCUMENTS)


def test_the_documents_have_what_they_are_for() -> None:
    documents = {name: (ROOT / "docs" / "reference" / name).read_text() for name in reference.DOCUMENTS}
    assert "`records.TAG_TAKEN` | 409" in documents["errors.md"]
    assert "## careledger ledger proof" in documents["cli.md"]
    assert "`CARELEDGER_HEARTBEAT_MS`" in documents["configuration.md"]
    assert "from 100 to 30000" in documents["configuration.md"]
    assert "### GET /ledger/v1/consistency" in documents["routes.md"]


def test_drift_is_found(tmp_path: Path) -> None:
    for name, build in reference.DOCUMENTS.items():
        (tmp_path / name).write_text(build())
    assert reference.differing(tmp_path) == {}
    (tmp_path / "cli.md").write_text("something else")
    (tmp_path / "errors.md").unlink()
    assert set(reference.differing(tmp_path)) == {"cli.md", "errors.md"}


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_hashes_and_without_addresses(path: Path) -> None:
    assert lock.problems(path.read_text()) == []


HASH = "    --hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        (f"a==1 \\\n{HASH} \\\n{HASH}\n", True),
        (f"a[b]==1 ; python_version < '4' \\\n{HASH}\n", True),
        ("a==1 \\\n", False),
        ("a>=1 \\\n", False),
        ("a==1\n", False),
        (f"a==1 \\\nb==1 \\\n{HASH}\n", False),
        ("a @ https://site.example/a.whl\n", False),
        ("--index-url https://site.example/\n", False),
        ("--extra-index-url x\n", False),
    ],
)
def test_what_is_no_good_lock_is_named(text: str, *, is_good: bool) -> None:
    assert (lock.problems(text) == []) is is_good
