"""What a person sees before a decision: nothing invisible, nothing cut, nothing that looks like another."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.approvals import Approval
from delego_spec.canonical import digest
from delego_spec.display import decision_text, display_hash, literal, visible
from delego_spec.errors import DelegoSpecError
from delego_spec.types import ApprovalId, Micros

ODD = st.text(
    st.sampled_from("ab\\n\nu{}0 \"'\t\u200b\u202e\u0301\u00e9e\u00a0\u2028\x1b\u034f1:=")
    | st.characters(exclude_categories=["Cs"]),
    max_size=12,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)

# Default_Ignorable_Code_Point of Unicode, and characters that are drawn as nothing.
INVISIBLE = [
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0, 0x2800, 0x1D159, 0x16FE4),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE0080),
    *range(0xE0100, 0xE01F0),
]


def action(instruction: str = "pay", url: str = "https://h.example/x", **params: Any) -> Action:
    return Action(instruction, "POST", url, params)


def shown(what: Action, **change: Any) -> str:
    fields: dict[str, Any] = {
        "id": ApprovalId("a-1"),
        "status": "pending",
        "action_fingerprint": what.fingerprint,
        "intent_hash": what.intent_hash,
        "instruction": what.instruction,
        "summary": what.summary,
        "rule": "large",
        "proposer": "agent-1",
        "created_at": Micros(0),
    }
    return decision_text(Approval(**(fields | change)), what)


# --- visible ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ""),
        ("pay 2400 USD to Bob's [shop]", "pay 2400 USD to Bob's [shop]"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("C:\\new", "C:\\\\new"),
        ("\x1b[2J", "\\u{1b}[2J"),
        ("\x00\x7f\x85", "\\u{0}\\u{7f}\\u{85}"),
        ("pay\u202eBob", "pay\\u{202e}Bob"),
        ("a\u200bb\u2060c\ufeffd", "a\\u{200b}b\\u{2060}c\\u{feff}d"),
        ("a\u00a0b\u2003c\u3000d", "a\\u{a0}b\\u{2003}c\\u{3000}d"),
        ("a\u2028b\u2029c", "a\\u{2028}b\\u{2029}c"),
        ("\ue000\U000f0000\u0378", "\\u{e000}\\u{f0000}\\u{378}"),
        ("\ud800", "\\u{d800}"),
        ("Zürich, 東京, 😀", "Zürich, 東京, 😀"),
        ("e\u0301\u0302 x", "e\u0301\u0302 x"),
        ("\u0301x", "\\u{301}x"),
        ("1\u0335", "1\\u{335}"),
        (" \u20dd", " \\u{20dd}"),
        ("❤\ufe0f", "❤\\u{fe0f}"),
        ("👩\u200d👩", "👩\\u{200d}👩"),
    ],
)
def test_what_does_not_print_as_itself_is_written_out(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize("prefix", ["", "a", "1", " "])
def test_nothing_invisible_survives(prefix: str) -> None:
    for code in INVISIBLE:
        assert visible(f"{prefix}{chr(code)}z") == f"{prefix}\\u{{{code:x}}}z"


@given(ODD)
def test_only_characters_that_draw_something_are_left(text: str) -> None:
    for char in visible(text):
        assert char == " " or unicodedata.category(char)[0] not in "CZ"
        assert ord(char) not in INVISIBLE


@given(ODD)
def test_nothing_is_cut_or_changed(text: str) -> None:
    assert unescape(visible(text)) == text


def unescape(seen: str) -> str:
    """The text behind what is shown: that it can be had proves that no two texts are shown alike."""
    out, rest = "", seen
    while rest:
        if rest[0] != "\\":
            out, rest = out + rest[0], rest[1:]
        elif rest[1] == "u":
            code, _, rest = rest[3:].partition("}")
            out += chr(int(code, 16))
        else:
            out, rest = out + {"\\": "\\", "n": "\n", "t": "\t", "r": "\r"}[rest[1]], rest[2:]
    return out


@given(ODD, ODD)
def test_different_texts_are_never_shown_alike(first: str, second: str) -> None:
    assert (visible(first) == visible(second)) == (first == second)


# --- literal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("a", '"a"'),
        ('say "hi"\n', '"say \\"hi\\"\\n"'),
        ("\\", '"\\\\"'),
        (2400, "2400"),
        (98.7, "98.7"),
        (True, "true"),
        (None, "null"),
        ([1, "1", []], '[1, "1", []]'),
        ({"b": 1, "a": {"x": "\u202e"}}, '{"a": {"x": "\\u{202e}"}, "b": 1}'),
        ({}, "{}"),
    ],
)
def test_json_values_are_shown_in_their_own_spelling(value: Any, seen: str) -> None:
    assert literal(value) == seen


@given(VALUES, VALUES)
def test_different_values_are_never_shown_alike(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (literal(first) == literal(second)) == same


# --- the whole text ---------------------------------------------------------------------------------------


def test_all_that_is_bound_is_shown_one_fact_a_line() -> None:
    what = Action(
        "pay Bob\n\u202enow",
        "post",
        "https://Bank.example:8443/pay%20me?to=bob&to=%E2%80%AEeve",
        {"amount": 9000, "memo": "x" * 500},
    )
    assert shown(what, reason="over 5000").split("\n") == [
        "approval:     a-1",
        'instruction:  "pay Bob\\n\\u{202e}now"',
        "method:       POST",
        "scheme:       https",
        "host:         bank.example:8443",
        "path:         /pay%20me",
        'query:        "to" = "bob"',
        'query:        "to" = "\\u{202e}eve"',
        'param:        "amount" = 9000',
        f'param:        "memo" = "{"x" * 500}"',
        "proposed by:  agent-1",
        "rule:         large",
        "reason:       over 5000",
        f"fingerprint:  {what.fingerprint}",
    ]


def test_the_default_is_named_where_no_rule_asked() -> None:
    assert "rule:         (default)" in shown(action(), rule=None)


@given(ODD, ODD, ODD)
def test_no_text_of_an_agent_can_add_a_line(one: str, other: str, third: str) -> None:
    try:
        what = action(one, f"https://h/x?{other}", k=third)
    except DelegoSpecError:
        return
    text = shown(what, proposer=one, rule=other, reason=third or "r", id=ApprovalId(third))
    assert len(text.split("\n")) == 11 + len(what.query)
    assert len(text.splitlines()) == 11 + len(what.query)


@given(st.tuples(ODD, ODD), st.tuples(ODD, ODD))
def test_two_bound_actions_are_never_shown_alike(first: tuple[str, str], second: tuple[str, str]) -> None:
    try:
        one, other = action(first[0], p=first[1]), action(second[0], p=second[1])
    except DelegoSpecError:
        return
    assert (shown(one) == shown(other)) == (first == second)


def test_the_hash_is_of_exactly_the_text_shown() -> None:
    text = shown(action())
    assert display_hash(text) == digest(text)
    assert display_hash(text) != display_hash(text + " ")
