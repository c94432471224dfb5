"""chain_verify: content, links, places and signatures (§8.1)."""

from __future__ import annotations

from typing import Final

from delego_conformance.generate import edwards, forging
from delego_conformance.generate.build import Suite
from delego_conformance.generate.chain_cases import (
    ALLOWED,
    KEY,
    LONGER,
    OTHER,
    SOUND,
    Cases,
    edited,
    members,
)
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("chain", "CH", "Chain verification", section="8.1")
case: Final = Cases(SUITE)

NO_VECTOR: Final = {
    "§8-8": "What a key signs elsewhere cannot be seen in an answer.",
    "§8.1-3": "The wire carries codes and places, not texts.",
    "§8.1-12": "It permits, and a list that is cut cannot be told from a wrong one.",
}
OPEN_ERRATA: Final = {53: "It is about the published vectors, not about the protocol."}

# --- sound chains -----------------------------------------------------------------------------------------

case(
    "sound",
    "Three receipts, hashed, signed and linked.",
    SOUND,
    [],
    "8.1-1 8-1 8-2 8-3",
    errata=41,
    basis="spec",
)
case(
    "one-receipt", "A chain of one receipt.", SOUND[:1], [], "8.1-1", basis="spec", control="genesis-missing"
)
case(
    "empty",
    "No receipts: nothing is wrong, and nothing says that nothing is missing.",
    b"",
    [],
    "8.1-11 8.3-6",
    errata=(39, 41),
    control="chain-lines/empty-line-alone",
)
case(
    "tail-cut-off",
    "The last two receipts are gone; without an anchor nobody can tell, and the verdict says so.",
    SOUND[:1],
    [],
    "8.3-6 8.1-11",
    errata=41,
    basis="spec",
    control="prev-hash-edited",
)
case(
    "fingerprints-of-0.2",
    "Fingerprints of the older preimage: a chain is verified without computing one.",
    forging.chain(
        {"action_fingerprint": "c70d4ee57957202087887cb5e9d32222977b728bd06947b7761c283b6d4ed394"}, ALLOWED
    ),
    [],
    "1-2 8.1-1",
    errata=52,
    basis="spec",
)
case(
    "times-run-backwards",
    "The second receipt is older than the first: a rule for writers, not for verifiers.",
    members(ts="2025-12-31T23:59:59.000000+00:00"),
    [],
    "8.1-7",
)
case(
    "summary-with-controls",
    "ESC and a right-to-left override in a summary: who shows it makes them visible, verification reads on.",
    members(action_summary="GET api.example.com/\u001b[2J\u202e"),
    [],
    "8.1-7",
    errata=33,
)
case(
    "empty-texts",
    "Empty strings, and no reasons at all.",
    members(reasons=[], action_summary="", rule="", approval_id=""),
    [],
    "8.1-7",
)
case(
    "rule-null",
    "rule and approval_id are null.",
    members(rule=None, approval_id=None),
    [],
    "8.1-7",
    basis="spec",
    control="rule-edited",
)

# --- content, signature, link, place: one by one ----------------------------------------------------------


for name, value in (
    ("ts", "2026-01-01T12:00:00.000001+00:00"),
    ("phase", "decision"),
    ("outcome", "deny"),
    ("rule", "read-accounts"),
    ("reasons", ["human approved by 'mallory'", "executed via broker (status 201)"]),
    ("intent_hash", OTHER),
    ("action_fingerprint", OTHER),
    ("action_summary", "GET api.example.com/accounts/me"),
    ("approval_id", None),
):
    case(
        f"{name.replace('_', '-')}-edited",
        f"{name} of the second receipt was edited; the link holds, as it is to the hash that stands there.",
        edited(1, **{name: value}),
        ["1 content"],
        "8.1-1 8.1-14 8-1",
        basis="spec",
        flags=("EditedField",),
    )
