"""A coding agent's events, decided: strictly read, bound to the whole input, never allowed by accident."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import decide, make_home, person, receipts
from delego_agent.errors import HookError
from delego_agent.hooks.agents import AGENTS, CLAUDE_CODE, GEMINI_CLI, Answer, CodingAgent
from delego_agent.hooks.deciding import LONG_TEXT, MAX_EVENT, MAX_REASON, action_of, answer_event, read_event
from delego_spec.hazards import find_hazards

POLICY = """
version: 1
default: deny
rules:
  - { name: looks, decision: allow, match: { path: /Read } }
  - { name: shell, decision: needs_approval, match: { path: /Bash } }
  - { name: one, decision: allow, match: { path: /Only },
      constraints: { allow_list: { field: text, in: [a] } } }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home", POLICY)


def event(
    tool: Any = "Read", tool_input: Any = None, *, agent: CodingAgent = CLAUDE_CODE, **more: Any
) -> bytes:
    members = {
        "session_id": "s-1",
        "transcript_path": "/somewhere/s-1.jsonl",
        "cwd": "/somewhere",
        "hook_event_name": agent.event,
        "permission_mode": "default",
        "tool_name": tool,
        "tool_input": {"file_path": "a"} if tool_input is None else tool_input,
        "tool_use_id": "toolu_1",
        **more,
    }
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


# --- decided --------------------------------------------------------------------------------------------


def test_the_policy_decides_the_tool_under_the_agents_name(home: Path) -> None:
    assert answer_event(CLAUDE_CODE, event(), home) == Answer("allow", "delego: allowed by rule 'looks'")
    denied = answer_event(CLAUDE_CODE, event("Write"), home)
    assert denied == Answer("deny", "delego: denied: no rule matched; default = deny")
    with person(home) as authorizer:
        assert [line for line in authorizer.ledger.lines() if b"CALL claude-code/Read" in line]


def test_what_needs_a_person_is_asked_where_somebody_is_asked(home: Path) -> None:
    first = answer_event(CLAUDE_CODE, event("Bash"), home)
    assert first.outcome == "ask"
    with person(home) as authorizer:
        (approval,) = authorizer.pending()
    assert approval.id in first.reason
    assert approval.proposer == "claude-code"
    for mode in ("bypassPermissions", "dontAsk", "a mode of next year", "", ..., 7):
        answer = answer_event(CLAUDE_CODE, event("Bash", permission_mode=mode), home)
        assert (answer.outcome, approval.id in answer.reason) == ("deny", True)
    assert answer_event(CLAUDE_CODE, event("Bash"), home, on_approval="deny").outcome == "deny"
    assert answer_event(GEMINI_CLI, event("Bash", agent=GEMINI_CLI), home).outcome == "deny"
    with person(home) as authorizer:
        assert len(authorizer.pending()) == 2  # one for each agent


def test_a_yes_lets_the_same_call_of_the_same_session_through_once(home: Path) -> None:
    answer_event(CLAUDE_CODE, event("Bash"), home)
    with person(home) as authorizer:
        (approval,) = authorizer.pending()
    decide(home, approval.id)
    for other in (event("Bash", {"file_path": "b"}), event("Bash", session_id="s-2")):
        assert answer_event(CLAUDE_CODE, other, home).outcome == "ask"
    assert answer_event(CLAUDE_CODE, event("Bash"), home).outcome == "allow"
    assert answer_event(CLAUDE_CODE, event("Bash"), home).outcome == "ask"


def test_a_no_stands(home: Path) -> None:
    answer_event(CLAUDE_CODE, event("Bash"), home)
    with person(home) as authorizer:
        (approval,) = authorizer.pending()
    decide(home, approval.id, "deny")
    assert answer_event(CLAUDE_CODE, event("Bash"), home) == Answer(
        "deny", "delego: denied: human denied this action"
    )


def test_the_instruction_is_the_persons_or_says_that_there_is_none(home: Path) -> None:
    one = read_event(CLAUDE_CODE, event())
    assert action_of(CLAUDE_CODE, one, "fix the login").instruction == "fix the login"
    assert action_of(CLAUDE_CODE, one, None).instruction == "(no instruction; claude-code session s-1)"
    answer_event(CLAUDE_CODE, event("Bash"), home, instruction="fix the login", principal="bot")
    with person(home) as authorizer:
        (approval,) = authorizer.pending()
    assert (approval.instruction, approval.proposer) == ("fix the login", "bot")
    assert answer_event(CLAUDE_CODE, event(), home, instruction="a\u202eb").reason.startswith(
        "delego: denied: hazard: instruction"
    )


@pytest.mark.parametrize(
    ("tool", "path"),
    [
        ("mcp__files__read", "/mcp__files__read"),
        ("Über tool", "/%C3%9Cber%20tool"),
        ("a?b#c", "/a%3Fb%23c"),
        ("工具", "/%E5%B7%A5%E5%85%B7"),
    ],
)
def test_a_tools_name_is_one_segment_of_the_path(tool: str, path: str) -> None:
    action = action_of(CLAUDE_CODE, read_event(CLAUDE_CODE, event(tool)), None)
    assert (action.host, action.path) == ("claude-code", path)
    assert find_hazards(action) == ()


