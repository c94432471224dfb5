"""Messages between an authorizer and a separated broker (§2.2), and what every broker answers.

A broker gets an authorized action, never a ready request: it rebuilds the URL from the parts that the
fingerprint binds and forwards nothing of the text it was given. It answers with one attempt, which was
either refused before anything left the house, or executed.

Not here: whether the fingerprint fits (``action``), whether the token is good (``tokens``), and sending.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args
from urllib.parse import quote

from delego_spec._members import Members
from delego_spec.action import Action
from delego_spec.canonical import canonical, normalise
from delego_spec.errors import CanonicalError, GatewayError
from delego_spec.types import JSON, Digest, JSONObject

RefusalCode = Literal[
    "reconstruction_failed",  # the request cannot be rebuilt, or its fingerprint differs from the bound one
    "fragment_present",  # the URL has a fragment, which the fingerprint does not bind
    "token_invalid",  # the authorization token is missing or does not verify (§9.1)
    "unsupported",  # this broker does not serve such a target, or cannot now; nothing was sent
    "already_consumed",  # jti or cns was used before (§9.1 steps 3 and 4)
]
REFUSAL_CODES: Final[tuple[RefusalCode, ...]] = get_args(RefusalCode)

# RFC 3986. Anything else in a path or authority would be rewritten by the HTTP client, or split the request
# line in two; then the bytes that are sent are not the ones that were approved.
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,31}")  # as in the hazards: with a line feed it would be a header
_HOST: Final = re.compile(r"(?:[a-z0-9._~!$&'()*+,;=-]+|\[[0-9a-f:.]+\])(?::[0-9]*)?")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
_DOT_SEGMENT: Final = re.compile(r"(?:\.|%2[Ee]){1,2}")


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """Authorizer to broker: one authorized action and what it is bound to (§2.2)."""

    method: str
    url: str
    params: JSONObject
    intent_hash: Digest
    action_fingerprint: Digest
    authorization_token: str | None = None  # compact JWS (§9)

    @classmethod
    def of(cls, action: Action, authorization_token: str | None = None) -> GatewayRequest:
        """The request for ``action``, with both its hashes."""
        return cls(
            method=action.method,
            url=action.url,
            params=action.params,
            intent_hash=action.intent_hash,
            action_fingerprint=action.fingerprint,
            authorization_token=authorization_token,
        )

    def to_json(self) -> bytes:
        """The canonical bytes. Raises GatewayError for values that ``from_json`` would refuse."""
        message: JSONObject = {
            "action": {"method": self.method, "url": self.url, "params": self.params},
            "intent_hash": self.intent_hash,
            "action_fingerprint": self.action_fingerprint,
        }
        if self.authorization_token is not None:
            message["authorization_token"] = self.authorization_token
        checked = _normalised(message, "request")
        _read_request(Members(checked, "request", GatewayError))
        return _canonical(checked, "request")

    @classmethod
    def from_json(cls, data: bytes | str) -> GatewayRequest:
        """Read a request strictly; absent ``params`` are ``{}``.

        Raises GatewayError for text outside §3, unknown, missing or mistyped members.
        """
        return _read_request(Members.parse(data, "request", GatewayError))


@dataclass(frozen=True, slots=True)
class Executed:
    """The request was sent, once. With ``error`` set the attempt failed after that point (a time-out, a cut
    connection): whether the service acted is unknown, and it is never sent again by itself.
    """

    status: int | None = None  # HTTP status or what the transport has in its place
    result: JSON = None  # what the service returned, within the values of §3
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker would not or could not enforce; nothing was sent."""

    code: RefusalCode
    message: str


@dataclass(frozen=True, slots=True)
class Released:
    """In one process only: nothing was sent, the caller now executes the action itself."""


BrokerOutcome = Executed | Refused | Released


class NotSent(Exception):  # noqa: N818  # the name says what is certain, and a caller reads it that way
    """Raised by a broker that failed and surely sent nothing. Any other exception means: unknown."""


class Broker(Protocol):
    """The enforcement point: the only holder of credentials (§2)."""

    def execute(self, request: GatewayRequest) -> BrokerOutcome:
        """Make at most one attempt. May raise NotSent."""
        ...


