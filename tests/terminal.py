"""A real terminal for the command: what a person sees, and the keys they press."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

PATIENCE: Final = 60.0  # seconds; a limit for hangs, not a wait

# The child becomes the terminal's foreground, so that Ctrl-C typed there reaches it.
_IN_FOREGROUND: Final = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """``with Terminal(["approve", id], env) as screen: screen.wait_for("[y/N]"); screen.type("y\\n")``."""

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        *,
        columns: int = 100,
        cwd: Path | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        """``stdout``, ``stderr``: descriptors that are no terminal, with a person at the keyboard."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        command = [sys.executable, "-c", _IN_FOREGROUND, sys.executable, "-m", "delego_cli", *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave if stderr is None else stderr,
            env={"TERM": "xterm", **env},
            cwd=cwd,
            start_new_session=True,
        )
        os.close(slave)
        self.output = ""
        self._seen = 0

    def wait_for(self, text: str) -> None:
        """Read until ``text`` has come, after whatever was waited for before."""
        while (found := self.output.find(text, self._seen)) < 0:
            if not self._read():
                raise AssertionError(f"{text!r} never came; the screen: {self.output!r}")
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> int:
        """Type Ctrl-C until it ends: one that comes in the instant before a read begins waits for a key."""
        while self.process.poll() is None:
            self.type("\x03")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        return self.finish()

    def finish(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        if not ready:
            raise AssertionError(f"nothing came for {PATIENCE:g} s; the screen: {self.output!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux says that the other end is closed
            return False
        self.output += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            deadline = time.monotonic() + 1
            while self.process.poll() is None and time.monotonic() < deadline and self._drained():
                pass
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _drained(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 0.05)
        return not ready or self._read()
