"""The commands on a real network: made by `init`, run by `serve` in a process of its own."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from careledger.cli.exits import Exit
from careledger.cli.main import main
from careledger.ledger.checkpoint import parse_note
from careledger.ledger.genesis import read_genesis
from careledger.ledger.trust import read_trust, trust_of_genesis
from careledger.site import admission, network_backup, setup
from careledger.site.config import read_network
from careledger.vault.passphrase import PassphraseParameters

PATIENT = '{"resourceType":"Patient","name":[{"family":"Testperson"}],"birthDate":"1970-01-02"}'
START_S = 60
QUICK = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)

Run = Callable[..., tuple[int, str, str]]


def free_ports(count: int) -> int:
    """First of some neighbouring ports that nobody listens on."""
    for first in range(21_000, 29_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    secret = tmp_path_factory.mktemp("secret") / "passphrase"
    secret.write_text("correct horse battery staple\n")
    with pytest.MonkeyPatch.context() as patch:
        # What protects a passphrase against guessing only costs time here; the vault's tests are about it.
        for module, name in (
            (setup, "create_network"),
            (admission, "create_candidate"),
            (network_backup, "back_up"),
            (network_backup, "restore"),
        ):
            patch.setattr(module, name, partial(getattr(module, name), parameters=QUICK))
        patch.setenv("CARELEDGER_PASSPHRASE_FILE", str(secret))
        patch.setenv("CARELEDGER_HEARTBEAT_MS", "300")
        patch.delenv("CARELEDGER_TOKEN", raising=False)
        patch.delenv("CARELEDGER_URL", raising=False)
        yield patch


@pytest.fixture(scope="module")
def network(environment: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "net"
    port = free_ports(3)
    code = main(
        [
            *("init", str(root), "--chain-id", "cli-chain", "--buckets-log2", "8", "--first-port", str(port)),
            *("-o", "hospital-a:hospital", "-o", "regulator:regulator"),
        ]
    )
    assert code == Exit.OK
    return root


@pytest.fixture(scope="module")
def served(network: Path) -> Iterator[str]:
    """Address of the first site, while all of it is served."""
    url = f"http://127.0.0.1:{read_network(network).sites[0].port}"
    program = "import sys; from careledger.cli.main import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--network", str(network)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                break
        except httpx.HTTPError:
            time.sleep(0.1)
    yield url
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert b"serving cli-chain" in out


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_init_refuses_what_it_cannot_make(network: Path, tmp_path: Path, run: Run) -> None:
    for arguments in (
        ("init", str(network)),
        ("init", str(tmp_path / "a"), "-o", "hospital-a"),
        ("init", str(tmp_path / "a"), "-o", "hospital-a:castle"),
        ("init", str(tmp_path / "a"), "-o", "a-a:hospital", "-o", "a-a:hospital"),
        ("init", str(tmp_path / "a"), "--chain-id", "X"),
    ):
        assert run(*arguments)[0] == Exit.UNUSABLE
    assert not (tmp_path / "a").exists()


def test_init_makes_a_passphrase_only_where_none_is_given(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARELEDGER_PASSPHRASE_FILE")
    arguments = ("init", str(tmp_path / "net"), "-o", "aa:hospital", "--buckets-log2", "8", "--json")
    code, text, _ = run(*arguments)
    document = json.loads(text)
    kept = Path(document["passphrase_file"])
    assert code == Exit.OK
    assert kept.stat().st_mode & 0o777 == 0o600
    assert document["sites"] == [{"slug": "aa", "organisation": 1, "role": "hospital", "port": 8_440}]


def test_before_it_ever_ran_there_is_no_ledger(tmp_path: Path, run: Run) -> None:
    root = tmp_path / "net"
    assert run("init", str(root), "-o", "aa:hospital", "--buckets-log2", "8")[0] == Exit.OK
    code, _, told = run("ledger", "status", "-n", str(root))
    assert (code, "careledger serve" in told) == (Exit.UNUSABLE, True)
    assert run("doctor", "-n", str(root))[0] == Exit.UNUSABLE


def test_a_record_from_import_to_proof(
    network: Path, served: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ("--site", "hospital-a", "-n", str(network))
    code, token, _ = run("token", "issue", *site, "--scope", "system/*.cruds", "--role", "integration")
    assert code == Exit.OK
    monkeypatch.setenv("CARELEDGER_TOKEN", token.strip())
    monkeypatch.setenv("CARELEDGER_URL", served)
    file = tmp_path / "p.ndjson"
    file.write_text(f"{PATIENT}\n\n{PATIENT}\n")
    code, text, _ = run("records", "import", str(file), "--json")
    assert (code, json.loads(text)["documents"]) == (Exit.OK, 2)
    code, text, _ = run("records", "search", "Patient", "family=Testperson", "--json")
    found = json.loads(text)
    assert len(found) == 2
    name = f"Patient/{found[0]['id']}"
    assert name in run("records", "search", "Patient")[1]
    assert json.loads(run("records", "get", name)[1])["id"] == found[0]["id"]
    assert run("records", "get", name, "--submitted")[1] == PATIENT + "\n"
    genesis = str(network / "ledger" / "genesis.json")
    kept = tmp_path / "evidence.json"
    code, text, told = run("records", "verify", name, "--trust", genesis, "--out", str(kept))
    assert code == Exit.OK, told
    assert "is unaltered since" in text
    assert run("verify", str(kept), "--trust", genesis)[0] == Exit.OK


def test_what_a_site_refuses_is_told_with_its_words(
    network: Path, served: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELEDGER_URL", served)
    code, _, told = run("records", "search", "Patient")
    assert (code, "401" in told) == (Exit.FAILED, True)
    monkeypatch.setenv("CARELEDGER_TOKEN", "nonsense")
    assert run("records", "get", "Patient/1")[0] == Exit.FAILED
    site = ("--site", "hospital-a", "-n", str(network))
    token = run("token", "issue", *site, "--scope", "system/*.cruds", "--role", "integration")[1].strip()
    monkeypatch.setenv("CARELEDGER_TOKEN", token)
    code, _, told = run("records", "get", "Patient/unknown")
    assert (code, "404" in told) == (Exit.FAILED, True)
    broken = tmp_path / "broken.json"
    broken.write_text('{"resourceType":"Observation","status":7}')
    assert run("records", "import", str(broken))[0] == Exit.FAILED
    code, text, _ = run("records", "import", str(broken), "--keep-going", "--json")
    assert (code, json.loads(text)["refused"]) == (Exit.FAILED, 1)
    broken.write_text("nothing")
    assert run("records", "import", str(broken))[0] == Exit.UNUSABLE
    for arguments in (
        ("token", "issue", *site, "--scope", "system/nonsense"),
        ("token", "issue", *site, "--scope", "system/*.rs", "--lifetime-s", "4000"),
        ("token", "issue", "--site", "nobody", "-n", str(network), "--scope", "system/*.rs"),
        ("token", "issue", *site, "--scope", "system/*.rs", "--purpose", "FUN"),
    ):
        assert run(*arguments)[0] in (Exit.UNUSABLE, Exit.FAILED)


def cosigned(network: Path, run: Run, height: int) -> None:
    """Wait until the hosted witness has cosigned a block at or after this height."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        document = json.loads(run("ledger", "status", "-n", str(network), "--json")[1])
        if (document["cosigned_height"] or 0) >= height:
            return
        time.sleep(0.3)
    raise AssertionError("never cosigned")


