"""Sending the one request, once, to an address that was checked (§2.2).

httpx2's transport is used without its client: no redirects, cookies, proxies, retries, environment or log of
URLs. Each request has a connection of its own, which is closed behind it: a kept one may have died unseen,
and then nobody could say whether the request had left; nor can one answer spill into the next.

TLS is always verified, against the host of the URL, whatever address the connection goes to. There is no
switch for it.

Sending blocks a thread: that costs a third of what httpx2 needs for the same on an event loop. How long all
of it may take is watched from outside (``Attempt.cut``), because a service can stretch an answer for ever, a
byte at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import httpx2

from delego_broker.errors import DelegoBrokerError, why
from delego_broker.gateway.addresses import (
    Resolver,
    checked_addresses,
    host_and_port,
    is_loopback_address,
    system_resolver,
)
from delego_broker.gateway.redaction import Redactor
from delego_broker.gateway.results import Answer, executed
from delego_broker.gateway.routes import Prepared, encode_pairs
from delego_broker.gateway.secrets import Injected
from delego_broker.gateway.settings import Route
from delego_spec.gateway import Executed, Refused

USER_AGENT: Final = "delego-broker"
_PORTS: Final = {"http": 80, "https": 443}
_LIMITS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=0)


class Attempt:
    """One attempt while it is made: whether a byte may have left, and how to end it from another thread."""

    def __init__(self) -> None:
        self.may_have_left = False
        self.is_cut = False
        self._mutex = threading.Lock()
        self._socket: socket.socket | None = None

    def cut(self) -> None:
        """End it: whatever it waits for on its connection fails now, or as soon as there is one."""
        with self._mutex:
            self.is_cut = True
            self._shut()

    def watch(self, loop: asyncio.AbstractEventLoop, until: float) -> Callable[[], None]:
        """Cut it at a time of the monotonic clock. Returns what calls that off."""
        return loop.call_later(max(until - time.monotonic(), 0), self.cut).cancel

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        """The transport tells what it does."""
        if "send_request" in event:
            self.may_have_left = True
        elif event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._mutex:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.is_cut:
                    self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # not ssl's own, which is for the thread that reads
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Sender:
    """Sends prepared requests. Threads may share it."""

    def __init__(self, routes: Iterable[Route], *, resolver: Resolver = system_resolver) -> None:
        """Reads the certificates to trust. Raises DelegoBrokerError where a ``ca_file`` cannot be used."""
        self._resolver = resolver
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._transports = {
            route.name: httpx2.HTTPTransport(
                verify=_tls(route), trust_env=False, http2=False, retries=0, limits=_LIMITS
            )
            for route in routes
        }

    async def where(self, prepared: Prepared) -> list[str] | Refused:
        """The addresses that the request may go to, in the route's time for a connection. Nothing is sent."""
        route = prepared.route
        host, port = host_and_port(prepared.authority, _PORTS[route.scheme])
        try:
            async with asyncio.timeout(route.connect_timeout):
                found = await checked_addresses(host, port, route.allow_networks, self._resolve)
        except TimeoutError:
            return Refused("unsupported", f"{host!r:.80} was not resolved in {route.connect_timeout:g} s")
        except (OSError, ValueError) as error:
            return Refused("unsupported", f"{host!r:.80} cannot be resolved: {why(error)}")
        if isinstance(found, str):
            return Refused("unsupported", found)
        if route.plain_http and not all(map(is_loopback_address, found)):
            return Refused("unsupported", f"{host!r:.80} is not loopback, and plain http goes nowhere else")
        return found

    async def _resolve(self, host: str, port: int) -> list[str]:
        """A name that does not resolve holds one thread, however many requests wait for it; else they would
        soon hold all threads, and no other host could be looked up."""
        place = host, port

        def answered(asked: asyncio.Future[list[str]]) -> None:
            del self._asked[place]
            if not asked.cancelled():
                asked.exception()  # looked at, also when nobody waits for it any more

        if place not in self._asked:
            self._asked[place] = asyncio.ensure_future(self._resolver(host, port))
            self._asked[place].add_done_callback(answered)
        return await asyncio.shield(self._asked[place])

    def send(
        self, prepared: Prepared, addresses: list[str], injected: Injected, jti: str, attempt: Attempt
    ) -> Executed | Refused:
        """One attempt. Refused: surely nothing left. ``error`` set: something may have. Blocks."""
        route = prepared.route
        redactor = Redactor(injected.hidden)
        status: int | None = None
        try:
            response = self._first(prepared, addresses, injected, jti, attempt)
            status = response.status_code
            body = _body(response, route.max_response)
            if attempt.is_cut:  # then the end of the connection is not the end of the body
                raise httpx2.ReadError("it was ended")
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left before it
            problem = _problem(error, attempt, route)
        else:
            headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
            return executed(Answer(status, headers, body), route, redactor)
        if not attempt.may_have_left:
            return Refused("unsupported", f"no connection to {prepared.authority!r:.80}: {problem}")
        return Executed(status=status, error=redactor.text(problem))

    def close(self) -> None:
        """Close what is open."""
        for transport in self._transports.values():
            transport.close()

    def _first(
        self, prepared: Prepared, addresses: list[str], injected: Injected, jti: str, attempt: Attempt
    ) -> httpx2.Response:
        """The answer's head, from the first address that lets itself be connected to."""
        transport = self._transports[prepared.route.name]
        until = time.monotonic() + prepared.route.connect_timeout
        for number, address in enumerate(addresses, 1):
            if attempt.is_cut:
                break
            left = max(until - time.monotonic(), 0.01) / (len(addresses) - number + 1)
            request = _request(prepared, address, injected, jti, left, attempt)
            try:
                return transport.handle_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if attempt.may_have_left or number == len(addresses):  # never a second time, whatever failed
                    raise
        raise httpx2.ConnectError("it was ended before there was one")


