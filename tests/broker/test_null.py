"""The broker that sends nothing."""

from __future__ import annotations

from delego_broker import GatewayRequest, NullBroker, Released
from delego_spec.gateway import check_outcome
from houses import read


def test_everything_is_released_to_the_caller() -> None:
    outcome = NullBroker().execute(GatewayRequest.of(read()))
    assert outcome == Released()
    assert check_outcome(outcome) is outcome
