"""Does every approved action in a chain carry its approvers' own signatures? (§7.3, §8)

The ledger's key proves who wrote a receipt. Whoever holds that key could still write "human approved by
'alice'"; this check needs alice's key as well. It reads verified receipts in order and the evidence whose
hashes stand in them. Not here: the chain itself (``chain``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from delego_spec.callbacks import (
    CallbackRefusal,
    Evidence,
    VerifiedDecision,
    evidence_digest,
    verify_evidence,
)
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import CallbackError
from delego_spec.receipts import Payload
from delego_spec.types import JSONObject, KeyId

_EVIDENCE: Final = re.compile(r"approval evidence sha256:([0-9a-f]{64})")
_HUMAN_YES: Final = "human approved by "
_HUMAN_NO: Final = "human denied by "
_WRITTEN_AHEAD: Final = "authorized by "


@dataclass(slots=True)
class _Approval:
    """What the chain has shown about one approval so far."""

    principals: set[str] = field(default_factory=set)  # with a valid signature over this very action
    started: int = 0  # releases written ahead, whatever became of them
    executed: int = 0
    denied: bool = False


def signed_yes(
    members: JSONObject | None,
    evidence_hash: str,
    keys: Mapping[KeyId, PublicKey],
    *,
    approval_id: str,
    action_fingerprint: str,
    intent_hash: str,
) -> VerifiedDecision | str:
    """The verified yes to this very approval, action and instruction; or why the evidence is none.

    ``members``: what is kept under ``evidence_hash``, None if it is not to be had. Raises nothing.
    """
    if members is None:
        return f"the approval evidence sha256:{evidence_hash} is not to be had"
    try:
        evidence = Evidence.from_mapping(members)
        if evidence_digest(evidence) != evidence_hash:
            return f"the approval evidence is not the one that is named ({evidence_hash[:12]}…)"
    except CallbackError as error:
        return f"the approval evidence cannot be read: {error}"
    verified = verify_evidence(evidence, keys)
    if isinstance(verified, CallbackRefusal):
        return f"the approval evidence does not verify: {verified.message}"
    bound = (verified.decision, evidence.callback.approval_id)
    hashes = (evidence.action_fingerprint, evidence.intent_hash)
    if bound != ("approve", approval_id) or hashes != (action_fingerprint, intent_hash):
        return "the approval evidence is for another decision, approval, action or instruction"
    return verified


class ApprovalAudit:
    """Feed it the receipts of a verified chain in order; it returns what is wrong with each."""

    def __init__(
        self,
        keys: Mapping[str, PublicKey],
        evidence: Callable[[str], JSONObject | None],
        *,
        required_approvers: int = 1,
    ) -> None:
        """``keys``: principal → public key. ``evidence``: hash → the evidence object, None if it is not to
        be had. ``required_approvers``: how many distinct principals must have signed for each action.
        """
        self._principals = {key.key_id: name for name, key in keys.items()}
        self._keys = {key.key_id: key for key in keys.values()}
        self._evidence = evidence
        self._required = required_approvers
        self._approvals: dict[tuple[str, str, str], _Approval] = {}
        self._nonces: set[str] = set()

    def check(self, receipt: Payload) -> list[str]:
        """The problems of the next receipt, one string each; empty for one that needs no approval."""
        if receipt.approval_id is None:
            return []
        # Signatures count for one approval, one action and one intent: nothing is carried over.
        key = (receipt.approval_id, receipt.action_fingerprint, receipt.intent_hash)
        approval = self._approvals.setdefault(key, _Approval())
        if receipt.outcome != "allow":
            approval.denied |= (
                receipt.phase == "decision"
                and receipt.reasons[0:1] != ()
                and (receipt.reasons[0].startswith(_HUMAN_NO))
            )
            return []
        if receipt.phase == "decision" and receipt.reasons[:1] and receipt.reasons[0].startswith(_HUMAN_YES):
            principal = self._signer_of(receipt)
            if isinstance(principal, _Unsigned):
                return [f"seq {receipt.seq}: {principal.why}"]
            approval.principals.add(principal)
            return []
        problems = []
        if approval.denied:
            problems.append(f"seq {receipt.seq}: approval {receipt.approval_id!r} was denied by a person")
        if len(approval.principals) < self._required:
            problems.append(
                f"seq {receipt.seq}: approved action of {receipt.approval_id!r} has"
                f" {len(approval.principals)} of {self._required} valid approver signatures"
            )
        if self._is_second_release(receipt, approval):
            problems.append(f"seq {receipt.seq}: approval {receipt.approval_id!r} was released before")
        return problems

    @staticmethod
    def _is_second_release(receipt: Payload, approval: _Approval) -> bool:
        """A second release of one yes: by whoever holds the ledger's key, or can edit its database.

        A release begins with the receipt before the broker is called. Its end may be missing: a crash, and
        an execution that was taken out of the table of those in flight.
        """
        if receipt.phase == "execution":
            approval.executed += 1
            return approval.executed > max(approval.started, 1)
        if receipt.reasons[:1] and receipt.reasons[0].startswith(_WRITTEN_AHEAD):
            approval.started += 1
            return approval.started > 1
        return False  # a late answer

    def _signer_of(self, receipt: Payload) -> str | _Unsigned:
        """The principal whose valid signature stands behind this yes, or why there is none."""
        hashes = [match[1] for reason in receipt.reasons if (match := _EVIDENCE.fullmatch(reason))]
        if len(hashes) != 1:
            return _Unsigned("a human's yes names no approval evidence")
        yes = signed_yes(
            self._evidence(hashes[0]),
            hashes[0],
            self._keys,
            approval_id=receipt.approval_id or "",
            action_fingerprint=receipt.action_fingerprint,
            intent_hash=receipt.intent_hash,
        )
        if isinstance(yes, str):
            return _Unsigned(yes)
        callback = yes.evidence.callback
        # One signature, counted for two receipts.
        if callback.nonce in self._nonces:
            return _Unsigned(f"the approval evidence's nonce {callback.nonce!r:.60} was used before")
        self._nonces.add(callback.nonce)
        principal = self._principals[yes.kid]
        named = receipt.reasons[0].removeprefix(_HUMAN_YES)
        if named != repr(principal):
            return _Unsigned(f"it says {named:.80}, and {principal!r} signed it")
        return principal


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """Why a yes counts for nothing."""

    why: str
