"""``kill -9`` at random moments: what was acknowledged is there, and all that happened was written down."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from delego_authorizer import Authorizer
from delego_spec.receipts import Payload
from faultlab import Nursery, Worker, effects, make_home, nursery, verified_receipts

KILLS = 110
CROWD = 2  # one is killed while the others go on


def test_killed_proposers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    home, done = make_home(tmp_path / "home"), tmp_path / "effects"
    chance = random.Random(20)
    acknowledged: list[dict[str, Any]] = []
    auditor = home.authorizer()
    with nursery() as children:
        crowd = [_start(children, home.path, done, number) for number in range(CROWD)]
        for number in range(CROWD, CROWD + KILLS):
            place = chance.randrange(CROWD)
            acknowledged += _killed_at_random(crowd[place], chance)
            _check_recovery(auditor, crowd[place].pid, done)
            crowd[place] = _start(children, home.path, done, number)
        for worker in crowd:
            worker.kill()
            acknowledged += worker.rest()
            _check_recovery(auditor, worker.pid, done)
    auditor.ledger.close()
    receipts = verified_receipts(home)
    _check_everything(receipts, acknowledged, effects(done), home.ledger())


def _start(children: Nursery, home: Path, done: Path, number: int) -> Worker:
    return children.start("toil", home=home, effects=done, first=10_000 * number)


def _killed_at_random(worker: Worker, chance: random.Random) -> list[dict[str, Any]]:
    """Kill after some acknowledged proposes and, half of the time, some moments later; all it ever said."""
    said = [worker.hear() for _ in range(chance.randrange(5))]
    if chance.random() < 0.5:
        time.sleep(chance.random() * 0.02)  # anywhere: in the start, a commit, the broker
    worker.kill()
    return said + worker.rest()


def _check_recovery(auditor: Authorizer, pid: int, done: Path) -> None:
    """Recovery settles what the killed one left in flight, nothing else, and sends nothing.

    (Another worker that has just begun may have been faster: opening a home recovers, too.)
    """
    left = {one.id for one in auditor.ledger.executions() if one.owner.pid == pid}
    effects_before = [one for one in effects(done) if one["pid"] == pid]
    assert {one.id for one in auditor.recover()} <= left
    assert {one.id for one in auditor.ledger.executions() if one.owner.pid == pid} == set()
    assert [one for one in effects(done) if one["pid"] == pid] == effects_before


def _check_everything(
    receipts: list[Payload], acknowledged: list[dict[str, Any]], happened: list[dict[str, Any]], ledger: Any
) -> None:
    anchors = {one["receipt"] for one in acknowledged}
    stored = {
        f"{seq}:{ledger.receipt(seq).entry_hash}" for seq in (int(one.split(":")[0]) for one in anchors)
    }
    assert stored == anchors
    ahead = {one.action_fingerprint: one.seq for one in receipts if one.phase == "decision"}
    settled = Counter(one.action_fingerprint for one in receipts if one.phase == "execution")
    # Each released action has one write-ahead receipt and one result, be it the recovered one.
    assert len(ahead) * 2 == len(receipts)
    assert settled == Counter(dict.fromkeys(ahead, 1))
    # No effect happened twice, and each found its write-ahead receipt in the ledger.
    assert max(Counter(one["fingerprint"] for one in happened).values()) == 1
    assert all(ahead[one["fingerprint"]] <= one["head"] for one in happened)
    assert {one["n"] for one in acknowledged} <= {one["n"] for one in happened}
    unknown = [one for one in receipts if one.reasons[-1].startswith("outcome unknown: the process that")]
    assert unknown, "no kill hit an execution in flight"
