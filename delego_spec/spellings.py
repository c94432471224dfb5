"""What a policy names must be spelled as decidable actions spell it (§4, §5.1).

An action in another spelling is refused as a hazard. A matcher in such a spelling would therefore meet
nothing, and an entry that forbids a thing by that name would let it pass under its proper one.

Spellings of what has no other name ("..", "//", "%2F") are left alone: whatever has them is denied anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from delego_spec.hosts import tool_problems, web_problems

_STRAY: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@]")
_DEFAULT_PORT: Final = re.compile(r".*:(80|443)", re.DOTALL)


def host_problems(text: str) -> Iterator[str]:
    """Why no decidable action has the host ``text``; one sentence each, nothing for one that may be met.

    A URL leaves out its scheme's default port, and a host is compared without the scheme: neither 80 nor 443
    is ever met where it is meant.
    """
    if next(tool_problems(text), None) is None:
        return
    default_port = _DEFAULT_PORT.fullmatch(text)
    yield from web_problems(text, None if default_port is None else default_port[1])


def path_problems(text: str) -> Iterator[str]:
    """Why no decidable action has ``text`` in its path, although one with another spelling of it may."""
    stray = _STRAY.search(text)
    if stray is not None:
        yield f"{stray[0]!a} is escaped in a path; write {quote(stray[0], safe='')}"
    for escape in _ESCAPE.findall(text):
        char = chr(int(escape[1:], 16))
        if _LITERAL.fullmatch(char):
            yield f"{escape} stands for itself in a path; write {char}"
        elif escape != escape.upper():
            yield f"escapes are in upper case; write {escape.upper()} and not {escape}"
