"""Writes one line that never ends."""

from __future__ import annotations

from delego_conformance.stubs.wire import requests, write

for _ in requests("floods"):
    while True:
        write(b"x" * 65536)
