"""The approvers' own keys, and what they prove at the moment of release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from delego_authorizer.config import Config
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

    def unsigned(self, approval: Approval, config: Config, transaction: Transaction) -> str | None:
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
        count, wanted = len(may_approve(config, approval, principals)), wanted_yeses(config, approval)
        return None if count >= wanted else f"{count} of {wanted} valid approver signatures"


def may_approve(config: Config, approval: Approval, principals: Iterable[str]) -> frozenset[str]:
    """Those of ``principals`` whose yes to this approval counts under this configuration (§7.2)."""
    return frozenset(
        name
        for name in principals
        if (not config.approvers or name in config.approvers)
        and not (config.separate_duties and name == approval.proposer)
    )


def wanted_yeses(config: Config, approval: Approval) -> int:
    """How many distinct people must say yes: as many as when it was parked, or as are required now."""
    return max(config.required_approvers, approval.required_approvers)
