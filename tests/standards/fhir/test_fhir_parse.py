"""The JSON reader: what it refuses, where it says so, and what it keeps (security row 16)."""

import json
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careledger.standards.fhir.json_reader import JsonError, Limits, read_json, read_resource
from careledger.standards.fhir.json_types import ExactDecimal
from careledger.standards.fhir.json_writer import write_json, write_pretty_json

KIB = 1024


@pytest.mark.parametrize(
    ("data", "location", "code"),
    [
        # duplicate names
        (b'{"a":1,"a":2}', "", "structure"),
        (b'{"a":1,"a":1}', "", "structure"),
        (b'{"a":{"b":1,"b":2}}', "/a", "structure"),
        (b'[1,{"a":[{"c":1},{"b":1,"x":{},"b":[]}]}]', "/1/a/1", "structure"),
        (b'{"a":1,"\\u0061":2}', "", "structure"),
        (b'{"a\\"b":{"c":1,"c":2}}', "/?", "structure"),
        (b'{"a":"\\\\","b":{"c":"\\\\\\"","d":1,"d":2}}', "/b", "structure"),
        (b'{"Ann Smith":{"c":1,"c":2}}', "/?", "structure"),
        (b'{"a": {"b": 1}, "a": {"b": 1}}', "", "structure"),
        # numbers
        (b'{"a":NaN}', "byte 5", "structure"),
        (b'{"a":Infinity}', "byte 5", "structure"),
        (b'{"a":-Infinity}', "byte 6", "structure"),
        (b"[01]", "byte 2", "structure"),
        (b"[+1]", "byte 1", "structure"),
        (b"[.5]", "byte 1", "structure"),
        (b"[5.]", "byte 3", "structure"),
        (b"[1e400]", "", "value"),
        (b"[-1E-400]", "", "value"),
        (b"[1e99999999999999999999]", "", "value"),
        (b"[1." + b"0" * 70 + b"]", "", "too-long"),
        (b"[" + b"9" * 65 + b"]", "", "too-long"),
        (b"[" + b"9" * 100_000 + b"]", "", "too-long"),
        # encodings
        (b'["\\ud800"]', "", "structure"),
        (b'["\\udc00\\ud800"]', "byte 8", "structure"),
        (b'["\xff"]', "byte 2", "structure"),
        (b'["\xed\xa0\x80"]', "byte 2", "structure"),
        (b'["\xc0\x80"]', "byte 2", "structure"),
        (b'{"\xff":1}', "byte 2", "structure"),
        ("{}".encode("utf-8-sig"), "byte 0", "structure"),
        ("{}".encode("utf-16"), "byte 0", "structure"),
        ("{}".encode("utf-16-be"), "byte 0", "structure"),
        ("{}".encode("utf-32"), "byte 0", "structure"),
        ('{"a":"é"}'.encode("latin-1"), "byte 6", "structure"),
        # depth
        (b"[" * 65 + b"]" * 65, "", "too-costly"),
        (b"[" * 10_000 + b"]" * 10_000, "", "too-costly"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "", "too-costly"),
        (b"[" * 1_000_000, "", "too-costly"),
        # not JSON
        (b"", "", "structure"),
        (b" ", "", "structure"),
        (b"{", "", "structure"),
        (b'{"a":1,}', "byte 7", "structure"),
        (b"[1,]", "byte 3", "structure"),
        (b"{'a':1}", "byte 1", "structure"),
        (b"{} {}", "byte 4", "structure"),
        (b'["\t"]', "byte 2", "structure"),
        (b'["a\x00"]', "byte 3", "structure"),
        (b"{/*x*/}", "byte 1", "structure"),
        (b'"unterminated', "", "structure"),
        (b'["\\x41"]', "byte 4", "structure"),
        (b"\\", "byte 0", "structure"),
    ],
)
def test_bad_bytes_are_refused_with_a_place(data: bytes, location: str, code: str) -> None:
    with pytest.raises(JsonError) as caught:
        read_json(data)
    (issue,) = caught.value.issues
    assert (issue.location, issue.code, issue.severity) == (location, code, "fatal")
    assert "Smith" not in str(caught.value)


def test_sizes_are_refused_before_anything_is_built() -> None:
    with pytest.raises(JsonError, match="larger than 10 bytes") as caught:
        read_json(b"[1,2,3,4,5]", Limits(size_bytes_max=10))
    assert caught.value.issues[0].code == "too-long"
    with pytest.raises(JsonError, match="more than 5 values") as caught:
        read_json(b"[1,2,3,4,5,6]", Limits(values_max=5))
    assert caught.value.issues[0].code == "too-costly"
    assert read_json(b'["1,2,3,{[[[,,,,,"]', Limits(values_max=5)) == ["1,2,3,{[[[,,,,,"]


