"""Matchers that no decidable action meets, because a hazard stands in their spelling, are refused at load."""

from __future__ import annotations

import pytest

from delego_spec.action import Action
from delego_spec.errors import PolicyError
from delego_spec.evaluate import evaluate
from delego_spec.hazards import find_hazards
from delego_spec.policy import load_policy
from delego_spec.types import Micros


def forbid(matcher: str) -> str:
    return f"default: allow\nforbidden: [{{name: no, match: {{{matcher}}}}}]"


@pytest.mark.parametrize(
    ("matcher", "proper", "url"),
    [
        ("path_contains: /données", "path_contains: /donn%C3%A9es", "/donn%C3%A9es"),
        ("path_contains: /my docs", "path_contains: /my%20docs", "/my%20docs"),
        ("path: /donn%c3%a9es", "path: /donn%C3%A9es", "/donn%C3%A9es"),
        ("path: /%61dmin", "path: /admin", "/admin"),
        ("path: '/a|b'", "path: /a%7Cb", "/a%7Cb"),
        ("host: 'api.example.com:443'", "host: api.example.com", "/x"),
        ("host: api.example.com.", "host: api.example.com", "/x"),
        ("host: 'localhost:80'", "host: localhost", "http://localhost/x"),
        ("host: '[2001:0db8::1]'", "host: '[2001:db8::1]'", "https://[2001:db8::1]/x"),
        ("host: 0x7f.1", "host: 127.0.0.1", "https://127.0.0.1/x"),
    ],
)
def test_an_entry_that_would_forbid_nothing_is_refused_and_its_proper_spelling_forbids(
    matcher: str, proper: str, url: str
) -> None:
    action = Action("go", "GET", url if "://" in url else f"https://api.example.com{url}", {})
    assert not find_hazards(action)
    with pytest.raises(PolicyError, match="fits no action: "):
        load_policy(forbid(matcher))
    verdict = evaluate(load_policy(forbid(proper)), action, now=Micros(0), counts=None)
    assert verdict.outcome == "deny"


@pytest.mark.parametrize(
    "matcher",
    [
        "path_contains: '..'",
        "path_contains: //",
        "path_contains: '%2F'",
        "path_contains: '%'",
        "path: '*/a%20b/**'",
        "path: '/~me/a;b=1,2'",
        "host: files",
        "host: 'localhost:8080'",
        "host: 'API.example.com:8443'",
    ],
)
def test_what_may_be_met_or_is_always_denied_may_be_named(matcher: str) -> None:
    assert load_policy(forbid(matcher)).forbidden


def test_a_matcher_that_the_schema_refuses_is_refused_once() -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(forbid("path: '/a b?'"))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("char", "\u061c\u200e\u200f\u202a\u202e\u2066\u2069")
def test_a_text_that_is_shown_in_another_order_than_it_is_read_is_refused(char: str) -> None:
    with pytest.raises(PolicyError, match=f"U\\+{ord(char):04X}; remove it, or write it as an escape"):
        load_policy(f"default: deny  # {char} not yet: allow")
    described = (
        f'default: deny\nforbidden: [{{name: a, description: "\\u{ord(char):04x}", match: {{host: a.b}}}}]'
    )
    assert load_policy(described).forbidden[0].description == char
    assert load_policy("default: deny  # \u200d\u2010\u202f\u2065\u206a").default == "deny"
