"""Who sends what a home releases: the gateway that its configuration names, or the caller.

The authorizer knows what a broker is and no particular one; here the two meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delego_authorizer import Authorizer, Config, Home
    from delego_broker.client import BearerSource, GatewayBroker


def open_authorizer(home: Home) -> Authorizer:
    """The home's authorizer, with its gateway if it names one.

    Raises what ``Home.authorizer`` raises, and DelegoBrokerError for a gateway that cannot be used.
    """
    return home.authorizer(gateway_of(home, home.require().config()))


def gateway_of(home: Home, config: Config) -> GatewayBroker | None:
    """The gateway that ``config`` names; nothing is sent to it yet. Raises GatewayUnusable."""
    if not config.names_gateway:
        return None
    from delego_broker.client import GatewayBroker  # the command starts without it

    ca, certificate, socket = config.broker_ca, config.broker_client_certificate, config.broker_socket
    return GatewayBroker(
        config.broker_url,
        config.audience or "",  # the loader has seen that there is one
        timeout=config.broker_timeout,
        bearer=None if config.broker_bearer is None else _bearer(home, config.broker_bearer),
        ca=None if ca is None else home.path / ca,
        client_certificate=None if certificate is None else home.path / certificate,
        socket_path=None if socket is None else home.path / socket,
        socket_owner=config.broker_socket_owner,
    )


def _bearer(home: Home, reference: str) -> BearerSource:
    """Reads the bearer each time it is used, so that it may be changed while an authorizer runs."""
    from delego_broker.gateway.secrets import read_secret
    from delego_broker.gateway.settings import Source

    kind, _, name = reference.partition(":")
    source = Source(env=name) if kind == "env" else Source(file=home.path / name)
    return lambda: read_secret(source)
