"""What each tool does. Knows nothing of MCP: arguments come in, a ``Reply`` goes out, from any thread.

There is no way from here to a decision on an approval: of the authorizer, ``propose``, ``resolve`` and what
only reads are used. Nothing takes a principal: the operator names it when the server is started.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any, Final

from delego_agent.server.advice import Instead, instead
from delego_agent.server.door import Door, Log, Opened
from delego_agent.server.errors import InvalidArguments, NotSetUp
from delego_agent.server.inputs import DEFAULT_TAIL, Words, action_of, read_arguments
from delego_agent.server.own_receipts import own_receipts, readable
from delego_agent.server.results import (
    Reply,
    decided,
    explained,
    invalid,
    setup_required,
    shown,
    unavailable,
    unsettled,
)
from delego_agent.server.schemas import EXPLAIN, PENDING, POLICY, PROPOSE, RESOLVE, TAIL, TOOLS
from delego_agent.service import Held
from delego_authorizer import ActionTooLarge, ApprovalUnknown, Decision, DelegoAuthorizerError, Unsettled
from delego_ledger.errors import DelegoLedgerError
from delego_spec.action import Action
from delego_spec.display import visible
from delego_spec.errors import DelegoSpecError
from delego_spec.explain import Step
from delego_spec.hazards import find_hazards
from delego_spec.policy import policy_digest
from delego_spec.timestamps import format_ts
from delego_spec.types import JSONObject, Micros

MAX_SHOWN: Final = 100  # approvals in one answer
MAX_POLICY: Final = 64 * 1024  # characters of a policy in one answer; an agent has to read them
MAX_STEPS: Final = 50  # entries of a policy in one explanation, the last ones
_FAULT: Final = "a fault in delego; its operator finds more on standard error"


class Desk:
    """Answers calls. Safe for use by many threads."""

    def __init__(self, door: Door, log: Log, *, instruction: str | None = None) -> None:
        """``instruction``: the person's words for calls that come without."""
        self._door = door
        self._log = log
        self.instruction = instruction
        self._tools: dict[str, Callable[[Opened, dict[str, Any], Words], Reply]] = {
            PROPOSE: self._propose,
            RESOLVE: self._resolve,
            PENDING: self._pending,
            TAIL: self._tail,
            POLICY: self._policy,
            EXPLAIN: self._explain,
        }

    def call(self, name: str, arguments: object = None, of_program: object = None) -> Reply:
        """One call of a tool. ``of_program``: the person's words out of the request's _meta.

        Raises KeyError for a tool that does not exist, and nothing else.
        """
        run, tool = self._tools[name], TOOLS[name]
        required = tuple(one for one in tool.required if one != "instruction")
        try:
            given = read_arguments(arguments, tool.arguments, required)
            with self._door.entered() as opened:
                return run(opened, given, Words(self.instruction, of_program))
        except InvalidArguments as error:
            return invalid(error.problems)
        except NotSetUp as error:
            return setup_required(error.gap)
        except ActionTooLarge as error:
            return invalid([str(error)])
        except Unsettled as error:
            self._log(str(error))
            return unsettled()
        except (DelegoSpecError, DelegoAuthorizerError, DelegoLedgerError) as error:
            self._log(str(error))
            return unavailable("the ledger cannot be used now")
        except Exception as error:  # noqa: BLE001 - an agent gets an answer, the operator the rest
            self._log(f"{name}: {type(error).__name__}: {error}")
            if os.environ.get("DELEGO_DEBUG"):
                self._log(traceback.format_exc())
            return unavailable(_FAULT) if tool.read_only else unsettled()

    def waits(self, approval_id: str) -> bool:
        """Whether an own approval still waits for a person. Raises nothing."""
        try:
            with self._door.entered() as opened:
                return opened.client.approval(approval_id).status == "pending"
        except (NotSetUp, DelegoSpecError, DelegoAuthorizerError, DelegoLedgerError):
            return False  # the release says what is wrong

    def _propose(self, opened: Opened, given: dict[str, Any], words: Words) -> Reply:
        action = action_of(given, words)
        return self._answer(opened, action, opened.client.request(action))

    def _resolve(self, opened: Opened, given: dict[str, Any], words: Words) -> Reply:
        action, approval_id = action_of(given, words), given["approval_id"]
        try:
            opened.client.approval(approval_id)
        except ApprovalUnknown:
            # Somebody else's is as unknown as none: a refusal would quote that action, and exactly the action
            # of another agent would be released here. What is no id is looked up nowhere.
            approval_id = f"{approval_id[:60]} for {opened.principal}"
        return self._answer(opened, action, opened.client.resolve(approval_id, action))

    def _answer(self, opened: Opened, action: Action, decision: Decision) -> Reply:
        expires_at = None
        if decision.outcome == "needs_approval" and decision.approval_id is not None:
            expires_at = opened.client.approval(decision.approval_id).expires_at
        found: Instead | None = None
        if decision.outcome == "deny" and decision.approval_id is None and not decision.executed:
            found = self._instead(opened, action)
        return decided(decision, found=found, expires_at=expires_at)

    def _instead(self, opened: Opened, action: Action) -> Instead | None:
        """Advice is not worth failing for: the decision stands, and is recorded."""
        try:
            steps, _ = _judged(opened, action)
        except (DelegoSpecError, DelegoAuthorizerError, DelegoLedgerError):
            return None
        verdict = steps[-1].verdict if steps else None
        if verdict is not None and verdict.outcome != "deny":
            return None  # denied for another reason: a release that the guards refused
        return instead(opened.authorizer.policy, action, steps)

    def _pending(self, opened: Opened, given: dict[str, Any], words: Words) -> Reply:  # noqa: ARG002
        waiting = opened.client.pending()
        listed = readable([_held(one) for one in waiting[:MAX_SHOWN]])
        members = {"pending": listed, "more": len(waiting) - len(listed)}
        heading = f"{len(waiting)} of your actions wait for a person" if waiting else "nothing of yours waits"
        lines = [
            f"- {one.id}, until {_time(one.expires_at)}: {visible(one.summary)}"
            for one in waiting[: len(listed)]
        ]
        return shown(members, heading, lines, "People decide with their own tools; nothing here can.")

    def _tail(self, opened: Opened, given: dict[str, Any], words: Words) -> Reply:  # noqa: ARG002
        limit = given.get("limit", DEFAULT_TAIL)
        members: dict[str, Any] = own_receipts(opened.authorizer.ledger, opened.principal, limit)
        lines = [
            f"- {one['seq']} {one['ts']} {one['phase']}/{one['outcome']}: {visible(one['action_summary'])}"
            f" ({visible('; '.join(one['reasons']))})"
            for one in members["receipts"]
        ]
        heading = f"{len(lines)} receipts about your actions; the chain's head is {members['head'] or 'none'}"
        return shown(members, heading, lines, "For proof, a person runs 'delego verify'.")

    def _policy(self, opened: Opened, given: dict[str, Any], words: Words) -> Reply:  # noqa: ARG002
        policy, config = opened.authorizer.policy, opened.authorizer.config
        document, left_out = _fitting(policy.document)
        members = {
            "version": policy.version,
            "digest": policy_digest(policy.document, config.decision_document),
            "policy": document,
            "left_out": left_out,
        }
        lines = json.dumps(document, indent=1).split("\n")
        if left_out:
            lines.append(f"{left_out} entries are left out; delego_explain looks at all of them")
        advice = "Only its owner changes it, in their own editor. Ask delego_explain about a single action."
        return shown(members, f"the policy, default {policy.default}", lines, advice)

    def _explain(self, opened: Opened, given: dict[str, Any], words: Words) -> Reply:
        action = action_of(given, words)
        steps, hazards = _judged(opened, action)
        listed: list[JSONObject] = [
            {"section": step.section, "rule": step.rule, "matched": step.matched, "text": step.text}
            for step in steps[-MAX_STEPS:]
        ]
        verdict = steps[-1].verdict if steps else None
        if verdict is None:
            return explained(
                action, "deny", None, hazards, listed, instead(opened.authorizer.policy, action, ())
            )
        found = instead(opened.authorizer.policy, action, steps) if verdict.outcome == "deny" else None
        return explained(action, verdict.outcome, verdict.rule, verdict.reasons, listed, found)


