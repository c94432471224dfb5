"""ed25519_verify: one verdict on signatures, on the crafted ones too (§8, Ed25519 criterion)."""

from __future__ import annotations

from typing import Final

from delego_conformance.generate import edwards, forging
from delego_conformance.generate.build import Suite, ok
from delego_conformance.vectors import Basis

SUITE: Final = Suite("ed25519", "ED", "Ed25519 signatures", section="8")

SEED: Final = forging.LEDGER_SEED
KEY: Final = forging.public_key(SEED)
SCALAR: Final = edwards.secret_scalar(SEED)
MESSAGE: Final = b"df789cb0825ec24cd8c440852d3d7e177f967732917d8d2207439a7932a72de0"
HONEST: Final = forging.sign(SEED, MESSAGE)
R, S = HONEST[:32], int.from_bytes(HONEST[32:], "little")


def case(
    slug: str,
    comment: str,
    valid: bool,
    clauses: str,
    *,
    key: bytes | str = KEY,
    message: bytes = MESSAGE,
    signature: bytes | str = HONEST,
    basis: Basis = "proposed",
    flags: tuple[str, ...] = (),
    control: str = "",
) -> None:
    SUITE.add(
        slug,
        comment,
        "ed25519_verify",
        {
            "public_key_hex": key if isinstance(key, str) else key.hex(),
            "message_hex": message.hex(),
            "signature_hex": signature if isinstance(signature, str) else signature.hex(),
        },
        ok(valid=valid),
        clauses=clauses,
        basis=basis,
        flags=flags,
        control=control or ("bit-of-s" if valid else "honest"),
    )


def scalar(value: int) -> bytes:
    return value.to_bytes(32, "little")


# --- honest signatures, and plain damage ------------------------------------------------------------------

case("honest", "An honest signature over the 64 digits of an entry hash.", True, "8-3 8-20", basis="spec")
for slug, comment, seed, message in (
    ("rfc8032-test-1", "RFC 8032, section 7.1, TEST 1: the empty message.", forging.LEDGER_SEED, b""),
    ("rfc8032-test-2", "RFC 8032, section 7.1, TEST 2: one byte.", forging.TOKEN_SEED, b"\x72"),
    ("rfc8032-test-3", "RFC 8032, section 7.1, TEST 3: two bytes.", forging.ALICE_SEED, b"\xaf\x82"),
    ("long-message", "A message of 5000 bytes.", forging.TOKEN_SEED, bytes(range(250)) * 20),
    ("bytes-that-are-no-text", "A message of bytes that are not UTF-8.", forging.ALICE_SEED, b"\xff\x00\xfe"),
):
    case(
        slug,
        comment,
        True,
        "8-20",
        key=forging.public_key(seed),
        message=message,
        signature=forging.sign(seed, message),
        basis="spec",
        control=f"{slug}-damaged",
    )
    case(
        f"{slug}-damaged",
        f"{comment.rstrip('.')}, with another message beside it.",
        False,
        "8-20",
        key=forging.public_key(seed),
        message=message + b"\0",
        signature=forging.sign(seed, message),
        basis="spec",
        control=slug,
    )
case(
    "another-nonce",
    "A signature with an R of the signer's choice: verification does not ask where R comes from.",
    True,
    "8-20",
    signature=edwards.forged(5, edwards.encode(edwards.multiply(5, edwards.BASE)), SCALAR, KEY, MESSAGE),
)

damaged: list[tuple[str, str, bytes]] = [
    ("bit-of-r", "One bit of R is flipped.", bytes([HONEST[0] ^ 1]) + HONEST[1:]),
    ("bit-of-s", "One bit of S is flipped.", HONEST[:32] + bytes([HONEST[32] ^ 1]) + HONEST[33:]),
    ("r-and-s-swapped", "S stands before R.", HONEST[32:] + HONEST[:32]),
    ("all-zero", "64 zero bytes.", bytes(64)),
    ("s-negated", "L − S in the place of S.", R + scalar(edwards.L - S)),
    ("r-negated", "The sign bit of R is flipped.", R[:31] + bytes([R[31] ^ 0x80]) + HONEST[32:]),
    ("other-message", "The signature of another entry hash.", forging.sign(SEED, b"0" * 64)),
    ("raw-hash", "Signed are the 32 bytes of the hash, not its 64 digits.", b""),
    ("other-key", "The signature of another key.", forging.sign(forging.TOKEN_SEED, MESSAGE)),
]
for slug, comment, signature in damaged:
    found = signature or forging.sign(SEED, bytes.fromhex(MESSAGE.decode()))
    case(slug, comment, False, "8-3 8-20", signature=found, basis="spec")
case(
    "shifted",
    "The first byte of the message stands at the end of the signature.",
    False,
    "8-20",
    message=MESSAGE[1:],
    signature=HONEST + MESSAGE[:1],
    basis="spec",
)

# --- the form of a signature ------------------------------------------------------------------------------

for slug, comment, signature in (
    ("empty", "A signature without bytes.", b""),
    ("63-bytes", "The last byte is missing.", HONEST[:63]),
    ("65-bytes", "A zero byte behind the signature: some libraries read the first 64 only.", HONEST + b"\0"),
    ("r-alone", "R without S.", R),
    ("twice", "The signature, twice.", HONEST * 2),
):
    case(
        f"signature-{slug}", comment, False, "8-20", signature=signature, basis="spec", flags=("OtherLength",)
    )
