"""The doctor over a whole installation: sound at first, then each part broken on purpose and named."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from careledger.consensus.solo.header import SignedHeader, SoloHeader, sign_header
from careledger.domains.identity.chain.types import Role
from careledger.domains.records.service.agent.wallets import WalletStore
from careledger.domains.records.service.context import RecordsSettings, SiteContext
from careledger.domains.records.service.writer import RecordWriter
from careledger.ledger.doctor import Examined
from careledger.ledger.findings import Finding
from careledger.ledger.meta import TABLES, height_key
from careledger.ledger.port import FinalizeBlockRequest
from careledger.ledger.view import decode_bodies
from careledger.primitives.codec import decode, encode
from careledger.primitives.identifiers import ChainID, OrganisationID
from careledger.site.config import NetworkConfig, Settings, read_network
from careledger.site.doctor import NotExaminable, Scope, examine_installation
from careledger.site.ledger_process import LedgerPaths, clock_ms, open_replica
from careledger.site.runtime_ledger import RunningLedger, read_seed, running_ledger
from careledger.site.setup import (
    DATABASE_KEY,
    LEDGER_KEY,
    RECORDS_KEY,
    SEQUENCER_KEY,
    OrganisationPlan,
    create_network,
)
from careledger.standards.fhir.search.extract import Extractor
from careledger.state.store import HEADERS, META, Tables, WriteBatch
from careledger.storage.lmdb_tables import LmdbTables
from careledger.storage.sqlite import Database
from careledger.vault.keys import SigningSeed
from careledger.vault.keystore import Keystore
from careledger.vault.passphrase import PassphraseParameters
from kit.samples import create, observation, patient

PASSPHRASE = "correct horse"
QUICK = PassphraseParameters(memory_kib=8, iterations=1, lanes=1)
SETTINGS = Settings.model_validate({"heartbeat_ms": 200})
BUCKETS_LOG2 = 8


def context_of(network: NetworkConfig, keystore: Keystore, ledger: RunningLedger) -> SiteContext:
    return SiteContext(
        slug="hospital-a",
        organisation=OrganisationID(1),
        chain_id=ChainID(network.chain_id),
        ledger_seed=SigningSeed(keystore.get(LEDGER_KEY)),
        records_seed=SigningSeed(keystore.get(RECORDS_KEY)),
        keystore=keystore,
        database=Database(network.site_root("hospital-a") / "site.db", keystore.get(DATABASE_KEY)),
        view=ledger.view,
        ledger=ledger.client,
        clock_ms=clock_ms,
        settings=RecordsSettings(restricted_delay_ms=(0, 0), write_group_ms=1),
    )


async def fill(network: NetworkConfig) -> None:
    """A patient with a few results at one hospital, all of it committed and cosigned."""
    async with running_ledger(network, SETTINGS, PASSPHRASE, interval_ms=50) as ledger:
        keystore = Keystore.open(network.site_root("hospital-a") / "keystore.db", PASSPHRASE)
        context = context_of(network, keystore, ledger)
        writer = RecordWriter(
            context,
            extractor=Extractor("http://hospital-a.example/fhir/"),
            patient_keys=WalletStore(context),
            link_key=bytes(32),
        )
        await writer.start()
        who = create(patient())
        await writer.write([who])
        for number in range(3):
            await writer.write([create(observation(who.resource_id, f"{number}.50"))])
        await writer.flush()
        await writer.stop()
        for _ in range(100):
            if await ledger.client.cosigned():
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        context.database.close()
        keystore.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = create_network(
        tmp_path_factory.mktemp("doctor") / "net",
        chain_id="doctor-chain",
        organisations=[
            OrganisationPlan(slug="hospital-a", role=Role.HOSPITAL, port=8_111),
            OrganisationPlan(slug="regulator", role=Role.REGULATOR, port=8_112),
        ],
        passphrase=PASSPHRASE,
        genesis_time_ms=clock_ms() - 1_000,
        buckets_log2=BUCKETS_LOG2,
        parameters=QUICK,
    )
    asyncio.run(asyncio.wait_for(fill(network), 60))
    return network.root


@pytest.fixture
def network(filled: Path, tmp_path: Path) -> NetworkConfig:
    root = tmp_path / "net"
    shutil.copytree(filled, root)
    return read_network(root)


def run(network: NetworkConfig, scope: Scope = Scope()) -> list[Examined]:  # noqa: B008 - frozen
    return list(examine_installation(network, PASSPHRASE, scope))


def findings(network: NetworkConfig) -> list[tuple[str, Finding]]:
    return [(done.name, finding) for done in run(network) for finding in done.findings]


def with_tables(network: NetworkConfig, change: Callable[[Tables, WriteBatch], None]) -> None:
    tables = LmdbTables.open(LedgerPaths(network.ledger_root).tables, tables=TABLES)
    batch = WriteBatch()
    change(tables, batch)
    tables.write(batch)
    tables.close()


def read(tables: Tables, table: str, key: bytes) -> bytes:
    with tables.snapshot() as reader:
        raw = reader.get(table, key)
    assert raw is not None
    return raw


def with_site(network: NetworkConfig, statement: str) -> None:
    root = network.site_root("hospital-a")
    key = read_seed(root / "keystore.db", PASSPHRASE, DATABASE_KEY)
    database = Database(root / "site.db", key)
    with database.immediate() as connection:
        connection.execute(statement)
    database.close()


def test_a_sound_installation_has_nothing_wrong(network: NetworkConfig) -> None:
    done = run(network)
    assert [str(finding) for one in done for finding in one.findings] == []
    names = [one.name for one in done]
    assert {"headers", "nodes", "cosigned", "witness.regulator", "site.hospital-a", "state"} <= set(names)


def test_the_scope_is_kept(network: NetworkConfig) -> None:
    assert [one.name for one in run(network, Scope(with_ledger=False))] == [
        "site.hospital-a",
        "site.regulator",
    ]
    only = run(network, Scope(with_ledger=False, sites=("hospital-a",)))
    assert [one.name for one in only] == ["site.hospital-a"]
    assert "site.hospital-a" not in [one.name for one in run(network, Scope(sites=()))]
    without = examine_installation(network, None, Scope())
    assert not any(one.name.startswith("site.") for one in without)


def test_progress_is_told(network: NetworkConfig) -> None:
    told: list[tuple[str, int, int]] = []
    list(examine_installation(network, PASSPHRASE, Scope(with_ledger=False), lambda *what: told.append(what)))
    assert told
    assert told[-1][1] == told[-1][2] > 10


def header_forged(tables: Tables, batch: WriteBatch) -> None:
    """A header with another time, signed by a key that is not the sequencer's."""
    signed = decode(read(tables, HEADERS, height_key(2)), SignedHeader)
    header = decode(signed.header, SoloHeader)
    batch.put(HEADERS, height_key(2), encode(sign_header(header, bytes(32))))


