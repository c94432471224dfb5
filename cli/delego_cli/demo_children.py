"""The processes of ``delego demo``'s real end: a service that wants an API key, and the gateway that has it.

    python -m delego_cli.demo_children service KEYFILE DESCRIPTOR
    python -m delego_cli.demo_children gateway CONFIG

Each ends when its standard input does, so that nothing is left behind by a demo that was killed.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NoReturn

from delego_ledger.files import write_atomically

HEADER: Final = "X-Api-Key"
MAX_BODY: Final = 64 * 1024  # bytes


def serve(key_file: Path, descriptor: int) -> None:
    """Make a key, keep it in ``key_file`` for the operator's gateway, and answer whoever shows it.

    ``descriptor``: a socket that listens. One line of JSON on stdout for each request, before its answer:
    what came, and whether the key did; never the key itself.
    """
    key = secrets.token_urlsafe(24)
    write_atomically(key_file, f"{key}\n".encode(), mode=0o600)
    with socket.socket(fileno=descriptor) as listener, _Service(listener, key) as server:
        server.serve_forever()


class _Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, key: str) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.key = key


class _Handler(BaseHTTPRequestHandler):
    server: _Service

    def do_GET(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), MAX_BODY))
        given = self.headers.get(HEADER, "")
        known = hmac.compare_digest(given.encode(), self.server.key.encode())
        came = f"{self.requestline}\n{self.headers}".encode() + body
        note = {"method": self.command, "path": self.path, "key": known, "token": b"eyJ" in came}
        sys.stdout.write(f"{json.dumps(note)}\n")
        sys.stdout.flush()
        answer = json.dumps({"done": True} if known else {"error": f"{HEADER} is missing or wrong"}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - as above

    def log_message(self, *_: Any) -> None:
        """Nothing: what is told stands on stdout."""


def gateway(config: str) -> None:
    """``delego broker``, as an operator runs it."""
    from delego_cli.main import main

    main(["broker", "--config", config, "--json"])


def _end_with_stdin() -> NoReturn:
    sys.stdin.buffer.read()
    os._exit(0)


def run(arguments: list[str]) -> None:
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    kind, *rest = arguments
    if kind == "service":
        serve(Path(rest[0]), int(rest[1]))
    else:
        gateway(rest[0])


if __name__ == "__main__":
    run(sys.argv[1:])
