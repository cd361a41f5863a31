"""Writing the index: versions, deletions, purging, erasing, and what becomes of rolled back transactions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from careledger.domains.records.service.index import schema
from careledger.domains.records.service.index import writer as writer_module
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.schema import COMPONENT, MIGRATIONS
from careledger.domains.records.service.index.scope import Scope, all_types
from careledger.domains.records.service.index.writer import IndexedResource, IndexOutdated, Removal
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.storage.sqlite import Connection, Database
from domains.records.index.search_naive import OWN_BASE
from domains.records.index.test_index_differential import EVERYTHING, NOW_MS

EXTRACTOR = Extractor(OWN_BASE)
CANARY = "Canary4711"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "index.db", bytes(32))
    opened.migrate(COMPONENT, MIGRATIONS)
    yield opened
    opened.close()


def index_on(connection: Connection) -> Index:
    return Index(connection, bytes(32), own_base=OWN_BASE, extractor=EXTRACTOR)


class Site:
    """An index with its own database connection, as one process has it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.immediate() as connection:
            self.connection = connection
        self.index = index_on(self.connection)

    def put(self, *items: IndexedResource) -> None:
        with self.database.immediate():
            self.index.put_many(items)

    def find(self, resource_type: str, query: str = "", scope: Scope = EVERYTHING) -> list[str]:
        parsed = parse_search(resource_type, parse_query_string(query), now_ms=NOW_MS, own_base=OWN_BASE)
        return [entry.resource_id for entry in self.index.search(parsed, scope, Page(count=1_000)).matches]

    def count(self, table: str) -> int:
        answer = self.connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
        assert isinstance(answer, int)
        return answer


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def patient(name: str, resource_id: str = "p0", version: int = 1, when: int = 0) -> IndexedResource:
    return IndexedResource(
        resource_type="Patient",
        resource_id=resource_id,
        version=version,
        last_updated_ms=NOW_MS + when,
        value={
            "resourceType": "Patient",
            "id": resource_id,
            "name": [{"family": name}],
            "identifier": [
                {
                    "system": "urn:mrn",
                    "value": f"id-{name}",
                    "type": {"coding": [{"system": "t", "code": "MR"}]},
                }
            ],
            "address": [{"line": [f"{name} street"]}],
            "gender": "female",
        },
    )


def observation(
    resource_id: str, subject: str = "Patient/p0", code: str = "a", version: int = 1
) -> IndexedResource:
    return IndexedResource(
        resource_type="Observation",
        resource_id=resource_id,
        version=version,
        last_updated_ms=NOW_MS,
        value={
            "resourceType": "Observation",
            "id": resource_id,
            "status": "final",
            "code": {"coding": [{"system": "s", "code": code}]},
            "subject": {"reference": subject},
        },
    )


def removal(resource_type: str, resource_id: str, version: int = 2) -> Removal:
    return Removal(
        resource_type=resource_type,
        resource_id=resource_id,
        version=version,
        last_updated_ms=NOW_MS + version,
    )


def test_a_new_version_replaces_the_old_one(site: Site) -> None:
    site.put(patient("Smith"))
    site.put(patient("Jones", version=2))
    assert site.find("Patient", "family=smith") == []
    assert site.find("Patient", "family=jones") == ["p0"]
    state = site.index.lookup("Patient", "p0")
    assert state is not None
    assert (state.version, state.is_deleted, state.labels) == (2, False, 0)
    assert site.index.count_by_type(EVERYTHING) == {"Patient": 1}


def test_of_two_versions_in_one_batch_the_later_counts(site: Site) -> None:
    site.put(patient("Smith"), patient("Jones", version=2), patient("Brown", version=3), observation("o0"))
    assert site.find("Patient") == ["p0"]
    assert site.find("Patient", "name=brown") == ["p0"]
    assert site.find("Observation", "subject:Patient.name=brown") == ["o0"]
    assert site.find("Observation", "subject:Patient.name=smith") == []


