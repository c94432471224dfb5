"""The enforcement point: the only holder of credentials (§2).

Here: what every broker is (``Broker``), a broker that sends nothing, and one that calls a function.
"""

from delego_broker.callable import CallableBroker
from delego_broker.null import NullBroker
from delego_spec.gateway import Broker, BrokerOutcome, Executed, GatewayRequest, NotSent, Refused, Released

__all__ = [
    "Broker",
    "BrokerOutcome",
    "CallableBroker",
    "Executed",
    "GatewayRequest",
    "NotSent",
    "NullBroker",
    "Refused",
    "Released",
]
