"""An action and its two hashes: what is bound, and what is not."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action, canonical_query, intent_hash, trim
from delego_spec.canonical import canonical
from delego_spec.errors import ActionError
from support import shared

URL = "https://api.example.com/orders"


def action(
    url: str = URL, method: str = "POST", instruction: str = "place an order", **params: Any
) -> Action:
    return Action(instruction, method, url, params)


def at(query: str) -> tuple[tuple[str, str], ...]:
    return action(f"https://api.example.com/x{query}").query


# --- published values -------------------------------------------------------------------------------------


PINNED = [
    (
        Action("read my account details", "GET", "https://api.example.com/accounts/me", {}),
        "ec949034e985a92f3bcd9f9ab8313a80005157698f748f2b8df6163c04af4619",
        "051bae652ac13aa7eda6389a289e084c3414f9cd2b229544a679b47b21003d06",
    ),
    (
        Action(
            "place a small order",
            "POST",
            "https://api.example.com/orders",
            {"amount": 2400, "currency": "USD", "destination": "internal"},
        ),
        "76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3",
        "4327df2637072bf058622d1f8baea6e431726f7332a50cd12ec970d6e43c2fd2",
    ),
    (
        Action(
            "place a small order",
            "POST",
            "https://api.example.com/orders",
            {"amount": 2400, "currency": "USD", "destination": "internal", "recipient": "attacker"},
        ),
        "76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3",
        "43aa4af8115a932a72f30da058b7396427a6f69f98cffbe4df8ce78017b89123",
    ),
]


@pytest.mark.parametrize(("given_action", "intent", "fingerprint"), PINNED)
def test_pinned_hashes(given_action: Action, intent: str, fingerprint: str) -> None:
    assert (given_action.intent_hash, given_action.fingerprint) == (intent, fingerprint)


def test_a_pinned_hash_of_wire_version_0_2_leaves_the_query_out() -> None:
    first = "497e02606ea157ca8ca885cbbd33d1a8a70c40fdaf6f15c5154d858f870b8b61"
    assert PINNED[0][0].legacy_fingerprint == first
    queried = Action("x", "GET", "https://api.example.com/accounts/me?to=attacker", {})
    assert queried.legacy_fingerprint == first


def test_published_hashing_vectors() -> None:
    cases = json.loads(shared("ctk", "hashing.json").read_text(encoding="utf-8"))
    assert len(cases) >= 9
    for case in cases:
        found = Action.from_mapping(case["action"])
        assert canonical({"instruction": trim(found.instruction)}).decode() == case["intent_canonical_json"]
        assert canonical(found.preimage()).decode() == case["fingerprint_canonical_json"]
        assert found.intent_hash == case["intent_hash"]
        assert found.fingerprint == case["action_fingerprint"]


def test_published_hashing_vectors_of_wire_version_0_2() -> None:
    for case in json.loads(shared("ctk", "hashing-v0.2.json").read_text(encoding="utf-8")):
        found = Action.from_mapping(case["action"])
        assert found.legacy_fingerprint == case["action_fingerprint"]
        assert found.intent_hash == case["intent_hash"]


# --- what the fingerprint binds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        action(method="PUT", amount=1),
        action(amount=2),
        action(amount="1"),
        action(amount=True),
        action(amount=1, recipient="attacker"),
        action(amount=1, n=None),
        action("https://api.example.com/orders/", amount=1),
        action("https://api.example.com/Orders", amount=1),
        action("https://api.example.com/%6Frders", amount=1),
        action("https://api.example.com//orders", amount=1),
        action("https://api.example.com/orders;v=1", amount=1),
        action("https://api.example.com:443/orders", amount=1),
        action("https://api.example.com./orders", amount=1),
        action("https://u@api.example.com/orders", amount=1),
        action("https://api.example.com/orders?a", amount=1),
    ],
)
def test_any_other_request_has_another_fingerprint(other: Action) -> None:
    assert other.fingerprint != action(amount=1).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        action(method="post", amount=1),
        action("https://API.Example.COM/orders", amount=1),
        action("HTTPS://api.example.com/orders", amount=1),
        action("http://api.example.com/orders", amount=1),
        action("https://api.example.com/orders?", amount=1),
        action("https://api.example.com/orders#f", amount=1),
        action(amount=1.0),
        action(instruction="another purpose", amount=1),
    ],
)
def test_spellings_of_one_request_share_a_fingerprint(other: Action) -> None:
    assert other.fingerprint == action(amount=1).fingerprint


def test_params_are_bound_whatever_their_order() -> None:
    assert action(a=1, b={"d": 1, "c": 2}).fingerprint == action(b={"c": 2, "d": 1}, a=1).fingerprint


def test_the_parts_of_a_url_are_taken_literally() -> None:
    found = action("hTTps://User@API.example.com:8443/a/../b%2F;p?x=1&y#frag?no")
    assert (found.scheme, found.host, found.path) == (
        "https",
        "user@api.example.com:8443",
        "/a/../b%2F;p",
    )
    assert (found.raw_query, found.fragment) == ("x=1&y", "frag?no")
    assert found.url == "hTTps://User@API.example.com:8443/a/../b%2F;p?x=1&y#frag?no"


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("", "", "/"),
        ("orders", "", "orders"),
        ("//h", "h", "/"),
        ("mailto:a@b", "", "a@b"),
        ("https:///x", "", "/x"),
        ("https:\\\\h/x", "", "\\\\h/x"),
        (" https://h/x", "h", "/x"),
        ("https://h\n/x\n", "h\n", "/x\n"),
        ("https://h?a/b", "h", "/"),
        ("https://h#a?b", "h", "/"),
    ],
)
def test_any_text_has_parts_and_nothing_is_stripped(url: str, host: str, path: str) -> None:
    assert (action(url).host, action(url).path) == (host, path)


# --- the canonical query ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spellings", "pairs"),
    [
        (["", "?", "?#", "#", "#?a"], ()),
        (["?a=1&b=2", "?b=2&a=1"], (("a", "1"), ("b", "2"))),
        (["?a", "?a=", "?%61"], (("a", ""),)),
        (["?p=a b", "?p=a+b", "?p=a%20b"], (("p", "a b"),)),
        (["?p=é", "?p=%C3%A9", "?p=%c3%a9"], (("p", "é"),)),
        (["?p=%zz", "?p=%25zz"], (("p", "%zz"),)),
        (["?p=%2B"], (("p", "+"),)),
        (["?p=%252B"], (("p", "%2B"),)),
        (["?a=1%26b=2"], (("a", "1&b=2"),)),
        (["?a%3Db"], (("a=b", ""),)),
        (["?a==b", "?a=%3Db"], (("a", "=b"),)),
        (["?="], (("", ""),)),
        (["?&"], (("", ""), ("", ""))),
        (["?a=1&&b=2", "?a=1&b=2&", "?&a=1&b=2"], (("", ""), ("a", "1"), ("b", "2"))),
        (["?a=2&a=1", "?a=1&a=2"], (("a", "1"), ("a", "2"))),
        (["?a=1;b=2"], (("a", "1;b=2"),)),
        (["?B=1&a=2"], (("B", "1"), ("a", "2"))),
        (["?a=10&a=9"], (("a", "10"), ("a", "9"))),
        (["?%F0%90%80%80&%EE%80%80"], (("\ue000", ""), ("\U00010000", ""))),
        (["?a?b#c"], (("a?b", ""),)),
        (["?p=%ff", "?p=%EF%BF%BD"], (("p", "\ufffd"),)),
    ],
)
def test_queries_are_split_decoded_and_sorted(
    spellings: list[str], pairs: tuple[tuple[str, str], ...]
) -> None:
    for spelling in spellings:
        assert at(spelling) == pairs, spelling


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5))
def test_a_form_encoded_query_gives_its_sorted_pairs(pairs: list[tuple[str, str]]) -> None:
    encodable = [
        pair for pair in pairs if all(text.encode("utf-8", "ignore").decode() == text for text in pair)
    ]
    assert canonical_query(urlencode(encodable)) == tuple(sorted(encodable))


# --- the intent -------------------------------------------------------------------------------------------

WHITE = (
    "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def test_twenty_four_characters_are_trimmed() -> None:
    assert len(WHITE) == len(set(WHITE)) == 24
    assert trim(f"{WHITE}pay\tBob{WHITE}") == "pay\tBob"
    assert trim(WHITE) == ""


@pytest.mark.parametrize("char", WHITE, ids=lambda char: f"U+{ord(char):04X}")
def test_white_space_at_an_end_does_not_change_the_intent(char: str) -> None:
    assert intent_hash(f"{char}pay{char}") == intent_hash("pay")
    assert intent_hash(f"pay{char}now") != intent_hash("paynow")


@pytest.mark.parametrize("char", "\x1c\x1d\x1e\x1f\x85\ufeff", ids=lambda char: f"U+{ord(char):04X}")
def test_an_end_that_only_some_implementations_trim_is_refused(char: str) -> None:
    for text in (f"{char}pay", f"pay{char}", f" {char} pay", f"pay {char}\n", char):
        with pytest.raises(ActionError, match="not everybody trims"):
            intent_hash(text)
    assert trim(f"a{char}b") == f"a{char}b"


@pytest.mark.parametrize("char", "\u200b\u2060\u180e\x00\x7f", ids=lambda char: f"U+{ord(char):04X}")
def test_what_nobody_trims_is_part_of_the_intent(char: str) -> None:
    assert intent_hash(f"pay{char}") != intent_hash("pay")


def test_case_inner_space_and_unicode_form_are_part_of_the_intent() -> None:
    texts = ["pay bob", "Pay bob", "pay  bob", "pay\nbob", "pay b\u00f6b", "pay bo\u0308b"]
    assert len({intent_hash(text) for text in texts}) == len(texts)


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"instruction": 7}, "instruction: is a int; send a string"),
        ({"method": None}, "method: is a NoneType; send a string"),
        ({"url": b"x"}, "url: is a bytes; send a string"),
        ({"instruction": "\ud800"}, "instruction: contains a lone surrogate"),
        ({"url": "https://h/\udfff"}, "url: contains a lone surrogate"),
        ({"params": None}, "params: is a NoneType; send an object"),
        ({"params": []}, "params: is a list; send an object"),
        ({"params": {"a": [float("nan")]}}, "params.a[0]: is not a finite number"),
        ({"instruction": "x" * 262144}, "instruction: canonical text has"),
        ({"params": {"a": "x" * 262144}}, "$: canonical text has"),
    ],
)
def test_a_part_without_a_canonical_form_is_refused(members: dict[str, Any], text: str) -> None:
    whole = {"instruction": "i", "method": "GET", "url": URL, "params": {}} | members
    with pytest.raises(ActionError) as caught:
        Action(**whole)
    assert str(caught.value).startswith(text)
    assert caught.value.field == text.split(":")[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "action: is not an object"),
        (None, "action: is not an object"),
        ({}, "action: lacks 'instruction'"),
        ({"instruction": "i", "method": "GET"}, "action: lacks 'url'"),
        ({"instruction": "i", "method": "GET", "url": "u", "x": 1}, "action: has the unknown member 'x'"),
        ({"instruction": "i", "method": "GET", "url": "u", "params": None}, "params: is a NoneType"),
    ],
)
def test_an_object_that_is_no_action_is_refused(value: object, text: str) -> None:
    with pytest.raises(ActionError) as caught:
        Action.from_mapping(value)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("text", ["", "{", '{"url":1,"url":2}', "7", "NaN", b"\xff"])
def test_text_that_is_no_action_is_refused(text: str | bytes) -> None:
    with pytest.raises(ActionError, match=r"^action: "):
        Action.from_json(text)


@given(st.binary(max_size=80) | st.text(max_size=80))
def test_no_text_raises_anything_else(text: Any) -> None:
    with pytest.raises(ActionError):
        Action.from_json(text)


# --- the value --------------------------------------------------------------------------------------------


def test_an_action_is_read_back_from_what_it_writes() -> None:
    found = action(f"{URL}?a=1#f", amount=2.0, nested={"x": [1]})
    assert Action.from_mapping(found.to_mapping()) == found
    assert Action.from_json(json.dumps(found.to_mapping())) == found
    assert Action.from_json('{"instruction":"i","method":"GET","url":"u"}').params == {}


def test_an_action_keeps_nothing_of_what_the_caller_may_change() -> None:
    params: dict[str, Any] = {"a": [1]}
    found = Action("i", "GET", URL, params)
    written: Any = found.to_mapping()
    params["a"].append(2)
    written["params"]["a"].append(3)
    assert found.params == {"a": [1]}
    with pytest.raises(AttributeError):
        found.method = "PUT"  # type: ignore[misc]  # that is the point
    assert hash(found) == hash(Action("i", "GET", URL, {"a": [1]}))


def test_a_method_is_upper_cased_by_ascii_alone() -> None:
    assert action(method="patch").method == "PATCH"
    assert action(method="ßx").method == "ßx"


def test_the_summary_shows_all_that_is_bound() -> None:
    assert action("https://API.example.com/a b?z=1&a=x%26y", "get").summary == (
        "GET api.example.com/a b?a=x%26y&z=1"
    )
    assert action(amount=2400, b="é").summary == 'POST api.example.com/orders {"amount":2400,"b":"é"}'
    assert action("https://h").target == "h/"


@given(
    st.tuples(st.text(max_size=6), st.text(max_size=6)),
    st.tuples(st.text(max_size=6), st.text(max_size=6)),
)
def test_two_bound_queries_never_share_a_target(first: tuple[str, str], second: tuple[str, str]) -> None:
    try:
        one, other = (action(f"https://h/x?{urlencode([pair])}") for pair in (first, second))
    except UnicodeEncodeError:
        return
    assert (one.query == other.query) == (one.target == other.target)


def test_a_private_copy_is_the_action_and_shares_nothing_with_it() -> None:
    action = Action("do it", "POST", "https://api.example.com/x", {"a": [1, {"b": 2}]})
    copy = action.private_copy()
    assert copy == action
    action.params["a"][1]["b"] = 3  # type: ignore[index, call-overload]  # what a careless caller does
    assert copy is not None
    assert copy.params == {"a": [1, {"b": 2}]}
    assert (copy.fingerprint, copy.summary) == (action.fingerprint, action.summary)


@pytest.mark.parametrize("changed", [2, "1", float("nan"), object()])
def test_there_is_no_private_copy_of_an_action_that_was_changed(changed: Any) -> None:
    action = Action("do it", "POST", "https://api.example.com/x", {"a": 1})
    action.params["a"] = changed
    assert action.private_copy() is None


def test_a_colon_without_a_scheme_before_it_begins_no_authority() -> None:
    # the fingerprint of "://host/x" was that of "https://host/x"; RFC 3986, appendix B, reads a path
    shapeless = action("://api.example.com/orders")
    assert (shapeless.scheme, shapeless.host, shapeless.path) == ("", "", "://api.example.com/orders")
    assert shapeless.fingerprint != action().fingerprint


def test_params_are_as_deep_as_their_place_in_the_preimage_leaves_them() -> None:
    # 64 levels of params made a preimage of 65, which was hashed although no value of that depth may be (§3)
    deepest: Any = 1
    for _ in range(63):
        deepest = {"a": deepest}
    canonical(Action("do it", "POST", URL, deepest).preimage())
    with pytest.raises(ActionError, match="nested deeper"):
        Action("do it", "POST", URL, {"a": deepest})
