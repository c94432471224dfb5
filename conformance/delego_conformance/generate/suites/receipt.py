"""receipt_build: the bytes of a receipt, hashed and signed (§8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.forging import FINGERPRINT, INTENT, PAYLOAD
from delego_conformance.vectors import Basis, JSONObject

SUITE: Final = Suite("receipt", "RC", "Receipts", section="8")

# Receipt 3 of the chain in SPEC.md, whose hash and signature stand there.
STORY: Final[JSONObject] = {
    "seq": 3,
    "ts": "2026-01-01T12:00:02.000000+00:00",
    "phase": "decision",
    "outcome": "needs_approval",
    "rule": "place-order",
    "reasons": [
        "amount: 2400 within max 5000",
        "allow_list: destination='internal' permitted",
        "policy sha256:f9e1b87616a4fd2b655a7d7d8f8f262bf629031c7f636003f5ff5d6bc31ed0d7",
    ],
    "intent_hash": INTENT,
    "action_fingerprint": FINGERPRINT,
    "action_summary": 'POST api.example.com/orders {"amount":2400,"currency":"USD","destination":"internal"}',
    "approval_id": "apr_098812a3c6ffc7d236a2c11e",
    "prev_hash": "a7a5ae538dc94d3dce2ca73c197c557d8df771e3094ad9f1d8b5a85857525e8e",
}


def built(
    slug: str,
    comment: str,
    clauses: str = "8-1 8-2 8-3",
    *,
    payload: JSONObject = PAYLOAD,
    seed: bytes = forging.LEDGER_SEED,
    errata: int | Sequence[int] = (),
    differs_from: tuple[str, str] | None = None,
    flags: Sequence[str] = (),
    **change: Any,
) -> None:
    whole = {**payload, **change}
    receipt = forging.signed(whole, seed)
    SUITE.add(
        slug,
        comment,
        "receipt_build",
        {"payload": whole, "seed_hex": seed.hex()},
        ok(entry_hash=receipt["entry_hash"], signature=receipt["signature"]),
        clauses=clauses,
        errata=errata,
        differs_from=differs_from,
        flags=flags,
        control="note-added",
    )


def fails(
    slug: str,
    comment: str,
    clauses: str = "8-1",
    *,
    without: str = "",
    basis: Basis = "proposed",
    flags: Sequence[str] = (),
    errata: int | Sequence[int] = (),
    control: str = "genesis",
    **change: Any,
) -> None:
    whole = {name: value for name, value in {**PAYLOAD, **change}.items() if name != without}
    SUITE.add(
        slug,
        comment,
        "receipt_build",
        {"payload": whole, "seed_hex": forging.LEDGER_SEED.hex()},
        refused(),
        clauses=clauses,
        basis=basis,
        flags=flags,
        errata=errata,
        control=control,
    )


built("genesis", "The first receipt of a ledger.")
built("story", "Receipt 3 of the chain in SPEC.md.", "8-1 8-2 8-3 1-1", payload=STORY)
built(
    "another-seed",
    "The same payload under another key: the same hash, another signature.",
    seed=forging.ALICE_SEED,
)
built(
    "linked",
    "A receipt that names the one before it.",
    seq=1,
    prev_hash="75cb8f52829a3172ca439d2d20d57fb172b50d825446725bf2d75175475a57b6",
)
built(
    "execution",
    "An execution, with the rule that decided.",
    phase="execution",
    outcome="allow",
    rule="place-order",
)
built("largest-seq", "The largest place there can be.", seq=2**53 - 1, prev_hash="ab" * 32)
built("no-reasons", "No reasons at all.", reasons=[])
built("reasons-in-order", "Two reasons.", reasons=["b", "a"])
built(
    "reasons-reversed",
    "The same two reasons the other way round: lists keep their order.",
    "8-2 3-1",
    reasons=["a", "b"],
    differs_from=("reasons-in-order", "entry_hash"),
)
built("rule-empty", "rule is the empty string.", rule="")
built(
    "rule-null",
    "rule is null, which is not the empty string.",
    "8-2",
    rule=None,
    differs_from=("rule-empty", "entry_hash"),
)
built(
    "rule-says-null",
    "rule is the text null.",
    "8-2",
    rule="null",
    differs_from=("rule-null", "entry_hash"),
)
for slug, comment, reason in (
    ("non-ascii", "Text beyond ASCII is hashed as UTF-8, not as escapes.", "naïve – 日本"),
    ("beyond-the-bmp", "A character beyond U+FFFF.", "\U0001f600"),
    ("nfc", "é in one code point.", "caf\u00e9"),
    ("nfd", "é in two code points.", "cafe\u0301"),
    ("controls", "Control characters, with their short escapes and without.", "\b\t\n\f\r\u0000\u001f"),
    ("quotes", "A quote, a backslash and a slash.", 'a"b\\c/d'),
    ("line-separators", "U+2028, U+2029, U+0085 and U+007F are not escaped.", "\u2028\u2029\u0085\u007f"),
    ("html", "<, > and & are not escaped.", "<a&b>"),
):
    built(
        f"reason-{slug}",
        comment,
        "8-2 3-1 3-7",
        reasons=[reason],
        flags=("EscapeStyle",) if slug in ("controls", "quotes", "line-separators", "html") else (),
        differs_from=("reason-nfc", "entry_hash") if slug == "nfd" else None,
    )
built(
    "summary-as-it-is",
    "A summary is hashed as it stands: nothing in it is parsed, cut or made visible.",
    "8-2",
    errata=33,
    action_summary='POST api.example.com/orders?a=1 {"z":1, "a":2} \u001b[2J\u202e',
)
built("summary-long", "A summary of 10000 characters.", action_summary="GET api.example.com/" + "a" * 10_000)

for name in PAYLOAD:
    fails(
        f"{name.replace('_', '-')}-missing",
        f"A payload without {name}.",
        without=name,
        basis="spec",
        flags=("MissingMember",),
    )
for slug, comment, change in (
    ("note", "a note", {"note": "x"}),
    ("context", "its context, which is not signed", {"context": {"principal": "agent-7"}}),
    ("entry-hash", "its own hash", {"entry_hash": "ab" * 32}),
    ("signature", "a signature", {"signature": "ab" * 64}),
):
    fails(
        f"{slug}-added",
        f"A payload with {comment}.",
        "8-1 8.4-2" if slug == "context" else "8-1",
        basis="spec",
        errata=(35, 49) if slug == "context" else 35,
        flags=("UnknownMember",),
        **change,
    )
WRONG: list[tuple[str, str, JSONObject, int | tuple[int, ...]]] = [
    ("phase-banana", "phase is a word that nobody knows.", {"phase": "banana"}, 34),
    ("outcome-permit", "outcome is a word that nobody knows.", {"outcome": "permit"}, 34),
    ("outcome-null", "outcome is null.", {"outcome": None}, 34),
    ("rule-a-number", "rule is a number.", {"rule": 7}, ()),
    ("reasons-a-string", "reasons is a string.", {"reasons": "allowed"}, ()),
    ("reasons-with-null", "reasons holds null.", {"reasons": [None]}, ()),
    ("seq-a-string", "seq is a string.", {"seq": "0"}, 34),
    ("seq-true", "seq is true.", {"seq": True}, 34),
    ("seq-a-fraction", "seq is 1.5.", {"seq": 1.5}, 34),
    ("intent-hash-upper-case", "intent_hash is in upper case.", {"intent_hash": INTENT.upper()}, 54),
    ("fingerprint-short", "action_fingerprint has 63 digits.", {"action_fingerprint": FINGERPRINT[1:]}, 54),
    ("summary-null", "action_summary is null.", {"action_summary": None}, ()),
    ("approval-id-a-number", "approval_id is a number.", {"approval_id": 7}, ()),
    ("prev-hash-null", "prev_hash is null.", {"prev_hash": None}, ()),
    ("ts-words", "ts is no time.", {"ts": "yesterday"}, (31, 34)),
    ("ts-z", "Receipts are written with +00:00, not with Z.", {"ts": "2026-01-01T12:00:00.000000Z"}, 31),
    ("ts-no-fraction", "Receipts are written with microseconds.", {"ts": "2026-01-01T12:00:00+00:00"}, 31),
    ("ts-offset", "Another offset than zero.", {"ts": "2026-01-01T13:00:00.000000+01:00"}, 31),
]
for slug, comment, change, errata in WRONG:
    fails(slug, comment, "8.1-7 8-1", errata=errata, flags=("WrongForm",), **change)
fails("seq-negative", "seq is −1.", "8.1-7 8-1", errata=34, flags=("WrongForm",), seq=-1)
