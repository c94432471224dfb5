"""ASGI middleware: a service that answers only what an authorizer has released, each time once.

    app = TokenMiddleware(app, verifier, base_url="https://api.example.com")

It stands in front of Starlette, FastAPI or any other ASGI app, takes the token from the header
``Authorization: Delego <token>``, rebuilds the request from what really arrived and has it verified (§9.1).
The header ``Host`` is what a caller chooses, so the host that was authorised is compared with ``base_url``.

It needs the base installation only. Not here: TLS, and whatever a proxy in front changes (paths that it
rewrites do not fit any more).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from delego_broker.verifier import Outgoing, Refusal, TokenVerifier
from delego_spec.action import Action
from delego_spec.canonical import MAX_BYTES, parse_json
from delego_spec.errors import ActionError, CanonicalError
from delego_spec.hazards import find_hazards
from delego_spec.types import JSONObject

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

SCHEME: Final = "Delego"
STATE: Final = "delego_claims"  # where the app finds the claims: scope["state"], request.state
BODY_SECONDS: Final = 30.0

_TOKEN: Final = re.compile(rb"[Dd][Ee][Ll][Ee][Gg][Oo] +([\x21-\x7e]+) *")
_JSON: Final = re.compile(r'application/json *(?:; *charset="?utf-8"?)? *', re.IGNORECASE)
# Some frameworks serve another method or path than the one that was asked for when they see these.
_OTHERWISE: Final = frozenset(
    {b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url"}
)
_STATUS: Final[dict[str, int]] = {
    "binding": 403,
    "audience": 403,
    "issuer": 403,
    "revoked": 403,
    "already_consumed": 409,
    "unavailable": 503,
}
_UNAUTHENTICATED: Final = 401  # every other code: the token is missing or does not count


@dataclass(frozen=True, slots=True)
class _Answer:
    """A refusal as it is answered."""

    status: int
    code: str
    message: str


class TokenMiddleware:
    """Lets a request through to ``app`` only with a token for exactly this request, and uses the token up.

    ``base_url``: scheme and authority under which the service is known to authorizers, without a path.
    ``params``: how an action's params travel: ``"json"``, as a JSON object in the body; no body is ``{}``.
    ``max_body``: bytes. The app gets the body byte for byte, no ``Authorization`` header, and the claims in
    ``scope["state"]["delego_claims"]``. A refusal is answered with JSON,
    ``{"error": {"code": …, "message": …}}``: 401 (no token that counts), 403 (not for this request, or not
    here), 408, 409 (used before), 413, 503 (it cannot be known). WebSockets are refused.

    Repeated names in a query must come in the order in which they were authorised; the app has to read a
    query as a form (``+`` is a blank), and JSON as RFC 8259 says. Raises ValueError.
    """

    def __init__(
        self,
        app: App,
        verifier: TokenVerifier,
        *,
        base_url: str,
        params: Literal["json"] = "json",
        max_body: int = MAX_BYTES,
    ) -> None:
        parts = urlsplit(base_url)
        probe = Action("-", "GET", f"{base_url}/", {})
        plain_http = frozenset({parts.netloc}) if parts.scheme == "http" else frozenset[str]()
        problems = find_hazards(probe, plain_http_hosts=plain_http)
        if problems or f"{parts.scheme}://{parts.netloc.lower()}" != base_url:
            raise ValueError(
                f"base_url is {base_url!r:.200}; write scheme and host: 'https://api.example.com'"
            )
        if params != "json":
            raise ValueError(f"params is {params!r:.60}; only 'json' can be read back as it was authorised")
        if type(max_body) is not int or not 0 <= max_body <= MAX_BYTES:
            raise ValueError(f"max_body is {max_body!r:.60}; 0 to {MAX_BYTES} bytes are allowed")
        self._app = app
        self._verifier = verifier
        self._base_url = base_url
        self._plain_http = plain_http
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":  # what travels on it later is bound by no fingerprint
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "no token fits a websocket"})
        else:
            raise ValueError(f"a scope of type {scope['type']!r:.60} cannot be verified")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _token(scope)
        if isinstance(token, _Answer):
            await _refuse(send, token)
            return
        body = await _body(receive, self._max_body)
        if body is None:
            return  # the caller has gone
        if isinstance(body, _Answer):
            await _refuse(send, body)
            return
        try:
            request = self._arrived(scope, body)
        except _NoRequest as error:
            await _refuse(send, _Answer(403, "binding", str(error)))
            return
        # It waits for a disk or a network, and must not hold up every other request.
        outcome = await asyncio.to_thread(self._verifier.authorize, token, request)
        if isinstance(outcome, Refusal):
            status = _STATUS.get(outcome.code, _UNAUTHENTICATED)
            await _refuse(send, _Answer(status, outcome.code, outcome.message))
            return
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"authorization"]
        state = {**scope.get("state", {}), STATE: outcome}
        await self._app({**scope, "headers": headers, "state": state}, _replay(body, receive), send)

    def _arrived(self, scope: Scope, body: bytes) -> Outgoing:
        """The request as it came in over the wire; raises _NoRequest for what nobody can have authorised."""
        raw_path, query = scope.get("raw_path"), scope.get("query_string", b"")
        if not isinstance(raw_path, bytes) or not raw_path.startswith(b"/"):  # "GET http://other/…" too
            raise _NoRequest("the target is no path as it was sent")
        # The app goes by "path". Something between server and app may have taken the prefix of a mount away
        # from it, but not put another path in its place, which nobody has authorised.
        if not unquote(raw_path.decode("latin-1")).endswith(scope.get("path", "")):
            raise _NoRequest("the path is not the one that was sent")
        names = [name.lower() for name, _ in scope["headers"]]
        if _OTHERWISE.intersection(names):
            raise _NoRequest("a header asks for another method or path")
        try:
            target = raw_path.decode("ascii") + (f"?{query.decode('ascii')}" if query else "")
            request = Outgoing(str(scope["method"]), self._base_url + target, _params(scope, body))
            # What was authorised had none of these. A query whose repeated names have changed places has the
            # same fingerprint, and may have another meaning.
            found = find_hazards(request.action, plain_http_hosts=self._plain_http)
        except (UnicodeDecodeError, ActionError) as error:
            raise _NoRequest(f"the request has no fingerprint: {error!s:.200}") from None
        if found or request.method != request.action.method:
            raise _NoRequest(found[0].text if found else "a method is written in upper case")
        return request


class _NoRequest(Exception):  # noqa: N818 - reads as what happened
    """What arrived cannot be the request of any token."""


def _token(scope: Scope) -> str | _Answer:
    values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if len(values) != 1:
        found = "no" if not values else "more than one"
        return _Answer(401, "missing", f"there is {found} header 'Authorization: {SCHEME} <token>'")
    match = _TOKEN.fullmatch(values[0])
    if match is None:
        return _Answer(401, "missing", f"the header is of the form 'Authorization: {SCHEME} <token>'")
    return match[1].decode("ascii")


def _params(scope: Scope, body: bytes) -> JSONObject:
    """The params that the body holds."""
    if not body:
        return {}
    headers: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
    types = headers.get(b"content-type", [])
    if len(types) != 1 or _JSON.fullmatch(types[0]) is None:
        raise _NoRequest("the body is not said to be 'application/json'")
    if headers.get(b"content-encoding", ["identity"]) != ["identity"]:
        raise _NoRequest("the body is compressed; send it as it is")
    try:
        params = parse_json(body, name="body")
    except CanonicalError as error:
        raise _NoRequest(f"{error!s:.200}") from None
    if type(params) is not dict:
        raise _NoRequest("the body is no JSON object")
    return params


async def _body(receive: Receive, limit: int) -> bytes | _Answer | None:
    """All of the body; None where the caller went away before its end."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    return _Answer(413, "too_large", f"the body has more than {limit} bytes")
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        return _Answer(408, "too_slow", f"the body took longer than {BODY_SECONDS:g} s")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the app the body that was verified, then whatever else the server has to say."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _refuse(send: Send, answer: _Answer) -> None:
    body = json.dumps({"error": {"code": answer.code, "message": answer.message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if answer.status == _UNAUTHENTICATED:
        headers.append((b"www-authenticate", SCHEME.encode()))
    if answer.status in (408, 413):  # there may be more of the body than anybody wants to read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
