"""Decisions signed by the approver's own key: what counts, what is kept, and what an audit finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from delego_authorizer import Authorizer, HumanDecision
from delego_spec.audit import ApprovalAudit
from delego_spec.callbacks import DecisionCallback, sign_decision
from delego_spec.ed25519 import SeedSigner
from delego_spec.types import ApprovalId, Digest, KeyId
from houses import (
    ALICE_KEY,
    BOB_KEY,
    CONFIG,
    LEDGER_KEY,
    FakeClock,
    Service,
    order,
    park,
    read,
    receipts,
    verified,
)

Build = Callable[..., Authorizer]
SIGNED = replace(CONFIG, signed_approvals=True)
KEYS = {"alice": ALICE_KEY.public_key, "bob": BOB_KEY.public_key}
SIGNERS = {"alice": ALICE_KEY, "bob": BOB_KEY}


@pytest.fixture
def authorizer(build: Build) -> Authorizer:
    return build(config=SIGNED, approver_keys=KEYS, service=Service())


def callback(
    authorizer: Authorizer, approval_id: str, clock: FakeClock, who: str = "alice", **changed: Any
) -> DecisionCallback:
    """What ``who`` signs over their ballot; ``changed``: what is signed otherwise."""
    ballot = authorizer.ballot(approval_id, who)
    fields: dict[str, Any] = {
        "decision": "approve",
        "signer": SIGNERS[who],
        "approval_id": changed.pop("about", ballot.approval.id),
        "nonce": ballot.nonce,
        "ts": clock(),
        "action_fingerprint": ballot.approval.action_fingerprint,
        "intent_hash": ballot.approval.intent_hash,
        "display_hash": ballot.display_hash,
        **changed,
    }
    return sign_decision(fields.pop("decision"), **fields).callback


def decided(
    authorizer: Authorizer, approval_id: str, signed: DecisionCallback, who: str = "alice"
) -> HumanDecision:
    return authorizer.decide(approval_id, signed.decision, who, note=signed.decision_note, callback=signed)


def audit(authorizer: Authorizer, keys: Any = KEYS, required: int = 1) -> list[str]:
    checker = ApprovalAudit(keys, authorizer.ledger.evidence, required_approvers=required)
    return [problem for receipt in receipts(authorizer.ledger) for problem in checker.check(receipt)]


def test_a_signed_yes_counts_its_evidence_is_kept_and_an_audit_finds_it(
    authorizer: Authorizer, clock: FakeClock
) -> None:
    approval_id = park(authorizer, order())
    said = decided(authorizer, approval_id, callback(authorizer, approval_id, clock, decision_note="fine"))
    assert said.accepted
    reasons = receipts(authorizer.ledger)[-1].reasons
    assert reasons[0] == "human approved by 'alice'"
    named = reasons[1].removeprefix("approval evidence sha256:")
    evidence = authorizer.ledger.evidence(named)
    assert evidence is not None
    assert evidence["action_fingerprint"] == order().fingerprint
    assert authorizer.resolve(approval_id, order()).executed
    assert audit(authorizer) == []
    verified(authorizer.ledger)


def test_a_signed_no_counts_as_well(authorizer: Authorizer, clock: FakeClock) -> None:
    approval_id = park(authorizer, order())
    said = decided(authorizer, approval_id, callback(authorizer, approval_id, clock, decision="deny"))
    assert said.approval.status == "denied"


def test_where_signatures_are_demanded_a_bare_decision_counts_for_nothing(authorizer: Authorizer) -> None:
    approval_id = park(authorizer, order())
    for decision in ("approve", "deny"):
        said = authorizer.decide(approval_id, decision, "alice")  # type: ignore[arg-type]  # both are choices
        assert said.refusal == "it is not signed, and this home accepts signed decisions only"
    assert authorizer.pending()[0].id == approval_id


def test_a_signature_is_checked_even_where_none_is_demanded(build: Build, clock: FakeClock) -> None:
    lenient = build(approver_keys=KEYS)
    approval_id = park(lenient, order())
    wrong = callback(lenient, approval_id, clock, signer=BOB_KEY)
    assert not decided(lenient, approval_id, wrong).accepted
    assert lenient.decide(approval_id, "approve", "alice").accepted


OTHER = read()
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another approval": ({"about": ApprovalId("apr_other")}, "approval: "),
    "another nonce": ({"nonce": "0" * 32}, "nonce: "),
    "another action": ({"action_fingerprint": OTHER.fingerprint}, "signature: "),
    "another intent": ({"intent_hash": OTHER.intent_hash}, "signature: "),
    "another text": ({"display_hash": Digest("0" * 64)}, "signature: "),
    "a colleague's key": ({"signer": BOB_KEY}, "it is signed with the key of 'bob'"),
    "the ledger's key": ({"signer": LEDGER_KEY}, "kid: "),
    "an unknown key": ({"signer": SeedSigner(bytes(32))}, "kid: "),
    "long ago": ({"ts": 1_759_999_000_000_000}, "stale: "),
    "ahead of time": ({"ts": 1_760_009_000_000_000}, "future: "),
}


@pytest.mark.parametrize(("changed", "why"), WRONG.values(), ids=WRONG)
def test_a_signature_over_anything_else_leaves_the_approval_as_it_was_and_is_recorded(
    authorizer: Authorizer, clock: FakeClock, changed: dict[str, Any], why: str
) -> None:
    approval_id = park(authorizer, order())
    before = authorizer.ledger.approval(approval_id)
    said = decided(authorizer, approval_id, callback(authorizer, approval_id, clock, **changed))
    assert not said.accepted
    assert str(said.refusal).startswith(why)
    assert authorizer.ledger.approval(approval_id) == before
    last = receipts(authorizer.ledger)[-1]
    assert last.reasons[0] == f"decision by 'alice' refused: {said.refusal}"
    assert decided(
        authorizer, approval_id, callback(authorizer, approval_id, clock)
    ).accepted  # nonce unspent


@pytest.mark.parametrize(
    "edit",
    [
        {"decision": "deny"},
        {"decision_note": "another note"},
        {"signature": "0" * 128},
        {"signature": "zz"},
        {"kid": KeyId("x" * 5000)},
        {"nonce": "\ud800"},
        {"ts": "yesterday"},
        {"decision_note": "\ud800"},
    ],
)
def test_an_edited_callback_counts_for_nothing(
    authorizer: Authorizer, clock: FakeClock, edit: dict[str, Any]
) -> None:
    approval_id = park(authorizer, order())
    signed = replace(callback(authorizer, approval_id, clock), **edit)
    decision = signed.decision
    said = authorizer.decide(approval_id, decision, "alice", note="another note", callback=signed)
    assert not said.accepted
    assert len(str(said.refusal)) < 500
    verified(authorizer.ledger)


def test_the_signed_decision_and_note_are_the_ones_that_count(
    authorizer: Authorizer, clock: FakeClock
) -> None:
    approval_id = park(authorizer, order())
    signed = callback(authorizer, approval_id, clock)
    for decision, note in (("deny", None), ("approve", "added")):
        said = authorizer.decide(approval_id, decision, "alice", note=note, callback=signed)  # type: ignore[arg-type]
        assert said.refusal == "its signature is over another decision or note"


def test_a_signed_decision_that_is_replayed_counts_once(build: Build, clock: FakeClock) -> None:
    two = build(config=replace(SIGNED, required_approvers=2), approver_keys=KEYS)
    approval_id = park(two, order())
    signed = callback(two, approval_id, clock)
    assert decided(two, approval_id, signed).accepted
    assert str(decided(two, approval_id, signed).refusal).startswith("nonce: ")
    assert two.pending()[0].approved_by == ("alice",)


def test_who_said_yes_may_still_sign_a_no(build: Build, clock: FakeClock) -> None:
    two = build(config=replace(SIGNED, required_approvers=2), approver_keys=KEYS)
    approval_id = park(two, order())
    assert decided(two, approval_id, callback(two, approval_id, clock)).accepted
    said = decided(two, approval_id, callback(two, approval_id, clock, decision="deny"))
    assert (said.accepted, said.approval.status) == (True, "denied")


def test_two_callbacks_over_one_ballot_are_one_decision(authorizer: Authorizer, clock: FakeClock) -> None:
    """Both were signed before either arrived: the nonce lets one through."""
    approval_id = park(authorizer, order())
    ballot = authorizer.ballot(approval_id, "alice")
    signed = [callback(authorizer, approval_id, clock, decision_note=note) for note in ("a", "b")]
    assert signed[0].nonce == signed[1].nonce == ballot.nonce
    assert decided(authorizer, approval_id, signed[0]).accepted
    assert not decided(authorizer, approval_id, signed[1]).accepted


def test_a_nonce_is_spent_once_even_by_two_that_asked_at_once(build: Build, clock: FakeClock) -> None:
    two = build(config=replace(SIGNED, required_approvers=2), approver_keys=KEYS)
    approval_id = park(two, order())
    ballot = two.ballot(approval_id, "alice")
    yes, no = (callback(two, approval_id, clock, decision=word) for word in ("approve", "deny"))
    two.ballot = lambda *_: ballot  # type: ignore[method-assign]  # both read it before either decided
    assert decided(two, approval_id, yes).accepted
    assert decided(two, approval_id, no).refusal == "its nonce was used before"


def test_a_late_signature_expires_nothing_early_and_counts_for_nothing(
    authorizer: Authorizer, clock: FakeClock
) -> None:
    approval_id = park(authorizer, order())
    clock.pass_seconds(CONFIG.approval_lifetime)
    said = decided(authorizer, approval_id, callback(authorizer, approval_id, clock))
    assert str(said.refusal).startswith("late: ")


def test_two_approvers_sign_for_one_action(build: Build, clock: FakeClock) -> None:
    two = build(config=replace(SIGNED, required_approvers=2), approver_keys=KEYS, service=Service())
    approval_id = park(two, order())
    for who in ("alice", "bob"):
        assert decided(two, approval_id, callback(two, approval_id, clock, who), who).accepted
    assert two.resolve(approval_id, order()).executed
    assert audit(two, required=2) == []
    assert audit(two, {"alice": KEYS["alice"]}, required=2) != []


def test_an_audit_rejects_what_was_approved_without_signatures(build: Build) -> None:
    unsigned = build(service=Service())
    approval_id = park(unsigned, order())
    unsigned.decide(approval_id, "approve", "alice")
    unsigned.resolve(approval_id, order())
    assert len(audit(unsigned)) == 3


def write_yes(authorizer: Authorizer, approval_id: str, **more: Any) -> None:
    """What somebody could do who can write the database: an approval that nobody gave."""
    with authorizer.ledger.transaction() as transaction:
        before = transaction.approval(approval_id)
        assert before is not None
        forged = {"status": "approved", "approved_by": ("alice",), "release_by": before.expires_at, **more}
        assert transaction.decide(before, replace(before, **forged))


def test_a_yes_written_into_the_database_releases_nothing(authorizer: Authorizer, clock: FakeClock) -> None:
    signed = park(authorizer, order())
    assert decided(authorizer, signed, callback(authorizer, signed, clock)).accepted
    genuine = authorizer.ledger.approval(signed)
    assert genuine is not None
    for evidence, why in (
        ((), "0 of 1 valid approver signatures"),
        ((Digest("0" * 64),), "the approval evidence"),
        (genuine.evidence, "the approval evidence is for another decision, approval"),
    ):
        forged = park(authorizer, order(7))
        write_yes(authorizer, forged, evidence=evidence)
        decision = authorizer.resolve(forged, order(7))
        assert decision.outcome == "deny"
        assert decision.reasons[0].startswith(f"approval is not signed as it must be: {why}")
    assert authorizer.resolve(signed, order()).executed


def test_a_signature_whose_key_was_withdrawn_releases_nothing(
    authorizer: Authorizer, build: Build, clock: FakeClock
) -> None:
    approval_id = park(authorizer, order())
    assert decided(authorizer, approval_id, callback(authorizer, approval_id, clock)).accepted
    without_alice = build(config=SIGNED, approver_keys={"bob": BOB_KEY.public_key})
    assert "not signed as it must be" in without_alice.resolve(approval_id, order()).reasons[0]
    assert authorizer.resolve(approval_id, order()).executed  # nothing was used up
