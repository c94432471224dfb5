"""chain_verify: which lines are receipts, and how else they may be spelled (§8.1)."""

from __future__ import annotations

import json
from typing import Final

from delego_conformance.generate.build import Suite
from delego_conformance.generate.chain_cases import (
    LINE,
    LONGER,
    SOUND,
    Cases,
    edited,
    members,
    spelled,
)
from delego_conformance.generate.forging import line, lines

SUITE: Final = Suite("chain-lines", "CL", "Lines of a chain", section="8.1")
case: Final = Cases(SUITE)

# --- spellings --------------------------------------------------------------------------------------------

PRETTY: Final = [json.dumps(one) for one in SOUND]
REORDERED: Final = [json.dumps(dict(reversed(one.items())), separators=(",", ":")) for one in SOUND]
for slug, comment, text, clauses, errata in (
    ("spaces", "Blanks behind colons and commas.", "\n".join(PRETTY) + "\n", "8-7", ()),
    ("members-reordered", "The members in another order.", "\n".join(REORDERED) + "\n", "8-7", ()),
    (
        "blanks-around",
        "Blanks and tabs around each line.",
        "\n".join(f" \t{one} " for one in PRETTY),
        "8-7",
        (),
    ),
    ("no-last-newline", "The last line has no newline.", "\n".join(PRETTY), "8.1-9", 36),
    ("crlf", "Lines end in CR LF.", "\r\n".join(PRETTY) + "\r\n", "8.1-9", 36),
    (
        "crlf-mixed",
        "One line ends in CR LF, the others in LF.",
        PRETTY[0] + "\r\n" + "\n".join(PRETTY[1:]),
        "8.1-9",
        36,
    ),
    (
        "escaped",
        "A u written as an escape: another spelling of the same member names and values.",
        "\n".join(PRETTY).replace("rule", "r\\u0075le"),
        "8-7",
        (),
    ),
    (
        "seq-as-1.0",
        "seq is spelled 1.0, which is 1.",
        "\n".join(PRETTY).replace('"seq": 1', '"seq": 1.0'),
        "8-7 3-2",
        34,
    ),
    (
        "seq-as-1e0",
        "seq is spelled 1e0, which is 1.",
        "\n".join(PRETTY).replace('"seq": 1', '"seq": 1e0'),
        "8-7 3-2",
        34,
    ),
):
    case(
        slug,
        comment,
        text.encode(),
        [],
        clauses,
        errata=errata,
        basis="spec" if clauses == "8-7" else "proposed",
    )
for slug, comment, character in (
    ("u2028-inside", "A raw U+2028 in a reason ends no line.", "\u2028"),
    ("nel-inside", "A raw U+0085 in a reason ends no line.", "\u0085"),
    ("del-inside", "A raw U+007F in a reason.", "\u007f"),
    ("nfd-inside", "e and a combining accent stay two code points.", "e\u0301"),
    ("beyond-the-bmp", "A character beyond U+FFFF.", "\U0001f600"),
):
    case(
        slug,
        comment,
        members(reasons=[f"a{character}b"]),
        [],
        "8.1-9 3-7",
        errata=36,
        basis="spec",
        flags=("LineEnds",),
        control=f"{slug}-edited",
    )
    case(
        f"{slug}-edited",
        f"{comment.rstrip('.')}; then the reason was edited.",
        edited(1, reasons=[f"a{character}b"]),
        ["1 content"],
        "8.1-1",
        basis="spec",
        flags=("LineEnds",),
        control=slug,
    )

# --- lines that are no receipts ---------------------------------------------------------------------------

