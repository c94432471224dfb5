"""The stateful group over our own authorizer: one effect of a race, nothing lost by a crash, nothing left."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delego_conformance.adapters.base import Refusal
from delego_conformance.adapters.delego_spec import answer
from delego_conformance.adapters.sessions import Sessions, operations
from delego_ledger.transaction import SQLiteTransaction

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="sessions live in forked processes")

POLICY = """
default: deny
rules:
  - {name: park, decision: needs_approval, match: {method: POST}}
  - {name: read, decision: allow, match: {method: GET}, constraints: {rate_limit: {max: 2}}}
"""
ORDER = {
    "instruction": "order",
    "method": "POST",
    "url": "https://api.example.com/orders",
    "params_json": "{}",
}
READ = {"instruction": "read", "method": "GET", "url": "https://api.example.com/orders"}


class Driver:
    """A session as the kit sees it."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self._operations = operations(self.sessions)

    def __call__(self, op: str, *, at: str = "12:00:00", **args: Any) -> Any:
        return self._operations[f"session.{op}"](args, {"now": f"2026-01-01T{at}.000000+00:00"})

    def approved(self) -> str:
        found: str = self("propose", action=ORDER)["approval_id"]
        assert self("decide", approval_id=found, decision="approve", approver="alice")["accepted"]
        return found


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    driver = Driver()
    driver("open", policy_text=POLICY)
    yield driver
    driver("close")
    assert list(tmp_path.iterdir()) == []


def test_a_race_of_processes_and_threads_has_one_effect(session: Driver) -> None:
    found = session.approved()
    assert session("race", approval_id=found, action=ORDER, parallel=12) == {"effects": 1}
    late = session("resolve", approval_id=found, action=ORDER)
    assert (late["outcome"], late["executed"]) == ("deny", False)


def test_a_race_for_what_nobody_approved_has_no_effect(session: Driver) -> None:
    assert session("race", approval_id="apr_unknown", action=ORDER, parallel=3) == {"effects": 0}


def test_a_race_counts_every_effect_of_an_authorizer_that_forgets(
    session: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = session.approved()
    monkeypatch.setattr(SQLiteTransaction, "consume", lambda *_: True)
    assert session("race", approval_id=found, action=ORDER, parallel=5) == {"effects": 5}


def test_a_crash_loses_neither_approvals_nor_counts_nor_receipts(session: Driver) -> None:
    assert session("propose", action=READ)["executed"]
    found = session.approved()
    before = base64.b64decode(session("export")["jsonl_b64"])
    session("restart")
    assert base64.b64decode(session("export")["jsonl_b64"]) == before
    assert session("propose", action=READ)["executed"]
    assert not session("propose", action=READ)["executed"]  # the one before the crash counts
    assert session("resolve", approval_id=found, action=ORDER)["executed"]
    session("restart")
    assert not session("resolve", approval_id=found, action=ORDER)["executed"]
    report = answer("chain_verify", session("export"), {})
    assert report["valid"]


def test_time_is_that_of_the_request(session: Driver) -> None:
    found = session.approved()
    assert session("resolve", at="13:00:00", approval_id=found, action=ORDER)["outcome"] == "deny"
    receipts = base64.b64decode(session("export")["jsonl_b64"]).splitlines()
    assert json.loads(receipts[-1])["ts"] == "2026-01-01T13:00:00.000000+00:00"


def test_the_configuration_of_a_session_holds(session: Driver) -> None:
    session("open", policy_text=POLICY, config={"approvers": ["alice", "bob"], "required_approvers": 2})
    found = session("propose", action=ORDER)["approval_id"]
    decide = {"approval_id": found, "decision": "approve"}
    assert session("decide", **decide, approver="eve") == {"accepted": False, "status": "pending"}
    assert session("decide", **decide, approver="alice") == {"accepted": True, "status": "pending"}
    assert session("decide", **decide, approver="bob") == {"accepted": True, "status": "approved"}


def test_a_decision_about_nothing_does_not_count(session: Driver) -> None:
    found = session("decide", approval_id="apr_1", decision="deny", approver="alice")
    assert found == {"accepted": False, "status": None}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"policy_text": "default: maybe"}, "policy"),
        ({"policy_text": POLICY, "config": {"approverz": []}}, "config"),
        ({"policy_text": POLICY, "config": {"approvers": ["a"], "required_approvers": 2}}, "config"),
    ],
)
def test_a_session_that_cannot_be_opened_is_refused(args: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as caught:
        Driver()("open", **args)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"action": {**ORDER, "params_json": "[]"}}, "action"),
        ({"action": {**ORDER, "params_json": "{"}}, "action"),
        ({"action": ORDER, "principal": "two words"}, "principal"),
    ],
)
def test_what_cannot_be_proposed_is_refused(session: Driver, args: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as caught:
        session("propose", **args)
    assert caught.value.code == code


def test_what_goes_wrong_inside_is_an_error_and_the_session_goes_on(session: Driver) -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        session("propose")
    with pytest.raises(RuntimeError, match="processes of the race failed"):
        session("race", approval_id=1, action=ORDER, parallel=2)
    with pytest.raises(ValueError, match="parallel is 0"):
        session("race", approval_id="a", action=ORDER, parallel=0)
    assert session("propose", action=READ)["executed"]


def test_without_a_session_nothing_can_be_asked() -> None:
    with pytest.raises(RuntimeError, match="no session is open"):
        Driver()("propose", action=ORDER)


def test_an_authorizer_that_ended_is_an_error(session: Driver) -> None:
    assert session.sessions._child is not None
    session.sessions._child._process.kill()
    with pytest.raises(RuntimeError, match="has ended"):
        session("propose", action=ORDER)


OPEN = {
    "v": 1,
    "id": "1",
    "op": "session.open",
    "args": {"policy_text": POLICY},
    "ctx": {"spec": "0.3", "now": "2026-01-01T12:00:00.000000+00:00"},
}


@pytest.mark.parametrize("end", ["bye", "end of input", "killed"])
def test_an_adapter_that_ends_leaves_neither_files_nor_processes(end: str, tmp_path: Path) -> None:
    adapter = subprocess.Popen(
        [sys.executable, "-m", "delego_conformance.adapters.delego_spec"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert adapter.stdin is not None
    assert adapter.stdout is not None
    with adapter:
        adapter.stdin.write(json.dumps(OPEN).encode() + b"\n")
        adapter.stdin.flush()
        assert json.loads(adapter.stdout.readline()) == {"id": "1", "ok": {}}
        assert list(tmp_path.iterdir()) != []
        if end == "killed":
            os.kill(adapter.pid, signal.SIGKILL)
        elif end == "bye":
            adapter.stdin.write(json.dumps({**OPEN, "op": "bye"}).encode() + b"\n")
        adapter.stdin.close()
        adapter.stdout.read()  # ends when no process holds it any more
    deadline = time.monotonic() + 20
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []
