"""Page links: where a search goes on, sealed so that nobody can read, forge or carry them over.

Owns the format. A link holds the snapshot's row number, the row at the page's edge and the direction, no sort value
and no search value, so no link carries a person's data. It is sealed with AES-SIV (RFC 5297) under the caller's
key and bound to the search and to the scope: another search, another requester's scope or another consent version
cannot open it.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES: Final = 32
_FORMAT: Final = struct.Struct(">BQQ")
_VERSION: Final = 1
_CHARS_MAX: Final = 128
_BACKWARDS: Final = 0x80


class PageLinkRefused(Exception):  # noqa: N818 - the outcome's name
    """The link is damaged, forged, or belongs to another search or scope; all look the same from outside."""


class PageLinkExpired(Exception):  # noqa: N818 - the outcome's name
    """The link is too old: rows of its snapshot are gone. The search must be begun anew."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins."""

    snapshot_row: int
    """Last row number of the snapshot."""
    edge_row: int
    """Row before the page, or after it when going backwards."""
    is_backwards: bool


class PageLinks:
    """Seals and opens links."""

    def __init__(self, key: bytes) -> None:
        """Build with a key.

        Args:
            key: 32 secret bytes, the same for all processes of a site.

        Raises:
            ValueError: The key has another length.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key of {KEY_BYTES} bytes is needed")
        self._cipher = AESSIV(key)

    def seal(self, position: Position, search: bytes, scope: bytes) -> str:
        """Return the link to a position, 44 URL-safe characters."""
        head = _VERSION | (_BACKWARDS if position.is_backwards else 0)
        content = _FORMAT.pack(head, position.snapshot_row, position.edge_row)
        return base64.urlsafe_b64encode(self._cipher.encrypt(content, [search, scope])).decode().rstrip("=")

    def open(self, link: str, search: bytes, scope: bytes) -> Position:
        """Return the position a link leads to.

        Raises:
            PageLinkRefused: The link is not one sealed for this search and scope.
        """
        try:
            if len(link) > _CHARS_MAX:
                raise PageLinkRefused("page link refused")
            sealed = base64.b64decode(link + "=" * (-len(link) % 4), altchars=b"-_", validate=True)
            head, snapshot_row, edge_row = _FORMAT.unpack(self._cipher.decrypt(sealed, [search, scope]))
        except (InvalidTag, binascii.Error, struct.error, ValueError) as error:
            raise PageLinkRefused("page link refused") from error
        if head & ~_BACKWARDS != _VERSION:
            raise PageLinkRefused("page link refused")
        return Position(snapshot_row, edge_row, bool(head & _BACKWARDS))
