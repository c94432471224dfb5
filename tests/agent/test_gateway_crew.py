"""The threads that take a client's lines in turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from delego_agent.gateway import crew as crew_module
from delego_agent.gateway.crew import Crew, start

PATIENCE = 60.0


class Lines:
    """Lines that come when they are put in; None is the end."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[str | None] = SimpleQueue()

    def __iter__(self) -> Iterator[str]:
        while (line := self.queue.get()) is not None:
            yield line


def test_a_line_is_taken_while_what_the_line_before_it_asked_for_still_runs() -> None:
    lines, ended = Lines(), threading.Event()
    taken: list[str] = []
    threads: list[int] = []
    first_may_end, seen = threading.Event(), threading.Event()

    def slow() -> None:
        threads.append(threading.get_ident())
        assert first_may_end.wait(PATIENCE)

    def take(line: str) -> None:
        taken.append(line)
        threads.append(threading.get_ident())
        if line == "slow":
            start(slow)
        if line == "last":
            seen.set()

    Crew(iter(lines), take, ended.set).start()
    for line in ("slow", "note", "last"):
        lines.queue.put(line)
    assert seen.wait(PATIENCE)
    first_may_end.set()
    lines.queue.put(None)
    assert ended.wait(PATIENCE)
    assert taken == ["slow", "note", "last"]
    assert threads[0] == threads[1] or threads[0] == threads[2]  # who took it runs it
    assert len(set(threads)) == 2


def test_a_hundred_calls_at_a_time_leave_few_threads_behind() -> None:
    lines, ended = Lines(), threading.Event()
    together = threading.Barrier(101)
    done: SimpleQueue[None] = SimpleQueue()

    def call() -> None:
        together.wait(PATIENCE)
        done.put(None)

    crew = Crew(iter(lines), lambda _: start(call), ended.set)
    crew.start()
    for _ in range(100):
        lines.queue.put("call")
    together.wait(PATIENCE)
    for _ in range(100):
        done.get(timeout=PATIENCE)
    assert len(crew._idle) <= crew_module.KEPT + 1
    lines.queue.put(None)
    assert ended.wait(PATIENCE)


def test_two_tasks_of_one_line_run_beside_each_other() -> None:
    lines, ended = Lines(), threading.Event()
    together = threading.Barrier(3)

    def meet() -> None:
        together.wait(PATIENCE)

    def take(_: str) -> None:
        start(meet)
        start(meet)

    Crew(iter(lines), take, ended.set).start()
    lines.queue.put("both")
    together.wait(PATIENCE)
    lines.queue.put(None)
    assert ended.wait(PATIENCE)


def test_outside_a_crew_a_task_runs_in_another_thread() -> None:
    seen: SimpleQueue[int] = SimpleQueue()
    start(lambda: seen.put(threading.get_ident()))
    assert seen.get(timeout=PATIENCE) != threading.get_ident()


def test_a_line_that_cannot_be_taken_ends_the_crew_as_the_last_line_does() -> None:
    lines, ended = Lines(), threading.Event()

    def take(_: str) -> None:
        raise RuntimeError("no")

    crew = Crew(iter(lines), take, ended.set)
    lines.queue.put("line")
    crew._idle.append(None)
    with pytest.raises(RuntimeError, match="no"):
        crew._work()
    assert ended.is_set()


def test_without_another_thread_the_call_runs_and_the_same_one_reads_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines, ended = Lines(), threading.Event()
    ran: SimpleQueue[str] = SimpleQueue()
    crew = Crew(iter(lines), lambda line: start(lambda: ran.put(line)), ended.set)
    crew.start()

    def no_more(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", no_more)
    for line in ("one", "two"):
        lines.queue.put(line)
        assert ran.get(timeout=PATIENCE) == line
    with pytest.raises(RuntimeError):
        crew.start()
    lines.queue.put(None)
    assert ended.wait(PATIENCE)
