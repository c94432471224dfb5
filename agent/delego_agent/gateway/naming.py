"""How a call becomes an action: method, URL and params, so that two calls never share a fingerprint.

    tools/call      →  CALL mcp://<server>/<tool>               params: the arguments
    resources/read  →  READ mcp://<server>/resource/<uri>
    prompts/get     →  GET mcp://<server>/prompt/<name>         params: the arguments

Names are written into the path with an escape of their own: ``A-Z a-z 0-9 . _ -`` stand for themselves, every
other byte of UTF-8 is ``~`` and two hexadecimal digits (``~2F`` for a slash). Percent escapes would not do:
some of them are hazards. In a resource's URI slashes separate segments, ``:`` and ``@`` stand for themselves,
and an empty segment is ``~``: ``file:///etc/hosts`` is ``/resource/file:/~/~/etc/hosts``.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from delego_agent.gateway.wire import Message

INPUT_RESPONSES: Final = "delego/inputResponses"  # params of a call that answers a server's question
REQUEST_STATE: Final = "delego/requestState"  # sha256 of the server's own words in such a call
VENDOR_PARAMS: Final = "params"
OTHER_PARAMS: Final = "delego/params"  # members of a request that MCP does not know; its server may

_ESCAPED: Final = re.compile(r"[^A-Za-z0-9._-]")
_ESCAPED_IN_URI: Final = re.compile(r"[^A-Za-z0-9._:@-]")
_SERVER: Final = re.compile(r"[^a-z0-9_-]+")
_DIGITS: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_DOTS: Final = re.compile(r"\.{1,2}")
_DROPPED: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")  # readers of URLs take some of them out
_CUTS: Final = re.compile(r"[;?#]")  # a segment ends here for who reads on
_ROUNDS: Final = 8  # of percent-decoding that are looked through

_MEMBERS: Final = {  # what is decided as URL or params; the rest has names of its own
    "tools/call": frozenset({"name", "arguments"}),
    "resources/read": frozenset({"uri"}),
    "resources/subscribe": frozenset({"uri"}),
    "prompts/get": frozenset({"name", "arguments"}),
    "completion/complete": frozenset({"ref", "argument", "context"}),
}
_ELSEWHERE: Final = frozenset({"_meta", "inputResponses", "requestState"})
GUARDED: Final = frozenset(_MEMBERS)


@dataclass(frozen=True, slots=True)
class Named:
    """The parts of an action, without an instruction."""

    method: str
    url: str
    params: Message


class NamingError(Exception):
    """A guarded request that names nothing which could be decided; the text says what it lacks."""


def name_request(server: str, method: str, params: Message) -> Named:
    """The action of a guarded request. Raises NamingError."""
    if method == "tools/call":
        named = Named("CALL", f"mcp://{server}/{_segment(_text(params, 'name'))}", _arguments(params))
    elif method in ("resources/read", "resources/subscribe"):
        url = f"mcp://{server}/resource/{_uri(_text(params, 'uri'))}"
        named = Named("READ" if method == "resources/read" else "SUBSCRIBE", url, {})
    elif method == "prompts/get":
        named = Named("GET", f"mcp://{server}/prompt/{_segment(_text(params, 'name'))}", _arguments(params))
    elif method == "completion/complete":
        named = _completion(server, params)
    else:
        url = f"mcp://{server}/method/{'/'.join(_segment(part) for part in method.split('/'))}"
        named = Named("SEND", url, {VENDOR_PARAMS: _without_meta(params)} if params else {})
    return _with_the_rest(named, method, params)


def server_name(name: str) -> str:
    """``name`` as an authority of mcp URLs: lower case, one label, no number."""
    label = _SERVER.sub("-", name.lower()).strip("-_")[:63].strip("-_")
    if not label or label == "localhost" or _DIGITS.fullmatch(label):
        label = f"mcp-{label}" if label else "mcp"
    return label


def _completion(server: str, params: Message) -> Named:
    reference = params.get("ref")
    if type(reference) is not dict:
        raise NamingError("'ref' must be an object")
    if reference.get("type") == "ref/prompt":
        path = f"prompt/{_segment(_text(reference, 'name'))}"
    else:
        path = f"resource/{_uri(_text(reference, 'uri'))}"
    rest: Message = {name: params[name] for name in ("argument", "context") if name in params}
    return Named("COMPLETE", f"mcp://{server}/{path}", rest)


def _with_the_rest(named: Named, method: str, params: Message) -> Named:
    """A call that is made again with answers to the server's questions is another action than the first one:
    a yes to the call alone does not cover what is answered. The same goes for members that MCP does not know.
    """
    answers: Message = {}
    known = _MEMBERS.get(method, params.keys()) | _ELSEWHERE
    if others := {name: value for name, value in params.items() if name not in known}:
        answers[OTHER_PARAMS] = others
    if "inputResponses" in params:
        answers[INPUT_RESPONSES] = params["inputResponses"]
    if "requestState" in params:
        text = json.dumps(params["requestState"], sort_keys=True)
        answers[REQUEST_STATE] = hashlib.sha256(text.encode()).hexdigest()
    taken = sorted(answers.keys() & named.params.keys())
    if taken:
        raise NamingError(f"an argument must not be named {taken[0]!r}")
    return Named(named.method, named.url, {**named.params, **answers}) if answers else named


def _arguments(params: Message) -> Message:
    arguments = params.get("arguments")
    if arguments is None:
        return {}
    if type(arguments) is not dict:
        raise NamingError("'arguments' must be an object")
    return arguments


def _without_meta(params: Message) -> Message:
    return {name: value for name, value in params.items() if name != "_meta"}


def _text(members: Message, name: str) -> str:
    value = members.get(name)
    if type(value) is not str or not value:
        raise NamingError(f"{name!r} must be text that is not empty")
    return value


def _segment(name: str) -> str:
    if _DOTS.fullmatch(name) or not name:
        return "".join(f"~{byte:02X}" for byte in name.encode()) or "~"
    return _ESCAPED.sub(_escape, name)


def _uri(uri: str) -> str:
    return "/".join(map(_uri_segment, uri.split("/")))


def _uri_segment(segment: str) -> str:
    if not segment:
        return "~"
    if _leads_elsewhere(segment):
        return ".."  # a hazard, which denies: what a server makes of it is not what a policy reads
    return _ESCAPED_IN_URI.sub(_escape, segment)


def _leads_elsewhere(segment: str) -> bool:
    """True for dot segments, however often they are escaped, and for dots and slashes in disguise: readers
    of URLs take tabs and line breaks out, cut at ``?`` and ``#``, and some make ASCII of wide characters.
    """
    for _ in range(_ROUNDS):
        plain = _DROPPED.sub("", unicodedata.normalize("NFKC", segment))
        if any(_DOTS.fullmatch(_CUTS.split(part)[0]) for part in re.split(r"[/\\]", plain)):
            return True
        decoded = unquote(segment)
        if decoded == segment:
            return False
        segment = decoded
    return True  # nobody escapes this often in good faith


def _escape(match: re.Match[str]) -> str:
    return "".join(f"~{byte:02X}" for byte in match[0].encode())


def fields_of(value: Any) -> Message:
    """``value`` where it is an object, else an empty one."""
    return value if type(value) is dict else {}
