"""``TokenVerifier``: all of §9.1, in its order, on whatever it is given."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_broker import (
    KeySourceError,
    MemoryReplayStore,
    Outgoing,
    Refusal,
    ReplayStoreError,
    RevocationList,
    TokenVerifier,
)
from delego_broker.verifier import REFUSAL_CODES
from delego_spec.ed25519 import PublicKey
from delego_spec.tokens import Claims
from delego_spec.types import JSONObject, KeyId
from forge import AUDIENCE, ISSUER, KEYS, KID, NOW, SIGNER, claims, compact
from token_shapes import LEEWAY, SHAPES, Shape, with_claims

PARAMS: JSONObject = {"amount": 2400, "currency": "USD", "destination": "internal"}
ORDER = Outgoing("POST", "https://api.example.com/orders", PARAMS)  # what forge's tokens are for
GOOD = compact()


class Clock:
    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def verifier(store: Any = None, **options: Any) -> TokenVerifier:
    options = {"clock": Clock(), **options}
    keys = options.pop("keys", KEYS)
    audience = options.pop("audience", AUDIENCE)
    return TokenVerifier(keys, audience, MemoryReplayStore() if store is None else store, **options)


def code(outcome: Claims | Refusal) -> str | None:
    """The code of a refusal; None for a permit."""
    if isinstance(outcome, Claims):
        return None
    assert type(outcome) is Refusal
    assert outcome.code in REFUSAL_CODES
    assert outcome.message
    return outcome.code


class Recorder:
    """A store that says what it was asked."""

    def __init__(self, answer: object = "fresh") -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, int, int]] = []

    def consume(self, jti: str, cns: str, *, keep_until: int, now: int) -> Any:
        self.asked.append((jti, cns, keep_until, now))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def purge(self, now: int) -> int:
        return 0


# --- the 118 shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_gets_its_verdict(shape: Shape) -> None:
    one = verifier(leeway=LEEWAY, issuer=shape.issuer)
    assert code(one.authorize(shape.token, ORDER)) == shape.code


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.code is not None], ids=lambda shape: shape.name)
def test_a_refused_shape_burns_nothing(shape: Shape) -> None:
    store = Recorder()
    one = verifier(store, leeway=LEEWAY, issuer=shape.issuer)
    one.authorize(shape.token, ORDER)
    assert store.asked == []
    assert code(one.authorize(shape.twin, ORDER)) is None


# --- single use -------------------------------------------------------------------------------------------


def test_a_permit_carries_the_claims() -> None:
    outcome = verifier().authorize(GOOD, ORDER)
    assert isinstance(outcome, Claims)
    assert (outcome.jti, outcome.cns, outcome.aud) == ("token-1", "release-1", AUDIENCE)


def test_a_token_counts_once() -> None:
    one = verifier()
    assert code(one.authorize(GOOD, ORDER)) is None
    again = one.authorize(GOOD, ORDER)
    assert code(again) == "already_consumed"
    assert "jti" in again.message  # type: ignore[union-attr]  # a refusal, as the line above says


def test_a_second_token_for_one_release_is_refused() -> None:
    one = verifier()
    assert code(one.authorize(GOOD, ORDER)) is None
    second = one.authorize(with_claims(jti="token-2"), ORDER)
    assert code(second) == "already_consumed"
    assert "cns" in second.message  # type: ignore[union-attr]  # a refusal, as the line above says


def test_a_token_that_was_refused_for_its_release_is_not_used_up() -> None:
    one = verifier()
    one.authorize(GOOD, ORDER)
    one.authorize(with_claims(jti="token-2"), ORDER)
    assert code(one.authorize(with_claims(jti="token-2", cns="release-2"), ORDER)) is None


@pytest.mark.parametrize("leeway", [0, 1, 60])
def test_a_token_is_kept_until_exp_plus_the_longest_leeway(leeway: int) -> None:
    """Whatever this verifier's own is: another one on the same store may have a longer one."""
    store = Recorder()
    verifier(store, leeway=leeway).authorize(GOOD, ORDER)
    assert store.asked == [("token-1", "release-1", NOW + 45 + 60, NOW)]


def test_a_replay_in_the_last_second_of_the_leeway_is_refused() -> None:
    clock, store = Clock(), MemoryReplayStore()
    one = verifier(store, leeway=60, clock=clock)
    assert code(one.authorize(GOOD, ORDER)) is None
    clock.now = NOW + 45 + 60 - 1
    store.purge(clock.now)  # type: ignore[arg-type]  # seconds
    assert code(one.authorize(GOOD, ORDER)) == "already_consumed"
    clock.now += 1
    assert code(one.authorize(GOOD, ORDER)) == "expired"


