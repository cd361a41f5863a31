"""Every bound of the contract language, in one place.

Owns the numbers only. They are part of what a plan version is approved on: changing any of them, or any
figure in `costs.py`, changes what some contract does, so it needs a new `ENGINE_VERSION`.
"""

from typing import Final

ENGINE_VERSION: Final = 1
"""Recorded with every checked contract; rises whenever a result, a fault, the gas or the trace could differ."""

SOURCE_BYTES_MAX: Final = 64 * 1024
"""Longest source text, in bytes of UTF-8."""

TOKENS_MAX: Final = 32_000
"""Most words, numbers, texts and signs in one source; bounds what checking and rewriting can cost."""

NESTING_MAX: Final = 40
"""Deepest nesting of statements and expressions, counted from a function's own level."""

LOOP_NESTING_MAX: Final = 8
"""Most loops inside one another, `for` statements and comprehension clauses together."""

CALL_NESTING_MAX: Final = 160
"""Deepest nesting through calls: the nesting at each call plus that of the function called.

Either engine needs at most three frames of Python's stack per level.
"""

FUNCTIONS_MAX: Final = 256
PARAMETERS_MAX: Final = 32
LOCALS_MAX: Final = 200
NAME_LENGTH_MAX: Final = 64
PROBLEMS_MAX: Final = 20
"""Checking stops after so many problems in one source."""

INTEGER_MAX: Final = 2**127 - 1
"""Whole numbers lie between `-INTEGER_MAX` and `INTEGER_MAX`."""

INTEGER_DIGITS_MAX: Final = 39
"""Decimal digits of `INTEGER_MAX`."""

LENGTH_MAX: Final = 64 * 1024
"""Most characters in a text, elements in a list, entries in a dictionary."""

KEY_INTEGER_MAX: Final = 2**60 - 1
"""Largest absolute value of a number used as a dictionary key (larger ones can be made to collide)."""

KEY_LENGTH_MAX: Final = 256
"""Longest text used as a dictionary key, in characters."""

VALUE_DEPTH_MAX: Final = 40
"""Deepest nesting of lists and dictionaries in arguments, results and comparisons."""

CONSTANT_GAS_MAX: Final = 400_000
CONSTANT_MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024
"""What the constants at the top of a source may cost together, once, when it is checked."""
