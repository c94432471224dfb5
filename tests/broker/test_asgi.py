"""The middleware in front of a real server: only the authorised request comes through, once."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from delego_broker import asgi
from delego_broker.asgi import TokenMiddleware
from delego_broker.errors import ReplayStoreError
from delego_broker.replay import MemoryReplayStore
from delego_broker.revocation import RevocationList
from delego_broker.verifier import TokenVerifier
from delego_spec.action import Action
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds, JSONObject
from far_ends import AUDIENCE, NOW, PATIENCE
from houses import LEDGER_KEY, TOKEN_KEY

BASE = "https://api.example.com"
PARAMS: JSONObject = {"amount": 2400, "currency": "USD"}
BODY = b'{"amount": 2400, "currency": "USD"}'


class App:
    """Remembers what reached it."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        message = await receive()
        assert message["more_body"] is False
        self.scopes.append(scope)
        self.bodies.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})


def token(method: str = "POST", target: str = "/orders", params: JSONObject = PARAMS, **changed: Any) -> str:
    action = Action("do it", method, f"{BASE}{target}", params)
    claims: dict[str, Any] = {
        "iss": "delego",
        "aud": AUDIENCE,
        "iat": EpochSeconds(NOW),
        "exp": EpochSeconds(NOW + 45),
        "jti": "j-1",
        "cns": "c-1",
        "fpr": action.fingerprint,
        "iht": action.intent_hash,
        **changed,
    }
    return mint(Claims(**claims), TOKEN_KEY)


def verifier(store: Any = None, **more: Any) -> TokenVerifier:
    keys = {TOKEN_KEY.public_key.key_id: TOKEN_KEY.public_key}
    store = store if store is not None else MemoryReplayStore()
    return TokenVerifier(keys, AUDIENCE, store, **{"clock": lambda: NOW + 1, **more})


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[tuple[str, int]]:
    """A real uvicorn in a thread; its socket listens before it starts, so that nobody has to wait."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, **{"log_config": None, "lifespan": "off", "ws": "none", **options})
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()


class Server:
    """The middleware around ``app``, and what asks it."""

    def __init__(self, address: tuple[str, int], app: App) -> None:
        self.address = address
        self.app = app

    def raw(self, request: bytes, *, then_close: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Send these very bytes; status, headers and body of the answer."""
        with socket.create_connection(self.address, timeout=PATIENCE) as connection:
            connection.sendall(request)
            if then_close:
                connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile("rb")
            status = answer.readline().split(b" ")
            if len(status) < 2:
                return 0, {}, b""
            headers: dict[str, str] = {}
            while (line := answer.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            return int(status[1]), headers, answer.read(int(headers.get("content-length", "0")))

    def ask(
        self,
        used: str | None,
        method: str = "POST",
        target: str = "/orders",
        body: bytes = BODY,
        *headers: str,
        content_type: str | None = "application/json",
    ) -> tuple[int, str]:
        """One ordinary request; the status and the refusal's code ("" where it came through)."""
        lines = [f"{method} {target} HTTP/1.1", "Host: anything.example", *headers]
        if used is not None:
            lines.append(f"Authorization: Delego {used}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
            if content_type is not None:
                lines.append(f"Content-Type: {content_type}")
        status, _, answer = self.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        # Where the server itself refuses, the answer is none of the middleware's.
        return status, "" if status in (0, 200, 400) else json.loads(answer)["error"]["code"]


@pytest.fixture(scope="module")
def live() -> Iterator[tuple[tuple[str, int], list[Any]]]:
    """One server for all tests of this module; the app behind it is exchanged for each."""
    current: list[Any] = []

    async def front(scope: Any, receive: Any, send: Any) -> None:
        await current[-1](scope, receive, send)

    with serving(front) as address:
        yield address, current


@pytest.fixture
def server(live: tuple[tuple[str, int], list[Any]]) -> Server:
    address, current = live
    app = App()
    current.append(TokenMiddleware(app, verifier(), base_url=BASE))
    return Server(address, app)


# --- what comes through ---------------------------------------------------------------------------------


def test_the_authorised_request_comes_through_byte_for_byte_with_its_claims(server: Server) -> None:
    body = b' {"currency":\t"USD",  "amount": 2400.0 }\n'
    assert server.ask(token(), "POST", "/orders", body, "X-Trace: 7") == (200, "")
    (scope,) = server.app.scopes
    assert server.app.bodies == [body]
    assert scope["state"][asgi.STATE].jti == "j-1"
    assert (b"x-trace", b"7") in scope["headers"]
    assert b"authorization" not in [name for name, _ in scope["headers"]]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/accounts/me"),
        ("GET", "/"),
        ("DELETE", "/orders/7"),
        ("GET", "/search?q=two+words&q=zwei%20W%C3%B6rter"),
        ("GET", "/search?b=2&a=1"),
        ("GET", "/a%20b/c"),
    ],
)
def test_a_request_without_a_body_has_no_params(server: Server, method: str, target: str) -> None:
    assert server.ask(token(method, target, {}), method, target, b"") == (200, "")
    assert server.app.bodies == [b""]


