"""The exact bytes of every entry's resource within a bundle.

What is kept as submitted of a resource that came in a bundle is the stretch of the bundle's own bytes that holds it:
spaces, escapes and order as they were sent. The stretches are found by a second, shallow pass of the decoder that
skips values instead of building them, about 2 ms per megabyte.
"""

from __future__ import annotations

import msgspec


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


_DECODER = msgspec.json.Decoder(_Bundle)


def slice_entries(bundle: bytes) -> list[bytes]:
    """Return the bytes of each entry's resource, empty for an entry without one.

    Args:
        bundle: a document that was read and checked as a Bundle.
    """
    return [bytes(entry.resource) for entry in _DECODER.decode(bundle).entry]
