"""The command, run in this process or as a real one, in a world of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from delego_cli.main import main


@dataclass(frozen=True)
class World:
    """A folder to work in, a user with a configuration folder, and a home that may not be there yet."""

    folder: Path
    home: Path
    env: dict[str, str]

    def run(self, *arguments: str, input: str | bytes | None = None, env: Mapping[str, str] = {}) -> Result:
        """Run a command line in this process."""
        runner = CliRunner(env={**dict.fromkeys(os.environ), **self.env, **env})
        return runner.invoke(main, list(arguments), input=input, prog_name="delego")

    def json(self, *arguments: str, input: str | bytes | None = None, exit_code: int = 0) -> Any:
        """Run with ``--json``; the one document on stdout."""
        result = self.run(*arguments, "--json", input=input)
        assert result.exit_code == exit_code, result.output
        assert result.stdout.endswith("\n")
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    def process(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command line as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "delego_cli", *arguments],
            **{"env": self.env, "cwd": self.folder, "capture_output": True, "text": True, **options},
            check=False,
            timeout=120,
        )

    def parked(self, **params: Any) -> str:
        """Propose an order, which needs a person; the approval's id."""
        decision = self.json("propose", *order(**params), exit_code=3)
        assert decision["outcome"] == "needs_approval", decision
        return str(decision["approval_id"])


def order(instruction: str = "buy a lamp", **params: Any) -> list[str]:
    """The arguments of an order that the policy of a new home parks."""
    whole = {"amount": 24, "currency": "USD", "destination": "internal", **params}
    return ["-i", instruction, "POST", "https://api.example.com/orders", "--params", json.dumps(whole)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A user ``alice`` in an empty folder; ``DELEGO_HOME`` names a home that is not made yet."""
    folder, user = tmp_path / "work", tmp_path / "user"
    folder.mkdir()
    user.mkdir()
    monkeypatch.chdir(folder)
    kept = (
        "PATH",
        "PYTHONPATH",
        "LANG",
        "COVERAGE_PROCESS_START",
        "COVERAGE_PROCESS_CONFIG",
        "COVERAGE_FILE",
    )
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {
        "HOME": str(user),
        "XDG_CONFIG_HOME": str(user / "config"),
        "LOGNAME": "alice",
        "DELEGO_HOME": str(tmp_path / "home"),
        "PYTHONUTF8": "1",
    }
    return World(folder, tmp_path / "home", env)


@pytest.fixture
def home(world: World) -> World:
    """The same, with a home of the example policy; ``alice`` is the approver."""
    result = world.run("init")
    assert result.exit_code == 0, result.output
    return world


@pytest.fixture
def action() -> Callable[..., list[str]]:
    """``order``: arguments of an action that needs a person."""
    return order
