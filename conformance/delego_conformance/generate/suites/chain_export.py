"""chain_verify: faults in lines that are spelled as a ledger exports them (§8-7).

A verifier may read its own spelling in a fast way and every other one in a slow way. The other suites
spell their lines with sorted members; without these, the fast way is never asked to find anything.
"""

from __future__ import annotations

import hashlib
from typing import Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite
from delego_conformance.generate.chain_cases import ALLOWED, OTHER, SOUND, Cases, edited, members
from delego_conformance.generate.forging import canonical
from delego_conformance.vectors import Basis, JSONObject

SUITE: Final = Suite("chain-export", "CX", "Chains as they are exported", section="8.1")
case: Final = Cases(SUITE)


def exported(receipts: list[JSONObject]) -> bytes:
    """The hashed bytes without their brace, then entry_hash, signature and context, line by line."""
    return b"".join(_line(one) + b"\n" for one in receipts)


def _line(receipt: JSONObject) -> bytes:
    payload = canonical({name: receipt[name] for name in forging.PAYLOAD})
    added = [name for name in ("entry_hash", "signature", "context") if name in receipt]
    tail = b"".join(b',"%s":%s' % (name.encode(), canonical(receipt[name])) for name in added)
    return payload[:-1] + tail + b"}"


WITH_CONTEXT: Final = [{**one, "context": {"principal": "agent-7"}} for one in SOUND]
case(
    "sound",
    "Three receipts, with a context beside the first.",
    exported([WITH_CONTEXT[0], *SOUND[1:]]),
    [],
    "8-7 8.1-1",
    basis="spec",
    control="content",
)
STRICT: Final = frozenset({"8.1-5", "8.1-7", "8.1-15"})
SEQS: Final = "The links hold, the places do not."
FAULTS: Final[tuple[tuple[str, str, list[JSONObject], list[str] | None, str], ...]] = (
    ("content", "A field was edited.", edited(1, rule="x"), ["1 content"], "8-7 8.1-1"),
    (
        "content-context", "A field was edited, in receipts with a context.",
        [WITH_CONTEXT[0], {**WITH_CONTEXT[1], "rule": "x"}, WITH_CONTEXT[2]], ["1 content"], "8-7 8.1-1",
    ),
    (
        "signature", "The second receipt has the signature of the first.",
        edited(1, signature=SOUND[0]["signature"]), ["1 signature"], "8-3 8.1-1",
    ),
    (
        "signature-last", "The last receipt has the signature of the first.",
        edited(2, signature=SOUND[0]["signature"]), ["2 signature"], "8-3 8.1-1",
    ),
    (
        "signature-upper-case", "A signature in upper case.",
        edited(1, signature=SOUND[1]["signature"].upper()), ["1 signature"], "8-3 8-23 8.1-15",
    ),
    (
        "link", "The second receipt names another one before it; all is hashed and signed.",
        members(prev_hash=OTHER), ["1 linkage"], "8.1-1",
    ),
    ("first-link", "The first receipt names one before it.", forging.chain({"prev_hash": OTHER}), ["0 linkage"], "8.1-1"),
    ("taken-out", "The second receipt is gone.", [SOUND[0], SOUND[2]], ["2 linkage", "2 seq"], "8.1-1 8.1-5"),
    ("cut-in-front", "The first receipt is gone.", SOUND[1:], ["1 linkage", "1 seq"], "8.1-1 8.1-5"),
    (
        "places", f"0, 5, 2. {SEQS}", forging.chain(*({"seq": seq} for seq in (0, 5, 2))),
        ["5 seq", "2 seq"], "8.1-5 8.1-13",
    ),
    (
        "places-repeat", f"0, 0, 1. {SEQS}", forging.chain(*({"seq": seq} for seq in (0, 0, 1))),
        ["0 seq"], "8.1-5 8.1-13",
    ),
    (
        "place-negative", "The only receipt has the place −1.", forging.chain({"seq": -1}),
        ["-1 seq", "-1 structure"], "8.1-5 8.1-7",
    ),
    ("time", "A time that is none; it is hashed and signed.", members(ts="2026-02-30T12:00:00.000000+00:00"), ["1 structure"], "8.1-7"),
    ("phase", "A phase that nobody knows; it is hashed and signed.", members(phase="banana"), ["1 structure"], "8.1-7"),
    (
        "intent-hash", "intent_hash is in upper case.",
        members(intent_hash=forging.INTENT.upper()), ["1 structure"], "8.1-7",
    ),
    (
        "digits-moved", "intent_hash has two digits less, action_fingerprint two more.",
        members(intent_hash="ab" * 31, action_fingerprint="ab" * 33), None, "8.1-7",
    ),
    (
        "entry-hash", "entry_hash was edited.", edited(1, entry_hash=OTHER),
        ["1 content", "1 signature", "2 linkage"], "8.1-1 8.1-14",
    ),
)  # fmt: skip
for slug, comment, receipts, problems, clauses in FAULTS:
    basis: Basis = "proposed" if STRICT & set(clauses.split()) else "spec"
    case(slug, comment, exported(receipts), problems, clauses, control="sound", basis=basis)
