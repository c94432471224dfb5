"""What an agent's program may ask: propose, resolve, wait for a person, see its own pending approvals.

``Client`` for threads, ``AsyncClient`` for asyncio; both over a ``Service``. Waiting asks at intervals that
grow from 0.05 s to 1 s: no busy loop, and nobody has to tell us.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

from delego_agent.errors import ClientClosed, NotDecided
from delego_agent.service import Held, LocalService, Service
from delego_authorizer import Decision
from delego_authorizer.authorizer import AGENT
from delego_authorizer.values import check_principal
from delego_spec.action import Action
from delego_spec.gateway import Broker

FIRST_WAIT: Final = 0.05  # seconds between two looks at an approval
LONGEST_WAIT: Final = 1.0
GROWTH: Final = 1.5


class Client:
    """Safe for use by many threads. Raises what the authorizer and the ledger raise, and ClientClosed."""

    def __init__(self, service: Service, *, principal: str = AGENT) -> None:
        """``principal``: who proposes, as receipts say it. Raises PrincipalError."""
        self._service = service
        self._principal = check_principal(principal)
        self._closed = threading.Event()

    @classmethod
    def local(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        broker: Broker | None = None,
        principal: str = AGENT,
    ) -> Client:
        """Over the home on this machine: ``home``, else ``$DELEGO_HOME``, else ``~/.delego``.

        ``broker``: who executes what is released; None: the caller. Raises as ``open_home``.
        """
        check_principal(principal)
        return cls(LocalService.open(home, broker), principal=principal)

    @property
    def principal(self) -> str:
        return self._principal

    def propose(self, action: Action) -> Decision:
        """Have an action decided; what is allowed is released, once."""
        return self._open().propose(action, self._principal)

    def resolve(self, approval_id: str, action: Action) -> Decision:
        """Release the action that a person approved: exactly this one, once."""
        return self._open().resolve(approval_id, action, self._principal)

    def request(self, action: Action) -> Decision:
        """``resolve`` where this action, under this instruction, has an approval already; else ``propose``.

        For callers that simply ask again: a yes is spent, a pending approval is not parked twice, and a no
        stands until the approval would have expired.
        """
        return self._open().request(action, self._principal)

    def approval(self, approval_id: str) -> Held:
        """An approval of one's own. Raises ApprovalUnknown."""
        return self._open().held(approval_id, self._principal)

    def pending(self) -> tuple[Held, ...]:
        """One's own approvals that wait for a person, oldest first."""
        return self._open().pending(self._principal)

    def wait_until_decided(self, approval_id: str, timeout: float | None = None) -> Held:
        """The approval, once it no longer waits: approved, denied or expired.

        ``timeout``: seconds; None: until it is decided or expires. Raises NotDecided after the time-out,
        ApprovalUnknown, and ClientClosed as soon as another thread closes the client.
        """
        for pause in pauses(timeout):
            held = self.approval(approval_id)
            if held.decided:
                return held
            if pause is None:
                break
            self._closed.wait(pause)
        raise NotDecided(approval_id, timeout or 0.0)

    def close(self) -> None:
        """Close the service; who waits gets ClientClosed. A second time does nothing."""
        if not self._closed.is_set():
            self._closed.set()
            self._service.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Service:
        if self._closed.is_set():
            raise ClientClosed
        return self._service


class AsyncClient:
    """``Client`` for asyncio: each request runs in a thread, so that the event loop goes on.

    Cancelling a request stops the waiting, not what was asked: a proposal may then have been decided and
    released without anybody who takes it. Cancelling ``wait_until_decided`` loses nothing.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    def local(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        broker: Broker | None = None,
        principal: str = AGENT,
    ) -> AsyncClient:
        """As ``Client.local``; opening reads files and is not awaited."""
        return cls(Client.local(home, broker=broker, principal=principal))

    @property
    def principal(self) -> str:
        return self._client.principal

    async def propose(self, action: Action) -> Decision:
        """As ``Client.propose``."""
        return await asyncio.to_thread(self._client.propose, action)

    async def resolve(self, approval_id: str, action: Action) -> Decision:
        """As ``Client.resolve``."""
        return await asyncio.to_thread(self._client.resolve, approval_id, action)

    async def request(self, action: Action) -> Decision:
        """As ``Client.request``."""
        return await asyncio.to_thread(self._client.request, action)

    async def approval(self, approval_id: str) -> Held:
        """As ``Client.approval``."""
        return await asyncio.to_thread(self._client.approval, approval_id)

    async def pending(self) -> tuple[Held, ...]:
        """As ``Client.pending``."""
        return await asyncio.to_thread(self._client.pending)

    async def wait_until_decided(self, approval_id: str, timeout: float | None = None) -> Held:
        """As ``Client.wait_until_decided``."""
        return await wait_until_decided(lambda: self._client.approval(approval_id), approval_id, timeout)

    async def aclose(self) -> None:
        """As ``Client.close``."""
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def wait_until_decided(look: Callable[[], Held], approval_id: str, timeout: float | None) -> Held:
    """``look`` in a thread until the approval no longer waits. Raises NotDecided, and as ``look``."""
    for pause in pauses(timeout):
        held = await asyncio.to_thread(look)
        if held.decided:
            return held
        if pause is None:
            break
        await asyncio.sleep(pause)
    raise NotDecided(approval_id, timeout or 0.0)


def pauses(timeout: float | None) -> Iterator[float | None]:
    """How long to wait after each look; None after the last one, which comes when the time has run out."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = FIRST_WAIT
    while True:
        left = pause if deadline is None else deadline - time.monotonic()
        if left <= 0:
            yield None
            return
        yield min(pause, left)
        pause = min(pause * GROWTH, LONGEST_WAIT)
