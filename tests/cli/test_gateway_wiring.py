"""A home that names a gateway: each verb that releases sends there, and doctor looks whether it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import Home
from delego_spec.gateway import Executed, GatewayRequest, response_to_json
from far_ends import FarEnd, far_end, http, says

DONE = http(response_to_json(Executed(status=201, result={"order": 7})))
READ = ["-i", "read my account", "GET", "https://api.example.com/accounts/me"]
BEARER = "s3cret-bearer-of-the-gateway"


def name_gateway(world: Any, end: FarEnd | None, *lines: str) -> None:
    """Write a configuration that names this gateway, or one that is not there."""
    gateway = f'url = "{end.url}"' if end is not None else 'socket = "nobody.sock"'
    text = "\n".join(
        [
            "version = 1",
            '[approvals]\napprovers = ["alice"]',
            '[tokens]\naudience = "https://broker.example"',
            f"[broker]\ntimeout_seconds = 20\n{gateway}",
            *lines,
        ]
    )
    Home(world.home).config_path.write_text(text, encoding="utf-8")


def test_propose_sends_to_the_gateway(home: Any) -> None:
    with far_end(says(DONE)) as end:
        name_gateway(home, end)
        decision = home.json("propose", *READ)
    assert (decision["executed"], decision["result"]) == (True, {"order": 7})
    (came,) = end.requests
    request = GatewayRequest.from_json(came.partition(b"\r\n\r\n")[2])
    assert request.url == READ[-1]
    assert request.authorization_token is not None
    assert request.authorization_token not in json.dumps(decision)


def test_resolve_sends_to_the_gateway_after_a_yes(home: Any, action: Any) -> None:
    with far_end(says(DONE)) as end:
        name_gateway(home, end)
        approval = home.parked()
        assert home.run("approve", approval, "--as", "alice", "--yes").exit_code == 0
        assert end.connections == 0
        assert home.json("resolve", approval, *action())["executed"] is True
    assert end.connections == 1


def test_batch_sends_to_the_gateway(home: Any) -> None:
    line = json.dumps({"instruction": "read", "method": "GET", "url": READ[-1]})
    with far_end(says(DONE)) as end:
        name_gateway(home, end)
        assert home.run("propose", "--batch", "-", input=f"{line}\n{line}\n").exit_code == 0
    assert end.connections == 2


def test_an_answer_that_never_came_is_an_outcome_unknown_and_no_verb_sends_again(home: Any) -> None:
    with far_end(says(b"")) as end:
        name_gateway(home, end)
        decision = home.json("propose", *READ, exit_code=1)
        assert decision["executed"] is None
        assert home.run("recover").exit_code == 0
    assert any(text.startswith("outcome unknown") for text in decision["reasons"])
    assert end.connections == 1


def test_a_gateway_that_is_not_there_was_sent_nothing(home: Any) -> None:
    name_gateway(home, None)
    result = home.run("propose", *READ)
    assert result.exit_code == 3
    assert "not_sent: the gateway cannot be reached at the socket" in result.stdout


def test_the_bearer_is_read_from_its_file_and_stands_nowhere(home: Any) -> None:
    secret = Path(home.home, "bearer")
    secret.touch(mode=0o600)
    secret.write_text(f"{BEARER}\n")
    with far_end(says(DONE)) as end:
        name_gateway(home, end, 'bearer = "file:bearer"')
        first = home.run("propose", *READ)
        secret.write_text("another-bearer-of-the-gateway")
        home.run("propose", *READ)
    assert f"Authorization: Bearer {BEARER}\r\n".encode() in end.requests[0]
    assert b"Authorization: Bearer another-bearer-of-the-gateway\r\n" in end.requests[1]
    assert BEARER not in first.output
    written = b"".join(
        path.read_bytes() for path in Path(home.home).rglob("*") if path.is_file() and path != secret
    )
    assert BEARER.encode() not in written


def test_the_bearer_is_read_from_a_variable(home: Any) -> None:
    with far_end(says(DONE)) as end:
        name_gateway(home, end, 'bearer = "env:GATEWAY_BEARER"')
        assert home.run("propose", *READ, env={"GATEWAY_BEARER": BEARER}).exit_code == 0
        without = home.run("propose", *READ)
    assert end.connections == 1
    assert without.exit_code == 3
    assert "the environment variable 'GATEWAY_BEARER' is not set" in without.stdout


def test_a_gateway_that_cannot_be_used_is_said_before_anything_is_decided(home: Any) -> None:
    with far_end(says(DONE)) as end:
        name_gateway(home, end)
        text = Home(home.home).config_path.read_text().replace("http://127.0.0.1", "https://127.0.0.1")
        Home(home.home).config_path.write_text(f'{text}\nca = "nothing.pem"\n')
        result = home.run("propose", *READ)
    assert result.exit_code == 1
    assert "the authorities" in result.stderr
    assert home.run("log", "--json").stdout == ""


def test_a_gateway_without_an_audience_is_refused(home: Any) -> None:
    Home(home.home).config_path.write_text('[broker]\nurl = "https://broker.example"\n')
    result = home.run("propose", *READ)
    assert result.exit_code == 1
    assert "tokens.audience: is missing" in result.stderr


# --- doctor ---------------------------------------------------------------------------------------------


def finding(home: Any, exit_code: int = 0) -> dict[str, Any]:
    document = home.json("doctor", exit_code=exit_code)
    (found,) = [check for check in document["checks"] if check["name"] == "broker"]
    return dict(found)


def test_doctor_says_who_sends(home: Any) -> None:
    assert finding(home)["text"] == "no gateway: what is released is sent by the caller"


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"status": "ok"}', "ok"), (b'{"status": "stopping"}', "warn"), (b"[]", "warn")]
)
def test_doctor_asks_the_gateway_how_it_is(home: Any, body: bytes, status: str) -> None:
    with far_end(says(http(body))) as end:
        name_gateway(home, end)
        found = finding(home)
    assert found["status"] == status
    assert f"{end.url} answers, for tokens to 'https://broker.example'" in found["text"]


def test_doctor_says_that_the_gateway_is_not_there(home: Any) -> None:
    name_gateway(home, None)
    found = finding(home, 3)
    assert found["status"] == "fail"
    assert "cannot be reached" in found["text"]
    assert "delego broker" in found["todo"]


def test_doctor_says_that_the_gateway_cannot_be_used(home: Any) -> None:
    with far_end(says(DONE)) as end:
        name_gateway(home, end)
        path = Home(home.home).config_path
        path.write_text(path.read_text().replace("http:", "https:") + '\nca = "nothing.pem"\n')
        assert "the authorities" in finding(home, 3)["text"]
