"""What becomes of a scan when scanner and computer disagree about the keyboard.

Most hand scanners type: they send the keys a US keyboard would need, and the computer turns keys into
characters by *its* layout. Owns the tables of what comes out, and their inversion. Some keys are lost for
good (two keys giving one character cannot be told apart); such characters are left alone, and the reading
then fails honestly.
"""

from __future__ import annotations

# Keys of a US keyboard in reading order, plain and with Shift.
_US = "`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./" + '~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:"ZXCVBNM<>?'
# What the same keys give elsewhere.
_GERMAN = (
    "^1234567890ß\N{ACUTE ACCENT}qwertzuiopü+#asdfghjklöäyxcvbnm,.-"
    "°!\"§$%&/()=?`QWERTZUIOPÜ*'ASDFGHJKLÖÄYXCVBNM;:_"
)
_FRENCH = (
    "²&é\"'(-è_çà)=azertyuiop^$*qsdfghjklmùwxcvbn,;:!" + "~1234567890°+AZERTYUIOP¨£µQSDFGHJKLM%WXCVBN?./§"
)
# Shift held down (or Caps Lock of a typewriter kind) on a US keyboard: plain and shifted keys change places.
_US_SHIFTED = _US[len(_US) // 2 :] + _US[: len(_US) // 2]

LAYOUTS: dict[str, str] = {
    "German (QWERTZ)": _GERMAN,
    "French (AZERTY)": _FRENCH,
    "US with Shift held": _US_SHIFTED,
}


def _inverse(layout: str) -> dict[int, str]:
    table: dict[int, str] = {}
    for meant, seen in zip(_US, layout, strict=True):
        if layout.count(seen) == 1:
            table[ord(seen)] = meant
    return table


_INVERSES = {name: _inverse(layout) for name, layout in LAYOUTS.items()}
_SWAP_Y_Z = str.maketrans("yzYZ", "zyZY")


def undo_layout(text: str, layout: str) -> str:
    """Give what a US-configured scanner meant, seen through the keyboard `layout` (a key of `LAYOUTS`)."""
    return text.translate(_INVERSES[layout])


def apply_layout(text: str, layout: str) -> str:
    """Give what `text` looks like when a US-configured scanner types it on the keyboard `layout`."""
    return text.translate(str.maketrans(_US, LAYOUTS[layout]))


def swap_y_z(text: str) -> str:
    """Exchange Y and Z, the letters that QWERTY and QWERTZ keyboards exchange."""
    return text.translate(_SWAP_Y_Z)
