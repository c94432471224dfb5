"""Home, authorizer, gateway and service together: kills, a rotation under load, where no secret is."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from delego_authorizer import Authorizer, Decision, Home, init_home
from delego_authorizer.tokenkeys import (
    LEAST_OVERLAP,
    complete_rotation,
    prepare_rotation,
    published_token_keys,
)
from delego_broker import GatewayBroker, GatewayRequest, Refused
from delego_broker.gateway.listening import bind
from delego_broker.gateway.secrets import MIN_CHARACTERS
from delego_broker.gateway.settings import Listen
from delego_ledger.files import write_atomically
from delego_spec.action import Action
from delego_spec.jwks import jwks_document
from delego_spec.types import EpochSeconds
from gateways import AUDIENCE, HEADER_SECRET, BrokerProcess, Upstream
from houses import story, verified

PATIENCE = 30.0  # seconds; a limit for hangs, not a wait


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    yield service
    service.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    policy = "default: deny\nrules: [{ name: all, decision: allow, match: { path: '*' } }]"
    config = f'[tokens]\naudience = "{AUDIENCE}"\n'
    return init_home(tmp_path / "home", approver="alice", policy_text=policy, config_text=config)


def publish(home: Home, folder: Path) -> None:
    """What ``delego keys jwks --out`` does."""
    keys = [one.key for one in published_token_keys(home, EpochSeconds(int(time.time())))]
    document = json.dumps(jwks_document(keys)).encode()
    write_atomically(folder / "jwks.json", document, overwrite=True, mode=0o644)


@pytest.fixture
def gateway(home: Home, upstream: Upstream, tmp_path: Path) -> Iterator[BrokerProcess]:
    folder = tmp_path / "gateway"
    folder.mkdir()
    publish(home, folder)
    config = f"""\
audience: {AUDIENCE}
listen: {{address: "127.0.0.1:0", stop_seconds: 1}}
keys: {{jwks_file: jwks.json}}
store: {{sqlite: used.db}}
routes:
  - name: svc
    host: {upstream.authority}
    methods: [GET, POST]
    plain_http: true
    allow_networks: [127.0.0.0/8]
    secrets: [{{env: API_KEY, as: header, name: X-Api-Key}}]
"""
    assert len(HEADER_SECRET) >= MIN_CHARACTERS
    process = BrokerProcess(folder, config, API_KEY=HEADER_SECRET)
    yield process
    process.stop()


class Spy:
    """A gateway's client, and the requests that went through it."""

    def __init__(self, gateway: BrokerProcess) -> None:
        self.client = GatewayBroker(f"http://127.0.0.1:{gateway.port}", AUDIENCE, timeout=PATIENCE)
        self.requests: list[GatewayRequest] = []

    def execute(self, request: GatewayRequest) -> object:
        self.requests.append(request)
        return self.client.execute(request)


def opened(home: Home, broker: object) -> Authorizer:
    return home.authorizer(broker)  # type: ignore[arg-type]  # a broker, or a spy around one


def action(upstream: Upstream, path: str, number: int = 0) -> Action:
    return Action("do it", "POST", f"http://{upstream.authority}/{path}", {"number": number})


def test_a_gateway_killed_in_mid_request_leaves_outcome_unknown_and_a_restart_sends_nothing_again(
    home: Home, upstream: Upstream, gateway: BrokerProcess
) -> None:
    spy, decisions = Spy(gateway), list[Decision]()
    authorizer = opened(home, spy)
    with closing(authorizer.ledger):
        thread = threading.Thread(
            target=lambda: decisions.append(authorizer.propose(action(upstream, "silent")))
        )
        thread.start()
        assert upstream.arrived.wait(PATIENCE)
        gateway.process.kill()
        gateway.process.wait(PATIENCE)
        thread.join(PATIENCE)
        (decision,) = decisions
        assert (decision.outcome, decision.executed) == ("allow", None)
        assert story(authorizer.ledger)[-1].startswith("execution/allow: ")
        assert any(
            text.startswith("outcome unknown: the gateway's answer is lost") for text in decision.reasons
        )

    gateway.start()
    again = opened(home, Spy(gateway))
    with closing(again.ledger):
        assert again.recover() == ()
        verified(again.ledger)
    # Not even the very same message, token and all, is sent a second time.
    outcome = Spy(gateway).execute(spy.requests[0])
    assert isinstance(outcome, Refused)
    assert outcome.code == "already_consumed"
    assert len(upstream.requests) == 1


