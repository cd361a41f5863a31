"""Damaged interchanges cost a clear error and nothing else."""

import random
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.standards.x12.acknowledge import acknowledge
from careledger.standards.x12.acknowledge_write import write_acknowledgement
from careledger.standards.x12.claim_read import read_claims
from careledger.standards.x12.claim_write import write_claims
from careledger.standards.x12.errors import LimitError, X12Error
from careledger.standards.x12.interchange import parse
from careledger.standards.x12.remittance_read import read_remittances
from careledger.standards.x12.remittance_write import write_remittances
from careledger.standards.x12.tokens import Limits
from standards.x12.x12_samples import CLINIC, PLAN, STAMP, claim, remittance, rich_claim, stay

INPUTS = [
    write_claims([claim(), rich_claim()], STAMP, sender=CLINIC, receiver=PLAN),
    write_claims([stay()], STAMP, sender=CLINIC, receiver=PLAN),
    write_remittances([remittance()], STAMP, sender=PLAN, receiver=CLINIC),
]
WORDS = [
    *(
        b"",
        b"ZZ",
        b"1.234",
        b"-",
        b"9" * 25,
        b"20260230",
        b":",
        b":" * 12,
        b"^",
        b"*" * 40,
        b"\xff\x00",
        b"NaN",
    ),
    *(b"ISA", b"IEA", b"GS", b"GE", b"ST", b"SE", b"HL", b"CLM", b"LX", b"TA1"),
]
CANARIES = ("Fennimore", "ORC0000417", "CLM00000", "R05", "Quay", "20160229", "RX-8")
"""Values about persons in the inputs; none may reach an error."""


def exercise(data: bytes) -> Iterator[str]:
    """Run an input through everything and yield the texts of what went wrong."""
    runs: list[Callable[[], object]] = [
        lambda: [write_acknowledgement(answer, STAMP) for answer in acknowledge(data)],
        lambda: list(read_claims(data)),
        lambda: write_claims(read_claims(data, on_fault=str), STAMP, sender=CLINIC, receiver=PLAN),
        lambda: list(read_remittances(data)),
        lambda: write_remittances(
            read_remittances(data, on_fault=str, is_balance_required=False),
            STAMP,
            sender=PLAN,
            receiver=CLINIC,
        ),
        lambda: list(parse(data).transaction_sets()),
    ]
    for run in runs:
        try:
            run()
        except X12Error as error:
            yield str(error)
    try:
        assert parse(data).write() == data
        for answer in acknowledge(data):
            for group in answer.groups:
                for result in group.sets:
                    yield from map(str, result.faults)
    except X12Error as error:
        yield str(error)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Return the input with a few things wrong."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        kind = chance.randrange(8)
        at = chance.randrange(len(data)) if data else 0
        segments = data.split(b"~")
        first, second = chance.randrange(len(segments)), chance.randrange(len(segments))
        if kind == 0:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + chance.randrange(1, 40) :]
        elif kind == 2:
            data = data[:at]
        elif kind == 3:
            segments[first], segments[second] = segments[second], segments[first]
            data = b"~".join(segments)
        elif kind == 4:
            del segments[first]
            data = b"~".join(segments)
        elif kind == 5:
            segments.insert(second, segments[first])
            data = b"~".join(segments)
        elif kind == 6:
            elements = segments[first].split(b"*")
            elements[chance.randrange(len(elements))] = chance.choice(WORDS)
            segments[first] = b"*".join(elements[: chance.randrange(1, len(elements) + 1)])
            data = b"~".join(segments)
        else:
            old, new = chance.sample([b"*", b":", b"^", b"~", b"\n", b"|"], 2)
            data = data.replace(old, new, chance.choice((1, 3, -1)))
    return data


@given(st.integers(0, 2**48))
@settings(max_examples=350, deadline=None)
def test_damage_is_an_error_that_tells_nothing_of_anybody(seed: int) -> None:
    chance = random.Random(seed)
    data = damage(chance.choice(INPUTS), chance)
    for text in exercise(data):
        assert not any(canary in text for canary in CANARIES), text


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_much_damage_is_no_more_than_that(part: int) -> None:
    for seed in range(part * 2500, (part + 1) * 2500):
        chance = random.Random(seed)
        data = damage(chance.choice(INPUTS), chance)
        for text in exercise(data):
            assert not any(canary in text for canary in CANARIES), (seed, text)


@given(st.binary(max_size=300))
@settings(max_examples=150)
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, INPUTS[0][:106] + noise, INPUTS[0][: len(INPUTS[0]) // 2] + noise):
        for text in exercise(data):
            assert len(text) < 600


def test_every_truncation_is_rejected_and_answered() -> None:
    data = INPUTS[0]
    for end in range(106, len(data) - 1, 7):
        (answer,) = acknowledge(data[:end])
        assert answer.code == "R"
        assert "023" in [fault.code for fault in answer.faults]
        with pytest.raises(X12Error):
            list(read_claims(data[:end]))


def test_a_deep_pile_of_repeated_loops_stays_small_and_quick() -> None:
    text = INPUTS[0].decode()
    start = text.index("~CLM*")
    for segment, count in (
        ("~CLM*A*1", 5_000),
        ("~HL*2*1*22*0", 5_000),
        ("~NM1*82*1*A", 5_000),
        ("~ZZ9", 5_000),
    ):
        flood = (text[:start] + segment * count + text[start:]).encode()
        tracemalloc.start()
        started = time.process_time()
        (answer,) = acknowledge(flood)
        took = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer.groups[0].code == "R"
        assert answer.groups[0].sets[0].uncounted > 0
        assert peak < 8_000_000, (segment, peak)
        assert took < 30, (segment, took)


def test_tiny_interchanges_one_after_the_other_stay_quick() -> None:
    header = INPUTS[0][:106]
    tiny = header + b"IEA*0*000000041~"
    started = time.process_time()
    assert sum(1 for _ in acknowledge(tiny * 3_000)) == 3_000
    assert time.process_time() - started < 20


def test_a_large_input_is_acknowledged_in_little_memory() -> None:
    text = INPUTS[0].decode()
    body = text[text.index("~ST*") + 1 : text.index("~GE*") + 1]

    def feed() -> Iterator[bytes]:
        yield text[: text.index("~ST*") + 1].encode()
        for number in range(1, 121):
            yield body.replace("*0001", f"*{number:04d}").encode()
        yield b"GE*120*41~IEA*1*000000041~"

    tracemalloc.start()
    (answer,) = acknowledge(feed())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.code, answer.groups[0].code, answer.groups[0].accepted) == ("A", "A", 120)
    assert peak < 6_000_000


def test_limits_are_errors_of_their_own() -> None:
    with pytest.raises(LimitError, match=re.escape("byte 1000: the input is larger than allowed")):
        list(acknowledge(INPUTS[0], Limits(size_bytes_max=1000)))
