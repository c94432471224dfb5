"""Ends at the first request after hello: a crash is no refusal."""

from __future__ import annotations

import sys

from delego_conformance.stubs.wire import requests

for request in requests("always_crash"):
    sys.exit(f"cannot do {request['op']}")
