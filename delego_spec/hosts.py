"""The authority of a URL, read so that every HTTP client reads it alike (§4 Hazards: authority).

The fingerprint holds the authority as text. Where two clients could connect to different places for one
text (user information, IPv4 in octal, a name that is normalised on the way), the text is refused.

Not here: which schemes are allowed, and paths and queries. See ``hazards``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

MAX_HOST: Final = 253  # characters of a DNS name
MAX_PORT: Final = 65535

_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_QUAD: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_LOOPBACK: Final = re.compile(rf"(?:localhost|127(?:\.{_OCTET}){{3}}|\[::1\])(?::[0-9]*)?")
_PARTS: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([^\[\]:]*))?")
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0[Xx][0-9A-Fa-f]*")  # a last label that makes WHATWG clients read IPv4
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._:\[\]-]")


def is_loopback(authority: str) -> bool:
    """True for lower-case ``localhost``, 127.0.0.0/8 as a dotted quad and ``[::1]``; any port may follow."""
    return _LOOPBACK.fullmatch(authority) is not None


def web_problems(authority: str, default_port: str | None) -> Iterator[str]:
    """What is wrong with the authority of an http or https URL, as written, one sentence each (§4).

    ``default_port`` is the scheme's, in decimal digits.
    """
    if authority == "":
        yield "authority is empty; write the host after '://'"
        return
    strange = tuple(_strange_characters(authority))
    if strange:
        yield from strange
        return
    parts = _PARTS.fullmatch(authority)
    if parts is None:
        yield "authority is not a host with at most one port; write host, host:port or [IPv6]:port"
        return
    host, port = parts[1].lower(), parts[2]
    yield from _ipv6_problems(host[1:-1]) if host.startswith("[") else _name_problems(host)
    if port is not None:
        yield from _port_problems(port, default_port)


def tool_problems(authority: str) -> Iterator[str]:
    """What is wrong with the authority of an mcp or tool URL, as written (§4).

    It is one name without a dot. No https authority has that form, so the fingerprint, which leaves the
    scheme out, cannot stand for a tool call and for a web request at once.
    """
    if (
        _LABEL.fullmatch(authority) is None
        or _NUMBER.fullmatch(authority) is not None
        or authority.lower() == "localhost"
        or authority != authority.lower()  # two tools of one fingerprint: programs tell names apart by case
    ):
        yield (
            "authority is not the name of a tool or server; write one name of at most 63 lower-case letters,"
            " digits, '-' and '_', without dot, port or user information, not a number and not localhost"
        )


def _strange_characters(authority: str) -> Iterator[str]:
    found = set(_STRANGE.findall(authority))
    if "@" in found:  # "https://api.example.com@evil.com" goes to evil.com
        yield "authority has user information before '@'; write the host alone"
    if "\\" in found:  # a browser reads a slash there, other clients do not
        yield "authority has a backslash; write '/' where the path begins"
    if "%" in found:  # some clients decode it, some do not
        yield "authority has a percent escape; write the host literally"
    if any(not char.isascii() for char in found):  # IDNA versions differ; lower() maps U+212A to 'k'
        yield "host has non-ASCII characters; write it in punycode (xn--)"
    rest = sorted(char for char in found if char.isascii() and char not in "@\\%")
    if rest:
        yield f"authority has U+{ord(rest[0]):04X}; a host has letters, digits, '-', '_' and dots only"


def _name_problems(host: str) -> Iterator[str]:
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1 to some clients
        if _QUAD.fullmatch(host) is None:
            yield "host is a number, but no IPv4 address in canonical form; write four decimal numbers"
        return
    if len(host) > MAX_HOST:
        yield f"host has {len(host)} characters; at most {MAX_HOST} are allowed"
    if labels[-1] == "" and len(labels) > 1:
        yield "host ends with a dot; leave it out"
        labels.pop()
    if "" in labels:
        yield "host has an empty label; write each name between the dots"
    if any(label and _LABEL.fullmatch(label) is None for label in labels):
        yield "host has a label over 63 characters, or with '-' at an end; write a DNS name"
    if any(label[2:4] == "--" and not label.startswith("xn") for label in labels):
        yield "host has '--' at the third place of a label, which clients read differently; leave it out"
    if len(labels) == 1 and labels[0] not in ("", "localhost"):
        yield "host has no dot, which is the form of a tool name; write the full name of the host"


def _ipv6_problems(text: str) -> Iterator[str]:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        yield "host is no IPv6 address; write its canonical form (RFC 5952) in brackets"
        return
    if int(address) >> 32 in (0, 0xFFFF) and int(address) > 1:
        # ::ffff:1.2.3.4 and ::1.2.3.4, in any spelling: libraries disagree on which one is canonical
        yield "host is an IPv4 address inside an IPv6 address; write four decimal numbers"
    elif address.compressed != text:
        yield f"host is no canonical IPv6 address; write [{address.compressed}]"


def _port_problems(port: str, default_port: str | None) -> Iterator[str]:
    if _PORT.fullmatch(port) is None or int(port) > MAX_PORT:
        yield f"port is not a number from 1 to {MAX_PORT} without leading zeros; write it so, or leave it out"
    elif port == default_port:
        yield f"port {port} is the default of the scheme; leave it out"
