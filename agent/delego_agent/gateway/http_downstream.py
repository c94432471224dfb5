"""One MCP server behind the gateway, over streamable HTTP.

Each message is one POST, sent once; a request's answer comes on it. Whether the server has got it decides
what is said when no answer comes: not sent, or outcome unknown. Redirects are not followed. Nothing of what
a client sends along reaches the server but the message: the headers are the operator's and those that repeat
the message.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from typing import Final

from delego_agent.gateway.downstream import Log, OnMessage, ServerError, Ticket, Tickets
from delego_agent.gateway.endpoint import Endpoint
from delego_agent.gateway.headers import SESSION, declared_in, era_of, written
from delego_agent.gateway.http_streams import Handshake, Streams
from delego_agent.gateway.links import Cut, Link, Links, Unsent
from delego_agent.gateway.naming import fields_of
from delego_agent.gateway.sse import KIND, EventReader, StreamError
from delego_agent.gateway.wire import (
    MAX_FROM_SERVER,
    Message,
    RequestId,
    WireError,
    encode,
    error_answer,
    is_id,
    parse,
)
from delego_authorizer.workers import Workers

MAX_OPEN: Final = 512  # requests without an answer
QUIET: Final = 600.0  # seconds without a byte after which an answer is not waited for any longer
NOTICE: Final = 30.0  # seconds for what wants no answer
GOODBYE: Final = 2.0  # seconds for the end of a session

_ACCEPT: Final = {"Accept": f"application/json, {KIND}", "Accept-Encoding": "identity"}
# What a server says before it looks at a message. Any other status may come after an effect.
_DID_NOTHING: Final = frozenset({401, 403, 404, 405, 406, 413, 414, 415, 421, 426, 429, 431})
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,512}")


class HttpServer:
    """A server with a URL. ``on_message`` gets what is no answer."""

    def __init__(self, name: str, endpoint: Endpoint, on_message: OnMessage, log: Log) -> None:
        self.name = name
        self.ended: str | None = None
        self._endpoint = endpoint
        self._on_message = on_message
        self._log = log
        self._links = Links(endpoint)
        self._workers = Workers()
        self._tickets = Tickets()
        self._mutex = threading.Lock()
        self._used: dict[int, Link] = {}  # by the identity of the ticket whose answer comes on it
        self._notices: SimpleQueue[Ticket | None] = SimpleQueue()
        self._last_notice: Ticket | None = None
        self._session: Handshake | None = None
        self._forgotten = False  # the server knows the session no more
        self._handshake = threading.Lock()
        self._streams = Streams(name, endpoint, self._links, self._heard, log)
        self._declared: dict[str, dict[tuple[str, ...], str]] = {}  # tool → what is repeated in headers

    def start(self) -> None:
        """Begin to take messages. Nothing is sent before there is one."""
        threading.Thread(target=self._send_notices, name=f"delego-mcp-{self.name}", daemon=True).start()

    def send(self, message: Message, on_done: Callable[[Ticket], None] | None = None) -> Ticket:
        """Have a message sent. A request's ticket is done by its answer, any other by having been taken.

        Raises ServerError where it surely is not sent.
        """
        if self.ended is not None:
            raise ServerError(f"server {self.name!r} {self.ended}")
        ticket = Ticket(message, on_done)
        if ticket.is_request:
            if len(self._tickets.ids()) >= MAX_OPEN:
                raise ServerError(f"server {self.name!r} owes {MAX_OPEN} answers")
            self._tickets.add(ticket)
            ticket.abandon = partial(self.give_up, message["id"])
            try:
                self._workers.run(partial(self._request, ticket, self._last_notice))
            except RuntimeError as error:  # no more threads
                self._tickets.take(message["id"])
                raise ServerError(str(error)) from None
        elif self._session is None and "method" in message:
            self._without_session(ticket)
        else:
            with self._mutex:
                self._last_notice = ticket
                self._notices.put(ticket)
        return ticket

    def give_up(self, request_id: RequestId, why: str) -> None:
        """Wait no longer for an answer, and close what it would have come on."""
        ticket = self._tickets.take(request_id)
        if ticket is not None:
            ticket.finish(failure=why)
            with self._mutex:
                link = self._used.get(id(ticket))
            if link is not None:
                link.abort()

    def asker(self, progress_token: object) -> RequestId | None:
        """The id of the request without an answer that has this progress token."""
        return self._tickets.asker(progress_token)

    def close(self) -> None:
        """End the session; whoever still waits is told that no answer came."""
        self.ended = self.ended or "was ended with the gateway"
        for request_id in self._tickets.ids():
            self.give_up(request_id, f"server {self.name!r} {self.ended} before it answered")
        self._notices.put(None)
        self._streams.close()
        session, self._session = self._session, None
        if session is not None and session.id is not None:
            self._goodbye(session)
        self._links.close()

    # --- one message ------------------------------------------------------------------------------------

    def _request(self, ticket: Ticket, after: Ticket | None) -> None:
        """In a thread of its own. ``after``: what has to arrive first."""
        if after is not None and not after.is_done:
            after.wait(NOTICE)
        if self._forgotten and era_of(ticket.message) is None and ticket.message["method"] != "initialize":
            try:
                self._begin_again()
            except Unsent as error:
                self._unsent(ticket, str(error))
                return
        self._post(ticket)

    def _post(self, ticket: Ticket, limit: float | None = None) -> None:
        """Send it and wait for what it comes to; the ticket is done after that, whatever happens. ``limit``:
        seconds in all, for what nobody else waits for with a limit.
        """
        try:
            link = self._links.open()
        except Unsent as error:
            self._unsent(ticket, str(error))
            return
        with self._mutex:
            self._used[id(ticket)] = link
        again = False
        try:
            if self.ended is not None:
                raise Unsent(self.ended)
            if ticket.begin():
                message = ticket.message
                headers, body = self._headers(message), encode(message)[:-1]
                with contextlib.nullcontext() if limit is None else link.at_most(limit):
                    quiet = None if message.get("method") == "subscriptions/listen" else limit or QUIET
                    link.request("POST", self._endpoint.target, headers, body, quiet)
                    again = self._answered(ticket, link)
        except Unsent as error:
            self._unsent(ticket, str(error))
        except Cut as error:
            self._lost(ticket, str(error))
        except Exception as error:  # noqa: BLE001 - a bug here is no reason to leave somebody waiting
            self._lost(ticket, f"the gateway failed at it: {type(error).__name__}")
        finally:
            with self._mutex:
                self._used.pop(id(ticket), None)
            if again and link.finish(1.0):
                self._links.give_back(link)
            else:
                link.close()

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {**self._endpoint.headers, **_ACCEPT, "Content-Type": "application/json"}
        if era_of(message) is not None and "method" in message:
            params = fields_of(message.get("params"))
            declared = (
                self._declared.get(str(params.get("name"))) if message["method"] == "tools/call" else None
            )
            return {**headers, **written(message, declared)}
        session = self._session
        if session is not None and message.get("method") != "initialize":
            headers |= session.headers
        return headers

    def _answered(self, ticket: Ticket, link: Link) -> bool:
        """Take the answer; whether the connection may be good for another one. Raises Unsent, Cut."""
        status, headers = link.answer()
        if "content-encoding" in headers and headers["content-encoding"] != "identity":
            raise Cut("an answer in an encoding that nobody asked for is not passed on")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if status >= 300:
            self._refused(ticket, link, status, kind)
        elif not ticket.is_request:
            ticket.finish()
        elif kind == KIND and status == 200:
            self._read(ticket, link, EventReader(MAX_FROM_SERVER), headers)
        elif kind == "application/json" and status == 200:
            self._take(ticket, link.body(MAX_FROM_SERVER), headers)
            if not ticket.is_done:
                raise Cut("its answer is none")
        else:
            raise Cut(f"HTTP {status} ({kind[:60] or 'without a type'}) is no answer")
        return True

    def _refused(self, ticket: Ticket, link: Link, status: int, kind: str) -> None:
        """Raises Unsent, Cut, where the status is all that there is."""
        era = era_of(ticket.message)
        if status == 404 and era is None and self._session is not None:
            self._forgotten = True
            raise Unsent(
                "the server has forgotten the session and did nothing; the next call begins a new one"
            )
        answer = None
        if ticket.is_request and kind == "application/json" and status not in (401, 403):
            answer = _error_in(link.body(MAX_FROM_SERVER), ticket.message["id"])
        if answer is not None:
            self._done(ticket, answer)
        elif status < 400:
            raise Unsent(f"the server sends to another place (HTTP {status}); give the URL of that place")
        elif status in (401, 403):
            raise Unsent(
                f"the server wants other credentials (HTTP {status}); its configuration has 'headers'"
            )
        elif status in _DID_NOTHING:
            raise Unsent(f"the server refused it with HTTP {status}")
        else:
            raise Cut(f"HTTP {status} is no answer")

    def _read(self, ticket: Ticket, link: Link, events: EventReader, headers: Mapping[str, str]) -> None:
        """Events until the answer. Raises Cut."""
        try:
            while not ticket.is_done:
                data = link.piece()
                if not data:
                    break
                for event in events.feed(data):
                    if event.data:
                        self._take(ticket, event.data.encode(), headers)
        except StreamError as error:
            raise Cut(str(error)) from None
        except Cut:
            if events.last_id is None or self._session is None:
                raise
        if not ticket.is_done:
            if era_of(ticket.message) is not None:
                raise Cut("its stream ended without the answer")
            self._streams.resume(
                self._session, events, lambda data: self._take(ticket, data, {}), lambda: ticket.is_done
            )

    def _take(self, ticket: Ticket, text: bytes, headers: Mapping[str, str]) -> None:
        """A message that came along with a request: its answer, or what belongs to it."""
        try:
            message = parse(text)
        except WireError as error:
            self._log(f"server {self.name!r} sent what is not passed on: {error.problem}")
            if not error.ids or ticket.message["id"] in error.ids:
                self._lost(ticket, f"the server's answer was refused: {error.problem}")
            return
        if "method" in message:
            self._on_message(self, message, ticket.message["id"])
        elif message["id"] == ticket.message["id"] and type(message["id"]) is type(ticket.message["id"]):
            self._learn(ticket.message, message, headers)
            self._done(ticket, message)
        else:
            self._log(f"server {self.name!r} answered {message['id']!r:.80}, which nobody waits for; dropped")

    def _learn(self, request: Message, answer: Message, headers: Mapping[str, str]) -> None:
        """What later messages need of this answer."""
        result = fields_of(answer.get("result"))
        if request["method"] == "initialize" and type(result.get("protocolVersion")) is str:
            session_id = headers.get(SESSION)
            if session_id is not None and _SESSION_ID.fullmatch(session_id) is None:
                session_id = None
            self._session = Handshake(session_id, result["protocolVersion"], request)
            self._forgotten = False
        elif request["method"] == "tools/list" and type(result.get("tools")) is list:
            for tool in result["tools"]:
                self._declared[str(fields_of(tool).get("name"))] = declared_in(
                    fields_of(tool).get("inputSchema")
                )

    def _done(self, ticket: Ticket, answer: Message) -> None:
        if self._tickets.get(ticket.message["id"]) is ticket:
            self._tickets.take(ticket.message["id"])
        ticket.finish(answer=answer)

    def _lost(self, ticket: Ticket, why: str) -> None:
        """It was sent, and what it came to is not known."""
        if ticket.is_request and self._tickets.get(ticket.message["id"]) is ticket:
            self._tickets.take(ticket.message["id"])
        ticket.finish(failure=f"server {self.name!r}: {why}")

    def _unsent(self, ticket: Ticket, why: str) -> None:
        if not ticket.is_done:
            ticket.written = False
        self._lost(ticket, why)
        if not ticket.is_request:
            self._log(f"server {self.name!r}: {why}")

    # --- what wants no answer ---------------------------------------------------------------------------

    def _without_session(self, ticket: Ticket) -> None:
        """Without a handshake no notification goes over HTTP: closing the answer's connection cancels."""
        message = ticket.message
        if not message["method"].startswith("notifications/"):
            raise ServerError(f"server {self.name!r} has no session, and takes no notifications without one")
        request_id = fields_of(message.get("params")).get("requestId")
        if message["method"] == "notifications/cancelled" and is_id(request_id):
            self.give_up(request_id, "the client cancelled it")
        ticket.finish()

    def _send_notices(self) -> None:
        """In a thread of its own, one after the other: servers mind the order."""
        while (ticket := self._notices.get()) is not None:
            self._post(ticket, NOTICE)
            session = self._session
            if ticket.message.get("method") == "notifications/initialized" and session is not None:
                self._streams.listen_to(session)

    # --- the session ------------------------------------------------------------------------------------

    def _begin_again(self) -> None:
        """A new session in the place of one that the server has forgotten. Raises Unsent."""
        with self._handshake:
            session = self._session
            if not self._forgotten or session is None:
                return
            again = Ticket({**session.initialize, "id": f"delego-{secrets.token_hex(8)}"})
            self._post(again, NOTICE)
            if again.answer is None or "result" not in again.answer:
                why = again.failure or f"it answered {fields_of(again.answer).get('error')!r:.200}"
                raise Unsent(f"the server has forgotten the session, and begins no new one: {why}")
            self._post(Ticket({"jsonrpc": "2.0", "method": "notifications/initialized"}), NOTICE)
            self._log(f"server {self.name!r} had forgotten the session; a new one has begun")
            if self._session is not None:
                self._streams.listen_to(self._session)

    def _heard(self, data: bytes) -> None:
        """A message that belongs to no request."""
        try:
            message = parse(data)
        except WireError as error:
            self._log(f"server {self.name!r} sent what is not passed on: {error.problem}")
            return
        if "method" in message:
            self._on_message(self, message, None)
        else:
            self._log(
                f"server {self.name!r} answered {message['id']!r:.80} where nobody waits for it; dropped"
            )

    def _goodbye(self, session: Handshake) -> None:
        try:
            link = self._links.open()
        except Unsent:
            return
        try:
            headers = {**self._endpoint.headers, **session.headers}
            with link.at_most(GOODBYE):
                link.request("DELETE", self._endpoint.target, headers, None, GOODBYE)
                link.answer()
        except (Unsent, Cut):
            pass  # it was only polite
        finally:
            link.close()


def _error_in(body: bytes, request_id: RequestId) -> Message | None:
    """The error that a status came with, as the answer to this request: some come without its id."""
    try:
        error = fields_of(fields_of(json.loads(body)).get("error"))
        if type(error.get("code")) is not int or type(error.get("message")) is not str:
            return None
        return parse(encode({**error_answer(request_id, 0, ""), "error": error}))
    except (ValueError, RecursionError, WireError):
        return None
