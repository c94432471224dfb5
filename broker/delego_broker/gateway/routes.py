"""From an authorised action to the one request that is sent for it (§2.2).

The request is built from what the fingerprint binds and from the route's settings, and from nothing else, so
that one fingerprint gives one request:

- the URL anew: scheme of the route, host, path, canonical query;
- ``json``: POST, PUT and PATCH have the canonical JSON of ``params`` as their body, ``{}`` too; DELETE has
  one if there are params. ``form``: likewise, as ``name=value`` joined by ``&``, sorted by name. ``query``:
  the same text behind the URL's own query, and no body. Other methods take no params but as ``query``.
- in form and query, names and values are percent-encoded UTF-8 (all but the unreserved characters of
  RFC 3986, in upper case, a space as ``%20``); a value is a text, a number as JSON writes it, ``true`` or
  ``false``; null, lists and objects are refused, and a name that the URL's query has already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from delego_broker.gateway.settings import Route
from delego_broker.verifier import Outgoing
from delego_spec.action import Action
from delego_spec.canonical import canonical
from delego_spec.errors import ActionError
from delego_spec.gateway import GatewayRequest, Refused, rebuild_url
from delego_spec.hazards import MAX_URL, find_hazards
from delego_spec.types import JSON, Digest, JSONObject

_ANY_INSTRUCTION: Final = "-"  # the fingerprint does not hold it
_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_BODY_IF_ANY: Final = frozenset({"DELETE"})
_TOOLS: Final = frozenset({"tool", "mcp"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """All of a request but its credential."""

    route: Route
    method: str
    authority: str
    target: str = field(repr=False)  # path and query as they are sent
    body: bytes | None = field(repr=False)  # None: there is none
    content_type: str | None
    outgoing: Outgoing = field(repr=False)  # what the token has to be for
    fingerprint: Digest


def encode_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """``name=value`` joined by ``&``; all but the unreserved characters of RFC 3986 is escaped (§2.2)."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def prepare(request: GatewayRequest, routes: Sequence[Route]) -> Prepared | Refused:
    """The request that is to be sent for ``request``, or why there is none. Pure; raises nothing."""
    try:
        action = Action(_ANY_INSTRUCTION, request.method, request.url, request.params)
    except ActionError as error:
        return _cannot(str(error))
    if action.scheme in _TOOLS:
        return Refused("unsupported", f"{action.scheme}:// is no HTTP; this gateway does not serve it")
    url = rebuild_url(action)
    if isinstance(url, Refused):
        return url
    if action.fingerprint != request.action_fingerprint:
        return _cannot(f"the action's fingerprint is {action.fingerprint}, not the one it came with")
    # What a decision would have refused: spellings that two HTTP clients, or client and server, read in two
    # ways ("..%2F", "%2e%2e", a host in octal). Not every authorizer looks.
    plain = frozenset(route.host for route in routes if route.plain_http)
    for hazard in find_hazards(action, plain_http_hosts=plain):
        return _cannot(hazard.text)
    route = find_route(action, routes)
    if isinstance(route, Refused):
        return route
    return _build(action, url, route)


def find_route(action: Action, routes: Sequence[Route]) -> Route | Refused:
    """The first route that serves the action."""
    hosts = [route for route in routes if route.host == action.host and route.scheme == action.scheme]
    if not hosts:
        return Refused("unsupported", f"no route serves {action.scheme}://{action.host!s:.200}")
    paths = [route for route in hosts if route.path.matches(action.path)]
    if not paths:
        return Refused("unsupported", f"no route serves this path of {action.host!s:.200}")
    for route in paths:
        if action.method in route.methods:
            return route
    return Refused("unsupported", f"no route serves {action.method!s:.40} there")


def _build(action: Action, url: str, route: Route) -> Prepared | Refused:
    pairs = list(action.query)
    body: bytes | None = None
    content_type: str | None = None
    if route.params == "query" or (action.params and route.params == "form"):
        named = _pairs(action.params)
        if isinstance(named, Refused):
            return named
    else:
        named = []
    if route.params == "query":
        taken = {name.casefold() for name, _ in pairs}
        for name, _ in named:
            if name.casefold() in taken:  # a server takes the first or the last
                return _cannot(f"params and the url's query both have {name!r:.60}")
        pairs += named
    elif action.method in _BODY or (action.method in _BODY_IF_ANY and action.params):
        if route.params == "form":
            body, content_type = encode_pairs(named).encode(), "application/x-www-form-urlencoded"
        else:
            body, content_type = canonical(action.params), "application/json"
    elif action.params:
        return _cannot(f"{action.method} has no body, and route {route.name} does not put params elsewhere")
    names = {name.casefold() for name, _ in pairs}
    for credential in route.credentials:
        if credential.place == "query" and credential.name.casefold() in names:
            return _cannot(f"the request has {credential.name!r:.60} itself, where the credential goes")
    query = encode_pairs(pairs)
    target = f"{action.path}{'?' if query else ''}{query}"
    if len(target) > MAX_URL:
        return _cannot(f"path and query would have {len(target)} characters; at most {MAX_URL} are sent")
    # What the token is checked against is built from what is sent, not copied from what was asked for.
    outgoing = Outgoing(action.method, url, action.params)
    return Prepared(
        route, action.method, action.host, target, body, content_type, outgoing, action.fingerprint
    )


def _pairs(params: JSONObject) -> list[tuple[str, str]] | Refused:
    pairs = []
    for name, value in sorted(params.items()):
        text = _scalar(value)
        if text is None or not name:
            return _cannot("in form and query every param has a name and is a text, a number, true or false")
        pairs.append((name, text))
    return pairs


def _scalar(value: JSON) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return canonical(value).decode()
    return None


def _cannot(message: str) -> Refused:
    return Refused("reconstruction_failed", message)
