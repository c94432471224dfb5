"""The steps of a session, for the suite of sessions: each is one request and what is expected of it."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import action, ok, step
from delego_conformance.generate.policies import entry, policy, rule
from delego_conformance.generate.suites.release import order
from delego_conformance.vectors import JSONObject

MIXED: Final = policy(
    rule("{ method: GET }", name="read"), rule(decision="needs_approval", name="write"),
    forbidden=entry("{ path: /secret }", name="secret"),
)  # fmt: skip
READ: Final = action()
ORDER: Final = order()


def at(time: str) -> JSONObject:
    """The time of a request, on the first day of 2026; times of other days are given in full."""
    day = "" if "T" in time else "2026-01-01T"
    return {"now": f"{day}{time}{'' if '.' in time else '.000000'}+00:00"}


def opened(text: str = MIXED, **config: Any) -> JSONObject:
    return step("session.open", {"policy_text": text, **({"config": config} if config else {})})


def propose(
    outcome: str,
    proposed: JSONObject = ORDER,
    *,
    bind: str | None = None,
    by: str | None = None,
    now: str | None = None,
    **expect: Any,
) -> JSONObject:
    """A proposal; it is executed exactly if it is allowed."""
    args: JSONObject = {"action": proposed} if by is None else {"action": proposed, "principal": by}
    return step(
        "session.propose", args, ok(outcome=outcome, executed=outcome == "allow", **expect),
        bind={bind: "approval_id"} if bind else None, ctx=at(now) if now else None,
    )  # fmt: skip


def park(
    proposed: JSONObject = ORDER, *, name: str = "id", by: str | None = None, now: str | None = None
) -> JSONObject:
    """A proposal that waits for a person; its approval is known as ``${id}`` from here on."""
    return propose("needs_approval", proposed, bind=name, by=by, now=now)


def decide(
    decision: str,
    status: str | None,
    *,
    who: str = "alice",
    counts: bool = True,
    name: str = "${id}",
    now: str | None = None,
) -> JSONObject:
    args = {"approval_id": name, "decision": decision, "approver": who}
    expect = ok(accepted=counts, status=status)
    return step("session.decide", args, expect, ctx=at(now) if now else None)


def yes(status: str | None = "approved", **more: Any) -> JSONObject:
    return decide("approve", status, **more)


def no(status: str = "denied", **more: Any) -> JSONObject:
    return decide("deny", status, **more)


def resolve(
    outcome: str,
    asked: JSONObject = ORDER,
    *,
    name: str = "${id}",
    by: str | None = None,
    now: str | None = None,
    **expect: Any,
) -> JSONObject:
    """A release; it is executed exactly if it is allowed."""
    args: JSONObject = {"approval_id": name, "action": asked, **({"principal": by} if by else {})}
    return step(
        "session.resolve", args, ok(outcome=outcome, executed=outcome == "allow", **expect),
        ctx=at(now) if now else None,
    )  # fmt: skip


def race(effects: int, parallel: int = 8, asked: JSONObject = ORDER) -> JSONObject:
    args = {"approval_id": "${id}", "action": asked, "parallel": parallel}
    return step("session.race", args, ok(effects=effects))


def restart(**args: Any) -> JSONObject:
    return step("session.restart", args)


def export(*receipts: JSONObject) -> JSONObject:
    """The chain is sound, and has these receipts."""
    return step("session.export", {}, {**ok(), "receipts": list(receipts)})


def receipt(phase: str, outcome: str, rule: str | None = None, **members: Any) -> JSONObject:
    return {"phase": phase, "outcome": outcome, "rule": rule, **members}
