"""An MCP server over HTTP that behaves as the called tool's name says. In the test's own process."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

TOOLS = ["echo", "close", "cut", "stream_ends", "redirect", "unauthorized", "teapot", "gone", "fails", "huge"]
TOOLS += [
    "gzip",
    "other_id",
    "invalid",
    "double",
    "batch",
    "accepted",
    "html",
    "hang",
    "notes",
    "resumed",
    "never",
]
TOOLS += ["error_in_status", "bad_event", "big_event", "lone", "rude", "declared", "not_found"]


class EvilServer(ThreadingHTTPServer):
    """``calls``: the names of tools that were called. ``requests``: (method, headers, body)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *, sessions: bool = True, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.sessions = sessions
        self.session = "session-1"
        self.known = True
        self.refuses = False  # to begin a session
        self.calls: list[str] = []
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.let_go = threading.Event()
        self.say: list[Any] = []  # on the stream of the session
        self.connections: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/mcp?key=k"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no news."""

    def end(self) -> None:
        self.let_go.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EvilServer
    statuses: ClassVar[dict[str, int]] = {
        "redirect": 307,
        "unauthorized": 401,
        "teapot": 418,
        "gone": 404,
        "not_found": 405,
        "fails": 500,
    }

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_DELETE(self) -> None:
        self._note(None)
        self._send(200, b"", "text/plain")

    def do_GET(self) -> None:
        self._note(None)
        if self.headers.get("Last-Event-ID") == "r1":
            answer = {"jsonrpc": "2.0", "id": self.server.resumes, "result": {"content": []}}  # type: ignore[attr-defined]
            self._stream([answer])
        elif self.server.say:
            self._stream(self.server.say)
            self.server.say = []
        elif self.headers.get("Last-Event-ID") == "n1":
            self._stream([])
        else:
            self._send(405, b"", "text/plain")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._note(body)
        method, one = body.get("method"), body.get("id")
        server = self.server
        if (
            server.sessions
            and method != "initialize"
            and (self.headers.get("Mcp-Session-Id") != server.session or not server.known)
        ):
            self._json(
                404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no session"}}
            )
        elif method == "initialize" and server.refuses:
            self._json(200, {"jsonrpc": "2.0", "id": one, "error": {"code": -32603, "message": "no"}})
        elif method == "initialize":
            server.known = True
            result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "e"}}
            more = {"Mcp-Session-Id": server.session} if server.sessions else {}
            self._json(200, {"jsonrpc": "2.0", "id": one, "result": result}, **more)
        elif one is None or method is None:
            self._send(202, b"", "text/plain")
        elif method == "tools/list":
            schema = {
                "type": "object",
                "properties": {
                    "place": {"type": "string", "x-mcp-header": "Place"},
                    "deep": {
                        "type": "object",
                        "properties": {"on": {"type": "boolean", "x-mcp-header": "On"}},
                    },
                },
            }
            tools = [{"name": name, "inputSchema": schema} for name in TOOLS]
            self._json(200, {"jsonrpc": "2.0", "id": one, "result": {"tools": tools}})
        elif method == "tools/call":
            server.calls.append(body["params"]["name"])
            self._call(body["params"]["name"], one)
        else:
            self._json(200, {"jsonrpc": "2.0", "id": one, "result": {}})

    def _call(self, name: str, one: Any) -> None:
        good = {"jsonrpc": "2.0", "id": one, "result": {"content": [], "isError": False}}
        text = json.dumps(good).encode()
        if name == "close":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif name == "cut":
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
            )
            self.connection.shutdown(socket.SHUT_RDWR)
        elif name in self.statuses:
            more = {"Location": "http://127.0.0.1:9/other"} if name == "redirect" else {}
            self._send(self.statuses[name], b"<p>no</p>", "text/html", **more)
        elif name == "error_in_status":
            self._json(400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "odd"}})
        elif name == "huge":
            self._json(200, {**good, "result": {"x": "y" * (17 * 2**20)}})
        elif name == "gzip":
            self._send(200, b"\x1f\x8b", "application/json", **{"Content-Encoding": "gzip"})
        elif name == "other_id":
            self._json(200, {**good, "id": "other"})
        elif name == "invalid":
            self._send(200, b'{"jsonrpc":', "application/json")
        elif name == "double":
            self._send(200, text.replace(b'"id"', b'"id": 0, "id"'), "application/json")
        elif name == "batch":
            self._send(200, b"[" + text + b"]", "application/json")
        elif name == "accepted":
            self._send(202, b"", "text/plain")
        elif name == "html":
            self._send(200, b"<p>yes</p>", "text/html")
        elif name == "hang":
            self.server.let_go.wait(60)
            self._json(200, good)
        elif name == "stream_ends":
            self._stream([])
        elif name == "lone":
            self._stream([b"\xff"])
        elif name == "bad_event":
            self._stream([b"{}"])
        elif name == "big_event":
            self._stream([b'"' + b"x" * (17 * 2**20) + b'"'])
        elif name == "notes":
            note = {
                "jsonrpc": "2.0",
                "method": "notifications/message",
                "params": {"level": "info", "data": 1},
            }
            other = {"jsonrpc": "2.0", "id": "other", "result": {}}
            self._stream([note, other, good])
        elif name in ("resumed", "never"):
            self.server.resumes = one  # type: ignore[attr-defined]
            self._raw(
                b"id: r1\nretry: 10\ndata:\n\n" if name == "resumed" else b"id: n1\nretry: 10\ndata:\n\n"
            )
        elif name == "rude":  # an answer that nobody asked for follows
            self._json(200, good)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            self._json(200, good)

    def _note(self, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, headers, body))

    def _json(self, status: int, message: Any, **more: str) -> None:
        self._send(status, json.dumps(message).encode(), "application/json", **more)

    def _stream(self, items: list[Any]) -> None:
        written = (item if isinstance(item, bytes) else json.dumps(item).encode() for item in items)
        self._raw(b"".join(b": hello\nevent: message\ndata: " + item + b"\r\n\r\n" for item in written))

    def _raw(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(data), 2**20):
            piece = data[start : start + 2**20]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, status: int, body: bytes, kind: str, **more: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def until(wanted: Any, patience: float = 30.0) -> None:
    """Wait until ``wanted()`` is true."""
    end = time.monotonic() + patience
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.005)


if (
    __name__ == "__main__"
):  # for tests that kill it: prints its port, then the names of tools as they are called
    running = EvilServer()
    print(running.server_port, flush=True)
    told = 0
    while True:
        time.sleep(0.005)
        for name in running.calls[told:]:
            print(name, flush=True)
            told += 1
