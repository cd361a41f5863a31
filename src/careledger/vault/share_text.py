"""Shares on paper: groups of five symbols, in which a typing error is found and its group named.

Owns the text form of a share and nothing else.

A group is four symbols of data and one check symbol over them and the group's place: a single wrong symbol,
or two neighbours exchanged, never pass, and a group in another's place is noticed. What several errors
together might slip past the groups is left to the share's own checksum of 32 bits.

Source: the alphabet is Crockford's base32, which leaves out I, L, O and U; reading takes small letters, I and
L as 1, O as 0, and any spaces or hyphens. The check is over GF(32) with x^5+x^2+1.
"""

from __future__ import annotations

from typing import Final

from careledger.vault.errors import ShareInvalid
from careledger.vault.sharing import Share

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP_SYMBOLS: Final = 5
TEXT_CHARACTERS_MAX: Final = 1024

_DATA_SYMBOLS = GROUP_SYMBOLS - 1
_SYMBOL_BITS = 5
_GROUP_BITS = _DATA_SYMBOLS * _SYMBOL_BITS
_FIELD_SIZE = 1 << _SYMBOL_BITS
_FIELD_POLYNOMIAL = 0x25
_READ = (
    {symbol: value for value, symbol in enumerate(ALPHABET)}
    | {symbol.lower(): value for value, symbol in enumerate(ALPHABET)}
    | {"O": 0, "o": 0, "I": 1, "i": 1, "L": 1, "l": 1}
)
_IGNORED = str.maketrans("", "", " \t\r\n-")


def share_to_text(share: Share) -> str:
    """Write a share as groups of five symbols with a space between them; 21 groups for a 32-byte secret."""
    raw = share.to_bytes()
    count = -(-len(raw) * 8 // _GROUP_BITS)
    number = int.from_bytes(raw, "big") << (count * _GROUP_BITS - len(raw) * 8)
    groups = []
    for place in range(count):
        bits = number >> ((count - 1 - place) * _GROUP_BITS) & ((1 << _GROUP_BITS) - 1)
        data = [bits >> shift & (_FIELD_SIZE - 1) for shift in range(_GROUP_BITS - _SYMBOL_BITS, -1, -5)]
        groups.append("".join(ALPHABET[symbol] for symbol in [*data, _check_symbol(data, place)]))
    return " ".join(groups)


def share_from_text(text: str) -> Share:
    """Read a share from paper.

    Raises:
        ShareInvalid: It cannot be a share; the message names groups, counted from 1, and never a symbol.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise ShareInvalid("the text is longer than any share")
    symbols = text.translate(_IGNORED)
    groups = [symbols[start : start + GROUP_SYMBOLS] for start in range(0, len(symbols), GROUP_SYMBOLS)]
    if not groups or len(groups[-1]) != GROUP_SYMBOLS:
        raise ShareInvalid("the text is not made of groups of five symbols; one is missing or too many")
    number = 0
    wrong = []
    for place, group in enumerate(groups):
        values = [_READ.get(symbol) for symbol in group]
        data = [value for value in values[:_DATA_SYMBOLS] if value is not None]
        if len(data) != _DATA_SYMBOLS or values[-1] != _check_symbol(data, place):
            wrong.append(str(place + 1))
            continue
        for value in data:
            number = number << _SYMBOL_BITS | value
    if wrong:
        raise ShareInvalid(f"mistyped in group {', '.join(wrong)} of {len(groups)}")
    return Share.from_bytes(_unpad(number, len(groups)))


def _unpad(number: int, groups: int) -> bytes:
    """Drop the zero bits that filled the last group; how many there are follows from the share's length."""
    padding_bits = -(groups * _GROUP_BITS) % 8
    raw = (number << padding_bits).to_bytes((groups * _GROUP_BITS + padding_bits) // 8, "big")
    size = Share.encoded_size_bytes(raw)
    if -(-size * 8 // _GROUP_BITS) != groups or any(raw[size:]):
        raise ShareInvalid("the share's length is not what it says")
    return raw[:size]


def _check_symbol(data: list[int], place: int) -> int:
    total = place % _FIELD_SIZE
    for symbol in data:
        total = _double(total ^ symbol)
    return total


def _double(value: int) -> int:
    value <<= 1
    return value ^ _FIELD_POLYNOMIAL if value & _FIELD_SIZE else value
