"""Homes and authorizers for tests: a clock that is told the time, ids that repeat, and brokers that count."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from delego_authorizer import Authorizer, Config
from delego_broker import CallableBroker
from delego_ledger.contract import Ledger
from delego_ledger.sqlite import SQLiteLedger
from delego_spec.action import Action
from delego_spec.chain import ChainReport, verify_chain
from delego_spec.ed25519 import SeedSigner
from delego_spec.gateway import GatewayRequest
from delego_spec.policy import Policy, load_policy
from delego_spec.receipts import Payload, decode_line
from delego_spec.timestamps import SECOND
from delego_spec.types import JSON, Micros

LEDGER_KEY = SeedSigner(bytes([1]) * 32)
TOKEN_KEY = SeedSigner(bytes([2]) * 32)
ALICE_KEY = SeedSigner(bytes([3]) * 32)
BOB_KEY = SeedSigner(bytes([4]) * 32)
START = Micros(1_760_000_000 * SECOND)

POLICY_TEXT = """
version: 1
default: deny
forbidden:
  - { name: no-sharing, description: Agents never share, match: { path_contains: /permissions } }
rules:
  - { name: read, decision: allow, match: { method: GET, path: /accounts/** } }
  - { name: few, decision: allow, match: { method: GET, path: /few/** },
      constraints: { rate_limit: { max: 3, per: hour } } }
  - { name: order, description: Orders cost money, decision: needs_approval,
      match: { method: POST, path: /orders }, constraints: { amount: { field: amount, max: 5000 } } }
  - { name: few-orders, decision: needs_approval, match: { method: POST, path: /few-orders },
      constraints: { rate_limit: { max: 3, per: hour } } }
"""
POLICY = load_policy(POLICY_TEXT)
CONFIG = replace(Config(), approvers=("alice", "bob"), broker_timeout=30.0)


_engines = itertools.count()  # no two engines give the same id


class FakeClock:
    """Says the time it was told."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> Micros:
        return Micros(self.now)

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class Ids:
    """Randomness that repeats from run to run, and never repeats within one."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = 0
        self._mutex = threading.Lock()

    def __call__(self, size: int) -> bytes:
        with self._mutex:
            self._count += 1
            text = f"{self._seed}/{self._count}"
        return hashlib.shake_256(text.encode()).digest(size)


class Service:
    """The far end: remembers each request that reaches it, then does what it was made to do."""

    def __init__(self, then: Callable[[GatewayRequest], object] = lambda _: {"done": True}) -> None:
        self.requests: list[GatewayRequest] = []
        self._then = then
        self._mutex = threading.Lock()

    def __call__(self, request: GatewayRequest) -> object:
        with self._mutex:
            self.requests.append(request)
        return self._then(request)

    @property
    def calls(self) -> int:
        return len(self.requests)


class Raw:
    """A broker that answers whatever its function returns, unchecked."""

    def __init__(self, function: Callable[[GatewayRequest], object]) -> None:
        self._function = function
        self.calls = 0

    def execute(self, request: GatewayRequest) -> Any:
        self.calls += 1
        return self._function(request)


@contextmanager
def house(
    folder: Path,
    *,
    service: Callable[[GatewayRequest], object] | None = None,
    broker: Any = None,
    clock: Callable[[], Micros] | None = None,
    policy: Policy = POLICY,
    config: Config = CONFIG,
    **more: Any,
) -> Iterator[Authorizer]:
    """An authorizer on the ledger in ``folder``, which is made when missing and closed at the end."""
    clock = clock if clock is not None else FakeClock()
    path = folder / "ledger.db"
    make = SQLiteLedger.open if path.exists() else SQLiteLedger.create
    ledger = make(path, signer=LEDGER_KEY, clock=clock)
    if service is not None:
        broker = CallableBroker(service)
    more.setdefault("randomness", Ids(f"engine {next(_engines)}"))
    try:
        yield Authorizer(policy, config, ledger, broker=broker, clock=clock, **more)
    finally:
        ledger.close()


def read(path: str = "me", instruction: str = "read my account") -> Action:
    """Allowed."""
    return Action(instruction, "GET", f"https://api.example.com/accounts/{path}", {})


def few(path: str = "a") -> Action:
    """Allowed three times an hour."""
    return Action("read a little", "GET", f"https://api.example.com/few/{path}", {})


def order(amount: JSON = 100, instruction: str = "place an order", **more: JSON) -> Action:
    """Needs a person's yes."""
    return Action(instruction, "POST", "https://api.example.com/orders", {"amount": amount, **more})


def few_orders(number: int = 0) -> Action:
    """Needs a person's yes, and three an hour may go."""
    return Action("place an order", "POST", "https://api.example.com/few-orders", {"number": number})


def share() -> Action:
    """Forbidden."""
    return Action("share it", "POST", "https://api.example.com/files/7/permissions", {"role": "owner"})


def park(authorizer: Authorizer, action: Action, principal: str = "agent") -> str:
    """Propose an action that needs approval; the approval's id."""
    decision = authorizer.propose(action, principal)
    assert decision.outcome == "needs_approval", decision
    assert decision.approval_id is not None
    return decision.approval_id


def approved(authorizer: Authorizer, action: Action) -> str:
    """Propose an action, and say yes to it; the approval's id."""
    approval_id = park(authorizer, action)
    assert authorizer.decide(approval_id, "approve", "alice").accepted
    return approval_id


def receipts(ledger: Ledger) -> list[Payload]:
    """What the ledger says, in order."""
    return [decode_line(line).payload for line in ledger.lines()]


def story(ledger: Ledger, start: int = 0) -> list[str]:
    """The receipts in short: ``phase/outcome: first reason``."""
    return [f"{one.phase}/{one.outcome}: {one.reasons[0]}" for one in receipts(ledger)[start:]]


def verified(ledger: Ledger) -> ChainReport:
    """The chain's report, which must find nothing wrong."""
    head = ledger.head()
    report = verify_chain(ledger.lines(), ledger.public_key, expected_head=head)
    assert report.valid, report.problems
    return report
