"""What the authorizer hands to its callers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from delego_authorizer.errors import NoteError, PrincipalError
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval
from delego_spec.receipts import Outcome
from delego_spec.types import JSON, ApprovalId, Digest, JSONObject

MAX_NOTE: Final = 2000  # characters

_PRINCIPAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one proposed action."""

    outcome: Outcome
    rule: str | None
    reasons: tuple[str, ...]
    intent_hash: Digest
    action_fingerprint: Digest
    approval_id: ApprovalId | None = None
    executed: bool | None = False  # None: outcome unknown, it may have happened; never retry by itself
    result: JSON = None  # what the broker's service returned
    token: str | None = None  # for the caller's own broker; None where this authorizer called one
    receipt: Anchor | None = None  # the newest receipt about it; None: asking left none

    @property
    def allowed(self) -> bool:
        """The action was released. Whether it was executed says ``executed``."""
        return self.outcome == "allow"

    @property
    def outcome_unknown(self) -> bool:
        """It was handed to a broker, and may have happened: look at the service, and never send it again."""
        return self.executed is None

    def to_mapping(self) -> JSONObject:
        """The decision as JSON, for machines."""
        return {
            "outcome": self.outcome,
            "rule": self.rule,
            "reasons": [*self.reasons],
            "intent_hash": self.intent_hash,
            "action_fingerprint": self.action_fingerprint,
            "approval_id": self.approval_id,
            "executed": self.executed,
            "result": self.result,
            "token": self.token,
            "receipt": None if self.receipt is None else str(self.receipt),
        }


@dataclass(frozen=True, slots=True)
class HumanDecision:
    """What became of a person's yes or no."""

    accepted: bool
    approval: Approval  # as it is afterwards
    refusal: str | None = None  # why the decision counts for nothing
    receipt: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a person decides on, and what their signature has to cover (§7.3)."""

    approval: Approval
    text: str  # exactly what is bound; show all of it
    display_hash: Digest  # H(text)
    nonce: str  # for this approver's decision, once


def check_principal(name: object) -> str:
    """``name`` itself. Raises PrincipalError for what would be ambiguous in a receipt."""
    if type(name) is not str or _PRINCIPAL.fullmatch(name) is None:
        raise PrincipalError(name)
    return name


def check_note(note: object) -> str | None:
    """``note`` itself. Raises NoteError for what cannot be stored or signed."""
    if note is None:
        return None
    if type(note) is not str or len(note) > MAX_NOTE:
        raise NoteError(f"a note is text of at most {MAX_NOTE} characters")
    try:
        note.encode()
    except UnicodeEncodeError:
        raise NoteError("a note must not hold a lone surrogate; write it as UTF-8") from None
    return note
