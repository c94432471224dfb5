"""The life of approvals and executions as a state machine, run against a pure model of §7."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from delego_authorizer import Authorizer
from delego_broker import Executed, GatewayRequest, NotSent
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import ALREADY_USED
from houses import (
    CONFIG,
    FakeClock,
    Raw,
    few,
    few_orders,
    house,
    order,
    park,
    read,
    receipts,
    share,
    verified,
)

LIFETIME, WINDOW, HOUR, LIMIT = 100, 50, 3600, 3
SWAPS = ("changed", "re-pointed", "elsewhere")
PEOPLE = ("alice", "bob", "agent")
SETTINGS = replace(CONFIG, approvers=PEOPLE, approval_lifetime=LIFETIME, release_window=WINDOW)


class CrashError(BaseException):
    """The process ends."""


@dataclass
class Parked:
    """The model's approval."""

    action: Action
    limited: bool
    required: int
    expires_at: int
    status: str = "pending"
    by_agent: bool = False
    release_by: int = 0
    yes: list[str] = field(default_factory=list)
    effects: int = 0

    def status_at(self, now: int) -> str:
        limit = {"pending": self.expires_at, "approved": self.release_by}.get(self.status)
        return "expired" if limit is not None and now >= limit else self.status


class Approvals(RuleBasedStateMachine):
    """Agents, people, the clock, crashes, and two engines on one ledger."""

    ids = Bundle("ids")

    @initialize(required=st.sampled_from([1, 1, 2]))
    def begin(self, required: int) -> None:
        self.stack = ExitStack()
        memory = Path("/dev/shm")  # noqa: S108 - no crash of the machine is played here, so that no disk is needed
        place = memory if os.access(memory, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="delego-machine-", dir=place))
        self.stack.callback(shutil.rmtree, self.folder)
        self.clock = FakeClock()
        self.required = required
        self.seen: Anchor | None = None
        self.fate = "executed"  # what becomes of the next broker call
        self.sent: list[GatewayRequest] = []
        self.allows: dict[str, list[int]] = {"few": [], "few-orders": []}  # times, or -1 in flight
        self.parked: dict[str, Parked] = {}
        self.in_flight: list[tuple[str | None, int]] = []  # rule, deadline: left by crashes
        self.engines = [self.open_engine(), self.open_engine()]

    def open_engine(self) -> Authorizer:
        config = replace(SETTINGS, required_approvers=self.required)
        return self.stack.enter_context(
            house(self.folder, broker=Raw(self.broker), clock=self.clock, config=config)
        )

    def broker(self, request: GatewayRequest) -> object:
        if self.fate == "not sent":
            raise NotSent("no route")
        self.sent.append(request)
        if self.fate == "unknown":
            raise OSError("reset")
        return Executed()

    # --- what the model says ----------------------------------------------------------------------------

    def used(self, name: str) -> int:
        recent = sum(1 for at in self.allows[name] if at > self.clock.now - HOUR * 1_000_000)
        return recent + sum(1 for rule_name, _ in self.in_flight if rule_name == name)

    def released(self, decision: Any, name: str | None) -> None:
        """Check and count a release whose broker call had this fate."""
        if self.fate == "not sent":
            assert (decision.outcome, decision.executed) == ("deny", False)
            return
        assert decision.outcome == "allow"
        assert decision.executed is (True if self.fate == "executed" else None)
        if name in self.allows:
            self.allows[name].append(self.clock.now)

    # --- the agent --------------------------------------------------------------------------------------

    @rule(fate=st.sampled_from(["executed", "executed", "unknown", "not sent"]))
    def choose_fate(self, fate: str) -> None:
        self.fate = fate

    @rule(engine=st.integers(0, 1), action=st.sampled_from([read(), few(), share(), read("../x")]))
    def propose(self, engine: int, action: Action) -> None:
        sent = len(self.sent)
        decision = self.engines[engine].propose(action)
        if action == read():
            self.released(decision, "read")
        elif action == few() and self.used("few") < LIMIT:
            self.released(decision, "few")
        else:
            assert decision.outcome == "deny"
            assert len(self.sent) == sent

    @rule(
        target=ids,
        engine=st.integers(0, 1),
        limited=st.booleans(),
        number=st.integers(0, 2),
        proposer=st.sampled_from(["agent", "bot"]),
    )
    def park(self, engine: int, limited: bool, number: int, proposer: str) -> Any:
        action = few_orders(number) if limited else order(number)
        if limited and self.used("few-orders") >= LIMIT:
            assert self.engines[engine].propose(action, proposer).outcome == "deny"
            return multiple()
        approval_id = park(self.engines[engine], action, proposer)
        assert approval_id not in self.parked
        expires = self.clock.now + LIFETIME * 1_000_000
        self.parked[approval_id] = Parked(
            action, limited, self.required, expires, by_agent=proposer == "agent"
        )
        return approval_id

    # --- people -----------------------------------------------------------------------------------------

    def vote(self, approval_id: str, engine: int, who: str, decision: Any) -> None:
        model = self.parked[approval_id]
        status = model.status_at(self.clock.now)
        barred = model.by_agent and who == "agent"
        may = decision == "deny" or not (barred or who in model.yes)
        counts = who in PEOPLE and status == "pending" and may
        said = self.engines[engine].decide(approval_id, decision, who)
        assert said.accepted is counts
        assert said.approval.status_at(self.clock()) == model.status_at(self.clock.now) or counts
        if not counts:
            return
        if decision == "deny":
            model.status = "denied"
            return
        model.yes.append(who)
        if len(model.yes) == model.required:
            model.status, model.release_by = "approved", self.clock.now + WINDOW * 1_000_000

    @rule(
        approval_id=ids,
        engine=st.integers(0, 1),
        who=st.sampled_from([*PEOPLE, "mallory"]),
        decision=st.sampled_from(["approve", "approve", "deny"]),
    )
    def decide(self, approval_id: str, engine: int, who: str, decision: Any) -> None:
        self.vote(approval_id, engine, who, decision)

    @rule(approval_id=ids, engine=st.integers(0, 1), order=st.permutations(PEOPLE))
    def everybody_says_yes(self, approval_id: str, engine: int, order: list[str]) -> None:
        for who in (order[0], *order):  # the first one twice
            self.vote(approval_id, engine, who, "approve")

    # --- releases ---------------------------------------------------------------------------------------

    @rule(approval_id=ids, engine=st.integers(0, 1), seconds=st.sampled_from([0, 49.9, 50]))
    def approve_and_release(self, approval_id: str, engine: int, seconds: float) -> None:
        """The usual way: swaps are tried, the action released, and replayed; or the yes is too old."""
        self.everybody_says_yes(approval_id, engine, list(PEOPLE))
        for how in SWAPS:
            self.resolve_something_else(approval_id, engine, how)
        self.clock.pass_seconds(seconds)
        self.resolve(approval_id, engine)
        self.resolve(approval_id, 1 - engine)

    @rule(approval_id=ids, engine=st.integers(0, 1))
    def resolve(self, approval_id: str, engine: int) -> None:
        model = self.parked[approval_id]
        status = model.status_at(self.clock.now)
        sent = len(self.sent)
        decision = self.engines[engine].resolve(approval_id, model.action)
        if status == "pending":
            assert decision.outcome == "needs_approval"
        elif status == "approved" and model.limited and self.used("few-orders") >= LIMIT:
            assert decision.reasons[0].startswith("rate_limit: ")
        elif status == "approved":
            self.released(decision, "few-orders" if model.limited else "order")
            model.status = "consumed"
            model.effects += len(self.sent) - sent
            return
        else:
            model.status = status
            expected = {"denied": "human denied", "expired": "approval expired", "consumed": ALREADY_USED}
            assert decision.outcome == "deny"
            assert decision.reasons[0].startswith(expected[status])
        assert len(self.sent) == sent

    @rule(
        approval_id=ids, engine=st.integers(0, 1), how=st.sampled_from(["changed", "re-pointed", "elsewhere"])
    )
    def resolve_something_else(self, approval_id: str, engine: int, how: str) -> None:
        model = self.parked[approval_id]
        action = model.action
        other = {
            "changed": Action(action.instruction, action.method, action.url, {**action.params, "to": "me"}),
            "re-pointed": Action("something else", action.method, action.url, action.params),
            "elsewhere": Action(action.instruction, action.method, f"{action.url}?x=1", action.params),
        }[how]
        status = model.status_at(self.clock.now)
        sent = len(self.sent)
        decision = self.engines[engine].resolve(approval_id, other)
        assert decision.outcome == "deny"
        assert "mismatch" in decision.reasons[0]
        assert len(self.sent) == sent
        model.status = status

    @rule(approval_id=ids, engine=st.integers(0, 1), seconds=st.sampled_from([0, 59, 60]))
    def crash_while_releasing(self, approval_id: str, engine: int, seconds: float) -> None:
        """The process dies when the approval is consumed and nothing was sent yet; somebody recovers."""
        self.everybody_says_yes(approval_id, engine, list(PEOPLE))
        model = self.parked[approval_id]
        if model.status_at(self.clock.now) == "approved" and not (
            model.limited and self.used("few-orders") >= LIMIT
        ):
            self.die_releasing(model, approval_id, engine)
        self.clock.pass_seconds(seconds)
        self.recover(1 - engine)
        self.resolve(approval_id, engine)

    def die_releasing(self, model: Parked, approval_id: str, engine: int) -> None:
        def die(*_: object) -> None:
            raise CrashError

        dying: Any = self.engines[engine]
        dying._execute = die
        with pytest.raises(CrashError):
            dying.resolve(approval_id, model.action)
        self.in_flight.append(("few-orders" if model.limited else "order", self.clock.now + 60_000_000))
        model.status = "consumed"
        self.engines[engine] = self.open_engine()

    # --- the world --------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 10, 49, 50, 99, 100, HOUR]))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)

    @rule(engine=st.integers(0, 1))
    def recover(self, engine: int) -> None:
        sent = len(self.sent)
        settled = self.engines[engine].recover()
        due = [one for one in self.in_flight if one[1] <= self.clock.now]
        assert sorted(str(one.rule) for one in settled) == sorted(str(name) for name, _ in due)
        for name, _ in due:
            if name in self.allows:
                self.allows[name].append(self.clock.now)
        self.in_flight = [one for one in self.in_flight if one[1] > self.clock.now]
        assert len(self.sent) == sent

    @rule(engine=st.integers(0, 1))
    def reopen(self, engine: int) -> None:
        self.engines[engine].ledger.close()
        self.engines[engine] = self.open_engine()

    # --- what always holds ------------------------------------------------------------------------------

    @invariant()
    def an_approval_has_at_most_one_effect(self) -> None:
        assert all(model.effects <= 1 for model in self.parked.values())

    @invariant()
    def the_ledger_says_what_the_model_says(self) -> None:
        ledger = self.engines[0].ledger
        stored = {one.id: one.status_at(self.clock()) for one in ledger.approvals()}
        assert stored == {key: model.status_at(self.clock.now) for key, model in self.parked.items()}
        waiting = {one.id for one in self.engines[1].pending()}
        assert waiting == {key for key, status in stored.items() if status == "pending"}
        assert len(ledger.executions()) == len(self.in_flight)

    @invariant()
    def the_chain_is_sound_and_every_effect_was_written_ahead(self) -> None:
        ledger = self.engines[0].ledger
        if ledger.head() == self.seen:
            return
        self.seen = ledger.head()
        verified(ledger)
        written = receipts(ledger)
        ahead = [one for one in written if "execution follows" in one.reasons[0]]
        results = [one for one in written if one.phase == "execution" and one.rule]
        assert len(ahead) == len(results) + len(self.in_flight)
        assert {one.action_fingerprint for one in self.sent} <= {one.action_fingerprint for one in ahead}

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()


TestApprovals = Approvals.TestCase
TestApprovals.settings = settings(max_examples=40, stateful_step_count=25)