def rebuild_url(action: Action) -> str | Refused:
    """The URL a broker sends: scheme, host, path and canonical query, with the fingerprint of the original.

    The query is form-encoded, space as ``%20``, escapes in upper case. A fragment (an empty one too) is
    refused as ``fragment_present``: no fingerprint binds it. Parts that an HTTP client would rewrite are
    refused as ``reconstruction_failed``. Pure; raises nothing.
    """
    if action.fragment is not None:
        return Refused(
            "fragment_present", f"the url has the fragment {action.fragment!r:.60}; send it without"
        )
    if _SCHEME.fullmatch(action.scheme) is None:
        return _cannot("scheme", action.scheme, "of the form 'https'")
    if _METHOD.fullmatch(action.method) is None:
        return _cannot("method", action.method, "1 to 32 letters and hyphens")
    if _HOST.fullmatch(action.host) is None:  # user information is no host: it would be sent as a credential
        return _cannot("host", action.host, "a lower-case ASCII name without user information")
    if _PATH.fullmatch(action.path) is None:
        return _cannot("path", action.path, "percent-encoded as in RFC 3986")
    if any(_DOT_SEGMENT.fullmatch(segment) for segment in action.path.split("/")):
        return _cannot("path", action.path, "without dot segments")
    if not action.url.partition("?")[
        0
    ].isascii():  # a Kelvin sign in lower case is a k, and passed as the host
        return _cannot("host", action.url, "written in ASCII")
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in action.query)
    return f"{action.scheme}://{action.host}{action.path}{'?' if query else ''}{query}"


def check_outcome(outcome: object) -> BrokerOutcome:
    """``outcome`` itself, when it is one of the three values a broker may return, with sound fields.

    For the caller of a broker it did not write: rubbish raises GatewayError instead of travelling on. It
    does not say that nothing was sent.
    """
    if type(outcome) is Executed:
        return _read_executed(Members(_normalised(_upstream(outcome), "upstream"), "upstream", GatewayError))
    if type(outcome) is Refused:
        return _read_refused(Members(_normalised(_refusal(outcome), "refused"), "refused", GatewayError))
    if type(outcome) is Released:
        return outcome
    raise GatewayError(
        f"a broker returns Executed, Refused or Released, not {type(outcome).__name__} {outcome!r:.60}"
    )


def response_to_json(outcome: Executed | Refused) -> bytes:
    """The canonical bytes of a broker's answer. Raises GatewayError for anything that has no such form."""
    checked = check_outcome(outcome)
    if isinstance(checked, Released):
        raise GatewayError(
            "'released' is an answer within one process; a separated broker executes or refuses"
        )
    message: JSONObject
    if isinstance(checked, Refused):
        message = {"executed": False, "refused": _refusal(checked)}
    else:
        message = {"executed": True, "upstream": _upstream(checked)}
    return _canonical(message, "response")


def response_from_json(data: bytes | str) -> Executed | Refused:
    """Read a broker's answer strictly: ``refused`` iff not executed, ``upstream`` iff executed.

    Raises GatewayError. A caller that sent the request then knows nothing about its outcome.
    """
    members = Members.parse(data, "response", GatewayError)
    executed = members.boolean("executed")
    if members.has("refused") and members.has("upstream"):
        members.refuse("", "has both 'refused' and 'upstream'; an attempt is one or the other")
    outcome: Executed | Refused
    if executed:
        outcome = _read_executed(members.object("upstream"))
    else:
        outcome = _read_refused(members.object("refused"))
    members.close()
    return outcome


def _read_request(members: Members) -> GatewayRequest:
    action = members.object("action")
    request = GatewayRequest(
        method=action.text("method"),
        url=action.text("url"),
        params=action.mapping("params") if action.has("params") else {},
        intent_hash=members.digest("intent_hash"),
        action_fingerprint=members.digest("action_fingerprint"),
        authorization_token=members.optional_text("authorization_token"),
    )
    action.close()
    members.close()
    return request


def _read_executed(members: Members) -> Executed:
    executed = Executed(
        status=members.integer("status") if members.has("status") else None,
        result=members.any("result") if members.has("result") else None,
        error=members.optional_text("error"),
    )
    members.close()
    return executed


def _read_refused(members: Members) -> Refused:
    code = members.text("code")
    for known in REFUSAL_CODES:
        if code == known:
            break
    else:
        members.refuse("code", f"is {code!r:.60}; known are {', '.join(REFUSAL_CODES)}")
    refused = Refused(code=known, message=members.text("message", empty=True))
    members.close()
    return refused


def _upstream(executed: Executed) -> JSONObject:
    members: JSONObject = {"result": executed.result}
    if executed.status is not None:
        members["status"] = executed.status
    if executed.error is not None:
        members["error"] = executed.error
    return members


def _refusal(refused: Refused) -> JSONObject:
    return {"code": refused.code, "message": refused.message}


def _cannot(part: str, found: str, wanted: str) -> Refused:
    return Refused(
        "reconstruction_failed", f"the {part} {found!r:.60} cannot be sent as it is; it must be {wanted}"
    )


def _normalised(value: object, name: str) -> JSON:
    try:
        return normalise(value, name=name)
    except CanonicalError as error:
        raise GatewayError(str(error)) from None


def _canonical(value: JSON, name: str) -> bytes:
    try:
        return canonical(value, name=name)
    except CanonicalError as error:
        raise GatewayError(str(error)) from None