def test_a_chunked_body_comes_through_whole(server: Server) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    head = (
        f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Delego {token()}\r\n"
        "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert server.raw(head.encode() + chunks)[0] == 200
    assert server.app.bodies == [BODY]


def test_starlette_finds_the_claims_in_its_state(live: tuple[tuple[str, int], list[Any]]) -> None:
    async def order(request: Request) -> JSONResponse:
        return JSONResponse({"by": request.state.delego_claims.jti, "got": await request.json()})

    address, current = live
    app = Starlette(routes=[Route("/orders", order, methods=["POST"])])
    app.add_middleware(TokenMiddleware, verifier=verifier(), base_url=BASE)
    current.append(app)
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Delego {token()}\r\n"
    rest = f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    status, _, answer = Server(address, App()).raw((head + rest).encode() + BODY)
    assert (status, json.loads(answer)) == (200, {"by": "j-1", "got": PARAMS})


# --- what does not --------------------------------------------------------------------------------------


def test_a_token_counts_once(server: Server) -> None:
    used = token()
    assert server.ask(used) == (200, "")
    assert server.ask(used) == (409, "already_consumed")
    assert len(server.app.bodies) == 1


def test_a_token_counts_once_among_many_at_once(server: Server) -> None:
    used, start, statuses = token(), threading.Barrier(16), []

    def run() -> None:
        start.wait(PATIENCE)
        statuses.append(server.ask(used)[0])

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(statuses) == [200, *[409] * 15]
    assert len(server.app.bodies) == 1


@pytest.mark.parametrize(
    ("made", "status", "code"),
    [
        (lambda: None, 401, "missing"),
        (lambda: "", 401, "missing"),
        (lambda: "two words", 401, "missing"),
        (lambda: "a.b.c", 401, "malformed"),
        (lambda: "A" * 9000, 401, "too_large"),
        (lambda: token(exp=EpochSeconds(NOW + 1)), 401, "expired"),
        (lambda: token(iat=EpochSeconds(NOW + 9)), 401, "not_yet_valid"),
        (lambda: token()[:-8] + "AAAAAAAA", 401, "signature"),
        (lambda: token(aud="https://other.example"), 403, "audience"),
        (lambda: token(target="/orders/7"), 403, "binding"),
        (lambda: token(method="PUT"), 403, "binding"),
        (lambda: token(params={"amount": 2401, "currency": "USD"}), 403, "binding"),
        (lambda: token(params={}), 403, "binding"),
    ],
)
def test_a_token_that_does_not_count_is_refused_with_its_code(
    server: Server, made: Callable[[], str | None], status: int, code: str
) -> None:
    assert server.ask(made()) == (status, code)
    assert server.app.scopes == []


def test_a_token_of_another_key_is_refused(server: Server) -> None:
    action = Action("do it", "POST", f"{BASE}/orders", PARAMS)
    claims = Claims(
        "delego", AUDIENCE, EpochSeconds(NOW), EpochSeconds(NOW + 45), "j", "c",
        action.fingerprint, action.intent_hash,
    )  # fmt: skip
    assert server.ask(mint(claims, LEDGER_KEY)) == (401, "kid")


def test_a_refusal_says_how_to_come_in_and_is_not_kept(server: Server) -> None:
    status, headers, _ = server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, headers["www-authenticate"], headers["cache-control"]) == (401, "Delego", "no-store")


