"""The server as a process: standard streams and loopback HTTP, both eras, strict, and clean at its end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import os
import select
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents import decide, receipts
from delego_authorizer import Home
from delego_cli.main import main
from mcp_lines import Gateway
from served import ERAS, ORDER, PATIENCE, READ, HttpServer, command, fits, http_server, new_home, with_client

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

PROPOSE, RESOLVE = "delego_propose_action", "delego_resolve_action"
TOKEN = "a-token-of-more-than-16-characters"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_home(tmp_path)


@contextmanager
def lines(home: Path, *options: str) -> Iterator[Gateway]:
    """The server on standard streams, spoken to in raw lines."""
    server = Gateway(home, home, (), command=command(home, *options))
    try:
        yield server
        assert server.ended() == 0
    finally:
        server.process.kill()
        server.ended()


async def script(client: Any) -> Any:
    """Propose, be parked, be approved by somebody else, release: what each step answered."""
    read = await client.call_tool(PROPOSE, READ)
    parked = await client.call_tool(PROPOSE, ORDER)
    pending = await client.read_resource("delego://pending")
    approval_id = parked.structured_content["approval_id"]
    assert approval_id in pending.contents[0].text
    await asyncio.to_thread(decide, Path(os.environ["TESTED_HOME"]), approval_id)
    released = await client.call_tool(RESOLVE, {**ORDER, "approval_id": approval_id})
    return [fits(PROPOSE, one.structured_content)["status"] for one in (read, parked, released)]


@pytest.mark.parametrize("era", ERAS)
def test_over_standard_streams_an_agent_gets_what_a_person_approved(
    home: Path, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_script import client

    monkeypatch.setenv("TESTED_HOME", str(home))

    async def run() -> Any:
        async with asyncio.timeout(PATIENCE), client(command(home), era) as one:
            return await script(one)

    assert asyncio.run(run()) == ["released", "needs_approval", "released"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """A server over HTTP, which ends well."""
    with http_server(new_home(tmp_path_factory.mktemp("served"))) as server:
        yield server
        assert server.stop(signal.SIGINT) == 0
    assert all(line.startswith("delego mcp: ") for line in server.log)


@pytest.mark.parametrize("era", ERAS)
def test_over_http_an_agent_gets_what_a_person_approved(
    served: HttpServer, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTED_HOME", str(served.home))
    assert with_client(served.url, script, era) == ["released", "needs_approval", "released"]


def test_what_is_no_strict_json_is_refused_and_what_follows_is_served(home: Path) -> None:
    call = '{{"jsonrpc":"2.0","id":"{}","method":"tools/call","params":{{"name":"NAME","arguments":{}}}}}'
    call = call.replace("NAME", PROPOSE)
    action = json.dumps(READ)[:-1]
    with lines(home) as server:
        server.begin()
        for number, tail in enumerate(
            ('"params":{"a":1,"a":2}', '"url":"https://x.example/"', '"params":{"a":NaN}')
        ):
            server.line(call.format(number, f"{action},{tail}}}"))
            assert "error" in server.until(lambda one, number=number: one.get("id") == str(number))
        server.line("[]")
        server.line("not json")
        server.line(call.format("deep", f'{action},"params":{{"a":{"[" * 200}{"]" * 200}}}}}'))
        assert "error" in server.until(lambda one: one.get("id") == "deep")
        server.line(call.format("huge", f'{action},"params":{{"a":"{"x" * 5_000_000}"}}}}'))
        assert "4194304 bytes" in server.until(lambda one: one.get("id") == "huge")["error"]["message"]
        for method in (
            "delego/approve",
            "resources/subscribe",
            "prompts/list",
            "completion/complete",
            "tasks/list",
        ):
            assert "error" in server.ask(method, {"uri": "delego://policy"})
        exact = server.call(PROPOSE, **READ, params={"a": 2400.0, "b": 98.7, "c": 2**53 - 1})
        assert exact["result"]["structuredContent"]["status"] == "released"
    from delego_spec import Action

    action_proposed = Action(
        READ["instruction"], READ["method"], READ["url"], {"a": 2400.0, "b": 98.7, "c": 2**53 - 1}
    )
    assert exact["result"]["structuredContent"]["action_fingerprint"] == action_proposed.fingerprint
    assert len(receipts(home)) == 2


def test_what_is_asked_before_the_client_leaves_is_answered(home: Path) -> None:
    asked = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": PROPOSE, "arguments": READ}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}},
    ]
    asked[0]["params"] |= {"capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}  # type: ignore[operator]  # a dict
    done = subprocess.run(
        command(home),
        input="".join(f"{json.dumps(one)}\n" for one in asked).encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert answers[2]["result"]["structuredContent"]["status"] == "released"
    assert done.stderr == b""


def test_a_signal_ends_it_while_a_call_waits_without_a_traceback(home: Path) -> None:
    with lines(home, "--hold", "60") as server:
        server.begin()
        server.tool(PROPOSE, **ORDER)
        while not receipts(home):
            server.ask("ping")
        server.process.send_signal(signal.SIGINT)
        assert server.ended() == 0
    assert server.log == []


@pytest.mark.parametrize("how", ["input", "signal", "signal and input", "input and signal"])
def test_a_call_that_waits_comes_back_when_the_server_on_standard_streams_ends(home: Path, how: str) -> None:
    with lines(home, "--hold", "60") as server:
        server.begin()
        waits = server.tool(PROPOSE, **ORDER)
        while not receipts(home):
            server.ask("ping")
        assert server.process.stdin is not None
        for what in how.split(" and "):
            if what == "signal":
                server.process.send_signal(signal.SIGTERM)
            else:
                server.process.stdin.close()
        assert server.process.wait(PATIENCE) == 0
        assert server.ended() == 0
        document = server.answer(waits)["result"]["structuredContent"]
    assert document["status"] == "needs_approval"


def test_nothing_but_messages_is_written_to_standard_output(home: Path, tmp_path: Path) -> None:
    program = tmp_path / "prints.py"
    program.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from delego_agent.server.serving import ServerOptions, serve_stdio\n"
        "from delego_broker.callable import CallableBroker\n"
        "def send(request):\n"
        "    print('stray'); os.system('echo stray'); sys.stdout.flush()\n"
        "    return sys.stdin.read()\n"
        "opens = lambda home: home.authorizer(CallableBroker(send))\n"
        "serve_stdio(Path(sys.argv[1]), ServerOptions(), opens=opens)\n"
    )
    server = Gateway(home, home, (), command=[sys.executable, str(program), str(home)])
    server.begin()
    document = server.call(PROPOSE, **READ)["result"]["structuredContent"]
    assert server.ended() == 0
    assert (document["status"], document["result"]) == ("executed", "")
    assert server.log.count("stray\n") == 2


def test_streams_that_are_closed_are_no_streams_for_others(home: Path) -> None:
    """Descriptors that nobody opened would go to the ledger's files, and be written to."""
    for closed in ("<&-", "2>&-"):
        line = f"exec {shlex.join(command(home))} {closed}"
        ask = f"{json.dumps({**LIST, 'method': 'ping'})}\n".encode()
        done = subprocess.run(
            ["/bin/sh", "-c", line], input=ask, capture_output=True, timeout=PATIENCE, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert all(json.loads(one)["id"] == 1 for one in done.stdout.splitlines())
        assert len(done.stdout.splitlines()) == ("<" not in closed)


def test_a_client_that_does_not_read_does_not_keep_it_from_ending(home: Path) -> None:
    process = subprocess.Popen(command(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        for number in range(300):
            ask = {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {"x": "y" * 1000}}
            process.stdin.write(json.dumps(ask).encode() + b"\n")
        process.stdin.flush()
        process.stdout.read(1)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("how", ["it leaves", "a signal comes"])
def test_a_client_that_only_writes_is_not_read_without_end(home: Path, how: str) -> None:
    """It made the server fill the memory, deaf to SIGTERM, and go on after the client had gone."""
    process = subprocess.Popen(command(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    os.write(process.stdin.fileno(), b'{"jsonrpc":"2.0","id":"first","method":"ping"}\n')
    process.stdout.read(1)  # it has begun, and takes signals
    os.set_blocking(process.stdin.fileno(), False)
    pings = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n' % number for number in range(1_000))
    written, ended = 0, time.monotonic() + PATIENCE
    try:
        while select.select([], [process.stdin], [], 1.0)[1]:  # until it has read nothing for a second
            assert time.monotonic() < ended, f"{written} bytes were read, and not one answer"
            with contextlib.suppress(BlockingIOError):
                written += os.write(process.stdin.fileno(), pings)
        if how == "it leaves":
            process.stdout.close()
        else:
            process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()


def test_an_id_in_use_is_not_taken_twice(home: Path) -> None:
    ask = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"delego_pending"}}\n'
    done = subprocess.run(command(home), input=ask * 40, capture_output=True, timeout=PATIENCE, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 40
    refused = [one["error"]["message"] for one in answers if one["id"] is None]
    assert refused
    assert {text.partition(" is in use")[0] for text in refused} == {"the id 7"}


def post(
    server: HttpServer, body: Any = LIST, path: str = "/mcp", method: str = "POST", **headers: str
) -> Any:
    """(status, text) of one request; a header that is "" is left out."""
    sent = {**HEADERS, "Host": f"127.0.0.1:{server.port}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with closing(connection):
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        for name, value in {**sent, "Content-Length": str(len(data))}.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_http_answers_its_own_name_and_no_web_page(served: HttpServer) -> None:
    assert post(served)[0] == 200
    assert post(served, Host=f"localhost:{served.port}", Origin=served.url.removesuffix("/mcp"))[0] == 200
    for host in ("", "evil.example", f"evil.example:{served.port}", "127.0.0.1", "localhost:1"):
        status, text = post(served, Host=host)
        assert status in (400, 421), host
        assert "tools" not in text
    for origin in ("null", "https://evil.example", "http://evil.example", "http://localhost:1"):
        assert post(served, Origin=origin)[0] == 403, origin
    assert post(served, path="/")[0] == 404
    assert post(served, path="/mcp/")[0] == 404
    assert post(served, path="/mcp/../mcp")[0] == 404
    for method in ("GET", "DELETE", "PUT", "OPTIONS", "HEAD"):
        assert post(served, method=method)[0] == 405, method
    assert post(served, Content_Type="text/plain")[0] == 415
    assert post(served, Content_Encoding="gzip")[0] == 415


def test_http_takes_a_whole_strict_message_of_bounded_size(served: HttpServer) -> None:
    doubled = b'{"jsonrpc":"2.0","id":7,"method":"ping","id":8}'
    status, text = post(served, doubled)
    assert (status, "twice" in text) == (400, True)
    assert post(served, b"[]")[0] == 400
    assert post(served, b"")[0] == 400
    assert post(served, b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":Infinity}}')[0] == 400
    assert post(served, b'{"a":"' + b"x" * 5_000_000 + b'"}')[0] == 413
    call = {"name": PROPOSE, "arguments": {**READ, "params": {"a": 2400.0, "b": 98.7}}}
    status, text = post(served, {**LIST, "method": "tools/call", "params": call})
    assert status == 200
    assert '"status":"released"' in text.replace(" ", "").replace("\\", "")


def test_over_http_calls_at_the_same_time_do_not_mix(served: HttpServer) -> None:
    from delego_spec import Action

    async def many(client: Any) -> Any:
        given = [{**READ, "params": {"n": number}} for number in range(20)]
        return await asyncio.gather(*[client.call_tool("delego_explain", one) for one in given])

    answers = with_client(served.url, many, "2026-07-28")
    prints = [one.structured_content["action_fingerprint"] for one in answers]
    wanted = [Action(*READ.values(), params={"n": number}).fingerprint for number in range(20)]
    assert prints == wanted


def test_over_http_a_call_that_waits_is_answered_when_the_server_ends(home: Path) -> None:
    with http_server(home, "--hold", "600") as server:

        async def script(client: Any) -> Any:
            async def progress(*_: Any) -> None:
                server.process.send_signal(signal.SIGTERM)

            return await client.call_tool(PROPOSE, ORDER, progress_callback=progress)

        result = with_client(server.url, script, "2026-07-28")
        assert server.process.wait(PATIENCE) == 0
    assert result.structured_content["status"] == "needs_approval"


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from delego_agent.server import http as front

    sent: list[Any] = []

    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:80"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": headers}
    monkeypatch.setattr(front, "BODY_TIME", 0.01)
    asyncio.run(front.Guard(None, 80, None)({**scope, "server": ("127.0.0.1", 80)}, never, send))  # type: ignore[arg-type]  # is not reached
    assert sent[0]["status"] == 408


def test_who_leaves_in_the_middle_of_a_body_leaves_no_word_in_the_log(home: Path) -> None:
    with http_server(home) as server:
        head = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"{head}Content-Length: 500\r\nExpect: 100-continue\r\n\r\n".encode())
            client.settimeout(PATIENCE)
            assert client.recv(1000).startswith(b"HTTP/1.1 100")  # the body is waited for
            client.sendall(b"{")
        assert post(server)[0] == 200
        assert server.stop() == 0
    assert len(server.log) == 1  # where it listens


def test_http_with_a_token_answers_those_who_have_it(home: Path, tmp_path: Path) -> None:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    with http_server(home, "--token-file", str(file)) as server:
        for given in ("", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"):
            assert post(server, Authorization=given)[0] == 401, given
        assert post(server, Authorization=f"Bearer {TOKEN}")[0] == 200
        twice = {"Authorization": f"Bearer {TOKEN}", "authorization": "Bearer of another word"}
        assert post(server, **twice)[0] == 401  # which of the two counts, readers do not agree on

        async def run() -> Any:
            from mcp import Client

            async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as web:
                transport = streamable_http_client(server.url, http_client=web)
                async with asyncio.timeout(PATIENCE), Client(transport) as client:
                    return await client.call_tool(PROPOSE, READ)

        assert asyncio.run(run()).structured_content["status"] == "released"
        assert server.stop() == 0
        assert len(server.log) == 1


def run(*words: str, home: Path) -> tuple[int, str]:
    """(status, standard error) of the command, which does not get as far as serving; in this process."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = main(["--home", str(home), "mcp", *words], standalone_mode=False)
    return status, said.getvalue()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--http", "0.0.0.0:0"), 1, "is not loopback"),
        (("--http", "example.com:80"), 1, "is not loopback"),
        (("--http", "[::]:80"), 1, "is not loopback"),
        (("--http", "x"), 2, "is no address"),
        (("--http", "70000"), 2, "is no address"),
        (("--http", "127.0.0.1:"), 2, "is no address"),
        (("--http", "127.0.0.1:-1"), 2, "is no address"),
        (("--token-file", "x"), 2, "is for --http"),
        (("--http", "0", "--token-file", "/nowhere/token"), 1, "cannot read the token file"),
        (("--principal", "two words"), 2, "is not a principal's name"),
        (("--hold", "-1"), 2, "--hold"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_served_is_said_in_one_line(
    home: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    ended, text = run(*words, home=home)
    assert ended == status
    assert said in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (f"{TOKEN}\n", 0o644, "make it 0600"),
        ("short\n", 0o600, "holds no token"),
        ("two words of a token\n", 0o600, "holds no"),
    ],
)
def test_a_token_file_has_to_be_private_and_hold_a_token(
    home: Path, tmp_path: Path, text: str, mode: int, said: str
) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(mode)
    ended, words = run("--http", "0", "--token-file", str(file), home=home)
    assert (ended, said in words) == (1, True)
    assert text.strip() not in words
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_port_that_is_taken_is_said_in_one_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended, words = run("--http", str(taken.getsockname()[1]), home=home)
    assert ended == 1
    assert "cannot listen on 127.0.0.1" in words
    assert len(words.splitlines()) == 1


def test_without_the_library_one_line_names_the_extra(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith(("mcp", "delego_agent.server.")) and name.partition(".")[0] != "mcp_lines":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)  # as if it were not installed
    for words in ((), ("--http", "0")):
        ended, text = run(*words, home=home)
        assert ended == 1
        assert "pip install 'delego-spec[mcp]'" in text
        assert len(text.splitlines()) == 1


def test_it_sends_by_the_gateway_that_the_home_names_as_propose_does(home: Path) -> None:
    Home(home).config_path.write_text(
        'version = 1\n[tokens]\naudience = "bank"\n[broker]\nsocket = "nobody.sock"\n'
    )
    with lines(home) as server:
        server.begin()
        document = server.call(PROPOSE, **READ)["result"]["structuredContent"]
        assert document["status"] == "not_executed"
        assert document["token"] is None
        Home(home).config_path.write_text(
            'version = 1\n[tokens]\naudience = "bank"\n'
            '[broker]\nurl = "https://127.0.0.1:1"\nca = "none.pem"\n'
        )
        document = server.call(PROPOSE, **READ)["result"]["structuredContent"]
        assert document["status"] == "setup_required"
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 0
    with closing(Home(home).ledger()) as ledger:
        assert "broker did not execute" in [*ledger.lines()][-1].decode()


def test_logs_of_libraries_are_single_lines_and_the_tables_are_put_back() -> None:
    import logging

    from delego_agent.server import serving

    said: list[str] = []
    library = logging.getLogger("mcp.tested")
    before = logging.getLogger("mcp").handlers[:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "log", said.append)
        with serving._logging():
            try:
                raise ValueError("inside")
            except ValueError:
                library.exception("it failed")
            library.info("hidden")
    assert said == ["it failed"]
    assert logging.getLogger("mcp").handlers == before