case(
    "reasons-reordered",
    "The reasons of the second receipt were swapped.",
    edited(1, reasons=SOUND[1]["reasons"][::-1]),
    ["1 content"],
    "8-2 8.1-1",
    basis="spec",
    flags=("EditedField",),
)
case(
    "seq-edited",
    "seq 1 was made 7: content and place, and the place of the receipt behind it.",
    edited(1, seq=7),
    ["7 content", "7 seq", "2 seq"],
    "8.1-1 8.1-5 8.1-13",
    errata=34,
)
case(
    "prev-hash-edited",
    "prev_hash of the second receipt was edited.",
    edited(1, prev_hash=OTHER),
    ["1 content", "1 linkage"],
    "8.1-1",
    basis="spec",
)
case(
    "entry-hash-edited",
    "entry_hash of the second receipt was edited: it fits neither content nor signature nor the next link.",
    edited(1, entry_hash=OTHER),
    ["1 content", "1 signature", "2 linkage"],
    "8.1-1 8.1-14",
    basis="spec",
)
case(
    "last-hash-edited",
    "entry_hash of the last receipt was edited.",
    edited(2, entry_hash=OTHER),
    ["2 content", "2 signature"],
    "8.1-1 8.1-14",
    basis="spec",
)
RESEALED: Final = {name: SOUND[1][name] for name in forging.PAYLOAD} | {"rule": "x"}
case(
    "rehashed",
    "A field was edited and entry_hash computed anew, but nobody could sign it.",
    edited(1, rule="x", entry_hash=forging.digest(RESEALED)),
    ["1 signature", "2 linkage"],
    "8.1-1 8-3",
    basis="spec",
)
case(
    "rewritten-with-key",
    "The second receipt was written anew with the ledger's key: only the link behind it shows it.",
    [SOUND[0], forging.signed(RESEALED), SOUND[2]],
    ["2 linkage"],
    "8.1-1",
    basis="spec",
)
case(
    "signature-of-another-receipt",
    "The second receipt has the signature of the first.",
    edited(1, signature=SOUND[0]["signature"]),
    ["1 signature"],
    "8-3 8.1-1",
    basis="spec",
)
case(
    "signature-over-raw-hash",
    "The signature is over the 32 bytes of the hash, not over its 64 digits.",
    edited(1, signature=forging.sign(forging.LEDGER_SEED, bytes.fromhex(SOUND[1]["entry_hash"])).hex()),
    ["1 signature"],
    "8-3",
    basis="spec",
)
S_PLUS_L: Final = int.from_bytes(bytes.fromhex(SOUND[1]["signature"])[32:], "little") + edwards.L
for slug, comment, signature in (
    (
        "s-plus-l",
        "S + L in the place of S.",
        SOUND[1]["signature"][:64] + S_PLUS_L.to_bytes(32, "little").hex(),
    ),
    (
        "identity",
        "R is the identity, which fits the equation.",
        edwards.forged(
            0,
            edwards.encode(edwards.IDENTITY),
            edwards.secret_scalar(forging.LEDGER_SEED),
            bytes.fromhex(KEY),
            SOUND[1]["entry_hash"].encode(),
        ).hex(),
    ),
):
    case(
        f"signature-{slug}",
        comment,
        edited(1, signature=signature),
        ["1 signature"],
        "8-20 8-22",
        flags=("LargeS" if slug == "s-plus-l" else "SmallOrderR",),
    )
case(
    "another-key",
    "A sound chain, checked with another key.",
    SOUND,
    ["0 signature", "1 signature", "2 signature"],
    "8.1-1",
    errata=42,
    key=forging.public_key(forging.TOKEN_SEED).hex(),
    basis="spec",
)
case(
    "key-changes",
    "The last receipt is signed with another key: one ledger has one key.",
    [
        *SOUND[:2],
        {**SOUND[2], "signature": forging.chain({}, ALLOWED, {}, seed=forging.STRANGER_SEED)[2]["signature"]},
    ],
    ["2 signature"],
    "8-3",
    errata=42,
    basis="spec",
)

