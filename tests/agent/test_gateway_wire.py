"""How the gateway reads messages: strictly, and writes them anew."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_agent.gateway.wire import (
    INVALID_REQUEST,
    PARSE_ERROR,
    Oversized,
    WireError,
    encode,
    error_answer,
    key_of,
    parse,
    read_lines,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(params=st.dictionaries(st.text(), VALUES, max_size=4))
def test_a_message_is_written_with_all_its_fields_on_one_line(params: dict[str, Any]) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params, "x-vendor": [1]}
    line = encode(message)
    assert line.count(b"\n") == 1
    assert len(line.decode().splitlines()) == 1
    again = parse(line)
    assert again == message
    assert list(again["params"]) == list(params)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":{"y":1,"y":2}}}', INVALID_REQUEST),
        ('[{"jsonrpc":"2.0","id":1,"method":"a"}]', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":NaN}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":1e999}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\\ud800"}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"\\ud800":1}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":' + "[" * 200 + "]" * 200 + "}", INVALID_REQUEST),
        (
            '{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":' + "[" * 200 + "]" * 200 + "}}",
            INVALID_REQUEST,
        ),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":[]}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":7}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"method":"a","result":{}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1,"result":7}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","result":{}}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1}', INVALID_REQUEST),
        ('{"jsonrpc":"1.0","id":1,"method":"a"}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":null,"method":"a"}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":true,"method":"a"}', INVALID_REQUEST),
        ('{"jsonrpc":"2.0","id":1.5,"method":"a"}', INVALID_REQUEST),
        ("7", INVALID_REQUEST),
        ("{", PARSE_ERROR),
        ('{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":' + "9" * 5000 + "}}", PARSE_ERROR),
        ("[" * 100_000, PARSE_ERROR),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_two_parsers_may_read_differently_is_refused(text: str, code: int) -> None:
    with pytest.raises(WireError) as caught:
        parse(text.encode())
    assert caught.value.code == code


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(WireError, match="UTF-8"):
        parse(b'{"jsonrpc":"2.0","id":1,"method":"\xff"}')


def test_a_refused_message_names_the_ids_it_may_have_been_meant_for() -> None:
    with pytest.raises(WireError) as caught:
        parse(b'[{"jsonrpc":"2.0","id":"a","result":{}},{"jsonrpc":"2.0","id":7,"result":{}}]')
    assert caught.value.ids == ("a", 7)
    with pytest.raises(WireError) as caught:
        parse(b'{"jsonrpc":"2.0","id": 5,"result":{"a":1,"a":2}}')
    assert 5 in caught.value.ids


def test_a_long_line_is_thrown_away_while_it_is_read_and_the_next_one_is_good() -> None:
    long = b'{"jsonrpc":"2.0","x":"' + b"y" * 500_000 + b'","id":77}\n'
    stream = io.BytesIO(b'{"a":1}\n\n' + long + b'{"b":2}\n')
    first, cut, last = read_lines(stream, 1000)
    assert (first, last) == (b'{"a":1}\n', b'{"b":2}\n')
    assert isinstance(cut, Oversized)
    assert cut.error().ids == (77,)


def test_a_long_line_without_an_end_is_one_message() -> None:
    (cut,) = read_lines(io.BytesIO(b"x" * 300_000), 1000)
    assert isinstance(cut, Oversized)


def test_ids_of_two_kinds_are_two() -> None:
    assert key_of(1) != key_of("1")


def test_an_error_carries_its_data() -> None:
    assert json.loads(encode(error_answer("x", -32050, "no", {"a": 1})))["error"]["data"] == {"a": 1}


@given(st.binary(max_size=200))
def test_reading_raises_only_its_own_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        parse(data)
