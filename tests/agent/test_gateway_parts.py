"""The gateway's parts by themselves: a server's process, the forwarding broker, a relay without a server."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from delego_agent.gateway import relay as relay_module
from delego_agent.gateway.downstream import ServerError, Ticket
from delego_agent.gateway.forwarding import ForwardBroker, Forwarding, current, describe_answer
from delego_agent.gateway.gate import Call, Gate, GateOptions
from delego_agent.gateway.naming import Named
from delego_agent.gateway.pins import PinStore
from delego_agent.gateway.process import MAX_QUEUED, Command, ProcessServer
from delego_agent.gateway.relay import Relay
from delego_agent.gateway.replies import Refusal
from delego_agent.gateway.toolbook import ToolBook
from delego_agent.gateway.wire import encode
from delego_agent.service import LocalService
from delego_authorizer import HomeError, Unsettled
from delego_ledger.errors import StorageError
from delego_spec.action import Action
from delego_spec.gateway import Executed, GatewayRequest, NotSent
from mcp_lines import PATIENCE, make_home

REQUEST = GatewayRequest.of(Action("do it", "CALL", "mcp://a/b", {}))
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

Start = Callable[[str], ProcessServer]


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def start(log: list[str]) -> Iterator[Start]:
    started: list[ProcessServer] = []

    def run(code: str) -> ProcessServer:
        server = ProcessServer(
            "a", Command([sys.executable, "-c", code], {}), lambda *_: None, lambda _: None, log.append
        )
        started.append(server)
        server.start()
        return server

    yield run
    for server in started:
        server.close()


def call_of(send: Callable[[], Ticket], *, params: Any = None) -> Call:
    return Call(Named("CALL", "mcp://a/b", params or {}), Forwarding(send), "go", lambda *_: None)


def test_a_server_that_does_not_read_is_not_sent_ever_more(start: Start) -> None:
    server = start("import time; time.sleep(600)")
    big = {**PING, "id": 2, "params": {"x": "y" * (MAX_QUEUED // 2 + 1000)}}
    server.send(big)
    with pytest.raises(ServerError, match="does not read"):
        server.send({**big, "id": 3})
    with pytest.raises(ServerError, match="in use"):
        server.send({**PING, "id": 2})


def test_a_long_message_that_was_begun_is_written_to_its_end_although_nobody_waits_for_it(
    start: Start,
) -> None:
    code = (
        "import sys, json; sys.stdin.buffer.read(1)\n"
        "rest = [len(line) for line in (sys.stdin.buffer.readline(), sys.stdin.buffer.readline())]\n"
        "print(json.dumps({'jsonrpc': '2.0', 'id': 2, 'result': {'rest': rest}}), flush=True)\n"
        "import time; time.sleep(600)"
    )
    server = start(code)
    long = {**PING, "params": {"x": "y" * 1_000_000}}  # no pipe takes that at once
    first = server.send(long)
    assert first.written
    server.give_up(1, "no patience")
    second = server.send({**PING, "id": 2})
    assert second.wait(PATIENCE)
    assert second.answer is not None
    sizes = [len(encode(long)) - 1, len(encode({**PING, "id": 2}))]
    assert second.answer["result"]["rest"] == sizes


def test_no_other_message_gets_into_the_middle_of_one_that_was_begun(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys, json\n"
        "sizes = [len(sys.stdin.buffer.readline()) for _ in range(2)]\n"
        "print(json.dumps({'jsonrpc': '2.0', 'id': 2, 'result': {'sizes': sizes}}), flush=True)\n"
        "import time; time.sleep(600)"
    )
    server = start(code)
    long, short = {**PING, "params": {"x": "y" * 1_000_000}}, {**PING, "id": 2}
    second: list[Ticket] = []
    other = threading.Thread(target=lambda: second.append(server.send(short)), daemon=True)
    waiting = server._queue

    class Slow:
        """The thread that has begun the long message stands still where another one could overtake it."""

        def put(self, item: Any) -> None:
            if not other.ident:
                other.start()
                other.join(0.3)
            waiting.put(item)

        def get(self) -> Any:
            return waiting.get()

    monkeypatch.setattr(server, "_queue", Slow())
    server.send(long)
    monkeypatch.undo()
    other.join(PATIENCE)
    assert second[0].wait(PATIENCE)
    assert second[0].answer is not None
    assert second[0].answer["result"]["sizes"] == [len(encode(long)), len(encode(short))]


def test_what_a_server_that_closed_its_input_did_not_get_is_not_sent(start: Start) -> None:
    server = start("import os, time; os.close(0); print('ready', flush=True); time.sleep(600)")
    failed = None
    for number in range(100):  # until the pipe is known to be closed
        ticket = server.send({**PING, "id": number})
        if ticket.wait(0.2):
            failed = ticket
            break
    assert failed is not None
    assert not failed.written
    forwarding = Forwarding(lambda: server.send({**PING, "id": "x"}))
    token = current.set(forwarding)
    try:
        with pytest.raises(NotSent, match="has ended"):
            ForwardBroker().execute(REQUEST)
        with pytest.raises(NotSent, match="already"):
            ForwardBroker().execute(REQUEST)
    finally:
        current.reset(token)


def test_a_server_that_will_not_end_is_ended(start: Start) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
    server = start(code)
    ticket = server.send(PING)
    server.close()
    assert ticket.failure is not None
    assert "was ended with the gateway" in ticket.failure
    with pytest.raises(ServerError, match="was ended"):
        server.send(PING)


def test_a_server_that_closes_its_output_has_ended(start: Start) -> None:
    server = start("import os, time; os.close(1); time.sleep(600)")
    ticket = server.send(PING)
    assert ticket.wait(PATIENCE)
    assert "closed its output" in str(ticket.failure)


def test_what_is_no_message_ends_the_one_request_it_may_have_been_for(start: Start, log: list[str]) -> None:
    server = start("input(); print('hello, I am a log'); print('7'); import time; time.sleep(600)")
    ticket = server.send(PING)
    assert ticket.wait(PATIENCE)
    assert "refused" in str(ticket.failure)
    assert "not JSON" in log[0]
    ticket.finish(answer=PING)
    assert ticket.answer is None  # the first end counts


def test_without_a_message_in_the_context_nothing_is_sent() -> None:
    with pytest.raises(NotSent, match="no message"):
        ForwardBroker().execute(REQUEST)


def test_a_server_error_means_not_sent() -> None:
    def gone() -> Ticket:
        raise ServerError("it has ended")

    token = current.set(Forwarding(gone))
    try:
        with pytest.raises(NotSent, match="it has ended"):
            ForwardBroker().execute(REQUEST)
    finally:
        current.reset(token)


def test_an_answer_that_does_not_come_in_the_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delego_agent.gateway.forwarding.LATE", 0.0)
    written, waits = Ticket(PING), Ticket(PING)
    assert written.begin()
    token = current.set(Forwarding(lambda: written))
    try:
        assert "no answer" in str(ForwardBroker().execute(REQUEST).error)
        current.set(Forwarding(lambda: waits))
        with pytest.raises(NotSent, match="no answer"):
            ForwardBroker().execute(REQUEST)
    finally:
        current.reset(token)
    assert not waits.begin()  # what was said not to be sent is not sent any more


def test_an_answer_is_described_by_its_digest() -> None:
    assert describe_answer(None) == "sent"
    assert str(describe_answer({"error": {"code": 1}})).startswith("error answer sha256:")
    assert str(describe_answer({"result": {"isError": True}})).startswith(
        "result of a tool that failed, sha256:"
    )
    assert "no canonical form" in str(describe_answer({"result": {"x": 1e300}}))
    assert ForwardBroker().describe(Executed(result={"a": 1})) == ""


def test_a_gate_without_a_home_is_an_error_of_the_home(tmp_path: Path) -> None:
    with pytest.raises(HomeError):
        Gate(tmp_path / "none", GateOptions())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StorageError("write", "ledger.db", OSError(28, "full"), retry_safe=True), "not_sent"),
        (Unsettled("exe_1", None, OSError(28, "full")), "outcome_unknown"),
    ],
    ids=["not recorded", "result not recorded"],
)
def test_what_the_ledger_cannot_write_is_told_as_what_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    gate = Gate(make_home(tmp_path), GateOptions(unasked="policy"))
    monkeypatch.setattr(LocalService, "request", fails)
    answer = gate.pass_through(call_of(lambda: Ticket(PING)))
    gate.close()
    assert isinstance(answer, Refusal)
    assert answer.status == status


def test_a_call_whose_server_is_gone_is_not_sent(tmp_path: Path) -> None:
    gate = Gate(make_home(tmp_path), GateOptions())

    def gone() -> Ticket:
        raise ServerError("server 'a' has ended")

    answer = gate.pass_through(call_of(gone))
    gate.close()
    assert answer == Refusal("not_sent", ("not_sent: server 'a' has ended",))


@pytest.fixture
def lone(tmp_path: Path, log: list[str]) -> Iterator[tuple[Relay, list[Any]]]:
    """A relay whose server never started."""
    gate = Gate(make_home(tmp_path), GateOptions())
    answers: list[Any] = []
    relay = Relay(
        gate,
        ToolBook("a", PinStore(tmp_path), log.append),
        lambda one, _: answers.append(one),
        log.append,
        "go",
    )
    yield relay, answers
    relay.drain(PATIENCE)
    gate.close()


def tell(relay: Relay, method: str, params: Any = None, **more: Any) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": params or {}, **more}
    relay.from_client(json.dumps(message).encode())


@pytest.mark.parametrize("method", ["ping", "tools/list", "tools/call", "resources/read", "acme/x"])
def test_a_request_without_a_server_is_answered(lone: tuple[Relay, list[Any]], method: str) -> None:
    relay, answers = lone
    tell(relay, method, {"name": "a", "uri": "b"}, id=5)
    relay.drain(PATIENCE)
    assert [answer["id"] for answer in answers] == [5]
    assert "no server is running" in json.dumps(answers)


def test_notices_without_a_server_are_logged(lone: tuple[Relay, list[Any]], log: list[str]) -> None:
    relay, answers = lone
    tell(relay, "notifications/initialized")
    tell(relay, "acme/x")
    relay.drain(PATIENCE)
    assert answers == []
    assert len(log) == 2


def test_a_failure_inside_is_answered_and_says_nothing(
    lone: tuple[Relay, list[Any]], log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, answers = lone
    monkeypatch.setattr(relay_module, "name_request", lambda *_: 1 / 0)
    relay.server = object()  # type: ignore[assignment]  # it fails before it is asked for anything
    tell(relay, "resources/read", {"uri": "b"}, id=5)
    relay.drain(PATIENCE)
    assert "failed" in answers[0]["error"]["message"]
    assert any("AttributeError" in line or "ZeroDivisionError" in line for line in log)


def test_more_calls_than_a_gateway_holds_are_refused(
    lone: tuple[Relay, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, answers = lone
    monkeypatch.setattr(relay_module, "MAX_CALLS", 0)
    tell(relay, "tools/call", {"name": "a"}, id=5)
    assert "wait already" in answers[0]["error"]["message"]


def test_a_call_for_which_there_is_no_thread_is_answered_and_ends_nothing(
    lone: tuple[Relay, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    relay, answers = lone
    monkeypatch.setattr(relay_module, "start", no_more)
    tell(relay, "tools/call", {"name": "a"}, id=5)
    tell(relay, "acme/x")
    assert "not sent: can't start new thread" in answers[0]["error"]["message"]
    assert relay._calls == 0


def test_what_a_server_sends_that_is_not_passed_on(
    lone: tuple[Relay, list[Any]], log: list[str], start: Start
) -> None:
    relay, answers = lone
    server = start("import time; time.sleep(600)")
    relay.server = server
    relay.from_server(server, {"jsonrpc": "2.0", "method": "tools/frob"}, None)
    relay.from_server(server, {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}, None)
    relay.from_server(server, {"jsonrpc": "2.0", "id": 1, "method": "roots/list"}, None)
    relay.from_server(server, {"jsonrpc": "2.0", "id": 1, "method": "roots/list"}, None)
    assert [answer["method"] for answer in answers] == ["notifications/message", "roots/list"]
    assert len(log) == 2


def test_a_server_that_asks_without_end_is_refused_and_what_it_takes_back_counts_no_more(
    lone: tuple[Relay, list[Any]], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "MAX_ASKED", 2)
    relay, answers = lone
    server = start("import time; time.sleep(600)")
    relay.server = server
    told: list[Any] = []
    monkeypatch.setattr(relay, "_send_quietly", told.append)

    def asks(one: int) -> None:
        relay.from_server(server, {"jsonrpc": "2.0", "id": one, "method": "roots/list"}, None)

    for one in range(3):
        asks(one)
    assert [message["id"] for message in told] == [2]
    taken_back = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 0}}
    relay.from_server(server, taken_back, None)
    asks(3)
    assert [message["id"] for message in answers if "id" in message] == [0, 1, 3]


def test_a_server_that_answers_nothing_is_not_asked_without_end(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request that a client cancels again costs a thread for a while."""
    monkeypatch.setattr("delego_agent.gateway.process.MAX_OPEN", 2)
    server = start("import time; time.sleep(600)")
    for one in range(2):
        server.send({**PING, "id": one})
    with pytest.raises(ServerError, match="owes 2 answers"):
        server.send({**PING, "id": 2})
    server.give_up(0, "cancelled")
    server.send({**PING, "id": 2})


