"""What is expected is compared strictly, and what differs is said in the right order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_conformance.judge import choice, mismatch, relation_mismatch, substitute
from delego_conformance.vectors import JSONObject, Relation

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "value", [True, 1, 1.0, "1", None, [], {}, [1], [1.0], {"a": True}, {"a": 1}, 0, False]
)
@pytest.mark.parametrize(
    "other", [True, 1, 1.0, "1", None, [], {}, [1], [1.0], {"a": True}, {"a": 1}, 0, False]
)
def test_values_of_another_type_are_never_equal(value: Any, other: Any) -> None:
    is_equal = mismatch({"ok": {"x": value}}, {"id": "A", "ok": {"x": other}}) is None
    assert is_equal is (repr(value) == repr(other))


@pytest.mark.parametrize(
    ("expect", "reply", "said"),
    [
        ({"ok": {"valid": True}}, {"ok": {"valid": 1}}, "expected valid true; got 1"),
        ({"ok": {"valid": True}}, {"ok": {}}, "expected valid true; got a result without valid"),
        (
            {"ok": {"x": 1}},
            {"refused": {"code": "c", "message": "m"}},
            'expected the result {"x": 1}; got the refusal {"code": "c", "message": "m"}',
        ),
        ({"ok": {}}, {"error": {"message": "m"}}, 'expected a result; got the error {"message": "m"}'),
        ({"refused": {}}, {"ok": {"x": 1}}, 'expected a refusal; got the result {"x": 1}'),
        (
            {"refused": {"codes": ["a", "b"]}},
            {"refused": {"code": "c", "message": ""}},
            'expected a refusal with the code a or b; got the refusal {"code": "c", "message": ""}',
        ),
        (
            {"refused": {"message_contains": ["is", "not"]}},
            {"refused": {"code": "c", "message": "this"}},
            'expected a message with "not"; got "this"',
        ),
        (
            {"any": [{"ok": {"x": 1}}, {"refused": {}}]},
            {"ok": {"x": 2}},
            'expected the result {"x": 1} or a refusal; got the result {"x": 2}',
        ),
        (
            {"refused": {}},
            {"unsupported": {"feature": "f"}},
            'expected a refusal; got unsupported {"feature": "f"}',
        ),
        ({"ok": {}}, {}, "expected a result; got no answer: {}"),
    ],
)
def test_a_mismatch_says_what_was_expected_and_then_what_came(
    expect: JSONObject, reply: JSONObject, said: str
) -> None:
    assert mismatch(expect, reply) == said


def test_a_difference_far_inside_a_long_text_is_shown_with_its_place() -> None:
    text = "a" * 500
    said = mismatch({"ok": {"t": f"{text}b"}}, {"ok": {"t": f"{text}c"}})
    assert said is not None
    assert said.endswith(f'…"{"a" * 40}b"; got …"{"a" * 40}c" (character 500)')


@pytest.mark.parametrize(
    ("expect", "reply"),
    [
        ({"ok": {}}, {"ok": {"more": 1}}),
        ({"ok": {"x": {"y": [1, None]}}}, {"ok": {"x": {"y": [1, None]}, "z": 0}}),
        ({"refused": {}}, {"refused": {"code": "any", "message": ""}}),
        (
            {"refused": {"codes": ["a"], "message_contains": ["b"]}},
            {"refused": {"code": "a", "message": "abc"}},
        ),
        ({"any": [{"ok": {}}, {"refused": {}}]}, {"refused": {"code": "a", "message": "abc"}}),
    ],
)
def test_what_is_expected_passes(expect: JSONObject, reply: JSONObject) -> None:
    assert mismatch(expect, reply) is None


@given(
    st.sampled_from(
        [
            {"ok": {"x": 1}},
            {"ok": {}, "jws": {"header": {}, "claims": {}, "public_key_hex": "00"}},
            {"ok": {}, "receipts": [{"seq": 0}]},
            {"refused": {"codes": ["a"], "message_contains": ["b"]}},
            {"any": [{"ok": {"x": [1]}}, {"refused": {}}]},
        ]
    ),
    st.sampled_from(["ok", "refused", "unsupported", "error", "other"]),
    JSON_VALUES,
)
def test_no_reply_makes_the_judge_raise(expect: JSONObject, kind: str, value: Any) -> None:
    said = mismatch(expect, {"id": "A", kind: value})
    assert said is None or "\n" not in said


def test_which_of_several_answers_it_was_is_known() -> None:
    expect = {"any": [{"ok": {"x": 1}}, {"refused": {}}]}
    assert choice(expect, {"ok": {"x": 1}}) == 0
    assert choice(expect, {"refused": {"code": "", "message": ""}}) == 1
    assert choice({"ok": {}}, {"ok": {}}) == 0


@pytest.mark.parametrize(
    ("kind", "own", "other", "said"),
    [
        ("same_as", 1, 1, None),
        ("same_as", 1, True, "expected x as in B, true; got 1"),
        ("differs_from", 1, 2, None),
        ("differs_from", 1, 1, "expected another x than in B; got 1 in both"),
    ],
)
def test_a_relation_compares_one_member(kind: Any, own: Any, other: Any, said: str | None) -> None:
    relation = Relation(kind, "B", "x")
    assert relation_mismatch(relation, {"ok": {"x": own}}, {"ok": {"x": other}}) == said


@pytest.mark.parametrize("kind", ["same_as", "differs_from"])
@pytest.mark.parametrize("other", [{"refused": {}}, {"ok": {}}, {"ok": 1}])
def test_a_relation_wants_two_results(kind: Any, other: JSONObject) -> None:
    relation = Relation(kind, "B", "x")
    assert relation_mismatch(relation, {"ok": {"x": 1}}, other) is not None
    assert relation_mismatch(relation, other, {"ok": {"x": 1}}) is not None


def test_only_a_whole_text_is_substituted() -> None:
    args = {"a": "${id}", "b": ["${id}", {"c": "x${id}"}], "d": "${other}", "e": 1}
    found = substitute(args, {"id": None})
    assert found == {"a": None, "b": [None, {"c": "x${id}"}], "d": "${other}", "e": 1}
    assert args["a"] == "${id}"
