"""What a hook adds to each tool call of a coding agent: a process that starts, decides, records and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.measure import Figure, in_turns
from delego_authorizer import init_home

ROUNDS: Final = 15
EVENT: Final = {
    "session_id": "benchmark",
    "cwd": "/",
    "hook_event_name": "PreToolUse",
    "tool_name": "Read",
    "tool_input": {"file_path": "/etc/hosts"},
}
POLICY: Final = """\
default: deny
rules:
  - { name: reading, decision: allow, match: { method: CALL, host: claude-code, path: /Read } }
"""


def start_up(folder: Path, _: int) -> list[Figure]:
    """``delego hook claude-code`` and ``delego --version``, against an interpreter that does nothing."""
    home = init_home(folder / "home", approver="user:owner", policy_text=POLICY).path
    event = json.dumps(EVENT).encode()
    delego = [sys.executable, "-m", "delego_cli"]
    environment = {**os.environ, "DELEGO_HOME": str(home)}

    def hook() -> None:
        command = [*delego, "hook", "claude-code", "--instruction", "look at my hosts"]
        done = subprocess.run(command, input=event, env=environment, capture_output=True, check=True)
        if b'"allow"' not in done.stdout:
            raise RuntimeError(done.stdout.decode())

    def version() -> None:
        subprocess.run([*delego, "--version"], capture_output=True, check=True)

    def nothing() -> None:
        subprocess.run([sys.executable, "-c", "pass"], capture_output=True, check=True)

    for warm in (hook, version, nothing):
        warm()
    hook_s, version_s, nothing_s = in_turns(ROUNDS, hook, version, nothing)

    def figure(name: str, taken: float) -> Figure:
        detail = f"a whole process / python -c pass ({taken * 1e3:.0f} / {nothing_s * 1e3:.0f} ms)"
        return Figure(name, taken / nothing_s, "x", 0, False, detail)

    return [figure("a hook's decision", hook_s), figure("delego --version", version_s)]
