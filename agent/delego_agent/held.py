"""A gated call that waits for a person: what it would do, and how to do it once they have said yes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from delego_agent.client import wait_until_decided
from delego_agent.service import Held
from delego_agent.tasks import task
from delego_authorizer import Authorizer
from delego_spec.action import Action


@dataclass(frozen=True, slots=True)
class HeldCall:
    """One call with the arguments that were decided. It lives in this process only."""

    approval_id: str
    action: Action
    run: Callable[[], Any]  # a coroutine where the function is async
    look: Callable[[], Held]
    is_async: bool
    authorizer: Authorizer  # for the person's side (``human``)

    def again(self) -> Any:
        """Make the call again, under the words it was made with; what the function returns."""
        if self.is_async:
            return self._again_async()
        with task(self.action.instruction):
            return self.run()

    async def released(self, timeout: float | None) -> Any:
        await wait_until_decided(self.look, self.approval_id, timeout)
        result = await asyncio.to_thread(self.again) if not self.is_async else self.again()
        return await result if inspect.isawaitable(result) else result

    async def _again_async(self) -> Any:
        with task(self.action.instruction):
            return await self.run()
