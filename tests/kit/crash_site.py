"""A site and its ledger in one process that is meant to be killed: `python -m kit.crash_site FOLDER write|check`.

`write` prints a line for every acknowledged write, after it was acknowledged; `check` takes those lines on
standard input and says what does not hold.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from careledger.domains.records.service.tamper import scan
from kit.samples import create, delete, observation, patient, update
from kit.sites import running_ledger, running_site


async def write(folder: Path) -> None:
    """Write patients, results, versions and deletions, several at once."""
    async with running_ledger(folder / "ledger") as process, running_site(folder / "site", process) as site:

        async def one(number: int) -> None:
            who = str(uuid.uuid4())
            await site.writer.write([create(patient(f"P{number}"), who)])
            print(f"Patient {who} 1", flush=True)
            for step in range(4):
                first, second = str(uuid.uuid4()), str(uuid.uuid4())
                changes = [create(observation(who), first), create(observation(who, code="82667-7"), second)]
                await site.writer.write(changes)
                print(f"Observation {first} 1\nObservation {second} 1", flush=True)
                if step % 2:
                    await site.writer.write([update(observation(who, "2.50"), first, 1)])
                    print(f"Observation {first} 2", flush=True)
                    await site.writer.write([delete("Observation", second)])
                    print(f"Observation {second} 2", flush=True)

        await asyncio.gather(*(one(number) for number in range(3)))
        await site.writer.flush()


async def check(folder: Path, lines: list[str]) -> list[str]:
    """Restart and compare everything with everything."""
    problems = []
    async with running_ledger(folder / "ledger") as process, running_site(folder / "site", process) as site:
        await asyncio.wait_for(site.writer.flush(), 20)
        for line in lines:
            resource_type, resource_id, version = line.split()
            try:
                stored = site.store.vread(resource_type, resource_id, int(version))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
                problems.append(f"{line}: {error!r}")
                continue
            site.store.open(stored)
            if not stored.is_committed:
                problems.append(f"{line}: not committed after the restart")
        problems += [f"{finding.resource}: {finding.problem}" for finding in scan(site.context)]
        with site.context.database.snapshot() as connection:
            indexed = connection.execute(
                "SELECT count(*) FROM idx_resource WHERE ended = 0 AND state = 0"
            ).fetchall()
            current = connection.execute(
                "SELECT count(*) FROM (SELECT id, max(version), method FROM entry WHERE kind = 1 GROUP BY id, type) "
                "WHERE method != 3"
            ).fetchall()
        if indexed != current:
            problems.append(f"the index has {indexed} resources, the records {current}")
        # The site goes on where it was.
        await site.writer.write([create(patient("after"))], wait_ms=10_000)
        await asyncio.wait_for(site.writer.flush(), 20)
        problems += [f"after: {finding.problem}" for finding in scan(site.context)]
    return problems


def main() -> None:
    """Run one of the two."""
    folder = Path(sys.argv[1])
    if sys.argv[2] == "write":
        asyncio.run(write(folder))
    else:
        problems = asyncio.run(check(folder, sys.stdin.read().splitlines()))
        print("\n".join(problems))


if __name__ == "__main__":
    main()
