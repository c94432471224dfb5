"""A small local service that wants an API key, for the gateway's benchmark: uvicorn, on a port it says."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

API_KEY = "benchmark-api-key-4242"


async def app(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body", False):
        pass
    known = (b"x-api-key", API_KEY.encode()) in scope["headers"]
    body = b'{"done":true}' if known else b'{"done":false}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200 if known else 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
