"""One "yes" releases one effect, however many processes and threads ask for it at the same moment."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from delego_authorizer import Authorizer, Home
from delego_broker import CallableBroker
from delego_spec.approvals import ALREADY_USED
from faultlab import LONG, action, effect, effects, make_home, nursery, verified_receipts

CROWD = 16
APPROVALS = 200


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def approvals(authorizer: Authorizer, count: int, path: str = "order") -> list[str]:
    """So many approved approvals; the action of each has its place as its number."""
    parked = authorizer.propose_many([action(path, number) for number in range(count)])
    ids = [str(decision.approval_id) for decision in parked]
    for approval_id in ids:
        assert authorizer.decide(approval_id, "approve", "alice").accepted
    return ids


def check_one_effect_each(home: Home, path: Path, ids: list[str]) -> None:
    assert sorted(one["n"] for one in effects(path)) == list(range(len(ids)))
    receipts = verified_receipts(home)
    for approval_id in ids:
        of_it = [one for one in receipts if one.approval_id == approval_id and one.phase == "execution"]
        assert [one.outcome for one in of_it].count("allow") == 1
        assert [one.reasons[0] for one in of_it if one.outcome == "deny"] == [ALREADY_USED] * (CROWD - 1)


def test_of_sixteen_processes_one_releases_each_approval(home: Home, tmp_path: Path) -> None:
    done = tmp_path / "effects"
    authorizer = home.authorizer()
    ids = approvals(authorizer, APPROVALS)
    authorizer.ledger.close()
    gate = tmp_path / "gate"
    gate.touch()
    with nursery() as children, gate.open("rb") as held:
        crowd = [children.start("release", home=home.path, effects=done, gate=gate) for _ in range(CROWD)]
        for number, approval_id in enumerate(ids):
            fcntl.flock(held, fcntl.LOCK_EX)
            for worker in crowd:
                worker.tell({"approval": approval_id, "path": "order", "n": number})
            assert [worker.hear() for worker in crowd] == ["ready"] * CROWD
            fcntl.flock(held, fcntl.LOCK_UN)
            answers = [worker.hear() for worker in crowd]
            assert sorted(answer["outcome"] for answer in answers) == ["allow"] + ["deny"] * (CROWD - 1)
            assert {answer["reason"] for answer in answers if answer["outcome"] == "deny"} == {ALREADY_USED}
        for worker in crowd:
            worker.finish()
    check_one_effect_each(home, done, ids)


def test_of_sixteen_threads_one_releases_each_approval(home: Home, tmp_path: Path) -> None:
    done = tmp_path / "effects"
    authorizer = home.authorizer(CallableBroker(effect(str(done))))
    ids = approvals(authorizer, APPROVALS)
    barrier = threading.Barrier(CROWD, timeout=LONG)
    outcomes: list[list[str]] = [[] for _ in ids]

    def race() -> None:
        for number, approval_id in enumerate(ids):
            barrier.wait()
            outcomes[number].append(authorizer.resolve(approval_id, action("order", number)).outcome)

    crowd = [threading.Thread(target=race) for _ in range(CROWD)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(LONG)
    authorizer.ledger.close()
    assert all(sorted(said) == ["allow"] + ["deny"] * (CROWD - 1) for said in outcomes)
    check_one_effect_each(home, done, ids)
