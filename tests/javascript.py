"""Where the tests find what runs JavaScript."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

import pytest


@cache
def node() -> str:
    """The path of Node 20 or later; skips the test, with the reason, without it."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        pytest.skip(f"node is {version}; 20 or later is needed")
    return path
