"""What indexing costs per resource as the index grows, and what searching costs when it has grown.

Run alone (`python -m bench.index_growth [resources]`) it prints a line per 20,000 resources and the searches; with
the harness it yields the figures at both ends. Costs are processor time, so that a busy machine shows in the
elapsed time only; what the disk adds is the difference.
"""

from __future__ import annotations

import gc
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bench.harness import Bar, measure
from careledger.domains.records.service.index.index import Index
from careledger.domains.records.service.index.results import Page
from careledger.domains.records.service.index.schema import COMPONENT, MIGRATIONS
from careledger.domains.records.service.index.scope import DIRECTORY_TYPES, Scope, all_types
from careledger.domains.records.service.index.writer import IndexedResource
from careledger.standards.fhir.search.extract import Extractor
from careledger.standards.fhir.search.request import parse_query_string, parse_search
from careledger.storage.sqlite import Database

NOW_MS = 1_700_000_000_000
WINDOW = 20_000
GROWN = 200_000
TRANSACTION = 300
ENCOUNTERS = 12
LOINC = "http://loinc.org"
CODES = tuple(f"{number}-{number % 10}" for number in range(1_000, 9_000, 53))
FAMILIES = tuple(f"Family{number}" for number in range(500))
DIRECTORY = 60

Value = dict[str, object]


