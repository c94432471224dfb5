"""Answers twice, with a yes and a no, so that one of them must be right."""

from __future__ import annotations

from delego_conformance.stubs.answers import accepting, refusing
from delego_conformance.stubs.wire import line_of, requests, write

for request in requests("two_replies"):
    for answer in (accepting, refusing):
        write(line_of(request, answer(request["op"], request["args"])))
