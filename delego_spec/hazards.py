"""Hazards (§4): what makes an action undecidable although it can be hashed.

Policy and approver look at text; a server looks at what that text becomes on the way. Where the two can
differ (dot segments, escapes, a host that is read in two ways), the action is refused before any rule sees
it. What passes here is seen alike by the common URL parsers: same host, same path, same query. Tests hold
that against oracles.

Not here: the deny and its receipt, which the caller makes from ``Hazard.reason``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote_plus

from delego_spec.action import Action, trim
from delego_spec.hosts import is_loopback, tool_problems, web_problems

HazardCode: TypeAlias = Literal[
    "url",  # what belongs to no part of it: its length
    "scheme",
    "authority",
    "path",
    "query",
    "fragment",
    "method",
    "instruction",
]

MAX_URL: Final = 8000  # characters; what servers take is rarely more
MAX_INSTRUCTION: Final = 16 * 1024  # bytes of UTF-8

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_TOOL_SCHEMES: Final = frozenset({"mcp", "tool"})

# RFC 3986, split without repairing anything. Each part ends at a character that the next one begins with.
_SPLIT: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")

_PCHAR: Final = r"A-Za-z0-9\-._~!$&'()*+,;=:@"
_LITERAL: Final = re.compile(rf"[{_PCHAR}]")
_STRAY_IN_PATH: Final = re.compile(rf"[^{_PCHAR}/%]")
_STRAY_IN_QUERY: Final = re.compile(rf"[^{_PCHAR}/?%]")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_DOTS: Final = re.compile(r"(?:\.|%2[Ee]){1,2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,31}")
_CONTROL_IN_PROSE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BIDI: Final = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# The common case in one look: an https or tool URL without port, escapes or repeated names. All else is
# looked at part by part; this expression may refuse what is good, never the other way round.
_PLAIN_LENGTH: Final = 253  # no host in so short a URL is too long
_PLAIN_SEGMENT: Final = rf"/[A-Za-z0-9_~][{_PCHAR}]*"
_PLAIN_URL: Final = re.compile(
    r"(?:https://(?:(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
    rf"(?:{_PLAIN_SEGMENT})*/?"
    r"|(?:mcp|tool)://(?!localhost/)[a-z](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
    rf"(?:{_PLAIN_SEGMENT})+)"
    rf"(?:\?([{_PCHAR}/?]*))?"
)


@dataclass(frozen=True, slots=True)
class Hazard:
    """One thing that makes an action undecidable."""

    code: HazardCode  # the part that it was found in
    text: str  # what was found and what to write instead; printable ASCII in one line

    @property
    def reason(self) -> str:
        """The reason in the deny receipt: ``hazard: <code>: <text>`` (§4)."""
        return f"hazard: {self.code}: {self.text}"


def find_hazards(action: Action, *, plain_http_hosts: frozenset[str] = frozenset()) -> tuple[Hazard, ...]:
    """Everything that makes ``action`` undecidable, in the order of its parts (§4); empty if it is decidable.

    ``plain_http_hosts`` holds lower-cased authorities (``intranet.example:8080``) that are reached by plain
    http, and only so: the fingerprint leaves the scheme out, so the authority has to decide it. It does not
    decide between http and https on a loopback host that is not listed, nor between mcp and tool.
    Raises nothing.
    """
    if _is_plain(action) and action.host not in plain_http_hosts:
        return ()
    return (
        *_url_hazards(action.url, plain_http_hosts),
        *_method_hazards(action.method),
        *_instruction_hazards(action.instruction),
    )


def _is_plain(action: Action) -> bool:
    url, instruction = action.url, action.instruction
    # Four bytes of UTF-8 at most for a character; a printable text has neither control nor bidi characters.
    if len(url) > _PLAIN_LENGTH or len(instruction) > MAX_INSTRUCTION // 4 or not instruction.isprintable():
        return False
    plain = _PLAIN_URL.fullmatch(url)
    if plain is None or instruction.isspace() or not instruction or _METHOD.fullmatch(action.method) is None:
        return False
    query = plain[1]
    if not query or "&" not in query:
        return True
    names = [segment.partition("=")[0] for segment in query.split("&")]
    return len(names) == len(set(names))


def _url_hazards(url: str, plain_http_hosts: frozenset[str]) -> Iterator[Hazard]:
    if len(url) > MAX_URL:
        yield Hazard("url", f"url has {len(url)} characters; at most {MAX_URL} are allowed")
        return
    parts = _SPLIT.fullmatch(url)
    if parts is None:
        yield _form_hazard(url)
        return
    written, authority, path, query, fragment = parts.groups()
    scheme = written.lower()
    yield from _scheme_hazards(scheme, authority.lower(), plain_http_hosts)
    if scheme in _TOOL_SCHEMES:
        problems = tool_problems(authority)
    else:
        problems = web_problems(authority, _DEFAULT_PORTS.get(scheme))
    for text in problems:
        yield Hazard("authority", text)
    if scheme in _TOOL_SCHEMES and (path == "" or path[-1] == "/"):
        yield Hazard("path", f"path names no operation at its end; write {scheme}://name/operation")
    for text in _path_problems(path):
        yield Hazard("path", text)
    for text in _query_problems(query or ""):
        yield Hazard("query", text)
    if fragment is not None:  # never sent, never hashed: an approver would read what nobody is bound to
        yield Hazard(
            "fragment",
            "fragment is never sent and not covered by an approval; leave out '#' and what follows",
        )


def _form_hazard(url: str) -> Hazard:
    """For a URL that does not begin with a scheme and '://'; its other parts are anybody's guess."""
    head = _SCHEME.match(url)
    if head is None:
        if url[:1].isspace() or _CONTROL.match(url):  # some clients strip these, others fail
            return Hazard("scheme", f"scheme has U+{ord(url[0]):04X} before it; begin with https://")
        return Hazard("scheme", "scheme is missing or malformed; begin with https://, mcp:// or tool://")
    scheme = head[1].lower()
    if scheme not in _TOOL_SCHEMES and scheme not in _DEFAULT_PORTS:
        return Hazard("scheme", f"scheme {_show(scheme)} is not allowed; write https, mcp or tool")
    return Hazard(
        "authority", f"authority is missing, because '//' does not follow the scheme; write {scheme}://"
    )


