"""Running searches: a reader connection, a thread for the long ones, and page links that hide the search.

Owns the sealed form of a `next` link: the whole request and the index's own page link, encrypted under the site's
key (AES-SIV, RFC 5297), so that following a link puts nothing of the search into an address and nobody can make one
up. The index's link inside is bound to the search and to the requester's scope by itself.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from careledger.domains.records.api.errors import PAGE_REFUSED
from careledger.domains.records.service.index.index import Index
from careledger.primitives.errors import Rejected
from careledger.standards.fhir.search.extract import Extractor
from careledger.storage.sqlite import Connection, Database

T = TypeVar("T")

PAGE_PARAMETER: Final = "_page"
LINK_CHARS_MAX: Final = 65_536
_THREADS: Final = 2
"""Searches at once; below the database's number of readers, so that reads by id never wait for one."""
_CONTEXT: Final = b"careledger/fhir-page/1"


class PageRequest(msgspec.Struct, frozen=True, array_like=True):
    """What a page link carries."""

    place: str
    """What is searched: `Type`, `Patient/id/Type`, empty for the system, or an operation's address."""
    pairs: tuple[tuple[str, str], ...]
    """The search's parameters."""
    is_strict: bool
    link: str
    """The index's own link."""


class SearchReader:
    """Searches one site's index."""

    def __init__(
        self,
        database: Database,
        *,
        link_key: bytes,
        own_base: str,
        extractor: Extractor,
    ) -> None:
        """Build a reader.

        Args:
            database: the site's database.
            link_key: 64 secret bytes that seal page links: 32 for the index's, 32 for ours.
            own_base: the FHIR base URL with its final slash.
            extractor: shared with the write path.

        Raises:
            ValueError: The key has another length.
        """
        if len(link_key) != 64:
            raise ValueError("a key of 64 bytes is needed")
        self._database = database
        self._index_key = link_key[:32]
        self._cipher = AESSIV(link_key[32:])
        self.own_base = own_base
        self._extractor = extractor
        self._indexes: dict[Connection, Index] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fhir-searches")

    def index_on(self, connection: Connection) -> Index:
        """Return the index as seen through a connection."""
        index = self._indexes.get(connection)
        if index is None:
            index = Index(connection, self._index_key, own_base=self.own_base, extractor=self._extractor)
            self._indexes[connection] = index
        return index

    def now(self, act: Callable[[Index], T]) -> T:
        """Ask the index something that takes microseconds, in the calling thread."""
        with self._database.snapshot() as connection:
            return act(self.index_on(connection))

    async def beside(self, act: Callable[[], T]) -> T:
        """Run what may take long beside the event loop.

        It may call `now` and the store, one after the other and never one inside the other: each takes one of the
        database's readers, and there are only so many.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, act)

    def seal_page(self, page: PageRequest) -> str:
        """Return the text of a page link."""
        sealed = self._cipher.encrypt(msgspec.json.encode(page), [_CONTEXT])
        return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")

    def open_page(self, text: str, place: str) -> PageRequest:
        """Return what a page link carries.

        Raises:
            Rejected: PAGE_REFUSED, it is damaged, forged, or belongs elsewhere.
        """
        try:
            if len(text) > LINK_CHARS_MAX:
                raise Rejected(PAGE_REFUSED)
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            page = msgspec.json.decode(self._cipher.decrypt(sealed, [_CONTEXT]), type=PageRequest)
        except (InvalidTag, binascii.Error, ValueError, msgspec.DecodeError):
            raise Rejected(PAGE_REFUSED) from None
        if page.place != place:
            raise Rejected(PAGE_REFUSED)
        return page

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True)
