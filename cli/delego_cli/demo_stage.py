"""Where ``delego demo`` plays: a real home, a service that counts what reaches it, and the demo's actions."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from delego_authorizer.authorizer import Authorizer
from delego_authorizer.home import Home, init_home
from delego_broker.callable import CallableBroker
from delego_spec.action import Action
from delego_spec.gateway import GatewayRequest
from delego_spec.types import JSON, JSONObject

APPROVER: Final = "alice"
AUDIENCE: Final = "https://broker.example"

_CONFIG: Final = """\
version = 1

[approvals]
approvers = [{approver}]

[tokens]
audience = "https://broker.example"
"""

READ: Final = Action("read my account details", "GET", "https://api.example.com/accounts/me", {})
FORBIDDEN: Final = Action(
    "share the report", "POST", "https://api.example.com/files/7/permissions", {"role": "owner"}
)
DOTTED: Final = Action("read my account details", "GET", "https://api.example.com/accounts/../admin", {})


def order(amount: int, **more: JSON) -> Action:
    """The person's order over ``amount`` US dollars; ``more``: parameters that somebody added."""
    params: JSONObject = {"amount": amount, "currency": "USD", "destination": "internal", **more}
    return Action("place a small order", "POST", "https://api.example.com/orders", params)


def re_pointed(action: Action, instruction: str) -> Action:
    """The same request, said to follow from another instruction."""
    return Action(instruction, action.method, action.url, action.params)


class Service:
    """The far end: it does what reaches it, and remembers each time."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._requests: list[GatewayRequest] = []

    def __call__(self, request: GatewayRequest) -> JSON:
        with self._mutex:
            self._requests.append(request)
        return {"done": True}

    @property
    def calls(self) -> int:
        """How often anything was done."""
        return len(self._requests)

    def effects(self, action: Action) -> list[GatewayRequest]:
        """The requests that did this very action."""
        return [one for one in self._requests if one.action_fingerprint == action.fingerprint]


@dataclass(slots=True)
class Stage:
    """What the steps share. Later steps build on what earlier ones left in the ledger."""

    folder: Path  # of the exported copies
    home: Home
    service: Service
    authorizer: Authorizer
    approval_id: str = ""  # of the order that a person looks at
    over_cap_seq: int = -1  # the receipt that is edited later
    seen_calls: int = 0  # calls of the service that a step has accounted for

    def new_calls(self) -> int:
        """Calls of the service since the last look."""
        seen, self.seen_calls = self.seen_calls, self.service.calls
        return self.seen_calls - seen

    def close(self) -> None:
        self.authorizer.ledger.close()


def make_stage(folder: Path, *, service: Service | None = None, policy_text: str | None = None) -> Stage:
    """A new home in ``folder``, under the policy that ``delego init`` writes. Raises as ``init_home``."""
    home = init_home(folder, approver=APPROVER, policy_text=policy_text, config_text=_CONFIG)
    service = service if service is not None else Service()
    return Stage(home.path, home, service, home.authorizer(CallableBroker(service)))
