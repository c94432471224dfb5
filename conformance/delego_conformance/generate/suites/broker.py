"""broker_plan: the request that a broker sends, built anew from what the fingerprint binds (§2.2)."""

from __future__ import annotations

from typing import Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, action, ok, refused

SUITE: Final = Suite("broker", "BP", "Rebuilt requests", section="2.2")

NO_VECTOR: Final = {
    "§2.2-7": "broker_plan says what would be sent; how often it is sent is counted by session.race.",
}

ORDER_PARAMS: Final = '{"amount":2400,"currency":"USD","destination":"internal"}'


def plan(
    slug: str,
    comment: str,
    url: str,
    query: str,
    *,
    host: str = "api.example.com",
    path: str = "/orders",
    method: str = "GET",
    sent: str = "GET",
    params_json: str | None = "{}",
    body: str | None = None,
    clauses: str = "2.2-2 2.2-3",
    errata: int | tuple[int, ...] = (),
    fingerprint: str | None = None,
    control: str = "fragment",
) -> None:
    args: dict[str, object] = {"action": action(url, method=method, params_json=params_json)}
    if fingerprint is not None:
        args["action_fingerprint"] = fingerprint
    SUITE.add(
        slug,
        comment,
        "broker_plan",
        args,
        ok(method=sent, host=host, path=path, query=query, body_json=body),
        clauses=clauses,
        errata=errata,
        basis="proposed",
        control=control,
    )


def fails(
    slug: str, comment: str, url: str, code: str, clauses: str, *, errata: int | tuple[int, ...] = (),
    flag: str, fingerprint: str | None = None, method: str = "GET", params_json: str = "{}",
    control: str = "plain",
) -> None:  # fmt: skip
    args: dict[str, object] = {"action": action(url, method=method, params_json=params_json)}
    if fingerprint is not None:
        args["action_fingerprint"] = fingerprint
    SUITE.add(
        slug,
        comment,
        "broker_plan",
        args,
        refused(code),
        clauses=clauses,
        errata=errata,
        basis="proposed",
        flags=(flag,),
        control=control,
    )


BASE: Final = "https://api.example.com/orders"
plan("plain", "A request without a query.", BASE, "")
plan(
    "spec-example",
    "The first URL of the table in SPEC.md.",
    "https://API.example.com/orders?b=two%20words&a=1",
    "a=1&b=two%20words",
    clauses="2.2-2 2.2-3 2.2-4",
)
plan("empty-path", "An empty path is sent as a slash.", "https://api.example.com", "", path="/")
plan("empty-path-with-query", "An empty path before a query.", "https://api.example.com?a=1", "a=1", path="/")
plan(
    "host-in-capitals",
    "The host is sent in lower case, whatever was written.",
    "https://API.Example.COM/orders",
    "",
)
plan("port", "A port stays.", "https://api.example.com:8443/orders", "", host="api.example.com:8443")
plan(
    "ipv6",
    "An IPv6 address stays in its brackets.",
    "https://[2001:db8::1]:8443/orders",
    "",
    host="[2001:db8::1]:8443",
)
plan("tool", "A tool's name is its host.", "tool://files/read", "", host="files", path="/read")
plan("method-in-lower-case", "The method is sent in upper case.", BASE, "", method="post", sent="POST")
plan(
    "method-of-a-tool",
    "A method that HTTP does not know.",
    "mcp://files/read",
    "",
    host="files",
    path="/read",
    method="call",
    sent="CALL",
)
plan(
    "escapes-in-path",
    "Escapes in a path stay as they are written.",
    f"{BASE}/a%20b%C3%A9/caf%c3%a9",
    "",
    path="/orders/a%20b%C3%A9/caf%c3%a9",
)
plan(
    "sub-delimiters-in-path",
    "Characters that may stand in a path stay.",
    f"{BASE};v=1/a:b@c,d+e",
    "",
    path="/orders;v=1/a:b@c,d+e",
)
plan("trailing-slash", "A slash at the end stays.", f"{BASE}/", "", path="/orders/")

