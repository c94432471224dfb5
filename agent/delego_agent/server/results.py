"""What a tool answers: one object for programs, and the same in words for an agent that reads.

Clients of older versions show the words alone, so that nothing that an agent needs is missing from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from delego_agent.server.advice import Instead, in_words
from delego_agent.server.errors import Gap
from delego_authorizer import Decision
from delego_spec.action import Action
from delego_spec.display import literal, visible
from delego_spec.timestamps import format_ts
from delego_spec.types import JSONObject, Micros

NOT_EXECUTED: Final = "broker did not execute: "

ASK: Final = (
    "A person decides this, outside of this conversation. Tell them what waits and why, once, with the"
    " approval id; then go on with other work, or stop. To look again: delego_pending. Once they have"
    " decided, call delego_resolve_action with this approval_id and exactly the same instruction, method, url"
    " and params."
)
NOT_YOURS: Final = (
    "IMPORTANT: 'delego approve' is for the person alone. Do not run it, do not ask for a key or a"
    " passphrase, do not write or edit anything of delego's, and do not urge the person to approve: they read"
    " the action themselves ('delego pending') and may say no. Only when they ask how, tell them the command."
)
_NEXT: Final[dict[str, str]] = {
    "executed": "It was done, once. Do not do it again by other means.",
    "released": "You may do it now: exactly this action, once. Anything else is a new proposal.",
    "outcome_unknown": "It may have happened. Do not repeat it by yourself: look whether it was done, and"
    " tell the person.",
    "not_executed": "It was allowed, and was not sent. Tell the person, or propose it again: that is a new"
    " decision.",
    "denied": "It must not be done, by other means neither. Propose something that avoids what is named, or"
    " ask the person what to do.",
    "needs_approval": f"{ASK} {NOT_YOURS}",
}
_WORDS: Final[dict[str, str]] = {
    "executed": "allowed, and executed",
    "released": "allowed: released to you",
    "outcome_unknown": "outcome unknown",
    "not_executed": "allowed, but not executed",
    "denied": "denied",
    "needs_approval": "waiting for a person",
}
_REFUSED_RELEASE: Final = (
    ("approval/", "Give exactly the action and instruction that were proposed; delego_pending shows them."),
    ("human denied", "A person said no. Do not propose it again in other words; ask them what they want."),
    (
        "approval expired",
        "Nobody decided in time, or nobody released it in time. Propose it again if it is still wanted.",
    ),
    ("approval already used", "This yes was spent. If the action is wanted once more, propose it again."),
    ("unknown approval id", "You have no approval of this id. delego_pending shows those that wait."),
)
_GAPS: Final[dict[Gap, tuple[str, tuple[str, ...]]]] = {
    "no_home": (
        "there is no delego home yet, so that nothing can be decided",
        ("delego init --approver NAME",),
    ),
    "policy_refused": ("the policy cannot be used as it is", ("delego policy check", "delego doctor")),
    "configuration_refused": ("the configuration cannot be used as it is", ("delego doctor",)),
    "home_unusable": ("the delego home cannot be opened", ("delego doctor",)),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a tool answers."""

    document: dict[str, Any]
    text: str
    is_error: bool = False

    @property
    def status(self) -> str:
        return str(self.document["status"])


def decided(decision: Decision, *, found: Instead | None = None, expires_at: Micros | None = None) -> Reply:
    """A decision. ``found``: what would be allowed instead."""
    status = _status(decision)
    document: JSONObject = {
        "status": status,
        "next": _next(status, decision),
        **decision.to_mapping(),
        "expires_at": None if expires_at is None else format_ts(expires_at),
        "instead": found,
    }
    rule = f" by rule {visible(decision.rule)!r}" if decision.rule is not None else ""
    lines = [f"{_WORDS[status]}{rule}", *(f"- {visible(reason)}" for reason in decision.reasons)]
    lines += _instead(found)
    if decision.approval_id is not None:
        lines.append(f"approval_id: {decision.approval_id}")
    if expires_at is not None:
        lines.append(f"to be decided by: {format_ts(expires_at)}")
    if status == "executed":
        lines.append(f"result: {literal(decision.result)}")
    if decision.token is not None:
        lines.append(f"token for your broker: {decision.token}")
    return Reply(document, _text(lines, str(document["next"])))


