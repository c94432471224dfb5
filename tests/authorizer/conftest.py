"""Authorizers for this room's tests; every one is closed at the end of its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import Authorizer
from houses import FakeClock, house


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def build(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Authorizer]]:
    """Makes authorizers on one ledger; takes what ``houses.house`` takes."""
    with ExitStack() as stack:

        def make(**more: Any) -> Authorizer:
            more.setdefault("clock", clock)
            return stack.enter_context(house(tmp_path, **more))

        yield make
