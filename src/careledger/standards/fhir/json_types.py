"""The shape of FHIR JSON values in memory, and the one number class that keeps what ``Decimal`` would lose.

A value is what JSON says it is: ``dict``, ``list``, ``str``, ``bool``, ``None``, ``int`` for a number
without fraction and exponent, ``Decimal`` for any other number. Never a ``float``: ``1.50`` must stay
``1.50``.
"""

from decimal import Decimal
from typing import Self, TypeAlias

Json: TypeAlias = object
"""Any JSON value; narrowed with ``isinstance`` where it is used."""

JsonObject: TypeAlias = dict[str, object]
"""A JSON object: a resource, an element, or a part of one."""


class ExactDecimal(Decimal):
    """A decimal whose text differs from what ``str(Decimal(text))`` gives, such as ``1e2`` or ``0.0000001``.

    It computes as a ``Decimal``; the writer uses ``text``.
    """

    __slots__ = ("text",)

    text: str
    """The number exactly as it was received; ASCII."""

    def __new__(cls, text: str) -> Self:
        """Read ``text``, a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made
