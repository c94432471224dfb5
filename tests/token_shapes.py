"""118 shapes of a token that verifiers are known to disagree on, each built from raw bytes (§9, §9.1).

Every refused shape stands beside a twin that differs in the one fault and is accepted, so that no row can
pass because something else is wrong. Where common practice leaves a shape open, the strict list of §9
decides, and the row says so with ``DECIDED``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forge import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    SEED,
    STRANGER_SEED,
    b64,
    claims,
    compact,
    header,
    raw_member,
    sign,
    signed,
)

LEEWAY = 60
L = 2**252 + 27742317777372353535851937790883648493  # the order of the group
DECIDED = True

HEAD = header()
BODY = claims()
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
STRANGER_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": b64(Ed25519PrivateKey.from_private_bytes(STRANGER_SEED).public_key().public_bytes_raw()),
}
GOOD = compact()
HEAD_SEGMENT, BODY_SEGMENT, SIGNATURE_SEGMENT = GOOD.split(".")


@dataclass(frozen=True)
class Shape:
    name: str
    token: object
    code: str | None  # None: accepted
    twin: object = GOOD
    decided: bool = False
    issuer: str | None = None


def unsigned(head: bytes) -> str:
    return f"{b64(head)}.{BODY_SEGMENT}."


def hmac_with_public_key() -> str:
    signing_input = f"{b64(header(alg='HS256'))}.{BODY_SEGMENT}"
    return f"{signing_input}.{b64(hmac.digest(PEM, signing_input.encode(), hashlib.sha256))}"


def with_signature(segment: str) -> str:
    return f"{HEAD_SEGMENT}.{BODY_SEGMENT}.{segment}"


def next_pad_bit(segment: str) -> str:
    """Another text for the same bytes: the last character with one unused bit set."""
    assert len(segment) % 4 in (2, 3)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


def with_both_alphabets() -> str:
    """A good token whose signature needs a character in which base64url differs from base64."""
    for number in range(100):
        token = compact(body=claims(jti=f"token-{number}"))
        if set("-_") & set(token.rsplit(".", 1)[1]):
            return token
    raise AssertionError("no such signature")


def in_standard_alphabet(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{signature.replace('-', '+').replace('_', '/')}"


def loose_payload() -> tuple[str, str]:
    """A signed payload segment with a loose pad bit, and the tight twin."""
    body = BODY if len(BODY) % 3 else claims(jti="token-10")
    return signed(HEAD_SEGMENT, next_pad_bit(b64(body))), signed(HEAD_SEGMENT, b64(body))


def s_plus_l() -> str:
    signature = sign(f"{HEAD_SEGMENT}.{BODY_SEGMENT}")
    s = int.from_bytes(signature[32:], "little") + L
    return with_signature(b64(signature[:32] + s.to_bytes(32, "little")))


def flipped_payload() -> str:
    other = b64(BODY.replace(b"token-1", b"token-0"))
    return f"{HEAD_SEGMENT}.{other}.{SIGNATURE_SEGMENT}"


def lasting(seconds: int) -> str:
    return compact(body=claims(exp=NOW + seconds))


def expired_by(seconds: int) -> str:
    return compact(body=claims(iat=NOW - seconds - 45, exp=NOW - seconds))


def issued_in(seconds: int) -> str:
    return compact(body=claims(iat=NOW + seconds, exp=NOW + seconds + 45))


def with_header(**change: object) -> str:
    return compact(head=header(**change))


def with_claims(**change: object) -> str:
    return compact(body=claims(**change))


def without(name: str) -> str:
    return compact(body=claims(drop=[name]))


def literal(name: str, text: str) -> str:
    return compact(body=raw_member(name, text))


BOTH_ALPHABETS = with_both_alphabets()
LOOSE_PAYLOAD, TIGHT_PAYLOAD = loose_payload()
DUPLICATE_ALG = b'{"alg":"none",' + HEAD[1:]
DUPLICATE_AUD = b'{"aud":"evil",' + BODY[1:]
DUPLICATE_FPR = b'{"fpr":"' + b"0" * 64 + b'",' + BODY[1:]
NEWLINE_PAYLOAD = BODY_SEGMENT[:8] + "\n" + BODY_SEGMENT[8:]
DEEP = "[" * 5000 + "]" * 5000

HEADER_SHAPES = [
    Shape("valid", GOOD, None),
    Shape("alg=none, empty sig", unsigned(header(alg="none")), "malformed"),
    Shape("alg=None", with_header(alg="None"), "alg"),
    Shape("alg=HS256 keyed with public PEM", hmac_with_public_key(), "alg"),
    Shape("alg=eddsa (case)", with_header(alg="eddsa"), "alg"),
    Shape("alg=Ed25519 (RFC 9864)", with_header(alg="Ed25519"), "alg"),
    Shape("alg missing", compact(head=header(drop=["alg"])), "alg"),
    Shape("alg list", with_header(alg=["EdDSA"]), "alg"),
    Shape("duplicate alg: none then EdDSA", compact(head=DUPLICATE_ALG), "duplicate_member"),
    Shape("typ missing", compact(head=header(drop=["typ"])), "header", decided=DECIDED),
    Shape("typ=at+jwt", with_header(typ="at+jwt"), "header"),
    Shape("typ=jwt lower", with_header(typ="jwt"), "header", decided=DECIDED),
    Shape("typ=5", with_header(typ=5), "header"),
    Shape("crit=[exp]", with_header(crit=["exp"], exp=1), "header"),
    Shape("crit=[b64] b64=true", with_header(crit=["b64"], b64=True), "header"),
    Shape("crit=[]", with_header(crit=[]), "header"),
    Shape("crit=x", with_header(crit="x"), "header"),
    Shape("b64=false no crit", with_header(b64=False), "header"),
    Shape("zip=DEF", with_header(zip="DEF"), "header"),
    Shape(
        "embedded jwk (attacker key, attacker sig)",
        compact(head=header(jwk=STRANGER_JWK), seed=STRANGER_SEED),
        "header",
    ),
    Shape(
        "embedded jwk (good sig)",
        with_header(jwk={**STRANGER_JWK, "x": b64(PUBLIC.public_bytes_raw())}),
        "header",
    ),
    Shape("jku", with_header(jku="https://evil.example/keys"), "header"),
    Shape("x5u", with_header(x5u="https://evil.example/chain"), "header"),
    Shape("x5c", with_header(x5c=["MIIB"]), "header"),
    Shape("kid missing", compact(head=header(drop=["kid"])), "kid", decided=DECIDED),
    Shape("kid=5", with_header(kid=5), "kid"),
    Shape("kid path traversal", with_header(kid="../../../../dev/null"), "kid"),
    Shape("unknown header member", with_header(x="y"), "header", decided=DECIDED),
    Shape("header is array", compact(head=b'["EdDSA"]'), "header"),
    Shape("header with BOM", compact(head=b"\xef\xbb\xbf" + HEAD), "header"),
    Shape("header latin1 byte", compact(head=HEAD.replace(b"JWT", b"JW\xe9")), "header"),
]

ENVELOPE_SHAPES = [
    Shape("4 segments", GOOD + "." + SIGNATURE_SEGMENT, "malformed"),
    Shape("2 segments", f"{HEAD_SEGMENT}.{BODY_SEGMENT}", "malformed"),
    Shape("trailing dot", GOOD + ".", "malformed"),
    Shape("leading space", " " + GOOD, "malformed"),
    Shape("trailing newline", GOOD + "\n", "malformed"),
    Shape("inner newline in sig", GOOD[:-9] + "\n" + GOOD[-9:], "malformed"),
    Shape("space inside sig", GOOD[:-9] + "    " + GOOD[-9:], "malformed"),
    Shape("junk chars in sig (!*)", GOOD[:-9] + "!*!*" + GOOD[-9:], "malformed"),
    Shape("padding = on sig", GOOD + "==", "malformed"),
    Shape("padding = in the middle", GOOD[:-8] + "=" + GOOD[-8:], "malformed"),
    Shape("std base64 alphabet in sig", in_standard_alphabet(BOTH_ALPHABETS), "malformed", BOTH_ALPHABETS),
    Shape("non-canonical last char of sig", with_signature(next_pad_bit(SIGNATURE_SEGMENT)), "malformed"),
    Shape("sig + extra data after padding", GOOD + "==AAAA", "malformed"),
    Shape("non-canonical payload segment (signed over it)", LOOSE_PAYLOAD, "malformed", TIGHT_PAYLOAD),
    Shape(
        "payload segment with newline (signed over it)", signed(HEAD_SEGMENT, NEWLINE_PAYLOAD), "malformed"
    ),
    Shape("detached payload", f"{HEAD_SEGMENT}..{SIGNATURE_SEGMENT}", "malformed"),
    Shape("detached payload (sig over empty)", signed(HEAD_SEGMENT, ""), "malformed"),
    Shape(
        "JSON serialization",
        json.dumps({"protected": HEAD_SEGMENT, "payload": BODY_SEGMENT, "signature": SIGNATURE_SEGMENT}),
        "malformed",
    ),
    Shape("bytes token", GOOD.encode(), "malformed", decided=DECIDED),
    Shape(
        "100 kB sub claim", with_claims(sub="x" * 100_000), "too_large", with_claims(sub="x" * 4000), DECIDED
    ),
]

TIME_SHAPES = [
    Shape("exp past by 30 (within leeway 60)", expired_by(30), None),
    Shape("exp past by 59", expired_by(59), None),
    Shape("exp past by 60 (== leeway)", expired_by(60), "expired", expired_by(59)),
    Shape("exp past by 61", expired_by(61), "expired", expired_by(59)),
    Shape("exp missing", without("exp"), "claims"),
    Shape("exp float 1759000045.0", literal("exp", "1759000045.0"), "claims", literal("exp", "1759000045")),
    Shape("exp float .5", literal("exp", "1759000045.5"), "claims", literal("exp", "1759000045")),
    Shape("exp string digits", with_claims(exp=str(NOW + 45)), "claims"),
    Shape("exp true", with_claims(exp=True), "claims"),
    Shape("iat true exp 45", with_claims(iat=True, exp=45), "claims"),
    Shape("exp null", with_claims(exp=None), "claims"),
    Shape("exp 1e300", literal("exp", "1e300"), "claims"),
    Shape("exp 1e400 (inf)", literal("exp", "1e400"), "claims"),
    Shape("exp NaN", literal("exp", "NaN"), "claims"),
    Shape("exp 10**30", literal("exp", str(10**30)), "claims"),
    Shape("exp 5000 digits", literal("exp", "9" * 5000), "claims"),
    Shape("exp list", with_claims(exp=[NOW + 45]), "claims"),
    Shape("exp '+1759000045 '", with_claims(exp=f"+{NOW + 45} "), "claims"),
    Shape("exp Arabic digits", with_claims(exp="١٧٥٩٠٠٠٠٤٥"), "claims"),
    Shape("exp '1_759_000_045'", with_claims(exp=f"{NOW + 45:_}"), "claims"),
    Shape("iat missing", without("iat"), "claims"),
    Shape("iat future 30", issued_in(30), None),
    Shape("iat future 61", issued_in(61), "not_yet_valid", issued_in(60)),
    Shape("iat string", with_claims(iat=str(NOW)), "claims"),
    Shape("exp < iat (both near)", with_claims(iat=NOW, exp=NOW - 1), "lifetime", lasting(1)),
    Shape("exp == iat", lasting(0), "lifetime", lasting(1)),
    Shape("TTL 61", lasting(61), None, decided=DECIDED),
    Shape("TTL 300", lasting(300), None),
    Shape("TTL 301", lasting(301), "lifetime", lasting(300)),
    Shape("nbf future 1000", with_claims(nbf=NOW + 1000), "not_yet_valid", with_claims(nbf=NOW)),
    Shape("nbf 'abc'", with_claims(nbf="abc"), "claims", with_claims(nbf=NOW)),
]

CLAIM_SHAPES = [
    Shape("aud list [me]", with_claims(aud=[AUDIENCE]), "claims"),
    Shape("aud list [me, evil]", with_claims(aud=[AUDIENCE, "evil"]), "claims"),
    Shape("aud case", with_claims(aud=AUDIENCE.upper()), "audience"),
    Shape("aud prefix", with_claims(aud=AUDIENCE + ".evil"), "audience"),
    Shape("aud trailing space", with_claims(aud=AUDIENCE + " "), "audience"),
    Shape("aud missing", without("aud"), "claims"),
    Shape("aud null", with_claims(aud=None), "claims"),
    Shape("aud wildcard *", with_claims(aud="*"), "audience"),
    Shape("aud object", with_claims(aud={AUDIENCE: 1}), "claims"),
    Shape("duplicate aud: evil then me", compact(body=DUPLICATE_AUD), "duplicate_member"),
    Shape("jti missing", without("jti"), "claims"),
    Shape("cns missing", without("cns"), "claims"),
    Shape("fpr missing", without("fpr"), "claims"),
    Shape("iht missing", without("iht"), "claims"),
    Shape("iss missing", without("iss"), "claims"),
    Shape("iss other", with_claims(iss="other"), "issuer", decided=DECIDED, issuer=ISSUER),
    Shape("jti int", with_claims(jti=7), "claims"),
    Shape("jti list (unhashable)", with_claims(jti=["token-1"]), "claims"),
    Shape("jti empty", with_claims(jti=""), "claims"),
    Shape("fpr uppercase", with_claims(fpr=str(CLAIMS["fpr"]).upper()), "claims"),
    Shape("fpr short", with_claims(fpr=str(CLAIMS["fpr"])[:-1]), "claims"),
    Shape("sub int", with_claims(sub=7), "claims", without("sub")),
    Shape("apr null", with_claims(apr=None), "claims", without("apr")),
    Shape("pol string", with_claims(pol="1"), "claims", without("pol")),
    Shape("claims array", compact(body=b"[" + BODY + b"]"), "claims"),
    Shape("claims with NaN extra", literal("x", "NaN"), "claims", literal("x", "0.5")),
    Shape("claims duplicate fpr", compact(body=DUPLICATE_FPR), "duplicate_member"),
    Shape(
        "claims lone surrogate jti", literal("jti", '"\\ud800"'), "claims", literal("jti", '"\\ud83d\\ude00"')
    ),
    Shape("claims nested 5000 deep", literal("x", DEEP), "too_large", literal("x", "[[[[]]]]")),
    Shape("claims trailing garbage", compact(body=BODY + b"{}"), "claims"),
    Shape("claims leading whitespace", compact(body=b"\n  " + BODY), None, decided=DECIDED),
    Shape("claims UTF-16", compact(body=BODY.decode().encode("utf-16")), "claims"),
]

SIGNATURE_SHAPES = [
    Shape("sig by other key", compact(seed=STRANGER_SEED), "signature"),
    Shape("sig 65 bytes", with_signature(b64(sign(f"{HEAD_SEGMENT}.{BODY_SEGMENT}") + b"\0")), "signature"),
    Shape("sig S+L", s_plus_l(), "signature"),
    Shape("payload bit flip", flipped_payload(), "signature"),
]

SHAPES = HEADER_SHAPES + ENVELOPE_SHAPES + TIME_SHAPES + CLAIM_SHAPES + SIGNATURE_SHAPES
