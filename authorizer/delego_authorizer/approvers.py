"""The approvers' own keys, and what they prove at the moment of release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from delego_ledger.contract import Transaction
from delego_spec.approvals import Approval
from delego_spec.audit import signed_yes
from delego_spec.ed25519 import PublicKey
from delego_spec.types import KeyId


@dataclass(frozen=True, slots=True)
class Approvers:
    """The approvers' public keys, by key id and by principal."""

    keys: Mapping[KeyId, PublicKey]
    principals: Mapping[KeyId, str]

    @classmethod
    def of(cls, keys: Mapping[str, PublicKey]) -> Approvers:
        """``keys``: principal → public key."""
        return cls(
            {key.key_id: key for key in keys.values()}, {key.key_id: name for name, key in keys.items()}
        )

    def unsigned(self, approval: Approval, required: int, transaction: Transaction) -> str | None:
        """Why the signatures behind an approved approval are not enough; None if they are.

        The status in the database is not taken at its word: whoever can write there can write "approved".
        """
        principals = set()
        for evidence_hash in approval.evidence:
            yes = signed_yes(
                transaction.evidence(evidence_hash),
                evidence_hash,
                self.keys,
                approval_id=approval.id,
                action_fingerprint=approval.action_fingerprint,
                intent_hash=approval.intent_hash,
            )
            if isinstance(yes, str):
                return yes
            principals.add(self.principals[yes.kid])
        wanted = max(required, approval.required_approvers)
        if len(principals) < wanted:
            return f"{len(principals)} of {wanted} valid approver signatures"
        return None