def test_the_ledger_is_shown_and_proved(network: Path, served: str, tmp_path: Path, run: Run) -> None:
    here = ("-n", str(network))
    code, text, _ = run("ledger", "status", *here, "--json")
    status = json.loads(text)
    assert code == Exit.OK
    assert (status["chain_id"], status["is_running"]) == ("cli-chain", True)
    assert "cli-chain" in run("ledger", "status", *here)[1]
    blocks = [json.loads(run("ledger", "block", str(h), *here, "--json")[1]) for h in range(1, 8)]
    transaction = next(one for block in blocks for one in block["transactions"])
    assert transaction["message"] == "records.CommitRecords"
    assert "CommitRecords" in run("ledger", "block", str(transaction["height"]), *here)[1]
    assert json.loads(run("ledger", "tx", transaction["tx_id"], *here, "--json")[1])["outcome"] == "success"
    cosigned(network, run, transaction["height"])
    trust, genesis = tmp_path / "trust.json", network / "ledger" / "genesis.json"
    assert run("ledger", "trust", *here, "--out", str(trust))[0] == Exit.OK
    assert read_trust(trust.read_bytes()) == trust_of_genesis(read_genesis(genesis.read_bytes()))
    assert run("ledger", "trust", *here, "--genesis")[1].encode() == trust.read_bytes()
    for number, asked in enumerate(
        (
            ("--tx", transaction["tx_id"]),
            ("--record", "00" * 32, "--organisation", "hospital-a"),
            ("--access", "00" * 32, "--organisation", "1"),
            ("--key", "0205"),
        )
    ):
        out = tmp_path / f"{number}.json"
        code, _, told = run("ledger", "proof", *asked, *here, "--out", str(out))
        assert code == Exit.OK, told
        assert run("verify", str(out), "--trust", str(trust))[0] == Exit.OK
    assert parse_note(run("ledger", "checkpoint", *here)[1]).checkpoint.chain_id == "cli-chain"
    assert read_genesis(run("ledger", "export", *here)[1].strip().encode()).chain_id == "cli-chain"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ledger", "block", "99999999"), Exit.FAILED),
        (("ledger", "tx", "00"), Exit.UNUSABLE),
        (("ledger", "tx", "00" * 32), Exit.FAILED),
        (("ledger", "proof"), Exit.UNUSABLE),
        (("ledger", "proof", "--tx", "00" * 32, "--cell", "00" * 32), Exit.UNUSABLE),
        (("ledger", "proof", "--record", "00" * 32), Exit.UNUSABLE),
        (("ledger", "proof", "--record", "00" * 32, "--organisation", "nobody"), Exit.FAILED),
        (("ledger", "proof", "--key", "zz"), Exit.UNUSABLE),
        (("org", "show", "nobody"), Exit.FAILED),
        (("org", "vote", "1", "--by", "nobody"), Exit.UNUSABLE),
        (("org", "vote", "7", "--by", "regulator"), Exit.FAILED),
        (("org", "add", "clinic", "--by", "hospital-a"), Exit.UNUSABLE),
        (("org", "add", "clinic", "--by", "hospital-a", "--role", "castle", "--port", "1"), Exit.UNUSABLE),
        (("org", "add", "CLINIC", "--by", "hospital-a", "--role", "practice", "--port", "1"), Exit.UNUSABLE),
        (
            ("org", "add", "regulator", "--by", "hospital-a", "--role", "practice", "--port", "1"),
            Exit.UNUSABLE,
        ),
        (("witness", "run"), Exit.UNUSABLE),
        (
            ("witness", "run", "--site", "regulator", "--once"),
            Exit.UNUSABLE,
        ),  # the served one holds the state
        (("doctor", "--site", "nobody"), Exit.UNUSABLE),
    ],
)
def test_refusals(network: Path, served: str, run: Run, arguments: tuple[str, ...], code: Exit) -> None:
    found, _, told = run(*arguments, "-n", str(network))
    assert (found, told.count("\n")) == (code, 1), told