def _scheme_hazards(scheme: str, authority: str, plain_http_hosts: frozenset[str]) -> Iterator[Hazard]:
    """§4: the authority decides the scheme, or an approval of https would release the same in plain http."""
    if scheme == "https":
        if authority in plain_http_hosts:
            yield Hazard("scheme", "scheme https is not what this host is configured for; write http")
    elif scheme == "http":
        if authority not in plain_http_hosts and not is_loopback(authority):
            yield Hazard(
                "scheme",
                "scheme http is for loopback hosts and hosts configured as plain http only; write https",
            )
    elif scheme not in _TOOL_SCHEMES:
        yield Hazard("scheme", f"scheme {_show(scheme)} is not allowed; write https, mcp or tool")


def _path_problems(path: str) -> Iterator[str]:
    yield from _stray_characters("path", _STRAY_IN_PATH.findall(path))
    segments = path.split("/")
    # ".." is resolved by most clients, "..;" by servers that strip path parameters
    if any(_DOTS.fullmatch(segment.partition(";")[0]) for segment in segments):
        yield "path has a '.' or '..' segment; write the path it leads to"
    if "" in segments[1:-1]:
        yield "path has an empty segment; write single slashes"
    yield from _decoding_problems("path", path)
    escapes = sorted(set(_ESCAPE.findall(path)))
    if any(escape != escape.upper() for escape in escapes):
        yield "path has an escape in lower case; write its hexadecimal digits in upper case"
    for escape in escapes:
        if _LITERAL.fullmatch(chr(int(escape[1:], 16))):
            yield f"path escapes a character that stands for itself; write it instead of {escape}"
            break
    for escape in escapes:
        if escape.upper() in ("%2F", "%5C", "%25"):  # decoded twice, they make new segments and escapes
            yield f"path has {escape}, which servers decode at different times; put that value into params"
            break


