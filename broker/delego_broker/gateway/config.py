"""``broker.yaml``: read as strictly as a policy, every problem with its line.

The schema says which keys there are; here is what no schema can say: which of them exclude each other, and
which settings would make a gateway that is not safe.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from delego_broker.errors import BrokerConfigError
from delego_broker.gateway.settings import BrokerConfig, Credential, Keys, Listen, Route, Source, Tls
from delego_spec.documents import Document, DocumentSchema, by_place, read_yaml
from delego_spec.documents import Path as Place
from delego_spec.errors import Problem
from delego_spec.globs import Glob
from delego_spec.hosts import is_loopback, web_problems
from delego_spec.types import JSONObject

SOURCES: Final = ("env", "file", "keyring", "command")
_PORTS: Final = {"http": "80", "https": "443"}
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a header's name, RFC 9110
# What the gateway writes itself, what belongs to one hop, and what would make one request two.
_OWN_HEADERS: Final = re.compile(
    "host|content-.*|transfer-encoding|accept|accept-encoding|user-agent|idempotency-key|connection"
    "|keep-alive|te|trailer|upgrade|expect|cookie|via|forwarded|proxy-.*"
)
_NEVER_METHODS: Final = frozenset({"CONNECT", "TRACE"})  # a tunnel; an echo of the credential
_NEVER_PASSED: Final = frozenset({"set-cookie", "set-cookie2"})  # a session's credential


def load_broker_config(text: str, *, source: str = "broker.yaml", folder: Path | None = None) -> BrokerConfig:
    """Read a configuration from YAML or JSON text; file names are relative to ``folder`` (the current one).

    Raises BrokerConfigError with everything that is wrong. Looks at no other file and reads no secret.
    """
    document = read_yaml(text)
    problems = _schema().problems(document)
    if not problems:
        problems = by_place(_contradictions(document))
    if problems:
        raise BrokerConfigError(source, problems)
    return _Reader(folder or Path()).config(document.value)


def broker_config_schema() -> JSONObject:
    """The JSON Schema (draft 2020-12) of the configuration; a fresh copy."""
    text = files("delego_broker").joinpath("schemas", "broker.schema.json").read_text(encoding="utf-8")
    schema: JSONObject = json.loads(text)
    return schema


@cache
def _schema() -> DocumentSchema:
    return DocumentSchema(broker_config_schema())


# From here on the document has passed the schema.


def _contradictions(document: Document) -> Iterator[Problem]:
    top: Any = document.value
    yield from _one_of(document, ("keys",), ("files", "jwks_file", "jwks_url"))
    yield from _one_of(document, ("store",), ("sqlite", "redis"))
    if "redis" in top["store"]:
        yield from _one_of(document, ("store", "redis"), SOURCES)
    yield from _listen_problems(document, top["listen"])
    yield from _route_names(document, top["routes"])
    for number, route in enumerate(top["routes"]):
        yield from _route_problems(document, ("routes", number), route)


def _one_of(document: Document, path: Place, names: tuple[str, ...]) -> Iterator[Problem]:
    members: Any = document.value
    for step in path:
        members = members[step]
    found = [name for name in names if name in members]
    if len(found) != 1:
        text = f"has {' and '.join(found) or 'none of them'}; give exactly one of {', '.join(names)}"
        yield document.problem(path, text)
    for name, wanted in (("timeout_seconds", {"command", "keyring"}), ("environment", {"command"})):
        if name in members and not wanted & members.keys():
            text = f"is for {' and '.join(sorted(wanted))} only; leave it out"
            yield document.problem((*path, name), text, at_key=True)


def _listen_problems(document: Document, listen: Any) -> Iterator[Problem]:
    at: Place = ("listen",)
    yield from _one_of(document, at, ("socket", "address"))
    if "bearer" in listen:
        yield from _one_of(document, (*at, "bearer"), SOURCES)
    if "address" not in listen:
        if "tls" in listen:
            yield document.problem((*at, "tls"), "is for an address; a Unix socket needs none", at_key=True)
        return
    if "socket_mode" in listen:
        yield document.problem((*at, "socket_mode"), "is for a socket; leave it out", at_key=True)
    host, port = _address(listen["address"])
    if host is None or port > 65535:
        yield document.problem((*at, "address"), "is no IP address with a port; write 127.0.0.1:8787")
        return
    if ipaddress.ip_address(host).is_loopback:
        return
    if "tls" not in listen:  # tokens and results would cross the network readable, and changeable
        text = "is not loopback, and there plain HTTP is refused; add tls, or listen on 127.0.0.1"
        yield document.problem((*at, "address"), text)
    if "bearer" not in listen and "client_ca" not in listen.get("tls", {}):
        text = "is not loopback, and anybody could ask; add tls.client_ca or a bearer"
        yield document.problem((*at, "address"), text)


def _route_names(document: Document, routes: Any) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    schemes: dict[str, bool] = {}
    for number, route in enumerate(routes):
        name, host, plain = route["name"], route["host"], route.get("plain_http", False)
        if name in seen:
            text = f"{name!r} names routes[{seen[name]}] already; each has a name of its own"
            yield document.problem(("routes", number, "name"), text)
        seen.setdefault(name, number)
        if schemes.setdefault(host, plain) != plain:  # the fingerprint does not hold the scheme
            text = f"{host!r} is reached by http on one route and by https on another; it has to be one"
            yield document.problem(("routes", number, "host"), text)


def _route_problems(document: Document, path: Place, route: Any) -> Iterator[Problem]:
    plain, host = route.get("plain_http", False), route["host"]
    wrong = list(web_problems(host, _PORTS["http" if plain else "https"]))
    if host != host.lower():
        wrong.append("host has upper case letters; write lower case")
    for text in wrong:
        yield document.problem((*path, "host"), text)
    if plain and not is_loopback(host):
        text = "is for localhost, 127.0.0.1 and [::1] only: the credential would travel readable"
        yield document.problem((*path, "plain_http"), text)
    for number, method in enumerate(route["methods"]):
        if method in _NEVER_METHODS:
            yield document.problem((*path, "methods", number), f"{method} is never sent; leave it out")
    for number, text in enumerate(route.get("allow_networks", ())):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            problem = f"{text!r:.60} is no network; write one such as 127.0.0.0/8, host bits zero"
            yield document.problem((*path, "allow_networks", number), problem)
    for number, name in enumerate(route.get("response_headers", ())):
        if name in _NEVER_PASSED:
            text = f"{name} carries a credential; it is never passed on"
            yield document.problem((*path, "response_headers", number), text)
    taken: set[str] = set()
    for number, secret in enumerate(route.get("secrets", ())):
        yield from _secret_problems(document, (*path, "secrets", number), secret, taken)


def _secret_problems(document: Document, path: Place, secret: Any, taken: set[str]) -> Iterator[Problem]:
    yield from _one_of(document, path, SOURCES)
    place = secret["as"]
    for key, places in (("name", ("header", "query")), ("user", ("basic",)), ("prefix", ("header",))):
        if key in secret and place not in places:
            yield document.problem((*path, key), f"is for {' and '.join(places)} only", at_key=True)
        elif key not in secret and place in places and key != "prefix":
            yield document.problem(path, f"is missing the key {key!r}, which 'as: {place}' needs")
    name = secret.get("name", "")
    if place == "header" and name:
        if _TOKEN.fullmatch(name) is None:
            yield document.problem((*path, "name"), f"{name!r:.60} is no name of a header")
        elif _OWN_HEADERS.fullmatch(name.lower()):
            yield document.problem(
                (*path, "name"), f"{name!r:.60} is written by the gateway itself, or never"
            )
    if place == "query" and not (name.isascii() and name.isprintable()):
        yield document.problem((*path, "name"), "is not printable ASCII")
    goes_to = f"query {name}" if place == "query" else name.lower() if place == "header" else "authorization"
    if goes_to in taken:
        yield document.problem(path, f"goes where another secret of this route goes ({goes_to})")
    taken.add(goes_to)


def _address(text: str) -> tuple[str | None, int]:
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None, 0
    return host, int(port)


class _Reader:
    """Turns a checked document into values."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def config(self, top: Any) -> BrokerConfig:
        store, keys = top["store"], top["keys"]
        return BrokerConfig(
            audience=top["audience"],
            listen=self._listen(top["listen"]),
            keys=Keys(
                files=tuple(self._folder / name for name in keys.get("files", ())),
                jwks_file=self._file(keys.get("jwks_file")),
                jwks_url=keys.get("jwks_url"),
            ),
            routes=tuple(self._route(route) for route in top["routes"]),
            sqlite=self._file(store.get("sqlite")),
            redis=self._source(store["redis"]) if "redis" in store else None,
            issuer=top.get("issuer"),
            leeway=top.get("leeway_seconds", 0),
            revocations=self._file(top.get("revocations")),
        )

    def _listen(self, members: Any) -> Listen:
        host, port = _address(members["address"]) if "address" in members else ("", 0)
        tls = members.get("tls")
        return Listen(
            socket=self._file(members.get("socket")),
            socket_mode=int(members.get("socket_mode", "0600"), 8),
            host=host or "",
            port=port,
            tls=None
            if tls is None
            else Tls(
                self._folder / tls["certificate"],
                self._folder / tls["key"],
                self._file(tls.get("client_ca")),
            ),
            bearer=self._source(members["bearer"]) if "bearer" in members else None,
            publish_keys=members.get("publish_keys", False),
            max_connections=members.get("max_connections", 200),
            receive_timeout=float(members.get("receive_seconds", 10)),
            stop_timeout=members.get("stop_seconds", 30),
        )

    def _route(self, members: Any) -> Route:
        timeouts = members.get("timeouts", {})
        return Route(
            name=members["name"],
            host=members["host"],
            path=Glob(members.get("path", "*")),
            methods=frozenset(members["methods"]),
            params=members.get("params", "json"),
            credentials=tuple(
                Credential(
                    source=self._source(secret),
                    place=secret["as"],
                    name=secret.get("name", ""),
                    user=secret.get("user", ""),
                    prefix=secret.get("prefix", ""),
                )
                for secret in members.get("secrets", ())
            ),
            plain_http=members.get("plain_http", False),
            allow_networks=tuple(map(ipaddress.ip_network, members.get("allow_networks", ()))),
            ca_file=self._file(members.get("ca_file")),
            connect_timeout=float(timeouts.get("connect_seconds", 5)),
            read_timeout=float(timeouts.get("read_seconds", 20)),
            total_timeout=float(timeouts.get("total_seconds", 25)),
            max_response=members.get("max_response_bytes", 128 * 1024),
            response_headers=frozenset(members.get("response_headers", ())),
            idempotency_key=members.get("idempotency_key", False),
        )

    def _source(self, members: Any) -> Source:
        keyring = members.get("keyring")
        return Source(
            env=members.get("env"),
            file=self._file(members.get("file")),
            keyring=None if keyring is None else (keyring["service"], keyring["user"]),
            command=tuple(members["command"]) if "command" in members else None,
            timeout=float(members.get("timeout_seconds", 10)),
            environment=frozenset(members.get("environment", ())),
        )

    def _file(self, name: str | None) -> Path | None:
        return None if name is None else self._folder / name
