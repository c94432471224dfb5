"""The story that SPEC.md tells, run for real: its keys are published test seeds, its clock stands still.

A hazard is refused, a read is allowed, an order is parked, approved with a signature, attempted with one
parameter more, released, and attempted again. ``play`` returns everything that SPEC.md shows of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from ballots import signed_yes
from delego_authorizer import Authorizer, Ballot, Decision, load_config
from delego_ledger.sqlite import SQLiteLedger
from delego_spec import (
    Action,
    Approval,
    Evidence,
    Executed,
    GatewayRequest,
    Micros,
    Notification,
    SeedSigner,
    load_policy,
)
from delego_spec.types import EpochSeconds

# RFC 8032, section 7.1: the secret keys of TEST 1, 2 and 3.
LEDGER = SeedSigner(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
TOKENS = SeedSigner(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
ALICE = SeedSigner(bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))

START = 1_767_268_800  # 2026-01-01T12:00:00Z
SECOND = 1_000_000  # microseconds
AGENT = "agent-7"


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    seconds: int = START

    def __call__(self) -> Micros:
        return Micros(self.seconds * SECOND)


@dataclass
class Numbers:
    """Bytes that look random and are the same in every run; each length is a sequence of its own."""

    drawn: dict[int, int] = field(default_factory=dict)

    def __call__(self, count: int) -> bytes:
        self.drawn[count] = self.drawn.get(count, 0) + 1
        return hashlib.shake_256(f"{count}/{self.drawn[count]}".encode()).digest(count)


@dataclass
class OneShop:
    """A broker whose service answers 201 to everything, and that remembers what it was told."""

    requests: list[GatewayRequest] = field(default_factory=list)

    def execute(self, request: GatewayRequest) -> Executed:
        self.requests.append(request)
        return Executed(status=201, result={"id": len(self.requests)})


@dataclass(frozen=True)
class Story:
    """What came of it."""

    chain: tuple[bytes, ...]  # receipts as lines
    parked: Approval
    ballot: Ballot
    notification: Notification
    evidence: Evidence
    requests: tuple[GatewayRequest, ...]
    decisions: tuple[Decision, ...]


def play(policy: str, config: str, order: Action, changed: Action) -> Story:
    """Run the story under this policy and configuration; ``changed`` is ``order`` with something added."""
    clock, shop = Clock(), OneShop()
    with TemporaryDirectory() as folder:
        ledger = SQLiteLedger.create(Path(folder) / "ledger.db", LEDGER, clock=clock)
        authorizer = Authorizer(
            load_policy(policy),
            load_config(config),
            ledger,
            broker=shop,
            token_signer=TOKENS,
            approver_keys={"alice": ALICE.public_key},
            clock=clock,
            randomness=Numbers(),
        )
        act = _Acting(clock, authorizer)
        act.at(0, lambda: authorizer.propose(_get("accounts/../admin"), AGENT))
        act.at(1, lambda: authorizer.propose(_get("accounts/me"), AGENT))
        parked = act.at(2, lambda: authorizer.propose(order, AGENT))
        clock.seconds = START + 60
        ballot = authorizer.ballot(str(parked.approval_id), "alice")
        evidence = signed_yes(ballot, ALICE, Micros((START + 58) * SECOND))
        authorizer.decide(ballot.approval.id, "approve", "alice", callback=evidence.callback)
        for second, action in ((61, changed), (62, order), (63, order)):
            act.at(second, lambda action=action: authorizer.resolve(ballot.approval.id, action, AGENT))
        chain = tuple(ledger.lines())
        ledger.close()
    return Story(
        chain=chain,
        parked=ballot.approval,
        ballot=ballot,
        notification=_notification(ballot),
        evidence=evidence,
        requests=tuple(shop.requests),
        decisions=tuple(act.decisions),
    )


@dataclass
class _Acting:
    clock: Clock
    authorizer: Authorizer
    decisions: list[Decision] = field(default_factory=list)

    def at(self, second: int, do: Callable[[], Decision]) -> Decision:
        self.clock.seconds = START + second
        self.decisions.append(do())
        return self.decisions[-1]


def _get(path: str) -> Action:
    return Action("read my account details", "GET", f"https://api.example.com/{path}", {})


def _notification(ballot: Ballot) -> Notification:
    approval = ballot.approval
    assert approval.expires_at is not None
    return Notification(
        approval_id=approval.id,
        instruction=approval.instruction,
        action_summary=approval.summary,
        nonce=ballot.nonce,
        exp=EpochSeconds(approval.expires_at // SECOND),
        reason=approval.reason,
        required_approvers=approval.required_approvers,
    )
