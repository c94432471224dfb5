"""Verification on several cores says what verification on one says, and always comes to an end."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chains import KEY, chain
from delego_ledger import checker, verify
from delego_ledger.checker import Checker, CheckerLost
from delego_ledger.verify import MAX_DEFAULT_JOBS, usable_cores, verify_lines
from delego_spec import chain as chain_module
from delego_spec.anchors import Anchor
from delego_spec.chain import verify_chain
from delego_spec.receipts import decode_line

BATCH = 64  # receipts, in these tests
LONG = chain(BATCH * 6 + 5, context={"principal": "agent-1"})
HEAD = decode_line(LONG[-1]).anchor
MIDDLE = decode_line(LONG[BATCH * 3]).anchor


@pytest.fixture(scope="module", autouse=True)
def small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain_module, "BATCH", BATCH)
        yield


class Watch:
    """Processes from the second batch on; as a progress callback it waits until one was given something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Checker] = Checker) -> None:
        given_or_lost = self.given_or_lost = threading.Event()

        class Watched(kind):  # type: ignore[valid-type, misc]  # a class given at run time
            def __init__(self, *arguments: Any) -> None:
                try:
                    super().__init__(*arguments)
                except CheckerLost:
                    given_or_lost.set()
                    raise

            def wait(self) -> None:
                try:
                    super().wait()
                except CheckerLost:
                    given_or_lost.set()
                    raise

            def send(self, *arguments: Any) -> None:
                super().send(*arguments)
                given_or_lost.set()

        monkeypatch.setattr(verify, "_ALONE", 1)
        monkeypatch.setattr(verify, "Checker", Watched)

    def __call__(self, count: int) -> None:
        if count > BATCH:  # before that, no process is asked for
            assert self.given_or_lost.wait(30)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


@pytest.mark.parametrize("jobs", [2, 3])
def test_a_sound_chain_gets_the_same_report_from_any_number_of_jobs(watch: Watch, jobs: int) -> None:
    alone = verify_lines(LONG, KEY, expected_head=HEAD, anchors=[MIDDLE], jobs=1)
    assert alone == verify_chain(LONG, KEY, expected_head=HEAD, anchors=[MIDDLE])
    assert (alone.valid, alone.count, alone.head) == (True, len(LONG), HEAD)
    assert verify_lines(LONG, KEY, expected_head=HEAD, anchors=[MIDDLE], jobs=jobs, progress=watch) == alone


@pytest.mark.parametrize("lines", [[], [b"x"], LONG[:1], LONG[:BATCH], LONG[: BATCH + 1]], ids=len)
def test_chains_around_one_batch(lines: list[bytes]) -> None:
    assert verify_lines(lines, KEY, jobs=2) == verify_chain(lines, KEY)


EDITS = st.lists(st.tuples(st.integers(0, len(LONG) - 1), st.integers(0, 3)), min_size=1, max_size=5)


@given(EDITS)
@settings(max_examples=6)
def test_an_edited_chain_gets_the_same_report_and_every_edit_is_found(edits: list[tuple[int, int]]) -> None:
    lines = list(LONG)
    for place, how in edits:
        place = min(place, len(lines) - 1)
        if how == 0:
            del lines[place]
        elif how == 1:
            lines[place] = lines[place].replace(b'"allow"', b'"deny"', 1).replace(b"no", b"on", 1)
        elif how == 2:
            lines[place] = b"?"
        else:
            lines.insert(place, lines[place])
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        report = verify_lines(lines, KEY, expected_head=HEAD, anchors=[MIDDLE], jobs=2, progress=watch)
    assert report == verify_chain(lines, KEY, expected_head=HEAD, anchors=[MIDDLE])
    assert report.valid == (lines == LONG)


# --- what can go wrong around it --------------------------------------------------------------------------


