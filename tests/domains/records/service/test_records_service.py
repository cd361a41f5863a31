"""The write path on the real ledger: atomicity, padding, streams, outages, tampering, erasure, backups."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from careledger.domains.records.chain.messages import CommitRecords
from careledger.domains.records.chain.types import RECORD_BATCH_SIZES
from careledger.domains.records.service.backup import BackupPlace, cut_backups, restore_stores, write_backup
from careledger.domains.records.service.context import RecordsSettings
from careledger.domains.records.service.erasure import Basis, place_hold
from careledger.domains.records.service.schema import BATCH_RECORDS
from careledger.domains.records.service.tamper import scan
from careledger.ledger.transaction import decode_transaction
from careledger.primitives.codec import decode
from careledger.primitives.errors import Rejected
from careledger.site.ledger_process import LedgerProcess
from careledger.standards.fhir.json_reader import read_resource
from careledger.vault.errors import BackupSuperseded
from careledger.vault.streams import tag
from kit.samples import create, delete, observation, organization, patient, update
from kit.sites import CHEAP, DATABASE_KEY, SETTINGS, TestSite, running_ledger, running_site

Story = Callable[[LedgerProcess, TestSite], Awaitable[None]]


def play(folder: Path, story: Story, settings: RecordsSettings = SETTINGS) -> None:
    async def go() -> None:
        async with (
            running_ledger(folder / "ledger") as process,
            running_site(folder / "site", process, settings=settings) as site,
        ):
            await story(process, site)

    asyncio.run(asyncio.wait_for(go(), 60))


async def new_patient(site: TestSite, family: str = "Testperson") -> str:
    change = create(patient(family))
    await site.writer.write([change], wait_ms=5_000)
    return change.resource_id


def batches(process: LedgerProcess) -> list[CommitRecords]:
    found = []
    view = process.view()
    for height in range(1, view.position().height + 1):
        for raw in view.block(height).transactions:
            content = decode_transaction(raw).content
            if content.message == "CommitRecords":
                found.append(decode(content.payload, CommitRecords))
    return found


def test_what_is_written_is_read_exactly_and_committed(tmp_path: Path) -> None:
    async def story(process: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        change = create(observation(who, "1.50"))
        result = await site.writer.write([change], wait_ms=5_000)
        assert result.is_committed
        await site.writer.flush()
        stored = site.store.read("Observation", change.resource_id)
        assert stored.is_committed
        assert 0 < stored.height <= process.view().position().height
        package = site.store.open(stored)
        assert package.submitted == change.submitted
        assert b'"value":1.50' in package.served
        served = read_resource(package.served)
        submitted = read_resource(package.submitted)
        assert {k: v for k, v in served.items() if k not in ("id", "meta")} == submitted
        assert (served["id"], served["meta"]["versionId"]) == (change.resource_id, "1")  # type: ignore[index]
        assert list(scan(site.context)) == []

    play(tmp_path, story)


def test_versions_conditions_and_deletions(tmp_path: Path) -> None:
    async def story(_: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        first = create(observation(who))
        await site.writer.write([first])
        name = first.resource_id
        await site.writer.write([update(observation(who, "2.50"), name, 1)])
        for change, slug in (
            (update(observation(who), name, 1), "VERSION_CONFLICT"),
            (update(observation(who), "unknown"), "RESOURCE_UNKNOWN"),
            (delete("Observation", name, 1), "VERSION_CONFLICT"),
            (create(observation("nobody")), "PATIENT_UNKNOWN"),
            (delete("Patient", who), "PATIENT_DELETED"),
        ):
            with pytest.raises(Rejected) as caught:
                await site.writer.write([change])
            assert caught.value.code.slug == slug
        await site.writer.write([delete("Observation", name, 2)])
        with pytest.raises(Rejected) as caught:
            site.store.read("Observation", name)
        assert caught.value.code.slug == "RESOURCE_GONE"
        with pytest.raises(Rejected) as caught:
            await site.writer.write([delete("Observation", name)])
        assert caught.value.code.slug == "RESOURCE_GONE"
        assert [one.version for one in site.store.history(resource_id=name)] == [3, 2, 1]
        other = await new_patient(site, "Another")
        second = create(observation(who))
        await site.writer.write([second])
        with pytest.raises(Rejected) as caught:
            await site.writer.write([update(observation(other), second.resource_id)])
        assert caught.value.code.slug == "PATIENT_FIXED"

    play(tmp_path, story)


def test_a_request_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    async def story(_: LedgerProcess, site: TestSite) -> None:
        good, bad = create(organization()), create(observation("nobody"))
        neighbour = create(organization("Neighbour"))
        results = await asyncio.gather(
            site.writer.write([good, bad]), site.writer.write([neighbour]), return_exceptions=True
        )
        assert isinstance(results[0], Rejected)
        with pytest.raises(Rejected):
            site.store.read("Organization", good.resource_id)
        site.store.read("Organization", neighbour.resource_id)
        await site.writer.flush()
        assert list(scan(site.context)) == []

    play(tmp_path, story)


def test_batches_have_fixed_sizes_ascending_tags_and_mix_patients(tmp_path: Path) -> None:
    async def story(process: LedgerProcess, site: TestSite) -> None:
        people = [await new_patient(site, f"P{number}") for number in range(3)]
        await asyncio.gather(
            *(site.writer.write([create(observation(who))]) for who in people for _ in range(9))
        )
        await site.writer.flush()
        messages = batches(process)
        assert messages
        for message in messages:
            tags = [message.tags[at : at + 32] for at in range(0, len(message.tags), 32)]
            assert len(tags) in RECORD_BATCH_SIZES
            assert tags == sorted(set(tags))
        assert len(messages) < 27 + 3, "requests share batches"

    play(tmp_path, story)


def test_restricted_entries_go_out_separately_and_later(tmp_path: Path) -> None:
    async def story(process: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        await asyncio.sleep(0.9)
        await site.writer.flush()
        before = len(batches(process))
        normal, restricted = create(observation(who)), create(observation(who, code="82667-7"))
        result = await site.writer.write([normal, restricted], wait_ms=200)
        assert not result.is_committed
        assert len(batches(process)) == before + 1
        await asyncio.wait_for(result.ticket.done.wait(), 5)
        assert len(batches(process)) == before + 2
        await site.writer.flush()
        entries = [site.store.read("Observation", one.resource_id) for one in (normal, restricted)]
        assert entries[0].height < entries[1].height
        keys = [site.store.stream_keys(one.stream).compartment.label for one in entries]
        assert keys == ["normal", "substance-use"]

    play(tmp_path, story, RecordsSettings(restricted_delay_ms=(600, 700), write_group_ms=1))


def test_every_compartment_is_opened_at_enrolment(tmp_path: Path) -> None:
    async def story(_: LedgerProcess, site: TestSite) -> None:
        await new_patient(site)
        await site.writer.flush()
        with site.context.database.snapshot() as connection:
            rows = connection.execute(
                "SELECT compartment, count(*) FROM stream WHERE subject = 1 GROUP BY compartment"
            ).fetchall()
        assert rows == [(number, 1) for number in range(7)]

    play(tmp_path, story)


def test_charting_goes_on_while_the_ledger_is_stopped_and_catches_up(tmp_path: Path) -> None:
    async def story(process: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        process.engine.pause()
        written = []
        for number in range(6):
            change = create(observation(who, f"{number}.5"))
            result = await site.writer.write([change], wait_ms=20)
            assert not result.is_committed
            written.append((change, result))
            assert site.store.read("Observation", change.resource_id).version == 1
        # A stream has at most one batch under way: the rest is queued behind it.
        assert site.writer.pending_batches == 1
        process.engine.resume()
        await asyncio.wait_for(asyncio.gather(*(result.ticket.done.wait() for _, result in written)), 10)
        await site.writer.flush()
        assert list(scan(site.context)) == []

    play(tmp_path, story)


def test_a_position_taken_with_our_own_key_is_given_up_and_no_record_is_lost(tmp_path: Path) -> None:
    async def story(_: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        await site.writer.flush()
        with site.context.database.snapshot() as connection:
            row, position = connection.execute(
                "SELECT row, next_position FROM stream WHERE subject = 1 AND compartment = 0"
            ).fetchall()[0]
        key = site.store.stream_keys(int(str(row))).index_key
        strange = sorted([tag(key, int(str(position)) + 1), *(os.urandom(32) for _ in range(7))])
        message = CommitRecords(1, b"".join(strange), os.urandom(256))
        ticket = await site.writer.send(BATCH_RECORDS, message)
        await asyncio.wait_for(ticket.done.wait(), 5)
        changes = [create(observation(who, f"{number}.5")) for number in range(4)]
        await site.writer.write(changes, wait_ms=5_000)
        await asyncio.wait_for(site.writer.flush(), 10)
        for change in changes:
            stored = site.store.read("Observation", change.resource_id)
            assert stored.is_committed
            assert site.store.open(stored).submitted == change.submitted
        findings = list(scan(site.context))
        assert [finding.problem for finding in findings] == [
            "The position holds a commitment that this site's database does not know."
        ]

    play(tmp_path, story)


def test_an_expired_batch_is_signed_anew(tmp_path: Path) -> None:
    async def story(process: LedgerProcess, site: TestSite) -> None:
        process.engine.pause()
        change = create(organization())
        await site.writer.write([change], wait_ms=0)
        await asyncio.sleep(0.4)
        process.engine.resume()
        await asyncio.wait_for(site.writer.flush(), 10)
        assert site.store.read("Organization", change.resource_id).is_committed

    play(
        tmp_path,
        story,
        RecordsSettings(restricted_delay_ms=(0, 0), write_group_ms=0, expiry_ms=250, retry_ms=20),
    )


ALTERATIONS = {
    "UPDATE entry SET sealed = CAST(substr(sealed, 1, 99) || x'00' || substr(sealed, 101) AS BLOB) "
    "WHERE id = ?": "bytes",
    "UPDATE entry SET secret = CAST(substr(secret, 1, 40) || x'00' || substr(secret, 42) AS BLOB) "
    "WHERE id = ?": "key",
    "UPDATE entry SET version = 7 WHERE id = ?": "name",
    "UPDATE entry SET commitment = zeroblob(32) WHERE id = ?": "commitment",
    "DELETE FROM entry WHERE id = ?": "positions were given out",
}


@pytest.mark.parametrize(("sql", "words"), ALTERATIONS.items())
def test_one_altered_row_is_named(tmp_path: Path, sql: str, words: str) -> None:
    async def story(_: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        change = create(observation(who))
        await site.writer.write([change], wait_ms=5_000)
        await site.writer.flush()
        assert list(scan(site.context)) == []
        with site.context.database.immediate() as connection:
            connection.execute(sql, (change.resource_id,))
        findings = list(scan(site.context))
        assert any(words in finding.problem for finding in findings)
        assert all(finding.organisation == "hospital-a" for finding in findings)

    play(tmp_path, story)


def test_blobs_alone_or_keys_alone_reveal_nothing(tmp_path: Path) -> None:
    canary = "Kanarienvogelmann"

    async def story(_: LedgerProcess, site: TestSite) -> None:
        await new_patient(site, canary)
        await site.writer.flush()

    play(tmp_path, story)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "site.db" for path in files)
    for path in files:
        raw = path.read_bytes()
        assert canary.encode() not in raw, path
        assert b"Observation" not in raw, path
        assert b"resourceType" not in raw, path


def place_of(folder: Path) -> BackupPlace:
    return BackupPlace(
        directory=folder / "backup",
        escrow=folder / "elsewhere" / "escrow",
        passphrase="backup passphrase",
        parameters=CHEAP,
    )


def test_erased_means_erased_in_every_backup_and_the_rest_is_restored(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = place_of(tmp_path)
    names: dict[str, str] = {}

    async def first(_: LedgerProcess, site: TestSite) -> None:
        site.context.keystore.put("key/database", DATABASE_KEY)
        site.writer._eraser._cut_backups = lambda: cut_backups(site.context, place)  # type: ignore[union-attr]
        who = await new_patient(site)
        kept, gone = create(observation(who, "1.5")), create(observation(who, "6.66"))
        await site.writer.write([kept, gone], wait_ms=5_000)
        await site.writer.flush()
        names.update(kept=kept.resource_id, gone=gone.resource_id, patient=who)
        write_backup(site.context, place, DATABASE_KEY)
        shutil.copytree(place.directory, tmp_path / "old backup")
        shutil.copy(place.escrow, tmp_path / "old escrow")
        erased = await site.writer.erase(
            "Observation",
            gone.resource_id,
            basis=Basis.CONSENT_WITHDRAWN,
            decided_by="data protection officer",
        )
        assert (erased.versions, len(erased.heights)) == (1, 1)
        for name in ("kept", "patient"):
            kind = "Patient" if name == "patient" else "Observation"
            site.store.open(site.store.read(kind, names[name]))
        with pytest.raises(Rejected) as caught:
            site.store.open(site.store.read("Observation", gone.resource_id))
        assert caught.value.code.slug == "ERASED"
        assert list(scan(site.context)) == [], "the ledger still verifies"
        later = create(observation(who, "3.5"))
        await site.writer.write([later], wait_ms=5_000)
        names["later"] = later.resource_id
        await site.writer.flush()

    async def second(_: LedgerProcess, site: TestSite) -> None:
        await site.writer.flush()
        kept = site.store.read("Observation", names["kept"])
        assert read_resource(site.store.open(kept).served)["id"] == names["kept"]
        with pytest.raises(Rejected) as caught:
            site.store.open(site.store.read("Observation", names["gone"]))
        assert caught.value.code.slug == "ERASED"
        # What was written after the backup is lost here; its position is known to be taken.
        assert [
            "this site's database does not know" in finding.problem for finding in scan(site.context)
        ] == [True]
        again = create(observation(names["patient"], "4.5"))
        result = await site.writer.write([again], wait_ms=5_000)
        assert result.is_committed
        assert site.writer.index.lookup("Observation", names["kept"]) is not None

    play(tmp_path, first)
    old = BackupPlace(
        directory=tmp_path / "old backup", escrow=place.escrow, passphrase=place.passphrase, parameters=CHEAP
    )
    with pytest.raises(BackupSuperseded):
        restore_stores(old, tmp_path / "nowhere", database_key_name="key/database")
    shutil.rmtree(tmp_path / "site")
    newest_keys_old_blobs = tmp_path / "old backup" / "records.db"
    restore_stores(place, tmp_path / "site", database_key_name="key/database", records=newest_keys_old_blobs)
    # The kit's own passphrase opens the site afterwards.
    from careledger.vault.keystore import Keystore

    Keystore.change_passphrase(
        tmp_path / "site" / "keystore.db", place.passphrase, "passphrase", parameters=CHEAP
    )
    play(tmp_path, second)


def test_a_hold_refuses_erasure_with_its_reason(tmp_path: Path) -> None:
    async def story(_: LedgerProcess, site: TestSite) -> None:
        who = await new_patient(site)
        change = create(observation(who))
        await site.writer.write([change], wait_ms=5_000)
        await site.writer.in_transaction(
            lambda connection: place_hold(
                connection, "Observation", change.resource_id, kind="retention", reason="ten years"
            )
        )
        with pytest.raises(Rejected) as caught:
            await site.writer.erase(
                "Observation", change.resource_id, basis=Basis.OBJECTION, decided_by="officer"
            )
        assert caught.value.code.slug == "ERASURE_HELD"
        assert "retention: ten years" in str(caught.value)
        site.store.open(site.store.read("Observation", change.resource_id))

    play(tmp_path, story)


def test_a_batch_is_durable_with_the_exact_bytes_that_are_submitted(tmp_path: Path) -> None:
    async def story(process: LedgerProcess, site: TestSite) -> None:
        process.engine.pause()
        await site.writer.write([create(organization())], wait_ms=0)
        with site.context.database.snapshot() as connection:
            kept = connection.execute("SELECT raw FROM batch WHERE state = 0").fetchall()
        process.engine.resume()
        await site.writer.flush()
        view = process.view()
        on_ledger = {
            raw for height in range(1, view.position().height + 1) for raw in view.block(height).transactions
        }
        assert {row[0] for row in kept} <= on_ledger

    play(tmp_path, story)
