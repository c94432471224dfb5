"""Which request is sent for an action, and which actions the gateway does not touch (§2.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delego_broker.gateway.routes import Prepared, encode_pairs, prepare
from delego_broker.gateway.settings import Credential, Route, Source
from delego_spec.action import Action
from delego_spec.errors import ActionError
from delego_spec.gateway import GatewayRequest, Refused
from delego_spec.globs import Glob
from gateways import request_for, route_to

HOST = "api.example.com"
ROUTE = route_to(HOST, plain_http=False, allow_networks=())


def prepared(
    method: str, url: str, params: dict[str, Any] | None = None, route: Route = ROUTE
) -> Prepared | Refused:
    return prepare(request_for(method, url, params), [route])


def sent(method: str, url: str, params: dict[str, Any] | None = None, route: Route = ROUTE) -> Prepared:
    found = prepared(method, url, params, route)
    assert isinstance(found, Prepared), found
    return found


def code(found: Prepared | Refused) -> str:
    assert isinstance(found, Refused), found
    return found.code


# The URLs that some client or server reads in another way than the authorizer did, and what else has no
# business here. Each would go to the same route if it were repaired.
HOSTILE = [
    ("user information", f"https://user:pw@{HOST}/orders", "reconstruction_failed"),
    ("a host as user information", f"https://{HOST}@evil.com/orders", "reconstruction_failed"),
    ("two at signs", f"https://a@b@{HOST}/orders", "reconstruction_failed"),
    ("an escaped at sign", f"https://evil.com%40{HOST}/orders", "reconstruction_failed"),
    ("a backslash before an at sign", f"https://evil.com\\@{HOST}/orders", "reconstruction_failed"),
    ("the default port", f"https://{HOST}:443/orders", "reconstruction_failed"),
    ("an empty port", f"https://{HOST}:/orders", "reconstruction_failed"),
    ("a port with a zero before it", f"https://{HOST}:0443/orders", "reconstruction_failed"),
    ("a port that is too large", f"https://{HOST}:99999/orders", "reconstruction_failed"),
    ("a port with a letter", f"https://{HOST}:80a/orders", "reconstruction_failed"),
    ("a port in Arabic digits", f"https://{HOST}:٤٤٣/orders", "reconstruction_failed"),
    ("another port", f"https://{HOST}:8443/orders", "unsupported"),
    ("the Kelvin sign", "https://api.example.com".replace("p", "\u212a", 1) + "/", "reconstruction_failed"),
    ("a trailing dot", f"https://{HOST}./orders", "reconstruction_failed"),
    ("an empty label", "https://api..example.com/orders", "reconstruction_failed"),
    ("a host beyond ASCII", "https://bücher.example/", "reconstruction_failed"),
    ("full width letters", "https://ａｐｉ.example.com/", "reconstruction_failed"),
    ("an ideographic full stop", "https://api。example.com/", "reconstruction_failed"),
    ("a soft hyphen in the host", "https://api.exam\u00adple.com/", "reconstruction_failed"),
    ("an escaped host", "https://%61pi.example.com/orders", "reconstruction_failed"),
    ("an escaped slash in the host", f"https://evil.com%2f.{HOST}/orders", "reconstruction_failed"),
    ("a space in the host", "https://api.exa mple.com/", "reconstruction_failed"),
    ("an IPv4 address as one number", "https://2130706433/", "reconstruction_failed"),
    ("an IPv4 address in hexadecimal", "https://0x7f.1/", "reconstruction_failed"),
    ("an IPv4 address in octal", "https://0177.0.0.1/", "reconstruction_failed"),
    ("an IPv6 address in long form", "https://[0:0:0:0:0:0:0:1]/", "reconstruction_failed"),
    ("an IPv6 zone", "https://[fe80::1%25eth0]/", "reconstruction_failed"),
    ("IPv4 inside IPv6", "https://[::ffff:127.0.0.1]/", "reconstruction_failed"),
    ("text behind an IPv6 address", f"https://[::1].{HOST}/", "reconstruction_failed"),
    ("no host", "https:///orders", "reconstruction_failed"),
    ("four slashes", f"https:////{HOST}/orders", "reconstruction_failed"),
    ("one slash", f"https:/{HOST}/orders", "reconstruction_failed"),
    ("no slashes", f"https:{HOST}/orders", "reconstruction_failed"),
    ("no scheme", f"{HOST}/orders", "reconstruction_failed"),
    ("a URL without its scheme", f"//{HOST}/orders", "reconstruction_failed"),
    ("plain http", f"http://{HOST}/orders", "reconstruction_failed"),
    ("ftp", f"ftp://{HOST}/orders", "reconstruction_failed"),
    ("a file", "file:///etc/passwd", "reconstruction_failed"),
    ("a script", "javascript:alert(1)", "reconstruction_failed"),
    ("a tool", "tool://mail/send", "unsupported"),
    ("an MCP server", "mcp://mail/send", "unsupported"),
    ("backslashes for slashes", f"https:\\\\{HOST}\\orders", "reconstruction_failed"),
    ("a backslash behind the host", f"https://{HOST}\\orders", "reconstruction_failed"),
    ("a backslash in the path", f"https://{HOST}/a\\b", "reconstruction_failed"),
    ("a tab in the path", f"https://{HOST}/or\tders", "reconstruction_failed"),
    ("a line feed in the path", f"https://{HOST}/or\nders", "reconstruction_failed"),
    ("a header in the path", f"https://{HOST}/x\r\nHost: evil.com", "reconstruction_failed"),
    ("an escaped line break in the path", f"https://{HOST}/x%0d%0aHost:%20evil.com", "reconstruction_failed"),
    ("a header in the query", f"https://{HOST}/x?a=1\r\nX-Evil: 1", "reconstruction_failed"),
    ("a tab in the host", "https://api.exam\tple.com/", "reconstruction_failed"),
    ("a space before it", f" https://{HOST}/orders", "reconstruction_failed"),
    ("a space behind it", f"https://{HOST}/orders ", "reconstruction_failed"),
    ("a space in the path", f"https://{HOST}/a b", "reconstruction_failed"),
    ("NUL in the path", f"https://{HOST}/a\x00b", "reconstruction_failed"),
    ("a path beyond ASCII", f"https://{HOST}/café", "reconstruction_failed"),
    ("a letter that is escaped", f"https://{HOST}/%6Frders", "reconstruction_failed"),
    ("an escape in lower case", f"https://{HOST}/caf%c3%a9", "reconstruction_failed"),
    ("an escaped slash", f"https://{HOST}/a%2Fb", "reconstruction_failed"),
    ("an escaped backslash", f"https://{HOST}/a%5Cb", "reconstruction_failed"),
    ("an escape of an escape", f"https://{HOST}/a%252Fb", "reconstruction_failed"),
    ("half an escape", f"https://{HOST}/a%4", "reconstruction_failed"),
    ("an escape that is none", f"https://{HOST}/a%zzb", "reconstruction_failed"),
    ("bytes that are no UTF-8", f"https://{HOST}/a%FFb", "reconstruction_failed"),
    ("an escaped NUL", f"https://{HOST}/a%00b", "reconstruction_failed"),
    ("dot segments", f"https://{HOST}/orders/../admin/keys", "reconstruction_failed"),
    ("a dot segment", f"https://{HOST}/./orders", "reconstruction_failed"),
    ("dot segments above the root", f"https://{HOST}/../../orders", "reconstruction_failed"),
    ("escaped dot segments", f"https://{HOST}/orders/%2e%2e/admin", "reconstruction_failed"),
    ("half escaped dot segments", f"https://{HOST}/orders/.%2E/admin", "reconstruction_failed"),
    ("dot segments with a parameter", f"https://{HOST}/orders/..;/admin", "reconstruction_failed"),
    ("dot segments behind backslashes", f"https://{HOST}/orders/..\\..\\admin", "reconstruction_failed"),
    ("an empty segment", f"https://{HOST}/a//b", "reconstruction_failed"),
    ("two slashes at the start", f"https://{HOST}//evil.com/orders", "reconstruction_failed"),
    ("a fragment", f"https://{HOST}/orders#top", "fragment_present"),
    ("an empty fragment", f"https://{HOST}/orders?a=1#", "fragment_present"),
    ("a query of broken bytes", f"https://{HOST}/x?a=%ff", "reconstruction_failed"),
    ("a space in the query", f"https://{HOST}/x?a=b c", "reconstruction_failed"),
    ("a name twice in an order that is lost", f"https://{HOST}/x?id=2&id=1", "reconstruction_failed"),
    ("quotes and brackets", f"https://{HOST}/x?a='\"<>`{{}}|^[]", "reconstruction_failed"),
    ("a very long path", f"https://{HOST}/{'a' * 100_000}", "reconstruction_failed"),
    ("another host", "https://evil.com/orders", "unsupported"),
    ("a host above", "https://example.com/orders", "unsupported"),
    ("a host below", f"https://a.{HOST}/orders", "unsupported"),
    ("a host that only begins so", f"https://{HOST}.evil.com/orders", "unsupported"),
]


@pytest.mark.parametrize(("url", "wanted"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_url_is_refused(url: str, wanted: str) -> None:
    found = prepared("GET", url)
    assert code(found) == wanted
    assert isinstance(found, Refused)
    assert "\n" not in found.message


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (f"https://{HOST}", "/"),
        (f"https://{HOST}?", "/"),
        ("HTTPS://API.Example.com/orders?b=two%20words&a=1", "/orders?a=1&b=two%20words"),
        (f"https://{HOST}/orders;v=1?a=1", "/orders;v=1?a=1"),
        (f"https://{HOST}/caf%C3%A9?q=caf%c3%a9+x", "/caf%C3%A9?q=caf%C3%A9%20x"),
        (f"https://{HOST}/x?a=1?b=2&c", "/x?a=1%3Fb%3D2&c="),
    ],
)
def test_the_target_is_built_anew(url: str, target: str) -> None:
    assert sent("GET", url).target == target


@pytest.mark.parametrize("method", ["GET\r\nX: y", "GET /admin", "", "GÉT", "get x", "CONNECT", "TRACE"])
def test_a_method_that_is_none_or_not_served_is_refused(method: str) -> None:
    assert code(prepared(method, f"https://{HOST}/")) in {"reconstruction_failed", "unsupported"}


def test_params_with_line_breaks_stay_inside_their_encoding() -> None:
    evil = {"a": "x\r\nHost: evil.com\r\n\r\nGET /admin HTTP/1.1"}
    for mode in ("json", "form", "query"):
        found = sent("POST", f"https://{HOST}/x", evil, route_to(HOST, plain_http=False, params=mode))
        whole = found.target.encode() + (found.body or b"")
        assert b"\r" not in whole
        assert b"\n" not in whole


def test_json_params_are_the_canonical_body() -> None:
    found = sent("POST", f"https://{HOST}/x?q=1", {"b": 2.0, "a": [None, {"c": "é"}]})
    assert found.body == '{"a":[null,{"c":"é"}],"b":2}'.encode()
    assert found.content_type == "application/json"
    assert found.target == "/x?q=1"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_method_that_has_a_body_always_has_one(method: str) -> None:
    assert sent(method, f"https://{HOST}/x").body == b"{}"
    assert sent(method, f"https://{HOST}/x", {}, route_to(HOST, plain_http=False, params="form")).body == b""


def test_delete_has_a_body_only_for_params() -> None:
    assert sent("DELETE", f"https://{HOST}/x").body is None
    assert sent("DELETE", f"https://{HOST}/x", {"a": 1}).body == b'{"a":1}'


@pytest.mark.parametrize("mode", ["json", "form"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_params_of_a_method_without_a_body_are_refused(method: str, mode: str) -> None:
    route = route_to(HOST, plain_http=False, params=mode)
    assert code(prepared(method, f"https://{HOST}/x", {"a": 1}, route)) == "reconstruction_failed"
    assert sent(method, f"https://{HOST}/x", {}, route).body is None


def test_form_params_are_sorted_and_escaped() -> None:
    route = route_to(HOST, plain_http=False, params="form")
    found = sent("POST", f"https://{HOST}/x", {"b": True, "a": "x y&z=~é", "c": 1.5, "d": -0.0}, route)
    assert found.body == b"a=x%20y%26z%3D~%C3%A9&b=true&c=1.5&d=0"
    assert found.content_type == "application/x-www-form-urlencoded"


def test_query_params_stand_behind_the_urls_own_query() -> None:
    route = route_to(HOST, plain_http=False, params="query")
    found = sent("GET", f"https://{HOST}/x?z=1", {"b": "two words", "a": 2}, route)
    assert (found.target, found.body) == ("/x?z=1&a=2&b=two%20words", None)
    assert sent("POST", f"https://{HOST}/x", {"a": 2}, route).body is None


@pytest.mark.parametrize("params", [{"a": None}, {"a": []}, {"a": {"b": 1}}, {"": "x"}])
@pytest.mark.parametrize("mode", ["form", "query"])
def test_form_and_query_take_only_named_scalars(mode: str, params: dict[str, Any]) -> None:
    route = route_to(HOST, plain_http=False, params=mode)
    assert code(prepared("POST", f"https://{HOST}/x", params, route)) == "reconstruction_failed"


@pytest.mark.parametrize("name", ["id", "ID"])
def test_a_param_that_the_query_has_already_is_refused(name: str) -> None:
    route = route_to(HOST, plain_http=False, params="query")
    assert code(prepared("GET", f"https://{HOST}/x?id=1", {name: 2}, route)) == "reconstruction_failed"


def test_a_credentials_place_in_the_query_cannot_be_taken() -> None:
    secret = Credential(Source(env="X"), "query", name="api_key")
    for route, url, params in (
        (route_to(HOST, plain_http=False, credentials=(secret,)), f"https://{HOST}/x?api_key=mine", {}),
        (
            route_to(HOST, plain_http=False, credentials=(secret,), params="query"),
            f"https://{HOST}/x",
            {"API_KEY": "mine"},
        ),
    ):
        assert code(prepared("GET", url, params, route)) == "reconstruction_failed"


def test_a_target_that_params_make_too_long_is_refused() -> None:
    route = route_to(HOST, plain_http=False, params="query")
    assert code(prepared("GET", f"https://{HOST}/x", {"a": "x" * 9000}, route)) == "reconstruction_failed"


def test_a_fingerprint_of_another_action_is_refused() -> None:
    good = request_for("POST", f"https://{HOST}/x", {"a": 1})
    other = GatewayRequest(
        "POST", good.url, {"a": 2}, good.intent_hash, good.action_fingerprint, good.authorization_token
    )
    assert code(prepare(other, [ROUTE])) == "reconstruction_failed"


def test_params_outside_the_canonical_values_are_refused() -> None:
    good = request_for("POST", f"https://{HOST}/x")
    odd = GatewayRequest("POST", good.url, {"a": 2**60}, good.intent_hash, good.action_fingerprint, "t")
    assert code(prepare(odd, [ROUTE])) == "reconstruction_failed"


def test_the_first_route_that_fits_is_taken() -> None:
    routes = [
        route_to(HOST, name="orders", plain_http=False, path=Glob("/orders/*"), methods=frozenset({"GET"})),
        route_to(HOST, name="rest", plain_http=False, methods=frozenset({"GET", "POST"})),
    ]
    names = []
    for method, path in (("GET", "/orders/1"), ("POST", "/orders/1"), ("GET", "/orders")):
        found = prepare(request_for(method, f"https://{HOST}{path}"), routes)
        assert isinstance(found, Prepared)
        names.append(found.route.name)
    assert names == ["orders", "rest", "rest"]


def test_a_path_or_method_that_no_route_serves_is_unsupported() -> None:
    route = route_to(HOST, plain_http=False, path=Glob("/orders/*"), methods=frozenset({"GET"}))
    assert code(prepared("GET", f"https://{HOST}/admin", {}, route)) == "unsupported"
    assert code(prepared("POST", f"https://{HOST}/orders/1", {}, route)) == "unsupported"


def test_a_route_over_tls_does_not_serve_plain_http_to_the_same_loopback_host() -> None:
    route = route_to("localhost:9", plain_http=False)
    assert code(prepared("GET", "http://localhost:9/x", {}, route)) == "unsupported"
    assert sent("GET", "https://localhost:9/x", {}, route).route is route


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            st.booleans(),
            st.integers(-(10**6), 10**6),
        ),
        max_size=4,
    ),
    st.sampled_from(["json", "form", "query"]),
)
def test_one_fingerprint_gives_one_request(params: dict[str, Any], mode: str) -> None:
    route = route_to(HOST, plain_http=False, params=mode)
    try:
        action = Action("x", "POST", f"https://{HOST}/x", params)
    except ActionError:
        return
    backwards = dict(reversed(params.items()))
    one = prepare(GatewayRequest.of(action, "t"), [route])
    two = prepare(
        GatewayRequest.of(Action("y", "post", f"HTTPS://{HOST.upper()}/x", backwards), "u"), [route]
    )
    if isinstance(one, Refused):
        assert isinstance(two, Refused)
        return
    assert isinstance(two, Prepared)
    assert (one.method, one.target, one.body) == (two.method, two.target, two.body)
    assert one.outgoing.fingerprint == action.fingerprint
    assert one.target.isascii()


def test_pairs_are_escaped_in_one_way() -> None:
    assert encode_pairs([("a b", "é~-._/?&=+%")]) == "a%20b=%C3%A9~-._%2F%3F%26%3D%2B%25"
