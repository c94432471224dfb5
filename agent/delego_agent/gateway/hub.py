"""Many servers behind one client: a relay for each, and one list of all that they offer.

The hub decides nothing. Each relay guards its own server; the hub says which relay a request is for, asks all
of them for their lists, and keeps apart what their servers ask.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from delego_agent.gateway.crew import start
from delego_agent.gateway.downstream import Log
from delego_agent.gateway.naming import fields_of
from delego_agent.gateway.relay import Relay, Sink, refuse_line
from delego_agent.gateway.toolbook import BEGIN_TASK, TASK_TOOL
from delego_agent.gateway.wire import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    UNAVAILABLE,
    Message,
    Oversized,
    RequestId,
    WireError,
    error_answer,
    parse,
)

LISTS: Final = {  # method: (the member of its result, what its items are told apart by)
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
NAMED: Final = {"tools/call": "tools/list", "prompts/get": "prompts/list"}
BY_URI: Final = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
WAIT: Final = 60.0  # seconds for one list of one server
MAX_PAGES: Final = 200


class Hub:
    """Takes the client's lines, and the messages of each relay. Safe for use by many threads."""

    def __init__(
        self, to_client: Sink, log: Log, *, adds_task: bool, renew: Callable[[str], None] = lambda _: None
    ) -> None:
        """``renew``: starts a server anew, which forgets what it was asked."""
        self._to_client = to_client
        self._log = log
        self._adds_task = adds_task
        self._renew = renew
        self._probed: set[str] = set()  # servers that may have taken a probe for the newer era's beginning
        self._relays: dict[str, Relay] = {}
        self._mutex = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, _Waiter] = {}
        self._asked: dict[str, tuple[str, RequestId]] = {}
        self._names: dict[str, dict[str, tuple[str, str]]] = {}  # list: shown name → (server, its own name)
        self._owners: dict[str, str] = {}  # URI → server
        self._templates: list[tuple[str, str]] = []  # (what stands before the first variable, server)

    def add(self, name: str, relay: Relay) -> None:
        """A server's relay; all are added before the first line is taken."""
        self._relays[name] = relay

    def sink(self, name: str) -> Sink:
        """Where the relay of one server writes to."""
        return lambda message, about: self._from_relay(name, message, about)

    # --- from the client --------------------------------------------------------------------------------

    def from_client(self, line: bytes | Oversized) -> None:
        """One line that the client sent."""
        try:
            if isinstance(line, Oversized):
                raise line.error()
            message = parse(line)
        except WireError as error:
            self._to_client(refuse_line(error, ()), None)
            return
        self.take(message)

    def take(self, message: Message) -> None:
        """One message that the client sent, as it was read."""
        if "method" not in message:
            with self._mutex:
                asked = self._asked.pop(str(message["id"]), None)
            if asked is not None:
                self._tell(asked[0], {**message, "id": asked[1]})
        elif "id" not in message:
            for name in self._relays:
                self._tell(name, message)
        else:
            start(partial(self._guarded, message))

    def abandon(self, request_id: RequestId) -> None:
        """As ``Relay.abandon``."""
        for relay in self._relays.values():
            relay.abandon(request_id)

    def _guarded(self, message: Message) -> None:
        try:
            self._request(message)
        except Exception as error:  # noqa: BLE001 - one request's trouble is not the others'
            self._log(f"{message['method']!r:.80} failed: {type(error).__name__}: {error}")
            self._refuse(message, UNAVAILABLE, "the gateway failed at this; nothing more is known")

    def _request(self, message: Message) -> None:
        method, params = message["method"], message.get("params", {})
        if method not in ("server/discover", "initialize", "ping"):
            self._probed.clear()  # it has begun: nothing is started anew any more
        if method == "tools/call" and params.get("name") == BEGIN_TASK and self._adds_task:
            answers = [relay.begin_task(message) for relay in self._relays.values()]
            self._answer(answers[0])
        elif method == "ping":
            self._answer({"jsonrpc": "2.0", "id": message["id"], "result": {}})
        elif method == "initialize":
            self._forget_the_probe()
            self._merge(message, _initialized)
        elif method == "server/discover":
            self._probed = set(self._relays)
            self._merge(message, _discovered)
        elif method == "logging/setLevel":
            self._merge(message, lambda answers: {"result": next(iter(answers.values()))["result"]})
        elif method in LISTS:
            self._list(message)
        elif method in NAMED:
            self._named(message)
        elif method in BY_URI:
            self._by_uri(message, params.get("uri"))
        elif method == "completion/complete":
            self._completion(message)
        else:
            self._refuse(message, METHOD_NOT_FOUND, f"{method!r:.80} is not passed on to one of many servers")

    def _merge(self, message: Message, merged: Callable[[Mapping[str, Message]], Message]) -> None:
        answers = self._ask_all(message)
        for name, answer in answers.items():
            if fields_of(answer.get("error")).get("code", UNAVAILABLE) != UNAVAILABLE:
                self._probed.discard(name)  # it does not know the newer era
        good = {name: answer for name, answer in answers.items() if "result" in answer}
        for name in answers.keys() - good.keys():
            self._log(
                f"server {name!r} does not answer {message['method']!r}: {answers[name]['error']['message']}"
            )
        failed = message["method"] == "server/discover" and len(good) < len(self._relays)
        if not good or failed:  # a client that asks for the newer era falls back to the older one
            self._refuse(message, METHOD_NOT_FOUND, f"not every server knows {message['method']!r}")
            return
        self._answer({"jsonrpc": "2.0", "id": message["id"], **merged(good)})

    def _forget_the_probe(self) -> None:
        """A server takes its first request as its connection's era. Where one server does not know the newer
        era, the client begins again with the older one; those that have taken the probe would refuse that.
        """
        probed = sorted(self._probed)
        self._probed.clear()
        if probed:
            with ThreadPoolExecutor(len(probed)) as pool:
                list(pool.map(self._renew, probed))

    def _list(self, message: Message) -> None:
        if "cursor" in message.get("params", {}):
            self._refuse(message, INVALID_PARAMS, "the lists of many servers come on one page")
            return
        items, frame = self._collect(message)
        member, _ = LISTS[message["method"]]
        if message["method"] == "tools/list" and self._adds_task:
            items = [*items, TASK_TOOL]
        rest = {name: value for name, value in frame.items() if name != "nextCursor"}
        self._answer({"jsonrpc": "2.0", "id": message["id"], "result": {**rest, member: items}})

    def _named(self, message: Message) -> None:
        shown = message.get("params", {}).get("name")
        found = self._found(NAMED[message["method"]], shown, message)
        if found is None:
            self._refuse(message, INVALID_PARAMS, f"no server lists {shown!r:.80}; list again")
        else:
            self._tell(found[0], {**message, "params": {**message["params"], "name": found[1]}})

    def _found(self, listing: str, shown: object, message: Message) -> tuple[str, str] | None:
        """Which server has what is shown under this name, and what it calls it."""
        with self._mutex:
            known = self._names.get(listing)
        if known is None:
            self._collect({**message, "method": listing, "params": _era(message)})
            known = self._names[listing]
        return known.get(shown) if type(shown) is str else None

    def _by_uri(self, message: Message, uri: object) -> None:
        if not self._owners and not self._templates:
            for listing in ("resources/list", "resources/templates/list"):
                self._collect({**message, "method": listing, "params": _era(message)})
        with self._mutex:
            owner = self._owners.get(str(uri))
            fitting = {server for start, server in self._templates if str(uri).startswith(start)}
        if owner is None and len(fitting) == 1:
            (owner,) = fitting
        if owner is None or type(uri) is not str:
            why = "several servers have templates for" if fitting else "no server lists"
            self._refuse(message, INVALID_PARAMS, f"{why} {uri!r:.200}")
        else:
            self._tell(owner, message)

    def _completion(self, message: Message) -> None:
        params = message.get("params", {})
        reference = fields_of(params.get("ref"))
        if reference.get("type") != "ref/prompt":
            self._by_uri(message, reference.get("uri"))
            return
        found = self._found("prompts/list", reference.get("name"), message)
        if found is None:
            self._refuse(message, INVALID_PARAMS, "no server lists this prompt; list them again")
        else:
            self._tell(found[0], {**message, "params": {**params, "ref": {**reference, "name": found[1]}}})

    # --- the lists of all -------------------------------------------------------------------------------

    def _collect(self, message: Message) -> tuple[list[Any], Message]:
        """Every item of every server, under clear names, and the other members of the first answer."""
        member, key = LISTS[message["method"]]
        items: list[tuple[str, Message]] = []
        frame: Message = {}
        for name in self._relays:
            for result in self._pages(name, message):
                frame = frame or result
                listed = result.get(member)
                items += [(name, one) for one in listed if type(one) is dict] if type(listed) is list else []
        with self._mutex:
            if key == "name":
                shown = _told_apart([(server, str(item.get("name"))) for server, item in items])
                self._names[message["method"]] = {
                    name: (server, str(item.get("name")))
                    for name, (server, item) in zip(shown, items, strict=True)
                }
                return [{**item, "name": name} for name, (_, item) in zip(shown, items, strict=True)], frame
            if key == "uri":
                self._owners = _owned((str(item.get("uri")), server) for server, item in items)
            else:
                starts = ((str(item.get("uriTemplate")).partition("{")[0], server) for server, item in items)
                self._templates = list(starts)
        return [item for _, item in items], frame

    def _pages(self, name: str, message: Message) -> list[Message]:
        pages: list[Message] = []
        params = dict(message.get("params", {}))
        deadline = time.monotonic() + WAIT
        while len(pages) < MAX_PAGES:
            answer = self._ask(name, {**message, "params": params}).wait(deadline - time.monotonic())
            result = answer.get("result")
            if type(result) is not dict:
                error = fields_of(answer.get("error"))
                if error.get("code") != METHOD_NOT_FOUND:  # else it has no such list
                    self._log(
                        f"server {name!r} does not answer {message['method']!r}: {error.get('message')}"
                    )
                break
            pages.append(result)
            if type(result.get("nextCursor")) is not str:
                break
            params = {**params, "cursor": result["nextCursor"]}
        return pages

    def _ask_all(self, message: Message) -> dict[str, Message]:
        waiters = {name: self._ask(name, message) for name in self._relays}
        return {name: waiter.wait() for name, waiter in waiters.items()}

    def _ask(self, name: str, message: Message) -> _Waiter:
        waiter = _Waiter()
        with self._mutex:
            own = f"delego-hub-{next(self._numbers)}"
            self._waiting[own] = waiter
        self._tell(name, {**message, "id": own})
        return waiter

    # --- from the relays --------------------------------------------------------------------------------

    def _from_relay(self, name: str, message: Message, about: RequestId | None) -> None:
        if "method" not in message:
            with self._mutex:
                waiter = self._waiting.pop(str(message["id"]), None)
            if waiter is not None:
                waiter.done(message)
                return
        elif "id" in message:  # two servers may ask with one id
            with self._mutex:
                own = f"delego-{name}-{next(self._numbers)}"
                self._asked[own] = (name, message["id"])
            message = {**message, "id": own}
        elif message["method"] == "notifications/cancelled":
            # Of what this server has asked, under the id that the client knows; never of another server's.
            params = fields_of(message.get("params"))
            asked = (name, params.get("requestId"))
            with self._mutex:
                own = next((one for one, who in self._asked.items() if _same(who, asked)), "")
                self._asked.pop(own, None)
            if not own:
                return
            message = {**message, "params": {**params, "requestId": own}}
        self._to_client(message, about)

    def _tell(self, name: str, message: Message) -> None:
        self._relays[name].take(message)

    def _refuse(self, message: Message, code: int, text: str) -> None:
        self._answer(error_answer(message["id"], code, text))

    def _answer(self, answer: Message) -> None:
        self._to_client(answer, answer["id"])


