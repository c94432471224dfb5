"""Approvals: one yes, for one action and one instruction, released once; guards in the protocol's order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.approvals import (
    ALREADY_USED,
    Approval,
    Status,
    approved_reason,
    expired_reason,
    guard_decision,
    guard_release,
)
from delego_spec.timestamps import format_ts
from delego_spec.types import ApprovalId, Micros

ACTION = Action("place an order", "POST", "https://api.example.com/orders", {"amount": 9000})
SUBSTITUTE = Action("place an order", "POST", "https://api.example.com/orders", {"amount": 9000, "to": "x"})
REPOINTED = Action("pay my rent", "POST", "https://api.example.com/orders", {"amount": 9000})
BOTH = Action("pay my rent", "POST", "https://api.example.com/orders", {"amount": 1})

START = Micros(1_767_225_600_000_000)
EXPIRY = Micros(START + 1000)
RELEASE_BY = Micros(START + 2000)

MISMATCH = (
    "approval/action mismatch: this approval was issued for a different action "
    "(possible confused-deputy / substituted action); "
    'the approval was issued for: POST api.example.com/orders {"amount":9000}'
)
INTENT_MISMATCH = (
    "approval/intent mismatch: this approval was issued for a different instruction; "
    "the approval was issued for: 'place an order'"
)


def approval(status: Status = "pending", **change: Any) -> Approval:
    parked = Approval(
        id=ApprovalId("a-1"),
        status=status,
        action_fingerprint=ACTION.fingerprint,
        intent_hash=ACTION.intent_hash,
        instruction=ACTION.instruction,
        summary=ACTION.summary,
        rule="large orders",
        proposer="agent-1",
        created_at=START,
    )
    return replace(parked, **change)


def outcome(parked: Approval | None, action: Action = ACTION, now: int = START) -> tuple[Any, ...]:
    found = guard_release("a-1", parked, action, now=Micros(now))
    return found.outcome, found.reasons, found.rule, found.status_after


# --- releasing --------------------------------------------------------------------------------------------


def test_an_approved_action_may_be_released_under_the_rule_it_was_parked_under() -> None:
    parked = approval("approved", approved_by=("alice",))
    assert outcome(parked) == ("allow", ("human approved by 'alice'",), "large orders", "consumed")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ("needs_approval", ("awaiting human approval",), "large orders", "pending")),
        ("denied", ("deny", ("human denied this action",), None, "denied")),
        ("expired", ("deny", ("approval expired",), None, "expired")),
        (
            "consumed",
            (
                "deny",
                ("approval already used: this single-use approval has already released its action",),
                None,
                "consumed",
            ),
        ),
    ],
)
def test_no_other_status_releases(status: Status, expected: tuple[Any, ...]) -> None:
    assert outcome(approval(status)) == expected


def test_an_unknown_id_is_refused_and_quoted() -> None:
    assert outcome(None) == ("deny", ("unknown approval id 'a-1'",), None, None)


@pytest.mark.parametrize("status", get_args(Status))
def test_another_action_is_refused_whatever_the_status(status: Status) -> None:
    for action in (SUBSTITUTE, BOTH):
        assert outcome(approval(status, approved_by=("alice",)), action) == (
            "deny",
            (MISMATCH,),
            None,
            status,
        )


@pytest.mark.parametrize("status", get_args(Status))
def test_another_instruction_is_refused_whatever_the_status(status: Status) -> None:
    parked = approval(status, approved_by=("alice",))
    assert outcome(parked, REPOINTED) == ("deny", (INTENT_MISMATCH,), None, status)


def test_another_scheme_is_another_action_where_the_scheme_is_known() -> None:
    plain = Action("place an order", "POST", "http://api.example.com/orders", {"amount": 9000})
    assert plain.fingerprint == ACTION.fingerprint
    parked = approval("approved", approved_by=("alice",))
    assert outcome(replace(parked, scheme="https"), plain)[:2] == ("deny", (MISMATCH,))
    assert outcome(replace(parked, scheme="https"))[0] == "allow"
    assert outcome(parked, plain)[0] == "allow"


def test_several_approvers_are_all_named() -> None:
    parked = approval("approved", approved_by=("alice", "bob's"))
    assert approved_reason(parked) == 'human approved by "alice, bob\'s"'


# --- time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [START, EXPIRY - 1])
def test_before_its_time_is_up_a_pending_approval_waits(now: int) -> None:
    assert outcome(approval(expires_at=EXPIRY), now=now)[0] == "needs_approval"


@pytest.mark.parametrize("now", [EXPIRY, EXPIRY + 1])
def test_from_its_time_on_a_pending_approval_is_expired_though_stored_as_pending(now: int) -> None:
    parked = approval(expires_at=EXPIRY, release_by=RELEASE_BY)
    reason = f"approval expired at {format_ts(EXPIRY)}"
    assert outcome(parked, now=now) == ("deny", (reason,), None, "expired")
    assert parked.expired_at == EXPIRY


def test_an_approved_action_has_a_time_limit_of_its_own() -> None:
    parked = approval("approved", approved_by=("alice",), expires_at=EXPIRY, release_by=RELEASE_BY)
    assert outcome(parked, now=EXPIRY)[0] == "allow"
    assert outcome(parked, now=RELEASE_BY - 1)[0] == "allow"
    assert outcome(parked, now=RELEASE_BY)[1] == (f"approval expired at {format_ts(RELEASE_BY)}",)
    assert parked.expired_at == RELEASE_BY


@pytest.mark.parametrize("status", ["denied", "consumed"])
def test_time_does_nothing_to_a_final_status(status: Status) -> None:
    parked = approval(status, expires_at=EXPIRY, release_by=RELEASE_BY)
    assert parked.status_at(Micros(RELEASE_BY + 1)) == status
    assert parked.expired_at is None


def test_a_stored_expiry_says_when() -> None:
    assert approval("expired", expires_at=EXPIRY).expired_at == EXPIRY
    late = approval("expired", expires_at=EXPIRY, release_by=RELEASE_BY, approved_by=("alice",))
    assert expired_reason(late) == f"approval expired at {format_ts(RELEASE_BY)}"
    assert expired_reason(replace(late, release_by=None)) == f"approval expired at {format_ts(EXPIRY)}"
    assert expired_reason(approval("expired")) == "approval expired"


# --- deciding ---------------------------------------------------------------------------------------------


def vote(
    parked: Approval,
    decision: Literal["approve", "deny"] = "approve",
    approver: str = "alice",
    now: int = START,
    separate_duties: bool = True,
) -> tuple[Any, ...]:
    found = guard_decision(parked, decision, approver, now=Micros(now), separate_duties=separate_duties)
    return found.accepted, found.status_after, found.approved_by, found.refusal


def test_one_yes_approves_where_one_is_required() -> None:
    assert vote(approval()) == (True, "approved", ("alice",), None)


def test_one_no_is_final_however_many_said_yes() -> None:
    parked = approval(required_approvers=3, approved_by=("alice", "bob"))
    assert vote(parked, "deny", "carol") == (True, "denied", ("alice", "bob"), None)
    assert vote(parked, "deny", "alice") == (True, "denied", ("alice", "bob"), None)


def test_distinct_people_are_counted() -> None:
    parked = approval(required_approvers=2)
    assert vote(parked) == (True, "pending", ("alice",), None)
    half = replace(parked, approved_by=("alice",))
    assert vote(half) == (False, "pending", ("alice",), "'alice' has already approved this action")
    assert vote(half, approver="bob") == (True, "approved", ("alice", "bob"), None)


def test_whoever_proposed_may_deny_and_may_approve_only_where_duties_are_not_separate() -> None:
    refused = (False, "pending", (), "'agent-1' proposed this action and may not approve it")
    assert vote(approval(), approver="agent-1") == refused
    assert vote(approval(), "deny", "agent-1")[:2] == (True, "denied")
    assert vote(approval(), approver="agent-1", separate_duties=False)[:2] == (True, "approved")


@pytest.mark.parametrize("decision", ["approve", "deny"])
@pytest.mark.parametrize("status", ["approved", "denied", "consumed"])
def test_a_decision_after_the_decision_changes_nothing(status: Status, decision: Any) -> None:
    parked = approval(status, approved_by=("bob",))
    assert vote(parked, decision) == (False, status, ("bob",), f"approval is already {status}")


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_decision_from_the_expiry_on_comes_too_late(decision: Any) -> None:
    parked = approval(expires_at=EXPIRY)
    assert vote(parked, decision, now=EXPIRY - 1)[0]
    expected = (False, "expired", (), f"approval expired at {format_ts(EXPIRY)}")
    assert vote(parked, decision, now=EXPIRY) == expected


# --- the life cycle, against a model ----------------------------------------------------------------------

PEOPLE = ["alice", "bob", "agent-1"]
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("approve"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("deny"), st.sampled_from(PEOPLE)),
        st.tuples(st.just("release"), st.sampled_from([ACTION, SUBSTITUTE, REPOINTED])),
        st.tuples(st.just("wait"), st.integers(0, 900)),
    ),
    max_size=12,
)


class Model:
    """What an approval is, said in another way than in the code: by what has happened to it."""

    def __init__(self, required: int) -> None:
        self.required = required
        self.yes: list[str] = []
        self.no = self.released = False
        self.now = int(START)

    @property
    def status(self) -> str:
        if self.released:
            return "consumed"
        if self.no:
            return "denied"
        approved = len(self.yes) >= self.required
        if self.now >= (RELEASE_BY if approved else EXPIRY):
            return "expired"
        return "approved" if approved else "pending"


@given(EVENTS, st.integers(1, 2))
def test_any_sequence_of_events_releases_at_most_once_and_as_the_model_says(
    events: list[tuple[str, Any]], required: int
) -> None:
    model = Model(required)
    parked = approval(required_approvers=required, expires_at=EXPIRY, release_by=RELEASE_BY)
    releases = 0
    for kind, what in events:
        now = Micros(model.now)
        if kind == "wait":
            # Nothing that has expired comes back: the store writes down what it saw.
            if model.status == "expired":
                continue
            model.now += what
        elif kind == "release":
            may = guard_release("a-1", parked, what, now=now)
            assert (may.outcome == "allow") == (model.status == "approved" and what is ACTION)
            if may.outcome == "allow":
                assert may.status_after == "consumed"
                parked = replace(parked, status="consumed")
                model.released = True
                releases += 1
        else:
            found = guard_decision(parked, kind, what, now=now, separate_duties=True)  # type: ignore[arg-type]  # one of the two
            counts = model.status == "pending" and (
                kind == "deny" or (what != "agent-1" and what not in model.yes)
            )
            assert found.accepted == counts
            if counts:
                parked = replace(parked, status=found.status_after, approved_by=found.approved_by)
                if kind == "deny":
                    model.no = True
                else:
                    model.yes.append(what)
        assert parked.status_at(Micros(model.now)) == model.status
        if parked.status in ("denied", "consumed", "expired"):
            assert outcome(parked, now=model.now)[0] == "deny"
    assert releases <= 1
    assert ALREADY_USED in outcome(replace(parked, status="consumed"), now=model.now)[1]