for slug, comment, text in (
    ("upper-case", "Hexadecimal digits in upper case are a second spelling.", HONEST.hex().upper()),
    ("one-capital", "One digit is in upper case.", HONEST.hex().replace("a", "A", 1)),
    ("blank-inside", "A blank between two bytes.", f"{HONEST.hex()[:64]} {HONEST.hex()[64:]}"),
    ("blank-before", "A blank in front.", " " + HONEST.hex()),
    ("newline-behind", "A newline behind the digits: `$` would let it through.", HONEST.hex() + "\n"),
    ("prefixed", "0x in front.", "0x" + HONEST.hex()),
    ("no-digits", "The last digit is a g.", HONEST.hex()[:-1] + "g"),
):
    case(f"signature-{slug}", comment, False, "8-23", signature=text, flags=("HexSpelling",))
for slug, comment, text in (
    ("upper-case", "A key in upper case is a second spelling.", KEY.hex().upper()),
    ("blank-inside", "A blank inside the key.", f"{KEY.hex()[:32]} {KEY.hex()[32:]}"),
    ("newline-behind", "A newline behind the key.", KEY.hex() + "\n"),
):
    case(f"key-{slug}", comment, False, "8-23", key=text, flags=("HexSpelling",))

for slug, comment, times in (
    ("s-plus-l", "S + L fits the equation, and is a second text for the same signature.", 1),
    ("s-plus-8l", "S + 8·L, below 2^256.", 8),
):
    case(
        slug,
        comment,
        False,
        "8-20",
        signature=R + scalar(S + times * edwards.L),
        basis="spec",
        flags=("LargeS",),
    )
case(
    "s-is-l",
    "S = L in a signature whose S would be 0.",
    False,
    "8-20",
    signature=R + scalar(edwards.L),
    basis="spec",
    flags=("LargeS",),
)
for slug, comment, domain in (
    ("ed25519ctx", "A signature of Ed25519ctx with an empty context.", b"\0\0"),
    ("ed25519ph", "A signature with the prefix of Ed25519ph.", b"\1\0"),
):
    prefix = b"SigEd25519 no Ed25519 collisions" + domain
    r = edwards.encode(edwards.multiply(7, edwards.BASE))
    case(
        slug,
        comment,
        False,
        "8-20",
        signature=edwards.forged(7, r, SCALAR, KEY, MESSAGE, domain=prefix),
        basis="spec",
        control="honest",
    )

# --- R of small order, or not canonical -------------------------------------------------------------------

for name, encoded, point in edwards.small_order_encodings():
    fits = point == edwards.IDENTITY and encoded == edwards.encode(point)
    equation = "the equation without cofactor, too" if fits else "no equation but the one with cofactor"
    if name.endswith(("unreduced", "signed")):
        equation = "an equation only where R is decoded loosely"
    case(
        f"r-{name}",
        f"R is the point of small order {encoded.hex()[:8]}…; it fits {equation}.",
        False,
        "8-22",
        signature=edwards.forged(0, encoded, SCALAR, KEY, MESSAGE),
        flags=("SmallOrderR",),
    )
for k in (1, 2, 4):
    mixed = edwards.encode(edwards.add(edwards.multiply(5, edwards.BASE), edwards.TORSION[k]))
    case(
        f"r-mixed-order-{8 // k}",
        f"R has a part of order {8 // k}: the equation with cofactor holds, the one without does not.",
        False,
        "8-20",
        signature=edwards.forged(5, mixed, SCALAR, KEY, MESSAGE),
        flags=("Cofactored",),
        control="honest",
    )

# --- keys that are no keys --------------------------------------------------------------------------------


def message_for(key: bytes, r: bytes, fits: bool, order: int = 8) -> bytes:
    """A message whose challenge is, or is not, a multiple of ``order``."""
    number = 0
    while (edwards.challenge(r, key, b"pay %d" % number) % order == 0) is not fits:
        number += 1
    return b"pay %d" % number


BASE_POINT: Final = edwards.encode(edwards.BASE)
for name, encoded, _ in edwards.small_order_encodings():
    case(
        f"key-{name}",
        f"The key is the point of small order {encoded.hex()[:8]}…; R = B and S = 1 fit, and nobody signed.",
        False,
        "8-21",
        key=encoded,
        message=message_for(encoded, BASE_POINT, True),
        signature=BASE_POINT + scalar(1),
        flags=("SmallOrderKey",),
    )
NONCE_POINT: Final = edwards.encode(edwards.multiply(5, edwards.BASE))
for k in (1, 2, 4):
    point = edwards.add(edwards.multiply(SCALAR, edwards.BASE), edwards.TORSION[k])
    raw = edwards.encode(point)
    for fits, which in ((True, "both equations hold"), (False, "only the equation with cofactor holds")):
        message = message_for(raw, NONCE_POINT, fits, 8 // k)
        case(
            f"key-mixed-order-{8 // k}-{'cofactorless' if fits else 'cofactored'}",
            f"The key has a part of order {8 // k}; {which} for this message.",
            False,
            "8-21",
            key=raw,
            message=message,
            signature=edwards.forged(5, NONCE_POINT, SCALAR, raw, message),
            flags=("MixedOrderKey",),
        )
for slug, comment, raw in (
    ("not-on-the-curve", "y = 2 is no point of the curve.", scalar(2)),
    ("unreduced", "y = p + 3, which some decoders take for y = 3.", scalar(edwards.P + 3)),
    ("all-ones", "32 bytes of 0xff.", b"\xff" * 32),
    ("31-bytes", "A key of 31 bytes.", KEY[:31]),
    ("33-bytes", "A key of 33 bytes.", KEY + b"\0"),
    ("empty", "A key without bytes.", b""),
):
    case(f"key-{slug}", comment, False, "8-21", key=raw, flags=("NoKey",))
case(
    "key-negated",
    "The sign bit of the key is flipped: a sound key, of somebody else.",
    False,
    "8-20",
    key=KEY[:31] + bytes([KEY[31] ^ 0x80]),
    basis="spec",
)
