"""Fetching a JWKS: one bounded GET of a URL that the operator configured, with the standard library."""

from __future__ import annotations

import http.client
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

from delego_broker.errors import KeySourceError, why
from delego_spec.jwks import MAX_BYTES

TIMEOUT: Final = 5.0  # seconds, for all of it
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CHUNK: Final = 16 * 1024


def fetch_jwks(url: str) -> bytes:
    """The body of a 200 answer, at most 64 KiB. Raises KeySourceError.

    HTTPS with the system's certificates; plain HTTP only to loopback, because whoever can change the document
    on its way can make himself an authorizer. Redirects are not followed.
    """
    deadline = time.monotonic() + TIMEOUT
    try:
        connection = _connection(url)
    except ValueError as error:
        raise KeySourceError(f"{url!r:.300} is no URL to fetch keys from: {why(error)}") from None
    try:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise KeySourceError(f"{url!r:.300} answered with status {answer.status}; 200 is wanted")
        return _body(answer, connection, deadline)
    except (OSError, http.client.HTTPException) as error:
        raise KeySourceError(f"{url!r:.300} cannot be fetched: {why(error)}") from None
    finally:
        connection.close()


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if not host or parts.username is not None or parts.password is not None:
        raise ValueError("a host without user information is wanted")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
    if parts.scheme == "http" and host in _LOOPBACK:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    raise ValueError("https is wanted; plain http only to loopback")


def _body(answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float) -> bytes:
    body = bytearray()
    while len(body) <= MAX_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:  # a server that sends a byte now and then
            raise KeySourceError(f"the answer took longer than {TIMEOUT:g} s")
        if connection.sock is not None:
            connection.sock.settimeout(left)
        chunk = answer.read1(_CHUNK)
        if not chunk:
            return bytes(body)
        body += chunk
    raise KeySourceError(f"the answer has more than {MAX_BYTES} bytes")