def test_references_connect_in_either_order_of_writing(site: Site) -> None:
    site.put(observation("o0"))
    assert site.index.lookup("Patient", "p0") is None
    assert site.find("Patient", "_has:Observation:subject:code=a") == []
    assert site.find("Observation", "subject=p0") == ["o0"]
    site.put(patient("Smith"))
    assert site.find("Patient", "_has:Observation:subject:code=a") == ["p0"]
    assert site.find("Observation", "subject:Patient.family=smith") == ["o0"]
    site.put(patient("Jones", version=2))
    assert site.find("Observation", "subject:Patient.family=jones") == ["o0"]


def test_a_deleted_resource_is_gone_but_known(site: Site) -> None:
    site.put(patient("Smith"), observation("o0"))
    with site.database.immediate():
        site.index.remove_many(
            [removal("Patient", "p0"), removal("Patient", "none"), removal("Patient", "p0")]
        )
    assert site.find("Patient") == []
    assert site.find("Observation", "subject:Patient.family=smith") == []
    assert site.find("Observation", "subject=p0") == ["o0"]
    state = site.index.lookup("Patient", "p0")
    assert state is not None
    assert (state.is_deleted, state.version) == (True, 2)
    own = Scope(types=all_types(), patients=frozenset({"p0"}))
    other = Scope(types=all_types(), patients=frozenset({"p1"}))
    assert set(site.index.find_visible("Patient", ["p0"], own, with_deleted=True)) == {"p0"}
    assert site.index.find_visible("Patient", ["p0"], own) == {}
    assert site.index.find_visible("Patient", ["p0"], other, with_deleted=True) == {}
    site.put(patient("Back", version=3))
    assert site.find("Patient") == ["p0"]
    assert site.find("Observation", "subject:Patient.family=back") == ["o0"]


def test_a_deleted_resource_keeps_its_compartments(site: Site) -> None:
    group = IndexedResource(
        resource_type="Group",
        resource_id="g",
        version=1,
        last_updated_ms=NOW_MS,
        value={
            "resourceType": "Group",
            "id": "g",
            "member": [{"entity": {"reference": "Patient/p0"}}, {"entity": {"reference": "Patient/p1"}}],
        },
    )
    site.put(group)
    with site.database.immediate():
        site.index.remove_many([removal("Group", "g")])
    for name, known in (("p0", {"g"}), ("p1", {"g"}), ("p2", set())):
        scope = Scope(types=all_types(), patients=frozenset({name}))
        assert set(site.index.find_visible("Group", ["g"], scope, with_deleted=True)) == known


def test_given_compartments_count_instead_of_found_ones(site: Site) -> None:
    site.put(patient("Smith"), replace(observation("o0"), patients=("p7",)))
    for name, found in (("p0", []), ("p7", ["o0"])):
        assert site.find("Observation", scope=Scope(types=all_types(), patients=frozenset({name}))) == found


def test_purging_takes_ended_versions_and_nothing_else(site: Site) -> None:
    for version in range(1, 6):
        site.put(patient(f"Name{version}", version=version, when=version))
    assert site.count("idx_resource") == 5
    with site.database.immediate():
        assert site.index.purge(NOW_MS + 4, limit=100) == 2
        assert site.index.purge(NOW_MS + 100, limit=1) == 1
    assert site.count("idx_resource") == 2
    with site.database.immediate():
        assert site.index.purge(NOW_MS + 100, limit=100) == 1
        assert site.index.purge(NOW_MS + 100, limit=100) == 0
    rows = {row for (row,) in site.connection.execute("SELECT row FROM idx_resource")}
    for table in schema.ROW_TABLES:
        assert {row for (row,) in site.connection.execute(f"SELECT row FROM {table}")} <= rows
    assert site.find("Patient", "family=name5") == ["p0"]


