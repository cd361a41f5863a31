"""What everything costs: gas for steps, bytes for memory.

Gas counts syntax nodes, weighted, plus charges that grow with the data handled. The weights were set so that no
program runs much slower than 200 ns per gas on the machine the design was measured on (`bench/contract_run.py`
prints the worst case). Memory is what was ever allocated, never what is still held: it needs no knowledge of
when the interpreter frees an object, is the same everywhere, and bounds what can be held. The figures per
object are at least CPython's own sizes. Changing any number here needs a new `ENGINE_VERSION`.
"""

from typing import Final

# Gas per syntax node.
LITERAL: Final = 1
NAME: Final = 1
UNARY: Final = 2
BINARY: Final = 2
COMPARISON: Final = 2
LOGICAL_OPERAND: Final = 1
CONDITIONAL: Final = 1
INDEX: Final = 2
SLICE: Final = 8
LIST: Final = 3
LIST_ELEMENT: Final = 1
DICT: Final = 4
DICT_ENTRY: Final = 2
COMPREHENSION: Final = 5
CLAUSE: Final = 4
ITERATION: Final = 2
CONDITION: Final = 1
CALL: Final = 6
ARGUMENT: Final = 1
METHOD: Final = 7
STATEMENT: Final = 1
TARGET: Final = 1
ARM: Final = 1
LOOP: Final = 4

# Gas that grows with the data: elements or characters shifted right by so many bits.
MAKING: Final = 3
"""Making any new text, list or dictionary at run time, whatever its size."""
COPY_SHIFT: Final = 5
"""Copying list elements."""
WALK_SHIFT: Final = 3
"""Going over the entries of a dictionary."""
TEXT_SHIFT: Final = 6
"""Copying, comparing or searching characters."""
NUMBERS_SHIFT: Final = 2
"""Making whole numbers, as range does."""
FOLD_SHIFT: Final = 0
"""Looking at every element once, as sum does."""
VALUE: Final = 1
"""Each value copied in or out."""
COMPARED: Final = 3
"""Each value compared inside a list or dictionary."""
PAIR: Final = 3
"""Each list of two made by enumerate, zip and items."""

# Bytes.
TEXT_BYTES: Final = 56
CHARACTER_BYTES: Final = 4
LIST_BYTES: Final = 64
SLOT_BYTES: Final = 56
"""One element of a list: its place, with room to grow, and the number that may be in it."""
DICT_BYTES: Final = 240
ENTRY_BYTES: Final = 160
"""One entry of a dictionary: its place, with room to grow, and the numbers that may be in it."""
STEP_BYTES: Final = 256
"""One entry of the trace."""
