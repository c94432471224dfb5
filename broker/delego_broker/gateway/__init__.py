"""The gateway (§2.2): a process of its own that holds credentials, and uses one only for the exact action
that a token authorises, once.

    config = load_broker_config(text, source="broker.yaml", folder=Path("."))
    serve(config, on_event=print)     # delego_broker.gateway.serve; needs httpx2, starlette, uvicorn

In the order in which a request meets them: ``serve``, ``listening`` and ``protocol`` (connections), ``app``
(who asks), ``service`` (the order of all that follows), ``routes`` (which route, and what exactly is sent),
``secrets``, ``addresses`` (where it goes), ``sending`` (once), ``results`` and ``redaction`` (what comes
back).
"""

from delego_broker.gateway.config import broker_config_schema, load_broker_config
from delego_broker.gateway.settings import BrokerConfig

__all__ = ["BrokerConfig", "broker_config_schema", "load_broker_config"]