def _request(
    prepared: Prepared,
    address: str,
    injected: Injected,
    jti: str,
    connect_timeout: float,
    attempt: Attempt,
) -> httpx2.Request:
    route = prepared.route
    host, port = host_and_port(prepared.authority, _PORTS[route.scheme])
    secret_query = encode_pairs(injected.query)
    mark = "&" if "?" in prepared.target else "?"
    target = f"{prepared.target}{mark}{secret_query}" if secret_query else prepared.target
    headers = [
        ("Host", prepared.authority),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),  # a compressed answer could hide a credential
        ("Connection", "close"),
    ]
    if prepared.content_type is not None:
        headers.append(("Content-Type", prepared.content_type))
    if route.idempotency_key:
        headers.append(("Idempotency-Key", jti))
    # The URL names the checked address; what is sent as target, Host and SNI is what was authorised.
    return httpx2.Request(
        prepared.method,
        f"{route.scheme}://{f'[{address}]' if ':' in address else address}:{port}/",
        headers=[*headers, *injected.headers],
        content=prepared.body,
        extensions={
            "target": target.encode("ascii"),
            "sni_hostname": host,
            "trace": attempt,
            "timeout": httpx2.Timeout(route.read_timeout, connect=connect_timeout, pool=None).as_dict(),
        },
    )


def _body(response: httpx2.Response, limit: int) -> bytes | None:
    """The body as it came, or None where it is longer than ``limit``; then it is not read to its end."""
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > limit:
                return None
    finally:
        response.close()
    return bytes(body)


def _tls(route: Route) -> ssl.SSLContext:
    if route.ca_file is None:
        context = httpx2.create_ssl_context(trust_env=False)
    else:  # not ssl.create_default_context: it writes session keys where SSLKEYLOGFILE says
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(route.ca_file)
        except (OSError, ValueError) as error:
            name = str(route.ca_file)
            raise DelegoBrokerError(f"the certificates {name!r:.300} cannot be read: {why(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _problem(error: Exception, attempt: Attempt, route: Route) -> str:
    if attempt.is_cut:
        return f"no whole answer within {route.total_timeout:g} s"
    if isinstance(error, httpx2.ConnectTimeout):
        return "connecting took too long"
    if isinstance(error, httpx2.TimeoutException):
        return "the answer took too long"
    if not attempt.may_have_left:
        return why(error)  # its words are about the connection; later, they may quote the answer
    if isinstance(error, httpx2.ProtocolError):
        return "the answer is no HTTP, or was cut short"
    return f"the connection broke ({type(error).__name__})"
