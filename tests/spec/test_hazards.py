"""Hazards: methods, instructions, the wording, and what stays cheap."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.hazards import MAX_INSTRUCTION, MAX_URL, Hazard, HazardCode, find_hazards
from delego_spec.hosts import is_loopback
from support import shared

URL = "https://api.example.com/accounts/me"


def hazards(
    instruction: str = "read my account details", method: str = "GET", url: str = URL
) -> list[Hazard]:
    return list(find_hazards(Action(instruction, method, url, {})))


def reasons(instruction: str = "read my account details", method: str = "GET", url: str = URL) -> list[str]:
    return [hazard.reason for hazard in hazards(instruction, method, url)]


def test_a_plain_action_has_no_hazard() -> None:
    assert hazards() == []


def test_a_hazard_is_a_value_with_the_reason_that_the_receipt_carries() -> None:
    hazard = Hazard("path", "path has a '.' or '..' segment; write the path it leads to")
    assert hazard.reason == "hazard: path: path has a '.' or '..' segment; write the path it leads to"
    assert hazards(url="https://api.example.com/accounts/../admin") == [hazard]
    with pytest.raises(dataclasses.FrozenInstanceError):
        hazard.text = "nothing"  # type: ignore[misc]  # the point of the test


def test_all_hazards_are_found_in_the_order_of_the_parts() -> None:
    found = hazards("\u202e", "G T", "ftp://me@x.example/a//../%c3?q=%ff#")
    assert [hazard.code for hazard in found] == [
        "scheme",
        "authority",
        *["path", "path", "path", "path"],
        "query",
        "fragment",
        "method",
        "instruction",
    ]
    assert {hazard.code for hazard in found} < set(get_args(HazardCode))


@pytest.mark.parametrize(
    "method", ["GET", "post", "CALL", "M-SEARCH", "X", "A" + 31 * "-", "VERSION-CONTROL"]
)
def test_a_method_of_letters_is_decidable(method: str) -> None:
    assert hazards(method=method) == []


@pytest.mark.parametrize(
    "method",
    [
        "",
        "GET ",
        " GET",
        "GET\n",
        "G T",
        "po\u017ft",
        "ß",
        "-GET",
        "G3T",
        "GET_",
        "POST/x",
        "ＧＥＴ",
        33 * "A",
    ],
)
def test_another_method_is_refused(method: str) -> None:
    assert [hazard.code for hazard in hazards(method=method)] == ["method"]


def test_the_method_is_shown_quoted_cut_and_without_unprintable_characters() -> None:
    assert reasons(method="GET\u202e\n") == [
        "hazard: method: method 'GET\\u202e\\n' is malformed; write up to 32 letters, as in GET or CALL"
    ]
    assert len(reasons(method=10_000 * "é")[0]) < 300


@pytest.mark.parametrize(
    "instruction",
    [
        "read",
        "two\nlines,\r\n\ta tab",
        "sag es auf Deutsch: äöü",
        "👩‍👩‍👧‍👦 family, joined",
        "אנא שלם",
        "zero\u200bwidth \ufeff inside",
        MAX_INSTRUCTION * "x",
        MAX_INSTRUCTION // 2 * "é",
        MAX_INSTRUCTION // 4 * "👩",
    ],
)
def test_an_instruction_that_a_person_can_read_is_decidable(instruction: str) -> None:
    assert hazards(instruction) == []


@pytest.mark.parametrize("instruction", ["", " ", "\t\r\n", "\u00a0\u2003\u3000\u2028"])
def test_an_empty_instruction_is_refused(instruction: str) -> None:
    assert reasons(instruction) == ["hazard: instruction: instruction is empty; write what the action is for"]


@pytest.mark.parametrize("instruction", [(MAX_INSTRUCTION + 1) * "x", MAX_INSTRUCTION // 2 * "é" + "x"])
def test_the_limit_of_an_instruction_counts_bytes(instruction: str) -> None:
    assert reasons(instruction) == [
        "hazard: instruction: instruction has 16385 bytes; at most 16384 are allowed"
    ]


@pytest.mark.parametrize("point", [*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
def test_a_control_character_in_an_instruction_is_refused(point: int) -> None:
    assert reasons(f"pay{chr(point)}now") == [
        f"hazard: instruction: instruction has the control character U+{point:04X}; leave it out"
    ]


@pytest.mark.parametrize(
    "point", [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], ids=hex
)
def test_a_bidi_control_in_an_instruction_is_refused(point: int) -> None:
    assert reasons(f"pay{chr(point)}now") == [
        f"hazard: instruction: instruction has U+{point:04X}, which reorders what is read; leave it out"
    ]


@given(st.text())
def test_an_instruction_is_refused_exactly_for_what_the_protocol_lists(text: str) -> None:
    instruction = f"x{text}x"
    bad = any(
        (ord(char) < 32 and char not in "\t\r\n")
        or 0x7F <= ord(char) <= 0x9F
        or char in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for char in instruction
    )
    assert bool(hazards(instruction)) == bad


def test_the_limit_of_a_url_counts_characters() -> None:
    base = "https://api.example.com/"
    assert hazards(url=base + (MAX_URL - len(base)) * "a") == []
    assert reasons(url=base + (MAX_URL - len(base) + 1) * "a") == [
        "hazard: url: url has 8001 characters; at most 8000 are allowed"
    ]


def test_a_password_in_a_url_is_not_repeated_in_the_reason() -> None:
    assert not any(
        "hunter2" in reason for reason in reasons(url="https://me:hunter2@api.example.com/x?key=hunter2#")
    )


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://api.example.com:443/x", "port 443 is the default of the scheme; leave it out"),
        ("http://localhost:80/x", "port 80 is the default of the scheme; leave it out"),
        ("https://[2001:DB8:0::1]/x", "host is no canonical IPv6 address; write [2001:db8::1]"),
        (
            "https://api.example.com/%7Eme",
            "path escapes a character that stands for itself; write it instead of %7E",
        ),
        ("https://api.example.com/a|b", "path has '|', which must be escaped; write %7C"),
        ("https://api.example.com/a\x85", "path has the control character U+0085; leave it out"),
        (
            "https://api.example.com/x?b=2&b=1",
            "query repeats 'b' in an order that the fingerprint loses; sort its values",
        ),
        ("\u2003https://api.example.com/", "scheme has U+2003 before it; begin with https://"),
        ("gopher\n:", "scheme is missing or malformed; begin with https://, mcp:// or tool://"),
        ("gopher:x", "scheme 'gopher' is not allowed; write https, mcp or tool"),
        ("https://a.example;x/", "authority has U+003B; a host has letters, digits, '-', '_' and dots only"),
    ],
)
def test_the_text_says_what_was_found_and_what_to_write(url: str, wanted: str) -> None:
    assert wanted in [hazard.text for hazard in hazards(url=url)]


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://me@api.example.com/", "authority has user information before '@'; write the host alone"),
        ("https://api.example.com\\x", "authority has a backslash; write '/' where the path begins"),
        ("https://api.example.com./x", "host ends with a dot; leave it out"),
        ("https://api..example.com/x", "host has an empty label; write each name between the dots"),
        ("https://:8443/x", "host has an empty label; write each name between the dots"),
        (
            "https://api.example.com/%42%41",
            "path escapes a character that stands for itself; write it instead of %41",
        ),
        (
            "https://api.example.com/%5C%2F%25",
            "path has %25, which servers decode at different times; put that value into params",
        ),
        (
            "https://api.example.com/x?b=3&b=2&b=1",
            "query repeats 'b' in an order that the fingerprint loses; sort its values",
        ),
    ],
)
def test_one_fault_is_told_once(url: str, wanted: str) -> None:
    assert [hazard.text for hazard in hazards(url=url)] == [wanted]


def test_an_escaped_dot_segment_is_named_as_one() -> None:
    assert "path has a '.' or '..' segment; write the path it leads to" in [
        hazard.text for hazard in hazards(url="https://api.example.com/a/%2e%2E/b")
    ]


@pytest.mark.parametrize(
    "authority", ["localhost", "localhost:1", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:9"]
)
def test_loopback_authorities_are_known(authority: str) -> None:
    assert is_loopback(authority)


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "localhost.",
        "localhost\n",
        "x@localhost",
        "127.1",
        "127.0.0.256",
        "127.0.0.01",
        "126.0.0.1",
        "[::]",
        "::1",
    ],
)
def test_other_authorities_are_not_loopback(authority: str) -> None:
    assert not is_loopback(authority)


@pytest.mark.parametrize(
    "text", ["%", "%C3", "%c3%a9", "/..", "&", "&a=1", "?", "@", ":", "[", ".", "-", "é", "\u202e", " ", "#"]
)
def test_huge_input_of_one_kind_is_answered_in_few_sentences(text: str) -> None:
    for start in ("https://", "https://a.example/", "https://a.example/?", "mcp://"):
        long = (start + 8000 * text)[:MAX_URL]
        assert len(hazards(url=long)) <= 8
        assert [hazard.code for hazard in hazards(url=start + 30_000 // len(text) * text)] == ["url"]
    assert len(hazards(f"x{200_000 // len(text.encode()) * text}x")) == 1 + (text == "\u202e")


def test_a_url_of_200_kb_has_one_hazard() -> None:
    assert [hazard.code for hazard in hazards(url=200_000 * "x")] == ["url"]


def test_real_agent_actions_are_decidable() -> None:
    path = shared("data", "agentdojo-banking-slack.jsonl")
    actions = [json.loads(line)["action"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(actions) > 100
    assert [found for action in actions for found in find_hazards(Action.from_mapping(action))] == []
