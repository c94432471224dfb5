"""A rate limit of N lets N through, over processes, with brokers that take their time, and for approvals."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faultlab import Nursery, action, effects, make_home, nursery, verified_receipts

CROWD = 8
LIMIT = 60


@pytest.fixture
def children() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


def outcomes(said: list[Any]) -> Counter[str]:
    return Counter(one["outcome"] for one in said if isinstance(one, dict))


def test_a_limit_of_n_under_eight_processes_lets_n_through(tmp_path: Path, children: Nursery) -> None:
    home, done = make_home(tmp_path / "home", limit=LIMIT), tmp_path / "effects"
    crowd = [
        children.start("propose", home=home.path, effects=done, path="limited", count=LIMIT // 4, threads=2)
        for _ in range(CROWD)
    ]
    assert [worker.hear() for worker in crowd] == ["ready"] * CROWD
    for worker in crowd:
        worker.tell("go")
    said = [line for worker in crowd for line in worker.rest()]
    assert outcomes(said) == {"allow": LIMIT, "deny": CROWD * (LIMIT // 4) * 2 - LIMIT}
    assert {one["reason"] for one in said if one["outcome"] == "deny"} == {
        f"rate_limit: {LIMIT}/{LIMIT} per day already used"
    }
    assert len(effects(done)) == LIMIT
    allowed = [one for one in verified_receipts(home) if one.rule == "limited" and one.outcome == "allow"]
    assert [
        one.reasons[0]
        for one in sorted(allowed, key=lambda one: int(one.reasons[0].split()[1].split("/")[0]))
    ] == [f"rate_limit: {number}/{LIMIT} per day" for number in range(1, LIMIT + 1)]


def test_executions_in_flight_count_while_slow_brokers_hold_them(tmp_path: Path, children: Nursery) -> None:
    limit, threads = 20, 5
    home, done, gate = make_home(tmp_path / "home", limit=limit), tmp_path / "effects", tmp_path / "gate"
    gate.touch()
    with gate.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        crowd = [
            children.start(
                "propose", home=home.path, effects=done, path="limited", count=1, threads=threads, gate=gate
            )
            for _ in range(CROWD)
        ]
        assert [worker.hear() for worker in crowd] == ["ready"] * CROWD
        for worker in crowd:
            worker.tell("go")
        said = [worker.hear() for worker in crowd for _ in range(threads)]  # in flight, or refused
        assert said.count("in flight") == limit
        assert outcomes(said) == {"deny": CROWD * threads - limit}
        assert effects(done) == []
        authorizer = home.authorizer()
        assert len(authorizer.ledger.executions()) == limit
        assert authorizer.propose(action("limited", 0)).outcome == "deny"
        authorizer.ledger.close()
    assert outcomes([line for worker in crowd for line in worker.rest()]) == {"allow": limit}
    assert len(effects(done)) == limit
    verified_receipts(home)


def test_a_limit_holds_for_approved_actions_and_wastes_no_approval(tmp_path: Path, children: Nursery) -> None:
    limit = 10
    home, done, gate = make_home(tmp_path / "home", limit=limit), tmp_path / "effects", tmp_path / "gate"
    gate.touch()
    authorizer = home.authorizer()
    ids = []
    for number in range(2 * limit):
        ids.append(str(authorizer.propose(action("limited-order", number)).approval_id))
        assert authorizer.decide(ids[-1], "approve", "alice").accepted
    with gate.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        crowd = [children.start("release", home=home.path, effects=done, gate=gate) for _ in range(CROWD)]
        for number, approval_id in enumerate(ids):  # each is asked for by two processes
            for worker in (crowd[number % CROWD], crowd[(number + 3) % CROWD]):
                worker.tell({"approval": approval_id, "path": "limited-order", "n": number})
        assert {worker.hear() for worker in crowd} == {"ready"}
        fcntl.flock(held, fcntl.LOCK_UN)
        for worker in crowd:
            worker.finish()
    said = [line for worker in crowd for line in worker.rest() if line != "ready"]
    assert outcomes(said) == {"allow": limit, "deny": 3 * limit}
    assert len({one["n"] for one in effects(done)}) == len(effects(done)) == limit
    # What the limit refused was not used up.
    assert len(authorizer.ledger.approvals("consumed")) == limit
    assert len(authorizer.ledger.approvals("approved")) == limit
    authorizer.ledger.close()
    verified_receipts(home)
