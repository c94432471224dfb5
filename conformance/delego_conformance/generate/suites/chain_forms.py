"""chain_verify: the members of a receipt and their forms, and the context beside them (§8.1, §8.4)."""

from __future__ import annotations

from typing import Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite
from delego_conformance.generate.chain_cases import (
    LINE,
    SOUND,
    Cases,
    edited,
    members,
    spelled,
)
from delego_conformance.generate.forging import line
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("chain-forms", "CF", "Members of a receipt", section="8.1")
case: Final = Cases(SUITE)

# --- members and their forms ------------------------------------------------------------------------------

for name in (*forging.PAYLOAD, "entry_hash", "signature"):
    rest = {other: value for other, value in SOUND[1].items() if other != name}
    case(
        f"{name.replace('_', '-')}-missing",
        f"The second receipt has no {name}.",
        spelled(1, line(rest)),
        ["1 structure", "2 linkage"],
        "8-1 8.1-6 8.1-13 8.1-4" if name == "seq" else "8-1 8.1-6 8.1-13",
        basis="spec",
        flags=("MissingMember",),
    )
    # Signed without it: who hashes whatever is there finds nothing wrong.
    if name in ("rule", "approval_id", "prev_hash"):
        without = forging.signed({other: SOUND[0][other] for other in forging.PAYLOAD if other != name})
        case(
            f"{name.replace('_', '-')}-never-signed",
            f"The only receipt was hashed and signed without {name}.",
            [without],
            None,
            "8-1 8.1-6",
            basis="spec",
            flags=("MissingMember",),
            control="chain/one-receipt",
        )
for slug, comment, added in (
    ("note", "A member that nobody knows, beside what is signed.", {"note": "harmless"}),
    ("principal", "A member that belongs into context.", {"principal": "agent-7"}),
    ("version", "A version number.", {"v": 1}),
    ("empty-name", "A member whose name is empty.", {"": None}),
    ("capital", "A member whose name differs in case only.", {"Rule": "place-order"}),
):
    case(
        f"unknown-{slug}",
        comment,
        edited(1, **added),
        ["1 structure"],
        "8.1-6",
        errata=35,
        flags=("UnknownMember",),
    )
case(
    "twelfth-field-signed",
    "A twelfth member that is part of what was hashed and signed.",
    members(note="x"),
    None,
    "8-1 8.1-6",
    errata=35,
    basis="spec",
    flags=("UnknownMember",),
)

FORMS: list[tuple[str, str, JSONObject, int | tuple[int, ...]]] = [
    ("phase-banana", "phase is a word that nobody knows.", {"phase": "banana"}, 34),
    ("phase-upper-case", "phase is in upper case.", {"phase": "EXECUTION"}, 34),
    ("phase-null", "phase is null.", {"phase": None}, 34),
    ("outcome-7", "outcome is a number.", {"outcome": 7}, 34),
    ("outcome-permit", "outcome is a word that nobody knows.", {"outcome": "permit"}, 34),
    ("outcome-blank", "outcome ends in a blank.", {"outcome": "allow "}, 34),
    ("rule-a-number", "rule is a number.", {"rule": 7}, ()),
    ("reasons-a-string", "reasons is a string.", {"reasons": "allowed"}, ()),
    ("reasons-null", "reasons is null.", {"reasons": None}, ()),
    ("reasons-of-numbers", "reasons holds a number.", {"reasons": ["allowed", 7]}, ()),
    ("reasons-with-null", "reasons holds null.", {"reasons": [None]}, ()),
    ("approval-id-a-number", "approval_id is a number.", {"approval_id": 7}, ()),
    ("summary-null", "action_summary is null.", {"action_summary": None}, ()),
    ("intent-hash-short", "intent_hash has 63 digits.", {"intent_hash": "a" * 63}, 54),
    ("intent-hash-upper-case", "intent_hash is in upper case.", {"intent_hash": forging.INTENT.upper()}, 54),
    ("intent-hash-newline", "A newline behind intent_hash.", {"intent_hash": forging.INTENT + "\n"}, 54),
    ("fingerprint-empty", "action_fingerprint is empty.", {"action_fingerprint": ""}, 54),
    ("fingerprint-null", "action_fingerprint is null.", {"action_fingerprint": None}, 54),
    ("fingerprint-no-digits", "action_fingerprint holds a g.", {"action_fingerprint": "g" * 64}, 54),
    ("fingerprint-other-digits", "Digits of another script.", {"action_fingerprint": "\u0661" * 64}, 54),
]
for slug, comment, change, errata in FORMS:
    case(
        slug,
        f"{comment} It is hashed, signed and linked all the same.",
        members(**change),
        ["1 structure"],
        "8.1-7",
        errata=errata,
        flags=("WrongForm",),
    )