for slug, comment, raw, query in (
    ("sorted", "The pairs are sorted by name.", "b=2&a=1", "a=1&b=2"),
    ("sorted-by-value", "Pairs of one name are sorted by value.", "a=2&a=10", "a=10&a=2"),
    ("duplicates", "A pair that stands twice stays twice.", "a=1&a=1", "a=1&a=1"),
    ("plus", "A plus is a space, and is sent as %20.", "q=two+words", "q=two%20words"),
    ("literal-plus", "An escaped plus stays one.", "q=1%2B1", "q=1%2B1"),
    ("escapes-in-lower-case", "Escapes are sent in upper case.", "q=caf%c3%a9%2f", "q=caf%C3%A9%2F"),
    ("needless-escapes", "An escaped letter is sent as itself.", "%61=%7Ex%2D1", "a=~x-1"),
    ("unreserved", "Letters, digits and -._~ stand for themselves.", "Az09-._~=Az09-._~", "Az09-._~=Az09-._~"),
    ("reserved", "All other characters are escaped.", "q=!*'();:@$,/", "q=%21%2A%27%28%29%3B%3A%40%24%2C%2F"),
    ("question-mark", "A second question mark belongs to the value.", "q=a?b", "q=a%3Fb"),
    ("equals-in-value", "The second = belongs to the value.", "a=b=c", "a=b%3Dc"),
    ("escaped-ampersand", "An escaped & separates nothing.", "a=1%26b=2", "a=1%26b%3D2"),
    ("name-alone", "A name without a value.", "a", "a="),
    ("value-alone", "A value without a name.", "=a", "=a"),
    ("empty-segments", "Empty segments stay.", "a=1&&b=2", "=&a=1&b=2"),
    ("only-separators", "Nothing but separators.", "&&", "=&=&="),
    ("code-point-order", "Sorted by code point: U+FF5E comes before U+1F600.", "%F0%9F%98%80=1&%EF%BD%9E=2", "%EF%BD%9E=2&%F0%9F%98%80=1"),
    ("escaped-hash", "An escaped # is no fragment.", "a=%23b", "a=%23b"),
):  # fmt: skip
    plan(f"query-{slug}", comment, f"{BASE}?{raw}", query, clauses="2.2-4 2.2-11 2.2-2")
plan("query-empty", "A question mark without a query is not sent.", f"{BASE}?", "", clauses="2.2-2 2.2-3")

for slug, comment, params, body in (
    ("canonical", "params are handed on in canonical form.", ' {"b": 1.0, "a": [true, null, "é"]} ', '{"a":[true,null,"é"],"b":1}'),
    ("order", "The params of the order.", ORDER_PARAMS, ORDER_PARAMS),
    ("nested", "Names are sorted at every depth.", '{"z":{"b":1,"a":2},"y":[{"d":1,"c":2}]}', '{"y":[{"c":2,"d":1}],"z":{"a":2,"b":1}}'),
):  # fmt: skip
    plan(
        f"body-{slug}",
        comment,
        BASE,
        "",
        method="POST",
        sent="POST",
        params_json=params,
        body=body,
        errata=17,
        clauses="2.2-2 3-1",
    )
plan(
    "body-absent",
    "Without params there is nothing to hand on.",
    BASE,
    "",
    method="POST",
    sent="POST",
    params_json=None,
    errata=17,
)

FITS: Final = {"method": "POST", "params_json": ORDER_PARAMS}
plan(
    "fingerprint",
    "The rebuilt request has the fingerprint that was authorized.",
    BASE,
    "",
    method="POST",
    sent="POST",
    params_json=ORDER_PARAMS,
    body=ORDER_PARAMS,
    clauses="2.2-6 2.2-2",
    fingerprint=forging.FINGERPRINT,
    control="fingerprint-of-another",
)
for slug, comment, change in (
    ("of-another", "One parameter more than was authorized.", {"params_json": ORDER_PARAMS[:-1] + ',"recipient":"attacker"}'}),
    ("of-another-method", "Another method than was authorized.", {"method": "PUT"}),
    ("of-another-url", "Another path than was authorized.", {"url": f"{BASE}/1"}),
    ("of-another-query", "A query that was not authorized.", {"url": f"{BASE}?to=me"}),
    ("of-0.2", "The fingerprint of wire versions up to 0.2 does not bind the query.", {"fingerprint": "c70d4ee57957202087887cb5e9d32222977b728bd06947b7761c283b6d4ed394"}),
    ("upper-case", "The fingerprint in upper case is no fingerprint.", {"fingerprint": forging.FINGERPRINT.upper()}),
    ("cut", "The first digits of the fingerprint are not enough.", {"fingerprint": forging.FINGERPRINT[:12]}),
):  # fmt: skip
    whole = {"url": BASE, "fingerprint": forging.FINGERPRINT, **FITS, **change}
    fails(
        f"fingerprint-{slug}",
        comment,
        code="reconstruction_failed",
        clauses="2.2-6",
        errata=18,
        flag="SubstitutedAction",
        control="fingerprint",
        **whole,
    )
