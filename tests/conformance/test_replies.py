"""A reply may hold anything at all; what is no reply is said so in a line."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_conformance.errors import StartError
from delego_conformance.replies import encode_request, is_reply_to, quoted, read_hello, read_reply
from delego_conformance.strict_json import MAX_DEPTH, strict_json


@pytest.mark.parametrize(
    "reply",
    [
        {"ok": {}},
        {"refused": {"code": "c", "message": "m"}},
        {"refused": {"code": "c", "message": "m", "detail": 1}},
        {"unsupported": {"feature": "f"}},
        {"error": {"message": "m", "trace": "t"}},
    ],
)
def test_each_kind_of_reply_is_read(reply: dict[str, Any]) -> None:
    line = json.dumps({"id": "A", **reply}).encode()
    assert read_reply(line, "A") == ({"id": "A", **reply}, None)
    assert read_reply(b" " + line + b"\r", "A")[1] is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"\xff{}", "is not UTF-8 at byte 0"),
        (b"[]", "is no object"),
        (b'"ok"', "is no object"),
        (b"{}", "has no id"),
        (b'{"ok":{}}', "has no id"),
        (b'{"id":"B","ok":{}}', "has the id \"B\", not 'A'"),
        (b'{"id":1,"ok":{}}', "has the id 1, not 'A'"),
        (b'{"id":"A"}', "and has none"),
        (b'{"id":"A","ok":{},"error":{"message":""}}', 'and has "ok", "error"'),
        (b'{"id":"A","ok":{},"note":1}', 'and has "ok", "note"'),
        (b'{"id":"A","note":{}}', 'and has "note"'),
        (b'{"id":"A","ok":null}', "has ok, which is no object"),
        (b'{"id":"A","ok":true}', "has ok, which is no object"),
        (b'{"id":"A","refused":{"code":"c"}}', "has refused without message, a text"),
        (b'{"id":"A","refused":{"code":1,"message":""}}', "has refused without code, a text"),
        (b'{"id":"A","unsupported":{}}', "has unsupported without feature, a text"),
        (b'{"id":"A","error":{"message":null}}', "has error without message, a text"),
        (b'{"id":"A","ok":{},"ok":{}}', 'has the member "ok" twice'),
        (b'{"id":"A","ok":{"x":{"y":1,"y":1}}}', 'has the member "y" twice'),
        (b'{"id":"A","ok":{"x":NaN}}', "has NaN, which is no JSON"),
        (b'{"id":"A","ok":{"x":-Infinity}}', "has -Infinity, which is no JSON"),
        (b'{"id":"A","ok":{"x":1e999}}', "has the number 1e999, which is too large"),
        (b'{"id":"A","ok":{"x":' + b"9" * 5000 + b"}}", "has a number of 5000 digits"),
        (b'{"id":"A","ok":{"x":' + b"[" * 500 + b"]" * 500 + b"}}", "is nested more than 200 deep"),
        (b'{"id":"A","ok":' + b"[" * 200_000, "is nested more than 200 deep"),
        (b'{"id":"A","ok":{}}{"id":"A","ok":{}}', "is not JSON: extra data"),
    ],
)
def test_what_is_no_reply_is_said_so_in_a_line(line: bytes, said: str) -> None:
    reply, problem = read_reply(line, "A")
    assert reply is None
    assert problem is not None
    assert said in problem
    assert problem.isprintable()
    assert len(problem) < 400


@given(st.binary() | st.text().map(str.encode) | st.from_regex(r'\{"id":"A",.*\}').map(str.encode))
def test_no_bytes_make_the_reader_raise(line: bytes) -> None:
    reply, problem = read_reply(line, "A")
    assert (reply is None) is (problem is not None)
    assert problem is None or "\n" not in problem
    assert "\n" not in quoted(line)


@given(st.binary())
def test_strict_json_raises_value_error_alone(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        strict_json(data)


def test_depth_is_counted_to_its_limit() -> None:
    assert strict_json("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    with pytest.raises(ValueError, match="nested"):
        strict_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_a_line_is_a_reply_to_one_request_only() -> None:
    assert is_reply_to(b'{"id":"A","ok":{}}', "A")
    assert not is_reply_to(b'{"id":"A","ok":{}}', "B")
    assert not is_reply_to(b"", "A")


def test_a_request_is_one_line_of_ascii() -> None:
    line = encode_request({"id": "A", "args": {"x": "é\ud800\u2028\n"}})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert json.loads(line)["args"]["x"] == "é\ud800\u2028\n"


HELLO: dict[str, Any] = {
    "protocol": 1,
    "implementation": {"name": "mine", "version": "1", "language": "Go", "url": "u"},
    "spec": ["0.3"],
    "roles": ["auditor", "authorizer"],
    "features": ["session", "later"],
}


def test_a_hello_is_read() -> None:
    found = read_hello({"ok": HELLO}, ["./mine", "-x"])
    assert (found.name, found.version, found.language, found.url) == ("mine", "1", "Go", "u")
    assert found.roles == ("authorizer", "auditor")
    assert found.features == ("session", "later")
    assert found.command == ("./mine", "-x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": 2}, "speaks protocol 2; this kit speaks 1"),
        ({"protocol": True}, "speaks protocol True"),
        ({"protocol": "1"}, "speaks protocol '1'"),
        ({"implementation": None}, "has no implementation.name"),
        ({"implementation": {"name": ""}}, "has no implementation.name"),
        ({"implementation": {"name": "x", "version": 1}}, "implementation.version that is no text"),
        ({"roles": ["authoriser"]}, "the role 'authoriser'; there are authorizer, broker, auditor"),
        ({"roles": "auditor"}, "has no roles, a list of texts"),
        ({"roles": [[]]}, "has no roles, a list of texts"),
        ({"features": None}, "has no features"),
        ({"spec": "0.3"}, "has no spec"),
        ({"spec": ["0.4", "9"]}, "knows the wire versions '0.4, 9'; this kit judges 0.3"),
        ({"spec": []}, "knows the wire versions ''"),
        ({"implementation": {"name": "x" * 1_000_000}}, "implementation.name of 1000000 characters; 200 are"),
        ({"implementation": {"name": "x", "url": "u" * 201}}, "implementation.url of 201 characters"),
        ({"features": ["x"] * 101}, "features beyond 100 texts"),
        ({"features": ["x" * 201]}, "features beyond 100 texts"),
    ],
)
def test_a_hello_of_no_use_is_an_error(change: dict[str, Any], said: str) -> None:
    with pytest.raises(StartError) as raised:
        read_hello({"ok": {**HELLO, **change}}, ["./mine"])
    assert said in str(raised.value)


def test_a_hello_that_is_refused_is_an_error() -> None:
    with pytest.raises(StartError, match="answers hello with"):
        read_hello({"unsupported": {"feature": "protocol 1"}}, ["./mine"])
