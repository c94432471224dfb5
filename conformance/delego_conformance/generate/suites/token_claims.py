"""token_verify: claims, their forms, and the time (§9, §9.1)."""

from __future__ import annotations

import json
from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, refused
from delego_conformance.generate.forging import compact, text
from delego_conformance.generate.token_cases import (
    CLAIMS,
    GOOD,
    HEADER,
    NOW,
    Cases,
    accepted,
    clock,
    with_claims,
    with_literal,
)
from delego_conformance.vectors import JSONObject

SUITE: Final = Suite("token-claims", "TC", "Tokens: claims and time", section="9.1")
case: Final = Cases(SUITE)

REQUIRED: Final = ("iss", "aud", "iat", "exp", "jti", "cns", "fpr", "iht")
MINIMAL: Final = {name: CLAIMS[name] for name in REQUIRED}
BODY: Final = text(CLAIMS)


def raw(claims: bytes) -> str:
    """A token that is soundly signed over exactly these claims."""
    return compact(text(HEADER), claims)


# --- which claims there are -------------------------------------------------------------------------------

case(
    "minimal",
    "The eight claims that have to be there, and no others.",
    raw(text(MINIMAL)),
    accepted(MINIMAL),
    "9-7 9-1",
    basis="spec",
)
case(
    "rule-null",
    "pol names no rule: the default decided.",
    with_claims(pol={"version": 1, "rule": None}),
    accepted({**CLAIMS, "pol": {"version": 1, "rule": None}}),
    "9-1",
    basis="spec",
)
for name in REQUIRED:
    case(
        f"{name}-missing",
        f"A token without {name}.",
        with_claims(without=name),
        refused("claims"),
        "9-7 9.1-11",
        basis="spec",
        flags=("MissingMember",),
    )
case(
    "unknown-claims",
    "Claims that nobody knows are ignored, and not in the result.",
    with_claims(azp="x", nested={"a": [1, None, {"b": "c"}]}),
    accepted(),
    "9.1-13",
    basis="spec",
)
for slug, comment, literal in (
    ("nan", "NaN, which is not JSON", "NaN"),
    ("1e400", "a number that no double holds", "1e400"),
    ("beyond-2-53", "an integer beyond 2^53−1", "9007199254740993"),
    ("lone-surrogate", "half of a surrogate pair", '"\\ud800"'),
    ("deep", "a nesting of 5000 levels", "[" * 2500 + "]" * 2500),
):
    case(
        f"unknown-{slug}",
        f"A claim that nobody knows holds {comment}.",
        with_literal("note", literal),
        refused("claims"),
        "9.1-13 3-6 3-4",
        control="unknown-claims",
    )
for slug, comment, claims in (
    ("pretty", "The claims with blanks and newlines.", json.dumps(CLAIMS, indent=2).encode()),
    ("reordered", "The claims in another order.", text(dict(reversed(CLAIMS.items())))),
    ("escaped", "A claim with an escape in its name.", BODY.replace(b'"aud"', b'"a\\u0075d"')),
    ("white-space-around", "White space around the claims.", b" \r\n\t" + BODY + b"\n"),
):
    case(f"spelled-{slug}", comment, raw(claims), accepted(), "9.1-14", basis="spec", control="token/altered")
case(
    "spelled-in-utf-8",
    "A subject in UTF-8, without escapes.",
    raw(json.dumps({**CLAIMS, "sub": "ägent-日本"}, ensure_ascii=False).encode()),
    accepted({**CLAIMS, "sub": "ägent-日本"}),
    "9.1-14",
    basis="spec",
)
for slug, comment, claims in (
    ("array", "The claims are an array.", b"[" + BODY + b"]"),
    ("string", "The claims are a string.", b'"claims"'),
    ("null", "The claims are null.", b"null"),
    ("no-json", "The claims are no JSON.", b"iss=authorizer.example"),
    ("text-behind", "Text behind the claims.", BODY + b"x"),
    ("byte-order-mark", "A byte order mark in front of the claims.", b"\xef\xbb\xbf" + BODY),
    ("utf-16", "The claims in UTF-16.", BODY.decode().encode("utf-16-le")),
    ("not-utf-8", "A byte that is not UTF-8.", BODY.replace(b"agent-7", b"agent-\xff")),
    ("single-quotes", "Python's spelling of a dictionary.", repr(CLAIMS).encode()),
):
    case(slug, comment, raw(claims), refused("claims"), "9.1-1 9-1")
