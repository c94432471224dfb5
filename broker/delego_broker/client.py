"""The authorizer's end of the separated gateway (§2.2): one POST of one request, and what came of it.

    broker = GatewayBroker("https://broker.example:8443", "https://broker.example", bearer=read_bearer)
    authorizer = open_home("~/.delego", broker)

Each request gets a connection of its own, which is closed behind it: a kept one may have died unseen, and
then nobody could say whether the request had left. So what fails before the first byte was written surely was
not sent (``NotSent``); what fails from then on is "outcome unknown", and is never sent again. Written on
sockets and ``http.client``: nothing here follows a redirect, tries again, reads a proxy from the environment,
keeps a cookie or unpacks an answer. It needs the base installation only.
"""

from __future__ import annotations

import base64
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final, NoReturn, TypeAlias, cast
from urllib.parse import urlsplit

from delego_broker.errors import DelegoBrokerError, StrPath, why
from delego_broker.peers import UnknownUser, stranger, user_id
from delego_spec.canonical import MAX_BYTES, parse_json
from delego_spec.errors import CanonicalError, GatewayError
from delego_spec.gateway import Executed, GatewayRequest, NotSent, Refused, response_from_json
from delego_spec.types import JSON

BearerSource: TypeAlias = "str | Callable[[], str]"

DEFAULT_TIMEOUT: Final = 30.0  # seconds, for all of one exchange
EXECUTE: Final = "/v1/execute"
HEALTH: Final = "/healthz"
MAX_ANSWER: Final = MAX_BYTES  # a message that is longer has no canonical form

# By these a gateway says that it did not take the request as one: it is no such message, or the caller has no
# right to ask. Any other status may come from something in between, and says nothing about what was sent.
NOT_TAKEN: Final = frozenset({400, 401, 403, 404, 405, 411, 413, 415, 421})

# With TLS 1.3 a server says only after the handshake that it does not admit this client. It has read nothing.
_NOT_ADMITTED: Final = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA"})

_LOOPBACK: Final = re.compile(r"localhost|::1|127(?:\.\d{1,3}){3}")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
_BEARER: Final = re.compile(r"[\x21-\x7e]{1,4096}")
_JTI: Final = re.compile(r"[\x21-\x7e]{1,255}")


class GatewayUnusable(DelegoBrokerError):  # noqa: N818 - reads as what happened
    """A gateway cannot be used as it was described: its address, its certificates."""


