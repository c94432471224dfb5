"""Who listens at a Unix socket: a name in a folder says nothing about whose it is."""

from __future__ import annotations

import os
import socket
import struct
import sys

_ROOT = 0


class UnknownUser(ValueError):  # noqa: N818 - reads as what happened
    """Inside the room only: there is no such user here."""


def user_id(user: str) -> int:
    """The id of a user by name, or of digits. Raises UnknownUser."""
    if user.isascii() and user.isdigit() and len(user) <= 10:
        return int(user)
    try:
        import pwd

        return pwd.getpwnam(user).pw_uid
    except (ImportError, KeyError, ValueError):
        raise UnknownUser(f"there is no user {user!r:.60} on this machine") from None


def stranger(connection: socket.socket, path: str, owner: int | None) -> int | None:
    """The user id of whoever listens at the other end of ``connection``, if that is not ``owner``, this user
    or root; None if it is. Raises OSError.

    Linux tells who began to listen. Elsewhere it is the owner of the socket's file, which somebody who may
    write its folder could have put there since.
    """
    if sys.platform == "win32":
        return None
    if hasattr(socket, "SO_PEERCRED"):
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("=iII"))
        uid: int = struct.unpack("=iII", told)[1]
    else:
        uid = os.stat(path).st_uid  # noqa: PTH116 - the path is text here
    return None if uid in (_ROOT, os.geteuid(), owner) else uid
