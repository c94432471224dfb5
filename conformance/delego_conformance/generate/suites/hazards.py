"""Vectors of §4, "Hazards": actions that can be hashed and must not be decided, each beside one that may be."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, action, either, ok, refused
from delego_conformance.generate.pinned import API, preimage, sha256
from delego_conformance.generate.suites._hazard_tables import URL_TABLES
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("hazards", "HZ", "Hazards", section="4 Hazards")


def _hazard(
    slug: str, comment: str, asked: JSONObject, codes: str, control: str, clauses: str, **stated: Any
) -> None:
    """``codes``: in order, parted by spaces; another reading of the text may stand behind a slash."""
    readings = [ok(codes=reading.split()) for reading in codes.split("/")]
    expect = readings[0] if len(readings) == 1 else either(*readings)
    SUITE.add(
        slug, comment, "hazards", {"action": asked}, expect,
        clauses=clauses, basis="proposed", control=control, **stated,
    )  # fmt: skip


def _none(slug: str, comment: str, asked: JSONObject, control: str, clauses: str, **stated: Any) -> None:
    SUITE.add(
        slug, comment, "hazards", {"action": asked}, ok(codes=[]),
        clauses=clauses, control=control, **{"basis": "proposed", **stated},
    )  # fmt: skip


_none("plain", "An ordinary action.", action(f"{API}/x"), "path-dot-dot", "4-13 4-19")
_none("query", "An ordinary query.", action(f"{API}/x?a=1&b=2"), "query-repeat", "4-13 4-19")

for _table in URL_TABLES:
    for _slug, _comment, _url, _codes, _control in _table.rows:
        if _codes:
            _hazard(
                _slug, _comment, action(_url), _codes, _control, _table.clauses,
                errata=_table.erratum, flags=[_table.flag],
            )  # fmt: skip
        else:
            _none(_slug, _comment, action(_url), _control, _table.clauses, errata=_table.erratum)

_PLAIN: Final = ["intranet.example", "intranet.example:8080"]
for _slug, _comment, _url, _found in (
    ("listed", "A host that is configured as plain http.", "http://intranet.example/x", []),
    ("listed-upper-case", "Hosts have no case.", "http://Intranet.example/x", []),
    ("listed-port", "With the port that is configured.", "http://intranet.example:8080/x", []),
    ("listed-other-port", "Another port is another authority.", "http://intranet.example:8081/x", ["scheme"]),
    ("listed-https", "Such a host is not reached by https.", "https://intranet.example/x", ["scheme"]),
    ("listed-port-https", "Nor on its port.", "https://intranet.example:8080/x", ["scheme"]),
    ("listed-subdomain", "A name below it is another host.", "http://a.intranet.example/x", ["scheme"]),
    ("unlisted-https", "All other hosts are.", f"{API}/x", []),
):
    SUITE.add(
        f"plain-http-{_slug}", _comment, "hazards", {"action": action(_url), "plain_http_hosts": _PLAIN},
        ok(codes=_found), clauses="4-14", errata=7, basis="proposed", flags=["SchemeConfusion"],
        control="plain-http-listed" if _found else "plain-http-listed-https",
    )  # fmt: skip

for _slug, _comment, _method, _codes, _control in (
    ("lower-case", "It is upper-cased first.", "get", "", "method-digit"),
    ("hyphen", "A hyphen.", "M-SEARCH", "", "method-underscore"),
    ("any-word", "Any word.", "CALL", "", "method-digit"),
    ("32", "32 letters.", "A" * 32, "", "method-33"),
    ("33", "33 letters.", "A" * 33, "method", "method-32"),
    ("empty", "None.", "", "method", "method-any-word"),
    ("space", "A space at the end.", "GET ", "method", "plain"),
    ("line-feed", "A line feed at the end.", "GET\n", "method", "plain"),
    ("header", "A header of HTTP.", "GET / HTTP/1.1\r\nHost: evil", "method", "plain"),
    ("digit", "A digit.", "G3T", "method", "plain"),
    ("underscore", "An underscore.", "M_SEARCH", "method", "method-hyphen"),
    ("hyphen-first", "A hyphen in front.", "-SEARCH", "method", "method-hyphen"),
    ("accent", "A letter beyond ASCII.", "G\u00c8T", "method", "plain"),
    ("long-s", "U+017F, which some upper-case to S.", "po\u017ft", "method", "method-lower-case"),
    ("full-width", "Full-width letters.", "\uff27\uff25\uff34", "method", "plain"),
):  # fmt: skip
    _asked = action(f"{API}/x", method=_method)
    if _codes:
        _hazard(f"method-{_slug}", _comment, _asked, _codes, _control, "4-13", errata=6, flags=["CaseFolded"])
    else:
        _none(f"method-{_slug}", _comment, _asked, _control, "4-13", errata=6)

_SIZE: Final = 16 * 1024
for _slug, _comment, _text, _codes, _control, _flag in (
    ("empty", "Nothing.", "", "instruction", "plain", "HiddenText"),
    ("blank", "Nothing but white space.", " \t\u3000\n", "instruction", "plain", "HiddenText"),
    ("16384", "16384 bytes.", "\u00e9" * (_SIZE // 2), "", "instruction-16386", "ResourceLimit"),
    ("16386", "8193 characters are 16386 bytes.", "\u00e9" * (_SIZE // 2 + 1), "instruction", "instruction-16384", "ResourceLimit"),
    ("16385", "A byte more.", "a" * (_SIZE + 1), "instruction", "instruction-16384", "ResourceLimit"),
    ("lines", "TAB, CR and LF are usual.", "pay:\r\n\tone\n\ttwo", "", "instruction-000b", ""),
    ("non-ascii", "Any script.", "zahle \u2013 \u0434\u0430 \u652f\u6255 \u0627\u062f\u0641\u0639", "", "instruction-202e", ""),
):  # fmt: skip
    _asked = action(f"{API}/x", instruction=_text)
    if _codes:
        _hazard(f"instruction-{_slug}", _comment, _asked, _codes, _control, "4-13", flags=[_flag])
    else:
        _none(f"instruction-{_slug}", _comment, _asked, _control, "4-13")
for _code in (0x00, 0x08, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F, 0x85, 0x9B):
    _hazard(
        f"instruction-{_code:04x}", f"U+{_code:04X} is a control character.",
        action(f"{API}/x", instruction=f"pay{chr(_code)}now"), "instruction", "instruction-lines", "4-13",
        errata=5 if _code == 0x85 else (), flags=["HiddenText"],
    )  # fmt: skip
for _code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)):
    _hazard(
        f"instruction-{_code:04x}", f"U+{_code:04X} reorders what is read.",
        action(f"{API}/x", instruction=f"pay {chr(_code)}now"), "instruction", "instruction-200d", "4-13",
        flags=["HiddenText"],
    )  # fmt: skip
for _code in (0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0x206A, 0xFE0F, 0xFEFF, 0xE0067):
    _none(
        f"instruction-{_code:04x}", f"U+{_code:04X} reorders nothing; who decides sees it written out.",
        action(f"{API}/x", instruction=f"pay {chr(_code)}now"), "instruction-202e", "4-18", level="MAY",
    )  # fmt: skip
SUITE.add(
    "instruction-disputed-end", "What has no intent hash has no hazards either.", "hazards",
    {"action": action(f"{API}/x", instruction="pay\u0085")}, refused(),
    clauses="4-6", errata=5, basis="proposed", control="plain", flags=["WhiteSpace"],
)  # fmt: skip

# 8000 characters are allowed.
_none("url-8000", "A URL of 8000 characters.", action(f"{API}/".ljust(8000, "a")), "url-8001", "4-13")
_hazard(
    "url-8001", "A URL of 8001 characters.", action(f"{API}/".ljust(8001, "a")), "url", "url-8000", "4-13",
    flags=["ResourceLimit"],
)  # fmt: skip

# Several hazards stand in one order, each code once.
for _slug, _comment, _asked, _codes, _control in (
    ("two", "Two parts.", action(f"{API}/a//b?q=%ff"), "path query", "query"),
    (
        "one-part-twice",
        "Two hazards of one part are one code.",
        action(f"{API}/a//../b"),
        "path",
        "path-slash-last",
    ),
    (
        "all",
        "All of them but the length.",
        action("ftp://me@api.example.com/../x?a=%#", method="G3T", instruction=""),
        "scheme authority path query fragment method instruction",
        "query",
    ),
):
    _hazard(f"several-{_slug}", _comment, _asked, _codes, _control, "4-13")

# A hazard is denied before any rule is looked at, and has no rule.
_ALLOW: Final = (
    "version: 1\ndefault: allow\nrules:\n  - name: read-accounts\n    decision: allow\n"
    "    match: { method: GET, host: api.example.com, path: /accounts/** }\n"
)


def _decided(
    slug: str, comment: str, asked: JSONObject, outcome: str, rule: str | None, **stated: Any
) -> None:
    SUITE.add(
        slug, comment, "decide", {"policy_text": _ALLOW, "action": asked}, ok(outcome=outcome, rule=rule),
        clauses="4-13", **stated,
    )  # fmt: skip


_decided(
    "decide-sound", "Without a hazard the rule decides.", action(f"{API}/accounts/me"), "allow", "read-accounts",
    control="decide-dot-dot",
)  # fmt: skip
_decided(
    "decide-default", "Without a hazard the default decides.", action(f"{API}/x"), "allow", None,
    control="decide-escaped-letter",
)  # fmt: skip
for _slug, _path, _flag in (
    ("dot-dot", "/accounts/../admin/keys", "DotSegments"),
    ("escaped-dots", "/accounts/%2e%2e/admin/keys", "DotSegments"),
    ("dots-parameter", "/accounts/..;/admin/keys", "DotSegments"),
    ("backslashes", "/accounts/x\\..\\..\\admin", "DotSegments"),
    ("escaped-letter", "/accounts/me/%70ermissions", "EscapedAlias"),
    ("escaped-slash", "/accounts/me%2Fpermissions", "EscapedAlias"),
    ("tab", "/accounts/me/permi\tssions", "ControlCharacter"),
    ("invalid-utf-8", "/accounts/me?to=%ff", "InvalidUtf8"),
    ("fragment", "/accounts/me#top", "Fragment"),
):
    _decided(
        f"decide-{_slug}", "It fits the rule, and is denied without it.", action(API + _path), "deny", None,
        basis="proposed", control="decide-sound", flags=[_flag],
    )  # fmt: skip
_decided(
    "decide-plain-http", "The default allows it, the scheme does not.", action("http://api.example.com/x"),
    "deny", None, basis="proposed", control="decide-default", flags=["SchemeConfusion"], errata=7,
)  # fmt: skip

# What has no hazard can be rebuilt by the broker, with the same fingerprint.
for _slug, _url, _host, _path, _query, _pairs in (
    ("plain", f"{API}/x", "api.example.com", "/x", "", []),
    ("no-path", API, "api.example.com", "/", "", []),
    ("port-and-escapes", "https://API.example.com:8443/caf%C3%A9/a%20b/", "api.example.com:8443", "/caf%C3%A9/a%20b/", "", []),
    ("repeats", f"{API}/x?id=1&b=0&id=2", "api.example.com", "/x", "b=0&id=1&id=2", [("b", "0"), ("id", "1"), ("id", "2")]),
    ("ipv6", "https://[2001:db8::1]:8443/x", "[2001:db8::1]:8443", "/x", "", []),
):  # fmt: skip
    SUITE.add(
        f"rebuilt-{_slug}", "The broker gets back to what was decided.", "broker_plan",
        {
            "action": action(_url),
            "action_fingerprint": sha256(preimage("GET", _host, _path, _pairs, "{}")),
        },
        ok(method="GET", host=_host, path=_path, query=_query, body_json=None),
        clauses="4-19", basis="proposed", control="rebuilt-other",
    )  # fmt: skip
SUITE.add(
    "rebuilt-other", "What was decided was another action.", "broker_plan",
    {"action": action(f"{API}/x"), "action_fingerprint": sha256(preimage("GET", "api.example.com", "/y", [], "{}"))},
    refused("reconstruction_failed"), clauses="4-19", basis="proposed", control="rebuilt-plain",
)  # fmt: skip
