"""Whose execution is it, and does that process still live?

An execution that a crash left in flight is settled only when its owner is surely gone, or its deadline has
passed: a live neighbour on the same ledger is never declared dead.
"""

from __future__ import annotations

import os
import socket
import sys
from functools import lru_cache
from pathlib import Path

from delego_ledger.contract import Execution, Owner
from delego_spec.types import Micros


def this_process() -> Owner:
    """This process as an owner. A fork is another one."""
    return _owner(os.getpid())


@lru_cache(maxsize=1)
def _owner(pid: int) -> Owner:
    return Owner(_host(), pid, _status(pid)[1])


def is_abandoned(execution: Execution, now: Micros) -> bool:
    """True if nobody will settle this execution any more."""
    return now >= execution.deadline or _is_gone(execution.owner)


def _is_gone(owner: Owner) -> bool:
    name, boot, namespace = _host().split("/")
    theirs = owner.host.split("/")
    if len(theirs) != 3 or sys.platform == "win32":
        return False  # not to be seen from here (on Windows, asking by signal would end it)
    same_boot = theirs[1] == boot
    if theirs[0] != name and not (boot and same_boot):
        return False  # another host
    if not same_boot:
        return True  # the host was started again since: every process of that time is gone
    if theirs[2] != namespace:
        return False  # another container's pids say nothing here
    try:
        os.kill(owner.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # it lives, under another account
    state, started = _status(owner.pid)
    if state in ("Z", "X"):
        return True  # ended, and its parent has not asked yet
    return bool(started and owner.started and started != owner.started)


@lru_cache(maxsize=1)
def _host() -> str:
    """``name/boot/namespace``: the last two are empty where the system does not tell them."""
    boot = _read("/proc/sys/kernel/random/boot_id").strip()
    try:
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        namespace = ""
    return f"{socket.gethostname().replace('/', '_')}/{boot}/{namespace}"


def _status(pid: int) -> tuple[str, str]:
    """The process's state, and when it started in the kernel's own unit; "" for what cannot be read."""
    # The second field is the program's name in parentheses, and may itself hold blanks and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else ("", "")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
