"""Says yes and no in turns, so that its answers depend on the order of the requests."""

from __future__ import annotations

from delego_conformance.stubs.answers import accepting, refusing
from delego_conformance.stubs.wire import line_of, requests, write

for number, request in enumerate(requests("flips")):
    answer = refusing if number % 2 else accepting
    write(line_of(request, answer(request["op"], request["args"])))
