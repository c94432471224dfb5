"""Vectors of §4.2: the canonical query, seen in the fingerprint."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, either, ok, refused
from delego_conformance.generate.pinned import API, HOST, Pairs, pin, preimage, request, sha256

SUITE: Final = Suite("query", "QY", "Canonical queries", section="4.2")


def _query(slug: str, comment: str, tail: str, pairs: Pairs, clauses: str, **stated: Any) -> str:
    """``tail`` is what follows the path in the URL."""
    return pin(SUITE, slug, comment, f"{API}/x{tail}", query=pairs, clauses=clauses, **stated)


_AB: Final = (("a", "1"), ("b", "2"))
_EMPTY: Final = ("", "")
_pairs: Pairs  # of the row at hand

# slug, comment, tail, pairs, clauses
_WHERE: Final = (
    ("none", "Without a query there are no pairs.", "", (), "4.2-2"),
    ("empty", "An empty query is none.", "?", (), "4.2-2"),
    ("empty-before-fragment", "The query ends where the fragment begins.", "?#", (), "4.2-1 4.2-2"),
    ("two", "Two pairs.", "?a=1&b=2", _AB, "4.2-3"),
    ("cut-at-fragment", "The query ends at the first number sign.", "?a=1#b=2", (("a", "1"),), "4.2-1"),
    ("cut-at-first-fragment", "A second number sign belongs to the fragment.", "?a=1#b#c=2", (("a", "1"),), "4.2-1"),
    ("question-mark-inside", "A second question mark belongs to the query.", "?a=1?b=2", (("a", "1?b=2"),), "4.2-1"),
    ("only-question-marks", "Of two question marks one is the query.", "??", (("?", ""),), "4.2-1"),
    ("slashes-inside", "A slash in the query is text.", "?next=/a/../b", (("next", "/a/../b"),), "4.2-1"),
    ("escaped-number-sign", "An escaped number sign begins no fragment.", "?a=1%23b", (("a", "1#b"),), "4.2-1 4.2-4"),
)  # fmt: skip
for _slug, _comment, _tail, _pairs, _clauses in _WHERE:
    _query(_slug, _comment, _tail, _pairs, _clauses, flags=["SplitRule"])
_query(
    "fragment-first", "A question mark in the fragment begins no query.", "#f?a=1", (), "4.2-1",
    errata=11, flags=["SplitRule"], same_as=("none", "action_fingerprint"),
)  # fmt: skip
_query(
    "empty-fragment", "An empty fragment changes nothing in the fingerprint.", "#", (), "4.2-1",
    errata=16, flags=["Fragment"], same_as=("none", "action_fingerprint"),
)  # fmt: skip

_SPLITS: Final = (
    ("no-value", "A name alone has an empty value.", "?a", (("a", ""),)),
    ("empty-value", "An empty value is empty.", "?a=", (("a", ""),)),
    ("no-name", "A value may have an empty name.", "?=1", (("", "1"),)),
    ("first-equals", "A segment is split on its first =.", "?a=b=c", (("a", "b=c"),)),
    ("many-equals", "All others belong to the value.", "?a==b==", (("a", "=b=="),)),
    ("semicolon", "A semicolon parts nothing.", "?a=1;b=2", (("a", "1;b=2"),)),
    ("comma", "A comma parts nothing.", "?a=1,2", (("a", "1,2"),)),
    ("brackets", "Brackets mean nothing.", "?a[]=1&a[0]=2", (("a[0]", "2"), ("a[]", "1"))),
    ("html-ampersand", "An ampersand of HTML is a separator and a name.", "?a=1&amp;b=2", (("a", "1"), ("amp;b", "2"))),
)  # fmt: skip
for _slug, _comment, _tail, _pairs in _SPLITS:
    _query(_slug, _comment, _tail, _pairs, "4.2-3", flags=["SplitRule"])

_SEGMENTS: Final = (
    ("equals-alone", "One = is one empty pair.", "?=", (_EMPTY,)),
    ("ampersand-alone", "One & parts two empty pairs.", "?&", (_EMPTY, _EMPTY)),
    ("two-ampersands", "Two & part three.", "?&&", (_EMPTY, _EMPTY, _EMPTY)),
    ("segment-inside", "An empty segment between two others stays.", "?a=1&&b=2", (_EMPTY, *_AB)),
    ("segment-last", "An empty segment at the end stays.", "?a=1&b=2&", (_EMPTY, *_AB)),
    ("segment-first", "An empty segment at the beginning stays.", "?&a=1&b=2", (_EMPTY, *_AB)),
    ("equals-as-segment", "A segment of one = is the same pair.", "?a=1&=&b=2", (_EMPTY, *_AB)),
)
for _slug, _comment, _tail, _pairs in _SEGMENTS:
    _query(
        _slug, _comment, _tail, _pairs, "4.2-3 4.2-6", errata=12, flags=["EmptySegment"],
        differs_from=("two", "action_fingerprint"),
    )  # fmt: skip

_DECODED: Final = (
    ("plus", "A plus is a space, in names too.", "?a+b=c+d", (("a b", "c d"),), ""),
    ("percent-20", "An escaped space is a space.", "?a%20b=c%20d", (("a b", "c d"),), ""),
    ("escaped-plus", "An escaped plus is a plus.", "?a=1%2B1", (("a", "1+1"),), "DecodeOrder"),
    ("escaped-ampersand", "An escaped & parts nothing.", "?a=1%26b=2", (("a", "1&b=2"),), "DecodeOrder"),
    ("escaped-equals", "An escaped = parts nothing.", "?a%3Db", (("a=b", ""),), "DecodeOrder"),
    ("escaped-equals-in-name", "The first = that is none is the separator.", "?a%3Db=c", (("a=b", "c"),), "DecodeOrder"),
    ("decoded-once", "An escaped percent sign is decoded once.", "?a=%2541", (("a", "%41"),), "DecodeOrder"),
    ("decoded-once-ampersand", "Nor is there a separator in the second layer.", "?a=1%2526b=2", (("a", "1%26b=2"),), "DecodeOrder"),
    ("plus-once", "A plus that was escaped twice is an escape.", "?a=%252B", (("a", "%2B"),), "DecodeOrder"),
    ("letters", "Any escape is decoded.", "?%61=%41", (("a", "A"),), ""),
    ("utf-8", "Escapes are UTF-8.", "?q=%C3%A9", (("q", "é"),), "InvalidUtf8"),
    ("utf-8-lower-case", "The case of an escape does not count.", "?q=%c3%a9", (("q", "é"),), "InvalidUtf8"),
    ("utf-8-astral", "Four bytes are one code point.", "?q=%F0%9F%98%80", (("q", "\U0001f600"),), "InvalidUtf8"),
    ("utf-8-nfd", "Nothing is normalised.", "?q=e%CC%81", (("q", "e\u0301"),), "TextNormalised"),
    ("escaped-byte-order-mark", "A byte order mark stays.", "?q=%EF%BB%BFx", (("q", "\ufeffx"),), "InvalidUtf8"),
    ("escaped-replacement", "U+FFFD itself is text.", "?q=%EF%BF%BD", (("q", "\ufffd"),), "InvalidUtf8"),
    ("raw-non-ascii", "A character beyond ASCII stands for itself.", "?q=é", (("q", "é"),), "InvalidUtf8"),
    ("escaped-controls", "Control characters are decoded.", "?q=%00%0A%0d%7F", (("q", "\x00\n\r\x7f"),), "EscapeStyle"),
    ("escaped-quote", "What is decoded is text, and escaped as such.", "?q=%22%5C%2F", (("q", '"\\/'),), "EscapeStyle"),
    ("raw-space", "A raw space is a space.", "?q=a b", (("q", "a b"),), "UrlRepaired"),
)  # fmt: skip
for _slug, _comment, _tail, _pairs, _flag in _DECODED:
    _query(
        _slug, _comment, _tail, _pairs, "4.2-4", flags=[_flag] if _flag else (),
        errata=13 if _slug == "raw-non-ascii" else (),
        basis="reference" if _slug in ("raw-non-ascii", "raw-space") else "spec",
        same_as={
            "percent-20": ("plus", "action_fingerprint"),
            "utf-8-lower-case": ("utf-8", "action_fingerprint"),
            "raw-non-ascii": ("utf-8", "action_fingerprint"),
        }.get(_slug),
        differs_from={
            "escaped-ampersand": ("two", "action_fingerprint"),
            "utf-8-nfd": ("utf-8", "action_fingerprint"),
        }.get(_slug),
    )  # fmt: skip
for _slug, _comment, _tail, _pairs in (
    ("raw-tab", "A raw tab is not dropped.", "?q=a\tb", (("q", "a\tb"),)),
    ("raw-line-feed", "A raw line feed is not dropped.", "?q=a\nb", (("q", "a\nb"),)),
    ("tab-in-escape", "A tab breaks an escape; both stay.", "?q=%4\t1", (("q", "%4\t1"),)),
    ("space-last", "A space at the end is not dropped.", "?q=a ", (("q", "a "),)),
):
    _query(_slug, _comment, _tail, _pairs, "4-8 4.2-4", basis="proposed", flags=["UrlRepaired"])

# What the wire text leaves open: hashed in one way, or refused.
_BROKEN: Final = (
    ("escape-no-hex", "?q=%zz", "%zz", "letters"),
    ("escape-short", "?q=%4", "%4", "letters"),
    ("escape-percent-alone", "?q=100%", "100%", "letters"),
    ("escape-of-javascript", "?q=%u0041", "%u0041", "letters"),
    ("escape-with-sign", "?q=%+41", "% 41", "letters"),
    ("invalid-ff", "?q=%ff", "\ufffd", "utf-8"),
    ("invalid-fe", "?q=%fe", "\ufffd", "utf-8"),
    ("invalid-continuation", "?q=%80", "\ufffd", "utf-8"),
    ("invalid-cut-off", "?q=%E2%82", "\ufffd", "utf-8"),
    ("invalid-cut-short", "?q=%C3%28", "\ufffd(", "utf-8"),
    ("invalid-overlong", "?q=%C0%AF", "\ufffd\ufffd", "utf-8"),
    ("invalid-surrogate", "?q=%ED%A0%80", "\ufffd\ufffd\ufffd", "utf-8-astral"),
    ("invalid-beyond-unicode", "?q=%F5%80%80%80", "\ufffd\ufffd\ufffd\ufffd", "utf-8-astral"),
    ("invalid-latin-1", "?q=caf%E9", "caf\ufffd", "utf-8"),
)
for _slug, _tail, _value, _control in _BROKEN:
    _preimage = preimage("GET", HOST, "/x", [("q", _value)], "{}")
    _is_escape = _slug.startswith("escape")
    SUITE.add(
        _slug,
        "A broken escape stays as written, or is refused."
        if _is_escape
        else "Bytes that are not UTF-8 become U+FFFD, or are refused.",
        "fingerprint",
        request(f"{API}/x{_tail}"),
        either(ok(action_fingerprint=sha256(_preimage)), refused()),
        clauses="4.2-7" if _is_escape else "4.2-8",
        errata=13,
        basis="reference",
        flags=["EscapedAlias" if _is_escape else "InvalidUtf8"],
        control=_control,
        trace=[("preimage", _preimage)],
    )

_SORTED: Final = (
    ("order-of-names", "Pairs are sorted by name.", "?b=2&a=1", _AB, "spec", ""),
    ("order-of-values", "Pairs of one name are sorted by value.", "?a=2&a=1", (("a", "1"), ("a", "2")), "spec", "ParameterPollution"),
    ("order-written", "The sorted order has the same fingerprint.", "?a=1&a=2", (("a", "1"), ("a", "2")), "spec", "ParameterPollution"),
    ("order-case", "Upper case stands before lower case.", "?a=1&B=2&C=3&b=4", (("B", "2"), ("C", "3"), ("a", "1"), ("b", "4")), "spec", "CaseFolded"),
    ("order-case-of-values", "In values too.", "?a=x&a=Y", (("a", "Y"), ("a", "x")), "spec", "CaseFolded"),
    ("order-digits", "Values are text: 10 stands before 9.", "?a=9&a=10", (("a", "10"), ("a", "9")), "spec", "TypeConfusion"),
    ("order-prefix", "A name stands before those that it begins, whatever follows.", "?a!=1&a=2", (("a", "2"), ("a!", "1")), "spec", "SplitRule"),
    ("order-prefix-comma", "Pairs are not joined before they are sorted.", "?a,b=1&a=2", (("a", "2"), ("a,b", "1")), "spec", "SplitRule"),
    ("order-decoded", "What is sorted is decoded.", "?%7A=1&b=2", (("b", "2"), ("z", "1")), "spec", "DecodeOrder"),
    ("order-decoded-values", "Values are decoded as well.", "?a=%7A&a=b", (("a", "b"), ("a", "z")), "spec", "DecodeOrder"),
    ("order-plus", "A space stands before letters.", "?ab=1&a+z=2", (("a z", "2"), ("ab", "1")), "spec", "DecodeOrder"),
    ("order-latin", "Letters beyond ASCII stand behind it.", "?%C3%A9=1&z=2", (("z", "2"), ("é", "1")), "spec", "CaseFolded"),
    ("order-astral-names", "U+FF5E stands before U+1F600: the order is by code point.", "?%F0%9F%98%80=1&%EF%BD%9E=2", (("\uff5e", "2"), ("\U0001f600", "1")), "spec", "Utf16Order"),
    ("order-astral-values", "In values too.", "?a=%F0%9F%98%80&a=%EF%BD%9E", (("a", "\uff5e"), ("a", "\U0001f600")), "spec", "Utf16Order"),
    ("order-private-use", "U+E000 and U+10000 are the first two on which orders differ.", "?%F0%90%80%80=1&%EE%80%80=2", (("\ue000", "2"), ("\U00010000", "1")), "spec", "Utf16Order"),
    ("order-empty-value", "The empty value stands first.", "?a=0&a", (("a", ""), ("a", "0")), "spec", "EmptySegment"),
    ("duplicates", "A pair that stands twice stays twice.", "?b=2&a=1&b=2", (("a", "1"), ("b", "2"), ("b", "2")), "spec", "ParameterPollution"),
    ("duplicates-in-two-spellings", "Decoded, they are the same pair.", "?a=A&a=%41", (("a", "A"), ("a", "A")), "spec", "ParameterPollution"),
    ("published-mixture", "Duplicates, escapes and a name without value.", "?b=2&a=%41&a=plus+space&a&b=2", (("a", ""), ("a", "A"), ("a", "plus space"), ("b", "2"), ("b", "2")), "spec", ""),
)  # fmt: skip
for _slug, _comment, _tail, _pairs, _basis, _flag in _SORTED:
    _clauses = "4.2-5 4.2-6" if _slug.startswith(("dup", "pub")) or _flag == "EmptySegment" else "4.2-5"
    _query(
        _slug, _comment, _tail, _pairs, _clauses, basis=_basis, flags=[_flag] if _flag else (),
        errata={"ParameterPollution": 14, "Utf16Order": 3}.get(_flag, ()),
        same_as={
            "order-of-names": ("two", "action_fingerprint"),
            "order-written": ("order-of-values", "action_fingerprint"),
        }.get(_slug),
        differs_from=("two", "action_fingerprint") if _slug == "duplicates" else None,
    )  # fmt: skip

_query("value-1", "The twin of the next one.", "?to=me", (("to", "me"),), "4-4 4.2-4")
_query(
    "value-2", "The query is bound: another value is another action.", "?to=attacker", (("to", "attacker"),),
    "4-4 4.2-4", errata=15, differs_from=("value-1", "action_fingerprint"),
)  # fmt: skip
