"""The authorizer's end of a gateway: not sent, answered, or unknown; one request, never two."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from delego_broker.client import GatewayBroker, GatewayUnusable
from delego_spec.gateway import Executed, GatewayRequest, NotSent, Refused, response_to_json
from far_ends import AUDIENCE, far_end, http, request, says, token
from houses import CONFIG, TOKEN_KEY, approved, house, order, receipts
from pem_files import Certificates, make_certificates

DONE = response_to_json(Executed(status=201, result={"order": 7}))
SECRET = "s3cret-bearer-of-the-gateway"


def never(connection: socket.socket, _: bytes) -> None:
    """Says nothing, until the caller goes."""
    connection.recv(1)


def resets(connection: socket.socket, _: bytes) -> None:
    """Cuts the line as a dying process does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drips(connection: socket.socket, _: bytes) -> None:
    """A byte at a time, each within any time-out for one read."""
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(b"x")
            connection.settimeout(0.02)
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                pass
    except OSError:
        return


def floods(connection: socket.socket, _: bytes) -> None:
    """50 MB, without saying so first."""
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(50):
            connection.sendall(b" " * 1_000_000)
    except OSError:
        return


def chunks_without_end(connection: socket.socket, _: bytes) -> None:
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
    except OSError:
        return


# --- answers --------------------------------------------------------------------------------------------


def test_an_answer_is_read_and_the_request_is_the_message_with_its_jti() -> None:
    with far_end(says(http(DONE))) as end:
        assert end.broker(bearer=SECRET).execute(request("j-7")) == Executed(status=201, result={"order": 7})
    (came,) = end.requests
    head, _, body = came.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/execute HTTP/1.1"
    assert {f"Host: {end.url.removeprefix('http://')}", "Idempotency-Key: j-7", "Connection: close"} <= set(
        lines
    )
    assert f"Authorization: Bearer {SECRET}" in lines
    assert GatewayRequest.from_json(body) == request("j-7")


def test_a_refusal_of_the_gateway_is_a_refusal() -> None:
    refused = Refused("already_consumed", "the token was used before (jti)")
    with far_end(says(http(response_to_json(refused)))) as end:
        assert end.broker().execute(request()) == refused


def test_a_chunked_answer_is_read() -> None:
    text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(DONE), DONE)
    with far_end(says(text)) as end:
        assert end.broker().execute(request()) == Executed(status=201, result={"order": 7})


def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    with far_end(says(http(DONE)), unix=tmp_path / "s") as end:
        assert end.broker().execute(request()) == Executed(status=201, result={"order": 7})
    assert b"\r\nHost: localhost:80\r\n" in end.requests[0]


