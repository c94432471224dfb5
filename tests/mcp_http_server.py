"""The server of ``mcp_server.py`` over streamable HTTP, made with the official library, on a free port.

python mcp_http_server.py EFFECTS HEADERS [json] [resumable] [--token WORD]

Prints its port. Each request's method and headers are a line of JSON in the file HEADERS.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

sys.path.insert(0, str(Path(__file__).parent))

from mcp_server import server

HEADERS = Path(sys.argv[2])


class Recording:
    """Writes down what each request says of itself."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
            with HEADERS.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"method": scope["method"], "headers": headers}) + "\n")
        await self.app(scope, receive, send)


def main() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(128)
    app = server.streamable_http_app(json_response="json" in sys.argv)
    config = uvicorn.Config(Recording(app), log_config=None, access_log=False, timeout_graceful_shutdown=1)
    print(bound.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
