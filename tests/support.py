"""Where tests find the published vectors and real agent actions, when they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared(*parts: str) -> Path:
    """A file of the neighbouring ``shared`` folder; skips the test, with the reason, where it is absent."""
    path = ROOT.parent.joinpath("shared", *parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(('shared', *parts))} is not beside this checkout")
    return path
