"""Fetching a JWKS: one bounded GET of a URL that the operator configured, with the standard library."""

from __future__ import annotations

import http.client
import ssl
import threading
from typing import Final
from urllib.parse import urlsplit

from delego_broker.errors import KeySourceError, why
from delego_spec.jwks import MAX_BYTES

TIMEOUT: Final = 5.0  # seconds, for all of it
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def fetch_jwks(url: str, *, timeout: float = TIMEOUT) -> bytes:
    """The body of a 200 answer, at most 64 KiB, within ``timeout`` seconds. Raises KeySourceError.

    HTTPS with the system's certificates; plain HTTP only to loopback, because whoever can change the document
    on its way can make himself an authorizer. Redirects are not followed.
    """
    outcome: list[bytes | KeySourceError] = []
    connection = _connection(url, timeout)
    # In a thread of its own: no time-out of a socket bounds a name that does not resolve, or a server that
    # sends a byte now and then.
    worker = threading.Thread(
        target=lambda: outcome.append(_fetched(url, connection)), name="delego-jwks", daemon=True
    )
    worker.start()
    worker.join(timeout)
    if not outcome:
        raise KeySourceError(f"{url!r:.300} has not answered within {timeout:g} s")
    if isinstance(outcome[0], KeySourceError):
        raise outcome[0]
    return outcome[0]


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise KeySourceError(f"{url!r:.300} is no URL to fetch keys from: {why(error)}") from None
    if not host or parts.username is not None or parts.password is not None:
        raise KeySourceError(f"{url!r:.300} is no URL to fetch keys from: name a host, and no user")
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    if parts.scheme == "http" and host in _LOOPBACK:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    raise KeySourceError(f"{url!r:.300} must be https; plain http goes to loopback only")


def _fetched(url: str, connection: http.client.HTTPConnection) -> bytes | KeySourceError:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", target, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            return KeySourceError(f"{url!r:.300} answered with status {answer.status}; 200 is wanted")
        body = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return KeySourceError(f"{url!r:.300} cannot be fetched: {why(error)}")
    finally:
        connection.close()
    return KeySourceError(f"{url!r:.300} answers with too much") if len(body) > MAX_BYTES else body
