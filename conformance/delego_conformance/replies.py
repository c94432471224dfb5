"""Lines of the wire as values: requests written, replies read. Pure; a reply may hold anything at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, get_args

from delego_conformance.errors import StartError
from delego_conformance.results import Implementation
from delego_conformance.strict_json import strict_json
from delego_conformance.vectors import DEFAULT_CTX, JSONObject, Role

PROTOCOL: Final = 1
ROLES: Final[tuple[Role, ...]] = get_args(Role)
SPEC: Final = DEFAULT_CTX["spec"]  # the wire version that is judged
MAX_TEXT: Final = 200  # characters of what a hello says
MAX_WORDS: Final = 100  # in a list of it
MAX_LINE: Final = 16 * 1024 * 1024  # bytes, without the line feed
_TEXTS: Final = {"refused": ("code", "message"), "unsupported": ("feature",), "error": ("message",)}


def encode_request(request: JSONObject) -> bytes:
    """One line. ASCII, so that lone surrogates travel as escapes."""
    return json.dumps(request, separators=(",", ":")).encode("ascii") + b"\n"


def read_reply(line: bytes, request_id: str) -> tuple[JSONObject | None, str | None]:
    """The reply on a line (without its line feed), or what is wrong with it, in a few words."""
    try:
        reply = strict_json(line)
    except ValueError as error:
        return None, f"the reply {error}: {quoted(line)}"
    problem = _problem(reply, request_id)
    return (reply, None) if problem is None else (None, f"the reply {problem}: {quoted(line)}")


def is_reply_to(line: bytes, request_id: str) -> bool:
    """Whether a line would do as the reply to this request."""
    return read_reply(line, request_id)[1] is None


def read_hello(reply: JSONObject, command: Sequence[str]) -> Implementation:
    """What an implementation says of itself. Raises StartError."""
    name = command[0]
    if "ok" not in reply:
        raise StartError(name, f"answers hello with {json.dumps(reply)[:200]}")
    hello = reply["ok"]
    if type(hello.get("protocol")) is not int or hello["protocol"] != PROTOCOL:
        raise StartError(name, f"speaks protocol {hello.get('protocol')!r:.40}; this kit speaks {PROTOCOL}")
    about = hello.get("implementation")
    if not isinstance(about, dict) or not isinstance(about.get("name"), str) or not about["name"]:
        raise StartError(name, "its hello has no implementation.name")
    texts = {member: about.get(member, "") for member in ("version", "language", "url")}
    for member, text in texts.items():
        if not isinstance(text, str):
            raise StartError(name, f"its hello has an implementation.{member} that is no text")
    for member, text in (("name", about["name"]), *texts.items()):
        if len(text) > MAX_TEXT:  # it stands in every report
            said = f"of {len(text)} characters; {MAX_TEXT} are heard"
            raise StartError(name, f"its hello has an implementation.{member} {said}")
    spec = _words(hello, "spec", name)
    if SPEC not in spec:
        known = ", ".join(spec)
        raise StartError(name, f"its hello knows the wire versions {known!r:.80}; this kit judges {SPEC}")
    roles = _words(hello, "roles", name)
    for role in roles:
        if role not in ROLES:
            raise StartError(name, f"its hello claims the role {role!r:.40}; there are {', '.join(ROLES)}")
    return Implementation(
        name=about["name"],
        **texts,
        spec=spec,
        roles=tuple(role for role in ROLES if role in roles),
        features=_words(hello, "features", name),
        command=tuple(command),
    )


def _words(hello: JSONObject, member: str, name: str) -> tuple[str, ...]:
    words = hello.get(member)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise StartError(name, f"its hello has no {member}, a list of texts")
    if len(words) > MAX_WORDS or any(len(word) > MAX_TEXT for word in words):
        raise StartError(name, f"its hello has {member} beyond {MAX_WORDS} texts of {MAX_TEXT} characters")
    return tuple(words)


def _problem(reply: Any, request_id: str) -> str | None:
    if not isinstance(reply, dict):
        return "is no object"
    if "id" not in reply:
        return "has no id"
    if type(reply["id"]) is not str or reply["id"] != request_id:
        return f"has the id {json.dumps(reply['id'])[:80]}, not {request_id!r}"
    kinds = [name for name in reply if name != "id"]
    if len(kinds) != 1 or kinds[0] not in ("ok", *_TEXTS):
        named = ", ".join(json.dumps(name)[:40] for name in kinds[:6]) or "none"
        return f"has to have one of ok, refused, unsupported and error beside id, and has {named}"
    kind, value = kinds[0], reply[kinds[0]]
    if not isinstance(value, dict):
        return f"has {kind}, which is no object"
    for name in _TEXTS.get(kind, ()):
        if not isinstance(value.get(name), str):
            return f"has {kind} without {name}, a text"
    return None


def quoted(line: bytes) -> str:
    """How a line begins, in printable ASCII."""
    text = line[:81].decode("ascii", "backslashreplace")
    quoted = json.dumps(text[:80])
    return f"{quoted}…" if len(line) > 80 else quoted
