"""Closes standard input after hello, and goes on running."""

from __future__ import annotations

import os
import threading

from delego_conformance.stubs.wire import requests

for _ in requests("closes_stdin_and_sleeps"):
    os.close(0)
    threading.Event().wait()