OTHER: Final = "0" * 64
for slug, comment, claims in (
    (
        "aud-twice",
        "aud stands twice: another broker's, then ours.",
        BODY.replace(b'"aud"', b'"aud":"other.example","aud"'),
    ),
    (
        "fpr-twice",
        "fpr stands twice: another action's, then this one's.",
        BODY.replace(b'"fpr"', b'"fpr":"%s","fpr"' % OTHER.encode()),
    ),
    (
        "exp-twice",
        "exp stands twice, with the same value.",
        BODY.replace(b'"exp"', b'"exp":%d,"exp"' % (NOW + 45)),
    ),
    (
        "jti-twice-escaped",
        "jti stands twice, once with an escape in its name.",
        BODY.replace(b'"jti"', b'"\\u006ati":"x","jti"'),
    ),
    ("rule-twice", "rule stands twice inside pol.", BODY.replace(b'"rule"', b'"rule":"any","rule"')),
    ("unknown-twice", "A claim that nobody knows stands twice.", BODY[:-1] + b',"note":1,"note":1}'),
):
    case(
        slug,
        comment,
        raw(claims),
        refused("duplicate_member"),
        "9.1-9",
        flags=("DuplicateMember",),
    )

# --- their forms ------------------------------------------------------------------------------------------

LITERALS: list[tuple[str, str, str]] = [
    ("a-float", "spelled {}.0", f"{NOW + 45}.0"),
    ("a-fraction", "half a second later", f"{NOW + 45}.5"),
    ("an-exponent", "spelled with an exponent", "1.767268845e9"),
    ("a-string", "a string of digits", f'"{NOW + 45}"'),
    ("true", "true", "true"),
    ("null", "null", "null"),
    ("a-list", "a list", f"[{NOW + 45}]"),
    ("infinite", "1e400, which is infinite in doubles", "1e400"),
    ("words", "a word", '"never"'),
]
for slug, comment, literal in LITERALS:
    case(
        f"exp-{slug}",
        f"exp is {comment.format(NOW + 45)}.",
        with_literal("exp", literal),
        refused("claims"),
        "9.1-11",
        errata=50,
        flags=("LooseTime",),
    )
case(
    "exp-huge",
    "exp is an integer of 31 digits.",
    with_literal("exp", "1" + "0" * 30),
    refused("claims", "lifetime"),
    "9.1-11 9-4",
    basis="spec",
    flags=("LooseTime",),
)
for name in ("iat", "nbf"):
    for slug, comment, literal in (
        ("a-float", "spelled with .0", f"{NOW}.0"),
        ("a-string", "a string of digits", f'"{NOW}"'),
        ("true", "true", "true"),
        ("null", "null", "null"),
    ):
        case(
            f"{name}-{slug}",
            f"{name} is {comment}.",
            with_literal(name, literal),
            refused("claims"),
            "9.1-11 9.1-6",
            errata=50,
            flags=("LooseTime",),
        )
FORMS: list[tuple[str, str, JSONObject]] = [
    ("jti-empty", "jti is empty.", {"jti": ""}),
    ("jti-number", "jti is a number.", {"jti": 7}),
    ("jti-null", "jti is null.", {"jti": None}),
    ("jti-list", "jti is a list, which a store may not be able to look up.", {"jti": ["a"]}),
    ("cns-empty", "cns is empty.", {"cns": ""}),
    ("cns-true", "cns is true.", {"cns": True}),
    ("cns-object", "cns is an object.", {"cns": {}}),
    ("iss-empty", "iss is empty.", {"iss": ""}),
    ("iss-list", "iss is a list.", {"iss": ["authorizer.example"]}),
    ("aud-empty", "aud is empty.", {"aud": ""}),
    ("aud-list", "aud is a list with the right name in it.", {"aud": ["broker.example"]}),
    ("aud-list-of-two", "aud is a list of two brokers.", {"aud": ["broker.example", "other.example"]}),
    ("aud-null", "aud is null.", {"aud": None}),
    ("aud-object", "aud is an object.", {"aud": {"broker.example": True}}),
    ("fpr-upper-case", "fpr is in upper case.", {"fpr": forging.FINGERPRINT.upper()}),
    ("fpr-short", "fpr has 63 digits.", {"fpr": forging.FINGERPRINT[:-1]}),
    ("fpr-newline", "A newline behind fpr: `$` would let it through.", {"fpr": forging.FINGERPRINT + "\n"}),
    ("fpr-empty", "fpr is empty.", {"fpr": ""}),
    ("iht-upper-case", "iht is in upper case.", {"iht": forging.INTENT.upper()}),
    ("iht-no-digits", "iht holds a g.", {"iht": "g" * 64}),
    ("iht-number", "iht is a number.", {"iht": 7}),
    ("sub-number", "sub is a number.", {"sub": 7}),
    ("apr-number", "apr is a number.", {"apr": 7}),
    ("pol-string", "pol is a string.", {"pol": "place-order"}),
    ("pol-version-string", "The version in pol is a string.", {"pol": {"version": "1", "rule": None}}),
    ("pol-rule-number", "The rule in pol is a number.", {"pol": {"version": 1, "rule": 7}}),
    ("pol-without-rule", "pol has no rule, not even null.", {"pol": {"version": 1}}),
    ("pol-without-version", "pol has no version.", {"pol": {"rule": None}}),
    ("pol-version-zero", "The version in pol is 0.", {"pol": {"version": 0, "rule": None}}),
    ("pol-with-more", "pol has a third member.", {"pol": {"version": 1, "rule": None, "note": ""}}),
]
for slug, comment, change in FORMS:
    case(
        slug, comment, with_claims(**change), refused("claims"), "9.1-11 9-7", errata=50, flags=("WrongForm",)
    )

