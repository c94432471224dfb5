"""What an odd clock or policy brings about belongs to the families that ``propose`` names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from delego_authorizer import Authorizer
from delego_ledger.errors import StorageError
from delego_spec.errors import PolicyError
from delego_spec.policy import load_policy
from houses import FakeClock, Service, order, read

Build = Callable[..., Authorizer]


@pytest.mark.parametrize("time", [-1, 253_402_300_800_000_000])
def test_a_clock_outside_the_years_of_receipts_is_a_storage_error_and_nothing_is_sent(
    build: Build, time: int
) -> None:
    clock, service = FakeClock(), Service()
    authorizer = build(clock=clock, service=service)
    clock.now = time
    with pytest.raises(StorageError, match=r"the clock is wrong: time .* is outside the years 1970 to 9999"):
        authorizer.propose(read())
    assert service.calls == 0


def test_a_name_too_long_for_a_receipt_is_refused_when_the_policy_is_loaded(build: Build) -> None:
    text = "default: deny\nrules: [{{name: {}, decision: allow, match: {{method: POST}}}}]"
    with pytest.raises(PolicyError, match="name: is too long; at most 200 characters are allowed"):
        load_policy(text.format("r" * 201))
    longest = load_policy(text.format('"' + "\\u0007" * 200 + '"'))  # six bytes each in a receipt
    assert build(policy=longest).propose(order("x" * 190_000)).allowed