def test_what_does_not_fit_leaves_the_token_good(server: Server) -> None:
    used = token()
    assert server.ask(used, "POST", "/orders", b'{"amount": 2401, "currency": "USD"}') == (403, "binding")
    assert server.ask(used) == (200, "")


HOSTILE_BODIES = {
    "a byte more": BODY[:-1] + b', "recipient": "attacker"}',
    "another number": b'{"amount": 24000, "currency": "USD"}',
    "a number as text": b'{"amount": "2400", "currency": "USD"}',
    "a member twice": b'{"amount": 9, "amount": 2400, "currency": "USD"}',
    "a member twice, escaped": b'{"amount": 2400, "\\u0061mount": 9, "currency": "USD"}',
    "an array": b'[{"amount": 2400, "currency": "USD"}]',
    "text": b'"amount"',
    "null": b"null",
    "no JSON": b"amount=2400&currency=USD",
    "two values": BODY + BODY,
    "NaN": b'{"amount": NaN, "currency": "USD"}',
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "UTF-16": BODY.decode().encode("utf-16"),
    "invalid UTF-8": b'{"amount": 2400, "currency": "\xff"}',
    "too deep": b'{"amount":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nothing": b"",
    "an empty object": b"{}",
}


@pytest.mark.parametrize("case", HOSTILE_BODIES)
def test_another_body_is_refused(server: Server, case: str) -> None:
    assert server.ask(token(), "POST", "/orders", HOSTILE_BODIES[case]) == (403, "binding")
    assert server.app.scopes == []


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/jsonp",
        "multipart/form-data; boundary=application/json",
    ],
)
def test_a_body_of_another_kind_is_refused(server: Server, content_type: str | None) -> None:
    asked = server.ask(token(), content_type=content_type)
    assert asked == (403, "binding")


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: application/json",
        "Content-Encoding: gzip",
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
    ],
)
def test_a_header_that_makes_another_request_of_it_is_refused(server: Server, header: str) -> None:
    assert server.ask(token(), "POST", "/orders", BODY, header) == (403, "binding")


def test_two_authorizations_are_none(server: Server) -> None:
    for other in ("Bearer x", f"Delego {token()}"):
        assert server.ask(token(), "POST", "/orders", BODY, f"Authorization: {other}") == (401, "missing")


@pytest.mark.parametrize("scheme", ["Bearer", "Delego-x", "Basic", ""])
def test_another_scheme_is_no_token(server: Server, scheme: str) -> None:
    head = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {scheme} {token('GET', '/', {})}\r\n\r\n"
    assert server.raw(head.encode())[0] == 401


TARGETS = [
    "/orders?admin=1",
    "/orders/",
    "//orders",
    "/./orders",
    "/x/../orders",
    "/%6Frders",
    "/orders%2F",
    "/orders%00",
    "/orders;x=1",
    "/Orders",
    "http://api.example.com/orders",
    "https://api.example.com/orders",
    "http://other.example/orders",
]


@pytest.mark.parametrize("target", TARGETS)
def test_another_spelling_of_the_target_is_refused(server: Server, target: str) -> None:
    status, code = server.ask(token(), "POST", target)
    assert (status, code) == (403, "binding")
    assert server.app.scopes == []