case(
    "over-256-kib",
    "A payload of a byte more than 256 KiB.",
    exported(
        forging.chain(
            {
                "reasons": [
                    "a" * (256 * 1024 + 1 - len(forging.canonical({**forging.PAYLOAD, "reasons": [""]})))
                ]
            }
        )
    ),
    ["line 0 structure"],
    "8.1-16 8.1-8",
    control="chain/256-kib",
)
# Code points in their order, which is the order of their UTF-8 bytes; by UTF-16 unit it is the other way round.
DISPUTED: Final = ',"context":{"\uffff":"a","\U0001f600":"b"}}'.encode()
case(
    "context-keys-disputed",
    "The keys of the context sort differently by code point and by UTF-16 unit: §3 refuses such a value.",
    _line(SOUND[0]) + b"\n" + _line(SOUND[1])[:-1] + DISPUTED + b"\n" + _line(SOUND[2]) + b"\n",
    ["line 1 structure", "2 linkage"],
    "8.1-16 8.1-13",
    control="sound",
)
FAR: Final = canonical({name: SOUND[0][name] for name in forging.PAYLOAD}).replace(
    b'"seq":0,', b'"seq":9007199254740992,'
)
FAR_HASH: Final = hashlib.sha256(FAR).hexdigest()
FAR_SIGNATURE: Final = forging.sign(forging.LEDGER_SEED, FAR_HASH.encode()).hex()
case(
    "place-beyond-integers",
    "A place of 2^53, which §3 refuses; it is hashed and signed as it stands.",
    FAR[:-1] + f',"entry_hash":"{FAR_HASH}","signature":"{FAR_SIGNATURE}"}}\n'.encode(),
    ["line 0 structure"],
    "8.1-16 3-4",
    control="sound",
)
case(
    "context-is-free",
    "The context was edited: nothing depends on it.",
    exported([{**WITH_CONTEXT[0], "context": {"principal": "mallory"}}, *WITH_CONTEXT[1:]]),
    [],
    "8.4-2",
    control="content-context",
)

# --- many lines -------------------------------------------------------------------------------------------

# Verifiers read in lots; what is wrong at the end of one must not be forgotten at the beginning of the next.
FIRST: Final = 509
AFTER: Final = forging.chain({"seq": FIRST})
LATE: Final = forging.signed(
    {
        **{name: AFTER[0][name] for name in forging.PAYLOAD},
        **ALLOWED,
        "seq": FIRST + 3,
        "prev_hash": AFTER[0]["entry_hash"],
    }
)
case(
    "unreadable-in-numbers",
    "509 lines that are no receipts, a receipt, two more such lines, and the receipt behind them.",
    b"x\n" * FIRST + exported(AFTER) + b"x\nx\n" + exported([LATE]),
    [f"line {number} structure" for number in (*range(FIRST), FIRST + 1, FIRST + 2)],
    "8.1-13 8.1-10",
    control="sound",
)
case(
    "unreadable-all",
    "512 lines that are no receipts, and one behind them in its place.",
    b"x\n" * 512 + exported(forging.chain({"seq": 512})),
    [f"line {number} structure" for number in range(512)],
    "8.1-13 8.1-10",
    control="sound",
)
