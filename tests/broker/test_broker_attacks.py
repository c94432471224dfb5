"""Attacks on the brokers that once worked, each with the fault's name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import certificates
from delego_broker.asgi import TokenMiddleware
from delego_broker.client import GatewayBroker
from delego_broker.errors import ListenError, ReplayStoreError, RevocationError, SecretUnavailable
from delego_broker.gateway.config import load_broker_config
from delego_broker.gateway.redaction import Redactor
from delego_broker.gateway.results import Answer, executed
from delego_broker.gateway.secrets import read_secret
from delego_broker.gateway.sending import Sender
from delego_broker.gateway.serve import replay_store, serve
from delego_broker.gateway.service import Gateway
from delego_broker.gateway.settings import Source
from delego_broker.replay import MemoryReplayStore, ReplayStore
from delego_broker.revocation import RevocationList
from delego_broker.sqlite_replay import SQLiteReplayStore
from delego_broker.verifier import Outgoing, Refusal, TokenVerifier
from delego_spec.action import Action
from delego_spec.gateway import NotSent, response_to_json
from delego_spec.tokens import Claims
from delego_spec.types import EpochSeconds
from gateways import AUDIENCE, SIGNER, BrokerProcess, Upstream, keys_folder, request_for, route_to, token_for

AWKWARD = "ab/cd+ef==gh&ij<k'\"l"
LONG = "sk_live_" + "A1b2C3d4" * 12


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReplayStore]:
    if request.param == "memory":
        yield MemoryReplayStore()
    else:
        with SQLiteReplayStore.open(tmp_path / "used.db") as opened:
            yield opened


def test_a_store_shared_by_verifiers_of_unlike_leeways_forgets_nothing_too_early(store: ReplayStore) -> None:
    """The strict one's purge would otherwise make the token fresh for the patient one."""
    url = "https://api.example.com/a"
    token, now = token_for(Action("a", "GET", url, {}), now=1000), [1000]

    def verifier(leeway: int) -> TokenVerifier:
        keys = {SIGNER.public_key.key_id: SIGNER.public_key}
        return TokenVerifier(keys, AUDIENCE, store, leeway=leeway, clock=lambda: now[0])

    claims = verifier(0).authorize(token, Outgoing("GET", url, {}))
    assert isinstance(claims, Claims)
    now[0] = claims.exp + 1
    store.purge(EpochSeconds(now[0]))
    again = verifier(60).authorize(token, Outgoing("GET", url, {}))
    assert isinstance(again, Refusal)
    assert again.code == "already_consumed"


def answered(body: bytes, kind: str, secret: str) -> str:
    answer = Answer(200, (("content-type", kind),), body)
    return response_to_json(executed(answer, route_to("127.0.0.1:1"), Redactor([secret]))).decode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_secret_echoed_in_wide_letters_is_withheld(encoding: str) -> None:
    """With zeros between its letters it is good UTF-8."""
    said = answered(f"your key is {LONG}".encode(encoding), "text/plain", LONG)
    assert "holds a credential" in said
    assert LONG not in said.replace("\\u0000", "")


@pytest.mark.parametrize(
    "echo",
    [
        quote(quote(AWKWARD, safe=""), safe=""),
        AWKWARD.replace('"', '\\"').replace("&", "\\u0026").replace("<", "\\u003c"),
        AWKWARD.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;").replace('"', "&quot;"),
        AWKWARD.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;").replace('"', "&#34;"),
        AWKWARD.replace("&", "&amp;").replace("<", "&lt;"),
    ],
    ids=["a url in a url", "json as Go writes it", "html 39", "html 34", "html without quotes"],
)
def test_a_secret_echoed_in_an_ordinary_spelling_is_redacted(echo: str) -> None:
    assert Redactor([AWKWARD]).text(f"<a>{echo}</a>") == "<a>[redacted]</a>"


def test_the_beginning_of_a_secret_is_not_quoted_in_a_note() -> None:
    """A name that stands twice was quoted, cut: half a secret is not found any more."""
    member = json.dumps({LONG: 1})[1:-1]
    assert LONG[:30] not in answered(f"{{{member},{member}}}".encode(), "application/json", LONG)


def test_a_grandchild_of_a_command_cannot_hold_a_request_up() -> None:
    """It was in a session of its own, so that killing the group left it, and it held the pipe open."""
    late = ("sh", "-c", "setsid sleep 20 & echo secret-of-the-command")
    began = time.monotonic()
    with pytest.raises(SecretUnavailable, match="did not end within"):
        read_secret(Source(command=late, timeout=0.2))
    assert time.monotonic() - began < 15


def test_a_named_pipe_in_a_secrets_place_is_refused_at_once(tmp_path: Path) -> None:
    """Nobody wrote into it, and the thread that opened it waited for ever."""
    os.mkfifo(tmp_path / "api.key", 0o600)
    said: list[str] = []

    def read() -> None:
        with pytest.raises(SecretUnavailable) as caught:
            read_secret(Source(file=tmp_path / "api.key"))
        said.append(str(caught.value))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(10)
    assert len(said) == 1
    assert "is no regular file" in said[0]


