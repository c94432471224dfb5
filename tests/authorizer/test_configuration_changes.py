"""The configuration is edited between a yes and the release: the yes counts under the new one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ballots import signed_yes
from delego_authorizer import Authorizer, Config
from houses import ALICE_KEY, BOB_KEY, CONFIG, START, Service, order, park

Build = Callable[..., Authorizer]
KEYS = {"alice": ALICE_KEY.public_key, "bob": BOB_KEY.public_key}
ANYBODY = replace(CONFIG, approvers=(), separate_duties=False)


@pytest.mark.parametrize(
    ("before", "approver", "after", "refusal"),
    [
        (CONFIG, "alice", replace(CONFIG, approvers=("bob",)), "0 of 1 approvers"),
        (CONFIG, "alice", replace(CONFIG, required_approvers=2), "1 of 2 approvers"),
        (ANYBODY, "agent", replace(ANYBODY, separate_duties=True), "0 of 1 approvers"),
        (CONFIG, "alice", replace(CONFIG, signed_approvals=True), "0 of 1 valid approver signatures"),
    ],
    ids=["approver taken off", "another approver required", "duties separated", "signatures required"],
)
def test_a_yes_that_would_not_be_enough_now_releases_nothing(
    build: Build, before: Config, approver: str, after: Config, refusal: str
) -> None:
    first = build(config=before)
    approval_id = park(first, order())
    assert first.decide(approval_id, "approve", approver).accepted
    service = Service()
    decision = build(config=after, service=service, approver_keys=KEYS).resolve(approval_id, order())
    assert decision.outcome == "deny"
    assert refusal in decision.reasons[0]
    assert service.calls == 0
    assert build(config=before, service=service).resolve(approval_id, order()).allowed  # nothing was used up


def test_a_signed_yes_of_an_approver_taken_off_the_list_does_not_count_though_the_key_file_stays(
    build: Build,
) -> None:
    config = replace(CONFIG, signed_approvals=True)
    first = build(config=config, approver_keys=KEYS)
    approval_id = park(first, order())
    yes = signed_yes(first.ballot(approval_id, "alice"), ALICE_KEY, START)
    assert first.decide(approval_id, "approve", "alice", callback=yes.callback).accepted
    without_alice = build(config=replace(config, approvers=("bob",)), approver_keys=KEYS)
    assert "0 of 1 valid approver signatures" in without_alice.resolve(approval_id, order()).reasons[0]


def test_an_approval_parked_for_one_yes_waits_for_the_second_that_is_required_since(build: Build) -> None:
    approval_id = park(build(), order())
    service = Service()
    authorizer = build(config=replace(CONFIG, required_approvers=2), service=service)
    assert authorizer.decide(approval_id, "approve", "alice").approval.status == "pending"
    assert authorizer.resolve(approval_id, order()).outcome == "needs_approval"
    assert authorizer.decide(approval_id, "approve", "bob").approval.status == "approved"
    assert authorizer.resolve(approval_id, order()).allowed
