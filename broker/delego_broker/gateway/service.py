"""The order of all checks between a message and the one request that is sent for it.

    read strictly → find the route, rebuild the request → look up the address → fetch the credential
    → §9.1, which uses the token up → send once → answer

What can fail without a token's help fails before the token is used up: a credential that is missing, a host
that is elsewhere. From there on the token is spent, whatever happens: a process that is killed between the
two sends nothing when it comes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from delego_broker.errors import DelegoBrokerError
from delego_broker.gateway.routes import Prepared, prepare
from delego_broker.gateway.secrets import inject
from delego_broker.gateway.sending import Attempt, Sender
from delego_broker.gateway.settings import Route
from delego_broker.verifier import Refusal, TokenVerifier
from delego_spec.gateway import Executed, GatewayRequest, Refused, response_to_json
from delego_spec.types import JSONObject

Log: TypeAlias = Callable[[JSONObject], None]

THREADS: Final = 64  # requests at a time; others wait
STOPPING: Final = Refused("unsupported", "the gateway is stopping")
LATE: Final = Refused("unsupported", "the time for this request was over before it was sent")


@dataclass(slots=True)
class _Record:
    """What becomes of one request, for its line in the log: never params, secrets, tokens or URLs."""

    members: JSONObject = field(default_factory=dict)


class Gateway:
    """Executes requests. ``log`` gets one object for each; it must not raise."""

    def __init__(
        self,
        routes: tuple[Route, ...],
        verifier: TokenVerifier,
        sender: Sender,
        *,
        log: Log,
        threads: int = THREADS,
    ) -> None:
        self._routes = routes
        self._verifier = verifier
        self._sender = sender
        self._log = log
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="delego-gateway")
        self.stopping = False

    async def execute(self, request: GatewayRequest) -> bytes:
        """The answer (§2.2) to a request that was read. Raises nothing but a cancellation."""
        began = time.monotonic()
        record = _Record({"event": "request", "fingerprint": request.action_fingerprint})
        outcome: Executed | Refused | None = None
        try:
            outcome = await self._execute(request, record, began)
            return response_to_json(outcome)
        finally:
            self._log({**record.members, **_in_log(outcome), "ms": round((time.monotonic() - began) * 1000)})

    async def _execute(self, request: GatewayRequest, record: _Record, began: float) -> Executed | Refused:
        try:
            ready = await self._ready(request, record)
        except Exception as error:  # noqa: BLE001 - an error is never a permit
            return _fault(error)
        if isinstance(ready, Refused):
            return ready
        prepared, addresses = ready
        loop, attempt = asyncio.get_running_loop(), Attempt()
        until = began + prepared.route.total_timeout
        unwatch = attempt.watch(loop, until)
        try:
            return await loop.run_in_executor(
                self._threads,
                self._attempt,
                prepared,
                addresses,
                request.authorization_token,
                attempt,
                until,
                record,
            )
        except asyncio.CancelledError:
            attempt.cut()
            raise
        finally:
            unwatch()

    async def _ready(self, request: GatewayRequest, record: _Record) -> tuple[Prepared, list[str]] | Refused:
        prepared = prepare(request, self._routes)
        if isinstance(prepared, Refused):
            return prepared
        record.members["route"] = prepared.route.name
        if request.authorization_token is None:  # before anything is looked up for it
            return _said(record, Refused("token_invalid", "the authorization token is missing"))
        addresses = await self._sender.where(prepared)
        if isinstance(addresses, Refused):
            return _said(record, addresses)
        return _said(record, STOPPING) if self.stopping else (prepared, addresses)

    def _attempt(
        self,
        prepared: Prepared,
        addresses: list[str],
        token: object,
        attempt: Attempt,
        until: float,
        record: _Record,
    ) -> Executed | Refused:
        """The credential; §9.1 as the last check; the one attempt. In a thread, because all of it blocks.

        ``until``: one time for all of it, the waiting for this thread included. The authorizer waits for 30
        seconds, and an answer that comes later is lost.
        """
        try:
            injected = inject(prepared.route.credentials, until=until)
        except DelegoBrokerError as error:
            return _said(record, Refused("unsupported", f"the credential cannot be had: {error}"))
        except Exception as error:  # noqa: BLE001 - an error is never a permit
            return _fault(error)
        if attempt.is_cut:  # nobody waits for it any more
            return _said(record, STOPPING if self.stopping else LATE)
        claims = self._verifier.authorize(token, prepared.outgoing)
        if isinstance(claims, Refusal):
            if claims.jti is not None:
                record.members["jti"] = claims.jti  # it may still be good: 'delego token revoke' wants this
            return _said(record, _refused(claims))
        # The token is used up. From here on: one attempt, and its outcome.
        record.members |= {"jti": claims.jti, "intent": claims.iht}
        return self._sender.send(prepared, addresses, injected, claims.jti, attempt)

    async def aclose(self, *, wait: bool = False) -> None:
        """End what is open; nothing is executed after it. ``wait``: until every thread has ended."""
        await asyncio.to_thread(self._threads.shutdown, wait=wait, cancel_futures=True)
        self._sender.close()


def _refused(refusal: Refusal) -> Refused:
    """The verifier's codes in those of §2.2."""
    if refusal.code == "already_consumed":
        return Refused("already_consumed", refusal.message)
    if refusal.code == "unavailable":  # it says nothing about the token
        return Refused("unsupported", f"tokens cannot be checked now: {refusal.message}")
    return Refused("token_invalid", f"{refusal.code}: {refusal.message}")


def _said(record: _Record, refused: Refused) -> Refused:
    """Notes why, where the words are ours: those of ``prepare`` may quote what was asked for."""
    record.members["reason"] = refused.message[:300]
    return refused


def _fault(error: Exception) -> Refused:
    return Refused("unsupported", f"this is a fault in the gateway: {type(error).__name__}; nothing was sent")


def _in_log(outcome: Executed | Refused | None) -> JSONObject:
    if outcome is None:
        return {"outcome": "unknown", "reason": "ended while it was in flight"}
    if isinstance(outcome, Refused):
        return {"outcome": "refused", "code": outcome.code}
    if outcome.error is not None:
        return {"outcome": "unknown", "reason": outcome.error, "status": outcome.status}
    return {"outcome": "executed", "status": outcome.status}
