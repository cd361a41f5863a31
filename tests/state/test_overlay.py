"""Nested overlays behave as a plain dictionary whose changes are kept or dropped as a whole."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from careledger.state.overlay import Overlay
from careledger.state.store import STATE, TableView, WriteBatch
from careledger.storage.memory_tables import MemoryTables

keys = st.lists(st.sampled_from([0, 1, 0xFF]), min_size=1, max_size=4).map(bytes)
values = st.binary(max_size=3)
ends = st.one_of(st.none(), keys)


class OverlayAgainstDictionary(RuleBasedStateMachine):
    """A stack of overlays over a table, beside a stack of dictionaries."""

    @initialize(base=st.dictionaries(keys, values, max_size=12))
    def open_base(self, base: dict[bytes, bytes]) -> None:
        tables = MemoryTables()
        batch = WriteBatch()
        batch.update(STATE, base)
        tables.write(batch)
        self.snapshot = tables.snapshot()
        self.overlays = [Overlay(TableView(self.snapshot.__enter__()))]
        self.models = [dict(base)]

    def teardown(self) -> None:
        if hasattr(self, "snapshot"):
            self.snapshot.__exit__(None, None, None)

    @rule(key=keys, value=values)
    def set(self, key: bytes, value: bytes) -> None:
        self.overlays[-1].set(key, value)
        self.models[-1][key] = value

    @rule(pairs=st.dictionaries(keys, values, max_size=40))
    def set_many(self, pairs: dict[bytes, bytes]) -> None:
        self.overlays[-1].set_many(pairs.items())
        self.models[-1].update(pairs)

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        self.overlays[-1].delete(key)
        self.models[-1].pop(key, None)

    @rule()
    @precondition(lambda self: len(self.overlays) < 4)
    def nest(self) -> None:
        self.overlays.append(Overlay(self.overlays[-1]))
        self.models.append(dict(self.models[-1]))

    @rule(keep=st.booleans())
    @precondition(lambda self: len(self.overlays) > 1)
    def end(self, *, keep: bool) -> None:
        overlay, model = self.overlays.pop(), self.models.pop()
        if keep:
            overlay.merge_into_parent()
            self.models[-1] = model
        else:
            overlay.discard()
        assert len(overlay) == 0

    @rule(start=st.one_of(st.just(b""), keys), end=ends, reverse=st.booleans())
    def scan(self, start: bytes, end: bytes | None, *, reverse: bool) -> None:
        model = self.models[-1]
        expected = [(key, model[key]) for key in sorted(model) if key >= start and (end is None or key < end)]
        if reverse:
            expected.reverse()
        assert list(self.overlays[-1].scan(start, end, reverse=reverse)) == expected

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        assert self.overlays[-1].get(key) == self.models[-1].get(key)
        assert self.overlays[-1].has(key) == (key in self.models[-1])

    @rule(key=keys, value=values)
    def write_while_scanning(self, key: bytes, value: bytes) -> None:
        expected = sorted(self.models[-1].items())
        met = []
        for pair in self.overlays[-1].scan(b"", None):
            met.append(pair)
            self.overlays[-1].set(key, value)
            self.overlays[-1].set(key + key, value)
        assert met == expected
        if met:
            self.models[-1].update({key: value, key + key: value})

    @invariant()
    def changes_lead_from_base_to_model(self) -> None:
        if not hasattr(self, "overlays"):
            return
        for depth in range(1, len(self.overlays)):
            model = dict(self.models[depth - 1])
            for key, value in self.overlays[depth].changes().items():
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
            assert model == self.models[depth]


TestOverlayAgainstDictionary = OverlayAgainstDictionary.TestCase
TestOverlayAgainstDictionary.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_the_outermost_overlay_cannot_merge_into_the_store() -> None:
    tables = MemoryTables()
    with tables.snapshot() as reader:
        overlay = Overlay(TableView(reader))
        overlay.set(b"a", b"1")
        with pytest.raises(TypeError, match="only an overlay over an overlay"):
            overlay.merge_into_parent()
        assert overlay.changes() == {b"a": b"1"}


def test_changes_are_a_copy() -> None:
    with MemoryTables().snapshot() as reader:
        overlay = Overlay(TableView(reader))
        overlay.set(b"a", b"1")
        overlay.changes()[b"b"] = b"2"
        assert not overlay.has(b"b")