def test_the_host_header_decides_nothing(server: Server) -> None:
    used = token()
    head = (
        f"POST /orders HTTP/1.1\r\nHost: other.example\r\nX-Forwarded-Host: evil.example\r\n"
        f"Authorization: Delego {used}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    assert server.raw(head.encode() + BODY)[0] == 200


def test_a_token_for_another_host_is_refused_whatever_the_host_header_says(server: Server) -> None:
    action = Action("do it", "GET", "https://other.example/x", {})
    stolen = token("GET", "/x", {}, fpr=action.fingerprint)
    head = f"GET /x HTTP/1.1\r\nHost: other.example\r\nAuthorization: Delego {stolen}\r\n\r\n"
    status, _, body = server.raw(head.encode())
    assert (status, json.loads(body)["error"]["code"]) == (403, "binding")


def test_repeated_names_whose_order_was_turned_round_are_refused(server: Server) -> None:
    used = token("GET", "/s?id=1&id=2", {})
    assert server.ask(used, "GET", "/s?id=2&id=1", b"") == (403, "binding")
    assert server.ask(used, "GET", "/s?id=1&id=2", b"") == (200, "")


@pytest.mark.parametrize("query", ["?a=%ff", "?a=%zz", "?a=\xe4", "?a=b#c"])
def test_a_query_that_is_read_in_two_ways_is_refused(server: Server, query: str) -> None:
    status, _ = server.ask(token("GET", "/s", {}), "GET", f"/s{query}", b"")
    assert status in (400, 403)
    assert server.app.scopes == []


@pytest.mark.parametrize("method", ["post", "Post", "P\xd6ST"])
def test_a_method_in_another_spelling_is_refused(server: Server, method: str) -> None:
    status, _, _ = server.raw(
        f"{method} /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Delego {token()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode("latin-1")
        + BODY
    )
    assert status in (200, 400, 403)  # some servers write it in upper case, as RFC 9110 does not ask
    assert [scope["method"] for scope in server.app.scopes] == (["POST"] if status == 200 else [])


# --- bodies that lie ------------------------------------------------------------------------------------


def head(length: str, *more: str) -> bytes:
    lines = [
        "POST /orders HTTP/1.1",
        "Host: x",
        f"Authorization: Delego {token()}",
        "Content-Type: application/json",
        *([f"Content-Length: {length}"] if length else []),
        *more,
    ]
    return ("\r\n".join([*lines, "", ""])).encode()


def test_a_body_that_says_it_is_too_large_is_not_read_to_its_end(server: Server) -> None:
    status, headers, answer = server.raw(head("50000000") + b" " * 300_000)
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(answer)["error"]["code"] == "too_large"


def test_chunks_without_end_are_cut_off(server: Server) -> None:
    with socket.create_connection(server.address, timeout=PATIENCE) as connection:
        connection.sendall(head("", "Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
    assert sent < 50_000_000
    assert server.app.scopes == []


def test_a_body_that_is_shorter_than_it_says_never_arrives(server: Server) -> None:
    assert server.raw(head("500") + BODY, then_close=True)[0] in (0, 400)
    assert server.app.scopes == []


def test_a_body_that_is_longer_than_it_says_is_cut_and_does_not_fit(server: Server) -> None:
    status, _, _ = server.raw(head(str(len(BODY) - 1)) + BODY)
    assert status == 403
    assert server.app.scopes == []


@pytest.mark.parametrize(
    "more",
    [("Content-Length: 3",), ("Transfer-Encoding: chunked",)],
    ids=["two lengths", "length and chunks"],
)
def test_a_body_with_two_lengths_is_refused_or_closes_the_connection(
    server: Server, more: tuple[str, ...]
) -> None:
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
    status, _, _ = server.raw(head(str(len(smuggled)), *more) + smuggled)
    assert status in (400, 403)
    assert server.app.scopes == []


@pytest.mark.parametrize(
    "line", ["X: a\r\n b", "X: a\rInjected: b", "X: a\nInjected: b", "X\0: a", "Content-Length: +35"]
)
def test_a_head_with_broken_lines_never_makes_another_request(server: Server, line: str) -> None:
    request = head(str(len(BODY)), line) + BODY
    status, _, _ = server.raw(request)
    assert status in (200, 400, 403)
    assert server.app.bodies == ([BODY] if status == 200 else [])


def test_a_body_that_comes_too_slowly_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.2)
    status, _, answer = server.raw(head("500") + BODY)
    assert (status, json.loads(answer)["error"]["code"]) == (408, "too_slow")


# --- what cannot be known -------------------------------------------------------------------------------


class Broken:
    def consume(self, *_: object, **__: object) -> Any:
        raise ReplayStoreError("the disk is full")

    def purge(self, _: object) -> int:
        return 0


def test_a_store_that_fails_permits_nothing(live: tuple[tuple[str, int], list[Any]]) -> None:
    address, current = live
    app = App()
    current.append(TokenMiddleware(app, verifier(Broken()), base_url=BASE))
    assert Server(address, app).ask(token()) == (503, "unavailable")
    assert app.scopes == []


def test_a_revoked_token_is_refused(live: tuple[tuple[str, int], list[Any]], tmp_path: Path) -> None:
    address, current = live
    app, revocations = App(), RevocationList(tmp_path / "revoked")
    revocations.revoke("j-1", EpochSeconds(NOW + 100))
    current.append(TokenMiddleware(app, verifier(revocations=revocations), base_url=BASE))
    assert Server(address, app).ask(token()) == (403, "revoked")


# --- other scopes ---------------------------------------------------------------------------------------


def drive(middleware: TokenMiddleware, scope: dict[str, Any], *messages: Any) -> list[Any]:
    """Run the middleware without a server; what it sent."""
    incoming, sent = list(messages), []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(middleware(scope, receive, send))  # type: ignore[arg-type]  # a dict is one
    return sent


def test_a_websocket_is_refused() -> None:
    app = App()
    middleware = TokenMiddleware(app, verifier(), base_url=BASE)
    sent = drive(middleware, {"type": "websocket"}, {"type": "websocket.connect"})
    assert [(one["type"], one["code"]) for one in sent] == [("websocket.close", 1008)]
    assert app.scopes == []


def test_lifespan_passes_and_what_nobody_knows_does_not() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    middleware = TokenMiddleware(app, verifier(), base_url=BASE)
    drive(middleware, {"type": "lifespan"})
    with pytest.raises(ValueError, match="'webtransport'"):
        drive(middleware, {"type": "webtransport"})
    assert seen == ["lifespan"]


def test_a_server_that_does_not_say_what_arrived_is_refused() -> None:
    app = App()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"Authorization", f"Delego {token('GET', '/', {})}".encode())],
    }
    sent = drive(
        TokenMiddleware(app, verifier(), base_url=BASE), scope, {"type": "http.request", "body": b""}
    )
    assert sent[0]["status"] == 403
    assert app.scopes == []


