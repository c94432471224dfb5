"""token_verify: the envelope, the header and the signature of a token (§9, §9.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Final

from delego_conformance.generate import edwards, forging
from delego_conformance.generate.build import Suite, refused
from delego_conformance.generate.forging import base64url, compact, text
from delego_conformance.generate.token_cases import (
    CLAIMS,
    GOOD,
    HEADER,
    KEYS,
    KID,
    Cases,
    accepted,
    with_claims,
    with_header,
)

SUITE: Final = Suite("token", "TK", "Tokens: envelope and signature", section="9.1")
case: Final = Cases(SUITE)

NO_VECTOR: Final = {
    "§9-3": "When a token is minted can only be seen inside an authorizer.",
    "§9-6": "The wire has no authorizer that fails to mint.",
}

HEAD, BODY, SIGNATURE = GOOD.split(".")
RAW_SIGNATURE: Final = forging.sign(forging.TOKEN_SEED, f"{HEAD}.{BODY}".encode())

case("good", "A good token.", GOOD, accepted(), "9-1 9.1-1 9.1-7", basis="spec")
case(
    "altered",
    "One claim was changed after it was signed.",
    f"{HEAD}.{base64url(text({**CLAIMS, 'jti': 'another'}))}.{SIGNATURE}",
    refused("signature"),
    "9.1-1",
    basis="spec",
)

# --- SIGNATURES -------------------------------------------------------------------------------------------

case(
    "other-key-same-kid",
    "Signed with a stranger's key, under the name of a known one.",
    compact(text(HEADER), text(CLAIMS), forging.STRANGER_SEED),
    refused("signature"),
    "9.1-1",
    basis="spec",
)
case(
    "header-altered",
    "A blank was added to the header after it was signed.",
    f"{base64url(json.dumps(HEADER).encode())}.{BODY}.{SIGNATURE}",
    refused("signature"),
    "9.1-1",
    basis="spec",
)
S_PLUS_L = int.from_bytes(RAW_SIGNATURE[32:], "little") + edwards.L
SIGNATURES: list[tuple[str, str, bytes, str]] = [
    ("zero", "64 zero bytes.", bytes(64), ""),
    ("63-bytes", "A byte is missing.", RAW_SIGNATURE[:63], "OtherLength"),
    ("65-bytes", "A byte too many.", RAW_SIGNATURE + b"\0", "OtherLength"),
    ("s-plus-l", "S + L in the place of S.", RAW_SIGNATURE[:32] + S_PLUS_L.to_bytes(32, "little"), "LargeS"),
    (
        "r-is-the-identity",
        "R is the IDENTITY, which fits the equation.",
        edwards.forged(
            0,
            edwards.encode(edwards.IDENTITY),
            edwards.secret_scalar(forging.TOKEN_SEED),
            forging.public_key(forging.TOKEN_SEED),
            f"{HEAD}.{BODY}".encode(),
        ),
        "SmallOrderR",
    ),
    ("over-claims", "Signed are the claims alone.", forging.sign(forging.TOKEN_SEED, text(CLAIMS)), ""),
    (
        "over-hash",
        "Signed is the SHA-256 of header and claims.",
        forging.sign(forging.TOKEN_SEED, hashlib.sha256(f"{HEAD}.{BODY}".encode()).digest()),
        "",
    ),
]
for slug, comment, signature, flag in SIGNATURES:
    case(
        f"signature-{slug}",
        comment,
        f"{HEAD}.{BODY}.{base64url(signature)}",
        refused("signature"),
        "9.1-1 8-20 8-22" if flag == "SmallOrderR" else "9.1-1 8-20",
        basis="proposed" if flag == "SmallOrderR" else "spec",
        flags=(flag,) if flag else (),
    )

# --- keys -------------------------------------------------------------------------------------------------

ALICE_KID: Final = forging.key_id(forging.ALICE_SEED)
TWO_KEYS: Final = {**KEYS, ALICE_KID: forging.public_key(forging.ALICE_SEED).hex()}
LEDGER_KID: Final = forging.key_id(forging.LEDGER_SEED)
case("two-keys", "Two keys in the table: kid says which.", GOOD, accepted(), "9.1-7", keys=TWO_KEYS)
case(
    "kid-of-the-other-key",
    "Two keys in the table; kid names the one that did not sign: no other one is tried.",
    with_header(kid=ALICE_KID),
    refused("signature"),
    "9.1-7",
    errata=50,
    control="two-keys",
    keys=TWO_KEYS,
)
case(
    "ledger-key",
    "Signed with the ledger's key, which is not one of the broker's.",
    compact(text({**HEADER, "kid": LEDGER_KID}), text(CLAIMS), forging.LEDGER_SEED),
    refused("kid"),
    "9-2 9.1-7",
    basis="spec",
)
IDENTITY = edwards.encode(edwards.IDENTITY)
WEAK_KID = hashlib.sha256(IDENTITY).hexdigest()[:16]
WEAK_HEAD = base64url(text({**HEADER, "kid": WEAK_KID}))
WEAK_SIGNATURE = edwards.encode(edwards.BASE) + (1).to_bytes(32, "little")
case(
    "key-of-small-order",
    "The table holds the IDENTITY, for which R = B and S = 1 fit every token: that is no key.",
    f"{WEAK_HEAD}.{BODY}.{base64url(WEAK_SIGNATURE)}",
    refused(),
    "8-21 9.1-1",
    keys={WEAK_KID: IDENTITY.hex()},
    flags=("SmallOrderKey",),
)
KIDS: list[tuple[str, str, Any]] = [
    ("unknown", "kid names a key that is not in the table, which has only one.", "0123456789abcdef"),
    ("empty", "kid is empty.", ""),
    ("upper-case", "kid in upper case is another name.", KID.upper()),
    ("prefix", "The first digits of a kid are not its name.", KID[:8]),
    ("blank-behind", "A blank behind kid.", KID + " "),
    ("path", "kid looks like a path.", "../../dev/null"),
    ("public-key", "kid is the public key itself.", KEYS[KID]),
]
for slug, comment, kid in KIDS:
    case(f"kid-{slug}", comment, with_header(kid=kid), refused("kid"), "9.1-7", errata=50)
for slug, comment, token in (
    ("missing", "There is no kid; the table has only one key.", with_header(without="kid")),
    ("number", "kid is a number.", with_header(kid=5)),
    ("null", "kid is null.", with_header(kid=None)),
    ("list", "kid is a list.", with_header(kid=[KID])),
):
    case(f"kid-{slug}", comment, token, refused("kid"), "9.1-7 9-1", errata=50)

# --- algorithms -------------------------------------------------------------------------------------------


def hs256(key: bytes) -> str:
    """A token whose MAC is keyed with what is public."""
    head = base64url(text({**HEADER, "alg": "HS256"}))
    return f"{head}.{BODY}.{base64url(hmac.new(key, f'{head}.{BODY}'.encode(), 'sha256').digest())}"


for slug, comment, token in (
    ("none-signed", "alg is none, beside a good signature.", with_header(alg="none")),
    ("none-in-capitals", "alg is NONE, beside a good signature.", with_header(alg="NONE")),
    ("hs256-raw", "HS256, keyed with the raw public key.", hs256(bytes.fromhex(KEYS[KID]))),
    ("hs256-hex", "HS256, keyed with the public key in hexadecimal.", hs256(KEYS[KID].encode())),
    ("es256", "alg is ES256.", with_header(alg="ES256")),
    ("lower-case", "alg is eddsa: names of algorithms have a case.", with_header(alg="eddsa")),
    ("ed25519", "alg is Ed25519, a younger name for the same.", with_header(alg="Ed25519")),
    ("blank-behind", "A blank behind EdDSA.", with_header(alg="EdDSA ")),
    ("empty", "alg is empty.", with_header(alg="")),
):
    case(
        f"alg-{slug}",
        comment,
        token,
        refused("alg"),
        "9-1 9.1-1",
        basis="spec",
        flags=("AlgorithmConfusion",),
    )
for slug, comment, token, codes in (
    (
        "none-unsigned",
        "alg is none and the signature is empty.",
        f"{base64url(text({**HEADER, 'alg': 'none'}))}.{BODY}.",
        ("alg", "malformed"),
    ),
    ("missing", "There is no alg.", with_header(without="alg"), ("alg",)),
    ("null", "alg is null.", with_header(alg=None), ("alg",)),
    ("list", "alg is a list.", with_header(alg=["EdDSA"]), ("alg",)),
):
    case(
        f"alg-{slug}",
        comment,
        token,
        refused(*codes),
        "9-1 9.1-1",
        basis="spec",
        flags=("AlgorithmConfusion",),
    )

# --- the header -------------------------------------------------------------------------------------------

for slug, comment, token in (
    ("missing", "There is no typ.", with_header(without="typ")),
    ("at-jwt", "typ is at+jwt: a token for another purpose.", with_header(typ="at+jwt")),
    ("lower-case", "typ is jwt, in lower case.", with_header(typ="jwt")),
    ("media-type", "typ is application/jwt.", with_header(typ="application/jwt")),
    ("number", "typ is a number.", with_header(typ=5)),
    ("null", "typ is null.", with_header(typ=None)),
):
    case(f"typ-{slug}", comment, token, refused("header"), "9.1-8 9-1", errata=50)

STRANGER: Final = forging.public_key(forging.STRANGER_SEED)
JWK: Final = {"kty": "OKP", "crv": "Ed25519", "x": base64url(STRANGER)}
for slug, comment, change, flag in (
    ("jwk", "The header brings a key of its own.", {"jwk": JWK}, "KeyFromToken"),
    ("jku", "The header says where to fetch keys.", {"jku": "https://keys.example/jwks"}, "KeyFromToken"),
    (
        "x5u",
        "The header says where to fetch a certificate.",
        {"x5u": "https://keys.example/c"},
        "KeyFromToken",
    ),
    (
        "x5c",
        "The header brings a certificate.",
        {"x5c": [base64.b64encode(STRANGER).decode()]},
        "KeyFromToken",
    ),
    ("crit", "crit names a claim.", {"crit": ["exp"]}, "CriticalHeader"),
    (
        "crit-b64",
        "crit names b64, with the value that changes nothing.",
        {"crit": ["b64"], "b64": True},
        "CriticalHeader",
    ),
    ("crit-empty", "crit is empty.", {"crit": []}, "CriticalHeader"),
    ("b64", "b64 is false, without crit.", {"b64": False}, "CriticalHeader"),
    ("zip", "zip says that the claims are compressed.", {"zip": "DEF"}, "CriticalHeader"),
    ("cty", "cty says that another token is inside.", {"cty": "JWT"}, "CriticalHeader"),
    ("unknown", "A member that nobody knows.", {"note": "x"}, "CriticalHeader"),
    ("capital", "Alg beside alg.", {"Alg": "none"}, "CriticalHeader"),
):
    case(
        f"header-{slug}",
        f"{comment} The signature is good.",
        with_header(**change),
        refused("header"),
        "9.1-8 9-1",
        flags=(flag,),
    )
case(
    "header-jwk-signed-by-it",
    "The header brings a key, and the token is signed with that one.",
    compact(text({**HEADER, "jwk": JWK}), text(CLAIMS), forging.STRANGER_SEED),
    refused("header", "signature"),
    "9.1-1 9.1-8",
    basis="spec",
    flags=("KeyFromToken",),
)
head = text(HEADER)
for slug, comment, raw in (
    ("array", "The header is an array.", b"[" + head + b"]"),
    ("string", "The header is a string.", b'"EdDSA"'),
    ("null", "The header is null.", b"null"),
    ("no-json", "The header is no JSON.", b"alg=EdDSA"),
    ("byte-order-mark", "A byte order mark in front of the header.", b"\xef\xbb\xbf" + head),
    (
        "not-utf-8",
        "A byte in the header that is not UTF-8.",
        head.replace(KID.encode(), KID.encode() + b"\xff"),
    ),
    ("utf-16", "The header in UTF-16.", head.decode().encode("utf-16-le")),
    ("text-behind", "Text behind the header.", head + b"{}"),
    ("deep-nesting", "1000 opening brackets.", b"[" * 1000),
):
    case(f"header-{slug}", comment, compact(raw, text(CLAIMS)), refused("header"), "9-1")
for slug, comment, raw in (
    ("alg-twice", "alg stands twice: none, then EdDSA.", head.replace(b'{"alg"', b'{"alg":"none","alg"')),
    (
        "alg-twice-reversed",
        "alg stands twice: EdDSA, then none.",
        head.replace(b',"kid"', b',"alg":"none","kid"'),
    ),
    (
        "kid-twice",
        "kid stands twice, with the same value.",
        head.replace(b'"kid"', b'"kid":"%s","kid"' % KID.encode()),
    ),
    (
        "typ-twice",
        "typ stands twice, once with an escape in its name.",
        head.replace(b'"typ"', b'"t\\u0079p":"JWT","typ"'),
    ),
):
    case(
        f"header-{slug}",
        comment,
        compact(raw, text(CLAIMS)),
        refused("duplicate_member"),
        "9.1-9",
        flags=("DuplicateMember",),
    )
REORDERED = text({"typ": "JWT", "kid": KID, "alg": "EdDSA"})
for slug, comment, raw in (
    ("reordered", "The members of the header in another order.", REORDERED),
    ("spaced", "The header with blanks and newlines.", json.dumps(HEADER, indent=2).encode()),
    ("escaped", "The header with an escape: another spelling of JWT.", head.replace(b"JWT", b"J\\u0057T")),
):
    case(f"header-{slug}", comment, compact(raw, text(CLAIMS)), accepted(), "9-1 9.1-14", basis="spec")

# --- the text ---------------------------------------------------------------------------------------------

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LOOSE: Final = SIGNATURE[:-1] + ALPHABET[ALPHABET.index(SIGNATURE[-1]) + 1]  # 64 bytes leave four pad bits


def loose(raw: bytes) -> str:
    """base64url of bytes that leave pad bits, one of which is set."""
    part = base64url(raw)
    return part[:-1] + ALPHABET[ALPHABET.index(part[-1]) + 1]


UNPADDED_CLAIMS = text({**CLAIMS, "sub": "agent-7" + "x" * (-len(text(CLAIMS)) % 3 + 1)})
SPECIAL = next(
    token
    for token in (with_claims(jti=f"token-{n}") for n in range(1000))
    if {"-", "_"} <= set(token.split(".")[2])
)
STANDARD = "{}.{}.{}".format(
    *SPECIAL.split(".")[:2], SPECIAL.split(".")[2].replace("-", "+").replace("_", "/")
)
case(
    "both-signs",
    "A signature whose text has both - and _.",
    SPECIAL,
    accepted({**CLAIMS, "jti": json.loads(base64.urlsafe_b64decode(SPECIAL.split(".")[1] + "=="))["jti"]}),
    "9-1 9.1-10",
    basis="spec",
)
SPELLINGS: list[tuple[str, str, str]] = [
    ("empty", "An empty text.", ""),
    ("two-parts", "Header and claims without a signature.", f"{HEAD}.{BODY}"),
    ("one-part", "No dot at all.", HEAD),
    ("four-parts", "A fourth part.", f"{GOOD}.{SIGNATURE}"),
    ("trailing-dot", "A dot behind the signature.", f"{GOOD}."),
    ("leading-dot", "A dot before the header.", f".{GOOD}"),
    ("empty-header", "The header is empty.", f".{BODY}.{SIGNATURE}"),
    ("empty-claims", "The claims are empty: a detached payload.", f"{HEAD}..{SIGNATURE}"),
    ("empty-signature", "The signature is empty.", f"{HEAD}.{BODY}."),
    ("leading-space", "A blank in front.", f" {GOOD}"),
    ("trailing-newline", "A newline behind the token.", f"{GOOD}\n"),
    (
        "newline-in-signature",
        "A newline inside the signature.",
        f"{HEAD}.{BODY}.{SIGNATURE[:40]}\n{SIGNATURE[40:]}",
    ),
    (
        "space-in-signature",
        "A blank inside the signature.",
        f"{HEAD}.{BODY}.{SIGNATURE[:40]} {SIGNATURE[40:]}",
    ),
    (
        "junk-in-signature",
        "! and * inside the signature.",
        f"{HEAD}.{BODY}.{SIGNATURE[:40]}!*{SIGNATURE[40:]}",
    ),
    ("padded-signature", "Padding behind the signature.", f"{GOOD}=="),
    ("padded-inside", "Padding inside the signature.", f"{HEAD}.{BODY}.{SIGNATURE[:40]}==={SIGNATURE[40:]}"),
    ("padded-and-more", "Bytes behind the padding.", f"{GOOD}==AAAA"),
    (
        "padded-claims-signed",
        "Padded claims, soundly signed with the padding.",
        compact(text(HEADER), base64.urlsafe_b64encode(UNPADDED_CLAIMS).decode()),
    ),
    ("loose-signature", "A pad bit of the signature is set.", f"{HEAD}.{BODY}.{LOOSE}"),
    (
        "loose-claims-signed",
        "A pad bit of the claims is set, soundly signed.",
        compact(text(HEADER), loose(UNPADDED_CLAIMS)),
    ),
    ("one-character-more", "A character that makes no byte.", f"{GOOD}AAA"),
    ("standard-alphabet", "+ and / in the signature, as in the other alphabet.", STANDARD),
    (
        "newline-in-claims-signed",
        "A newline inside the claims, soundly signed.",
        compact(text(HEADER), f"{BODY[:40]}\n{BODY[40:]}"),
    ),
    ("bearer", "A token with its scheme in front.", f"Bearer {GOOD}"),
    (
        "json",
        "The JSON serialization of the same.",
        json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
    ),
    ("full-width-dot", "A dot of another script.", GOOD.replace(".", "\uff0e")),
]
for slug, comment, token in SPELLINGS:
    case(f"text-{slug}", comment, token, refused("malformed"), "9.1-10 9-1", flags=("TokenSpelling",))


def of_size(size: int) -> tuple[str, str]:
    """A sound token of exactly so many characters, and the subject that makes it so long."""
    for blanks in range(4):
        head = text(HEADER)[:-1] + b" " * blanks + b"}"
        for length in range(size // 2, size):
            sub = "a" * length
            found = 2 + len(base64url(head)) + len(base64url(text({**CLAIMS, "sub": sub}))) + 86
            if found == size:
                return compact(head, text({**CLAIMS, "sub": sub})), sub
            if found > size:
                break
    raise ValueError(f"no token has {size} characters")


largest, subject = of_size(8192)
case(
    "8-kib",
    "A token of exactly 8192 characters.",
    largest,
    accepted({**CLAIMS, "sub": subject}),
    "9.1-12",
    control="over-8-kib",
)
case(
    "over-8-kib",
    "A character more.",
    of_size(8193)[0],
    refused("too_large"),
    "9.1-12",
    control="8-kib",
    flags=("ResourceLimit",),
)
case(
    "100-kb",
    "100000 characters.",
    with_claims(sub="a" * 75_000),
    refused("too_large"),
    "9.1-12",
    flags=("ResourceLimit",),
)
