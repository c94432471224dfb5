"""One good token, and how a suite states what becomes of its relatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.forging import compact, text
from delego_conformance.vectors import Basis, JSONObject

NOW: Final = 1_767_268_800  # 2026-01-01T12:00:00Z, when all requests arrive unless they say otherwise
KID: Final = forging.key_id(forging.TOKEN_SEED)
KEYS: Final = {KID: forging.public_key(forging.TOKEN_SEED).hex()}
AUDIENCE: Final = "broker.example"

HEADER: Final[JSONObject] = {"alg": "EdDSA", "kid": KID, "typ": "JWT"}
CLAIMS: Final[JSONObject] = {
    "iss": "authorizer.example",
    "aud": AUDIENCE,
    "iat": NOW,
    "exp": NOW + 45,
    "jti": "87a0447f9c7837279b61ecca50a896b8",
    "cns": "6b13ef6d219bbfbc30600e2334cd62bc",
    "fpr": forging.FINGERPRINT,
    "iht": forging.INTENT,
    "apr": "apr_098812a3c6ffc7d236a2c11e",
    "sub": "agent-7",
    "pol": {"version": 1, "rule": "place-order"},
}
GOOD: Final = compact(text(HEADER), text(CLAIMS))


class Cases:
    """States vectors of ``token_verify`` in one suite."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def __call__(
        self,
        slug: str,
        comment: str,
        token: str,
        expect: JSONObject,
        clauses: str,
        *,
        control: str = "",
        basis: Basis = "proposed",
        errata: int | Sequence[int] = (),
        flags: Sequence[str] = (),
        keys: Mapping[str, str] = KEYS,
        audience: str = AUDIENCE,
        leeway: int = 0,
        seen: Sequence[str] = (),
        consumed: Sequence[str] = (),
        now: str = "",
        section: str | None = None,
        **more: Any,
    ) -> None:
        """Without ``control``: the good token for a refusal, an altered one for what is accepted."""
        self._suite.add(
            slug,
            comment,
            "token_verify",
            {
                "token": token,
                "keys": dict(keys),
                "audience": audience,
                "leeway": leeway,
                "seen_jti": list(seen),
                "consumed_cns": list(consumed),
                **more,
            },
            expect,
            clauses=clauses,
            control=control or ("token/good" if "refused" in expect else "token/altered"),
            basis=basis,
            errata=errata,
            flags=flags,
            ctx={"now": now} if now else None,
            section=section,
        )


def accepted(claims: JSONObject = CLAIMS) -> JSONObject:
    """Expected: these claims."""
    return ok(claims=claims)


def with_header(*, without: str = "", **change: Any) -> str:
    """A token that is soundly signed, with another header."""
    return compact(text(_edited(HEADER, without, change)), text(CLAIMS))


def with_claims(*, without: str = "", **change: Any) -> str:
    """A token that is soundly signed, with other claims."""
    return compact(text(HEADER), text(_edited(CLAIMS, without, change)))


def with_literal(name: str, literal: str) -> str:
    """A token whose claims hold one member as this piece of JSON text."""
    rest = text(_edited(CLAIMS, name, {}))
    return compact(text(HEADER), rest[:-1] + f',"{name}":{literal}}}'.encode())


def clock(seconds: int, micros: int = 0) -> str:
    """``ctx.now`` for NOW and so many seconds."""
    minutes, rest = divmod(seconds, 60)
    return f"2026-01-01T{12 + minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}.{micros:06d}+00:00"


def _edited(base: JSONObject, without: str, change: JSONObject) -> JSONObject:
    return {name: value for name, value in {**base, **change}.items() if name != without}


__all__ = [
    "AUDIENCE", "CLAIMS", "GOOD", "HEADER", "KEYS", "KID", "NOW", "Cases", "accepted", "clock", "refused",
    "with_claims", "with_header", "with_literal",
]  # fmt: skip
