"""A person's decision, asked for and signed (§7.3).

The notification goes out to a surface that the agent does not control; the decision comes back, signed with
a key that the agent does not hold. The signature covers what the callback says and, beyond it, what the
person decided about: fingerprint, intent hash and the hash of the text they saw (``display.display_hash``).

Not here: whether the approval is still open (``approvals``), and remembering that a nonce was used: the
caller records the decision and spends the nonce in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from delego_spec._members import Members
from delego_spec.canonical import canonical, normalise
from delego_spec.canonical import digest as canonical_digest
from delego_spec.ed25519 import PublicKey, Signer
from delego_spec.errors import CallbackError, CanonicalError, TimestampError
from delego_spec.timestamps import SECOND, format_ts, parse_ts
from delego_spec.types import ApprovalId, Digest, EpochSeconds, JSONObject, KeyId, Micros

# The first line of what is signed: no receipt, token or other text signed with the same key can be taken
# for a decision, nor a decision for one of them.
SIGNED_PREFIX: Final = b"delego-approval-decision-v1\n"
DEFAULT_SKEW: Final = 60  # seconds

Choice: TypeAlias = Literal["approve", "deny"]
CallbackCode = Literal[
    "malformed",  # a field is not of the form that could have been signed
    "approval",  # about another approval
    "nonce",  # answers another notification: a replay
    "kid",  # not the key of an approver
    "signature",  # a field was changed, or the person decided about, or saw, something else
    "late",  # the notification's exp has come
    "stale",  # signed too long before it arrived
    "future",  # signed at a time that has not come
]

_CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)
_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Notification:
    """What a person's surface is told about a parked action. It carries no credential (§7.3)."""

    approval_id: ApprovalId
    instruction: str  # the plain text of the intent hash
    action_summary: str
    nonce: str  # to be echoed; one for each approver
    exp: EpochSeconds  # from this second on a decision is too late
    reason: str | None = None  # why approval is required (§7.2)
    routing_group: str | None = None  # who should decide; set by the policy's side, never by the agent
    required_approvers: int | None = None  # how many distinct people must say yes

    def to_json(self) -> bytes:
        """The canonical bytes. Raises CallbackError for values that ``from_json`` would refuse."""
        message: JSONObject = {
            "approval_id": self.approval_id,
            "instruction": self.instruction,
            "action_summary": self.action_summary,
            "outcome": "needs_approval",
            "nonce": self.nonce,
            "exp": self.exp,
        }
        for name, value in (
            ("reason", self.reason),
            ("routing_group", self.routing_group),
            ("required_approvers", self.required_approvers),
        ):
            if value is not None:
                message[name] = value
        encoded = _canonical(message, "notification")
        _read_notification(Members(message, "notification", CallbackError))
        return encoded

    @classmethod
    def from_json(cls, data: bytes | str) -> Notification:
        """Read a notification strictly. Raises CallbackError."""
        return _read_notification(Members.parse(data, "notification", CallbackError))


@dataclass(frozen=True, slots=True)
class DecisionCallback:
    """A signed decision as it travels: without the action, which the authorizer knows better (§7.3)."""

    approval_id: ApprovalId
    decision: Choice
    nonce: str
    ts: str  # RFC 3339 UTC, exactly as signed
    kid: KeyId
    signature: str  # 128 lower-case hexadecimal digits
    decision_note: str | None = None

    def to_json(self) -> bytes:
        """The canonical bytes. Raises CallbackError for values that ``from_json`` would refuse."""
        message: JSONObject = {
            "approval_id": self.approval_id,
            "decision": self.decision,
            "nonce": self.nonce,
            "ts": self.ts,
            "kid": self.kid,
            "signature": self.signature,
        }
        if self.decision_note is not None:
            message["decision_note"] = self.decision_note
        encoded = _canonical(message, "decision")
        _read_callback(Members(message, "decision", CallbackError))
        return encoded

    @classmethod
    def from_json(cls, data: bytes | str) -> DecisionCallback:
        """Read a callback strictly; unlike the wire draft, kid is required. Raises CallbackError."""
        return _read_callback(Members.parse(data, "decision", CallbackError))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A decision with all that its signature covers: an auditor can check it years later, on its own."""

    callback: DecisionCallback
    action_fingerprint: Digest
    intent_hash: Digest
    display_hash: Digest  # of exactly the text shown to the person

    def to_mapping(self) -> JSONObject:
        """The nine signed members, an absent note as null, and the signature."""
        return {**self._signed(), "signature": self.callback.signature}

    def to_json(self) -> bytes:
        """The canonical bytes. Raises CallbackError for values that ``from_json`` would refuse."""
        message = self.to_mapping()
        encoded = _canonical(message, "evidence")
        _read_evidence(Members(message, "evidence", CallbackError))
        return encoded

    @classmethod
    def from_mapping(cls, members: object) -> Evidence:
        """Read the object that ``to_mapping`` gives. Raises CallbackError."""
        try:
            checked = normalise(members, name="evidence")
        except CanonicalError as error:
            raise CallbackError(str(error)) from None
        return _read_evidence(Members(checked, "evidence", CallbackError))

    @classmethod
    def from_json(cls, data: bytes | str) -> Evidence:
        """Read evidence strictly. Raises CallbackError."""
        return _read_evidence(Members.parse(data, "evidence", CallbackError))

    def signed_bytes(self) -> bytes:
        """Exactly what the person's key signs (§7.3). Raises CallbackError for text outside §3."""
        return SIGNED_PREFIX + _canonical(self._signed(), "decision")

    def _signed(self) -> JSONObject:
        return {
            "approval_id": self.callback.approval_id,
            "decision": self.callback.decision,
            "nonce": self.callback.nonce,
            "ts": self.callback.ts,
            "kid": self.callback.kid,
            "decision_note": self.callback.decision_note,
            "action_fingerprint": self.action_fingerprint,
            "intent_hash": self.intent_hash,
            "display_hash": self.display_hash,
        }


