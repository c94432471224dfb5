"""Credentials: read at the moment of use, from where the operator keeps them, and never kept.

No message here holds any part of a secret. What a command writes to stderr goes nowhere, for the same reason.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import selectors
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from delego_broker.errors import MissingExtra, SecretUnavailable, why
from delego_broker.gateway.settings import Credential, Source
from delego_spec.types import JSON

MAX_BYTES: Final = 16 * 1024
MIN_CHARACTERS: Final = 8  # what is shorter also stands by chance in what a service answers
# What a command gets of the gateway's environment: the rest of it holds the other routes' secrets.
PASSED_ON: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"}
    | {"SYSTEMROOT"}  # without it no program starts on Windows
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_IN_HEADER: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # printable ASCII, no blank at an end
_IN_BEARER: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Injected:
    """What a route's credentials add to a request. Its repr shows nothing of it."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)  # what must not come back


def read_secret(
    source: Source, environment: Mapping[str, str] | None = None, *, until: float | None = None
) -> str:
    """The secret that is there now, as text of at least 8 characters without control characters.

    ``until``: on the monotonic clock; a command or a keyring has its own time-out, and not longer than this.
    Raises SecretUnavailable or MissingExtra. May block: on a disk, and on those two.
    """
    ends = time.monotonic() + source.timeout
    until = ends if until is None else min(ends, until)
    if source.env is not None:
        text = (os.environ if environment is None else environment).get(source.env)
        if text is None:
            raise SecretUnavailable(f"{source} is not set")
    elif source.file is not None:
        text = _text(source, _from_file(source))
    elif source.keyring is not None:
        text = _from_keyring(source, until)
    else:
        text = _text(source, _from_command(source, until))
    if len(text) < MIN_CHARACTERS:
        raise SecretUnavailable(f"{source} holds fewer than {MIN_CHARACTERS} characters")
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise SecretUnavailable(f"{source} holds more than {MAX_BYTES} bytes")
    if _CONTROL.search(text):  # CR and LF would end the header and begin another
        raise SecretUnavailable(f"{source} holds a line break or another control character")
    if not _is_text(text):
        raise SecretUnavailable(f"{source} does not hold UTF-8 text")
    return text


def inject(credentials: Iterable[Credential], *, until: float | None = None) -> Injected:
    """Read all secrets of a route and say where they go. ``until``, what it raises, and that it may block: as
    ``read_secret``."""
    headers: list[tuple[str, str]] = []
    query: list[tuple[str, str]] = []
    hidden: list[str] = []
    for credential in credentials:
        secret = read_secret(credential.source, until=until)
        hidden.append(secret)
        if credential.place == "query":
            query.append((credential.name, secret))
        elif credential.place == "basic":
            pair = base64.b64encode(f"{credential.user}:{secret}".encode()).decode()
            hidden.append(pair)
            headers.append(("Authorization", f"Basic {pair}"))
        else:
            bearer = credential.place == "bearer"
            if (_IN_BEARER if bearer else _IN_HEADER).fullmatch(secret) is None:
                raise SecretUnavailable(f"{credential.source} holds what cannot stand in a header")
            name = "Authorization" if bearer else credential.name
            headers.append((name, f"{'Bearer ' if bearer else credential.prefix}{secret}"))
    return Injected(tuple(headers), tuple(query), tuple(hidden))


def names_of(query: Iterable[tuple[str, JSON]]) -> set[str]:
    """The names of query parameters."""
    return {name for name, _ in query}


