"""After a crash: what nobody will settle any more is recorded as unknown, once, and nothing is sent again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from delego_authorizer import Authorizer
from delego_authorizer.owner import this_process
from delego_authorizer.settling import GONE, OVERDUE
from delego_ledger.contract import Execution, Owner
from delego_spec.action import Action
from delego_spec.approvals import ALREADY_USED
from houses import START, FakeClock, Service, approved, few, order, read, receipts, story, verified

Build = Callable[..., Authorizer]
GONE_OWNER = Owner(this_process().host, 2**22 + 1, "1")  # above the greatest pid of any Linux


class CrashError(BaseException):
    """The process ends between the write-ahead receipt and the call of the broker."""


def crash(
    build: Build, action: Action | None = None, *, owner: Owner | None = None, approval_id: str | None = None
) -> Execution:
    """Leave an execution in flight, as a process that was killed would. ``owner``: that process."""

    def die(*_: object) -> None:
        raise CrashError

    authorizer = build(service=Service())
    authorizer._execute = die  # type: ignore[method-assign,assignment]  # the moment of the crash
    proposed = action or read()
    with pytest.raises(CrashError):
        _release(authorizer, proposed, approval_id)
    (execution,) = authorizer.ledger.executions()
    if owner is None:
        return execution
    abandoned = replace(execution, owner=owner)
    with authorizer.ledger.transaction() as transaction:
        transaction.settle_execution(execution.id)
        transaction.start_execution(abandoned)
    return abandoned


def _release(authorizer: Authorizer, action: Action, approval_id: str | None) -> None:
    if approval_id is None:
        authorizer.propose(action)
    else:
        authorizer.resolve(approval_id, action)


def test_an_execution_says_whose_it_is_and_when_others_may_give_it_up(build: Build) -> None:
    execution = crash(build)
    assert execution.owner == this_process()
    assert execution.owner.pid == os.getpid()
    assert execution.started_at == START
    assert execution.deadline == START + 60_000_000  # the broker's time-out, and some grace


def test_each_of_a_batch_waits_for_those_before_it(build: Build) -> None:
    seen: list[list[int]] = []

    def service(_: object) -> None:
        seen.append(sorted(one.deadline - START for one in authorizer.ledger.executions()))

    authorizer = build(service=service)
    authorizer.propose_many([read(), read(), read()])
    assert seen[0] == [60_000_000, 90_000_000, 120_000_000]


def test_what_a_dead_process_left_is_settled_as_unknown_and_counts_as_an_allow(build: Build) -> None:
    execution = crash(build, few(), owner=GONE_OWNER)
    service = Service()
    authorizer = build(service=service)
    assert authorizer.recover() == (execution,)
    last = receipts(authorizer.ledger)[-1]
    assert (last.phase, last.outcome, last.rule) == ("execution", "allow", "few")
    assert last.reasons == ("rate_limit: 1/3 per hour", GONE)
    assert authorizer.recover() == ()
    assert service.calls == 0
    assert authorizer.propose(few()).reasons[0] == "rate_limit: 2/3 per hour"
    verified(authorizer.ledger)


def test_what_a_live_process_runs_is_left_alone_until_its_deadline(build: Build, clock: FakeClock) -> None:
    execution = crash(build)
    authorizer = build()
    clock.pass_seconds(59.999)
    assert authorizer.recover() == ()
    clock.pass_seconds(0.001)
    assert authorizer.recover() == (execution,)
    assert receipts(authorizer.ledger)[-1].reasons[-1] == OVERDUE


def test_an_approval_whose_release_crashed_stays_used(build: Build) -> None:
    approval_id = approved(build(), order())
    crash(build, order(), owner=GONE_OWNER, approval_id=approval_id)
    authorizer = build(service=Service())
    assert len(authorizer.recover()) == 1
    assert receipts(authorizer.ledger)[-1].approval_id == approval_id
    assert authorizer.resolve(approval_id, order()).reasons == (ALREADY_USED,)


def test_of_two_that_recover_at_once_each_execution_is_settled_by_one(build: Build) -> None:
    crash(build, owner=GONE_OWNER)
    first, second = build(), build()
    stale = first.ledger.executions()
    assert len(second.recover()) == 1
    first.ledger.executions = lambda: stale  # type: ignore[method-assign]  # read before the other settled
    assert first.recover() == ()
    assert story(second.ledger)[1:] == ["execution/allow: matched rule 'read'"]


def test_whoever_listens_is_told_of_a_recovery(build: Build) -> None:
    crash(build, owner=GONE_OWNER)
    told: list[object] = []
    authorizer = build(on_receipt=told.append)
    authorizer.recover()
    assert told == [authorizer.ledger.head()]
