"""Sending the one request, once, to an address that was checked (§2.2).

httpx2's transport is used without its client: no redirects, cookies, proxies, retries, environment or log of
URLs. Each request has a connection of its own, which is closed behind it: a kept one may have died unseen,
and then nobody could say whether the request had left; nor can one answer spill into the next.

TLS is always verified, against the host of the URL, whatever address the connection goes to. There is no
switch for it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable
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


class _Progress:
    """Whether a byte of the request may have left. The transport tells as it goes."""

    def __init__(self) -> None:
        self.may_have_left = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:  # noqa: ARG002 - httpx2's signature
        if "send_request" in event:
            self.may_have_left = True


class Sender:
    """Sends prepared requests. Made once, on the event loop's thread."""

    def __init__(self, routes: Iterable[Route], *, resolver: Resolver = system_resolver) -> None:
        """Reads the certificates to trust. Raises DelegoBrokerError where a ``ca_file`` cannot be used."""
        self._resolver = resolver
        self._transports = {
            route.name: httpx2.AsyncHTTPTransport(
                verify=_tls(route), trust_env=False, http2=False, retries=0, limits=_LIMITS
            )
            for route in routes
        }

    async def where(self, prepared: Prepared) -> list[str] | Refused:
        """The addresses that the request may go to. Nothing is sent."""
        route = prepared.route
        host, port = host_and_port(prepared.authority, _PORTS[route.scheme])
        try:
            async with asyncio.timeout(route.connect_timeout):
                found = await checked_addresses(host, port, route.allow_networks, self._resolver)
        except TimeoutError:
            return Refused("unsupported", f"{host!r:.80} was not resolved in {route.connect_timeout:g} s")
        except (OSError, ValueError) as error:
            return Refused("unsupported", f"{host!r:.80} cannot be resolved: {why(error)}")
        if isinstance(found, str):
            return Refused("unsupported", found)
        if route.plain_http and not all(map(is_loopback_address, found)):
            return Refused("unsupported", f"{host!r:.80} is not loopback, and plain http goes nowhere else")
        return found

    async def send(
        self, prepared: Prepared, addresses: list[str], injected: Injected, jti: str
    ) -> Executed | Refused:
        """One attempt. Refused: surely nothing left. ``error`` set: something may have."""
        route = prepared.route
        redactor = Redactor(injected.hidden)
        progress = _Progress()
        status: int | None = None
        try:
            async with asyncio.timeout(route.total_timeout):
                response = await self._first(prepared, addresses, injected, jti, progress)
                status = response.status_code
                body = await _body(response, route.max_response)
        except TimeoutError:
            problem = f"no whole answer within {route.total_timeout:g} s"
        except httpx2.TimeoutException as error:
            problem = f"{_when(error)} took too long"
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left before it
            # Before the request left, the words are about the connection; after, they may quote the answer.
            problem = _words(error) if progress.may_have_left else why(error)
        else:
            headers = tuple((name.lower(), value) for name, value in response.headers.multi_items())
            return executed(Answer(status, headers, body), route, redactor)
        if not progress.may_have_left:
            return Refused("unsupported", f"no connection to {prepared.authority!r:.80}: {problem}")
        return Executed(status=status, error=redactor.text(problem))

    async def aclose(self) -> None:
        """Close what is open."""
        for transport in self._transports.values():
            await transport.aclose()

    async def _first(
        self, prepared: Prepared, addresses: list[str], injected: Injected, jti: str, progress: _Progress
    ) -> httpx2.Response:
        """The answer's head, from the first address that lets itself be connected to."""
        transport = self._transports[prepared.route.name]
        until = time.monotonic() + prepared.route.connect_timeout
        for number, address in enumerate(addresses, 1):
            left = max(until - time.monotonic(), 0.01) / (len(addresses) - number + 1)
            request = _request(prepared, address, injected, jti, left, progress)
            try:
                return await transport.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if progress.may_have_left or number == len(addresses):
                    raise
        raise httpx2.ConnectError("there is no address")


def _request(
    prepared: Prepared,
    address: str,
    injected: Injected,
    jti: str,
    connect_timeout: float,
    progress: _Progress,
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
            "trace": progress,
            "timeout": httpx2.Timeout(route.read_timeout, connect=connect_timeout, pool=None).as_dict(),
        },
    )


async def _body(response: httpx2.Response, limit: int) -> bytes | None:
    """The body as it came, or None where it is longer than ``limit``; then it is not read to its end."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                return None
    finally:
        await response.aclose()
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


def _when(error: httpx2.TimeoutException) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return "connecting"
    return "sending" if isinstance(error, httpx2.WriteTimeout) else "the answer"


def _words(error: Exception) -> str:
    if isinstance(error, httpx2.ProtocolError):
        return "the answer is no HTTP, or was cut short"
    return f"the connection broke ({type(error).__name__})"
