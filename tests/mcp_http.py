"""The gateway over HTTP as its tests meet it: real processes, and requests that no library would send."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

HERE: Final = Path(__file__).parent
PATIENCE: Final = 60.0
MODERN: Final = "2026-07-28"
JSON_AND_EVENTS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}


class Process:
    """A process that says on its first line where it listens."""

    def __init__(self, words: Sequence[str], **environment: str) -> None:
        self.process = subprocess.Popen(
            list(words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline().decode()
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.decode().rstrip())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.kill()
            self._reader.join(PATIENCE)
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()
        return status


@contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """The official library's server; its URL. ``effects`` and ``headers`` are files of the folder."""
    script = str(HERE / "mcp_http_server.py")
    words = (sys.executable, script, str(folder / "effects"), str(folder / "headers"), *options)
    process = Process(words)
    try:
        assert process.first.strip().isdigit(), process.log
        yield f"http://127.0.0.1:{int(process.first)}/mcp"
    finally:
        process.stop()


@contextmanager
def http_gateway(home: Path, *options: str, **environment: str) -> Iterator[tuple[str, Process]]:
    """``delego mcp-gateway --http 0``; its URL, and its process."""
    words = ("--home", str(home), "mcp-gateway", "run", "--json", "--http", "0", *options)
    process = Process((sys.executable, "-m", "delego_cli", *words), **environment)
    try:
        assert process.first.startswith("{"), process.stop() and process.log
        yield json.loads(process.first)["url"], process
    finally:
        process.stop()


class Caller:
    """A client without any library: one connection, messages as they are."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        self.session: str | None = None
        self.default: dict[str, str] = {}  # headers of each POST

    def request(
        self, method: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and whole body."""
        assert self.parts.hostname is not None
        connection = http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=PATIENCE)
        try:
            connection.request(method, self.parts.path, body, headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, message: Any, **more: str) -> tuple[int, Any]:
        """Status, and the message that answers (the last one of a stream)."""
        headers = {**JSON_AND_EVENTS, **self.default}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        if self.session is not None:
            headers.setdefault("Mcp-Session-Id", self.session)
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        status, answered, data = self.request("POST", body, headers)
        if "mcp-session-id" in answered:
            self.session = answered["mcp-session-id"]
        return status, messages(data)[-1] if data else None

    def listen(self) -> Iterator[Any]:
        """The messages that belong to no request, as they come."""
        return self.events("GET", None, {"Accept": "text/event-stream", "Mcp-Session-Id": str(self.session)})

    def events(self, method: str, body: bytes | None, headers: dict[str, str]) -> Iterator[Any]:
        """The messages of a stream, as they come."""
        connection = http.client.HTTPConnection(str(self.parts.hostname), self.parts.port, timeout=PATIENCE)
        try:
            connection.request(method, self.parts.path, body, headers)
            answer = connection.getresponse()
            assert answer.status == 200
            while line := answer.readline():
                if line.startswith(b"data: {"):
                    yield json.loads(line.removeprefix(b"data: "))
        finally:
            connection.close()

    def handshake(self, version: str = "2025-11-25") -> Any:
        """Begin a session."""
        params = {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        status, answer = self.post(request(0, "initialize", params))
        assert status == 200, answer
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) == (202, None)
        return answer["result"]

    def tool(self, name: str, one: Any = 1, meta: Any = None, **arguments: Any) -> Any:
        params = {"name": name, "arguments": arguments, **({"_meta": meta} if meta else {})}
        return self.post(request(one, "tools/call", params))[1]

    def modern(self, method: str, params: Any, one: Any = 1, **headers: str) -> tuple[int, Any]:
        """A request without a handshake; ``headers`` replace what belongs to it."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            **params.get("_meta", {}),
        }
        names = {"MCP_Protocol_Version": MODERN, "Mcp_Method": method}
        if "name" in params or "uri" in params:
            names["Mcp_Name"] = params.get("name", params.get("uri"))
        names |= headers
        return self.post(
            request(one, method, {**params, "_meta": meta}),
            **{name: value for name, value in names.items() if value},
        )


def request(one: Any, method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": one, "method": method, "params": params}


def messages(data: bytes) -> list[Any]:
    """The messages of a body, be it JSON or events."""
    if data.lstrip().startswith(b"{"):
        return [json.loads(data)]
    lines = data.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def seen_headers(folder: Path) -> list[dict[str, Any]]:
    """What the server of ``served`` was sent."""
    return [json.loads(line) for line in (folder / "headers").read_text().splitlines()]
