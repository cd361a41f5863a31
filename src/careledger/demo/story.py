"""The story, step by step: each step is a thing that really happens, and is checked before it is told."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from careledger.demo.cast import HOLDERS, Desk, bundle_of, id_of, seat
from careledger.demo.population import Person, heroine, population, result
from careledger.demo.stage import Stage, StoryBroken
from careledger.domains.records.service.backup import BackupPlace, restore_stores, write_backup
from careledger.domains.records.service.erasure import Basis
from careledger.domains.records.service.tamper import Finding, scan
from careledger.gateway.network import RunningNetwork
from careledger.ledger.evidence import read_evidence, write_evidence
from careledger.ledger.evidence_check import EvidenceFailed, verify_evidence
from careledger.ledger.genesis import read_genesis
from careledger.ledger.trust import trust_of_genesis
from careledger.primitives.timestamps import format_instant
from careledger.site.ledger_process import LedgerPaths
from careledger.site.runtime import default_backup_place
from careledger.site.setup import DATABASE_KEY
from careledger.standards.fhir.json_writer import write_json
from careledger.vault.errors import BackupSuperseded
from careledger.vault.passphrase import PassphraseParameters

QUICK = PassphraseParameters(memory_kib=1_024, iterations=1, lanes=1)
"""Key derivation of the story's own backups: its passphrases protect nothing but made-up persons."""


@dataclass(slots=True)
class Cast:
    """Who is on stage."""

    network: RunningNetwork
    client: httpx.AsyncClient
    passphrase: str
    desks: dict[str, Desk] = field(default_factory=dict)
    patient_ids: dict[str, str] = field(default_factory=dict)
    """Organisation -> the heroine's id there."""
    resources: int = 0

    def desk(self, slug: str) -> Desk:
        """Somebody's workplace at an organisation."""
        if slug not in self.desks:
            self.desks[slug] = seat(self.network, slug, self.client, subject=f"dr-{slug}")
        return self.desks[slug]


async def load_population(stage: Stage, cast: Cast, *, seed: int, count: int) -> None:
    """Everybody's records come in at the organisations that made them."""
    people: list[Person] = [heroine(), *population(seed, count, HOLDERS)]
    with stage.step(
        "Records come in at two hospitals and a practice",
        who="Integration engineer:",
        stake="every document must come back exactly as it was sent.",
    ):
        visits = [(person, slug) for person in people for slug in HOLDERS if slug in person.records]
        with stage.progress("loading", len(visits)) as progress:
            for person, slug in visits:
                desk = cast.desk(slug)
                answer = await desk.call("POST", "", body=bundle_of(person, slug), expect=200)
                entries = answer.json()["entry"]
                cast.resources += len(entries)
                if person.number == heroine().number:
                    cast.patient_ids[slug] = id_of(entries[0]["response"]["location"], "Patient")
                progress.advance(progress.task_ids[0])
        stage.check(set(cast.patient_ids) == set(HOLDERS), "the patient is registered everywhere")
        for slug in HOLDERS:
            await cast.network.site(slug).writer.flush()
        height = cast.network.ledger.view.position().height
        stage.happened(
            f"{cast.resources} resources of {len(people)} patients were checked, sealed and indexed at "
            f"{len(HOLDERS)} organisations; their commitments are on the ledger, at block {height}."
        )
        findings = [finding for slug in HOLDERS for finding in scan(cast.network.site(slug).context)]
        stage.check(not findings, "every record matches its commitment")
        stage.proved("Every stored version matches the commitment that its organisation put on the ledger.")
        stage.not_proved("That the records are true, or that nothing was left unrecorded.")


async def alter_one_byte(stage: Stage, cast: Cast) -> None:
    """An insider changes one byte of a stored record."""
    with stage.step(
        "One stored byte is altered",
        who="Regulator:",
        stake="an insider with the database's key must not be able to rewrite history unseen.",
    ):
        site = cast.network.site("hospital-b")
        with site.context.database.immediate() as connection:
            row, sealed = connection.execute(
                "SELECT row, sealed FROM entry WHERE type = 'Observation' AND sealed IS NOT NULL LIMIT 1"
            ).fetchall()[0]
            if not isinstance(sealed, bytes):
                raise StoryBroken("there is no observation to alter")
            altered = sealed[:120] + bytes([sealed[120] ^ 1]) + sealed[121:]
            connection.execute("UPDATE entry SET sealed = ? WHERE row = ?", (altered, row))
        stage.happened(
            "Somebody with the database's key flips one bit of one laboratory result at hospital-b."
        )
        findings: list[Finding] = await asyncio.to_thread(lambda: list(scan(site.context)))
        stage.check(len(findings) == 1, "exactly the altered record is found")
        found = findings[0]
        stage.proved(
            f"The scan names it: {found.organisation}, {found.resource.split('/')[0]}, committed at block "
            f"{found.height}: {found.problem}"
        )
        with site.context.database.immediate() as connection:
            connection.execute("UPDATE entry SET sealed = ? WHERE row = ?", (sealed, row))
        stage.check(not list(scan(site.context)), "the restored byte matches again")
        stage.not_proved("Who did it.")