for slug, comment, literal in (
    ("seq-a-string", "seq is a string.", "1"),
    ("seq-true", "seq is true, which some languages take for 1.", True),
    ("seq-null", "seq is null.", None),
    ("seq-1.5", "seq is no integer.", 1.5),
):
    case(
        slug,
        f"{comment} It is signed.",
        members(seq=literal),
        ["1 structure"],
        "8.1-7 8.1-4",
        errata=34,
        flags=("WrongForm",),
    )

case(
    "seq-negative",
    "seq is −1, and signed: neither the place that is expected nor a place at all.",
    members(seq=-1),
    ["-1 seq", "-1 structure", "2 seq"],
    "8.1-7 8.1-5 8.1-1",
    errata=34,
    flags=("WrongForm",),
)

for slug, comment, ts in (
    ("z", "Z for +00:00.", "2026-01-01T12:00:00.000000Z"),
    ("no-fraction", "No fraction of a second.", "2026-01-01T12:00:00+00:00"),
    ("3-digits", "Milliseconds.", "2026-01-01T12:00:00.123Z"),
    ("9-digits", "Nanoseconds.", "2026-01-01T12:00:00.123456789+00:00"),
    ("1-digit", "Tenths of a second.", "2026-01-01T12:00:00.1Z"),
    ("1970", "The first second that there is.", "1970-01-01T00:00:00Z"),
    ("leap-day", "The 29th of February in a leap year.", "2024-02-29T12:00:00.000000+00:00"),
):
    case(
        f"ts-{slug}",
        comment,
        members(ts=ts),
        [],
        "8.1-7",
        errata=31,
        flags=("TimeSpelling",),
        control="ts-offset",
    )
for slug, comment, ts in (
    ("offset", "Another offset than zero.", "2026-01-01T13:00:00.000000+01:00"),
    ("minus-zero", "-00:00, which says that the offset is not known.", "2026-01-01T12:00:00.000000-00:00"),
    ("no-offset", "No offset at all.", "2026-01-01T12:00:00.000000"),
    ("blank", "A blank for the T, without offset.", "2026-01-01 12:00:00.000000"),
    ("10-digits", "Ten digits of a second.", "2026-01-01T12:00:00.1234567890Z"),
    ("bare-point", "A point without digits.", "2026-01-01T12:00:00.Z"),
    ("date", "A date without a time.", "2026-01-01"),
    ("no-seconds", "No seconds.", "2026-01-01T12:00Z"),
    ("hour-24", "Hour 24.", "2026-01-01T24:00:00.000000+00:00"),
    ("month-13", "Month 13.", "2026-13-01T12:00:00.000000+00:00"),
    ("february-30", "The 30th of February.", "2026-02-30T12:00:00.000000+00:00"),
    ("february-29", "The 29th of February in a year without one.", "2026-02-29T12:00:00.000000+00:00"),
    ("before-1970", "The last second before 1970.", "1969-12-31T23:59:59.000000+00:00"),
    ("words", "Words.", "yesterday"),
    ("empty", "An empty string.", ""),
    ("newline", "A newline behind the time: `$` would let it through.", "2026-01-01T12:00:00.000000+00:00\n"),
    ("other-digits", "Digits of another script.", "202\u0666-01-01T12:00:00.000000+00:00"),
):
    case(
        f"ts-{slug}",
        f"{comment} It is hashed and signed.",
        members(ts=ts),
        ["1 structure"],
        "8.1-7",
        errata=(31, 34, 54),
        flags=("TimeSpelling",),
        control="ts-z",
    )

for slug, comment, signature in (
    ("upper-case", "in upper case", SOUND[1]["signature"].upper()),
    ("blanks", "with a blank", SOUND[1]["signature"][:64] + " " + SOUND[1]["signature"][64:]),
    ("short", "without its last byte", SOUND[1]["signature"][:-2]),
    ("long", "with a byte more", SOUND[1]["signature"] + "00"),
    ("newline", "with a newline behind it", SOUND[1]["signature"] + "\n"),
    ("empty", "without a digit", ""),
):
    case(
        f"signature-{slug}",
        f"A signature {comment}.",
        edited(1, signature=signature),
        ["1 signature"],
        "8-3 8-23 8.1-15",
        errata=(35, 54),
        flags=("HexSpelling",),
    )
