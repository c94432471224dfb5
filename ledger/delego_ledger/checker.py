"""Batches of a chain, checked in a process of their own.

Threads alone lose a fifth of two cores: between two signatures each waits for the other to let go of the
interpreter. A plain child process over pipes, and not ``multiprocessing``, because that runs the caller's
main module a second time, which a library must not do to a script without a guard, and cannot do to a
program read from standard input.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Final

from delego_spec.chain import BATCH_BYTES, BatchReport, check_batch
from delego_spec.ed25519 import PublicKey

_READY: Final = "ready"
# Isolated from the environment and the current directory; then told the caller's path, which may be any.
_PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from delego_ledger.checker import serve; serve()"


class CheckerLost(Exception):  # noqa: N818 - reads as what happened
    """The process could not be started, or ended. Whoever gave it a batch has to check that batch itself."""


class Checker:
    """A process that checks batches in the order in which it gets them. One thread at a time may use it."""

    def __init__(self, key: PublicKey, wanted: frozenset[int]) -> None:
        """Starts the process. Raises CheckerLost."""
        if not sys.executable or getattr(sys, "frozen", False):
            raise CheckerLost  # the running program is no Python that could be started again
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-I", "-c", _PROGRAM.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pipesize=BATCH_BYTES,  # where it can be set: a batch is handed over without waiting
                start_new_session=True,  # Ctrl-C is for the caller; this one ends when its input does
            )
        except OSError as error:
            raise CheckerLost from error
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        self._is_ready = False
        try:
            _put(self._to, (key, wanted))
        except OSError as error:
            self.close()
            raise CheckerLost from error

    def wait(self) -> None:
        """Wait until the process has started, which takes a fifth of a second. Raises CheckerLost."""
        if self._receive() != _READY:
            raise CheckerLost
        self._is_ready = True

    def no_longer_wait(self) -> None:
        """Called from another thread: a process that is still starting is not needed any more."""
        if not self._is_ready:
            self._process.kill()

    def send(self, lines: Sequence[bytes], start: int) -> None:
        """Hand over a batch. Raises CheckerLost."""
        try:
            _put(self._to, (lines, start))
        except OSError as error:
            raise CheckerLost from error

    def receive(self) -> BatchReport:
        """The report on the oldest batch that was handed over. Raises CheckerLost."""
        report = self._receive()
        if type(report) is not BatchReport:
            raise CheckerLost
        return report

    def _receive(self) -> object:
        try:
            return pickle.load(self._from)  # noqa: S301 - from our own child
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
            raise CheckerLost from error

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._to.close()
        self._from.close()
        self._process.wait()


def serve() -> None:
    """What the process does: read a key, then check batch after batch until there is no more input."""
    with os.fdopen(0, "rb") as source, os.fdopen(1, "wb") as target:
        key, wanted = pickle.load(source)  # noqa: S301 - from our own parent
        _put(target, _READY)
        with contextlib.suppress(EOFError, BrokenPipeError):
            while True:
                lines, start = pickle.load(source)  # noqa: S301 - from our own parent
                _put(target, check_batch(lines, key, start=start, wanted=wanted))


def _put(target: IO[bytes], value: object) -> None:
    pickle.dump(value, target, protocol=pickle.HIGHEST_PROTOCOL)
    target.flush()
