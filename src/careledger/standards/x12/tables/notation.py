"""The notation of the implementation tables, and what it compiles to.

Owns the specification objects (`TransactionSpec`, `LoopSpec`, `SegmentSpec`, `ElementRule`) that the loop
builder and the checks run on, and the small language they are written in. Knows no transaction set: those
are the other modules of this folder. A set added later is one more text in this notation.

One line is one segment or one loop; two spaces of indentation are one level of nesting:

    > 2010AA R 1                                   a loop: id, usage, how often (* is no limit)
      NM1 R 1 RRRSSNSSS 1:85 2=1|2 8=XX            a segment: id, usage, how often, its elements, its codes

Usage is R required, S situational, N not used. The word of elements has one letter per place (missing ones
at the end are N); a composite is followed by its components in brackets; `*n` repeats what stands before it
n times in all. Codes are `place=codes` or `place:codes`, where a place is an element, `element.component`
or a range of either (`2-12.1`, `7.1-4`); the colon says that the code tells this segment from its
neighbours of the same id. `$name` is a list of codes from `code_lists`; `# ` starts a remark. The first
segment of a loop starts it. Neighbours that start with the same segment id share one position, so their
order is free, as it is in the standard's own tables.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from careledger.standards.x12.dictionary import COMPOSITES, ELEMENTS, SEGMENTS, Condition, Part

UNLIMITED = 1_000_000_000
"""How often `*` may repeat."""

_USAGES = re.compile(r"([RSN])(?:\(([RSN]*)\))?(?:\*(\d+))?")
_CODES = re.compile(r"(\d+)(?:-(\d+))?(?:\.(\d+)(?:-(\d+))?)?([:=])(\S+)")


class ElementRule:
    """What one implementation asks of one element, or of one component of a composite."""

    __slots__ = (
        "codes",
        "components",
        "conditions",
        "is_required",
        "is_used",
        "kind",
        "length_max",
        "length_min",
        "reference",
        "repeat",
    )

    def __init__(self, part: Part, usage: str) -> None:
        """Take the facts of `part` from the dictionary."""
        fact = ELEMENTS.get(part.ref)
        self.reference = part.ref
        """Element number or composite id."""
        self.is_required = usage == "R"
        self.is_used = usage != "N"
        self.kind = fact.kind if fact else ""
        self.length_min = fact.length_min if fact else 0
        self.length_max = fact.length_max if fact else 0
        self.repeat = part.repeat
        self.codes: frozenset[str] | None = None
        """Permitted codes; None where any value of the type will do."""
        self.components: tuple[ElementRule, ...] = ()
        self.conditions: tuple[Condition, ...] = COMPOSITES[part.ref].conditions if not fact else ()


class SegmentSpec:
    """One segment at one place of a table."""

    __slots__ = (
        "conditions",
        "group",
        "id",
        "is_required",
        "key_place",
        "keys",
        "loop_id",
        "repeat_max",
        "rules",
        "slot",
        "start",
    )

    def __init__(self, segment_id: str, loop_id: str, *, is_required: bool, repeat_max: int) -> None:
        """Start with every element of the dictionary's shape not used."""
        shape = SEGMENTS[segment_id]
        self.id = segment_id
        self.loop_id = loop_id
        self.is_required = is_required
        self.repeat_max = repeat_max
        self.rules: tuple[ElementRule, ...] = tuple(ElementRule(part, "N") for part in shape.parts)
        self.conditions = shape.conditions
        self.key_place = (0, 0)
        """Element and component (0: none) whose code tells this segment from its neighbours."""
        self.keys: tuple[str, ...] = ()
        self.start = self
        """Itself: the segment that starts this place."""
        self.slot = 0
        """Index of this place among its loop's."""
        self.group = 0
        """Rank of its position in the loop; equal for neighbours of one id."""


class Entry(NamedTuple):
    """Where a segment id may lead inside one loop."""

    element: int
    """Element holding the distinguishing code; 0 if there is none."""
    is_component: bool
    by_code: dict[str, tuple["SegmentSpec | LoopSpec", ...]]
    candidates: tuple["SegmentSpec | LoopSpec", ...]


class LoopSpec:
    """One loop of a table: its segments and inner loops in order."""

    __slots__ = (
        "by_id",
        "children",
        "group",
        "id",
        "is_required",
        "repeat_max",
        "required",
        "slot",
        "start",
        "unused",
    )

    def __init__(self, loop_id: str, *, is_required: bool, repeat_max: int) -> None:
        """Start empty; `_index` completes it."""
        self.id = loop_id
        self.is_required = is_required
        self.repeat_max = repeat_max
        self.children: list[SegmentSpec | LoopSpec] = []
        self.by_id: dict[str, Entry] = {}
        """Where a segment may lead from inside the loop; its start segment leads out of it and is not here."""
        self.required: tuple[SegmentSpec | LoopSpec, ...] = ()
        self.slot = 0
        self.group = 0
        self.start: SegmentSpec
        """The segment that starts the loop; set when the loop is complete."""
        self.unused: list[int] = []
        """A count of zero for each place."""


class TransactionSpec(NamedTuple):
    """One implementation of one transaction set."""

    set_id: str
    """ST01, such as `837`."""
    functional_id: str
    """GS01, such as `HC`."""
    versions: tuple[str, ...]
    """Implementation conventions (GS08, ST03) this table serves; the first is the one written."""
    root: LoopSpec
    """The segments between ST and SE."""
    places: Mapping[str, frozenset[str]]
    """Every segment id of the table with the codes that tell its places apart."""


