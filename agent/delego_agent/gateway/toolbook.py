"""What the server lists as its tools, and what of it the agent is shown."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any, Final, Literal, TypeAlias

from delego_agent.gateway.downstream import Downstream, Log, ServerError
from delego_agent.gateway.naming import fields_of
from delego_agent.gateway.pins import Pins, PinStore, definition, definition_digest
from delego_agent.gateway.replies import Refusal
from delego_agent.gateway.wire import Message, encode

Pinning: TypeAlias = Literal["first", "ask", "off"]

BEGIN_TASK: Final = "delego_begin_task"
MAX_PAGES: Final = 200
LIST_TIMEOUT: Final = 30.0  # seconds for all pages
MAX_LISTED: Final = 16 * 1024 * 1024  # bytes of all pages

TASK_TOOL: Final[Message] = {
    "name": BEGIN_TASK,
    "title": "Begin a task",
    "description": (
        "Say which words of the person the next calls serve, exactly as the person wrote them. Call this at"
        " the beginning of each task. Calls are then decided as serving these words."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {"instruction": {"type": "string", "description": "The person's words, unchanged."}},
        "required": ["instruction"],
        "additionalProperties": False,
    },
    "annotations": {
        "readOnlyHint": False,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    },
}


class ToolBook:
    """The definitions of one server as last listed. Safe for use by many threads."""

    def __init__(
        self, server: str, store: PinStore, log: Log, *, pinning: Pinning = "first", adds_task: bool = True
    ) -> None:
        """``pinning``: what is seen of a new server is pinned, is held, or nothing is looked at."""
        self.adds_task = adds_task
        self._server = server
        self._store = store
        self._log = log
        self._pinning = pinning
        self._mutex = threading.Lock()
        self._seen: dict[str, Message] | None = None
        self._known: tuple[object, Pins] | None = None
        self._judged: tuple[Pins, dict[str, Message], frozenset[str]] | None = None
        self._changes = 0  # how often the server said that its list has changed
        self._promised: set[str] = set()  # tools that the client was shown with a schema of what they return

    def forget(self) -> None:
        """The list has changed: it is asked for before the next call."""
        with self._mutex:
            self._seen = None
            self._changes += 1

    def learn(self, server: Downstream, request: Message) -> dict[str, Message]:
        """The server's tools, asked for where they are not known. Raises ServerError, PinError."""
        if self._pinning == "off":
            return {}
        with self._mutex:
            seen, changes = self._seen, self._changes
        if seen is not None:
            return seen
        seen = _all_tools(server, request)
        self._observe(seen)
        with self._mutex:
            if changes == self._changes:
                self._seen = seen
        return seen

    def objection(self, server: Downstream, request: Message) -> Refusal | None:
        """Why a tool is not called, or None. Raises ServerError, PinError."""
        if self._pinning == "off":
            return None
        name = request["params"]["name"]
        seen = self.learn(server, request)
        if name not in seen:
            with_server = f"server {server.name!r} lists no tool {name!r:.80}"
            return Refusal("denied", (f"{with_server}; what is not listed cannot be trusted",))
        pins = self._pins()
        if name in self._trusted_of(pins, seen):
            return None
        state = "has changed since it was trusted" if name in pins.trusted else "is new"
        why = f"the tool {name!r:.80} of server {server.name!r} {state}; it is held until a person trusts it"
        return Refusal("denied", (why, f"for the person: delego tools trust {server.name} {name!r:.80}"))

    def promises(self, request: Message) -> bool:
        """Whether the client may know a schema of what the called tool returns."""
        return str(fields_of(request.get("params")).get("name")) in self._promised

    def shown(self, answer: Message) -> Message:
        """The server's answer to ``tools/list`` without what is held, and with the tool for tasks."""
        result = answer.get("result")
        if type(result) is not dict or type(result.get("tools")) is not list:
            return answer
        tools: list[Any] = result["tools"]
        if self._pinning != "off":
            tools = self._trusted(tools)
        self._promised |= {str(tool.get("name")) for tool in map(fields_of, tools) if "outputSchema" in tool}
        if self.adds_task:
            tools = [tool for tool in tools if fields_of(tool).get("name") != BEGIN_TASK]
            if result.get("nextCursor") is None:
                tools = [*tools, TASK_TOOL]
        return {**answer, "result": {**result, "tools": tools}}

    def _trusted_of(self, pins: Pins, seen: dict[str, Message]) -> frozenset[str]:
        """The names of those that are as they were trusted; neither argument is ever changed in place."""
        judged = self._judged
        if judged is None or judged[0] is not pins or judged[1] is not seen:
            names = frozenset(name for name, tool in seen.items() if _is_trusted(pins, tool))
            judged = self._judged = (pins, seen, names)
        return judged[2]

    def _trusted(self, tools: list[Any]) -> list[Any]:
        """Those that are trusted; what differs from what was listed a moment ago is noted as held."""
        listed = _by_name(tools)
        with self._mutex:
            known = self._seen or {}
            changed = {name: tool for name, tool in listed.items() if known.get(name) != tool}
            merged = {**known, **listed}
            if changed:
                self._seen = merged
        if changed:
            self._observe(merged)
        pins = self._pins()
        return [tool for tool in tools if type(tool) is dict and _is_trusted(pins, definition(tool))]

    def _observe(self, seen: dict[str, Message]) -> None:
        server = self._server
        known = self._store.load(server)
        pins = self._store.observe(server, seen, trust_first=self._pinning == "first")
        if known is None and pins.trusted:
            self._log(
                f"server {server!r}: {len(pins.trusted)} tools are trusted as they are now, the first time"
            )
        if pins.held:
            names = ", ".join(sorted(pins.held))
            self._log(f"server {server!r}: new or changed, and held: {names:.500}; see 'delego tools list'")

    def _pins(self) -> Pins:
        stamp = self._store.stamp(self._server)
        known = self._known
        if known is None or known[0] != stamp:  # taken before reading: what is newer is read once more
            known = stamp, self._store.load(self._server) or Pins()
            self._known = known
        return known[1]


