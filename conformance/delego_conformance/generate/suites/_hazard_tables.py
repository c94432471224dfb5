"""The tables of suite ``hazards``: URLs with one hazard, each beside its nearest twin without, and these twins.

A row is: slug, what it is about, URL, codes in their order (empty: no hazard; a slash parts two readings of
the text that are equally good), slug of the twin.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from delego_conformance.generate.pinned import API


class Table(NamedTuple):
    """Rows that pin the same clauses."""

    clauses: str
    erratum: int
    flag: str
    rows: tuple[tuple[str, str, str, str, str], ...]


LABEL: Final = "a" * 63

SCHEMES: Final = Table(
    "4-13 4-14", 7, "SchemeConfusion",
    (
        ("scheme-ftp", "Another scheme.", "ftp://api.example.com/x", "scheme", "plain"),
        ("scheme-http", "Nobody wants this in the clear.", "http://api.example.com/x", "scheme", "plain"),
        ("scheme-missing", "No scheme.", "//api.example.com/x", "scheme", "plain"),
        ("scheme-javascript", "A scheme without a host.", "javascript:alert(1)", "scheme/scheme authority", "plain"),
        ("scheme-file", "A file.", "file:///etc/passwd", "scheme/scheme authority", "plain"),
        ("scheme-none", "A name alone.", "api.example.com/x", "scheme/scheme authority", "plain"),
        ("scheme-space", "A space in front, which some clients drop.", f" {API}/x", "scheme", "plain"),
        ("scheme-control", "A control character in front.", f"\x01{API}/x", "scheme", "plain"),
        ("scheme-no-break-space", "A space in front that nobody drops.", f"\u00a0{API}/x", "scheme", "plain"),
        ("scheme-tab", "A tab inside, which browsers drop.", "ht\ttps://api.example.com/x", "scheme", "plain"),
        ("scheme-upper-case", "Schemes have no case.", "HTTPS://api.example.com/x", "", "scheme-http"),
        ("loopback-name", "Plain http to this machine.", "http://localhost:8080/x", "", "loopback-look-alike"),
        ("loopback-quad", "The same in digits.", "http://127.0.0.1/x", "", "loopback-other-quad"),
        ("loopback-any-quad", "All of 127.0.0.0/8.", "http://127.1.2.3:9000/x", "", "loopback-other-quad"),
        ("loopback-ipv6", "The same in IPv6.", "http://[::1]:8080/x", "", "loopback-other-ipv6"),
        ("loopback-https", "https is allowed there as well.", "https://localhost:8443/x", "", "authority-no-dot"),
        ("loopback-other-quad", "Another network.", "http://128.0.0.1/x", "scheme", "loopback-quad"),
        ("loopback-other-ipv6", "Another host.", "http://[2001:db8::1]:8080/x", "scheme", "loopback-ipv6"),
        ("loopback-look-alike", "A name that begins like it.", "http://localhost.example.com/x", "scheme", "loopback-name"),
        ("loopback-quad-look-alike", "A name that begins like the digits.", "http://127.0.0.1.example.com/x", "scheme", "loopback-quad"),
        ("loopback-unspecified", "No address at all, which some systems connect to this machine.", "http://[::]:8080/x", "scheme", "loopback-ipv6"),
    ),
)  # fmt: skip

USERS: Final = Table(
    "4-13", 8, "UserInfo",
    (
        ("authority-user", "User information.", f"https://me:pw@{API[8:]}/x", "authority", "plain"),
        ("authority-user-look-alike", "A host that is none, before the one that is.", "https://api.example.com@evil.example/x", "authority", "plain"),
        ("authority-user-empty", "Empty user information.", "https://@api.example.com/x", "authority", "plain"),
        ("authority-two-at-signs", "Two signs.", "https://a@b@evil.example/x", "authority", "plain"),
        ("authority-user-backslash", "A browser ends the host at the backslash.", "https://evil.example\\@api.example.com/x", "authority", "plain"),
    ),
)  # fmt: skip

PORTS: Final = Table(
    "4-13", 8, "DefaultPort",
    (
        ("authority-port", "A port.", "https://api.example.com:8443/x", "", "authority-port-443"),
        ("authority-port-largest", "The largest port.", "https://api.example.com:65535/x", "", "authority-port-65536"),
        ("authority-port-80", "Not the default of https.", "https://api.example.com:80/x", "", "authority-port-443"),
        ("authority-port-443", "The default port.", "https://api.example.com:443/x", "authority", "authority-port"),
        ("authority-port-http-80", "The default port of http.", "http://localhost:80/x", "authority", "loopback-name"),
        ("authority-port-empty", "A colon without port.", "https://api.example.com:/x", "authority", "authority-port"),
        ("authority-port-zero", "Port 0.", "https://api.example.com:0/x", "authority", "authority-port"),
        ("authority-port-zeros", "Leading zeros.", "https://api.example.com:08443/x", "authority", "authority-port"),
        ("authority-port-65536", "Too large.", "https://api.example.com:65536/x", "authority", "authority-port-largest"),
        ("authority-port-letters", "No number.", "https://api.example.com:80a/x", "authority", "authority-port"),
        ("authority-port-sign", "A sign.", "https://api.example.com:+8443/x", "authority", "authority-port"),
        ("authority-port-foreign", "Digits of another script.", "https://api.example.com:\u0664\u0664\u0663/x", "authority", "authority-port"),
        ("authority-two-ports", "Two ports.", "https://api.example.com:8443:1/x", "authority", "authority-port"),
    ),
)  # fmt: skip

HOSTS: Final = Table(
    "4-13", 8, "AmbiguousHost",
    (
        ("authority-upper-case", "Hosts have no case.", "https://API.Example.com/x", "", "authority-no-dot"),
        ("authority-underscore", "An underscore.", "https://api_x.example.com/x", "", "authority-space"),
        ("authority-punycode", "Punycode.", "https://xn--bcher-kva.example/x", "", "authority-umlaut"),
        ("authority-hyphens", "Hyphens inside a label.", "https://a-b--c.example.com/x", "", "authority-hyphens-third"),
        ("authority-label-63", "A label of 63 characters.", f"https://{LABEL}.example/x", "", "authority-label-64"),
        ("authority-quad", "An IPv4 address.", "https://192.0.2.1/x", "", "authority-quad-zeros"),
        ("authority-ipv6", "An IPv6 address in canonical form.", "https://[2001:db8::1]/x", "", "authority-ipv6-zeros"),
        ("authority-ipv6-one-zero", "A single zero is not shortened.", "https://[2001:db8:0:1:1:1:1:1]/x", "", "authority-ipv6-one-zero-short"),
        ("authority-empty", "No host.", "https:///x", "authority", "plain"),
        ("authority-four-slashes", "A host that some clients find further on.", "https:////evil.example/x", "authority path", "plain"),
        ("authority-no-slashes", "No //.", "https:api.example.com/x", "authority", "plain"),
        ("authority-one-slash", "One slash.", "https:/api.example.com/x", "authority", "plain"),
        ("authority-backslashes", "Backslashes instead.", "https:\\\\evil.example/x", "authority/authority path", "plain"),
        ("authority-backslash", "A backslash behind the host.", "https://api.example.com\\x", "authority", "plain"),
        ("authority-last-dot", "A dot at the end.", "https://api.example.com./x", "authority", "plain"),
        ("authority-two-dots", "An empty label.", "https://api..example.com/x", "authority", "plain"),
        ("authority-first-dot", "An empty label in front.", "https://.example.com/x", "authority", "plain"),
        ("authority-umlaut", "A letter beyond ASCII.", "https://b\u00fccher.example/x", "authority", "authority-punycode"),
        ("authority-kelvin", "U+212A, which some lower-case to k.", "https://\u212aelvin.example/x", "authority", "authority-upper-case"),
        ("authority-full-width", "Full-width letters.", "https://\uff41\uff50\uff49.example.com/x", "authority", "plain"),
        ("authority-ideographic-dot", "A dot of another script.", "https://api\u3002example.com/x", "authority", "plain"),
        ("authority-soft-hyphen", "A hyphen that nobody sees.", "https://api.exam\u00adple.com/x", "authority", "plain"),
        ("authority-account-of", "U+2100 becomes a/c where text is normalised.", "https://evil.example\u2100.example.com/x", "authority", "plain"),
        ("authority-escape", "An escaped letter.", "https://%61pi.example.com/x", "authority", "plain"),
        ("authority-escaped-slash", "An escaped slash.", "https://evil.example%2f.example.com/x", "authority", "plain"),
        ("authority-escaped-at", "An escaped @.", "https://api.example.com%40evil.example/x", "authority", "plain"),
        ("authority-space", "A space.", "https://api.exa mple.com/x", "authority", "plain"),
        ("authority-tab", "A tab, which browsers drop.", "https://api.exam\tple.com/x", "authority", "plain"),
        ("authority-sub-delimiter", "A character that names have not.", "https://api.example.com,evil.example/x", "authority", "plain"),
        ("authority-label-64", "A label of 64 characters.", f"https://{LABEL}a.example/x", "authority", "authority-label-63"),
        ("authority-254", "A host of 254 characters.", f"https://{LABEL}.{LABEL}.{LABEL}.{'a' * 54}.example/x", "authority", "authority-253"),
        ("authority-253", "A host of 253 characters.", f"https://{LABEL}.{LABEL}.{LABEL}.{'a' * 53}.example/x", "", "authority-254"),
        ("authority-hyphen-first", "A hyphen in front.", "https://-api.example.com/x", "authority", "authority-hyphens"),
        ("authority-hyphen-last", "A hyphen at an end.", "https://api-.example.com/x", "authority", "authority-hyphens"),
        ("authority-hyphens-third", "Two hyphens at the third place.", "https://ab--c.example.com/x", "authority", "authority-hyphens"),
        ("authority-number", "An address in one number.", "https://2130706433/x", "authority", "authority-quad"),
        ("authority-hexadecimal", "An address in hexadecimal.", "https://0x7f.1/x", "authority", "authority-quad"),
        ("authority-hexadecimal-last", "Its last part in hexadecimal.", "https://127.0.0.0x1/x", "authority", "authority-quad"),
        ("authority-octal", "An address in octal.", "https://0177.0.0.1/x", "authority", "authority-quad"),
        ("authority-quad-short", "An address of two numbers.", "https://192.1/x", "authority", "authority-quad"),
        ("authority-quad-zeros", "A leading zero.", "https://192.0.2.01/x", "authority", "authority-quad"),
        ("authority-quad-256", "A number too large.", "https://192.0.2.256/x", "authority", "authority-quad"),
        ("authority-quad-five", "Five numbers.", "https://192.0.2.1.1/x", "authority", "authority-quad"),
        ("authority-ends-in-number", "A name that ends in a number.", "https://api.example.1/x", "authority", "authority-quad"),
        ("authority-ipv6-zeros", "A leading zero.", "https://[2001:0db8::1]/x", "authority", "authority-ipv6"),
        ("authority-ipv6-long", "Zeros that are not shortened.", "https://[2001:db8:0:0:0:0:0:1]/x", "authority", "authority-ipv6"),
        ("authority-ipv6-second-run", "The shorter run of zeros is shortened.", "https://[2001:db8::1:0:0:0:1]/x", "authority", "authority-ipv6"),
        ("authority-ipv6-one-zero-short", "A single zero is shortened.", "https://[2001:db8::1:1:1:1:1]/x", "authority", "authority-ipv6-one-zero"),
        ("authority-ipv6-zone", "A zone.", "https://[fe80::1%25eth0]/x", "authority", "authority-ipv6"),
        ("authority-ipv6-behind", "Text behind the bracket.", "https://[2001:db8::1]evil.example/x", "authority", "authority-ipv6"),
        ("authority-ipv6-open", "An open bracket.", "https://[2001:db8::1/x", "authority", "authority-ipv6"),
        ("authority-ipv6-bare", "No brackets.", "https://2001:db8::1/x", "authority", "authority-ipv6"),
        ("authority-ipv6-name", "A name in brackets.", "https://[api.example.com]/x", "authority", "plain"),
        ("authority-ipv4-mapped", "An IPv4 address inside.", "https://[::ffff:192.0.2.1]/x", "authority", "authority-quad"),
        ("authority-ipv4-mapped-hexadecimal", "The same in hexadecimal.", "https://[::ffff:c000:201]/x", "authority", "authority-quad"),
        ("authority-ipv4-compatible-canonical", "::/96, spelled as RFC 5952 spells it.", "https://[::102:304]/x", "authority", "authority-quad"),
        ("authority-ipv4-compatible", "The older form of it.", "https://[::192.0.2.1]/x", "authority", "authority-quad"),
    ),
)  # fmt: skip

TOOLS: Final = Table(
    "4-13 4-15", 7, "SchemeConfusion",
    (
        ("authority-no-dot", "A name without dot could be that of a tool.", "https://intranet/x", "authority", "plain"),
        ("tool", "A tool.", "tool://files/read", "", "tool-dot"),
        ("mcp", "A tool of a server.", "mcp://files/read", "", "tool-slash"),
        ("tool-upper-case-scheme", "Schemes have no case.", "TOOL://files/read", "", "tool-upper-case"),
        ("tool-hyphen", "Hyphens and underscores.", "mcp://my-files_2/read/all", "", "tool-dot"),
        ("tool-dot", "A name with a dot could be that of a host.", "tool://files.example/read", "authority", "tool"),
        ("tool-port", "A tool has no port.", "tool://files:80/read", "authority", "tool"),
        ("tool-user", "Nor user information.", "tool://me@files/read", "authority", "tool"),
        ("tool-upper-case", "Programs tell names apart by case.", "tool://Files/read", "authority", "tool"),
        ("tool-localhost", "A host of https.", "tool://localhost/read", "authority", "tool"),
        ("tool-number", "An address to some.", "tool://2130706433/read", "authority", "tool"),
        ("tool-nobody", "No name.", "mcp:///read", "authority", "mcp"),
        ("tool-non-ascii", "A letter beyond ASCII.", "tool://b\u00fccher/read", "authority", "tool"),
        ("tool-label-64", "A name of 64 characters.", f"tool://{LABEL}a/read", "authority", "tool"),
    ),
)  # fmt: skip

OPERATIONS: Final = Table(
    "4-13 4-16", 9, "UrlRepaired",
    (
        ("tool-slash", "No operation.", "mcp://files/", "path", "mcp"),
        ("tool-no-path", "Not even a slash.", "tool://files", "path", "tool"),
        ("tool-path-slash", "A slash at the end.", "tool://files/read/", "path", "tool"),
    ),
)  # fmt: skip

DOTS: Final = Table(
    "4-13", 9, "DotSegments",
    (
        ("path-none", "No path.", API, "", "path-dot"),
        ("path-dot-dot", "Up and down again.", f"{API}/accounts/../admin", "path", "path-dots-in-name"),
        ("path-dot", "A single dot.", f"{API}/./x", "path", "path-hidden-file"),
        ("path-dot-dot-last", "At the end.", f"{API}/accounts/..", "path", "path-dots-in-name"),
        ("path-above-root", "Above the root.", f"{API}/../x", "path", "path-dots-in-name"),
        ("path-escaped-dots", "Escaped.", f"{API}/accounts/%2e%2e/admin", "path", "path-dots-in-name"),
        ("path-escaped-dots-upper", "Escaped in upper case.", f"{API}/accounts/%2E%2E/admin", "path", "path-dots-in-name"),
        ("path-half-escaped", "One dot escaped.", f"{API}/accounts/.%2E/admin", "path", "path-dots-in-name"),
        ("path-dots-parameter", "With a parameter, which some servers strip.", f"{API}/accounts/..;/admin", "path", "path-parameter"),
        ("path-dots-parameter-value", "With a parameter and its value.", f"{API}/accounts/..;v=1/admin", "path", "path-parameter"),
        ("path-dot-parameter", "A single dot with a parameter.", f"{API}/.;/admin", "path", "path-parameter"),
        ("path-dots-in-name", "Dots inside a name.", f"{API}/accounts/v1..2/...", "", "path-dot-dot"),
        ("path-hidden-file", "A dot in front.", f"{API}/.well-known/x", "", "path-dot"),
        ("path-parameter", "A parameter.", f"{API}/accounts;v=1/x", "", "path-dots-parameter"),
    ),
)  # fmt: skip

PATHS: Final = Table(
    "4-13", 9, "UrlRepaired",
    (
        ("path-slash-last", "A slash at the end.", f"{API}/a/b/", "", "path-slashes-last"),
        ("path-slashes", "Two slashes inside.", f"{API}/a//b", "path", "path-slash-last"),
        ("path-slashes-first", "Two slashes in front.", f"{API}//a/b", "path", "path-slash-last"),
        ("path-slashes-last", "Two slashes at the end.", f"{API}/a/b//", "path", "path-slash-last"),
        ("path-backslash", "A backslash.", f"{API}/a\\b", "path", "path-slash-last"),
        ("path-backslash-dots", "Backslashes that a browser resolves.", f"{API}/a\\..\\b", "path", "path-slash-last"),
        ("path-space", "A space.", f"{API}/a b", "path", "path-escaped-space"),
        ("path-space-last", "A space at the end.", f"{API}/a ", "path", "path-escaped-space"),
        ("path-non-ascii", "A letter beyond ASCII.", f"{API}/caf\u00e9", "path", "path-escaped-utf-8"),
        ("path-quotation-mark", "A character that has to be escaped.", f'{API}/a"b', "path", "path-escaped-mark"),
        ("path-angle", "Another one.", f"{API}/a<b>", "path", "path-escaped-mark"),
        ("path-brace", "Another one.", f"{API}/{{id}}", "path", "path-escaped-mark"),
        ("path-bracket", "Another one.", f"{API}/a[0]", "path", "path-escaped-mark"),
        ("path-caret", "Another one.", f"{API}/a^b", "path", "path-escaped-mark"),
        ("path-pipe", "Another one.", f"{API}/a|b", "path", "path-escaped-mark"),
        ("path-literals", "All that may stand in a path.", f"{API}/a-._~!$&'()*+,;=:@z", "", "path-caret"),
    ),
)  # fmt: skip

CONTROLS: Final = Table(
    "4-13", 9, "ControlCharacter",
    (
        ("path-tab", "A tab, which some parsers drop.", f"{API}/or\tders", "path", "plain"),
        ("path-line-feed", "A line feed.", f"{API}/or\nders", "path", "plain"),
        ("path-header", "A header of HTTP.", f"{API}/x\r\nHost:evil", "path", "plain"),
        ("path-nul", "A NUL.", f"{API}/a\x00b", "path", "plain"),
        ("path-del", "A DEL.", f"{API}/a\x7fb", "path", "plain"),
        ("path-escaped-nul", "An escaped NUL.", f"{API}/a%00b", "path", "path-escaped-mark"),
        ("path-escaped-line-feed", "An escaped line feed.", f"{API}/a%0Ab", "path", "path-escaped-mark"),
        ("path-escaped-del", "An escaped DEL.", f"{API}/a%7Fb", "path", "path-escaped-mark"),
        ("path-escaped-next-line", "U+0085 in UTF-8.", f"{API}/a%C2%85b", "path", "path-escaped-utf-8"),
    ),
)  # fmt: skip

ESCAPES: Final = Table(
    "4-13", 9, "EscapedAlias",
    (
        ("path-escaped-space", "An escaped space.", f"{API}/a%20b", "", "path-escape-lower-case"),
        ("path-escaped-mark", "Escapes that are needed.", f"{API}/a%22%3C%5B%23%3Fb", "", "path-escaped-letter"),
        ("path-escaped-utf-8", "Escaped UTF-8.", f"{API}/caf%C3%A9", "", "path-escape-lower-case"),
        ("path-escaped-letter", "A letter.", f"{API}/%6Frders", "path", "path-escaped-mark"),
        ("path-escaped-forbidden", "A forbidden word in disguise.", f"{API}/accounts/me/%70ermissions", "path", "path-escaped-mark"),
        ("path-escaped-tilde", "A tilde.", f"{API}/%7Eme", "path", "path-literals"),
        ("path-escaped-semicolon", "A semicolon.", f"{API}/a%3Bb", "path", "path-literals"),
        ("path-escaped-at", "An @.", f"{API}/me%40x", "path", "path-literals"),
        ("path-escape-lower-case", "Hexadecimal digits in lower case.", f"{API}/caf%c3%a9", "path", "path-escaped-utf-8"),
        ("path-escape-mixed-case", "In both cases.", f"{API}/caf%C3%a9", "path", "path-escaped-utf-8"),
        ("path-escaped-slash", "A slash.", f"{API}/a%2Fb", "path", "path-slash-last"),
        ("path-escaped-backslash", "A backslash.", f"{API}/a%5Cb", "path", "path-slash-last"),
        ("path-escaped-percent", "A percent sign.", f"{API}/100%25", "path", "path-escaped-mark"),
        ("path-escaped-twice", "A slash that was escaped twice.", f"{API}/a%252Fb", "path", "path-slash-last"),
        ("path-broken-escape", "No hexadecimal digits.", f"{API}/a%zz", "path", "path-escaped-mark"),
        ("path-short-escape", "One hexadecimal digit.", f"{API}/a%4", "path", "path-escaped-mark"),
        ("path-percent-alone", "None at all.", f"{API}/100%", "path", "path-escaped-mark"),
    ),
)  # fmt: skip

BYTES: Final = Table(
    "4-13", 9, "InvalidUtf8",
    (
        ("path-invalid-ff", "A byte that no UTF-8 has.", f"{API}/a%FF", "path", "path-escaped-utf-8"),
        ("path-invalid-latin", "Latin-1.", f"{API}/caf%E9", "path", "path-escaped-utf-8"),
        ("path-invalid-overlong", "A slash in two bytes.", f"{API}/a%C0%AFb", "path", "path-escaped-utf-8"),
        ("path-invalid-surrogate", "Half of a pair.", f"{API}/a%ED%A0%80", "path", "path-escaped-utf-8"),
        ("path-invalid-cut", "A first byte alone.", f"{API}/a%C3/b", "path", "path-escaped-utf-8"),
    ),
)  # fmt: skip

QUERIES: Final = Table(
    "4-13", 13, "InvalidUtf8",
    (
        ("query-empty", "An empty query.", f"{API}/x?", "", "query-space"),
        ("query-escapes", "Escapes of any kind.", f"{API}/x?%61=%c3%A9&q=%2F%25%26%3d", "", "query-invalid-ff"),
        ("query-literals", "All that may stand in a query.", f"{API}/x?a=-._~!$'()*+,;:@/?", "", "query-brace"),
        ("query-broken-escape", "No hexadecimal digits.", f"{API}/x?p=%zz", "query", "query-escapes"),
        ("query-short-escape", "One hexadecimal digit.", f"{API}/x?p=%4", "query", "query-escapes"),
        ("query-percent-alone", "None at all.", f"{API}/x?p=100%", "query", "query-escapes"),
        ("query-broken-name", "In a name.", f"{API}/x?%p=1", "query", "query-escapes"),
        ("query-javascript-escape", "An escape of JavaScript.", f"{API}/x?p=%u0041", "query", "query-escapes"),
        ("query-invalid-ff", "A byte that no UTF-8 has.", f"{API}/x?to=%ff", "query", "query-escapes"),
        ("query-invalid-fe", "Another one, with the same fingerprint.", f"{API}/x?to=%fe", "query", "query-escapes"),
        ("query-invalid-cut", "A first byte and no second.", f"{API}/x?to=%C3%28", "query", "query-escapes"),
        ("query-invalid-parted", "Two halves in two segments.", f"{API}/x?a=%C3&b=%A9", "query", "query-escapes"),
        ("query-non-ascii", "A letter beyond ASCII.", f"{API}/x?q=\u00e9", "query", "query-escapes"),
        ("query-space", "A space.", f"{API}/x?q=a b", "query", "query-escapes"),
        ("query-quotation-mark", "A character that has to be escaped.", f'{API}/x?q="a"', "query", "query-escapes"),
        ("query-brace", "Another one.", f"{API}/x?q={{a}}", "query", "query-literals"),
        ("query-bracket", "Another one.", f"{API}/x?a[]=1", "query", "query-literals"),
        ("query-backslash", "A backslash.", f"{API}/x?q=a\\b", "query", "query-literals"),
        ("query-pipe", "Another one.", f"{API}/x?q=a|b", "query", "query-literals"),
        ("query-tab", "A tab, which some parsers drop.", f"{API}/x?q=a\tb", "query", "query"),
        ("query-line-feed", "A line feed.", f"{API}/x?q=a\nb", "query", "query"),
        ("query-escaped-line-feed", "An escaped line feed.", f"{API}/x?to=%0a", "query", "query-escapes"),
        ("query-escaped-nul", "An escaped NUL.", f"{API}/x?to=%00", "query", "query-escapes"),
        ("query-escaped-del", "An escaped DEL.", f"{API}/x?to=%7F", "query", "query-escapes"),
    ),
)  # fmt: skip

REPEATS: Final = Table(
    "4-17", 14, "ParameterPollution",
    (
        ("query-repeat", "The values of a name do not ascend.", f"{API}/x?id=2&id=1", "query", "query-repeat-sorted"),
        ("query-repeat-sorted", "They do.", f"{API}/x?id=1&id=2", "", "query-repeat"),
        ("query-repeat-equal", "They are equal.", f"{API}/x?id=1&id=1", "", "query-repeat"),
        ("query-repeat-between", "With another name between.", f"{API}/x?id=2&b=0&id=1", "query", "query-repeat-between-sorted"),
        ("query-repeat-between-sorted", "Names need no order.", f"{API}/x?id=1&b=0&id=2&a=9", "", "query-repeat-between"),
        ("query-repeat-spelled", "Names are compared as they are decoded.", f"{API}/x?id=2&%69d=1", "query", "query-repeat-sorted"),
        ("query-repeat-values-spelled", "So are values.", f"{API}/x?id=%62&id=a", "query", "query-repeat-sorted"),
        ("query-repeat-plus", "A plus is a space in both.", f"{API}/x?a+b=2&a%20b=1", "query", "query-repeat-sorted"),
        ("query-repeat-valueless", "No value stands before any other.", f"{API}/x?id&id=1", "", "query-repeat-valueless-last"),
        ("query-repeat-valueless-last", "But not behind it.", f"{API}/x?id=1&id", "query", "query-repeat-valueless"),
        ("query-repeat-third", "The third value falls behind the second.", f"{API}/x?id=1&id=3&id=2", "query", "query-repeat-third-sorted"),
        ("query-repeat-third-sorted", "Three values that ascend.", f"{API}/x?id=1&id=2&id=3", "", "query-repeat-third"),
        ("query-repeat-digits", "Values are text: 9 stands behind 10.", f"{API}/x?id=9&id=10", "query", "query-repeat-digits-sorted"),
        ("query-repeat-digits-sorted", "And 10 before 9.", f"{API}/x?id=10&id=9", "", "query-repeat-digits"),
        ("query-repeat-case", "Upper case stands before lower case.", f"{API}/x?id=B&id=a", "", "query-repeat"),
        ("query-repeat-names-differ", "Names have case.", f"{API}/x?ID=2&id=1", "", "query-repeat"),
        ("query-repeat-astral", "The order is by code point.", f"{API}/x?q=%EF%BD%9E&q=%F0%9F%98%80", "", "query-repeat-astral-utf-16"),
        ("query-repeat-astral-utf-16", "Not by UTF-16 unit.", f"{API}/x?q=%F0%9F%98%80&q=%EF%BD%9E", "query", "query-repeat-astral"),
        ("query-empty-segments", "Empty segments are equal.", f"{API}/x?a=1&&b=2&", "", "query-repeat"),
    ),
)  # fmt: skip

FRAGMENTS: Final = Table(
    "4-13", 16, "Fragment",
    (
        ("fragment", "A fragment.", f"{API}/x#top", "fragment", "plain"),
        ("fragment-empty", "An empty one.", f"{API}/x#", "fragment", "plain"),
        ("fragment-query", "A query inside a fragment.", f"{API}/x#f?to=me", "fragment", "plain"),
        ("fragment-behind-query", "Behind a query.", f"{API}/x?a=1&b=2#", "fragment", "query"),
    ),
)  # fmt: skip

URL_TABLES: Final = (
    SCHEMES,
    USERS,
    PORTS,
    HOSTS,
    TOOLS,
    OPERATIONS,
    DOTS,
    PATHS,
    CONTROLS,
    ESCAPES,
    BYTES,
    QUERIES,
    REPEATS,
    FRAGMENTS,
)
