"""A ledger's signer that is a device, and answers for another key than it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from delego_authorizer import Authorizer
from delego_broker import CallableBroker
from delego_ledger.errors import StorageError
from delego_ledger.sqlite import SQLiteLedger
from delego_spec.ed25519 import PublicKey
from houses import BOB_KEY, CONFIG, LEDGER_KEY, POLICY, Service, read


class Device:
    def __init__(self, sign: Callable[[bytes], bytes]) -> None:
        self.sign = sign

    @property
    def public_key(self) -> PublicKey:
        return LEDGER_KEY.public_key


def test_nothing_is_released_on_receipts_that_would_not_verify(tmp_path: Path) -> None:
    service = Service()
    ledger = SQLiteLedger.create(tmp_path / "ledger.db", Device(BOB_KEY.sign))
    authorizer = Authorizer(POLICY, CONFIG, ledger, broker=CallableBroker(service))
    with pytest.raises(StorageError, match="the signer's signature does not fit its public key"):
        authorizer.propose(read())
    assert ledger.head() is None
    assert service.calls == 0
    ledger.close()


def test_a_device_that_is_unplugged_is_a_failure_of_the_storage(tmp_path: Path) -> None:
    def unplugged(_: bytes) -> bytes:
        raise RuntimeError("no such device")

    service = Service()
    ledger = SQLiteLedger.create(tmp_path / "ledger.db", Device(unplugged))
    authorizer = Authorizer(POLICY, CONFIG, ledger, broker=CallableBroker(service))
    with pytest.raises(StorageError, match="no such device; nothing was changed"):
        authorizer.propose(read())
    assert service.calls == 0
    ledger.close()


def test_a_device_that_holds_its_key_signs_receipts(tmp_path: Path) -> None:
    ledger = SQLiteLedger.create(tmp_path / "ledger.db", Device(LEDGER_KEY.sign))
    assert Authorizer(POLICY, CONFIG, ledger).propose(read()).allowed
    ledger.close()