class Hospital:
    """Makes resources the way a hospital does: encounter by encounter, codes by a long tail."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._number = 0

    def _id(self) -> str:
        """Ids that a server gives ascend in time, as version 7 UUIDs do."""
        self._number += 1
        return f"{self._number:012x}-{self._dice.getrandbits(64):016x}"

    def _code(self, display: str = "Observed") -> Value:
        code = CODES[min(int(self._dice.expovariate(0.02)), len(CODES) - 1)]
        return {
            "coding": [{"system": LOINC, "code": code, "display": f"{display} {code}"}],
            "text": f"{display} {code}",
        }

    def directory(self) -> list[Value]:
        return [
            {"resourceType": kind, "id": f"{kind.lower()}-{number}", "name": f"Name {number}", "active": True}
            for kind in ("Organization", "Practitioner", "Location")
            for number in range(DIRECTORY)
        ]

    def patient(self) -> list[Value]:
        """One patient with all that belongs to them."""
        dice = self._dice
        patient_id = self._id()
        subject: Value = {"reference": f"Patient/{patient_id}"}
        found: list[Value] = [
            {
                "resourceType": "Patient",
                "id": patient_id,
                "identifier": [{"system": "urn:mrn", "value": f"mrn-{patient_id}"}],
                "name": [{"family": dice.choice(FAMILIES), "given": [f"Given{dice.randrange(900)}"]}],
                "gender": dice.choice(["male", "female"]),
                "birthDate": f"{dice.randrange(1930, 2020)}-0{dice.randrange(1, 10)}-1{dice.randrange(10)}",
                "address": [
                    {"city": f"City{dice.randrange(50)}", "postalCode": f"{dice.randrange(99999):05}"}
                ],
            }
        ]
        for _ in range(ENCOUNTERS):
            found += self._encounter(subject)
        return found

    def _encounter(self, subject: Value) -> list[Value]:
        dice = self._dice
        encounter_id = self._id()
        day = f"{dice.randrange(2010, 2024)}-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}"
        encounter = {"reference": f"Encounter/{encounter_id}"}
        organisation = {"reference": f"Organization/organization-{dice.randrange(DIRECTORY)}"}
        found: list[Value] = [
            {
                "resourceType": "Encounter",
                "id": encounter_id,
                "identifier": [{"system": "urn:visits", "value": encounter_id}],
                "status": "finished",
                "class": {"system": "urn:classes", "code": dice.choice(["AMB", "EMER", "IMP"])},
                "type": [self._code("Visit")],
                "subject": subject,
                "participant": [
                    {"individual": {"reference": f"Practitioner/practitioner-{dice.randrange(DIRECTORY)}"}}
                ],
                "period": {"start": f"{day}T08:00:00Z", "end": f"{day}T09:00:00Z"},
                "serviceProvider": organisation,
            }
        ]
        results = []
        for number in range(dice.randrange(2, 10)):
            observation_id = self._id()
            results.append({"reference": f"Observation/{observation_id}"})
            found.append(
                {
                    "resourceType": "Observation",
                    "id": observation_id,
                    "meta": {"profile": ["urn:profile:vital-signs"]},
                    "status": "final",
                    "category": [
                        {
                            "coding": [
                                {"system": "urn:categories", "code": "vital-signs", "display": "Vital signs"}
                            ]
                        }
                    ],
                    "code": self._code(),
                    "subject": subject,
                    "encounter": encounter,
                    "effectiveDateTime": f"{day}T08:{number:02}:00+01:00",
                    "valueQuantity": {
                        "value": Decimal(dice.randrange(1, 20_000)) / 100,
                        "unit": "mg",
                        "system": "http://unitsofmeasure.org",
                        "code": "mg",
                    },
                }
            )
        head = {"status": "active", "subject": subject, "encounter": encounter}
        found.append(
            {
                "resourceType": "DiagnosticReport",
                "id": self._id(),
                **head,
                "code": self._code("Report"),
                "result": results,
                "effectiveDateTime": f"{day}T09:00:00Z",
            }
        )
        found.append(
            {
                "resourceType": "Condition",
                "id": self._id(),
                "code": self._code("Condition"),
                "subject": subject,
                "encounter": encounter,
                "onsetDateTime": day,
                "clinicalStatus": {"coding": [{"system": "urn:clinical", "code": "active"}]},
            }
        )
        claim = {
            "status": "active",
            "patient": {"reference": subject["reference"]},
            "provider": organisation,
            "created": f"{day}T10:00:00Z",
        }
        found.append(
            {
                "resourceType": "Claim",
                "id": self._id(),
                **claim,
                "use": "claim",
                "priority": {"coding": [{"system": "urn:priorities", "code": "normal"}]},
                "item": [{"sequence": 1, "encounter": [encounter]}],
            }
        )
        found.append(
            {
                "resourceType": "ExplanationOfBenefit",
                "id": self._id(),
                **claim,
                "identifier": [{"system": "urn:claims", "value": self._id()}],
                "disposition": "paid",
            }
        )
        return found


@dataclass(frozen=True)
class Cost:
    """Of one window of resources, microseconds of processor per resource."""

    stored: int
    put_us: float
    commit_us: float
    elapsed_us: float

    @property
    def total_us(self) -> float:
        return self.put_us + self.commit_us


def grow(database: Database, index: Index, resources: int, hospital: Hospital) -> Iterator[Cost]:
    """Index that many resources, patient by patient, and yield the cost of every window."""
    stored = mark = 0
    put = commit = elapsed = 0.0
    batch = hospital.directory()
    while stored < resources:
        while len(batch) < TRANSACTION:
            batch += hospital.patient()
        items = [
            IndexedResource(
                resource_type=str(value["resourceType"]),
                resource_id=str(value["id"]),
                version=1,
                last_updated_ms=NOW_MS + stored,
                value=value,
            )
            for value in batch[:TRANSACTION]
        ]
        batch = batch[TRANSACTION:]
        begun, started = time.perf_counter(), time.process_time()
        with database.immediate():
            index.put_many(items)
            written = time.process_time()
        put += written - started
        commit += time.process_time() - written
        elapsed += time.perf_counter() - begun
        stored += len(items)
        gc.collect()
        if stored - mark >= WINDOW:
            scale = 1e6 / (stored - mark)
            yield Cost(stored, put * scale, commit * scale, elapsed * scale)
            mark, put, commit, elapsed = stored, 0.0, 0.0, 0.0


BOTH_WAYS = "_include=Encounter:participant&_revinclude=Observation:encounter"
SEARCHES = (
    ("a patient's newest", "Observation", "patient={patient}&_sort=-date&_count=20", False),
    ("a patient's one code", "Observation", f"patient={{patient}}&code={LOINC}|{CODES[3]}&date=ge2015", False),
    ("own record, all observations", "Observation", "_count=50", True),
    ("by identifier", "Patient", "identifier=urn:mrn|mrn-{patient}", False),
    ("by name and birth year", "Patient", "family=family7&birthdate=ge1980", False),
    ("a code in everybody", "Observation", f"code={LOINC}|{CODES[9]}&_count=20", False),
    ("a code and a value, counted", "Observation", f"code-value-quantity={CODES[9]}$gt150&_total=accurate", False),
    ("a month of encounters, counted", "Encounter", "date=ge2018-01&date=lt2018-02&_total=accurate", False),
    ("patients with a result", "Patient", f"_has:Observation:patient:code={LOINC}|{CODES[60]}", False),
    ("observations of a family", "Observation", "subject:Patient.family=family7&_count=20", False),
    ("with includes both ways", "Encounter", f"patient={{patient}}&{BOTH_WAYS}", False),
    ("everything of a status", "Observation", "status=final&_count=50", False),
)  # fmt: skip


def search_all(database: Database) -> list[tuple[str, float, int]]:
    """Median milliseconds of each search on a reader's connection, and how many entries it found."""
    found = []
    with database.snapshot() as connection:
        index = Index(connection, bytes(32))
        query = parse_search("Patient", parse_query_string("_count=30"), now_ms=NOW_MS)
        patient = index.search(query, Scope.everything(), Page(count=30)).matches[-1].resource_id
        own = Scope(types=all_types(), patients=frozenset({patient}), shared_types=DIRECTORY_TYPES)
        for name, resource_type, text, is_own in SEARCHES:
            query = parse_search(
                resource_type, parse_query_string(text.format(patient=patient)), now_ms=NOW_MS
            )
            page = Page(count=query.count or 50, with_total=query.total is not None)
            scope = own if is_own else Scope.everything()
            times = []
            entries = 0
            for _ in range(9):
                begun = time.perf_counter()
                answer = index.search(query, scope, page)
                times.append(time.perf_counter() - begun)
                entries = len(answer.matches) + len(answer.includes)
            found.append((name, statistics.median(times) * 1_000, entries))
    return found