# --- the binding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        Outgoing("PUT", ORDER.url, PARAMS),
        Outgoing("POST", "https://api.example.com.evil.example/orders", PARAMS),
        Outgoing("POST", "https://api.example.com/orders/", PARAMS),
        Outgoing("POST", "https://api.example.com/orders?to=evil", PARAMS),
        Outgoing("POST", ORDER.url, {**PARAMS, "amount": 2401}),
        Outgoing("POST", ORDER.url, {**PARAMS, "amount": "2400"}),
        Outgoing("POST", ORDER.url, {}),
    ],
    ids=["method", "host", "path", "query", "a param", "a param's type", "no params"],
)
def test_a_token_does_not_count_for_another_request(request_: Outgoing) -> None:
    store = Recorder()
    assert code(verifier(store).authorize(GOOD, request_)) == "binding"
    assert store.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/orders#x",
        "https://api.example.com/orders#",
        "https://api.example.com/x/../orders",
        "https://api.example.com/x/%2e%2e/orders",
        "https://user:secret@api.example.com/orders",
        "//api.example.com/orders",
        "https://api.example.com/orders\r\nHost: evil.example",
    ],
)
def test_a_url_that_would_be_sent_as_another_one_is_refused(url: str) -> None:
    """Even beside a token that was minted for exactly this text."""
    request = Outgoing("POST", url, PARAMS)
    try:
        fingerprint: str = request.fingerprint
    except Exception:  # noqa: BLE001 - then there is no such token
        fingerprint = "0" * 64
    assert code(verifier().authorize(with_claims(fpr=fingerprint), request)) == "binding"


def test_a_request_that_does_not_fit_cannot_burn_a_good_token() -> None:
    one = verifier()
    assert code(one.authorize(GOOD, Outgoing("POST", ORDER.url, {}))) == "binding"
    assert code(one.authorize(GOOD, ORDER)) is None


def test_a_refusal_of_a_genuine_token_names_its_jti_and_no_other_does() -> None:
    one = verifier()
    first = one.authorize(GOOD, Outgoing("POST", ORDER.url, {}))
    claims = one.authorize(GOOD, ORDER)
    again = one.authorize(GOOD, ORDER)
    assert isinstance(first, Refusal)
    assert isinstance(claims, Claims)
    assert isinstance(again, Refusal)
    assert first.jti == again.jti == claims.jti
    head, payload, _ = GOOD.split(".")
    forged = one.authorize(f"{head}.{payload}.{'A' * 86}", ORDER)
    assert isinstance(forged, Refusal)
    assert forged.jti is None


@pytest.mark.parametrize(
    "request_",
    [
        None,
        "POST https://api.example.com/orders",
        object(),
        Outgoing("POST", ORDER.url, None),  # type: ignore[arg-type]  # what a caller may do
        Outgoing(5, ORDER.url, PARAMS),  # type: ignore[arg-type]  # what a caller may do
        Outgoing("POST", "https://\ud800/", PARAMS),
        Outgoing("POST", ORDER.url, {"x": float("nan")}),
    ],
)
def test_what_is_no_request_is_refused(request_: Any) -> None:
    assert code(verifier().authorize(GOOD, request_)) == "binding"


# --- what fails is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, True, 1, "", "ok", "FRESH", b"fresh", ["fresh"]])
def test_a_store_that_answers_anything_else_permits_nothing(answer: object) -> None:
    assert code(verifier(Recorder(answer)).authorize(GOOD, ORDER)) == "unavailable"


@pytest.mark.parametrize(
    "error", [ReplayStoreError("the disk is full"), OSError(28, "no space"), KeyError("x"), RecursionError()]
)
def test_a_store_that_fails_permits_nothing(error: Exception) -> None:
    assert code(verifier(Recorder(error)).authorize(GOOD, ORDER)) == "unavailable"


def test_an_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        verifier(Recorder(KeyboardInterrupt())).authorize(GOOD, ORDER)


@pytest.mark.parametrize("now", [None, float(NOW), str(NOW), True, -1])
def test_a_clock_that_says_no_whole_seconds_permits_nothing(now: Any) -> None:
    assert code(verifier(clock=lambda: now).authorize(GOOD, ORDER)) == "unavailable"


class Source:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def table(self, kid: str | None) -> Mapping[KeyId, PublicKey]:
        raise self.error


@pytest.mark.parametrize("error", [KeySourceError("none"), OSError("x"), ValueError("x")])
def test_a_source_of_keys_that_fails_permits_nothing(error: Exception) -> None:
    assert code(verifier(keys=Source(error)).authorize(GOOD, ORDER)) == "unavailable"


