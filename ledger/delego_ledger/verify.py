"""Chain verification on all cores, in memory that does not grow with the chain.

Checking a signature takes nine tenths of the time and leaves the interpreter to other threads, so that
threads are enough: measured on two cores they do as well as processes, without a process's start, its copy of
every line, and its second run of the caller's main module.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from delego_spec.anchors import Anchor
from delego_spec.chain import BATCH, BatchReport, ChainReport, ChainVerifier, check_batch
from delego_spec.ed25519 import PublicKey

MAX_DEFAULT_JOBS: Final = 8  # more threads than this wait for the interpreter more than they verify

_AHEAD: Final = 4  # batches per job that may be checked before the one in front of them is
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
    they raise is raised here. ``jobs``: threads, this one included; by default one per usable core, at most
    8. ``progress`` is called in this thread with the number of lines verified so far.
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


class _Work:
    """One verification: threads take batches in order, check them in any order, and join them in order."""

    def __init__(self, lines: Iterable[bytes], key: PublicKey, verifier: ChainVerifier, jobs: int) -> None:
        self._lines = iter(lines)
        self._key = key
        self._verifier = verifier
        self._jobs = jobs
        self._taking = threading.Lock()  # guards the three below
        self._taken = 0  # batches
        self._taken_lines = 0
        self._at_end = False
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
            if self._step(progress):
                for helper in helpers if not self._at_end else ():
                    helper.start()
                    started.append(helper)
                while self._step(progress):
                    pass
        except BaseException as error:
            self._stop(error)
            for helper in started:
                helper.join(_PATIENCE)
            raise
        for helper in started:
            helper.join()
        if self._failure is not None:
            raise self._failure
        if progress is not None:
            progress(self._verifier.count)
        return self._verifier.finish()

    def _help(self) -> None:
        try:
            while self._step(None):
                pass
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._stop(error)

    def _step(self, progress: Callable[[int], None] | None) -> bool:
        """Take, check and join one batch. False when there is none left."""
        taken = self._take()
        if taken is None:
            return False
        place, start, batch = taken
        self._join(place, check_batch(batch, self._key, start=start, wanted=self._verifier.wanted))
        if progress is not None:
            progress(self._verifier.count)
        return True

    def _take(self) -> tuple[int, int, list[bytes]] | None:
        with self._taking:
            batch = [] if self._at_end or self._failure is not None else list(islice(self._lines, BATCH))
            self._at_end = self._at_end or len(batch) < BATCH
            if not batch:
                return None
            place, start = self._taken, self._taken_lines
            self._taken += 1
            self._taken_lines += len(batch)
            return place, start, batch

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
