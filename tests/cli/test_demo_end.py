"""The demo's real end: three processes, and every fault of one of them is seen; none is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_tools import TIMEOUT
from delego_cli import demo, demo_end
from delego_cli.demo_end import RealEnd, real_end
from delego_cli.demo_end_steps import END_STEPS
from delego_cli.demo_steps import STEPS, run_step
from delego_spec.gateway import Executed, Refused


@pytest.fixture
def end(tmp_path: Path) -> Iterator[RealEnd]:
    with real_end(tmp_path / "end", "alice") as made:
        yield made


def failing(end: RealEnd) -> set[str]:
    """The names of the steps that fail."""
    results = [run_step(step, end) for step in END_STEPS]
    return {result.step.name for result in results if not result.passed}


def test_every_step_does_what_it_should(end: RealEnd) -> None:
    assert [(one.step.name, one.saw) for one in (run_step(s, end) for s in END_STEPS) if not one.passed] == []
    assert [note["key"] for note in end.notes] == [False, True]


def test_the_steps_are_those_of_the_real_end() -> None:
    assert [step.name for step in END_STEPS] == [
        "real-end",
        "token-replayed",
        "token-elsewhere",
        "token-body",
        "token-expired",
        "token-none",
        "key-unseen",
    ]


def test_a_gateway_without_the_key_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = demo_end._gateway_config
    monkeypatch.setattr(
        demo_end, "_gateway_config", lambda *parts: config(*parts).partition("    secrets:")[0]
    )
    with real_end(tmp_path / "end", "alice") as end:
        assert failing(end) == {"real-end", "key-unseen"}


def test_a_gateway_that_takes_every_token_is_seen(end: RealEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end.recorder._inner, "execute", lambda _: Executed(status=200))
    assert failing(end) == {step.name for step in END_STEPS}  # it never sends either


def test_a_gateway_that_refuses_all_for_another_reason_is_seen(
    end: RealEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end.recorder._inner, "execute", lambda _: Refused("unsupported", "the disk is full"))
    assert failing(end) == {step.name for step in END_STEPS}


def test_a_gateway_that_refuses_and_sends_all_the_same_is_seen(
    end: RealEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step(END_STEPS[0], end)
    real = end.recorder._inner.execute

    def both(request: Any) -> Any:
        outcome = real(request)
        end.alone()
        return outcome

    monkeypatch.setattr(end.recorder._inner, "execute", both)
    assert not run_step(END_STEPS[1], end).passed


@pytest.mark.parametrize("place", ["got", "answers", "home", "log"])
def test_a_key_that_leaked_is_found_wherever_it_is(end: RealEnd, place: str) -> None:
    assert run_step(END_STEPS[0], end).passed
    key = end.key_file.read_text().strip()
    if place == "got":
        end.got.append(f'{{"echo": "{key}"}}')
    elif place == "answers":
        end.recorder.answers.append(key)
    elif place == "log":
        end.said += key.encode()
    else:
        (end.home.path / "cache").mkdir()
        (end.home.path / "cache" / "response").write_text(key)
    result = run_step(END_STEPS[-1], end)
    assert (result.passed, result.saw.partition(" in ")[0]) == (False, "the key stands")


def test_a_gateway_that_does_not_begin_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_end, "_gateway_config", lambda *_: "audience: [")
    with real_end(tmp_path / "end", "alice") as end:
        result = run_step(END_STEPS[0], end)
    assert not result.passed
    assert "did not begin: " in result.saw


# --- the command ----------------------------------------------------------------------------------------


def test_without_the_extra_the_steps_are_left_out_and_that_is_said(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "missing_libraries", lambda: ("httpx2", "uvicorn"))
    done = world.run("demo")
    assert done.exit_code == 0
    assert f"all {len(STEPS)} steps did what they should" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "left out" in line]
    assert line == (
        "7 steps with a real gateway were left out: they need httpx2, uvicorn; "
        "run: pip install 'delego-spec[broker]'"
    )
    document = world.json("demo")
    assert document["skipped"] == [step.name for step in END_STEPS]
    assert "delego-spec[broker]" in document["skipped_because"]


def test_an_installation_without_the_extra_can_run_the_demo(world: Any) -> None:
    program = """
import sys
for name in ("httpx2", "httpcore2", "starlette", "uvicorn", "h11", "anyio", "redis", "keyring"):
    sys.modules[name] = None
from delego_cli.main import main
main(["demo"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=world.env, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "they need httpx2, starlette, uvicorn" in done.stdout


@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_an_ended_demo_leaves_no_process_behind(tmp_path: Path, ending: str) -> None:
    program = f"""
import os, signal, sys
from delego_cli import demo, demo_steps
from delego_cli.main import main
def end(real):
    real.recorder
    sys.stderr.write(f"{{real.service.pid}} {{real.gateway.pid}}\\n")
    os.kill(os.getpid(), signal.{ending})
    return "not reached"
demo.STEPS, demo.END_STEPS = (), (demo_steps.Step("end", "Somebody ends it.", end),)
main(["demo"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    pids = [int(word) for word in done.stderr.split()[:2]]
    assert len(pids) == 2
    deadline = time.monotonic() + TIMEOUT
    while any(map(runs, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if ending != "SIGKILL":
        assert list(tmp_path.iterdir()) == []


def runs(pid: int) -> bool:
    """Whether this process is there, and not only waits to be buried."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def test_a_kept_real_end_can_be_looked_at(world: Any) -> None:
    kept = world.folder / "kept"
    assert world.run("demo", "--keep", str(kept)).exit_code == 0
    home = str(kept / "real-end" / "home")
    assert world.run("--home", home, "verify").exit_code == 0
    key = (kept / "real-end" / "gateway" / "api-key").read_text().strip()
    assert key.encode() not in b"".join(p.read_bytes() for p in Path(home).rglob("*") if p.is_file())
    assert json.loads(world.run("--home", home, "log", "--json").stdout.splitlines()[0])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
