"""httpx2 transports: a client-side broker in three lines. The token is verified right before the request
leaves, and only then the credential is added.

    broker = httpx2.Client(transport=TokenTransport(verifier, lambda _: {"Authorization": f"Bearer {key()}"}))
    answer = broker.post(url, json=params, headers={"Authorization": f"Delego {token}"})

What is verified is what is sent: method, URL and body as httpx2 has built them. Of the caller's headers only
``Accept``, ``Accept-Language``, ``Content-Type`` and ``User-Agent`` travel: a ``Host``, a cookie or a
credential of the caller's own would make another request of it. Nothing is sent twice: a redirect that the
client follows comes here as a request without a token, and is refused.

The process that runs this holds the credential. Where the agent runs in it too, use a gateway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from delego_broker.errors import DelegoBrokerError, MissingExtra
from delego_broker.verifier import Outgoing, Refusal, TokenVerifier
from delego_spec.canonical import parse_json
from delego_spec.errors import ActionError, CanonicalError
from delego_spec.hazards import find_hazards
from delego_spec.types import JSONObject

try:
    import httpx2
except ImportError:
    raise MissingExtra("delego_broker.transport", "httpx2", "broker") from None

Credential: TypeAlias = "Callable[[httpx2.Request], Mapping[str, str]]"

_TRAVELS: Final = ("accept", "accept-language", "content-type", "user-agent")
_TOKEN: Final = re.compile(r"delego +([\x21-\x7e]+) *", re.IGNORECASE)
_JSON: Final = re.compile(r'application/json *(?:; *charset="?utf-8"?)? *', re.IGNORECASE)


class TokenRefused(DelegoBrokerError):  # noqa: N818 - reads as what happened
    """The request was not sent. ``code``: as ``Refusal`` has it, or ``missing`` where there is no token."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


class TokenTransport(httpx2.BaseTransport):
    """Sends a request only with a token for exactly this request, and adds the credential then.

    ``credential``: given the verified request, the headers that are added to it; what it raises passes
    through, with nothing sent and the token used up. ``inner``: what sends; by default a plain transport
    that verifies certificates and reads nothing from the environment. Raises TokenRefused.
    """

    def __init__(
        self, verifier: TokenVerifier, credential: Credential, *, inner: httpx2.BaseTransport | None = None
    ) -> None:
        self._verifier = verifier
        self._credential = credential
        self._inner = inner if inner is not None else httpx2.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        token, outgoing = _token(request), _outgoing(request, request.read())
        _permitted(self._verifier, token, outgoing)
        return self._inner.handle_request(_with_credential(request, self._credential))

    def close(self) -> None:
        self._inner.close()


class AsyncTokenTransport(httpx2.AsyncBaseTransport):
    """``TokenTransport`` for ``httpx2.AsyncClient``; the check runs in a thread of its own."""

    def __init__(
        self,
        verifier: TokenVerifier,
        credential: Credential,
        *,
        inner: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._verifier = verifier
        self._credential = credential
        self._inner = inner if inner is not None else httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        from anyio import to_thread  # it comes with httpx2

        token, outgoing = _token(request), _outgoing(request, await request.aread())
        await to_thread.run_sync(_permitted, self._verifier, token, outgoing)
        return await self._inner.handle_async_request(_with_credential(request, self._credential))

    async def aclose(self) -> None:
        await self._inner.aclose()


def _permitted(verifier: TokenVerifier, token: str, outgoing: Outgoing) -> None:
    outcome = verifier.authorize(token, outgoing)
    if isinstance(outcome, Refusal):
        raise TokenRefused(outcome.code, outcome.message)


def _token(request: httpx2.Request) -> str:
    values = request.headers.get_list("authorization")
    match = _TOKEN.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        raise TokenRefused("missing", "there is no single header 'Authorization: Delego <token>'")
    return match[1]


def _outgoing(request: httpx2.Request, body: bytes) -> Outgoing:
    """The request as httpx2 has built it, character for character."""
    url = request.url
    try:
        text = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
        if url.userinfo:  # httpx2 makes a credential of it
            raise TokenRefused("binding", "the url has user information")
        outgoing = Outgoing(request.method, text, _params(request, body))
        # https alone, plain http on loopback; and nothing that the service may read in another way.
        hazards = find_hazards(outgoing.action)
    except (UnicodeDecodeError, ActionError) as error:
        raise TokenRefused("binding", f"the request has no fingerprint: {error!s:.200}") from None
    if hazards:
        raise TokenRefused("binding", hazards[0].text)
    return outgoing


def _params(request: httpx2.Request, body: bytes) -> JSONObject:
    if not body:
        return {}
    types = request.headers.get_list("content-type")
    if len(types) != 1 or _JSON.fullmatch(types[0]) is None:
        raise TokenRefused("binding", "the body is not said to be 'application/json'")
    try:
        params = parse_json(body, name="body")
    except CanonicalError as error:
        raise TokenRefused("binding", f"{error!s:.200}") from None
    if type(params) is not dict:
        raise TokenRefused("binding", "the body is no JSON object")
    return params


def _with_credential(request: httpx2.Request, credential: Credential) -> httpx2.Request:
    headers = {name: request.headers[name] for name in _TRAVELS if name in request.headers}
    # Of the extensions the time-outs alone: "target" replaces what stands in the request line, "sni_hostname"
    # the name that the certificate has to be for.
    extensions = {name: value for name, value in request.extensions.items() if name == "timeout"}
    verified = httpx2.Request(
        request.method, request.url, headers=headers, content=request.content, extensions=extensions
    )
    verified.headers.update(credential(verified))
    return verified