def _is_trusted(pins: Pins, tool: Message) -> bool:
    trusted = pins.trusted.get(str(tool.get("name")))
    return trusted is not None and definition_digest(trusted) == definition_digest(tool)


def _all_tools(server: Downstream, request: Message) -> dict[str, Message]:
    """Every page of the list, asked for in the era of ``request``. Raises ServerError."""
    meta = fields_of(fields_of(request.get("params")).get("_meta"))
    era = {name: value for name, value in meta.items() if name.startswith("io.modelcontextprotocol/")}
    tools: list[Any] = []
    cursor, size = None, 0
    deadline = time.monotonic() + LIST_TIMEOUT
    for _ in range(MAX_PAGES):
        params: Message = {} if cursor is None else {"cursor": cursor}
        if era:
            params["_meta"] = era
        page_id = f"delego-{secrets.token_hex(8)}"
        page: Message = {"jsonrpc": "2.0", "id": page_id, "method": "tools/list", "params": params}
        ticket = server.send(page)
        if not ticket.wait(deadline - time.monotonic()):
            server.give_up(page_id, "it did not list its tools in time")
        result = (ticket.answer or {}).get("result")
        if type(result) is not dict or type(result.get("tools")) is not list:
            why = ticket.failure or "its answer to tools/list is none"
            raise ServerError(f"server {server.name!r} does not list its tools: {why}")
        tools += result["tools"]
        size += len(encode(result))
        if size > MAX_LISTED:
            raise ServerError(f"server {server.name!r} lists more than {MAX_LISTED} bytes of tools")
        cursor = result.get("nextCursor")
        if type(cursor) is not str:
            return _by_name(tools)
    raise ServerError(f"server {server.name!r} lists its tools on more than {MAX_PAGES} pages")


def _by_name(tools: list[Any]) -> dict[str, Message]:
    """Definitions by name. A name that is listed twice with different words is listed as both, and so never
    is what was trusted.
    """
    found: dict[str, Message] = {}
    for tool in tools:
        if type(tool) is not dict or type(tool.get("name")) is not str:
            continue
        one = definition(tool)
        earlier = found.get(tool["name"])
        found[tool["name"]] = one if earlier in (None, one) else {**one, "delego/twice": earlier}
    return found
