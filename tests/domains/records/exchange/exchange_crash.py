"""A story that is killed at a fault point, and the check of what it leaves; run as a process of its own.

`act` grants twice, reads, revokes one of both, reads again, and breaks the glass, saying aloud what it has done.
`check` opens everything again and looks whether it fits together with what was said.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from careledger.domains.records.chain import keeper
from careledger.domains.records.service.agent.authority import ByPatient
from careledger.domains.records.service.consent.errors import NOT_GRANTED
from careledger.domains.records.service.consent.fhir_consent import read_consent
from careledger.domains.records.service.exchange.emergency import Emergency
from careledger.domains.records.service.exchange.messages import Demographics
from careledger.domains.records.service.tamper import scan
from careledger.primitives.errors import Rejected
from domains.records.consent.consent_samples import consent, permission, purpose
from domains.records.exchange.exchange_sites import ExchangeSite, Network, running_network

PATIENT = ByPatient(name="the patient")
RESULTS = 3
SOMEBODY = Demographics(
    "Crash", ("Alex",), "1970-01-02", "other", "", "", "", (("urn:example:number", "Crash"),)
)
EMERGENCY = Emergency(
    demographics=SOMEBODY,
    practitioner="dr-b",
    affiliation="emergency department",
    reason="unconscious after an accident",
    is_bona_fide_emergency=True,
    nature="accident",
)


def say(*words: object) -> None:
    print(*words, flush=True)


async def read(network: Network, cell: bytes, code: str) -> int:
    b = network["hospital-b"]
    result = await b.sharing.reader.read(b.question("hospital-a", cell, purpose=code))
    return len(result.entries)


async def act(network: Network) -> None:
    a, b = network["hospital-a"], network["hospital-b"]
    who = await a.add_patient("Crash")
    await a.add_results(who, RESULTS)
    say("patient", who)
    both = permission(purpose=[purpose("TREAT"), purpose("HPAYMT")])
    policy = read_consent(consent(who, both), patient=f"Patient/{who}")
    treat, _ = await a.sharing.agent.grant(who, "hospital-a", policy, authority=PATIENT)
    say("granted")
    say("released", await read(network, a.cell(who), "TREAT"))
    say("revoking", treat.name.hex())
    await a.sharing.agent.revoke(who, "hospital-a", [treat.name], authority=PATIENT)
    say("revoked")
    say("released", await read(network, a.cell(who), "HPAYMT"))
    result = await b.sharing.emergency_reader.break_glass(["hospital-a"], EMERGENCY)
    say("released", len(result.opened[0].entries))
    say("end")


async def check(network: Network, said: list[list[str]]) -> list[str]:
    a = network["hospital-a"]
    wrong: list[str] = []
    words = [line[0] for line in said]
    if "patient" not in words:
        return wrong
    who = next(line[1] for line in said if line[0] == "patient")
    with a.context.database.snapshot() as connection:
        begun = connection.execute("SELECT count(*) FROM agent_task").fetchall() != [(0,)]
    await a.sharing.agent.resume()
    await a.writer.flush()
    cell = a.cell(who)
    grants = await a.sharing.agent.grants(who)
    if "granted" in words and "HPAYMT" not in {grant.purpose for grant in grants}:
        wrong.append("a grant that was told is gone")
    if grants and await read(network, cell, "HPAYMT") != RESULTS + 1:
        wrong.append("what is granted cannot be read")
    if begun or "revoked" in words:
        try:
            await read(network, cell, "TREAT")
            wrong.append("what was revoked can be read")
        except Rejected as refusal:
            if refusal.code is not NOT_GRANTED:
                wrong.append(f"refused with {refusal.code.name}")
    wrong += check_log(a, said)
    await a.sharing.agent.refresh(who, "hospital-a")
    await a.writer.flush()
    wrong += [finding.problem for finding in scan(a.context)]
    return wrong


def check_log(a: ExchangeSite, said: list[list[str]]) -> list[str]:
    """Never a release without an entry, and every entry on the ledger."""
    log = a.recorder.read_log(1)
    kinds = [msgspec.json.decode(entry.event)["subtype"][0]["code"] for entry in log]
    released = sum(line[0] == "released" for line in said)
    wrong = []
    # The check's own reads are in the log, too; they come after.
    if sum(kind in ("disclose", "break-glass") for kind in kinds) < released:
        wrong.append("something was released without a log")
    with a.context.view.at_head() as view:
        for entry in log:
            found = keeper.access_entry(view.store, 1, entry.tag)
            kind = msgspec.json.decode(entry.event)["subtype"][0]["code"]
            if found is None and kind in ("disclose", "break-glass", "match"):
                wrong.append("an entry of a disclosure is not on the ledger")
            elif found is not None and found.commitment != entry.commitment:
                wrong.append("an entry differs from the ledger")
    return wrong


async def main(folder: Path, what: str) -> list[str]:
    async with running_network(folder) as network:
        if what == "act":
            await act(network)
            return []
        return await check(network, [line.split() for line in sys.stdin.read().splitlines() if line])


if __name__ == "__main__":
    for problem in asyncio.run(asyncio.wait_for(main(Path(sys.argv[1]), sys.argv[2]), 60)):
        say(problem)
