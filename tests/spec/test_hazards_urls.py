"""Hazards of URLs, held against URLs that real parsers read differently and against independent oracles."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from delego_spec.action import Action
from delego_spec.errors import ActionError
from delego_spec.hazards import find_hazards


def act(url: str, method: str = "GET") -> Action:
    return Action("read my account details", method, url, {})


def codes(url: str, *, plain_http_hosts: frozenset[str] = frozenset()) -> list[str]:
    """The distinct codes in order."""
    return list(dict.fromkeys(h.code for h in find_hazards(act(url), plain_http_hosts=plain_http_hosts)))


# --- 97 URLs on which nine parsers were compared: 68 of them are read differently by at least one of them

COMPARED = [
    ("baseline", "https://api.example.com/orders?a=1", ""),
    ("userinfo", "https://user:pw@api.example.com/orders", "authority"),
    ("userinfo-trick", "https://api.example.com@evil.com/orders", "authority"),
    ("userinfo-two-at", "https://a@b@evil.com/orders", "authority"),
    ("userinfo-enc-at", "https://api.example.com%40evil.com/orders", "authority"),
    ("userinfo-slash", "https://evil.com\\@api.example.com/orders", "authority"),
    ("port-443", "https://api.example.com:443/orders", "authority"),
    ("port-8443", "https://api.example.com:8443/orders", ""),
    ("port-empty", "https://api.example.com:/orders", "authority"),
    ("port-0443", "https://api.example.com:0443/orders", "authority"),
    ("port-99999", "https://api.example.com:99999/orders", "authority"),
    ("port-nondigit", "https://api.example.com:80a/orders", "authority"),
    ("port-arabic", "https://api.example.com:٤٤٣/orders", "authority"),
    ("scheme-upper", "HTTPS://api.example.com/orders", ""),
    ("host-upper", "https://API.Example.COM/orders", ""),
    ("host-kelvin", "https://\u212aelvin.example.com/", "authority"),
    ("host-idot", "https://\u0130.example.com/", "authority"),
    ("host-trailing-dot", "https://api.example.com./orders", "authority"),
    ("host-double-dot", "https://api..example.com/orders", "authority"),
    ("host-idn", "https://bücher.example/", "authority"),
    ("host-puny", "https://xn--bcher-kva.example/", ""),
    ("host-ss", "https://faß.de/", "authority"),
    ("host-fullwidth", "https://ａｐｉ.example.com/", "authority"),
    ("host-fullwidth-dot", "https://api。example.com/", "authority"),
    ("host-softhyphen", "https://api.exam\u00adple.com/", "authority"),
    ("host-nfkc-slash", "https://evil.com\u2100.example.com/", "authority"),
    ("host-pct", "https://%61pi.example.com/orders", "authority"),
    ("host-pct-slash", "https://evil.com%2f.example.com/orders", "authority"),
    ("host-space", "https://api.exa mple.com/", "authority"),
    ("host-underscore", "https://api_x.example.com/", ""),
    ("host-int-ip", "https://2130706433/", "authority"),
    ("host-hex-ip", "https://0x7f.1/", "authority"),
    ("host-octal-ip", "https://0177.0.0.1/", "authority"),
    ("host-ipv6", "https://[::1]:8080/x", ""),
    ("host-ipv6-long", "https://[0:0:0:0:0:0:0:1]/x", "authority"),
    ("host-ipv6-zone", "https://[fe80::1%25eth0]/x", "authority"),
    ("host-ipv6-bad", "https://[::1]evil.com/x", "authority"),
    ("host-ipv6-open", "https://[::1/x", "authority"),
    ("host-empty", "https:///orders", "authority"),
    ("host-empty-4", "https:////evil.com/orders", "authority path"),
    ("one-slash", "https:/api.example.com/orders", "authority"),
    ("no-slash", "https:api.example.com/orders", "authority"),
    ("no-scheme", "api.example.com/orders", "scheme"),
    ("scheme-rel", "//api.example.com/orders", "scheme"),
    ("scheme-http", "http://api.example.com/orders", "scheme"),  # hashed, not decided
    ("scheme-ftp", "ftp://api.example.com/orders", "scheme"),
    ("scheme-file", "file:///etc/passwd", "scheme authority"),
    ("scheme-js", "javascript:alert(1)", "scheme"),
    ("scheme-unknown", "foo://api.example.com/orders", "scheme"),
    ("backslash-auth", "https:\\\\evil.com/orders", "authority"),
    ("backslash-path", "https://api.example.com\\orders", "authority"),
    ("backslash-in-path", "https://api.example.com/a\\b", "path"),
    ("tab-in-path", "https://api.example.com/or\tders", "path"),
    ("lf-in-path", "https://api.example.com/or\nders", "path"),
    ("crlf-inject", "https://api.example.com/x\r\nHost: evil", "path"),
    ("tab-in-scheme", "ht\ttps://api.example.com/orders", "scheme"),
    ("tab-in-host", "https://api.exam\tple.com/orders", "authority"),
    ("lead-space", "  https://api.example.com/orders", "scheme"),
    ("lead-nbsp", "\u00a0https://api.example.com/orders", "scheme"),
    ("lead-c0", "\x01https://api.example.com/orders", "scheme"),
    ("trail-space", "https://api.example.com/orders ", "path"),
    ("space-in-path", "https://api.example.com/a b", "path"),
    ("nul-in-path", "https://api.example.com/a\x00b", "path"),
    ("nonascii-path", "https://api.example.com/café", "path"),
    ("nonascii-path-pct", "https://api.example.com/caf%C3%A9", ""),
    ("pct-lower", "https://api.example.com/caf%c3%a9", "path"),
    ("pct-unreserved", "https://api.example.com/%6Frders", "path"),
    ("pct-dot", "https://api.example.com/a/%2e%2e/b", "path"),
    ("pct-slash", "https://api.example.com/a%2Fb", "path"),
    ("pct-backslash", "https://api.example.com/a%5cb", "path"),
    ("pct-bad", "https://api.example.com/a%zzb", "path"),
    ("pct-trunc", "https://api.example.com/a%4", "path"),
    ("pct-ff", "https://api.example.com/a%ffb", "path"),
    ("pct-nul", "https://api.example.com/a%00b", "path"),
    ("dot-seg", "https://api.example.com/a/../orders", "path"),
    ("dot-seg-1", "https://api.example.com/./orders", "path"),
    ("dot-seg-root", "https://api.example.com/../../orders", "path"),
    ("double-slash", "https://api.example.com//orders", "path"),
    ("double-slash-mid", "https://api.example.com/a//b", "path"),
    ("params-semi", "https://api.example.com/orders;v=1?a=1", ""),
    ("path-empty", "https://api.example.com", ""),
    ("path-empty-q", "https://api.example.com?a=1", ""),
    ("q-only", "https://api.example.com/x?", ""),
    ("q-several", "https://api.example.com/x?a=1?b=2", ""),
    ("hash-before-q", "https://api.example.com/x#f?a=1", "fragment"),
    ("frag-empty", "https://api.example.com/x?a=1#", "fragment"),
    ("q-plus", "https://api.example.com/x?a=b+c", ""),
    ("q-pct20", "https://api.example.com/x?a=b%20c", ""),
    ("q-rawspace", "https://api.example.com/x?a=b c", "query"),
    ("q-badpct", "https://api.example.com/x?a=%zz", "query"),
    ("q-ff", "https://api.example.com/x?a=%ff", "query"),
    ("q-nonascii", "https://api.example.com/x?a=é", "query"),
    ("q-quote", "https://api.example.com/x?a='\"<>`{}|^[]", "query"),
    ("path-specials", 'https://api.example.com/"<>`{}|^[]', "path"),
    ("surrogate", "https://api.example.com/\ud800", "ActionError"),
    ("very-long", "https://api.example.com/" + 100_000 * "a", "url"),
    ("pctenc-q-hash", "https://api.example.com/x%3Fa=1%23f", ""),
]


@pytest.mark.parametrize(("url", "expected"), [pytest.param(u, c, id=i) for i, u, c in COMPARED])
def test_a_url_that_parsers_were_compared_on_has_exactly_these_hazards(url: str, expected: str) -> None:
    if expected == "ActionError":  # there is nothing to hash, so nothing to decide either
        with pytest.raises(ActionError):
            act(url)
    else:
        assert codes(url) == expected.split()


def test_all_97_compared_urls_are_here_and_16_of_them_are_decidable() -> None:
    assert len({row[0] for row in COMPARED}) == len({row[1] for row in COMPARED}) == 97
    assert sum(row[2] == "" for row in COMPARED) == 16


# --- URLs that a policy reads one way and a server the other

HOST = "https://api.example.com"


@pytest.mark.parametrize(
    "url",
    [
        HOST + "/accounts/../admin/keys",
        HOST + "/accounts/%2e%2e/admin/keys",
        HOST + "/accounts/%2E%2E/admin/keys",
        HOST + "/accounts/.%2E/admin/keys",
        HOST + "/accounts/..;/admin/keys",
        HOST + "/accounts/..;jsessionid=1/admin/keys",
        HOST + "/accounts/.;/admin/keys",
        HOST + "/accounts/%252e%252e/admin/keys",
        HOST + "/accounts/..%2Fadmin/keys",
        HOST + "/accounts/..%5Cadmin/keys",
        HOST + "/accounts/..%00/admin/keys",
        HOST + "/accounts/x/..\\..\\..\\admin\\keys",
        HOST + "/accounts/me/%70ermissions",
        HOST + "/accounts/me/%2570ermissions",
        HOST + "/accounts/me/permi\tssions",
        HOST + "/accounts/me%2Fpermissions",
        HOST + "/accounts/me/permissions%00",
        HOST + "/accounts/me//permissions",
        HOST + "/accounts/me//",
        HOST + "/accounts/me/%C0%AE%C0%AE/admin",
        HOST + "/accounts/\nme",
        HOST + "/accounts/..",
        HOST + "/.",
        HOST + "/accounts/me?/../../admin#x",
        "http://api.example.com/accounts/me",
        "ftp://api.example.com/accounts/me",
        "https://api.example.com:443/accounts/me",
        "https://api.example.com./accounts/me",
        "https:////api.example.com/accounts/me",
    ],
)
def test_a_url_that_gets_round_a_path_rule_is_refused(url: str) -> None:
    assert codes(url) != []


@pytest.mark.parametrize(
    "url",
    [
        HOST + "/accounts/me/Permissions",  # another text, and policies match case-sensitively
        "https://API.example.com/accounts/me",
        HOST + "/accounts/.../keys",
        HOST + "/accounts/..me/keys..",
        HOST + "/.well-known/openid-configuration",
        HOST + "/accounts/",
        HOST + "/accounts/a%20b/%E2%82%AC",
        HOST + "/a;b=1,2/$&'()*+,;=:@-._~!",
        HOST + "/x?/../..;/",  # no segments in a query
    ],
)
def test_the_harmless_neighbour_of_a_bypass_is_decidable(url: str) -> None:
    assert codes(url) == []


# --- queries that share a fingerprint, or that other stacks read differently

SHARED = [
    ["to=%ff", "to=%fe", "to=%80", "to=%C3", "to=\ufffd", "to=%c0"],
    ["p=%c0%af", "p=%c1%af", "p=%ff%ff"],
    ["p=%ed%a0%80", "p=%ed%bf%bf", "p=%ff%ff%ff"],
    ["p=%zz"],
    ["p=%4", "p=%"],
    ["p=é"],
    ["p=a b"],
    ["p=a\nb", "p=a\r\nb", "p=a\tb"],
    ["p=%4\t1"],
    ["p=%00", "p=%0A", "p=%7F", "p=%C2%85", "%0D=1"],
    ["id=2&id=1", "id=2&x=1&id=1", "%69d=2&id=1", "a=&b=1&a=2&a=", "=b&"],
    ["a[]=1", "a={1}", 'a="1"', "a=<b>", "a=b|c", "a=b^c", "a=b`c", "a=b\\c"],
    ["a=%u0041", "a=%F5%80%80%80", "a=%E2%82", "a=%C3%28"],
]


@pytest.mark.parametrize("query", list(itertools.chain.from_iterable(SHARED)))
def test_a_query_that_loses_something_in_the_fingerprint_is_refused(query: str) -> None:
    assert codes(f"{HOST}/x?{query}") == ["query"]


@pytest.mark.parametrize(
    "query",
    [
        "to=%EF%BF%BD",  # U+FFFD itself, which invalid bytes can no longer pass for
        "p=%25zz",
        "p=%254",
        "p=%C3%A9",
        "p=%c3%a9",  # decoded away
        "p=a+b",
        "p=a%20b",
        "p=%41",
        "p=A",
        "a=1%26b=2",
        "a%3Db",
        "a",
        "a=",
        "=",
        "&",
        "=&=",
        "a=1&&b=2",
        "a=1&b=2&",
        "&a=1&b=2",
        "b=2&a=1",
        "id=1&id=2",
        "id=1&x=0&id=1",
        "a=1;b=2",
        "a%5B%5D=1&a%5B%5D=2",
        "?a=1/2",
        "a='~!$()*,:@",
        "a=%F0%9F%98%80",
        "A=2&a=1",
    ],
)
def test_a_query_that_everybody_reads_alike_is_decidable(query: str) -> None:
    assert codes(f"{HOST}/x?{query}") == []


# --- schemes

LISTED = frozenset({"intranet.example:8080"})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/x",
        "http://LocalHost:8080/x",
        "http://127.0.0.1:9000",
        "http://127.255.255.255/x",
        "http://[::1]:8000/x",
        "https://localhost/x",
        "https://127.0.0.1/x",
        "https://192.0.2.1:8443/x",
        "https://[2001:db8::1]/x",
        "http://intranet.example:8080/x",
        "http://Intranet.example:8080/x",
        "mcp://banking/send_money",
        "MCP://banking/send_money",
        "tool://db--prod/query/read?limit=1",
        "tool://_internal/x",
    ],
)
def test_these_schemes_and_hosts_go_together(url: str) -> None:
    assert codes(url, plain_http_hosts=LISTED) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://intranet.example/x", "scheme"),  # the port is part of the authority
        ("https://intranet.example:8080/x", "scheme"),  # the list says http, and the fingerprint no scheme
        ("http://localhost.example/x", "scheme"),
        ("http://sub.localhost/x", "scheme"),
        ("http://128.0.0.1/x", "scheme"),
        ("http://127.0.0.1.nip.io/x", "scheme"),
        ("http://127.1/x", "scheme authority"),
        ("http://[2001:db8::1]/x", "scheme"),
        ("http://localhost@evil.example/x", "scheme authority"),
        ("http://localhost:80/x", "authority"),
        ("https://intranet/x", "authority"),
        ("https://banking:8443/send_money", "authority"),
        ("https://localhost./x", "authority"),
        ("mcp://banking.example/send_money", "authority"),
        ("mcp://localhost/send_money", "authority"),
        ("mcp://LOCALHOST/send_money", "authority"),
        ("mcp://[::1]/send_money", "authority"),
        ("mcp://127.0.0.1/send_money", "authority"),
        ("mcp://2130706433/send_money", "authority"),
        ("mcp://0X7f/send_money", "authority"),
        ("mcp://banking:80/send_money", "authority"),
        ("mcp://me@banking/send_money", "authority"),
        ("mcp://ban\u212aing/send_money", "authority"),
        ("mcp://-banking/send_money", "authority"),
        ("mcp://" + 64 * "b" + "/send_money", "authority"),
        ("mcp:///send_money", "authority"),
        ("mcp:banking/send_money", "authority"),
        ("mcp://banking", "path"),
        ("tool://banking/", "path"),
        ("tool://banking?x=1", "path"),
        ("mcp://banking/send_money/", "path"),
        ("mcp://banking/%73end_money", "path"),
        ("mcp://banking/x/../send_money", "path"),
        ("mcp://banking/send_money#x", "fragment"),
        ("https://api.example.com/x#\n", "fragment"),
        ("stdio://banking/send_money", "scheme authority"),
        ("localhost:8080/x", "scheme"),
        ("", "scheme"),
        ("://api.example.com/x", "scheme"),
        ("1https://api.example.com/x", "scheme"),
        ("http\u017f://api.example.com/x", "scheme"),
    ],
)
def test_these_schemes_and_hosts_do_not(url: str, expected: str) -> None:
    assert codes(url, plain_http_hosts=LISTED) == expected.split()


# --- hosts


@pytest.mark.parametrize(
    "host",
    [
        "a.example",
        "a-b.c_d.example",
        "1.example",
        "0x7f.example",
        "256.256.256.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.example",
        ".".join([63 * "a", 63 * "b", 63 * "c", 61 * "d"]),
        "0.0.0.1",
        "255.255.255.255",
        "[::]",
        "[2001:DB8::1]",
        "[2001:db8:0:1:1:1:1:1]",
        "a.example:1",
        "a.example:65535",
        "a.example:80",
    ],
)
def test_a_host_in_canonical_form_is_decidable(host: str) -> None:
    assert codes(f"https://{host}/x") == []


@pytest.mark.parametrize(
    "host",
    [
        ".",
        ".example",
        "a.example..",
        ":8443",
        "a.example:0",
        "a.example:65536",
        "a.example:+8443",
        "a.example:84:43",
        "-a.example",
        "a-.example",
        "ab--c.example",
        "xn--.example",
        ".".join([64 * "a", "example"]),
        ".".join([63 * "a", 63 * "b", 63 * "c", 62 * "d"]),
        "256.0.0.1",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.0x4",
        "a.0x",
        "a.example.1",
        "[]",
        "[::1",
        "::1",
        "[::1]]",
        "[[::1]]",
        "[1.2.3.4]",
        "[v1.x]",
        "[2001:db8:0:0:1:0:0:1]",
        "[2001:db8::1:1:1:1:1]",
        "[0::1]",
        "[2001:0db8::1]",
        "[::ffff:1.2.3.4]",
        "[::ffff:102:304]",
        "[::1.2.3.4]",
        "[::102:304]",
        "[64:ff9b::1.2.3.4]",
        "a.example,b.example",
        "a.exam*ple",
        "a\x7f.example",
    ],
)
def test_a_host_in_another_form_is_refused(host: str) -> None:
    assert codes(f"https://{host}/x") == ["authority"]


# --- oracles: what is accepted is seen alike by parsers of other design

TRICKY = [
    *[
        "..",
        ".",
        "..;",
        "%2e",
        "%2E",
        "%20",
        "%C3%A9",
        "%c3%a9",
        "%C3",
        "%ff",
        "%2F",
        "%5C",
        "%41",
        "%25",
        "%7e",
    ],
    *[
        "%",
        "%4",
        "%00",
        "%3D",
        "%2B",
        "%3F",
        "%23",
        "%EF%BF%BD",
        "+",
        "&",
        "=",
        "&&",
        "&k0=",
        ";",
        ":",
        "@",
        "'",
    ],
    *["/", "//", "/../", "/./", "\\", " ", "\t", "\n", "\x00", '"', "|", "[", "*", "é", "\u2028", "\u212a"],
    *["?", "#", "://", ":443", ":0", "0", "-", "--", "_", "~", "a", "A", "x.", ".x", "0x", "\x85", "\ufeff"],
]

GOOD_SEGMENTS = st.lists(
    st.sampled_from(
        ["a", "Z9", "-", "~", "x.y", ";v=1", "%20", "%C3%A9", "%F0%9F%98%80", "%3F", "%23", "@:!$"]
    ),
    min_size=1,
    max_size=4,
).map("".join)
GOOD_VALUES = st.lists(
    st.sampled_from(["a", "9", "+", "%20", "%c3%a9", "%C3%A9", "%26", "%3D", "%25", "/", "?", ":", "'"]),
    max_size=4,
).map("".join)
GOOD_URLS = st.builds(
    lambda scheme, host, path, slash, query: f"{scheme}://{host}{path}{slash}{query}",
    st.sampled_from(["https", "HTTPS", "Https"]),
    st.sampled_from(
        ["api.example.com", "API.example.com:8443", "192.0.2.1", "[2001:db8::1]:1", "xn--e1afmkfd.xn--p1ai"]
    ),
    st.lists(GOOD_SEGMENTS.map("/".__add__), max_size=3).map("".join),
    st.sampled_from(["", "/"]),
    st.lists(GOOD_VALUES, max_size=3).map(
        lambda values: "?" + "&".join(f"k{number}={value}" for number, value in enumerate(values))
    ),
)


@st.composite
def near_urls(draw: st.DrawFn) -> str:
    """A good URL with up to two tricky pieces put in anywhere: about half of them stay decidable."""
    url = draw(GOOD_URLS)
    for piece in draw(st.lists(st.sampled_from(TRICKY), max_size=2)):
        place = draw(st.integers(0, len(url)))
        url = url[:place] + piece + url[place:]
    return url


def browser_view(url: str) -> str:
    """What a WHATWG parser makes of the text before it splits it."""
    return re.sub("[\t\n\r]", "", url.strip("".join(map(chr, range(33))))).replace("\\", "/")


def normalised_path(path: str) -> str:
    """The path after the rewriting that clients do: RFC 3986 §6.2.2, and escapes of sub-delimiters too."""

    def rewrite(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if re.fullmatch(r"[A-Za-z0-9._~!$&'()*+,;=:@-]", char) else match[0].upper()

    kept: list[str] = []
    segments = re.sub("%([0-9A-Fa-f]{2})", rewrite, path).split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept[-1:] = []
        elif segment not in (".", ""):
            kept.append(segment)
    tail = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + tail


def assert_seen_alike(action: Action) -> None:
    url = action.url
    assert browser_view(url) == url
    seen = urlsplit(url)
    assert (seen.scheme, seen.netloc.lower(), seen.path or "/") == (action.scheme, action.host, action.path)
    assert seen.query == (action.raw_query or "")
    assert seen.username is seen.password is None
    host = action.host.removesuffix(f":{seen.port}")
    assert host.strip("[]") == seen.hostname
    assert ("[" in host) == (":" in (seen.hostname or ""))
    assert normalised_path(action.path) == action.path
    unquote(action.path, errors="strict")
    pairs = parse_qsl(seen.query, keep_blank_values=True, errors="strict")
    assert sorted(pairs) == [pair for pair in action.query if pair != ("", "")] or "=" in seen.query.split(
        "&"
    )
    assert action.fragment is None


@settings(max_examples=300)
@given(near_urls())
@example("https://api.example.com/%3D")
@example("https://api.example.com/a/%2E%2E/b")
def test_other_parsers_see_the_same_host_path_and_query_in_a_decidable_url(url: str) -> None:
    action = act(url)
    decidable = not find_hazards(action)
    event(f"decidable: {decidable}")
    if decidable:
        assert_seen_alike(action)


@given(GOOD_URLS)
def test_every_url_made_of_good_parts_is_decidable_and_seen_alike(url: str) -> None:
    action = act(url)
    assert find_hazards(action) == ()
    assert_seen_alike(action)


@settings(max_examples=300)
@given(near_urls())
@example("https://api.example.com/x?a=2&a=1")
@example("https://api.example.com/x?a=1&a=2")
def test_the_fast_look_never_accepts_what_the_full_look_refuses(url: str) -> None:
    # Listing the host forces the full look, and adds exactly one hazard, that of the scheme.
    action = act(url)
    if action.scheme != "https" or not action.host:
        return
    full = find_hazards(action, plain_http_hosts=frozenset({action.host}))
    assert find_hazards(action) == tuple(hazard for hazard in full if hazard.code != "scheme")


TOOL_PIECES = [
    "mcp",
    "tool",
    "://",
    "/",
    "bank",
    "localhost",
    "0x1f",
    "a.b",
    "A",
    "_",
    "-",
    "~2F",
    "..",
    ".;",
]
TOOL_PIECES += ["%2E", "?", "a=1", "&", "a=2", "#", ":1", "@", "é", " ", "7", "x" * 63]


@settings(max_examples=500)
@given(
    st.sampled_from(["mcp://", "tool://"]), st.lists(st.sampled_from(TOOL_PIECES), max_size=8).map("".join)
)
@example("mcp://", "bank/transfer")
@example("mcp://", "localhost/transfer")
@example("mcp://", "bank/")
@example("tool://", "7/x")
def test_the_fast_look_never_accepts_a_tool_url_that_the_full_look_refuses(scheme: str, rest: str) -> None:
    # Listing the host forces the full look, and adds nothing where no http is spoken.
    action = act(scheme + rest)
    full = find_hazards(action, plain_http_hosts=frozenset({action.host}))
    event(f"hazards: {bool(full)}")
    assert find_hazards(action) == full


ADDITIONS = [
    ("scheme", lambda url: url.replace("https", "gopher", 1)),
    ("scheme", lambda url: url.replace("https", "http", 1)),
    ("scheme", lambda url: " " + url),
    ("scheme", lambda url: url.removeprefix("https:")),
    ("authority", lambda url: url.replace("://", ":/", 1)),
    ("authority", lambda url: url.replace("://", "://me@", 1)),
    ("authority", lambda url: url.replace("://", "://%61", 1)),
    ("authority", lambda url: url.replace("://", "://.", 1)),
    ("authority", lambda url: url.replace("://", "://é", 1)),
    ("authority", lambda url: url.replace("://", "://\\", 1)),
    ("path", lambda url: url.replace("?", "/..?", 1)),
    ("path", lambda url: url.replace("?", "//.;?", 1)),
    ("path", lambda url: url.replace("?", "//x?", 1)),
    ("path", lambda url: url.replace("?", "/%61?", 1)),
    ("path", lambda url: url.replace("?", "/%c3%A9?", 1)),
    ("path", lambda url: url.replace("?", "/%FF?", 1)),
    ("path", lambda url: url.replace("?", "/%2F?", 1)),
    ("path", lambda url: url.replace("?", "/%5C?", 1)),
    ("path", lambda url: url.replace("?", "/%00?", 1)),
    ("path", lambda url: url.replace("?", "/\\?", 1)),
    ("path", lambda url: url.replace("?", "/\t?", 1)),
    ("path", lambda url: url.replace("?", "/é?", 1)),
    ("query", lambda url: url + "&q=%ff"),
    ("query", lambda url: url + "&q=%1"),
    ("query", lambda url: url + "&q=%0D"),
    ("query", lambda url: url + "&q= "),
    ("query", lambda url: url + "&q=é"),
    ("query", lambda url: url + "&q=2&q=1"),
    ("query", lambda url: url + "\n"),
    ("fragment", lambda url: url + "#"),
    ("fragment", lambda url: url + "#q"),
    ("url", lambda url: url + 8000 * "q"),
]


@given(GOOD_URLS.map(lambda url: "https" + url[5:]), st.sampled_from(ADDITIONS))
def test_one_hazard_added_to_a_good_url_is_found(url: str, addition: tuple[str, object]) -> None:
    code, change = addition
    assert callable(change)
    assert codes(change(url)) == [code]


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=8))
@example("https://[", "x", "GET")
@example("https://[::1%25]:/%/?%&%=%#", "\u202e", "")
def test_any_text_gives_hazards_and_never_an_exception(url: str, instruction: str, method: str) -> None:
    try:
        action = Action(instruction, method, url, {})
    except ActionError:
        return
    for hazard in find_hazards(action):
        assert hazard.reason.isascii()
        assert hazard.reason.isprintable()
        assert len(hazard.reason) < 250


# --- what one fingerprint can stand for


def meaning(url: str) -> tuple[str, str, str, list[tuple[str, list[str]]]]:
    """An independent reading, in which two requests are equal only if every server takes them for one."""
    match = re.fullmatch(r"(\w+)://([^/?]*)([^?]*)(?:\?(.*))?", url, re.DOTALL)
    assert match is not None, url
    values: dict[str, list[str]] = defaultdict(list)
    for segment in (match[4] or "").split("&") if match[4] else []:
        name, _, value = segment.partition("=")
        values[unquote(name.replace("+", " "), errors="strict")].append(
            unquote(value.replace("+", " "), errors="strict")
        )
    return match[1].lower(), match[2].lower(), match[3] or "/", sorted(values.items())


def test_decidable_urls_with_one_fingerprint_differ_in_case_and_query_spelling_only() -> None:
    by_fingerprint: dict[str, list[str]] = defaultdict(list)
    for parts in itertools.product(
        ["https://", "HTTPS://", "http://", "mcp://", "https:/", "//"],
        [
            "a.example",
            "A.example",
            "a.example:443",
            "a.example.",
            "u@a.example",
            "plain.example",
            "server",
            "\u212a.io",
        ],
        ["", "/", "/x", "/%78", "//x", "/y/../x", "/caf%C3%A9", "/caf%c3%a9", "/café"],
        [
            "",
            "?",
            "?a=1&b=2",
            "?b=2&a=%31",
            "?a=2&a=1",
            "?a=1&a=2",
            "?a=%ff",
            "?a=%fe",
            "?a=+",
            "?a=%20",
            "?a=1#x",
        ],
    ):
        action = act("".join(parts))
        if not find_hazards(action, plain_http_hosts=frozenset({"plain.example"})):
            by_fingerprint[action.fingerprint].append(action.url)
    assert sum(len(urls) > 1 for urls in by_fingerprint.values()) > 10
    for urls in by_fingerprint.values():
        assert len({str(meaning(url)) for url in urls}) == 1, urls


def test_tools_whose_names_differ_only_in_case_share_a_fingerprint_so_one_spelling_is_decidable() -> None:
    upper, lower = (Action("call it", "CALL", f"tool://{name}/x", {}) for name in ("Files", "files"))
    assert upper.fingerprint == lower.fingerprint
    assert [hazard.code for hazard in find_hazards(upper)] == ["authority"]
    assert find_hazards(lower) == ()
