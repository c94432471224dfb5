"""A server whose broker, in the same process, writes each effect to a file: to be killed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from delego_agent.server.serving import ServerOptions, serve_stdio
from delego_broker.callable import CallableBroker
from delego_spec.gateway import GatewayRequest


def writer(effects: Path) -> Callable[[GatewayRequest], object]:
    """What the broker calls: the effect is a line of ``effects``, on the disk before anything else."""

    def send(request: GatewayRequest) -> object:
        descriptor = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{request.method} {request.url}\n".encode())
        os.fsync(descriptor)
        os.close(descriptor)
        seconds: Any = request.params.get("seconds", 0)
        time.sleep(seconds)  # still at work while it is killed
        return {"done": True}

    return send


if __name__ == "__main__":
    broker = CallableBroker(writer(Path(sys.argv[2])))
    serve_stdio(Path(sys.argv[1]), ServerOptions(), opens=lambda home: home.authorizer(broker))
