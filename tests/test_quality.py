"""The linters and the type checker as tests, so that one command says whether a change is good."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import ROOT
from tree import source_only

pytestmark = source_only


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["ruff", "check", "--no-cache", "."], id="ruff check"),
        pytest.param(["ruff", "format", "--no-cache", "--check", "."], id="ruff format"),
        pytest.param(["mypy"], id="mypy --strict"),
    ],
)
def test_the_source_is_clean(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
