"""Vectors of the action fingerprint: method, host, path and params, as sent and as hashed."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.pinned import API, HOST, pin, request, sha256

SUITE: Final = Suite("fingerprint", "FP", "Action fingerprints", section="4")

_SAME: Final = "action_fingerprint"
_ORDER: Final = '{"amount":2400,"currency":"USD","destination":"internal"}'

# The published values: slug, method, url, params, fingerprint
for _slug, _method, _url, _params, _hash in (
    ("read", "GET", f"{API}/accounts/me", "{}", "051bae652ac13aa7eda6389a289e084c3414f9cd2b229544a679b47b21003d06"),
    ("order", "POST", f"{API}/orders", _ORDER, "4327df2637072bf058622d1f8baea6e431726f7332a50cd12ec970d6e43c2fd2"),
    ("order-and-recipient", "POST", f"{API}/orders", _ORDER[:-1] + ',"recipient":"attacker"}', "43aa4af8115a932a72f30da058b7396427a6f69f98cffbe4df8ce78017b89123"),
    ("query-and-fragment", "GET", "https://API.example.com/orders?to=me&a=%41#top", "{}", "cd7b304898c75aa420d09502e4e948dd39ae44409b9777f5300206a084920724"),
    ("no-path", "GET", API, "{}", "ff241a55693f790d81e1ada1e739a3450cb120d56be38f88d64a5cdf4b7d62de"),
):  # fmt: skip
    SUITE.add(
        f"published-{_slug}", "A published value.", "fingerprint",
        request(_url, method=_method, params_json=_params), ok(action_fingerprint=_hash),
        clauses="4-4 3-1",
    )  # fmt: skip


def _at(slug: str, comment: str, url: str, host: str, path: str, clauses: str, **stated: Any) -> str:
    return pin(SUITE, slug, comment, url, host=host, path=path, clauses=clauses, **stated)


_at("plain", "The request that most of the others are compared with.", f"{API}/x", HOST, "/x", "4-4")

# slug, comment, authority as written, host, flag
_HOSTS: Final = (
    ("upper-case", "The host is lower-cased.", "API.Example.COM", HOST, "CaseFolded"),
    ("port", "A port is part of it.", f"{HOST}:8443", f"{HOST}:8443", "DefaultPort"),
    ("port-443", "The default port is not dropped.", f"{HOST}:443", f"{HOST}:443", "DefaultPort"),
    ("port-80", "Nor is another default port.", f"{HOST}:80", f"{HOST}:80", "DefaultPort"),
    ("port-empty", "An empty port leaves its colon.", f"{HOST}:", f"{HOST}:", "DefaultPort"),
    ("port-zeros", "A port is not a number but text.", f"{HOST}:0443", f"{HOST}:0443", "DefaultPort"),
    ("user", "User information is part of it.", f"me@{HOST}", f"me@{HOST}", "UserInfo"),
    ("user-upper-case", "It is lower-cased with the rest.", f"Me:PW@{HOST}", f"me:pw@{HOST}", "UserInfo"),
    ("two-at-signs", "All of it is, however many signs there are.", "a@b@evil.example", "a@b@evil.example", "UserInfo"),
    ("last-dot", "A dot at the end stays.", f"{HOST}.", f"{HOST}.", "AmbiguousHost"),
    ("punycode", "Punycode stays.", "xn--bcher-kva.example", "xn--bcher-kva.example", "AmbiguousHost"),
    ("umlaut", "A host is not turned into punycode.", "bücher.example", "bücher.example", "AmbiguousHost"),
    ("umlaut-nfd", "Nor is it normalised.", "bu\u0308cher.example", "bu\u0308cher.example", "TextNormalised"),
    ("percent", "Escapes in a host are not decoded.", "%61pi.example.com", "%61pi.example.com", "EscapedAlias"),
    ("ipv6", "An IPv6 address keeps its brackets.", "[2001:db8::1]:8443", "[2001:db8::1]:8443", "AmbiguousHost"),
    ("ipv6-long", "It is not shortened.", "[0:0:0:0:0:0:0:1]", "[0:0:0:0:0:0:0:1]", "AmbiguousHost"),
    ("ipv4-hexadecimal", "A number is not turned into an address.", "0x7f.1", "0x7f.1", "AmbiguousHost"),
    ("backslash", "A backslash ends no authority.", f"evil.example\\@{HOST}", f"evil.example\\@{HOST}", "UrlRepaired"),
    ("space", "A space in it stays.", "api.exa mple.com", "api.exa mple.com", "UrlRepaired"),
    ("tab", "A tab in it is not dropped.", "api.exam\tple.com", "api.exam\tple.com", "UrlRepaired"),
    ("broken-bracket", "What is no address is text as well.", "[::1", "[::1", "AmbiguousHost"),
)  # fmt: skip
for _slug, _comment, _authority, _host, _flag in _HOSTS:
    _proposed = _slug in ("backslash", "space", "tab", "broken-bracket")
    _at(
        f"host-{_slug}", _comment, f"https://{_authority}/x", _host, "/x",
        "4-8 4-9" if _flag == "UrlRepaired" else "4-9", errata=8, flags=[_flag],
        basis="proposed" if _proposed else "spec",
        same_as=("plain", _SAME) if _host == HOST else None,
        differs_from=("plain", _SAME) if _host != HOST else None,
    )  # fmt: skip

# slug, comment, path as written, flag
_PATHS: Final = (
    ("root", "A path of one slash.", "/", ""),
    ("dot-segments", "Dot segments are not removed.", "/accounts/../x", "DotSegments"),
    ("single-dot", "Nor single dots.", "/./x", "DotSegments"),
    ("above-root", "Nor those that lead above the root.", "/../../x", "DotSegments"),
    ("escaped-dots", "Nor escaped ones.", "/accounts/%2e%2e/x", "DotSegments"),
    ("double-slash", "Slashes are not merged.", "/a//x", "UrlRepaired"),
    ("double-slash-first", "Not at the beginning either.", "//x", "UrlRepaired"),
    ("slash-last", "A slash at the end stays.", "/x/", "UrlRepaired"),
    ("case", "Case counts.", "/X", "CaseFolded"),
    ("escaped-letter", "Escapes are not decoded.", "/%78", "EscapedAlias"),
    ("escape-upper-case", "An escape in upper case stays.", "/caf%C3%A9", "EscapedAlias"),
    ("escape-lower-case", "An escape in lower case is another path.", "/caf%c3%a9", "EscapedAlias"),
    ("non-ascii", "Text is not escaped either.", "/café", "EscapedAlias"),
    ("escaped-slash", "An escaped slash stays.", "/a%2Fx", "EscapedAlias"),
    ("escaped-percent", "An escaped percent sign stays.", "/a%252Fx", "EscapedAlias"),
    ("broken-escape", "A broken escape stays.", "/a%zz", "EscapedAlias"),
    ("not-utf-8", "So does one that is not UTF-8.", "/a%FFb", "InvalidUtf8"),
    ("parameters", "Path parameters stay.", "/x;v=1", "SplitRule"),
    ("colon", "A colon in a path begins no port.", "/x:443", "SplitRule"),
    ("at-sign", "An @ in a path ends no user information.", "/me@x", "SplitRule"),
    ("plus", "A plus in a path is a plus.", "/a+b", "EscapedAlias"),
    ("space", "A space stays.", "/a b", "UrlRepaired"),
    ("backslash", "A backslash is no slash.", "/a\\b", "UrlRepaired"),
    ("tab", "A tab is not dropped.", "/or\tders", "UrlRepaired"),
    ("line-feed", "Nor is a line feed.", "/or\nders", "UrlRepaired"),
    ("space-last", "A space at the end is not dropped.", "/x ", "UrlRepaired"),
    ("html", "Characters that mean something elsewhere stay.", "/\"<>`{}|^[]&'", "EscapeStyle"),
)
for _slug, _comment, _path, _flag in _PATHS:
    _open = _slug in ("tab", "line-feed", "space-last")  # parsers repair these, and the wire text is silent
    _at(
        f"path-{_slug}", _comment, API + _path, HOST, _path, "4-8 4-10" if _open else "4-10", errata=9,
        flags=[_flag] if _flag else (), basis="proposed" if _open else "spec", differs_from=("plain", _SAME),
    )  # fmt: skip
for _slug, _tail in (("empty", ""), ("empty-before-query", "?"), ("empty-before-fragment", "#top")):
    _at(
        f"path-{_slug}", "An empty path is hashed as one slash.", API + _tail, HOST, "/", "4-10",
        same_as=("path-root", _SAME),
    )  # fmt: skip

# Scheme and fragment are not hashed.
for _slug, _comment, _address, _clauses, _errata, _flag in (
    ("http", "The scheme is not hashed.", f"http://{HOST}/x", "4-11", 7, "SchemeConfusion"),
    ("tool", "Neither is that of a tool.", f"tool://{HOST}/x", "4-11", 7, "SchemeConfusion"),
    ("scheme-upper-case", "Nor its case.", f"HTTPS://{HOST}/x", "4-11", 7, "SchemeConfusion"),
    ("no-scheme", "Nor whether there is one.", f"//{HOST}/x", "4-8 4-11", 7, "SchemeConfusion"),
    ("fragment", "The fragment is not hashed.", f"{API}/x#top", "4-11", (), "Fragment"),
    ("fragment-empty", "Nor an empty one.", f"{API}/x#", "4-11", 16, "Fragment"),
    ("fragment-line-feed", "Nor one of two lines.", f"{API}/x#a\nb", "4-8 4-11", (), "Fragment"),
):  # fmt: skip
    _at(
        _slug, _comment, _address, HOST, "/x", _clauses, errata=_errata, flags=[_flag], same_as=("plain", _SAME),
        basis="spec" if _slug in ("http", "fragment", "fragment-empty") else "reference",
    )  # fmt: skip

# RFC 3986, appendix B, taken literally: slug, comment, url, host, path
for _slug, _comment, _address, _host, _path in (
    ("nothing", "The empty URL has an empty host and the path /.", "", "", "/"),
    ("only-path", "A path alone has no host.", "/x", "", "/x"),
    ("host-alone", "Without // a name is a path.", f"{HOST}/x", "", f"{HOST}/x"),
    ("no-slashes", "No authority begins without //.", f"https:{HOST}/x", "", f"{HOST}/x"),
    ("one-slash", "Nor with one slash.", f"https:/{HOST}/x", "", f"/{HOST}/x"),
    ("three-slashes", "An authority may be empty.", "https:///x", "", "/x"),
    ("four-slashes", "The path begins at the third slash.", "https:////evil.example/x", "", "//evil.example/x"),
    ("backslashes", "A backslash is no slash.", "https:\\\\evil.example/x", "", "\\\\evil.example/x"),
    ("mail", "What follows another scheme is a path.", "mailto:me@example.com", "", "me@example.com"),
    ("empty-scheme", "A colon without a scheme before it is part of the path.", f"://{HOST}/x", "", f"://{HOST}/x"),
    ("space-first", "A space in front is not dropped, and is part of the scheme.", f" {API}/x", HOST, "/x"),
    ("colon-in-path", "A colon behind a slash ends no scheme.", f"/a:b://{HOST}/x", "", f"/a:b://{HOST}/x"),
):  # fmt: skip
    _at(
        f"split-{_slug}", _comment, _address, _host, _path, "4-8", flags=["UrlRepaired"],
        basis="proposed", errata=8,
    )  # fmt: skip

# slug, comment, method as written, as hashed, basis
for _slug, _comment, _method, _hashed, _basis in (
    ("lower-case", "The method is upper-cased.", "get", "GET", "spec"),
    ("mixed-case", "All of it.", "pOsT", "POST", "spec"),
    ("other-word", "Any word is, known or not.", "call", "CALL", "spec"),
    ("hyphen", "With a hyphen as well.", "m-search", "M-SEARCH", "spec"),
    ("space", "A space stays: nothing is trimmed.", "get ", "GET ", "reference"),
    ("long-s", "A method with a letter beyond ASCII stays as it is.", "po\u017ft", "po\u017ft", "proposed"),
    ("sharp-s", "One letter does not become two.", "\u00df", "\u00df", "proposed"),
    ("dotless-i", "No language's own rule is followed.", "l\u0131st", "l\u0131st", "proposed"),
):
    _beyond = _basis == "proposed"
    pin(
        SUITE, f"method-{_slug}", _comment, f"{API}/x", method=_method, hashed_method=_hashed, clauses="4-7",
        errata=6 if _beyond else (), basis=_basis, flags=["CaseFolded"],
        same_as=("plain", _SAME) if _hashed == "GET" else None,
    )  # fmt: skip
pin(
    SUITE, "method-i", "An i becomes an I in every language.", f"{API}/x", method="list", hashed_method="LIST",
    clauses="4-7", errata=6, flags=["CaseFolded"], differs_from=("method-dotless-i", _SAME),
)  # fmt: skip

pin(SUITE, "params-empty", "Empty params.", f"{API}/x", clauses="4-2 4-4", same_as=("plain", _SAME))
pin(
    SUITE, "params-absent", "Absent params are empty ones.", f"{API}/x", params_json=None,
    clauses="4-1 4-2", errata=10, flags=["ParamsPresence"], same_as=("params-empty", _SAME),
)  # fmt: skip
for _slug, _text in (
    ("null", "null"), ("array", "[]"), ("string", '"{}"'), ("number", "0"), ("boolean", "false"), ("nothing", ""),
):  # fmt: skip
    SUITE.add(
        f"params-{_slug}", "Params that are no object are an error.", "fingerprint",
        request(f"{API}/x", params_json=_text), refused(),
        clauses="4-1 4-2", errata=10, basis="proposed", flags=["ParamsPresence"], control="params-empty",
    )  # fmt: skip


def _nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


# slug, comment, params as sent, as hashed, differs from, errata, flag, basis
_PARAMS: Final = (
    ("one", "A number.", '{"n":1}', '{"n":1}', "plain", (), "", "spec"),
    ("one-float", "A float with a whole value is that integer.", '{"n":1.0}', '{"n":1}', "", 2, "NumberSpelling", "proposed"),
    ("one-string", "A string is no number.", '{"n":"1"}', '{"n":"1"}', "one", 2, "TypeConfusion", "spec"),
    ("one-true", "A boolean is no number.", '{"n":true}', '{"n":true}', "one", 2, "TypeConfusion", "spec"),
    ("zero", "Nothing.", '{"n":0}', '{"n":0}', "one", (), "", "spec"),
    ("minus-zero", "Minus zero is zero.", '{"n":-0.0}', '{"n":0}', "", 2, "NumberSpelling", "proposed"),
    ("false", "False is not zero.", '{"n":false}', '{"n":false}', "zero", 2, "TypeConfusion", "spec"),
    ("null-value", "A null value stays.", '{"n":null}', '{"n":null}', "plain", 2, "TypeConfusion", "spec"),
    ("empty-string", "An empty string is not null.", '{"n":""}', '{"n":""}', "null-value", 2, "TypeConfusion", "spec"),
    ("fraction", "A fraction is written in its shortest form.", '{"n":98.70}', '{"n":98.7}', "one", 1, "NumberSpelling", "reference"),
    ("sorted", "Keys are sorted.", '{"b":2,"a":1}', '{"a":1,"b":2}', "", (), "", "spec"),
    ("sorted-inside", "At every depth.", '{"z":{"b":[{"d":1,"c":2}],"a":3}}', '{"z":{"a":3,"b":[{"c":2,"d":1}]}}', "", (), "", "spec"),
    ("array-order", "The order of an array counts.", '{"to":["b","a"]}', '{"to":["b","a"]}', "", (), "", "spec"),
    ("nfc", "Text in NFC.", '{"name":"caf\\u00e9"}', '{"name":"café"}', "", (), "TextNormalised", "spec"),
    ("nfd", "Text in NFD is other text.", '{"name":"cafe\\u0301"}', '{"name":"cafe\u0301"}', "nfc", 2, "TextNormalised", "spec"),
    ("text", "Nothing is escaped that need not be.", '{"s":"<&>\\u2028\\u007f/\\u001f\\ud83d\\ude00"}', '{"s":"<&>\u2028\x7f/\\u001f\U0001f600"}', "", (), "EscapeStyle", "spec"),
    ("spaces", "Text is not trimmed.", '{"s":" a "}', '{"s":" a "}', "", (), "TextNormalised", "spec"),
    ("deep", "63 levels, and the preimage around them.", _nested(63), _nested(63), "", (), "DeepNesting", "reference"),
    ("nested-object", "Names of the preimage have no meaning inside params.", '{"path":"/y","query":[]}', '{"path":"/y","query":[]}', "plain", (), "", "spec"),
)  # fmt: skip
for _slug, _comment, _sent, _hashed, _other, _errata, _flag, _basis in _PARAMS:
    pin(
        SUITE, f"params-{_slug}", _comment, f"{API}/x", params_json=_sent, params=_hashed,
        clauses={"NumberSpelling": "3-2 3-3 4-4", "TextNormalised": "3-7 4-4", "DeepNesting": "3-6 4-4"}.get(_flag, "3-1 4-4"),
        errata=_errata, basis=_basis, flags=[_flag] if _flag else (),
        same_as=(f"params-{_slug.partition('-float')[0].removeprefix('minus-')}", _SAME)
        if _slug in ("one-float", "minus-zero")
        else None,
        differs_from=(_other if _other == "plain" else f"params-{_other}", _SAME) if _other else None,
    )  # fmt: skip

# Params outside the values of §3: slug, comment, text, accepted twin, clause, flag
for _slug, _comment, _text, _control, _clause, _flag in (
    ("duplicate", "A member stands twice.", '{"n":1,"n":2}', "one", "3-8", "DuplicateMember"),
    ("duplicate-inside", "A member stands twice, further in.", '{"z":{"a":1,"a":2}}', "sorted-inside", "3-8", "DuplicateMember"),
    ("large-integer", "An integer that a peer would round.", '{"n":9007199254740993}', "one", "3-4", "BigInteger"),
    ("not-a-number", "NaN is no JSON.", '{"n":NaN}', "one", "3-4", "NumberSpelling"),
    ("small-fraction", "A number with several spellings.", '{"n":1e-7}', "fraction", "3-4", "NumberSpelling"),
    ("surrogate", "Half of a pair.", '{"name":"\\ud83d"}', "nfc", "3-6", "LoneSurrogate"),
    ("key-order", "Keys on whose order languages differ.", '{"\\uff5e":1,"\\ud83d\\ude00":2}', "sorted", "3-5", "Utf16Order"),
    ("too-deep", "64 levels make a preimage of 65.", _nested(64), "deep", "3-6", "DeepNesting"),
    ("two-objects", "Text behind the object.", '{"n":1}{}', "one", "3-8", "LenientParser"),
):  # fmt: skip
    SUITE.add(
        f"params-{_slug}", _comment, "fingerprint", request(f"{API}/x", params_json=_text), refused(),
        clauses=f"{_clause} 4-4", basis="spec" if _slug == "two-objects" else "proposed",
        control=f"params-{_control}", flags=[_flag],
    )  # fmt: skip

# Wire versions up to 0.2 hashed the same object without its query.
for _slug, _comment, _method, _address, _params, _hash in (
    ("order", "The order by the older rule.", "POST", f"{API}/orders", _ORDER, "c70d4ee57957202087887cb5e9d32222977b728bd06947b7761c283b6d4ed394"),
    ("query", "A query changes nothing in it.", "POST", f"{API}/orders?to=attacker", _ORDER, "c70d4ee57957202087887cb5e9d32222977b728bd06947b7761c283b6d4ed394"),
    ("plain", "Host, method, params and path.", "get", "https://API.example.com?a=1#b", "{}", sha256('{"host":"api.example.com","method":"GET","params":{},"path":"/"}')),
):  # fmt: skip
    SUITE.add(
        f"legacy-{_slug}", _comment, "fingerprint", request(_address, method=_method, params_json=_params),
        ok(action_fingerprint=_hash), clauses="4-12", errata=52, level="MAY", requires=["spec-0.2"],
        ctx={"spec": "0.2"}, flags=["LegacyFingerprint"],
        differs_from=("published-order", _SAME) if _slug == "order" else None,
    )  # fmt: skip
