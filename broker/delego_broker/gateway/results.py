"""What a service answered, in the form in which it may go back (§2.2): values of §3, redacted, bounded.

``result`` is the JSON value of a JSON body; null for an empty one; for text ``{"note", "text"}``; for bytes
``{"base64", "note"}``; for what is not passed on ``{"note"}``. Where a route passes headers on, that is the
member ``body`` beside ``headers``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from delego_broker.gateway.redaction import Redactor
from delego_broker.gateway.settings import Route
from delego_spec.canonical import parse_json
from delego_spec.errors import CanonicalError, GatewayError
from delego_spec.gateway import Executed, response_to_json
from delego_spec.types import JSON, JSONObject

_TEXTS: Final = frozenset(
    {
        "application/x-www-form-urlencoded",
        "application/xml",
        "application/yaml",
        "application/javascript",
        "application/problem+xml",
        "",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of a service. ``body`` is None where it was longer than allowed."""

    status: int
    headers: tuple[tuple[str, str], ...]  # names in lower case
    body: bytes | None

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)


def executed(answer: Answer, route: Route, redactor: Redactor) -> Executed:
    """The outcome for a whole answer. Raises nothing."""
    result = _result(answer, route, redactor)
    if route.response_headers:
        passed = _passed(answer.headers, route.response_headers, redactor)
        result = {"headers": passed, "body": result}
    outcome = Executed(status=answer.status, result=result)
    try:
        response_to_json(outcome)
    except GatewayError:  # too long or too deep once it stands inside a message
        return Executed(status=answer.status, result={"note": "the answer does not fit into a message"})
    return outcome


def _result(answer: Answer, route: Route, redactor: Redactor) -> JSON:
    body = answer.body
    if body is None:
        return {"note": f"the body has more than {route.max_response} bytes and was not read to its end"}
    if not body:
        return None
    if answer.header("content-encoding").strip().lower() not in ("", "identity"):
        # Nobody asked for it, and a credential inside could not be seen.
        return {"note": "the body is compressed, which was not asked for; it is withheld"}
    kind = answer.header("content-type").partition(";")[0].strip().lower()
    note = f"the body is {redactor.text(kind)!r:.80}" if kind else "the body has no type"
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return redactor.value(parse_json(body, name="body"))
        except CanonicalError:  # its words may quote the beginning of a credential, which is not found there
            note = "the body is no JSON value that travels"
    elif not (kind.startswith("text/") or kind.endswith("+xml") or kind in _TEXTS):
        return _bytes(body, note, redactor)
    if b"\0" in body:  # UTF-16 is good UTF-8 as well, with a zero between the letters of a credential
        return _bytes(body, note, redactor)
    try:
        return {"note": note, "text": redactor.text(body.decode())}
    except UnicodeDecodeError:
        return _bytes(body, note, redactor)


def _bytes(body: bytes, note: str, redactor: Redactor) -> JSONObject:
    if redactor.has(body):
        return {"note": f"{note}, and holds a credential; it is withheld"}
    return {"note": note, "base64": base64.b64encode(body).decode()}


def _passed(headers: Iterable[tuple[str, str]], wanted: frozenset[str], redactor: Redactor) -> JSONObject:
    found: JSONObject = {}
    for name, value in headers:
        if name in wanted:
            before = found.get(name)
            text = redactor.text(value)
            found[name] = text if before is None else f"{before}, {text}"
    return found
