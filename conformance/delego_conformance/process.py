"""The program under test: started, asked one thing at a time, and ended with all that it started.

It may hang, crash, flood or talk out of turn. Nothing of that raises here, blocks for longer than the
time-out, or takes more memory than one line of the longest kind.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from delego_conformance.errors import StartError
from delego_conformance.replies import MAX_LINE, encode_request, quoted, read_reply
from delego_conformance.vectors import DEFAULT_CTX, JSONObject

if sys.platform != "win32":
    import select

GRACE: Final = 0.5  # seconds between being asked to end and being ended
_CHUNK: Final = 65536
_WAITING: Final = 8  # lines kept that nobody asked for; the first one condemns the program already
_STDERR: Final = 16 * 1024  # bytes kept of what it writes there
_TICK: Final = 0.05  # seconds between two looks at whether it still runs


class Adapter:
    """One run of the program. ``start`` it, ``ask`` it, ``stop`` it; it is not started twice."""

    def __init__(self, command: Sequence[str], *, timeout: float) -> None:
        self._command = list(command)
        self._timeout = timeout
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._news = threading.Condition()  # guards what follows
        self._lines: deque[bytes] = deque(maxlen=_WAITING)
        self._is_partial = False  # a line has begun
        self._is_overlong = False
        self._is_over = False  # standard output has ended
        self._is_deaf = False  # standard input was closed by the other side
        self._stderr = bytearray()
        self.last_line = b""  # that was read as a reply

    def start(self) -> None:
        """Start the program. Raises StartError if there is none."""
        name = self._command[0]
        words = [shutil.which(name) or name, *self._command[1:]]  # finds what Windows calls name.cmd
        try:
            self._process = subprocess.Popen(  # noqa: S603  # the program that the user gave
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=sys.platform != "win32",  # a process group of its own, to be ended as one
            )
        except (OSError, ValueError) as error:
            raise StartError(name or "''", f"cannot be started: {_why(name, error)}") from None
        self._waker = _Waker()
        for work in (self._write_requests, self._read_replies, self._read_stderr):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def ask(self, request: JSONObject, timeout: float | None = None) -> tuple[JSONObject | None, str | None]:
        """The reply, and what was wrong in a line. Once something was wrong, ``stop`` it and take another."""
        self.last_line = b""
        self._requests.put(encode_request(request))
        line, problem = self._next_line(timeout or self._timeout)
        if line is None:
            return None, problem
        self.last_line = line
        reply, problem = read_reply(line, request["id"])
        return reply, problem or self.stray()

    def stray(self) -> str | None:
        """What it has written without being asked, in a line; None if it kept silent."""
        with self._news:
            if self._lines:
                return f"it wrote a line that nobody asked for: {quoted(self._lines[0])}"
            return "it wrote a line that nobody asked for, over 16 MiB" if self._is_overlong else None

    @property
    def process_id(self) -> int:
        """Of the program, and of its process group."""
        return self._process.pid

    def take_stderr(self) -> str:
        """The end of what it wrote to standard error since the last time."""
        with self._news:
            text = self._stderr.decode("utf-8", "replace")
            self._stderr.clear()
        return text

    def stop(self, *, politely: bool) -> str | None:
        """End the program and its process group; what it had written unasked, if it was asked politely."""
        problem = None
        if politely:
            problem = self.stray()
            if problem is None:
                bye = {"v": 1, "id": "bye", "op": "bye", "args": {}, "ctx": dict(DEFAULT_CTX)}
                self.ask(bye, min(self._timeout, 4 * GRACE))
                self._requests.put(None)
                self._await_end(GRACE)
                problem = self.stray()
        self._kill()
        self._end_threads()
        return problem

    # The end of it.

    def _kill(self) -> None:
        """End the whole group. It is reaped last: until then nobody else can have its number."""
        process = self._process
        if sys.platform == "win32":
            taskkill = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            if process.poll() is None:
                subprocess.run(taskkill, capture_output=True, check=False)  # noqa: S603  # ended with its children
        else:
            if hasattr(os, "waitid") and self._exit() is None:
                _signal_group(process.pid, signal.SIGTERM)
                self._await_end(GRACE)
            _signal_group(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10 * GRACE)

    def _end_threads(self) -> None:
        self._requests.put(None)
        until = time.monotonic() + GRACE
        for thread in self._threads:  # with the program gone they find the end of their pipes
            thread.join(max(0.0, until - time.monotonic()))
        self._waker.wake()  # unless somebody else has inherited the other ends
        for thread in self._threads:
            thread.join(GRACE)
        if not any(thread.is_alive() for thread in self._threads):
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._waker.close()

    def _await_end(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._news:
            while not (self._is_over and self._exit() is not None) and time.monotonic() < until:
                self._news.wait(_TICK)

    def _exit(self) -> str | None:
        """How it ended, None while it runs or where that cannot be told yet. It is not reaped by this."""
        if sys.platform == "win32":
            status = self._process.poll()
            return None if status is None else f"it ended with exit status {status}"
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return None
        try:
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return "it ended"
        if found is None:
            return None
        if found.si_code == os.CLD_EXITED:
            return f"it ended with exit status {found.si_status}"
        return f"it was killed by {_signal_name(found.si_status)}"

    # Its three streams.

    def _next_line(self, timeout: float) -> tuple[bytes | None, str | None]:
        until = time.monotonic() + timeout
        last_call = None  # it has ended: when to stop waiting for what is on its way
        with self._news:
            while True:
                if self._lines:
                    return self._lines.popleft(), None
                if self._is_overlong:
                    return None, "it wrote a line of over 16 MiB"
                now = time.monotonic()
                if last_call is None and (self._is_over or self._is_deaf or self._exit() is not None):
                    last_call = min(now + GRACE, until)
                ended = self._is_over and self._exit() is not None
                if ended or (last_call is not None and now >= last_call):
                    return None, self._ending()
                if now >= until:
                    half = "; half a line came" if self._is_partial else ""
                    return None, f"no reply within {timeout:g} s{half}"
                self._news.wait(min(until - now, _TICK))

    def _ending(self) -> str:
        half = " in the middle of a line" if self._is_partial else ""
        if (how := self._exit()) is not None:
            return how + half
        return f"it closed its standard {'output' if self._is_over else 'input'}{half}"

    def _write_requests(self) -> None:
        assert self._process.stdin is not None  # noqa: S101  # it was asked for
        number = self._process.stdin.fileno()
        if sys.platform != "win32":
            os.set_blocking(number, False)
        for request in iter(self._requests.get, None):
            rest = memoryview(request)
            while rest:
                try:
                    if not self._waker.wait(number, writing=True):
                        return
                    rest = rest[os.write(number, rest[:_CHUNK]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._tell(lambda: setattr(self, "_is_deaf", True))
                    return
        self._process.stdin.close()

    def _read_replies(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # it was asked for
        number = self._process.stdout.fileno()
        begun = bytearray()
        while data := self._read(number):
            if self._is_overlong:
                continue  # so that it does not wait for us, either
            *lines, rest = data.split(b"\n")
            if lines:
                lines[0] = bytes(begun) + lines[0]
                begun.clear()
            begun += rest
            with self._news:
                self._is_overlong = max(map(len, (*lines, begun))) > MAX_LINE
                if not self._is_overlong:
                    self._lines.extend(lines[: _WAITING - len(self._lines)])
                self._is_partial = bool(begun)
                self._news.notify_all()
            if self._is_overlong:
                begun.clear()
        self._tell(lambda: setattr(self, "_is_over", True))

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None  # noqa: S101  # it was asked for
        number = self._process.stderr.fileno()
        while data := self._read(number):
            with self._news:
                self._stderr += data
                del self._stderr[:-_STDERR]

    def _read(self, number: int) -> bytes:
        try:
            return os.read(number, _CHUNK) if self._waker.wait(number) else b""
        except OSError:
            return b""

    def _tell(self, change: Callable[[], None]) -> None:
        with self._news:
            change()
            self._news.notify_all()


class _Waker:
    """Lets a thread wait for a pipe and for the end at once, so that no process elsewhere can hold it.

    On Windows a thread waits for its pipe alone. One whose pipe somebody holds is left behind.
    """

    def __init__(self) -> None:
        self._ends = os.pipe()
        self._is_open = True

    def wait(self, number: int, *, writing: bool = False) -> bool:
        """Wait until the pipe can be used; False if the end came first."""
        if sys.platform == "win32":
            return True
        poll = select.poll()
        poll.register(number, select.POLLOUT if writing else select.POLLIN)
        poll.register(self._ends[0], select.POLLIN)
        return self._ends[0] not in dict(poll.poll())

    def wake(self) -> None:
        """The end has come, for every thread."""
        if self._is_open:
            os.close(self._ends[1])  # which makes the other end readable, for good
            self._is_open = False

    def close(self) -> None:
        self.wake()
        os.close(self._ends[0])


def _why(name: str, error: Exception) -> str:
    """Why a program could not be started, in the words of whoever typed its name."""
    if isinstance(error, PermissionError) and name and Path(name).is_dir():
        return "it is a folder"
    if isinstance(error, PermissionError) and Path(name).is_file():
        return "it is not executable; write its interpreter before it, or make it executable"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{reason[:1].lower()}{reason[1:]}"


def _signal_group(number: int, which: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(number, which)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
