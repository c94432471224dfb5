"""Approver signatures over a chain: what the holder of the ledger's key cannot write."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from delego_spec.action import Action
from delego_spec.audit import ApprovalAudit
from delego_spec.callbacks import Evidence, evidence_digest, sign_decision
from delego_spec.display import display_hash
from delego_spec.ed25519 import SeedSigner
from delego_spec.receipts import Entry, Outcome, Payload, Phase, decode_payload, seal
from delego_spec.types import ApprovalId, Digest, JSONObject, Micros

ALICE, BOB, MALLORY = (SeedSigner(bytes([number]) * 32) for number in (1, 2, 3))
KEYS = {"alice": ALICE.public_key, "bob": BOB.public_key}
ORDER = Action("order it", "POST", "https://api.example.com/orders", {"amount": 7})
OTHER = Action("order it", "POST", "https://api.example.com/orders", {"amount": 7, "to": "eve"})
APPROVAL = ApprovalId("apr_1")


@dataclass
class Story:
    """Receipts one after the other, and the evidence behind them."""

    required: int = 1
    evidence: dict[str, JSONObject] = field(default_factory=dict)
    receipts: list[Payload] = field(default_factory=list)

    def write(
        self,
        phase: Phase,
        outcome: Outcome,
        *reasons: str,
        action: Action = ORDER,
        approval_id: ApprovalId | None = APPROVAL,
    ) -> Story:
        entry = Entry(
            phase, outcome, None, reasons, action.intent_hash, action.fingerprint, action.summary, approval_id
        )
        sealed = seal(entry, seq=len(self.receipts), ts=Micros(0), prev_hash="0" * 64)
        self.receipts.append(decode_payload(sealed.payload))
        return self

    def yes(self, name: str, evidence: Evidence | None, *, action: Action = ORDER) -> Story:
        named: tuple[str, ...] = ()
        if evidence is not None:
            self.evidence[evidence_digest(evidence)] = evidence.to_mapping()
            named = (f"approval evidence sha256:{evidence_digest(evidence)}",)
        return self.write("decision", "allow", f"human approved by {name!r}", *named, action=action)

    def release(self, *, action: Action = ORDER) -> Story:
        self.write("decision", "allow", "authorized by rule 'r'; execution follows", action=action)
        return self.write("execution", "allow", "executed via broker", action=action)

    def problems(self) -> list[str]:
        audit = ApprovalAudit(KEYS, self.evidence.get, required_approvers=self.required)
        return [problem for receipt in self.receipts for problem in audit.check(receipt)]


def signed(
    signer: SeedSigner = ALICE,
    decision: Literal["approve", "deny"] = "approve",
    *,
    action: Action = ORDER,
    approval_id: ApprovalId = APPROVAL,
    nonce: str = "n",
) -> Evidence:
    return sign_decision(
        decision,
        signer=signer,
        approval_id=approval_id,
        nonce=nonce,
        ts=Micros(1_000_000),
        action_fingerprint=action.fingerprint,
        intent_hash=action.intent_hash,
        display_hash=display_hash("shown"),
    )


def test_a_release_with_its_approvers_signature_is_in_order() -> None:
    assert Story().yes("alice", signed()).release().problems() == []


def test_what_needs_no_approval_is_not_looked_at() -> None:
    assert Story().write("execution", "allow", "executed via broker", approval_id=None).problems() == []


def test_a_release_without_any_yes_is_found_at_both_of_its_receipts() -> None:
    found = Story().release().problems()
    assert [text.split(":")[0] for text in found] == ["seq 0", "seq 1"]
    assert all("0 of 1 valid approver signatures" in text for text in found)


def test_an_invented_yes_names_no_evidence() -> None:
    found = Story().yes("alice", None).release().problems()
    assert found[0] == "seq 0: a human's yes names no approval evidence"
    assert len(found) == 3


def test_a_yes_signed_by_a_stranger_counts_for_nothing() -> None:
    found = Story().yes("alice", signed(MALLORY)).release().problems()
    assert "does not verify" in found[0]


def test_a_yes_under_a_colleagues_name_counts_for_nothing() -> None:
    found = Story().yes("bob", signed(ALICE)).release().problems()
    assert found[0] == "seq 0: it says 'bob', and 'alice' signed it"


def test_a_yes_to_another_action_approval_or_a_signed_no_counts_for_nothing() -> None:
    for evidence in (
        signed(action=OTHER),
        signed(approval_id=ApprovalId("apr_2")),
        signed(decision="deny"),
        signed(action=replace(ORDER, instruction="another")),
    ):
        found = Story().yes("alice", evidence).release().problems()
        assert "is for another decision, approval, action or instruction" in found[0]


def test_a_yes_does_not_carry_over_to_another_action_of_the_same_approval() -> None:
    found = Story().yes("alice", signed()).release(action=OTHER).problems()
    assert len(found) == 2
    assert "0 of 1" in found[0]


def test_evidence_that_is_not_to_be_had_or_is_not_the_one_named_is_found() -> None:
    missing = Story().yes("alice", signed())
    missing.evidence.clear()
    assert "is not to be had" in missing.release().problems()[0]
    swapped = Story().yes("alice", signed())
    (name,) = swapped.evidence
    swapped.evidence[name] = signed(nonce="other").to_mapping()
    assert "is not the one that is named" in swapped.release().problems()[0]
    spoiled = Story().yes("alice", signed())
    spoiled.evidence[name] = {"approval_id": 7}
    assert "cannot be read" in spoiled.release().problems()[0]


def test_one_signature_does_not_count_twice() -> None:
    story = Story(required=2).yes("alice", signed()).yes("alice", signed()).release()
    found = story.problems()
    assert "was used before" in found[0]
    assert "1 of 2 valid approver signatures" in found[1]


def test_two_approvers_are_two_principals() -> None:
    assert (
        Story(required=2).yes("alice", signed()).yes("bob", signed(BOB, nonce="m")).release().problems() == []
    )
    once_more = Story(required=2).yes("alice", signed()).yes("alice", signed(nonce="m")).release()
    assert "1 of 2" in once_more.problems()[0]


def test_a_second_release_of_one_yes_is_found() -> None:
    found = Story().yes("alice", signed()).release().release().problems()
    assert found == ["seq 3: approval 'apr_1' was released before"]


def test_a_second_release_is_found_by_its_beginning_though_its_end_was_lost() -> None:
    story = Story().yes("alice", signed()).release()
    story.write("decision", "allow", "authorized by rule 'r'; execution follows")
    assert story.problems() == ["seq 3: approval 'apr_1' was released before"]


def test_a_second_execution_of_one_release_is_found_and_a_late_answer_is_none() -> None:
    late = "late result, already recorded as outcome unknown; nothing was changed: executed via broker"
    story = Story().yes("alice", signed()).release().write("decision", "allow", late)
    assert story.problems() == []
    story.write("execution", "allow", "executed via broker")
    assert story.problems() == ["seq 4: approval 'apr_1' was released before"]


def test_a_release_after_a_persons_no_is_found() -> None:
    story = Story().yes("alice", signed()).write("decision", "deny", "human denied by 'bob'").release()
    assert all("was denied by a person" in text for text in story.problems())
    assert len(story.problems()) == 2
    refused = Story().yes("alice", signed()).write("decision", "deny", "decision by 'bob' refused: late")
    assert refused.write("execution", "deny", "approval/action mismatch").release().problems() == []


def test_a_hash_is_read_only_in_its_exact_form() -> None:
    story = Story()
    evidence = signed()
    name = Digest(evidence_digest(evidence).upper())
    story.evidence[name] = evidence.to_mapping()
    story.write("decision", "allow", "human approved by 'alice'", f"approval evidence sha256:{name}")
    assert story.problems() == ["seq 0: a human's yes names no approval evidence"]
