"""Chain verification on all cores, in memory that does not grow with the chain.

The calling thread checks batches itself. Of a long chain, processes of their own check others meanwhile
(``checker``); each is fed by a thread here. What cannot be had from a process is checked in its thread, so
that the report never depends on them.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from delego_ledger.checker import Checker, CheckerLost
from delego_spec.anchors import Anchor
from delego_spec.chain import BatchReport, ChainReport, ChainVerifier, batches, check_batch
from delego_spec.ed25519 import PublicKey

MAX_DEFAULT_JOBS: Final = 16  # one process can read and hand out receipts for no more than about these

_ALONE: Final = 2  # batches; a shorter chain is checked before a process has started
_AHEAD: Final = 3  # batches per job that may be checked before the one in front of them is
_PATIENCE: Final = 1.0  # seconds that an interrupted caller waits for a thread that may be stuck in a read


def verify_lines(
    lines: Iterable[bytes],
    key: PublicKey,
    *,
    expected_head: Anchor | None = None,
    anchors: Sequence[Anchor] = (),
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ChainReport:
    """``chain.verify_chain`` on several cores: the same report, whatever the number of ``jobs``.

    ``lines`` have no newline; they are taken one batch at a time, from whichever thread is ready, and what
    they raise is raised here. ``jobs``: how many check signatures at a time, this thread included, the others
    as processes; by default one per usable core, at most 16. ``progress`` is called in this thread with the
    number of lines verified so far.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    work = _Work(
        lines, key, ChainVerifier(expected_head=expected_head, anchors=anchors), jobs or usable_cores()
    )
    return work.run(progress)


def usable_cores() -> int:
    """Cores that this process may run on, at most ``MAX_DEFAULT_JOBS``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MAX_DEFAULT_JOBS)


class _Taken(NamedTuple):
    place: int  # of the batch
    start: int  # number of its first line
    lines: list[bytes]


class _Work:
    """One verification: batches are taken in order, checked in any order, and joined in order."""

    def __init__(self, lines: Iterable[bytes], key: PublicKey, verifier: ChainVerifier, jobs: int) -> None:
        self._batches = batches(lines)
        self._key = key
        self._verifier = verifier
        self._jobs = jobs
        self._checkers: list[Checker] = []
        self._taking = threading.Lock()  # guards the batches and the two below
        self._taken = 0  # batches
        self._taken_lines = 0
        self._joining = threading.Condition()  # guards the rest
        self._joined = 0  # batches
        self._ahead: dict[int, BatchReport] = {}
        self._failure: BaseException | None = None

    def run(self, progress: Callable[[int], None] | None) -> ChainReport:
        helpers = [
            threading.Thread(target=self._help, name=f"delego-verify-{number}", daemon=True)
            for number in range(1, self._jobs)
        ]
        started: list[threading.Thread] = []
        try:
            while self._step(progress):
                if len(started) < len(helpers) and self._taken >= _ALONE:
                    started = helpers
                    for helper in helpers:
                        helper.start()
        except BaseException as error:
            self._stop(error)
            for helper in started:
                helper.join(_PATIENCE)
            raise
        for checker in self._checkers:
            checker.no_longer_wait()
        for helper in started:
            helper.join()
        if self._failure is not None:
            raise self._failure
        if progress is not None:
            progress(self._verifier.count)
        return self._verifier.finish()

    def _help(self) -> None:
        try:
            try:
                checker = Checker(self._key, self._verifier.wanted)
            except CheckerLost:
                while self._step(None):
                    pass
            else:
                self._checkers.append(checker)
                try:
                    self._feed(checker)
                finally:
                    checker.close()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._stop(error)

    def _feed(self, checker: Checker) -> None:
        """Keep a process busy: it has one batch to check and one to go on with."""
        waiting: deque[_Taken] = deque()
        try:
            checker.wait()
            while (taken := self._take()) is not None or waiting:
                if taken is not None:
                    waiting.append(taken)
                    checker.send(taken.lines, taken.start)
                if len(waiting) == 2 or taken is None:
                    report = checker.receive()
                    self._join(waiting.popleft().place, report)
        except CheckerLost:
            for taken in waiting:
                self._check(taken)
            while self._step(None):
                pass

    def _step(self, progress: Callable[[int], None] | None) -> bool:
        """Take, check and join one batch. False when there is none left."""
        taken = self._take()
        if taken is None:
            return False
        self._check(taken)
        if progress is not None:
            progress(self._verifier.count)
        return True

    def _check(self, taken: _Taken) -> None:
        wanted = self._verifier.wanted
        self._join(taken.place, check_batch(taken.lines, self._key, start=taken.start, wanted=wanted))

    def _take(self) -> _Taken | None:
        with self._taking:
            batch = None if self._failure is not None else next(self._batches, None)
            if batch is None:
                return None
            taken = _Taken(self._taken, self._taken_lines, batch)
            self._taken += 1
            self._taken_lines += len(batch)
            return taken

    def _join(self, place: int, report: BatchReport) -> None:
        with self._joining:
            # A slow batch, or a slow progress callback, must not let the others fill the memory.
            self._joining.wait_for(
                lambda: place - self._joined < _AHEAD * self._jobs or self._failure is not None
            )
            self._ahead[place] = report
            while (following := self._ahead.pop(self._joined, None)) is not None:
                self._verifier.join(following)
                self._joined += 1
            self._joining.notify_all()

    def _stop(self, error: BaseException) -> None:
        with self._joining:
            self._failure = self._failure or error
            self._joining.notify_all()
