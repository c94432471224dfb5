"""Whether another account could put something else in the place of a file, here or anywhere above it.

A mode of 0600 protects a file's contents, not its name: whoever may write a folder above it can move it away
and put another one there, a symbolic link to the old one among them. So each step of the path is looked at,
each step of each link too, as ``sshd`` does before it believes a list of keys.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections import deque
from pathlib import Path
from typing import Final

from delego_ledger.errors import StrPath

_MAX_LINKS: Final = 40  # as the system follows
_ROOT: Final = 0
# In a user namespace the accounts outside of it, root among them, are all shown as this one.
_UID_MAP: Final = Path("/proc/self/uid_map")
_OVERFLOW_UID: Final = Path("/proc/sys/kernel/overflowuid")
_ALL_UIDS: Final = 4294967295


def foreign_hand(path: StrPath) -> str | None:
    """Why an account other than this one and root could replace or change ``path``; None where none could.

    Refused: a step that belongs to another account; a folder above that everybody may write, or a group that
    is neither this process's own nor root's, without the sticky bit; a last step that any group or others may
    write. What nobody else can get to is theirs to write in vain. What is not there cannot be said anything
    about: None. Where there are no user ids (Windows) nothing is looked at. Raises OSError.
    """
    if sys.platform == "win32":
        return None
    trusted = _trusted()
    here, links = Path("/"), 0
    todo = deque((Path.cwd() / path).parts[1:])
    reachable = True  # for group or others, through the folders so far
    while True:
        try:
            status = here.lstat()
        except FileNotFoundError:
            return None
        if status.st_uid not in trusted:
            owner = f"{_shown(here)} belongs to another account (uid {status.st_uid})"
            return f"{owner}; work as that account, or with a home where all folders above are your own"
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MAX_LINKS:
                return f"{_shown(here)} is one of too many symbolic links"
            target = here.readlink()
            todo.extendleft(reversed(target.parts))
            here = here.parent
        elif reachable and _open_to_others(status, last=not todo):
            mode = stat.S_IMODE(status.st_mode)
            command = f"chmod go-w {shlex.quote(str(here))}"
            return f"others can write {_shown(here)} (mode {mode:04o}); take that from them: {command:.310}"
        elif stat.S_ISDIR(status.st_mode):
            reachable = reachable and bool(status.st_mode & 0o011)
        if not todo:
            return None
        step = todo.popleft()
        if step in ("/", ".."):
            here, reachable = Path("/") if step == "/" else here.parent, True
        else:
            here /= step


def _open_to_others(status: os.stat_result, *, last: bool) -> bool:
    if last:
        return bool(status.st_mode & 0o022)
    if status.st_mode & stat.S_ISVTX:  # names in it can be taken away by their owners alone
        return False
    if status.st_mode & 0o002:
        return True
    return bool(status.st_mode & 0o020) and not _private(status.st_gid)


def _private(group: int) -> bool:
    """Root's, or this account's own: many systems give each one a group, and let it write folders by default.

    Under ``sg`` and ``newgrp`` the process has another group, and the folders still have the account's.
    """
    if group in (_ROOT, os.getegid()):
        return True
    import pwd  # not on Windows, and rarely asked: a directory service may be slow

    try:
        return group == pwd.getpwuid(os.geteuid()).pw_gid
    except KeyError:  # an account without an entry, as in many containers
        return False


def _trusted() -> frozenset[int]:
    accounts = {_ROOT, os.geteuid()}
    try:
        if int(_UID_MAP.read_text().split()[2]) != _ALL_UIDS:
            accounts.add(int(_OVERFLOW_UID.read_text()))
    except (OSError, ValueError, IndexError):  # not Linux
        pass
    return frozenset(accounts)


def _shown(path: Path) -> str:
    return f"{str(path)!r:.300}"
