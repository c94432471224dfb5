"""HTTP for this machine alone: where a server may listen, and which requests it answers.

Any page in a browser on this machine may send requests to a loopback address, and a name whose owner lets it
point there (DNS rebinding) even reads the answers. The Host header holds the name that the browser asked
for, and Origin the page that asks: both have to be this server itself. Programs that are no browsers send no
Origin.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from delego_agent.errors import DelegoAgentError
from delego_spec.hosts import is_loopback

_DEFAULT_PORT: Final = 80  # of http: left out of Host and Origin
_SCHEME: Final = "http://"
_AUTHORITY: Final = re.compile(r"(\[::1\]|[a-z0-9.]+)(?::([1-9][0-9]{0,4}))?")


class NotLoopback(DelegoAgentError, ValueError):  # noqa: N818 - reads as what happened
    """A server would listen where other machines can reach it."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host!r:.80} is not loopback; listen on 127.0.0.1, [::1] or localhost")


def check_bind(host: str) -> str:
    """The address to listen on: ``localhost`` is 127.0.0.1, and an IPv6 address loses its brackets.

    Raises NotLoopback for every other name, and for addresses that other machines can reach.
    """
    if host.lower() == "localhost":
        return "127.0.0.1"
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise NotLoopback(host) from None
    if not is_loopback(f"[{address}]" if address.version == 6 else str(address)):
        raise NotLoopback(host)
    return str(address)


def host_allowed(header: str | None, port: int) -> bool:
    """Whether ``Host`` names this server: a loopback name with the port on which it listens."""
    if header is None:
        return False
    parts = _AUTHORITY.fullmatch(header.lower())
    return parts is not None and is_loopback(parts[1]) and int(parts[2] or _DEFAULT_PORT) == port


def origin_allowed(header: str | None, port: int) -> bool:
    """Whether ``Origin`` is absent (no browser asks), or this server itself."""
    if header is None:
        return True
    origin = header.lower()
    return origin.startswith(_SCHEME) and host_allowed(origin.removeprefix(_SCHEME), port)
