"""Documents made to hurt: each costs a clear error and nothing else."""

import gc
import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.epcis.errors import DocumentRejected, ProblemCode
from careledger.standards.epcis.json_text import parse_json
from careledger.standards.epcis.limits import DEFAULT_LIMITS, Limits
from careledger.standards.epcis.reading import parse_document
from standards.epcis.epcis_documents import document, object_event, xml_document, xml_object_event

GOOD = document(object_event())
XML = xml_document(xml_object_event())


def rejected(data: bytes, content_type: str = "") -> ProblemCode:
    with pytest.raises(DocumentRejected) as caught:
        parse_document(data, content_type)
    return caught.value.problems[0].code


JSON_CORPUS = [
    (b"", ProblemCode.SYNTAX),
    (b"[]", ProblemCode.NOT_EPCIS),
    (b"null", ProblemCode.NOT_EPCIS),
    (GOOD[:-1], ProblemCode.SYNTAX),
    (GOOD + b"x", ProblemCode.SYNTAX),
    (GOOD.replace(b'"OBSERVE"', b"NaN"), ProblemCode.SYNTAX),
    (GOOD.replace(b'"OBSERVE"', b"Infinity"), ProblemCode.SYNTAX),
    (GOOD.replace(b'"OBSERVE"', b"-Infinity"), ProblemCode.SYNTAX),
    (GOOD.replace(b'"OBSERVE"', b"'OBSERVE'"), ProblemCode.SYNTAX),
    (GOOD.replace(b'"OBSERVE"', b"01"), ProblemCode.SYNTAX),
    (GOOD.replace(b'"OBSERVE"', b"1" + b"0" * 5000), ProblemCode.NUMBER),
    (GOOD.replace(b'"OBSERVE"', b"0." + b"1" * 5000), ProblemCode.NUMBER),
    (GOOD.replace(b'"OBSERVE"', b"1e999999999"), ProblemCode.NUMBER),
    (GOOD.replace(b'"OBSERVE"', b"[" * 100_000 + b"]" * 100_000), ProblemCode.TOO_DEEP),
    (GOOD.replace(b'"OBSERVE"', b'{"a":' * 100_000 + b"1" + b"}" * 100_000), ProblemCode.TOO_DEEP),
    (b"[" * 10_000_000, ProblemCode.TOO_DEEP),
    (GOOD.replace(b"OBSERVE", b"OBS\xff\xfeERVE"), ProblemCode.ENCODING),
    (GOOD.decode().encode("utf-16"), ProblemCode.ENCODING),
    (GOOD.decode().encode("utf-16-le"), ProblemCode.ENCODING),
    (GOOD.decode().encode("utf-32"), ProblemCode.ENCODING),
    (GOOD.replace(b"OBSERVE", b"\\ud800"), ProblemCode.SYNTAX),
    (GOOD.replace(b'"schemaVersion"', b'"schemaVersion": "2.0", "schemaVersion"'), ProblemCode.DUPLICATE_KEY),
    (GOOD.replace(b'"type": "EPCIS', b'"type": "x", "type": "EPCIS'), ProblemCode.DUPLICATE_KEY),
]


@pytest.mark.parametrize("number", range(len(JSON_CORPUS)))
def test_json_corpus(number: int) -> None:
    data, code = JSON_CORPUS[number]
    started = time.monotonic()
    assert rejected(data, "application/json") is code
    assert time.monotonic() - started < 5


def test_a_byte_order_mark_is_tolerated() -> None:
    assert parse_document(b"\xef\xbb\xbf" + GOOD).is_valid
    assert parse_document(b"\xef\xbb\xbf" + XML).is_valid


