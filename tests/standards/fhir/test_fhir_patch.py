"""JSON Patch: the examples of RFC 6902 and RFC 6901, faults with their place, limits, and equality of numbers."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careledger.standards.fhir.json_reader import read_json
from careledger.standards.fhir.patch import (
    PatchError,
    apply_json_patch,
    is_equal,
    parse_pointer,
    read_json_patch,
)

Document = dict[str, object]


def patch(document: Document, *operations: Document) -> Document:
    return apply_json_patch(document, read_json_patch(list(operations)))


# RFC 6902, appendix A: number of the example, document, operations, result.
@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
        (
            {"foo": ["bar", "baz"]},
            [{"op": "add", "path": "/foo/1", "value": "qux"}],
            {"foo": ["bar", "qux", "baz"]},
        ),
        ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
        ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
        (
            {"baz": "qux", "foo": "bar"},
            [{"op": "replace", "path": "/baz", "value": "boo"}],
            {"baz": "boo", "foo": "bar"},
        ),
        (
            {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
            [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
            {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        (
            {"baz": "qux", "foo": ["a", 2, "c"]},
            [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
            {"baz": "qux", "foo": ["a", 2, "c"]},
        ),
        (
            {"foo": "bar"},
            [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
            {"foo": "bar", "child": {"grandchild": {}}},
        ),
        (
            {"foo": "bar"},
            [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
            {"foo": "bar", "baz": "qux"},
        ),
        (
            {"/": 9, "~1": 10},
            [{"op": "test", "path": "/~01", "value": 10}],
            {"/": 9, "~1": 10},
        ),
        (
            {"foo": ["bar"]},
            [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
            {"foo": ["bar", ["abc", "def"]]},
        ),
        # beyond the appendix
        ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": {"b": 1}}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 1}}], {"b": 1}),
        ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 1}}], {"b": 1}),
        ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
        ({"a": None}, [{"op": "test", "path": "/a", "value": None}], {"a": None}),
    ],
)
def test_patches(document: Document, operations: list[Document], expected: Document) -> None:
    assert patch(document, *operations) == expected


@pytest.mark.parametrize(
    ("document", "operation", "code"),
    [
        ({"baz": "qux"}, {"op": "test", "path": "/baz", "value": "bar"}, "conflict"),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": "10"}, "conflict"),
        ({"a": True}, {"op": "test", "path": "/a", "value": 1}, "conflict"),
        ({"foo": "bar"}, {"op": "add", "path": "/baz/bat", "value": "qux"}, "not-found"),
        ({"a": 1}, {"op": "remove", "path": "/b"}, "not-found"),
        ({"a": 1}, {"op": "replace", "path": "/b", "value": 1}, "not-found"),
        ({"a": [1]}, {"op": "add", "path": "/a/2", "value": 2}, "not-found"),
        ({"a": [1]}, {"op": "add", "path": "/a/01", "value": 2}, "not-found"),
        ({"a": [1]}, {"op": "add", "path": "/a/-1", "value": 2}, "not-found"),
        ({"a": [1]}, {"op": "add", "path": "/a/x", "value": 2}, "not-found"),
        ({"a": [1]}, {"op": "remove", "path": "/a/-"}, "not-found"),
        ({"a": [1]}, {"op": "replace", "path": "/a/1", "value": 1}, "not-found"),
        ({"a": 1}, {"op": "add", "path": "/a/b", "value": 2}, "not-found"),
        ({"a": 1}, {"op": "remove", "path": ""}, "not-found"),
        ({"a": 1}, {"op": "copy", "from": "/b", "path": "/c"}, "not-found"),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b"}, "value"),
        ({"a": 1}, {"op": "replace", "path": "", "value": 1}, "structure"),
        ({"a": 1}, {"op": "spam", "path": "/a"}, "value"),
        ({"a": 1}, {"op": "add", "path": "/a"}, "required"),
        ({"a": 1}, {"op": "move", "path": "/a"}, "required"),
        ({"a": 1}, {"op": "remove"}, "required"),
        ({"a": 1}, {"op": "remove", "path": "a"}, "value"),
        ({"a": 1}, {"op": "remove", "path": "/~2"}, "value"),
        ({"a": 1}, {"op": "remove", "path": "/a" * 65}, "value"),
    ],
)
def test_what_does_not_fit_is_refused(document: Document, operation: Document, code: str) -> None:
    before = repr(document)
    with pytest.raises(PatchError) as caught:
        patch(document, {"op": "test", "path": "", "value": document}, operation)
    assert caught.value.issues[0].code == code
    assert caught.value.is_test_failure == (code == "conflict")
    assert repr(document) == before


@pytest.mark.parametrize("value", [{}, 5, "x", [5], [[]], [{"op": 5}]])
def test_what_is_no_patch_is_refused(value: object) -> None:
    with pytest.raises(PatchError):
        read_json_patch(value)


def test_faults_are_located_by_operation() -> None:
    with pytest.raises(PatchError) as caught:
        patch({"a": 1}, {"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/c"})
    assert caught.value.issues[0].location == "/1"


def test_all_or_nothing_and_shared_parts() -> None:
    document: Document = {"a": {"x": [1]}, "b": {"y": [2]}}
    result = patch(document, {"op": "add", "path": "/a/x/-", "value": 5})
    assert document == {"a": {"x": [1]}, "b": {"y": [2]}}
    assert result == {"a": {"x": [1, 5]}, "b": {"y": [2]}}
    assert result["b"] is document["b"]


# RFC 6901 §5
@pytest.mark.parametrize(
    ("pointer", "steps"),
    [
        ("", ()),
        ("/foo", ("foo",)),
        ("/foo/0", ("foo", "0")),
        ("/", ("",)),
        ("/a~1b", ("a/b",)),
        ("/c%d", ("c%d",)),
        ("/m~0n", ("m~n",)),
        ("/~01", ("~1",)),
        ("/ ", (" ",)),
    ],
)
def test_pointers(pointer: str, steps: tuple[str, ...]) -> None:
    assert parse_pointer(pointer) == steps


def test_limits() -> None:
    remove = {"op": "remove", "path": "/a"}
    with pytest.raises(PatchError) as caught:
        read_json_patch([remove] * 1_001)
    assert caught.value.issues[0].code == "too-costly"
    doubling: list[Document] = [{"op": "copy", "from": "", "path": f"/x{index}"} for index in range(60)]
    with pytest.raises(PatchError) as caught:
        patch({"a": [0] * 1_000}, *doubling)
    assert caught.value.issues[0].code == "too-costly"
    nesting: list[Document] = [{"op": "copy", "from": "/a", "path": "/a/b"} for _ in range(1_000)]
    with pytest.raises(PatchError) as caught:
        patch({"a": {"b": {"c": 1}}}, *nesting)
    assert caught.value.issues[0].code == "too-costly"


def test_equality_is_that_of_json() -> None:
    assert is_equal(read_json(b"[1.0, 1e2, {}]"), [1, Decimal(100), {}])
    assert not is_equal([True], [1])
    assert not is_equal({"a": 0}, {"a": False})
    assert not is_equal({"a": 1}, {"a": 1, "b": 2})
    assert not is_equal([1], [1, 2])
    assert not is_equal(None, [])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), values, min_size=1), values, st.data())
def test_add_then_remove_is_nothing_and_copies_are_equal(
    document: Document, value: object, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(document)))
    step = name.replace("~", "~0").replace("/", "~1")
    fresh = "fresh-name"
    pointer = {"path": f"/{fresh}"}
    assert patch(document, {"op": "add", **pointer, "value": value}, {"op": "remove", **pointer}) == document
    copied = patch(
        document,
        {"op": "copy", "from": f"/{step}", **pointer},
        {"op": "test", **pointer, "value": document[name]},
    )
    assert is_equal(copied[fresh], document[name])
    moved = patch(
        document,
        {"op": "move", "from": f"/{step}", **pointer},
        {"op": "move", "from": f"/{fresh}", "path": f"/{step}"},
    )
    assert is_equal(moved, document)


@given(st.lists(st.fixed_dictionaries({
    "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
    "path": st.sampled_from(["", "/a", "/a/0", "/a/-", "/b", "/b/c", "/b/c/d", "/x/y"]),
    "from": st.sampled_from(["", "/a", "/a/0", "/b", "/b/c"]),
    "value": values,
}), max_size=6))  # fmt: skip
def test_any_patch_gives_a_document_or_an_error(operations: list[Document]) -> None:
    document: Document = {"a": [1, 2], "b": {"c": {"d": 1}}}
    with contextlib.suppress(PatchError):
        patch(document, *operations)
    assert document == {"a": [1, 2], "b": {"c": {"d": 1}}}
