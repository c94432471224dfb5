"""Where a host is, and whether the gateway may go there (SSRF).

A name is resolved once for each request. Every address of the answer is checked, and the connection goes to
one of exactly these: a second answer that points elsewhere (DNS rebinding) is never asked for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from delego_broker.gateway.settings import Network

IPAddress: TypeAlias = IPv4Address | IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]  # host, port -> addresses as text

MAX_ADDRESSES: Final = 16  # of one answer
_PORT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]+))?")
_ORDINARY_IPV6: Final = IPv6Network("2000::/3")  # all that is assigned to hosts on the Internet
# Inside it, but a tunnel to an IPv4 address of the sender's choice, or for protocols: Teredo, 6to4.
_TUNNELS: Final = (IPv6Network("2001::/23"), IPv6Network("2002::/16"))
# Where clouds answer a machine's own credentials. No route may allow them.
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "fd00:ec2::254"),
    )
)


async def system_resolver(host: str, port: int) -> list[str]:
    """The operating system's answer. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    """The two parts of an authority that has been checked; an IPv6 host without its brackets."""
    parts = _PORT.fullmatch(authority)
    if parts is None:
        raise ValueError(f"{authority!r:.80} is no authority")
    return parts["host"].strip("[]"), int(parts["port"] or default_port)


async def checked_addresses(
    host: str, port: int, allowed: Iterable[Network], resolver: Resolver
) -> list[str] | str:
    """The addresses that may be connected to, or why there are none, in one sentence.

    One address that is not allowed refuses the whole answer: nobody mixes the two without a purpose. Raises
    what ``resolver`` raises.
    """
    try:
        answer = [str(ipaddress.ip_address(host))]
    except ValueError:
        answer = await resolver(host, port)
    if not answer or len(answer) > MAX_ADDRESSES:
        return f"{host!r:.80} resolves to {len(answer)} addresses; 1 to {MAX_ADDRESSES} are wanted"
    networks = tuple(allowed)
    for text in answer:
        problem = address_problem(text, networks)
        if problem is not None:
            return f"{host!r:.80} is at {text!r:.80}, {problem}"
    return answer


def address_problem(text: str, allowed: Iterable[Network]) -> str | None:
    """Why no connection may go to this address; None if one may."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "which is no IP address"
    if address in _METADATA:
        return "where a cloud keeps credentials; no route may allow it"
    if address.is_multicast or address.is_unspecified or address == IPv4Address("255.255.255.255"):
        return "which is no single host"
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id is not None):
        return "which is another address in disguise"
    if any(address.version == network.version and address in network for network in allowed):
        return None
    if _is_public(address):
        return None
    return "which is not on the public Internet; a route has to allow its network (allow_networks)"


def is_loopback_address(text: str) -> bool:
    """127.0.0.0/8 or ::1."""
    return ipaddress.ip_address(text).is_loopback


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, IPv6Address) and (
        address not in _ORDINARY_IPV6 or any(address in network for network in _TUNNELS)
    ):
        return False
    return address.is_global and not address.is_reserved
