"""The demo: every step holds, any single fault is seen, and nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli_tools import TIMEOUT
from delego_authorizer import authorizer
from delego_authorizer import steps as engine
from delego_cli import demo, demo_end_steps, demo_steps
from delego_cli.demo_stage import Service, Stage, make_stage
from delego_ledger.transaction import SQLiteTransaction
from delego_spec.approvals import Approval, Release
from delego_spec.chain import ChainReport
from delego_spec.ed25519 import PublicKey, Signer
from delego_spec.gateway import GatewayRequest, Released
from delego_spec.tokens import Claims, mint
from delego_spec.types import JSON
from terminal import Terminal

ALL = (*demo_steps.STEPS, *demo_end_steps.END_STEPS)


class Twice(Service):
    """A service that does each thing twice."""

    def __call__(self, request: GatewayRequest) -> JSON:
        super().__call__(request)
        return super().__call__(request)


class Releases(Service):
    """A service that acts, and leaves it to the caller all the same."""

    def __call__(self, request: GatewayRequest) -> Any:
        super().__call__(request)
        return Released()


class Never(Service):
    """A service that says it did something, and did not."""

    def __call__(self, request: GatewayRequest) -> JSON:
        return {"done": True}


def failing(folder: Path, **parts: object) -> set[str]:
    """The names of the steps that fail on a stage made of these parts."""
    stage = make_stage(folder / "home", **parts)  # type: ignore[arg-type]  # the parts are make_stage's
    try:
        return {result.step.name for result in demo_steps.play(stage) if not result.passed}
    finally:
        stage.close()


def test_every_step_does_what_it_should(tmp_path: Path) -> None:
    assert failing(tmp_path) == set()


def test_the_steps_are_those_of_the_whole_loop() -> None:
    assert [step.name for step in demo_steps.STEPS] == [
        "allowed-read",
        "forbidden",
        "over-cap",
        "hazard",
        "approval",
        "confused-deputy",
        "re-pointed",
        "released-once",
        "replay",
        "race",
        "token",
        "verified",
        "edited",
        "tail-cut",
    ]


# --- single faults --------------------------------------------------------------------------------------


def test_a_service_that_acts_twice_is_seen(tmp_path: Path) -> None:
    assert failing(tmp_path, service=Twice()) == {"allowed-read", "released-once", "race", "token"}


def test_a_service_that_never_acts_is_seen(tmp_path: Path) -> None:
    assert failing(tmp_path, service=Never()) == {"allowed-read", "released-once", "race", "token"}


def test_a_release_that_was_not_executed_is_seen(tmp_path: Path) -> None:
    assert failing(tmp_path, service=Releases()) == {"allowed-read", "released-once"}


def test_a_policy_that_allows_everything_is_seen(tmp_path: Path) -> None:
    failed = failing(tmp_path, policy_text="version: 1\ndefault: allow\n")
    assert {"forbidden", "over-cap", "approval", "confused-deputy", "replay", "race", "edited"} <= failed
    assert "hazard" not in failed


def test_a_policy_that_denies_everything_is_seen(tmp_path: Path) -> None:
    failed = failing(tmp_path, policy_text="version: 1\ndefault: deny\n")
    assert {"allowed-read", "forbidden", "over-cap", "approval", "race", "token"} <= failed


def test_an_engine_without_hazards_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_hazards", lambda *_, **__: ())
    assert failing(tmp_path) == {"hazard"}


def test_an_engine_that_releases_any_action_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def release(_: str, approval: Approval | None, *__: object, **___: object) -> Release:
        assert approval is not None
        return Release("allow", ("human approved by 'alice'",), approval.rule, "consumed")

    monkeypatch.setattr(engine, "guard_release", release)
    assert {"confused-deputy", "re-pointed"} <= failing(tmp_path)


def test_an_approval_that_is_never_used_up_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SQLiteTransaction, "consume", lambda *_: True)
    assert {"replay", "race"} <= failing(tmp_path)


def test_a_verifier_that_finds_nothing_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = ChainReport(31, None, (), 0, "cannot_be_ruled_out", None)
    monkeypatch.setattr(demo_steps, "verify_chain", lambda *_, **__: blind)
    assert failing(tmp_path) == {"verified", "edited", "tail-cut"}


def test_a_verifier_that_calls_everything_anchored_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = ChainReport(29, None, (), 0, "anchored", 30)
    monkeypatch.setattr(demo_steps, "verify_chain", lambda *_, **__: sure)
    assert "tail-cut" in failing(tmp_path)


def test_a_token_that_fits_every_action_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_steps, "check_binding", lambda *_: None)
    assert failing(tmp_path) == {"token"}


def test_a_token_that_never_expires_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = demo_steps.verify_token

    def timeless(token: object, **options: object) -> object:
        return real(token, **{**options, "now": made})  # type: ignore[arg-type]  # as it was called

    made = demo_steps.EpochSeconds(demo_steps.system_clock() // demo_steps.SECOND + 5)
    monkeypatch.setattr(demo_steps, "verify_token", timeless)
    assert failing(tmp_path) == {"token"}


def test_a_signature_check_that_takes_anything_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PublicKey, "verify", lambda *_: True)
    assert failing(tmp_path) == {"edited"}


@pytest.mark.parametrize("claim", ["fpr", "iht", "apr"])
def test_a_token_for_something_else_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str
) -> None:
    def mint_other(claims: Claims, signer: Signer) -> str:
        return mint(replace(claims, **{claim: "0" * 64}), signer)  # type: ignore[arg-type]  # all are text

    monkeypatch.setattr(authorizer, "mint", mint_other)
    assert failing(tmp_path) == {"token"}


def test_an_error_of_the_project_is_a_failed_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage(tmp_path / "home")
    stage.home.ledger_path.unlink()
    result = demo_steps.run_step(demo_steps.STEPS[0], stage)
    assert (result.passed, result.saw.partition(":")[0]) == (False, "could not be run")
    stage.close()


# --- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, so that a test can see whether one is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_the_command_says_each_step_and_ends_with_0(world: Any, temporary: Path) -> None:
    done = world.run("demo")
    assert done.exit_code == 0
    assert done.stdout.count("✓") == len(ALL)
    assert "✗" not in done.stdout
    assert all(step.shows in done.stdout for step in ALL)
    assert "all 21 steps did what they should" in done.stdout
    assert list(temporary.iterdir()) == []


def test_the_command_ends_with_3_when_a_step_fails(
    world: Any, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubled(folder: Path) -> Stage:
        return make_stage(folder, service=Twice())

    monkeypatch.setattr(demo, "make_stage", doubled)
    done = world.run("demo")
    assert done.exit_code == 3
    assert "✗ the service was called 2 times instead of 1" in done.stdout
    assert "4 of 21 steps did not do what they should: allowed-read, released-once, race" in done.stdout
    assert list(temporary.iterdir()) == []


def test_machines_get_every_step(world: Any, temporary: Path) -> None:
    done = world.run("demo", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["passed"], document["home"]) == (0, True, None)
    assert [step["name"] for step in document["steps"]] == [step.name for step in ALL]
    assert all(step["passed"] and step["shows"] and step["saw"] for step in document["steps"])


def test_a_kept_home_can_be_looked_at(world: Any) -> None:
    kept = str(world.folder / "kept")
    done = world.run("demo", "--keep", kept)
    assert done.exit_code == 0
    assert f"delego log --home {kept}" in done.stdout
    assert world.run("--home", kept, "verify").exit_code == 0
    assert world.run("--home", kept, "verify", f"{kept}/receipts-edited.jsonl").exit_code == 3


def test_a_folder_that_is_not_empty_is_left_alone(world: Any) -> None:
    (world.folder / "mine").write_text("x")
    done = world.run("demo", "--keep", ".")
    assert (done.exit_code, "is not empty" in done.stderr) == (1, True)
    assert [entry.name for entry in world.folder.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_looked_into_is_said(world: Any) -> None:
    (world.folder / "loop").symlink_to("loop")
    done = world.run("demo", "--keep", "loop/deeper")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("ending", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_ended_demo_leaves_nothing_behind(tmp_path: Path, ending: str, status: int) -> None:
    program = f"""
