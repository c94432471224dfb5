"""Who may ask the gateway, and what it costs to find that out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from delego_broker.gateway.admission import KEPT, Admission
from delego_broker.gateway.settings import Source

BEARER = "a-bearer-of-ours"
GOOD = [f"Bearer {BEARER}"]


class Now:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def program(runs: Path) -> Source:
    """Says the bearer, and leaves a line each time it is run; fails once there is a file 'broken'."""
    script = f"echo run >> {runs}; [ ! -e {runs.parent}/broken ] && echo {BEARER}"
    return Source(command=("sh", "-c", script))


def count(runs: Path) -> int:
    return len(runs.read_text().splitlines()) if runs.exists() else 0


def asked(admission: Admission, *callers: list[str]) -> list[str | None]:
    """What callers that come at once are told."""

    async def run() -> list[str | None]:
        return await asyncio.gather(*(admission.problem(caller) for caller in callers))

    return asyncio.run(run())


def test_without_a_bearer_everybody_may_ask() -> None:
    assert asked(Admission(None), [], ["whatever"]) == [None, None]


def test_a_caller_that_brings_no_bearer_costs_nothing(program: Source, runs: Path) -> None:
    callers: list[list[str]] = [[], ["Basic eDp5"], [*GOOD, *GOOD], ["Bearer"], [BEARER]]
    assert asked(Admission(program), *callers) == ["send the gateway's bearer"] * 5
    assert count(runs) == 0


def test_a_hundred_wrong_bearers_run_the_program_once(program: Source, runs: Path) -> None:
    wrong = "this is not the gateway's bearer"
    assert asked(Admission(program), *[["Bearer wrong"]] * 100, GOOD) == [wrong] * 100 + [None]
    assert count(runs) == 1


def test_what_a_program_said_is_asked_again_after_a_while(program: Source, runs: Path) -> None:
    clock = Now()
    admission = Admission(program, clock=clock)
    assert asked(admission, GOOD) == [None]
    clock.now += KEPT / 2
    assert asked(admission, GOOD) == [None]
    assert count(runs) == 1
    (runs.parent / "broken").touch()
    clock.now += KEPT / 2
    for _ in range(2):
        (said,) = asked(admission, GOOD)
        assert "nobody can be admitted now" in str(said)
        assert BEARER not in str(said)
    assert count(runs) == 2  # a failure is kept as well


@pytest.mark.parametrize("kind", ["env", "file"])
def test_a_variable_and_a_file_are_read_each_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bearer"

    def put(text: str) -> None:
        monkeypatch.setenv("GATEWAY_TEST_BEARER", text)
        file.write_text(text)
        file.chmod(0o600)

    put(BEARER)
    admission = Admission(Source(env="GATEWAY_TEST_BEARER") if kind == "env" else Source(file=file))
    assert asked(admission, GOOD) == [None]
    put("another-bearer")
    assert asked(admission, GOOD, ["bearer another-bearer"]) == ["this is not the gateway's bearer", None]
