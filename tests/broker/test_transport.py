"""A client-side broker: verified as it is about to be sent, and only then is the credential added."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from delego_broker.replay import MemoryReplayStore
from delego_broker.transport import AsyncTokenTransport, TokenRefused, TokenTransport
from delego_broker.verifier import TokenVerifier
from delego_spec.action import Action
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds, JSONObject
from far_ends import AUDIENCE, NOW, FarEnd, far_end, http, says
from houses import TOKEN_KEY
from pem_files import make_certificates

SECRET = "sk-live-4242"
PARAMS: JSONObject = {"amount": 2400, "currency": "USD"}


@pytest.fixture
def end() -> Iterator[FarEnd]:
    with far_end(says(http(b'{"done": true}'))) as made:
        yield made


def token(end: FarEnd, method: str = "POST", target: str = "/orders", params: JSONObject = PARAMS) -> str:
    action = Action("do it", method, f"{end.url}{target}", params)
    claims = Claims(
        iss="delego",
        aud=AUDIENCE,
        iat=EpochSeconds(NOW),
        exp=EpochSeconds(NOW + 45),
        jti="j-1",
        cns="c-1",
        fpr=action.fingerprint,
        iht=action.intent_hash,
    )
    return mint(claims, TOKEN_KEY)


def verifier(store: Any = None) -> TokenVerifier:
    keys = {TOKEN_KEY.public_key.key_id: TOKEN_KEY.public_key}
    return TokenVerifier(keys, AUDIENCE, store or MemoryReplayStore(), clock=lambda: NOW + 1)


def credential(_: httpx2.Request) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRET}"}


def client(made: Callable[[httpx2.Request], dict[str, str]] = credential, **more: Any) -> httpx2.Client:
    return httpx2.Client(transport=TokenTransport(verifier(), made), **more)


def heads(end: FarEnd) -> list[str]:
    """The lines of the one request that arrived."""
    (came,) = end.requests
    return came.partition(b"\r\n\r\n")[0].decode("latin-1").lower().split("\r\n")


def test_the_credential_goes_to_the_service_and_the_token_does_not(end: FarEnd) -> None:
    used = token(end)
    with client() as broker:
        answer = broker.post(
            f"{end.url}/orders",
            json=PARAMS,
            headers={"Authorization": f"Delego {used}", "Cookie": "a=b", "X-Agent": "1", "Accept": "a/b"},
        )
    assert (answer.status_code, answer.json()) == (200, {"done": True})
    assert f"authorization: bearer {SECRET}" in heads(end)
    assert "accept: a/b" in heads(end)
    assert not [line for line in heads(end) if line.startswith(("cookie", "x-agent"))]
    assert used.encode() not in end.requests[0]
    assert json.loads(end.requests[0].partition(b"\r\n\r\n")[2]) == PARAMS
    assert SECRET not in str(dict(answer.request.headers))


def test_a_read_has_no_params(end: FarEnd) -> None:
    used = token(end, "GET", "/accounts/me?verbose=1", {})
    with client() as broker:
        headers = {"Authorization": f"Delego {used}"}
        assert broker.get(f"{end.url}/accounts/me", params={"verbose": "1"}, headers=headers).is_success


def test_the_asynchronous_one_does_the_same(end: FarEnd) -> None:
    async def run() -> None:
        transport = AsyncTokenTransport(verifier(), credential)
        headers = {"Authorization": f"Delego {token(end)}"}
        async with httpx2.AsyncClient(transport=transport) as broker:
            answer = await broker.post(f"{end.url}/orders", json=PARAMS, headers=headers)
            assert answer.json() == {"done": True}
            with pytest.raises(TokenRefused) as caught:
                await broker.post(f"{end.url}/orders", json=PARAMS, headers=headers)
            assert caught.value.code == "already_consumed"

    asyncio.run(run())
    assert len(end.requests) == 1
    assert f"authorization: bearer {SECRET}" in heads(end)


def test_a_token_sends_one_request(end: FarEnd) -> None:
    headers = {"Authorization": f"Delego {token(end)}"}
    with client() as broker:
        broker.post(f"{end.url}/orders", json=PARAMS, headers=headers)
        with pytest.raises(TokenRefused, match="already_consumed") as caught:
            broker.post(f"{end.url}/orders", json=PARAMS, headers=headers)
    assert caught.value.code == "already_consumed"
    assert len(end.requests) == 1


def raw(method: str, url: str, content: bytes, **headers: str) -> dict[str, Any]:
    return {"method": method, "url": url, "content": content, "headers": headers}


def fits(end: FarEnd, **changed: Any) -> dict[str, Any]:
    """Keyword arguments of the request that the token is for, with something else about it."""
    headers = {"Authorization": f"Delego {token(end)}", "Content-Type": "application/json"}
    return {
        "method": "POST",
        "url": f"{end.url}/orders",
        "content": json.dumps(PARAMS).encode(),
        "headers": headers | changed.pop("headers", {}),
        **changed,
    }


REFUSED: dict[str, tuple[Callable[[FarEnd], dict[str, Any]], str]] = {
    "no token": (lambda end: fits(end, headers={"Authorization": "Bearer x"}), "missing"),
    "a rotten token": (lambda end: fits(end, headers={"Authorization": "Delego a.b.c"}), "malformed"),
    "another method": (lambda end: fits(end, method="PUT"), "binding"),
    "another path": (lambda end: fits(end, url=f"{end.url}/orders/7"), "binding"),
    "another host": (lambda end: fits(end, url="https://other.example/orders"), "binding"),
    "a query more": (lambda end: fits(end, url=f"{end.url}/orders?x=1"), "binding"),
    "plain http": (lambda end: fits(end, url="http://api.example.com/orders"), "binding"),
    # httpx2 makes a credential of it, in the place of the token.
    "user information": (
        lambda end: fits(end, url=end.url.replace("http://", "http://a:b@") + "/orders"),
        "missing",
    ),
    "a param more": (lambda end: fits(end, content=b'{"amount":2400,"currency":"USD","to":"me"}'), "binding"),
    "a member twice": (
        lambda end: fits(end, content=b'{"amount":1,"amount":2400,"currency":"USD"}'),
        "binding",
    ),
    "no object": (lambda end: fits(end, content=b"[]"), "binding"),
    "no body": (lambda end: fits(end, content=b""), "binding"),
    "a form": (
        lambda end: fits(end, headers={"Content-Type": "application/x-www-form-urlencoded"}),
        "binding",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_before_the_credential_is_read(end: FarEnd, case: str) -> None:
    def never(_: httpx2.Request) -> dict[str, str]:
        raise AssertionError("the credential was asked for")

    make, code = REFUSED[case]
    with client(never) as broker, pytest.raises(TokenRefused) as caught:
        broker.request(**make(end))
    assert caught.value.code == code
    assert end.connections == 0


def bound_to(url: str) -> dict[str, str]:
    action = Action("do it", "GET", url, {})
    claims = Claims(
        "delego", AUDIENCE, EpochSeconds(NOW), EpochSeconds(NOW + 45), "j", "c",
        action.fingerprint, action.intent_hash,
    )  # fmt: skip
    return {"Authorization": f"Delego {mint(claims, TOKEN_KEY)}"}


def test_a_credential_never_travels_over_plain_http_to_another_host() -> None:
    headers = bound_to("https://api.example.com/x")  # the fingerprint does not hold the scheme
    with client() as broker, pytest.raises(TokenRefused, match="scheme"):
        broker.get("http://api.example.com/x", headers=headers)


def test_repeated_names_whose_order_was_turned_round_are_refused(end: FarEnd) -> None:
    headers = bound_to(f"{end.url}/s?id=1&id=2")
    with client() as broker:
        with pytest.raises(TokenRefused, match="binding"):
            broker.get(f"{end.url}/s?id=2&id=1", headers=headers)
        assert broker.get(f"{end.url}/s?id=1&id=2", headers=headers).is_success


def test_the_environment_names_no_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = make_certificates(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.server)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    refused = pytest.raises(httpx2.ConnectError)
    with far_end(says(http(b"{}")), tls=server) as end, client() as broker, refused:
        broker.get(f"{end.url}/x", headers=bound_to(f"{end.url}/x"))
    assert end.requests == []
    assert not (tmp_path / "keys").exists()


def test_a_host_header_of_the_callers_does_not_travel(end: FarEnd) -> None:
    with client() as broker:
        broker.request(**fits(end, headers={"Host": "other.example"}))
    assert f"host: {end.url.removeprefix('http://')}" in heads(end)


def test_a_target_of_the_callers_does_not_travel(end: FarEnd) -> None:
    with client() as broker:
        broker.request(**fits(end, extensions={"target": b"/admin", "sni_hostname": "other.example"}))
    assert heads(end)[0] == "post /orders http/1.1"


def test_a_redirect_leads_nowhere() -> None:
    answer = http(b"", "307 Temporary Redirect", Location="/elsewhere")
    with far_end(says(answer)) as end, client(follow_redirects=True) as broker:
        with pytest.raises(TokenRefused) as caught:
            broker.request(**fits(end))
        assert caught.value.code == "binding"
    assert end.connections == 1


def test_the_environment_sends_the_credential_nowhere_else(
    end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with far_end(says(http(b"{}"))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with client() as broker:
            assert broker.request(**fits(end)).json() == {"done": True}
    assert proxy.connections == 0


def test_a_credential_that_cannot_be_had_sends_nothing(end: FarEnd) -> None:
    def locked(_: httpx2.Request) -> dict[str, str]:
        raise LookupError("the keyring is locked")

    with client(locked) as broker, pytest.raises(LookupError):
        broker.request(**fits(end))
    assert end.connections == 0


def test_without_httpx2_one_line_names_the_extra() -> None:
    program = """
import sys
sys.modules["httpx2"] = None
try:
    import delego_broker.transport
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "MissingExtra delego_broker.transport needs httpx2; run: pip install 'delego-spec[broker]'\n"
    )
