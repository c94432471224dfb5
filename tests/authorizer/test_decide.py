"""A person's yes or no: who may give it, how many are needed, and what does not count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from delego_authorizer import ApprovalUnknown, Authorizer, NoteError, PrincipalError
from houses import CONFIG, FakeClock, order, park, receipts, share, story, verified

Build = Callable[..., Authorizer]
TWO = replace(CONFIG, approvers=("alice", "bob", "carol"), required_approvers=2)


def refused(authorizer: Authorizer, approval_id: str, decision: Any, who: str) -> str:
    """Deciding must count for nothing, and be recorded; why."""
    before = authorizer.ledger.approval(approval_id)
    said = authorizer.decide(approval_id, decision, who)
    assert not said.accepted
    assert said.refusal is not None
    assert said.receipt == authorizer.ledger.head()
    last = receipts(authorizer.ledger)[-1]
    assert (last.phase, last.outcome, last.approval_id, last.rule) == ("decision", "deny", approval_id, None)
    assert last.reasons[0] == f"decision by {who!r} refused: {said.refusal}"
    after = authorizer.ledger.approval(approval_id)
    assert before is not None
    assert after in (before, replace(before, status="expired"))
    assert said.approval == after
    return said.refusal


def test_a_yes_is_counted_and_written_down(build: Build, clock: FakeClock) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    clock.pass_seconds(10)
    said = authorizer.decide(approval_id, "approve", "alice", note="fine by me")
    assert said.accepted
    assert said.refusal is None
    assert (said.approval.status, said.approval.approved_by) == ("approved", ("alice",))
    assert said.approval.decision_note == "fine by me"
    assert said.approval.release_by == clock() + CONFIG.release_window * 1_000_000
    assert said.approval == authorizer.ledger.approval(approval_id)
    receipt = receipts(authorizer.ledger)[-1]
    assert (receipt.phase, receipt.outcome, receipt.rule) == ("decision", "allow", None)
    assert receipt.reasons[0] == "human approved by 'alice'"
    assert receipt.reasons[1].startswith("policy sha256:")
    assert receipt.action_fingerprint == order().fingerprint
    assert receipt.approval_id == approval_id
    assert authorizer.pending() == ()
    verified(authorizer.ledger)


def test_a_no_is_final(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    said = authorizer.decide(approval_id, "deny", "bob")
    assert (said.accepted, said.approval.status, said.approval.denied_by) == (True, "denied", "bob")
    assert story(authorizer.ledger)[-1] == "decision/deny: human denied by 'bob'"
    assert refused(authorizer, approval_id, "approve", "alice") == "approval is already denied"


def test_only_a_configured_approver_may_decide_and_anybody_where_none_is_configured(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    assert refused(authorizer, approval_id, "approve", "mallory") == (
        "'mallory' is not one of the configured approvers"
    )
    assert refused(authorizer, approval_id, "deny", "mallory").startswith("'mallory' is not one")
    open_to_all = build(config=replace(CONFIG, approvers=()))
    assert open_to_all.decide(approval_id, "approve", "mallory").accepted


def test_who_proposed_may_not_approve_but_may_deny_unless_configured_otherwise(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order(), "alice")
    assert refused(authorizer, approval_id, "approve", "alice").endswith("may not approve it")
    assert authorizer.decide(approval_id, "deny", "alice").accepted
    lenient = build(config=replace(CONFIG, separate_duties=False))
    assert lenient.decide(park(authorizer, order(), "alice"), "approve", "alice").accepted


def test_distinct_approvers_are_counted_until_there_are_enough(build: Build) -> None:
    authorizer = build(config=TWO)
    approval_id = park(authorizer, order())
    first = authorizer.decide(approval_id, "approve", "alice")
    assert (first.accepted, first.approval.status, first.approval.release_by) == (True, "pending", None)
    assert receipts(authorizer.ledger)[-1].reasons[1] == "approval 1 of 2"
    assert refused(authorizer, approval_id, "approve", "alice") == "'alice' has already approved this action"
    assert authorizer.resolve(approval_id, order()).outcome == "needs_approval"
    second = authorizer.decide(approval_id, "approve", "carol")
    assert (second.approval.status, second.approval.approved_by) == ("approved", ("alice", "carol"))
    assert authorizer.resolve(approval_id, order()).reasons[0] == "human approved by 'alice, carol'"


def test_one_no_outweighs_an_earlier_yes_be_it_ones_own(build: Build) -> None:
    authorizer = build(config=TWO)
    for who in ("bob", "alice"):
        approval_id = park(authorizer, order())
        authorizer.decide(approval_id, "approve", "alice")
        assert authorizer.decide(approval_id, "deny", who).approval.status == "denied"


def test_a_decision_that_comes_too_late_expires_the_approval(build: Build, clock: FakeClock) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    clock.pass_seconds(CONFIG.approval_lifetime)
    assert authorizer.pending() == ()
    assert refused(authorizer, approval_id, "approve", "alice").startswith("approval expired at ")
    assert [one.id for one in authorizer.ledger.approvals("expired")] == [approval_id]


def test_what_was_used_takes_no_more_decisions(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    authorizer.decide(approval_id, "approve", "alice")
    assert refused(authorizer, approval_id, "deny", "bob") == "approval is already approved"
    authorizer.resolve(approval_id, order())
    assert refused(authorizer, approval_id, "deny", "bob") == "approval is already consumed"


def test_a_later_note_replaces_an_earlier_one_and_silence_does_not(build: Build) -> None:
    authorizer = build(config=TWO)
    approval_id = park(authorizer, order())
    authorizer.decide(approval_id, "approve", "alice", note="first")
    assert authorizer.decide(approval_id, "approve", "bob").approval.decision_note == "first"


@pytest.mark.parametrize("text", ["", "apr_none", "\ud800", "x" * 5000, "apr\n"])
def test_an_unknown_approval_is_an_error_by_name(build: Build, text: str) -> None:
    authorizer = build()
    for ask in (
        lambda: authorizer.decide(text, "approve", "alice"),
        lambda: authorizer.ballot(text, "alice"),
    ):
        with pytest.raises(ApprovalUnknown, match="'delego pending' lists the open ones") as caught:
            ask()
        assert len(str(caught.value)) < 200
    assert authorizer.ledger.head() is None


@pytest.mark.parametrize("note", ["x" * 2001, "\ud800", 7, b"yes"])
def test_a_note_that_cannot_be_stored_or_signed_is_refused(build: Build, note: Any) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    with pytest.raises(NoteError, match="a note"):
        authorizer.decide(approval_id, "approve", "alice", note=note)
    assert authorizer.decide(approval_id, "approve", "alice", note="").accepted


def test_misuse_is_an_error_and_leaves_no_trace(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order())
    wrong: Any = "yes"
    with pytest.raises(ValueError, match="must be 'approve' or 'deny'"):
        authorizer.decide(approval_id, wrong, "alice")
    with pytest.raises(PrincipalError):
        authorizer.decide(approval_id, "approve", "al ice")
    assert len(receipts(authorizer.ledger)) == 1


def test_pending_lists_what_waits_oldest_first(build: Build, clock: FakeClock) -> None:
    authorizer = build()
    ids = []
    for number in range(3):
        ids.append(park(authorizer, order(number)))
        clock.pass_seconds(1)
    authorizer.propose(share())
    authorizer.decide(ids[1], "deny", "alice")
    assert [one.id for one in authorizer.pending()] == [ids[0], ids[2]]


def test_a_ballot_shows_all_that_is_bound(build: Build) -> None:
    authorizer = build()
    approval_id = park(authorizer, order(7, note="a\u200bb"))
    ballot = authorizer.ballot(approval_id, "alice")
    for text in ("place an order", "POST", "https", "api.example.com", "/orders", "7", "\\u{200b}"):
        assert text in ballot.text
    assert ballot.nonce != authorizer.ballot(approval_id, "bob").nonce
    assert ballot == authorizer.ballot(approval_id, "alice")