def test_a_server_whose_list_of_tools_is_none_gets_no_calls(
    lone: tuple[Relay, list[Any]], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, answers = lone
    answer = (
        "{'jsonrpc': '2.0', 'id': json.loads(line)['id'], 'result': {'tools': [7, {}], 'nextCursor': 'x'}}"
    )
    relay.server = start(f"import json, sys\nfor line in sys.stdin: print(json.dumps({answer}), flush=True)")
    monkeypatch.setattr("delego_agent.gateway.toolbook.MAX_PAGES", 3)
    tell(relay, "tools/call", {"name": "a"}, id=5)
    relay.drain(PATIENCE)
    assert "more than 3 pages" in json.dumps(answers)
    relay.server = start("import time; time.sleep(600)")
    monkeypatch.setattr("delego_agent.gateway.toolbook.LIST_TIMEOUT", 0.05)
    tell(relay, "tools/call", {"name": "a"}, id=6)
    relay.drain(PATIENCE)
    assert "did not list its tools in time" in json.dumps(answers)


def test_a_list_of_tools_without_an_end_is_bounded_in_bytes_and_in_time(
    lone: tuple[Relay, list[Any]], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, answers = lone
    answer = (
        "{'jsonrpc': '2.0', 'id': json.loads(line)['id'],"
        " 'result': {'tools': [{'name': 'a', 'x': 'y' * 100}], 'nextCursor': 'x'}}"
    )
    relay.server = start(f"import json, sys\nfor line in sys.stdin: print(json.dumps({answer}), flush=True)")
    with monkeypatch.context() as patched:
        patched.setattr("delego_agent.gateway.toolbook.MAX_LISTED", 1000)
        tell(relay, "tools/call", {"name": "a"}, id=5)
        relay.drain(PATIENCE)
    assert "more than 1000 bytes" in json.dumps(answers)
    monkeypatch.setattr("delego_agent.gateway.toolbook.MAX_PAGES", 10**9)
    monkeypatch.setattr("delego_agent.gateway.toolbook.LIST_TIMEOUT", 0.3)
    tell(relay, "tools/call", {"name": "a"}, id=6)
    relay.drain(PATIENCE)
    assert "did not list its tools in time" in json.dumps(answers)


def test_the_same_name_listed_twice_with_other_words_is_never_what_was_trusted(
    tmp_path: Path, log: list[str]
) -> None:
    book = ToolBook("a", PinStore(tmp_path), log.append, adds_task=False)
    one, two = {"name": "x", "description": "1"}, {"name": "x", "description": "2"}
    PinStore(tmp_path).observe("a", {"x": one}, trust_first=True)
    shown = book.shown({"result": {"tools": [one, two], "nextCursor": "more"}})
    assert shown["result"]["tools"] == [one]
    assert book.shown({"error": {}}) == {"error": {}}
    assert PinStore(tmp_path).listing("a")[0].state == "changed"


def test_a_call_that_was_cancelled_before_it_began_is_not_made(
    lone: tuple[Relay, list[Any]], start: Start
) -> None:
    relay, answers = lone
    server = start("import time; time.sleep(600)")
    relay.server = server
    entered, go = threading.Event(), threading.Event()
    whole = relay._call

    def slow(message: Any) -> Call:
        entered.set()
        go.wait(PATIENCE)
        return whole(message)

    relay._call = slow  # type: ignore[method-assign]  # the moment between two threads
    tell(relay, "resources/read", {"uri": "b"}, id=5)
    assert entered.wait(PATIENCE)
    tell(relay, "notifications/cancelled", {"requestId": 5})
    go.set()
    relay.drain(PATIENCE)
    assert answers == []