def explained(
    action: Action,
    outcome: str,
    rule: str | None,
    reasons: Iterable[str],
    steps: list[JSONObject],
    found: Instead | None,
) -> Reply:
    """What would become of an action."""
    reasons = [*reasons]
    advice = (
        "Nothing was decided. Propose the action with delego_propose_action if it is what the person wants."
    )
    if outcome == "deny":
        advice = "Nothing was decided. Proposed as it is, it would be denied; change it, or ask the person."
    document: JSONObject = {
        "status": "ok",
        "next": advice,
        "outcome": outcome,
        "rule": rule,
        "reasons": [*reasons],
        "steps": [*steps],
        "instead": found,
        "intent_hash": action.intent_hash,
        "action_fingerprint": action.fingerprint,
    }
    would = {
        "allow": "would be allowed",
        "deny": "would be denied",
        "needs_approval": "would wait for a person",
    }
    lines = [would[outcome], *(f"- {visible(reason)}" for reason in reasons), *_instead(found)]
    return Reply(document, _text(lines, advice))


def shown(members: dict[str, Any], heading: str, lines: Iterable[str], advice: str) -> Reply:
    """Something to look at. ``lines``: of the text, with what agents wrote made visible."""
    return Reply({"status": "ok", "next": advice, **members}, _text([heading, *lines], advice))


def setup_required(gap: Gap) -> Reply:
    """There is no home to decide with. No error: the server is well, and waits for a person."""
    problem, commands = _GAPS[gap]
    advice = (
        "Nothing was decided, and nothing may be done. Ask the person to run the command below in their own"
        " terminal, for the home that this server was started with; then try again: this server need not be"
        " started anew. Do not run it yourself."
    )
    document = {"status": "setup_required", "next": advice, "problem": problem, "commands": [*commands]}
    return Reply(document, _text([f"setup required: {problem}", *(f"- {one}" for one in commands)], advice))


def invalid(problems: Iterable[str]) -> Reply:
    """Arguments that are not what the schema says."""
    listed = [*problems]
    advice = "Nothing was decided. Correct the arguments and call again."
    document = {"status": "invalid_arguments", "next": advice, "problems": listed}
    return Reply(
        document,
        _text(["invalid arguments", *(f"- {visible(one)}" for one in listed)], advice),
        is_error=True,
    )


def unavailable(problem: str) -> Reply:
    """Nothing was decided. ``problem`` names no path: the operator finds all of it on standard error."""
    advice = (
        "Nothing was decided, and nothing may be done. Try again later, or tell the person: 'delego doctor'."
    )
    document = {"status": "unavailable", "next": advice, "problem": problem}
    return Reply(document, _text([f"unavailable: {problem}"], advice), is_error=True)


def unsettled() -> Reply:
    """The action was released, and what came of it could not be written down."""
    advice = _NEXT["outcome_unknown"]
    return Reply(
        {"status": "outcome_unknown", "next": advice},
        _text([_WORDS["outcome_unknown"]], advice),
        is_error=True,
    )


def _status(decision: Decision) -> str:
    if decision.outcome == "needs_approval":
        return "needs_approval"
    if decision.outcome == "allow":
        return {True: "executed", False: "released", None: "outcome_unknown"}[decision.executed]
    last = decision.reasons[-1] if decision.reasons else ""
    return "not_executed" if last.startswith(NOT_EXECUTED) else "denied"


def _next(status: str, decision: Decision) -> str:
    if status == "denied" and decision.reasons:
        for beginning, advice in _REFUSED_RELEASE:
            if decision.reasons[0].startswith(beginning):
                return advice
    return _NEXT[status]


def _instead(found: Instead | None) -> list[str]:
    lines = [] if found is None else [f"- {line}" for line in in_words(found)]
    return ["instead:", *lines] if lines else []


def _text(lines: Iterable[str], advice: str) -> str:
    return "\n".join([*lines, advice])
