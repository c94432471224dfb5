"""``broker.yaml`` is read strictly, and says where each problem is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from delego_broker.errors import BrokerConfigError, DelegoBrokerError
from delego_broker.gateway import BrokerConfig, broker_config_schema, load_broker_config
from delego_spec.errors import DocumentError

GOOD = """\
version: 1
audience: https://broker.example
issuer: delego
leeway_seconds: 5
listen:
  address: 127.0.0.1:8787
  bearer: {env: GATEWAY_BEARER}
keys: {files: [token.pub]}
store: {sqlite: used.db}
revocations: revoked.txt
routes:
  - name: orders
    host: api.example.com
    path: /orders/*
    methods: [GET, POST]
    params: json
    secrets:
      - {file: api.key, as: header, name: X-Api-Key, prefix: "Token "}
      - {command: [pass, show, key], timeout_seconds: 3, environment: [VAULT_ADDR], as: query, name: key}
    timeouts: {connect_seconds: 1, read_seconds: 2, total_seconds: 3}
    max_response_bytes: 1000
    response_headers: [x-request-id]
    idempotency_key: true
  - name: local
    host: localhost:9000
    methods: [GET]
    plain_http: true
    allow_networks: [127.0.0.0/8, "::1/128"]
    secrets: [{keyring: {service: api, user: me}, as: basic, user: me}]
"""


def load(text: str) -> BrokerConfig:
    return load_broker_config(text, folder=Path("conf"))


def problems(text: str) -> list[str]:
    with pytest.raises(BrokerConfigError) as caught:
        load(text)
    assert isinstance(caught.value, DelegoBrokerError)
    assert isinstance(caught.value, DocumentError)
    return str(caught.value).splitlines()


def test_a_configuration_is_read_with_its_defaults() -> None:
    config = load(GOOD)
    orders, local = config.routes
    assert config.keys.files == (Path("conf/token.pub"),)
    assert (config.sqlite, config.redis) == (Path("conf/used.db"), None)
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 8787)
    assert orders.path.pattern == "/orders/*"
    assert orders.credentials[0].source.file == Path("conf/api.key")
    assert orders.credentials[1].source.command == ("pass", "show", "key")
    assert orders.credentials[1].source.environment == {"VAULT_ADDR"}
    assert orders.credentials[1].source.timeout == 3.0
    assert (orders.connect_timeout, orders.read_timeout, orders.total_timeout) == (1.0, 2.0, 3.0)
    assert orders.allow_networks == ()
    assert orders.response_headers == {"x-request-id"}
    assert local.scheme == "http"
    assert local.path.matches("/anything/at/all")
    assert local.response_headers == frozenset()
    assert [str(one.source) for route in config.routes for one in route.credentials] == [
        "the file 'conf/api.key'",
        "the command 'pass'",
        "the keyring entry 'api' of 'me'",
    ]


ROUTE = "  - {name: a, host: api.example.com, methods: [GET]"
FRAME = GOOD[: GOOD.index("  - name: orders")]


def routed(more: str) -> str:
    return f"{FRAME}{ROUTE}, {more}}}\n"


def secret(members: str) -> str:
    return routed(f"secrets: [{{{members}}}]")


def changed(*changes: str) -> str:
    text = GOOD
    for before, after in zip(changes[::2], changes[1::2], strict=True):
        assert before in text
        text = text.replace(before, after)
    return text


ADDRESS = "127.0.0.1:8787"
KEYS = "{files: [token.pub]}"
STORE = "{sqlite: used.db}"
BEARER = "  bearer: {env: GATEWAY_BEARER}\n"
TWO_SCHEMES = """\
  - {name: a, host: localhost, methods: [GET], plain_http: true}
  - {name: b, host: localhost, methods: [GET]}
"""
EVERYWHERE = ".".join("0000")
MODE = "  socket_mode: '0600'\n"
WIDE = "  socket_mode: '0666'"
TLS = "  tls: {certificate: a, key: b}"
REFUSED = [
    ("an unknown key", GOOD + "verify_tls: false\n", "30:1", "unknown key 'verify_tls'"),
    ("a missing audience", GOOD.replace("audience: https://broker.example\n", ""), "1:1", "'audience'"),
    ("a key twice", GOOD + "version: 1\n", "30:1", "version"),
    ("two places of keys", changed(KEYS, "{files: [a], jwks_file: b}"), "8:7", "exactly"),
    ("no place of keys", changed(KEYS, "{}"), "8:7", "is empty"),
    ("two stores", changed(STORE, "{sqlite: a, redis: {env: B}}"), "9:8", "exactly one"),
    ("a store's URL from two places", changed(STORE, "{redis: {env: B, file: c}}"), "9:", "one of"),
    ("a socket and an address", GOOD.replace("  address:", "  socket: a\n  address:"), "6:3", "exactly one"),
    ("TLS on a socket", changed(f"address: {ADDRESS}", f"socket: a\n{TLS}"), "7:3", "needs none"),
    ("a mode for an address", changed(BEARER, MODE), "7:3", "for a socket"),
    ("a world-writable socket", changed(f"address: {ADDRESS}", f"socket: a\n{WIDE}"), "7:16", "0600 or"),
    ("a name to listen on", changed(ADDRESS, "broker.example:80"), "6:12", "form"),
    ("an impossible port", changed(ADDRESS, "127.0.0.1:99999"), "6:12", "no IP address"),
    ("plain HTTP on all interfaces", changed(ADDRESS, f"{EVERYWHERE}:80"), "6:12", "plain HTTP"),
    ("plain HTTP on another address", changed(ADDRESS, "'[2001:db8::1]:80'"), "6:12", "plain HTTP"),
    ("TLS that lets anybody in", changed(ADDRESS, f"10.0.0.1:443\n{TLS}", BEARER, ""), "6:12", "anybody"),
    ("a bearer from two places", changed("env: GATEWAY_BEARER", "env: A, file: b"), "7:11", "exactly"),
    ("no routes", FRAME + "  []\n", "12:3", "empty list"),
    ("a name twice", FRAME + f"{ROUTE}}}\n{ROUTE}}}\n", "13:12", "routes[0] already"),
    ("two schemes of one host", FRAME + TWO_SCHEMES, "13:21", "has to be one"),
    ("a host with a wildcard", FRAME + ROUTE.replace("api.", "x*.") + "}\n", "12:21", "host"),
    ("a host with the default port", FRAME + ROUTE.replace(".com", ".com:443") + "}\n", "12:21", "port 443"),
    ("a host in upper case", FRAME + ROUTE.replace("api", "API") + "}\n", "12:21", "lower case"),
    ("a host with user information", FRAME + ROUTE.replace("api", "me@api") + "}\n", "12:21", "user"),
    ("plain http to the Internet", routed("plain_http: true"), "12:66", "travel readable"),
    ("a path that is a pattern", routed("path: '/[ab]'"), "12:60", "wildcard"),
    ("a tunnel", FRAME + ROUTE.replace("GET", "CONNECT") + "}\n", "12:", "never sent"),
    ("an echo", FRAME + ROUTE.replace("GET", "TRACE") + "}\n", "12:", "never sent"),
    ("a method in lower case", FRAME + ROUTE.replace("GET", "get") + "}\n", "12:", "upper case"),
    ("no methods", FRAME + ROUTE.replace("[GET]", "[]") + "}\n", "12:", "empty list"),
    ("params elsewhere", routed("params: body"), "12:", "json, form or query"),
    ("a network with host bits", routed("allow_networks: [10.0.0.1/8]"), "12:", "no network"),
    ("cookies passed on", routed("response_headers: [set-cookie]"), "12:", "credential"),
    ("an unverified TLS", routed("verify: false"), "12:", "unknown key 'verify'"),
    ("redirects", routed("follow_redirects: true"), "12:", "unknown key"),
    ("a response of any size", routed("max_response_bytes: 1000000"), "12:", "at most"),
    ("a time-out of ever", routed("timeouts: {total_seconds: 100000}"), "12:", "at most"),
    ("a secret in the file", secret("value: sk-12345678, as: bearer"), "12:", "unknown key 'value'"),
    ("a secret from nowhere", secret("as: bearer"), "12:", "none of them"),
    ("a secret from two places", secret("env: A, file: b, as: bearer"), "12:", "exactly one"),
    ("a secret for nowhere", secret("env: A"), "12:", "'as'"),
    ("a secret as cookie", secret("env: A, as: header, name: Cookie"), "12:", "itself"),
    ("a secret as host", secret("env: A, as: header, name: HOST"), "12:", "itself"),
    ("a secret that frames", secret("env: A, as: header, name: Transfer-Encoding"), "12:", "itself"),
    ("a secret for a proxy", secret("env: A, as: header, name: Proxy-Authorization"), "12:", "itself"),
    ("a header with a line break", secret('env: A, as: header, name: "X: y\\nZ"'), "12:", "no name"),
    ("a header without a name", secret("env: A, as: header"), "12:", "'name'"),
    ("a name for a bearer", secret("env: A, as: bearer, name: X"), "12:", "header and query only"),
    ("basic without a user", secret("env: A, as: basic"), "12:", "'user'"),
    ("a user with a colon", secret("env: A, as: basic, user: 'a:b'"), "12:", "':'"),
    ("a query name beyond ASCII", secret("env: A, as: query, name: é"), "12:", "ASCII"),
    ("two secrets in one place", secret("env: A, as: bearer}, {env: B, as: bearer"), "12:", "another"),
    ("a shell line", secret("command: pass show x, as: bearer"), "12:", "list"),
    ("a time-out without a command", secret("env: A, timeout_seconds: 3, as: bearer"), "12:", "and keyring"),
    ("variables without a command", secret("env: A, environment: [B], as: bearer"), "12:", "command only"),
    ("no YAML", "routes: [", "2:1", "not YAML"),
    ("nothing", "", "1:1", "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_wrong_is_refused_with_its_place(text: str, place: str, said: str) -> None:
    found = problems(text)
    assert any(line.startswith(f"broker.yaml:{place}") and said in line for line in found), found


def test_every_problem_is_listed() -> None:
    text = routed("x: 1, y: 2")
    assert len(problems(text)) == 2


def test_across_hosts_tls_with_a_bearer_or_a_client_certificate_is_accepted() -> None:
    tls = changed(ADDRESS, f"{EVERYWHERE}:443\n{TLS}")
    assert load(tls).listen.bearer is not None
    client = tls.replace("key: b", "key: b, client_ca: c").replace("  bearer: {env: GATEWAY_BEARER}\n", "")
    listen = load(client).listen
    assert listen.tls is not None
    assert listen.tls.client_ca == Path("conf/c")


def test_a_socket_is_this_users_alone_unless_it_is_said() -> None:
    socket = GOOD.replace("address: 127.0.0.1:8787", "socket: run/broker.sock")
    assert load(socket).listen.socket_mode == 0o600
    assert load(socket.replace("socket:", "socket_mode: '0660'\n  socket:")).listen.socket_mode == 0o660


def test_localhost_and_ipv6_may_be_listened_on() -> None:
    assert load(changed(ADDRESS, "localhost:0")).listen.host == "127.0.0.1"
    assert load(changed(ADDRESS, "'[::1]:8787'")).listen.host == "::1"


def test_the_schema_is_a_copy() -> None:
    schema: Any = broker_config_schema()
    schema["properties"].clear()
    assert broker_config_schema()["properties"]
