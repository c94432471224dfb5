"""Servers that misbehave, and processes that are killed: never a second effect, never a lost approval."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_http_evil import until
from mcp_lines import HERE, PATIENCE, Gateway, decide, effects_of, make_home, person, reasons, running

GO = ("--instruction", "go")
KILLS = int(os.environ.get("DELEGO_KILLS", "6"))  # of each; before, while and after the call in turn


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path)


@pytest.fixture
def effects(tmp_path: Path) -> Path:
    return tmp_path / "effects"


def status_of(answer: Any) -> str:
    return str(answer["result"]["structuredContent"]["delego/decision"]["status"])


def child_of(gateway: Gateway) -> int:
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(gateway.process.pid)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[0])


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ("huge", "more than 16777216 bytes"),
        ("invalid", "not JSON"),
        ("double", "twice"),
        ("batch", "batches"),
        ("constant", "NaN"),
    ],
)
def test_an_answer_that_is_refused_leaves_the_outcome_unknown_at_once(
    home: Path, effects: Path, tool: str, wanted: str
) -> None:
    with running(home, effects, *GO) as gateway:
        answer = gateway.call(tool, amount=1)
        assert status_of(answer) == "outcome_unknown"
        assert wanted in answer["result"]["content"][0]["text"]
        assert "content" in gateway.call("echo")["result"]
    assert len(effects_of(effects)) == 2
    assert "outcome unknown" in reasons(home)[0]


@pytest.mark.parametrize("tool", ["hang", "other_id"])
def test_an_answer_that_never_comes_is_unknown_after_the_time_out(
    home: Path, effects: Path, tool: str
) -> None:
    with running(home, effects, *GO, "--timeout", "0.5") as gateway:
        assert status_of(gateway.call(tool)) == "outcome_unknown"
        assert "content" in gateway.call("echo")["result"]
    assert len(effects_of(effects)) == 2
    assert "did not answer within" in reasons(home)[0]


@pytest.mark.parametrize("tool", ["twice", "flood"])
def test_answers_and_notices_that_nobody_wants_are_dropped(home: Path, effects: Path, tool: str) -> None:
    with running(home, effects, *GO) as gateway:
        one = gateway.tool(tool)
        assert "content" in gateway.answer(one)["result"]
        gateway.call("echo")
        answers = [message for message in gateway.seen if message.get("id") == one]
        assert len(answers) == 1
        assert not any(message.get("method") == "notifications/progress" for message in gateway.seen)


def test_an_answer_that_comes_late_is_recorded_and_not_passed_on(home: Path, effects: Path) -> None:
    with running(home, effects, *GO, "--timeout", "0.2") as gateway:
        one = gateway.tool("slow", seconds=0.6)
        decide(home)
        assert status_of(gateway.answer(one)) == "outcome_unknown"
        while not any("late result" in reason for reason in reasons(home, "decision")):
            gateway.ask("ping")
        assert sum(message.get("id") == one for message in gateway.seen) == 1
    assert len(effects_of(effects)) == 1


@pytest.mark.parametrize("tool", ["die_before", "die_after"])
def test_a_server_that_dies_in_a_call_leaves_it_unknown_and_ends_the_gateway(
    home: Path, effects: Path, tool: str
) -> None:
    with running(home, effects, *GO) as gateway:
        answer = gateway.call(tool)
        assert status_of(answer) == "outcome_unknown"
        assert "has ended (exit status" in answer["result"]["content"][0]["text"]
        assert gateway.process.wait(30) == 1
    assert len(effects_of(effects)) == (tool == "die_after")
    assert "outcome unknown" in reasons(home)[-1]


def test_a_call_that_was_cancelled_at_the_server_is_settled(home: Path, effects: Path) -> None:
    with running(home, effects, *GO, "--timeout", "60") as gateway:
        one = gateway.tool("hang")
        while not effects_of(effects):
            gateway.ask("ping")
        gateway.notify("notifications/cancelled", requestId=one)
        while not reasons(home):
            gateway.ask("ping")
    assert "the client cancelled it" in reasons(home)[0]


def test_a_gateway_killed_while_a_call_is_held_loses_nothing(home: Path, effects: Path) -> None:
    first = Gateway(home, effects, GO)
    first.begin()
    first.tool("slow", meta={"progressToken": 1}, seconds=0)
    first.until(lambda message: message.get("method") == "notifications/progress")
    first.process.kill()
    first.process.wait()
    approved = decide(home)
    with running(home, effects, *GO) as gateway:
        assert "content" in gateway.call("slow", seconds=0)["result"]
    assert effects_of(effects) == ['slow {"seconds": 0}']
    with person(home) as authorizer:
        approval = authorizer.ledger.approval(approved)
        assert approval is not None
        assert approval.status == "consumed"
        assert authorizer.pending() == ()
    assert first.ended() == -signal.SIGKILL


def test_a_gateway_killed_while_the_server_works_leaves_the_outcome_unknown(
    home: Path, effects: Path
) -> None:
    first = Gateway(home, effects, GO)
    first.begin()
    first.tool("hang")
    while not effects_of(effects):
        first.ask("ping")
    first.process.kill()
    first.ended()
    with running(home, effects, *GO) as gateway:
        gateway.call("echo")
    assert effects_of(effects) == ["hang {}", "echo {}"]
    assert any("the process that called the broker ended" in reason for reason in reasons(home))


@pytest.mark.parametrize("whose", ["gateway", "server"])
@pytest.mark.parametrize("number", range(KILLS))
def test_whatever_is_killed_and_whenever_no_yes_releases_twice_or_is_lost(
    home: Path, effects: Path, whose: str, number: int
) -> None:
    when = ("before", "while", "after")[number % 3]
    seconds = 0.01 * (number // 3 % 5)
    gateway = Gateway(home, effects, GO)
    gateway.begin()
    gateway.call("echo")
    victim = gateway.process.pid if whose == "gateway" else child_of(gateway)
    one = gateway.tool("slow", meta={"progressToken": 1}, seconds=seconds)
    gateway.until(lambda message: message.get("method") == "notifications/progress")
    approved = "" if when == "before" else decide(home)
    if when == "after":
        gateway.answer(one)
    os.kill(victim, signal.SIGKILL)
    gateway.ended()
    approved = approved or decide(home)
    with running(home, effects, *GO, "--hold", "0") as again:
        again.call("slow", seconds=seconds)
        again.call("echo")
    with person(home) as authorizer:
        approval = authorizer.ledger.approval(approved)
        assert approval is not None
        assert approval.status == "consumed"
    released = [line for line in effects_of(effects) if line.startswith("slow")]
    assert len(released) <= 1
    assert len(released) == 1 or when == "while"


def test_a_changed_definition_and_a_new_tool_are_held_until_they_are_trusted(
    home: Path, effects: Path
) -> None:
    with running(home, effects, *GO) as gateway:
        gateway.ask("tools/list")
        gateway.call("change")
        gateway.call("new_tool")
        held = gateway.call("echo")
        assert "has changed since it was trusted" in held["result"]["content"][0]["text"]
        assert "is new" in gateway.call("sneaky")["result"]["content"][0]["text"]
        names = [tool["name"] for tool in gateway.ask("tools/list")["result"]["tools"]]
        assert "echo" not in names
        assert "sneaky" not in names
        assert "delego_begin_task" in names
        delego = [*gateway.process.args[:5], "tools"]  # type: ignore[index]  # a list, as it was given
        listed = subprocess.run(
            [*delego, "list", "--json"], capture_output=True, text=True, check=True
        ).stdout
        assert '"changes": ["description"]' in listed
        shown = subprocess.run([*delego, "list"], capture_output=True, text=True, check=True).stdout
        assert "description changed" in shown
        subprocess.run([*delego, "trust", "evil", "echo"], capture_output=True, check=True)
        assert "content" in gateway.call("echo")["result"]
        assert status_of(gateway.call("sneaky")) == "denied"
        subprocess.run([*delego, "trust", "evil"], capture_output=True, check=True)
        assert status_of(gateway.call("absent")) == "denied"
        names = [tool["name"] for tool in gateway.ask("tools/list")["result"]["tools"]]
        assert {"echo", "sneaky"} <= set(names)
    assert not any("sneaky" in line for line in effects_of(effects))


def test_a_tool_that_changes_while_its_call_waits_for_a_person_is_not_called(
    home: Path, effects: Path
) -> None:
    with running(home, effects, *GO) as gateway:
        gateway.ask("tools/list")
        held = gateway.tool("slow", seconds=0)
        with person(home) as authorizer:
            until(lambda: bool(authorizer.pending()))
        gateway.call("change", tool="slow")
        decide(home)
        answer = gateway.answer(held)
        assert status_of(answer) == "not_sent"
        assert "has changed since it was trusted" in answer["result"]["content"][0]["text"]
    assert not any(line.startswith("slow") for line in effects_of(effects))


def test_tools_of_an_unknown_server_wait_where_the_operator_wants_it(home: Path, effects: Path) -> None:
    with running(home, effects, *GO, "--pin", "ask") as gateway:
        assert [one["name"] for one in gateway.ask("tools/list")["result"]["tools"]] == ["delego_begin_task"]
        assert "is new" in gateway.call("echo")["result"]["content"][0]["text"]
    with running(home, effects, *GO, "--pin", "off") as gateway:
        assert len(gateway.ask("tools/list")["result"]["tools"]) > 10
        assert "is new" not in str(gateway.call("echo"))
    assert effects_of(effects) == ["echo {}"]


def test_a_hundred_calls_to_three_servers_of_one_home_do_not_mix(home: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"effects-{number}" for number in range(3)]
    with (
        running(home, paths[0], *GO) as a,
        running(home, paths[1], *GO) as b,
        running(home, paths[2], *GO) as c,
    ):
        gateways = (a, b, c)
        calls = [(gateways[number % 3], number) for number in range(100)]
        sent = [(gateway, number, gateway.tool("echo", n=number)) for gateway, number in calls]
        for gateway, number, one in sent:
            assert json.loads(gateway.answer(one)["result"]["content"][0]["text"]) == {"n": number}
    for place, path in enumerate(paths):
        assert sorted(effects_of(path)) == sorted(
            f'echo {{"n": {number}}}' for number in range(place, 100, 3)
        )
    assert sum("result sha256:" in reason for reason in reasons(home)) == 100


def closed(home: Path, effects: Path, stream: str) -> list[str]:
    """The command of a gateway that is started with a standard stream closed."""
    words = [sys.executable, "-m", "delego_cli", "--home", str(home), "mcp-gateway", "--server", "evil"]
    evil = ["--", sys.executable, str(HERE / "mcp_evil.py"), str(effects)]
    return ["/bin/sh", "-c", f"exec {shlex.join([*words, *GO, *evil])} {stream}"]


def test_what_is_logged_with_standard_error_closed_is_no_message(home: Path, effects: Path) -> None:
    gateway = Gateway(home, effects, (), command=closed(home, effects, "2>&-"))
    gateway.begin()
    assert status_of(gateway.call("invalid")) == "outcome_unknown"  # of which a line is logged
    gateway.ask("ping")
    assert gateway.ended() == 0
    assert all(type(message) is dict for message in gateway.seen)
    assert gateway.log == []


@pytest.mark.parametrize("stream", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_nothing_elses(home: Path, effects: Path, stream: str) -> None:
    """Its descriptor would be a pipe of the server behind, or a file of the home."""
    ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode() + b"\n"
    done = subprocess.run(
        closed(home, effects, stream), input=ask, capture_output=True, timeout=PATIENCE, check=False
    )
    answered = "<" not in stream and not stream.startswith(">")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1] * answered
