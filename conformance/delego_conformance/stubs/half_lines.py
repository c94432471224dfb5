"""Writes half of each reply, and waits for the next request."""

from __future__ import annotations

from delego_conformance.stubs.answers import accepting
from delego_conformance.stubs.wire import line_of, requests, write

for request in requests("half_lines"):
    line = line_of(request, accepting(request["op"], request["args"]))
    write(line[: len(line) // 2])