@pytest.mark.parametrize(
    "tool", ["a/b", "..", ".", "a%2Fb", "a\\b", "a\n", "\x00", "x" * 9000, "//Read", "Read/"]
)
def test_a_name_that_could_be_read_in_two_ways_is_denied(home: Path, tool: str) -> None:
    answer = answer_event(CLAUDE_CODE, event(tool), home)
    assert answer.outcome == "deny"
    assert answer.reason.startswith("delego: denied: hazard: ")


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_tools_share_an_action(one: str, other: str) -> None:
    def fingerprint(tool: str) -> str | None:
        try:
            action = action_of(CLAUDE_CODE, read_event(CLAUDE_CODE, event(tool)), None)
        except HookError:
            return None
        return None if find_hazards(action) else action.fingerprint

    first, second = fingerprint(one), fingerprint(other)
    assert first is None or second is None or (first == second) == (one == other)


def test_a_long_text_is_bound_by_its_digest(home: Path) -> None:
    text = "ä" * LONG_TEXT
    one = read_event(CLAUDE_CODE, event("Read", {"content": text, "edits": [{"short": "b" * LONG_TEXT}]}))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert one.params == {
        "content": {"delego:sha256": digest, "delego:bytes": 2 * LONG_TEXT},
        "edits": [{"short": "b" * LONG_TEXT}],
    }
    other = read_event(
        CLAUDE_CODE, event("Read", {"content": text + "!", "edits": [{"short": "b" * LONG_TEXT}]})
    )
    assert action_of(CLAUDE_CODE, one, "w").fingerprint != action_of(CLAUDE_CODE, other, "w").fingerprint
    assert answer_event(CLAUDE_CODE, event("Read", {"content": "x" * 1_000_000}), home).outcome == "allow"
    assert answer_event(CLAUDE_CODE, event("Only", {"text": "a" * 20_000}), home).outcome == "deny"


def test_nobody_else_writes_a_digest_of_ours() -> None:
    with pytest.raises(HookError, match="names like it are ours"):
        read_event(CLAUDE_CODE, event("Read", {"content": [{"delego:sha256": "0" * 64, "delego:bytes": 9}]}))


def test_a_reason_is_one_visible_line_of_bounded_length(home: Path) -> None:
    answer = answer_event(CLAUDE_CODE, event("Only", {"text": "\x1b[2J\n\u202e" + "x" * 4000}), home)
    assert answer.outcome == "deny"
    assert answer.reason.isprintable()
    assert len(answer.reason) <= MAX_REASON + 1


# --- not an event ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cannot be decided"),
        (b"null", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{", "cannot be decided"),
        (b"\xff\xfe{}", "cannot be decided"),
        (b"\xef\xbb\xbf{}", "cannot be decided"),
        (b"{}", "this hook decides 'PreToolUse'"),
        (
            event(hook_event_name="PostToolUse"),
            "'PostToolUse'; this hook decides 'PreToolUse' of Claude Code",
        ),
        (event(hook_event_name=["PreToolUse"]), "this hook decides"),
        (event(tool_name=...), "'tool_name' is no text"),
        (event(""), "'tool_name' is no text"),
        (event(["Bash"]), "'tool_name' is no text"),
        (event(session_id=...), "'session_id' is no text"),
        (event(session_id=3), "'session_id' is no text"),
        (event(tool_input=...), "'tool_input' is no object"),
        (event(tool_input="ls"), "'tool_input' is no object"),
        (event()[:-1] + b', "tool_name": "Read"}', 'has the member "tool_name" twice'),
        (event("Bash", {"n": 1})[:-1].replace(b'"n": 1', b'"n": 1, "n": 2') + b"}", "twice"),
        (event().replace(b'"a"', b"NaN"), "NaN"),
        (event().replace(b'"a"', b"1e999"), "not a finite number"),
        (event().replace(b'"a"', b"9007199254740993"), "beyond 2^53-1"),
        (event().replace(b'"a"', b'"\\ud800"'), "lone surrogate"),
        (event().replace(b'"a"', b"[" * 5000 + b"]" * 5000), "nested deeper"),
        (b" " * (MAX_EVENT + 1), "more than 8388608 bytes"),
        (event("Read", {str(number): "x" * 16_000 for number in range(20)}), "canonical text has"),
    ],
)
def test_what_is_no_event_is_refused(home: Path, data: bytes, says: str) -> None:
    with pytest.raises(HookError) as caught:
        answer_event(CLAUDE_CODE, data, home)
    assert says in str(caught.value)
    assert receipts(home) == []


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_random_bytes_raise_nothing_but_a_hook_error(data: bytes) -> None:
    for agent in AGENTS.values():
        with pytest.raises(HookError):
            read_event(agent, data)


# --- the agents' forms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["allow", "deny", "ask"])
def test_claude_code_is_answered_in_its_form(outcome: Any) -> None:
    assert CLAUDE_CODE.write(Answer(outcome, "because")) == {
        "hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": outcome,
            "permissionDecisionReason": "because",
        }
    }


def test_gemini_cli_is_answered_in_its_form() -> None:
    assert GEMINI_CLI.write(Answer("allow", "because")) == {"decision": "allow"}
    for outcome in ("deny", "ask"):
        assert GEMINI_CLI.write(Answer(outcome, "because")) == {"decision": "deny", "reason": "because"}  # type: ignore[arg-type]