def test_writing_purges_what_is_older_than_the_retention(site: Site) -> None:
    for version in range(1, 30):
        site.put(patient("Smith", version=version, when=version * writer_module.RETENTION_MS // 4))
    assert site.count("idx_resource") <= 7


def text_of(connection: Connection) -> str:
    tables = [
        str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    return "\n".join(repr(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables)


def test_erasing_leaves_no_trace(site: Site) -> None:
    site.put(patient("Other", "p1"), observation("o1", "Patient/p1"))
    before = text_of(site.connection)
    site.put(patient(CANARY), observation("o-canary", "Patient/p0", CANARY), patient(CANARY + "b", version=2))
    with site.database.immediate():
        site.index.remove_many([removal("Observation", "o-canary")])
    assert CANARY.lower() in text_of(site.connection).lower()
    with site.database.immediate():
        erased = site.index.erase_many(
            [("Patient", "p0"), ("Observation", "o-canary"), ("Patient", "none"), ("Patient", "p0")]
        )
    assert erased == 2
    after = text_of(site.connection)
    assert "canary" not in after.lower()
    assert "'p0'" not in after
    for table in ("idx_token", "idx_text", "idx_fact"):
        rows = repr(site.connection.execute(f"SELECT * FROM {table}").fetchall())
        assert rows in before, table
    assert site.find("Patient", "gender=female") == ["p1"]
    assert site.find("Observation", "code=a") == ["o1"]


def test_erasing_keeps_the_name_of_what_others_refer_to(site: Site) -> None:
    site.put(patient(CANARY), observation("o0"))
    with site.database.immediate():
        assert site.index.erase_many([("Patient", "p0")]) == 1
    assert "canary" not in text_of(site.connection).lower()
    assert site.index.lookup("Patient", "p0") is None
    assert site.find("Observation", "subject=p0") == ["o0"]
    site.put(patient("Back", version=1))
    assert site.find("Observation", "subject:Patient.family=back") == ["o0"]


def test_a_rolled_back_transaction_leaves_nothing_behind(site: Site) -> None:
    site.put(patient("Smith"))

    def fail(name: str) -> None:
        with site.database.immediate():
            site.index.put_many([patient(name, "p1"), observation("o9", "Patient/p8", "z")])
            site.index.put_many([patient(name + "x", "p2")])
            raise KeyError

    for name in ("Jones", "Brown"):
        with pytest.raises(KeyError):
            fail(name)
        assert site.find("Patient") == ["p0"]
    # Numbers given out in those transactions are given out again now, for other values.
    site.put(patient("White", "p3"), observation("o1", "Patient/p3", "q"))
    site.put(patient("Jones", "p1"), observation("o9", "Patient/p8", "z"))
    assert site.find("Patient", "family=jones") == ["p1"]
    assert site.find("Patient", "family=white") == ["p3"]
    assert site.find("Patient", "identifier=id-Jones") == ["p1"]
    assert site.find("Observation", "code=z") == ["o9"]
    assert site.find("Observation", "subject=Patient/p8") == ["o9"]
    assert site.find("Observation", "subject=Patient/p3") == ["o1"]


def test_a_rolled_back_savepoint_leaves_nothing_behind(site: Site) -> None:
    with site.database.immediate() as connection:
        site.index.put_many([patient("Smith")])
        connection.execute("SAVEPOINT attempt")
        site.index.put_many([patient("Jones", "p1")])
        connection.execute("ROLLBACK TO attempt")
        site.index.put_many([patient("White", "p2")])
        site.index.put_many([patient("Jones", "p3")])
    assert site.find("Patient", "family=jones") == ["p3"]
    assert site.find("Patient", "family=white") == ["p2"]
    assert site.find("Patient") == ["p0", "p2", "p3"]


def test_two_processes_write_in_turn(site: Site, tmp_path: Path) -> None:
    other_database = Database(tmp_path / "index.db", bytes(32))
    other = Site(other_database)
    for number in range(6):
        writer = (site, other)[number % 2]
        writer.put(
            patient(f"Name{number // 2}", f"p{number}"), observation(f"o{number}", f"Patient/p{number // 2}")
        )
    for number in range(3):
        for reader in (site, other):
            assert reader.find("Patient", f"family=name{number}") == [f"p{2 * number}", f"p{2 * number + 1}"]
            assert reader.find("Observation", f"subject=p{number}") == [
                f"o{2 * number}",
                f"o{2 * number + 1}",
            ]
    other_database.close()


def test_an_erasure_by_another_process_empties_caches(site: Site, tmp_path: Path) -> None:
    other_database = Database(tmp_path / "index.db", bytes(32))
    other = Site(other_database)
    site.put(patient("Smith"))
    with other_database.immediate():
        assert other.index.erase_many([("Patient", "p0")]) == 1
    site.put(observation("o0"), patient("Smith", "p1"))
    site.put(patient("Smith"))
    assert site.find("Patient", "family=smith") == ["p1", "p0"]
    assert site.find("Observation", "subject:Patient.family=smith") == ["o0"]
    other_database.close()


def test_an_index_of_other_definitions_is_refused_until_built_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.put(patient("Smith"))
    monkeypatch.setattr(writer_module, "definitions_digest", lambda: "other")
    with pytest.raises(IndexOutdated):
        site.put(patient("Jones", "p1"))
    with site.database.immediate():
        site.index.reset()
        site.index.put_many([patient("Jones", "p1")])
    assert site.find("Patient") == ["p1"]


@pytest.mark.parametrize("labels", [-1, 1 << 62])
def test_labels_beyond_their_bits_are_refused(site: Site, labels: int) -> None:
    with pytest.raises(ValueError, match="labels"):
        site.put(replace(patient("Smith"), labels=labels))
    assert site.find("Patient") == []


def test_an_unknown_type_is_refused(site: Site) -> None:
    with pytest.raises(KeyError):
        site.put(replace(patient("Smith"), resource_type="Nothing"))


def test_writing_needs_a_transaction(site: Site) -> None:
    with pytest.raises(RuntimeError):
        site.index.put_many([patient("Smith")])


def test_readers_search_while_the_writer_writes(site: Site) -> None:
    site.put(patient("Smith"))
    with site.database.snapshot() as connection:
        reader = index_on(connection)
        assert reader.count_by_type(EVERYTHING) == {"Patient": 1}
        site.put(patient("Jones", "p1"))
        assert reader.count_by_type(EVERYTHING) == {"Patient": 1}
        assert [
            entry.resource_id for entry in reader.match("Patient", "gender=female", EVERYTHING, now_ms=0)
        ] == ["p0"]
    assert site.find("Patient", "gender=female") == ["p0", "p1"]


def test_rows_extracted_by_the_caller_are_taken(site: Site) -> None:
    item = patient("Smith")
    site.put(replace(item, rows=EXTRACTOR.extract("Patient", item.value), value={}))
    assert site.find("Patient", "family=smith") == ["p0"]


def test_any_sequence_of_writes_ends_in_the_index_of_its_result(site: Site, tmp_path: Path) -> None:
    dice = random.Random(5)
    model: dict[tuple[str, str], IndexedResource] = {}
    for step in range(150):
        number = dice.randrange(8)
        key = dice.choice([("Patient", f"p{number}"), ("Observation", f"o{number}")])
        action = dice.random()
        with site.database.immediate():
            if action < 0.7:
                if key[0] == "Patient":
                    item = patient(dice.choice(["Smith", "Jones"]), key[1], step, step * 400_000)
                else:
                    item = observation(key[1], f"Patient/p{dice.randrange(8)}", dice.choice("abc"), step)
                model.pop(key, None)
                model[key] = item
                site.index.put_many([item])
            elif action < 0.85:
                model.pop(key, None)
                site.index.remove_many([removal(*key, step)])
            else:
                model.pop(key, None)
                site.index.erase_many([key])
    fresh_database = Database(tmp_path / "fresh.db", bytes(32))
    fresh_database.migrate(COMPONENT, MIGRATIONS)
    fresh = Site(fresh_database)
    fresh.put(*model.values())
    for resource_type, query in (
        ("Patient", ""),
        ("Patient", "family=smith"),
        ("Patient", "identifier=urn:mrn|id-Jones"),
        ("Patient", "identifier:of-type=t|MR|id-Smith"),
        ("Patient", "_has:Observation:subject:code=a"),
        ("Observation", "code=b"),
        ("Observation", "code:not=b"),
        ("Observation", "subject:Patient.family=jones"),
        *(("Observation", f"subject=p{number}") for number in range(8)),
    ):
        assert sorted(site.find(resource_type, query)) == sorted(fresh.find(resource_type, query)), query
    fresh_database.close()
