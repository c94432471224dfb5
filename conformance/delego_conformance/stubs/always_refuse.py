"""Says no to everything."""

from __future__ import annotations

from delego_conformance.stubs.answers import refusing
from delego_conformance.stubs.wire import line_of, requests, write

for request in requests("always_refuse"):
    write(line_of(request, refusing(request["op"], request["args"])))