@dataclass(frozen=True, slots=True)
class VerifiedDecision:
    """What one approver's key has signed."""

    decision: Choice
    kid: KeyId  # whose key; the caller knows which principal it belongs to
    at: Micros  # when the person says they decided
    decision_note: str | None
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class CallbackRefusal:
    """Why a decision does not count: the approval stays as it was. The code is stable."""

    code: CallbackCode
    message: str


def sign_decision(
    decision: Choice,
    *,
    signer: Signer,
    approval_id: ApprovalId,
    nonce: str,
    ts: Micros,
    action_fingerprint: Digest,
    intent_hash: Digest,
    display_hash: Digest,
    decision_note: str | None = None,
) -> Evidence:
    """Sign a person's decision; ``.callback`` of the result is what is sent (§7.3).

    kid is the signer's key id. Raises CallbackError for values that could not be verified, TimestampError
    for a ``ts`` outside the years 1970–9999. What the signer itself raises passes through.
    """
    unsigned = DecisionCallback(
        approval_id=approval_id,
        decision=decision,
        nonce=nonce,
        ts=format_ts(ts),
        kid=signer.public_key.key_id,
        signature="",
        decision_note=decision_note,
    )
    draft = Evidence(unsigned, action_fingerprint, intent_hash, display_hash)
    message = draft.signed_bytes()
    signature = signer.sign(message)
    if not signer.public_key.verify(message, signature):
        raise CallbackError("the signer's signature does not fit its public key; check which key it holds")
    return Evidence.from_mapping({**draft.to_mapping(), "signature": signature.hex()})


def verify_decision(
    callback: DecisionCallback,
    *,
    keys: Mapping[KeyId, PublicKey],
    approval_id: ApprovalId,
    nonce: str,
    action_fingerprint: Digest,
    intent_hash: Digest,
    display_hash: Digest,
    now: Micros,
    not_after: EpochSeconds,
    skew: int = DEFAULT_SKEW,
) -> VerifiedDecision | CallbackRefusal:
    """Does this callback answer this notification about this approval? (§7.3)

    ``keys`` holds the approvers' keys and no agent's. Everything else is what the *authorizer* knows: the
    hashes are never taken from the message. ``not_after`` is the notification's exp: from that second on
    the decision is late. ``skew`` (seconds) is how far the signed time may be from ``now``. The codes:
    malformed, approval, nonce, kid, signature, late, stale, future. Raises nothing for any callback.
    """
    # 1. A form that could have been signed: no check below ever sees another type.
    evidence = Evidence(callback, action_fingerprint, intent_hash, display_hash)
    try:
        evidence.to_json()
    except CallbackError as error:
        return CallbackRefusal("malformed", str(error))
    # 2. The answer to this question: a yes that was given for another approval.
    if callback.approval_id != approval_id:
        text = f"the decision is about the approval {callback.approval_id!r:.60}, not {approval_id!r:.60}"
        return CallbackRefusal("approval", text)
    # 3. And to this notification: a yes from an earlier round, replayed.
    if callback.nonce != nonce:
        return CallbackRefusal("nonce", f"the nonce {callback.nonce!r:.60} is not the one that was sent out")
    # 4. Signed by an approver, over every field and over what they decided about: an agent that answers for
    #    itself; a deny turned into an approve; an edited note; another action behind the same text.
    verified = verify_evidence(evidence, keys)
    if isinstance(verified, CallbackRefusal):
        return verified
    # 5. In time: a yes that was held back until it was useful.
    return _time_problem(verified.at, now, not_after, skew) or verified


