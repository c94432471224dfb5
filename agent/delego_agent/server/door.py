"""The home behind a running server: opened when it is first asked for, and again whenever it has changed.

A server runs for days. A home that is made while it runs is found, and a policy that was changed, or an
approver that was taken out, counts from the next request on, as it does for ``delego propose``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from delego_agent.client import Client
from delego_agent.server.errors import Gap, NotSetUp
from delego_agent.service import LocalService
from delego_authorizer import Authorizer, DelegoAuthorizerError, Home
from delego_authorizer.errors import ConfigError
from delego_authorizer.values import check_principal
from delego_ledger.errors import DelegoLedgerError
from delego_spec.errors import DelegoSpecError, PolicyError

OpenAuthorizer: TypeAlias = Callable[[Home], Authorizer]
Log: TypeAlias = Callable[[str], None]
_Stamp: TypeAlias = tuple[tuple[int, ...] | None, ...]

_FILES = ("policy.yaml", "config.toml", "keys/ledger.pem", "keys/ledger.pub", "keys/token.pem")


@dataclass(slots=True)
class Opened:
    """An open home."""

    client: Client
    authorizer: Authorizer
    stamp: _Stamp
    users: int = 0  # requests that hold it now
    retired: bool = False  # closed by the last of them

    @property
    def principal(self) -> str:
        return self.client.principal


class Door:
    """Safe for use by many threads."""

    def __init__(
        self, home: Path, principal: str, log: Log, *, opens: OpenAuthorizer = Home.authorizer
    ) -> None:
        """``opens``: makes the authorizer, with the broker that the home names. Raises PrincipalError."""
        self.principal = check_principal(principal)
        self._home = Home(home)
        self._opens = opens
        self._log = log
        self._mutex = threading.Lock()
        self._open: Opened | None = None
        self._said = ""

    @contextmanager
    def entered(self) -> Iterator[Opened]:
        """The home as it is now, for one request. Raises NotSetUp."""
        with self._mutex:
            opened = self._current()
            opened.users += 1
        try:
            yield opened
        finally:
            with self._mutex:
                opened.users -= 1
                self._close_if_idle(opened)

    def close(self) -> None:
        """Close the home, behind the requests that hold it."""
        with self._mutex:
            self._retire()

    def _current(self) -> Opened:
        stamp = _stamp(self._home.path)
        if self._open is not None and self._open.stamp == stamp:
            return self._open
        self._retire()  # fails closed: what cannot be opened as it is now is not used as it was
        try:
            authorizer = self._opens(self._home)
        except PolicyError as error:
            raise self._shut("policy_refused", error) from None
        except ConfigError as error:
            raise self._shut("configuration_refused", error) from None
        except (DelegoSpecError, DelegoAuthorizerError, DelegoLedgerError) as error:
            raise self._shut("home_unusable" if self._is_there() else "no_home", error) from None
        self._said = ""
        client = Client(LocalService(authorizer), principal=self.principal)
        self._open = Opened(client, authorizer, stamp)
        return self._open

    def _is_there(self) -> bool:
        try:
            return self._home.exists or os.path.lexists(self._home.ledger_path)
        except DelegoAuthorizerError:
            return True  # what cannot be looked at is not absent

    def _shut(self, gap: Gap, error: Exception) -> NotSetUp:
        """The operator gets all of it on standard error; the agent only ``gap``, which names no path."""
        problem = str(error)
        if problem != self._said:
            self._said = problem
            self._log(problem)
        return NotSetUp(gap, problem)

    def _retire(self) -> None:
        if self._open is not None:
            self._open.retired = True
            self._close_if_idle(self._open)
            self._open = None

    def _close_if_idle(self, opened: Opened) -> None:
        if opened.retired and opened.users == 0:
            with suppress(DelegoLedgerError):
                opened.client.close()


def _stamp(home: Path) -> _Stamp:
    """Changes whenever what an authorizer was made of does. Of the ledger, which file it is: it grows."""
    approvers: list[str] = []
    with suppress(OSError):
        approvers = sorted(entry.name for entry in os.scandir(home / "approvers"))
    watched = (*_FILES, "approvers", *(f"approvers/{name}" for name in approvers))
    return (*(_look(home / name) for name in watched), (_look(home / "ledger.db") or ())[:2])


def _look(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
