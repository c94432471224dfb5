"""The 118 shapes of a token (``tests/token_shapes.py``) get their verdicts (§9, §9.1)."""

from __future__ import annotations

import pytest

from delego_spec.tokens import Claims, TokenRefusal, verify_token
from forge import AUDIENCE, KEYS, KID, NOW
from token_shapes import LEEWAY, SHAPES, Shape, with_claims, with_header


def verdict(token: object, issuer: str | None) -> Claims | TokenRefusal:
    return verify_token(token, keys=KEYS, audience=AUDIENCE, now=NOW, leeway=LEEWAY, issuer=issuer)


def test_the_table_is_complete() -> None:
    assert len(SHAPES) == len({shape.name for shape in SHAPES}) == 118
    assert {shape.name for shape in SHAPES if shape.decided} == {
        "typ missing",
        "typ=jwt lower",
        "kid missing",
        "unknown header member",
        "bytes token",
        "100 kB sub claim",
        "TTL 61",
        "iss other",
        "claims leading whitespace",
    }


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_shape_gets_its_verdict(shape: Shape) -> None:
    outcome = verdict(shape.token, shape.issuer)
    found = outcome.code if isinstance(outcome, TokenRefusal) else None
    assert found == shape.code, outcome


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if shape.code is not None], ids=lambda shape: shape.name
)
def test_the_twin_without_the_fault_is_accepted(shape: Shape) -> None:
    assert shape.twin != shape.token
    assert isinstance(verdict(shape.twin, shape.issuer), Claims)


def test_an_unnamed_issuer_is_not_compared() -> None:
    outcome = verdict(with_claims(iss="other"), None)
    assert isinstance(outcome, Claims)
    assert outcome.iss == "other"


def test_the_kid_of_the_only_key_is_still_required() -> None:
    assert len(KEYS) == 1
    assert isinstance(verdict(with_header(kid=KID), None), Claims)
    for kid in ("", KID.upper(), KID[:-1], KID + "0"):
        outcome = verdict(with_header(kid=kid), None)
        assert isinstance(outcome, TokenRefusal)
        assert outcome.code == "kid"
