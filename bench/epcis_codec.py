"""What EPCIS costs: reading, checking and hashing events, writing them, and reading scans.

Batches are small and the best of many counts, so that a busy machine disturbs little. Serial numbers and times differ
from event to event, as they do in the field; the caches that help are those of places, parties and products.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.harness import Bar, measure
from careledger.standards.epcis import timestamps, values
from careledger.standards.epcis.document import Document
from careledger.standards.epcis.event_hash import event_hash
from careledger.standards.epcis.json_writer import write_json
from careledger.standards.epcis.query import matches
from careledger.standards.epcis.query_parameters import parse_query
from careledger.standards.epcis.reading import parse_document
from careledger.standards.epcis.xml_writer import write_xml
from careledger.standards.gs1.canonical import checked_canonical_uri
from careledger.standards.gs1.element_string import make
from careledger.standards.gs1.scan import diagnose_scan
from careledger.standards.gs1.symbols import read_image, symbol_png

EVENTS = 100
ROUNDS = 150
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
GTIN = "04006381333931"
RAW = f"]d201{GTIN}1727120010ABC-1\x1d21XY12Z"

Members = dict[str, Any]


def observed(number: int) -> Members:
    """A typical observation: two packs, a step, a place, a despatch advice."""
    return {
        "type": "ObjectEvent",
        "eventTime": f"2026-03-04T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000+01:00",
        "eventTimeZoneOffset": "+01:00",
        "epcList": [f"urn:epc:id:sgtin:4012345.0{10000 + number % 50}.S{number:06}{k}" for k in range(2)],
        "action": "OBSERVE",
        "bizStep": "shipping",
        "disposition": "in_transit",
        "readPoint": {"id": "urn:epc:id:sgln:4012345.00011.987"},
        "bizTransactionList": [
            {"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:4012345000009:ASN{number:06}"}
        ],
    }


def detailed(number: int) -> Members:
    """The same with identifier, place, parties and a third pack."""
    event = observed(number)
    event["eventID"] = f"urn:uuid:374d95fc-9457-4a51-bd6a-{number:012}"
    event["epcList"].append(f"urn:epc:id:sgtin:4012345.0{10000 + number % 50}.S{number:06}2")
    event["bizLocation"] = {"id": "urn:epc:id:sgln:4012345.00011.0"}
    event["sourceList"] = [{"type": "possessing_party", "source": "urn:epc:id:pgln:4012345.00000"}]
    event["destinationList"] = [{"type": "possessing_party", "destination": "urn:epc:id:pgln:4023333.00000"}]
    return event


def document(make_event: Callable[[int], Members], start: int) -> bytes:
    members = {
        "@context": [CONTEXT, {"example": "https://ns.example.com/epcis/"}],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-04T11:00:30.000+01:00",
        "epcisBody": {"eventList": [make_event(start + number) for number in range(EVENTS)]},
    }
    return json.dumps(members, indent=2).encode()


def best_us(act: Callable[[int], object], per: int, rounds: int = ROUNDS) -> float:
    """Best duration of so many rounds, in microseconds per item; rounds are numbered, so that inputs can differ."""
    best_s = 1e9
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            started = time.perf_counter()
            act(number)
            best_s = min(best_s, time.perf_counter() - started)
    finally:
        gc.enable()
    return best_s / per * 1e6


def forget() -> None:
    """Empty the caches that would know an event seen before."""
    timestamps.parse_instant.cache_clear()
    values._valid_identifier.cache_clear()  # noqa: SLF001 (measured as if every transaction were new)


def capture_us(make_event: Callable[[int], Members]) -> float:
    """Parse, check and hash, per event."""
    batches = [document(make_event, start * EVENTS) for start in range(8)]

    def act(number: int) -> None:
        forget()
        for event in parse_document(batches[number % len(batches)], "application/ld+json").events:
            event_hash(event)

    return best_us(act, EVENTS)


@measure(
    Bar("epcis.capture_typical", "us", at_most=30),
    Bar("epcis.capture_detailed", "us", at_most=30),
    Bar("epcis.hash", "us", at_most=10),
    Bar("epcis.write_json", "us", at_most=40),
    Bar("epcis.capture_xml", "us", at_most=200),
    Bar("epcis.query", "us", at_most=10),
)
def measure_events(scratch: Path) -> dict[str, float]:
    del scratch
    read: Document = parse_document(document(detailed, 0))
    xml = write_xml(read)

    def hash_all(_: int) -> None:
        for event in read.events:
            event_hash(event)

    def capture_xml(_: int) -> None:
        forget()
        for event in parse_document(xml, "application/xml").events:
            event_hash(event)

    predicate = parse_query({"EQ_bizStep": ["shipping"], "MATCH_epc": ["urn:epc:idpat:sgtin:4012345.*.*"]})

    def query(_: int) -> None:
        for event in read.events:
            matches(event, predicate)

    return {
        "epcis.capture_typical": capture_us(observed),
        "epcis.capture_detailed": capture_us(detailed),
        "epcis.hash": best_us(hash_all, EVENTS),
        "epcis.write_json": best_us(lambda _: write_json(read), EVENTS),
        "epcis.capture_xml": best_us(capture_xml, EVENTS, rounds=20),
        "epcis.query": best_us(query, EVENTS),
    }


@measure(
    Bar("gs1.canonical_pack", "us", at_most=2),
    Bar("gs1.scan_read", "us", at_most=50),
    Bar("gs1.scan_repaired", "us", at_most=500),
    Bar("gs1.symbol_png", "us", at_most=2000),
    Bar("gs1.symbol_read", "us", at_most=20000),
)
def measure_scans(scratch: Path) -> dict[str, float]:
    del scratch
    packs = [f"urn:epc:id:sgtin:4012345.0{10000 + n % 50}.S{n:08}" for n in range(1000)]
    pack = make(("01", GTIN), ("17", "271200"), ("10", "ABC-1"), ("21", "XY12Z"))
    image = symbol_png(pack)
    lost = RAW.replace("\x1d", "")

    def canonical(_: int) -> None:
        for uri in packs:
            checked_canonical_uri(uri)

    return {
        "gs1.canonical_pack": best_us(canonical, len(packs)),
        "gs1.scan_read": best_us(lambda _: diagnose_scan(RAW), 1, rounds=500),
        "gs1.scan_repaired": best_us(lambda _: diagnose_scan(lost), 1, rounds=500),
        "gs1.symbol_png": best_us(lambda _: symbol_png(pack), 1),
        "gs1.symbol_read": best_us(lambda _: read_image(image), 1),
    }


def main() -> None:
    """Print every figure beside the cost of one small SHA-256, which tells how fast the machine is just now."""
    figures = {**measure_events(Path()), **measure_scans(Path())}
    sha_us = best_us(lambda _: [hashlib.sha256(b"x" * 64).digest() for _ in range(1000)], 1000)
    for key, value in figures.items():
        print(f"{value:10.2f} us  {key}")
    print(f"{sha_us:10.2f} us  one SHA-256 of 64 bytes")


if __name__ == "__main__":
    main()