for slug, comment, url in (
    ("", "A fragment is sent to nobody and bound by nothing.", f"{BASE}#top"),
    ("-empty", "An empty fragment is a fragment.", f"{BASE}#"),
    ("-behind-query", "An empty fragment behind a query.", f"{BASE}?a=1#"),
    ("-with-query", "A question mark behind the # belongs to the fragment.", f"{BASE}#?a=1"),
    ("-behind-host", "A fragment behind the host.", "https://api.example.com#@other.example/"),
):
    fails(f"fragment{slug}", comment, url, "fragment_present", "2.2-5", errata=16, flag="Fragment")
for slug, comment, url, flag in (
    ("user", "User information would be sent as a credential.", "https://me:pw@api.example.com/orders", "UserInfo"),
    ("user-empty", "An empty user is user information.", "https://@api.example.com/orders", "UserInfo"),
    ("user-that-is-a-host", "A host in the place of a user.", "https://api.example.com@other.example/orders", "UserInfo"),
    ("dot-segments", "Two dots.", "https://api.example.com/accounts/../orders", "DotSegments"),
    ("one-dot", "One dot.", "https://api.example.com/./orders", "DotSegments"),
    ("dots-at-the-end", "Two dots at the end.", f"{BASE}/..", "DotSegments"),
    ("escaped-dots", "Escaped dots, which clients resolve as well.", "https://api.example.com/accounts/%2e%2E/orders", "DotSegments"),
    ("half-escaped-dots", "One dot of two is escaped.", "https://api.example.com/accounts/.%2e/orders", "DotSegments"),
    ("space", "A space in the path.", f"{BASE}/a b", "UrlRepaired"),
    ("tab", "A tab in the path, which many parsers drop.", f"{BASE}/a\tb", "ControlCharacter"),
    ("line-feed", "A line feed in the path would begin a header.", f"{BASE}/a\r\nX: y", "ControlCharacter"),
    ("backslash", "A backslash, which some parsers take for a slash.", f"{BASE}\\a", "UrlRepaired"),
    ("non-ascii-path", "A raw é in the path.", f"{BASE}/caf\u00e9", "UrlRepaired"),
    ("non-ascii-host", "A host that is not ASCII.", "https://b\u00fccher.example/orders", "AmbiguousHost"),
    ("escaped-host", "An escape in the host.", "https://%61pi.example.com/orders", "AmbiguousHost"),
    ("space-in-host", "A space in the host.", "https://api example.com/orders", "UrlRepaired"),
    ("backslash-in-host", "A backslash in the authority.", "https://other.example\\@api.example.com/orders", "UrlRepaired"),
    ("broken-escape", "A % without two digits.", f"{BASE}/a%zz", "UrlRepaired"),
    ("quote", "A quote in the path.", f'{BASE}/a"b', "UrlRepaired"),
    ("braces", "Braces in the path.", f"{BASE}/{{id}}", "UrlRepaired"),
    ("no-host", "There is no host.", "https:///orders", "UrlRepaired"),
    ("no-scheme", "There is no scheme.", "//api.example.com/orders", "UrlRepaired"),
):  # fmt: skip
    fails(slug, comment, url, "reconstruction_failed", "2.2-6", flag=flag)
for slug, comment, method in (
    ("line-feed", "A line feed in the method would begin a header.", "GET / HTTP/1.1\r\nX: y\r\n"),
    ("space", "A space in the method would end it.", "GET /admin"),
    ("empty", "There is no method.", ""),
    ("non-ascii", "A letter that upper-casing turns into ASCII elsewhere.", "PO\u017fT"),
):
    fails(
        f"method-with-{slug}" if slug != "empty" else "method-empty",
        comment,
        BASE,
        "reconstruction_failed",
        "2.2-6 4-7",
        flag="ControlCharacter" if slug == "line-feed" else "UrlRepaired",
        method=method,
    )
fails(
    "kelvin-host",
    "A Kelvin sign in the host, which lower case turns into a k.",
    "https://\u212aey.example.com/orders",
    "reconstruction_failed",
    "2.2-6",
    flag="AmbiguousHost",
)
plan(
    "slash-in-name",
    "A slash in a name is escaped as it is in a value.",
    f"{BASE}?a%2Fb=c%2Fd",
    "a%2Fb=c%2Fd",
    clauses="2.2-4 2.2-11",
)
fails(
    "method-of-33",
    "A method of 33 letters is a hazard.",
    BASE,
    "reconstruction_failed",
    "2.2-6",
    flag="UrlRepaired",
    method="A" * 33,
)
for slug, comment, url in (
    ("scheme-missing", "Without a scheme nothing can be sent.", BASE.removeprefix("https:")),
    ("scheme-malformed", "A scheme begins with a letter.", f"1{BASE}"),
):
    fails(slug, comment, url, "reconstruction_failed", "2.2-2 2.2-6", flag="SchemeConfusion")
