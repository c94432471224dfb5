"""One client, one server, and what passes between them.

Ids, progress tokens and all fields stay as they are. What has an effect or reads data goes through the gate
first; what has a meaning to MCP passes; a method that MCP does not know is decided where it has a vendor's
name (``acme/rebuild``), and refused where it has none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from delego_agent.errors import DelegoAgentError
from delego_agent.gateway.crew import start
from delego_agent.gateway.downstream import Downstream, Log, ServerError, Ticket
from delego_agent.gateway.forwarding import Forwarding, sent_with_others
from delego_agent.gateway.gate import Call, Gate
from delego_agent.gateway.methods import FROM_SERVER, NOTICES, PASSED, is_vendors
from delego_agent.gateway.naming import GUARDED, NamingError, fields_of, name_request
from delego_agent.gateway.replies import Refusal, tool_result
from delego_agent.gateway.toolbook import BEGIN_TASK, ToolBook
from delego_agent.gateway.wire import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    UNAVAILABLE,
    Message,
    Oversized,
    RequestId,
    WireError,
    error_answer,
    is_id,
    key_of,
    parse,
)

INSTRUCTION: Final = "delego/instruction"
MAX_CALLS: Final = 256  # guarded calls at a time, those that wait for a person included
MAX_ASKED: Final = 1000  # requests of a server without an answer
CANCEL_GRACE: Final = 5.0  # seconds for a server to answer a call that was cancelled

# Takes one message for the client; and the id of the client's request that it belongs to, where one can tell.
Sink: TypeAlias = Callable[[Message, RequestId | None], None]


class Relay:
    """Takes the client's lines and the server's messages. Safe for use by many threads."""

    def __init__(
        self,
        gate: Gate,
        book: ToolBook,
        to_client: Sink,
        log: Log,
        instruction: str | None,
    ) -> None:
        """``to_client``: writes one message. ``instruction``: of calls that come without a better one."""
        self._gate = gate
        self._book = book
        self._to_client = to_client
        self._log = log
        self._instruction = instruction
        self._task: str | None = None
        self._mutex = threading.Lock()
        self._open: dict[tuple[bool, RequestId], Call | None] = {}  # the client's requests without an answer
        self._asked: set[tuple[bool, RequestId]] = set()  # the server's requests without an answer
        self._idle = threading.Condition(self._mutex)
        self._calls = 0
        self._leaving = False
        self._own = {"tools/list": self._list_tools, "subscriptions/listen": self._listen}
        self.server: Downstream | None = None

    # --- from the client --------------------------------------------------------------------------------

    def from_client(self, line: bytes | Oversized) -> None:
        """One line that the client sent."""
        try:
            if isinstance(line, Oversized):
                raise line.error()
            message = parse(line)
        except WireError as error:
            with self._mutex:
                answer = refuse_line(error, self._open)
            self._to_client(answer, None)
            return
        self.take(message)

    def take(self, message: Message) -> None:
        """One message that the client sent, as it was read."""
        if "method" not in message:
            self._answer_of_client(message)
        elif "id" in message:
            self._request(message)
        else:
            self._notice(message)

    def abandon(self, request_id: RequestId) -> None:
        """Nobody waits for this answer any more: what is held is not sent, what was sent goes on."""
        with self._mutex:
            call = self._open.pop(key_of(request_id), None)
        if call is not None:
            call.left.set()

    def leave(self, patience: float) -> None:
        """The client has gone: nobody is waited for any more, and what was sent gets a moment to end."""
        with self._idle:
            self._leaving = True
            calls = [call for call in self._open.values() if call is not None]
            for call in calls:
                call.left.set()
            self._idle.wait_for(lambda: self._calls == 0, patience)

    def drain(self, patience: float) -> None:
        """Wait until every call has been recorded."""
        with self._idle:
            self._idle.wait_for(lambda: self._calls == 0, patience)

    def _request(self, message: Message) -> None:
        method, key = message["method"], key_of(message["id"])
        with self._mutex:
            taken = key in self._open
            full = self._calls >= MAX_CALLS
            if not taken:
                self._open[key] = None
        if taken:
            text = f"the id {message['id']!r:.80} is in use by a request without an answer"
            self._to_client(error_answer(None, INVALID_REQUEST, text), None)
        elif method in PASSED:
            self._pass(message)
        elif method in self._own or method in GUARDED or is_vendors(method):
            if full:
                text = f"{MAX_CALLS} calls wait already; try again when one has ended"
                self._reply(message, error_answer(message["id"], UNAVAILABLE, text))
            else:
                self._in_thread(self._own.get(method, self._guarded), message)
        else:
            text = f"the method {method!r:.80} is not passed on"
            self._reply(message, error_answer(message["id"], METHOD_NOT_FOUND, text))

    def _pass(self, message: Message) -> None:
        def done(ticket: Ticket) -> None:
            if ticket.answer is not None:
                self._reply(message, ticket.answer)
            else:
                self._reply(message, error_answer(message["id"], UNAVAILABLE, str(ticket.failure)))

        try:
            self._to_server(message, done)
        except ServerError as error:
            self._reply(message, error_answer(message["id"], UNAVAILABLE, str(error)))

    def _list_tools(self, message: Message) -> None:
        try:
            self._book.learn(self.downstream(), message)
            ticket = self._to_server(message)
            while not ticket.wait(1.0):
                if self._leaving or key_of(message["id"]) not in self._open:  # cancelled: none will come
                    self.downstream().give_up(message["id"], "nobody waits for it")
                    return
        except DelegoAgentError as error:
            self._reply(message, error_answer(message["id"], UNAVAILABLE, str(error)))
            return
        if ticket.answer is None:
            self._reply(message, error_answer(message["id"], UNAVAILABLE, str(ticket.failure)))
        else:
            self._reply(message, self._book.shown(ticket.answer))

    def _guarded(self, message: Message) -> None:
        params = message.get("params", {})
        if message["method"] == "tools/call":
            if params.get("name") == BEGIN_TASK and self._book.adds_task:
                self._reply(message, self.begin_task(message))
                return
            if "task" in params:
                text = "calls that run as MCP tasks are not passed on; call without 'task'"
                self._reply(message, error_answer(message["id"], INVALID_PARAMS, text))
                return
        try:
            call = self._call(message)
        except NamingError as error:
            self._reply(message, error_answer(message["id"], INVALID_PARAMS, str(error)))
            return
        if not self._begin(message, call):
            return
        if message["method"] == "tools/call":
            held = self._book.objection(self.downstream(), message)
            if held is not None:
                self._refuse(message, held)
                return
        answer = self._gate.pass_through(call)
        if isinstance(answer, Refusal):
            self._refuse(message, answer)
        else:
            self._reply(message, answer)

    def _listen(self, message: Message) -> None:
        """``subscriptions/listen``: each resource that it names is decided as ``resources/subscribe`` is."""
        params = message.get("params", {})
        uris = fields_of(params.get("notifications")).get("resourceSubscriptions") or []
        if type(uris) is not list or len(uris) > MAX_CALLS:
            text = f"'resourceSubscriptions' must be a list of at most {MAX_CALLS} URIs"
            self._reply(message, error_answer(message["id"], INVALID_PARAMS, text))
            return
        for uri in uris:
            one = {"uri": uri, "_meta": params.get("_meta")}
            try:
                call = self._call({**message, "method": "resources/subscribe", "params": one})
            except NamingError as error:
                self._reply(message, error_answer(message["id"], INVALID_PARAMS, str(error)))
                return
            call.forwarding = Forwarding(sent_with_others)
            if not self._begin(message, call):
                return
            answer = self._gate.pass_through(call)
            if isinstance(answer, Refusal):
                self._refuse(message, answer)
                return
            if call.left.is_set():
                return
        self._pass(_without_words(message))

    def _begin(self, message: Message, call: Call) -> bool:
        """Note what a request waits for; False where it was cancelled before it began."""
        with self._mutex:
            if key_of(message["id"]) not in self._open:
                return False
            self._open[key_of(message["id"])] = call
            if self._leaving:
                call.left.set()
        return True

    def _call(self, message: Message) -> Call:
        params = message.get("params", {})
        named = name_request(self.downstream().name, message["method"], params)
        meta = fields_of(params.get("_meta"))
        given = meta.get(INSTRUCTION)
        if given is not None and (type(given) is not str or not given.strip()):
            raise NamingError(f"'_meta[{INSTRUCTION!r}]' must be text that is not empty")
        sent = _without_words(message)
        instruction = given or self._task or self._instruction
        forwarding = Forwarding(lambda: self._send_call(sent))
        return Call(named, forwarding, instruction, self._reporter(message["id"], meta))

    def _reporter(self, request_id: RequestId, meta: Message) -> Callable[[int, str], None]:
        count = 0

        def report(waited: int, approval_id: str) -> None:
            nonlocal count
            if "progressToken" not in meta:
                return
            count += 1
            # It has to grow with each message, and the server's own, from 0 on, are still to come.
            params = {
                "progressToken": meta["progressToken"],
                "progress": -1 / count,
                "message": f"waiting for a person to decide {approval_id} ({waited} s)",
            }
            self._to_client(
                {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}, request_id
            )

        return report

    def begin_task(self, message: Message) -> Message:
        """The answer to the added tool; from now on calls carry its words."""
        words = fields_of(message["params"].get("arguments")).get("instruction")
        if type(words) is not str or not words.strip():
            text = "'instruction' must be the person's words"
            return tool_result(message, text, {"accepted": False}, is_error=True)
        self._task = words
        text = "From now on calls are decided as serving these words. Call this again when the task changes."
        return tool_result(message, text, {"accepted": True}, is_error=False)

    def _notice(self, message: Message) -> None:
        method = message["method"]
        if method == "notifications/cancelled":
            self._cancel(message)
        elif method in NOTICES:
            self._send_quietly(message)
        elif is_vendors(method):
            self._in_thread(self._guarded_notice, message)
        else:
            self._log(f"the client's {method!r:.80} is not passed on")

    def _guarded_notice(self, message: Message) -> None:
        """What a vendor made up is decided like a request; nobody waits for a person about it."""
        named = name_request(self.downstream().name, message["method"], message.get("params", {}))
        instruction = self._task or self._instruction
        sent = _without_words(message)
        call = Call(named, Forwarding(lambda: self._to_server(sent)), instruction, lambda *_: None)
        call.left.set()
        answer = self._gate.pass_through(call)
        if isinstance(answer, Refusal):
            self._log(f"the client's {message['method']!r:.80} is not passed on: {answer.text}")

    def _cancel(self, message: Message) -> None:
        request_id = fields_of(message.get("params")).get("requestId")
        if not is_id(request_id):
            return
        with self._mutex:
            known = key_of(request_id) in self._open
            call = self._open.pop(key_of(request_id), None)
        if call is not None:
            call.left.set()
        self._send_quietly(message)
        if known and (call is None or call.forwarding.ticket is not None):
            why = "the client cancelled it, and the server did not answer after that"
            timer = threading.Timer(CANCEL_GRACE, self.downstream().give_up, (request_id, why))
            timer.daemon = True
            timer.start()

    def _answer_of_client(self, message: Message) -> None:
        with self._mutex:
            key = key_of(message["id"])
            known = key in self._asked
            self._asked.discard(key)
        if known:
            self._send_quietly(message)
        else:
            self._log(f"the client answered {message['id']!r:.80}, which nobody asked; dropped")

    # --- from the server --------------------------------------------------------------------------------

    def from_server(self, server: Downstream, message: Message, about: RequestId | None) -> None:
        """One message of the server that is no answer. ``about``: the request that it came along with."""
        method = message["method"]
        if "id" in message:
            key = key_of(message["id"])
            if method not in FROM_SERVER and not is_vendors(method):
                text = f"the method {method!r:.80} is not passed on"
                self._send_quietly(error_answer(message["id"], METHOD_NOT_FOUND, text))
                return
            with self._mutex:
                taken, full = key in self._asked, len(self._asked) >= MAX_ASKED
                if not full:
                    self._asked.add(key)
            if taken:
                self._log(f"server {server.name!r} asks twice with the id {message['id']!r:.80}; dropped")
                return
            if full:
                text = f"{MAX_ASKED} requests of this server have no answer yet"
                self._send_quietly(error_answer(message["id"], UNAVAILABLE, text))
                return
        elif method == "notifications/progress":
            about = server.asker(fields_of(message.get("params")).get("progressToken"))
            if about is None:
                return  # of nothing, or of what has ended
        elif method == "notifications/cancelled":
            asked = fields_of(message.get("params")).get("requestId")
            if is_id(asked):
                with self._mutex:
                    self._asked.discard(key_of(asked))
        elif method == "notifications/tools/list_changed":
            self._book.forget()
        elif not method.startswith("notifications/") and not is_vendors(method):
            self._log(f"server {server.name!r}: {method!r:.80} is not passed on")
            return
        self._to_client(message, about)

    # --- inside -----------------------------------------------------------------------------------------

    def downstream(self) -> Downstream:
        """The server. Raises ServerError where none was started."""
        if self.server is None:
            raise ServerError("no server is running")
        return self.server

    def _to_server(self, message: Message, on_done: Callable[[Ticket], None] | None = None) -> Ticket:
        return self.downstream().send(message, on_done)

    def _send_call(self, message: Message) -> Ticket:
        """Send what was decided. While it waited for a person the tool may have become another one."""
        if message["method"] == "tools/call":
            held = self._book.objection(self.downstream(), message)
            if held is not None:
                raise ServerError("; ".join(held.reasons))
        return self._to_server(message)

    def _send_quietly(self, message: Message) -> None:
        try:
            self._to_server(message)
        except ServerError as error:
            self._log(str(error))

    def _reply(self, request: Message, answer: Message | None) -> None:
        """Answer a request, once, unless the client has cancelled it."""
        with self._mutex:
            waited = self._open.pop(key_of(request["id"]), self)
        if waited is not self and answer is not None:
            self._to_client(answer, request["id"])

    def _refuse(self, message: Message, refusal: Refusal) -> None:
        structured = message["method"] != "tools/call" or not self._book.promises(message)
        self._reply(message, refusal.answer(message, structured=structured))

    def _in_thread(self, run: Callable[[Message], None], message: Message) -> None:
        with self._mutex:
            self._calls += 1

        def guarded() -> None:
            try:
                run(message)
            except DelegoAgentError as error:
                self._log(str(error))
                if "id" in message:
                    self._refuse(message, Refusal("not_sent", (str(error),)))
            except Exception as error:  # noqa: BLE001 - one call's trouble is not the others'
                self._log(f"{message['method']!r:.80} failed: {type(error).__name__}: {error}")
                if "id" in message:
                    text = "the gateway failed at this; nothing more is known"
                    self._reply(message, error_answer(message["id"], UNAVAILABLE, text))
            finally:
                with self._idle:
                    self._calls -= 1
                    self._idle.notify_all()

        try:
            start(guarded)
        except RuntimeError as error:  # no more threads: nothing was decided
            with self._idle:
                self._calls -= 1
            self._log(str(error))
            if "id" in message:
                self._reply(message, error_answer(message["id"], UNAVAILABLE, f"not sent: {error}"))


def refuse_line(error: WireError, open_ids: Collection[tuple[bool, RequestId]]) -> Message:
    """The answer to a line that is no message; with its id where that is plain, and no open request's."""
    known = error.ids[0] if len(error.ids) == 1 and key_of(error.ids[0]) not in open_ids else None
    return error_answer(known, error.code, f"refused: {error.problem}")


def _without_words(message: Message) -> Message:
    """A message as the server gets it: the person's words are not its business."""
    params = message.get("params", {})
    meta = fields_of(params.get("_meta"))
    if INSTRUCTION not in meta:
        return message
    kept = {name: value for name, value in meta.items() if name != INSTRUCTION}
    return {**message, "params": {**params, "_meta": kept}}