@pytest.mark.parametrize("url", ["redis://:pa#ss@host:6379/0", "redis://:pass/word@host", "http://pass@host"])
def test_a_password_in_a_wrong_redis_url_is_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    text = json.dumps(
        {
            "audience": AUDIENCE,
            "listen": {"address": "127.0.0.1:0"},
            "keys": {"files": ["token.pub"]},
            "store": {"redis": {"env": "REDIS_URL"}},
            "routes": [{"name": "a", "host": "api.example.com", "methods": ["GET"]}],
        }
    )
    with pytest.raises(ReplayStoreError, match="'REDIS_URL' holds no URL") as caught:
        replay_store(load_broker_config(text))
    assert "pa" not in str(caught.value).replace("redis://host", "")
    assert caught.value.__cause__ is None


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    yield service
    service.close()


@pytest.fixture(scope="module")
def broker(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    folder = keys_folder(tmp_path_factory.mktemp("attacked"))
    text = f"""\
audience: {AUDIENCE}
listen: {{address: "127.0.0.1:0", receive_seconds: 1, max_connections: 8}}
keys: {{files: [token.pub]}}
store: {{sqlite: used.db}}
routes:
  - {{name: svc, host: "{upstream.authority}", methods: [GET, POST], plain_http: true,
      allow_networks: [127.0.0.0/8], timeouts: {{read_seconds: 3}}}}
"""
    process = BrokerProcess(folder, text)
    try:
        yield process
    finally:
        assert process.stop() == 0


def talk(broker: BrokerProcess, *pieces: bytes, receive_buffer: int = 0) -> socket.socket:
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(15)
    connection.connect(("127.0.0.1", broker.port))
    for piece in pieces:
        connection.sendall(piece)
    return connection


def all_of(connection: socket.socket) -> bytes:
    data = b""
    with connection:
        try:
            while part := connection.recv(65536):
                data += part
        except ConnectionError:
            pass
    return data


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"POST /v1/execute HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize("second", [b"G", HALF], ids=["half a line", "no body"])
def test_a_second_request_on_a_connection_cannot_hold_it_for_ever(
    broker: BrokerProcess, second: bytes
) -> None:
    """The time for a request to arrive was counted for the first one only."""
    answer = all_of(talk(broker, HEALTH + second))
    assert answer.count(b"HTTP/1.1 ") == 1


def test_many_requests_without_reading_an_answer_hold_no_connection(broker: BrokerProcess) -> None:
    connection = talk(broker, receive_buffer=2048)
    connection.settimeout(60)  # for a gateway on a busy machine to have answered so much that it waits for us
    with connection, pytest.raises(ConnectionError):  # it is cut
        _flood(connection)


def _flood(connection: socket.socket) -> None:
    for _ in range(100_000):
        connection.sendall(HEALTH * 100)


def test_junk_behind_a_request_in_flight_is_not_answered_as_not_taken(
    broker: BrokerProcess, upstream: Upstream
) -> None:
    """400 says that nothing was sent; an authorizer would let the action be proposed, and sent, once more."""
    body = request_for("POST", f"http://{upstream.authority}/silent").to_json()
    head = (
        "POST /v1/execute HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    upstream.arrived.clear()
    connection = talk(broker, head.encode() + body)
    assert upstream.arrived.wait(10)
    connection.sendall(b"junk")
    answer: Any = all_of(connection)
    assert not answer.startswith(b"HTTP/1.1 4")


def test_a_name_that_does_not_resolve_keeps_no_other_from_being_looked_up(upstream: Upstream) -> None:
    """Each request for it held a thread of the few in which names are looked up."""
    evil = route_to("evil.example", name="evil", plain_http=False, connect_timeout=0.2)
    good = route_to(upstream.authority.replace("127.0.0.1", "localhost"), name="good", connect_timeout=10)
    over, hanging = threading.Event(), []

    def looked_up(host: str) -> list[str]:
        if host == "evil.example":
            hanging.append(host)
            over.wait(20)
        return ["127.0.0.1"]

    async def resolver(host: str, port: int) -> list[str]:
        return await asyncio.get_running_loop().run_in_executor(None, looked_up, host)

    async def run() -> tuple[bytes, list[bytes]]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        verifier = TokenVerifier({SIGNER.public_key.key_id: SIGNER.public_key}, AUDIENCE, MemoryReplayStore())
        routes = (evil, good)
        gateway = Gateway(routes, verifier, Sender(routes, resolver=resolver), log=lambda _: None)
        try:
            wanted = [request_for("GET", "https://evil.example/a") for _ in range(8)]
            refused = await asyncio.gather(*map(gateway.execute, wanted))
            return await gateway.execute(request_for("GET", f"http://{good.host}/echo")), refused
        finally:
            over.set()
            await gateway.aclose()

    answer, refused = asyncio.run(run())
    assert json.loads(answer)["executed"] is True
    assert all(b"was not resolved in" in one for one in refused)
    assert len(hanging) == 1


@pytest.mark.parametrize("name", ["token.pub", "used.db", "revoked.jsonl"])
def test_a_gateway_does_not_begin_with_a_file_that_everybody_can_write(name: str, tmp_path: Path) -> None:
    keys_folder(tmp_path)
    (tmp_path / "revoked.jsonl").touch()
    SQLiteReplayStore.open(tmp_path / "used.db").close()
    (tmp_path / name).chmod(0o666)
    text = json.dumps(
        {
            "audience": AUDIENCE,
            "listen": {"address": "127.0.0.1:0"},
            "keys": {"files": ["token.pub"]},
            "store": {"sqlite": "used.db"},
            "revocations": "revoked.jsonl",
            "routes": [{"name": "a", "host": "api.example.com", "methods": ["GET"]}],
        }
    )
    with pytest.raises(ListenError, match="can be written by everybody"):
        serve(load_broker_config(text, folder=tmp_path), on_event=lambda _: None)


def test_revoking_does_not_take_the_list_from_a_gateway_of_another_user(tmp_path: Path) -> None:
    """It came out as 0600 of whoever revoked, and every token was refused."""
    path = tmp_path / "revoked.jsonl"
    path.touch()
    path.chmod(0o644)
    assert RevocationList(path).revoke("a", EpochSeconds(4_000_000_000))
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_list_without_a_name_is_refused_as_one() -> None:
    with pytest.raises(RevocationError, match="cannot be changed"):
        RevocationList("/").revoke("a", EpochSeconds(4_000_000_000))


def test_a_connection_without_a_handshake_is_cut_in_time(upstream: Upstream, tmp_path: Path) -> None:
    """It was kept for a minute, and counted for nothing: enough of them took all file descriptors."""
    keys_folder(tmp_path)
    certificates.make(tmp_path, "broker.example")
    text = f"""\
audience: {AUDIENCE}
listen:
  address: "127.0.0.1:0"
  receive_seconds: 1
  tls: {{certificate: server.pem, key: server.key, client_ca: ca.pem}}
keys: {{files: [token.pub]}}
store: {{sqlite: used.db}}
routes: [{{name: svc, host: "{upstream.authority}", methods: [GET], plain_http: true}}]
"""
    process = BrokerProcess(tmp_path, text)
    try:
        assert all_of(talk(process)) == b""  # within the socket's own 15 s
    finally:
        assert process.stop() == 0


def test_handshakes_are_bounded_and_later_callers_served(upstream: Upstream, tmp_path: Path) -> None:
    """Only what had finished its handshake was counted."""
    keys_folder(tmp_path)
    files = certificates.make(tmp_path, "localhost")
    text = f"""\
audience: {AUDIENCE}
listen:
  address: "127.0.0.1:0"
  receive_seconds: 60
  max_connections: 2
  tls: {{certificate: server.pem, key: server.key}}
keys: {{files: [token.pub]}}
store: {{sqlite: used.db}}
routes: [{{name: svc, host: "{upstream.authority}", methods: [GET], plain_http: true}}]
"""
    process = BrokerProcess(tmp_path, text)
    try:
        silent = [talk(process) for _ in range(4)]  # two to be served, two in a handshake
        for _ in range(5):
            assert all_of(talk(process)) == b""  # let go, long before receive_seconds
        for one in silent:
            one.close()
        broker = GatewayBroker(f"https://localhost:{process.port}", AUDIENCE, ca=files.ca)
        assert until_well(broker) == {"status": "ok"}
    finally:
        assert process.stop() == 0


def until_well(broker: GatewayBroker) -> Any:
    """What a gateway says of its health, as soon as it has noticed who has left."""
    for _ in range(1000):
        with contextlib.suppress(NotSent):
            return broker.health()
        time.sleep(0.02)
    raise AssertionError("it serves nobody any more")


@pytest.mark.parametrize(("path", "status"), [("/orders/a b", 200), ("/a b", 200), ("/admin", 403)])
def test_an_app_is_not_asked_for_another_path_than_the_one_that_was_verified(path: str, status: int) -> None:
    """What rewrites ``path`` before the middleware leaves ``raw_path`` as it was."""
    url = "https://shop.example/orders/a%20b"
    token = token_for(Action("a", "GET", url, {}))
    sent: list[Any] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    verifier = TokenVerifier({SIGNER.public_key.key_id: SIGNER.public_key}, AUDIENCE, MemoryReplayStore())
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": b"/orders/a%20b",
        "query_string": b"",
        "headers": [(b"authorization", b"Delego " + token.encode())],
    }
    asyncio.run(TokenMiddleware(app, verifier, base_url="https://shop.example")(scope, receive, send))
    assert sent[0]["status"] == status