async def erase_one_record(stage: Stage, cast: Cast, scratch: Path) -> None:
    """A record is erased, and no backup opens it."""
    with stage.step(
        "A record is erased, in every backup",
        who="Patient:",
        stake="the right to erasure, on a system that never forgets.",
    ):
        desk = cast.desk("hospital-a")
        site = desk.site
        gone = await desk.create(
            _about(result("718-7", "Haemoglobin", "13.7", "g/dL", "g/dL", "2026-11-20"), cast)
        )
        kept = await desk.create(
            _about(result("718-7", "Haemoglobin", "13.9", "g/dL", "g/dL", "2026-11-21"), cast)
        )
        await site.writer.flush()
        place = replace(default_backup_place(scratch, "hospital-a", cast.passphrase), parameters=QUICK)
        place.escrow.parent.mkdir(parents=True, exist_ok=True)
        database_key = site.context.keystore.get(DATABASE_KEY)
        await asyncio.to_thread(write_backup, site.context, place, database_key)
        site.backup_place = place
        shutil.copytree(place.directory, scratch / "old-backup")
        erased = await site.writer.erase(
            "Observation",
            str(gone["id"]),
            basis=Basis.CONSENT_WITHDRAWN,
            decided_by="data protection officer",
        )
        stage.happened(
            "A result is backed up, then erased: keys, salts, index rows and blob are destroyed, and the backups' "
            "keys are changed."
        )
        answer = await desk.call("GET", f"Observation/{gone['id']}")
        stage.check(answer.status_code in (404, 410), "the erased record is not served")
        await desk.call("GET", f"Observation/{kept['id']}", expect=200)
        await asyncio.to_thread(_refuse_old_backup, place, scratch)
        stage.check(not list(scan(site.context)), "the ledger and the rest still match")
        stage.proved(
            f"The backup made before it opens no more; the newest keys restore everything else. The commitment at "
            f"block {erased.heights[0]} still stands, as noise."
        )
        stage.not_proved("That nobody who had opened it before kept a copy.")


def _refuse_old_backup(place: BackupPlace, scratch: Path) -> None:
    old = BackupPlace(
        directory=scratch / "old-backup", escrow=place.escrow, passphrase=place.passphrase, parameters=QUICK
    )
    try:
        restore_stores(old, scratch / "restored-old", database_key_name=DATABASE_KEY)
    except BackupSuperseded:
        pass
    else:
        raise StoryBroken("an old key backup opened after the erasure")
    restore_stores(
        place,
        scratch / "restored",
        database_key_name=DATABASE_KEY,
        records=scratch / "old-backup" / "records.db",
    )


def _about(resource: dict[str, object], cast: Cast) -> dict[str, object]:
    return {**resource, "subject": {"reference": f"Patient/{cast.patient_ids['hospital-a']}"}}


async def verify_offline(stage: Stage, cast: Cast, scratch: Path) -> Path:
    """An evidence file is checked without asking anybody."""
    with stage.step(
        "An evidence file is verified offline",
        who="Auditor:",
        stake="a proof that outlives the network, and needs nobody's word.",
    ):
        desk = cast.desk("hospital-a")
        allergies = await desk.search(f"AllergyIntolerance?patient={cast.patient_ids['hospital-a']}")
        stage.check(len(allergies) == 1, "the allergy is on file")
        allergy = allergies[0]
        evidence = await desk.site.proofs.evidence("AllergyIntolerance", str(allergy["id"]), 1)
        path = scratch / "allergy.evidence"
        path.write_bytes(write_evidence(evidence))
        genesis = LedgerPaths(cast.network.config.ledger_root).genesis
        trust = trust_of_genesis(read_genesis(genesis.read_bytes()))
        verdict = verify_evidence(read_evidence(path.read_bytes()), trust)
        stage.happened(f"hospital-a hands out {path.name} ({path.stat().st_size:,} bytes) about the allergy.")
        if verdict.committed is None:
            raise StoryBroken("the evidence names no block")
        height, time_ms = verdict.committed
        stage.proved(
            f"Unaltered since {format_instant(time_ms)} (block {height}); vouched for by the sequencer and "
            f"{', '.join(sorted(verdict.cosigned_s)) or 'nobody else'}."
        )
        lie = bytearray(path.read_bytes())
        lie[len(lie) // 2] ^= 1
        try:
            verify_evidence(read_evidence(bytes(lie)), trust)
        except (EvidenceFailed, ValueError):
            stage.proved("The same file with one byte changed is refused.")
        else:
            raise StoryBroken("a changed evidence file was accepted")
        stage.not_proved("That the allergy is real. Other information may exist.")
        return path


async def outage(stage: Stage, cast: Cast) -> None:
    """The ledger stands still for a moment; charting goes on."""
    with stage.step(
        "The ledger stops, and charting goes on",
        who="Clinician:",
        stake="care cannot wait for a ledger.",
    ):
        ledger, desk = cast.network.ledger, cast.desk("hospital-a")
        await ledger.client.pause()
        written = []
        for number in range(5):
            resource = _about(
                result("8867-4", "Heart rate", f"7{number}", "/min", "/min", "2026-11-22"), cast
            )
            answer = await desk.call("POST", "Observation", body=write_json(resource), expect=201)
            stage.check(answer.headers["x-careledger-ledger"] == "pending", "the answer says pending")
            written.append(answer.json()["id"])
        for name in written:
            await desk.call("GET", f"Observation/{name}", expect=200)
        stage.happened(
            "With the ledger stopped, five measurements are charted and read back, marked as pending."
        )
        await ledger.client.resume()
        await desk.site.writer.flush()
        stored = [desk.site.store.read("Observation", name) for name in written]
        stage.check(all(one.is_committed for one in stored), "everything caught up")
        stage.proved(
            "After it goes on, all five are committed, in order, without a gap in the patient's stream."
        )
        stage.not_proved("Anything to other organisations during the outage: nothing pending is disclosed.")