import os, signal
from delego_cli import demo_steps, demo
from delego_cli.main import main
def end(stage):
    os.kill(os.getpid(), signal.{ending})
    return "not reached"
demo.STEPS = (*demo_steps.STEPS[:5], demo_steps.Step("end", "Somebody ends it.", end), *demo_steps.STEPS[5:])
main(["demo"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (status, False)
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_the_marks_gets_words(world: Any) -> None:
    env = {**world.env, "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}
    done = world.process("demo", env=env, encoding="latin-1")
    assert done.returncode == 0
    assert done.stdout.count("ok: ") == len(ALL)


def test_a_narrow_terminal_wraps_what_was_seen(world: Any) -> None:
    with Terminal(["demo"], world.env, columns=50) as screen:
        assert screen.finish() == 0
    assert "\x1b[32m" in screen.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.output).splitlines()
    seen = [line for line in plain if line.startswith("    ")]
    assert len(seen) > len(ALL)
    assert max(map(len, seen)) <= 50


@pytest.mark.parametrize(
    "step", [step for step in demo_steps.STEPS if step.name in ("confused-deputy", "edited", "token")]
)
def test_a_step_without_those_before_it_fails(tmp_path: Path, step: demo_steps.Step) -> None:
    stage = make_stage(tmp_path / "home")
    demo_steps.run_step(next(one for one in demo_steps.STEPS if one.name == "verified"), stage)
    assert not demo_steps.run_step(step, stage).passed
    stage.close()
