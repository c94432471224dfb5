"""Gateway messages and the rebuilt URL (§2.2)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.errors import GatewayError
from delego_spec.gateway import (
    REFUSAL_CODES,
    Executed,
    GatewayRequest,
    Refused,
    Released,
    check_outcome,
    rebuild_url,
    response_from_json,
    response_to_json,
)
from delego_spec.hazards import find_hazards
from delego_spec.types import Digest
from support import shared

ACTION = Action("place an order", "post", "https://api.example.com/orders?b=2&a=1", {"amount": 2400})
REQUEST = GatewayRequest.of(ACTION, "a.b.c")
MESSAGE = json.loads(REQUEST.to_json())

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
outcomes = st.one_of(
    st.builds(
        Executed,
        status=st.none() | st.integers(100, 599),
        result=json_values,
        error=st.none() | texts.filter(bool),
    ),
    st.builds(Refused, code=st.sampled_from(REFUSAL_CODES), message=texts),
)


# Requests


def test_a_request_is_written_in_canonical_bytes() -> None:
    assert REQUEST.to_json() == (
        b'{"action":{"method":"POST","params":{"amount":2400},"url":"https://api.example.com/orders?b=2&a=1"},'
        b'"action_fingerprint":"' + ACTION.fingerprint.encode() + b'","authorization_token":"a.b.c",'
        b'"intent_hash":"' + ACTION.intent_hash.encode() + b'"}'
    )


@pytest.mark.parametrize("request_", [REQUEST, replace(REQUEST, authorization_token=None, params={})])
def test_a_request_survives_the_wire(request_: GatewayRequest) -> None:
    assert GatewayRequest.from_json(request_.to_json()) == request_


def test_a_request_without_params_has_none() -> None:
    action = {"method": "GET", "url": "https://api.example.com/"}
    assert GatewayRequest.from_json(json.dumps({**MESSAGE, "action": action})).params == {}


@pytest.mark.parametrize(
    "path", ["action", "intent_hash", "action_fingerprint", "action.method", "action.url"]
)
def test_a_request_lacks_nothing(path: str) -> None:
    message = json.loads(REQUEST.to_json())
    *parents, name = path.split(".")
    holder = message[parents[0]] if parents else message
    del holder[name]
    with pytest.raises(GatewayError, match=f"request.{path}: is missing"):
        GatewayRequest.from_json(json.dumps(message))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"action": []}, "request.action: must be an object"),
        ({"action": {**MESSAGE["action"], "params": None}}, "request.action.params: must be an object"),
        ({"action": {**MESSAGE["action"], "params": []}}, "request.action.params: must be an object"),
        ({"action": {**MESSAGE["action"], "url": 5}}, "request.action.url: must be a string"),
        ({"action": {**MESSAGE["action"], "method": ""}}, "request.action.method: must be a string"),
        ({"action": {**MESSAGE["action"], "body": ""}}, "request.action: has the unknown member 'body'"),
        ({"instruction": "x"}, "request: has the unknown member 'instruction'"),
        ({"intent_hash": "00"}, "request.intent_hash: must be 64"),
        ({"action_fingerprint": str(ACTION.fingerprint).upper()}, "request.action_fingerprint: must be 64"),
        ({"authorization_token": None}, "request.authorization_token: must be a string"),
        ({"authorization_token": ""}, "request.authorization_token: must be a string"),
    ],
)
def test_a_request_of_another_form_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        GatewayRequest.from_json(json.dumps({**MESSAGE, **change}))
    assert str(caught.value).startswith(text)


def test_a_request_with_a_member_twice_is_refused() -> None:
    text = REQUEST.to_json().decode().replace('"method":"POST"', '"method":"GET","method":"POST"')
    with pytest.raises(GatewayError, match='member "method" twice'):
        GatewayRequest.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"method": ""},
        {"url": None},
        {"params": []},
        {"params": {"x": float("nan")}},
        {"intent_hash": Digest("x")},
    ],
    ids=str,
)
def test_a_request_that_could_not_be_read_is_not_written(change: dict[str, Any]) -> None:
    with pytest.raises(GatewayError):
        replace(REQUEST, **change).to_json()


def test_a_request_that_is_too_large_is_not_written() -> None:
    with pytest.raises(GatewayError, match="bytes"):
        replace(REQUEST, params={"x": "y" * 300_000}).to_json()


# Responses


@given(outcomes)
def test_an_answer_survives_the_wire(outcome: Executed | Refused) -> None:
    assert response_from_json(response_to_json(outcome)) == outcome


def test_an_answer_is_written_in_canonical_bytes() -> None:
    assert response_to_json(Executed(status=200, result={"b": 1, "a": 2.0})) == (
        b'{"executed":true,"upstream":{"result":{"a":2,"b":1},"status":200}}'
    )
    assert response_to_json(Executed(error="timed out after 5 s")) == (
        b'{"executed":true,"upstream":{"error":"timed out after 5 s","result":null}}'
    )
    assert response_to_json(Refused("token_invalid", "expired")) == (
        b'{"executed":false,"refused":{"code":"token_invalid","message":"expired"}}'
    )


def test_the_refusal_codes_are_those_of_the_protocol() -> None:
    assert set(REFUSAL_CODES) == {
        "reconstruction_failed",
        "fragment_present",
        "token_invalid",
        "unsupported",
        "already_consumed",
    }


def test_an_absent_result_is_null() -> None:
    assert response_from_json(b'{"executed":true,"upstream":{"status":204}}') == Executed(status=204)


REFUSAL = {"code": "unsupported", "message": "no"}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([], "response: must be an object"),
        ({}, "response.executed: is missing"),
        ({"executed": True}, "response.upstream: is missing"),
        ({"executed": False}, "response.refused: is missing"),
        ({"executed": False, "upstream": {}}, "response.refused: is missing"),
        ({"executed": True, "refused": REFUSAL}, "response.upstream: is missing"),
        ({"executed": True, "refused": REFUSAL, "upstream": {}}, "response: has both"),
        ({"executed": False, "refused": REFUSAL, "upstream": {}}, "response: has both"),
        ({"executed": 1, "upstream": {}}, "response.executed: must be true or false"),
        ({"executed": True, "upstream": None}, "response.upstream: must be an object"),
        ({"executed": True, "upstream": {"status": "200"}}, "response.upstream.status: must be an integer"),
        ({"executed": True, "upstream": {"status": True}}, "response.upstream.status: must be an integer"),
        ({"executed": True, "upstream": {"status": None}}, "response.upstream.status: must be an integer"),
        ({"executed": True, "upstream": {"error": None}}, "response.upstream.error: must be a string"),
        ({"executed": True, "upstream": {"headers": {}}}, "response.upstream: has the unknown member"),
        ({"executed": True, "upstream": {}, "x": 1}, "response: has the unknown member"),
        ({"executed": False, "refused": {"code": "x", "message": ""}}, "response.refused.code: is 'x'"),
        ({"executed": False, "refused": {"code": "unsupported"}}, "response.refused.message: is missing"),
        ({"executed": False, "refused": {**REFUSAL, "x": 1}}, "response.refused: has the unknown member"),
    ],
)
def test_an_answer_of_another_form_is_refused(message: object, text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        response_from_json(json.dumps(message))
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("outcome", [Executed(200, {"a": 1}), Refused("unsupported", "no"), Released()])
def test_a_sound_outcome_passes(outcome: object) -> None:
    assert check_outcome(outcome) == outcome


def test_a_checked_outcome_shares_nothing_with_the_one_that_was_handed_in() -> None:
    result: Any = {"a": [1]}
    checked = check_outcome(Executed(200, result))
    result["a"].append(2)
    assert checked == Executed(200, {"a": [1]})


RUBBISH: list[Any] = [
    None,
    "done",
    {"executed": True},
    Executed,
    Executed(status="200"),  # type: ignore[arg-type]  # wrong on purpose
    Executed(status=True),
    Executed(result={1: 2}),  # type: ignore[dict-item]  # wrong on purpose
    Executed(result=float("inf")),
    Executed(error=""),
    Refused("maybe", ""),  # type: ignore[arg-type]  # wrong on purpose
    Refused("unsupported", None),  # type: ignore[arg-type]  # wrong on purpose
]


@pytest.mark.parametrize("outcome", RUBBISH, ids=[f"{outcome!r:.40}" for outcome in RUBBISH])
def test_rubbish_from_a_broker_is_refused(outcome: Any) -> None:
    with pytest.raises(GatewayError):
        check_outcome(outcome)
    with pytest.raises(GatewayError):
        response_to_json(outcome)


def test_released_does_not_leave_the_process() -> None:
    wrong: Any = Released()
    with pytest.raises(GatewayError, match="within one process"):
        response_to_json(wrong)


def test_an_answer_that_is_too_large_is_not_written() -> None:
    with pytest.raises(GatewayError, match="bytes"):
        response_to_json(Executed(200, "y" * 300_000))


@given(st.one_of(st.text(), st.binary()))
def test_any_text_gives_a_message_or_the_gateway_error(text: str | bytes) -> None:
    for reader in (GatewayRequest.from_json, response_from_json):
        with pytest.raises(GatewayError):
            reader(text)


@given(st.dictionaries(st.sampled_from(["executed", "refused", "upstream", "x"]), json_values))
def test_any_object_gives_an_answer_or_the_gateway_error(message: dict[str, object]) -> None:
    try:
        outcome = response_from_json(json.dumps(message))
    except GatewayError:
        return
    assert isinstance(outcome, Executed) == message["executed"]


def test_messages_fit_the_published_schema() -> None:
    schema = json.loads(shared("ctk", "schema-broker-gateway.json").read_text())["$defs"]
    for request in (REQUEST, replace(REQUEST, authorization_token=None)):
        jsonschema.validate(json.loads(request.to_json()), schema["request"])
    answers = [Executed(200, {"a": 1}), Executed(error="timed out"), Executed()]
    for answer in [*answers, *(Refused(code, "no") for code in REFUSAL_CODES)]:
        jsonschema.validate(json.loads(response_to_json(answer)), schema["response"])


# The rebuilt URL


def rebuilt(url: str) -> str | Refused:
    return rebuild_url(Action("", "GET", url, {}))


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://api.example.com", "https://api.example.com/"),
        ("HTTPS://API.Example.com/Orders", "https://api.example.com/Orders"),
        ("https://api.example.com/x?", "https://api.example.com/x"),
        ("https://api.example.com/x?b=2&a=1", "https://api.example.com/x?a=1&b=2"),
        ("https://api.example.com/x?q=a+b%20c", "https://api.example.com/x?q=a%20b%20c"),
        ("https://api.example.com/x?q=%c3%a9é", "https://api.example.com/x?q=%C3%A9%C3%A9"),
        ("https://api.example.com/x?q=%2b%26%3d%23", "https://api.example.com/x?q=%2B%26%3D%23"),
        ("https://api.example.com/x?a&&=", "https://api.example.com/x?=&=&a="),
        ("https://api.example.com/x?q=~._-/?:@", "https://api.example.com/x?q=~._-%2F%3F%3A%40"),
        ("https://api.example.com/x?a/b=c/d", "https://api.example.com/x?a%2Fb=c%2Fd"),
        ("https://[::1]:8443/a;b=c/d%20e", "https://[::1]:8443/a;b=c/d%20e"),
        ("mcp://server/tool", "mcp://server/tool"),
    ],
)
def test_a_url_is_rebuilt_from_what_is_bound(url: str, sent: str) -> None:
    assert rebuilt(url) == sent


@pytest.mark.parametrize("fragment", ["#", "#x", "?a=1#", "#?a=1"])
def test_a_fragment_is_refused(fragment: str) -> None:
    outcome = rebuilt("https://api.example.com/x" + fragment)
    assert isinstance(outcome, Refused)
    assert outcome.code == "fragment_present"


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("//api.example.com/x", "scheme"),
        ("api.example.com/x", "scheme"),
        ("https ://api.example.com/x", "scheme"),
        ("https:/x", "host"),
        ("https:///x", "host"),
        ("https://user:secret@api.example.com/x", "host"),
        ("https://api.example.com\\@evil.example/x", "host"),
        ("https://api.example.com\r\nHost: evil.example/x", "host"),
        ("https://bücher.example/x", "host"),
        ("https://api%2eexample.com/x", "host"),
        ("https://api.example.com/x y", "path"),
        ("https://api.example.com/x\r\nGET /admin", "path"),
        ("https://api.example.com/a\\b", "path"),
        ("https://api.example.com/é", "path"),
        ("https://api.example.com/%zz", "path"),
        ("https://api.example.com/a/../b", "path"),
        ("https://api.example.com/a/%2e%2E/b", "path"),
        ("https://api.example.com/.", "path"),
    ],
)
def test_parts_that_a_client_would_rewrite_are_refused(url: str, part: str) -> None:
    outcome = rebuilt(url)
    assert isinstance(outcome, Refused)
    assert outcome.code == "reconstruction_failed"
    assert outcome.message.startswith(f"the {part} ")
    assert "\n" not in outcome.message


@pytest.mark.parametrize(
    "method", ["", "GET\n", "G T", "GET / HTTP/1.1\r\nX: y", "po\u017ft", "G1", "A" * 33]
)
def test_a_method_that_is_no_word_was_sent_as_it_is(method: str) -> None:
    outcome = rebuild_url(Action("", method, "https://api.example.com/x", {}))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.message[:10]) == ("reconstruction_failed", "the method")


@pytest.mark.parametrize(
    "host", ["\u212aelvin.example", "api.example.com:x", "[::1", "::1]", "a:b:1", "[::1]x"]
)
def test_a_host_that_is_none_after_lower_casing_alone_was_sent(host: str) -> None:
    outcome = rebuilt(f"https://{host}/x?q=\u00e9")
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.message[:8]) == ("reconstruction_failed", "the host")


url_texts = st.one_of(
    st.text(),
    st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["https", "HTTP", "mcp", "tool"]),
        st.sampled_from(["api.example.com", "API.example.com:8443", "127.0.0.1", "[::1]", "u@h", ""]),
        st.text("/aZ.%2e;=:é ", max_size=8),
        st.text("?&=+%20c3a9#é;/", max_size=16).map(lambda text: text and "?" + text),
    ),
)


@given(url_texts)
def test_a_rebuilt_url_has_the_fingerprint_of_the_original(url: str) -> None:
    original = Action("", "GET", url, {})
    sent = rebuild_url(original)
    if isinstance(sent, Refused):
        return
    again = Action("", "GET", sent, {})
    assert again.fingerprint == original.fingerprint
    assert again.scheme == original.scheme
    assert rebuild_url(again) == sent
    assert sent.isascii()
    assert sent.isprintable()


likely_urls = st.builds(
    "{}/{}{}".format,
    st.sampled_from(["https://api.example.com", "https://[::1]:8443", "http://127.0.0.1", "mcp://server"]),
    st.lists(st.text("aZ0._~!$&'()*+,;=:@-", min_size=1, max_size=4), max_size=3).map("/".join),
    st.text("ab=&+-._~;/:@", max_size=8).map(lambda text: text and "?" + text),
)


@given(likely_urls | url_texts)
def test_what_may_be_decided_can_be_rebuilt(url: str) -> None:
    action = Action("read", "GET", url, {})
    if not find_hazards(action):
        assert isinstance(rebuild_url(action), str)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_any_query_can_be_rebuilt(pairs: list[tuple[str, str]]) -> None:
    original = Action("", "GET", f"https://api.example.com/x?{urlencode(pairs)}", {})
    sent = rebuild_url(original)
    assert isinstance(sent, str)
    assert Action("", "GET", sent, {}).fingerprint == original.fingerprint