@contextlib.contextmanager
def listening_as(uid: int, path: Path) -> Iterator[socket.socket]:
    """A socket at which another user listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(str(path))
        os.seteuid(uid)
        try:
            bound.listen(5)
        finally:
            os.seteuid(0)
        yield bound


@pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED") or os.geteuid() != 0, reason="only root can be another user, on Linux"
)
def test_a_socket_of_another_user_is_sent_nothing_unless_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening_as(61_804, path) as end:
        with pytest.raises(NotSent, match=r"another user \(uid 61804\) listens at the socket .*socket_owner"):
            GatewayBroker(None, AUDIENCE, socket_path=path).execute(request())
        end.settimeout(5)
        connection, _ = end.accept()
        with connection:
            assert connection.recv(1) == b""  # it was connected to, and told nothing
        with pytest.raises(NotSent, match="another user"):
            GatewayBroker(None, AUDIENCE, socket_path=path, socket_owner="61805").execute(request())
        broker = GatewayBroker(None, AUDIENCE, socket_path=path, socket_owner="61804", timeout=0.2)
        assert isinstance(broker.execute(request()), Executed)  # it was asked, and is silent


def test_an_owner_of_a_socket_is_a_user(tmp_path: Path) -> None:
    with pytest.raises(GatewayUnusable, match="no user 'nobody-at-all'"):
        GatewayBroker(None, AUDIENCE, socket_path=tmp_path / "s", socket_owner="nobody-at-all")
    with pytest.raises(GatewayUnusable, match="an owner is for a socket"):
        GatewayBroker("https://a.example", AUDIENCE, socket_owner="root")
    with far_end(says(http(DONE)), unix=tmp_path / "s") as end:
        named = GatewayBroker(None, AUDIENCE, socket_path=tmp_path / "s", socket_owner="root")
        assert named.execute(request()) == Executed(status=201, result={"order": 7})
    assert end.connections == 1


def test_threads_share_one_broker() -> None:
    def echo(connection: socket.socket, came: bytes) -> None:
        found = re.search(rb"Idempotency-Key: (\S+)", came)
        assert found is not None
        connection.sendall(http(response_to_json(Executed(result=found[1].decode()))))

    with far_end(echo) as end, ThreadPoolExecutor(8) as pool:
        broker = end.broker()
        names = [f"j-{number}" for number in range(40)]
        outcomes = list(pool.map(lambda name: broker.execute(request(name)), names))
    assert outcomes == [Executed(result=name) for name in names]
    assert end.connections == 40


# --- surely not sent ------------------------------------------------------------------------------------


def test_a_refused_connection_is_not_sent() -> None:
    with far_end(never) as end:
        pass
    with pytest.raises(NotSent, match=r"cannot be reached at http://127\.0\.0\.1:"):
        end.broker().execute(request())


@pytest.mark.parametrize("name", ["nothing-here", "x" * 300, "nul\0"])
def test_a_socket_that_is_not_there_is_not_sent(tmp_path: Path, name: str) -> None:
    broker = GatewayBroker(None, AUDIENCE, socket_path=f"{tmp_path}/{name}")
    with pytest.raises(NotSent, match="cannot be reached"):
        broker.execute(request())


def test_a_host_that_has_no_address_is_not_sent() -> None:
    with pytest.raises(NotSent, match=r"cannot be reached at https://gateway\.invalid:443"):
        GatewayBroker("https://gateway.invalid", AUDIENCE).execute(request())


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: GatewayRequest.of(order()), "there is no token"),
        (lambda: GatewayRequest.of(order(), "a.b.c"), "cannot be read"),
        (lambda: GatewayRequest.of(order(), "abc"), "cannot be read"),
        (lambda: GatewayRequest.of(order(), "e30.W10.x"), "cannot be read"),
        (
            lambda: GatewayRequest.of(order(), token(audience="https://other.example")),
            "is for 'https://other",
        ),
        (lambda: GatewayRequest.of(order(), token("line\nbreak")), "jti cannot travel"),
        (lambda: GatewayRequest.of(order(), token("ä")), "jti cannot travel"),
        (lambda: replace(request(), intent_hash="no hash"), "has no message"),
    ],
)
def test_a_request_that_fits_no_gateway_is_not_sent(made: Callable[[], GatewayRequest], text: str) -> None:
    with far_end(says(http(DONE))) as end, pytest.raises(NotSent, match=text):
        end.broker().execute(made())
    assert end.connections == 0


@pytest.mark.parametrize("bearer", ["", "two words", "line\r\nX-Injected: 1", "ä", "x" * 5000])
def test_a_bearer_that_is_no_header_is_not_sent_and_not_shown(bearer: str) -> None:
    with far_end(says(http(DONE))) as end, pytest.raises(NotSent) as caught:
        end.broker(bearer=bearer).execute(request())
    assert end.connections == 0
    assert not bearer or bearer not in str(caught.value)


def test_a_bearer_that_cannot_be_read_is_not_sent_and_not_shown() -> None:
    def unreadable() -> str:
        raise OSError(f"half of it: {SECRET}")

    with pytest.raises(NotSent) as caught:
        GatewayBroker("http://127.0.0.1:9", AUDIENCE, bearer=unreadable).execute(request())
    assert "OSError" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "413 Too Large"])
def test_what_the_gateway_did_not_take_as_a_request_was_not_sent(status: str) -> None:
    answer = http(b'{"error": "no right to ask"}', status)
    text = f"status {status[:3]}: .*no right to ask"
    with far_end(says(answer)) as end, pytest.raises(NotSent, match=text):
        end.broker().execute(request())


# --- unknown --------------------------------------------------------------------------------------------

UNKNOWN: dict[str, tuple[Callable[[socket.socket, bytes], None], str]] = {
    "it hangs up": (says(b""), "is lost"),
    "it resets": (resets, "is lost"),
    "half a status line": (says(b"HTTP/1.1 2"), "is lost"),
    "half a head": (says(b"HTTP/1.1 200 OK\r\nContent-"), "is lost|unusable"),
    "half a body": (says(http(DONE)[:-5]), "cut off after"),
    "half a chunked body": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + DONE),
        "is lost",
    ),
    "half a body without a length": (says(b"HTTP/1.1 200 OK\r\n\r\n" + DONE[:-3]), "unusable"),
    "no HTTP": (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "is lost"),
    "HTTP of no known version": (says(b"HTTP/7.9 200 OK\r\n\r\n"), "is lost"),
    "a head without end": (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000), "is lost"),
    "a line without end": (says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "is lost"),
    "no JSON": (says(http(b"<html>")), "unusable"),
    "nothing": (says(http(b"")), "unusable"),
    "no message": (says(http(b'{"ok": true}')), "unusable"),
    "a member twice": (says(http(b'{"executed": false, "executed": true, "upstream": {}}')), "unusable"),
    "refused and executed": (
        says(http(b'{"executed":true,"refused":{"code":"unsupported","message":""},"upstream":{}}')),
        "unusable",
    ),
    "a code that nobody knows": (
        says(http(b'{"executed":false,"refused":{"code":"maybe","message":""}}')),
        "unusable",
    ),
    "a redirect": (says(http(b"", "307 Temporary Redirect", Location="http://127.0.0.1:1/")), "status 307"),
    "a redirect that forgets the method": (says(http(b"", "303 See Other", Location="/v1/execute")), "303"),
    "a proxy's time-out": (says(http(b"", "504 Gateway Timeout")), "status 504"),
    "a proxy that has no gateway": (says(http(b"", "502 Bad Gateway")), "status 502"),
    "please try again": (says(http(b"", "503 Service Unavailable", Retry_After="0")), "status 503"),
    "please try elsewhere": (says(http(b"", "425 Too Early")), "status 425"),
    "an answer of 50 MB": (floods, "more than"),
    "an answer that says it has 50 MB": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + DONE),
        "50000000 bytes",
    ),
    "chunks without end": (chunks_without_end, "more than"),
    "a compressed answer": (says(http(b"\x1f\x8b\x08\x00", Content_Encoding="gzip")), "unusable"),
}


@pytest.mark.parametrize("case", UNKNOWN, ids=str)
def test_after_the_request_may_have_left_the_outcome_is_unknown_and_nothing_is_sent_again(case: str) -> None:
    talk, text = UNKNOWN[case]
    with far_end(talk) as end:
        outcome = end.broker(bearer=SECRET).execute(request())
    assert isinstance(outcome, Executed)
    assert outcome.error is not None
    assert re.search(text, outcome.error), outcome.error
    assert (outcome.status, outcome.result) == (None, None)
    assert end.connections == 1
    assert SECRET not in outcome.error


@pytest.mark.parametrize("talk", [never, drips], ids=["silence", "a byte now and then"])
def test_no_whole_answer_in_time_is_unknown(talk: Callable[[socket.socket, bytes], None]) -> None:
    with far_end(talk) as end:
        outcome = end.broker(timeout=0.3).execute(request())
    assert outcome == Executed(error="the gateway gave no whole answer within 0.3 s")
    assert end.connections == 1


def test_the_environment_sends_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with far_end(says(http(b"", "502 Bad Gateway"))) as elsewhere, far_end(says(http(DONE))) as end:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, elsewhere.url)
        assert end.broker().execute(request()) == Executed(status=201, result={"order": 7})
    assert elsewhere.connections == 0


# --- TLS ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    return context


def test_a_gateway_behind_tls_is_asked_under_its_own_authority(
    certificates: Certificates, server: ssl.SSLContext
) -> None:
    with far_end(says(http(DONE)), tls=server) as end:
        broker = GatewayBroker(end.url, AUDIENCE, ca=certificates.ca)
        assert broker.execute(request()) == Executed(status=201, result={"order": 7})


def test_the_environment_gets_no_session_keys(
    certificates: Certificates, server: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with far_end(says(http(DONE)), tls=server) as end:
        assert isinstance(GatewayBroker(end.url, AUDIENCE, ca=certificates.ca).execute(request()), Executed)
    assert not (tmp_path / "keys").exists()


def test_a_gateway_that_the_systems_authorities_do_not_know_is_sent_nothing(server: ssl.SSLContext) -> None:
    text = "certificate verify failed"
    with far_end(says(http(DONE)), tls=server) as end, pytest.raises(NotSent, match=text):
        end.broker().execute(request())
    assert end.requests == []


def test_a_certificate_for_another_name_is_sent_nothing(
    certificates: Certificates, server: ssl.SSLContext
) -> None:
    with far_end(says(http(DONE)), tls=server, host="127.0.0.2") as end:
        broker = GatewayBroker(end.url, AUDIENCE, ca=certificates.ca)
        with pytest.raises(NotSent, match="IP address mismatch"):
            broker.execute(request())
    assert end.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_gateway_that_wants_a_client_certificate_takes_ours_and_nobody_without(
    certificates: Certificates, server: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    server.maximum_version = version
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(certificates.ca)
    with far_end(says(http(DONE)), tls=server) as end:
        ours = GatewayBroker(end.url, AUDIENCE, ca=certificates.ca, client_certificate=certificates.client)
        assert ours.execute(request()) == Executed(status=201, result={"order": 7})
        nobody = GatewayBroker(end.url, AUDIENCE, ca=certificates.ca)
        # With TLS 1.3 the connection may be gone before the refusal is read; then nobody can know.
        try:
            outcome = nobody.execute(request())
        except NotSent:
            pass
        else:
            assert version is ssl.TLSVersion.TLSv1_3
            assert isinstance(outcome, Executed)
            assert outcome.error is not None
    assert len(end.requests) == 1


def test_a_handshake_that_never_ends_is_not_sent(certificates: Certificates) -> None:
    with far_end(never) as end:
        url = end.url.replace("http:", "https:")
        with pytest.raises(NotSent, match="timed out"):
            GatewayBroker(url, AUDIENCE, ca=certificates.ca, timeout=0.3).execute(request())


# --- how it is made -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.example",
        "ftp://broker.example",
        "https://",
        "https://user:secret@broker.example",
        "https://broker.example?x=1",
        "https://broker.example#x",
        "https://broker.example/a b",
        "https://bro ker.example",
        "https://br\u00f6ker.example",
        "https://broker.example:0",
        "https://broker.example:99999",
        "https://[::1",
        "http://broker.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1",
        5,
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(GatewayUnusable, match="the url") as caught:
        GatewayBroker(url, AUDIENCE)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://broker.example", "https://broker.example:443"),
        ("https://broker.example:8443/delego/", "https://broker.example:8443/delego"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:7", "http://[::1]:7"),
        ("http://127.1.2.3", "http://127.1.2.3:80"),
    ],
)
def test_an_address_is_shown_in_full(url: str, shown: str) -> None:
    assert GatewayBroker(url, AUDIENCE).shown == shown


def test_a_gateway_behind_a_path_is_asked_there() -> None:
    with far_end(says(http(DONE))) as end:
        assert GatewayBroker(f"{end.url}/delego/", AUDIENCE).execute(request()) == Executed(201, {"order": 7})
    assert end.requests[0].startswith(b"POST /delego/v1/execute HTTP/1.1\r\n")


def test_parts_that_contradict_each_other_are_refused(tmp_path: Path, certificates: Certificates) -> None:
    url = "http://127.0.0.1:1"
    for make, text in (
        (lambda: GatewayBroker(None, AUDIENCE), "either a url or a socket"),
        (lambda: GatewayBroker(url, AUDIENCE, socket_path="s"), "either a url or a socket"),
        (lambda: GatewayBroker(url, ""), "audience is missing"),
        (lambda: GatewayBroker(url, AUDIENCE, timeout=0), "time-out"),
        (lambda: GatewayBroker(url, AUDIENCE, timeout=float("nan")), "time-out"),
        (lambda: GatewayBroker(url, AUDIENCE, timeout=True), "time-out"),
        (lambda: GatewayBroker(url, AUDIENCE, ca=certificates.ca), "certificates are for https"),
        (lambda: GatewayBroker("https://a.example", AUDIENCE, ca=tmp_path / "none"), "authorities"),
        (
            lambda: GatewayBroker("https://a.example", AUDIENCE, client_certificate=certificates.ca),
            "client certificate",
        ),
    ):
        with pytest.raises(GatewayUnusable, match=text):
            make()


def test_a_client_key_that_wants_a_password_is_refused_without_asking(
    tmp_path: Path, certificates: Certificates
) -> None:
    key = serialization.load_pem_private_key(
        certificates.client.read_bytes().partition(b"-----END CERT")[2].partition(b"\n")[2], None
    )
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    path = tmp_path / "sealed.pem"
    path.touch(mode=0o600)
    path.write_bytes(certificates.client.read_bytes().partition(b"-----BEGIN PRIV")[0] + sealed)
    with pytest.raises(GatewayUnusable, match="is encrypted"):
        GatewayBroker("https://a.example", AUDIENCE, client_certificate=path)


# --- health ---------------------------------------------------------------------------------------------


def test_health_is_what_the_gateway_says() -> None:
    with far_end(says(http(b'{"status": "ok"}'))) as end:
        assert end.broker(bearer=SECRET).health() == {"status": "ok"}
    assert end.requests[0].startswith(b"GET /healthz HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("talk", "text"),
    [
        (says(http(b"no such thing", "404 Not Found")), "status 404: no such thing"),
        (says(http(b"<html>")), "health"),
        (says(b""), "is lost"),
        (never, "within 0.2 s"),
    ],
)
def test_a_gateway_that_is_not_well_is_said(talk: Callable[[socket.socket, bytes], None], text: str) -> None:
    with far_end(talk) as end, pytest.raises(NotSent, match=text):
        end.broker().health(timeout=0.2)


# --- in the authorizer ----------------------------------------------------------------------------------


KINDS = {
    "done": (says(http(DONE)), "allow", "executed via broker (status 201)", True),
    "unknown": (says(b""), "allow", "outcome unknown: the gateway's answer is lost", None),
    "redirected": (
        says(http(b"", "307 Temporary Redirect", Location="/v1/execute")),
        "allow",
        "outcome unknown: the gateway answered with status 307",
        None,
    ),
    "not sent": (
        says(http(b"", "401 Unauthorized")),
        "deny",
        "broker did not execute: not_sent: the gateway did not take the request: status 401",
        False,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_ledger_says_which_of_the_three_it_was_and_the_yes_is_spent(tmp_path: Path, kind: str) -> None:
    talk, outcome, reason, executed = KINDS[kind]
    config = replace(CONFIG, audience=AUDIENCE)
    with far_end(talk) as end:
        with house(tmp_path, broker=end.broker(), config=config, token_signer=TOKEN_KEY) as authorizer:
            approval_id = approved(authorizer, order())
            decision = authorizer.resolve(approval_id, order())
            again = authorizer.resolve(approval_id, order())
            last = receipts(authorizer.ledger)[-2]
        with house(tmp_path, broker=end.broker(), config=config, token_signer=TOKEN_KEY) as restarted:
            assert restarted.recover() == ()
    assert (decision.executed, last.phase, last.outcome) == (executed, "execution", outcome)
    assert any(text.startswith(reason) for text in last.reasons), last.reasons
    assert again.outcome == "deny"
    assert end.connections == 1