class _Waiter:
    """One answer that is waited for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._message: Message = {"error": {"code": UNAVAILABLE, "message": "no answer in time"}}

    def done(self, message: Message) -> None:
        self._message = message
        self._event.set()

    def wait(self, timeout: float | None = None) -> Message:
        self._event.wait(WAIT if timeout is None else max(0.0, timeout))
        return self._message


def _same(one: tuple[str, object], other: tuple[str, object]) -> bool:
    return one == other and type(one[1]) is type(other[1])


def _told_apart(items: list[tuple[str, str]]) -> list[str]:
    """A name for each (server, name): its own where nobody else has it, else ``<server>__<name>``."""
    counts: dict[str, int] = {}
    for _, name in items:
        counts[name] = counts.get(name, 0) + 1
    shown, taken = [], {name for name, count in counts.items() if count == 1} | {BEGIN_TASK}
    for server, name in items:
        if counts[name] == 1 and name != BEGIN_TASK:
            shown.append(name)
            continue
        own = f"{server}__{name}"
        while own in taken:
            own += "_"
        taken.add(own)
        shown.append(own)
    return shown


def _owned(pairs: Any) -> dict[str, str]:
    """URI → server, without those that two servers list: nobody could say which one is meant."""
    owners: dict[str, str] = {}
    twice = set()
    for uri, server in pairs:
        if owners.setdefault(uri, server) != server:
            twice.add(uri)
    return {uri: server for uri, server in owners.items() if uri not in twice}


def _initialized(answers: Mapping[str, Message]) -> Message:
    results = {name: answer["result"] for name, answer in answers.items()}
    version = min(str(result.get("protocolVersion")) for result in results.values())
    return {"result": {"protocolVersion": version, "serverInfo": _INFO, **_common(results)}}


def _discovered(answers: Mapping[str, Message]) -> Message:
    results = {name: answer["result"] for name, answer in answers.items()}
    lists = [result.get("supportedVersions") for result in results.values()]
    versions = [one for one in lists[0] or [] if all(type(each) is list and one in each for each in lists)]
    first = next(iter(results.values()))
    meta = {**fields_of(first.get("_meta")), "io.modelcontextprotocol/serverInfo": _INFO}
    rest = {name: value for name, value in first.items() if name != "instructions"}
    return {"result": {**rest, "_meta": meta, "supportedVersions": versions, **_common(results)}}


def _common(results: Mapping[str, Message]) -> Message:
    capabilities: Message = {}
    for result in results.values():
        for name, value in fields_of(result.get("capabilities")).items():
            if type(value) is dict and type(capabilities.get(name, {})) is dict:
                capabilities[name] = {**capabilities.get(name, {}), **value}
            else:
                capabilities[name] = value
    words = [(name, result["instructions"]) for name, result in results.items() if result.get("instructions")]
    common: Message = {"capabilities": capabilities}
    if words:
        common["instructions"] = "\n\n".join(f"{name}: {text}" for name, text in words)
    return common


def _era(message: Message) -> Message:
    meta = fields_of(message.get("params", {}).get("_meta"))
    era = {name: value for name, value in meta.items() if name.startswith("io.modelcontextprotocol/")}
    return {"_meta": era} if era else {}


_INFO: Final = {"name": "delego mcp-gateway", "version": "1"}
