"""How calls become actions: decidable, and never two of one fingerprint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_agent.gateway.naming import (
    INPUT_RESPONSES,
    OTHER_PARAMS,
    REQUEST_STATE,
    NamingError,
    name_request,
    server_name,
)
from delego_spec.action import Action
from delego_spec.hazards import find_hazards

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.text(
    "./~%;:\\2Fe-a", min_size=1, max_size=8
)


def action(method: str, params: dict[str, Any]) -> Action:
    named = name_request("files", method, params)
    return Action("do it", named.method, named.url, named.params)


def test_a_tool_call_is_one_path_of_its_server() -> None:
    one = action("tools/call", {"name": "read_file", "arguments": {"path": "a"}})
    assert (one.method, one.url, one.params) == ("CALL", "mcp://files/read_file", {"path": "a"})


def test_a_resource_keeps_its_slashes_for_policies_to_match() -> None:
    one = action("resources/read", {"uri": "file:///etc/hosts"})
    assert (one.method, one.url) == ("READ", "mcp://files/resource/file:/~/~/etc/hosts")
    assert action("resources/subscribe", {"uri": "file:///etc/hosts"}).method == "SUBSCRIBE"


def test_a_prompt_and_a_completion_are_actions() -> None:
    assert action("prompts/get", {"name": "greet"}).url == "mcp://files/prompt/greet"
    one = action(
        "completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"a": 1}}
    )
    assert (one.method, one.url, one.params) == (
        "COMPLETE",
        "mcp://files/prompt/greet",
        {"argument": {"a": 1}},
    )
    two = action("completion/complete", {"ref": {"type": "ref/resource", "uri": "a://b"}})
    assert two.url == "mcp://files/resource/a:/~/b"


def test_a_vendors_method_is_an_action_with_its_params() -> None:
    one = action("acme/re build", {"x": 1, "_meta": {"y": 2}})
    assert (one.method, one.url) == ("SEND", "mcp://files/method/acme/re~20build")
    assert one.params == {"params": {"x": 1}}


@given(first=NAMES, second=NAMES)
def test_two_tools_never_share_a_fingerprint_and_every_name_is_decidable(first: str, second: str) -> None:
    one, two = (action("tools/call", {"name": name}) for name in (first, second))
    assert find_hazards(one) == ()
    assert (one.fingerprint == two.fingerprint) == (first == second)


@given(first=NAMES, second=NAMES)
def test_two_resources_never_share_a_fingerprint(first: str, second: str) -> None:
    one, two = (action("resources/read", {"uri": name}) for name in (first, second))
    if not find_hazards(one) and not find_hazards(two):
        assert (one.fingerprint == two.fingerprint) == (first == second)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///a/../etc",
        "file:///a/%2e%2E/etc",
        "file:///a/%252e./etc",
        "file:///a/..%2fetc",
        "file:///a/x\\..\\etc",
        "file:///a/..;x/etc",
        "file:///a/.%252e/b",
        "file:///a/%" + "25" * 20,
    ],
)
def test_a_resource_that_leads_elsewhere_is_a_hazard(uri: str) -> None:
    found = find_hazards(action("resources/read", {"uri": uri}))
    assert any("segment" in one.text for one in found)


def test_a_call_with_answers_is_another_action_than_the_call() -> None:
    plain = action("tools/call", {"name": "a", "arguments": {"x": 1}})
    answered = action(
        "tools/call", {"name": "a", "arguments": {"x": 1}, "inputResponses": {"q": {"yes": True}}}
    )
    assert answered.params[INPUT_RESPONSES] == {"q": {"yes": True}}
    assert plain.fingerprint != answered.fingerprint
    resumed = action("tools/call", {"name": "a", "arguments": {"x": 1}, "requestState": "s"})
    assert len(str(resumed.params[REQUEST_STATE])) == 64


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("tools/call", {"name": ""}),
        ("tools/call", {"name": 7}),
        ("tools/call", {"name": "a", "arguments": []}),
        ("tools/call", {"name": "a", "arguments": {INPUT_RESPONSES: 1}, "inputResponses": {}}),
        ("resources/read", {}),
        ("completion/complete", {"ref": "x"}),
    ],
)
def test_what_names_nothing_is_refused(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(NamingError):
        name_request("files", method, params)


@pytest.mark.parametrize(
    ("given_name", "wanted"),
    [
        ("time", "time"),
        ("My Files!", "my-files"),
        ("10", "mcp-10"),
        ("localhost", "mcp-localhost"),
        ("--", "mcp"),
    ],
)
def test_a_servers_name_becomes_an_authority(given_name: str, wanted: str) -> None:
    assert server_name(given_name) == wanted
    assert find_hazards(Action("x", "CALL", f"mcp://{wanted}/a", {})) == ()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "pay", "arguments": {"amount": 1}}),
        ("resources/read", {"uri": "a://b"}),
        ("prompts/get", {"name": "greet"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"a": 1}}),
    ],
)
def test_a_yes_to_a_request_does_not_cover_members_that_mcp_does_not_know(
    method: str, params: dict[str, Any]
) -> None:
    plain, more = action(method, params), action(method, {**params, "override": {"amount": 1000}})
    assert plain.fingerprint != more.fingerprint
    assert more.params[OTHER_PARAMS] == {"override": {"amount": 1000}}
    assert action(method, {**params, "_meta": {"progressToken": 1}}).fingerprint == plain.fingerprint
    if method == "tools/call":
        with pytest.raises(NamingError):
            action(method, {"name": "pay", "arguments": {OTHER_PARAMS: {}}, "override": 1})


@pytest.mark.parametrize(
    "segment",
    [
        ".\t.",
        "\n..",
        "..\r",
        ".. ",
        "\x00..",
        "..?x",
        "..#x",
        "..%3Fx",
        "%09..",
        "\uff0e\uff0e",
        "a\uff0f..\u2028",
    ],
)
def test_a_dot_segment_that_readers_of_urls_find_behind_other_characters_is_denied(segment: str) -> None:
    one = action("resources/read", {"uri": f"file:///srv/notes/{segment}/key"})
    assert find_hazards(one), one.url


def test_a_name_with_dots_and_blanks_in_it_is_no_dot_segment() -> None:
    assert not find_hazards(action("resources/read", {"uri": "file:///srv/notes/a .. b/...?x=1.2#c"}))
