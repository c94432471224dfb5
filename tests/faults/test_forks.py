"""A process forks with an authorizer open: its children work, and nothing that was acknowledged is lost."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from delego_authorizer import Home
from delego_spec.anchors import Anchor
from faultlab import Nursery, effects, make_home, nursery, verified_receipts

COUNT = 20


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def children() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "other threads write"])
def test_forked_children_work_and_no_acknowledged_receipt_is_lost(
    home: Home, tmp_path: Path, children: Nursery, busy: bool
) -> None:
    done = tmp_path / "effects"
    family = children.start("fork_family", home=home.path, effects=done, count=COUNT, busy=busy)
    said = family.rest()
    assert family.reap() == 0
    assert [line["exit"] for line in said if "exit" in line] == [0] * 4
    acknowledged = [line for line in said if "receipt" in line]
    assert len(acknowledged) >= 2 + 4 * 2 * COUNT
    verified_receipts(home)
    ledger = home.ledger()
    for line in acknowledged:
        anchor = Anchor.parse(line["receipt"])
        receipt = ledger.receipt(anchor.seq)
        assert receipt is not None
        assert receipt.entry_hash == anchor.entry_hash
    assert len(effects(done)) == len(acknowledged)


def test_a_child_forked_in_the_middle_of_a_read_is_refused_and_its_parent_is_not(
    home: Home, children: Nursery
) -> None:
    said = children.start("fork_reader", home=home.path).rest()
    assert "this process was forked while a ledger was open in it" in said[0]["child"]
    assert said[1]["outcome"] == "allow"
    assert len(verified_receipts(home)) == 4


def test_a_transaction_is_ended_by_the_process_that_began_it(home: Home, children: Nursery) -> None:
    said = children.start("fork_inside", home=home.path).rest()
    assert said[0] == {"child": "a forked child must not end a transaction of its parent"}
    assert said[1]["parent"].startswith("0:")
    assert len(verified_receipts(home)) == 1


def test_what_a_forked_child_sends_belongs_to_the_child(
    home: Home, tmp_path: Path, children: Nursery
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    with gate.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        parent = children.start("fork_and_hold", home=home.path, effects=tmp_path / "effects", gate=gate)
        said = [parent.hear(), parent.hear()]
        (child,) = [line["child"] for line in said if line != "in flight"]
        authorizer = home.authorizer()
        (execution,) = authorizer.ledger.executions()
        assert execution.owner.pid == child
        os.kill(child, signal.SIGKILL)  # its parent does not ask how it ended: a zombie is gone, too
        while not authorizer.recover():
            pass
    assert authorizer.ledger.executions() == ()
    authorizer.ledger.close()
    assert [one.outcome for one in verified_receipts(home)] == ["allow", "allow"]
    assert effects(tmp_path / "effects") == []


def test_a_live_child_of_a_killed_parent_keeps_its_execution(
    home: Home, tmp_path: Path, children: Nursery
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    with gate.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        parent = children.start("fork_and_hold", home=home.path, effects=tmp_path / "effects", gate=gate)
        assert "in flight" in [parent.hear(), parent.hear()]
        parent.kill()
        authorizer = home.authorizer()
        assert authorizer.recover() == ()
        assert len(authorizer.ledger.executions()) == 1
    while authorizer.ledger.executions():  # the child goes on, and settles it
        pass
    authorizer.ledger.close()
    assert [one.phase for one in verified_receipts(home)] == ["decision", "execution"]
    assert len(effects(tmp_path / "effects")) == 1
