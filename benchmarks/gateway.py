"""What the gateway costs: the same request to the same local service, with a credential, and through it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from benchmarks.material import TOKEN_SIGNER, bare_database
from benchmarks.measure import Figure, in_turns
from benchmarks.service_child import API_KEY
from delego_broker import Executed, GatewayBroker, GatewayRequest
from delego_ledger.keyfiles import write_public_key
from delego_spec.action import Action
from delego_spec.tokens import MAX_LIFETIME, Claims, mint
from delego_spec.types import EpochSeconds, JSONObject

AUDIENCE = "https://broker.example"
ROUNDS = 400
CLIENTS = 32
MANY = 1600  # fresh tokens, for the throughput
PARAMS: JSONObject = {"amount": 2400, "currency": "USD", "destination": "internal"}
_numbers = itertools.count()


def gateway(folder: Path, _: int) -> list[Figure]:
    """Through the gateway (a process of its own, SQLite store, durable) against a direct call with httpx2."""
    with ExitStack() as stack:
        port = stack.enter_context(_service())
        address = stack.enter_context(_gateway(folder, port))
        action = Action("order", "POST", f"http://127.0.0.1:{port}/orders", PARAMS)
        broker = GatewayBroker(address, AUDIENCE)
        client = stack.enter_context(httpx2.Client(trust_env=False))
        requests = iter(_requests(action, 2 * ROUNDS + 100))

        def direct() -> None:
            answer = client.post(action.url, json=PARAMS, headers={"X-Api-Key": API_KEY})
            if answer.status_code != 200:
                raise RuntimeError(f"the service answered {answer.status_code}")

        def through() -> None:
            _execute(broker, next(requests))

        def through_kept() -> None:  # the same message from a client that keeps its connection
            message = next(requests).to_json()
            headers = {"Content-Type": "application/json"}
            answer = client.post(f"{address}/v1/execute", content=message, headers=headers)
            if answer.json().get("executed") is not True:
                raise RuntimeError(answer.text)

        bare = bare_database(folder / "bare.db")

        def durable_row() -> None:  # what one token costs on this disk, whoever uses it up
            bare.execute("INSERT INTO rows (body) VALUES (?)", (b"x" * 64,))

        for warm in (direct, through, through_kept):
            for _ in range(25):
                warm()
        direct_s, through_s, kept_s, row_s = in_turns(ROUNDS, direct, through, through_kept, durable_row)
        bare.close()
        fresh = _requests(action, MANY)
        with ThreadPoolExecutor(CLIENTS) as pool:
            start = time.perf_counter()
            list(pool.map(lambda request: _execute(broker, request), fresh))
            taken = time.perf_counter() - start

    def added(name: str, seconds: float) -> Figure:
        detail = (
            f"added / direct httpx2 call ({(seconds - direct_s) * 1e6:.0f} / {direct_s * 1e6:.0f} µs; of it"
            f" {row_s * 1e6:.0f} would be one durable row alone)"
        )
        return Figure(name, (seconds - direct_s) / direct_s, "x", 3.0, True, detail)

    detail = f"{CLIENTS} clients, {MANY:,} fresh tokens, each durable; clients and service on the same cores"
    return [
        added("gateway, as authorizers call it", through_s),
        added("gateway, over a kept connection", kept_s),
        Figure("gateway, fresh tokens", MANY / taken, "/s", 0, False, detail),
    ]


def _execute(broker: GatewayBroker, request: GatewayRequest) -> None:
    outcome = broker.execute(request)
    if not isinstance(outcome, Executed) or outcome.status != 200:
        raise RuntimeError(repr(outcome))


def _requests(action: Action, count: int) -> list[GatewayRequest]:
    """Requests with fresh tokens, made before anything is timed."""
    now = EpochSeconds(int(time.time()))
    made = []
    for _ in range(count):
        number = next(_numbers)
        claims = Claims(
            iss="delego",
            aud=AUDIENCE,
            iat=now,
            exp=EpochSeconds(now + MAX_LIFETIME),
            jti=f"jti-{number:026}",
            cns=f"cns-{number:026}",
            fpr=action.fingerprint,
            iht=action.intent_hash,
        )
        made.append(GatewayRequest.of(action, mint(claims, TOKEN_SIGNER)))
    return made


@contextmanager
def _service() -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.service_child"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def _gateway(folder: Path, port: int) -> Iterator[str]:
    write_public_key(folder / "token.pub", TOKEN_SIGNER.public_key)
    secret = folder / "api-key"
    secret.touch(mode=0o600)
    secret.write_text(API_KEY)
    config = folder / "broker.yaml"
    config.write_text(
        f"""\
audience: {AUDIENCE}
listen: {{ address: "127.0.0.1:0" }}
keys: {{ files: [token.pub] }}
store: {{ sqlite: used.db }}
routes:
  - name: shop
    host: "127.0.0.1:{port}"
    methods: [POST]
    plain_http: true
    allow_networks: [127.0.0.0/8]
    secrets: [{{ as: header, name: X-Api-Key, file: api-key }}]
"""
    )
    command = [sys.executable, "-m", "delego_cli", "broker", "--config", str(config), "--json"]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output) as process:
        try:
            while b"\n" not in log.read_bytes():
                if process.poll() is not None:
                    raise RuntimeError("the gateway did not begin")
                time.sleep(0.01)
            address = str(json.loads(log.read_bytes().splitlines()[0])["address"])
            yield f"http://{address.rpartition('/')[2]}"
        finally:
            process.kill()
