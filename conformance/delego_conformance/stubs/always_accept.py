"""Says yes to everything."""

from __future__ import annotations

from delego_conformance.stubs.answers import accepting
from delego_conformance.stubs.wire import line_of, requests, write

for request in requests("always_accept"):
    write(line_of(request, accepting(request["op"], request["args"])))
