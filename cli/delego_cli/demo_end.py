"""The real end of ``delego demo``: a service, the gateway with its key, and a home that mints the tokens.

Three processes: the service, which wants an API key; the gateway, which holds it; this one, which is the
agent's side: it proposes, its authorizer decides and mints. What the agent's side gets is kept, to be
searched for the key.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from delego_authorizer.authorizer import Authorizer
from delego_authorizer.home import Home, init_home
from delego_broker.client import GatewayBroker
from delego_cli.demo_steps import Unexpected
from delego_spec.action import Action
from delego_spec.gateway import BrokerOutcome, GatewayRequest
from delego_spec.types import JSONObject

AUDIENCE: Final = "https://broker.example"
LIBRARIES: Final = ("httpx2", "starlette", "uvicorn")  # of the extra "broker"
PATIENCE: Final = 20.0  # seconds; only a process that hangs ever takes so long

_CONFIG: Final = f"""\
version = 1

[approvals]
approvers = [{{approver}}]

[tokens]
audience = "{AUDIENCE}"
"""


def missing_libraries() -> tuple[str, ...]:
    """What the gateway needs and this installation lacks."""
    return tuple(name for name in LIBRARIES if find_spec(name) is None)


class Recorder:
    """The gateway as the authorizer calls it, with a copy of all that goes in and comes back."""

    def __init__(self, inner: GatewayBroker) -> None:
        self._inner = inner
        self.requests: list[GatewayRequest] = []
        self.answers: list[str] = []

    def execute(self, request: GatewayRequest) -> BrokerOutcome:
        self.requests.append(request)
        outcome = self._inner.execute(request)
        self.answers.append(repr(outcome))
        return outcome


@dataclass(slots=True)
class RealEnd:
    """What the steps of the real end share."""

    home: Home
    key_file: Path  # the operator's; the agent's side never opens it
    origin: str  # of the service: "http://127.0.0.1:PORT"
    service: subprocess.Popen[bytes]
    gateway: subprocess.Popen[bytes]
    got: list[str] = field(default_factory=list)  # all that the agent's side was told
    said: bytes = b""  # what the gateway wrote to its log so far
    _notes: list[JSONObject] = field(default_factory=list)
    _seen: int = 0
    _recorder: Recorder | None = None
    _opened: list[Authorizer] = field(default_factory=list)

    # --- actions

    def read(self) -> Action:
        return Action("read my account details", "GET", f"{self.origin}/accounts/me", {})

    def order(self, amount: int) -> Action:
        return Action(
            "place a small order", "POST", f"{self.origin}/orders", {"amount": amount, "currency": "USD"}
        )

    # --- the two ways out of the authorizer

    @property
    def recorder(self) -> Recorder:
        """The gateway, once it listens."""
        if self._recorder is None:
            line = _line(self.gateway, "the gateway")
            self.said += line
            event = json.loads(line)
            if event.get("event") != "listening":
                raise Unexpected(f"the gateway did not begin: {event}")
            url = f"http://{str(event['address']).rpartition('/')[2]}"
            self._recorder = Recorder(GatewayBroker(url, AUDIENCE, timeout=PATIENCE))
        return self._recorder

    def authorizer(self, *, sends: bool = True) -> Authorizer:
        """The home's authorizer: through the gateway, or (a token on its way, stolen) to the caller."""
        authorizer = self.home.authorizer(self.recorder if sends else None)
        self._opened.append(authorizer)
        return authorizer

    def stolen_token(self, action: Action) -> str:
        """A good token for ``action`` that nobody has used: what an attacker hopes for."""
        decision = self.authorizer(sends=False).propose(action)
        if decision.token is None:
            raise Unexpected(f"no token was minted: {'; '.join(decision.reasons)}")
        return decision.token

    def alone(self) -> int:
        """What the service answers an agent that goes there by itself."""
        connection = http.client.HTTPConnection(self.origin.removeprefix("http://"), timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/accounts/me")
            answer = connection.getresponse()
            self.got.append(f"{answer.headers}{answer.read().decode()}")
            return answer.status

    # --- what the service saw

    def new_calls(self) -> int:
        """Requests that reached the service since the last look."""
        self._look()
        seen, self._seen = self._seen, len(self._notes)
        return self._seen - seen

    @property
    def notes(self) -> list[JSONObject]:
        """All requests that reached the service."""
        self._look()
        return self._notes

    def _look(self) -> None:
        # The service notes a request before it answers, so that what was answered is here.
        self._notes += [json.loads(line) for line in _ready(self.service).splitlines()]

    # --- the search for the key

    def agent_side(self) -> Iterator[tuple[str, bytes]]:
        """All that the agent's side has or was told, by where it is."""
        yield "an answer", "\n".join(self.got).encode()
        recorder = self.recorder
        yield "the gateway's answers", "\n".join(recorder.answers).encode()
        yield "the requests to the gateway", b"\n".join(one.to_json() for one in recorder.requests)
        self.said += _ready(self.gateway)
        yield "the gateway's log", self.said
        for path in sorted(self.home.path.rglob("*")):
            if path.is_file():
                yield f"the home's {path.name}", path.read_bytes()

    def close(self) -> None:
        for authorizer in self._opened:
            authorizer.ledger.close()


@contextmanager
def real_end(folder: Path, approver: str) -> Iterator[RealEnd]:
    """Start both processes, and end them with the block; they get ready while other steps run."""
    operator = folder / "gateway"
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, contextlib.ExitStack() as stack:
        authority = f"127.0.0.1:{listener.getsockname()[1]}"
        home = init_home(
            folder / "home", approver=approver, policy_text=_policy(authority), config_text=_CONFIG
        )
        operator.mkdir(mode=0o700)
        key_file, config = operator / "api-key", operator / "broker.yaml"
        config.write_text(_gateway_config(home, authority), encoding="utf-8")
        service = stack.enter_context(
            _child("service", str(key_file), str(listener.fileno()), keeps=listener.fileno())
        )
        gateway = stack.enter_context(_child("gateway", str(config)))
        listener.close()  # the service has it now
        end = RealEnd(home, key_file, f"http://{authority}", service, gateway)
        stack.callback(end.close)
        yield end


def _policy(authority: str) -> str:
    return f"""\
version: 1
default: deny
rules:
  - name: read-accounts
    decision: allow
    match: {{ method: GET, host: "{authority}", path: /accounts/* }}
  - name: place-order
    decision: allow
    match: {{ method: POST, host: "{authority}", path: /orders }}
    constraints: {{ amount: {{ field: amount, max: 5000, currency: USD }} }}
"""


def _gateway_config(home: Home, authority: str) -> str:
    return f"""\
audience: {AUDIENCE}
listen: {{ address: "127.0.0.1:0" }}
keys: {{ files: [{json.dumps(str((home.keys_path / "token.pub").absolute()))}] }}
store: {{ sqlite: used.db }}
routes:
  - name: shop
    host: "{authority}"
    methods: [GET, POST]
    plain_http: true
    allow_networks: [127.0.0.0/8]
    secrets:
      - {{ as: header, name: X-Api-Key, file: api-key }}
"""


@contextmanager
def _child(*arguments: str, keeps: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", "delego_cli.demo_children", *arguments]
    process = subprocess.Popen(  # noqa: S603 - this package's own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=() if keeps is None else (keeps,),
        start_new_session=True,  # Ctrl-C is for the demo, which then ends this
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[bytes], name: str) -> bytes:
    """The first line that a process says. Raises Unexpected where none comes."""
    line, deadline = b"", time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        selector.register(_out(process), selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise Unexpected(f"{name} did not begin within {PATIENCE:g} s")
            part = os.read(_out(process), 1)
            if not part:
                raise Unexpected(f"{name} ended with status {process.wait()} before it began")
            line += part
    return line


def _ready(process: subprocess.Popen[bytes]) -> bytes:
    """What a process has said and nobody has read; waits for nothing but the end of a line."""
    found = b""
    with selectors.DefaultSelector() as selector:
        selector.register(_out(process), selectors.EVENT_READ)
        while selector.select(0) or (found and not found.endswith(b"\n")):
            part = os.read(_out(process), 65536)
            if not part:
                break
            found += part
    return found


def _out(process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    return process.stdout.fileno()
