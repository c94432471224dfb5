"""Servers that are killed before, while and after a release: never a second effect, never a lost approval."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from agents import decide, executions, person
from delego_broker.callable import CallableBroker
from mcp_killed import writer
from mcp_lines import Gateway, effects_of
from served import ORDER, READ, ask, desk_of, new_home

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

HERE = Path(__file__).parent.parent
KILLS = int(os.environ.get("DELEGO_KILLS", "6"))  # before, while and after the release in turn


def start(home: Path, effects: Path) -> Gateway:
    program = [sys.executable, str(HERE / "mcp_killed.py"), str(home), str(effects)]
    server = Gateway(home, effects, (), command=program)
    server.begin()
    return server


def kill(server: Gateway) -> None:
    os.kill(server.process.pid, signal.SIGKILL)
    assert server.ended() == -signal.SIGKILL


def document(server: Gateway, name: str, **arguments: Any) -> Any:
    return server.call(name, **arguments)["result"]["structuredContent"]


@pytest.mark.parametrize("number", range(KILLS))
def test_whenever_the_server_is_killed_no_yes_releases_twice_or_is_lost(tmp_path: Path, number: int) -> None:
    when = ("before", "while", "after")[number % 3]
    home, effects = new_home(tmp_path), tmp_path / "effects"
    order = {**ORDER, "params": {"seconds": 0.02 * (number // 3 % 5) if when == "while" else 0}}
    first = start(home, effects)
    try:
        approval_id = document(first, "delego_propose_action", **order)["approval_id"]
        release = {**order, "approval_id": approval_id}
        if when == "before":
            kill(first)
            decide(home, approval_id)
        else:
            decide(home, approval_id)
            one = first.tool("delego_resolve_action", **release)
            if when == "after":
                assert first.answer(one)["result"]["structuredContent"]["status"] == "executed"
            elif number % 2:  # at work; else anywhere between the request and the effect
                while not effects_of(effects):
                    first.ask("ping")
            else:
                threading.Event().wait(0.003 * (number // 6 % 8))
            kill(first)
    finally:
        first.process.kill()
        first.ended()
    with desk_of(home, opens=lambda one: one.authorizer(CallableBroker(writer(effects)))) as second:
        again = ask(second, "delego_resolve_action", release)
        ask(second, "delego_resolve_action", release)
        assert ask(second, "delego_propose_action", READ)["status"] == "executed"
    released = [line for line in effects_of(effects) if line.startswith("POST")]
    with person(home) as authorizer:
        approval = authorizer.ledger.approval(approval_id)
        assert authorizer.ledger.executions() == ()
    assert approval is not None
    assert approval.status == "consumed"
    assert len(released) <= 1
    if when != "while":
        assert len(released) == 1
        assert again["status"] == ("executed" if when == "before" else "denied")
    elif again["status"] == "denied":  # consumed before the kill: what came of it is recorded, known or not
        assert "already used" in again["reasons"][0]
        assert any(one == "executed via broker" or "outcome unknown" in one for one in executions(home)[:1])
    else:  # killed before the release was durable: this one released it
        assert again["status"] == "executed"
        assert len(released) == 1
