"""``@gated("file.delete")``: the function's body runs inside of a decision, or not at all.

A call becomes the action ``CALL tool://<gate's name>/<operation>`` with the arguments as params, under the
words of the surrounding ``task``. Denied → ``Denied``; a person is needed → ``ApprovalRequired``, and the
same call runs it once they have said yes. What Python cannot prevent: code of the same process can always
reach the function behind the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import re
import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

from delego_agent.arguments import Arguments
from delego_agent.errors import ApprovalRequired, Denied, GatedError
from delego_agent.held import HeldCall
from delego_agent.meeting import Bodies, Go, Meeting, News
from delego_agent.service import LocalService, home_path
from delego_agent.tasks import current_task
from delego_authorizer import Authorizer, Decision, Home
from delego_authorizer.authorizer import AGENT
from delego_authorizer.values import check_principal
from delego_authorizer.workers import Workers
from delego_spec.action import Action
from delego_spec.errors import ActionError
from delego_spec.hazards import find_hazards

P = ParamSpec("P")
R = TypeVar("R")

METHOD: Final = "CALL"
NAME: Final = "python"  # of a gate that is given none
_OPERATION: Final = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")
_MAX_OPERATION: Final = 200  # characters


class Gate:
    """Where gated functions are decided: one home, one principal. Opened at the first call."""

    def __init__(
        self, home: str | os.PathLike[str] | None = None, *, principal: str = AGENT, name: str = NAME
    ) -> None:
        """``home``: else ``$DELEGO_HOME``, else ``~/.delego``. ``principal``: who proposes. ``name``: of the
        program, the host in ``tool://name/operation``. Raises PrincipalError, GatedError for a wrong name.
        """
        self._home = home
        self._principal = check_principal(principal)
        self._name = name
        _check_name(name)
        self._mutex = threading.Lock()
        self._authorizer: Authorizer | None = None
        self._workers = Workers()

    def gated(self, operation: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """As ``gated``, in this gate."""
        if (
            type(operation) is not str
            or not _OPERATION.fullmatch(operation)
            or len(operation) > _MAX_OPERATION
        ):
            wanted = "use letters, digits, '-', '_', and single '.' or '/' between them, as in 'file.delete'"
            raise GatedError(f"{operation!r:.80} is no name of an operation; {wanted}")

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            return _gate(self, operation, function)

        return decorate

    def close(self) -> None:
        """Close the ledger; the next call opens it again."""
        with self._mutex:
            authorizer, self._authorizer = self._authorizer, None
        if authorizer is not None:
            authorizer.ledger.close()

    def call(self, operation: str, arguments: Arguments, body: Callable[..., Any], given: _Given) -> _Call:
        """One call, with its arguments copied and its words taken. Raises GatedError, NoTask, TypeError."""
        taken = arguments.take(*given)
        words = current_task(operation)
        try:
            action = Action(words, METHOD, f"tool://{self._name}/{operation}", taken.params)
        except ActionError as error:
            raise GatedError(f"{operation}: {error}") from None
        return _Call(self, operation, action, lambda: taken.call(body))

    def opened(self) -> Authorizer:
        """The authorizer. Raises as ``open_home``."""
        with self._mutex:
            if self._authorizer is None:
                self._authorizer = Home(home_path(self._home)).authorizer(Bodies())
            return self._authorizer

    def ask(self, action: Action, meeting: Meeting) -> None:
        """Have it decided, in another thread. Raises RuntimeError where there are no more threads."""
        service = LocalService(self.opened())
        self._workers.run(lambda: meeting.ask(service, action, self._principal))

    def held_call(
        self, decision: Decision, call: _Call, again: Callable[[], Any], *, is_async: bool
    ) -> HeldCall:
        authorizer, principal = self.opened(), self._principal
        approval_id = str(decision.approval_id)

        def look() -> Any:
            return LocalService(authorizer).held(approval_id, principal)

        return HeldCall(approval_id, call.action, again, look, is_async, authorizer)


_Given = tuple[tuple[Any, ...], dict[str, Any]]


def gated(operation: str, *, gate: Gate | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function run only inside of a decision on ``tool://<gate's name>/<operation>``.

    For plain and async functions, methods (below ``@classmethod`` and ``@staticmethod``) and generators,
    which are decided when the first value is asked for. Raises GatedError for all else. Calls raise Denied,
    ApprovalRequired, NoTask, GatedError (arguments without canonical form), what ``open_home``,
    ``Authorizer.propose`` and the function raise.
    """
    return (DEFAULT if gate is None else gate).gated(operation)


