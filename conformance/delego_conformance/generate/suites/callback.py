"""callback_verify: whether a signed decision counts (§7.3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from delego_conformance.generate import edwards, forging
from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.forging import ALICE_SEED
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("callback", "CB", "Signed decisions", section="7.3")

NO_VECTOR: Final = {
    "§7.3-6": "What one transaction holds cannot be seen in an answer.",
    "§7.3-12": "chain_verify is given no evidence to look for.",
}

BOUND: Final[JSONObject] = {
    "action_fingerprint": forging.FINGERPRINT,
    "intent_hash": forging.INTENT,
    "display_hash": "857ac6faf516e48844b413f9e32ab42c5980aa0e3b64b4fb0596443cccc40f44",
}
KID: Final = forging.key_id(ALICE_SEED)
BOB_KID: Final = forging.key_id(forging.STRANGER_SEED)
KEYS: Final = {KID: forging.public_key(ALICE_SEED).hex()}
TWO_KEYS: Final = {**KEYS, BOB_KID: forging.public_key(forging.STRANGER_SEED).hex()}
MEMBERS: Final[JSONObject] = {
    "approval_id": "apr_098812a3c6ffc7d236a2c11e",
    "decision": "approve",
    "kid": KID,
    "nonce": "00d42e7d150816f3b77ea80ad88c17f4",
    "ts": "2026-01-01T12:00:58.000000+00:00",
}
YES: Final = forging.decision(MEMBERS, BOUND)
EXP: Final = 1_767_355_202  # 2026-01-02T12:00:02Z
ARRIVAL: Final = "2026-01-01T12:01:00.000000+00:00"


def case(
    slug: str,
    comment: str,
    callback: JSONObject | str,
    expect: JSONObject,
    clauses: str,
    *,
    errata: int | Sequence[int] = (),
    flags: Sequence[str] = (),
    control: str = "",
    keys: Mapping[str, str] = KEYS,
    now: str = ARRIVAL,
    **known: Any,
) -> None:
    SUITE.add(
        slug,
        comment,
        "callback_verify",
        {
            "callback_json": callback if isinstance(callback, str) else json.dumps(callback),
            "keys": dict(keys),
            "approval_id": MEMBERS["approval_id"],
            "nonce": MEMBERS["nonce"],
            **BOUND,
            "exp": EXP,
            **known,
        },
        expect,
        clauses=clauses,
        errata=errata,
        basis="proposed",
        flags=flags,
        control=control or ("yes" if "refused" in expect else "no-made-yes"),
        ctx={"now": now},
    )


def counts(callback: JSONObject, bound: JSONObject = BOUND) -> JSONObject:
    """Expected: the decision of this callback, and the hash of its evidence."""
    return ok(decision=callback["decision"], evidence_digest=forging.evidence_digest(callback, bound))


def signed(seed: bytes = ALICE_SEED, **change: Any) -> JSONObject:
    """A callback that says this, soundly signed."""
    return forging.decision({**MEMBERS, **change}, BOUND, seed)


# --- what counts ------------------------------------------------------------------------------------------

case("yes", "The callback of SPEC.md.", YES, counts(YES), "7.3-1 7.3-2 7.3-3", errata=47)
SOUND: Final[list[tuple[str, str, JSONObject, str]]] = [
    ("no", "A signed no.", {"decision": "deny"}, "7.3-1"),
    ("note", "A note is signed as it stands.", {"decision_note": 'fine, – é \u2028 "x"'}, "7.3-1 7.3-2"),
    ("ts-with-z", "A time with Z is signed as it is written.", {"ts": "2026-01-01T12:00:58Z"}, "7.3-1"),
    (
        "note-empty",
        "An empty note is signed as an empty text, not as null.",
        {"decision_note": ""},
        "7.3-2 7.3-15",
    ),
    ("ts-to-nanoseconds", "Nine digits of a second.", {"ts": "2026-01-01T12:00:58.123456789Z"}, "7.3-1"),
]
for slug, comment, change, clauses in SOUND:
    callback = signed(**change)
    case(slug, comment, callback, counts(callback), clauses, errata=47)
case(
    "spelled-otherwise",
    "The members in another order, with blanks and an escape.",
    json.dumps(dict(reversed(YES.items())), indent=1).replace("approve", "appr\\u006fve"),
    counts(YES),
    "7.3-1",
)
BOB: Final = signed(forging.STRANGER_SEED, kid=BOB_KID)
case(
    "second-approver",
    "Two approvers: kid says who has signed.",
    BOB,
    counts(BOB),
    "7.3-3 7.3-10",
    keys=TWO_KEYS,
    control="key-of-another",
)

# --- what was changed -------------------------------------------------------------------------------------

NO: Final = signed(decision="deny")
NOTED: Final = signed(decision_note="only this once")
case(
    "no-made-yes",
    "A no that was turned into a yes.",
    {**NO, "decision": "approve"},
    refused("signature"),
    "7.3-1",
    errata=47,
    flags=("EditedDecision",),
    control="no",
)
case(
    "yes-made-no",
    "A yes that was turned into a no.",
    {**YES, "decision": "deny"},
    refused("signature"),
    "7.3-1",
    errata=47,
    flags=("EditedDecision",),
)
case(
    "ts-changed",
    "The time was changed after signing.",
    {**YES, "ts": "2026-01-01T12:00:59.000000+00:00"},
    refused("signature"),
    "7.3-1",
    flags=("EditedDecision",),
)
case(
    "ts-respelled",
    "The same time in another spelling is not what was signed.",
    {**YES, "ts": "2026-01-01T12:00:58Z"},
    refused("signature"),
    "7.3-1",
    flags=("EditedDecision",),
    control="ts-with-z",
)
case(
    "note-added",
    "A note was added after signing.",
    {**YES, "decision_note": "and the next one too"},
    refused("signature"),
    "7.3-1 7.3-2",
    errata=47,
    flags=("EditedDecision",),
    control="note",
)
case(
    "note-changed",
    "The note was changed after signing.",
    {**NOTED, "decision_note": "always"},
    refused("signature"),
    "7.3-1",
    errata=47,
    flags=("EditedDecision",),
    control="note",
)
case(
    "note-removed",
    "The note was removed after signing.",
    {name: value for name, value in NOTED.items() if name != "decision_note"},
    refused("signature"),
    "7.3-1 7.3-2",
    errata=47,
    flags=("EditedDecision",),
    control="note",
)
case(
    "kid-changed",
    "kid was changed to another approver's.",
    {**YES, "kid": BOB_KID},
    refused("signature"),
    "7.3-1 7.3-10",
    errata=47,
    flags=("EditedDecision",),
    keys=TWO_KEYS,
)
for slug, comment, name in (
    ("another-action", "The person decided about another action.", "action_fingerprint"),
    ("another-instruction", "The person decided under another instruction.", "intent_hash"),
    ("another-text", "The person saw another text.", "display_hash"),
):
    another: JSONObject = {name: "ab" * 32}
    case(
        slug,
        comment,
        YES,
        refused("signature"),
        "7.3-4 7.3-1",
        flags=("SubstitutedAction",),
        **another,
    )
    given = forging.decision(MEMBERS, {**BOUND, **another})
    case(
        f"{slug}-named",
        f"{comment} The callback brings that hash itself.",
        {**given, **another},
        refused("malformed"),
        "7.3-4 2.2-10",
        flags=("SubstitutedAction",),
    )
FLIPPED: Final = bytes([bytes.fromhex(YES["signature"])[0] ^ 1]) + bytes.fromhex(YES["signature"])[1:]
S_PLUS_L: Final = int.from_bytes(bytes.fromhex(YES["signature"])[32:], "little") + edwards.L
COVERED: Final = forging.canonical({"decision_note": None, **MEMBERS, **BOUND})
WHOLE: Final = forging.SIGNED_PREFIX + COVERED


def by_alice(message: bytes) -> bytes:
    return forging.sign(ALICE_SEED, message)


SIGNATURES: list[tuple[str, str, bytes]] = [
    ("bit", "A bit of the signature is flipped.", FLIPPED),
    ("zero", "64 zero bytes.", bytes(64)),
    ("s-plus-l", "S + L in the place of S.", bytes.fromhex(YES["signature"])[:32] + S_PLUS_L.to_bytes(32, "little")),
    ("without-prefix", "Signed without the line in front.", by_alice(COVERED)),
    ("other-version", "Signed under another version of the line in front.", by_alice(WHOLE.replace(b"-v1\n", b"-v2\n"))),
    ("crlf", "Signed with CR LF behind the line in front.", by_alice(WHOLE.replace(b"\n", b"\r\n", 1))),
    ("newline-behind", "Signed with a newline at the end.", by_alice(WHOLE + b"\n")),
    ("note-left-out", "Signed without a note, where null belongs.", by_alice(WHOLE.replace(b'"decision_note":null,', b""))),
    ("over-hash", "Signed is the SHA-256 of what should be.", by_alice(hashlib.sha256(WHOLE).digest())),
    ("over-hex", "Signed are the digits of that hash, as in a receipt.", by_alice(hashlib.sha256(WHOLE).hexdigest().encode())),
    ("spaced", "Signed is JSON with blanks.", by_alice(forging.SIGNED_PREFIX + json.dumps({"decision_note": None, **MEMBERS, **BOUND}, sort_keys=True).encode())),
    ("four-fields", "Signed are approval_id, decision, nonce and ts alone.", by_alice(forging.SIGNED_PREFIX + forging.canonical({name: MEMBERS[name] for name in ("approval_id", "decision", "nonce", "ts")}))),
    ("by-another", "Signed by another key, under Alice's kid.", forging.sign(forging.STRANGER_SEED, WHOLE)),
]  # fmt: skip
for slug, comment, signature in SIGNATURES:
    case(
        f"signature-{slug}",
        comment,
        {**YES, "signature": signature.hex()},
        refused("signature"),
        "7.3-1 8-20",
        errata=47,
        flags=("EditedDecision",),
    )

# --- another approval, another notification, another key --------------------------------------------------

case(
    "other-approval",
    "A yes for another approval, soundly signed.",
    signed(approval_id="apr_000000000000000000000000"),
    refused("approval"),
    "7.3-7 7.1-4",
    flags=("Replay",),
)
case(
    "other-nonce",
    "A yes from an earlier notification, soundly signed.",
    signed(nonce="f" * 32),
    refused("nonce"),
    "7.3-7 7.3-5",
    errata=(46, 48),
    flags=("Replay",),
)
case(
    "nonce-of-another-approver",
    "Bob answers with the nonce that was sent to Alice.",
    BOB,
    refused("nonce"),
    "7.3-5",
    errata=46,
    flags=("Replay",),
    keys=TWO_KEYS,
    nonce="1" * 32,
    control="second-approver",
)
case(
    "nonce-in-capitals",
    "A nonce in another case is another nonce.",
    signed(nonce="00D42E7D150816F3B77EA80AD88C17F4"),
    refused("nonce"),
    "7.3-7",
    flags=("Replay",),
)
case(
    "agent-key",
    "The agent answers for itself, with a key of its own.",
    BOB,
    refused("kid"),
    "7.3-10",
    flags=("KeyFromToken",),
    control="second-approver",
)
case(
    "key-of-another",
    "Alice's key, under Bob's kid: both may approve.",
    signed(kid=BOB_KID),
    refused("signature"),
    "7.3-10 7.3-3",
    flags=("KeyFromToken",),
    keys=TWO_KEYS,
    control="second-approver",
)
case(
    "ledger-key",
    "Signed with the ledger's key, which is no approver's.",
    signed(forging.LEDGER_SEED, kid=forging.key_id(forging.LEDGER_SEED)),
    refused("kid"),
    "7.3-10 2-4",
    flags=("KeyFromToken",),
)
case(
    "kid-in-capitals",
    "kid in upper case is another name.",
    signed(kid=KID.upper()),
    refused("kid"),
    "7.3-3",
    flags=("KeyFromToken",),
)
case(
    "kid-is-the-key",
    "kid is the public key itself.",
    signed(kid=KEYS[KID]),
    refused("kid"),
    "7.3-3",
    flags=("KeyFromToken",),
)
case("no-approvers", "Nobody's key is configured.", YES, refused("kid"), "7.3-10", keys={})
IDENTITY: Final = edwards.encode(edwards.IDENTITY)
WEAK_KID: Final = hashlib.sha256(IDENTITY).hexdigest()[:16]
WEAK: Final = {
    **MEMBERS,
    "kid": WEAK_KID,
    "signature": (edwards.encode(edwards.BASE) + (1).to_bytes(32, "little")).hex(),
}
case(
    "key-of-small-order",
    "The approver's key is the identity, for which R = B and S = 1 fit everything: that is no key.",
    WEAK,
    refused(),
    "8-21 7.3-10",
    flags=("SmallOrderKey",),
    keys={WEAK_KID: IDENTITY.hex()},
)

# --- time -------------------------------------------------------------------------------------------------

TIMES: list[tuple[str, str, str, str, int, str]] = [  # ts, now, exp, code
    ("60-seconds-old", "Signed exactly 60 seconds before it arrived.", "12:00:00.000000", "12:01:00.000000", EXP, ""),
    ("60-seconds-and-more-old", "A microsecond more than 60 seconds old.", "12:00:00.000000", "12:01:00.000001", EXP, "stale"),
    ("an-hour-old", "A yes that was held back for an hour.", "12:00:00.000000", "13:00:00.000000", EXP, "stale"),
    ("60-seconds-ahead", "Signed exactly 60 seconds ahead.", "12:02:00.000000", "12:01:00.000000", EXP, ""),
    ("60-seconds-and-more-ahead", "A microsecond more than 60 seconds ahead.", "12:02:00.000001", "12:01:00.000000", EXP, "future"),
    ("a-day-ahead", "Signed long ahead.", "23:00:00.000000", "12:01:00.000000", EXP, "future"),
    ("last-microsecond", "The last microsecond before exp.", "12:00:58.000000", "12:00:59.999999", 1_767_268_860, ""),
    ("second-of-exp", "The second of exp has begun.", "12:00:58.000000", "12:01:00.000000", 1_767_268_860, "late"),
    ("after-exp", "Signed in time, arrived after exp.", "12:00:58.000000", "12:01:01.000000", 1_767_268_860, "late"),
]  # fmt: skip
for slug, comment, ts, now, exp, code in TIMES:
    callback = signed(ts=f"2026-01-01T{ts}+00:00")
    case(
        slug,
        comment,
        callback,
        refused(code) if code else counts(callback),
        "7.3-8" if exp != EXP else "7.3-9",
        errata=48,
        flags=("Lifetime",),
        control="last-microsecond"
        if code == "late"
        else "60-seconds-old"
        if code
        else "60-seconds-and-more-old",
        now=f"2026-01-01T{now}+00:00",
        exp=exp,
    )

# --- form -------------------------------------------------------------------------------------------------

for name in YES:
    less = {other: value for other, value in YES.items() if other != name}
    clauses = "7.3-14 7.3-3" if name == "kid" else "7.3-14 7.3-7"
    slug = f"{name.replace('_', '-')}-missing"
    case(slug, f"A callback without {name}.", less, refused("malformed"), clauses, flags=("MissingMember",))
TEXT: Final = json.dumps(YES)
FORMS: list[tuple[str, str, JSONObject | str]] = [
    ("decision-in-capitals", "APPROVE is no decision.", signed(decision="APPROVE")),
    ("decision-yes", "yes is no decision.", signed(decision="yes")),
    ("decision-true", "true is no decision.", {**YES, "decision": True}),
    ("note-null", "An absent note is left out, not null.", {**YES, "decision_note": None}),
    ("note-a-number", "A note is text.", {**YES, "decision_note": 7}),
    ("kid-null", "kid is null.", {**YES, "kid": None}),
    ("nonce-a-number", "A nonce is text.", {**YES, "nonce": 7}),
    ("ts-words", "The time is no time, and soundly signed.", signed(ts="just now")),
    ("ts-offset", "Another offset than zero, soundly signed.", signed(ts="2026-01-01T13:00:58.000000+01:00")),
    ("signature-in-capitals", "The signature is in upper case.", {**YES, "signature": YES["signature"].upper()}),
    ("signature-short", "The signature lacks a byte.", {**YES, "signature": YES["signature"][:-2]}),
    ("signature-newline", "A newline behind the signature.", {**YES, "signature": YES["signature"] + "\n"}),
    ("unknown-member", "A member that nobody knows.", {**YES, "comment": "x"}),
    ("nonce-empty", "An empty nonce, soundly signed.", signed(nonce="")),
    ("brings-a-key", "The callback brings its key.", {**YES, "public_key": KEYS[KID]}),
    ("decision-twice", "decision stands twice: deny, then approve.", TEXT.replace('"decision"', '"decision": "deny", "decision"')),
    ("not-json", "The callback is no JSON.", "approve"),
    ("array", "The callback is an array.", f"[{TEXT}]"),
    ("empty", "The callback is empty.", ""),
    ("text-behind", "Text behind the callback.", TEXT + "x"),
]  # fmt: skip
for slug, comment, callback_or_text in FORMS:
    clauses = "7.3-14 7.3-7 8-23" if slug.startswith("signature") else "7.3-14 7.3-7 2.2-10"
    flags = ("DuplicateMember",) if slug == "decision-twice" else ("WrongForm",)
    case(slug, comment, callback_or_text, refused("malformed"), clauses, flags=flags)

# --- the first failure is the answer ----------------------------------------------------------------------

for slug, comment, callback, code, exp in (
    ("form-and-approval", "Of no form, and about another approval.", {**YES, "approval_id": "apr_0", "decision": "maybe"}, "malformed", EXP),
    ("approval-and-nonce", "About another approval, with another nonce.", signed(approval_id="apr_0", nonce="0"), "approval", EXP),
    ("nonce-and-key", "Another nonce, and a stranger's key.", signed(forging.STRANGER_SEED, kid=BOB_KID, nonce="0"), "nonce", EXP),
    ("key-and-time", "A stranger's key, and too late.", BOB, "kid", 0),
    ("signature-and-time", "A bad signature, and too late.", {**YES, "signature": "00" * 64}, "signature", 0),
):  # fmt: skip
    said = f"{comment} The first failure is the answer."
    case(f"first-{slug}", said, callback, refused(code), "7.3-7", exp=exp)
case("nonce-longer", "The nonce that was sent out, and more behind it; soundly signed.",
     signed(nonce=f"{YES['nonce']}0"), refused("nonce"), "7.3-7", flags=("Replay",))  # fmt: skip
case("ts-before-1970", "A time before 1970 is no time that could have been signed: of no form, before it is stale.",
     signed(ts="1969-12-31T23:59:59.000000+00:00"), refused("malformed"), "7.3-7 7.3-15", flags=("TimeSpelling",))  # fmt: skip
