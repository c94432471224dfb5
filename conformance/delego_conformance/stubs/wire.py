"""The wire, as little of it as a stub needs. Knows nothing of the rest of the kit."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any


def requests(name: str) -> Iterator[dict[str, Any]]:
    """Answers hello (all roles, all features) and bye, and gives every other request."""
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if request["op"] == "hello":
            hello = {
                "protocol": 1,
                "implementation": {"name": f"stub {name}", "version": "1", "language": "Python", "url": ""},
                "spec": ["0.3", "0.2"],
                "roles": ["authorizer", "broker", "auditor"],
                "features": ["spec-0.2", "session", "session.config", "clock"],
            }
            write(line_of(request, {"ok": hello}))
        elif request["op"] == "bye":
            write(line_of(request, {"ok": {}}))
            return
        else:
            yield request


def line_of(request: dict[str, Any], answer: dict[str, Any]) -> bytes:
    """The reply to a request."""
    return json.dumps({"id": request["id"], **answer}).encode() + b"\n"


def write(data: bytes) -> None:
    """Write to standard output, past every buffer."""
    while data:
        data = data[os.write(1, data) :]
