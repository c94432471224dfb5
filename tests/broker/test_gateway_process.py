"""``delego broker`` as its own process: who may ask, hostile requests, a kill in mid-request, its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import certificates
from delego_cli.main import main
from delego_spec.gateway import GatewayRequest
from gateways import AUDIENCE, HEADER_SECRET, BrokerProcess, Upstream, keys_folder, request_for

BEARER = "bearer-of-the-authorizer"
LIMIT = 8  # connections


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    yield service
    service.close()


def config_text(upstream: Upstream, listen: str = 'address: "127.0.0.1:0"', route: str = "") -> str:
    return f"""\
audience: {AUDIENCE}
listen:
  {listen}
keys: {{files: [token.pub]}}
store: {{sqlite: used.db}}
routes:
  - name: svc
    host: {upstream.authority}
    methods: [GET, POST]
    plain_http: true
    allow_networks: [127.0.0.0/8]
    secrets: [{{env: API_KEY, as: header, name: X-Api-Key}}, {{file: other.key, as: query, name: key}}]
    {route}
"""


def started(folder: Path, text: str) -> BrokerProcess:
    keys_folder(folder)
    (folder / "other.key").write_text(f"{HEADER_SECRET}-other\n")
    (folder / "other.key").chmod(0o600)
    return BrokerProcess(folder, text, API_KEY=HEADER_SECRET, GATEWAY_BEARER=BEARER)


@pytest.fixture(scope="module")
def broker(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    listen = (
        'address: "127.0.0.1:0"\n  receive_seconds: 1.2\n  publish_keys: true\n  max_connections: '
        + str(LIMIT)
    )
    route = "timeouts: {read_seconds: 1.5}"
    process = started(tmp_path_factory.mktemp("gateway"), config_text(upstream, listen, route))
    try:
        yield process
    finally:
        assert process.stop() == 0
        # All that the module's requests left behind, in the end.
        _no_secret_in(process)


def _no_secret_in(process: BrokerProcess) -> None:
    for path in process.folder.rglob("*"):
        if path.is_file() and path.name != "other.key":
            assert HEADER_SECRET.encode() not in path.read_bytes(), path.name
    assert process.errors.read_bytes() == b""


def ask(process: BrokerProcess, request: GatewayRequest, **headers: str) -> Any:
    status, answer = process.post(request.to_json(), **headers)
    assert status == 200
    return answer


def test_a_request_is_executed_once(broker: BrokerProcess, upstream: Upstream) -> None:
    request = request_for("POST", f"http://{upstream.authority}/echo", {"a": 1})
    first, second = ask(broker, request), ask(broker, request)
    assert first["executed"] is True
    assert first["upstream"]["result"]["headers"]["X-Api-Key"] == "[redacted]"
    assert first["upstream"]["result"]["target"] == "/echo?key=[redacted]"
    assert second["refused"]["code"] == "already_consumed"
    assert HEADER_SECRET.encode() in upstream.requests[-1]


def test_a_copy_at_the_same_moment_is_refused(broker: BrokerProcess, upstream: Upstream) -> None:
    upstream.requests.clear()
    request = request_for("POST", f"http://{upstream.authority}/echo")
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(broker, request))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answer["executed"] for answer in answers) == [False] * 5 + [True]
    assert len(upstream.requests) == 1


# --- hostile requests to the gateway itself ----------------------------------------------------------------


def head(
    request: GatewayRequest, target: str = "/v1/execute", host: str = "gateway", more: str = ""
) -> bytes:
    body = request.to_json()
    return (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    ).encode() + body


@pytest.mark.parametrize(
    ("target", "host", "more"),
    [
        ("/v1/execute", "evil.com", ""),
        ("/v1/execute", "169.254.169.254", "X-Forwarded-Host: evil.com\r\nForwarded: host=evil.com\r\n"),
        ("/v1/execute?url=https://evil.com/", "x", "X-Api-Key: mine\r\nAuthorization: Bearer mine\r\n"),
        ("/v1/execute", "x", "Cookie: a=b\r\nProxy-Authorization: Basic eDp5\r\nTE: trailers\r\n"),
    ],
    ids=["another Host", "forwarding headers", "credentials of the asker", "hop-by-hop headers"],
)
def test_headers_of_the_asker_change_nothing_of_what_is_sent(
    broker: BrokerProcess, upstream: Upstream, target: str, host: str, more: str
) -> None:
    upstream.requests.clear()
    url = f"http://{upstream.authority}/echo"
    answer = broker.raw(head(request_for("GET", url), target, host, more))
    assert answer.startswith(b"HTTP/1.1 200")
    (sent,) = upstream.requests
    assert sent.startswith(
        f"GET /echo?key={HEADER_SECRET}-other HTTP/1.1\r\nHost: {upstream.authority}\r\n".encode()
    )
    for word in (b"evil", b"mine", b"Cookie", b"Proxy", b"Forwarded", b"TE:", b"eDp5"):
        assert word not in sent


def test_an_absolute_target_leads_nowhere(broker: BrokerProcess, upstream: Upstream) -> None:
    upstream.requests.clear()
    request = request_for("GET", f"http://{upstream.authority}/echo")
    answer = broker.raw(head(request, f"http://{upstream.authority}/echo"))
    assert answer.startswith(b"HTTP/1.1 404")
    assert upstream.requests == []


def _chunks() -> Iterable[bytes]:
    while True:
        yield b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


def _drips() -> Iterable[bytes]:
    while True:
        yield b"x"
        time.sleep(0.02)


CLOSE = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
START = b"POST /v1/execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

BAD = [
    ("a body over the limit", START + b"Content-Length: 1000000000\r\n\r\n", (), b"413"),
    ("chunks without an end", START + b"Transfer-Encoding: chunked\r\n\r\n", _chunks, b"413"),
    ("a slow body", START + b"Content-Length: 1000\r\n\r\n", _drips, b""),
    ("a slow head", b"POST /v1/exe", _drips, b""),
    ("nothing at all", b"", (), b""),
    ("two lengths", START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", (), b"400"),
    ("a length and chunks", START + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", (), b"400"),
    ("a huge head", START + b"X: " + b"x" * 100_000 + b"\r\n\r\n", (), b"400"),
    ("a folded header", START + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", (), b"400"),
    ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (), b"400"),
    ("another path", START.replace(b"execute", b"admin") + CLOSE, (), b"404"),
    ("another method", b"PUT" + START[4:] + CLOSE, (), b"405"),
    ("a form", START.replace(b"json", b"x-www-form-urlencoded") + b"Content-Length: 2\r\n\r\n{}", (), b"415"),
    ("no type", b"POST /v1/execute HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", (), b"415"),
    ("an upgrade", START + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n{}", (), b"400"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "more", "status"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_hostile_request_is_bounded(broker: BrokerProcess, data: bytes, more: Any, status: bytes) -> None:
    began = time.monotonic()
    answer = broker.raw(data, more=more() if callable(more) else more)
    assert answer[9:12] == status
    assert time.monotonic() - began < 10
    assert broker.process.poll() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message[:-1],
        lambda message: message[:-1] + b',"x":1}',
        lambda message: message.replace(b'"intent_hash"', b'"intent_hash":"","intent_hash"'),
        lambda message: message.replace(b'"method":"POST"', b'"method":5'),
        lambda message: message.replace(b'"params":{"a":1}', b'"params":{"a":1e999}'),
        lambda message: message.replace(b'"params":{"a":1}', b'"params":null'),
        lambda message: b"\xef\xbb\xbf" + message,
        lambda message: message.decode().encode("utf-16"),
        lambda message: b"[" * 100_000,
        lambda message: b"",
    ],
)
def test_what_is_no_message_is_not_taken(broker: BrokerProcess, upstream: Upstream, change: Any) -> None:
    upstream.requests.clear()
    status, answer = broker.post(
        change(request_for("POST", f"http://{upstream.authority}/echo", {"a": 1}).to_json())
    )
    assert status == 400
    assert answer["error"]
    assert upstream.requests == []


def test_too_many_connections_are_cut_and_later_ones_served(
    broker: BrokerProcess, upstream: Upstream
) -> None:
    url, before = f"http://{upstream.authority}", upstream.connections
    answers: list[Any] = []
    waiting = [
        threading.Thread(target=lambda: answers.append(ask(broker, request_for("GET", f"{url}/silent"))))
        for _ in range(LIMIT)
    ]
    for thread in waiting:
        thread.start()
    until = time.monotonic() + 20
    while upstream.connections < before + LIMIT:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert broker.raw(head(request_for("GET", f"{url}/echo"))) == b""
    for thread in waiting:
        thread.join(20)
    assert len(answers) == LIMIT
    assert ask(broker, request_for("GET", f"{url}/echo"))["executed"] is True


def get(process: BrokerProcess, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_health_and_keys_are_published(broker: BrokerProcess) -> None:
    assert get(broker, "/healthz") == (200, {"status": "ok"})
    status, keys = get(broker, "/.well-known/jwks.json")
    assert status == 200
    assert [key["kty"] for key in keys["keys"]] == ["OKP"]


# --- a kill, and the end -----------------------------------------------------------------------------------


def test_after_a_kill_in_mid_request_the_token_is_spent_and_nothing_is_sent_again(
    upstream: Upstream, tmp_path: Path
) -> None:
    process = started(tmp_path, config_text(upstream))
    try:
        upstream.requests.clear()
        upstream.arrived.clear()
        request = request_for("POST", f"http://{upstream.authority}/silent", {"a": 1})
        failed: list[BaseException] = []

        def send() -> None:
            try:
                process.post(request.to_json())
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        assert upstream.arrived.wait(10)
        process.process.send_signal(signal.SIGKILL)
        process.process.wait(10)
        thread.join(10)
        assert failed  # who asked knows nothing about the outcome
        process.start()
        assert ask(process, request)["refused"]["code"] == "already_consumed"
        assert len(upstream.requests) == 1
    finally:
        assert process.stop() == 0
    _no_secret_in(process)


def test_sigterm_lets_what_is_in_flight_finish(upstream: Upstream, tmp_path: Path) -> None:
    listen = 'address: "127.0.0.1:0"\n  stop_seconds: 10'
    route = "timeouts: {read_seconds: 0.7, total_seconds: 5}"
    process = started(tmp_path, config_text(upstream, listen, route))
    answers: list[Any] = []
    try:
        upstream.arrived.clear()
        request = request_for("POST", f"http://{upstream.authority}/silent")
        thread = threading.Thread(target=lambda: answers.append(ask(process, request)))
        thread.start()
        assert upstream.arrived.wait(10)
        process.process.terminate()
        thread.join(10)
    finally:
        assert process.stop() == 0
    assert "took too long" in answers[0]["upstream"]["error"]
    assert [line["event"] for line in process.log()] == ["listening", "request", "stopped"]
    with pytest.raises(OSError, match="refused"):
        process.post(request.to_json())


def test_what_takes_longer_than_the_stop_is_ended_and_logged_as_unknown(
    upstream: Upstream, tmp_path: Path
) -> None:
    process = started(tmp_path, config_text(upstream, 'address: "127.0.0.1:0"\n  stop_seconds: 0'))
    try:
        upstream.arrived.clear()
        request = request_for("POST", f"http://{upstream.authority}/silent")
        thread = threading.Thread(target=lambda: _swallow(process, request))
        thread.start()
        assert upstream.arrived.wait(10)
    finally:
        assert process.stop() == 0
    thread.join(10)
    assert [line.get("outcome") for line in process.log()] == [None, "unknown", None]
    _no_secret_in(process)


def _swallow(process: BrokerProcess, request: GatewayRequest) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        process.post(request.to_json())


# --- where it listens, and to whom -------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def test_a_unix_socket_is_its_users_alone(upstream: Upstream, short_folder: Path) -> None:
    path = short_folder / "run.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))  # left behind by a gateway that was killed
    dead.close()
    process = started(short_folder, config_text(upstream, "socket: run.sock"))
    try:
        assert process.address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connection = UnixConnection(path)
        with contextlib.closing(connection):
            body = request_for("GET", f"http://{upstream.authority}/echo").to_json()
            connection.request("POST", "/v1/execute", body, {"Content-Type": "application/json"})
            assert json.loads(connection.getresponse().read())["executed"] is True
        second = invoke("broker", "--config", str(process.config))
        assert second[0] == 1
        assert "already" in second[1]
    finally:
        assert process.stop() == 0
    assert not path.exists()


@pytest.fixture
def short_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="gw") as folder:  # a socket's name has at most 107 bytes
        yield Path(folder)


def invoke(*words: str) -> tuple[int, str]:
    """A command line in this process: its status, and what it wrote."""
    from click.testing import CliRunner

    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


def test_a_socket_where_others_can_write_is_refused(upstream: Upstream, short_folder: Path) -> None:
    open_folder = short_folder / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    keys_folder(short_folder)
    config = short_folder / "broker.yaml"
    config.write_text(config_text(upstream, "socket: open/run.sock"))
    assert "can be written by others" in invoke("broker", "--config", str(config))[1]
    config.write_text(config_text(upstream, "socket: token.pub"))
    assert "no socket of this user's" in invoke("broker", "--config", str(config))[1]
    config.write_text(config_text(upstream, "socket: none/run.sock"))
    assert "no such file" in invoke("broker", "--config", str(config))[1]


def test_a_port_that_is_taken_is_said(upstream: Upstream, tmp_path: Path) -> None:
    keys_folder(tmp_path)
    config = tmp_path / "broker.yaml"
    config.write_text(config_text(upstream, f'address: "{upstream.authority}"'))
    status, output = invoke("broker", "--config", str(config))
    assert status == 1
    assert "cannot listen" in output


def test_without_keys_it_does_not_begin(upstream: Upstream, tmp_path: Path) -> None:
    config = tmp_path / "broker.yaml"
    for keys in ("{files: [token.pub]}", "{jwks_file: token.pub}"):
        config.write_text(config_text(upstream).replace("{files: [token.pub]}", keys))
        status, output = invoke("broker", "--config", str(config))
        assert status == 1
        assert "token.pub" in output
        assert "listening" not in output


def test_a_bearer_lets_an_authorizer_in(upstream: Upstream, tmp_path: Path) -> None:
    listen = 'address: "127.0.0.1:0"\n  bearer: {env: GATEWAY_BEARER}'
    process = started(tmp_path, config_text(upstream, listen))
    try:
        upstream.requests.clear()
        request = request_for("GET", f"http://{upstream.authority}/echo")
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": BEARER}):
            status, answer = process.post(request.to_json(), **wrong)
            assert status == 401
            assert BEARER not in json.dumps(answer)
        assert upstream.requests == []
        assert ask(process, request, Authorization=f"bearer {BEARER}")["executed"] is True
    finally:
        assert process.stop() == 0
    assert BEARER.encode() not in process.output.read_bytes()


def test_across_hosts_a_client_certificate_is_wanted(upstream: Upstream, tmp_path: Path) -> None:
    files = certificates.make(tmp_path, "broker.example")
    tls = "{certificate: server.pem, key: server.key, client_ca: ca.pem}"
    listen = f'address: "{".".join("0000")}:0"\n  tls: {tls}'
    process = started(tmp_path, config_text(upstream, listen))
    request = request_for("GET", f"http://{upstream.authority}/echo")
    try:
        assert process.address.startswith("https://")
        context = ssl.create_default_context(cafile=files.ca)
        with pytest.raises((ssl.SSLError, OSError)):
            over_tls(process, context, request)
        context.load_cert_chain(files.client)
        assert over_tls(process, context, request)["executed"] is True
        assert broker_answers_plain(process) is False
    finally:
        assert process.stop() == 0


def over_tls(process: BrokerProcess, context: ssl.SSLContext, request: GatewayRequest) -> Any:
    connection = http.client.HTTPSConnection("127.0.0.1", process.port, timeout=10, context=context)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/execute", request.to_json(), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())


def broker_answers_plain(process: BrokerProcess) -> bool:
    return process.raw(START + b"Content-Length: 2\r\n\r\n{}").startswith(b"HTTP")


# --- the verb ----------------------------------------------------------------------------------------------


def test_check_reads_the_configuration_and_no_secret(upstream: Upstream, tmp_path: Path) -> None:
    config = tmp_path / "broker.yaml"
    config.write_text(config_text(upstream))
    status, output = invoke("broker", "--config", str(config), "--check")
    assert status == 0
    assert "the environment variable 'API_KEY'" in output
    status, output = invoke("broker", "--config", str(config), "--check", "--json")
    assert json.loads(output)["valid"] is True


def test_check_lists_what_is_wrong(upstream: Upstream, tmp_path: Path) -> None:
    config = tmp_path / "broker.yaml"
    config.write_text(config_text(upstream, route="verify: false"))
    status, output = invoke("broker", "--config", str(config), "--check")
    assert status == 3
    assert f"{config}:13:5: routes[0].verify" in output
    status, output = invoke("broker", "--config", str(config), "--check", "--json")
    assert (status, json.loads(output)["valid"]) == (3, False)
    assert invoke("broker", "--config", str(config))[0] == 1


def test_the_schema_is_printed_and_a_configuration_is_wanted(tmp_path: Path) -> None:
    assert json.loads(invoke("broker", "--schema")[1])["title"].startswith("delego broker")
    assert invoke("broker")[0] == 2
    assert invoke("broker", "--config", str(tmp_path / "none.yaml"))[0] == 1
    (tmp_path / "latin.yaml").write_bytes(b"\xff")
    assert "UTF-8" in invoke("broker", "--config", str(tmp_path / "latin.yaml"))[1]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
def test_the_secret_stands_in_no_argument(broker: BrokerProcess) -> None:
    arguments = Path(f"/proc/{broker.process.pid}/cmdline").read_bytes()
    assert HEADER_SECRET.encode() not in arguments
    assert HEADER_SECRET.encode() not in os.fsencode(broker.config.read_text())
