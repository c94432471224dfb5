"""A server that is reached by URL, as an operator names it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from delego_agent.errors import DelegoAgentError
from delego_spec.hosts import is_loopback, web_problems

KINDS: Final = frozenset({"http", "streamable-http", "streamableHttp"})
MAX_URL: Final = 2000  # characters
MEMBERS: Final = frozenset({"url", "headers", "plain_http", "type"})

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,8000}")
_PATH: Final = re.compile(r"[\x21-\x7e]*")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_OURS: Final = frozenset(  # what the gateway writes itself, or what belongs to one connection
    re.findall(
        r"[a-z-]+",
        "accept accept-encoding connection content-encoding content-length content-type expect host"
        " keep-alive last-event-id proxy-connection te trailer transfer-encoding upgrade",
    )
)


class EndpointError(DelegoAgentError):
    """A URL or a header that a server cannot be reached with; the text never holds a header's value."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is, and what is said to it with each request."""

    host: str  # without brackets
    port: int
    target: str  # path and query
    tls: bool
    authority: str  # as the Host header has it
    headers: Mapping[str, str]

    @property
    def origin(self) -> str:
        """For people. The path and the query may be secret."""
        return f"{'https' if self.tls else 'http'}://{self.authority}"


def endpoint(url: str, headers: Mapping[str, str], *, plain_http: bool = False) -> Endpoint:
    """Raises EndpointError. ``plain_http``: without TLS to another machine as well."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise EndpointError("the URL cannot be read") from None
    if parts.scheme not in ("https", "http"):
        raise EndpointError("the URL must begin with https:// (or with http:// for this machine)")
    if len(url) > MAX_URL or parts.fragment or _PATH.fullmatch(url) is None or "\\" in url:
        raise EndpointError("the URL must be shorter than 2000 characters, ASCII, and without a fragment")
    tls = parts.scheme == "https"
    authority = parts.netloc.lower()
    problem = next(web_problems(authority, None), None)
    if problem is not None:
        raise EndpointError(f"the URL is wrong: {problem}")
    if not tls and not plain_http and not is_loopback(authority):
        raise EndpointError(
            f"{parts.hostname!r:.300} is not this machine: use https, or say 'plain_http: true' for it"
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or (443 if tls else 80)
    return Endpoint(parts.hostname or "", port, target, tls, authority, _headers(headers))


def endpoint_of(entry: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint of a configured server, with ``${NAME}`` and ``${NAME:-default}`` filled in from the
    environment. Raises EndpointError.
    """
    if entry.get("type", "http") not in KINDS:
        raise EndpointError(f"the type {entry['type']!r:.80} is not supported; it must speak streamable HTTP")
    url, headers, plain = entry.get("url"), entry.get("headers", {}), entry.get("plain_http", False)
    if type(url) is not str:
        raise EndpointError("'url' must be text")
    if type(headers) is not dict or any(type(value) is not str for value in headers.values()):
        raise EndpointError("'headers' must have text as values")
    if type(plain) is not bool:
        raise EndpointError("'plain_http' must be true or false")
    filled = {name: _filled(value, environment) for name, value in headers.items()}
    return endpoint(_filled(url, environment), filled, plain_http=plain)


def _filled(text: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = environment.get(match[1], match[2])
        if found is None:
            raise EndpointError(f"the environment has no {match[1]}")
        return found

    filled = _VARIABLE.sub(value, text)
    if _VARIABLE.sub("", text).find("${") >= 0:
        raise EndpointError("only ${NAME} and ${NAME:-default} are filled in")
    return filled


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        lower = name.lower()
        if _NAME.fullmatch(name) is None:
            raise EndpointError(f"{name!r:.80} is no name of a header")
        if lower in _OURS or lower.startswith("mcp-"):
            raise EndpointError(f"the header {name!r:.80} is the gateway's own; leave it out")
        if _VALUE.fullmatch(value) is None:
            raise EndpointError(f"the header {name!r:.80} must be printable ASCII on one line")
    if len({name.lower() for name in given}) != len(given):
        raise EndpointError("a header stands there twice")
    return dict(given)
