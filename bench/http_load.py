"""A site under HTTP load: creates, audited reads and transaction bundles, over real sockets and a real ledger.

The site runs as one process of its own beside the ledger process; this process only loads it. Requests are written
as prepared bytes and answers are read just far enough to know where they end, so that the load costs little of the two
cores that all share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.harness import Bar, measure, percentile

CLIENTS: Final = 64
PATIENTS: Final = 256
SECONDS: Final = 6.0
BUNDLE_ENTRIES: Final = 1_000
BUNDLES: Final = 6
_ROOT: Final = Path(__file__).resolve().parent.parent


# -- the loading side -------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came back."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    committed: int = 0
    bodies: list[bytes] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request when an answer is complete."""

    def __init__(self, next_request: Callable[[], bytes | None], tally: Tally, *, keep: bool = False) -> None:
        self._next = next_request
        self._tally = tally
        self._keep = keep
        self._buffer = b""
        self._sent = 0.0
        self._needed = -1
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        request = self._next()
        if self._transport is None:
            return
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if self._needed < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            at = buffer.find(b"content-length: ", 0, end)
            length = int(buffer[at + 16 : buffer.find(b"\r", at)]) if at >= 0 else 0
            self._needed = end + 4 + length
        if len(buffer) < self._needed:
            return
        tally = self._tally
        tally.latencies_ms.append((time.perf_counter() - self._sent) * 1_000)
        status = int(buffer[9:12])
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        if b"x-careledger-ledger: committed" in buffer[:1_200]:
            tally.committed += 1
        if self._keep:
            tally.bodies.append(buffer)
        self._buffer, self._needed = b"", -1
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed"))