case("signature-null", "The signature is null.", edited(1, signature=None), None, "8.1-7", errata=54)
case(
    "entry-hash-upper-case",
    "entry_hash in upper case is another text than the one that was signed.",
    edited(1, entry_hash=SOUND[1]["entry_hash"].upper()),
    ["1 content", "1 signature", "2 linkage"],
    "8.1-17 8.1-14 8-23",
    errata=35,
    flags=("HexSpelling",),
)

# --- context ----------------------------------------------------------------------------------------------

for slug, comment, context in (
    ("principal", "context names who acted.", {"principal": "agent-7"}),
    ("empty", "An empty context.", {}),
    (
        "nested",
        "A context that holds other values than strings.",
        {"trace": {"id": 7, "tags": [None, True, 0.5]}},
    ),
    (
        "contradicts",
        "A context that contradicts the receipt: nothing of it is read.",
        {"outcome": "deny", "seq": 9},
    ),
):
    case(
        f"context-{slug}",
        comment,
        edited(1, context=context),
        [],
        "8.4-1 8.4-2 8.1-6",
        errata=49,
        control="context-a-string",
        section="8.4",
    )
case(
    "context-changed",
    "Two receipts carry the same context, which they cannot both have been written with.",
    [{**one, "context": {"principal": "mallory"}} for one in SOUND],
    [],
    "8.4-2",
    errata=49,
    control="context-null",
    section="8.4",
)
for slug, comment, value in (
    ("a-string", "a string", "agent-7"),
    ("a-list", "a list", [{"principal": "agent-7"}]),
    ("a-number", "a number", 7),
    ("null", "null", None),
    ("false", "false", False),
):
    case(
        f"context-{slug}",
        f"context is {comment}.",
        edited(1, context=value),
        ["1 structure"],
        "8.4-3",
        errata=49,
        flags=("WrongForm",),
        control="context-principal",
        section="8.4",
    )
for slug, comment, number in (
    ("big-integer", "an integer beyond 2^53−1", 2**53),
    ("tiny-float", "a float below 0.0001 in size", 0.00001),
):
    case(
        f"context-{slug}",
        f"context holds {comment}: §3 refuses the whole line.",
        spelled(1, LINE[:-1] + b',"context":{"n":%s}}' % repr(number).encode()),
        ["line 1 structure", "2 linkage"],
        "8.1-16 3-4",
        errata=49,
        flags=("BigInteger",) if slug == "big-integer" else (),
        control="context-principal",
        section="8.4",
    )
case(
    "context-member-twice",
    "A member inside context stands twice.",
    spelled(1, LINE[:-1] + b',"context":{"a":1,"a":2}}'),
    ["line 1 structure", "2 linkage"],
    "8.1-16 8.1-6",
    errata=(35, 49),
    flags=("DuplicateMember",),
    control="context-principal",
    section="8.4",
)
case(
    "context-signed",
    "context is part of what was hashed and signed: then the eleven fields are not what was hashed.",
    [forging.signed({**forging.PAYLOAD, "context": {"principal": "agent-7"}})],
    ["0 content"],
    "8-1 8.4-2",
    errata=49,
    control="context-principal",
    section="8.4",
)
case(
    "context-edits-too",
    "A field was edited beside a sound context.",
    edited(1, context={"principal": "agent-7"}, rule="x"),
    ["1 content"],
    "8.4-2",
    errata=49,
    control="context-principal",
    section="8.4",
)
for slug, comment, ts in (
    ("lower-case-z", "z in lower case.", "2026-01-01T12:00:00.000000z"),
    ("lower-case-t", "t in lower case.", "2026-01-01t12:00:00.000000Z"),
    ("comma", "A comma for the point, as ISO 8601 has it.", "2026-01-01T12:00:00,123Z"),
    ("leap-second", "A leap second, which many libraries cannot read.", "2016-12-31T23:59:60Z"),
):
    case(
        f"ts-{slug}",
        f"{comment} It is hashed and signed.",
        members(ts=ts),
        ["1 structure"],
        "8.1-7",
        errata=31,
        flags=("TimeSpelling",),
        control="ts-z",
    )
case(
    "form-and-signature",
    "A phase that nobody knows, and a bad signature: each is told.",
    edited(1, phase="banana", signature="00" * 64),
    ["1 content", "1 signature", "1 structure"],
    "8.1-1 8.1-7",
    flags=("WrongForm",),
)