class _Call:
    """One call on its way: decided, run, recorded."""

    def __init__(self, gate: Gate, operation: str, action: Action, body: Callable[[], Any]) -> None:
        self._gate = gate
        self.operation = operation
        self.action = action
        self._body = body

    def run(self) -> Any:
        inbox: SimpleQueue[News] = SimpleQueue()
        meeting = self._begin(inbox, self.run)
        try:
            value = _finished(self._body())
        except BaseException as error:
            meeting.finish(error)
            _settled(inbox.get(), error)
            raise
        meeting.finish()
        _settled(inbox.get())
        return value

    def iterate(self) -> Generator[Any, Any, Any]:
        inbox: SimpleQueue[News] = SimpleQueue()
        meeting = self._begin(inbox, self.iterate)
        try:
            value = yield from self._body()
        except GeneratorExit as error:  # perhaps at the end of the program, where no thread answers any more
            meeting.finish(error)
            raise
        except BaseException as error:
            meeting.finish(error)
            _settled(inbox.get(), error)
            raise
        meeting.finish()
        _settled(inbox.get())
        return value

    async def run_async(self) -> Any:
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[News] = asyncio.Queue()
        meeting = Meeting(lambda news: _post(loop, inbox, news))
        try:
            await asyncio.to_thread(self._gate.ask, self.action, meeting)
            self._check(await inbox.get(), self.run_async, is_async=True)
        except BaseException:
            meeting.abandon()
            raise
        try:
            value = await self._body()
        except BaseException as error:
            meeting.finish(error)
            _settled(await inbox.get(), error)
            raise
        meeting.finish()
        _settled(await inbox.get())
        return value

    def _begin(self, inbox: SimpleQueue[News], again: Callable[[], Any]) -> Meeting:
        """Returns where the function is to run now."""
        meeting = Meeting(inbox.put)
        try:
            self._gate.ask(self.action, meeting)
            self._check(inbox.get(), again, is_async=False)
        except BaseException:
            meeting.abandon()
            raise
        return meeting

    def _check(self, news: News, again: Callable[[], Any], *, is_async: bool) -> None:
        """Returns where the function is to run now; raises why not."""
        if isinstance(news, Go):
            return
        if isinstance(news, BaseException):
            raise news
        if news.outcome == "needs_approval":
            held = self._gate.held_call(news, self, again, is_async=is_async)
            raise ApprovalRequired(self.operation, held.approval_id, news.reasons, held)
        raise Denied(self.operation, news.reasons, news.rule)


def _gate(gate: Gate, operation: str, function: Callable[P, R]) -> Callable[P, R]:
    if isinstance(function, classmethod | staticmethod | property):
        raise GatedError(f"{operation}: put @gated below @{type(function).__name__}")
    if not inspect.isroutine(function):
        raise GatedError(f"{operation}: a function can be gated, not a {type(function).__name__}")
    if inspect.isasyncgenfunction(function):
        raise GatedError(
            f"{operation}: an async generator cannot be gated, nobody can tell when it has ended; gate an"
            " async function that returns a list, or each step by itself"
        )
    arguments = Arguments(operation, function)
    wrapper: Any
    if inspect.iscoroutinefunction(function):

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await gate.call(operation, arguments, function, (args, kwargs)).run_async()

    elif inspect.isgeneratorfunction(function):

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return gate.call(operation, arguments, function, (args, kwargs)).iterate()

    else:

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return gate.call(operation, arguments, function, (args, kwargs)).run()

    functools.update_wrapper(wrapper, function)
    del wrapper.__wrapped__  # a way around the gate that anybody would find
    wrapper.__signature__ = arguments.signature
    gated_function: Callable[P, R] = wrapper
    return gated_function


def _finished(value: Any) -> Any:
    """``value``; raises GatedError for one that stands for work still to be done, outside of the decision."""
    if not (inspect.isawaitable(value) or inspect.isgenerator(value) or inspect.isasyncgen(value)):
        return value
    if inspect.iscoroutine(value):
        value.close()
    raise GatedError(
        f"the function returned a {type(value).__name__}: its work would be done outside the decision"
    )


def _settled(news: News, error: BaseException | None = None) -> None:
    """The function has ended and this is what the ledger says: raise what must not stay unsaid."""
    if not isinstance(news, BaseException):
        return
    if error is None:
        raise news
    error.add_note(f"delego: {news}")


def _post(loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[News], news: News) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(inbox.put_nowait, news)


def _check_name(name: str) -> None:
    problem = f"{name!r:.80} is no name of a gate"
    try:
        action = Action("a call", METHOD, f"tool://{name}/operation", {})
    except ActionError as error:
        raise GatedError(f"{problem}: {error}") from None
    hazards = find_hazards(action)
    if hazards or action.host != name:
        raise GatedError(f"{problem}; write one name of lower-case letters, digits, '-' and '_'")


DEFAULT: Final = Gate()