def header_cut(tables: Tables, batch: WriteBatch) -> None:
    batch.delete(HEADERS, height_key(2))


def header_unreadable(tables: Tables, batch: WriteBatch) -> None:
    batch.put(HEADERS, height_key(2), b"\xff")


def header_swapped(tables: Tables, batch: WriteBatch) -> None:
    batch.put(HEADERS, height_key(2), read(tables, HEADERS, height_key(1)))


def memory_lost(tables: Tables, batch: WriteBatch) -> None:
    batch.delete(META, b"solo.last_header_hash")


def cosigned_unreadable(tables: Tables, batch: WriteBatch) -> None:
    batch.put(META, b"cosigned", b"nothing")


@pytest.mark.parametrize(
    ("change", "check", "height", "problem"),
    [
        (header_forged, "headers", 2, "signature does not stand"),
        (header_cut, "headers", 2, "missing"),
        (header_unreadable, "headers", 2, "cannot be read"),
        (header_swapped, "headers", 2, "another ledger or another block"),
        (header_swapped, "headers", 2, "does not follow the one before it"),
        (header_swapped, "headers", 2, "time does not ascend"),
        (header_swapped, "headers", 3, "does not follow the one before it"),
        (memory_lost, "headers", None, "not the one that the engine remembers"),
        (cosigned_unreadable, "cosigned", None, "cannot be read"),
    ],
)
def test_headers_and_notes_that_are_broken_are_named(
    network: NetworkConfig,
    change: Callable[[Tables, WriteBatch], None],
    check: str,
    height: int | None,
    problem: str,
) -> None:
    with_tables(network, change)
    found = findings(network)
    assert any(
        name == check and problem in one.problem and height in (None, one.height) for name, one in found
    ), [f"{name} {one}" for name, one in found]


