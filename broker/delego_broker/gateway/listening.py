"""Where the gateway listens: a Unix socket that only its own people can reach, or an address.

Plain HTTP is for loopback and for Unix sockets. The configuration refuses the rest already; here it is
refused once more, at the moment when the socket is bound.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
import sys
from pathlib import Path
from typing import Any

from delego_broker.errors import ListenError, why
from delego_broker.gateway.settings import Listen, Tls

_BACKLOG = 128


class _Listening(socket.socket):
    """A listening socket that lets go at once what comes beyond ``most`` connections that are still open.

    Those that are served are counted by the protocol; until a TLS handshake is over there is no protocol, and
    whoever connects and is silent could take all file descriptors.
    """

    def __init__(self, family: int, proto: int, most: int) -> None:
        super().__init__(family, socket.SOCK_STREAM, proto)
        self._most = most
        self._taken: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        self._taken = [one for one in self._taken if one.fileno() != -1]
        if len(self._taken) >= self._most:
            connection.close()
            raise ConnectionAbortedError("there are too many connections")  # the event loop goes on
        self._taken.append(connection)
        return connection, address


def bind(listen: Listen) -> socket.socket:
    """A bound, listening socket: for as many connections as may be served, and as many handshakes.

    Raises ListenError.
    """
    most = 2 * listen.max_connections
    if listen.socket is not None:
        return _unix_socket(listen.socket, listen.socket_mode, most)
    address = ipaddress.ip_address(listen.host)
    if not address.is_loopback:
        if listen.tls is None:
            raise ListenError(f"{listen.host!r} is not loopback; plain HTTP is refused there")
        if listen.tls.client_ca is None and listen.bearer is None:
            raise ListenError(f"{listen.host!r} is not loopback; it needs client_ca or a bearer")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # Named as TCP, so that asyncio switches Nagle's delay off: an answer is written in two parts, and the
    # second would wait 40 ms for an acknowledgement.
    bound = _Listening(family, socket.IPPROTO_TCP, most)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((listen.host, listen.port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ListenError(f"cannot listen on {listen.host} port {listen.port}: {why(error)}") from None
    return bound


def shown_address(bound: socket.socket, listen: Listen) -> str:
    """Where a client finds it: ``unix:PATH`` or a URL."""
    if listen.socket is not None:
        return f"unix:{listen.socket}"
    host, port = bound.getsockname()[:2]
    scheme = "http" if listen.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def server_tls(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or newer; with ``client_ca`` nobody gets in without a certificate. Raises ListenError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:  # ssl.SSLError among them
        raise ListenError(f"the gateway's certificate or key cannot be used: {why(error)}") from None
    return context


def release(listen: Listen) -> None:
    """Take the name of a Unix socket away again."""
    if listen.socket is not None:
        listen.socket.unlink(missing_ok=True)


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that is not, readable by this user alone")


def _unix_socket(path: Path, mode: int, most: int) -> socket.socket:
    if sys.platform == "win32":
        raise ListenError("there are no Unix sockets here; listen on 127.0.0.1")
    _check_folder(path.parent)
    _remove_dead(path)
    bound = _Listening(socket.AF_UNIX, 0, most)
    try:
        before = os.umask(0o777 & ~mode)  # from the first moment on nobody else can connect
        try:
            bound.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        bound.listen(_BACKLOG)
    except (OSError, ValueError) as error:
        bound.close()
        raise ListenError(f"cannot listen on the socket {str(path)!r:.300}: {why(error)}") from None
    return bound


def _check_folder(folder: Path) -> None:
    """Whoever may write the folder could put a socket of their own in the place of this one."""
    try:
        status = folder.stat()
    except OSError as error:
        raise ListenError(f"the socket's folder {str(folder)!r:.300}: {why(error)}") from None
    if status.st_uid not in (0, os.geteuid()):
        raise ListenError(f"the socket's folder {str(folder)!r:.300} belongs to another user")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise ListenError(f"the socket's folder {str(folder)!r:.300} can be written by others; make it 0750")


def _remove_dead(path: Path) -> None:
    """Remove the socket of a gateway that was killed; leave alone whatever else has the name."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        raise ListenError(f"{str(path)!r:.300} is there already, and is no socket of this user's")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(2)
    try:
        probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except OSError:
        pass
    finally:
        probe.close()
    raise ListenError(f"a gateway listens on {str(path)!r:.300} already")