def _query_problems(query: str) -> Iterator[str]:
    yield from _stray_characters("query", _STRAY_IN_QUERY.findall(query))
    yield from _decoding_problems("query", query)
    values: dict[str, str] = {}
    for segment in query.split("&"):
        name, value = (unquote_plus(text) for text in segment.partition("=")[::2])
        # The fingerprint sorts values, a server takes the first or the last: an approval of "id=1&id=2"
        # would release "id=2&id=1".
        if value < values.get(name, ""):
            yield f"query repeats {_show(name)} in an order that the fingerprint loses; sort its values"
            break
        values[name] = value


def _stray_characters(part: str, stray: list[str]) -> Iterator[str]:
    """Characters that have no place in a path or query: parsers drop, escape or translate them."""
    found = sorted(set(stray))
    if any(not char.isascii() for char in found):
        yield f"{part} has non-ASCII characters; write their UTF-8 bytes as percent escapes"
    control = [char for char in found if _CONTROL.match(char)]
    if control:
        yield f"{part} has the control character U+{ord(control[0]):04X}; leave it out"
    if " " in found:
        yield f"{part} has a space; write %20"
    if "\\" in found:
        yield f"{part} has a backslash; write a slash where one is meant"
    rest = [char for char in found if char.isascii() and char.isprintable() and char not in " \\"]
    if rest:
        yield f"{part} has {rest[0]!r}, which must be escaped; write %{ord(rest[0]):02X}"


def _decoding_problems(part: str, text: str) -> Iterator[str]:
    if _BROKEN_ESCAPE.search(text):
        yield f"{part} has '%' without two hexadecimal digits; write the escape in full"
    invalid = control = False
    for run in _ESCAPES.findall(text):
        try:
            decoded = bytes.fromhex(run.replace("%", "")).decode()
        except UnicodeDecodeError:  # all invalid bytes decode to U+FFFD, and share one fingerprint
            invalid = True
        else:
            control = control or _CONTROL.search(decoded) is not None
    if invalid:
        yield f"{part} has escapes that are not UTF-8; write the UTF-8 bytes of the text"
    if control:
        yield f"{part} has an escaped control character; leave it out"


def _method_hazards(method: str) -> Iterator[Hazard]:
    if _METHOD.fullmatch(method) is None:
        yield Hazard(
            "method", f"method {_show(method)} is malformed; write up to 32 letters, as in GET or CALL"
        )


def _instruction_hazards(instruction: str) -> Iterator[Hazard]:
    if trim(instruction) == "":
        yield Hazard("instruction", "instruction is empty; write what the action is for")
    size = len(instruction.encode())
    if size > MAX_INSTRUCTION:
        yield Hazard("instruction", f"instruction has {size} bytes; at most {MAX_INSTRUCTION} are allowed")
    # what the approver sees on a screen must be what is hashed
    control = _CONTROL_IN_PROSE.search(instruction)
    if control is not None:
        yield Hazard(
            "instruction", f"instruction has the control character U+{ord(control[0]):04X}; leave it out"
        )
    bidi = _BIDI.search(instruction)
    if bidi is not None:
        yield Hazard(
            "instruction", f"instruction has U+{ord(bidi[0]):04X}, which reorders what is read; leave it out"
        )


def _show(text: str) -> str:
    """Quoted, cut and in printable ASCII, because receipts and terminals show it."""
    return ascii(text) if len(text) <= 40 else f"{text[:40]!a}..."
