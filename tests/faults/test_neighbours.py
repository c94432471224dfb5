"""Several processes on one home: nobody declares a live neighbour dead, and a dead one is not waited for."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from delego_authorizer import Home
from delego_authorizer.settling import GONE
from delego_spec.types import Micros
from faultlab import Nursery, Worker, effects, make_home, nursery, verified_receipts


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def children() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[IO[bytes]]:
    """Closed; whoever unlocks or closes the file lets the brokers go on."""
    path = tmp_path / "gate"
    path.touch()
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield held


def reasons(home: Home) -> list[str]:
    """Of each receipt, what it says last beside the policy's digest."""
    return [
        f"{one.phase}/{one.outcome}: {[text for text in one.reasons if not text.startswith('policy ')][-1]}"
        for one in verified_receipts(home)
    ]


def in_flight(children: Nursery, home: Home, tmp_path: Path) -> Worker:
    worker = children.start("hold", home=home.path, effects=tmp_path / "effects", gate=tmp_path / "gate")
    assert worker.hear() == "ready"
    worker.tell("go")
    assert worker.hear() == "in flight"
    return worker


def test_the_execution_of_a_live_neighbour_is_left_alone_and_that_of_a_killed_one_settled(
    home: Home, tmp_path: Path, children: Nursery, gate: IO[bytes]
) -> None:
    live = in_flight(children, home, tmp_path)
    killed = in_flight(children, home, tmp_path)
    auditor = home.authorizer()  # opening recovers, too
    assert auditor.recover() == ()
    assert len(auditor.ledger.executions()) == 2
    killed.kill()
    (settled,) = auditor.recover()
    assert settled.owner.pid == killed.pid
    assert auditor.recover() == ()
    gate.close()
    assert live.rest()[0]["outcome"] == "allow"
    assert auditor.ledger.executions() == ()
    auditor.ledger.close()
    assert len(effects(tmp_path / "effects")) == 1
    told = [one for one in reasons(home) if one.startswith("execution")]
    assert told == [f"execution/allow: {GONE}", "execution/allow: executed via broker"]


def test_after_the_deadline_anybody_settles_and_the_late_answer_changes_nothing(
    home: Home, tmp_path: Path, children: Nursery, gate: IO[bytes]
) -> None:
    worker = in_flight(children, home, tmp_path)
    tomorrow = Micros((time.time_ns() // 1000) + 86_400_000_000)
    auditor = home.authorizer(clock=lambda: tomorrow)
    assert auditor.ledger.executions() == ()
    auditor.ledger.close()
    gate.close()
    (answer,) = worker.rest()
    assert answer["executed"] is True
    assert reasons(home)[1:] == [
        "execution/allow: outcome unknown: no result was recorded by the deadline",
        "decision/allow: late result, already recorded as outcome unknown; nothing was changed:"
        " executed via broker",
    ]


def test_an_interrupted_call_is_settled_as_unknown_and_its_answer_recorded_as_late(
    home: Home, tmp_path: Path, children: Nursery, gate: IO[bytes]
) -> None:
    done = tmp_path / "effects"
    worker = children.start("interrupted", home=home.path, effects=done, gate=tmp_path / "gate")
    assert worker.hear() == "in flight"
    worker.signal(signal.SIGINT)
    assert worker.hear() == "interrupted"
    assert reasons(home)[1:] == ["execution/allow: outcome unknown: interrupted while the broker was called"]
    gate.close()
    while len(told := reasons(home)) < 3:
        pass
    assert told[2].startswith("decision/allow: late result, already recorded as outcome unknown")
    assert len(effects(done)) == 1
    worker.kill()