def _from_file(source: Source) -> bytes:
    assert source.file is not None  # noqa: S101 - the caller looked
    try:
        with open(source.file, "rb", buffering=0, opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SecretUnavailable(f"{source} is no regular file")
            if status.st_mode & 0o027:  # a group may read it (systemd, Kubernetes), not write it
                mode = stat.S_IMODE(status.st_mode)
                raise SecretUnavailable(f"{source} has the mode {mode:04o}; make it 0600 or 0640")
            if hasattr(os, "geteuid") and status.st_uid not in (0, os.geteuid()):
                raise SecretUnavailable(f"{source} belongs to another user; give it to this one")
            return file.read(MAX_BYTES + 3)
    except (OSError, ValueError) as error:
        raise SecretUnavailable(f"{source} cannot be read: {why(error)}") from None


def _without_waiting(path: str, flags: int) -> int:
    """A named pipe without a writer would hold the opening up for ever, and it is refused anyway."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class _Asked:
    """One question to the keyring, in a thread of its own: a backend that shows a window may never answer."""

    def __init__(self, source: Source, service: str, user: str) -> None:
        self._answered = threading.Event()
        self._text: str | None = None
        self._problem: SecretUnavailable | MissingExtra | None = None
        self._of = source, service, user
        threading.Thread(target=self._ask, name="delego-keyring", daemon=True).start()

    def answer(self, until: float) -> str:
        """Raises SecretUnavailable, MissingExtra."""
        source = self._of[0]
        if not self._answered.wait(max(until - time.monotonic(), 0)):
            raise SecretUnavailable(f"{source} was not read within {source.timeout:g} s")
        if self._problem is not None:
            raise self._problem.with_traceback(None)
        if self._text is None:
            raise SecretUnavailable(f"there is no {str(source).removeprefix('the ')}")
        return self._text

    def _ask(self) -> None:
        source, service, user = self._of
        try:
            import keyring

            self._text = keyring.get_password(service, user)
        except ImportError:
            self._problem = MissingExtra("a secret in the keyring", "the keyring library", "keyring")
        except Exception as error:  # noqa: BLE001 - backends raise what they like, and may say too much
            self._problem = SecretUnavailable(f"{source} cannot be read: {type(error).__name__}")
        finally:
            with _asking_mutex:
                _asking.pop((service, user), None)
            self._answered.set()


# An entry is asked for once at a time: a keyring that hangs holds one thread, however many requests wait.
_asking: Final[dict[tuple[str, str], _Asked]] = {}
_asking_mutex: Final = threading.Lock()


def _from_keyring(source: Source, until: float) -> str:
    assert source.keyring is not None  # noqa: S101 - the caller looked
    with _asking_mutex:
        if source.keyring not in _asking:
            _asking[source.keyring] = _Asked(source, *source.keyring)
        asked = _asking[source.keyring]
    return asked.answer(until)


def environment_of(source: Source, environment: Mapping[str, str]) -> dict[str, str]:
    """What a command sees of an environment."""
    names = PASSED_ON | source.environment
    return {name: value for name, value in environment.items() if name in names}


def _from_command(source: Source, until: float) -> bytes:
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, no shell
            source.command or (),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment_of(source, os.environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SecretUnavailable(f"{source} cannot be run: {why(error)}") from None
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    began = time.monotonic()
    try:
        with process.stdout:
            data = _written(process.stdout.fileno(), until)
        if len(data) > MAX_BYTES + 2:
            raise SecretUnavailable(f"{source} wrote more than {MAX_BYTES} bytes")
        status = process.wait(max(until - time.monotonic(), 0))
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)  # it has not been waited for: the number is still its own
        process.wait()
        if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
            raise SecretUnavailable(f"{source} did not end within {until - began:.3g} s") from None
        raise
    if status != 0:
        raise SecretUnavailable(f"{source} ended with status {status}")
    return data


def _written(pipe: int, until: float) -> bytes:
    """What is written until the end of the pipe, and not much more than may be. Raises TimeoutError.

    A child in a session of its own (an agent that the command starts) can hold the pipe open and outlive its
    group: reading must not wait for it.
    """
    data = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while len(data) <= MAX_BYTES + 2:
            if not waiting.select(max(until - time.monotonic(), 0)):
                raise TimeoutError
            part = os.read(pipe, MAX_BYTES)
            if not part:
                break
            data += part
    return data


def _text(source: Source, data: bytes) -> str:
    """Without the one line end that editors and ``echo`` add."""
    try:
        return data.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise SecretUnavailable(f"{source} does not hold UTF-8 text") from None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
