"""Edwards25519 as RFC 8032, section 5.1 defines it, slow and plain, for crafted keys and signatures."""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493  # order of the base point
SIGN_BIT: Final = 1 << 255
_D: Final = -121665 * pow(121666, P - 2, P) % P

Point: TypeAlias = tuple[int, int]

IDENTITY: Final[Point] = (0, 1)


def add(a: Point, b: Point) -> Point:
    """The sum; the law is complete, so it holds for equal points and for those of small order as well."""
    (x1, y1), (x2, y2) = a, b
    t = _D * x1 * x2 * y1 * y2 % P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P
    y3 = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P
    return x3, y3


def multiply(scalar: int, point: Point) -> Point:
    """``scalar`` (0 or more) times the point."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point: Point) -> bytes:
    """The canonical 32 bytes: y, and the lowest bit of x in the last one's highest."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _x_of(y: int, sign: int) -> int:
    square = (y * y - 1) * pow(_D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x & 1 != sign else x


BASE: Final[Point] = (_x_of(4 * pow(5, P - 2, P) % P, 0), 4 * pow(5, P - 2, P) % P)
_ORDER_8_Y: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
TORSION: Final = [multiply(k, (_x_of(_ORDER_8_Y, 0), _ORDER_8_Y)) for k in range(8)]  # all of small order


def small_order_encodings() -> list[tuple[str, bytes, Point]]:
    """All 14 texts that some decoder takes for a point of small order: a name, the bytes, the point."""
    orders = [1, 8, 4, 8, 2, 8, 4, 8]
    found = [(f"order-{orders[k]}-{k}", encode(TORSION[k]), TORSION[k]) for k in range(8)]
    for k, point in enumerate(TORSION):
        y = point[1]
        if y + P < 2**255 and k in (0, 2):  # y not reduced; 2 and 6 share y = 0
            other = TORSION[6] if k == 2 else point
            found.append((f"order-{orders[k]}-unreduced", (y + P).to_bytes(32, "little"), point))
            found.append(
                (f"order-{orders[k]}-unreduced-signed", (y + P | SIGN_BIT).to_bytes(32, "little"), other)
            )
        if point[0] == 0:  # x = 0 has no sign; some decoders take the sign bit anyway
            found.append((f"order-{orders[k]}-signed", (y | SIGN_BIT).to_bytes(32, "little"), point))
    return found


def secret_scalar(seed: bytes) -> int:
    """The number whose multiple of ``BASE`` is the public key of these 32 bytes."""
    low = bytearray(hashlib.sha512(seed).digest()[:32])
    low[0] &= 248
    low[31] = (low[31] & 63) | 64
    return int.from_bytes(low, "little")


def challenge(r: bytes, a: bytes, message: bytes, domain: bytes = b"") -> int:
    """The hash of R, the public key ``a`` and the message; plain Ed25519 has no ``domain`` (RFC 8032, 2)."""
    return int.from_bytes(hashlib.sha512(domain + r + a + message).digest(), "little") % L


def forged(
    nonce: int, r: bytes, secret: int, a: bytes, message: bytes, *, plus: int = 0, domain: bytes = b""
) -> bytes:
    """``r`` as given, and the S of ``nonce`` and ``secret``, with ``plus`` added to it."""
    s = (nonce + challenge(r, a, message, domain) * secret) % L + plus
    return r + s.to_bytes(32, "little")
