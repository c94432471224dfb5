"""``delego recover``: what a crash left in flight is settled, and nobody else's is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cli_tools import READ, opened
from delego_authorizer import Home
from delego_authorizer.owner import this_process
from delego_ledger.clock import system_clock
from delego_ledger.contract import Execution, Owner
from delego_spec import Micros
from delego_spec.timestamps import SECOND


def start(world: Any, name: str, *, owner: Owner | None = None, deadline: int = 60) -> None:
    """An execution in flight; ``deadline``: seconds from now."""
    now = system_clock()
    execution = Execution(
        id=name,
        rule="read-accounts",
        reasons=("rate_limit: 1/50 per hour",),
        intent_hash=READ.intent_hash,
        action_fingerprint=READ.fingerprint,
        action_summary=READ.summary,
        approval_id=None,
        owner=owner or this_process(),
        started_at=Micros(now - 90 * SECOND),
        deadline=Micros(now + deadline * SECOND),
    )
    with opened(world.home) as authorizer, authorizer.ledger.transaction() as transaction:
        transaction.start_execution(execution)


@pytest.fixture
def gone() -> Owner:
    """The owner of a process that has ended: this one's pid, with another time of start."""
    return replace(this_process(), started="1")


def last_reason(world: Any) -> str:
    ledger = Home(world.home).ledger()
    head = ledger.head()
    receipt = None if head is None else ledger.receipt(head.seq)
    return "" if receipt is None else receipt.payload.reasons[-1]


def test_nothing_in_flight_is_said(home: Any) -> None:
    done = home.run("recover")
    assert (done.exit_code, done.stdout) == (0, "nothing is in flight\n")
    assert home.json("recover") == {"settled": [], "in_flight": []}


def test_an_abandoned_execution_is_settled_and_explained(home: Any, gone: Owner) -> None:
    start(home, "exe_lost", owner=gone)
    done = home.run("recover")
    assert done.exit_code == 0
    assert "exe_lost" in done.stdout
    assert "1 min" in done.stdout
    assert "1 execution is recorded as 'outcome unknown'" in done.stdout
    assert "look at the service whether it did; delego never sends it again" in done.stdout
    assert last_reason(home).startswith("outcome unknown: the process that called the broker ended")
    assert home.run("recover").stdout == "nothing is in flight\n"


def test_one_past_its_deadline_is_settled_as_well(home: Any) -> None:
    start(home, "exe_late", deadline=-5)
    document = home.json("recover")
    assert [one["execution"] for one in document["settled"]] == ["exe_late"]
    assert last_reason(home) == "outcome unknown: no result was recorded by the deadline"


def test_a_live_process_keeps_its_own(home: Any, gone: Owner) -> None:
    start(home, "exe_mine")
    done = home.run("recover")
    assert "in flight" in done.stdout
    assert "nothing was changed" in done.stdout
    start_lost = replace(gone, started="2")
    with opened(home.home) as authorizer:
        assert [one.id for one in authorizer.ledger.executions()] == ["exe_mine"]
    start(home, "exe_lost", owner=start_lost)
    document = home.json("recover")
    assert [one["execution"] for one in document["settled"]] == ["exe_lost"]
    assert [one["execution"] for one in document["in_flight"]] == ["exe_mine"]


def test_a_broken_policy_does_not_stop_it(home: Any, gone: Owner) -> None:
    start(home, "exe_lost", owner=gone)
    Home(home.home).policy_path.write_text("nonsense")
    assert home.run("recover").exit_code == 0
    assert Home(home.home).ledger().executions() == ()


def test_what_cannot_be_written_is_an_error_and_nothing_is_settled(home: Any, gone: Owner) -> None:
    start(home, "exe_lost", owner=gone)
    (home.home / "keys" / "ledger.pem").unlink()
    done = home.run("recover")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert len(Home(home.home).ledger().executions()) == 1