# --- time -------------------------------------------------------------------------------------------------

for seconds in (1, 61, 300):
    case(
        f"lifetime-{seconds}",
        f"exp lies {seconds} seconds after iat.",
        with_claims(exp=NOW + seconds),
        accepted({**CLAIMS, "exp": NOW + seconds}),
        "9-4 9-5",
        errata=50,
        basis="spec",
        control="lifetime-301",
        flags=("Lifetime",),
    )
for slug, comment, exp in (
    ("301", "exp lies 301 seconds after iat.", NOW + 301),
    ("a-day", "exp lies a day after iat.", NOW + 86_400),
    ("milliseconds", "exp is in milliseconds.", (NOW + 45) * 1000),
):
    case(
        f"lifetime-{slug}",
        comment,
        with_claims(exp=exp),
        refused("lifetime"),
        "9-4",
        errata=50,
        basis="spec",
        control="lifetime-300",
        flags=("Lifetime",),
    )
for slug, comment, iat, exp in (
    ("0", "exp is iat; both lie ahead within the leeway.", NOW + 30, NOW + 30),
    ("negative", "exp lies before iat; both are near.", NOW + 30, NOW + 20),
):
    case(
        f"lifetime-{slug}",
        comment,
        with_claims(iat=iat, exp=exp),
        refused("lifetime"),
        "9-4",
        errata=50,
        control="lifetime-1",
        leeway=60,
        flags=("Lifetime",),
    )
TIMES: list[tuple[str, str, int, int, int, str]] = [  # leeway, seconds after NOW, microseconds, code
    ("last-microsecond", "The last microsecond before exp.", 0, 44, 999_999, ""),
    ("second-of-exp", "The second of exp has begun.", 0, 45, 0, "expired"),
    ("long-expired", "An hour later.", 60, 3600, 0, "expired"),
    ("last-second-of-leeway", "exp + 59, with a leeway of 60.", 60, 45 + 59, 0, ""),
    ("end-of-leeway", "exp + 60, with a leeway of 60.", 60, 45 + 60, 0, "expired"),
    ("last-second-of-small-leeway", "exp + 4, with a leeway of 5.", 5, 49, 0, ""),
    ("end-of-small-leeway", "exp + 5, with a leeway of 5.", 5, 50, 0, "expired"),
]
for slug, comment, leeway, seconds, micros, code in TIMES:
    case(
        slug,
        comment,
        GOOD,
        refused(code) if code else accepted(),
        "9.1-6 9.1-5",
        control="last-microsecond" if code else "second-of-exp",
        leeway=leeway,
        now=clock(seconds, micros),
        flags=("Lifetime",),
        basis="spec" if slug in ("last-microsecond", "second-of-exp", "long-expired") else "proposed",
    )
for slug, comment, leeway, ahead, code in (
    ("iat-1-ahead", "iat lies a second ahead, without a leeway.", 0, 1, "not_yet_valid"),
    ("iat-within-leeway", "iat lies 60 seconds ahead, with a leeway of 60.", 60, 60, ""),
    ("iat-beyond-leeway", "iat lies 61 seconds ahead, with a leeway of 60.", 60, 61, "not_yet_valid"),
    ("iat-a-day-ahead", "iat lies a day ahead.", 60, 86_400, "not_yet_valid"),
):
    moved: JSONObject = {"iat": NOW + ahead, "exp": NOW + ahead + 45}
    case(
        slug,
        comment,
        with_claims(**moved),
        refused(code) if code else accepted({**CLAIMS, **moved}),
        "9.1-6",
        control="iat-within-leeway" if code else "iat-beyond-leeway",
        leeway=leeway,
        flags=("Lifetime",),
    )
for slug, comment, leeway, ahead, code in (
    ("nbf-now", "nbf is now; it is not in the result.", 0, 0, ""),
    ("nbf-past", "nbf has passed.", 0, -100, ""),
    ("nbf-1-ahead", "nbf lies a second ahead, without a leeway.", 0, 1, "not_yet_valid"),
    ("nbf-within-leeway", "nbf lies 10 seconds ahead, with a leeway of 10.", 10, 10, ""),
    ("nbf-beyond-leeway", "nbf lies 11 seconds ahead, with a leeway of 10.", 10, 11, "not_yet_valid"),
):
    case(
        slug,
        comment,
        with_claims(nbf=NOW + ahead),
        refused(code) if code else accepted(),
        "9.1-6",
        control="nbf-now" if code else "nbf-1-ahead",
        leeway=leeway,
        flags=("Lifetime",),
    )
for name in ("apr", "sub", "pol"):
    absent: dict[str, Any] = {name: None}
    case(
        f"{name}-null",
        f"{name} is null, where an absent one is left out.",
        with_claims(**absent),
        refused("claims"),
        "9-7",
        flags=("WrongForm",),
    )
