"""The delego protocol as pure functions over frozen values: no clock, no files, no network.

    from delego_spec import Action, evaluate, load_policy

The sections (§) in docstrings are those of SPEC.md.
"""

from delego_spec.action import Action, canonical_query, intent_hash, trim
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval, Release, Vote, guard_decision, guard_release
from delego_spec.audit import ApprovalAudit
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
from delego_spec.canonical import canonical, digest, normalise, parse_json
from delego_spec.chain import ChainProblem, ChainReport, ChainVerifier, check_batch, verify_chain
from delego_spec.display import decision_text, display_hash, visible
from delego_spec.ed25519 import PublicKey, SeedSigner, Signer
from delego_spec.errors import (
    ActionError,
    AnchorError,
    CallbackError,
    CanonicalError,
    DelegoSpecError,
    DocumentError,
    GatewayError,
    JwksError,
    KeyFormatError,
    PolicyError,
    Problem,
    ReceiptError,
    TimestampError,
    TokenError,
)
from delego_spec.evaluate import AllowCounts, CountUnavailable, Verdict, count_in_window, evaluate
from delego_spec.explain import Step, explain
from delego_spec.gateway import (
    Broker,
    BrokerOutcome,
    Executed,
    GatewayRequest,
    NotSent,
    Refused,
    Released,
    rebuild_url,
    response_from_json,
    response_to_json,
)
from delego_spec.hazards import Hazard, find_hazards
from delego_spec.jwks import jwks_document, read_jwks
from delego_spec.policy import Policy, load_policy, policy_digest, policy_from_document, policy_schema
from delego_spec.receipts import Entry, Payload, Receipt, decode_line, encode_line, seal, sign
from delego_spec.timestamps import format_ts, parse_ts
from delego_spec.tokens import Claims, TokenRefusal, check_binding, consume_until, mint, verify_token
from delego_spec.types import ApprovalId, Digest, EpochSeconds, KeyId, Micros

__all__ = [
    "Action",
    "ActionError",
    "AllowCounts",
    "Anchor",
    "AnchorError",
    "Approval",
    "ApprovalAudit",
    "ApprovalId",
    "Broker",
    "BrokerOutcome",
    "CallbackError",
    "CallbackRefusal",
    "CanonicalError",
    "ChainProblem",
    "ChainReport",
    "ChainVerifier",
    "Claims",
    "CountUnavailable",
    "DecisionCallback",
    "DelegoSpecError",
    "Digest",
    "DocumentError",
    "Entry",
    "EpochSeconds",
    "Evidence",
    "Executed",
    "GatewayError",
    "GatewayRequest",
    "Hazard",
    "JwksError",
    "KeyFormatError",
    "KeyId",
    "Micros",
    "NotSent",
    "Notification",
    "Payload",
    "Policy",
    "PolicyError",
    "Problem",
    "PublicKey",
    "Receipt",
    "ReceiptError",
    "Refused",
    "Release",
    "Released",
    "SeedSigner",
    "Signer",
    "Step",
    "TimestampError",
    "TokenError",
    "TokenRefusal",
    "Verdict",
    "VerifiedDecision",
    "Vote",
    "canonical",
    "canonical_query",
    "check_batch",
    "check_binding",
    "consume_until",
    "count_in_window",
    "decision_text",
    "decode_line",
    "digest",
    "display_hash",
    "encode_line",
    "evaluate",
    "evidence_digest",
    "explain",
    "find_hazards",
    "format_ts",
    "guard_decision",
    "guard_release",
    "intent_hash",
    "jwks_document",
    "load_policy",
    "mint",
    "normalise",
    "parse_json",
    "parse_ts",
    "policy_digest",
    "policy_from_document",
    "policy_schema",
    "read_jwks",
    "rebuild_url",
    "response_from_json",
    "response_to_json",
    "seal",
    "sign",
    "sign_decision",
    "trim",
    "verify_chain",
    "verify_decision",
    "verify_evidence",
    "verify_token",
    "visible",
]