def test_a_history_rewritten_with_all_its_hashes_is_not_the_one_that_was_signed(
    network: NetworkConfig,
) -> None:
    """Whoever owns the machine can make tables that agree with each other; signatures and witnesses remain."""
    original = network.ledger_root / "original"
    paths = LedgerPaths(network.ledger_root)
    paths.tables.rename(original)
    paths.nodes.unlink()
    source = LmdbTables.open_read_only(original, tables=TABLES)
    replica = open_replica(paths)
    application = replica.application
    also = WriteBatch()
    with source.snapshot() as reader:
        for key, raw in reader.scan(HEADERS, b"", None):
            header = decode(decode(raw, SignedHeader).header, SoloHeader)
            bodies = reader.get("bodies", key)
            # The history is told again without the transactions of the third block that had any.
            txs = tuple(decode_bodies(bodies)) if bodies and header.history_size != 4 else ()
            application.finalize_block(
                FinalizeBlockRequest(height=header.height, time_ms=header.time_ms, txs=txs)
            )
            application.commit()
            also.put(HEADERS, key, raw)
        also.put(META, b"solo.last_header_hash", reader.get(META, b"solo.last_header_hash") or b"")
        also.put(META, b"cosigned", reader.get(META, b"cosigned") or b"")
    replica.tables.write(also)
    source.close()
    replica.close()
    shutil.rmtree(original)
    found = {(name, one.problem) for name, one in findings(network)}
    assert any(name == "headers" and "not the one that was signed" in problem for name, problem in found)
    assert any(name == "cosigned" for name, _ in found)
    assert any(name == "witness.regulator" for name, _ in found)
    assert any(name == "site.hospital-a" and "no entry" in problem for name, problem in found)


def test_a_node_of_the_trees_file_that_is_broken_is_named(network: NetworkConfig) -> None:
    path = LedgerPaths(network.ledger_root).nodes
    raw = bytearray(path.read_bytes())
    raw[32 * 5] ^= 1
    path.write_bytes(raw)
    # The stamp names the file's inode, which writing in place keeps; a copied file never counts.
    stamp_at = 64 << BUCKETS_LOG2
    raw[stamp_at + 50 : stamp_at + 58] = path.stat().st_ino.to_bytes(8, "big")
    path.write_bytes(raw)
    assert [(name, one.where) for name, one in findings(network)] == [("nodes", "tree node 5")]


@pytest.mark.parametrize(
    ("statement", "where", "problem"),
    [
        (
            "UPDATE entry SET sealed = zeroblob(length(sealed)) WHERE type = 'Observation' AND version = 1",
            "Observation/",
            "stored bytes were altered",
        ),
        (
            "UPDATE entry SET commitment = randomblob(32) WHERE type = 'Patient'",
            "Patient/",
            "key, name or commitment was altered",
        ),
        ("DELETE FROM entry WHERE type = 'Patient'", "stream", "positions were given out"),
    ],
)
def test_a_record_that_is_broken_is_named_with_its_block(
    network: NetworkConfig, statement: str, where: str, problem: str
) -> None:
    with_site(network, statement)
    found = [one for name, one in findings(network) if name == "site.hospital-a"]
    assert any(one.where.startswith(where) and problem in one.problem for one in found), found
    assert all(one.organisation == "hospital-a" for one in found)
    if "/" in where:
        assert all(one.height for one in found)


def test_a_broken_witness_state_is_named(network: NetworkConfig) -> None:
    state = network.site_root("regulator") / "witness.state"
    for text in ("", "careledger-witness/1\nregulator\ndoctor-chain\n\nnot a note"):
        state.write_text(text)
        found = [one for name, one in findings(network) if name == "witness.regulator"]
        assert [one.problem for one in found] == ["The state cannot be read."]
    state.write_text("careledger-witness/1\nregulator\ndoctor-chain\n\n")
    assert findings(network) == []


def test_a_database_that_does_not_open_is_a_finding(network: NetworkConfig) -> None:
    path = network.site_root("hospital-a") / "site.db"
    path.write_bytes(b"x" * 8_192)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    found = [one for name, one in findings(network) if name == "site.hospital-a"]
    assert any("stores cannot be read" in one.problem for one in found)


def test_what_is_no_replica_cannot_be_examined(network: NetworkConfig) -> None:
    paths = LedgerPaths(network.ledger_root)
    paths.nodes.unlink()
    assert [one.where for _, one in findings(network)] == ["tree's file"]
    shutil.rmtree(paths.tables)
    with pytest.raises(NotExaminable, match="cannot be opened"):
        run(network)
    paths.genesis.write_bytes(b"{}")
    with pytest.raises(NotExaminable, match="cannot be opened"):
        run(network)


def test_the_sequencers_own_seed_signs_what_the_doctor_accepts(network: NetworkConfig) -> None:
    """A header signed anew by the true sequencer over other content still does not fit its neighbours."""
    seed = read_seed(network.ledger_root / "keystore.db", PASSPHRASE, SEQUENCER_KEY)

    def forge(tables: Tables, batch: WriteBatch) -> None:
        signed = decode(read(tables, HEADERS, height_key(2)), SignedHeader)
        header = decode(signed.header, SoloHeader)
        batch.put(
            HEADERS,
            height_key(2),
            encode(sign_header(msgspec.structs.replace(header, app_hash=bytes(32)), seed)),
        )

    with_tables(network, forge)
    problems = {one.problem for name, one in findings(network) if name == "headers"}
    assert problems == {
        "From this header on, the history is not the one that was signed.",
        "The header does not follow the one before it.",
    }
