"""Releasing what a person approved: this action, this instruction, once, in time (§7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from delego_authorizer import Authorizer
from delego_spec.action import Action
from delego_spec.approvals import ALREADY_USED
from delego_spec.gateway import NotSent
from delego_spec.policy import load_policy
from delego_spec.tokens import Claims, verify_token
from houses import (
    CONFIG,
    TOKEN_KEY,
    FakeClock,
    Service,
    approved,
    few_orders,
    order,
    park,
    read,
    receipts,
    story,
    verified,
)

Build = Callable[..., Authorizer]


def refusal(authorizer: Authorizer, approval_id: str, action: Action) -> str:
    """Resolving must be refused with a receipt that says why; the reason."""
    before = len(receipts(authorizer.ledger))
    decision = authorizer.resolve(approval_id, action)
    assert (decision.outcome, decision.rule, decision.executed) == ("deny", None, False)
    (receipt,) = receipts(authorizer.ledger)[before:]
    assert (receipt.phase, receipt.outcome, receipt.rule) == ("execution", "deny", None)
    assert receipt.reasons == decision.reasons
    assert receipt.action_fingerprint == action.fingerprint
    return decision.reasons[0]


def test_an_approved_action_is_released_once_under_the_rule_it_was_parked_under(build: Build) -> None:
    service = Service(lambda _: {"order": 1})
    authorizer = build(service=service)
    approval_id = approved(authorizer, order())
    decision = authorizer.resolve(approval_id, order())
    assert (decision.outcome, decision.rule, decision.executed) == ("allow", "order", True)
    assert decision.reasons == ("human approved by 'alice'", "executed via broker")
    assert (decision.result, decision.approval_id) == ({"order": 1}, approval_id)
    assert story(authorizer.ledger) == [
        "decision/needs_approval: amount: 100 within max 5000",
        "decision/allow: human approved by 'alice'",
        "decision/allow: authorized by rule 'order'; execution follows",
        "execution/allow: human approved by 'alice'",
    ]
    assert {one.approval_id for one in receipts(authorizer.ledger)} == {approval_id}
    assert refusal(authorizer, approval_id, order()) == ALREADY_USED
    assert service.calls == 1
    verified(authorizer.ledger)


def test_a_pending_action_waits_without_a_receipt_and_an_unknown_one_is_denied_with_one(build: Build) -> None:
    authorizer = build(service=Service())
    approval_id = park(authorizer, order())
    decision = authorizer.resolve(approval_id, order())
    assert (decision.outcome, decision.reasons) == ("needs_approval", ("awaiting human approval",))
    assert (decision.rule, decision.approval_id, decision.receipt) == ("order", approval_id, None)
    assert len(receipts(authorizer.ledger)) == 1
    assert refusal(authorizer, "apr_none", order()) == "unknown approval id 'apr_none'"
    assert receipts(authorizer.ledger)[-1].approval_id == "apr_none"


@pytest.mark.parametrize(
    "text", ["", "a b", "x" * 81, "apr\n", "\ud800", "'; DROP TABLE approvals --", "ä", "\0"]
)
def test_what_is_no_id_is_unknown_and_stands_only_quoted_in_the_receipt(build: Build, text: str) -> None:
    authorizer = build(service=Service())
    assert refusal(authorizer, text, order()) == f"unknown approval id {text[:80]!r}"
    assert receipts(authorizer.ledger)[-1].approval_id is None
    verified(authorizer.ledger)


def elsewhere(method: str, url: str) -> Action:
    """The order, sent by another method or to another place."""
    return Action("place an order", method, url, {"amount": 100})


@pytest.mark.parametrize("status", ["pending", "approved", "denied", "consumed", "expired"])
@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (order(recipient="attacker"), "approval/action mismatch: "),
        (order(101), "approval/action mismatch: "),
        (
            Action("place an order", "POST", "https://api.example.com/orders?n=1", {"amount": 100}),
            "approval/action",
        ),
        (
            Action("place an order", "POST", "https://api.example.org/orders", {"amount": 100}),
            "approval/action",
        ),
        (
            Action("place an order", "PUT", "https://api.example.com/orders", {"amount": 100}),
            "approval/action",
        ),
        (order(instruction="pay the attacker"), "approval/intent mismatch: "),
    ],
)
def test_another_action_or_instruction_is_refused_whatever_the_status(
    build: Build, clock: FakeClock, status: str, other: Action, reason: str
) -> None:
    service = Service()
    authorizer = build(service=service)
    approval_id = park(authorizer, order())
    if status in ("approved", "consumed"):
        authorizer.decide(approval_id, "approve", "alice")
    if status == "consumed":
        authorizer.resolve(approval_id, order())
    if status == "denied":
        authorizer.decide(approval_id, "deny", "alice")
    if status == "expired":
        clock.pass_seconds(CONFIG.approval_lifetime)
    calls = service.calls
    assert refusal(authorizer, approval_id, other).startswith(reason)
    assert service.calls == calls
    if status == "approved":  # an attempt with something else uses nothing up
        assert authorizer.resolve(approval_id, order()).executed


def test_a_mismatch_names_what_the_approval_was_for(build: Build) -> None:
    authorizer = build()
    approval_id = approved(authorizer, order())
    assert refusal(authorizer, approval_id, order(7)).endswith(
        f"the approval was issued for: {order().summary}"
    )
    text = refusal(authorizer, approval_id, order(instruction="x"))
    assert text.endswith("the approval was issued for: 'place an order'")


def test_an_approval_of_https_does_not_release_plain_http(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    approval_id = approved(authorizer, order())
    plain = Action("place an order", "POST", "http://api.example.com/orders", {"amount": 100})
    assert plain.fingerprint == order().fingerprint
    refusal(authorizer, approval_id, plain)
    assert service.calls == 0


def test_a_hazard_refuses_even_what_was_approved(build: Build) -> None:
    """A host that was taken off the list of plain-http hosts between the yes and the release."""
    action = Action("place an order", "POST", "http://shop.example.com/orders", {"amount": 100})
    listed = replace(CONFIG, plain_http_hosts=frozenset({"shop.example.com"}))
    approval_id = approved(build(config=listed), action)
    service = Service()
    assert refusal(build(service=service), approval_id, action).startswith("hazard: scheme: ")
    assert service.calls == 0
    assert build(service=service, config=listed).resolve(approval_id, action).executed


def test_an_approval_releases_only_its_own_action_and_not_its_twins(build: Build) -> None:
    """Two approvals of the same action are two: each releases once (P4)."""
    service = Service()
    authorizer = build(service=service)
    first, second = approved(authorizer, order()), approved(authorizer, order())
    assert authorizer.resolve(first, order()).executed
    assert refusal(authorizer, first, order()) == ALREADY_USED
    assert authorizer.resolve(second, order()).executed
    assert service.calls == 2


def test_a_denied_action_stays_denied(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    authorizer.decide(approval_id, "deny", "alice")
    assert refusal(authorizer, approval_id, order()) == "human denied this action"


def test_an_approval_expires_undecided_and_an_approved_one_unreleased(build: Build, clock: FakeClock) -> None:
    config = replace(CONFIG, approval_lifetime=100, release_window=10)
    authorizer = build(config=config)
    undecided = park(authorizer, order())
    clock.pass_seconds(99)
    decided = park(authorizer, order())
    assert authorizer.decide(decided, "approve", "alice").accepted
    assert authorizer.resolve(undecided, order()).outcome == "needs_approval"
    clock.pass_seconds(1)
    assert refusal(authorizer, undecided, order()) == "approval expired at 2025-10-09T08:55:00.000000+00:00"
    assert [one.id for one in authorizer.ledger.approvals("expired")] == [undecided]
    clock.pass_seconds(9)
    assert refusal(authorizer, decided, order()).startswith("approval expired at ")
    assert refusal(authorizer, decided, order()).startswith("approval expired at ")  # and stays so
    assert len(authorizer.ledger.approvals("expired")) == 2


def test_a_yes_in_time_is_released_until_its_window_ends(build: Build, clock: FakeClock) -> None:
    authorizer = build(config=replace(CONFIG, approval_lifetime=100, release_window=1000))
    approval_id = approved(authorizer, order())
    clock.pass_seconds(999.999)
    assert authorizer.resolve(approval_id, order()).allowed


def test_a_rate_limit_holds_for_releases_and_uses_no_approval_up(build: Build, clock: FakeClock) -> None:
    authorizer = build(service=Service())
    ids = [approved(authorizer, few_orders(number)) for number in range(4)]
    for number in range(3):
        assert authorizer.resolve(ids[number], few_orders(number)).allowed
    assert refusal(authorizer, ids[3], few_orders(3)) == "rate_limit: 3/3 per hour already used"
    assert [one.id for one in authorizer.ledger.approvals("approved")] == [ids[3]]
    clock.pass_seconds(3599)
    park(authorizer, order())  # time goes on for the ledger
    clock.pass_seconds(0.5)
    assert refusal(authorizer, ids[3], few_orders(3)).startswith("rate_limit: ")


def test_what_was_parked_by_default_or_under_a_rule_that_is_gone_is_released(build: Build) -> None:
    by_default = approved(build(policy=load_policy("default: needs_approval")), read())
    by_rule = approved(build(), order())
    authorizer = build(policy=load_policy("default: deny"))
    assert authorizer.resolve(by_default, read()).rule is None
    assert authorizer.resolve(by_rule, order()).rule == "order"
    assert story(authorizer.ledger)[-4] == "decision/allow: authorized by the default; execution follows"


def test_an_action_edited_after_it_was_hashed_is_not_released(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    approval_id = approved(authorizer, order())
    action = order()
    action.params["recipient"] = "attacker"
    assert refusal(authorizer, approval_id, action).startswith("the action was changed after it was made")
    assert service.calls == 0
    assert authorizer.resolve(approval_id, order()).executed


def test_a_released_action_carries_a_token_that_names_its_approval(build: Build, clock: FakeClock) -> None:
    config = replace(CONFIG, audience="broker")
    authorizer = build(config=config, token_signer=TOKEN_KEY)
    approval_id = approved(authorizer, order())
    decision = authorizer.resolve(approval_id, order(), "runner")
    public = TOKEN_KEY.public_key
    now: Any = clock() // 1_000_000
    claims = verify_token(decision.token, keys={public.key_id: public}, audience="broker", now=now)
    assert isinstance(claims, Claims)
    assert (claims.apr, claims.sub, claims.pol) == (approval_id, "runner", (1, "order"))


def test_a_refused_broker_call_uses_the_approval_up(build: Build) -> None:
    """Whether anything left the house is the broker's word alone; a second try needs a second yes."""

    def service(_: object) -> None:
        raise NotSent("no route to host")

    authorizer = build(service=service)
    approval_id = approved(authorizer, order())
    decision = authorizer.resolve(approval_id, order())
    assert (decision.outcome, decision.executed) == ("deny", False)
    assert refusal(authorizer, approval_id, order()) == ALREADY_USED


def test_two_engines_of_one_ledger_share_its_approvals(build: Build) -> None:
    service = Service()
    first, second = build(service=service), build(service=service)
    approval_id = approved(first, order())
    assert second.resolve(approval_id, order()).executed
    assert first.resolve(approval_id, order()).reasons == (ALREADY_USED,)
    assert service.calls == 1


def test_what_was_forbidden_since_the_yes_is_not_released_and_not_used_up(build: Build) -> None:
    approval_id = approved(build(), order())
    braked = build(policy=load_policy("{default: deny, forbidden: [{name: stop, match: {path: /orders}}]}"))
    assert refusal(braked, approval_id, order()) == "forbidden: stop"
    assert build(service=Service()).resolve(approval_id, order()).executed