def test_an_authorizer_killed_while_the_gateway_works_says_outcome_unknown_and_sends_nothing_again(
    home: Home, upstream: Upstream, gateway: BrokerProcess
) -> None:
    program = f"""
from delego_authorizer import open_home
from delego_broker import GatewayBroker
from delego_spec import Action
broker = GatewayBroker("http://127.0.0.1:{gateway.port}", {AUDIENCE!r}, timeout=30)
action = Action("do it", "POST", "http://{upstream.authority}/silent", {{"number": 0}})
open_home({str(home.path)!r}, broker).propose(action)
"""
    with subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ)) as process:
        assert upstream.arrived.wait(PATIENCE)
        process.send_signal(signal.SIGKILL)
    authorizer = opened(home, Spy(gateway))  # opening recovers
    with closing(authorizer.ledger):
        assert "outcome unknown" in " ".join(str(line) for line in authorizer.ledger.lines())
        verified(authorizer.ledger)
    assert len(upstream.requests) == 1


def test_the_token_key_is_rotated_twice_under_load_and_not_one_request_is_refused(
    home: Home, upstream: Upstream, gateway: BrokerProcess
) -> None:
    stop, kids, failed = threading.Event(), set[str](), list[str]()
    counts = [0, 0, 0]

    def load(worker: int) -> None:
        while not stop.is_set():  # what opens a home anew reads the key that signs then
            spy = Spy(gateway)
            authorizer = opened(home, spy)
            with closing(authorizer.ledger):
                for number in range(5):
                    decision = authorizer.propose(action(upstream, "echo", number))
                    counts[worker] += 1
                    if decision.executed is not True:
                        failed.append("; ".join(decision.reasons))
            kids.update(kid_of(request) for request in spy.requests)

    threads = [threading.Thread(target=load, args=(worker,)) for worker in range(len(counts))]
    for thread in threads:
        thread.start()

    def wait_for_more() -> None:
        wanted, deadline = [count + 10 for count in counts], time.monotonic() + PATIENCE
        while any(count < least for count, least in zip(counts, wanted, strict=True)) and not failed:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    try:
        for _ in range(2):
            wait_for_more()
            prepare_rotation(home)
            publish(home, gateway.folder)
            complete_rotation(home, EpochSeconds(int(time.time())), LEAST_OVERLAP)
            publish(home, gateway.folder)
            wait_for_more()
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert failed == []
    assert len(kids) == 3
    assert len(upstream.requests) == sum(counts)


def kid_of(request: GatewayRequest) -> str:
    assert request.authorization_token is not None
    header = request.authorization_token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=="))["kid"])


def test_the_secret_reaches_the_service_and_stands_nowhere_else(
    home: Home, upstream: Upstream, gateway: BrokerProcess, tmp_path: Path
) -> None:
    spy, told = Spy(gateway), io.StringIO()
    authorizer = opened(home, spy)
    with closing(authorizer.ledger):
        for path in ("echo", "redirect", "cut", "huge", "junk", "teapot", "early"):
            told.write(repr(authorizer.propose(action(upstream, path))))
    told.write(repr(spy.client.execute(spy.requests[0])))
    told.write(json.dumps(spy.client.health()))
    assert all(HEADER_SECRET.encode() in request for request in upstream.requests)
    assert gateway.stop() == 0
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"stdout.log", "stderr.log", "ledger.db", "used.db"} <= {path.name for path in written}
    everything = told.getvalue().encode() + b"".join(path.read_bytes() for path in written)
    assert HEADER_SECRET.encode() not in everything
    assert HEADER_SECRET[8:].encode() not in everything


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    with closing(bind(Listen(host="127.0.0.1", port=0))) as bound:
        assert bound.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's delay on
