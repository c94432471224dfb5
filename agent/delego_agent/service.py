"""Where decisions come from, as an agent sees it: the home on this machine now, a service elsewhere later.

The protocol has what an agent may do, and nothing else: no decision on an approval, no policy, no keys. In
one process that is a matter of manners, not a wall: what keeps an agent from deciding is another account, or
signed approvals.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from delego_authorizer import ApprovalUnknown, Authorizer, Decision, Home, HomeError
from delego_authorizer.steps import is_approval_id
from delego_authorizer.values import check_principal
from delego_ledger.clock import Clock, system_clock
from delego_spec.action import Action
from delego_spec.approvals import ALREADY_USED, Approval, Status
from delego_spec.gateway import Broker
from delego_spec.types import Micros

LIFTED: Final = ("approval expired", ALREADY_USED)  # refusals that a new proposal may follow
_LOCKS: Final = 64  # actions that are parked at the same time


@dataclass(frozen=True, slots=True)
class Held:
    """An approval as the agent that proposed the action may see it."""

    id: str
    status: Status
    summary: str  # of the action, as in its receipt
    instruction: str
    rule: str | None
    reason: str | None
    created_at: Micros
    expires_at: Micros | None

    @property
    def decided(self) -> bool:
        """True when no person will change it any more, or one has said yes."""
        return self.status != "pending"


class Service(Protocol):
    """What ``Client`` needs. Safe for use by many threads; each method is one request and its answer."""

    def propose(self, action: Action, principal: str) -> Decision: ...

    def resolve(self, approval_id: str, action: Action, principal: str) -> Decision: ...

    def request(self, action: Action, principal: str) -> Decision:
        """``resolve`` where this very action already has an approval that lives, else ``propose``."""
        ...

    def held(self, approval_id: str, principal: str) -> Held:
        """Raises ApprovalUnknown, for what others have proposed as well."""
        ...

    def pending(self, principal: str) -> tuple[Held, ...]: ...

    def close(self) -> None: ...


class LocalService:
    """The home on this machine."""

    def __init__(self, authorizer: Authorizer, *, clock: Clock = system_clock) -> None:
        self._authorizer = authorizer
        self._clock = clock
        self._parking = tuple(threading.Lock() for _ in range(_LOCKS))

    @classmethod
    def open(cls, home: str | os.PathLike[str] | None = None, broker: Broker | None = None) -> LocalService:
        """Raises as ``open_home``. ``home``: as ``home_path`` takes it."""
        return cls(Home(home_path(home)).authorizer(broker))

    def propose(self, action: Action, principal: str) -> Decision:
        return self._authorizer.propose(action, principal)

    def resolve(self, approval_id: str, action: Action, principal: str) -> Decision:
        return self._authorizer.resolve(approval_id, action, principal)

    def request(self, action: Action, principal: str) -> Decision:
        """One yes releases one call; a no stands until the approval would have expired."""
        check_principal(principal)
        if not self._is_asked(action):
            return self.propose(action, principal)  # nothing to meet: what is allowed needs no yes
        met: set[str] = set()
        while True:
            # Two calls at the same time would both find nothing to meet, and park the action twice.
            with self._parking[int(action.fingerprint, 16) % len(self._parking)]:
                earlier = [one for one in self._earlier(action, principal) if one not in met]
                if not earlier:
                    return self.propose(action, principal)
            for approval_id in earlier:
                decision = self.resolve(approval_id, action, principal)
                # Another call was faster, or the time has run out since: this one is a new request.
                if decision.outcome != "deny" or not decision.reasons[0].startswith(LIFTED):
                    return decision
            met.update(earlier)

    def held(self, approval_id: str, principal: str) -> Held:
        check_principal(principal)
        approval = self._authorizer.ledger.approval(approval_id) if is_approval_id(approval_id) else None
        if approval is None or approval.proposer != principal:
            raise ApprovalUnknown(approval_id)
        return _held(approval, self._clock())

    def pending(self, principal: str) -> tuple[Held, ...]:
        check_principal(principal)
        now = self._clock()
        return tuple(_held(one, now) for one in self._authorizer.pending() if one.proposer == principal)

    def close(self) -> None:
        self._authorizer.ledger.close()

    def _is_asked(self, action: Action) -> bool:
        """Whether the policy leaves the action to a person; a yes lifts no denial."""
        policy = self._authorizer.policy
        if policy.forbidden_index.first(action.method, action.host, action.path) is not None:
            return False
        rule = policy.rule_index.first(action.method, action.host, action.path)
        return (policy.default if rule is None else rule.decision) == "needs_approval"

    def _earlier(self, action: Action, principal: str) -> list[str]:
        """Approvals that this action may still meet: a yes first, then what waits, then a no."""
        now, found = self._clock(), []
        for status in ("approved", "pending", "denied"):
            for one in self._authorizer.ledger.approvals(status):
                if _is_for(one, action, principal) and _stands(one, now):
                    found.append(one.id)
        return [*found]


def home_path(given: str | os.PathLike[str] | None = None) -> Path:
    """``given``, else ``$DELEGO_HOME``, else ``~/.delego``. Raises HomeError where ``~`` stands for nothing.

    Never a folder of the current directory: an agent that writes files there would bring its own policy.
    """
    path = Path(given if given is not None else os.environ.get("DELEGO_HOME") or Path("~", ".delego"))
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise HomeError(path, str(error).lower()) from None


def _is_for(approval: Approval, action: Action, principal: str) -> bool:
    return (
        approval.action_fingerprint == action.fingerprint
        and approval.intent_hash == action.intent_hash
        and approval.scheme in (None, action.scheme)
        and approval.proposer == principal
    )


def _stands(approval: Approval, now: Micros) -> bool:
    if approval.status == "denied":
        return approval.expires_at is None or now < approval.expires_at
    return approval.status_at(now) == approval.status


def _held(approval: Approval, now: Micros) -> Held:
    return Held(
        id=approval.id,
        status=approval.status_at(now),
        summary=approval.summary,
        instruction=approval.instruction,
        rule=approval.rule,
        reason=approval.reason,
        created_at=approval.created_at,
        expires_at=approval.expires_at,
    )
