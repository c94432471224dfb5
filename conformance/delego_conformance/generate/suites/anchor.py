"""chain_verify with an expected head or an anchor: what is missing at the end (§8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, b64, either, ok, refused
from delego_conformance.generate.chain_cases import ALLOWED, KEY, OTHER, problem, spelled
from delego_conformance.generate.forging import lines
from delego_conformance.vectors import Basis, JSONObject

SUITE: Final = Suite("anchor", "AN", "Head anchors", section="8.3")

NO_VECTOR: Final = {"§8.3-2": "Where an anchor is kept is a matter of operation."}

SOUND: Final = forging.chain({}, ALLOWED, {})
GROWN: Final = [*SOUND, forging.signed({**forging.PAYLOAD, "seq": 3, "prev_hash": SOUND[2]["entry_hash"]})]
REWRITTEN: Final = forging.chain({}, {**ALLOWED, "rule": "other"}, {})  # with the same key, from seq 1 on


def at(receipt: JSONObject) -> str:
    return f"{receipt['seq']}:{receipt['entry_hash']}"


def case(
    slug: str,
    comment: str,
    jsonl: bytes | list[JSONObject],
    problems: Sequence[str],
    clauses: str,
    *,
    errata: int | Sequence[int] = 40,
    control: str,
    completeness: str | None = "",
    basis: Basis = "spec",
    **anchors: str,
) -> None:
    """``completeness``: by default what follows from ``problems``; None leaves it open."""
    expected: dict[str, Any] = {"valid": not problems, "problems": [problem(one) for one in problems]}
    if completeness is not None:
        expected["completeness"] = completeness or ("cannot_be_ruled_out" if problems else "anchored")
    SUITE.add(
        slug,
        comment,
        "chain_verify",
        {
            "jsonl_b64": b64(jsonl if isinstance(jsonl, bytes) else lines(jsonl)),
            "public_key_hex": KEY,
            **anchors,
        },
        ok(**expected),
        clauses=clauses,
        errata=errata,
        basis=basis,
        control=control,
        flags=("Truncated",) if problems else (),
    )


case(
    "head",
    "The chain ends where it is expected to end.",
    SOUND,
    [],
    "8.3-1 8.3-3 8.1-11",
    control="head-cut-off",
    expected_head=at(SOUND[2]),
)
case(
    "anchor-at-the-end",
    "The anchor names the last receipt.",
    SOUND,
    [],
    "8.3-1 8.3-4 8.1-11",
    control="anchor-cut-off",
    anchor=at(SOUND[2]),
)
for place in (0, 1):
    case(
        f"anchor-at-{place}",
        f"The chain has grown since an anchor at place {place}.",
        SOUND,
        [],
        "8.3-4",
        control="anchor-of-another-history",
        anchor=at(SOUND[place]),
        basis="proposed",
    )
case(
    "head-only-receipt",
    "A chain of one receipt, and its head.",
    SOUND[:1],
    [],
    "8.3-3",
    control="head-of-nothing",
    expected_head=at(SOUND[0]),
)
case(
    "head-and-anchor",
    "An expected head and an anchor before it, both in place.",
    SOUND,
    [],
    "8.3-3 8.3-4",
    control="head-but-not-anchor",
    expected_head=at(SOUND[2]),
    anchor=at(SOUND[0]),
)
case(
    "without",
    "No anchor at all: the verdict says that the end may be missing.",
    SOUND,
    [],
    "8.3-6 8.1-11",
    errata=41,
    control="head-cut-off",
    completeness="cannot_be_ruled_out",
)
case(
    "without-cut-off",
    "The same chain without its last receipt: nothing is wrong in what is there.",
    SOUND[:2],
    [],
    "8.3-6 8.1-11",
    errata=41,
    control="head-cut-off",
    completeness="cannot_be_ruled_out",
)
case(
    "head-cut-off",
    "The last receipt is gone, and its head is expected.",
    SOUND[:2],
    ["2 head"],
    "8.3-3 8.3-5",
    control="head",
    expected_head=at(SOUND[2]),
)
case(
    "anchor-cut-off",
    "The last receipt is gone, and an anchor names it.",
    SOUND[:2],
    ["2 head"],
    "8.3-4 8.3-5",
    control="anchor-at-the-end",
    anchor=at(SOUND[2]),
)
case(
    "head-of-nothing",
    "All receipts are gone, and a head is expected.",
    b"",
    ["0 head"],
    "8.3-3 8.3-5",
    errata=(39, 40),
    control="head-only-receipt",
    expected_head=at(SOUND[0]),
)
case(
    "anchor-of-nothing",
    "All receipts are gone, and there is an anchor.",
    b"",
    ["2 head"],
    "8.3-4 8.3-5",
    errata=(39, 40),
    control="anchor-at-the-end",
    anchor=at(SOUND[2]),
)
case(
    "head-grown",
    "The chain goes on behind the head that is expected.",
    GROWN,
    ["2 head"],
    "8.3-3",
    control="head",
    expected_head=at(SOUND[2]),
    basis="proposed",
)
case(
    "anchor-grown",
    "The chain goes on behind its anchor.",
    GROWN,
    [],
    "8.3-4",
    control="head-grown",
    anchor=at(SOUND[2]),
    basis="proposed",
)
case(
    "anchor-of-another-history",
    "The receipt at that place has another hash: the chain was written anew, with the ledger's key.",
    REWRITTEN,
    ["1 head"],
    "8.3-4 8.3-5",
    control="anchor-at-the-end",
    anchor=at(SOUND[1]),
)
case(
    "head-of-another-history",
    "The chain ends at the expected place, and with another receipt.",
    REWRITTEN,
    ["2 head"],
    "8.3-3 8.3-5",
    control="head",
    expected_head=at(SOUND[2]),
)
case(
    "rewritten-before-the-anchor",
    "Rewritten from seq 1 on; the anchor at seq 0 is older than that.",
    REWRITTEN,
    [],
    "8.3-4",
    control="anchor-of-another-history",
    anchor=at(SOUND[0]),
    basis="proposed",
)
case(
    "wrong-place",
    "A hash that stands in the chain, at another place.",
    SOUND,
    ["2 head"],
    "8.3-4",
    control="anchor-at-the-end",
    anchor=f"2:{SOUND[1]['entry_hash']}",
)
case(
    "head-wrong-place",
    "The hash of the last receipt, at a place behind it.",
    SOUND,
    ["3 head"],
    "8.3-3",
    control="head",
    expected_head=f"3:{SOUND[2]['entry_hash']}",
)
case(
    "far-ahead",
    "An anchor far behind the end.",
    SOUND,
    ["9007199254740991 head"],
    "8.3-4",
    control="anchor-at-the-end",
    anchor=f"{2**53 - 1}:{OTHER}",
)
case(
    "same-beginning",
    "An anchor whose first 12 digits are those of the receipt: all 64 count.",
    SOUND,
    ["1 head"],
    "8.3-4",
    control="anchor-at-the-end",
    anchor=f"1:{SOUND[1]['entry_hash'][:12]}{'0' * 52}",
)
case(
    "head-but-not-anchor",
    "The head is in place, and an anchor before it is not.",
    REWRITTEN,
    ["1 head"],
    "8.3-3 8.3-4",
    control="head-and-anchor",
    completeness=None,
    expected_head=at(REWRITTEN[2]),
    anchor=at(SOUND[1]),
)
case(
    "edited-and-anchored",
    "A receipt was edited, the head is in place: an anchor heals nothing.",
    [SOUND[0], {**SOUND[1], "rule": "x"}, SOUND[2]],
    ["1 content"],
    "8.3-3",
    control="head",
    completeness=None,
    expected_head=at(SOUND[2]),
)
case(
    "edited-and-cut-off",
    "A receipt was edited and the last one is gone; what is wrong with the end comes last.",
    [SOUND[0], {**SOUND[1], "rule": "x"}],
    ["1 content", "2 head"],
    "8.3-3 8.3-5",
    control="head",
    expected_head=at(SOUND[2]),
)
case(
    "anchored-line-corrupt",
    "The line of the anchored receipt cannot be read.",
    spelled(1, b"{"),
    ["line 1 structure", "2 linkage", "1 head"],
    "8.3-4 8.1-13",
    control="anchor-at-the-end",
    anchor=at(SOUND[1]),
    basis="proposed",
)
case(
    "another-key",
    "The anchor is in place, and nobody can say who signed: a stranger's chain of the same content.",
    forging.chain({}, ALLOWED, {}, seed=forging.STRANGER_SEED),
    ["0 signature", "1 signature", "2 signature"],
    "8.3-4 8-3",
    errata=42,
    control="head",
    completeness=None,
    anchor=at(SOUND[2]),
)

for slug, comment, text in (
    ("leading-zero", "a leading zero", f"02:{SOUND[2]['entry_hash']}"),
    ("sign", "a sign", f"+2:{SOUND[2]['entry_hash']}"),
    ("upper-case", "a hash in upper case", f"2:{SOUND[2]['entry_hash'].upper()}"),
    ("blank", "a blank behind the colon", f"2: {SOUND[2]['entry_hash']}"),
    ("newline", "a newline behind it", f"2:{SOUND[2]['entry_hash']}\n"),
    ("short", "12 digits of the hash", f"2:{SOUND[2]['entry_hash'][:12]}"),
    ("no-place", "no place", SOUND[2]["entry_hash"]),
    ("other-digits", "a place in digits of another script", f"\u0662:{SOUND[2]['entry_hash']}"),
):
    SUITE.add(
        f"spelled-{slug}",
        f"An anchor with {comment} is not one: it must not pass.",
        "chain_verify",
        {"jsonl_b64": b64(lines(SOUND)), "public_key_hex": KEY, "anchor": text},
        either(refused(), ok(valid=False)),
        clauses="8.3-1",
        basis="proposed",
        flags=("HexSpelling",),
        control="anchor-at-the-end",
    )