@pytest.mark.parametrize(
    "data",
    [b"[" + b"[]," * 2_000_000 + b"[]]", b"[" + b'"",' * 2_000_000 + b'""]', b'"' * 6_000_000],
    ids=["arrays", "strings", "quotes"],
)
def test_bombs_cost_little_memory(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(JsonError):
        read_json(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * KIB * KIB


@pytest.mark.parametrize(
    "text",
    [
        "1.50",
        "1.0",
        "0.0",
        "-0",
        "-0.0",
        "0",
        "100",
        "-7",
        "1e2",
        "1E2",
        "1E+2",
        "1e-7",
        "0.0000001",
        "0.00000010",
        "1.0E-10",
        "123456789012345678",
        "18446744073709551616",
        "3.14159265358979323846264338327950288",
        "9" * 64,
    ],
)
def test_numbers_keep_their_text(text: str) -> None:
    document = f'{{"value":{text},"list":[{text},1.5]}}'.encode()
    value = read_json(document)
    assert write_json(value) == document
    assert isinstance(value, dict)
    assert Decimal(text) == value["value"]
    assert not isinstance(value["value"], float)


def test_a_negative_zero_inside_a_string_is_no_number() -> None:
    assert read_json(b'["-0", "\\"-0", -0.5]') == ["-0", '"-0', Decimal("-0.5")]
    value = read_json(b'{"a":-0,"b":"x-0","c":12345678901234567890123,"d":1.10}')
    assert write_json(value) == b'{"a":-0,"b":"x-0","c":12345678901234567890123,"d":1.10}'


def test_an_exact_decimal_computes_as_a_decimal() -> None:
    number = ExactDecimal("1e2")
    assert number == 100
    assert number + 1 == Decimal(101)
    assert number.text == "1e2"


def test_the_writer_keeps_order_and_refuses_what_json_lacks() -> None:
    assert write_json({"b": 1, "a": [None, True, "é"]}) == '{"b":1,"a":[null,true,"é"]}'.encode()
    assert write_pretty_json({"a": Decimal("1.50")}) == b'{\n  "a": 1.50\n}'
    with pytest.raises(TypeError):
        write_json({"a": object()})


@pytest.mark.parametrize("data", [b"[]", b"1", b"{}", b'{"resourceType":1}', b'{"resourceType":null}'])
def test_a_resource_is_an_object_that_names_its_type(data: bytes) -> None:
    with pytest.raises(JsonError):
        read_resource(data)
    assert read_resource(b'{"resourceType":"Patient"}') == {"resourceType": "Patient"}


def test_a_duplicate_deep_in_a_large_document_is_found_in_bounded_time() -> None:
    entry = b'{"a":{"b":[' + b'{"c":"text, more: text"},' * 200 + b'{"c":1}]}},'
    data = b'{"entry":[' + entry * 300 + b'{"a":{"b":[{"c":1,"c":2}]}}]}'
    with pytest.raises(JsonError) as caught:
        read_json(data)
    assert caught.value.location.startswith("/entry/300")


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)


@given(documents)
@settings(max_examples=80)
def test_what_is_written_is_read_back(value: object) -> None:
    assert read_json(write_json(value)) == value
    assert read_json(write_pretty_json(value)) == value


@given(documents)
@settings(max_examples=80)
def test_the_standard_library_reads_the_same(value: object) -> None:
    data = json.dumps(value, default=str).encode()
    expected = json.loads(data, parse_float=Decimal)
    assert read_json(data) == expected


@given(st.dictionaries(st.text(min_size=1), documents, min_size=1), st.data())
@settings(max_examples=80)
def test_every_repeated_name_is_found(value: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    inner = data.draw(scalars)
    members = b",".join(write_json(key) + b":" + write_json(item) for key, item in value.items())
    repeated = b"{" + members + b"," + json.dumps(name).encode() + b":" + write_json(inner) + b"}"
    with pytest.raises(JsonError, match="occurs twice"):
        read_json(b'{"x":[' + repeated + b"]}")


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_give_a_value_or_an_error(data: bytes) -> None:
    try:
        value = read_json(data)
    except JsonError:
        return
    assert read_json(write_json(value)) == value
