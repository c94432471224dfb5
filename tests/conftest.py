"""Fixtures for every room."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# `tests` has no package (it would shadow the layout of the source), so its helpers are put in reach here.
sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")
