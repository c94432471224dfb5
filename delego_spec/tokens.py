"""Authorization tokens (§9): minted by the authorizer for one released action, verified by the broker (§9.1).

A token says: this principal's action with this fingerprint, once, before this second. Not here: the
envelope (``jws``) and the store that remembers ``jti`` and ``cns`` (steps 3 and 4), which must be durable
and shared by all instances of a broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from delego_spec.action import Action
from delego_spec.canonical import canonical
from delego_spec.ed25519 import PublicKey, Signer
from delego_spec.errors import CanonicalError, TokenError
from delego_spec.jws import JwsRefusal, open_jws, seal
from delego_spec.types import JSON, Digest, EpochSeconds, JSONObject, KeyId, is_digest

DEFAULT_LIFETIME: Final = 45  # seconds
MAX_LIFETIME: Final = 300  # seconds
MAX_LEEWAY: Final = 60  # seconds

RefusalCode = Literal[
    "malformed",  # not a string of three canonical base64url parts
    "too_large",  # over 8 KiB
    "header",  # not an object of exactly alg, kid, typ; typ is not JWT
    "alg",  # not EdDSA
    "kid",  # not one of the verifier's own keys
    "duplicate_member",  # in the header or in the claims
    "signature",  # not that key's
    "claims",  # not an object, or a claim is missing or of the wrong form
    "lifetime",  # exp is not 1 to 300 seconds after iat
    "expired",  # exp has come
    "not_yet_valid",  # iat or nbf lies ahead
    "audience",  # meant for another broker
    "issuer",  # from another authorizer
    "binding",  # for another action
]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token claims (§9). ``mint`` and ``verify_token`` hold the same rules about it."""

    iss: str  # the authorizer
    aud: str  # the one broker it is meant for
    iat: EpochSeconds
    exp: EpochSeconds  # 1 to 300 seconds after iat; from this second on it is refused
    jti: str  # names this token
    cns: str  # names the one release it permits
    fpr: Digest  # the action's fingerprint
    iht: Digest  # the intent hash
    apr: str | None = None  # the approval it was released under
    sub: str | None = None  # the principal that acts
    pol: tuple[int, str | None] | None = None  # version of the policy, rule that matched


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """Why a token does not count. The code is stable, the message is for people."""

    code: RefusalCode
    message: str


def mint(claims: Claims, signer: Signer) -> str:
    """A compact JWS over the canonical JSON of ``claims``; kid is the signer's key id (§9).

    Raises TokenError for claims that ``verify_token`` would refuse at ``iat``, for a token over 8 KiB, and
    for a signer whose signature does not fit its public key.
    """
    payload = _payload(claims)
    checked = _read_claims(payload)
    problem = checked if isinstance(checked, TokenRefusal) else _lifetime_problem(checked)
    if problem is not None:
        raise TokenError(problem.message)
    try:
        encoded = canonical(payload, name="claims")
    except CanonicalError as error:
        raise TokenError(str(error)) from None
    return seal(encoded, signer)


def verify_token(
    token: object,
    *,
    keys: Mapping[KeyId, PublicKey],
    audience: str,
    now: EpochSeconds,
    leeway: int = 0,
    issuer: str | None = None,
) -> Claims | TokenRefusal:
    """Steps 1 and 2 of §9.1, for whatever ``token`` is: its claims, or a refusal with a stable code.

    ``keys`` is the verifier's own table; a token must name its key in it, even if there is only one.
    ``leeway`` (0 to 60 seconds) is how far two clocks may be apart. Without ``issuer`` whoever holds one of
    the keys may issue. The codes: malformed, too_large, header, alg, kid, duplicate_member, signature,
    claims, lifetime, expired, not_yet_valid, audience, issuer; ``check_binding`` adds binding.

    The caller goes on with ``check_binding`` (step 5), then consumes jti and cns (3 and 4).
    Raises only for the caller's own mistakes: ValueError for a leeway out of range or an empty audience.
    """
    _check_leeway(leeway)
    if not audience:
        raise ValueError("the audience must not be empty: it is the name this verifier answers to")
    # (1) Signature, with the verifier's own keys and algorithm: forged and altered tokens.
    opened = open_jws(token, keys)
    if isinstance(opened, JwsRefusal):
        return TokenRefusal(opened.code, opened.message)
    # Every claim present, of its exact type: "1759000045", 45.0 and true are not times; ["me", "evil"] is
    # not an audience; a jti that cannot be stored cannot be remembered.
    claims = _read_claims(opened.claims)
    if isinstance(claims, TokenRefusal):
        return claims
    # (2) Time: stolen tokens die soon. Audience: a token for one broker, replayed at another.
    return (
        _lifetime_problem(claims)
        or _time_problem(claims, opened.claims.get("nbf"), now, leeway)
        or _party_problem(claims, audience, issuer)
        or claims
    )


def check_binding(claims: Claims, action: Action | Digest) -> TokenRefusal | None:
    """Step 5 of §9.1: is this the action, or the fingerprint, that the token was minted for?

    ``action`` is the request that the broker is about to send, rebuilt by the broker. The check stops a good
    token beside another request. It comes *before* steps 3 and 4, so that a mismatched request cannot burn a
    good token; the caller then consumes jti and cns in one atomic insert, in a store that outlives a
    restart, and keeps both until ``consume_until``.
    """
    fingerprint = action.fingerprint if isinstance(action, Action) else action
    if fingerprint == claims.fpr:
        return None
    return TokenRefusal("binding", f"the token is for the fingerprint {claims.fpr}, not {fingerprint!r:.80}")