def verify_evidence(
    evidence: Evidence, keys: Mapping[KeyId, PublicKey]
) -> VerifiedDecision | CallbackRefusal:
    """Check the signature over what the evidence itself holds: for an auditor, long after.

    It proves that the key signed these fields, not that they belong to a receipt: the caller compares
    approval_id, fingerprint and intent hash with the receipts. The codes: malformed, kid, signature.
    """
    try:
        evidence.to_json()
    except CallbackError as error:
        return CallbackRefusal("malformed", str(error))
    callback = evidence.callback
    key = keys.get(callback.kid)
    if key is None:
        return CallbackRefusal("kid", f"the key {callback.kid!r:.60} is not that of an approver")
    if not key.verify(evidence.signed_bytes(), bytes.fromhex(callback.signature)):
        return CallbackRefusal(
            "signature", f"the signature is not that of the key {callback.kid!r:.60} over this"
        )
    return VerifiedDecision(
        decision=callback.decision,
        kid=callback.kid,
        at=parse_ts(callback.ts),
        decision_note=callback.decision_note,
        evidence=evidence,
    )


def evidence_digest(evidence: Evidence) -> Digest:
    """``H`` of the evidence object: what a receipt names as ``approval evidence sha256:<hex>`` (§8).

    Raises CallbackError for text outside §3.
    """
    try:
        return canonical_digest(evidence.to_mapping(), name="evidence")
    except CanonicalError as error:
        raise CallbackError(str(error)) from None


def _time_problem(at: Micros, now: Micros, not_after: EpochSeconds, skew: int) -> CallbackRefusal | None:
    if now >= not_after * SECOND:
        return CallbackRefusal(
            "late", f"decisions were accepted until {not_after} s; it is {now // SECOND} s"
        )
    if at < now - skew * SECOND:
        text = f"the decision was signed {(now - at) // SECOND} s ago; at most {skew} s are allowed"
        return CallbackRefusal("stale", text)
    if at > now + skew * SECOND:
        text = f"the decision was signed {(at - now) // SECOND} s ahead; at most {skew} s are allowed"
        return CallbackRefusal("future", text)
    return None


def _read_notification(members: Members) -> Notification:
    if members.text("outcome") != "needs_approval":
        members.refuse("outcome", "must be 'needs_approval'")
    notification = Notification(
        approval_id=ApprovalId(members.text("approval_id")),
        instruction=members.text("instruction"),
        action_summary=members.text("action_summary"),
        nonce=members.text("nonce"),
        exp=EpochSeconds(members.integer("exp", least=0)),
        reason=members.optional_text("reason", empty=True),
        routing_group=members.optional_text("routing_group"),
        required_approvers=(
            members.integer("required_approvers", least=1) if members.has("required_approvers") else None
        ),
    )
    members.close()
    return notification


def _read_callback(members: Members) -> DecisionCallback:
    callback = _read_fields(members, members.optional_text("decision_note", empty=True))
    members.close()
    return callback


def _read_evidence(members: Members) -> Evidence:
    note = members.any("decision_note")
    if note is not None and type(note) is not str:
        members.refuse("decision_note", f"must be a string or null, not {note!r:.60}")
    evidence = Evidence(
        callback=_read_fields(members, note),
        action_fingerprint=members.digest("action_fingerprint"),
        intent_hash=members.digest("intent_hash"),
        display_hash=members.digest("display_hash"),
    )
    members.close()
    return evidence


def _read_fields(members: Members, note: str | None) -> DecisionCallback:
    """The members that callback and evidence share."""
    decision = members.text("decision")
    for choice in _CHOICES:
        if decision == choice:
            break
    else:
        members.refuse("decision", f"must be 'approve' or 'deny', not {decision!r:.60}")
    ts = members.text("ts")
    try:
        parse_ts(ts)
    except TimestampError as error:
        members.refuse("ts", str(error))
    signature = members.text("signature")
    if _SIGNATURE.fullmatch(signature) is None:
        members.refuse("signature", "must be 128 lower-case hexadecimal digits")
    return DecisionCallback(
        approval_id=ApprovalId(members.text("approval_id")),
        decision=choice,
        nonce=members.text("nonce"),
        ts=ts,
        kid=KeyId(members.text("kid")),
        signature=signature,
        decision_note=note,
    )


def _canonical(value: JSONObject, name: str) -> bytes:
    try:
        return canonical(value, name=name)
    except CanonicalError as error:
        raise CallbackError(str(error)) from None