def test_a_caller_that_goes_away_gets_no_answer_and_keeps_its_token() -> None:
    app, store = App(), MemoryReplayStore()
    middleware = TokenMiddleware(app, verifier(store), base_url=BASE)
    headers = [(b"authorization", f"Delego {token()}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/orders",
        "raw_path": b"/orders",
        "query_string": b"",
        "headers": headers,
    }
    part = {"type": "http.request", "body": BODY[:5], "more_body": True}
    assert drive(middleware, scope, part, {"type": "http.disconnect"}) == []
    sent = drive(middleware, scope, {"type": "http.request", "body": BODY, "more_body": False})
    assert sent[0]["status"] == 200


def test_the_app_gets_the_body_once_and_then_what_the_server_says() -> None:
    got: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend([(await receive())["type"], (await receive())["type"]])

    headers = [(b"authorization", f"Delego {token('GET', '/', {})}".encode())]
    scope = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": headers}
    body = {"type": "http.request", "body": b""}
    drive(TokenMiddleware(app, verifier(), base_url=BASE), scope, body, {"type": "http.disconnect"})
    assert got == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.example.com",
        "https://api.example.com/",
        "https://api.example.com/v1",
        "https://API.example.com",
        "https://user@api.example.com",
        "https://api.example.com:443",
        "ftp://api.example.com",
        "https://",
    ],
)
def test_a_base_url_that_is_no_scheme_and_host_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        TokenMiddleware(App(), verifier(), base_url=base_url)


def test_other_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="params"):
        TokenMiddleware(App(), verifier(), base_url=BASE, params="form")  # type: ignore[arg-type]  # meant
    with pytest.raises(ValueError, match="max_body"):
        TokenMiddleware(App(), verifier(), base_url=BASE, max_body=10**9)


def test_a_service_on_plain_http_may_be_meant() -> None:
    TokenMiddleware(App(), verifier(), base_url="http://intranet.example:8080")
