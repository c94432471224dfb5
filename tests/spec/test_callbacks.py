"""Notifications and signed decisions (§7.3): the exact signed bytes, and everything that must not count."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.callbacks import (
    CallbackRefusal,
    DecisionCallback,
    Evidence,
    Notification,
    VerifiedDecision,
    evidence_digest,
    sign_decision,
    verify_decision,
    verify_evidence,
)
from delego_spec.display import display_hash
from delego_spec.ed25519 import SeedSigner
from delego_spec.errors import CallbackError, TimestampError
from delego_spec.timestamps import SECOND
from delego_spec.types import ApprovalId, Digest, EpochSeconds, KeyId, Micros
from support import shared

ALICE = SeedSigner(bytes(range(32)))
BOB = SeedSigner(bytes(range(1, 33)))
AGENT = SeedSigner(bytes(range(2, 34)))
KEYS = {signer.public_key.key_id: signer.public_key for signer in (ALICE, BOB)}

ACTION = Action("place an order", "POST", "https://api.example.com/orders", {"amount": 2400})
OTHER = Action("place an order", "POST", "https://api.example.com/orders", {"amount": 2401})
SHOWN = "POST https://api.example.com/orders amount = 2400"
NOW = Micros(1_759_000_000 * SECOND)
EXP = EpochSeconds(1_759_000_600)
ID = ApprovalId("approval-1")
NONCE = "nonce-1"

SIGNED: dict[str, Any] = {
    "signer": ALICE,
    "approval_id": ID,
    "nonce": NONCE,
    "ts": NOW,
    "action_fingerprint": ACTION.fingerprint,
    "intent_hash": ACTION.intent_hash,
    "display_hash": display_hash(SHOWN),
}
EXPECTED: dict[str, Any] = {
    "keys": KEYS,
    "approval_id": ID,
    "nonce": NONCE,
    "action_fingerprint": ACTION.fingerprint,
    "intent_hash": ACTION.intent_hash,
    "display_hash": display_hash(SHOWN),
    "now": NOW,
    "not_after": EXP,
}
NOTIFICATION = Notification(
    approval_id=ID,
    instruction="place an order",
    action_summary=ACTION.summary,
    nonce=NONCE,
    exp=EXP,
    reason="orders over 1000",
    routing_group="finance",
    required_approvers=2,
)
APPROVED = sign_decision("approve", decision_note="fine by me", **SIGNED)


def verdict(callback: DecisionCallback, **expected: Any) -> VerifiedDecision | CallbackRefusal:
    return verify_decision(callback, **{**EXPECTED, **expected})


def code(outcome: object) -> str | None:
    return outcome.code if isinstance(outcome, CallbackRefusal) else None


# What is signed


def test_the_signed_bytes_are_the_prefix_line_and_the_canonical_object() -> None:
    evidence = sign_decision("deny", **SIGNED)
    expected = (
        b"delego-approval-decision-v1\n"
        b'{"action_fingerprint":"' + ACTION.fingerprint.encode() + b'",'
        b'"approval_id":"approval-1","decision":"deny","decision_note":null,'
        b'"display_hash":"' + hashlib.sha256(f'"{SHOWN}"'.encode()).hexdigest().encode() + b'",'
        b'"intent_hash":"' + ACTION.intent_hash.encode() + b'",'
        b'"kid":"' + ALICE.public_key.key_id.encode() + b'","nonce":"nonce-1",'
        b'"ts":"2025-09-27T19:06:40.000000+00:00"}'
    )
    assert evidence.signed_bytes() == expected
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert evidence.callback.signature == private.sign(expected).hex()


def test_a_note_is_signed_as_it_is_written() -> None:
    assert b'"decision_note":"fine by me"' in APPROVED.signed_bytes()
    empty = sign_decision("approve", decision_note="", **SIGNED)
    assert b'"decision_note":""' in empty.signed_bytes()


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_sound_decision_is_verified(decision: Any) -> None:
    evidence = sign_decision(decision, decision_note="ok", **SIGNED)
    assert verdict(evidence.callback) == VerifiedDecision(
        decision=decision, kid=ALICE.public_key.key_id, at=NOW, decision_note="ok", evidence=evidence
    )


def test_each_approver_signs_with_their_own_key() -> None:
    outcome = verdict(sign_decision("approve", **{**SIGNED, "signer": BOB}).callback)
    assert isinstance(outcome, VerifiedDecision)
    assert outcome.kid == BOB.public_key.key_id


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "perhaps"},
        {"approval_id": ""},
        {"nonce": ""},
        {"intent_hash": "00"},
        {"display_hash": str(display_hash(SHOWN)).upper()},
        {"action_fingerprint": None},
        {"decision_note": 5},
        {"decision_note": "\ud800"},
        {"nonce": b"nonce-1"},
    ],
    ids=str,
)
def test_what_could_not_be_verified_is_not_signed(change: dict[str, Any]) -> None:
    with pytest.raises(CallbackError):
        sign_decision(**{"decision": "approve", **SIGNED, **change})


def test_a_decision_before_1970_is_not_signed() -> None:
    with pytest.raises(TimestampError):
        sign_decision("approve", **{**SIGNED, "ts": Micros(-1)})


def test_a_signer_that_answers_for_another_key_signs_nothing() -> None:
    class Confused:
        public_key = ALICE.public_key

        def sign(self, message: bytes) -> bytes:
            return BOB.sign(message)

    with pytest.raises(CallbackError, match="does not fit its public key"):
        sign_decision("approve", **{**SIGNED, "signer": Confused()})


# What does not count


def test_a_deny_turned_into_an_approve_is_refused() -> None:
    denied = sign_decision("deny", **SIGNED).callback
    assert code(verdict(replace(denied, decision="approve"))) == "signature"


def test_an_edited_note_is_refused() -> None:
    for note in ("fine by me!", "", None):
        assert code(verdict(replace(APPROVED.callback, decision_note=note))) == "signature"


def test_an_added_note_is_refused() -> None:
    bare = sign_decision("approve", **SIGNED).callback
    assert code(verdict(replace(bare, decision_note=""))) == "signature"


def test_a_decision_about_another_approval_is_refused() -> None:
    other = sign_decision("approve", **{**SIGNED, "approval_id": ApprovalId("approval-2")}).callback
    assert code(verdict(other)) == "approval"
    assert code(verdict(replace(other, approval_id=ID))) == "signature"


def test_a_replay_from_an_earlier_notification_is_refused() -> None:
    assert code(verdict(APPROVED.callback, nonce="nonce-2")) == "nonce"
    assert code(verdict(replace(APPROVED.callback, nonce="nonce-2"), nonce="nonce-2")) == "signature"


def test_a_moved_time_is_refused() -> None:
    moved = replace(APPROVED.callback, ts="2025-09-27T19:06:41.000000+00:00")
    assert code(verdict(moved)) == "signature"
    same_instant = replace(APPROVED.callback, ts="2025-09-27T19:06:40Z")
    assert code(verdict(same_instant)) == "signature"


def test_swapped_fields_are_refused() -> None:
    swapped = sign_decision(
        "approve", **{**SIGNED, "nonce": str(ID), "approval_id": ApprovalId(NONCE)}
    ).callback
    assert code(verdict(replace(swapped, nonce=NONCE, approval_id=ID))) == "signature"


@pytest.mark.parametrize("field", ["action_fingerprint", "intent_hash", "display_hash"])
def test_a_decision_about_something_else_is_refused(field: str) -> None:
    assert code(verdict(APPROVED.callback, **{field: OTHER.fingerprint})) == "signature"
    elsewhere = sign_decision("approve", **{**SIGNED, field: OTHER.fingerprint}).callback
    assert code(verdict(elsewhere)) == "signature"


def test_a_person_who_saw_another_text_decided_about_something_else() -> None:
    assert code(verdict(APPROVED.callback, display_hash=display_hash(SHOWN + " "))) == "signature"


def test_an_unknown_key_is_refused() -> None:
    assert code(verdict(APPROVED.callback, keys={})) == "kid"


def test_an_agent_cannot_answer_under_its_own_name() -> None:
    assert code(verdict(sign_decision("approve", **{**SIGNED, "signer": AGENT}).callback)) == "kid"


def test_an_agent_cannot_answer_under_an_approvers_name() -> None:
    own = sign_decision("approve", **{**SIGNED, "signer": AGENT}).callback
    assert code(verdict(replace(own, kid=ALICE.public_key.key_id))) == "signature"


def test_one_approver_cannot_answer_for_another() -> None:
    assert code(verdict(replace(APPROVED.callback, kid=BOB.public_key.key_id))) == "signature"


def test_a_decision_counts_until_just_before_the_second_of_expiry() -> None:
    last = Micros(EXP * SECOND - 1)
    callback = sign_decision("approve", **{**SIGNED, "ts": last}).callback
    assert isinstance(verdict(callback, now=last), VerifiedDecision)
    assert code(verdict(callback, now=Micros(last + 1))) == "late"


def test_a_signed_time_may_be_as_far_from_now_as_the_skew() -> None:
    for skew in (0, 5, 60):
        span = skew * SECOND
        for offset, expected in ((-span - 1, "future"), (-span, None), (span, None), (span + 1, "stale")):
            assert code(verdict(APPROVED.callback, now=Micros(NOW + offset), skew=skew)) == expected


def test_the_skew_is_a_minute_unless_told() -> None:
    assert code(verdict(APPROVED.callback, now=Micros(NOW + 60 * SECOND))) is None
    assert code(verdict(APPROVED.callback, now=Micros(NOW + 60 * SECOND + 1))) == "stale"


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "Approve"},
        {"decision": None},
        {"ts": "yesterday"},
        {"ts": "2025-09-27T19:06:40+02:00"},
        {"ts": NOW},
        {"signature": ""},
        {"signature": APPROVED.callback.signature.upper()},
        {"signature": APPROVED.callback.signature + "\n"},
        {"signature": "00" * 65},
        {"kid": ["alice"]},
        {"kid": ""},
        {"nonce": "\ud800"},
        {"decision_note": 1e-9},
    ],
    ids=str,
)
def test_a_callback_of_another_form_is_refused(change: dict[str, Any]) -> None:
    outcome = verdict(replace(APPROVED.callback, **change))
    assert isinstance(outcome, CallbackRefusal)
    assert outcome.code == "malformed"
    assert "\n" not in outcome.message


# Evidence


def test_evidence_verifies_on_its_own() -> None:
    again = Evidence.from_json(APPROVED.to_json())
    assert again == APPROVED
    outcome = verify_evidence(again, KEYS)
    assert isinstance(outcome, VerifiedDecision)
    assert (outcome.decision, outcome.at, outcome.decision_note) == ("approve", NOW, "fine by me")


def test_evidence_holds_what_was_signed_and_the_signature() -> None:
    members = APPROVED.to_mapping()
    signature = members.pop("signature")
    assert signature == APPROVED.callback.signature
    assert len(members) == 9
    body = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    assert APPROVED.signed_bytes() == b"delego-approval-decision-v1\n" + body


def test_any_edit_of_evidence_is_found() -> None:
    for name, value in APPROVED.to_mapping().items():
        assert isinstance(value, str)
        changed = value[:-1] + ("0" if value[-1] != "0" else "1")
        try:
            edited = Evidence.from_mapping({**APPROVED.to_mapping(), name: changed})
        except CallbackError:
            assert name in ("decision", "ts")
            continue
        assert code(verify_evidence(edited, KEYS)) == ("kid" if name == "kid" else "signature")


def test_evidence_that_was_built_by_hand_is_checked_for_its_form() -> None:
    assert code(verify_evidence(replace(APPROVED, display_hash=Digest("x")), KEYS)) == "malformed"


def test_the_evidence_digest_is_that_of_its_canonical_bytes() -> None:
    assert evidence_digest(APPROVED) == hashlib.sha256(APPROVED.to_json()).hexdigest()
    assert evidence_digest(APPROVED) != evidence_digest(sign_decision("approve", **SIGNED))


def test_evidence_without_canonical_form_has_no_digest() -> None:
    with pytest.raises(CallbackError, match="lone surrogate"):
        evidence_digest(replace(APPROVED, callback=replace(APPROVED.callback, nonce="\ud800")))


@pytest.mark.parametrize(
    "edit", [{"decision_note": 5}, {"more": 1}, {"display_hash": None}, {"intent_hash": "\ud800"}], ids=str
)
def test_evidence_of_another_form_is_refused(edit: dict[str, object]) -> None:
    with pytest.raises(CallbackError):
        Evidence.from_mapping({**APPROVED.to_mapping(), **edit})


def test_evidence_must_spell_out_an_absent_note() -> None:
    members = sign_decision("approve", **SIGNED).to_mapping()
    assert Evidence.from_mapping(members).callback.decision_note is None
    del members["decision_note"]
    with pytest.raises(CallbackError, match="decision_note: is missing"):
        Evidence.from_mapping(members)


# Messages


def test_messages_survive_the_wire() -> None:
    bare = replace(NOTIFICATION, reason=None, routing_group=None, required_approvers=None)
    for notification in (NOTIFICATION, bare):
        assert Notification.from_json(notification.to_json()) == notification
    for evidence in (APPROVED, sign_decision("deny", **SIGNED)):
        assert DecisionCallback.from_json(evidence.callback.to_json()) == evidence.callback


def test_messages_fit_the_published_schema() -> None:
    schema = json.loads(shared("ctk", "schema-approval-callback.json").read_text())
    bare = replace(NOTIFICATION, reason=None, routing_group=None, required_approvers=None)
    for notification in (NOTIFICATION, bare):
        jsonschema.validate(json.loads(notification.to_json()), schema["$defs"]["notification"])
    for evidence in (APPROVED, sign_decision("deny", **SIGNED)):
        jsonschema.validate(json.loads(evidence.callback.to_json()), schema["$defs"]["decision"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outcome", "allow"),
        ("exp", -1),
        ("exp", 1.5),
        ("exp", True),
        ("exp", "1759000600"),
        ("required_approvers", 0),
        ("required_approvers", True),
        ("required_approvers", None),
        ("nonce", ""),
        ("instruction", 5),
        ("reason", None),
        ("token", "secret"),
    ],
)
def test_a_notification_of_another_form_is_refused(name: str, value: object) -> None:
    message = json.loads(NOTIFICATION.to_json())
    with pytest.raises(CallbackError, match=name):
        Notification.from_json(json.dumps({**message, name: value}))


@pytest.mark.parametrize("name", ["approval_id", "instruction", "action_summary", "outcome", "nonce", "exp"])
def test_a_notification_lacks_nothing(name: str) -> None:
    message = json.loads(NOTIFICATION.to_json())
    del message[name]
    with pytest.raises(CallbackError, match=f"{name}: is missing"):
        Notification.from_json(json.dumps(message))


def test_a_notification_that_could_not_be_read_is_not_written() -> None:
    for change in (
        {"exp": -1},
        {"exp": float(EXP)},
        {"nonce": ""},
        {"required_approvers": 0},
        {"reason": "\ud800"},
    ):
        with pytest.raises(CallbackError):
            replace(NOTIFICATION, **change).to_json()  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("name", ["approval_id", "decision", "nonce", "ts", "kid", "signature"])
def test_a_callback_lacks_nothing(name: str) -> None:
    message = json.loads(APPROVED.callback.to_json())
    del message[name]
    with pytest.raises(CallbackError, match=f"{name}: is missing"):
        DecisionCallback.from_json(json.dumps(message))


def test_a_callback_carries_no_action_and_nothing_unknown() -> None:
    message = json.loads(APPROVED.callback.to_json())
    for extra in ({"action_fingerprint": ACTION.fingerprint}, {"x": 1}, {"decision_note": None}):
        with pytest.raises(CallbackError):
            DecisionCallback.from_json(json.dumps({**message, **extra}))


def test_a_callback_with_a_member_twice_is_refused() -> None:
    text = APPROVED.callback.to_json().decode()
    with pytest.raises(CallbackError, match="twice"):
        DecisionCallback.from_json(text.replace("{", '{"decision":"deny",', 1))


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.text(), max_size=2)
)


@given(
    st.dictionaries(st.sampled_from([field.name for field in fields(DecisionCallback)]), anything, min_size=1)
)
def test_no_callback_with_other_fields_counts(change: dict[str, Any]) -> None:
    callback = replace(APPROVED.callback, **change)
    if callback != APPROVED.callback:
        assert isinstance(verdict(callback), CallbackRefusal)


@given(st.one_of(st.text(), st.binary()))
def test_any_text_gives_a_message_or_the_callback_error(text: str | bytes) -> None:
    for reader in (Notification.from_json, DecisionCallback.from_json, Evidence.from_json):
        with pytest.raises(CallbackError):
            reader(text)


@given(anything | st.dictionaries(st.sampled_from(list(APPROVED.to_mapping())), anything))
def test_any_value_gives_evidence_or_the_callback_error(value: object) -> None:
    with pytest.raises(CallbackError):
        Evidence.from_mapping(value)


def test_something_that_is_no_text_is_a_mistake_of_the_caller() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="str or bytes"):
        Notification.from_json(wrong)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.integers(0, 2**50))
def test_what_is_signed_verifies(note: str, ts: int) -> None:
    evidence = sign_decision("approve", decision_note=note, **{**SIGNED, "ts": Micros(ts)})
    outcome = verdict(evidence.callback, now=Micros(ts), not_after=EpochSeconds(ts // SECOND + 1))
    assert isinstance(outcome, VerifiedDecision)
    assert outcome.decision_note == note
    assert outcome.kid == KeyId(ALICE.public_key.key_id)
