"""The headers with which MCP over HTTP repeats parts of a message, written and compared.

A server, or a proxy in front of it, may look at the headers alone, and the policy looks at the message: where
the two disagree, one call would be decided and another one made. So what a client sends has to agree, and
what a server gets is written anew from the message that was decided.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from delego_agent.gateway.naming import fields_of
from delego_agent.gateway.replies import ERA_MEMBER
from delego_agent.gateway.wire import Message

VERSION: Final = "mcp-protocol-version"
SESSION: Final = "mcp-session-id"
METHOD: Final = "mcp-method"
NAME: Final = "mcp-name"
PARAM: Final = "mcp-param-"
LAST_EVENT: Final = "last-event-id"
SINGLE: Final = frozenset(
    {VERSION, SESSION, METHOD, NAME, LAST_EVENT, "host", "origin", "authorization", "content-type"}
)
HANDSHAKE_VERSIONS: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})

_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")
_WRAPPED: Final = re.compile(r"=\?base64\?(.*)\?=")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TYPES: Final = frozenset({"string", "integer", "boolean"})
_DEPTH: Final = 20  # levels of a schema that are looked through


def era_of(message: Message) -> str | None:
    """The version that a request without a handshake names."""
    version = fields_of(fields_of(message.get("params")).get("_meta")).get(ERA_MEMBER)
    return version if type(version) is str else None


def disagreement(message: Message, headers: Mapping[str, str]) -> str | None:
    """What the headers say otherwise than the message, or None. For the era without a handshake they are
    all required; before it they need not be there.
    """
    modern = era_of(message)
    if modern is not None and headers.get(VERSION) != modern:
        return f"{VERSION} does not agree with the message's version"
    if (modern is not None or METHOD in headers) and headers.get(METHOD) != message.get("method"):
        return f"{METHOD} does not agree with the message's method"
    member = _NAMED.get(str(message.get("method")))
    named = fields_of(message.get("params")).get(member) if member is not None else None
    if named is not None and (modern is not None or NAME in headers) and _read(headers.get(NAME)) != named:
        return f"{NAME} does not agree with the message's {member!r}"
    return None


def written(message: Message, declared: Mapping[tuple[str, ...], str] | None) -> dict[str, str]:
    """The headers of a request without a handshake. ``declared``: of the called tool (``declared_in``)."""
    version = era_of(message)
    if version is None:
        return {}
    params = fields_of(message.get("params"))
    found = {VERSION: _write(version), METHOD: _write(message["method"])}
    member = _NAMED.get(message["method"])
    if member is not None and type(params.get(member)) is str:
        found[NAME] = _write(params[member])
    for path, token in (declared or {}).items():
        value: Any = params.get("arguments")
        for step in path:
            value = fields_of(value).get(step)
        if type(value) in (str, int, float, bool):
            text = str(value).lower() if type(value) is bool else str(value)
            found[f"{PARAM}{token}"] = _write(text)
    return found


def declared_in(schema: object) -> dict[tuple[str, ...], str]:
    """The arguments that a tool's schema wants repeated (``x-mcp-header``): path → name after Mcp-Param-."""
    return dict(_declared(schema, ()))


def _declared(schema: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, member in fields_of(fields_of(schema).get("properties")).items():
        token = fields_of(member).get("x-mcp-header")
        if type(token) is str and _TOKEN.fullmatch(token) and fields_of(member).get("type") in _TYPES:
            yield (*path, name), token.lower()
        if len(path) < _DEPTH:
            yield from _declared(member, (*path, name))


def _write(text: str) -> str:
    """As it is where a header can hold it, else in base64."""
    if _PLAIN.fullmatch(text) and text == text.strip() and not _WRAPPED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _read(value: str | None) -> str | None:
    match = None if value is None else _WRAPPED.fullmatch(value)
    if match is None:
        return value
    try:
        text = base64.b64decode(match[1], validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return text if base64.b64encode(text.encode()).decode() == match[1] else None