@pytest.mark.parametrize("good", [0, BATCH // 2, BATCH * 3])
def test_what_the_lines_raise_is_raised_here(good: int) -> None:
    def broken() -> Iterator[bytes]:
        yield from LONG[:good]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        verify_lines(broken(), KEY, jobs=1)


def test_what_the_lines_raise_in_another_thread_is_raised_here(watch: Watch) -> None:
    here = threading.get_ident()

    def broken() -> Iterator[bytes]:
        for line in cycle(LONG):
            if threading.get_ident() != here:
                watch.given_or_lost.set()
                raise OSError("the disk is gone")
            yield line

    with pytest.raises(OSError, match="the disk is gone"):
        verify_lines(broken(), KEY, jobs=2, progress=watch)
    assert threads_left() == []


def threads_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("delego-verify")]


def test_what_the_progress_callback_raises_is_raised_here_and_stops_everything(watch: Watch) -> None:
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for line in cycle(LONG):
            taken += 1
            yield line

    def stop(count: int) -> None:
        watch(count)
        if count > BATCH:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify_lines(counted(), KEY, jobs=2, progress=stop)
    assert taken < len(LONG) * 2
    assert threads_left() == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_grows_and_ends_with_the_number_of_lines(watch: Watch, jobs: int) -> None:
    seen: list[int] = []
    here = threading.get_ident()

    def note(count: int) -> None:
        assert threading.get_ident() == here
        if jobs == 2:
            watch(count)
        seen.append(count)

    verify_lines(LONG, KEY, jobs=jobs, progress=note)
    assert seen == sorted(seen)
    assert seen[-1] == len(LONG)
    assert len(seen) > 1


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_at_all_is_a_misuse(jobs: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        verify_lines([], KEY, jobs=jobs)


def test_by_default_there_is_a_job_for_each_usable_core() -> None:
    assert 1 <= usable_cores() <= MAX_DEFAULT_JOBS


def test_lines_are_not_taken_far_ahead_of_a_batch_that_takes_its_time() -> None:
    work = verify._Work(iter(LONG * 5), KEY, verify.ChainVerifier(), 2)
    first = work._take()
    assert first is not None
    others = threading.Thread(target=lambda: [None for _ in iter(lambda: work._step(None), False)])
    others.start()
    while not work._joining._waiters:  # type: ignore[attr-defined]  # it waits for the first batch
        time.sleep(0.001)
    assert len(work._ahead) <= verify._AHEAD * 2
    work._check(first)
    others.join()
    assert work._verifier.count == len(LONG) * 5


# --- the process ------------------------------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[Checker]:
    one = Checker(KEY, frozenset({1}))
    one.wait()
    yield one
    one.close()


def test_a_process_reports_what_a_thread_would(process: Checker) -> None:
    for start, lines in ((0, LONG[:3]), (3, [b"x", LONG[4]])):
        process.send(lines, start)
        assert process.receive() == verify.check_batch(lines, KEY, start=start, wanted=frozenset({1}))


def test_a_process_that_is_killed_is_lost(process: Checker) -> None:
    process._process.kill()
    process._process.wait()
    with pytest.raises(CheckerLost):
        process.send(LONG, 0)
    with pytest.raises(CheckerLost):
        process.receive()


def test_the_report_does_not_need_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Checker):
        def receive(self) -> Any:
            self._process.kill()
            return super().receive()

    watch = Watch(monkeypatch, Dying)
    assert verify_lines(LONG, KEY, jobs=2, progress=watch) == verify_chain(LONG, KEY)


def test_a_process_that_is_still_starting_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()

    class Starting(Checker):
        def wait(self) -> None:
            started.set()
            self._from.read()  # until the process ends: it never gets ready
            super().wait()

    monkeypatch.setattr(verify, "_ALONE", 1)
    monkeypatch.setattr(verify, "Checker", Starting)
    progress = lambda count: count <= BATCH or started.wait(30)  # noqa: E731 - a condition
    assert verify_lines(LONG, KEY, jobs=2, progress=progress).valid  # type: ignore[arg-type]  # its value is not used


def test_a_process_that_answers_rubbish_is_lost(process: Checker) -> None:
    process.send(LONG[:1], 0)
    with process._from:  # closes the pipe that is taken away
        process._from = io.BytesIO(pickle.dumps("ready"))
    with pytest.raises(CheckerLost):
        process.receive()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("executable", ""),
        ("executable", "/nonexistent/python"),
        ("executable", "/bin/true"),
        ("frozen", True),
        ("path", []),
    ],
)
def test_where_no_process_can_be_had_threads_do_the_work(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(checker.sys, name, value, raising=False)
    with pytest.raises(CheckerLost), closing(Checker(KEY, frozenset())) as one:
        one.wait()
    watch = Watch(monkeypatch)
    assert verify_lines(LONG, KEY, jobs=2, progress=watch) == verify_chain(LONG, KEY)


SCRIPT = """
import sys
sys.path[:0] = {path!r}
from chains import KEY, chain
from delego_ledger import verify
from delego_spec import chain as chain_module
verify._ALONE = 1
chain_module.BATCH = 64
print("main runs", flush=True)
import time
def slowly():
    for number, line in enumerate(chain(700)):
        if number % 64 == 0:
            time.sleep(0.05)
        yield line
print(verify.verify_lines(slowly(), KEY, jobs=2).valid)
"""


@pytest.mark.parametrize("how", ["file", "stdin", "argument"])
def test_the_main_program_is_not_run_a_second_time(tmp_path: Path, how: str) -> None:
    text = SCRIPT.format(path=sys.path)
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    arguments = {"file": [str(script)], "stdin": ["-"], "argument": ["-c", text]}[how]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=text if how == "stdin" else None,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split("\n") == ["main runs", "True", ""]
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_chain() -> None:
    script = """
import sys
sys.path[:0] = {path!r}
from itertools import cycle, islice
from chains import KEY, chain
from delego_ledger.verify import verify_lines
from delego_spec.chain import BATCH
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
short = chain(BATCH)
verify_lines(islice(cycle(short), BATCH * 8), KEY, jobs=1)
before = peak()
bad = [b"x" * 900] * BATCH
verify_lines(islice(cycle(bad), {count}), KEY, jobs=2)
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script.format(path=sys.path, count=100_000)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) < 30_000  # KiB; the lines alone have 90 MB


def test_an_interrupted_caller_does_not_wait_for_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_ALONE", 1)
    monkeypatch.setattr(verify, "_PATIENCE", 0.05)
    monkeypatch.setattr(verify, "Checker", _no_checker)
    here = threading.get_ident()
    release = threading.Event()

    def hanging() -> Iterator[bytes]:
        for line in cycle(LONG):
            if threading.get_ident() != here:
                signal.pthread_kill(here, signal.SIGINT)
                release.wait()
                return  # once: a second interrupt would hit whatever runs next in this process
            yield line

    try:
        with pytest.raises(KeyboardInterrupt):
            verify_lines(hanging(), KEY, jobs=2)
    finally:
        release.set()


def _no_checker(*_: object) -> Checker:
    raise CheckerLost


def test_an_anchor_of_another_chain_is_missed_by_all_alike() -> None:
    wrong = Anchor(3, HEAD.entry_hash)
    assert not verify_lines(LONG, KEY, anchors=[wrong], jobs=2).valid


def test_a_process_ends_with_its_input() -> None:
    reading, writing = os.pipe()
    program = checker._PROGRAM.format(path=sys.path)
    child = subprocess.Popen([sys.executable, "-I", "-c", program], stdin=reading, stdout=subprocess.PIPE)
    os.close(reading)
    with os.fdopen(writing, "wb") as stream:
        checker._put(stream, (KEY, frozenset()))
    assert child.wait(timeout=60) == 0
    assert child.stdout is not None
    child.stdout.close()
