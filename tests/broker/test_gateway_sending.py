"""What a gateway sends, where to, and what it makes of every way in which a service can answer."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import certificates
from delego_broker.errors import DelegoBrokerError, ReplayStoreError
from delego_broker.gateway.addresses import address_problem, checked_addresses, host_and_port
from delego_broker.gateway.sending import Sender
from delego_broker.gateway.service import Gateway
from delego_broker.gateway.settings import Credential, Route, Source
from delego_broker.replay import MemoryReplayStore
from delego_broker.verifier import TokenVerifier
from delego_spec.action import Action
from delego_spec.gateway import Executed, Refused, response_from_json
from delego_spec.globs import Glob
from gateways import (
    AUDIENCE,
    HEADER_SECRET,
    SECRET,
    SIGNER,
    Upstream,
    execute,
    execute_all,
    request_for,
    route_to,
    token_for,
)

KEY = Credential(Source(env="GATEWAY_TEST_KEY"), "header", name="X-Api-Key")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    yield service
    service.close()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TEST_KEY", HEADER_SECRET)


def call(
    upstream: Upstream, path: str, method: str = "GET", params: dict[str, Any] | None = None, **route: Any
) -> Executed | Refused:
    upstream.requests.clear()
    served = route_to(upstream.authority, **({"credentials": (KEY,)} | route))
    return execute(request_for(method, f"http://{upstream.authority}{path}", params), served)


def answered(outcome: Executed | Refused) -> Executed:
    assert isinstance(outcome, Executed), outcome
    assert outcome.error is None
    return outcome


def unknown(outcome: Executed | Refused) -> Executed:
    assert isinstance(outcome, Executed), outcome
    assert outcome.error is not None
    return outcome


def test_what_is_sent_is_what_was_authorised_and_the_credential(upstream: Upstream) -> None:
    outcome = answered(call(upstream, "/echo?b=two%20words&a=1", "POST", {"amount": 3}, idempotency_key=True))
    (sent,) = upstream.requests
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /echo?a=1&b=two%20words HTTP/1.1"
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert headers.pop("Idempotency-Key").startswith("jti-")
    assert headers == {
        "Host": upstream.authority,
        "User-Agent": "delego-broker",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": "12",
        "X-Api-Key": HEADER_SECRET,
    }
    assert body == b'{"amount":3}'
    assert outcome.status == 200
    assert HEADER_SECRET not in json.dumps(outcome.result)


def test_a_request_without_a_body_has_no_trace_of_one(upstream: Upstream) -> None:
    answered(call(upstream, "/echo"))
    head = upstream.requests[0].lower()
    assert b"content-" not in head
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("credential", "found"),
    [
        (Credential(Source(env="GATEWAY_TEST_KEY"), "bearer"), f"Authorization: Bearer {HEADER_SECRET}"),
        (
            Credential(Source(env="GATEWAY_TEST_KEY"), "basic", user="me"),
            "Authorization: Basic " + base64.b64encode(f"me:{HEADER_SECRET}".encode()).decode(),
        ),
        (
            Credential(Source(env="GATEWAY_TEST_KEY"), "query", name="api key"),
            f"GET /echo?a=1&api%20key={HEADER_SECRET} ",
        ),
    ],
)
def test_each_place_of_a_credential(upstream: Upstream, credential: Credential, found: str) -> None:
    outcome = answered(call(upstream, "/echo?a=1", credentials=(credential,)))
    assert found in upstream.requests[0].decode()
    shown = json.dumps(outcome.result)
    assert HEADER_SECRET not in shown
    assert found.rpartition(" ")[2] not in shown or credential.place == "query"


def test_a_secret_that_needs_escapes_travels_in_the_query_and_does_not_come_back(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_TEST_KEY", SECRET)
    credential = Credential(Source(env="GATEWAY_TEST_KEY"), "query", name="key")
    outcome = answered(call(upstream, "/echo", credentials=(credential,)))
    assert b"key=sk-live%2F%22q%2B7%26%3D%25%C3%A9 HTTP" in upstream.requests[0]
    assert outcome.result["target"] == "/echo?key=[redacted]"  # type: ignore[index,call-overload]  # JSON


def test_a_route_without_credentials_sends_none(upstream: Upstream) -> None:
    answered(call(upstream, "/echo", credentials=()))
    assert HEADER_SECRET.encode() not in upstream.requests[0]


# --- what services answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "result"),
    [
        ("/nothing", 204, None),
        ("/teapot", 418, {"short": "stout"}),
        ("/text", 200, {"note": "the body is 'text/plain'", "text": "grüße"}),
        ("/bytes", 200, {"note": "the body is 'application/octet-stream'", "base64": "AAH/"}),
        ("/cookie", 200, {}),
        ("/redirect", 302, None),
        ("/gzip", 200, {"note": "the body is compressed, which was not asked for; it is withheld"}),
        ("/deep", 200, {"note": "the answer does not fit into a message"}),
    ],
)
def test_an_answer_travels_as_values(upstream: Upstream, path: str, status: int, result: Any) -> None:
    outcome = answered(call(upstream, path))
    assert (outcome.status, outcome.result) == (status, result)
    assert len(upstream.requests) == 1  # a redirect is followed to nowhere


def test_bytes_that_hold_the_credential_are_withheld(upstream: Upstream) -> None:
    result = answered(call(upstream, "/mirror")).result
    assert result == {
        "note": "the body is 'application/octet-stream', and holds a credential; it is withheld"
    }
    assert "base64" in str(answered(call(upstream, "/mirror", credentials=())).result)


def test_json_beyond_the_canonical_values_travels_as_text(upstream: Upstream) -> None:
    result: Any = answered(call(upstream, "/odd")).result
    assert result["text"] == '{"n": 1e400}'
    assert "no JSON value that travels" in result["note"]


def test_only_named_headers_are_passed_on(upstream: Upstream) -> None:
    outcome = answered(call(upstream, "/cookie", response_headers=frozenset({"x-request-id"})))
    assert outcome.result == {"headers": {"x-request-id": "7"}, "body": {}}


@pytest.mark.parametrize("path", ["/huge", "/endless"])
def test_a_body_without_an_end_is_not_read_to_it(upstream: Upstream, path: str) -> None:
    outcome = answered(call(upstream, path, max_response=1000))
    assert outcome.result == {"note": "the body has more than 1000 bytes and was not read to its end"}


def test_a_body_of_the_allowed_length_is_read(upstream: Upstream) -> None:
    assert answered(call(upstream, "/teapot", max_response=17)).result == {"short": "stout"}
    assert "note" in str(answered(call(upstream, "/teapot", max_response=16)).result)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/silent", "took too long"),
        ("/drip", "no whole answer within"),
        ("/until_closed", "no whole answer within"),
        ("/informational", "no whole answer within"),
        ("/cut", "no HTTP, or was cut short"),
        ("/early", "cut short"),
        ("/junk", "no HTTP"),
        ("/headers", "no HTTP"),
        ("/switch", "no HTTP"),
    ],
)
def test_an_answer_that_is_none_means_outcome_unknown(upstream: Upstream, path: str, said: str) -> None:
    began = time.monotonic()
    outcome = unknown(call(upstream, path, "POST", {"a": 1}, read_timeout=0.5, total_timeout=1.5))
    assert said in str(outcome.error)
    assert len(upstream.requests) == 1  # never a second time
    assert time.monotonic() - began < 10


# --- before a byte has left --------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_a_refusal_and_the_token_is_spent(upstream: Upstream) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        authority = f"127.0.0.1:{taken.getsockname()[1]}"
        request = request_for("POST", f"http://{authority}/x")
        first, second = execute_all([request, request], route_to(authority))
    assert isinstance(first, Refused)
    assert first.code == "unsupported"
    assert "no connection" in first.message
    assert isinstance(second, Refused)
    assert second.code == "already_consumed"


def test_a_missing_secret_refuses_and_does_not_burn_the_token(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.requests.clear()
    store = MemoryReplayStore()
    route = route_to(upstream.authority, credentials=(KEY,))
    request = request_for("POST", f"http://{upstream.authority}/echo")
    monkeypatch.delenv("GATEWAY_TEST_KEY")
    refused = execute(request, route, store=store)
    assert isinstance(refused, Refused)
    assert refused.code == "unsupported"
    assert "GATEWAY_TEST_KEY" in refused.message
    assert upstream.requests == []
    monkeypatch.setenv("GATEWAY_TEST_KEY", HEADER_SECRET)
    answered(execute(request, route, store=store))


def test_a_token_that_does_not_verify_sends_nothing(upstream: Upstream) -> None:
    upstream.requests.clear()
    url = f"http://{upstream.authority}/echo"
    good = request_for("POST", url, {"a": 1})
    other = request_for("POST", url, {"a": 2}, token=good.authorization_token)
    late = request_for("POST", url, now=int(time.time()) - 400)
    elsewhere = request_for("POST", url, aud="another")
    none = request_for("POST", url, token="a.b.c")
    outcomes = execute_all([other, late, elsewhere, none], route_to(upstream.authority))
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Refused)] == ["token_invalid"] * 4
    assert upstream.requests == []
    answered(execute(good, route_to(upstream.authority)))


def test_a_request_without_a_token_reads_no_secret(upstream: Upstream, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    touch = Credential(Source(command=("touch", str(mark))), "bearer")
    good = request_for("POST", f"http://{upstream.authority}/echo")
    bare = type(good)(good.method, good.url, {}, good.intent_hash, good.action_fingerprint)
    outcome = execute(bare, route_to(upstream.authority, credentials=(touch,)))
    assert isinstance(outcome, Refused)
    assert outcome.code == "token_invalid"
    assert not mark.exists()


def test_a_store_that_fails_sends_nothing(upstream: Upstream) -> None:
    class Broken(MemoryReplayStore):
        def consume(self, *_: Any, **__: Any) -> Any:
            raise ReplayStoreError("the disk is gone")

    upstream.requests.clear()
    outcome = execute(
        request_for("POST", f"http://{upstream.authority}/echo"),
        route_to(upstream.authority),
        store=Broken(),
    )
    assert isinstance(outcome, Refused)
    assert outcome.code == "unsupported"
    assert upstream.requests == []


def test_what_is_ended_while_a_secret_is_read_uses_no_token_up(upstream: Upstream, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    script = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.01; done; echo {HEADER_SECRET}"
    slow = Credential(Source(command=("sh", "-c", script)), "bearer")
    route, store = route_to(upstream.authority, credentials=(slow,)), MemoryReplayStore()
    request = request_for("POST", f"http://{upstream.authority}/echo")
    upstream.requests.clear()

    async def run() -> None:
        verifier = TokenVerifier({SIGNER.public_key.key_id: SIGNER.public_key}, AUDIENCE, store)
        gateway = Gateway((route,), verifier, Sender((route,)), log=lambda _: None)
        task = asyncio.create_task(gateway.execute(request))
        while not begun.exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.touch()
        await gateway.aclose(wait=True)

    asyncio.run(run())
    assert upstream.requests == []
    answered(execute(request, route, store=store))


def test_one_time_holds_for_name_secrets_and_answer_together(upstream: Upstream) -> None:
    async def slowly(_: str, __: int) -> list[str]:
        await asyncio.sleep(0.2)
        return ["127.0.0.1"]

    authority, store = f"localhost:{upstream.port}", MemoryReplayStore()
    hangs = Credential(Source(command=("sleep", "60"), timeout=60.0), "bearer")
    request = request_for("POST", f"http://{authority}/echo")
    upstream.requests.clear()
    slow = route_to(authority, credentials=(hangs, hangs), total_timeout=1.0)
    refused = execute(request, slow, resolver=slowly, store=store)
    assert isinstance(refused, Refused)
    assert "did not end within" in refused.message
    assert upstream.requests == []
    answered(execute(request, route_to(authority), store=store))


def test_a_request_whose_time_is_over_before_its_turn_is_not_sent(upstream: Upstream, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    script = f"touch {begun}; while [ ! -e {go} ]; do sleep 0.01; done; echo {HEADER_SECRET}"
    slow = Credential(Source(command=("sh", "-c", script), timeout=60.0), "bearer")
    first = route_to(upstream.authority, path=Glob("/echo"), credentials=(slow,), total_timeout=60.0)
    second = route_to(upstream.authority, name="second", total_timeout=0.05)
    upstream.requests.clear()

    async def run() -> Executed | Refused:
        verifier = TokenVerifier({SIGNER.public_key.key_id: SIGNER.public_key}, AUDIENCE, MemoryReplayStore())
        routes = (first, second)
        gateway = Gateway(routes, verifier, Sender(routes), log=lambda _: None, threads=1)
        url = f"http://{upstream.authority}"
        held = asyncio.create_task(gateway.execute(request_for("GET", f"{url}/echo")))
        while not begun.exists():
            await asyncio.sleep(0.01)
        late = asyncio.create_task(gateway.execute(request_for("GET", f"{url}/other")))
        await asyncio.sleep(0.1)  # the second's time passes in the line
        go.touch()
        answered(response_from_json(await held))
        said = response_from_json(await late)
        await gateway.aclose(wait=True)
        return said

    refused = asyncio.run(run())
    assert isinstance(refused, Refused)
    assert "time for this request was over" in refused.message
    assert [head.split()[1] for head in upstream.requests] == [b"/echo"]


def test_the_token_is_used_up_before_anything_is_sent(upstream: Upstream) -> None:
    seen: list[int] = []

    class Watched(MemoryReplayStore):
        def consume(self, *args: Any, **more: Any) -> Any:
            seen.append(upstream.connections)
            return super().consume(*args, **more)

    before = upstream.connections
    answered(
        execute(
            request_for("POST", f"http://{upstream.authority}/echo"),
            route_to(upstream.authority),
            store=Watched(),
        )
    )
    assert seen == [before]
    assert upstream.connections == before + 1


# --- where it may go ---------------------------------------------------------------------------------------

ANY = ".".join("0000")
NOWHERE = [
    "127.0.0.1", "127.1.2.3", ANY, "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.1.1",
    "169.254.169.254", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
    "::1.2.3.4", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", NOWHERE)
def test_an_address_off_the_public_internet_is_refused(address: str) -> None:
    assert address_problem(address, ()) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert address_problem(address, ()) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [("127.0.0.1", "127.0.0.0/8"), ("10.1.2.3", "10.1.0.0/16"), ("fd00::1", "fd00::/8"), ("::1", "::1/128")],
)
def test_a_route_may_allow_a_network(address: str, network: str) -> None:
    assert address_problem(address, [ipaddress.ip_network(network)]) is None


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "224.0.0.1", "::ffff:127.0.0.1", ANY],
)
def test_some_addresses_no_route_may_allow(address: str) -> None:
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    assert address_problem(address, everything) is not None


def resolving(answers: list[list[str]]) -> Any:
    async def resolve(_: str, __: int) -> list[str]:
        return answers.pop(0)

    return resolve


@pytest.mark.parametrize(
    "answer", [[], ["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], ["8.8.8.8"] * 17, ["::ffff:8.8.8.8"]]
)
def test_an_answer_with_one_wrong_address_is_refused_whole(answer: list[str]) -> None:
    found = asyncio.run(checked_addresses("api.example.com", 443, (), resolving([answer])))
    assert isinstance(found, str)


def test_an_authority_is_split() -> None:
    assert host_and_port("[::1]:8080", 80) == ("::1", 8080)
    assert host_and_port("a.example", 443) == ("a.example", 443)
    with pytest.raises(ValueError, match="no authority"):
        host_and_port("a:b:c", 80)


def test_a_dns_answer_that_changes_is_never_asked_for(upstream: Upstream) -> None:
    authority = f"localhost:{upstream.port}"
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    outcome = answered(
        execute(
            request_for("GET", f"http://{authority}/echo"),
            route_to(authority),
            resolver=resolving(answers),
        )
    )
    assert outcome.result["headers"]["Host"] == authority  # type: ignore[index,call-overload]  # JSON
    assert answers == [["169.254.169.254"]]


def test_a_dns_answer_to_a_private_address_sends_nothing_and_burns_nothing(upstream: Upstream) -> None:
    authority = f"localhost:{upstream.port}"
    upstream.requests.clear()
    request = request_for("GET", f"http://{authority}/echo")
    first, second = execute_all(
        [request, request], route_to(authority), resolver=resolving([["10.0.0.1"], ["127.0.0.1"]])
    )
    assert isinstance(first, Refused)
    assert first.code == "unsupported"
    answered(second)
    assert len(upstream.requests) == 1


def test_plain_http_goes_to_loopback_only(upstream: Upstream) -> None:
    authority = f"localhost:{upstream.port}"
    route = route_to(authority, allow_networks=(ipaddress.ip_network("10.0.0.0/8"),))
    outcome = execute(
        request_for("GET", f"http://{authority}/echo"), route, resolver=resolving([["10.0.0.1"]])
    )
    assert isinstance(outcome, Refused)
    assert "not loopback" in outcome.message


def test_a_name_that_does_not_resolve_is_refused(upstream: Upstream) -> None:
    async def fails(_: str, __: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    async def hangs(_: str, __: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    authority = f"localhost:{upstream.port}"
    for resolver in (fails, hangs):
        outcome = execute(
            request_for("GET", f"http://{authority}/echo"),
            route_to(authority, connect_timeout=0.2),
            resolver=resolver,
        )
        assert isinstance(outcome, Refused)
        assert outcome.code == "unsupported"


def test_the_next_address_is_tried_only_where_no_connection_came_about(upstream: Upstream) -> None:
    authority = f"localhost:{upstream.port}"
    upstream.requests.clear()
    answers = [["127.0.0.2", "127.0.0.1"]]  # the service is bound to 127.0.0.1 alone
    answered(
        execute(
            request_for("GET", f"http://{authority}/echo"),
            route_to(authority),
            resolver=resolving(answers),
        )
    )
    assert len(upstream.requests) == 1


# --- TLS ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority_files(tmp_path_factory: pytest.TempPathFactory) -> certificates.Files:
    return certificates.make(tmp_path_factory.mktemp("tls"), "service.example")


@pytest.fixture(scope="module")
def secure(authority_files: certificates.Files) -> Iterator[Upstream]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority_files.certificate, authority_files.key)
    service = Upstream(context)
    yield service
    service.close()


def tls_call(
    secure: Upstream, host: str, ca: Path | None, path: str = "/echo", **changes: Any
) -> Executed | Refused:
    secure.requests.clear()
    authority = f"{host}:{secure.port}"
    route = route_to(authority, plain_http=False, ca_file=ca, credentials=(KEY,), **changes)
    return execute(
        request_for("GET", f"https://{authority}{path}"), route, resolver=resolving([["127.0.0.1"]])
    )


def test_an_answer_without_an_end_is_cut_over_tls_too(
    secure: Upstream, authority_files: certificates.Files
) -> None:
    outcome = unknown(
        tls_call(secure, "service.example", authority_files.ca, "/until_closed", total_timeout=1.5)
    )
    assert "no whole answer within" in str(outcome.error)


def test_the_certificate_is_checked_against_the_host_not_the_address(
    secure: Upstream, authority_files: certificates.Files
) -> None:
    outcome = answered(tls_call(secure, "service.example", authority_files.ca))
    assert outcome.result["headers"]["Host"] == f"service.example:{secure.port}"  # type: ignore[index,call-overload]  # JSON


@pytest.mark.parametrize(("host", "trusted"), [("other.example", True), ("service.example", False)])
def test_a_certificate_of_another_host_or_authority_gets_no_credential(
    secure: Upstream, authority_files: certificates.Files, host: str, trusted: bool
) -> None:
    outcome = tls_call(secure, host, authority_files.ca if trusted else None)
    assert isinstance(outcome, Refused)
    assert outcome.code == "unsupported"
    assert "certificate" in outcome.message
    assert secure.requests == []


def test_the_environment_changes_nothing(
    secure: Upstream,
    upstream: Upstream,
    authority_files: certificates.Files,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    keys = tmp_path / "keys.log"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_files.ca))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    answered(call(upstream, "/echo"))
    answered(tls_call(secure, "service.example", authority_files.ca))
    assert isinstance(tls_call(secure, "service.example", None), Refused)
    assert not keys.exists()


def test_certificates_that_cannot_be_read_are_said_at_the_start(tmp_path: Path) -> None:
    route: Route = route_to("a.example", plain_http=False, ca_file=tmp_path / "none.pem")
    with pytest.raises(DelegoBrokerError, match=r"none\.pem"):
        Sender([route])


# --- what is logged ----------------------------------------------------------------------------------------


def test_a_request_has_one_line_in_the_log_without_params_secrets_and_tokens(upstream: Upstream) -> None:
    log: list[Any] = []
    url = f"http://{upstream.authority}/echo?private=query"
    requests = [
        request_for("POST", url, {"card": "4111-1111"}),
        request_for("POST", url, {"card": "4111-1111"}, aud="another"),
        request_for("POST", "https://other.example/private", {"card": "4111-1111"}),
        request_for("POST", f"http://{upstream.authority}/early"),
    ]
    execute_all(requests, route_to(upstream.authority, credentials=(KEY,)), log=log)
    assert [line["outcome"] for line in log] == ["executed", "refused", "refused", "unknown"]
    assert log[0]["jti"].startswith("jti-")
    assert log[0]["route"] == "svc"
    assert log[0]["fingerprint"] == requests[0].action_fingerprint
    assert log[0]["status"] == 200
    text = json.dumps(log)
    for hidden in ("4111-1111", "private", HEADER_SECRET, str(requests[0].authorization_token)):
        assert hidden not in text


def test_a_genuine_token_that_was_refused_is_in_the_log_by_its_jti(upstream: Upstream) -> None:
    log: list[Any] = []
    url = f"http://{upstream.authority}/echo"
    token = token_for(Action("do it", "POST", url, {"amount": 1}), jti="jti-to-revoke")
    other = request_for("POST", url, {"amount": 2}, token=token)
    execute_all(
        [other, request_for("POST", url, token="no.token.at-all")], route_to(upstream.authority), log=log
    )
    assert [line.get("jti") for line in log] == ["jti-to-revoke", None]
