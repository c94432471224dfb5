"""Prints what it is doing to standard output, where the replies go."""

from __future__ import annotations

from delego_conformance.stubs.answers import accepting
from delego_conformance.stubs.wire import line_of, requests, write

for request in requests("prints_to_stdout"):
    write(b"working on " + request["op"].encode() + b"\n")
    write(line_of(request, accepting(request["op"], request["args"])))