case("first-cut-off", "The first receipt is gone.", SOUND[1:], ["1 linkage", "1 seq"], "8.1-1 8.1-5")
case(
    "middle-taken-out",
    "A receipt is gone: its successor has neither its link nor its place, the next one both.",
    [LONGER[0], LONGER[1], *LONGER[3:]],
    ["3 linkage", "3 seq"],
    "8.1-1 8.1-5 8.1-13",
)
case(
    "repeated",
    "A receipt stands twice.",
    [SOUND[0], SOUND[0], *SOUND[1:]],
    ["0 linkage", "0 seq"],
    "8.1-1 8.1-5 8.1-13",
)
case(
    "swapped",
    "Two receipts have changed places.",
    [SOUND[0], SOUND[2], SOUND[1]],
    ["2 linkage", "2 seq", "1 linkage", "1 seq"],
    "8.1-1 8.1-5 8.1-13",
)
case("reversed", "The chain, newest first.", SOUND[::-1], None, "8.1-1", basis="spec")
case(
    "two-chains",
    "One sound chain behind another one.",
    SOUND + SOUND,
    ["0 linkage", "0 seq"],
    "8.1-1 8.1-5 8.1-13",
)
FORK: Final = forging.signed({**{name: SOUND[1][name] for name in forging.PAYLOAD}, "rule": "fork"})
case(
    "fork",
    "Two receipts, both signed, follow on the same one.",
    [*SOUND[:2], FORK],
    ["1 linkage", "1 seq"],
    "8.1-1 8.1-5 8.1-13",
)
for slug, comment, change, problems in (
    (
        "genesis-missing",
        "The first receipt names another one before it.",
        [{"prev_hash": OTHER}],
        ["0 linkage"],
    ),
    ("genesis-empty", "The first prev_hash is an empty string.", [{"prev_hash": ""}], ["0 linkage"]),
    (
        "genesis-lower-case",
        "The first prev_hash is genesis, in lower case.",
        [{"prev_hash": "genesis"}],
        None,
    ),
    ("genesis-zeros", "The first prev_hash is 64 zeros.", [{"prev_hash": "0" * 64}], ["0 linkage"]),
    (
        "genesis-in-the-middle",
        "GENESIS at a later place starts no chain.",
        [{}, {"prev_hash": "GENESIS"}, {}],
        ["1 linkage"],
    ),
):
    case(
        slug,
        comment,
        forging.chain(*change),
        problems,
        "8.1-1 8-1 8.1-17",
        errata=54,
        basis="spec",
        control="one-receipt",
    )
for slug, comment, places, problems in (
    ("seq-gap", "0, 5, 2: the links hold, the places do not.", (0, 5, 2), ["5 seq", "2 seq"]),
    ("seq-repeat", "0, 0, 2, linked.", (0, 0, 2), ["0 seq", "2 seq"]),
    ("seq-from-1", "The first receipt has seq 1.", (1, 2, 3), ["1 seq"]),
    ("seq-skips-at-end", "0, 1, 3.", (0, 1, 3), ["3 seq"]),
    ("seq-falls", "2, 1, 0.", (2, 1, 0), ["2 seq", "1 seq", "0 seq"]),
):
    case(
        slug,
        f"{comment} All of it is signed.",
        forging.chain(*({"seq": seq} for seq in places)),
        problems,
        "8.1-5 8.1-13",
        errata=34,
        flags=("WrongPlace",),
    )

# --- two at once ------------------------------------------------------------------------------------------

case(
    "content-and-signature",
    "One receipt was edited, another one has a bad signature: each is told.",
    [SOUND[0], {**SOUND[1], "rule": "x"}, {**SOUND[2], "signature": SOUND[0]["signature"]}],
    ["1 content", "2 signature"],
    "8.1-1",
    errata=38,
    basis="spec",
)
case(
    "all-of-one",
    "Content, link and signature of one receipt, told in that order.",
    edited(1, prev_hash=OTHER, signature=SOUND[0]["signature"]),
    ["1 content", "1 linkage", "1 signature"],
    "8.1-1",
    errata=38,
    basis="spec",
)
case(
    "order-within-one",
    "Content, link, place, signature and form of one receipt, told in that order.",
    edited(1, prev_hash=OTHER, seq=4, signature="00" * 64, note=1),
    ["4 content", "4 linkage", "4 seq", "4 signature", "4 structure", "2 seq"],
    "8.1-1 8.1-6 8.1-13",
)
case(
    "signature-and-form",
    "A bad signature, and behind it a member that nobody knows.",
    edited(1, signature="00" * 64, note=1),
    ["1 signature", "1 structure"],
    "8.1-1 8.1-6",
)
case(
    "removed-and-edited",
    "A receipt is gone, and its successor was edited.",
    [LONGER[0], LONGER[1], {**LONGER[3], "rule": "x"}, LONGER[4]],
    ["3 content", "3 linkage", "3 seq"],
    "8.1-1 8.1-5",
)

# --- size -------------------------------------------------------------------------------------------------


def padded(size: int) -> JSONObject:
    """A receipt whose canonical payload has this many bytes."""
    short = forging.canonical({**forging.PAYLOAD, "reasons": [""]})
    return forging.chain({"reasons": ["a" * (size - len(short))]})[0]


case(
    "256-kib", "A payload of exactly 256 KiB.", [padded(256 * 1024)], [], "8.1-8 3-6", control="over-256-kib"
)
case(
    "over-256-kib",
    "A byte more than 256 KiB.",
    [padded(256 * 1024 + 1)],
    ["line 0 structure"],
    "8.1-16 8.1-8 3-6",
    control="256-kib",
)