def test_an_error_of_unknown_origin_is_not_quoted() -> None:
    """Its text may hold a part of the token, which is a credential."""
    outcome = verifier(Recorder(ValueError(f"cannot store {GOOD}"))).authorize(GOOD, ORDER)
    assert GOOD[:40] not in str(outcome)


# --- revocation ---------------------------------------------


def test_a_revoked_token_is_refused_and_not_used_up(tmp_path: Path) -> None:
    revoked, store = RevocationList(tmp_path / "revoked.jsonl"), Recorder()
    revoked.revoke("token-1", NOW)
    one = verifier(store, revocations=revoked)
    assert code(one.authorize(GOOD, ORDER)) == "revoked"
    assert store.asked == []
    assert code(one.authorize(with_claims(jti="token-2"), ORDER)) is None


def test_a_list_that_cannot_be_read_refuses_every_token(tmp_path: Path) -> None:
    one = verifier(revocations=RevocationList(tmp_path / "missing"))
    assert code(one.authorize(GOOD, ORDER)) == "unavailable"


# --- the verifier itself ---------------------------------------------


def test_the_issuer_is_compared_where_one_is_named() -> None:
    other = with_claims(iss="other")
    assert code(verifier(issuer=ISSUER).authorize(other, ORDER)) == "issuer"
    assert code(verifier().authorize(other, ORDER)) is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"audience": ""}, ValueError),
        ({"audience": None}, TypeError),
        ({"audience": ["me"]}, TypeError),
        ({"issuer": ""}, ValueError),
        ({"issuer": 5}, TypeError),
        ({"leeway": 61}, ValueError),
        ({"leeway": -1}, ValueError),
        ({"leeway": True}, ValueError),
        ({"leeway": 1.0}, ValueError),
        ({"store": object()}, TypeError),
        ({"keys": object()}, TypeError),
        ({"keys": {KeyId("0" * 16): SIGNER.public_key}}, ValueError),
        ({"keys": {KID: SIGNER.public_key.hex}}, TypeError),
    ],
)
def test_a_verifier_that_could_not_work_is_not_made(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        verifier(options.pop("store", None), **options)


def test_the_callers_table_may_change_without_changing_whose_tokens_count() -> None:
    table: dict[KeyId, PublicKey] = dict(KEYS)
    one = verifier(keys=table)
    table.clear()
    assert code(one.authorize(GOOD, ORDER)) is None


def test_the_audience_can_be_read() -> None:
    assert verifier().audience == AUDIENCE


# --- nothing leaves but a permit or a refusal ---------------------------------------------


@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300),
        st.none(),
        st.integers(),
        st.lists(st.integers()),
        st.from_regex(r"[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,90}", fullmatch=True),
    )
)
def test_no_token_at_all_is_ever_raised_about_or_permitted(token: object) -> None:
    assert code(verifier().authorize(token, ORDER)) is not None


@given(
    st.integers(0, len(GOOD) - 1), st.characters(), st.sampled_from(["replace", "insert", "delete", "cut"])
)
def test_a_good_token_with_one_change_is_never_permitted(place: int, character: str, how: str) -> None:
    changed = {
        "replace": GOOD[:place] + character + GOOD[place + 1 :],
        "insert": GOOD[:place] + character + GOOD[place:],
        "delete": GOOD[:place] + GOOD[place + 1 :],
        "cut": GOOD[:place],
    }[how]
    assert (code(verifier().authorize(changed, ORDER)) is None) == (changed == GOOD)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(["iss", "aud", "iat", "exp", "jti", "cns", "fpr", "iht", "apr", "sub", "pol", "nbf"]),
    JSON_VALUES,
)
def test_signed_claims_of_any_value_are_decided(name: str, value: object) -> None:
    code(verifier().authorize(compact(body=claims(**{name: value})), ORDER))


@given(st.text(max_size=20) | st.integers(), st.text(max_size=60), JSON_VALUES)
def test_no_request_is_ever_raised_about(method: Any, url: str, params: Any) -> None:
    outcome = verifier().authorize(GOOD, Outgoing(method, url, params))
    assert code(outcome) == "binding"


def test_of_many_tokens_in_any_order_each_counts_once() -> None:
    one, chance = verifier(), random.Random(5)
    tokens = [with_claims(jti=f"token-{n}", cns=f"release-{n}") for n in range(20)] * 3
    chance.shuffle(tokens)
    assert sum(code(one.authorize(token, ORDER)) is None for token in tokens) == 20
