"""Answers with bytes by chance, and a line feed."""

from __future__ import annotations

import os

from delego_conformance.stubs.wire import requests, write

for _ in requests("random_bytes"):
    write(os.urandom(200) + b"\n")