def test_an_organisation_is_proposed_voted_on_and_hosted(network: Path, served: str, run: Run) -> None:
    here = ("-n", str(network))
    port = str(read_network(network).sites[-1].port + 1)
    add = ("org", "add", "clinic", "--role", "practice", "--port", port, "--by", "hospital-a", *here)
    assert json.loads(run(*add, "--dry-run")[1])["propose"]["admit"] == "clinic"
    code, text, told = run(*add, "--json")
    assert code == Exit.OK, told
    proposal = json.loads(text)
    assert not proposal["is_executed"]
    listed = json.loads(run("org", "proposals", *here, "--json")[1])
    assert [(one["proposal"], one["action"]) for one in listed] == [
        (proposal["proposal"], "AdmitOrganisation")
    ]
    assert "AdmitOrganisation" in run("org", "proposals", *here)[1]
    code, text, _ = run("org", "vote", str(proposal["proposal"]), "--by", "regulator", *here, "--json")
    assert json.loads(text) == {
        "proposal": proposal["proposal"],
        "is_executed": True,
        "organisation": 3,
        "hosted_as": "clinic",
    }
    assert [site.slug for site in read_network(network).sites] == ["hospital-a", "regulator", "clinic"]
    assert json.loads(run("org", "show", "clinic", *here, "--json")[1])["is_member"]
    assert run("org", "list", *here)[1].count("http://") == 3
    assert "no proposal" in run("org", "proposals", *here)[1]


