"""The enforcement point: the only holder of credentials (§2).

Here: what every broker is (``Broker``), a broker that sends nothing, one that calls a function, and what any
broker needs before it uses a credential: ``TokenVerifier`` with its keys, its replay store and its list of
revoked tokens.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from delego_broker.callable import CallableBroker
from delego_broker.errors import (
    BrokerConfigError,
    DelegoBrokerError,
    KeySourceError,
    MissingExtra,
    ReplayStoreError,
    RevocationError,
)
from delego_broker.keysets import JwksFile, JwksUrl, KeySource, StaticKeys
from delego_broker.null import NullBroker
from delego_broker.replay import MemoryReplayStore, ReplayStore
from delego_broker.revocation import RevocationList, Revoked
from delego_broker.verifier import Outgoing, Refusal, TokenVerifier
from delego_spec.gateway import Broker, BrokerOutcome, Executed, GatewayRequest, NotSent, Refused, Released

if TYPE_CHECKING:
    from delego_broker.client import GatewayBroker
    from delego_broker.redis_replay import RedisReplayStore
    from delego_broker.sqlite_replay import SQLiteReplayStore

__all__ = [
    "Broker",
    "BrokerConfigError",
    "BrokerOutcome",
    "CallableBroker",
    "DelegoBrokerError",
    "Executed",
    "GatewayBroker",
    "GatewayRequest",
    "JwksFile",
    "JwksUrl",
    "KeySource",
    "KeySourceError",
    "MemoryReplayStore",
    "MissingExtra",
    "NotSent",
    "NullBroker",
    "Outgoing",
    "RedisReplayStore",
    "Refusal",
    "Refused",
    "Released",
    "ReplayStore",
    "ReplayStoreError",
    "RevocationError",
    "RevocationList",
    "Revoked",
    "SQLiteReplayStore",
    "StaticKeys",
    "TokenVerifier",
]

# Imported when they are asked for: what needs an extra, or opens what not every broker has.
_LAZY = {
    "GatewayBroker": "delego_broker.client",
    "RedisReplayStore": "delego_broker.redis_replay",
    "SQLiteReplayStore": "delego_broker.sqlite_replay",
}


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'delego_broker' has no attribute {name!r}")
    return getattr(import_module(module), name)