class GatewayBroker:
    """A broker that has a gateway (``delego broker``, or another of §2.2) send what is released.

    ``url``: ``https://host[:port]``, or ``http://`` to loopback; None with ``socket_path``, a Unix socket.
    ``audience``: the name in the tokens that this gateway takes; others are not sent to it. ``timeout``:
    seconds for all of one exchange. ``bearer``: what shows the gateway who asks, or a function that reads it
    each time. ``ca``: a PEM file; these authorities count, instead of the system's. ``client_certificate``: a
    PEM file with certificate and unencrypted private key. ``socket_owner``: the user, by name or id, under
    whom the gateway listens at its socket, if that is neither this one nor root; nothing is sent to others.

    Threads may share it. Raises GatewayUnusable for what cannot work.
    """

    def __init__(
        self,
        url: str | None,
        audience: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        bearer: BearerSource | None = None,
        client_certificate: StrPath | None = None,
        ca: StrPath | None = None,
        socket_path: StrPath | None = None,
        socket_owner: str | None = None,
    ) -> None:
        if type(audience) is not str or not audience:
            raise GatewayUnusable("the audience is missing: it is the name that the gateway's tokens carry")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 3600:
            raise GatewayUnusable(f"the time-out is {timeout!r:.60}; more than 0, up to 3600 s are allowed")
        if (url is None) == (socket_path is None):
            raise GatewayUnusable("a gateway has either a url or a socket")
        if socket_owner is not None and socket_path is None:
            raise GatewayUnusable("an owner is for a socket; this gateway has a url")
        try:
            self._socket_owner = None if socket_owner is None else user_id(socket_owner)
        except UnknownUser as error:
            raise GatewayUnusable(f"the socket's owner: {error}") from None
        self._audience = audience
        self._timeout = float(timeout)
        self._bearer = bearer
        self._socket_path = None if socket_path is None else str(socket_path)
        self._host, self._port, self._prefix, secure = _address(url)
        if not secure and (ca is not None or client_certificate is not None):
            raise GatewayUnusable("certificates are for https; this gateway is not reached over it")
        self._tls = _context(ca, client_certificate) if secure else None

    @property
    def audience(self) -> str:
        return self._audience

    def execute(self, request: GatewayRequest) -> Executed | Refused:
        """One attempt. ``Executed`` with ``error`` set: the outcome is unknown. Raises NotSent.

        The token's jti travels as ``Idempotency-Key``, so that whatever stands in between can tell a second
        copy from a second request. The gateway itself goes by the token.
        """
        jti = _jti(request.authorization_token, self._audience)
        try:
            body = request.to_json()
        except GatewayError as error:
            raise NotSent(f"the request has no message: {error}") from None
        headers = {"Content-Type": "application/json", "Idempotency-Key": jti}
        try:
            status, answer = self._exchange("POST", EXECUTE, headers, body, self._timeout)
        except _NoAnswer as error:
            return Executed(error=str(error))
        if status in NOT_TAKEN:
            raise NotSent(f"the gateway did not take the request: status {status}{_said(answer)}")
        if status != http.client.OK:
            return Executed(error=f"the gateway answered with status {status}")
        try:
            return response_from_json(answer)
        except GatewayError as error:
            return Executed(error=f"the gateway's answer is unusable: {error!s:.200}")

    def health(self, timeout: float = 5.0) -> JSON:
        """What the gateway says at ``/healthz``. Raises NotSent, saying what is wrong."""
        try:
            status, answer = self._exchange("GET", HEALTH, {}, b"", timeout)
            if status != http.client.OK:
                raise NotSent(f"{self.shown} answered with status {status}{_said(answer)}")
            return parse_json(answer, name="health")
        except (_NoAnswer, CanonicalError) as error:
            raise NotSent(f"{self.shown}: {error!s:.300}") from None

    @property
    def shown(self) -> str:
        """Where the gateway is, for people."""
        if self._socket_path is not None:
            return f"the socket {self._socket_path!r:.300}"
        return f"{'http' if self._tls is None else 'https'}://{self._netloc}{self._prefix}"

    @property
    def _netloc(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: bytes, timeout: float
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Raises NotSent before the first byte, _NoAnswer from then on."""
        deadline = time.monotonic() + timeout
        head = self._head(method, path, headers, body)
        try:
            connection = self._connect(deadline)
        except (OSError, ValueError) as error:  # ValueError: a name or a path that the system cannot take
            raise NotSent(f"the gateway cannot be reached at {self.shown}: {why(error)}") from None
        with closing(connection):
            try:
                connection.settimeout(_left(deadline))
                connection.sendall(head + body)
                return _read_answer(connection, method, deadline)
            except TimeoutError:
                raise _NoAnswer(f"the gateway gave no whole answer within {timeout:g} s") from None
            except ssl.SSLError as error:
                if error.reason in _NOT_ADMITTED:
                    text = f"{self.shown} takes this client certificate for none of its callers'"
                    raise NotSent(f"{text}: {why(error)}") from None
                raise _NoAnswer(f"the gateway's answer is lost: {_described(error)}") from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise _NoAnswer(f"the gateway's answer is lost: {_described(error)}") from None

    def _head(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        lines = {"Host": self._netloc, "Accept": "application/json", "Connection": "close", **headers}
        if method == "POST":
            lines["Content-Length"] = str(len(body))
        if self._bearer is not None:
            lines["Authorization"] = f"Bearer {_bearer(self._bearer)}"
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {self._prefix}{path} HTTP/1.1\r\n{text}\r\n".encode("ascii")

    def _connect(self, deadline: float) -> socket.socket:
        if self._socket_path is not None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(_left(deadline))
                connection.connect(self._socket_path)
                uid = stranger(connection, self._socket_path, self._socket_owner)
                if uid is not None:
                    raise NotSent(
                        f"another user (uid {uid}) listens at {self.shown}; if that is the gateway's, name it"
                        f" as its owner (socket_owner under [broker])"
                    )
            except BaseException:
                connection.close()
                raise
            return connection
        connection = socket.create_connection((self._host, self._port), timeout=_left(deadline))
        if self._tls is None:
            return connection
        try:
            connection.settimeout(_left(deadline))
            return self._tls.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise


class _NoAnswer(Exception):  # noqa: N818 - reads as what happened
    """The request may have left, and there is no answer that says what came of it."""


class _Bounded(io.RawIOBase):
    """What a socket receives until the deadline: a peer that sends a byte now and then gains nothing."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)

    def makefile(self, mode: str) -> IO[bytes]:  # noqa: ARG002 - what http.client asks a socket for
        return io.BufferedReader(self)


def _read_answer(connection: socket.socket, method: str, deadline: float) -> tuple[int, bytes]:
    answer = http.client.HTTPResponse(cast(socket.socket, _Bounded(connection, deadline)), method=method)
    with closing(answer):
        answer.begin()
        announced = answer.length
        if announced is not None and announced > MAX_ANSWER:
            raise ValueError(f"it has {announced} bytes; at most {MAX_ANSWER} are read")
        body = answer.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise ValueError(f"it has more than {MAX_ANSWER} bytes")
        if announced is not None and len(body) < announced:  # http.client does not say so itself
            raise ValueError(f"it was cut off after {len(body)} of {announced} bytes")
        return answer.status, body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _address(url: str | None) -> tuple[str, int, str, bool]:
    """Host, port, path before ours, and whether it is https."""
    if url is None:
        return "localhost", 80, "", False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except (ValueError, AttributeError, TypeError):
        _refuse_url(url)
    if "@" in parts.netloc or "?" in url or "#" in url or _HOST.fullmatch(host) is None or port == 0:
        _refuse_url(url)
    if _PREFIX.fullmatch(parts.path) is None or parts.scheme not in ("http", "https"):
        _refuse_url(url)
    secure = parts.scheme == "https"
    if not secure and _LOOPBACK.fullmatch(host) is None:  # the token and the bearer travel here
        raise GatewayUnusable(f"the url {url!r:.300} is plain http; write https, except to loopback")
    return host, port or (443 if secure else 80), parts.path.rstrip("/"), secure


def _refuse_url(url: object) -> NoReturn:
    shown = "" if "@" in str(url) else f" {url!r:.300}"  # before an "@" there may be a password
    raise GatewayUnusable(
        f"the url{shown} is not of the form 'https://broker.example:8443' (plain http on loopback)"
    )


def _context(ca: StrPath | None, client_certificate: StrPath | None) -> ssl.SSLContext:
    try:
        # Not ssl.create_default_context: it writes session keys where SSLKEYLOGFILE says.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=Path(ca).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise GatewayUnusable(f"the authorities {str(ca)!r:.300} cannot be used: {why(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_certificate is not None:
        try:
            context.load_cert_chain(client_certificate, password=_no_password)
        except (OSError, ValueError) as error:
            shown = f"{str(client_certificate)!r:.300}"
            raise GatewayUnusable(f"the client certificate {shown} cannot be used: {why(error)}") from None
    return context


def _no_password() -> NoReturn:
    raise ValueError("its private key is encrypted; a person would have to be asked")


def _bearer(bearer: BearerSource) -> str:
    try:
        text = bearer if isinstance(bearer, str) else bearer()
    except NotSent:
        raise
    except DelegoBrokerError as error:  # our own never hold any of a secret
        raise NotSent(f"the bearer for the gateway cannot be had: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever reads it; its words may hold the secret
        raise NotSent(f"the bearer for the gateway cannot be read: {type(error).__name__}") from None
    if _BEARER.fullmatch(text) is None:
        raise NotSent("the bearer for the gateway is empty, too long, or not printable ASCII without blanks")
    return text


def _jti(token: str | None, audience: str) -> str:
    """The jti that the token claims. Nothing is verified: whoever minted it is on this side."""
    if token is None:
        raise NotSent("there is no token; a gateway takes nothing without one: configure an audience")
    try:
        payload = token.split(".")[1]
        members = parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), name="token")
        if type(members) is not dict:
            raise ValueError
        jti, aud = members.get("jti"), members.get("aud")
    except (IndexError, ValueError, CanonicalError):
        raise NotSent("the token cannot be read") from None
    if aud != audience:
        raise NotSent(f"the token is for {aud!r:.60}, the gateway is {audience!r:.60}")
    if type(jti) is not str or _JTI.fullmatch(jti) is None:
        raise NotSent("the token's jti cannot travel as a header")
    return jti


def _said(answer: bytes) -> str:
    """A gateway's own words beside a status, if it has any: one line, cut."""
    line = " ".join(answer[:600].decode("utf-8", "replace").split())
    return f": {line:.200}" if line else ""


def _described(error: Exception) -> str:
    text = why(error)
    return text if text != type(error).__name__ else f"{text} (the connection was closed)"
