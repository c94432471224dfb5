"""A person's answer to a ballot, signed as §7.3 says."""

from __future__ import annotations

from delego_authorizer import Ballot
from delego_spec import Evidence, Micros, Signer, sign_decision


def signed_yes(ballot: Ballot, signer: Signer, ts: Micros | None = None) -> Evidence:
    """The evidence of a yes; given when the approval was parked, unless said otherwise."""
    approval = ballot.approval
    return sign_decision(
        "approve",
        signer=signer,
        approval_id=approval.id,
        nonce=ballot.nonce,
        ts=approval.created_at if ts is None else ts,
        action_fingerprint=approval.action_fingerprint,
        intent_hash=approval.intent_hash,
        display_hash=ballot.display_hash,
    )
