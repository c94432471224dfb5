"""All of §9.1 in one call: may a credential be used for exactly this request, now, once?

    store = SQLiteReplayStore.open("used.db")
    verifier = TokenVerifier(JwksFile("jwks.json"), "https://broker.example", store)
    outcome = verifier.authorize(token, Outgoing("POST", url, params))
    if isinstance(outcome, Refusal): ...        # nothing is sent

It needs the protocol's core and the standard library alone. Not here: building the request and sending it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias, get_args

from delego_broker.errors import DelegoBrokerError
from delego_broker.keysets import KeySource, StaticKeys
from delego_broker.replay import ReplayStore
from delego_broker.revocation import RevocationList
from delego_spec.action import Action
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import ActionError
from delego_spec.gateway import Refused, rebuild_url
from delego_spec.tokens import (
    MAX_LEEWAY,
    Claims,
    TokenRefusal,
    check_binding,
    consume_until,
    verify_token,
)
from delego_spec.tokens import RefusalCode as TokenRefusalCode
from delego_spec.types import Digest, EpochSeconds, JSONObject, KeyId

OwnCode: TypeAlias = Literal[
    "already_consumed",  # jti or cns was used before (steps 3 and 4)
    "revoked",  # the operator has withdrawn this token
    "unavailable",  # keys, store, list or clock failed: it cannot be known, so it is not permitted
]
RefusalCode: TypeAlias = TokenRefusalCode | OwnCode
REFUSAL_CODES: Final[tuple[str, ...]] = (*get_args(TokenRefusalCode), *get_args(OwnCode))

_ANY_INSTRUCTION: Final = "-"  # the fingerprint does not hold it


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The request that is about to be sent, as its sender has built it; not as somebody described it.

    The fingerprint binds method, host, path, query and params. It binds neither the scheme (send over TLS
    only) nor how params become a body: one broker writes them in one way.
    """

    method: str
    url: str
    params: JSONObject

    @property
    def action(self) -> Action:
        """Raises ActionError for what is no request that could be fingerprinted."""
        return Action(_ANY_INSTRUCTION, self.method, self.url, self.params)

    @property
    def fingerprint(self) -> Digest:
        """Raises ActionError."""
        return self.action.fingerprint


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a credential must not be used. The code is stable, the message is for people; neither holds the
    token. ``jti``: of a token that is genuine, so that its operator can revoke it."""

    code: RefusalCode
    message: str
    jti: str | None = field(default=None, compare=False)


def whole_seconds() -> int:
    """The system clock: seconds since 1970."""
    return int(time.time())


class TokenVerifier:
    """Checks tokens for one broker. Threads may share it; so may processes, each with its own on one store.

    ``keys``: the verifier's own table or a source of it; never anything that came with a token. ``audience``:
    the one name that this broker answers to. ``issuer``: the one authorizer that may issue; None: whoever
    holds one of the keys. ``leeway``: 0 to 60 seconds that two clocks may be apart. ``clock``: whole seconds
    since 1970.

    Raises ValueError for an empty audience or issuer or a leeway out of range, TypeError for parts that are
    none.
    """

    def __init__(
        self,
        keys: KeySource | Mapping[KeyId, PublicKey],
        audience: str,
        replay_store: ReplayStore,
        *,
        issuer: str | None = None,
        leeway: int = 0,
        revocations: RevocationList | None = None,
        clock: Callable[[], int] = whole_seconds,
    ) -> None:
        for name, text in (("audience", audience), ("issuer", issuer)):
            if text is not None and type(text) is not str:
                raise TypeError(f"the {name} is a string, not {type(text).__name__}")
            if text == "":
                raise ValueError(f"the {name} must not be empty")
        if audience is None:
            raise TypeError("the audience is a string, not NoneType")
        if type(leeway) is not int or not 0 <= leeway <= MAX_LEEWAY:
            raise ValueError(f"leeway is {leeway!r:.60}; 0 to {MAX_LEEWAY} whole seconds are allowed")
        if not callable(getattr(replay_store, "consume", None)):
            raise TypeError(f"a replay store is wanted, not {type(replay_store).__name__}")
        self._source = StaticKeys(keys) if isinstance(keys, Mapping) else keys
        if not callable(getattr(self._source, "table", None)):
            raise TypeError(f"keys are a table or a source of one, not {type(keys).__name__}")
        self._keys = _Asked(self._source)
        self._audience = audience
        self._store = replay_store
        self._issuer = issuer
        self._leeway = leeway
        self._revocations = revocations
        self._clock = clock

    @property
    def audience(self) -> str:
        return self._audience

    def authorize(self, token: object, request: Outgoing) -> Claims | Refusal:
        """§9.1 for this token and the request that is about to be sent: its claims, or why not.

        A permit uses the token up: the store has remembered it, durably, before this returns. The caller then
        sends this request once. Never raises an Exception, whatever ``token`` and ``request`` are: what
        cannot be decided is refused as ``unavailable``.
        """
        try:
            return self._authorize(token, request)
        except DelegoBrokerError as error:
            return Refusal("unavailable", str(error))
        except Exception as error:  # noqa: BLE001 - an error is never a permit, wherever it comes from
            # Its text may hold anything, a part of the token among it.
            return Refusal("unavailable", f"the check itself failed: {type(error).__name__}")

    def _authorize(self, token: object, request: Outgoing) -> Claims | Refusal:
        now = self._now()
        # (1) The signature, with this verifier's own keys and algorithm: forged and altered tokens, "none", a
        # key that the attacker brings. (2) Time: a stolen token used later. Audience and issuer: a token for
        # another broker, or from another authorizer.
        claims = verify_token(
            token,
            keys=self._keys,
            audience=self._audience,
            now=now,
            leeway=self._leeway,
            issuer=self._issuer,
        )
        if isinstance(claims, TokenRefusal):
            return Refusal(claims.code, claims.message)
        try:
            refusal = self._unfit(claims, request, now)
        except DelegoBrokerError as error:
            refusal = Refusal("unavailable", str(error))
        return claims if refusal is None else replace(refusal, jti=claims.jti)

    def _unfit(self, claims: Claims, request: Outgoing, now: EpochSeconds) -> Refusal | None:
        """The other steps, for a genuine token."""
        # (§9.2) A token that its operator took back before it expired.
        if self._revocations is not None and self._revocations.is_revoked(claims.jti) is not False:
            return Refusal("revoked", "the token was revoked")
        # (5) The request about to be sent is the authorised one: a good token beside another request.
        # Before (3) and (4), so that a request that does not fit cannot burn a good token.
        unbound = _binding_problem(claims, request)
        if unbound is not None:
            return unbound
        # (3) and (4) in one atomic, durable insert. jti: the token replayed. cns: a second token for one
        # release. Kept until exp + leeway: until exp alone, a replay within the leeway would pass. By the
        # longest leeway there is: another verifier on the same store may be more patient than this one.
        found: object = self._store.consume(
            claims.jti, claims.cns, keep_until=consume_until(claims, MAX_LEEWAY), now=now
        )
        if found == "fresh":
            return None
        if found == "jti":
            return Refusal("already_consumed", "the token was used before (jti)")
        if found == "cns":
            return Refusal("already_consumed", "the release was used before, with another token (cns)")
        return Refusal("unavailable", f"the replay store answered {found!r:.60}")

    def _now(self) -> EpochSeconds:
        now = self._clock()
        if type(now) is not int or now < 0:
            raise DelegoBrokerError(f"the clock says {now!r:.60}; whole seconds since 1970 are wanted")
        return EpochSeconds(now)


def _binding_problem(claims: Claims, request: Outgoing) -> Refusal | None:
    if type(request) is not Outgoing:
        return Refusal("binding", f"an Outgoing request is wanted, not {type(request).__name__}")
    try:
        action = request.action
    except ActionError as error:
        return Refusal("binding", f"the request has no fingerprint: {error!s:.200}")
    # What no fingerprint binds, or what an HTTP client would rewrite on the way: a fragment, user
    # information (sent as a credential), dot segments.
    rebuilt = rebuild_url(action)
    if isinstance(rebuilt, Refused):
        return Refusal("binding", rebuilt.message)
    problem = check_binding(claims, action)
    return None if problem is None else Refusal(problem.code, problem.message)


class _Asked(Mapping[KeyId, PublicKey]):
    """A source as the table that ``verify_token`` looks into, so that it is asked for the token's own kid."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def __getitem__(self, kid: KeyId) -> PublicKey:
        return self._source.table(kid)[kid]

    def __iter__(self) -> Iterator[KeyId]:
        return iter(self._source.table(None))

    def __len__(self) -> int:
        return len(self._source.table(None))