def test_a_candidate_elsewhere(network: Path, served: str, tmp_path: Path, run: Run) -> None:
    here = ("-n", str(network))
    out = tmp_path / "lab.candidate"
    made = run(
        *("org", "candidate", "lab", "--role", "laboratory", "--folder", str(tmp_path / "lab")),
        *("--endpoint", "https://lab.example", "--chain-id", "cli-chain", "--out", str(out)),
    )
    assert made[0] == Exit.OK
    code, text, told = run(
        "org", "add", "lab", "--candidate", str(out), "--by", "hospital-a", *here, "--json"
    )
    assert code == Exit.OK, told
    number = str(json.loads(text)["proposal"])
    assert "is open" in run("org", "vote", number, "--by", "regulator", "--against", *here)[1]
    out.write_bytes(b"junk")
    assert run("org", "add", "lab", "--candidate", str(out), "--by", "hospital-a", *here)[0] == Exit.UNUSABLE


def test_a_witness_outside_follows_the_gateway(network: Path, served: str, tmp_path: Path, run: Run) -> None:
    keystore = network / "sites" / "regulator" / "keystore.db"
    state = tmp_path / "witness.state"
    follow = (
        *("witness", "run", "--url", served, "--keystore", str(keystore), "--name", "regulator", "--once"),
        *("--trust", str(network / "ledger" / "genesis.json"), "--state", str(state)),
    )
    assert run(*follow)[0] == Exit.UNUSABLE  # no state, and not said to be new
    code, text, told = run(*follow, "--new", "--json")
    assert code == Exit.OK, told
    assert json.loads(text)["cosigned"] is True
    code, text, _ = run(*follow)
    assert (code, "cosigned block" in text) == (Exit.OK, True)
    shown = json.loads(run("witness", "show", str(state), "--json")[1])
    assert (shown["name"], shown["chain_id"]) == ("regulator", "cli-chain")
    gone = run("witness", "run", "--url", "http://127.0.0.1:9", *follow[4:])
    assert gone[0] == Exit.FAILED
    assert run("witness", "check", str(state), "--trust", follow[-3])[0] == Exit.FAILED


def test_the_doctor_beside_the_running_network(network: Path, served: str, run: Run) -> None:
    code, text, _ = run("doctor", "-n", str(network))
    assert (code, text.rstrip().endswith("Nothing is wrong.")) == (Exit.OK, True), text
    code, text, _ = run("doctor", "-n", str(network), "--ledger-only", "--json")
    document = json.loads(text)
    assert code == Exit.OK
    assert document["sound"] is True
    assert not [one for one in document["checks"] if one["check"].startswith("site.")]


def test_the_doctor_finds_nothing_while_records_pour_in(
    network: Path, served: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = ("--site", "hospital-a", "-n", str(network))
    token = run("token", "issue", *site, "--scope", "system/*.cruds", "--role", "integration")[1].strip()
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
        with httpx.Client(base_url=served, headers=headers) as client:
            while not stop.is_set():
                written.append(client.post("/fhir/Patient", content=PATIENT).status_code)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            code, text, _ = run("doctor", "-n", str(network))
            assert code == Exit.OK, text
    finally:
        stop.set()
        writer.join()
    assert len(written) > 3
    assert set(written) == {201}


def test_backup_restore_and_what_the_doctor_finds_in_a_damaged_copy(
    network: Path, served: str, tmp_path: Path, run: Run
) -> None:
    code, text, told = run("backup", "-n", str(network))
    assert code == Exit.OK, told
    assert "hospital-a:" in text
    restored = tmp_path / "restored"
    back = ("restore", str(network / "backups"), "--escrow", str(network / "escrow"), "--into", str(restored))
    code, text, told = run(*back, "--json")
    assert code == Exit.OK, told
    assert json.loads(text)["chain_id"] == "cli-chain"
    assert run(*back)[0] == Exit.UNUSABLE
    code, text, _ = run("doctor", "-n", str(restored))
    assert code == Exit.OK, text
    nodes = restored / "ledger" / "tree.nodes"
    raw = bytearray(nodes.read_bytes())
    raw[40] ^= 1
    with nodes.open("r+b") as file:
        file.write(raw)
    code, text, _ = run("doctor", "-n", str(restored), "--ledger-only")
    assert (code, "tree node 1" in text) == (Exit.FAILED, True)
    code, text, _ = run("doctor", "-n", str(restored), "--ledger-only", "--json")
    wrong = [one for one in json.loads(text)["checks"] if not one["sound"]]
    assert [one["check"] for one in wrong] == ["nodes"]
