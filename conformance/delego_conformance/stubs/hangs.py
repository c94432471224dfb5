"""Never answers, and does not end when it is asked to."""

from __future__ import annotations

import signal
import threading

from delego_conformance.stubs.wire import requests

signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in requests("hangs"):
    threading.Event().wait()
