"""Where outgoing requests may go: addresses of the registry, resolved once, checked, and pinned.

An organisation writes its own addresses into the registry, so they are not trusted: a name may lead to the
machine itself, to a cloud's metadata service, or elsewhere at the second look. The name is resolved once, every
address it has is checked, and the connection goes to the address that was checked, under the name's TLS.

Source: threat row 18 (server-side request forgery, rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from careledger.domains.records.service.exchange.errors import ADDRESS_REFUSED, PEER_UNREACHABLE
from careledger.primitives.errors import Rejected, Unavailable

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a name."""

_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What besides public addresses over TLS is allowed; nothing by default."""

    allow_loopback: bool = False
    """Several sites on one machine."""
    allow_private: bool = False
    """Sites of one private network."""
    allow_plain: bool = False
    """HTTP without TLS, where something else protects the line."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """An address that was checked."""

    scheme: str
    host: str
    """Name as in the registry; what TLS and the `Host` field say."""
    port: int
    address: str
    """Where the connection goes."""

    @property
    def origin(self) -> str:
        """Origin with the checked address in the name's place."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Value of the `Host` field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


async def resolve_name(host: str, port: int) -> list[str]:
    """Addresses of a name, by the operating system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def dial(origin: str, policy: AddressPolicy, resolve: Resolve = resolve_name) -> Dialled:
    """Check where an origin of the registry leads.

    Raises:
        Rejected: ADDRESS_REFUSED, no origin of a site, or one of its addresses is not allowed.
        Unavailable: PEER_UNREACHABLE, the name has no address.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise Rejected(ADDRESS_REFUSED, "not an address") from None
    if (
        parts.scheme not in _PORTS
        or not parts.hostname
        or parts.username is not None
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        raise Rejected(ADDRESS_REFUSED, "not the origin of a site")
    if parts.scheme == "http" and not policy.allow_plain:
        raise Rejected(ADDRESS_REFUSED, "not protected by TLS")
    try:
        addresses = await resolve(parts.hostname, port)
    except OSError:
        raise Unavailable(PEER_UNREACHABLE, "the name has no address") from None
    if not addresses:
        raise Unavailable(PEER_UNREACHABLE, "the name has no address")
    for address in addresses:
        check_address(address, policy)
    return Dialled(parts.scheme, parts.hostname, port, addresses[0])


def check_address(text: str, policy: AddressPolicy) -> None:
    """Check one address.

    Raises:
        Rejected: ADDRESS_REFUSED.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise Rejected(ADDRESS_REFUSED, "not an address") from None
    if isinstance(address, ipaddress.IPv6Address):
        # An IPv4 address in disguise is judged as what it is.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            address = inner
    if address.is_loopback:
        allowed = policy.allow_loopback
    elif address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved:
        allowed = False
    elif address.is_global:
        allowed = True
    else:
        allowed = policy.allow_private and address.is_private
    if not allowed:
        raise Rejected(ADDRESS_REFUSED)
