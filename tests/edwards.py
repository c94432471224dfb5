"""Edwards25519 as RFC 8032, section 5.1 defines it, slow and plain, to build crafted keys."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # order of the base point
D = -121665 * pow(121666, P - 2, P) % P

Point: TypeAlias = tuple[int, int]

IDENTITY: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P
    y3 = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P
    return x3, y3


def multiply(scalar: int, point: Point) -> Point:
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def x_of(y: int, sign: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return P - x if x & 1 != sign else x


BASE: Point = (x_of(4 * pow(5, P - 2, P) % P, 0), 4 * pow(5, P - 2, P) % P)

# The published y coordinate of a point of order 8; with its multiples it gives all eight small-order points.
_ORDER_8_Y = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
ORDER_8: Point = (x_of(_ORDER_8_Y, 0), _ORDER_8_Y)
TORSION: list[Point] = [multiply(k, ORDER_8) for k in range(8)]

SIGN = 1 << 255


def small_order_encodings() -> list[bytes]:
    """All 14 encodings that some decoder takes for a point of small order, canonical and not."""
    canonical = [encode(point) for point in TORSION]
    ys = {y for _, y in TORSION}
    odd = [y + P for y in ys if y + P < 2**255]  # y not reduced: 0 and 1 have such a second form
    crafted = [(y | sign).to_bytes(32, "little") for y in odd for sign in (0, SIGN)]
    # x = 0 has no sign; some decoders take the sign bit anyway
    crafted += [(y | SIGN).to_bytes(32, "little") for y in (1, P - 1)]
    return sorted({*canonical, *crafted})


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def secret_scalar(seed: bytes) -> int:
    low = bytearray(hashlib.sha512(seed).digest()[:32])
    low[0] &= 248
    low[31] = (low[31] & 63) | 64
    return int.from_bytes(low, "little")


def crafted_signature(nonce: int, r: Point, secret: int, public: bytes, message: bytes) -> bytes:
    """``R`` as given and the S that would belong to ``nonce``·B."""
    encoded = encode(r)
    s = (nonce + challenge(encoded, public, message) * secret) % L
    return encoded + s.to_bytes(32, "little")
