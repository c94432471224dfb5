"""Threads that take a client's lines in turns, each running itself what its line asks for.

One of them leads: it reads. With a call in hand it passes the lead on and runs the call, so that no call
waits until another thread has woken up.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from delego_authorizer.workers import Task, Workers

Line = TypeVar("Line")

KEPT: Final = 8  # threads that wait for the lead; what is more ends after its call

_workers: Final = Workers()
_leading: Final = threading.local()


def start(task: Task) -> None:
    """Run ``task`` beside what goes on: in this thread, once it has passed on the lead of a crew, else in
    another one. ``task`` must not raise. Raises RuntimeError where the system gives no more threads.
    """
    mine: list[Task] | None = getattr(_leading, "tasks", None)
    if mine == []:
        mine.append(task)
    else:
        _workers.run(task)


class Crew(Generic[Line]):
    """Gives each line to ``take``, one after the other, and calls ``on_end`` after the last one."""

    def __init__(self, lines: Iterator[Line], take: Callable[[Line], None], on_end: Task) -> None:
        self._lines = lines
        self._take = take
        self._on_end = on_end
        self._lead = threading.Lock()
        self._ended = False
        self._idle: deque[None] = deque()  # one for each thread that waits for the lead

    def start(self) -> None:
        """Begin. Raises RuntimeError where the system gives no more threads."""
        self._idle.append(None)
        try:
            threading.Thread(target=self._work, name="delego-mcp-call", daemon=True).start()
        except BaseException:
            self._idle.pop()
            raise

    def _work(self) -> None:
        while True:
            with self._lead:
                self._idle.pop()
                task = self._next_task()
                if task is not None and not self._idle:
                    with contextlib.suppress(RuntimeError):  # then nobody reads until the call has ended
                        self.start()
            if task is None:
                return
            task()
            if len(self._idle) >= KEPT:
                return
            self._idle.append(None)

    def _next_task(self) -> Task | None:
        """Read until a line is something to run; None after the last line."""
        if self._ended:
            return None
        tasks: list[Task] = []
        _leading.tasks = tasks
        try:
            for line in self._lines:
                self._take(line)
                if tasks:
                    return tasks[0]
        finally:
            _leading.tasks = None
            self._ended = not tasks
            if self._ended:
                self._on_end()
        return None
