"""The error family of ``delego_broker``: every public function raises from here, and nothing else.

A refused token is a value (``Refusal``, ``Refused``). What is raised means: the answer cannot be known, or a
broker cannot be made as it was asked for. Misuse of the API is a ``TypeError`` or ``ValueError``.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from delego_spec.errors import DocumentError

StrPath: TypeAlias = "str | os.PathLike[str]"


class DelegoBrokerError(Exception):
    """Root of the family; catch this to catch all of it."""


class ReplayStoreError(DelegoBrokerError):
    """The world failed: whether a token was used before cannot be known. Nothing may be sent on it."""


class KeySourceError(DelegoBrokerError):
    """The verifier's own keys cannot be had, or not in a state that may still be trusted."""


class RevocationError(DelegoBrokerError):
    """The list of revoked tokens cannot be read or written; a token that may stand on it is refused."""


class BrokerConfigError(DelegoBrokerError, DocumentError):
    """A broker's configuration is refused; ``problems`` lists everything that is wrong with it."""


class SecretUnavailable(DelegoBrokerError):  # noqa: N818 - reads as what happened
    """A credential cannot be had, or not in a form that may be sent. The message never holds any of it."""


class ListenError(DelegoBrokerError):
    """The gateway cannot listen where it was told to, or may not."""


class MissingExtra(DelegoBrokerError):  # noqa: N818 - reads as what happened
    """A part of this package needs a library that is not installed. ``extra`` names what to install."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs {library}; run: pip install 'delego-spec[{extra}]'")


def why(error: BaseException) -> str:
    """What the system said, as one short lower-case line; never more than that."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    line = " ".join(text.encode(errors="replace").decode().split())[:200]
    if not line:
        return type(error).__name__
    return line[0].lower() + line[1:] if line[1:2].islower() else line
