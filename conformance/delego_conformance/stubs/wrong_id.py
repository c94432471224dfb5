"""Answers with the id of another request."""

from __future__ import annotations

from delego_conformance.stubs.answers import accepting
from delego_conformance.stubs.wire import line_of, requests, write

for request in requests("wrong_id"):
    write(line_of({"id": f"{request['id']}x"}, accepting(request["op"], request["args"])))
