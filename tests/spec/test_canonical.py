"""Canonical JSON: the bytes of RFC 8785 wherever it agrees with code point order, a refusal elsewhere."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.canonical import (
    MAX_BYTES,
    MAX_DEPTH,
    canonical,
    digest,
    encode_normalised,
    normalise,
    parse_json,
)
from delego_spec.errors import CanonicalError

LIMIT = 2**53 - 1

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
INTEGERS = st.integers(-LIMIT, LIMIT)
FLOATS = st.floats(-float(LIMIT), float(LIMIT), allow_nan=False).filter(lambda x: x == 0 or abs(x) >= 1e-4)
KEYS = st.text(st.characters(max_codepoint=0xD7FF), max_size=6)  # below the surrogates both orders agree
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=10,
)


def refusal(value: object) -> str:
    with pytest.raises(CanonicalError) as caught:
        canonical(value)
    return str(caught.value)


def parse_refusal(text: str | bytes) -> str:
    with pytest.raises(CanonicalError) as caught:
        parse_json(text)
    return str(caught.value)


# --- the bytes --------------------------------------------------------------------------------------------


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_the_bytes_are_those_of_a_simple_oracle(value: Any) -> None:
    plain = normalise(value)
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert canonical(value) == text.encode()


@given(VALUES)
def test_what_is_written_is_read_back_and_stays_canonical(value: Any) -> None:
    data = canonical(value)
    assert parse_json(data) == parse_json(data.decode()) == normalise(value)
    assert canonical(parse_json(data)) == data


@given(VALUES)
def test_normalising_twice_changes_nothing_and_the_input_is_left_alone(value: Any) -> None:
    before = copy.deepcopy(value)
    once = normalise(value)
    assert repr(normalise(once)) == repr(once)
    assert repr(value) == repr(before)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"b": 1, "a": [True, None, "x"]}, b'{"a":[true,null,"x"],"b":1}'),
        ({"é": "\u2028", "z": "<&>\x7f"}, '{"z":"<&>\x7f","é":"\u2028"}'.encode()),
        ('\x00\x1f\b\t\n\f\r"\\/', b'"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/"'),
        ("e\u0301", '"e\u0301"'.encode()),
        ("😀", '"😀"'.encode()),
        (2400.0, b"2400"),
        (-0.0, b"0"),
        (98.7, b"98.7"),
        (0.01, b"0.01"),
        (1e-4, b"0.0001"),
        (0.1 + 0.2, b"0.30000000000000004"),
        (123456789012345.6, b"123456789012345.6"),
        (float(LIMIT), b"9007199254740991"),
        (-LIMIT, b"-9007199254740991"),
        ((1, (2,)), b"[1,[2]]"),
        ({}, b"{}"),
        ([], b"[]"),
        (False, b"false"),
    ],
)
def test_known_bytes(value: object, data: bytes) -> None:
    assert canonical(value) == data
    assert digest(value) == hashlib.sha256(data).hexdigest()


def test_nothing_is_shared_with_the_input() -> None:
    value: Any = {"a": [1, {"b": 2}]}
    result: Any = normalise(value)
    value["a"][1]["b"] = 3
    assert result == {"a": [1, {"b": 2}]}


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 2**53}, "$.a: is an integer beyond 2^53-1; send a string"),
        (-(2**53), "$: is an integer beyond 2^53-1; send a string"),
        ([1e300], "$[0]: is an integer beyond 2^53-1; send a string"),
        ({"x": [0, math.nan]}, "$.x[1]: is not a finite number"),
        (math.inf, "$: is not a finite number"),
        (-math.inf, "$: is not a finite number"),
        (9.9e-5, "$: is the float 9.9e-05, below 0.0001 in size; send a string"),
        (-5e-324, "$: is the float -5e-324, below 0.0001 in size; send a string"),
        ({"a b": "\ud800"}, '$["a b"]: contains a lone surrogate'),
        ({"\udfff": 1}, "$: contains a lone surrogate"),
        ({1: 2}, "$: has the key 1, which is a int; send a string"),
        ({None: 2}, "$: has the key None, which is a NoneType; send a string"),
        ({"a": b"x"}, "$.a: is a bytes; JSON has null, booleans, numbers, strings, arrays and objects"),
        ({"a": {1}}, "$.a: is a set; JSON has null, booleans, numbers, strings, arrays and objects"),
    ],
)
def test_a_value_without_one_canonical_form_is_refused_with_its_path(value: object, text: str) -> None:
    assert refusal(value) == text


def test_subclasses_of_plain_types_are_refused() -> None:
    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    assert "is a Text" in refusal(Text("x"))
    assert "is a Number" in refusal(Number(1))


def test_keys_on_whose_order_the_two_rules_disagree_are_refused() -> None:
    disputed = {"\ue000": 1, "\U00010000": 2}
    assert refusal({"p": disputed}).startswith("$.p: has keys that sort differently")
    assert canonical({"\U00010000": 2}) == '{"\U00010000":2}'.encode()
    assert (
        rfc8785.dumps(disputed)
        != json.dumps(disputed, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    )


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: (x,)])
def test_nesting_has_a_limit(wrap: Any) -> None:
    value: Any = wrap(0)
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)
    assert canonical(value)
    assert "nested deeper than 64 levels" in refusal(wrap(value))


def test_the_text_has_a_limit_which_a_caller_may_lift() -> None:
    assert len(canonical("x" * (MAX_BYTES - 2))) == MAX_BYTES
    assert refusal("x" * (MAX_BYTES - 1)) == "$: canonical text has 262145 bytes; at most 262144 are allowed"
    assert len(encode_normalised("x" * MAX_BYTES, max_bytes=None)) == MAX_BYTES + 2
    assert digest("x" * MAX_BYTES, max_bytes=None)


def test_an_error_names_what_the_caller_calls_the_value() -> None:
    with pytest.raises(CanonicalError, match=r"^params\.a: ") as caught:
        canonical({"a": math.nan}, name="params")
    assert (caught.value.path, caught.value.problem) == ("params.a", "is not a finite number")


# --- parsing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "$: is not JSON: expecting value (line 1 column 1)"),
        ("{", "is not JSON"),
        ("[1,]", "is not JSON"),
        ("'x'", "is not JSON"),
        ("01", "is not JSON"),
        ("1 2", "is not JSON"),
        ("\ufeff{}", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        ("\x0b1", "is not JSON"),
        ('"\t"', "is not JSON"),
        (b'"\xff"', "$: is not UTF-8 (byte 1)"),
        (b'"\xed\xa0\x80"', "is not UTF-8"),
        ('"\ud800"', "$: contains a lone surrogate"),
        ('"\\ud800"', "$: contains a lone surrogate"),
        ("NaN", "$: contains NaN, which is not JSON"),
        ("[Infinity]", "contains Infinity, which is not JSON"),
        ("-Infinity", "contains -Infinity, which is not JSON"),
        ('{"a":1,"a":2}', '$: has the member "a" twice'),
        ('{"x":{"a":1,"\\u0061":1}}', 'has the member "a" twice'),
        ("1e400", "$: is not a finite number"),
        ("1e-7", "send a string"),
        ("9007199254740992", "$: is an integer beyond 2^53-1; send a string"),
        ("9" * 5000, "$: contains a number with too many digits; send a string"),
        ("[" * 65 + "]" * 65, "nested deeper than 64 levels"),
        ("[" * 200_000, "nested deeper than 64 levels"),
        (" " * (MAX_BYTES + 1), "$: has 262145 bytes; at most 262144 are allowed"),
    ],
)
def test_text_that_programs_read_differently_is_refused(text: str | bytes, problem: str) -> None:
    assert problem in parse_refusal(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" {} ", {}),
        ("2400.0", 2400),
        ("1e3", 1000),
        ("-0", 0),
        ('"\\ud83d\\ude00"', "😀"),
        ('{"a":[1.5,null]}', {"a": [1.5, None]}),
    ],
)
def test_what_is_read_is_in_its_one_form(text: str, value: object) -> None:
    assert repr(parse_json(text)) == repr(value)


def test_a_caller_may_allow_longer_text() -> None:
    assert parse_json(" " * MAX_BYTES + "1", max_bytes=MAX_BYTES + 1) == 1


@given(ANYTHING)
def test_any_value_is_canonical_or_refused(value: Any) -> None:
    try:
        data = canonical(value)
    except CanonicalError:
        return
    assert canonical(parse_json(data)) == data


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_any_text_is_read_or_refused(text: Any) -> None:
    try:
        value = parse_json(text)
    except CanonicalError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine
        return
    assert canonical(value)
