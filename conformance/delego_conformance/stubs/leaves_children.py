"""Ends at the first request, and leaves a child behind that holds its pipes."""

from __future__ import annotations

import subprocess
import sys

from delego_conformance.stubs.wire import requests

for _ in requests("leaves_children"):
    # The child may well outlive us: that is the point. Its end is up to the kit.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    sys.exit(0)