def consume_until(claims: Claims, leeway: int = 0) -> EpochSeconds:
    """The second from which the store may forget jti and cns: exp + leeway (§9.1).

    Until exp alone, a replay within the leeway would pass. ``leeway`` is that of ``verify_token``.
    """
    _check_leeway(leeway)
    return EpochSeconds(claims.exp + leeway)


def _payload(claims: Claims) -> JSONObject:
    payload: JSONObject = {
        "iss": claims.iss,
        "aud": claims.aud,
        "iat": claims.iat,
        "exp": claims.exp,
        "jti": claims.jti,
        "cns": claims.cns,
        "fpr": claims.fpr,
        "iht": claims.iht,
    }
    if claims.apr is not None:
        payload["apr"] = claims.apr
    if claims.sub is not None:
        payload["sub"] = claims.sub
    if claims.pol is not None:
        version, rule = claims.pol
        payload["pol"] = {"version": version, "rule": rule}
    return payload


class _ClaimError(Exception):
    """Carries the first wrong claim out of the readers below."""


def _read_claims(members: JSONObject) -> Claims | TokenRefusal:
    """The typed claims; members that §9 does not name are ignored, as RFC 7519 §4 asks, except nbf."""
    try:
        if "nbf" in members:
            _seconds(members, "nbf")
        return Claims(
            iss=_text(members, "iss"),
            aud=_text(members, "aud"),
            iat=_seconds(members, "iat"),
            exp=_seconds(members, "exp"),
            jti=_text(members, "jti"),
            cns=_text(members, "cns"),
            fpr=_digest(members, "fpr"),
            iht=_digest(members, "iht"),
            apr=_text(members, "apr") if "apr" in members else None,
            sub=_text(members, "sub") if "sub" in members else None,
            pol=_policy(members["pol"]) if "pol" in members else None,
        )
    except _ClaimError as error:
        return TokenRefusal("claims", str(error))


def _claim(members: JSONObject, name: str) -> JSON:
    if name not in members:
        raise _ClaimError(f"the claim {name!r} is missing")
    return members[name]


def _text(members: JSONObject, name: str) -> str:
    value = _claim(members, name)
    if type(value) is not str or not value:
        raise _ClaimError(f"{name} is {value!r:.60}; it must be a string that is not empty")
    return value


def _seconds(members: JSONObject, name: str) -> EpochSeconds:
    value = _claim(members, name)
    if type(value) is not int or value < 0:
        raise _ClaimError(f"{name} is {value!r:.60}; it must be whole seconds since 1970")
    return EpochSeconds(value)


def _digest(members: JSONObject, name: str) -> Digest:
    value = _claim(members, name)
    if not is_digest(value):
        raise _ClaimError(f"{name} is {value!r:.80}; it must be 64 lower-case hexadecimal digits")
    return Digest(str(value))


def _policy(value: JSON) -> tuple[int, str | None]:
    if type(value) is not dict or value.keys() != {"version", "rule"}:
        raise _ClaimError(f"pol is {value!r:.60}; it must be an object with version and rule, and no more")
    version, rule = value["version"], value["rule"]
    if type(version) is not int or version < 1:
        raise _ClaimError(f"pol.version is {version!r:.60}; it must be an integer of at least 1")
    if rule is not None and type(rule) is not str:
        raise _ClaimError(f"pol.rule is {rule!r:.60}; it must be a string or null")
    return version, rule


def _lifetime_problem(claims: Claims) -> TokenRefusal | None:
    lifetime = claims.exp - claims.iat
    if 1 <= lifetime <= MAX_LIFETIME:
        return None
    return TokenRefusal("lifetime", f"exp is {lifetime} s after iat; 1 to {MAX_LIFETIME} s are allowed")


def _time_problem(claims: Claims, nbf: JSON, now: EpochSeconds, leeway: int) -> TokenRefusal | None:
    if now >= claims.exp + leeway:
        return TokenRefusal(
            "expired", f"the token expired at {claims.exp}; it is {now}, the leeway {leeway} s"
        )
    for name, start in (("iat", claims.iat), ("nbf", nbf)):
        if isinstance(start, int) and start > now + leeway:
            return TokenRefusal(
                "not_yet_valid", f"{name} is {start}; it is only {now}, the leeway {leeway} s"
            )
    return None


def _party_problem(claims: Claims, audience: str, issuer: str | None) -> TokenRefusal | None:
    if claims.aud != audience:
        return TokenRefusal("audience", f"the token is for {claims.aud!r:.60}, not for {audience!r:.60}")
    if issuer is not None and claims.iss != issuer:
        return TokenRefusal("issuer", f"the token is from {claims.iss!r:.60}, not from {issuer!r:.60}")
    return None


def _check_leeway(leeway: int) -> None:
    if type(leeway) is not int or not 0 <= leeway <= MAX_LEEWAY:
        raise ValueError(f"leeway is {leeway!r:.60}; 0 to {MAX_LEEWAY} whole seconds are allowed")