def build_request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: bench", f"authorization: Bearer {token}"]
    if body:
        lines += ["content-type: application/fhir+json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def load(
    port: int, clients: int, next_request: Callable[[], bytes | None], *, keep: bool = False
) -> Tally:
    """Load with so many connections until there is no next request."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(clients):
        _, protocol = await loop.create_connection(
            lambda: Connection(next_request, tally, keep=keep), "127.0.0.1", port
        )
        connections.append(protocol)
    await asyncio.gather(*(protocol.done for protocol in connections))
    return tally


def until(seconds: float, make: Callable[[int], bytes]) -> Callable[[], bytes | None]:
    """Give requests out for some time."""
    end = time.perf_counter() + seconds
    count = 0

    def next_request() -> bytes | None:
        nonlocal count
        if time.perf_counter() >= end:
            return None
        count += 1
        return make(count)

    return next_request


def listed(requests: list[bytes]) -> Callable[[], bytes | None]:
    """Give each of these requests out once."""
    waiting = iter(requests)
    return lambda: next(waiting, None)


def patient_body(number: int) -> bytes:
    return json.dumps(
        {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:example:bench", "value": f"p{number}"}],
            "name": [{"family": f"Example{number}", "given": ["Sam"]}],
            "gender": "other",
            "birthDate": "1970-01-02",
        }
    ).encode()


def observation(reference: str, number: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                        "display": "vital-signs",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body Height"}],
            "text": "Body Height",
        },
        "subject": {"reference": reference},
        "effectiveDateTime": "2026-05-20T12:14:17+02:00",
        "issued": "2026-05-20T12:14:17.000+02:00",
        "valueQuantity": {
            "value": 100 + number % 100,
            "unit": "cm",
            "system": "http://unitsofmeasure.org",
            "code": "cm",
        },
    }


def bundle_body(number: int) -> bytes:
    """A transaction with a patient, encounters and observations that refer to them by UUID."""
    patient = f"urn:uuid:{uuid.uuid4()}"
    entries: list[dict[str, object]] = [
        {
            "fullUrl": patient,
            "resource": json.loads(patient_body(100_000 + number)),
            "request": {"method": "POST", "url": "Patient"},
        }
    ]
    entries += [
        {
            "fullUrl": f"urn:uuid:{uuid.uuid4()}",
            "resource": observation(patient, at),
            "request": {"method": "POST", "url": "Observation"},
        }
        for at in range(BUNDLE_ENTRIES - 1)
    ]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, str, int]]:
    """A site in a process of its own: its port, a token, its process id."""
    command = [sys.executable, "-m", "bench.http_load", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    try:
        port, token = process.stdout.readline().decode().split()
        yield int(port), token, process.pid
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds: what a figure costs when others use the machine too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run_load(port: int, token: str, pid: int) -> dict[str, float]:
    """Measure creates, reads and bundles."""
    patients = await load(
        port,
        CLIENTS,
        listed([build_request("POST", "/fhir/Patient", token, patient_body(n)) for n in range(PATIENTS)]),
        keep=True,
    )
    ids = [body.split(b"/fhir/Patient/", 1)[1].split(b"/", 1)[0].decode() for body in patients.bodies]
    prepared = [
        build_request(
            "POST", "/fhir/Observation", token, json.dumps(observation(f"Patient/{one}", at)).encode()
        )
        for at, one in enumerate(ids)
    ]
    await load(port, CLIENTS, until(1.0, lambda count: prepared[count % len(prepared)]))
    started, spent = time.perf_counter(), [cpu_s(pid)]
    creates = await load(port, CLIENTS, until(SECONDS, lambda count: prepared[count % len(prepared)]))
    create_s = time.perf_counter() - started
    spent.append(cpu_s(pid))
    reads = [build_request("GET", f"/fhir/Patient/{one}", token) for one in ids]
    await load(port, CLIENTS, until(1.0, lambda count: reads[count % len(reads)]))
    started = time.perf_counter()
    spent.append(cpu_s(pid))
    read = await load(port, CLIENTS, until(SECONDS, lambda count: reads[count % len(reads)]))
    read_s = time.perf_counter() - started
    spent.append(cpu_s(pid))
    bundles = [build_request("POST", "/fhir", token, bundle_body(n)) for n in range(BUNDLES)]
    started = time.perf_counter()
    spent.append(cpu_s(pid))
    bundled = await load(port, 2, listed(bundles))
    bundle_s = time.perf_counter() - started
    spent.append(cpu_s(pid))
    for number, (name, tally) in enumerate((("create", creates), ("read", read), ("bundle", bundled))):
        cost_us = (spent[2 * number + 1] - spent[2 * number]) * 1e6 / len(tally.latencies_ms)
        print(
            f"  {name}: {tally.statuses}, committed {tally.committed}, "
            f"p50 {percentile(tally.latencies_ms, 0.5):.1f} ms, p99 {percentile(tally.latencies_ms, 0.99):.1f} ms, "
            f"{cost_us:,.0f} us of the site's processor time each"
        )
    return {
        "fhir_create_per_s": creates.committed / create_s,
        "fhir_create_p99_ms": percentile(creates.latencies_ms, 0.99),
        "fhir_read_per_s": read.statuses.get(200, 0) / read_s,
        "bundle_resources_per_s": bundled.statuses.get(200, 0) * BUNDLE_ENTRIES / bundle_s,
    }


@measure(
    Bar("fhir_create_per_s", "1/s", at_least=1_500),
    Bar("fhir_create_p99_ms", "ms", at_most=100),
    Bar("fhir_read_per_s", "1/s", at_least=4_000),
    Bar("bundle_resources_per_s", "1/s", at_least=3_000),
)
def measure_http(scratch: Path) -> dict[str, float]:
    """Creates answered `committed`, audited reads, and transactions of 1,000 resources."""
    with serving(scratch / "http") as (port, token, pid):
        return uvloop.run(run_load(port, token, pid))


# -- the serving side -------------------------------------------------------------------------------------


async def _serve(folder: Path) -> None:
    sys.path.insert(0, str(_ROOT / "tests"))
    from bench.http_site import serve_bench_site

    async with serve_bench_site(folder) as (port, token):
        print(f"{port} {token}", flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> int:
    """Serve a site until standard input is closed."""
    profile = os.environ.get("BENCH_PROFILE", "")
    folder = Path(sys.argv[1])
    if not profile:
        uvloop.run(_serve(folder))
        return 0
    import cProfile

    profiler = cProfile.Profile()
    profiler.enable()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(folder))
    profiler.disable()
    profiler.dump_stats(profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