@pytest.mark.parametrize(
    ("event_text", "place"),
    [
        ('"action": "ADD", "action"', "/epcisBody/eventList/1/action"),
        ('"action": "OBSERVE", "\\u0061ction"', "/epcisBody/eventList/1/action"),
        ('"example:x": {"y": "\\"", "y": 2}, "action"', "/epcisBody/eventList/1/example:x/y"),
        ('"example:x": {"a/b": {}, "a/b": {}}, "action"', "/epcisBody/eventList/1/example:x/a~1b"),
    ],
)
def test_doubled_members_bar_their_event_only(event_text: str, place: str) -> None:
    first, second = GOOD, document(object_event(), object_event())
    position = second.rindex(b'"action"')
    data = second[:position] + event_text.encode() + second[position + len(b'"action"') :]
    assert parse_document(first).is_valid
    read = parse_document(data)
    assert [result.event is not None for result in read.results] == [True, False]
    (problem,) = read.results[1].problems
    assert (problem.code, problem.pointer) == (ProblemCode.DUPLICATE_KEY, place)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(max_size=8)
    | st.sampled_from(['"', "\\", '\\"']),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(st.tuples(st.text(max_size=3), inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def written(value: object) -> tuple[str, bool]:
    """Write a value, tuples as objects in which names may repeat; tell whether one does."""

    if isinstance(value, tuple):
        parts = [(json.dumps(key), *written(item)) for key, item in value]
        doubled = len({key for key, _ in value}) != len(value) or any(part[2] for part in parts)
        return "{" + ",".join(f"{key}:{text}" for key, text, _ in parts) + "}", doubled
    if isinstance(value, list):
        items = [written(item) for item in value]
        return "[" + ", ".join(text for text, _ in items) + "]", any(flag for _, flag in items)
    return json.dumps(value), False


@given(json_values)
def test_doubled_names_are_found_exactly(value: object) -> None:
    text, doubled = written(value)
    try:
        parse_json(text.encode(), DEFAULT_LIMITS)
        found = False
    except DocumentRejected as refusal:
        found = refusal.problems[0].code is ProblemCode.DUPLICATE_KEY
    assert found == doubled


BILLION_LAUGHS = """<!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol1 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol2 "&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;">]>
"""
DEEP = "<example:a>" * 300 + "</example:a>" * 300
XML_CORPUS = [
    (b"<", ProblemCode.SYNTAX),
    (b"hello", ProblemCode.SYNTAX),
    (XML[:-10], ProblemCode.SYNTAX),
    (b"<a/>", ProblemCode.NOT_EPCIS),
    (XML.replace(b"urn:epcglobal:epcis:xsd:2", b"urn:epcglobal:epcis:xsd:3"), ProblemCode.NOT_EPCIS),
    (xml_document(xml_object_event(), prolog=BILLION_LAUGHS), ProblemCode.FORBIDDEN_MARKUP),
    (
        xml_document(xml_object_event(), prolog='<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'),
        ProblemCode.FORBIDDEN_MARKUP,
    ),
    (
        xml_document(xml_object_event(), prolog='<!DOCTYPE x SYSTEM "http://169.254.169.254/latest">'),
        ProblemCode.FORBIDDEN_MARKUP,
    ),
    (
        xml_document(xml_object_event(), prolog='<!DOCTYPE x PUBLIC "-//A//B" "http://evil.example/x.dtd">'),
        ProblemCode.FORBIDDEN_MARKUP,
    ),
    (
        xml_document(
            xml_object_event(), prolog='<!DOCTYPE x [<!ENTITY % p SYSTEM "http://e.example/p"> %p;]>'
        ),
        ProblemCode.FORBIDDEN_MARKUP,
    ),
    (
        xml_document(xml_object_event(), prolog='<!DOCTYPE x [<!ATTLIST ObjectEvent action CDATA "ADD">]>'),
        ProblemCode.FORBIDDEN_MARKUP,
    ),
    (xml_document(xml_object_event("<example:x>&lol;</example:x>")), ProblemCode.SYNTAX),
    (xml_document(xml_object_event(DEEP)), ProblemCode.TOO_DEEP),
    (XML.replace(b'encoding="UTF-8"', b'encoding="UTF-7"'), ProblemCode.ENCODING),
    (XML.replace(b'encoding="UTF-8"', b'encoding="EBCDIC-CP-US"'), ProblemCode.ENCODING),
    (XML.replace(b"OBSERVE", b"OBS\xffERVE"), ProblemCode.SYNTAX),
    (b"\xff\xfe" + b"\x00\xd8" * 20, ProblemCode.ENCODING),
    (XML.decode().replace("UTF-8", "UTF-16").encode("utf-16-le"), ProblemCode.SYNTAX),
]


@pytest.mark.parametrize("number", range(len(XML_CORPUS)))
def test_xml_corpus(number: int) -> None:
    data, code = XML_CORPUS[number]
    assert rejected(data, "application/xml") is code


@pytest.mark.parametrize("prolog", ["<!DOCTYPE project>", "<!DOCTYPE epcis:EPCISDocument >\n"])
def test_an_empty_document_type_declares_nothing(prolog: str) -> None:
    assert parse_document(xml_document(xml_object_event(), prolog=prolog)).is_valid


def test_other_encodings_of_xml() -> None:
    text = XML.decode().replace("</example:x>", "")
    utf_16 = text.replace("UTF-8", "UTF-16").encode("utf-16")
    assert parse_document(utf_16, "text/xml").is_valid
    latin = xml_document(xml_object_event("<example:x>ÄÖ</example:x>")).decode()
    read = parse_document(latin.replace("UTF-8", "ISO-8859-1").encode("latin-1"))
    assert read.events[0].extensions[0].content == "ÄÖ"


def test_comments_and_instructions_do_not_count() -> None:
    noisy = xml_object_event("<!-- <action>ADD</action> --><?php evil ?>")
    assert parse_document(xml_document(noisy)).events == parse_document(XML).events


@pytest.mark.parametrize("content_type", ["application/json", "text/xml"])
def test_size_is_checked_before_anything_else(content_type: str) -> None:
    limits = Limits(document_bytes_max=1000)
    with pytest.raises(DocumentRejected) as caught:
        parse_document(b" " * 1001, content_type, limits=limits)
    assert caught.value.problems[0].code is ProblemCode.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        document(object_event(epcList=["x"] * 20_000)),
        document(object_event(**{"example:x": [[]] * 50_000})),
        document(object_event(**{f"key{n}": n for n in range(10_000)})),
        xml_document(xml_object_event("<example:x/>" * 20_000)),
        xml_document(xml_object_event(epcs="<epc>x</epc>" * 20_000)),
    ],
)
def test_memory_and_time_stay_in_proportion(data: bytes) -> None:
    gc.collect()
    started = time.process_time()
    tracemalloc.start()
    try:
        parse_document(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(data) + 10_000_000
    assert time.process_time() - started < 10


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for content_type in ("application/json", "application/xml", ""):
        try:
            parse_document(data, content_type)
        except DocumentRejected as refusal:
            assert refusal.problems  # noqa: PT017 (a refusal always says why)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_damaged_documents_are_read_or_refused(position: int, damage: bytes) -> None:
    try:
        read = parse_document(GOOD[:position] + damage + GOOD[position + 1 :], "application/json")
    except DocumentRejected:
        return
    assert len(read.results) <= 2


@given(st.integers(0, len(XML) - 1), st.binary(min_size=1, max_size=3))
def test_damaged_xml_is_read_or_refused(position: int, damage: bytes) -> None:
    try:
        read = parse_document(XML[:position] + damage + XML[position + 1 :], "application/xml")
    except DocumentRejected:
        return
    assert len(read.results) <= 2
