"""The loop of an adapter: one good reply to every line, whatever the line and whatever the operation does."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_conformance.adapters.base import Refusal, Unsupported, answer_line, serve

HELLO: dict[str, Any] = {"implementation": {"name": "x"}, "spec": ["0.3"], "roles": [], "features": []}


def _raise(error: BaseException) -> Any:
    raise error


OPERATIONS: dict[str, Any] = {
    "echo": lambda args, ctx: {"args": args, "ctx": ctx},
    "refuse": lambda args, ctx: _raise(Refusal("code", "why")),
    "lack": lambda args, ctx: _raise(Unsupported("wings")),
    "crash": lambda args, ctx: _raise(KeyError("gone")),
    "leave": lambda args, ctx: sys.exit(0),
    "nan": lambda args, ctx: {"value": float("nan")},
    "bytes": lambda args, ctx: {"value": b""},
    "deep": lambda args, ctx: _raise(RecursionError("too deep")),
    "odd": lambda args, ctx: _raise(Refusal(b"code", None)),  # type: ignore[arg-type]  # a careless adapter
}


def ask(op: str, **args: Any) -> dict[str, Any]:
    request = {"v": 1, "id": "A-1", "op": op, "args": args, "ctx": {"spec": "0.3"}}
    line, _ = answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)
    reply: dict[str, Any] = json.loads(line)
    assert reply.pop("id") == "A-1"
    return reply


def test_a_result_comes_back_under_ok_with_the_id_of_its_request() -> None:
    assert ask("echo", a="\ud800\u2028é") == {"ok": {"args": {"a": "\ud800\u2028é"}, "ctx": {"spec": "0.3"}}}


def test_a_refusal_is_no_error_and_an_error_is_no_refusal() -> None:
    assert ask("refuse") == {"refused": {"code": "code", "message": "why"}}
    assert ask("crash") == {"error": {"message": "KeyError: 'gone'"}}
    assert ask("lack") == {"unsupported": {"feature": "wings"}}


def test_an_unknown_operation_is_unsupported() -> None:
    assert ask("fly") == {"unsupported": {"feature": "fly"}}


@pytest.mark.parametrize("op", ["leave", "nan", "bytes", "deep"])
def test_what_cannot_be_answered_is_an_error(op: str) -> None:
    assert list(ask(op)) == ["error"]


def test_a_refusal_of_the_wrong_type_still_travels() -> None:
    assert ask("odd") == {"refused": {"code": "b'code'", "message": "None"}}


def test_hello_says_what_is_claimed_and_refuses_other_protocols() -> None:
    assert ask("hello", protocol=[1, 2])["ok"] == {"protocol": 1, **HELLO}
    assert list(ask("hello", protocol=[2])) == ["unsupported"]


@pytest.mark.parametrize("wrong", [{"v": 2}, {"op": 1}, {"args": []}, {"ctx": None}])
def test_a_request_of_another_form_is_an_error(wrong: dict[str, Any]) -> None:
    request = {"v": 1, "id": "1", "op": "echo", "args": {}, "ctx": {}, **wrong}
    reply, _ = answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)
    assert list(json.loads(reply)) == ["id", "error"]


@given(st.binary() | st.text().map(str.encode))
def test_random_bytes_get_one_line_of_json_that_is_no_result(line: bytes) -> None:
    reply, ends = answer_line(line, HELLO, OPERATIONS)
    assert reply.endswith(b"\n")
    assert reply.count(b"\n") == 1
    assert list(json.loads(reply)) == ["id", "error"]
    assert not ends


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda one: st.lists(one, max_size=3)
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("v", "id", "op", "args", "ctx"), _JSON)))
def test_members_of_any_type_get_a_reply(request: dict[str, Any]) -> None:
    reply, _ = answer_line(json.dumps(request).encode(), HELLO, OPERATIONS)
    found = json.loads(reply)
    assert len(found) == 2
    assert found["id"] is None or found["id"] == request["id"]


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"id":' + b"[" * 100_000, b'{"id":NaN}', b"1" * 5000])
def test_hostile_lines_are_errors(line: bytes) -> None:
    assert "error" in json.loads(answer_line(line, HELLO, OPERATIONS)[0])


def test_bye_ends_the_loop_and_leaves_the_rest_unread() -> None:
    def line(op: str) -> bytes:
        return json.dumps({"v": 1, "id": op, "op": op, "args": {}, "ctx": {}}).encode() + b"\n"

    requests, replies = io.BytesIO(line("echo") + b"\xff\n" + line("bye") + line("echo")), io.BytesIO()
    serve(HELLO, OPERATIONS, requests=requests, replies=replies)
    found = [json.loads(one) for one in replies.getvalue().splitlines()]
    assert [next(name for name in one if name != "id") for one in found] == ["ok", "error", "ok"]
    assert requests.read() == line("echo")


def test_the_loop_ends_when_nobody_listens() -> None:
    class Closed(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    serve(HELLO, OPERATIONS, requests=io.BytesIO(b"x\nx\n"), replies=Closed())


NOISY = """
import os, subprocess, sys
from delego_conformance.adapters.base import serve
def noise(args, ctx):
    print("stray")
    os.write(1, b"stray\\n")
    subprocess.run([sys.executable, "-c", "print('stray')"], check=True)
    return {"read": sys.stdin.read()}
serve({}, {"noise": noise})
print("stray")
"""


def test_stray_output_does_not_reach_the_wire_nor_does_a_stray_read_eat_requests() -> None:
    request = b'{"v":1,"id":"%d","op":"noise","args":{},"ctx":{}}\n'
    done = subprocess.run(
        [sys.executable, "-c", NOISY], input=request % 1 + request % 2, capture_output=True, check=True
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"id": "1", "ok": {"read": ""}},
        {"id": "2", "ok": {"read": ""}},
    ]
    assert done.stderr.count(b"stray") == 7