def _usage_letters(word: str) -> Iterator[tuple[str, str | None]]:
    """Yield the usage of each element with that of its components, None for a simple element."""
    at = 0
    while at < len(word):
        match = _USAGES.match(word, at)
        if match is None:
            raise ValueError(f"unreadable usage word {word}")
        for _ in range(int(match[3] or 1)):
            yield match[1], match[2]
        at = match.end()


def _apply_usages(spec: SegmentSpec, word: str) -> None:
    """Set the usage of every element and component of `spec`."""
    parts = SEGMENTS[spec.id].parts
    rules = list(spec.rules)
    for at, (usage, inner) in enumerate(_usage_letters(word)):
        rule = ElementRule(parts[at], usage)
        if inner is not None:
            shape = COMPOSITES[parts[at].ref]
            letters = inner.ljust(len(shape.parts), "N")
            rule.components = tuple(map(ElementRule, shape.parts, letters))
        rules[at] = rule
    spec.rules = tuple(rules)


def _apply_codes(spec: SegmentSpec, words: list[str], lists: Mapping[str, str]) -> None:
    """Set the permitted and the distinguishing codes of `spec`."""
    for word in words:
        match = _CODES.fullmatch(word)
        if match is None:
            raise ValueError(f"unreadable codes {word}")
        first, component = int(match[1]), int(match[3] or 0)
        text = lists[match[6][1:]] if match[6].startswith("$") else match[6]
        codes = tuple(text.split("|"))
        for rule in spec.rules[first - 1 : int(match[2] or first)]:
            targets = rule.components[component - 1 : int(match[4] or component)] if component else (rule,)
            for target in targets:
                target.codes = frozenset(codes)
        if match[5] == ":":
            spec.key_place, spec.keys = (first, component), codes


def _index(loop: LoopSpec, *, is_root: bool) -> None:
    """Number the places of `loop` and index them by segment id and distinguishing code."""
    group, previous = -1, ""
    found: dict[str, list[SegmentSpec | LoopSpec]] = {}
    for slot, child in enumerate(loop.children):
        segment_id = child.start.id
        group += segment_id != previous
        previous = segment_id
        child.slot, child.group = slot, group
        if slot or is_root:
            found.setdefault(segment_id, []).append(child)
    for segment_id, children in found.items():
        places = {child.start.key_place for child in children if child.start.keys}
        if len(places) > 1 or (places and not all(child.start.keys for child in children)):
            raise ValueError(f"loop {loop.id}: {segment_id} is told apart in more than one way")
        element, component = places.pop() if places else (0, 0)
        by_code: dict[str, tuple[SegmentSpec | LoopSpec, ...]] = {}
        for child in children:
            for code in child.start.keys:
                by_code[code] = (*by_code.get(code, ()), child)
        groups = {child.group for child in children}
        if len(groups) > 1:
            raise ValueError(f"loop {loop.id}: {segment_id} has more than one position")
        loop.by_id[segment_id] = Entry(element, component > 0, by_code, tuple(children))
    loop.start = loop.children[0].start
    loop.unused = [0] * len(loop.children)
    loop.required = tuple(child for child in loop.children if child.is_required and (child.slot or is_root))


def _places(loop: LoopSpec, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Collect every segment id below `loop` with its distinguishing codes."""
    for child in loop.children:
        if isinstance(child, LoopSpec):
            _places(child, found)
        else:
            found.setdefault(child.id, set()).update(child.keys)
    return found


def _close(open_loops: list[LoopSpec], depth: int) -> None:
    """Complete the loops nested deeper than `depth`."""
    while len(open_loops) > depth:
        loop = open_loops.pop()
        _index(loop, is_root=not open_loops)


def compile_table(
    text: str, *, set_id: str, functional_id: str, versions: tuple[str, ...], lists: Mapping[str, str]
) -> TransactionSpec:
    """Compile one table.

    Args:
        text: The table in the notation of this module.
        set_id: Transaction set identifier (ST01).
        functional_id: Functional identifier (GS01).
        versions: Implementation conventions served, the one written first.
        lists: Named code lists, codes separated by `|`.

    Raises:
        ValueError: If the text is not in the notation. Tables are ours, so that is a defect of this package.
    """
    root = LoopSpec("HEADER", is_required=True, repeat_max=1)
    open_loops = [root]
    for line in text.splitlines():
        words = line.partition("# ")[0].split()
        if not words:
            continue
        depth = (len(line) - len(line.lstrip())) // 2 + 1
        _close(open_loops, depth)
        if words[0] == ">":
            words = words[1:]
        name, usage, repeat = words[:3]
        is_required, repeat_max = usage == "R", UNLIMITED if repeat == "*" else int(repeat)
        if line.lstrip().startswith(">"):
            loop = LoopSpec(name, is_required=is_required, repeat_max=repeat_max)
            open_loops[-1].children.append(loop)
            open_loops.append(loop)
            continue
        spec = SegmentSpec(name, open_loops[-1].id, is_required=is_required, repeat_max=repeat_max)
        _apply_usages(spec, words[3])
        _apply_codes(spec, words[4:], lists)
        open_loops[-1].children.append(spec)
    _close(open_loops, 0)
    places = {segment_id: frozenset(codes) for segment_id, codes in _places(root, {}).items()}
    return TransactionSpec(set_id, functional_id, versions, root, places)
