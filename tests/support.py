"""Where tests find the published vectors and real agent actions, when they lie beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared(*parts: str) -> Path:
    """A file of the neighbouring ``shared`` folder; skips the test, with the reason, where it is absent."""
    path = ROOT.parent.joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(('shared', *parts))} is not beside this checkout")
    return path


def unmeasured() -> dict[str, str]:
    """This environment without what turns coverage on.

    A second pytest under ``--cov`` begins by erasing what all processes of the first have written so far, and
    what a broken module runs says nothing about the tests of the sound one.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