TWICE: Final = LINE.replace(b'"outcome":"allow"', b'"outcome":"deny","outcome":"allow"')
UNREADABLE: list[tuple[str, str, bytes, str, int | tuple[int, ...]]] = [
    ("half-a-line", "The line was cut in the middle.", LINE[: len(LINE) // 2], "8.1-2 8.1-4", ()),
    ("no-json", "The line is no JSON.", b"not a receipt", "8.1-2 8.1-4", ()),
    ("empty-line", "The line is empty.", b"", "8.1-10", 36),
    ("blank-line", "The line has blanks only.", b"   ", "8.1-10", 36),
    (
        "byte-order-mark",
        "A byte order mark stands in front of the line.",
        b"\xef\xbb\xbf" + LINE,
        "8.1-10 3-8",
        36,
    ),
    (
        "byte-0xff",
        "A byte 0xff in a string: not UTF-8.",
        LINE.replace(b"alice", b"al\xffce"),
        "8.1-2 3-8",
        37,
    ),
    ("bytes-0xff", "Nothing but bytes 0xff.", b"\xff\xff\xff", "8.1-2", 37),
    (
        "overlong-utf-8",
        "A slash in two bytes of overlong UTF-8.",
        LINE.replace(b"alice", b"al\xc0\xafce"),
        "8.1-2 3-8",
        37,
    ),
    (
        "surrogate-utf-8",
        "A surrogate in three bytes.",
        LINE.replace(b"alice", b"al\xed\xa0\x80ce"),
        "8.1-2 3-8",
        37,
    ),
    ("lone-surrogate", "A lone surrogate, escaped.", LINE.replace(b"alice", rb"al\ud800ce"), "8.1-2 3-6", 37),
    ("nul-byte", "A raw NUL in a string.", LINE.replace(b"alice", b"al\0ce"), "8.1-2", ()),
    ("member-twice", "outcome stands twice; the last one is what was signed.", TWICE, "8.1-6 3-8", 35),
    (
        "member-twice-equal",
        "rule stands TWICE, with the same value.",
        LINE.replace(b'"seq":1', b'"rule":"place-order","seq":1'),
        "8.1-6 3-8",
        35,
    ),
    (
        "member-twice-escaped",
        "seq stands TWICE, once with an escape in its name.",
        LINE.replace(b'"seq":1', rb'"\u0073eq":1,"seq":1'),
        "8.1-6 3-8",
        35,
    ),
    ("text-behind", "Text behind the closing brace.", LINE + b" x", "8.1-2", ()),
    ("two-on-a-line", "Two receipts on one line.", LINE + LINE, "8.1-9", 36),
    ("array", "The line is an array that holds the receipt.", b"[" + LINE + b"]", "8.1-2", ()),
    ("null", "The line is null.", b"null", "8.1-2", ()),
    ("nan", "NaN is not JSON.", LINE.replace(b'"seq":1', b'"seq":NaN'), "8.1-2", ()),
    ("deep-nesting", "100000 opening brackets.", b"[" * 100_000, "8.1-2 3-6", ()),
]
for slug, comment, raw, clauses, pins in UNREADABLE:
    case(
        slug,
        f"{comment} The receipt behind it has lost its link, and keeps its place.",
        spelled(1, raw),
        ["line 1 structure", "2 linkage"],
        f"{clauses} 8.1-13",
        errata=pins,
        basis="spec" if slug in ("half-a-line", "no-json") else "proposed",
        flags=("InvalidUtf8",) if pins == 37 else ("DuplicateMember",) if pins == 35 else (),
    )
case(
    "first-line-corrupt",
    "The first line is no receipt; the second one does not begin a chain.",
    spelled(0, b"{"),
    ["line 0 structure", "1 linkage"],
    "8.1-2 8.1-13",
    basis="spec",
)
case(
    "last-line-corrupt",
    "A crash cut the last line off.",
    lines(SOUND[:2]) + line(SOUND[2])[:40],
    ["line 2 structure"],
    "8.1-2",
    basis="spec",
)
case(
    "two-lines-corrupt",
    "Two lines in a row are no receipts; the third keeps its place.",
    lines(LONGER[:1]) + b"x\ny\n" + lines(LONGER[3:]),
    ["line 1 structure", "line 2 structure", "3 linkage"],
    "8.1-2 8.1-13",
)
case("empty-line-alone", "Nothing but one newline.", b"\n", ["line 0 structure"], "8.1-10", errata=(36, 39))
case(
    "empty-line-behind",
    "An empty line behind the last receipt.",
    lines(SOUND) + b"\n",
    ["line 3 structure"],
    "8.1-10",
    errata=36,
)
case(
    "empty-line-between",
    "An empty line between two receipts takes a place of its own.",
    line(SOUND[0]) + b"\n\n" + lines(SOUND[1:]),
    ["line 1 structure", "1 seq"],
    "8.1-10 8.1-13",
    errata=36,
)
case("rubbish", "256 different bytes.", bytes(range(256)), None, "8.1-2", errata=37, flags=("InvalidUtf8",))
for slug, comment, separator in (
    ("vt-for-newline", "Vertical tabs between the receipts end no line.", b"\x0b"),
    ("ff-for-newline", "Form feeds between the receipts end no line.", b"\x0c"),
    ("nel-for-newline", "U+0085 between the receipts ends no line.", b"\xc2\x85"),
    ("u2028-for-newline", "U+2028 between the receipts ends no line.", b"\xe2\x80\xa8"),
    ("cr-for-newline", "CR alone between the receipts ends no line.", b"\r"),
    ("nothing-for-newline", "Nothing at all between the receipts.", b""),
):
    case(
        slug,
        comment,
        separator.join(line(one) for one in SOUND) + b"\n",
        ["line 0 structure"],
        "8.1-9",
        errata=36,
        flags=("LineEnds",),
    )