def _judged(opened: Opened, action: Action) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """How the policy would decide, or the hazards for which it is not asked."""
    plain = opened.authorizer.config.plain_http_hosts
    hazards = tuple(hazard.reason for hazard in find_hazards(action, plain_http_hosts=plain))
    return ((), hazards) if hazards else (opened.authorizer.explain(action), ())


def _held(one: Held) -> JSONObject:
    return {
        "approval_id": str(one.id),
        "summary": one.summary,
        "instruction": one.instruction,
        "rule": one.rule,
        "reason": one.reason,
        "created_at": format_ts(one.created_at),
        "expires_at": _time(one.expires_at),
    }


def _time(moment: Micros | None) -> str | None:
    return None if moment is None else format_ts(moment)


def _fitting(document: JSONObject) -> tuple[JSONObject, int]:
    """A policy that is too long to be read loses its last entries, and says how many."""
    room = MAX_POLICY
    fitting, left_out = dict(document), 0
    for section in ("forbidden", "rules"):
        entries = document.get(section)
        if not isinstance(entries, list):
            continue
        kept = []
        for entry in entries:
            room -= len(json.dumps(entry, ensure_ascii=False))
            if room < 0:
                break
            kept.append(entry)
        fitting[section] = kept
        left_out += len(entries) - len(kept)
    return fitting, left_out