def open_index(folder: Path) -> tuple[Database, Index]:
    database = Database(folder / "index.db", bytes(32))
    database.migrate(COMPONENT, MIGRATIONS)
    with database.immediate() as connection:
        index = Index(connection, bytes(32), extractor=Extractor())
    return database, index


@measure(
    Bar("index_us_first_20k", "us", at_most=120),
    Bar("index_us_at_200k", "us", at_most=120),
    Bar("index_growth_ratio", "x", at_most=2),
    Bar("search_patient_ms_at_200k", "ms", at_most=10),
    Bar("search_slowest_ms_at_200k", "ms", at_most=250),
)
def measure_growth(scratch: Path) -> dict[str, float]:
    """Figures at both ends of the growth."""
    folder = scratch / "index"
    folder.mkdir()
    database, index = open_index(folder)
    costs = list(grow(database, index, GROWN, Hospital(1)))
    searches = search_all(database)
    database.close()
    return {
        "index_us_first_20k": costs[0].total_us,
        "index_us_at_200k": costs[-1].total_us,
        "index_growth_ratio": costs[-1].total_us / costs[0].total_us,
        "search_patient_ms_at_200k": searches[0][1],
        "search_slowest_ms_at_200k": max(milliseconds for _, milliseconds, _ in searches),
    }


def main() -> None:
    """Print the growth and the searches."""
    resources = int(sys.argv[1]) if len(sys.argv) > 1 else GROWN
    with tempfile.TemporaryDirectory(prefix="careledger-index-") as name:
        database, index = open_index(Path(name))
        print(
            f"{'stored':>9} {'put':>8} {'commit':>8} {'total':>8} {'elapsed':>8}   us per resource, processor and clock"
        )
        first: Cost | None = None
        for cost in grow(database, index, resources, Hospital(1)):
            first = first or cost
            print(
                f"{cost.stored:9,} {cost.put_us:8.1f} {cost.commit_us:8.1f} {cost.total_us:8.1f} {cost.elapsed_us:8.1f}"
                f"   x{cost.total_us / first.total_us:.2f}",
                flush=True,
            )
        database.checkpoint()
        print(f"{(Path(name) / 'index.db').stat().st_size / 2**20:.0f} MiB")
        for label, milliseconds, entries in search_all(database):
            print(f"{milliseconds:9.2f} ms {entries:5} entries  {label}")
        database.close()


if __name__ == "__main__":
    main()
