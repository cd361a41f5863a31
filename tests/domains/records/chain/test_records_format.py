"""The format's document says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from careledger.domains.records.chain import keeper
from careledger.domains.records.chain.errors import RECORDS_CODES
from careledger.domains.records.chain.messages import CommitAccess, CommitRecords, CreateCells, UpdateCell
from careledger.domains.records.chain.types import (
    Cell,
    PendingRecovery,
    compute_cell_id,
    compute_key_commitment,
    compute_recovery_commitment,
    pack_cell,
    pack_entry,
)
from careledger.primitives.codec import encode
from careledger.primitives.hashing import labelled
from domains.identity.chain_network import digest

DOCUMENT = (Path(__file__).parents[4] / "docs" / "formats" / "records_chain.md").read_text()


def rows(pattern: str) -> list[tuple[str, ...]]:
    return [tuple(match) for match in re.findall(pattern, DOCUMENT, re.MULTILINE)]


def test_every_code_is_listed_with_its_number() -> None:
    listed = rows(r"^\| (\d+) \| `([A-Z_]+)` \|")
    assert listed == [(str(code.number), code.slug) for code in RECORDS_CODES.codes()]


def test_digests() -> None:
    labels = [label for label, *_ in rows(r"\| `(careledger/[a-z/0-9-]+)` (\|)")]
    key = digest("key")
    assert [labelled(label, key) for label in labels[1:]] == [
        compute_key_commitment(key),
        compute_recovery_commitment(key),
    ]
    contents = bytes(range(128))
    expected = labelled(labels[0], b"some-ledger", b"\x00\x00\x00\x07", contents)
    assert compute_cell_id("some-ledger", 7, contents) == expected


def test_keys_and_entries() -> None:
    collections = [bytes.fromhex(key) for key, *_ in rows(r"\| `(03 0\d)` (\\\|)")]
    tag = digest("tag")
    assert keeper.RECORD_ENTRIES.key((7, tag)) == collections[0] + b"\x00\x00\x00\x07" + tag
    assert keeper.ACCESS_ENTRIES.key((7, tag)) == collections[1] + b"\x00\x00\x00\x07" + tag
    assert keeper.CELLS.key(tag) == collections[2] + tag
    assert pack_entry(tag, 300) == b"\x01" + tag + (300).to_bytes(8, "big")


def test_the_layout_of_a_cell() -> None:
    parts = [bytes([number]) * 32 for number in range(5)]
    pending = PendingRecovery(parts[3], parts[4], 0x0102)
    raw = pack_cell(Cell(7, 9, parts[0], parts[1], parts[2], pending))
    expected = [
        b"\x01",
        (7).to_bytes(4, "big"),
        (9).to_bytes(8, "big"),
        *parts[:3],
        b"\x01",
        *parts[3:],
        (0x0102).to_bytes(8, "big"),
    ]
    offset = 0
    listed = rows(r"^\| (\d+) \| (\d+) \| [a-z`]")
    assert len(listed) == len(expected)
    for (start, length), part in zip(listed, expected, strict=True):
        assert int(start) == offset
        assert raw[offset : offset + int(length)] == part
        offset += int(length)
    assert offset == len(raw)


def test_the_payload_of_an_update() -> None:
    parts = [bytes([number]) * 32 for number in range(5)]
    raw = encode(UpdateCell(parts[0], bytes(7) + b"\x02", *parts[1:]))
    expected = b"\x86\x58\x20" + parts[0] + b"\x48" + bytes(7) + b"\x02"
    assert raw == expected + b"".join(b"\x58\x20" + part for part in parts[1:])
    assert f"`UpdateCell` is {len(raw)} bytes" in DOCUMENT


def test_fields_stand_in_the_order_that_is_listed() -> None:
    listed = {name: fields for name, fields, *_ in rows(r"^\| `([A-Za-z]+)` \| ([^|]*) \| (the|a|`key`)")}
    for kind in (CommitRecords, CommitAccess, CreateCells, UpdateCell):
        fields = [field.partition(" (")[0].replace(" ", "_") for field in listed[kind.__name__].split(", ")]
        assert tuple(fields) == kind.__struct_fields__
