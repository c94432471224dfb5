"""What callers get, as JSON and as Python; names, notes and errors."""

from __future__ import annotations

import json

import pytest

import delego_authorizer
from delego_authorizer import Decision, PrincipalError, Unsettled
from delego_authorizer.values import check_note, check_principal
from delego_ledger.errors import StorageError
from delego_spec.anchors import Anchor
from delego_spec.types import Digest

HASH = Digest("a" * 64)


def test_a_decision_is_plain_json_for_machines() -> None:
    decision = Decision(
        "allow", "read", ("because",), HASH, HASH, None, True, {"x": [1]}, "t.o.k", Anchor(3, HASH)
    )
    mapping = decision.to_mapping()
    assert json.loads(json.dumps(mapping)) == {
        "outcome": "allow",
        "rule": "read",
        "reasons": ["because"],
        "intent_hash": HASH,
        "action_fingerprint": HASH,
        "approval_id": None,
        "executed": True,
        "result": {"x": [1]},
        "token": "t.o.k",
        "receipt": f"3:{HASH}",
    }
    assert decision.allowed
    assert not decision.outcome_unknown


def test_a_decision_begins_as_nothing_done() -> None:
    decision = Decision("deny", None, (), HASH, HASH)
    assert (decision.allowed, decision.executed, decision.outcome_unknown) == (False, False, False)
    assert decision.to_mapping()["receipt"] is None


@pytest.mark.parametrize("name", ["a", "A.b_c@d:e-f", "0", "x" * 64])
def test_a_principal_is_itself(name: str) -> None:
    assert check_principal(name) == name


@pytest.mark.parametrize("name", ["", ".a", "a/b", "x" * 65, "a\n", b"a", None, "ａ"])
def test_what_is_no_principal_is_quoted_and_cut(name: object) -> None:
    with pytest.raises(PrincipalError) as caught:
        check_principal(name)
    assert len(str(caught.value)) < 220


def test_a_note_is_itself() -> None:
    assert check_note("fine") == "fine"
    assert check_note(None) is None


def test_every_error_has_one_root_and_every_public_name_exists() -> None:
    root = delego_authorizer.DelegoAuthorizerError
    for name in delego_authorizer.__all__:
        value = getattr(delego_authorizer, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, root)


def test_the_errors_say_what_to_do() -> None:
    unsettled = delego_authorizer.Unsettled(
        "exe_1", None, StorageError("write", "x", "full", retry_safe=True)
    )
    assert str(unsettled) == (
        "the broker was called but the result could not be recorded (full); do not send the action again:"
        " execution exe_1 will be recorded as 'outcome unknown'"
    )
    assert "(the device is gone)" in str(Unsettled("exe_1", None, OSError("the device is gone")))
