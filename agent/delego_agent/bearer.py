"""The bearer token that callers of a server on loopback may have to send."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from delego_agent.errors import DelegoAgentError
from delego_ledger.errors import StorageError
from delego_ledger.files import read_file

MIN_TOKEN: Final = 16  # characters
MAX_TOKEN: Final = 4096

_TOKEN: Final = re.compile(rf"[\x21-\x7e]{{{MIN_TOKEN},{MAX_TOKEN}}}")


class BearerError(DelegoAgentError):
    """There is no token to be had where one was named."""


def read_token(path: Path) -> str:
    """The token in a file that nobody else can read. Raises BearerError."""
    try:
        data, status = read_file(path, limit=MAX_TOKEN + 2)
    except StorageError as error:
        raise BearerError(f"cannot read the token file {str(path)!r:.300}: {error.reason}") from None
    if status.st_mode & 0o077:
        raise BearerError(f"the token file {str(path)!r:.300} can be read by others; make it 0600")
    return _token(data.decode("latin-1").strip(), f"the token file {str(path)!r:.300}")


def token_of(variable: str) -> str:
    """The token in a variable of the environment, which is taken out of it: servers that are started inherit
    the rest, and are no callers. Raises BearerError.
    """
    return _token(os.environ.pop(variable, ""), f"the environment's {variable!r:.80}")


def _token(text: str, where: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise BearerError(f"{where} holds no token: write one word, {MIN_TOKEN} or more of ASCII")
    return text
