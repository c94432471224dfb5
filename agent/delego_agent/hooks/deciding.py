"""One event of a coding agent, decided.

The tool call becomes the action ``CALL tool://<agent>/<tool>`` with the tool's input as params. Characters
of the tool's name that have no place in a path are percent-encoded; what the hazards do not let through
even so is denied, with a receipt. A text of more than 16 KiB stands in the params as its digest: it is bound
by the decision all the same, and a receipt does not become a copy of the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import quote

from delego_agent.errors import HookError
from delego_agent.hooks.agents import Answer, CodingAgent
from delego_agent.service import LocalService
from delego_authorizer import Decision
from delego_spec.action import Action
from delego_spec.canonical import parse_json
from delego_spec.display import visible
from delego_spec.errors import ActionError, CanonicalError
from delego_spec.types import JSON, JSONObject

OnApproval: TypeAlias = Literal["ask", "deny"]

MAX_EVENT: Final = 8 * 1024 * 1024  # bytes
LONG_TEXT: Final = 16 * 1024  # bytes of UTF-8
MAX_REASON: Final = 1500  # characters
RESERVED: Final = "delego:"  # how the names of our own members begin
_IN_PATH: Final = "-._~!$&'()*+,;=:@"  # beside letters and digits


@dataclass(frozen=True, slots=True)
class Event:
    """What of an event is used; the rest of it may change with the agent's version."""

    session: str
    tool: str
    params: JSONObject
    mode: str  # the agent's permission mode; "" where it says none


def read_event(agent: CodingAgent, data: bytes) -> Event:
    """Read an event strictly (§3 of SPEC.md: no duplicate members, no numbers that parsers differ on).

    Raises HookError.
    """
    if len(data) > MAX_EVENT:
        raise HookError(f"the event has more than {MAX_EVENT} bytes; send large content by reference")
    try:
        members = parse_json(data, name="event", max_bytes=MAX_EVENT)
    except CanonicalError as error:
        raise HookError(f"the event cannot be decided: {error}") from None
    if not isinstance(members, dict):
        raise HookError("the event is no JSON object")
    if (event := members.get("hook_event_name")) != agent.event:
        raise HookError(f"the event is {event!r:.80}; this hook decides {agent.event!r} of {agent.title}")
    tool_input = members.get("tool_input")
    if not isinstance(tool_input, dict):
        raise HookError("the event's 'tool_input' is no object")
    mode = members.get("permission_mode")
    return Event(
        session=_text(members, "session_id"),
        tool=_text(members, "tool_name"),
        params=cast(JSONObject, _shortened(tool_input)),
        mode=mode if isinstance(mode, str) else "",
    )


def action_of(agent: CodingAgent, event: Event, instruction: str | None) -> Action:
    """``instruction``: the person's words; None: nobody gave any, which then is what the receipt says, with
    the session, so that a yes holds for this session only. Raises HookError."""
    words = (
        instruction if instruction is not None else f"(no instruction; {agent.name} session {event.session})"
    )
    try:
        return Action(words, "CALL", f"tool://{agent.name}/{quote(event.tool, safe=_IN_PATH)}", event.params)
    except ActionError as error:
        raise HookError(f"the event cannot be decided: {error}") from None


def answer_event(
    agent: CodingAgent,
    data: bytes,
    home: Path,
    *,
    instruction: str | None = None,
    principal: str | None = None,
    on_approval: OnApproval = "ask",
) -> Answer:
    """Decide one event in the home at ``home``.

    ``principal``: who proposes; the agent's name where None. ``on_approval``: what the agent is told where a
    person has to look: to ask the person at its own terminal, or no, with the approval's id, until they have
    said yes with ``delego approve``. Raises HookError, and as ``open_home`` and ``Authorizer.propose``.
    """
    event = read_event(agent, data)
    action = action_of(agent, event, instruction)
    service = LocalService.open(home)
    try:
        decision = service.request(action, principal or agent.name)
    finally:
        service.close()
    return _answer(decision, can_ask=on_approval == "ask" and event.mode in agent.asking_modes)


def _answer(decision: Decision, *, can_ask: bool) -> Answer:
    why = "; ".join(decision.reasons)
    if decision.outcome == "allow":
        rule = "the default" if decision.rule is None else f"rule {decision.rule!r}"
        return Answer("allow", _line(f"delego: allowed by {rule}"))
    if decision.outcome == "deny":
        return Answer("deny", _line(f"delego: denied: {why}"))
    if can_ask:
        return Answer("ask", _line(f"delego: a person decides this ({decision.approval_id}): {why}"))
    then = "when they have said yes, make exactly the same call again"
    return Answer("deny", _line(f"delego: waits for a person as {decision.approval_id}; {then}: {why}"))


def _line(text: str) -> str:
    line = visible(text)
    return line if len(line) <= MAX_REASON else f"{line[:MAX_REASON]}…"


def _text(members: JSONObject, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise HookError(f"the event's {name!r} is no text")
    return value


def _shortened(value: JSON) -> JSON:
    if isinstance(value, str):
        data = value.encode() if len(value) * 4 > LONG_TEXT else b""
        if len(data) <= LONG_TEXT:
            return value
        return {f"{RESERVED}sha256": hashlib.sha256(data).hexdigest(), f"{RESERVED}bytes": len(data)}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, dict):
        for key in value:
            if key.startswith(RESERVED):  # it could pass for the digest of a text that a person has seen
                raise HookError(f"the tool's input has the member {key!r:.80}; names like it are ours")
        return {key: _shortened(item) for key, item in value.items()}
    return value
