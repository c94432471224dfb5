"""Threads that are kept between broker calls: starting one costs more than handing over to one that waits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

Task: TypeAlias = Callable[[], None]

KEPT: Final = 10.0  # seconds without a task after which a thread ends


class Workers:
    """Runs each task in a daemon thread of its own, so that one that hangs holds up neither the next task
    nor the end of the program. Tasks must not raise.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._idle: list[SimpleQueue[Task]] = []

    def run(self, task: Task) -> None:
        """Start ``task`` at once. Raises RuntimeError where the system gives no more threads."""
        if self._pid != os.getpid():  # threads do not survive a fork
            self._pid, self._idle = os.getpid(), []
        try:
            inbox = self._idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            threading.Thread(
                target=self._work, args=(inbox, self._idle), name="delego-broker", daemon=True
            ).start()
        inbox.put(task)

    @staticmethod
    def _work(inbox: SimpleQueue[Task], idle: list[SimpleQueue[Task]]) -> None:
        while True:
            try:
                task = inbox.get(timeout=KEPT)
            except Empty:
                try:
                    idle.remove(inbox)
                except ValueError:  # it was just taken for a task, which is on its way
                    task = inbox.get()
                else:
                    return
            task()
            del task  # and with it the request
            idle.append(inbox)
