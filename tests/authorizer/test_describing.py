"""A broker that says something about a result for the receipt of its execution."""

from __future__ import annotations

import pytest

from delego_authorizer.brokering import Attempt, call_broker
from delego_authorizer.workers import Workers
from delego_spec.action import Action
from delego_spec.gateway import Executed, GatewayRequest

REQUEST = GatewayRequest.of(Action("read it", "GET", "https://api.example.com/a", {}))


class Describing:
    def __init__(self, words: object) -> None:
        self.words = words

    def execute(self, request: GatewayRequest) -> Executed:
        return Executed(200, {"a": 1})

    def describe(self, outcome: Executed) -> str:
        if isinstance(self.words, Exception):
            raise self.words
        return self.words  # type: ignore[return-value]  # what a broker of others may do


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("result sha256:00", "executed via broker (status 200); result sha256:00"),
        ("two\nlines", "executed via broker (status 200); two lines"),
        ("", "executed via broker (status 200)"),
        (7, "executed via broker (status 200)"),
        (ValueError("no"), "executed via broker (status 200)"),
    ],
    ids=str,
)
def test_its_words_stand_in_the_reason_and_its_failure_changes_nothing(words: object, wanted: str) -> None:
    late: list[Attempt] = []
    attempt = call_broker(Describing(words), REQUEST, 30.0, Workers(), late.append)
    assert (attempt.kind, attempt.reason, attempt.result) == ("executed", wanted, {"a": 1})
    assert late == []
